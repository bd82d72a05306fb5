/* SPDX-License-Identifier: ISC */
#include "lib/event.h"
#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * A count, and a list of sleepers.
 *
 * Why a wake cannot be lost: a signal counts first and then looks for sleepers;
 * a sleeper enters the list first and then looks at the count.  Both are
 * sequentially consistent, so at least one of the two sees the other.
 *
 * Invariants: a node is in the list of at most one event, and link is NULL iff
 * it is in none.  A waker is called while its node is in the list, under the
 * wait lock, so it is alive; it must not take a lock or wait.
 *
 * Locks: the list is changed and walked under the wait lock, the innermost of
 * the library.  The functions named _locked are called under it.  A signal of
 * an event without sleepers takes no lock.
 */

/* See <flow/wait.h>. */
void
flow_event_init(struct flow_event *ev)
{
    ev->sequence = 0;
    ev->head = NULL;
}

/* See <flow/wait.h>. */
uint32_t
flow_event_sequence(const struct flow_event *ev)
{
    return flow__load(&ev->sequence);
}

static void
event_wake_sleepers(struct flow_event *ev)
{
    struct flow_event_node *node;

    for (node = flow__load(&ev->head); node != NULL; node = node->next)
        node->waker->wake(node->waker);
}

void
flow__event_signal_locked(struct flow_event *ev)
{
    flow__add(&ev->sequence, 1);
    event_wake_sleepers(ev);
}

/* See <flow/wait.h>. */
void
flow_event_signal(struct flow_event *ev)
{
    flow__add(&ev->sequence, 1);
    if (flow__load(&ev->head) == NULL)
        return;
    flow__wait_lock();
    event_wake_sleepers(ev);
    flow__wait_unlock();
}

bool
flow__event_arm_locked(struct flow_event *ev, struct flow_event_node *node,
                       struct flow_waker *waker, uint32_t sequence)
{
    node->waker = waker;
    node->next = ev->head;
    if (node->next != NULL)
        node->next->link = &node->next;
    node->link = &ev->head;
    flow__store(&ev->head, node);
    return flow__load(&ev->sequence) == sequence;
}

/* See <flow/wait.h>. */
bool
flow_event_arm(struct flow_event *ev, struct flow_event_node *node,
               struct flow_waker *waker, uint32_t sequence)
{
    bool unchanged;

    flow__wait_lock();
    unchanged = flow__event_arm_locked(ev, node, waker, sequence);
    flow__wait_unlock();
    return unchanged;
}

static void
event_unlink_node(struct flow_event_node *node)
{
    if (node->next != NULL)
        node->next->link = node->link;
    flow__store(node->link, node->next);
    node->next = NULL;
    node->link = NULL;
}

void
flow__event_disarm_locked(struct flow_event_node *node)
{
    if (node->link != NULL)
        event_unlink_node(node);
}

/* See <flow/wait.h>. */
void
flow_event_disarm(struct flow_event_node *node)
{
    flow__wait_lock();
    flow__event_disarm_locked(node);
    flow__wait_unlock();
}

/* See <flow/wait.h>. */
void
flow_event_fini(struct flow_event *ev)
{
    flow__wait_lock();
    flow__event_signal_locked(ev);
    while (ev->head != NULL)
        event_unlink_node(ev->head);
    flow__wait_unlock();
}
