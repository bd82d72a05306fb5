/* SPDX-License-Identifier: ISC */
#include "tls/gate.h"

#include <string.h>

#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * Invariants, under lock: placed is the number of passes in state PLACED,
 * silent_count that of the list silent, which has the one that has been silent
 * for longest first.  A pass is in the list while its state is SILENT.
 *
 * Order of locks: those of a TLS flow, this one, the wait lock.  A flow cannot
 * be released while the lock is held and its pass is in the list.
 */
struct flow__gate {
    const struct flow_env *env;
    struct flow_lock lock;
    uint32_t refs; /* atomic: the listener, and every pass */
    uint32_t placed;
    uint32_t limit;
    uint32_t silent_count;
    struct flow__link silent;
    struct flow_event left; /* a place came free */
};

static void
gate_lock(struct flow__gate *gate)
{
    flow_fork_block();
    flow_lock_acquire(&gate->lock);
}

static void
gate_unlock(struct flow__gate *gate)
{
    flow_lock_release(&gate->lock);
    flow_fork_unblock();
}

/* See tls/gate.h. */
enum flow_status
flow__gate_new(const struct flow_env *env, uint32_t limit,
               struct flow__gate **ret_gate)
{
    struct flow__gate *gate = flow_env_alloc(env, sizeof(*gate));

    if (gate == NULL)
        return FLOW_E_NOMEM;
    gate->env = env;
    gate->refs = 1;
    gate->limit = limit;
    flow_lock_init(&gate->lock);
    flow__list_init(&gate->silent);
    flow_event_init(&gate->left);
    *ret_gate = gate;
    return FLOW_OK;
}

/* See tls/gate.h. */
void
flow__gate_unref(struct flow__gate *gate)
{
    if (flow__sub(&gate->refs, 1) != 1)
        return;
    flow_event_fini(&gate->left);
    flow_lock_fini(&gate->lock);
    flow_env_free(gate->env, gate, sizeof(*gate));
}

/* See tls/gate.h. */
bool
flow__gate_is_open(struct flow__gate *gate, struct flow_wait_set *set)
{
    uint32_t sequence = flow_event_sequence(&gate->left);
    bool is_open;

    gate_lock(gate);
    is_open = gate->placed < gate->limit;
    gate_unlock(gate);
    if (!is_open && set != NULL)
        flow_wait_add_event(set, &gate->left, sequence);
    return is_open;
}

/* See tls/gate.h. */
void
flow__gate_enter(struct flow__gate *gate, struct flow__pass *pass,
                 struct flow *flow)
{
    (void)flow__add(&gate->refs, 1);
    pass->gate = gate;
    pass->flow = flow;
    flow__list_init(&pass->link);
    gate_lock(gate);
    flow__store(&pass->state, FLOW__PASS_PLACED);
    gate->placed++;
    gate_unlock(gate);
}

/* Under the lock. */
static void
gate_leave_silence(struct flow__gate *gate, struct flow__pass *pass)
{
    flow__list_remove(&pass->link);
    gate->silent_count--;
}

/* Under the lock, which is also what keeps the flow from being released. */
static void
gate_drop_oldest(struct flow__gate *gate)
{
    struct flow__pass *oldest =
        flow__container(gate->silent.next, struct flow__pass, link);

    gate_leave_silence(gate, oldest);
    flow__store(&oldest->state, FLOW__PASS_DROPPED);
    flow_wake(oldest->flow, (uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE);
}

static void
gate_fall_silent(struct flow__gate *gate, struct flow__pass *pass)
{
    gate->placed--;
    flow__store(&pass->state, FLOW__PASS_SILENT);
    flow__list_append(&gate->silent, &pass->link);
    gate->silent_count++;
    if (gate->silent_count > gate->limit)
        gate_drop_oldest(gate);
}

/* See tls/gate.h. */
void
flow__gate_hear(struct flow__pass *pass, bool said_something)
{
    struct flow__gate *gate = pass->gate;
    bool left = false;

    if (gate == NULL)
        return;
    gate_lock(gate);
    if (!said_something && pass->state == FLOW__PASS_PLACED) {
        gate_fall_silent(gate, pass);
        left = true;
    } else if (said_something && pass->state == FLOW__PASS_SILENT) {
        gate_leave_silence(gate, pass);
        flow__store(&pass->state, FLOW__PASS_PLACED);
        gate->placed++;
    }
    gate_unlock(gate);
    if (left)
        flow_event_signal(&gate->left);
}

/* See tls/gate.h. */
bool
flow__gate_has_dropped(struct flow__pass *pass)
{
    return pass->gate != NULL && flow__load(&pass->state) == FLOW__PASS_DROPPED;
}

/* See tls/gate.h. */
void
flow__gate_leave(struct flow__pass *pass)
{
    struct flow__gate *gate = pass->gate;
    bool left;

    if (gate == NULL)
        return;
    gate_lock(gate);
    left = pass->state == FLOW__PASS_PLACED;
    if (left)
        gate->placed--;
    if (pass->state == FLOW__PASS_SILENT)
        gate_leave_silence(gate, pass);
    gate_unlock(gate);
    if (left)
        flow_event_signal(&gate->left);
    flow__gate_unref(gate);
    memset(pass, 0, sizeof(*pass));
}
