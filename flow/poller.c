/* SPDX-License-Identifier: ISC */
#include <flow/poller.h>

#include "flow/core.h"
#include "flow/watch.h"
#include "lib/atomic.h"
#include "lib/checked.h"
#include "lib/list.h"
#include "lib/plat.h"
#include "lib/timers.h"

/* Events taken from the system at a time. */
#define BATCH 64

/* How soon to look again at what the system cannot watch, in ns. */
#define BLIND_NAP 10000000u

/* A source that an entry is registered with. */
struct source {
    struct flow_event *event; /* NULL: a descriptor */
    union {
        struct flow_event_node node;
        int fd;
    } at;
};

/*
 * What is watched.
 *
 * Invariant: an entry that is not queued has registered everything its flow
 * waits for.  So a change of the flow queues it: a call in our thread through
 * flow__watch_touch(), a descriptor or a time through the system, an event
 * through the waker.
 */
struct entry {
    struct flow_waker waker; /* armed at every event source */
    struct flow_poller *poller;
    struct flow *flow; /* or */
    struct flow_listener *listener;
    void *user;
    uint32_t interest;
    uint32_t round;                 /* of the last report */
    struct flow__link all;          /* in flow_poller::all */
    struct flow__link look;         /* in flow_poller::look, iff queued */
    struct flow__link woken;        /* in flow_poller::woken, wait lock */
    uint8_t queued;                 /* atomic: read by the waker */
    struct flow_event_node wake[2]; /* at the flow's own events */
    struct source source[FLOW_WAIT_SOURCES];
    size_t source_count;
    struct flow__timer timer; /* when to look at the latest */
};

/* Who has registered a descriptor, and for what. */
struct slot {
    struct entry *owner;
    uint32_t events;
};

/* Invariant: the timers have room for every entry, so that looking at one
 * cannot fail. */
struct flow_poller {
    const struct flow_env *env;
    struct flow__pollset *set;
    struct flow__link all;
    struct flow__link look;
    struct flow__link woken; /* wait lock */
    size_t entry_count;
    struct flow__timers timers;
    size_t timer_room;
    struct slot *slots; /* by descriptor */
    size_t slot_count;
    uint32_t round;
    uint32_t poked; /* atomic: flow_poller_wake() was called */
    struct flow_poller_event *events; /* the caller's list of now */
    size_t event_count;
};

/* --- the queue of what must be looked at ------------------------------- */

static void
queue(struct entry *e)
{
    if (flow__load(&e->queued) != 0)
        return;
    flow__store(&e->queued, 1);
    flow__list_append(&e->poller->look, &e->look);
}

static void
unqueue(struct entry *e)
{
    flow__list_remove(&e->look);
    flow__store(&e->queued, 0);
}

/* From any thread, under the wait lock.  One that is queued will be looked at
 * before its poller sleeps, so there is nobody to wake. */
static void
entry_wake(struct flow_waker *self)
{
    struct entry *e = flow__container(self, struct entry, waker);
    struct flow_waker *waker;

    if (flow__load(&e->queued) != 0 || !flow__list_is_empty(&e->woken))
        return;
    flow__list_append(&e->poller->woken, &e->woken);
    waker = flow__pollset_waker(e->poller->set);
    waker->wake(waker);
}

static void
take_woken(struct flow_poller *p)
{
    struct entry *e;

    flow__wait_lock();
    while (!flow__list_is_empty(&p->woken)) {
        e = flow__container(p->woken.next, struct entry, woken);
        flow__list_remove(&e->woken);
        queue(e);
    }
    flow__wait_unlock();
}

static void
take_due(struct flow_poller *p)
{
    struct flow__timer *timer = flow__timers_first(&p->timers);
    uint64_t now;

    if (timer == NULL)
        return;
    now = p->env->now(p->env->ctx);
    while (timer != NULL && timer->due <= now) {
        queue(flow__container(timer, struct entry, timer));
        flow__timers_stop(&p->timers, timer);
        timer = flow__timers_first(&p->timers);
    }
}

/* See "flow/watch.h". */
void
flow__watch_touch(void *watch)
{
    if (watch != NULL)
        queue(watch);
}

/* --- what an entry waits for ------------------------------------------- */

static void
drop_source(struct entry *e, struct source *source)
{
    struct flow_poller *p = e->poller;
    struct slot *slot;

    if (source->event != NULL) {
        flow_event_disarm(&source->at.node);
        return;
    }
    /* Another flow may have been given the number since. */
    slot = &p->slots[source->at.fd];
    if (slot->owner != e)
        return;
    flow__pollset_set(p->set, source->at.fd, slot->events, 0, NULL);
    slot->owner = NULL;
    slot->events = 0;
}

