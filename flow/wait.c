/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/checked.h"
#include "lib/event.h"
#include "lib/plat.h"

#define KNOWN                                                                  \
    (FLOW_READY_READ | FLOW_READY_WRITE | FLOW_READY_FLUSH | FLOW_READY_OPEN)

/* How soon to ask again while another thread is inside the opening, in ns.
 * It wakes us after its step; this is for the case that it only asked. */
#define OPENING_NAP 1000000u

/* Bits whose answer needs no operation: a direction that has ended, or whose
 * call would be refused. */
static uint32_t
known_ready(const struct flow *f)
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

/* Before it is open, everything waits for the opening; that its deadline has
 * passed is an answer too (C45, C49). */
static uint32_t
ask_opening(struct flow *f, uint32_t interest, struct flow_wait_sink *sink)
{
    uint32_t ready = FLOW_READY_OPEN;

    if (flow__is_due(f->env, flow__earlier_deadline(f)))
        return interest;
    if (flow__swap(&f->opening, 1) != 0) {
        flow_wait_add_time(
            sink, flow__time_after(f->env->now(f->env->ctx), OPENING_NAP));
        return 0;
    }
    if (flow__load(&f->opened) == 0)
        ready = f->ops->wait(f, FLOW_READY_OPEN, sink);
    flow__store(&f->opening, 0);
    return (ready & FLOW_READY_OPEN) != 0 ? interest : 0;
}

static uint32_t
ask(struct flow *f, uint32_t interest, struct flow_wait_sink *sink)
{
    if (flow__load(&f->opened) == 0)
        return ask_opening(f, interest, sink);
    interest &= ~FLOW_READY_OPEN;
    if (flow__load(&f->shut) != 0)
        return flow__discard_wait(f, interest, sink);
    return f->ops->wait(f, interest, sink) & interest;
}

/* The deadline that holds for an interest. */
static uint64_t
deadline_of(const struct flow *f, uint32_t interest)
{
    uint64_t deadline = FLOW_NEVER;

    if (flow__load(&f->opened) == 0)
        return flow__earlier_deadline(f);
    if ((interest & FLOW_READY_READ) != 0)
        deadline = flow__load(&f->deadline[0]);
    if ((interest & (FLOW_READY_WRITE | FLOW_READY_FLUSH)) != 0)
        deadline = flow_deadline_min(deadline, flow__load(&f->deadline[1]));
    return deadline;
}

/* Of a flow below another, a deadline that has passed wakes nobody: whoever
 * sleeps above obeys that of the flow above and would be woken for ever. */
static void
add_deadline(const struct flow *f, uint32_t interest,
             struct flow_wait_sink *sink)
{
    uint64_t deadline = deadline_of(f, interest);

    if (flow__load(&f->upper) == NULL || !flow__is_due(f->env, deadline))
        flow_wait_add_time(sink, deadline);
}

/* See <flow/flow.h>. */
uint32_t
flow_wait_sources(struct flow *f, uint32_t interest,
                  struct flow_wait_sink *sink)
{
    struct flow_wait_sink unused;
    uint32_t ready, rest;

    interest &= KNOWN;
    if (flow__opens_with_lower(f) && flow__load(&f->lower->opened) != 0)
        flow__store(&f->opened, 1);
    ready = interest & known_ready(f);
    rest = interest & ~ready;
    if (rest == 0)
        return ready;
    if (ready != 0) {
        /* Nobody will wait, so what it would wait for is not for the sink
         * (C35). */
        flow_wait_sink_init(&unused);
        return ready | ask(f, rest, &unused);
    }
    ready = ask(f, rest, sink);
    if (ready == 0)
        add_deadline(f, rest, sink);
    return ready;
}

static uint32_t
directions_of(uint32_t interest)
{
    uint32_t dirs = 0;

    if ((interest & (FLOW_READY_READ | FLOW_READY_OPEN)) != 0)
        dirs |= FLOW_READ;
    if ((interest & ~FLOW_READY_READ) != 0)
        dirs |= FLOW_WRITE;
    return dirs;
}

static enum flow_status
timed_out(struct flow *f, uint32_t dirs)
{
    if ((dirs & FLOW_READ) != 0)
        flow__report(f, FLOW_READ, FLOW_E_TIMEOUT, "the deadline passed");
    if ((dirs & FLOW_WRITE) != 0)
        flow__report(f, FLOW_WRITE, FLOW_E_TIMEOUT, "the deadline passed");
    return FLOW_E_TIMEOUT;
}

/* What one flow adds to a wait; true when it need not be waited for. */
static bool
look(struct flow__wait_item *item, struct flow_wait_sink *sink)
{
    struct flow *f = item->flow;
    uint32_t dirs = directions_of(item->interest);
    uint32_t seen[2];
    size_t i;

    /* Before looking, so that what changes while we look is seen (C40). */
    seen[0] = flow_event_sequence(&f->wake[0]);
    seen[1] = flow_event_sequence(&f->wake[1]);
    item->ready = flow_wait_sources(f, item->interest, sink);
    if (item->ready != 0)
        return true;
    for (i = 0; i < 2; i++)
        if ((dirs & (1u << i)) != 0)
            flow_wait_add_event(sink, &f->wake[i], seen[i]);
    return false;
}

static enum flow_status
check_deadlines(const struct flow__wait_item *items, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (flow__is_due(items[i].flow->env,
                         deadline_of(items[i].flow, items[i].interest)))
            return timed_out(items[i].flow, directions_of(items[i].interest));
    return FLOW_OK;
}

enum flow_status
flow__wait_items(struct flow__wait_item *items, size_t count,
                 const struct flow_env *env, uint64_t deadline)
{
    struct flow_wait_sink sink;
    enum flow_status st;
    bool ready;
    size_t i;

    for (;;) {
        flow_wait_sink_init(&sink);
        ready = false;
        for (i = 0; i < count; i++)
            ready |= items[i].interest != 0 && look(&items[i], &sink);
        if (ready || flow__is_due(env, deadline))
            return FLOW_OK;
        st = check_deadlines(items, count);
        if (st == FLOW_OK)
            st = env->wait(env->ctx, &sink, deadline);
        if (st != FLOW_OK)
            return st;
    }
}

/* See <flow/flow.h>. */
enum flow_status
flow_wait(struct flow *f, uint32_t interest, uint32_t *ret_ready)
{
    struct flow__wait_item item = { f, interest, 0 };
    enum flow_status st = FLOW_E_INVAL;

    if (interest != 0 && (interest & ~KNOWN) == 0)
        st = flow__wait_items(&item, 1, f->env, FLOW_NEVER);
    if (ret_ready != NULL)
        *ret_ready = st == FLOW_OK ? item.ready : 0;
    return st;
}

/* See <flow/backend.h>. */
void
flow_wake(struct flow *f, uint32_t dirs)
{
    struct flow *upper;

    if ((dirs & FLOW_READ) != 0)
        flow_event_signal(&f->wake[0]);
    if ((dirs & FLOW_WRITE) != 0)
        flow_event_signal(&f->wake[1]);
    if (flow__load(&f->upper) == NULL)
        return;
    /* Either direction above may wait for either one here. */
    flow__wait_lock();
    for (upper = flow__load(&f->upper); upper != NULL;
         upper = flow__load(&upper->upper)) {
        flow__event_signal_locked(&upper->wake[0]);
        flow__event_signal_locked(&upper->wake[1]);
    }
    flow__wait_unlock();
}
