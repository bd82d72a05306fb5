/* SPDX-License-Identifier: ISC */
#ifndef TEST_VERIFY_SCENE_H
#define TEST_VERIFY_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <flow/tls_verify.h>

/*
 * Certificates from descriptions, made by OpenSSL, and the two verifiers that
 * are asked about them: ours and OpenSSL's.
 */

/* The time of every verification, and what the validity of certificates is
 * relative to: scene_now, which a test with programs sets to the real time. */
#define SCENE_NOW INT64_C(2000000000)
extern int64_t scene_now; /* SCENE_NOW at first */

/* Keys by number; the first ones are P-256. */
enum scene_key {
    SCENE_KEY_0 = 0,
    SCENE_KEY_1,
    SCENE_KEY_2,
    SCENE_KEY_3,
    SCENE_KEY_4,
    SCENE_KEY_5,
    SCENE_KEY_P384,
    SCENE_KEY_P521,
    SCENE_KEY_RSA,       /* 2048 bits */
    SCENE_KEY_RSA_SHORT, /* 1024 bits */
    SCENE_KEY_ED25519,   /* of a kind that libflow does not support */
    SCENE_KEY_K256,      /* secp256k1, which it does not support either */
    SCENE_KEYS
};

enum scene_ca { SCENE_CA_ABSENT = 0, SCENE_CA_FALSE, SCENE_CA_TRUE };

enum scene_hash {
    SCENE_SHA256 = 0,
    SCENE_SHA384,
    SCENE_SHA1,
    SCENE_PSS /* RSA-PSS with SHA-256 */
};

/* A certificate.  Text is as in openssl.cnf; NULL leaves the extension out. */
struct scene_cert {
    int subject; /* the common name is "Name N" */
    int issuer;
    enum scene_key key;
    enum scene_key signer;
    /* Validity in seconds from scene_now; both 0: an hour on either side. */
    long from;
    long until;
    enum scene_ca ca;
    int path_len; /* 0: none; n: n - 1 */
    enum scene_hash hash;
    const char *usage;
    const char *purposes;
    const char *san;
    /* Two emailAddress of the subject, which are one attribute set. */
    const char *mailbox[2];
    const char *constraints; /* nameConstraints */
    bool critical;           /* an unknown extension that is critical */
    bool version1;
    bool forged; /* the signature is changed afterwards */
    long serial; /* 0: one of its own */
};

struct scene_der {
    uint8_t *base;
    size_t len;
};

EVP_PKEY *scene_key(enum scene_key which);

/* The caller releases base with free(). */
struct scene_der scene_make(const struct scene_cert *what);

/* A revocation list of an issuer, in DER. */
struct scene_crl {
    int issuer;
    enum scene_key signer;
    long from; /* as in scene_cert */
    long until;
    const long *serials; /* ended by 0; NULL: none */
    bool critical;
};
struct scene_der scene_make_crl(const struct scene_crl *what);

/* What both verifiers are asked. */
#define SCENE_MAX 32

struct scene {
    struct scene_der trust[SCENE_MAX];
    size_t trust_count;
    struct scene_der chain[SCENE_MAX]; /* the leaf first */
    size_t chain_count;
    struct scene_der crl[SCENE_MAX];
    size_t crl_count;
    const char *name;
    enum flow_tls_purpose purpose;
};

void scene_trust(struct scene *s, const struct scene_cert *what);
void scene_send(struct scene *s, const struct scene_cert *what);
void scene_list(struct scene *s, const struct scene_crl *what);
void scene_free(struct scene *s);

/* Our verifier with the trust and the lists of a scene. */
struct flow_tls_verifier *scene_verifier(const struct scene *s);

/* Verify the chain of a scene; the pointers of the verdict are not valid
 * afterwards. */
enum flow_status scene_verify(const struct scene *s,
                              struct flow_tls_verifier *v,
                              struct flow_tls_verdict *ret);

/* OpenSSL's X509_verify_cert(), as `openssl verify -partial_chain` with our
 * minima: X509_V_OK or its error. */
int scene_openssl(const struct scene *s);

#endif