static bool
is_wanted(const struct source *mine, const struct flow_wait_sink *sink)
{
    size_t i;

    for (i = 0; i < sink->count; i++)
        if (sink->source[i].kind == FLOW_WAIT_FD &&
            sink->source[i].fd == mine->at.fd)
            return true;
    return false;
}

/* A descriptor that is still wanted stays registered.  Events are entered anew
 * each time: one at the same address may be another by now. */
static void
drop_sources(struct entry *e, const struct flow_wait_sink *sink)
{
    size_t i, kept = 0;

    for (i = 0; i < e->source_count; i++) {
        if (e->source[i].event != NULL || !is_wanted(&e->source[i], sink)) {
            drop_source(e, &e->source[i]);
            continue;
        }
        e->source[kept].event = NULL;
        e->source[kept++].at.fd = e->source[i].at.fd;
    }
    e->source_count = kept;
}

static bool
grow_slots(struct flow_poller *p, int fd)
{
    size_t wanted = p->slot_count == 0 ? 64 : p->slot_count;
    struct slot *slots;
    size_t i;

    while (wanted <= (size_t)fd)
        wanted *= 2;
    if (wanted == p->slot_count)
        return true;
    slots = flow_env_alloc(p->env, wanted * sizeof(*slots));
    if (slots == NULL)
        return false;
    for (i = 0; i < p->slot_count; i++)
        slots[i] = p->slots[i];
    flow_env_free(p->env, p->slots, p->slot_count * sizeof(*slots));
    p->slots = slots;
    p->slot_count = wanted;
    return true;
}

/* While a flow opens it may close a descriptor and get its number again. */
static bool
may_change_descriptor(const struct entry *e)
{
    return e->flow != NULL && flow__load(&e->flow->opened) == 0;
}

/* false when it cannot be watched. */
static bool
watch_fd(struct entry *e, const struct flow_wait_source *wanted)
{
    struct flow_poller *p = e->poller;
    struct slot *slot;

    if (!grow_slots(p, wanted->fd))
        return false;
    slot = &p->slots[wanted->fd];
    if (slot->owner == e && slot->events == wanted->events &&
        !may_change_descriptor(e))
        return true;
    if (flow__pollset_set(p->set, wanted->fd, slot->events, wanted->events,
                          e) != FLOW_OK)
        return false;
    slot->owner = e;
    slot->events = wanted->events;
    return true;
}

static bool
has_fd(const struct entry *e, int fd)
{
    size_t i;

    for (i = 0; i < e->source_count; i++)
        if (e->source[i].event == NULL && e->source[i].at.fd == fd)
            return true;
    return false;
}

/* false when it cannot be watched. */
static bool
watch(struct entry *e, const struct flow_wait_source *wanted)
{
    struct source *mine = &e->source[e->source_count];

    if (wanted->kind == FLOW_WAIT_FD) {
        if (!watch_fd(e, wanted))
            return false;
        if (has_fd(e, wanted->fd))
            return true;
        mine->event = NULL;
        mine->at.fd = wanted->fd;
    } else {
        mine->event = wanted->event;
        if (!flow_event_arm(wanted->event, &mine->at.node, &e->waker,
                            wanted->sequence))
            queue(e);
    }
    e->source_count++;
    return true;
}

/* Registers an entry with what its flow waits for. */
static void
sleep_on(struct entry *e, const struct flow_wait_sink *sink)
{
    struct flow_poller *p = e->poller;
    uint64_t due = sink->deadline;
    size_t i;

    drop_sources(e, sink);
    for (i = 0; i < sink->count; i++)
        if (!watch(e, &sink->source[i]))
            due = flow_deadline_min(
                due, flow__time_after(p->env->now(p->env->ctx), BLIND_NAP));
    if (due == FLOW_NEVER)
        flow__timers_stop(&p->timers, &e->timer);
    else
        flow__timers_set(&p->timers, &e->timer, due);
}

/* --- looking ------------------------------------------------------------ */

/* A listener's deadline bounds its accept_wait only, but it is reported like a
 * flow's: as a time to wake at, it would wake us for ever once it has passed.
 */
static uint32_t
look_at_listener(struct entry *e, struct flow_wait_sink *sink)
{
    uint32_t ready = 0;

    if (flow_listener_wait_sources(e->listener, sink))
        ready = FLOW_READY_ACCEPT;
    if (flow__is_due(e->listener->env, flow__load(&e->listener->deadline)))
        ready |= FLOW_READY_DEADLINE;
    return ready;
}

