/* SPDX-License-Identifier: ISC */
#include "common.h"

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
    return mbedtls_x509_crt_parse_der_with_ext_cb(chain, buf, len, 1,
                                                  peer_pass_extension, NULL);
}
