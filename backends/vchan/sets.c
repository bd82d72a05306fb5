/* SPDX-License-Identifier: ISC */
#include "backends/vchan/sets.h"

#include <string.h>

#include "backends/vchan/shm.h"

/*
 * The pool of page sets (sets.h has the invariants and the threads).
 *
 * Order of locks: the pool's lock, then none: fork(2) is blocked while it is
 * held, and only the state of a channel is asked for.  Granting, ending and
 * wiping a set happen without it, on a set that no other thread can find or
 * that is out.
 */

/* Time that a client is given from clearing its live byte to its munmap(). */
#define SETS_COOL UINT64_C(1000000000)

static struct vchan_sets *
sets_of(const struct flow_buf_policy *policy)
{
    return (struct vchan_sets *)(uintptr_t)policy;
}

/* A listener and its flows share a pool.  fork(2) waits, so that a child finds
 * the pool consistent and its lock free. */
static void
sets_enter(struct vchan_sets *sets)
{
    flow_fork_block();
    flow_lock_acquire(&sets->lock);
}

static void
sets_leave(struct vchan_sets *sets)
{
    flow_lock_release(&sets->lock);
    flow_fork_unblock();
}

static size_t
sets_size(uint32_t ring_pages)
{
    return sizeof(struct vchan_set) + ring_pages * sizeof(uint32_t);
}

static struct vchan_page *
sets_page(const struct vchan_set *set)
{
    return (struct vchan_page *)(void *)set->control->base;
}

/* The channel is closed last: ending the control page may send an event on
 * it. */
static void
sets_end(struct vchan_set *set)
{
    struct vchan_hyp *hyp = set->sets->hyp;

    flow__vchan_pins_retire(set->sets->pins, set->left);
    flow__vchan_pins_retire(set->sets->pins, set->right);
    flow__vchan_pins_retire(set->sets->pins, set->control);
    if (set->channel != NULL)
        hyp->events->close(set->channel);
    flow_env_free(hyp->env, set, sets_size(set->ring_pages));
}

static enum flow_status
sets_grant_ring(struct vchan_set *set, unsigned order, bool writable,
                uint32_t *ret_refs, struct vchan_region **ret_region)
{
    const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_sets *sets = set->sets;
    uint32_t pages = flow__vchan_order_pages(order);

    if (pages == 0)
        return FLOW_OK;
    return sets->hyp->grants->share(sets->hyp, sets->peer, pages, writable,
                                    none, ret_refs, ret_region, &sets->error);
}

/* Allocates the channel and grants the pages.  After a failure the set owns
 * what was made so far. */
static enum flow_status
sets_grant(struct vchan_set *set)
{
    struct vchan_sets *sets = set->sets;
    struct vchan_hyp *hyp = sets->hyp;
    struct vchan_unmap_notify at_unmap;
    enum flow_status st;

    st = hyp->events->alloc(hyp, sets->peer, &set->channel, &sets->error);
    if (st != FLOW_OK)
        return st;
    at_unmap.clear_at = offsetof(struct vchan_page, srv_live);
    at_unmap.channel = set->channel;
    st = hyp->grants->share(hyp, sets->peer, 1, true, at_unmap, &set->ref,
                            &set->control, &sets->error);
    if (st == FLOW_OK)
        st = sets_grant_ring(set, sets->orders.left, true, set->ring_refs,
                             &set->left);
    if (st == FLOW_OK)
        st = sets_grant_ring(set, sets->orders.right, !sets->readonly_ring,
                             set->ring_refs +
                                 flow__vchan_order_pages(sets->orders.left),
                             &set->right);
    return st;
}

/* Adds a new set at the front of the list. */
static enum flow_status
sets_grow(struct vchan_sets *sets, struct vchan_set **ret_set)
{
    uint32_t pages = flow__vchan_order_pages(sets->orders.left) +
                     flow__vchan_order_pages(sets->orders.right);
    struct vchan_set *set = flow_env_alloc(sets->hyp->env, sets_size(pages));
    enum flow_status st;

    if (set == NULL)
        return flow_error_set(&sets->error, FLOW_E_NOMEM, "vchan",
                              FLOW_DOMAIN_NONE, 0, "no memory for a set");
    set->sets = sets;
    set->ring_pages = pages;
    st = sets_grant(set);
    if (st != FLOW_OK) {
        sets_end(set);
        return st;
    }
    sets_enter(sets);
    set->next = sets->first;
    sets->first = set;
    sets_leave(sets);
    *ret_set = set;
    return FLOW_OK;
}