static uint32_t
look_at_flow(struct entry *e, struct flow_wait_sink *sink)
{
    uint64_t due = flow__earlier_deadline(e->flow);
    uint32_t ready = 0;

    if (e->interest != 0)
        ready = flow_wait_sources(e->flow, e->interest, sink);
    if (flow__is_due(e->flow->env, due))
        return ready | FLOW_READY_DEADLINE;
    flow_wait_add_time(sink, due);
    return ready;
}

/* What is ready; 0 when the entry sleeps now. */
static uint32_t
look_at(struct entry *e)
{
    struct flow_wait_sink sink;
    uint32_t ready;

    flow_wait_sink_init(&sink);
    ready =
        e->flow != NULL ? look_at_flow(e, &sink) : look_at_listener(e, &sink);
    if (ready == 0)
        sleep_on(e, &sink);
    return ready;
}

/* Looks at all that is queued, once, as long as there is room to report it.
 * What is ready stays in the queue, behind the others. */
static void
look(struct flow_poller *p, size_t cap)
{
    struct flow__link *last = p->look.prev;
    struct flow__link *link;
    struct entry *e;
    uint32_t ready;

    if (flow__list_is_empty(&p->look))
        return;
    do {
        if (p->event_count == cap)
            return;
        link = p->look.next;
        e = flow__container(link, struct entry, look);
        unqueue(e);
        if (e->round == p->round) {
            queue(e);
            continue;
        }
        ready = look_at(e);
        if (ready == 0)
            continue;
        e->round = p->round;
        p->events[p->event_count++] = (struct flow_poller_event){
            .flow = e->flow,
            .listener = e->listener,
            .ready = ready,
            .user = e->user,
        };
        queue(e);
    } while (link != last);
}

/* A time of the environment's clock as one of the system's. */
static uint64_t
system_time(const struct flow_poller *p, uint64_t deadline)
{
    uint64_t now;

    if (deadline == FLOW_NEVER || deadline == FLOW_NOW)
        return deadline;
    now = p->env->now(p->env->ctx);
    if (deadline <= now)
        return FLOW_NOW;
    return flow__time_after(flow__plat_now(), deadline - now);
}

static enum flow_status
poll_system(struct flow_poller *p, uint64_t deadline)
{
    struct flow__pollset_event fired[BATCH];
    enum flow_status st;
    size_t count, i;

    deadline = system_time(p, deadline);
    st = flow__pollset_wait(p->set, fired, BATCH, deadline, &count);
    if (st != FLOW_OK)
        return st;
    for (i = 0; i < count; i++)
        queue(fired[i].user);
    take_woken(p);
    take_due(p);
    return FLOW_OK;
}

static uint64_t
next_due(const struct flow_poller *p)
{
    const struct flow__timer *first = flow__timers_first(&p->timers);

    return first != NULL ? first->due : FLOW_NEVER;
}

