/* SPDX-License-Identifier: ISC */
#include "backends/vchan/ring.h"
#include "backends/vchan/shm.h"

/*
 * The writing end of a ring (ring.h has the rules).
 *
 * - prod is ours: it is stored to the page after the bytes that it covers, and
 *   loaded from there only to attach.
 * - cons is the last consumer index that passed the check; prod - cons is at
 *   most the size, so unread bytes are never overwritten.
 * - A peer that is gone reads nothing: its live byte is loaded before the
 * index.
 */

bool
flow__vchan_tx_attach(struct vchan_tx *tx)
{
    tx->prod = flow__shm_load32(tx->shr_prod);
    tx->cons = flow__shm_load32(tx->shr_cons);
    if (tx->prod - tx->cons > tx->size)
        tx->fault = VCHAN_FAULT_INDEX;
    return tx->fault == VCHAN_FAULT_NONE;
}

/* Loads the consumer once, and checks and stores it. */
static void
tx_load_cons(struct vchan_tx *tx)
{
    uint32_t now = flow__shm_load32(tx->shr_cons);
    uint32_t used = tx->prod - now;

    if (used > tx->size)
        tx->fault = VCHAN_FAULT_CONS_RANGE;
    else if (used > tx->prod - tx->cons)
        tx->fault = VCHAN_FAULT_CONS_BACK;
    else
        tx->cons = now;
}

enum flow_status
flow__vchan_tx_look(struct vchan_tx *tx, uint32_t *ret_room)
{
    uint8_t live;

    *ret_room = 0;
    if (tx->fault != VCHAN_FAULT_NONE)
        return FLOW_E_PROTO;

    /* A peer that is gone reads nothing, even if the ring has room. */
    live = flow__vchan_live_look(&tx->live, &tx->fault);
    if (live != VCHAN_LIVE_GONE)
        tx_load_cons(tx);

    if (tx->fault != VCHAN_FAULT_NONE)
        return FLOW_E_PROTO;
    if (live == VCHAN_LIVE_GONE)
        return FLOW_E_CLOSED;
    *ret_room = tx->size - (tx->prod - tx->cons);
    return *ret_room > 0 ? FLOW_OK : FLOW_AGAIN;
}

void
flow__vchan_tx_spans(struct vchan_tx *tx, uint32_t len,
                     struct vchan_span span[2])
{
    uint32_t at = tx->prod & (tx->size - 1);
    uint32_t first = tx->size - at < len ? tx->size - at : len;

    span[0].base = tx->data + at;
    span[0].len = first;
    span[1].base = tx->data;
    span[1].len = len - first;
}

static void
tx_store(const struct vchan_tx *tx, uint32_t at, const void *src, uint32_t len)
{
    if (tx->bypass)
        flow__shm_put_past_caches(tx->data + at, src, len);
    else
        flow__shm_put(tx->data + at, src, len);
}

void
flow__vchan_tx_put(struct vchan_tx *tx, uint32_t off, const void *src,
                   uint32_t len)
{
    uint32_t at = (tx->prod + off) & (tx->size - 1);
    uint32_t first = tx->size - at < len ? tx->size - at : len;

    if (len == 0)
        return;
    tx_store(tx, at, src, first);
    if (len > first)
        tx_store(tx, 0, (const uint8_t *)src + first, len - first);
}

void
flow__vchan_tx_publish(struct vchan_tx *tx, uint32_t len)
{
    tx->prod += len;
    flow__shm_store32(tx->shr_prod, tx->prod);
}

bool
flow__vchan_tx_report(const struct vchan_tx *tx)
{
    return flow__vchan_requested(&tx->notify, VCHAN_NOTIFY_WRITE);
}

enum flow_status
flow__vchan_tx_arm(struct vchan_tx *tx, uint32_t *ret_room)
{
    flow__vchan_request(&tx->notify, VCHAN_NOTIFY_READ);
    return flow__vchan_tx_look(tx, ret_room);
}
