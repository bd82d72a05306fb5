/* SPDX-License-Identifier: ISC */
#include "tls/writer.h"

#include <string.h>

#include <flow/backend.h>

#include "lib/assert.h"
#include "lib/atomic.h"
#include "lib/bits.h"
#include "tls/batch.h"

/*
 * Our direction after the handshake.  A call first drains what is sealed, then
 * sends what is owed, then accepts bytes, so records leave in the order of
 * their numbers.
 *
 * Invariants: a record is sealed once, after memory for all of it was reserved,
 * in a lease of the flow below or in out.  What the flow below does not accept
 * stays in out, and nothing is accepted until out is empty.  Bytes count as
 * accepted when they are sealed or in open, and stay accepted.  The last record
 * of a key is kept for a KeyUpdate or an alert.  Once close_sealed, spent or
 * dead is set nothing more is sealed.
 *
 * Locks: the TLS flow's tx_lock, and those of the flow below inside it.  owed
 * and has_asked alone are atomic: the reader's thread sets and clears them
 * without tx_lock.
 */

static struct flow__writer_result
writer_result(enum flow_status status, enum flow__writer_cause cause)
{
    struct flow__writer_result r = { status, cause };

    return r;
}

static struct flow__writer_result
writer_ok(void)
{
    return writer_result(FLOW_OK, FLOW__WRITER_OK);
}

void
flow__writer_init(struct flow__writer *w, const struct flow_env *env,
                  size_t limit, uint64_t key_limit)
{
    memset(w, 0, sizeof(*w));
    w->limit = (uint16_t)limit;
    w->peer_limit = (uint16_t)limit;
    w->key_limit = key_limit;
    w->gathers = FLOW__WRITER_GATHERS;
    flow__queue_init(&w->out, env);
    flow__queue_init(&w->open, env);
    w->out.is_public = true;
}

void
flow__writer_start(struct flow__writer *w, const struct flow__record_keys *keys,
                   const struct flow__secret *secret, bool tls13)
{
    w->keys = *keys;
    w->secret = *secret;
    w->tls13 = tls13;
}

void
flow__writer_fini(struct flow__writer *w)
{
    flow__queue_release(&w->out);
    flow__queue_release(&w->open);
    flow__record_fini(&w->keys);
    flow_wipe(&w->secret, sizeof(w->secret));
}

/* See tls/writer.h. */
struct flow__writer_result
flow__writer_drain(struct flow__writer *w, struct flow *lower)
{
    while (flow__queue_len(&w->out) > 0) {
        size_t n;
        enum flow_status st = flow_write(lower, flow__queue_data(&w->out),
                                         flow__queue_len(&w->out), &n);

        if (st == FLOW_AGAIN)
            return writer_result(st, FLOW__WRITER_OK);
        if (st != FLOW_OK)
            return writer_result(st, FLOW__WRITER_LOWER);
        flow__queue_consume(&w->out, n);
    }
    return writer_ok();
}

static struct flow__writer_result
writer_seal_failed(enum flow_status st)
{
    if (st == FLOW_E_NOMEM)
        return writer_result(st, FLOW__WRITER_MEMORY);
    if (st == FLOW_E_PROTO)
        return writer_result(st, FLOW__WRITER_EXHAUSTED);
    return writer_result(FLOW_E_SYS, FLOW__WRITER_CIPHER);
}

static size_t
writer_record_len(const struct flow__writer *w, size_t content)
{
    return flow__record_prefix(&w->keys) + content +
           flow__record_suffix(&w->keys);
}

/* Seal one record into out. */
static struct flow__writer_result
writer_seal_to_out(struct flow__writer *w,
                   const struct flow__record_content *content)
{
    size_t len;
    enum flow_status st;

    if (!flow__queue_reserve(&w->out, writer_record_len(w, content->len)))
        return writer_result(FLOW_E_NOMEM, FLOW__WRITER_MEMORY);
    st = flow__record_seal(&w->keys, content, flow__queue_tail(&w->out), &len);
    if (st != FLOW_OK) {
        flow__queue_consume(&w->out, 0);
        return writer_seal_failed(st);
    }
    flow__queue_extend(&w->out, len);
    return writer_ok();
}

