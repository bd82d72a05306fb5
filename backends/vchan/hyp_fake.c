/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake.h"

#include "backends/vchan/hyp_fake_dir.h"
#include "backends/vchan/hyp_fake_domain.h"

static void
fake_domain_free(struct vchan_hyp *hyp)
{
    struct fake_hyp *h = flow__fake_of(hyp);

    /* Of a region that a peer keeps mapped, free the object and keep the
     * pages. */
    while (h->regions != NULL)
        flow__fake_region_free(h, h->regions);
    /* The entries of the member belong to the process that opened it. */
    if (flow__vchan_hyp_is_inherited(hyp))
        flow__fake_dir_drop(&h->dir);
    else
        flow__fake_dir_leave(&h->dir);
    pthread_mutex_destroy(&h->lock);
    flow_env_free(hyp->env, h, sizeof(*h));
}

enum flow_status
flow__vchan_fake_open(const struct flow_env *env, const char *path,
                      uint16_t domid, unsigned flags,
                      struct vchan_hyp **ret_hyp, struct flow_error *err)
{
    struct fake_hyp *h = flow_env_alloc(env, sizeof(*h));
    enum flow_status st;

    if (h == NULL)
        return flow__fake_fail(err, FLOW_E_NOMEM, 0, "no memory");
    if (flags & VCHAN_FAKE_MAKE)
        st = flow__fake_dir_make(&h->dir, path,
                                 (flags & VCHAN_FAKE_SILENT) != 0, err);
    else
        st = flow__fake_dir_name(&h->dir, path, err);
    if (st != FLOW_OK) {
        flow_env_free(env, h, sizeof(*h));
        return st;
    }
    flow__vchan_hyp_init(&h->base, env);
    h->base.grants = &flow__fake_grants;
    h->base.events = &flow__fake_events;
    h->base.store = &flow__fake_store;
    h->base.free = fake_domain_free;
    h->base.scheme = "vchan+fake";
    h->base.descriptors = true;
    h->base.domid = domid;
    pthread_mutex_init(&h->lock, NULL);
    *ret_hyp = &h->base;
    return FLOW_OK;
}
