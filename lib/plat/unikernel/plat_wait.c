/* SPDX-License-Identifier: ISC */
#include "lib/event.h"
#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"
#include "lib/plat/unikernel/sleeper.h"

/*
 * How the only thread sleeps: it arms a node at every event, and lets the
 * machine idle unless an event was signalled since the caller looked.
 *
 * A signal after that calls the waker, which sets a word that the machine looks
 * at with interrupts masked: so none is lost.
 */

/* Arms a node for each event of the set; false if one was signalled. */
static bool
wait_arm_locked(const struct flow_wait_set *set, struct flow__sleeper *sleeper,
                struct flow_event_node *nodes)
{
    bool unchanged = true;
    size_t i;

    for (i = 0; i < set->count; i++)
        if (!flow__event_arm_locked(set->source[i].event, &nodes[i],
                                    &sleeper->base, set->source[i].sequence))
            unchanged = false;
    return unchanged;
}

enum flow_status
flow__machine_wait(void *ctx, struct flow_wait_set *set, uint64_t deadline)
{
    struct flow_event_node nodes[FLOW_WAIT_SOURCES];
    struct flow__sleeper sleeper;
    bool unchanged;
    size_t i;

    (void)ctx;
    for (i = 0; i < set->count; i++)
        if (set->source[i].kind != FLOW_WAIT_EVENT)
            return FLOW_E_NOTSUP;
    flow__sleeper_init(&sleeper);
    flow__wait_lock();
    unchanged = wait_arm_locked(set, &sleeper, nodes);
    flow__wait_unlock();
    if (unchanged)
        flow__sleeper_sleep(&sleeper,
                            flow_deadline_min(deadline, set->deadline));
    flow__wait_lock();
    for (i = 0; i < set->count; i++)
        flow__event_disarm_locked(&nodes[i]);
    flow__wait_unlock();
    return FLOW_OK;
}
