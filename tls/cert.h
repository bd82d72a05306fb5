/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CERT_H
#define FLOW_TLS_CERT_H

#include "tls/der.h"
#include "tls/key_type.h"

/*
 * The facts of a certificate (RFC 5280) that a verification needs.  A pure
 * function of bytes; every span points into the certificate.
 */

/* Signatures of certificates and of revocation lists. */
enum flow__sign_kind {
    FLOW__SIGN_UNKNOWN = 0,
    FLOW__SIGN_RSA_PKCS1,
    FLOW__SIGN_RSA_PSS,
    FLOW__SIGN_ECDSA
};

struct flow__signature {
    enum flow__sign_kind kind;
    uint16_t hash_bits; /* 128 for MD5, 160 for SHA-1, else SHA-2 */
    uint16_t salt_len;  /* RSA-PSS */
    struct flow__span signed_bytes;
    struct flow__span value;
};

/* keyUsage: bit n of RFC 5280 4.2.1.3 is 1 << n. */
#define FLOW__USAGE_DIGITAL_SIGNATURE 0x0001u
#define FLOW__USAGE_CERT_SIGN         0x0020u
#define FLOW__USAGE_CRL_SIGN          0x0040u

/* extendedKeyUsage, RFC 5280 4.2.1.12 */
#define FLOW__PURPOSE_SERVER 0x1u
#define FLOW__PURPOSE_CLIENT 0x2u
#define FLOW__PURPOSE_ANY    0x4u

struct flow__cert {
    struct flow__span der;
    struct flow__span serial;
    struct flow__span issuer; /* flow__dn_is_valid() */
    struct flow__span subject;
    uint32_t issuer_hash;
    uint32_t subject_hash;
    int64_t not_before; /* seconds since 1970 */
    int64_t not_after;
    struct flow__span spki; /* SubjectPublicKeyInfo, whole */
    enum flow__key_type key;
    unsigned rsa_bits;      /* of the modulus, 0 if it is not an RSA key */
    unsigned exponent_bits; /* of the exponent */
    struct flow__signature signature;

    uint8_t version; /* 1..3 */
    bool is_ca;
    bool has_path_len;
    bool has_usage;
    bool has_purposes;
    bool has_unknown_critical; /* an extension that is critical and not known */
    uint32_t path_len;
    uint16_t usage;   /* FLOW__USAGE_ */
    uint8_t purposes; /* FLOW__PURPOSE_ */
    /* GeneralNames and GeneralSubtrees in a row. */
    struct flow__span names;
    struct flow__span permitted;
    struct flow__span excluded;
    struct flow__span key_id;        /* subjectKeyIdentifier */
    struct flow__span issuer_key_id; /* of authorityKeyIdentifier */
};

/* Read a certificate; false if it is not well formed. */
bool flow__cert_read(struct flow__span der, struct flow__cert *ret);

/* The choices of GeneralName, RFC 5280 4.2.1.6, by their number. */
enum flow__general_name {
    FLOW__GENERAL_EMAIL = 1,
    FLOW__GENERAL_DNS = 2,
    FLOW__GENERAL_DIRECTORY = 4,
    FLOW__GENERAL_IP = 7
};

/* Take the next of GeneralNames: the number of its choice, and its content.
 * False for what is not well formed. */
bool flow__cert_take_name(struct flow__span *names, unsigned *ret_choice,
                          struct flow__span *ret);

/* Whether a certificate has the same name as subject and as issuer. */
bool flow__cert_is_self_issued(const struct flow__cert *cert);

/* Read an AlgorithmIdentifier, whole, as that of a signature. */
void flow__cert_read_algorithm(struct flow__span algorithm,
                               struct flow__signature *ret);

#endif
