/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_CURVE_H
#define FLOW_MBEDTLS_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/ecp.h>

/*
 * Arithmetic of the curves that TLS uses, by libcrypto.
 *
 * A scalar, a coordinate and a shared secret have the length of the curve's
 * field, big-endian; of X25519 they are 32 bytes, little-endian.  A point is 4,
 * x, y, or x alone of X25519.  Any thread may call the functions.
 *
 * libcrypto does not say reliably why it fails: without memory it calls a point
 * of the peer wrong.  So a failure decides nothing: false, or
 * MBEDTLS_ERR_ECP_FEATURE_UNAVAILABLE, says only that libcrypto did not
 * compute, and then mbedTLS does, which finds what is wrong.
 */

/* Octets of a field; 0: a curve that is not here. */
size_t flow__curve_len(mbedtls_ecp_group_id id);
size_t flow__curve_point_len(mbedtls_ecp_group_id id);

#define FLOW__CURVE_LEN_MAX   66
#define FLOW__CURVE_POINT_MAX (1 + 2 * FLOW__CURVE_LEN_MAX)

/* The public point of a private scalar. */
bool flow__curve_public(mbedtls_ecp_group_id id, const uint8_t *scalar,
                        uint8_t *point);

/* What two ends share: the x of scalar times point. */
bool flow__curve_shared(mbedtls_ecp_group_id id, const uint8_t *scalar,
                        const uint8_t *point, uint8_t *secret);

/* An ECDSA signature of a hash: 0 if it is right,
 * MBEDTLS_ERR_ECP_VERIFY_FAILED if it is wrong, or as above. */
int flow__curve_verify(mbedtls_ecp_group_id id, const uint8_t *point,
                       const uint8_t *hash, size_t hash_len, const uint8_t *r,
                       const uint8_t *s);

#endif
