/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_CHAIN_H
#define FLOW_TLS_MBEDTLS_CHAIN_H

#include <flow/status.h>

#include "tls/span.h"

/*
 * What a peer's certificates may cost, before mbedTLS verifies them: it checks
 * signatures before trust, goes on past expired parents, and has no limit for a
 * public exponent.
 *
 * FLOW_OK; FLOW_E_PROTO for a certificate that cannot be read; FLOW_E_AUTH for
 * an RSA modulus of more than 8192 bits, an RSA exponent of more than 32, and
 * for so many certificates that may have signed each other that the checks
 * would take longer than about 20 ms.
 */
enum flow_status flow__mbed_check_chain(const uint8_t *msg, size_t len,
                                        bool tls13, struct flow_error *err);

#endif
