/* SPDX-License-Identifier: ISC */
#include <flow/poller.h>

#include <string.h>

#include "flow/entry.h"
#include "lib/atomic.h"
#include "lib/checked.h"

/* How soon to look again at what the system cannot watch, in ns. */
#define ENTRY_BLIND_NAP 10000000u

/* Entries that there is room for at first. */
#define ENTRY_ROOM 16u

/* --- the states of an entry --------------------------------------------- */

static bool
entry_is_in_line(const struct flow__entry *e)
{
    return e->turn.place != FLOW__NOT_RUNNING;
}

void
flow__entries_poke(struct flow__entries *es)
{
    struct flow_waker *waker = flow__pollset_waker(es->registry.set);

    waker->wake(waker);
}

void
flow__entry_queue(struct flow__entry *e)
{
    struct flow__entries *es = e->entries;

    e->ready = 0;
    if (entry_is_in_line(e) || !flow__list_is_empty(&e->look) || e->is_asked)
        return;
    flow__list_append(&es->look, &e->look);
    if (flow__load(&es->has_fd) != 0 && !es->is_waiting)
        flow__entries_poke(es);
}

static void
entry_line_up(struct flow__entry *e, uint32_t ready)
{
    e->ready = ready;
    e->is_used = false;
    flow__timers_set(&e->entries->line, &e->turn, e->turn.due);
}

void
flow__entry_used(struct flow__watch *watch)
{
    struct flow__entry *e = flow__entry_of(watch);

    flow__registration_used(&e->reg);
    e->is_used = true;
    e->is_asking |= e->is_asked;
    flow__entry_queue(e);
}

void
flow__entry_closing(struct flow__watch *watch, int fd)
{
    struct flow__entry *e = flow__entry_of(watch);

    flow__registry_closing(&e->entries->registry, &e->reg, fd);
}

/* The registry took its sources from an entry. */
static void
entry_lost(struct flow__registration *r)
{
    flow__entry_used(&flow__container(r, struct flow__entry, reg)->watch);
}

/* The system reported a descriptor of an entry. */
static void
entry_reported(struct flow__registration *r)
{
    struct flow__entry *e = flow__container(r, struct flow__entry, reg);

    if (!entry_is_in_line(e) && flow__list_is_empty(&e->look))
        entry_line_up(e, 0);
}

/* From any thread, under the wait lock. */
static void
entry_wake(struct flow_waker *self)
{
    struct flow__entry *e =
        flow__container(self, struct flow__entry, reg.waker);
    struct flow__entries *es = e->entries;

    if (!flow__list_is_empty(&e->woken))
        return;
    flow__list_append(&es->woken, &e->woken);
    flow__store(&es->any_woken, 1);
    if (flow__load(&es->asleep) != 0 || flow__load(&es->has_fd) != 0)
        flow__entries_poke(es);
}

static void
entry_take_woken(struct flow__entries *es)
{
    struct flow__entry *e;

    if (flow__load(&es->any_woken) == 0)
        return;
    flow__wait_lock();
    flow__store(&es->any_woken, 0);
    while (!flow__list_is_empty(&es->woken)) {
        e = flow__container(es->woken.next, struct flow__entry, woken);
        flow__list_remove(&e->woken);
        flow__entry_queue(e);
    }
    flow__wait_unlock();
}

static void
entry_take_due(struct flow__entries *es)
{
    struct flow__timer *timer = flow__timers_first(&es->timers);
    uint64_t now;

    if (timer == NULL)
        return;
    now = es->env->now(es->env->ctx);
    while (timer != NULL && timer->due <= now) {
        flow__timers_stop(&es->timers, timer);
        flow__entry_queue(flow__container(timer, struct flow__entry, timer));
        timer = flow__timers_first(&es->timers);
    }
}

/* --- looking ------------------------------------------------------------ */

/* Answers whether a descriptor is ready, for a flow that is asked. */
static uint32_t
entry_fd_ready(void *ctx, int fd, uint32_t events)
{
    const struct flow__entry *e = ctx;

    if (e->is_blind || e->is_asking)
        return flow_wait_fd_ready(NULL, fd, events);
    return flow__registration_ready(&e->reg, fd, events);
}

