/* SPDX-License-Identifier: ISC */
#include "tls/batch.h"

#include <flow/backend.h>

#include "lib/bits.h"

/*
 * Seals several records at once, into one place that was there before the first
 * of them.
 *
 * Invariants: a record is sealed only if there is room for all of it, so a
 * failed allocation spends no number.  done and records count the records that
 * were sealed; a failure after the first of them is found again by the next
 * call.
 *
 * Locks: the TLS flow's tx_lock, as in writer.c.
 */

/* A batch while the lower flow lends memory. */
struct batch_loan {
    struct flow__batch *b;
    enum flow_status sealed;
    bool lent;
};

/* Content of the record that begins after the first done bytes. */
static size_t
batch_next(const struct flow__batch *b, size_t done)
{
    return b->len - done < b->limit ? b->len - done : b->limit;
}

/* Its padding. */
static size_t
batch_padding(const struct flow__batch *b, size_t done)
{
    return flow__record_padding(b->keys, batch_next(b, done), b->limit);
}

/* Bytes of that record.  The first of a batch is the largest. */
static size_t
batch_size(const struct flow__batch *b, size_t done)
{
    return flow__record_prefix(b->keys) + batch_next(b, done) +
           batch_padding(b, done) + flow__record_suffix(b->keys);
}

/* Seal into out, which has room for cap bytes and at least for one record.
 * *ret_len bytes are written.  FLOW_OK: at least one record was sealed. */
static enum flow_status
batch_seal(struct flow__batch *b, uint8_t *out, size_t cap, size_t *ret_len)
{
    enum flow_status st;
    size_t n;

    *ret_len = 0;
    do {
        const struct flow__record_content content = {
            FLOW__CONTENT_APPLICATION_DATA, b->vec, b->off + b->done,
            batch_next(b, b->done), batch_padding(b, b->done)
        };

        st = flow__record_seal(b->keys, &content, out + *ret_len, &n);
        if (st != FLOW_OK)
            break;
        *ret_len += n;
        b->done += content.len;
        b->records++;
    } while (b->done < b->len && b->records < b->most &&
             batch_size(b, b->done) <= cap - *ret_len);
    return b->records > 0 ? FLOW_OK : st;
}

/* A flow_lease_fn. */
static size_t
batch_use_lease(void *ctx, const struct flow_vec span[2])
{
    struct batch_loan *loan = ctx;
    size_t len;

    loan->lent = true;
    loan->sealed = batch_seal(loan->b, span[0].base, span[0].len, &len);
    return len;
}

/* See tls/batch.h. */
bool
flow__batch_to_lower(struct flow__batch *b, struct flow *lower,
                     enum flow_status *ret_sealed, enum flow_status *ret_taken)
{
    const uint32_t not_private =
        FLOW_CAP_LEASE_VOLATILE | FLOW_CAP_LEASE_SHARED;
    const uint32_t caps = flow_caps(lower);
    struct batch_loan loan = { b, FLOW_OK, false };

    if ((caps & FLOW_CAP_LEASE_WRITE) == 0 || (caps & not_private) != 0)
        return false;
    *ret_taken = flow_with_lease(lower, FLOW_WRITE, batch_size(b, 0),
                                 batch_use_lease, &loan);
    *ret_sealed = loan.sealed;
    if (loan.lent && flow_status_is_sticky(*ret_taken))
        b->done = 0;
    return loan.lent;
}

/* See tls/batch.h. */
enum flow_status
flow__batch_to_queue(struct flow__batch *b, struct flow__queue *out)
{
    const size_t first = batch_size(b, 0);
    size_t records = (b->len + b->limit - 1) / b->limit;
    size_t need, len;
    enum flow_status st;

    if (records > b->most)
        records = b->most;
    need = flow__min(records * first, b->room > first ? b->room : first);
    if (!flow__queue_reserve(out, need))
        return FLOW_E_NOMEM;
    st = batch_seal(b, flow__queue_tail(out), need, &len);
    if (st == FLOW_OK)
        flow__queue_extend(out, len);
    else
        flow__queue_consume(out, 0);
    return st;
}

/* See tls/batch.h. */
void
flow__batch_keep(struct flow__batch *b, size_t len)
{
    const size_t sealed = b->done;

    b->done = 0;
    while (b->done < sealed && batch_size(b, b->done) <= len) {
        len -= batch_size(b, b->done);
        b->done += batch_next(b, b->done);
    }
}
