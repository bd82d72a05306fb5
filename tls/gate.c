/* SPDX-License-Identifier: ISC */
#include "tls/gate.h"

#include "lib/atomic.h"

/* refs: the listener and everyone inside. */
struct flow__gate {
    const struct flow_env *env;
    uint32_t refs;   /* atomic */
    uint32_t inside; /* atomic */
    uint32_t limit;
    struct flow_event left;
};

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
    flow_env_free(gate->env, gate, sizeof(*gate));
}

/* See tls/gate.h. */
void
flow__gate_enter(struct flow__gate *gate)
{
    (void)flow__add(&gate->refs, 1);
    (void)flow__add(&gate->inside, 1);
}

/* See tls/gate.h. */
void
flow__gate_leave(struct flow__gate *gate)
{
    if (gate == NULL)
        return;
    (void)flow__sub(&gate->inside, 1);
    flow_event_signal(&gate->left);
    flow__gate_unref(gate);
}

/* See tls/gate.h. */
bool
flow__gate_is_open(struct flow__gate *gate, struct flow_wait_sink *sink)
{
    uint32_t sequence = flow_event_sequence(&gate->left);

    if (flow__load(&gate->inside) < gate->limit)
        return true;
    if (sink != NULL)
        flow_wait_add_event(sink, &gate->left, sequence);
    return false;
}
