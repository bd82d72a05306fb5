/* SPDX-License-Identifier: ISC */
#include "flow/registry.h"

_Static_assert(FLOW_WAIT_SOURCES <= 8, "used and events have a bit for each");

/* Reports taken from the system at a time. */
#define REGISTRY_BATCH 128

static union flow__source *
registry_source(const struct flow__registration *r, size_t i)
{
    if (i < FLOW__SOURCES_INSIDE)
        return (union flow__source *)(uintptr_t)&r->inside[i];
    return &r->others[i - FLOW__SOURCES_INSIDE];
}

static bool
registry_is_used(const struct flow__registration *r, size_t i)
{
    return (r->used & (1u << i)) != 0;
}

static bool
registry_is_fd(const struct flow__registration *r, size_t i)
{
    return (r->used & ~r->events & (1u << i)) != 0;
}

/* The source of an entry for a descriptor, or NULL. */
static union flow__source *
registry_find(const struct flow__registration *r, int fd)
{
    union flow__source *s;
    size_t i;

    for (i = 0; i < FLOW_WAIT_SOURCES && r->used >> i != 0; i++) {
        s = registry_source(r, i);
        if (registry_is_fd(r, i) && s->fd.fd == fd)
            return s;
    }
    return NULL;
}

/* --- the slots ---------------------------------------------------------- */

static bool
registry_grow(struct flow__registry *reg, int fd)
{
    size_t wanted = reg->slot_count == 0 ? 64 : reg->slot_count;
    struct flow__slot *slots;
    size_t i;

    while (wanted <= (size_t)fd)
        wanted *= 2;
    if (wanted == reg->slot_count)
        return true;
    slots = flow_env_alloc(reg->env, wanted * sizeof(*slots));
    if (slots == NULL)
        return false;
    for (i = 0; i < reg->slot_count; i++)
        slots[i] = reg->slots[i];
    flow_env_free(reg->env, reg->slots, reg->slot_count * sizeof(*slots));
    reg->slots = slots;
    reg->slot_count = wanted;
    return true;
}

static uint64_t
registry_key(const struct flow__slot *slot, int fd)
{
    return (uint64_t)slot->generation << 32 | (uint32_t)fd;
}

static void
registry_unlink(struct flow__slot *slot, union flow__source *s)
{
    union flow__source **link = &slot->first;

    while (*link != s)
        link = &(*link)->fd.next;
    *link = s->fd.next;
}

/* Take every source of a slot from its entry, except those of one. */
static void
registry_lose(struct flow__registry *reg, struct flow__slot *slot,
              const struct flow__registration *except)
{
    union flow__source *s = slot->first;
    struct flow__registration *r;

    while (s != NULL) {
        r = s->fd.owner;
        if (r == except) {
            s = s->fd.next;
            continue;
        }
        /* The list changes: start again. */
        flow__registry_drop(reg, r);
        reg->lost(r);
        s = slot->first;
    }
}

static enum flow_status
registry_set(struct flow__registry *reg, int fd, uint32_t events)
{
    struct flow__slot *slot = &reg->slots[fd];
    enum flow_status st = FLOW_OK;

    if (slot->events == 0)
        slot->generation++;
    if (!flow__registry_is_inherited(reg))
        st = flow__pollset_set(reg->set, fd, slot->events, events,
                               registry_key(slot, fd));
    if (st != FLOW_OK)
        return st;
    slot->events = events & 3u;
    reg->changed |= events != 0;
    return FLOW_OK;
}

static uint32_t
registry_wanted(const struct flow__slot *slot)
{
    const union flow__source *s;
    uint32_t events = 0;

    for (s = slot->first; s != NULL; s = s->fd.next)
        events |= s->fd.wanted;
    return events;
}

/* Bring the poll set up to date with a slot; false: it cannot be watched.  A
 * new source always sets the registration, to find a number that was closed
 * without flow_fd_closing() and used again. */
static bool
registry_update(struct flow__registry *reg, union flow__source *s, bool is_new)
{
    int fd = s->fd.fd;
    struct flow__slot *slot = &reg->slots[fd];
    uint32_t events = registry_wanted(slot);
    enum flow_status st;

    if (events == slot->events && !is_new)
        return true;
    st = registry_set(reg, fd, events);
    if (st == FLOW_E_CLOSED) {
        slot->events = 0;
        registry_lose(reg, slot, s->fd.owner);
        st = registry_set(reg, fd, s->fd.wanted);
    }
    return st == FLOW_OK;
}

/* --- the sources of an entry -------------------------------------------- */

