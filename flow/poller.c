/* SPDX-License-Identifier: ISC */
#include <flow/poller.h>

#include <string.h>

#include "flow/core.h"
#include "flow/registry.h"
#include "flow/watch.h"
#include "lib/atomic.h"
#include "lib/checked.h"
#include "lib/list.h"
#include "lib/timers.h"

/*
 * An entry is in one of three states.
 *
 * asleep   It is registered with everything its flow waits for.
 * to look  It is in poller::look: its flow was used, or woken, or reported.
 *          Its readiness is unknown.  It is looked at before the poller
 *          sleeps, and falls asleep or lines up.
 * in line  It is in poller::line: it is ready, or the system says that one of
 *          its descriptors is.  It keeps its place until its turn comes, when
 *          it is asked (unless the answer is known) and reported.
 *
 * The line is ordered by the number of the last report, so that the entry that
 * has waited longest is next.  That is round robin as long as every ready entry
 * is in line.  So before an entry gets its second turn the system is asked
 * again for everything it knows (poller::known).
 *
 * Whether a descriptor is ready is known from the reports of the system alone.
 * A report holds until the flow is used or was looked at.  An entry that was
 * used while it stood in line asks the system when its turn comes, and so does
 * one that reads ahead to answer what is ready.
 *
 * Waking: poller::woken is a list under the wait lock.  A wake appends to it,
 * sets any_woken, and then calls the waker of the poll set if the poller is
 * asleep or a foreign loop may be (has_fd).  A poller that is about to sleep
 * sets asleep and looks at any_woken then, so one of the two sees the other.
 * Asking the system clears the waker, perhaps in a call that returns for
 * another reason, so neither any_woken nor poked is ever left to the waker
 * alone.
 *
 * Invariant: while has_fd and not is_waiting, the descriptor of the poll set
 * is readable if an entry is woken, to be looked at or in line, or the poller
 * was poked.
 *
 * Locks: the wait lock, innermost, for poller::woken alone.
 */

/* How soon to look again at what the system cannot watch, in ns. */
#define POLLER_BLIND_NAP 10000000u

/* Events that there is room for at first. */
#define POLLER_ROOM 64u

/* What is watched. */
struct poller_entry {
    struct flow__registration reg;
    struct flow_poller *poller;
    struct flow *flow; /* or */
    struct flow_listener *listener;
    void *user;
    struct flow__link all;          /* in flow_poller::all */
    struct flow__link look;         /* in flow_poller::look, iff to look */
    struct flow__link woken;        /* in flow_poller::woken, wait lock */
    struct flow_event_node wake[2]; /* at the flow's own events */
    struct flow__timer timer;       /* when to look at the latest */
    struct flow__timer turn;        /* in flow_poller::line, iff in line */
    uint32_t interest;
    uint32_t ready; /* in line: what is known to be ready; 0: ask */
    uint32_t place; /* its event's, when it was reported last */
    bool is_used;   /* in line: used since it lined up */
    bool is_asking; /* no report is known to hold: the system is asked */
    bool is_blind;  /* the system cannot watch all it waits for */
    bool is_asked;  /* its flow is being asked, and may read ahead for that */
};

/* Invariant: both heaps have room for every entry, so that looking at one
 * cannot fail. */
struct flow_poller {
    const struct flow_env *env;
    struct flow__registry registry;
    struct flow__link all;
    struct flow__link look;
    struct flow__link woken; /* wait lock */
    struct flow__timers timers;
    struct flow__timers line;
    size_t heap_room;
    size_t entry_count;
    uint64_t turns;     /* reports and additions so far */
    uint64_t known;     /* the last turn before the system told everything */
    uint32_t any_woken; /* atomic */
    uint32_t poked;     /* atomic: flow_poller_wake() was called */
    uint32_t asleep;    /* atomic */
    uint32_t has_fd;    /* atomic: flow_poller_fd() was called */
    bool is_waiting;    /* in flow_poller_wait() */
    struct flow_poller_event *events; /* what was reported last */
    size_t event_count;
    size_t event_room;
};

/* --- the states of an entry --------------------------------------------- */

static bool
poller_is_in_line(const struct poller_entry *e)
{
    return e->turn.place != FLOW__NOT_RUNNING;
}

/* End a sleep, here or in a foreign loop.  From any thread. */
static void
poller_poke(struct flow_poller *p)
{
    struct flow_waker *waker = flow__pollset_waker(p->registry.set);

    waker->wake(waker);
}

