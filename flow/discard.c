/* SPDX-License-Identifier: ISC */
#include "flow/discard.h"
#include "flow/core.h"
#include "lib/atomic.h"

/*
 * What comes after flow_shutdown(FLOW_READ), C28.
 *
 * A transport keeps unread input.  A peer that still sends would block, and a
 * socket that closes with unread input resets the connection, which destroys
 * bytes that we sent.  So after the shutdown the core reads instead of the
 * caller, while a thread waits for the flow and in flow_finish().
 *
 * Invariants: until shut is set, the thread that holds busy[0] reads;
 * afterwards the one that holds discarding does.  input_end is written by that
 * thread alone and does not change once it is not FLOW_OK.
 */

/* Bytes per step, and steps per call: a peer that never stops sending must
 * not block the caller. */
#define DISCARD_BYTES 65536u
#define DISCARD_STEPS 4

/* Called with discarding held. */
static enum flow_status
discard_step(struct flow *f, size_t len, size_t *ret_len)
{
    const struct flow_vec nowhere = { NULL, len };
    enum flow_status st = (enum flow_status)flow__load(&f->input_end);

    if (st != FLOW_OK)
        return st;
    flow__used(f);
    st = f->ops->readv(f, &nowhere, 1, ret_len);
    /* Whatever the error, this flow is not read again. */
    if (st != FLOW_OK && st != FLOW_AGAIN)
        flow__store(&f->input_end, (int8_t)st);
    return st;
}

enum flow_status
flow__discard(struct flow *f, size_t len, size_t *ret_len)
{
    enum flow_status st;

    *ret_len = 0;
    if (flow__swap(&f->discarding, 1) != 0)
        return FLOW_AGAIN;
    st = discard_step(f, len, ret_len);
    flow__store(&f->discarding, 0);
    return st;
}

uint32_t
flow__discard_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    uint32_t ready = 0;
    size_t n;
    int step;

    for (step = 0; step < DISCARD_STEPS && flow__load(&f->input_end) == FLOW_OK;
         step++) {
        ready = f->ops->wait(f, interest | FLOW_READY_READ, set);
        if ((ready & FLOW_READY_READ) != 0)
            (void)!flow__discard(f, DISCARD_BYTES, &n);
        if (ready != FLOW_READY_READ)
            return ready & interest;
    }
    ready = f->ops->wait(f, interest, set) & interest;
    if (ready == 0 && flow__load(&f->input_end) == FLOW_OK)
        flow_wait_add_time(set, FLOW_NOW);
    return ready;
}
