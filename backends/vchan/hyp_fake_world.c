/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_world.h"

#include <string.h>
#include <unistd.h>

#include "backends/vchan/atomic.h"
#include "backends/vchan/hyp_fake_member.h"

/* Dead members that one call reclaims: the tables may be full of them. */
#define WORLD_RECLAIM_MAX 64u

static void
world_page_free(struct fake_page *page)
{
    memset(page, 0, sizeof(*page));
}

bool
flow__fake_may_map(const struct fake_dir *dir, uint16_t domid, uint32_t ref,
                   bool writable)
{
    const struct fake_page *page;

    if (ref < VCHAN_REF_MIN || ref - VCHAN_REF_MIN >= FAKE_PAGES)
        return false;
    page = &dir->world->page[ref - VCHAN_REF_MIN];
    return page->owner != FAKE_NOBODY && !page->orphan && page->peer == domid &&
           (page->writable || !writable);
}

void
flow__fake_unmapped(struct fake_world *w, uint32_t ref)
{
    struct fake_page *page = &w->page[ref - VCHAN_REF_MIN];

    page->mapper = FAKE_NOBODY;
    if (page->orphan)
        world_page_free(page);
}

struct fake_port *
flow__fake_port_at(struct fake_world *w, uint32_t port)
{
    return port > 0 && port < FAKE_PORTS ? &w->port[port] : NULL;
}

void
flow__fake_port_free(struct fake_world *w, uint32_t port)
{
    struct fake_port *p = &w->port[port];
    struct fake_port *other = flow__fake_port_at(w, load_relaxed(&p->remote));

    /* The other end gets no event: its port becomes unbound, no more
     * (xen/event_channel.h, EVTCHNOP_close). */
    if (p->state == FAKE_BOUND && other != NULL && other->remote == port)
        other->state = FAKE_UNBOUND;
    memset(p, 0, sizeof(*p));
}

/* Does what a kernel does with a port whose owner died. */
static void
world_reclaim_port(struct fake_dir *dir, uint32_t port)
{
    const struct fake_port *p = &dir->world->port[port];
    uint32_t page = load_relaxed(&p->clear_ref) - VCHAN_REF_MIN;
    uint32_t at = load_relaxed(&p->clear_at);
    const uint8_t zero = 0;

    if (page < FAKE_PAGES && at < VCHAN_PAGE_SIZE && !dir->silent)
        (void)!pwrite(dir->pages_fd, &zero, 1,
                      (off_t)page * VCHAN_PAGE_SIZE + at);
    flow__fake_port_free(dir->world, port);
}

void
flow__fake_reclaim(struct fake_dir *dir, uint32_t member)
{
    struct fake_world *w = dir->world;

    for (uint32_t i = 1; i < FAKE_PORTS; i++)
        if (w->port[i].state != FAKE_FREE && w->port[i].owner == member)
            world_reclaim_port(dir, i);
    for (uint32_t i = 0; i < FAKE_PAGES; i++) {
        struct fake_page *page = &w->page[i];

        if (page->mapper == member)
            flow__fake_unmapped(w, i + VCHAN_REF_MIN);
        if (page->owner == member) {
            page->orphan = 1;
            if (page->mapper == FAKE_NOBODY)
                world_page_free(page);
        }
    }
    flow__fake_member_remove(dir, member);
}

/* Cleans up after a member of the tables if it is dead. */
static bool
world_reclaim_if_dead(struct fake_dir *dir, uint32_t member)
{
    if (member == FAKE_NOBODY || flow__fake_member_lives(dir, member))
        return false;
    flow__fake_reclaim(dir, member);
    return true;
}

/* Cleans up after dead members, when nothing is free. */
static void
world_reclaim_dead(struct fake_dir *dir)
{
    struct fake_world *w = dir->world;
    uint32_t last = dir->member;
    unsigned reclaimed = 0;

    for (uint32_t i = 0;
         i < FAKE_PAGES + FAKE_PORTS && reclaimed < WORLD_RECLAIM_MAX; i++) {
        uint32_t member =
            load_relaxed(i < FAKE_PAGES ? &w->page[i].owner
                                        : &w->port[i - FAKE_PAGES].owner);

        if (member != last)
            reclaimed += world_reclaim_if_dead(dir, member);
        last = member;
    }
    for (uint32_t i = 0; i < FAKE_PAGES && reclaimed < WORLD_RECLAIM_MAX; i++)
        if (w->page[i].orphan)
            reclaimed +=
                world_reclaim_if_dead(dir, load_relaxed(&w->page[i].mapper));
}

