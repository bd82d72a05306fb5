/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_LIMITER_H
#define FLOW_TLS_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/backend.h>
#include <flow/env.h>
#include <flow/status.h>
#include <flow/wait.h>

#include "lib/list.h"

/*
 * Limits how many accepted flows of a listener may be in their handshake.  It
 * is counted by reference: accepted flows may outlive the listener.  Any thread
 * may call it.
 *
 * An accepted flow counts against the limit until its first step.  If its peer
 * has sent nothing by then, it is silent and stops counting.  With the peer's
 * first byte it counts again, even above the limit.  So silent peers do not use
 * up the limit.  As many flows may be silent as the limit says; if there is one
 * more, the flow that has been silent for longest is dropped.
 */
struct flow__limiter;

/* What a limiter knows of one flow.  If all zero, the flow has no limiter, and
 * every function below does nothing.  The limiter's lock guards what is not
 * said to be the flow's own. */
struct flow__slot {
    struct flow__limiter *limiter; /* the flow's own */
    struct flow *flow;             /* the flow's own */
    enum {
        FLOW__SLOT_COUNTED, /* just accepted, or its peer has sent bytes */
        FLOW__SLOT_SILENT,
        FLOW__SLOT_DROPPED
    } state;                /* atomic */
    struct flow__link link; /* in the limiter's list while it is silent */
};

/* limit: of counted flows, and of silent ones, >= 1. */
enum flow_status flow__limiter_new(const struct flow_env *env, uint32_t limit,
                                   struct flow__limiter **ret_limiter);

/* Drop the listener's reference. */
void flow__limiter_unref(struct flow__limiter *limiter);

/* Whether one more flow may be accepted.  If not, adds to the wait set, if
 * any, the event that says so. */
bool flow__limiter_has_room(struct flow__limiter *limiter,
                            struct flow_wait_set *set);

/* A flow was accepted: count it.  It leaves before it is released. */
void flow__limiter_enter(struct flow__limiter *limiter, struct flow__slot *slot,
                         struct flow *flow);

/* After a step of its handshake: whether its peer has sent anything yet. */
void flow__limiter_note(struct flow__slot *slot, bool has_heard);

/* Whether it was dropped, and has to fail; flow_wake() has told it. */
bool flow__limiter_has_dropped(struct flow__slot *slot);

/* Its handshake is over, or it is closed.  Afterwards *slot is all zero. */
void flow__limiter_leave(struct flow__slot *slot);

#endif
