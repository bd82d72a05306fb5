/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_LWIP_ISN_H
#define BACKENDS_LWIP_ISN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>

/* Takes the secret key, and from then on the clock, from an environment; false:
 * it has no entropy. */
bool flow__lwip_isn_seed(const struct flow_env *env);

/* SipHash-2-4 of len bytes under a key. */
uint64_t flow__lwip_siphash(const uint8_t key[16], const uint8_t *data,
                            size_t len);

#endif
