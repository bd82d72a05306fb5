/* SPDX-License-Identifier: ISC */
#include "backends/vchan/ring.h"
#include "backends/vchan/shm.h"

/*
 * The reading end of a ring (ring.h has the rules).
 *
 * - cons is ours: it is stored to the page after the bytes were copied out, and
 *   loaded from there only to attach.
 * - prod is the last producer index that passed the check; cons + size bounds
 *   it, so no copy leaves the ring.
 * - A peer that is gone does not write: the load of the producer after the live
 *   byte was GONE is the last one.
 */

bool
flow__vchan_rx_attach(struct vchan_rx *rx)
{
    rx->cons = flow__shm_load32(rx->shr_cons);
    rx->prod = flow__shm_load32(rx->shr_prod);
    if (rx->prod - rx->cons > rx->size)
        rx->fault = VCHAN_FAULT_INDEX;
    return rx->fault == VCHAN_FAULT_NONE;
}

/* Loads the producer once, and checks and stores it. */
static void
rx_load_prod(struct vchan_rx *rx)
{
    uint32_t now = flow__shm_load32(rx->shr_prod);
    uint32_t filled = now - rx->cons;

    if (filled > rx->size)
        rx->fault = VCHAN_FAULT_PROD_RANGE;
    else if (filled < rx->prod - rx->cons)
        rx->fault = VCHAN_FAULT_PROD_BACK;
    else
        rx->prod = now;
}

bool
flow__vchan_rx_is_last(struct vchan_rx *rx, uint32_t *ret_avail)
{
    if (!rx->last &&
        flow__vchan_live_look(&rx->live, &rx->fault) == VCHAN_LIVE_GONE &&
        rx->fault == VCHAN_FAULT_NONE) {
        rx_load_prod(rx);
        rx->last = true;
    }
    *ret_avail = rx->prod - rx->cons;
    return rx->last && rx->fault == VCHAN_FAULT_NONE;
}

enum flow_status
flow__vchan_rx_look(struct vchan_rx *rx, uint32_t *ret_avail)
{
    *ret_avail = 0;
    if (rx->fault == VCHAN_FAULT_NONE && !rx->last)
        rx_load_prod(rx);

    /*
     * The peer may have written and left since the load above.  If it is gone,
     * the producer is loaded once more, and only a ring that is still empty is
     * the end of the stream.
     */
    if (rx->fault == VCHAN_FAULT_NONE && !rx->last && rx->prod == rx->cons &&
        flow__vchan_live_look(&rx->live, &rx->fault) == VCHAN_LIVE_GONE &&
        rx->fault == VCHAN_FAULT_NONE) {
        rx_load_prod(rx);
        rx->last = true;
    }

    if (rx->fault != VCHAN_FAULT_NONE)
        return FLOW_E_PROTO;
    *ret_avail = rx->prod - rx->cons;
    if (*ret_avail > 0)
        return FLOW_OK;
    return rx->last ? FLOW_EOF : FLOW_AGAIN;
}

void
flow__vchan_rx_spans(const struct vchan_rx *rx, uint32_t len,
                     struct vchan_span span[2])
{
    uint32_t at = rx->cons & (rx->size - 1);
    uint32_t first = rx->size - at < len ? rx->size - at : len;

    span[0].base = (uint8_t *)rx->data + at;
    span[0].len = first;
    span[1].base = (uint8_t *)rx->data;
    span[1].len = len - first;
}

void
flow__vchan_rx_get(const struct vchan_rx *rx, uint32_t off, void *dst,
                   uint32_t len)
{
    uint32_t at = (rx->cons + off) & (rx->size - 1);
    uint32_t first = rx->size - at < len ? rx->size - at : len;

    if (len == 0)
        return;
    flow__shm_get(dst, rx->data + at, first);
    if (len > first)
        flow__shm_get((uint8_t *)dst + first, rx->data, len - first);
}

void
flow__vchan_rx_take(struct vchan_rx *rx, uint32_t len)
{
    rx->cons += len;
    flow__shm_store32(rx->shr_cons, rx->cons);
}

bool
flow__vchan_rx_report(const struct vchan_rx *rx)
{
    return flow__vchan_requested(&rx->notify, VCHAN_NOTIFY_READ);
}

enum flow_status
flow__vchan_rx_arm(struct vchan_rx *rx, uint32_t *ret_avail)
{
    flow__vchan_request(&rx->notify, VCHAN_NOTIFY_WRITE);
    return flow__vchan_rx_look(rx, ret_avail);
}
