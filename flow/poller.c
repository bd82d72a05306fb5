/* SPDX-License-Identifier: ISC */
#include <flow/poller.h>

#include <string.h>

#include "flow/entry.h"
#include "lib/atomic.h"
#include "lib/checked.h"

/*
 * How a poller sleeps and what it reports; the states of its entries are in
 * "flow/entry.h".
 *
 * The line is round robin as long as every ready entry is in it.  So before an
 * entry gets its second turn the system is asked again for everything it knows
 * (flow_poller::known).
 *
 * Invariants: a sleep ends when an entry is woken or the poller is poked, see
 * "flow/entry.h"; asking the system clears the waker, so poked is looked at
 * before every sleep and after it.  While flow_poller_fd() was called and
 * flow_poller_wait() does not run, the descriptor is readable if there is work
 * or a wake.
 *
 * Locks: none of its own; flow_poller_wake() comes from any thread.
 */

/* Events that there is room for at first. */
#define POLLER_ROOM 64u

struct flow_poller {
    const struct flow_env *env;
    struct flow__entries entries;
    uint64_t known; /* the last turn before the system told everything */
    uint32_t poked; /* atomic: flow_poller_wake() was called */
    struct flow_poller_event *events; /* what was reported last */
    size_t event_count;
    size_t event_room;
};

/* --- asking the system -------------------------------------------------- */

/* A time of the environment's clock as one of the system's. */
static uint64_t
poller_system_time(const struct flow_poller *p, uint64_t deadline)
{
    uint64_t now;

    if (deadline == FLOW_NEVER || deadline == FLOW_NOW)
        return deadline;
    now = p->env->now(p->env->ctx);
    if (deadline <= now)
        return FLOW_NOW;
    return flow_time_after(flow__plat_now(), deadline - now);
}

/* Whether another thread has had something to say since it was heard last. */
static bool
poller_was_called(const struct flow_poller *p)
{
    return flow__load(&p->entries.any_woken) != 0 || flow__load(&p->poked) != 0;
}

/* Sleep until the deadline, unless there is work already, and learn what the
 * system knows. */
static enum flow_status
poller_ask_system(struct flow_poller *p, uint64_t deadline)
{
    enum flow_status st;
    bool all;

    deadline = flow__entries_have_work(&p->entries)
                   ? FLOW_NOW
                   : poller_system_time(
                         p, flow_deadline_min(
                                deadline, flow__entries_next_due(&p->entries)));
    if (deadline != FLOW_NOW) {
        flow__store(&p->entries.asleep, 1);
        if (poller_was_called(p))
            deadline = FLOW_NOW;
    }
    st = flow__registry_ask(&p->entries.registry, deadline, &all);
    flow__store(&p->entries.asleep, 0);
    if (st == FLOW_OK && all)
        p->known = p->entries.turns;
    return st;
}

/* --- reporting ---------------------------------------------------------- */

static void
poller_add_event(struct flow_poller *p, struct flow__entry *e, uint32_t ready)
{
    e->place = (uint32_t)p->event_count;
    e->turn.due = ++p->entries.turns;
    p->events[p->event_count++] = (struct flow_poller_event){
        .flow = e->flow,
        .listener = e->listener,
        .ready = ready,
        .user = e->user,
    };
    flow__entry_queue(e);
}

/* Report the entries in line, the one that waited longest first. */
static enum flow_status
poller_report(struct flow_poller *p, size_t cap)
{
    struct flow__timer *first;
    struct flow__entry *e;
    enum flow_status st;
    uint32_t ready;

    while (p->event_count < cap) {
        first = flow__timers_first(&p->entries.line);
        if (first == NULL)
            break;
        if (first->due > p->known) {
            /* Its second turn: others may have waited longer. */
            st = flow__registry_survey(&p->entries.registry);
            if (st != FLOW_OK)
                return st;
            /* The readiness of the reported entries is unknown from here on. */
            p->known = p->entries.turns - p->event_count;
            continue;
        }
        e = flow__container(first, struct flow__entry, turn);
        ready = flow__entry_take_turn(e);
        if (ready != 0)
            poller_add_event(p, e, ready);
    }
    return FLOW_OK;
}

/* Room for as many events as there can be; with less memory fewer are reported
 * at a time. */
static size_t
poller_make_room(struct flow_poller *p, size_t cap)
{
    size_t wanted = cap < p->entries.count ? cap : p->entries.count;
    struct flow_poller_event *events;

    if (wanted <= p->event_room)
        return cap < p->event_room ? cap : p->event_room;
    events = flow_env_alloc(p->env, wanted * sizeof(*events));
    if (events == NULL)
        return p->event_room;
    flow_env_free(p->env, p->events, p->event_room * sizeof(*events));
    p->events = events;
    p->event_room = wanted;
    return wanted;
}

