/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_GATE_H
#define FLOW_TLS_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/backend.h>
#include <flow/env.h>
#include <flow/status.h>
#include <flow/wait.h>

#include "lib/list.h"

/*
 * What a listener bounds of the flows that it accepted and whose handshake is
 * not over.  It may be outlived by them.  Any thread.
 *
 * An accepted flow has a place until its first step.  If its peer has said
 * nothing by then, it is silent: it gives the place back, and takes one again
 * with the peer's first byte, even if none is free.  So silent peers do not use
 * up the places.  At most as many flows may be silent as there are places; one
 * more drops the flow that has been silent for longest.
 */
struct flow__gate;

/* A flow at a gate.  All zero: at none, which every function below accepts.
 * Guarded by the gate's lock, but for what the flow alone writes. */
struct flow__pass {
    struct flow__gate *gate; /* the flow's own */
    struct flow *flow;       /* the flow's own */
    enum {
        FLOW__PASS_PLACED, /* accepted, or heard of its peer */
        FLOW__PASS_SILENT,
        FLOW__PASS_DROPPED
    } state;                /* atomic */
    struct flow__link link; /* in the gate's list while it is silent */
};

/* limit: how many places there are, >= 1. */
enum flow_status flow__gate_new(const struct flow_env *env, uint32_t limit,
                                struct flow__gate **ret_gate);

/* The listener's own hold on it ends. */
void flow__gate_unref(struct flow__gate *gate);

/* Whether there is a place; else adds what to wait for to the wait set, if any.
 */
bool flow__gate_is_open(struct flow__gate *gate, struct flow_wait_set *set);

/* A flow was accepted; it leaves before it is released. */
void flow__gate_enter(struct flow__gate *gate, struct flow__pass *pass,
                      struct flow *flow);

/* A step of its handshake is done: whether the peer has said anything yet. */
void flow__gate_hear(struct flow__pass *pass, bool said_something);

/* It was silent for too long, and is to fail.  flow_wake() has told it. */
bool flow__gate_has_dropped(struct flow__pass *pass);

/* Its handshake is over, or it is closed; *pass is all zero. */
void flow__gate_leave(struct flow__pass *pass);

#endif