static union flow__source *
registry_new_source(struct flow__registry *reg, struct flow__registration *r,
                    bool is_event)
{
    union flow__source *s;
    size_t i = 0;

    while (registry_is_used(r, i))
        i++;
    if (i >= FLOW__SOURCES_INSIDE && r->others == NULL)
        r->others = flow_env_alloc(reg->env,
                                   (FLOW_WAIT_SOURCES - FLOW__SOURCES_INSIDE) *
                                       sizeof(*r->others));
    if (i >= FLOW__SOURCES_INSIDE && r->others == NULL)
        return NULL;
    s = registry_source(r, i);
    r->used = (uint8_t)(r->used | 1u << i);
    if (is_event)
        r->events = (uint8_t)(r->events | 1u << i);
    return s;
}

static void
registry_drop_source(struct flow__registry *reg, struct flow__registration *r,
                     size_t i)
{
    union flow__source *s = registry_source(r, i);
    bool is_fd = registry_is_fd(r, i);
    struct flow__slot *slot;
    uint32_t left;

    r->used = (uint8_t)(r->used & ~(1u << i));
    r->events &= r->used;
    if (!is_fd) {
        flow_event_disarm(&s->node);
        return;
    }
    slot = &reg->slots[s->fd.fd];
    registry_unlink(slot, s);
    left = registry_wanted(slot);
    /* It can only fail where the descriptor is gone already. */
    if (left != slot->events && registry_set(reg, s->fd.fd, left) != FLOW_OK)
        slot->events = left & 3u;
}

void
flow__registry_drop(struct flow__registry *reg, struct flow__registration *r)
{
    size_t i;

    for (i = 0; r->used != 0; i++)
        if (registry_is_used(r, i))
            registry_drop_source(reg, r, i);
    flow_env_free(reg->env, r->others,
                  (FLOW_WAIT_SOURCES - FLOW__SOURCES_INSIDE) *
                      sizeof(*r->others));
    r->others = NULL;
}

static bool
registry_watch_fd(struct flow__registry *reg, struct flow__registration *r,
                  const struct flow_wait_source *wanted)
{
    union flow__source *s = registry_find(r, wanted->fd);
    bool is_new = s == NULL;
    struct flow__slot *slot;
    size_t i;

    if (!is_new && s->fd.wanted == wanted->events)
        return true;
    if (is_new) {
        if (!registry_grow(reg, wanted->fd))
            return false;
        s = registry_new_source(reg, r, false);
        if (s == NULL)
            return false;
        s->fd.owner = r;
        slot = &reg->slots[wanted->fd];
        s->fd.fd = wanted->fd;
        s->fd.next = slot->first;
        slot->first = s;
    }
    s->fd.wanted = wanted->events & 3u;
    s->fd.ready = 0;
    if (registry_update(reg, s, is_new))
        return true;
    for (i = 0; registry_source(r, i) != s;)
        i++;
    registry_drop_source(reg, r, i);
    return false;
}

static bool
registry_watch_event(struct flow__registry *reg, struct flow__registration *r,
                     const struct flow_wait_source *wanted, bool *ret_signalled)
{
    union flow__source *s = registry_new_source(reg, r, true);

    if (s == NULL)
        return false;
    if (!flow_event_arm(wanted->event, &s->node, &r->waker, wanted->sequence))
        *ret_signalled = true;
    return true;
}

static bool
registry_names(const struct flow_wait_set *set, int fd)
{
    size_t i;

    for (i = 0; i < set->count; i++)
        if (set->source[i].kind == FLOW_WAIT_FD && set->source[i].fd == fd)
            return true;
    return false;
}

/* Drop what a wait set does not name.  Events are armed again each time: the
 * one at an address may be another by now. */
static void
registry_keep(struct flow__registry *reg, struct flow__registration *r,
              const struct flow_wait_set *set)
{
    const union flow__source *s;
    size_t i;

    for (i = 0; r->used >> i != 0; i++) {
        s = registry_source(r, i);
        if (registry_is_used(r, i) &&
            (!registry_is_fd(r, i) || !registry_names(set, s->fd.fd)))
            registry_drop_source(reg, r, i);
    }
}

bool
flow__registry_watch(struct flow__registry *reg, struct flow__registration *r,
                     const struct flow_wait_set *set, bool *ret_signalled)
{
    const struct flow_wait_source *wanted;
    bool complete = true;
    size_t i;

    *ret_signalled = false;
    registry_keep(reg, r, set);
    for (i = 0; i < set->count; i++) {
        wanted = &set->source[i];
        complete &= wanted->kind == FLOW_WAIT_FD
                        ? registry_watch_fd(reg, r, wanted)
                        : registry_watch_event(reg, r, wanted, ret_signalled);
    }
    return complete;
}

/* --- closing ------------------------------------------------------------ */

/* The descriptors of an entry; how many. */
static size_t
registry_fds(const struct flow__registration *r, int fd[FLOW_WAIT_SOURCES])
{
    const union flow__source *s;
    size_t i, count = 0;

    for (i = 0; r->used >> i != 0; i++) {
        s = registry_source(r, i);
        if (registry_is_fd(r, i))
            fd[count++] = s->fd.fd;
    }
    return count;
}

