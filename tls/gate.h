/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_GATE_H
#define FLOW_TLS_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/status.h>
#include <flow/wait.h>

/*
 * Counts handshakes that are not over, for a listener and the flows it
 * accepted, which may outlive it.  Any thread.
 */
struct flow__gate;

/* limit: how many may be inside at a time, >= 1. */
enum flow_status flow__gate_new(const struct flow_env *env, uint32_t limit,
                                struct flow__gate **ret_gate);

/* The listener's own hold on it ends. */
void flow__gate_unref(struct flow__gate *gate);

/* One more inside. */
void flow__gate_enter(struct flow__gate *gate);

/* One less; NULL does nothing.  The caller's pointer is spent. */
void flow__gate_leave(struct flow__gate *gate);

/* Whether another may enter; else adds what to wait for to sink, if any. */
bool flow__gate_is_open(struct flow__gate *gate, struct flow_wait_sink *sink);

#endif
