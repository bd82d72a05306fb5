/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "flow/discard.h"
#include "flow/items.h"
#include "lib/atomic.h"
#include "lib/checked.h"
#include "lib/event.h"
#include "lib/plat.h"

/*
 * What a flow waits for, and sleeping until then.
 *
 * Invariants: the counts of the wake events are read before the flow is asked
 * (C40), so a change between the question and the sleep ends the sleep.  If
 * anything is ready no source is added (C35).  Only the flow that was asked
 * first adds its own events, since a wake goes up to every flow above.
 *
 * Locks: none here.  The wait operations take the locks of their layers, and
 * none is held while the environment's wait sleeps.  Threads: any, one per
 * direction of a flow.
 */

/* How soon to ask again while another thread is inside the opening, in ns.
 * That thread wakes us after a step; if it only asked for the sources it does
 * not. */
#define WAIT_OPENING_NAP 1000000u

/* Bits whose answer needs no operation: a direction that has ended, or whose
 * call would be refused. */
static uint32_t
wait_known_ready(const struct flow *f)
{
    bool reading = flow__state(f, FLOW_READ) == FLOW_OK;
    bool writing = flow__state(f, FLOW_WRITE) == FLOW_OK;
    uint32_t ready = 0;

    if (!reading || flow__load(&f->leased[0]) != 0)
        ready |= FLOW_READY_READ;
    if (!writing || flow__load(&f->leased[1]) != 0)
        ready |= FLOW_READY_WRITE | FLOW_READY_FLUSH;
    if (flow__load(&f->ending) != 0)
        ready |= FLOW_READY_WRITE;
    if (flow__load(&f->ended) != 0)
        ready |= FLOW_READY_FLUSH;
    if (flow__load(&f->opened) != 0 || (!reading && !writing))
        ready |= FLOW_READY_OPEN;
    return ready;
}

/* Before a flow is open, every interest waits for the opening.  If the deadline
 * has passed, the interest is ready too (C45, C49). */
static uint32_t
wait_ask_opening(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    uint32_t ready = FLOW_READY_OPEN;
    uint8_t before;

    if (flow__is_due(f->env, flow__earlier_deadline(f)))
        return interest;
    before = flow__swap(&f->opening, FLOW__OPENING_INSIDE);
    if (before == FLOW__OPENING_INSIDE) {
        flow_wait_add_time(
            set, flow_time_after(f->env->now(f->env->ctx), WAIT_OPENING_NAP));
        return 0;
    }
    if (flow__load(&f->opened) == 0)
        ready = f->ops->wait(f, FLOW_READY_OPEN, set);
    flow__store(&f->opening, before);
    return (ready & FLOW_READY_OPEN) != 0 ? interest : 0;
}

static uint32_t
wait_ask(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    if (flow__load(&f->opened) == 0)
        return wait_ask_opening(f, interest, set);
    interest &= ~FLOW_READY_OPEN;
    if (flow__load(&f->shut) != 0)
        return flow__discard_wait(f, interest, set);
    return f->ops->wait(f, interest, set) & interest;
}

/* The deadline that applies to an interest. */
static uint64_t
wait_deadline_of(const struct flow *f, uint32_t interest)
{
    uint64_t deadline = FLOW_NEVER;

    if (interest == 0)
        return FLOW_NEVER;
    if (flow__load(&f->opened) == 0)
        return flow__earlier_deadline(f);
    if ((interest & (FLOW_READY_READ | FLOW__OBEY_READ)) != 0)
        deadline = flow__load(&f->deadline[0]);
    if ((interest & (FLOW_READY_WRITE | FLOW_READY_FLUSH | FLOW__OBEY_WRITE)) !=
        0)
        deadline = flow_deadline_min(deadline, flow__load(&f->deadline[1]));
    return deadline;
}

/* A deadline that has passed is not a source in a flow below another: the
 * sleeper obeys the deadline of the flow above, and would be woken for ever. */
static void
wait_add_deadline(const struct flow *f, uint32_t interest,
                  struct flow_wait_set *set)
{
    uint64_t deadline = wait_deadline_of(f, interest);

    if (flow__load(&f->upper) == NULL || !flow__is_due(f->env, deadline))
        flow_wait_add_time(set, deadline);
}

static uint32_t
wait_directions_of(uint32_t interest)
{
    const uint32_t reads = FLOW_READY_READ | FLOW__OBEY_READ;
    uint32_t dirs = 0;

    if ((interest & (reads | FLOW_READY_OPEN)) != 0)
        dirs |= FLOW_READ;
    if ((interest & ~reads) != 0)
        dirs |= FLOW_WRITE;
    return dirs;
}

/* Ask with the wait set of the caller.  Flows below do not add their own events
 * to it, since a wake of theirs signals those of this flow. */
static uint32_t
wait_ask_inside(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    uint32_t ready;

    set->depth++;
    ready = wait_ask(f, interest, set);
    set->depth--;
    return ready;
}

