/* SPDX-License-Identifier: ISC */
#include "backends/vchan/vchan.h"

enum flow_status
flow__vchan_connect_on(struct vchan_hyp *hyp, uint32_t domid, const char *path,
                       const struct flow_vchan_options *opt,
                       struct flow **ret_flow, struct flow_error *err)
{
    static const struct flow_vchan_options defaults;
    char base[VCHAN_BASE_MAX];
    struct vchan *v;
    enum flow_status st;

    if (opt == NULL)
        opt = &defaults;
    st = flow__vchan_check_peer(hyp, domid, opt, err);
    if (st == FLOW_OK &&
        !flow__vchan_path((uint16_t)domid, hyp->domid, path, base)) {
        st = flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                            "not a name, and not a path below the server's "
                            "own");
        flow_error_set_detail(err, path);
    }
    if (st == FLOW_OK)
        st = flow__vchan_new(hyp->env, opt, NULL, hyp, (uint16_t)domid, base,
                             &v, err);
    if (st != FLOW_OK) {
        flow__vchan_hyp_unref(hyp);
        return st;
    }
    *ret_flow = &v->base;
    return FLOW_OK;
}

/* See <flow/vchan.h>. */
enum flow_status
flow_vchan_connect(const struct flow_env *env, uint32_t domid, const char *path,
                   const struct flow_vchan_options *opt, struct flow **ret_flow,
                   struct flow_error *ret_err)
{
    struct vchan_hyp *hyp;
    enum flow_status st;

    if (env == NULL)
        env = flow_env_default();
    st = flow__vchan_xen_open(env, &hyp, ret_err);
    if (st != FLOW_OK)
        return st;
    return flow__vchan_connect_on(hyp, domid, path, opt, ret_flow, ret_err);
}