static struct flow__writer_result
writer_seal_bytes(struct flow__writer *w, uint8_t type, const uint8_t *bytes,
                  size_t len)
{
    struct flow_cvec vec = { bytes, len };
    struct flow__record_content content = { type, &vec, 0, len, 0 };

    return writer_seal_to_out(w, &content);
}

/* Replace our key.  The KeyUpdate is sealed under the old key (RFC 8446 4.6.3).
 * Then the peer expects the new one, which is therefore derived first. */
static struct flow__writer_result
writer_update_key(struct flow__writer *w, uint8_t request)
{
    const uint8_t msg[5] = { FLOW__HANDSHAKE_KEY_UPDATE, 0, 0, 1, request };
    struct flow__record_next next;
    struct flow__writer_result r;
    enum flow_status st = flow__record_prepare(&w->keys, &w->secret, &next);

    if (st != FLOW_OK)
        return writer_seal_failed(st);
    r = writer_seal_bytes(w, FLOW__CONTENT_HANDSHAKE, msg, sizeof(msg));
    if (r.status != FLOW_OK) {
        flow__record_discard(&next);
        return r;
    }
    flow__record_adopt(&w->keys, &w->secret, &next);
    w->updates++;
    if (request == FLOW__KEY_UPDATE_REQUESTED)
        flow__store(&w->has_asked, 1);
    return writer_ok();
}

/* Whether all records of the key are sealed but the last, which is kept for a
 * KeyUpdate or in TLS 1.2 for an alert, and the besides that are needed
 * otherwise.  A TLS 1.3 key that has sealed nothing is not replaced, however
 * low the limit: else the connection would carry nothing but KeyUpdates. */
static bool
writer_key_is_used_up(const struct flow__writer *w, uint64_t besides)
{
    uint64_t kept = 1 + besides;

    if (w->tls13 && w->keys.seq == 0)
        return false;
    return flow__record_left(&w->keys) <= kept ||
           (w->key_limit != 0 &&
            (w->key_limit <= kept || w->keys.seq >= w->key_limit - kept));
}

/* See tls/writer.h. */
void
flow__writer_owe(struct flow__writer *w, uint32_t owed)
{
    (void)flow__or(&w->owed, owed);
}

static struct flow__writer_result
writer_seal_refusal(struct flow__writer *w)
{
    const uint8_t refusal[2] = { FLOW__ALERT_LEVEL_WARNING,
                                 FLOW__ALERT_NO_RENEGOTIATION };
    struct flow__writer_result r =
        writer_seal_bytes(w, FLOW__CONTENT_ALERT, refusal, sizeof(refusal));

    if (r.status != FLOW_OK)
        flow__writer_owe(w, FLOW__OWED_REFUSAL);
    return r;
}

/* Take what is owed.  Most records are sealed while nothing is, and a load
 * costs less than an exchange. */
static uint32_t
writer_take_owed(struct flow__writer *w)
{
    return flow__load(&w->owed) != 0 ? flow__swap(&w->owed, 0) : 0;
}

/* However often the peer asked, one answer is due. */
static struct flow__writer_result
writer_seal_update(struct flow__writer *w)
{
    uint32_t owed = writer_take_owed(w);
    struct flow__writer_result r;

    if (owed == 0 && !writer_key_is_used_up(w, 0))
        return writer_ok();
    r = writer_update_key(w, (owed & FLOW__OWED_REQUEST) != 0
                                 ? FLOW__KEY_UPDATE_REQUESTED
                                 : FLOW__KEY_UPDATE_NOT_REQUESTED);
    /* They stay due, with what the reading side has added meanwhile. */
    if (r.status != FLOW_OK)
        flow__writer_owe(w, owed);
    return r;
}

