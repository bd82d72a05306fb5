/* SPDX-License-Identifier: ISC */
#include "backends/vchan/atomic.h"
#include "backends/vchan/vchan.h"

/*
 * A look at a ring: what can be read or written now, or why nothing can.
 *
 * - The thread that owns a direction looks at its ring; the other direction's
 *   thread may look at the other ring meanwhile.
 * - `fault` and `gone` are set once and stay.  Either ends both directions:
 * each look reads them first.
 * - Only an index that the peer moved is a sign that it lives.  What it wrote
 *   before it disappeared can be read for long after, and a large ring be
 *   written to.
 *
 * There is no lock.
 */

/* Events that each index is worth which the peer has moved.  A peer that keeps
 * the protocol sends one for each direction, and each may arrive when its bytes
 * have been read already. */
#define LOOK_CREDIT 4u

/* Both directions fail, since the peer is at fault.  Each records the error in
 * its own thread: an error record belongs to its direction. */
void
flow__vchan_spread_fault(struct vchan *v, enum vchan_fault fault)
{
    uint8_t none = VCHAN_FAULT_NONE;

    if (!atomic_compare_exchange_strong(&v->fault, &none, (uint8_t)fault))
        return;
    flow__vchan_conn_disconnect(&v->conn);
    flow_wake(&v->base, FLOW_READ | FLOW_WRITE);
}

static bool
look_is_gone(const struct vchan *v)
{
    return load_acquire(&v->gone) != 0;
}

void
flow__vchan_progress(struct vchan *v, enum flow_dir dir)
{
    uint32_t *heard = &v->heard[dir == FLOW_READ ? 0 : 1];
    uint32_t index = dir == FLOW_READ ? v->rx.prod : v->tx.cons;
    uint32_t unpaid = load_relaxed(&v->unpaid_events);

    if (index == *heard)
        return;
    *heard = index;
    if (unpaid > 0)
        atomic_compare_exchange_strong(
            &v->unpaid_events, &unpaid,
            unpaid > LOOK_CREDIT ? unpaid - LOOK_CREDIT : 0);
    if (load_relaxed(&v->check_at) != 0)
        store_relaxed(&v->check_at, 0);
}

/* A look that found fewer bytes than the caller wants is AGAIN, except at the
 * end of the stream (C54). */
static enum flow_status
look_enough(struct vchan_rx *rx, size_t want, enum flow_status st,
            uint32_t *ret_avail)
{
    if (st != FLOW_OK || *ret_avail >= want ||
        flow__vchan_rx_is_last(rx, ret_avail))
        return st;
    return rx->fault != VCHAN_FAULT_NONE ? FLOW_E_PROTO : FLOW_AGAIN;
}

/* What either direction looks at before its ring: FLOW_OK, or why there is
 * nothing to look at.  live is that of the direction. */
static enum flow_status
look_begin(struct vchan *v, struct vchan_live *live)
{
    enum flow_status st = flow__vchan_hyp_check(v->conn.hyp, NULL);

    if (st != FLOW_OK)
        return st;
    if (load_acquire(&v->fault) != VCHAN_FAULT_NONE)
        return FLOW_E_PROTO;
    if (look_is_gone(v))
        live->seen = VCHAN_LIVE_GONE;
    return FLOW_OK;
}

enum flow_status
flow__vchan_look_rx(struct vchan *v, size_t want, bool arm, uint32_t *ret_avail)
{
    uint32_t before = v->rx.prod;
    enum flow_status st;

    *ret_avail = 0;
    if ((st = look_begin(v, &v->rx.live)) != FLOW_OK)
        return st;
    st = look_enough(&v->rx, want, flow__vchan_rx_look(&v->rx, ret_avail),
                     ret_avail);
    if (st == FLOW_AGAIN && arm)
        st = look_enough(&v->rx, want, flow__vchan_rx_arm(&v->rx, ret_avail),
                         ret_avail);
    if (st == FLOW_E_PROTO)
        flow__vchan_spread_fault(v, v->rx.fault);
    else if (st == FLOW_AGAIN && v->rx.prod != before)
        flow__vchan_progress(v, FLOW_READ);
    return st;
}

/* The same for room: AGAIN if it is less than the caller wants. */
static enum flow_status
look_roomy(size_t want, enum flow_status st, const uint32_t *room)
{
    return st == FLOW_OK && *room < want ? FLOW_AGAIN : st;
}

enum flow_status
flow__vchan_look_tx(struct vchan *v, size_t want, bool arm, uint32_t *ret_room)
{
    uint32_t before = v->tx.cons;
    enum flow_status st;

    *ret_room = 0;
    if ((st = look_begin(v, &v->tx.live)) != FLOW_OK)
        return st;
    st = look_roomy(want, flow__vchan_tx_look(&v->tx, ret_room), ret_room);
    if (st == FLOW_AGAIN && arm)
        st = look_roomy(want, flow__vchan_tx_arm(&v->tx, ret_room), ret_room);
    if (st == FLOW_E_PROTO)
        flow__vchan_spread_fault(v, v->tx.fault);
    else if (st == FLOW_AGAIN && v->tx.cons != before)
        flow__vchan_progress(v, FLOW_WRITE);
    return st;
}