static void
poller_queue(struct poller_entry *e)
{
    struct flow_poller *p = e->poller;

    e->ready = 0;
    if (poller_is_in_line(e) || !flow__list_is_empty(&e->look) || e->is_asked)
        return;
    flow__list_append(&p->look, &e->look);
    if (flow__load(&p->has_fd) != 0 && !p->is_waiting)
        poller_poke(p);
}

static void
poller_line_up(struct poller_entry *e, uint32_t ready)
{
    e->ready = ready;
    e->is_used = false;
    flow__timers_set(&e->poller->line, &e->turn, e->turn.due);
}

/* See "flow/watch.h". */
void
flow__watch_touch(void *watch)
{
    struct poller_entry *e = watch;

    if (e == NULL)
        return;
    flow__registration_used(&e->reg);
    e->is_used = true;
    e->is_asking |= e->is_asked;
    poller_queue(e);
}

/* See "flow/watch.h". */
void
flow__watch_closing(void *watch, int fd)
{
    struct poller_entry *e = watch;

    if (e != NULL)
        flow__registry_closing(&e->poller->registry, &e->reg, fd);
}

/* The registry took its sources from an entry. */
static void
poller_lost(struct flow__registration *r)
{
    flow__watch_touch(flow__container(r, struct poller_entry, reg));
}

/* The system reported a descriptor of an entry. */
static void
poller_reported(struct flow__registration *r)
{
    struct poller_entry *e = flow__container(r, struct poller_entry, reg);

    if (!poller_is_in_line(e) && flow__list_is_empty(&e->look))
        poller_line_up(e, 0);
}

/* From any thread, under the wait lock. */
static void
poller_wake_entry(struct flow_waker *self)
{
    struct poller_entry *e =
        flow__container(self, struct poller_entry, reg.waker);
    struct flow_poller *p = e->poller;

    if (!flow__list_is_empty(&e->woken))
        return;
    flow__list_append(&p->woken, &e->woken);
    flow__store(&p->any_woken, 1);
    if (flow__load(&p->asleep) != 0 || flow__load(&p->has_fd) != 0)
        poller_poke(p);
}

static void
poller_take_woken(struct flow_poller *p)
{
    struct poller_entry *e;

    if (flow__load(&p->any_woken) == 0)
        return;
    flow__wait_lock();
    flow__store(&p->any_woken, 0);
    while (!flow__list_is_empty(&p->woken)) {
        e = flow__container(p->woken.next, struct poller_entry, woken);
        flow__list_remove(&e->woken);
        poller_queue(e);
    }
    flow__wait_unlock();
}

static void
poller_take_due(struct flow_poller *p)
{
    struct flow__timer *timer = flow__timers_first(&p->timers);
    uint64_t now;

    if (timer == NULL)
        return;
    now = p->env->now(p->env->ctx);
    while (timer != NULL && timer->due <= now) {
        flow__timers_stop(&p->timers, timer);
        poller_queue(flow__container(timer, struct poller_entry, timer));
        timer = flow__timers_first(&p->timers);
    }
}

/* --- looking ------------------------------------------------------------ */

/* Answers whether a descriptor is ready, for a flow that is asked. */
static uint32_t
poller_fd_ready(void *ctx, int fd, uint32_t events)
{
    const struct poller_entry *e = ctx;

    if (e->is_blind || e->is_asking)
        return flow_wait_fd_ready(NULL, fd, events);
    return flow__registration_ready(&e->reg, fd, events);
}

/* A listener's deadline bounds its accept_wait only, but it is reported like a
 * flow's: as a time to wake at, it would wake us for ever once it has passed.
 */
static uint32_t
poller_ask_listener(struct poller_entry *e, struct flow_wait_set *set)
{
    uint32_t ready = 0;

    if (flow_listener_wait_sources(e->listener, set))
        ready = FLOW_READY_ACCEPT;
    if (flow__is_due(e->listener->env, flow__load(&e->listener->deadline)))
        ready |= FLOW_READY_DEADLINE;
    return ready;
}

static uint32_t
poller_ask_flow(struct poller_entry *e, struct flow_wait_set *set)
{
    uint64_t due = flow__earlier_deadline(e->flow);
    uint32_t ready = 0;

    if (e->interest != 0)
        ready = flow_wait_sources(e->flow, e->interest, set);
    if (flow__is_due(e->flow->env, due))
        return ready | FLOW_READY_DEADLINE;
    flow_wait_add_time(set, due);
    return ready;
}