/* Seal what must be sent before our next record. */
static struct flow__writer_result
writer_seal_owed(struct flow__writer *w)
{
    if (w->close_sealed)
        return writer_ok();
    if (w->tls13)
        return writer_seal_update(w);
    /* A warning may be left out; a record that is held back needs a number. */
    if (writer_take_owed(w) != 0 &&
        !writer_key_is_used_up(w, w->has_open ? 1 : 0))
        return writer_seal_refusal(w);
    return writer_ok();
}

/* Whether more data may be accepted: a TLS 1.2 connection ends with its key. */
static bool
writer_has_room(const struct flow__writer *w)
{
    return w->tls13 || w->has_open || !writer_key_is_used_up(w, 0);
}

static size_t
writer_open_len(const struct flow__writer *w)
{
    return w->has_open ? w->open.end - flow__record_prefix(&w->keys) : 0;
}

/* It has room up to the limit, so that padding needs no other memory. */
static size_t
writer_open_padding(const struct flow__writer *w)
{
    return flow__record_padding(&w->keys, writer_open_len(w), w->limit);
}

static void
writer_drop_open(struct flow__writer *w)
{
    flow__queue_release(&w->open);
    w->has_open = false;
}

/* Seal the open record in place; its memory becomes out, which is empty, since
 * it is drained before a record is sealed. */
static struct flow__writer_result
writer_seal_open(struct flow__writer *w)
{
    size_t len;
    enum flow_status st;

    if (!w->has_open)
        return writer_ok();
    if (writer_open_len(w) == 0) {
        writer_drop_open(w);
        return writer_ok();
    }
    flow__assert(flow__queue_len(&w->out) == 0);
    st = flow__record_seal_in_place(&w->keys, FLOW__CONTENT_APPLICATION_DATA,
                                    w->open.base, writer_open_len(w),
                                    writer_open_padding(w), &len);
    if (st != FLOW_OK)
        return writer_seal_failed(st);
    w->open.end = (uint32_t)len;
    w->has_open = false;
    w->out = w->open;
    w->out.is_public = true;
    flow__queue_init(&w->open, w->open.env);
    return writer_ok();
}

/* Send the alert of a failed writer and flush it, since the lower flow may
 * hold bytes back and the caller does not ask for it.  A failure to send it
 * is not reported; the reason of the first failure is. */
static struct flow__writer_result
writer_push_alert(struct flow__writer *w, struct flow *lower)
{
    enum flow_status st = FLOW_OK;

    if (w->alert_queued)
        st = flow__writer_drain(w, lower).status;
    if (w->alert_queued && st == FLOW_OK)
        st = flow_flush(lower);
    if (st == FLOW_AGAIN)
        return writer_result(st, FLOW__WRITER_OK);
    w->alert_queued = false;
    return writer_result(FLOW_E_PROTO, FLOW__WRITER_DEAD);
}

/* Before new plaintext is accepted: send what is queued and what is owed. */
static struct flow__writer_result
writer_make_way(struct flow__writer *w, struct flow *lower)
{
    struct flow__writer_result r;

    if (w->dead) {
        (void)writer_push_alert(w, lower);
        return writer_result(FLOW_E_PROTO, FLOW__WRITER_DEAD);
    }
    r = flow__writer_drain(w, lower);
    if (r.status != FLOW_OK)
        return r;
    if (w->spent) {
        (void)!flow_flush(lower);
        return writer_result(FLOW_E_PROTO, FLOW__WRITER_EXHAUSTED);
    }
    /* The record that is held back has no number yet, so an owed message may be
     * sent before it. */
    r = writer_seal_owed(w);
    return r.status == FLOW_OK ? flow__writer_drain(w, lower) : r;
}