/* Whether the peer has unmapped a set that came back. */
static bool
sets_is_free(const struct vchan_set *set, uint64_t now)
{
    if (flow__vchan_hyp_check(set->sets->hyp, NULL) != FLOW_OK)
        return false;
    switch (set->sets->hyp->events->state(set->channel)) {
    case VCHAN_CHANNEL_UNBOUND:
        return true;
    case VCHAN_CHANNEL_BOUND:
        return false;
    case VCHAN_CHANNEL_UNKNOWN:
        break;
    }
    return flow__shm_load8(&sets_page(set)->cli_live) != VCHAN_LIVE_HERE &&
           now >= flow_time_after(set->back_at, SETS_COOL);
}

static uint64_t
sets_clock(const struct vchan_sets *sets)
{
    const struct flow_env *env = sets->hyp->env;

    return env->now(env->ctx);
}

static void
sets_kept_add(struct vchan_kept *kept, const struct vchan_set *set)
{
    kept->pages += 1 + set->ring_pages;
    kept->sets++;
}

/* A set that may be used again; or NULL, and how much the peer still holds. */
static struct vchan_set *
sets_pick(struct vchan_sets *sets, struct vchan_kept *ret_kept)
{
    uint64_t now = sets_clock(sets);
    struct vchan_set *set;

    *ret_kept = (struct vchan_kept){ 0, 0 };
    sets_enter(sets);
    for (set = sets->first; set != NULL; set = set->next) {
        if (set->out)
            continue;
        if (sets_is_free(set, now))
            break;
        sets_kept_add(ret_kept, set);
    }
    sets_leave(sets);
    return set;
}

/* Zeroes a set for its next connection. */
static void
sets_wipe(struct vchan_set *set)
{
    struct vchan_region *region[] = { set->left, set->right, set->control };

    for (unsigned i = 0; i < 3; i++)
        if (region[i] != NULL)
            memset(region[i]->base, 0,
                   (size_t)region[i]->count * VCHAN_PAGE_SIZE);
}

static enum flow_status
sets_refuse(struct vchan_sets *sets)
{
    flow_error_set(&sets->error, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                   "the peer still maps too many pages of closed flows");
    sets->error.hint =
        "restart the peer, or raise pinned_max or pinned_channels_max";
    return FLOW_AGAIN;
}

/* Whether the peer holds so much that it gets no new set.  The pages that it
 * has pinned of closed pools count as well. */
static bool
sets_is_full(struct vchan_sets *sets, struct vchan_kept kept)
{
    uint64_t pages = kept.pages;

    if (kept.sets > sets->max.sets || pages > sets->max.pages)
        return true;
    return pages + flow__vchan_pins_reap(sets->pins) > sets->max.pages;
}

enum flow_status
flow__vchan_set_renew(struct vchan_set *set, struct flow_error *err)
{
    const struct vchan_event_ops *events = set->sets->hyp->events;

    set->stale = events->renew != NULL && !events->renew(set->channel);
    if (!set->stale)
        return FLOW_OK;
    flow_error_set(err, FLOW_E_SYS, "vchan", FLOW_DOMAIN_NONE, 0,
                   "no descriptor for an event channel");
    if (err != NULL)
        err->hint = "close descriptors, or raise the limit of open files";
    return FLOW_E_SYS;
}

/* Prepares a set that came back: its channel has a wait source, and its pages
 * are zero. */
static enum flow_status
sets_reuse(struct vchan_sets *sets, struct vchan_set *set)
{
    enum flow_status st = FLOW_OK;

    if (set->stale)
        st = flow__vchan_set_renew(set, &sets->error);
    if (st == FLOW_OK)
        sets_wipe(set);
    return st;
}

/* See struct flow_buf_policy. */
static enum flow_status
sets_acquire(const struct flow_buf_policy *policy, size_t min_size,
             struct flow_buf *ret_buf)
{
    struct vchan_sets *sets = sets_of(policy);
    struct vchan_set *set;
    struct vchan_kept kept;
    enum flow_status st;

    if (min_size > VCHAN_PAGE_SIZE)
        return FLOW_E_INVAL;
    st = flow__vchan_hyp_check(sets->hyp, &sets->error);
    if (st != FLOW_OK)
        return st;
    set = sets_pick(sets, &kept);
    if (set == NULL && sets_is_full(sets, kept))
        return sets_refuse(sets);
    st = set != NULL ? sets_reuse(sets, set) : sets_grow(sets, &set);
    /* The peer still maps some of our pages and may unmap them. */
    if (st == FLOW_E_NOMEM && kept.pages > 0)
        return FLOW_AGAIN;
    if (st != FLOW_OK)
        return st;
    sets_enter(sets);
    set->out = true;
    sets->users++;
    sets_leave(sets);
    *ret_buf = flow__vchan_set_buf(set);
    return FLOW_OK;
}