static uint32_t
poller_ask(struct poller_entry *e, struct flow_wait_set *set)
{
    uint32_t ready;

    flow_wait_set_init(set);
    set->fd_ready = poller_fd_ready;
    set->ctx = e;
    /* Its own events are armed as long as it is watched. */
    set->depth = 1;
    e->is_asked = true;
    ready =
        e->flow != NULL ? poller_ask_flow(e, set) : poller_ask_listener(e, set);
    e->is_asked = false;
    return ready;
}

static void
poller_set_timer(struct poller_entry *e, uint64_t due)
{
    if (due == FLOW_NEVER)
        flow__timers_stop(&e->poller->timers, &e->timer);
    else
        flow__timers_set(&e->poller->timers, &e->timer, due);
}

/* Put an entry that has nothing ready to sleep.  If the system cannot watch
 * one of its sources, ask again; the answer is returned. */
static uint32_t
poller_sleep(struct poller_entry *e, struct flow_wait_set *set)
{
    struct flow_poller *p = e->poller;
    uint32_t ready = 0;
    bool signalled;

    e->is_blind = !flow__registry_watch(&p->registry, &e->reg, set, &signalled);
    if (e->is_blind) {
        flow_wait_add_time(
            set, flow_time_after(p->env->now(p->env->ctx), POLLER_BLIND_NAP));
        poller_set_timer(e, set->deadline);
        ready = poller_ask(e, set);
    } else {
        poller_set_timer(e, set->deadline);
    }
    if (ready == 0 && signalled)
        poller_queue(e);
    return ready;
}

/* What is ready; 0 when the entry is asleep now. */
static uint32_t
poller_look_at(struct poller_entry *e)
{
    struct flow_wait_set set;
    uint32_t ready = poller_ask(e, &set);

    if (ready == 0)
        ready = poller_sleep(e, &set);
    /* A report is good for one answer: the next look needs another. */
    flow__registration_used(&e->reg);
    e->is_asking = false;
    return ready;
}

/* Look at everything that must be looked at, once. */
static void
poller_look(struct flow_poller *p)
{
    struct flow__link *last, *link;
    struct poller_entry *e;
    uint32_t ready;

    poller_take_woken(p);
    poller_take_due(p);
    last = p->look.prev;
    if (flow__list_is_empty(&p->look))
        return;
    do {
        link = p->look.next;
        flow__list_remove(link);
        e = flow__container(link, struct poller_entry, look);
        ready = poller_look_at(e);
        if (ready != 0)
            poller_line_up(e, ready);
    } while (link != last);
}

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

static bool
poller_has_work(const struct flow_poller *p)
{
    return !flow__list_is_empty(&p->look) ||
           flow__timers_first(&p->line) != NULL;
}

/* Whether another thread has had something to say since it was heard last. */
static bool
poller_was_called(const struct flow_poller *p)
{
    return flow__load(&p->any_woken) != 0 || flow__load(&p->poked) != 0;
}

static uint64_t
poller_next_due(const struct flow_poller *p)
{
    const struct flow__timer *first = flow__timers_first(&p->timers);

    return first != NULL ? first->due : FLOW_NEVER;
}

/* Sleep until the deadline, unless there is work already, and learn what the
 * system knows. */
static enum flow_status
poller_ask_system(struct flow_poller *p, uint64_t deadline)
{
    enum flow_status st;
    bool all;

    deadline = poller_has_work(p)
                   ? FLOW_NOW
                   : poller_system_time(
                         p, flow_deadline_min(deadline, poller_next_due(p)));
    if (deadline != FLOW_NOW) {
        flow__store(&p->asleep, 1);
        if (poller_was_called(p))
            deadline = FLOW_NOW;
    }
    st = flow__registry_ask(&p->registry, deadline, &all);
    flow__store(&p->asleep, 0);
    if (st == FLOW_OK && all)
        p->known = p->turns;
    return st;
}

/* --- reporting ---------------------------------------------------------- */

static void
poller_add_event(struct flow_poller *p, struct poller_entry *e, uint32_t ready)
{
    e->place = (uint32_t)p->event_count;
    e->turn.due = ++p->turns;
    p->events[p->event_count++] = (struct flow_poller_event){
        .flow = e->flow,
        .listener = e->listener,
        .ready = ready,
        .user = e->user,
    };
    poller_queue(e);
}

/* The turn of the first in line has come. */
static void
poller_take_turn(struct flow_poller *p, struct poller_entry *e)
{
    uint32_t ready = e->ready;

    flow__timers_stop(&p->line, &e->turn);
    if (ready == 0) {
        e->is_asking = e->is_used;
        ready = poller_look_at(e);
    }
    if (ready != 0)
        poller_add_event(p, e, ready);
}

