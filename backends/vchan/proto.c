/* SPDX-License-Identifier: ISC */
#include "backends/vchan/proto.h"

const char *
flow__vchan_fault_text(enum vchan_fault fault)
{
    switch (fault) {
    case VCHAN_FAULT_NONE:
        return "no fault";
    case VCHAN_FAULT_ORDER:
        return "peer published ring orders that are out of range or collide";
    case VCHAN_FAULT_GRANTS:
        return "peer published a bad grant list";
    case VCHAN_FAULT_INDEX:
        return "peer published indexes that overfill a ring";
    case VCHAN_FAULT_PROD_RANGE:
        return "peer moved its producer index beyond the ring";
    case VCHAN_FAULT_PROD_BACK:
        return "peer moved its producer index back";
    case VCHAN_FAULT_CONS_RANGE:
        return "peer moved its consumer index beyond the ring";
    case VCHAN_FAULT_CONS_BACK:
        return "peer moved its consumer index back";
    case VCHAN_FAULT_LIVE_VALUE:
        return "peer stored an unknown value in its live byte";
    case VCHAN_FAULT_LIVE_BACK:
        return "peer set its live byte again on the same pages";
    }
    return "unknown fault";
}

static unsigned
proto_order_ceil(uint64_t bytes)
{
    unsigned order = VCHAN_ORDER_PAGE;

    while (((uint64_t)1 << order) < bytes)
        order++;
    return order;
}

bool
flow__vchan_orders_choose(uint64_t left_min, uint64_t right_min,
                          struct vchan_orders *ret_orders)
{
    const uint64_t max = (uint64_t)1 << VCHAN_ORDER_MAX;
    struct vchan_orders o;

    if (left_min > max || right_min > max)
        return false;

    /* The control page has room for one ring of 1024 and one of 2048. */
    if (left_min <= 1024 && right_min <= 2048) {
        o.left = VCHAN_ORDER_SMALL;
        o.right = VCHAN_ORDER_HALF;
    } else if (left_min <= 2048 && right_min <= 1024) {
        o.left = VCHAN_ORDER_HALF;
        o.right = VCHAN_ORDER_SMALL;
    } else if (left_min <= 2048) {
        o.left = VCHAN_ORDER_HALF;
        o.right = proto_order_ceil(right_min);
    } else if (right_min <= 2048) {
        o.left = proto_order_ceil(left_min);
        o.right = VCHAN_ORDER_HALF;
    } else {
        o.left = proto_order_ceil(left_min);
        o.right = proto_order_ceil(right_min);
    }
    *ret_orders = o;
    return true;
}

static bool
proto_order_ok(unsigned order)
{
    return order >= VCHAN_ORDER_MIN && order <= VCHAN_ORDER_MAX;
}

enum vchan_fault
flow__vchan_orders_check(struct vchan_orders o)
{
    size_t limit = VCHAN_PAGE_SIZE;
    size_t list;

    if (!proto_order_ok(o.left) || !proto_order_ok(o.right))
        return VCHAN_FAULT_ORDER;
    if (o.left == o.right && o.left < VCHAN_ORDER_PAGE)
        return VCHAN_FAULT_ORDER;

    /* The list may not run into the first ring of the page. */
    if (o.left == VCHAN_ORDER_SMALL || o.right == VCHAN_ORDER_SMALL)
        limit = flow__vchan_order_offset(VCHAN_ORDER_SMALL);
    else if (o.left == VCHAN_ORDER_HALF || o.right == VCHAN_ORDER_HALF)
        limit = flow__vchan_order_offset(VCHAN_ORDER_HALF);

    list = (size_t)flow__vchan_order_pages(o.left) +
           flow__vchan_order_pages(o.right);
    if (offsetof(struct vchan_page, grants) + 4 * list > limit)
        return VCHAN_FAULT_GRANTS;
    return VCHAN_FAULT_NONE;
}

enum vchan_fault
flow__vchan_grants_check(const uint32_t *refs, uint32_t count,
                         uint32_t control_ref)
{
    /* At most 512 references: the square is cheaper than a sort's code. */
    for (uint32_t i = 0; i < count; i++) {
        if (refs[i] < VCHAN_REF_MIN || refs[i] == control_ref)
            return VCHAN_FAULT_GRANTS;
        for (uint32_t j = 0; j < i; j++)
            if (refs[i] == refs[j])
                return VCHAN_FAULT_GRANTS;
    }
    return VCHAN_FAULT_NONE;
}
