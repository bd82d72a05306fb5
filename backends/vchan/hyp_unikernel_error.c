/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <xen/errno.h>

enum flow_status
flow__unikernel_fail(struct flow_error *err, int64_t code, const char *text,
                     const char *hint)
{
    enum flow_status st =
        code == -XEN_ENOMEM || code == -XEN_ENOSPC ? FLOW_E_NOMEM : FLOW_E_SYS;

    flow_error_set(err, st, "vchan", FLOW_DOMAIN_XEN, (int32_t)-code, text);
    if (err != NULL)
        err->hint = hint;
    return st;
}
