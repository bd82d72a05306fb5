/* SPDX-License-Identifier: ISC */
#include "common.h"

#include "peer.h"

/* A chain that mbedTLS would verify once more.  libflow has verified it, and
 * asks mbedTLS for an optional verification, whose answer it does not use.  The
 * answer is no, so a required one never succeeds. */
static int
peer_trust_none(mbedtls_x509_crt *crt, mbedtls_x509_crt *ca,
                mbedtls_x509_crl *crl, const mbedtls_x509_crt_profile *profile,
                const char *name, uint32_t *ret_flags,
                int (*fn)(void *, mbedtls_x509_crt *, int, uint32_t *),
                void *user, void *restart)
{
    (void)crt;
    (void)ca;
    (void)crl;
    (void)profile;
    (void)name;
    (void)fn;
    (void)user;
    (void)restart;
    *ret_flags = MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

/* The certificates of a peer, in the Certificate message of TLS 1.2 and in
 * sessions, and the verification of both versions. */
#define mbedtls_x509_crt_parse_der          flow__mbed_parse_peer
#define mbedtls_x509_crt_verify_restartable peer_trust_none
#include "ssl_tls.c"
