/* SPDX-License-Identifier: ISC */
#include <flow/prefix.h>

#include "flow/core.h"
#include "flow/stack.h"
#include "lib/atomic.h"

static bool
detach_is_in_use(const struct flow *f)
{
    return flow__load(&f->busy[0]) != 0 || flow__load(&f->busy[1]) != 0 ||
           flow__load(&f->leased[0]) != 0 || flow__load(&f->leased[1]) != 0 ||
           flow__load(&f->opening) == FLOW__OPENING_INSIDE;
}

/* See <flow/flow.h>. */
enum flow_status
flow_detach(struct flow *f, struct flow **ret_lower)
{
    struct flow *lower = f->lower;
    const void *ahead = NULL;
    struct flow *front;
    enum flow_status st;
    size_t len = 0;

    if (lower == NULL || f->ops->detach == NULL ||
        (f->caps & FLOW_CAP_DETACH) == 0)
        return FLOW_E_NOTSUP;
    if (detach_is_in_use(f))
        return FLOW_E_BUSY;
    st = f->ops->detach(f, &ahead, &len);
    if (st != FLOW_OK)
        return st;
    front = lower;
    if (len > 0) {
        st = flow_prefix_wrap(lower, ahead, len, &front);
        if (st != FLOW_OK)
            return st;
        /* If f owned the lower flow, the prefix filter owns it now. */
        front->owns_lower = f->owns_lower;
    }
    /* Nothing can fail any more: close the upper flow, keep the lower one. */
    flow__leave_lower(f);
    flow_close(f);
    *ret_lower = front;
    return FLOW_OK;
}
