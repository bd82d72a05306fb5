/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_TCP_DIAL_H
#define BACKENDS_TCP_DIAL_H

#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/flow.h>
#include <flow/status.h>
#include <flow/wait.h>

#include "backends/tcp/addr.h"

/*
 * Connecting to a host: resolve the name, then try its addresses until one
 * answers, the next one beginning before the last has given up (RFC 8305).
 * Knows sockets and time.  It tells its flow before it closes a descriptor, and
 * knows nothing else of it.  Not synchronised.
 */
struct tcp_dial;

/* How long an address has to itself before the next is tried beside it. */
#define TCP_DIAL_STAGGER UINT64_C(250000000)
/* Attempts that may run at a time: with those of a sleeper itself, and of a
 * second flow that it relays to, no more than FLOW_WAIT_SOURCES, */
#define TCP_DIAL_PARALLEL 3
/* and how old one is before its place is taken by an address not tried. */
#define TCP_DIAL_PATIENCE UINT64_C(2000000000)
/* Addresses of one name that are tried. */
#define TCP_DIAL_ADDRESSES 16

/* flow is told before a descriptor is closed, may be NULL.  timeout in ns from
 * the first step on, 0: none.  source: what to connect from, copied; of family
 * 0: anything.  NULL: no memory. */
struct tcp_dial *flow__tcp_dial_new(const struct flow_env *env,
                                    struct flow *flow, const char *host,
                                    uint16_t port, uint64_t timeout,
                                    const struct flow_addr *source);
void flow__tcp_dial_free(struct tcp_dial *d);

/*
 * Go on.  FLOW_OK: *ret_fd is connected and the caller's, *ret_peer where to.
 * FLOW_AGAIN, or an error with *ret_err filled.
 */
enum flow_status flow__tcp_dial_step(struct tcp_dial *d, int *ret_fd,
                                     struct flow_addr *ret_peer,
                                     struct flow_error *ret_err);

/* Whether a step would not answer FLOW_AGAIN; else what to wait for. */
bool flow__tcp_dial_wait(struct tcp_dial *d, struct flow_wait_set *set);

#endif