/*
 * Before the first byte that a call accepts.  The last record of a key is for
 * close_notify.  A caller that tries to send more gets a fatal alert, since a
 * close_notify would tell the peer that it has everything.
 */
static struct flow__writer_result
writer_check_room(struct flow__writer *w, struct flow *lower)
{
    const uint8_t fatal[2] = { FLOW__ALERT_LEVEL_FATAL,
                               FLOW__WRITER_SPENT_ALERT };
    struct flow__writer_result r;

    if (writer_has_room(w))
        return writer_ok();
    r = writer_seal_bytes(w, FLOW__CONTENT_ALERT, fatal, sizeof(fatal));
    if (r.status != FLOW_OK)
        return r;
    w->spent = true;
    return writer_make_way(w, lower);
}

static bool
writer_ensure_open(struct flow__writer *w)
{
    if (w->has_open)
        return true;
    if (!flow__queue_reserve(&w->open, writer_record_len(w, w->limit)))
        return false;
    w->open.end = (uint32_t)flow__record_prefix(&w->keys);
    w->has_open = true;
    return true;
}

/* Hold bytes back; returns how many. */
static size_t
writer_hold(struct flow__writer *w, const struct flow_cvec *vec, size_t count,
            size_t off, size_t len)
{
    size_t room;

    if (!writer_ensure_open(w))
        return 0;
    room = w->limit - writer_open_len(w);
    if (len > room)
        len = room;
    len = flow_cvec_get(vec, count, off, w->open.base + w->open.end, len);
    flow__queue_extend(&w->open, len);
    return len;
}

/* How many records the key may still seal; the last is kept, as above.  At
 * least one, since the caller has seen that it is not used up. */
static uint64_t
writer_records_left(const struct flow__writer *w)
{
    uint64_t left = flow__record_left(&w->keys);

    if (w->key_limit != 0 && w->key_limit - w->keys.seq < left)
        left = w->key_limit > w->keys.seq ? w->key_limit - w->keys.seq : 0;
    return left > 1 ? left - 1 : 1;
}

/* Seal a batch, straight into memory of the lower flow or else into out, which
 * is passed on with one write.  If the lower flow fails for good meanwhile, the
 * records that it took whole are accepted. */
static struct flow__writer_result
writer_seal_batch(struct flow__writer *w, struct flow *lower,
                  struct flow__batch *b)
{
    struct flow__writer_result r;
    enum flow_status st, taken;
    size_t filled;

    if (flow__batch_to_lower(b, lower, &st, &taken)) {
        if (taken != FLOW_OK)
            return writer_result(taken, FLOW__WRITER_LOWER);
        return st == FLOW_OK ? writer_ok() : writer_seal_failed(st);
    }
    st = flow__batch_to_queue(b, &w->out);
    if (st != FLOW_OK)
        return writer_seal_failed(st);
    filled = flow__queue_len(&w->out);
    r = flow__writer_drain(w, lower);
    if (flow_status_is_sticky(r.status))
        flow__batch_keep(b, filled - flow__queue_len(&w->out));
    return r;
}

/* Hold back what FLOW_MORE or an open record asks for.  *ret_len bytes are
 * accepted. */
static struct flow__writer_result
writer_write_open(struct flow__writer *w, struct flow *lower,
                  const struct flow_cvec *vec, size_t count, size_t off,
                  size_t len, uint32_t flags, size_t *ret_len)
{
    struct flow__writer_result r;

    *ret_len = writer_hold(w, vec, count, off, len);
    if (*ret_len == 0 && !w->has_open)
        return writer_result(FLOW_E_NOMEM, FLOW__WRITER_MEMORY);
    if (writer_open_len(w) < w->limit &&
        ((flags & FLOW_MORE) != 0 || *ret_len < len))
        return writer_ok();
    r = writer_seal_open(w);
    return r.status == FLOW_OK ? flow__writer_drain(w, lower) : r;
}

