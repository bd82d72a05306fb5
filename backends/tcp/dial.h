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
 * answers.  An attempt starts before the one before it has failed (RFC 8305).
 * The flow is told before a descriptor is closed, and is not used otherwise.
 * The caller has a lock.
 */
struct tcp_dial;

/* Time from one attempt to the next, ns (RFC 8305 5). */
#define TCP_DIAL_STAGGER UINT64_C(250000000)
/* Attempts that run at once.  Two flows that connect and are relayed to each
 * other must fit into FLOW_WAIT_SOURCES. */
#define TCP_DIAL_PARALLEL 3
/* Age at which an attempt is given up for an address not tried yet, ns. */
#define TCP_DIAL_PATIENCE UINT64_C(2000000000)
/* Addresses of one name that are tried at most. */
#define TCP_DIAL_ADDRESSES 16

/* flow may be NULL.  timeout: ns from the first step, 0: none.  source: the
 * address to connect from, copied; family 0: any.  NULL: no memory. */
struct tcp_dial *flow__tcp_dial_new(const struct flow_env *env,
                                    struct flow *flow, const char *host,
                                    uint16_t port, uint64_t timeout,
                                    const struct flow_addr *source);
void flow__tcp_dial_free(struct tcp_dial *d);

/*
 * Takes a step.  FLOW_OK: *ret_fd is connected to *ret_peer, and the caller
 * closes it.  FLOW_AGAIN: not connected yet.  Else an error, in *ret_err.
 */
enum flow_status flow__tcp_dial_step(struct tcp_dial *d, int *ret_fd,
                                     struct flow_addr *ret_peer,
                                     struct flow_error *ret_err);

/* True if a step would not answer FLOW_AGAIN; else adds the sources to wait
 * for. */
bool flow__tcp_dial_wait(struct tcp_dial *d, struct flow_wait_set *set);

#endif