void
flow__registry_closing(struct flow__registry *reg, struct flow__registration *r,
                       int fd)
{
    int all[FLOW_WAIT_SOURCES];
    size_t i, count;

    if (fd >= 0) {
        if ((size_t)fd < reg->slot_count)
            registry_lose(reg, &reg->slots[fd], NULL);
        return;
    }
    /* The entry loses all of them with the first, but others may share any. */
    count = registry_fds(r, all);
    for (i = 0; i < count; i++)
        registry_lose(reg, &reg->slots[all[i]], NULL);
}

/* --- asking the system -------------------------------------------------- */

/* A descriptor is reported that has no source: it was closed without
 * flow_fd_closing() while its file is still open.  It cannot be removed, so all
 * others move to a new set.  An entry whose descriptor cannot be moved loses
 * its sources and registers again.  The survey starts again too, since the new
 * set has its own order. */
static bool
registry_renew(struct flow__registry *reg)
{
    struct flow__slot *slot;
    size_t fd;

    if (flow__pollset_renew(reg->set) != FLOW_OK)
        return false;
    reg->survey = (reg->survey + 1u) & 0x3fffffffu;
    for (fd = 0; fd < reg->slot_count; fd++) {
        slot = &reg->slots[fd];
        slot->events = 0;
        if (slot->first != NULL &&
            registry_set(reg, (int)fd, registry_wanted(slot)) != FLOW_OK)
            registry_lose(reg, slot, NULL);
    }
    return true;
}

enum registry_news { REGISTRY_STALE, REGISTRY_NEW, REGISTRY_AGAIN };

static enum registry_news
registry_take(struct flow__registry *reg,
              const struct flow__pollset_event *event)
{
    size_t fd = (size_t)(event->key & UINT32_MAX);
    struct flow__slot *slot = &reg->slots[fd];
    union flow__source *s;
    bool again;

    if (fd >= reg->slot_count || slot->first == NULL ||
        registry_key(slot, (int)fd) != event->key)
        return REGISTRY_STALE;
    for (s = slot->first; s != NULL; s = s->fd.next) {
        s->fd.ready |= (uint8_t)(s->fd.wanted & event->events);
        if (s->fd.ready != 0)
            reg->reported(s->fd.owner);
    }
    again = slot->survey == reg->survey;
    slot->survey = reg->survey;
    return again ? REGISTRY_AGAIN : REGISTRY_NEW;
}

/* Ask once; *ret_all: the system has nothing that this survey has not seen. */
static enum flow_status
registry_ask_once(struct flow__registry *reg, uint64_t deadline, bool *ret_all)
{
    struct flow__pollset_event event[REGISTRY_BATCH];
    size_t count, i, news = 0;
    bool again = false, stale = false;
    enum registry_news what;
    enum flow_status st;

    reg->changed = 0;
    st = flow__pollset_wait(reg->set, event, REGISTRY_BATCH, deadline, &count,
                            ret_all);
    for (i = 0; st == FLOW_OK && i < count; i++) {
        what = registry_take(reg, &event[i]);
        news += what == REGISTRY_NEW;
        again |= what == REGISTRY_AGAIN;
        stale |= what == REGISTRY_STALE;
    }
    *ret_all |= again || news == 0;
    if (stale && registry_renew(reg))
        *ret_all = false;
    return st;
}

enum flow_status
flow__registry_ask(struct flow__registry *reg, uint64_t deadline, bool *ret_all)
{
    reg->survey = (reg->survey + 1u) & 0x3fffffffu;
    return registry_ask_once(reg, deadline, ret_all);
}

/* The system reports in turn, so it has reported everything when a descriptor
 * comes for the second time. */
enum flow_status
flow__registry_survey(struct flow__registry *reg)
{
    enum flow_status st;
    bool all;

    reg->survey = (reg->survey + 1u) & 0x3fffffffu;
    do
        st = registry_ask_once(reg, FLOW_NOW, &all);
    while (st == FLOW_OK && !all);
    return st;
}

/* --- beginning and end -------------------------------------------------- */

enum flow_status
flow__registry_init(struct flow__registry *reg)
{
    reg->process = flow_process();
    return flow__pollset_new(reg->env, &reg->set);
}

void
flow__registry_fini(struct flow__registry *reg)
{
    flow__pollset_free(reg->set);
    flow_env_free(reg->env, reg->slots, reg->slot_count * sizeof(*reg->slots));
}

bool
flow__registry_is_inherited(const struct flow__registry *reg)
{
    return reg->process != flow_process();
}

uint32_t
flow__registration_ready(const struct flow__registration *r, int fd,
                         uint32_t events)
{
    const union flow__source *s = registry_find(r, fd);

    return s != NULL ? s->fd.ready & events : 0;
}

void
flow__registration_used(struct flow__registration *r)
{
    union flow__source *s;
    size_t i;

    for (i = 0; r->used >> i != 0; i++) {
        s = registry_source(r, i);
        if (registry_is_fd(r, i))
            s->fd.ready = 0;
    }
}