/* See <flow/flow.h>. */
uint32_t
flow_wait_sources(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct flow_wait_set unused;
    uint32_t ready, rest, dirs, seen[2];
    size_t i;

    interest &= FLOW__READY_KNOWN;
    dirs = set->depth == 0 ? wait_directions_of(interest) : 0;
    /* Read before looking, so that a change while we look is seen (C40). */
    for (i = 0; i < 2; i++)
        seen[i] = flow_event_sequence(&f->wake[i]);
    if (flow__opens_with_lower(f) && flow__load(&f->lower->opened) != 0)
        flow__store(&f->opened, 1);
    ready = interest & wait_known_ready(f);
    rest = interest & ~ready;
    if (rest == 0)
        return ready;
    if (ready != 0) {
        /* The caller will not wait, so no source may be in its wait set
         * (C35). */
        unused = *set;
        return ready | wait_ask_inside(f, rest, &unused);
    }
    ready = wait_ask_inside(f, rest, set);
    if (ready != 0)
        return ready;
    wait_add_deadline(f, rest, set);
    for (i = 0; i < 2; i++)
        if ((dirs & (1u << i)) != 0)
            flow_wait_add_event(set, &f->wake[i], seen[i]);
    return 0;
}

/* The deadlines that apply without waiting for their direction, and the events
 * that are signalled when they move.  Those of a direction in the interest are
 * among the sources already. */
static uint32_t
wait_ask_obeyed(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    static const uint32_t obey[2] = { FLOW__OBEY_READ, FLOW__OBEY_WRITE };
    uint32_t dirs = wait_directions_of(interest & FLOW__READY_KNOWN);
    uint32_t seen;
    size_t i;

    for (i = 0; i < 2; i++) {
        if ((interest & obey[i]) == 0 || (dirs & (1u << i)) != 0)
            continue;
        /* Before looking (C40). */
        seen = flow_event_sequence(&f->wake[i]);
        flow_wait_add_time(set, wait_deadline_of(f, obey[i]));
        flow_wait_add_event(set, &f->wake[i], seen);
    }
    if ((interest & FLOW__OBEY_WRITE) != 0 && flow__state(f, FLOW_WRITE) < 0)
        return FLOW__OBEY_WRITE;
    return 0;
}

static enum flow_status
wait_timed_out(struct flow *f, uint32_t dirs)
{
    if ((dirs & FLOW_READ) != 0)
        flow__report(f, FLOW_READ, FLOW_E_TIMEOUT, "the deadline passed");
    if ((dirs & FLOW_WRITE) != 0)
        flow__report(f, FLOW_WRITE, FLOW_E_TIMEOUT, "the deadline passed");
    return FLOW_E_TIMEOUT;
}

/* The directions of an interest whose deadline has passed. */
static uint32_t
wait_late_directions(const struct flow *f, uint32_t interest)
{
    uint32_t dirs = wait_directions_of(interest);
    size_t i;

    if (flow__load(&f->opened) == 0)
        return flow__is_due(f->env, wait_deadline_of(f, interest)) ? dirs : 0;
    dirs = wait_directions_of(interest & ~FLOW_READY_OPEN);
    for (i = 0; i < 2; i++)
        if (!flow__is_due(f->env, flow__load(&f->deadline[i])))
            dirs &= ~(1u << i);
    return dirs;
}

enum flow_status
flow__check_deadlines(const struct flow_wait_item *items, size_t count)
{
    uint32_t late;
    size_t i;

    for (i = 0; i < count; i++) {
        late = wait_late_directions(items[i].flow, items[i].interest);
        if (late != 0)
            return wait_timed_out(items[i].flow, late);
    }
    return FLOW_OK;
}

enum flow_status
flow__wait_items(struct flow_wait_item *items, size_t count,
                 const struct flow_env *env, uint64_t deadline)
{
    struct flow_wait_set set;
    enum flow_status st;
    uint32_t ready;
    size_t i;

    for (;;) {
        flow_wait_set_init(&set);
        ready = 0;
        for (i = 0; i < count; i++) {
            items[i].ready =
                flow_wait_sources(items[i].flow, items[i].interest, &set) |
                wait_ask_obeyed(items[i].flow, items[i].interest, &set);
            ready |= items[i].ready;
        }
        if (ready != 0 || flow__is_due(env, deadline))
            return FLOW_OK;
        st = flow__check_deadlines(items, count);
        if (st == FLOW_OK)
            st = env->wait(env->ctx, &set, deadline);
        if (st != FLOW_OK)
            return st;
    }
}

/* See <flow/flow.h>. */
enum flow_status
flow_wait(struct flow *f, uint32_t interest, uint32_t *ret_ready)
{
    struct flow_wait_item item = { f, interest, 0 };
    enum flow_status st = FLOW_E_INVAL;

    if (interest != 0 && (interest & ~FLOW__READY_KNOWN) == 0)
        st = flow__wait_items(&item, 1, f->env, FLOW_NEVER);
    if (ret_ready != NULL)
        *ret_ready = st == FLOW_OK ? item.ready : 0;
    return st;
}
