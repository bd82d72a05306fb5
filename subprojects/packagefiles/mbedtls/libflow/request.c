/* SPDX-License-Identifier: ISC */
#include "common.h"

#include "ssl_misc.h"

#include "request.h"

/*
 * The CertificateRequest of TLS 1.3, which mbedTLS writes with the extension
 * signature_algorithms alone.  Its file is compiled here, and the function that
 * it calls for that extension, in this message and no other, adds the names of
 * certificate authorities (RFC 8446 4.2.4).
 */

static int
request_write_extensions(mbedtls_ssl_context *ssl, unsigned char *buf,
                         const unsigned char *end, size_t *out_len)
{
    int rc = mbedtls_ssl_write_sig_alg_ext(ssl, buf, end, out_len);

    if (rc == 0)
        *out_len += flow__mbed_write_authorities(
            ssl, buf + *out_len, (size_t)(end - buf) - *out_len);
    return rc;
}

#define mbedtls_ssl_write_sig_alg_ext request_write_extensions
#include "ssl_tls13_server.c"
#undef mbedtls_ssl_write_sig_alg_ext
