/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp.h"

#include "backends/vchan/atomic.h"
#include "backends/vchan/pins.h"

void
flow__vchan_hyp_init(struct vchan_hyp *hyp, const struct flow_env *env)
{
    hyp->env = env;
    hyp->process = flow_process();
    hyp->refs = 1;
    flow_lock_init(&hyp->pins_lock);
}

struct vchan_hyp *
flow__vchan_hyp_ref(struct vchan_hyp *hyp)
{
    atomic_fetch_add(&hyp->refs, 1);
    return hyp;
}

bool
flow__vchan_hyp_try_ref(struct vchan_hyp *hyp)
{
    uint32_t refs = atomic_load(&hyp->refs);

    while (refs > 0)
        if (atomic_compare_exchange_strong(&hyp->refs, &refs, refs + 1))
            return true;
    return false;
}

void
flow__vchan_hyp_lost(struct vchan_hyp *hyp)
{
    atomic_store(&hyp->lost, 1);
}

bool
flow__vchan_hyp_is_lost(const struct vchan_hyp *hyp)
{
    return load_acquire(&hyp->lost) != 0;
}

bool
flow__vchan_hyp_is_inherited(const struct vchan_hyp *hyp)
{
    return hyp->process != flow_process();
}

enum flow_status
flow__vchan_hyp_check(const struct vchan_hyp *hyp, struct flow_error *err)
{
    if (flow__vchan_hyp_is_inherited(hyp)) {
        flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                       "only the process that made a vchan can use it");
        if (err != NULL)
            err->hint = "close it in the process that was forked";
        return FLOW_E_INVAL;
    }
    if (flow__vchan_hyp_is_lost(hyp))
        return flow_error_set(
            err, FLOW_E_RESET, "vchan", FLOW_DOMAIN_NONE, 0,
            "this domain was suspended or migrated: its event "
            "channels are lost");
    return FLOW_OK;
}

void
flow__vchan_hyp_unref(struct vchan_hyp *hyp)
{
    if (hyp == NULL || atomic_fetch_sub(&hyp->refs, 1) > 1)
        return;
    flow__vchan_pins_end(hyp);
    flow_lock_fini(&hyp->pins_lock);
    hyp->free(hyp);
}
