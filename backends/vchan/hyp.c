/* SPDX-License-Identifier: ISC */
#include <flow/port.h>

#include "backends/vchan/atomic.h"
#include "backends/vchan/hyp.h"

/* A region whose peer still maps it. */
struct vchan_pin {
    struct vchan_pin *next;
    struct vchan_region *region;
};

void
flow__vchan_hyp_init(struct vchan_hyp *hyp, const struct flow_env *env)
{
    hyp->env = env;
    hyp->process = flow_process();
    hyp->refs = 1;
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
                       "a vchan is used by the process that made it alone");
        if (err != NULL)
            err->hint = "close it in the process that was forked";
        return FLOW_E_INVAL;
    }
    if (flow__vchan_hyp_is_lost(hyp))
        return flow_error_set(err, FLOW_E_RESET, "vchan", FLOW_DOMAIN_NONE, 0,
                              "this domain was suspended or migrated, and its "
                              "channels are gone");
    return FLOW_OK;
}

static struct vchan_pin *
pins_take(struct vchan_hyp *hyp)
{
    return __atomic_exchange_n(&hyp->pins, NULL, __ATOMIC_ACQ_REL);
}

static void
pins_add(struct vchan_hyp *hyp, struct vchan_pin *pin)
{
    struct vchan_pin *head = __atomic_load_n(&hyp->pins, __ATOMIC_RELAXED);

    do
        pin->next = head;
    while (!__atomic_compare_exchange_n(&hyp->pins, &head, pin, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

void
flow__vchan_hyp_unref(struct vchan_hyp *hyp)
{
    struct vchan_pin *pin;
    struct vchan_pin *next;

    if (hyp == NULL || atomic_fetch_sub(&hyp->refs, 1) > 1)
        return;

    /* What the peer still maps is left to the hypervisor with the domain. */
    flow__vchan_hyp_reap(hyp);
    for (pin = pins_take(hyp); pin != NULL; pin = next) {
        next = pin->next;
        flow_env_free(hyp->env, pin, sizeof(*pin));
    }
    hyp->free(hyp);
}

void
flow__vchan_hyp_retire(struct vchan_hyp *hyp, struct vchan_region *region)
{
    struct vchan_pin *pin;
    uint32_t count;

    if (region == NULL)
        return;
    count = region->count;
    if (hyp->grants->unshare(hyp, region) != FLOW_E_BUSY)
        return;

    __atomic_add_fetch(&hyp->pinned, count, __ATOMIC_RELAXED);
    pin = flow_env_alloc(hyp->env, sizeof(*pin));
    if (pin == NULL)
        return; /* counted and kept for good, only never tried again */
    pin->region = region;
    pins_add(hyp, pin);
}

uint32_t
flow__vchan_hyp_reap(struct vchan_hyp *hyp)
{
    struct vchan_pin *pin = pins_take(hyp);

    while (pin != NULL) {
        struct vchan_pin *next = pin->next;
        uint32_t count = pin->region->count;

        if (hyp->grants->unshare(hyp, pin->region) == FLOW_E_BUSY) {
            pins_add(hyp, pin);
        } else {
            __atomic_sub_fetch(&hyp->pinned, count, __ATOMIC_RELAXED);
            flow_env_free(hyp->env, pin, sizeof(*pin));
        }
        pin = next;
    }
    return __atomic_load_n(&hyp->pinned, __ATOMIC_RELAXED);
}
