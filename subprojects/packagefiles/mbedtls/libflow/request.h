/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_REQUEST_H
#define FLOW_MBEDTLS_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include <mbedtls/ssl.h>

/* libflow has it (tls/mbedtls/engine.c): write the extension
 * certificate_authorities of a CertificateRequest.  Returns its bytes, 0 if
 * there is none. */
size_t flow__mbed_write_authorities(const mbedtls_ssl_context *ssl,
                                    uint8_t *buf, size_t cap);

#endif
