/* SPDX-License-Identifier: ISC */
#include "backends/vchan/vchan.h"

/* Stands in for hyp_linux.c in a build without the Xen libraries. */
enum flow_status
flow__vchan_xen_open(const struct flow_env *env, struct vchan_hyp **ret_hyp,
                     struct flow_error *err)
{
    (void)env;
    (void)ret_hyp;
    flow_error_set(err, FLOW_E_NOTSUP, "vchan", FLOW_DOMAIN_NONE, 0,
                   "libflow was built without the Xen libraries");
    if (err != NULL)
        err->hint = "install libxen-dev and build with -Dxen=enabled";
    return FLOW_E_NOTSUP;
}
