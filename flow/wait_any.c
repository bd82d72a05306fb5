/* SPDX-License-Identifier: ISC */
#include <flow/util.h>

#include "flow/core.h"
#include "flow/items.h"
#include "lib/checked.h"
#include "lib/event.h"

/*
 * Waiting for several flows in one thread.  Each may name as many sources as a
 * wait set has room for, and the environment's wait takes one wait set.  So
 * their events are gathered in one: each event gets a node whose waker signals
 * the gathering event.  Only that event is in the wait set, before the
 * descriptors.
 *
 * A node is armed with the count that the flow saw before it looked, and the
 * gathering event is put into the wait set with its count from before that:
 * what happens in between is seen by one of the two comparisons (C40).
 *
 * Invariant: node[0..armed) are armed, or were taken out by their events.
 *
 * A gathering is not on the stack of its thread.  A child that another thread
 * forks meanwhile has the events with the nodes in their lists, but not the
 * thread, whose stack it may give to the next one or unmap.  There the
 * gathering stays for as long as the child lives: no thread sleeps on its event
 * any more, so waking it has no effect.
 */
struct wait_any_gathering {
    struct flow_waker waker;
    struct flow_event event;
    struct flow_event_node node[FLOW_WAIT_ANY * FLOW_WAIT_SOURCES];
    size_t armed;
    bool changed; /* an event was signalled before its node was armed */
};

/* Interval of polling for sources that do not fit, in ns. */
#define WAIT_ANY_NAP 1000000u

/* Called under the wait lock. */
static void
wait_any_gather_wake(struct flow_waker *waker)
{
    struct wait_any_gathering *g = (struct wait_any_gathering *)(void *)waker;

    flow__event_signal_locked(&g->event);
}

static void
wait_any_gather_source(struct wait_any_gathering *g,
                       const struct flow_wait_source *source,
                       struct flow_wait_set *set, const struct flow_env *env)
{
    if (source->kind == FLOW_WAIT_EVENT) {
        if (!flow_event_arm(source->event, &g->node[g->armed++], &g->waker,
                            source->sequence))
            g->changed = true;
    } else if (set->count < FLOW_WAIT_SOURCES) {
        flow_wait_add_fd(set, source->fd, source->events);
    } else {
        flow_wait_add_time(set,
                           flow_time_after(env->now(env->ctx), WAIT_ANY_NAP));
    }
}

static void
wait_any_gather(struct wait_any_gathering *g, const struct flow_wait_set *from,
                struct flow_wait_set *set, const struct flow_env *env)
{
    size_t i;

    for (i = 0; i < from->count; i++)
        wait_any_gather_source(g, &from->source[i], set, env);
    flow_wait_add_time(set, from->deadline);
}

/* Ask all of them; true when one is ready. */
static bool
wait_any_ask_all(struct wait_any_gathering *g, struct flow_wait_item *items,
                 size_t count, struct flow_wait_set *set)
{
    struct flow_wait_set one;
    bool ready = false;
    size_t i;

    for (i = 0; i < count; i++) {
        flow_wait_set_init(&one);
        items[i].ready =
            flow_wait_sources(items[i].flow, items[i].interest, &one);
        ready |= items[i].ready != 0;
        wait_any_gather(g, &one, set, items[i].flow->env);
    }
    return ready;
}

/* Look once, and sleep if nothing was ready: FLOW_AGAIN to look again. */
static enum flow_status
wait_any_look_and_sleep(struct wait_any_gathering *g,
                        struct flow_wait_item *items, size_t count,
                        uint64_t deadline)
{
    const struct flow_env *env = items[0].flow->env;
    enum flow_status st = FLOW_OK;
    struct flow_wait_set set;
    size_t i;

    g->armed = 0;
    g->changed = false;
    flow_wait_set_init(&set);
    flow_wait_add_event(&set, &g->event, flow_event_sequence(&g->event));
    if (!wait_any_ask_all(g, items, count, &set)) {
        st = flow__is_due(env, deadline) ? FLOW_E_TIMEOUT
                                         : flow__check_deadlines(items, count);
        if (st == FLOW_OK && !g->changed)
            st = env->wait(env->ctx, &set, deadline);
        if (st == FLOW_OK)
            st = FLOW_AGAIN;
    }
    for (i = 0; i < g->armed; i++)
        flow_event_disarm(&g->node[i]);
    return st;
}

static bool
wait_any_are_valid(const struct flow_wait_item *items, size_t count)
{
    uint32_t all = 0;
    size_t i;

    if (count == 0 || count > FLOW_WAIT_ANY)
        return false;
    for (i = 0; i < count; i++) {
        if ((items[i].interest & ~FLOW__READY_KNOWN) != 0 ||
            items[i].flow->env != items[0].flow->env)
            return false;
        all |= items[i].interest;
    }
    return all != 0;
}

static enum flow_status
wait_any_gather_and_wait(struct flow_wait_item *items, size_t count,
                         uint64_t deadline)
{
    const struct flow_env *env = items[0].flow->env;
    struct wait_any_gathering *g = flow_env_alloc(env, sizeof(*g));
    enum flow_status st;

    if (g == NULL)
        return FLOW_E_NOMEM;
    g->waker.wake = wait_any_gather_wake;
    flow_event_init(&g->event);
    do
        st = wait_any_look_and_sleep(g, items, count, deadline);
    while (st == FLOW_AGAIN);
    flow_event_fini(&g->event);
    flow_env_free(env, g, sizeof(*g));
    return st;
}

/* See <flow/util.h>. */
enum flow_status
flow_wait_any(struct flow_wait_item *items, size_t count, uint64_t deadline)
{
    enum flow_status st = FLOW_E_INVAL;
    size_t i;

    if (wait_any_are_valid(items, count))
        st = wait_any_gather_and_wait(items, count, deadline);
    for (i = 0; i < count && st != FLOW_OK; i++)
        items[i].ready = 0;
    return st;
}