/* A listener's deadline bounds its accept_wait only, but it is reported like a
 * flow's: as a time to wake at, it would wake us for ever once it has passed.
 */
static uint32_t
entry_ask_listener(struct flow__entry *e, struct flow_wait_set *set)
{
    uint32_t ready = 0;

    if (flow_listener_wait_sources(e->listener, set))
        ready = FLOW_READY_ACCEPT;
    if (flow__is_due(e->listener->env, flow__load(&e->listener->deadline)))
        ready |= FLOW_READY_DEADLINE;
    return ready;
}

static uint32_t
entry_ask_flow(struct flow__entry *e, struct flow_wait_set *set)
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
entry_ask(struct flow__entry *e, struct flow_wait_set *set)
{
    uint32_t ready;

    flow_wait_set_init(set);
    set->fd_ready = entry_fd_ready;
    set->ctx = e;
    /* Its own events are armed as long as it is watched. */
    set->depth = 1;
    e->is_asked = true;
    ready =
        e->flow != NULL ? entry_ask_flow(e, set) : entry_ask_listener(e, set);
    e->is_asked = false;
    return ready;
}

static void
entry_set_timer(struct flow__entry *e, uint64_t due)
{
    if (due == FLOW_NEVER)
        flow__timers_stop(&e->entries->timers, &e->timer);
    else
        flow__timers_set(&e->entries->timers, &e->timer, due);
}

/* Put an entry that has nothing ready to sleep.  If the system cannot watch
 * one of its sources, ask again; the answer is returned. */
static uint32_t
entry_sleep(struct flow__entry *e, struct flow_wait_set *set)
{
    struct flow__entries *es = e->entries;
    uint32_t ready = 0;
    bool signalled;

    e->is_blind =
        !flow__registry_watch(&es->registry, &e->reg, set, &signalled);
    if (e->is_blind) {
        flow_wait_add_time(
            set, flow_time_after(es->env->now(es->env->ctx), ENTRY_BLIND_NAP));
        entry_set_timer(e, set->deadline);
        ready = entry_ask(e, set);
    } else {
        entry_set_timer(e, set->deadline);
    }
    if (ready == 0 && signalled)
        flow__entry_queue(e);
    return ready;
}

/* What is ready; 0 when the entry is asleep now. */
static uint32_t
entry_look_at(struct flow__entry *e)
{
    struct flow_wait_set set;
    uint32_t ready = entry_ask(e, &set);

    if (ready == 0)
        ready = entry_sleep(e, &set);
    /* A report is good for one answer: the next look needs another. */
    flow__registration_used(&e->reg);
    e->is_asking = false;
    return ready;
}

void
flow__entries_collect(struct flow__entries *es)
{
    entry_take_woken(es);
    entry_take_due(es);
}

void
flow__entries_look(struct flow__entries *es)
{
    struct flow__link *last, *link;
    struct flow__entry *e;
    uint32_t ready;

    flow__entries_collect(es);
    last = es->look.prev;
    if (flow__list_is_empty(&es->look))
        return;
    do {
        link = es->look.next;
        flow__list_remove(link);
        e = flow__container(link, struct flow__entry, look);
        ready = entry_look_at(e);
        if (ready != 0)
            entry_line_up(e, ready);
    } while (link != last);
}

bool
flow__entries_have_work(const struct flow__entries *es)
{
    return !flow__list_is_empty(&es->look) ||
           flow__timers_first(&es->line) != NULL;
}

uint64_t
flow__entries_next_due(const struct flow__entries *es)
{
    const struct flow__timer *first = flow__timers_first(&es->timers);

    return first != NULL ? first->due : FLOW_NEVER;
}

uint32_t
flow__entry_take_turn(struct flow__entry *e)
{
    uint32_t ready = e->ready;

    flow__timers_stop(&e->entries->line, &e->turn);
    if (ready != 0)
        return ready;
    e->is_asking = e->is_used;
    return entry_look_at(e);
}

