/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_SEALING_H
#define FLOW_TLS_MBEDTLS_SEALING_H

#include "tls/engine.h"

/* flow__engine_seal() and flow__engine_open() for a caller that has entered
 * mbedTLS (mbed.h), which sees from flow__mbed_result() that there was no
 * memory. */
enum flow_status flow__sealing_seal(const struct flow__seal_key *key,
                                    struct flow__span plain, uint8_t *out);
bool flow__sealing_open(const struct flow__seal_key *key,
                        struct flow__span sealed, uint8_t *out);

#endif