/* Contiguous free pages in the tables; the first index, or -1. */
static int32_t
world_free_run(const struct fake_world *w, uint32_t count)
{
    uint32_t run = 0;

    for (uint32_t i = 0; i < FAKE_PAGES; i++) {
        run = w->page[i].owner == FAKE_NOBODY ? run + 1 : 0;
        if (run == count)
            return (int32_t)(i + 1 - count);
    }
    return -1;
}

int32_t
flow__fake_grant(struct fake_dir *dir, uint16_t peer, uint32_t count,
                 bool writable)
{
    int32_t first = world_free_run(dir->world, count);

    if (first < 0) {
        world_reclaim_dead(dir);
        first = world_free_run(dir->world, count);
    }
    for (uint32_t i = 0; first >= 0 && i < count; i++) {
        struct fake_page *page = &dir->world->page[(uint32_t)first + i];

        memset(page, 0, sizeof(*page));
        page->owner = dir->member;
        page->peer = peer;
        page->writable = writable;
    }
    return first;
}

bool
flow__fake_ungrant(struct fake_dir *dir, uint32_t first, uint32_t count)
{
    struct fake_page *page = &dir->world->page[first];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t mapper = load_relaxed(&page[i].mapper);

        if (mapper == FAKE_NOBODY)
            continue;
        if (flow__fake_member_lives(dir, mapper))
            return false;
        flow__fake_reclaim(dir, mapper);
    }
    for (uint32_t i = 0; i < count; i++)
        world_page_free(&page[i]);
    return true;
}

static uint32_t
world_free_port(const struct fake_world *w)
{
    for (uint32_t i = 1; i < FAKE_PORTS; i++)
        if (w->port[i].state == FAKE_FREE)
            return i;
    return 0;
}

uint32_t
flow__fake_port_new(struct fake_dir *dir, uint16_t domid, uint16_t peer)
{
    uint32_t number = world_free_port(dir->world);
    struct fake_port *port;

    if (number == 0) {
        world_reclaim_dead(dir);
        number = world_free_port(dir->world);
    }
    port = flow__fake_port_at(dir->world, number);
    if (port == NULL)
        return 0;
    memset(port, 0, sizeof(*port));
    port->owner = dir->member;
    port->domid = domid;
    port->peer = peer;
    port->state = FAKE_UNBOUND;
    return number;
}

void
flow__fake_port_ended(struct fake_dir *dir, uint32_t port)
{
    struct fake_port *own = &dir->world->port[port];
    uint32_t remote = load_relaxed(&own->remote);
    struct fake_port *other = flow__fake_port_at(dir->world, remote);

    if (own->state == FAKE_BOUND && other != NULL &&
        other->state == FAKE_BOUND && other->remote == port) {
        uint32_t owner = load_relaxed(&other->owner);

        world_reclaim_port(dir, remote);
        world_reclaim_if_dead(dir, owner);
    }
    own->state = FAKE_UNBOUND;
    own->remote = 0;
}

struct fake_key *
flow__fake_key_find(struct fake_world *w, const char *base)
{
    for (uint32_t i = 0; i < FAKE_KEYS; i++)
        if (strncmp(w->key[i].base, base, FAKE_BASE) == 0)
            return &w->key[i];
    return NULL;
}

struct fake_key *
flow__fake_key_new(struct fake_dir *dir)
{
    struct fake_world *w = dir->world;
    struct fake_key *key = flow__fake_key_find(w, "");

    if (key != NULL)
        return key;
    /* Keys whose ports are free belong to dead members. */
    world_reclaim_dead(dir);
    for (uint32_t i = 0; i < FAKE_KEYS; i++) {
        struct fake_port *port =
            flow__fake_port_at(w, load_relaxed(&w->key[i].port));

        if (port == NULL || port->state == FAKE_FREE)
            return &w->key[i];
    }
    return NULL;
}