/* --- making and freeing ------------------------------------------------- */

static void
entry_move_heap(const struct flow__entries *es, struct flow__timers *timers,
                struct flow__timer **heap)
{
    if (timers->count > 0)
        memcpy(heap, timers->heap, timers->count * sizeof(*heap));
    flow_env_free(es->env, timers->heap, es->heap_room * sizeof(*heap));
    timers->heap = heap;
}

static bool
entry_grow(struct flow__entries *es)
{
    size_t wanted = es->heap_room == 0 ? ENTRY_ROOM : 2 * es->heap_room;
    struct flow__timer **timers, **line;
    size_t size = wanted * sizeof(*line);

    if (es->count < es->heap_room)
        return true;
    timers = flow_env_alloc(es->env, size);
    line = flow_env_alloc(es->env, size);
    if (timers == NULL || line == NULL) {
        flow_env_free(es->env, timers, size);
        flow_env_free(es->env, line, size);
        return false;
    }
    entry_move_heap(es, &es->timers, timers);
    entry_move_heap(es, &es->line, line);
    es->heap_room = wanted;
    return true;
}

struct flow__entry *
flow__entry_new(struct flow__entries *es, const struct flow__watch_ops *ops,
                void *user)
{
    struct flow__entry *e;

    if (!entry_grow(es))
        return NULL;
    e = flow_env_alloc(es->env, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->watch.ops = ops;
    e->reg.waker.wake = entry_wake;
    e->entries = es;
    e->user = user;
    e->timer.place = FLOW__NOT_RUNNING;
    e->turn.place = FLOW__NOT_RUNNING;
    e->turn.due = ++es->turns;
    flow__list_init(&e->look);
    flow__list_init(&e->woken);
    flow__list_append(&es->all, &e->all);
    es->count++;
    flow__entry_queue(e);
    return e;
}

void
flow__entry_watch_flow(struct flow__entry *e, struct flow *f, uint32_t interest)
{
    size_t i;

    e->flow = f;
    e->interest = interest;
    for (i = 0; i < 2; i++)
        flow_event_arm(&f->wake[i], &e->wake[i], &e->reg.waker, 0);
    f->watch = &e->watch;
}

void
flow__entry_watch_listener(struct flow__entry *e, struct flow_listener *l)
{
    e->listener = l;
    flow_event_arm(&l->wake, &e->wake[0], &e->reg.waker, 0);
    l->watch = &e->watch;
}

void
flow__entry_free(struct flow__entry *e)
{
    struct flow__entries *es = e->entries;

    flow__registry_drop(&es->registry, &e->reg);
    flow_event_disarm(&e->wake[0]);
    flow_event_disarm(&e->wake[1]);
    /* Nothing can wake it any more. */
    flow__wait_lock();
    flow__list_remove(&e->woken);
    flow__wait_unlock();
    flow__timers_stop(&es->timers, &e->timer);
    flow__timers_stop(&es->line, &e->turn);
    flow__list_remove(&e->look);
    flow__list_remove(&e->all);
    es->count--;
    if (e->flow != NULL)
        e->flow->watch = NULL;
    else
        e->listener->watch = NULL;
    flow_env_free(es->env, e, sizeof(*e));
}

enum flow_status
flow__entries_init(struct flow__entries *es, const struct flow_env *env)
{
    es->env = env;
    es->registry.env = env;
    es->registry.lost = entry_lost;
    es->registry.reported = entry_reported;
    flow__list_init(&es->all);
    flow__list_init(&es->look);
    flow__list_init(&es->woken);
    return flow__registry_init(&es->registry);
}

void
flow__entries_fini(struct flow__entries *es)
{
    size_t size = es->heap_room * sizeof(*es->line.heap);

    while (!flow__list_is_empty(&es->all))
        flow__entry_free(
            flow__container(es->all.next, struct flow__entry, all));
    flow__registry_fini(&es->registry);
    flow_env_free(es->env, es->timers.heap, size);
    flow_env_free(es->env, es->line.heap, size);
}