/* Report the entries in line, the one that waited longest first. */
static enum flow_status
poller_report(struct flow_poller *p, size_t cap)
{
    struct flow__timer *first;
    enum flow_status st;

    while (p->event_count < cap) {
        first = flow__timers_first(&p->line);
        if (first == NULL)
            break;
        if (first->due > p->known) {
            /* Its second turn: others may have waited longer. */
            st = flow__registry_survey(&p->registry);
            if (st != FLOW_OK)
                return st;
            /* The readiness of the reported entries is unknown from here on. */
            p->known = p->turns - p->event_count;
            continue;
        }
        poller_take_turn(p, flow__container(first, struct poller_entry, turn));
    }
    return FLOW_OK;
}

/* Room for as many events as there can be; with less memory fewer are reported
 * at a time. */
static size_t
poller_make_room(struct flow_poller *p, size_t cap)
{
    size_t wanted = cap < p->entry_count ? cap : p->entry_count;
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
        poller_look(p);
        st = poller_ask_system(p, deadline);
        poller_look(p);
        if (st == FLOW_OK)
            st = poller_report(p, cap);
        if (p->event_count > 0)
            return FLOW_OK;
        if (flow__swap(&p->poked, 0) != 0 || st != FLOW_OK)
            return st;
        /* Once more for a descriptor that was named after the question. */
        if (flow__is_due(p->env, deadline) &&
            (was_late || !p->registry.changed))
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
    if (cap == 0 || flow__registry_is_inherited(&p->registry))
        return FLOW_E_INVAL;
    p->event_count = 0;
    p->is_waiting = true;
    st = poller_wait_for_events(p, poller_make_room(p, cap), deadline);
    p->is_waiting = false;
    if (flow__load(&p->has_fd) != 0 &&
        (poller_has_work(p) || poller_was_called(p)))
        poller_poke(p);
    *ret_events = p->events;
    *ret_count = p->event_count;
    return st;
}

/* See <flow/poller.h>. */
void
flow_poller_wake(struct flow_poller *p)
{
    flow__store(&p->poked, 1);
    poller_poke(p);
}

/* See <flow/poller.h>. */
int
flow_poller_fd(struct flow_poller *p)
{
    if (flow__registry_is_inherited(&p->registry))
        return -1;
    flow__store(&p->has_fd, 1);
    if (poller_has_work(p) || poller_was_called(p))
        poller_poke(p);
    return flow__pollset_fd(p->registry.set);
}

/* See <flow/poller.h>. */
uint64_t
flow_poller_timeout(struct flow_poller *p)
{
    if (flow__registry_is_inherited(&p->registry))
        return FLOW_NEVER;
    poller_take_woken(p);
    poller_take_due(p);
    return poller_has_work(p) ? FLOW_NOW : poller_next_due(p);
}

/* --- adding and removing ------------------------------------------------ */

static void
poller_move_heap(const struct flow_poller *p, struct flow__timers *timers,
                 struct flow__timer **heap)
{
    if (timers->count > 0)
        memcpy(heap, timers->heap, timers->count * sizeof(*heap));
    flow_env_free(p->env, timers->heap, p->heap_room * sizeof(*heap));
    timers->heap = heap;
}

static bool
poller_grow(struct flow_poller *p)
{
    size_t wanted = p->heap_room == 0 ? 16 : 2 * p->heap_room;
    struct flow__timer **timers, **line;
    size_t size = wanted * sizeof(*line);

    if (p->entry_count < p->heap_room)
        return true;
    timers = flow_env_alloc(p->env, size);
    line = flow_env_alloc(p->env, size);
    if (timers == NULL || line == NULL) {
        flow_env_free(p->env, timers, size);
        flow_env_free(p->env, line, size);
        return false;
    }
    poller_move_heap(p, &p->timers, timers);
    poller_move_heap(p, &p->line, line);
    p->heap_room = wanted;
    return true;
}

