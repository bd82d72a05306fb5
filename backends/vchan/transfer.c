/* SPDX-License-Identifier: ISC */
#include "backends/vchan/atomic.h"
#include "backends/vchan/shm.h"
#include "backends/vchan/vchan.h"

/*
 * Copying between the caller's memory and the rings.
 *
 * - A call moves its index after each TRANSFER_PART bytes, so that the peer
 *   copies the first part while we copy the next.  Between two parts it looks
 * at the peer's index again, and continues while the peer keeps up.
 * - An event costs as much as copying a part.  The peer is notified after the
 *   first part, since it may sleep, then after each half of the ring, and
 * before the call returns.
 * - Bytes are copied out of the ring before any other code reads them; a lease
 *   lends ring memory itself, which the peer can change (struct vchan_bounce is
 *   private).
 *
 * The reader's thread and the writer's may be in this file at once, each with
 * its own ring.  There is no lock.
 */
#define TRANSFER_PART 65536u

static void
transfer_report(struct vchan *v, enum flow_dir dir)
{
    bool requested = dir == FLOW_READ ? flow__vchan_rx_report(&v->rx)
                                      : flow__vchan_tx_report(&v->tx);

    if (requested)
        v->conn.hyp->events->notify(v->conn.channel);
}

/* Notifies the peer if enough bytes were moved since the last time. */
static void
transfer_report_part(struct vchan *v, enum flow_dir dir, size_t moved,
                     size_t *reported)
{
    uint32_t ring = dir == FLOW_READ ? v->rx.size : v->tx.size;

    if (moved - *reported < (*reported == 0 ? TRANSFER_PART : ring / 2))
        return;
    transfer_report(v, dir);
    *reported = moved;
}

/* At the end of a call that moved bytes. */
static void
transfer_report_rest(struct vchan *v, enum flow_dir dir, size_t moved,
                     size_t reported)
{
    if (moved > reported)
        transfer_report(v, dir);
    flow__vchan_progress(v, dir);
}

static uint32_t
transfer_least(uint32_t a, size_t b)
{
    return b < a ? (uint32_t)b : a;
}

static enum flow_status
transfer_fault(struct vchan *v, enum flow_dir dir)
{
    enum vchan_fault fault = load_acquire(&v->fault);

    return flow_fail(&v->base, dir, FLOW_E_PROTO, FLOW_DOMAIN_NONE, 0,
                     flow__vchan_fault_text(fault));
}

/* The status of an operation whose look answered st. */
static enum flow_status
transfer_outcome(struct vchan *v, enum flow_dir dir, enum flow_status st)
{
    struct flow_error err;

    if (flow__vchan_hyp_check(v->conn.hyp, &err) != FLOW_OK)
        return flow_fail_with(&v->base, dir, &err);
    if (st == FLOW_E_PROTO)
        return transfer_fault(v, dir);
    if (st == FLOW_E_CLOSED)
        return flow_fail(&v->base, dir, st, FLOW_DOMAIN_NONE, 0,
                         "the peer closed its end or disappeared");
    return st;
}

/* The rest of a vector: it begins at byte `off` of the first segment. */
struct transfer_scatter {
    const struct flow_vec *vec;
    size_t count;
    size_t off;
};

struct transfer_gather {
    const struct flow_cvec *vec;
    size_t count;
    size_t off;
};

/* Copies up to max of the bytes that look() found; returns their number. */
static uint32_t
transfer_copy_out(const struct vchan_rx *rx, struct transfer_scatter *to,
                  uint32_t max)
{
    uint32_t done = 0;

    while (to->count > 0 && done < max) {
        uint32_t n = transfer_least(max - done, to->vec->len - to->off);

        if (to->vec->base != NULL)
            flow__vchan_rx_get(rx, done, (uint8_t *)to->vec->base + to->off, n);
        done += n;
        to->off += n;
        if (to->off == to->vec->len) {
            to->vec++;
            to->count--;
            to->off = 0;
        }
    }
    return done;
}

/* Copies up to max bytes into the room that look() found; returns their
 * number. */
static uint32_t
transfer_copy_in(struct vchan_tx *tx, struct transfer_gather *from,
                 uint32_t max)
{
    uint32_t done = 0;

    while (from->count > 0 && done < max) {
        const uint8_t *base = from->vec->base;
        uint32_t n = transfer_least(max - done, from->vec->len - from->off);

        if (n > 0)
            flow__vchan_tx_put(tx, done, base + from->off, n);
        done += n;
        from->off += n;
        if (from->off == from->vec->len) {
            from->vec++;
            from->count--;
            from->off = 0;
        }
    }
    return done;
}

/* Copies a part; a whole part is copied in the faster of two ways
 * (bypass.h). */
static uint32_t
transfer_copy_part_in(struct vchan *v, struct transfer_gather *from,
                      uint32_t room)
{
    const struct flow_env *env = v->base.env;
    uint64_t start = 0;
    bool timed;

    if (!FLOW__SHM_BYPASSES || room < TRANSFER_PART || from->count == 0 ||
        from->vec->len - from->off < TRANSFER_PART)
        return transfer_copy_in(&v->tx, from,
                                transfer_least(TRANSFER_PART, room));
    v->tx.bypass = flow__vchan_bypass_next(&v->bypass, &timed);
    if (timed)
        start = env->now(env->ctx);
    transfer_copy_in(&v->tx, from, TRANSFER_PART);
    if (timed)
        flow__vchan_bypass_took(&v->bypass, v->tx.bypass,
                                env->now(env->ctx) - start);
    v->tx.bypass = false;
    return TRANSFER_PART;
}