/* Until there is something to report or a reason to give up. */
static enum flow_status
poller_wait_for_events(struct flow_poller *p, size_t cap, uint64_t deadline)
{
    enum flow_status st;
    bool was_late = false;

    for (;;) {
        flow__entries_look(&p->entries);
        st = poller_ask_system(p, deadline);
        flow__entries_look(&p->entries);
        if (st == FLOW_OK)
            st = poller_report(p, cap);
        if (p->event_count > 0)
            return FLOW_OK;
        if (flow__swap(&p->poked, 0) != 0 || st != FLOW_OK)
            return st;
        /* Once more for a descriptor that was named after the question. */
        if (flow__is_due(p->env, deadline) &&
            (was_late || !p->entries.registry.changed))
            return FLOW_E_TIMEOUT;
        was_late = flow__is_due(p->env, deadline);
    }
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_wait(struct flow_poller *p, size_t cap, uint64_t deadline,
                 const struct flow_poller_event **ret_events, size_t *ret_count)
{
    enum flow_status st;

    *ret_events = NULL;
    *ret_count = 0;
    if (cap == 0 || flow__registry_is_inherited(&p->entries.registry))
        return FLOW_E_INVAL;
    p->event_count = 0;
    p->entries.is_waiting = true;
    st = poller_wait_for_events(p, poller_make_room(p, cap), deadline);
    p->entries.is_waiting = false;
    if (flow__load(&p->entries.has_fd) != 0 &&
        (flow__entries_have_work(&p->entries) || poller_was_called(p)))
        flow__entries_poke(&p->entries);
    *ret_events = p->events;
    *ret_count = p->event_count;
    return st;
}

/* See <flow/poller.h>. */
void
flow_poller_wake(struct flow_poller *p)
{
    flow__store(&p->poked, 1);
    flow__entries_poke(&p->entries);
}

/* See <flow/poller.h>. */
int
flow_poller_fd(struct flow_poller *p)
{
    if (flow__registry_is_inherited(&p->entries.registry))
        return -1;
    flow__store(&p->entries.has_fd, 1);
    if (flow__entries_have_work(&p->entries) || poller_was_called(p))
        flow__entries_poke(&p->entries);
    return flow__pollset_fd(p->entries.registry.set);
}

/* See <flow/poller.h>. */
uint64_t
flow_poller_timeout(struct flow_poller *p)
{
    if (flow__registry_is_inherited(&p->entries.registry))
        return FLOW_NEVER;
    flow__entries_collect(&p->entries);
    return flow__entries_have_work(&p->entries)
               ? FLOW_NOW
               : flow__entries_next_due(&p->entries);
}

/* --- adding and removing ------------------------------------------------ */

/* Blank the event of an entry that goes away while the caller works on the
 * list. */
static void
poller_blank_event(struct flow_poller *p, const struct flow__entry *e)
{
    struct flow_poller_event *event = &p->events[e->place];

    if (e->place < p->event_count && event->flow == e->flow &&
        event->listener == e->listener)
        memset(event, 0, sizeof(*event));
}

static void
poller_remove_entry(struct flow__watch *watch)
{
    struct flow__entry *e = flow__entry_of(watch);
    struct flow_poller *p =
        flow__container(e->entries, struct flow_poller, entries);

    poller_blank_event(p, e);
    flow__entry_free(e);
}

static const struct flow__watch_ops poller_watch_ops = {
    .used = flow__entry_used,
    .closing = flow__entry_closing,
    .end = poller_remove_entry,
};

/* Whether a call about what is watched already is in order. */
static bool
poller_watches(const struct flow_poller *p, struct flow__watch *watch)
{
    return watch != NULL && flow__entry_of(watch)->entries == &p->entries &&
           !flow__registry_is_inherited(&p->entries.registry);
}

static bool
poller_may_add(const struct flow_poller *p, const struct flow__watch *watch)
{
    return watch == NULL && !flow__registry_is_inherited(&p->entries.registry);
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_add(struct flow_poller *p, struct flow *f, uint32_t interest,
                void *user)
{
    struct flow__entry *e;

    if (!poller_may_add(p, f->watch) || (interest & ~FLOW__READY_KNOWN) != 0)
        return FLOW_E_INVAL;
    e = flow__entry_new(&p->entries, &poller_watch_ops, user);
    if (e == NULL)
        return FLOW_E_NOMEM;
    flow__entry_watch_flow(e, f, interest);
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_add_listener(struct flow_poller *p, struct flow_listener *l,
                         void *user)
{
    struct flow__entry *e;

    if (!poller_may_add(p, l->watch))
        return FLOW_E_INVAL;
    e = flow__entry_new(&p->entries, &poller_watch_ops, user);
    if (e == NULL)
        return FLOW_E_NOMEM;
    flow__entry_watch_listener(e, l);
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_set(struct flow_poller *p, struct flow *f, uint32_t interest)
{
    struct flow__entry *e;

    if (!poller_watches(p, f->watch) || (interest & ~FLOW__READY_KNOWN) != 0)
        return FLOW_E_INVAL;
    e = flow__entry_of(f->watch);
    if (e->interest == interest)
        return FLOW_OK;
    e->interest = interest;
    flow__entry_used(f->watch);
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_remove(struct flow_poller *p, struct flow *f)
{
    if (!poller_watches(p, f->watch))
        return FLOW_E_INVAL;
    poller_remove_entry(f->watch);
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_remove_listener(struct flow_poller *p, struct flow_listener *l)
{
    if (!poller_watches(p, l->watch))
        return FLOW_E_INVAL;
    poller_remove_entry(l->watch);
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_new(const struct flow_env *env, struct flow_poller **ret_poller)
{
    struct flow_poller *p;
    enum flow_status st;

    if (env == NULL)
        env = flow_env_default();
    p = flow_env_alloc(env, sizeof(*p));
    if (p == NULL)
        return FLOW_E_NOMEM;
    p->env = env;
    st = flow__entries_init(&p->entries, env);
    if (st == FLOW_OK) {
        p->events = flow_env_alloc(env, POLLER_ROOM * sizeof(*p->events));
        st = p->events != NULL ? FLOW_OK : FLOW_E_NOMEM;
    }
    if (st != FLOW_OK) {
        flow_poller_free(p);
        return st;
    }
    p->event_room = POLLER_ROOM;
    *ret_poller = p;
    return FLOW_OK;
}

/* See <flow/poller.h>. */
void
flow_poller_free(struct flow_poller *p)
{
    const struct flow_env *env;

    if (p == NULL)
        return;
    env = p->env;
    flow__entries_fini(&p->entries);
    flow_env_free(env, p->events, p->event_room * sizeof(*p->events));
    flow_env_free(env, p, sizeof(*p));
}