static struct poller_entry *
poller_new_entry(struct flow_poller *p, void *user)
{
    struct poller_entry *e;

    if (!poller_grow(p))
        return NULL;
    e = flow_env_alloc(p->env, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->reg.waker.wake = poller_wake_entry;
    e->poller = p;
    e->user = user;
    e->timer.place = FLOW__NOT_RUNNING;
    e->turn.place = FLOW__NOT_RUNNING;
    e->turn.due = ++p->turns;
    flow__list_init(&e->look);
    flow__list_init(&e->woken);
    flow__list_append(&p->all, &e->all);
    p->entry_count++;
    poller_queue(e);
    return e;
}

/* Blank the event of an entry that goes away while the caller works on the
 * list. */
static void
poller_blank_event(struct flow_poller *p, const struct poller_entry *e)
{
    struct flow_poller_event *event = &p->events[e->place];

    if (e->place < p->event_count && event->flow == e->flow &&
        event->listener == e->listener)
        memset(event, 0, sizeof(*event));
}

static void
poller_remove_entry(struct poller_entry *e)
{
    struct flow_poller *p = e->poller;

    flow__registry_drop(&p->registry, &e->reg);
    flow_event_disarm(&e->wake[0]);
    flow_event_disarm(&e->wake[1]);
    /* Nothing can wake it any more. */
    flow__wait_lock();
    flow__list_remove(&e->woken);
    flow__wait_unlock();
    flow__timers_stop(&p->timers, &e->timer);
    flow__timers_stop(&p->line, &e->turn);
    flow__list_remove(&e->look);
    flow__list_remove(&e->all);
    p->entry_count--;
    poller_blank_event(p, e);
    if (e->flow != NULL)
        e->flow->watch = NULL;
    else
        e->listener->watch = NULL;
    flow_env_free(p->env, e, sizeof(*e));
}

/* See "flow/watch.h". */
void
flow__watch_end(void *watch)
{
    if (watch != NULL)
        poller_remove_entry(watch);
}

/* Whether a call about what is watched already is in order. */
static bool
poller_watches(const struct flow_poller *p, const struct poller_entry *e)
{
    return e != NULL && e->poller == p &&
           !flow__registry_is_inherited(&p->registry);
}

static bool
poller_may_add(const struct flow_poller *p, const void *watch)
{
    return watch == NULL && !flow__registry_is_inherited(&p->registry);
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_add(struct flow_poller *p, struct flow *f, uint32_t interest,
                void *user)
{
    struct poller_entry *e;
    size_t i;

    if (!poller_may_add(p, f->watch) || (interest & ~FLOW__READY_KNOWN) != 0)
        return FLOW_E_INVAL;
    e = poller_new_entry(p, user);
    if (e == NULL)
        return FLOW_E_NOMEM;
    e->flow = f;
    e->interest = interest;
    for (i = 0; i < 2; i++)
        flow_event_arm(&f->wake[i], &e->wake[i], &e->reg.waker, 0);
    f->watch = e;
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_add_listener(struct flow_poller *p, struct flow_listener *l,
                         void *user)
{
    struct poller_entry *e;

    if (!poller_may_add(p, l->watch))
        return FLOW_E_INVAL;
    e = poller_new_entry(p, user);
    if (e == NULL)
        return FLOW_E_NOMEM;
    e->listener = l;
    flow_event_arm(&l->wake, &e->wake[0], &e->reg.waker, 0);
    l->watch = e;
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_set(struct flow_poller *p, struct flow *f, uint32_t interest)
{
    struct poller_entry *e = f->watch;

    if (!poller_watches(p, e) || (interest & ~FLOW__READY_KNOWN) != 0)
        return FLOW_E_INVAL;
    if (e->interest == interest)
        return FLOW_OK;
    e->interest = interest;
    flow__watch_touch(e);
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
    enum flow_status st = FLOW_E_NOMEM;

    if (env == NULL)
        env = flow_env_default();
    p = flow_env_alloc(env, sizeof(*p));
    if (p == NULL)
        return FLOW_E_NOMEM;
    p->env = env;
    p->registry.env = env;
    p->registry.lost = poller_lost;
    p->registry.reported = poller_reported;
    flow__list_init(&p->all);
    flow__list_init(&p->look);
    flow__list_init(&p->woken);
    p->events = flow_env_alloc(env, POLLER_ROOM * sizeof(*p->events));
    if (p->events != NULL) {
        p->event_room = POLLER_ROOM;
        st = flow__registry_init(&p->registry);
    }
    if (st != FLOW_OK) {
        flow_poller_free(p);
        return st;
    }
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
    while (!flow__list_is_empty(&p->all))
        poller_remove_entry(
            flow__container(p->all.next, struct poller_entry, all));
    flow__registry_fini(&p->registry);
    flow_env_free(env, p->timers.heap, p->heap_room * sizeof(*p->timers.heap));
    flow_env_free(env, p->line.heap, p->heap_room * sizeof(*p->line.heap));
    flow_env_free(env, p->events, p->event_room * sizeof(*p->events));
    flow_env_free(env, p, sizeof(*p));
}