/* Drops a user; the last one frees the pool. */
static void
sets_drop(struct vchan_sets *sets)
{
    struct vchan_hyp *hyp = sets->hyp;
    bool last;

    sets_enter(sets);
    last = --sets->users == 0;
    sets_leave(sets);
    if (!last)
        return;
    flow_event_fini(&sets->available);
    flow_lock_fini(&sets->lock);
    flow__vchan_pins_close(sets->pins);
    flow_env_free(hyp->env, sets, sizeof(*sets));
    flow__vchan_hyp_unref(hyp);
}

/* See struct flow_buf_policy. */
static void
sets_release(const struct flow_buf_policy *policy, struct flow_buf *buf)
{
    struct vchan_sets *sets = sets_of(policy);
    struct vchan_set *set = flow__vchan_sets_find(sets, buf);
    uint64_t now = sets_clock(sets);
    struct vchan_set **at = &sets->first;
    bool ends;

    /* A child has no event loop that could have registered the source. */
    if (!flow__vchan_hyp_is_inherited(sets->hyp))
        (void)flow__vchan_set_renew(set, NULL);
    sets_enter(sets);
    set->out = false;
    set->back_at = now;
    ends = sets->closed;
    while (ends && *at != set)
        at = &(*at)->next;
    if (ends)
        *at = set->next;
    sets_leave(sets);
    if (ends)
        sets_end(set);
    else
        flow_event_signal(&sets->available);
    sets_drop(sets);
}

enum flow_status
flow__vchan_sets_new(struct vchan_hyp *hyp, uint16_t peer,
                     struct vchan_orders orders, bool readonly_ring,
                     struct vchan_kept max, struct vchan_sets **ret_sets)
{
    struct vchan_sets *sets = flow_env_alloc(hyp->env, sizeof(*sets));

    if (sets == NULL)
        return FLOW_E_NOMEM;
    sets->pins = flow__vchan_pins_open(hyp, peer);
    if (sets->pins == NULL) {
        flow_env_free(hyp->env, sets, sizeof(*sets));
        return FLOW_E_NOMEM;
    }
    flow_buf_hints_init(&sets->policy.hints);
    sets->policy.hints.align = VCHAN_PAGE_SIZE;
    sets->policy.hints.granularity = VCHAN_PAGE_SIZE;
    sets->policy.hints.max_contiguous = VCHAN_PAGE_SIZE;
    sets->policy.hints.backing = FLOW_BUF_GRANTABLE;
    sets->policy.acquire = sets_acquire;
    sets->policy.release = sets_release;
    sets->policy.available = &sets->available;
    sets->hyp = flow__vchan_hyp_ref(hyp);
    sets->peer = peer;
    sets->orders = orders;
    sets->readonly_ring = readonly_ring;
    sets->max = max;
    sets->users = 1;
    flow_event_init(&sets->available);
    flow_lock_init(&sets->lock);
    *ret_sets = sets;
    return FLOW_OK;
}

struct vchan_set *
flow__vchan_sets_find(struct vchan_sets *sets, const struct flow_buf *buf)
{
    struct vchan_set *set;

    sets_enter(sets);
    set = sets->first;
    while (set->control->base != buf->base)
        set = set->next;
    sets_leave(sets);
    return set;
}

struct flow_buf
flow__vchan_set_buf(const struct vchan_set *set)
{
    return (struct flow_buf){ set->control->base, VCHAN_PAGE_SIZE };
}

struct vchan_sets_stats
flow__vchan_sets_stats(struct vchan_sets *sets)
{
    struct vchan_sets_stats stats = { 0, { 0, 0 } };
    uint64_t now = sets_clock(sets);

    sets_enter(sets);
    for (struct vchan_set *set = sets->first; set != NULL; set = set->next) {
        stats.granted += 1 + set->ring_pages;
        if (!set->out && !sets_is_free(set, now))
            sets_kept_add(&stats.kept, set);
    }
    sets_leave(sets);
    return stats;
}

void
flow__vchan_sets_close(struct vchan_sets *sets)
{
    struct vchan_set **at;
    struct vchan_set *ended = NULL;

    if (sets == NULL)
        return;
    sets_enter(sets);
    sets->closed = true;
    for (at = &sets->first; *at != NULL;) {
        struct vchan_set *set = *at;

        if (set->out) {
            at = &set->next;
            continue;
        }
        *at = set->next;
        set->next = ended;
        ended = set;
    }
    sets_leave(sets);
    while (ended != NULL) {
        struct vchan_set *set = ended;

        ended = set->next;
        sets_end(set);
    }
    sets_drop(sets);
}
