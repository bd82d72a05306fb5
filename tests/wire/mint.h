/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_MINT_H
#define TEST_WIRE_MINT_H

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

/* Keys and certificates made while the test runs, for cases of which a set
 * made at build time would need one each. */

EVP_PKEY *mint_key(void); /* P-256 */
/* Of an elliptic curve, its parameters by name or written out. */
EVP_PKEY *mint_ec(const char *curve, int explicit_parameters);

/* What a certificate says; NULL is left out. */
struct mint {
    const char *subject; /* common name */
    const char *san;     /* as in openssl.cnf: "DNS:a,IP:127.0.0.1" */
    const char *usage;   /* keyUsage */
    const char *extended;
    const char *constraints; /* basicConstraints */
    const char *names;       /* nameConstraints */
};

/* Signed by the test CA if signer is NULL, else by signer and its key. */
X509 *mint_certificate(const struct mint *what, EVP_PKEY *key, X509 *signer,
                       EVP_PKEY *signer_key);

/* As PEM, NUL terminated; to be freed with free(). */
char *mint_pem(X509 *certificate);
/* The same for a key: as it is, or encrypted PKCS#8. */
char *mint_key_pem(EVP_PKEY *key, const char *passphrase);
/* Encrypted PKCS#8 in DER. */
unsigned char *mint_key_der(EVP_PKEY *key, const char *passphrase,
                            size_t *ret_len);

#endif
