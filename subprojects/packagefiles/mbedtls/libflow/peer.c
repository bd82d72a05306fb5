/* SPDX-License-Identifier: ISC */
#include "common.h"

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>

#include "peer.h"

static int
peer_pass_extension(void *ctx, const mbedtls_x509_crt *cert,
                    const mbedtls_x509_buf *oid, int critical,
                    const unsigned char *p, const unsigned char *end)
{
    (void)ctx;
    (void)cert;
    (void)oid;
    (void)critical;
    (void)p;
    (void)end;
    return 0;
}

/* See libflow/peer.h. */
int
flow__mbed_parse_peer(mbedtls_x509_crt *chain, const unsigned char *buf,
                      size_t len)
{
    const int ignored =
        MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG + MBEDTLS_ERR_OID_NOT_FOUND;
    const int is_first = chain->raw.p == NULL;
    int rc = mbedtls_x509_crt_parse_der_with_ext_cb(chain, buf, len, 1,
                                                    peer_pass_extension, NULL);

    /* mbedTLS leaves out a certificate whose signature it does not know.  Left
     * out as the first one, it would have another take its place; and as the
     * last one of a TLS 1.3 peer it makes the handshake fail. */
    if (is_first)
        return rc == ignored ? MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG : rc;
    if (rc == ignored || rc == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG ||
        rc == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE)
        return 0;
    return rc;
}
