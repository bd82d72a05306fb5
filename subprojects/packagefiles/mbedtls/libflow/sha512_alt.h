/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_SHA512_ALT_H
#define FLOW_MBEDTLS_SHA512_ALT_H

#include <stdint.h>

/*
 * mbedTLS asks for this header with MBEDTLS_SHA512_ALT.  Room for the
 * SHA512_CTX of libcrypto (sha2_alt.c), whose headers stay out of mbedTLS's.
 */
typedef struct mbedtls_sha512_context {
    uint64_t state[27];
} mbedtls_sha512_context;

#endif
