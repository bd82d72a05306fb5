/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_CHAIN_H
#define FLOW_TLS_MBEDTLS_CHAIN_H

#include <flow/status.h>

#include "tls/span.h"

/*
 * Limits what verifying a peer's certificates may cost.  mbedTLS checks
 * signatures before it looks for trust, continues past expired parents, and has
 * no limit for a public exponent.
 *
 * FLOW_OK; FLOW_E_PROTO for a certificate that cannot be parsed; FLOW_E_AUTH
 * for an RSA modulus of more than 8192 bits, for an RSA exponent of more than
 * 32 bits, and for a chain whose certificates may have signed each other in so
 * many ways that the checks would take longer than about 20 ms.
 */
enum flow_status flow__mbed_check_chain(const uint8_t *msg, size_t len,
                                        bool tls13, struct flow_error *err);

#endif
