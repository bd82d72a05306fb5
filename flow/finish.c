/* SPDX-License-Identifier: ISC */
#include <flow/util.h>

#include "flow/core.h"
#include "flow/discard.h"
#include "lib/atomic.h"

/*
 * The order of an end: every layer's own marker from the top down, then the
 * peer's of every layer from the top down, then the close.  Input that is left
 * unread in a socket when it closes makes the system send a reset, which may
 * overtake our last bytes; so it is not enough that the top layer has seen the
 * peer's end.
 */

/* Bytes discarded between two checks of the deadline. */
#define FINISH_DRAIN_STEP 65536u

/* One flow_finish(). */
struct finish {
    uint64_t deadline;
    uint64_t max_drain;
    struct flow_finish_result result; /* drained <= max_drain */
};

static enum flow_end
finish_end_of(struct flow *f, enum flow_query_key key)
{
    uint32_t end = FLOW_END_NONE;
    size_t len = sizeof(end);

    if (flow_query(f, key, &end, &len) != FLOW_OK)
        return FLOW_END_NONE;
    return (enum flow_end)end;
}

static bool
finish_has_end(const struct flow *f)
{
    return (flow_caps(f) & FLOW_CAP_HALF_CLOSE_WRITE) != 0;
}

static enum flow_status
finish_end_ours(struct flow *f, enum flow_end *ret_end)
{
    enum flow_status st;

    if (!finish_has_end(f)) {
        st = flow_flush_wait(f);
        *ret_end = FLOW_END_GONE;
        return st;
    }
    st = flow_shutdown_wait(f, FLOW_WRITE);
    *ret_end = finish_end_of(f, FLOW_QUERY_END_WRITE);
    return st;
}

/* As flow_read_wait(), of a flow whose reading the caller has shut down: its
 * state is an end, so the backend is asked. */
static enum flow_status
finish_discard_some(struct flow *f, uint64_t deadline, size_t len,
                    size_t *ret_len)
{
    struct flow_wait_set set;
    enum flow_status st;

    for (;;) {
        st = flow__discard(f, len, ret_len);
        if (st != FLOW_AGAIN)
            return st;
        if (flow__is_due(f->env, deadline))
            return FLOW_E_TIMEOUT;
        flow_wait_set_init(&set);
        if (f->ops->wait(f, FLOW_READY_READ, &set) != 0)
            continue;
        st = f->env->wait(f->env->ctx, &set, deadline);
        if (st != FLOW_OK)
            return st;
    }
}

/* Read until the peer's end. */
static enum flow_status
finish_drain(struct finish *x, struct flow *f)
{
    uint64_t *drained = &x->result.drained;
    enum flow_status st;
    size_t len, n;

    for (;;) {
        if (flow__is_due(f->env, x->deadline))
            return FLOW_E_TIMEOUT;
        /* One byte more than the limit distinguishes an end from more input. */
        len = x->max_drain - *drained < FINISH_DRAIN_STEP
                  ? (size_t)(x->max_drain - *drained) + 1
                  : FINISH_DRAIN_STEP;
        if (flow__load(&f->shut) != 0)
            st = finish_discard_some(f, x->deadline, len, &n);
        else
            st = flow_read_wait(f, NULL, len, &n);
        if (st != FLOW_OK)
            return st == FLOW_EOF ? FLOW_OK : st;
        if (n > x->max_drain - *drained)
            return FLOW_E_CANCELED;
        *drained += n;
    }
}

/* If the layer above has an end of its own, a transport without one is
 * simply closed. */
static struct flow *
finish_next_below(const struct flow *f)
{
    if (!f->owns_lower || (finish_has_end(f) && !finish_has_end(f->lower)))
        return NULL;
    return f->lower;
}

/* The layers below a flow that has ended in order.  If one breaks now, that
 * is not a failure: we had nothing left to deliver. */
static enum flow_status
finish_below(struct finish *x, const struct flow *top)
{
    enum flow_status st = FLOW_OK;
    enum flow_end ours;
    struct flow *f;

    for (f = finish_next_below(top); f != NULL && st == FLOW_OK;
         f = finish_next_below(f)) {
        flow_set_deadline(f, FLOW__BOTH, x->deadline);
        st = finish_end_ours(f, &ours);
        if (st == FLOW_OK)
            st = finish_drain(x, f);
    }
    return st == FLOW_E_TIMEOUT || st == FLOW_E_CANCELED ? st : FLOW_OK;
}

/* See <flow/util.h>. */
enum flow_status
flow_finish(struct flow *f, uint64_t deadline, uint64_t max_drain,
            struct flow_finish_result *ret)
{
    struct finish x = { .deadline = deadline, .max_drain = max_drain };
    enum flow_status st;

    flow_set_deadline(f, FLOW__BOTH, deadline);
    st = finish_end_ours(f, &x.result.ours);
    if (st == FLOW_OK)
        st = finish_drain(&x, f);
    if (st == FLOW_OK)
        st = finish_below(&x, f);
    x.result.status = st;
    x.result.peers = finish_end_of(f, FLOW_QUERY_END_READ);
    flow_close(f);
    if (ret != NULL)
        *ret = x.result;
    return st;
}
