/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_PROTO_H
#define FLOW_VCHAN_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The layout of the shared pages of a vchan, which both domains agree on.
 * The names left and right are the protocol's (xen/io/libxenvchan.h): the
 * client writes left and reads right, the server the other way round.
 */

#define VCHAN_PAGE_SIZE 4096u

#define VCHAN_ORDER_MIN 10u
#define VCHAN_ORDER_MAX 20u

/* Rings of orders 10 and 11 are in the control page; larger ones have
 * 2^(order-12) pages of their own. */
#define VCHAN_ORDER_SMALL 10u
#define VCHAN_ORDER_HALF  11u
#define VCHAN_ORDER_PAGE  12u

#define VCHAN_PAGES_MAX (2u << (VCHAN_ORDER_MAX - VCHAN_ORDER_PAGE))

/* Values of the live bytes. */
#define VCHAN_LIVE_GONE  0u
#define VCHAN_LIVE_HERE  1u
#define VCHAN_LIVE_NEVER 2u /* cli_live only: no client has attached yet */

/* Bits of the notify bytes: send an event after a write, or after a read.
 * Spelt as in Xen's header, since tests include both. */
#define VCHAN_NOTIFY_WRITE 0x1
#define VCHAN_NOTIFY_READ  0x2

/* Grant references 0 to 7 belong to the toolstack. */
#define VCHAN_REF_MIN 8u

struct vchan_index {
    uint32_t cons;
    uint32_t prod;
};

struct vchan_page {
    struct vchan_index left;
    struct vchan_index right;
    uint16_t left_order;
    uint16_t right_order;
    uint8_t cli_live;
    uint8_t srv_live;
    uint8_t cli_notify; /* set by the server, cleared by the client */
    uint8_t srv_notify; /* set by the client, cleared by the server */
    uint32_t grants[(VCHAN_PAGE_SIZE - 24) / 4];
};

_Static_assert(sizeof(struct vchan_index) == 8, "index pair is 8 bytes");
_Static_assert(offsetof(struct vchan_index, cons) == 0, "cons first");
_Static_assert(offsetof(struct vchan_index, prod) == 4, "prod second");
_Static_assert(offsetof(struct vchan_page, left) == 0, "left @0");
_Static_assert(offsetof(struct vchan_page, right) == 8, "right @8");
_Static_assert(offsetof(struct vchan_page, left_order) == 16, "order @16");
_Static_assert(offsetof(struct vchan_page, right_order) == 18, "order @18");
_Static_assert(offsetof(struct vchan_page, cli_live) == 20, "cli_live @20");
_Static_assert(offsetof(struct vchan_page, srv_live) == 21, "srv_live @21");
_Static_assert(offsetof(struct vchan_page, cli_notify) == 22, "cli_notify @22");
_Static_assert(offsetof(struct vchan_page, srv_notify) == 23, "srv_notify @23");
_Static_assert(offsetof(struct vchan_page, grants) == 24, "grants @24");
_Static_assert(sizeof(struct vchan_page) == VCHAN_PAGE_SIZE, "one page");
_Static_assert(VCHAN_PAGES_MAX == 512, "two rings of 256 pages");

/* Violations of the protocol by the peer; the causes of FLOW_E_PROTO. */
enum vchan_fault {
    VCHAN_FAULT_NONE,
    VCHAN_FAULT_ORDER,      /* ring orders out of range or colliding */
    VCHAN_FAULT_GRANTS,     /* grant list overlaps a ring, reserved or twice */
    VCHAN_FAULT_INDEX,      /* filled > size when attaching */
    VCHAN_FAULT_PROD_RANGE, /* producer more than a ring ahead of us */
    VCHAN_FAULT_PROD_BACK,  /* producer below the one we accepted */
    VCHAN_FAULT_CONS_RANGE, /* consumer more than a ring below our producer */
    VCHAN_FAULT_CONS_BACK,  /* consumer below the one we accepted */
    VCHAN_FAULT_LIVE_VALUE, /* live byte with an unknown value */
    VCHAN_FAULT_LIVE_BACK,  /* live byte went back: 0 to 1, or 1 to 2 */
};

/* The text of a fault, for error records; static. */
const char *flow__vchan_fault_text(enum vchan_fault fault);

/* The two ring orders of a connection; fixed once the page is published. */
struct vchan_orders {
    unsigned left;
    unsigned right;
};

static inline uint32_t
flow__vchan_order_size(unsigned order)
{
    return (uint32_t)1 << order;
}

/* Pages a ring of this order needs outside the control page. */
static inline uint32_t
flow__vchan_order_pages(unsigned order)
{
    return order < VCHAN_ORDER_PAGE ? 0
                                    : (uint32_t)1 << (order - VCHAN_ORDER_PAGE);
}

/* Where in the control page a ring of order 10 or 11 starts: at its size. */
static inline uint32_t
flow__vchan_order_offset(unsigned order)
{
    return flow__vchan_order_size(order);
}

/*
 * Picks orders for rings of at least these many bytes, as the reference
 * does; false when one of them exceeds 1 MiB.
 */
bool flow__vchan_orders_choose(uint64_t left_min, uint64_t right_min,
                               struct vchan_orders *ret_orders);

/* Checks orders read from a page: NONE, ORDER or GRANTS (list too long). */
enum vchan_fault flow__vchan_orders_check(struct vchan_orders orders);

/* Checks a private snapshot of the grant list: NONE or GRANTS. */
enum vchan_fault flow__vchan_grants_check(const uint32_t *refs, uint32_t count,
                                          uint32_t control_ref);

#endif
