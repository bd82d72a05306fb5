/* SPDX-License-Identifier: ISC */
#include <flow/buf.h>

#include "lib/bits.h"
#include "lib/checked.h"

/* See <flow/buf.h>. */
void
flow_buf_hints_init(struct flow_buf_hints *hints)
{
    *hints = (struct flow_buf_hints){ .align = 1, .granularity = 1 };
}

static size_t
buf_greatest_common_divisor(size_t a, size_t b)
{
    size_t rest;

    while (b != 0) {
        rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The smaller limit, where 0 means no limit. */
static size_t
buf_tighter(size_t a, size_t b)
{
    if (a == 0)
        return b;
    if (b == 0)
        return a;
    return flow__min(a, b);
}

/* See <flow/buf.h>. */
enum flow_status
flow_buf_compose(struct flow_buf_hints *below,
                 const struct flow_buf_hints *above)
{
    struct flow_buf_hints sum = *below;
    size_t shared;

    shared =
        buf_greatest_common_divisor(below->granularity, above->granularity);
    if (shared == 0 ||
        !flow__checked_mul(below->granularity / shared, above->granularity,
                           &sum.granularity) ||
        !flow__checked_add(below->headroom, above->headroom, &sum.headroom) ||
        !flow__checked_add(below->tailroom, above->tailroom, &sum.tailroom))
        return FLOW_E_INVAL;

    sum.align = flow__max(below->align, above->align);
    sum.max_contiguous =
        buf_tighter(below->max_contiguous, above->max_contiguous);
    if (above->backing > sum.backing)
        sum.backing = above->backing;
    sum.secret = below->secret || above->secret;
    *below = sum;
    return FLOW_OK;
}

/* See <flow/buf.h>. */
enum flow_status
flow_buf_acquire(const struct flow_buf_policy *policy, size_t min_size,
                 struct flow_buf *ret_buf)
{
    if (min_size == 0)
        return FLOW_E_INVAL;
    return policy->acquire(policy, min_size, ret_buf);
}

/* See <flow/buf.h>. */
void
flow_buf_release(const struct flow_buf_policy *policy, struct flow_buf *buf)
{
    if (buf->base == NULL)
        return;
    policy->release(policy, buf);
    buf->base = NULL;
    buf->len = 0;
}