/* Until there is something to report or a reason to give up. */
static enum flow_status
wait_for_events(struct flow_poller *p, size_t cap, uint64_t deadline)
{
    enum flow_status st;
    bool polled = false;

    for (;; polled = true) {
        look(p, cap);
        if (p->event_count > 0)
            break;
        if (flow__swap(&p->poked, 0) != 0)
            return FLOW_OK;
        if (polled && flow__is_due(p->env, deadline))
            return FLOW_E_TIMEOUT;
        st = poll_system(p, !flow__list_is_empty(&p->look)
                                ? FLOW_NOW
                                : flow_deadline_min(deadline, next_due(p)));
        if (st != FLOW_OK)
            return st;
    }
    /* Those that are ready already do not keep the others out. */
    if (polled || p->event_count == cap)
        return FLOW_OK;
    st = poll_system(p, FLOW_NOW);
    look(p, cap);
    return st;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_wait(struct flow_poller *p, struct flow_poller_event *events,
                 size_t cap, uint64_t deadline, size_t *ret_count)
{
    enum flow_status st;

    p->events = events;
    p->event_count = 0;
    p->round++;
    take_woken(p);
    take_due(p);
    st = wait_for_events(p, cap, deadline);
    *ret_count = p->event_count;
    return st;
}

/* See <flow/poller.h>. */
void
flow_poller_wake(struct flow_poller *p)
{
    struct flow_waker *waker = flow__pollset_waker(p->set);

    flow__store(&p->poked, 1);
    waker->wake(waker);
}

/* See <flow/poller.h>. */
int
flow_poller_fd(const struct flow_poller *p)
{
    return flow__pollset_fd(p->set);
}

/* See <flow/poller.h>. */
uint64_t
flow_poller_timeout(struct flow_poller *p)
{
    take_woken(p);
    take_due(p);
    return flow__list_is_empty(&p->look) ? next_due(p) : FLOW_NOW;
}

/* --- adding and removing ----------------------------------------------- */

static bool
grow_timers(struct flow_poller *p)
{
    size_t wanted = p->timer_room == 0 ? 16 : 2 * p->timer_room;
    struct flow__timer **heap;
    size_t i;

    if (p->entry_count < p->timer_room)
        return true;
    heap = flow_env_alloc(p->env, wanted * sizeof(*heap));
    if (heap == NULL)
        return false;
    for (i = 0; i < p->timers.count; i++)
        heap[i] = p->timers.heap[i];
    flow_env_free(p->env, p->timers.heap, p->timer_room * sizeof(*heap));
    p->timers.heap = heap;
    p->timer_room = wanted;
    return true;
}

static struct entry *
new_entry(struct flow_poller *p, void *user)
{
    struct entry *e;

    if (!grow_timers(p))
        return NULL;
    e = flow_env_alloc(p->env, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->waker.wake = entry_wake;
    e->poller = p;
    e->user = user;
    e->round = p->round;
    e->timer.place = FLOW__NOT_RUNNING;
    flow__list_init(&e->look);
    flow__list_init(&e->woken);
    flow__list_append(&p->all, &e->all);
    p->entry_count++;
    queue(e);
    return e;
}

static void
remove_entry(struct entry *e)
{
    struct flow_poller *p = e->poller;
    size_t i;

    for (i = 0; i < e->source_count; i++)
        drop_source(e, &e->source[i]);
    flow_event_disarm(&e->wake[0]);
    flow_event_disarm(&e->wake[1]);
    /* Nothing can wake it any more. */
    flow__wait_lock();
    flow__list_remove(&e->woken);
    flow__wait_unlock();
    flow__timers_stop(&p->timers, &e->timer);
    unqueue(e);
    flow__list_remove(&e->all);
    p->entry_count--;
    for (i = 0; i < p->event_count; i++) {
        if (e->flow != NULL && p->events[i].flow == e->flow)
            p->events[i].flow = NULL;
        if (e->listener != NULL && p->events[i].listener == e->listener)
            p->events[i].listener = NULL;
    }
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
        remove_entry(watch);
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_add(struct flow_poller *p, struct flow *f, uint32_t interest,
                void *user)
{
    struct entry *e;
    size_t i;

    if (f->watch != NULL)
        return FLOW_E_INVAL;
    e = new_entry(p, user);
    if (e == NULL)
        return FLOW_E_NOMEM;
    e->flow = f;
    e->interest = interest;
    for (i = 0; i < 2; i++)
        flow_event_arm(&f->wake[i], &e->wake[i], &e->waker, 0);
    f->watch = e;
    return FLOW_OK;
}

/* See <flow/poller.h>. */
enum flow_status
flow_poller_add_listener(struct flow_poller *p, struct flow_listener *l,
                         void *user)
{
    struct entry *e;

    if (l->watch != NULL)
        return FLOW_E_INVAL;
    e = new_entry(p, user);
    if (e == NULL)
        return FLOW_E_NOMEM;
    e->listener = l;
    flow_event_arm(&l->wake, &e->wake[0], &e->waker, 0);
    l->watch = e;
    return FLOW_OK;
}

/* See <flow/poller.h>. */
void
flow_poller_set(struct flow_poller *p, struct flow *f, uint32_t interest)
{
    struct entry *e = f->watch;

    (void)p;
    if (e->interest == interest)
        return;
    e->interest = interest;
    queue(e);
}

/* See <flow/poller.h>. */
void
flow_poller_remove(struct flow_poller *p, struct flow *f)
{
    (void)p;
    flow__watch_end(f->watch);
}

/* See <flow/poller.h>. */
void
flow_poller_remove_listener(struct flow_poller *p, struct flow_listener *l)
{
    (void)p;
    flow__watch_end(l->watch);
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
    flow__list_init(&p->all);
    flow__list_init(&p->look);
    flow__list_init(&p->woken);
    st = flow__pollset_new(env, &p->set);
    if (st != FLOW_OK) {
        flow_env_free(env, p, sizeof(*p));
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
    p->event_count = 0;
    while (!flow__list_is_empty(&p->all))
        remove_entry(flow__container(p->all.next, struct entry, all));
    flow__pollset_free(p->set);
    flow_env_free(env, p->timers.heap, p->timer_room * sizeof(*p->timers.heap));
    flow_env_free(env, p->slots, p->slot_count * sizeof(*p->slots));
    flow_env_free(env, p, sizeof(*p));
}
