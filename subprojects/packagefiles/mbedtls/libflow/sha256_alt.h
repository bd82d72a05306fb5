/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_SHA256_ALT_H
#define FLOW_MBEDTLS_SHA256_ALT_H

#include <stdint.h>

/*
 * mbedTLS asks for this header with MBEDTLS_SHA256_ALT.  Room for the
 * SHA256_CTX of libcrypto (sha2_alt.c), whose headers stay out of mbedTLS's.
 */
typedef struct mbedtls_sha256_context {
    uint32_t state[28];
} mbedtls_sha256_context;

#endif
