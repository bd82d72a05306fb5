/* SPDX-License-Identifier: ISC */
#include "tls/limiter.h"

#include <string.h>

#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * Invariants, under lock: counted is the number of slots in state COUNTED.  The
 * list silent has the slots in state SILENT, silent_count of them, the one that
 * has been silent for longest first.
 *
 * Locks: lock is taken inside those of a TLS flow and outside the wait lock.
 * While it is held, no flow whose slot is in the list can be released, since
 * flow__limiter_leave() takes it too.
 */
struct flow__limiter {
    const struct flow_env *env;
    struct flow_lock lock;
    uint32_t refs; /* atomic: one of the listener, one of each slot */
    uint32_t counted;
    uint32_t limit;
    uint32_t silent_count;
    struct flow__link silent;
    struct flow_event freed; /* one flow fewer counts */
};

static void
limiter_lock(struct flow__limiter *limiter)
{
    flow_fork_block();
    flow_lock_acquire(&limiter->lock);
}

static void
limiter_unlock(struct flow__limiter *limiter)
{
    flow_lock_release(&limiter->lock);
    flow_fork_unblock();
}

/* See tls/limiter.h. */
enum flow_status
flow__limiter_new(const struct flow_env *env, uint32_t limit,
                  struct flow__limiter **ret_limiter)
{
    struct flow__limiter *limiter = flow_env_alloc(env, sizeof(*limiter));

    if (limiter == NULL)
        return FLOW_E_NOMEM;
    limiter->env = env;
    limiter->refs = 1;
    limiter->limit = limit;
    flow_lock_init(&limiter->lock);
    flow__list_init(&limiter->silent);
    flow_event_init(&limiter->freed);
    *ret_limiter = limiter;
    return FLOW_OK;
}

/* See tls/limiter.h. */
void
flow__limiter_unref(struct flow__limiter *limiter)
{
    if (flow__sub(&limiter->refs, 1) != 1)
        return;
    flow_event_fini(&limiter->freed);
    flow_lock_fini(&limiter->lock);
    flow_env_free(limiter->env, limiter, sizeof(*limiter));
}

/* See tls/limiter.h. */
bool
flow__limiter_has_room(struct flow__limiter *limiter, struct flow_wait_set *set)
{
    uint32_t sequence = flow_event_sequence(&limiter->freed);
    bool has_room;

    limiter_lock(limiter);
    has_room = limiter->counted < limiter->limit;
    limiter_unlock(limiter);
    if (!has_room && set != NULL)
        flow_wait_add_event(set, &limiter->freed, sequence);
    return has_room;
}

/* See tls/limiter.h. */
void
flow__limiter_enter(struct flow__limiter *limiter, struct flow__slot *slot,
                    struct flow *flow)
{
    (void)flow__add(&limiter->refs, 1);
    slot->limiter = limiter;
    slot->flow = flow;
    flow__list_init(&slot->link);
    limiter_lock(limiter);
    flow__store(&slot->state, FLOW__SLOT_COUNTED);
    limiter->counted++;
    limiter_unlock(limiter);
}

/* Under the lock. */
static void
limiter_remove_silent(struct flow__limiter *limiter, struct flow__slot *slot)
{
    flow__list_remove(&slot->link);
    limiter->silent_count--;
}

/* Under the lock, which also keeps the flow from being released. */
static void
limiter_drop_oldest(struct flow__limiter *limiter)
{
    struct flow__slot *oldest =
        flow__container(limiter->silent.next, struct flow__slot, link);

    limiter_remove_silent(limiter, oldest);
    flow__store(&oldest->state, FLOW__SLOT_DROPPED);
    flow_wake(oldest->flow, (uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE);
}

static void
limiter_add_silent(struct flow__limiter *limiter, struct flow__slot *slot)
{
    limiter->counted--;
    flow__store(&slot->state, FLOW__SLOT_SILENT);
    flow__list_append(&limiter->silent, &slot->link);
    limiter->silent_count++;
    if (limiter->silent_count > limiter->limit)
        limiter_drop_oldest(limiter);
}

/* See tls/limiter.h. */
void
flow__limiter_note(struct flow__slot *slot, bool has_heard)
{
    struct flow__limiter *limiter = slot->limiter;
    bool is_freed = false;

    if (limiter == NULL)
        return;
    limiter_lock(limiter);
    if (!has_heard && slot->state == FLOW__SLOT_COUNTED) {
        limiter_add_silent(limiter, slot);
        is_freed = true;
    } else if (has_heard && slot->state == FLOW__SLOT_SILENT) {
        limiter_remove_silent(limiter, slot);
        flow__store(&slot->state, FLOW__SLOT_COUNTED);
        limiter->counted++;
    }
    limiter_unlock(limiter);
    if (is_freed)
        flow_event_signal(&limiter->freed);
}

/* See tls/limiter.h. */
bool
flow__limiter_has_dropped(struct flow__slot *slot)
{
    return slot->limiter != NULL &&
           flow__load(&slot->state) == FLOW__SLOT_DROPPED;
}

/* See tls/limiter.h. */
void
flow__limiter_leave(struct flow__slot *slot)
{
    struct flow__limiter *limiter = slot->limiter;
    bool is_freed;

    if (limiter == NULL)
        return;
    limiter_lock(limiter);
    is_freed = slot->state == FLOW__SLOT_COUNTED;
    if (is_freed)
        limiter->counted--;
    if (slot->state == FLOW__SLOT_SILENT)
        limiter_remove_silent(limiter, slot);
    limiter_unlock(limiter);
    if (is_freed)
        flow_event_signal(&limiter->freed);
    flow__limiter_unref(limiter);
    memset(slot, 0, sizeof(*slot));
}