/* Accept some records; *ret_len bytes are accepted even if FLOW_AGAIN says that
 * the lower flow accepts no more.  *records is how many the call has sealed. */
static struct flow__writer_result
writer_write_some(struct flow__writer *w, struct flow *lower,
                  const struct flow_cvec *vec, size_t count, size_t off,
                  size_t len, uint32_t flags, unsigned *records,
                  size_t *ret_len)
{
    struct flow__batch b = {
        .keys = &w->keys,
        .vec = vec,
        .off = off,
        .len = len,
        .limit = w->limit,
        .room = w->gathers * (size_t)FLOW__RECORD_MAX,
    };
    const size_t first = (size_t)w->first_units * FLOW__WRITER_UNIT;
    struct flow__writer_result r;

    *ret_len = 0;
    if (w->has_open || ((flags & FLOW_MORE) != 0 && len < w->limit)) {
        ++*records;
        return writer_write_open(w, lower, vec, count, off, len, flags,
                                 ret_len);
    }
    if ((flags & FLOW_MORE) != 0)
        b.len -= len % w->limit;
    b.most = FLOW__WRITER_RECORDS - *records;
    if (b.most > writer_records_left(w))
        b.most = (unsigned)writer_records_left(w);
    if (w->first_left > 0) {
        b.limit = flow__min(first, w->limit);
        b.most = (unsigned)flow__min(b.most, w->first_left);
    }
    r = writer_seal_batch(w, lower, &b);
    *records += b.records;
    if (w->first_left > 0)
        w->first_left = (uint8_t)(w->first_left - b.records);
    /* Sealed bytes are accepted even if the lower flow fails for a moment:
     * written again they would arrive twice (C05). */
    *ret_len = b.done;
    return r;
}

/* See tls/writer.h. */
struct flow__writer_result
flow__writer_write(struct flow__writer *w, struct flow *lower,
                   const struct flow_cvec *vec, size_t count, uint32_t flags,
                   size_t *ret_len)
{
    size_t total = flow_cvec_len(vec, count);
    struct flow__writer_result r = writer_ok();
    unsigned records = 0;
    size_t n;

    *ret_len = 0;
    while (*ret_len < total && records < FLOW__WRITER_RECORDS) {
        r = writer_make_way(w, lower);
        /* Once bytes were accepted no alert is sent: the caller can still shut
         * down. */
        if (r.status == FLOW_OK && *ret_len == 0)
            r = writer_check_room(w, lower);
        if (r.status != FLOW_OK || !writer_has_room(w))
            break;
        r = writer_write_some(w, lower, vec, count, *ret_len, total - *ret_len,
                              flags, &records, &n);
        *ret_len += n;
        if (r.status != FLOW_OK)
            break;
    }
    /* Accepted bytes stay accepted: the next call reports the error. */
    return *ret_len > 0 ? writer_ok() : r;
}

/* Seal what was accepted, into out. */
static struct flow__writer_result
writer_seal_rest(struct flow__writer *w, struct flow *lower)
{
    struct flow__writer_result r;

    if (w->dead)
        return writer_push_alert(w, lower);
    r = writer_make_way(w, lower);
    return r.status == FLOW_OK && !w->open_is_leased ? writer_seal_open(w) : r;
}

/* See tls/writer.h. */
struct flow__writer_result
flow__writer_flush(struct flow__writer *w, struct flow *lower)
{
    struct flow__writer_result r = writer_seal_rest(w, lower);

    return r.status == FLOW_OK ? flow__writer_drain(w, lower) : r;
}

/* See tls/writer.h. */
void
flow__writer_push_owed(struct flow__writer *w, struct flow *lower)
{
    if (!w->dead && writer_make_way(w, lower).status == FLOW_OK)
        (void)!flow_flush(lower);
}

