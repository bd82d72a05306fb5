/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_KEY_H
#define FLOW_MBEDTLS_KEY_H

#include <mbedtls/pk.h>

/*
 * Move the private part of an RSA key, or of one of the curves of curve.h, to
 * an object of libcrypto, which signs from then on: ECDSA, and RSA by PKCS#1
 * and PSS.  The context keeps the public part and its type; mbedtls_pk_free()
 * frees both.  0: done, or left as it is, because libcrypto does not take the
 * key; MBEDTLS_ERR_PK_ALLOC_FAILED: left as it is for want of memory.
 */
int flow__key_settle(mbedtls_pk_context *pk);

#endif
