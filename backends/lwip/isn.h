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

/* The next connection of these addresses and ports begins above a number. */
struct ip4_addr;
void flow__lwip_isn_exceed(const struct ip4_addr *local, uint16_t local_port,
                           const struct ip4_addr *peer, uint16_t peer_port,
                           uint32_t number);

/* SipHash-2-4 of len bytes under a key. */
uint64_t flow__lwip_siphash(const uint8_t key[16], const uint8_t *data,
                            size_t len);

#endif