enum flow_status
flow__vchan_readv(struct flow *f, const struct flow_vec *vec, size_t count,
                  size_t *ret_len)
{
    struct vchan *v = (struct vchan *)f;
    struct transfer_scatter to = { vec, count, 0 };
    size_t reported = 0;
    uint32_t avail;
    uint32_t n;
    enum flow_status st = flow__vchan_look_rx(v, 1, false, &avail);

    *ret_len = 0;
    if (st != FLOW_OK)
        return transfer_outcome(v, FLOW_READ, st);
    do {
        n = transfer_copy_out(&v->rx, &to,
                              transfer_least(TRANSFER_PART, avail));
        flow__vchan_rx_take(&v->rx, n);
        *ret_len += n;
        transfer_report_part(v, FLOW_READ, *ret_len, &reported);
    } while (n == TRANSFER_PART && to.count > 0 &&
             flow__vchan_look_rx(v, 1, false, &avail) == FLOW_OK);
    transfer_report_rest(v, FLOW_READ, *ret_len, reported);
    return FLOW_OK;
}

/* FLOW_MORE has no effect: the index has moved when the call returns. */
enum flow_status
flow__vchan_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
                   uint32_t flags, size_t *ret_len)
{
    struct vchan *v = (struct vchan *)f;
    struct transfer_gather from = { vec, count, 0 };
    size_t reported = 0;
    uint32_t room;
    uint32_t n;
    enum flow_status st = flow__vchan_look_tx(v, 1, false, &room);

    (void)flags;
    *ret_len = 0;
    if (st != FLOW_OK)
        return transfer_outcome(v, FLOW_WRITE, st);
    do {
        n = transfer_copy_part_in(v, &from, room);
        flow__vchan_tx_publish(&v->tx, n);
        *ret_len += n;
        transfer_report_part(v, FLOW_WRITE, *ret_len, &reported);
    } while (n == TRANSFER_PART && from.count > 0 &&
             flow__vchan_look_tx(v, 1, false, &room) == FLOW_OK);
    transfer_report_rest(v, FLOW_WRITE, *ret_len, reported);
    return FLOW_OK;
}

/* Makes room for `want` bytes in private memory; false: no memory. */
static bool
transfer_bounce_ready(struct vchan *v, struct vchan_bounce *b, uint32_t want)
{
    uint32_t size = VCHAN_PAGE_SIZE;

    if (b->size >= want)
        return true;
    flow_env_free(v->base.env, b->base, b->size);
    b->size = 0;
    while (size < want)
        size *= 2;
    b->base = flow_env_alloc(v->base.env, size);
    if (b->base == NULL)
        return false;
    b->size = size;
    return true;
}

/*
 * Lends the first `want` of `len` bytes from private memory, and the rest,
 * which is after the wrap, from the ring.
 */
static enum flow_status
transfer_lend_bounce(struct vchan *v, enum flow_dir dir, uint32_t want,
                     uint32_t len, struct vchan_span span[2])
{
    struct vchan_bounce *b = &v->bounce[dir == FLOW_READ ? 0 : 1];

    if (!transfer_bounce_ready(v, b, want))
        return FLOW_E_NOMEM;
    if (dir == FLOW_READ)
        flow__vchan_rx_get(&v->rx, 0, b->base, want);
    span[1].base += want - span[0].len;
    span[1].len = len - want;
    span[0].base = b->base;
    span[0].len = want;
    b->lent = want;
    return FLOW_OK;
}

enum flow_status
flow__vchan_lease(struct flow *f, enum flow_dir dir, size_t want,
                  struct flow_vec ret_span[2])
{
    struct vchan *v = (struct vchan *)f;
    bool reads = dir == FLOW_READ;
    struct vchan_span span[2];
    enum flow_status st;
    uint32_t len;

    if (want > (reads ? v->rx.size : v->tx.size))
        return FLOW_E_INVAL;
    st = reads ? flow__vchan_look_rx(v, want, false, &len)
               : flow__vchan_look_tx(v, want, false, &len);
    if (st != FLOW_OK)
        return transfer_outcome(v, dir, st);
    if (reads)
        flow__vchan_rx_spans(&v->rx, len, span);
    else
        flow__vchan_tx_spans(&v->tx, len, span);

    /* At the end of the stream there may be fewer bytes. */
    want = transfer_least(len, want);
    if (span[0].len < want)
        st = transfer_lend_bounce(v, dir, (uint32_t)want, len, span);
    for (unsigned i = 0; st == FLOW_OK && i < 2; i++)
        ret_span[i] = (struct flow_vec){ span[i].base, span[i].len };
    return st;
}

enum flow_status
flow__vchan_commit(struct flow *f, enum flow_dir dir, size_t used,
                   uint32_t flags)
{
    struct vchan *v = (struct vchan *)f;
    struct vchan_bounce *b = &v->bounce[dir == FLOW_READ ? 0 : 1];
    uint32_t len = (uint32_t)used;

    (void)flags;
    if (len > 0 && dir == FLOW_READ) {
        flow__vchan_rx_take(&v->rx, len);
    } else if (len > 0) {
        flow__vchan_tx_put(&v->tx, 0, b->base, transfer_least(b->lent, len));
        flow__vchan_tx_publish(&v->tx, len);
    }
    b->lent = 0;
    if (len > 0)
        transfer_report_rest(v, dir, len, 0);
    return FLOW_OK;
}
