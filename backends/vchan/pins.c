/* SPDX-License-Identifier: ISC */
#include "backends/vchan/pins.h"

struct vchan_pins {
    struct vchan_pins *next; /* of the handle's list */
    struct vchan_hyp *hyp;
    struct flow_lock lock;
    struct vchan_region *first;
    uint32_t pages;
    uint32_t users;
    uint16_t peer;
};

/* Listeners of several threads share a handle.  fork(2) waits, so that a child
 * finds the lock free and the list consistent. */
static void
pins_enter(struct flow_lock *lock)
{
    flow_fork_block();
    flow_lock_acquire(lock);
}

static void
pins_leave(struct flow_lock *lock)
{
    flow_lock_release(lock);
    flow_fork_unblock();
}

static struct vchan_pins *
pins_new(struct vchan_hyp *hyp, uint16_t peer)
{
    struct vchan_pins *pins = flow_env_alloc(hyp->env, sizeof(*pins));

    if (pins == NULL)
        return NULL;
    flow_lock_init(&pins->lock);
    pins->hyp = hyp;
    pins->peer = peer;
    return pins;
}

static void
pins_free(struct vchan_pins *pins)
{
    flow_lock_fini(&pins->lock);
    flow_env_free(pins->hyp->env, pins, sizeof(*pins));
}

/* The caller has the lock of the handle. */
static struct vchan_pins *
pins_find(const struct vchan_hyp *hyp, uint16_t peer)
{
    struct vchan_pins *pins = hyp->pins;

    while (pins != NULL && pins->peer != peer)
        pins = pins->next;
    return pins;
}

void
flow__vchan_pins_close(struct vchan_pins *pins)
{
    struct vchan_hyp *hyp = pins->hyp;
    struct vchan_pins **at = &hyp->pins;
    bool ends;

    pins_enter(&hyp->pins_lock);
    ends = --pins->users == 0 && pins->pages == 0;
    while (ends && *at != pins)
        at = &(*at)->next;
    if (ends)
        *at = pins->next;
    pins_leave(&hyp->pins_lock);
    if (ends)
        pins_free(pins);
}

/* The first account without a user, or the first one after `before`.  It gets
 * a user, so that it stays in the list. */
static struct vchan_pins *
pins_next_idle(struct vchan_hyp *hyp, const struct vchan_pins *before)
{
    struct vchan_pins *pins;

    pins_enter(&hyp->pins_lock);
    pins = before != NULL ? before->next : hyp->pins;
    while (pins != NULL && pins->users > 0)
        pins = pins->next;
    if (pins != NULL)
        pins->users++;
    pins_leave(&hyp->pins_lock);
    return pins;
}

/* Frees pages of domains without a pool: no pool of theirs would do it. */
static void
pins_reap_idle(struct vchan_hyp *hyp)
{
    struct vchan_pins *pins = pins_next_idle(hyp, NULL);

    while (pins != NULL) {
        struct vchan_pins *next;

        flow__vchan_pins_reap(pins);
        next = pins_next_idle(hyp, pins);
        flow__vchan_pins_close(pins);
        pins = next;
    }
}

struct vchan_pins *
flow__vchan_pins_open(struct vchan_hyp *hyp, uint16_t peer)
{
    struct vchan_pins *fresh = pins_new(hyp, peer);
    struct vchan_pins *pins;

    if (fresh == NULL)
        return NULL;
    pins_reap_idle(hyp);
    pins_enter(&hyp->pins_lock);
    pins = pins_find(hyp, peer);
    if (pins == NULL) {
        pins = fresh;
        pins->next = hyp->pins;
        hyp->pins = pins;
    }
    pins->users++;
    pins_leave(&hyp->pins_lock);
    if (pins != fresh)
        pins_free(fresh);
    return pins;
}

void
flow__vchan_pins_retire(struct vchan_pins *pins, struct vchan_region *region)
{
    struct vchan_hyp *hyp = pins->hyp;

    if (region == NULL || hyp->grants->unshare(hyp, region) != FLOW_E_BUSY)
        return;
    pins_enter(&pins->lock);
    pins->pages += region->count;
    region->next = pins->first;
    pins->first = region;
    pins_leave(&pins->lock);
}

uint32_t
flow__vchan_pins_reap(struct vchan_pins *pins)
{
    struct vchan_hyp *hyp = pins->hyp;
    struct vchan_region **at = &pins->first;
    uint32_t left;

    pins_enter(&pins->lock);
    while (*at != NULL) {
        struct vchan_region *region = *at;
        struct vchan_region *next = region->next;
        uint32_t count = region->count;

        if (hyp->grants->unshare(hyp, region) == FLOW_E_BUSY) {
            at = &region->next;
        } else {
            *at = next;
            pins->pages -= count;
        }
    }
    left = pins->pages;
    pins_leave(&pins->lock);
    return left;
}

uint32_t
flow__vchan_pins_of(struct vchan_hyp *hyp, uint16_t peer)
{
    struct vchan_pins *pins;
    uint32_t left;

    pins_enter(&hyp->pins_lock);
    pins = pins_find(hyp, peer);
    if (pins != NULL)
        pins->users++;
    pins_leave(&hyp->pins_lock);
    if (pins == NULL)
        return 0;
    left = flow__vchan_pins_reap(pins);
    flow__vchan_pins_close(pins);
    return left;
}

void
flow__vchan_pins_end(struct vchan_hyp *hyp)
{
    struct vchan_pins *pins;

    while ((pins = hyp->pins) != NULL) {
        flow__vchan_pins_reap(pins);
        hyp->pins = pins->next;
        pins_free(pins);
    }
}