/* See tls/writer.h. */
struct flow__writer_result
flow__writer_close(struct flow__writer *w, struct flow *lower)
{
    const uint8_t notify[2] = { FLOW__ALERT_LEVEL_WARNING,
                                FLOW__ALERT_CLOSE_NOTIFY };
    struct flow__writer_result r;

    if (!w->close_sealed) {
        r = writer_seal_rest(w, lower);
        /* The last record and close_notify leave together, unless the record
         * would have to be moved for that. */
        if (r.status == FLOW_OK &&
            flow__queue_room(&w->out) < writer_record_len(w, sizeof(notify)))
            r = flow__writer_drain(w, lower);
        if (r.status != FLOW_OK)
            return r;
        r = writer_seal_bytes(w, FLOW__CONTENT_ALERT, notify, sizeof(notify));
        if (r.status != FLOW_OK)
            return r;
        w->close_sealed = true;
    }
    return flow__writer_drain(w, lower);
}

/* See tls/writer.h. */
bool
flow__writer_alert(struct flow__writer *w, struct flow *lower, int alert)
{
    const uint8_t fatal[2] = { FLOW__ALERT_LEVEL_FATAL, (uint8_t)alert };

    if (w->dead)
        return false;
    /* Lent memory is the caller's until its commit (C58). */
    if (!w->open_is_leased)
        writer_drop_open(w);
    if (!w->close_sealed && !w->spent)
        w->alert_queued =
            writer_seal_bytes(w, FLOW__CONTENT_ALERT, fatal, sizeof(fatal))
                .status == FLOW_OK;
    w->dead = true;
    if (!w->alert_queued)
        return false;
    (void)writer_push_alert(w, lower);
    return true;
}

/* See tls/writer.h. */
struct flow__writer_result
flow__writer_lease(struct flow__writer *w, struct flow *lower, size_t want,
                   struct flow_vec *ret_span)
{
    struct flow__writer_result r;

    if (want > w->limit)
        return writer_result(FLOW_E_INVAL, FLOW__WRITER_OK);
    r = writer_make_way(w, lower);
    if (r.status != FLOW_OK)
        return r;
    if (w->limit - writer_open_len(w) < want) {
        r = flow__writer_flush(w, lower);
        if (r.status != FLOW_OK)
            return r;
    }
    r = writer_check_room(w, lower);
    if (r.status != FLOW_OK)
        return r;
    if (!writer_ensure_open(w))
        return writer_result(FLOW_E_NOMEM, FLOW__WRITER_MEMORY);
    ret_span->base = w->open.base + w->open.end;
    ret_span->len = w->limit - writer_open_len(w);
    w->open_is_leased = true;
    return writer_ok();
}

/* See tls/writer.h. */
struct flow__writer_result
flow__writer_commit(struct flow__writer *w, struct flow *lower, size_t used,
                    uint32_t flags)
{
    struct flow__writer_result r;

    w->open_is_leased = false;
    if (w->dead) {
        writer_drop_open(w);
        return writer_result(FLOW_E_PROTO, FLOW__WRITER_DEAD);
    }
    flow__queue_extend(&w->open, used);
    if (writer_open_len(w) == 0) {
        writer_drop_open(w);
        return writer_ok();
    }
    /* Wipe what the caller wrote and did not commit: ciphertext will follow in
     * this memory, and that is not wiped. */
    flow_wipe(w->open.base + w->open.end, w->limit - writer_open_len(w));
    if ((flags & FLOW_MORE) != 0 && writer_open_len(w) < w->limit)
        return writer_ok();
    r = flow__writer_flush(w, lower);
    /* All of it is accepted; what the lower flow did not accept is queued. */
    return flow_status_is_sticky(r.status) ? r : writer_ok();
}

/* See tls/writer.h. */
bool
flow__writer_is_idle(struct flow__writer *w)
{
    if (flow__queue_len(&w->out) > 0 || w->has_open)
        return false;
    /* After our close_notify nothing is owed any more. */
    return w->close_sealed || flow__load(&w->owed) == 0;
}
