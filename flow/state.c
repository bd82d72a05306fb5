/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/bits.h"

/*
 * The state of a direction, who is inside it, and the opening of a flow.
 *
 * Invariants: state[i] leaves FLOW_OK once and never comes back, so the first
 * end of a direction is its end (C04).  busy[i] is set between enter and leave:
 * one call of a direction at a time.  One thread at a time is inside the
 * opening; what it came to is looked at again by the thread that follows, so
 * an opening that has failed is not tried again (C50).
 *
 * Locks: none, all of it is atomic.  A thread that finds the opening taken gets
 * FLOW_AGAIN, and is woken after the step.
 */

enum flow_status
flow__state(const struct flow *f, enum flow_dir dir)
{
    return (enum flow_status)flow__load(&f->state[flow__index(dir)]);
}

void
flow__end(struct flow *f, uint32_t dirs, enum flow_status st)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        int8_t running = FLOW_OK;

        /* The first end of a direction is its end (C04). */
        if ((dirs & (1u << i)) != 0)
            __atomic_compare_exchange_n(&f->state[i], &running, (int8_t)st,
                                        false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST);
    }
}

static enum flow_status
state_begin(struct flow *f, enum flow_dir dir)
{
    size_t i = flow__index(dir);

    if (flow__load(&f->leased[i]) != 0)
        return flow__report(f, dir, FLOW_E_BUSY,
                            "a lease of this direction is out");
    if ((f->caps & FLOW_CAP_DUPLEX) == 0 && flow__load(&f->busy[1 - i]) != 0)
        return flow__report(f, dir, FLOW_E_BUSY,
                            "the other direction is in use, and this flow "
                            "takes one thread at a time");
    return flow__state(f, dir);
}

enum flow_status
flow__enter(struct flow *f, enum flow_dir dir)
{
    enum flow_status st;

    flow__used(f);
    if (flow__swap(&f->busy[flow__index(dir)], 1) != 0)
        return flow__report(f, dir, FLOW_E_BUSY,
                            "another call of this direction is running");
    st = state_begin(f, dir);
    if (st != FLOW_OK)
        flow__leave(f, dir);
    return st;
}

enum flow_status
flow__enter_data(struct flow *f, enum flow_dir dir)
{
    enum flow_status st = flow__enter(f, dir);

    if (st == FLOW_OK)
        flow__store(&f->wanted[flow__index(dir)], 0);
    return st;
}

/* See <flow/backend.h>. */
size_t
flow_wanted(const struct flow *f, enum flow_dir dir)
{
    return flow__max(1, flow__load(&f->wanted[flow__index(dir)]));
}

void
flow__leave(struct flow *f, enum flow_dir dir)
{
    flow__store(&f->busy[flow__index(dir)], 0);
}

bool
flow__is_due(const struct flow_env *env, uint64_t deadline)
{
    return deadline != FLOW_NEVER && deadline <= env->now(env->ctx);
}

uint64_t
flow__earlier_deadline(const struct flow *f)
{
    return flow_deadline_min(flow__load(&f->deadline[0]),
                             flow__load(&f->deadline[1]));
}

static enum flow_status
state_call_open(struct flow *f)
{
    enum flow_status st;

    if (f->ops->open != NULL)
        return f->ops->open(f);
    st = flow_open(f->lower);
    return flow_fail_lower(f, FLOW__BOTH, FLOW_READ, st);
}

static bool
state_opening_is_due(const struct flow *f)
{
    return flow__is_due(f->env, flow__earlier_deadline(f));
}

/* See <flow/backend.h>. */
bool
flow_opening_is_late(const struct flow *f)
{
    /* A flow above that is not inside its opening does not drive ours. */
    while (!state_opening_is_due(f)) {
        f = flow__load(&f->upper);
        if (f == NULL || flow__load(&f->opening) != FLOW__OPENING_INSIDE)
            return false;
    }
    return true;
}

/* What fails here fails for good, passing troubles included: nobody could say
 * how far the peer and we had come (C45, C50).  Past the deadline nothing is
 * begun, but an opening that was begun may know already why it fails. */
static enum flow_status
state_open_step(struct flow *f, bool begun)
{
    bool due = state_opening_is_due(f);
    enum flow_status st = FLOW_AGAIN;

    if (begun || !flow_opening_is_late(f))
        st = state_call_open(f);
    if (due && st >= 0)
        st = flow_fail(f, FLOW__BOTH, FLOW_E_TIMEOUT, FLOW_DOMAIN_NONE, 0,
                       "the deadline passed while it was opened");
    if (st == FLOW_OK) {
        flow__store(&f->opened, 1);
    } else if (st != FLOW_AGAIN) {
        flow__settle_open(f, st);
    }
    return st;
}

/* Holds opening: what a step of another thread came to since the caller looked
 * at the state is seen here.  A backend whose opening has failed is not asked
 * again (C50). */
static enum flow_status
state_next_step(struct flow *f, bool begun)
{
    enum flow_status st;

    if (flow__load(&f->opened) != 0)
        return FLOW_OK;
    st = flow__state(f, FLOW_WRITE);
    if (st >= 0)
        st = flow__state(f, FLOW_READ);
    /* Reading that was shut down does not keep the rest from opening. */
    return st < 0 ? st : state_open_step(f, begun);
}

enum flow_status
flow__drive_open(struct flow *f)
{
    enum flow_status st;
    uint8_t before;

    if (flow__load(&f->opened) != 0)
        return FLOW_OK;
    before = flow__swap(&f->opening, FLOW__OPENING_INSIDE);
    if (before == FLOW__OPENING_INSIDE)
        return FLOW_AGAIN;
    st = state_next_step(f, before == FLOW__OPENING_BEGUN);
    flow__store(&f->opening, FLOW__OPENING_BEGUN);
    /* Whoever waits for the same opening may have something else to wait for
     * now. */
    flow_wake(f, FLOW__BOTH);
    return st;
}

/* See <flow/flow.h>. */
enum flow_status
flow_open(struct flow *f)
{
    enum flow_status reading = flow__state(f, FLOW_READ);
    enum flow_status writing = flow__state(f, FLOW_WRITE);

    flow__used(f);
    if (reading < 0 && writing < 0)
        return writing;
    return flow__drive_open(f);
}
