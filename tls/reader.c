/* SPDX-License-Identifier: ISC */
#include "tls/reader.h"

#include <string.h>

#include <flow/backend.h>

#include "lib/bits.h"
#include "tls/harvest.h"
#include "tls/post.h"

/*
 * The peer's direction after the handshake.  A record is found in cipher or in
 * a lease of the flow below, opened at its target, and then delivered as data
 * or handled as an alert or a message.
 *
 * Invariants: a record leaves cipher, or is committed, after it was opened, so
 * a lack of memory loses nothing and the call can be repeated.  Bytes in plain
 * are older than every record in cipher and are delivered first.  An error that
 * a look ahead finds waits in held until the bytes before it were read.  The
 * caller's memory is written with data only (C02).  If there is no memory for
 * the key of a KeyUpdate, the update stays due, and no record is opened before
 * it is done.
 *
 * Locks: the TLS flow's rx_lock, and those of the flow below inside it.
 * Requests to the writer are noted in ask_ members; the TLS flow passes them
 * on.
 */

/* Bytes to read in one call: room for one small record up to six large ones,
 * more while the lower flow fills all of it (decision 0109). */
#define READER_AHEAD_MIN 2048u
#define READER_AHEAD_MAX (6u * FLOW__RECORD_MAX)

/* Records up to this size are opened before a reader is woken for them. */
#define READER_LOOK_AHEAD_MAX 1024u

static struct flow__reader_result
reader_from_lower(enum flow_status status)
{
    struct flow__reader_result r = flow__reader_result_of(status);

    r.from_lower = true;
    return r;
}

void
flow__reader_init(struct flow__reader *r, const struct flow_env *env,
                  bool server, uint64_t key_limit)
{
    memset(r, 0, sizeof(*r));
    r->server = server;
    r->key_limit = key_limit;
    r->ahead = READER_AHEAD_MIN;
    r->held = flow__reader_result_of(FLOW_OK);
    flow__queue_init(&r->cipher, env);
    flow__queue_init(&r->plain, env);
    flow__queue_init(&r->post, env);
    r->cipher.is_public = true;
}

void
flow__reader_start(struct flow__reader *r, const struct flow__record_keys *keys,
                   const struct flow__secret *secret,
                   const struct flow__queue *ahead, bool tls13)
{
    r->keys = *keys;
    r->secret = *secret;
    r->tls13 = tls13;
    r->cipher = *ahead;
    r->cipher.is_public = true;
    flow__queue_consume(&r->cipher, 0);
}

void
flow__reader_fini(struct flow__reader *r)
{
    flow__queue_release(&r->cipher);
    flow__queue_release(&r->plain);
    flow__queue_release(&r->post);
    flow__harvest_free(r->harvest);
    flow__record_fini(&r->keys);
    flow_wipe(&r->secret, sizeof(r->secret));
}

/* Whether p[0..len) begins with a whole record, and as far as known its length.
 */
static enum flow_status
reader_measure(const uint8_t *p, size_t len, size_t *ret_whole,
               struct flow__fault *fault)
{
    struct flow__record_header header;
    enum flow_status st;

    *ret_whole = FLOW__RECORD_HEADER;
    if (len < FLOW__RECORD_HEADER)
        return FLOW_AGAIN;
    st = flow__record_parse(p, true, &header, fault);
    if (st != FLOW_OK)
        return st;
    *ret_whole = FLOW__RECORD_HEADER + header.len;
    return len >= *ret_whole ? FLOW_OK : FLOW_AGAIN;
}

/* Whether the lower flow lends memory that only we can change. */
static bool
reader_can_lease(const struct flow *lower)
{
    return (flow_caps(lower) &
            (FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_VOLATILE)) ==
           FLOW_CAP_LEASE_READ;
}

/* After a read of n bytes into room: read more at once while there is more. */
static void
reader_adapt_ahead(struct flow__reader *r, size_t room, size_t n)
{
    if (n == room)
        r->ahead = (uint32_t)flow__min(2 * (size_t)r->ahead, READER_AHEAD_MAX);
    else if (n < r->ahead / 4 && r->ahead > READER_AHEAD_MIN)
        r->ahead /= 2;
}

/*
 * How many bytes to read after the end of a record, at most max: as many
 * records as the last one was long, since most streams repeat a length.  What
 * is read then ends with a record, and no part of one has to move to other
 * memory.
 */
static size_t
reader_ahead(const struct flow__reader *r, size_t max)
{
    return r->step == 0 ? max : max / r->step * r->step;
}

/* Make room in cipher, of which the first missing bytes end a record; returns
 * how many bytes to read there, 0: no memory.  A part of a record moves only if
 * the rest does not fit after it. */
static size_t
reader_make_room(struct flow__reader *r, bool lends, size_t missing)
{
    size_t want = missing;
    size_t room;

    if (!lends && flow__queue_len(&r->cipher) == 0) {
        want = reader_ahead(r, r->ahead);
        want = flow__max(want, flow__max(missing, r->step));
    }
    if (!flow__queue_reserve(&r->cipher, want))
        return 0;
    room = flow__queue_room(&r->cipher);
    if (lends || want > missing)
        return want;
    return missing + reader_ahead(r, room - missing);
}

/*
 * Read into cipher until it has a whole record, and from a flow that lends no
 * memory also what comes after it.  From one that does, the record is the last
 * that is copied: cipher is empty after it, and the next is leased.
 */
static struct flow__reader_result
reader_fill_cipher(struct flow__reader *r, struct flow *lower, size_t whole)
{
    const bool lends = reader_can_lease(lower);
    const size_t room =
        reader_make_room(r, lends, whole - flow__queue_len(&r->cipher));
    enum flow_status st;
    size_t n;

    if (room == 0)
        return flow__reader_no_memory();
    st = flow_read(lower, flow__queue_tail(&r->cipher), room, &n);
    flow__queue_extend(&r->cipher, n);
    if (st == FLOW_OK && !lends)
        reader_adapt_ahead(r, room, n);
    /* A connection may be idle for long.  Keep memory only for a record that
     * has begun, whose length its header states. */
    if (st == FLOW_AGAIN)
        flow__queue_trim(&r->cipher, whole);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return flow__reader_result_of(st);
    flow__queue_consume(&r->cipher, 0);
    if (st == FLOW_EOF) {
        r->ended = true;
        return flow__reader_result_of(FLOW_E_TRUNCATED);
    }
    return reader_from_lower(st);
}

/* Fill cipher until it begins with a whole record, of *ret_len bytes. */
static struct flow__reader_result
reader_next_record(struct flow__reader *r, struct flow *lower, size_t *ret_len)
{
    struct flow__reader_result res;
    struct flow__fault fault;
    enum flow_status st;

    for (;;) {
        st = reader_measure(flow__queue_data(&r->cipher),
                            flow__queue_len(&r->cipher), ret_len, &fault);
        if (st == FLOW_OK)
            break;
        if (st != FLOW_AGAIN)
            return flow__reader_refuse(fault.alert, fault.text);
        res = reader_fill_cipher(r, lower, *ret_len);
        if (res.status != FLOW_OK)
            return res;
    }
    r->step = (uint16_t)*ret_len;
    return flow__reader_result_of(FLOW_OK);
}

/* Where a record is opened, and what is done with its content then. */
struct reader_target {
    enum {
        ON_PLAIN,  /* stays there */
        ON_CALLER, /* stays in the caller's memory */
        ON_SMALL   /* is copied to the caller's vector */
    } kind;
    uint8_t *out;
    size_t cap; /* bytes at out, at least as many as the record needs */
    /* With a byte for the type that follows the content in TLS 1.3. */
    uint8_t small[READER_LOOK_AHEAD_MAX + 1];
};

/* In TLS 1.2 the header tells whether a record is data.  In TLS 1.3 only the
 * opened record does, but a record without data is small unless the peer
 * pads it. */
static bool
reader_is_taken_for_data(const struct flow__reader *r, const uint8_t *record,
                         size_t room)
{
    return r->tls13 ? room > READER_LOOK_AHEAD_MAX
                    : record[0] == FLOW__CONTENT_APPLICATION_DATA;
}

/*
 * Choose where to open a record.  If plain is empty, a record that is assumed
 * to have data is opened in the caller's first segment if it fits there.  One
 * that may have none is opened in small, if the caller's vector has room for
 * all of it, since a read that answers FLOW_AGAIN leaves the caller's memory
 * alone (C02).  Any other record is opened in plain.  false: no memory.
 */
static bool
reader_choose_target(struct flow__reader *r, const struct flow_vec *vec,
                     size_t count, const uint8_t *record, size_t room,
                     struct reader_target *t)
{
    bool is_first = vec != NULL && flow__queue_len(&r->plain) == 0;
    size_t i = 0;

    while (is_first && i < count && vec[i].len == 0)
        i++;
    if (is_first && i < count && vec[i].base != NULL && vec[i].len >= room &&
        reader_is_taken_for_data(r, record, room)) {
        t->kind = ON_CALLER;
        t->out = vec[i].base;
        t->cap = vec[i].len;
        return true;
    }
    if (is_first && room <= READER_LOOK_AHEAD_MAX &&
        flow_vec_len(vec, count) >= room) {
        t->kind = ON_SMALL;
        t->out = t->small;
        t->cap = sizeof(t->small);
        return true;
    }
    t->kind = ON_PLAIN;
    if (!flow__queue_reserve(&r->plain, room + 1))
        return false;
    t->out = flow__queue_tail(&r->plain);
    t->cap = flow__queue_room(&r->plain);
    return true;
}

/*
 * The limit of RFC 8446 5.5 applies to the sender, but many peers do not
 * enforce it, and the receiver may ask for a key update (4.6.3).  TLS 1.2 has
 * no key updates.
 */
static void
reader_count_record(struct flow__reader *r)
{
    if (!r->tls13 || r->renewal_asked)
        return;
    if (flow__record_left(&r->keys) == 0 ||
        (r->key_limit != 0 && r->keys.seq >= r->key_limit)) {
        r->renewal_asked = true;
        r->ask_renewal = true;
    }
}

/* See tls/reader.h. */
void
flow__reader_expect_update(struct flow__reader *r)
{
    uint64_t from;

    if (!r->renewal_asked || r->refuse_from != 0)
        return;
    /* Records that are on their way need no allowance: they are few compared
     * with the suite's limit. */
    if (!__builtin_add_overflow(r->keys.seq, r->keys.limit, &from))
        r->refuse_from = from;
}

/* Why data that was decrypted must not be delivered, or NULL. */
static const char *
reader_unwanted(const struct flow__reader *r)
{
    if (flow__queue_len(&r->post) > 0)
        return "the peer interrupted a handshake message";
    /* RFC 8446 4.6.3: the peer must update before its next data. */
    if (r->refuse_from != 0 && r->keys.seq > r->refuse_from)
        return "the peer did not update its key when asked to";
    return NULL;
}

/* Deliver data that was opened at its target. */
static struct flow__reader_result
reader_deliver_data(struct flow__reader *r, struct reader_target *t, size_t len,
                    const struct flow_vec *vec, size_t count, size_t *ret_len)
{
    const char *why = reader_unwanted(r);

    if (why != NULL) {
        flow_wipe(t->out, len);
        return flow__reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE, why);
    }
    r->idle_records = 0;
    flow__post_note_data(r);
    if (t->kind == ON_PLAIN) {
        flow__queue_extend(&r->plain, len);
        return flow__reader_result_of(FLOW_OK);
    }
    *ret_len = len;
    if (t->kind == ON_SMALL) {
        (void)flow_vec_put(vec, count, 0, t->out, len);
        flow_wipe(t->out, len);
    }
    return flow__reader_result_of(FLOW_OK);
}

/* Deliver or handle a record that was opened at its target. */
static struct flow__reader_result
reader_deliver(struct flow__reader *r, const struct flow__record_opened *opened,
               struct reader_target *t, const struct flow_vec *vec,
               size_t count, size_t *ret_len)
{
    struct flow__reader_result res;

    reader_count_record(r);
    if (opened->type == FLOW__CONTENT_APPLICATION_DATA && opened->len > 0)
        return reader_deliver_data(r, t, opened->len, vec, count, ret_len);
    res = flow__post_take(r, opened->type, t->out, opened->len);
    /* With the type, which follows the content in TLS 1.3. */
    flow_wipe(t->out, flow__min(opened->len + (r->tls13 ? 1 : 0), t->cap));
    if (t->kind == ON_PLAIN)
        flow__queue_consume(&r->plain, 0);
    return res;
}

/* A read, as far as one record. */
struct reader_call {
    struct flow__reader *r;
    const struct flow_vec *vec;
    size_t count;
    size_t ret_len; /* bytes in vec */
    struct flow__reader_result res;
    size_t want; /* contiguous bytes to lease next, 0: none */
    bool leased; /* a record was found in a lease */
};

/* Open and deliver one whole record; returns how many bytes are consumed: all,
 * unless it could not be opened. */
static size_t
reader_open_record(struct reader_call *c, const uint8_t *record, size_t len)
{
    struct flow__reader *r = c->r;
    struct flow__record_opened opened;
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    struct reader_target target;
    enum flow_status st;

    if (!reader_choose_target(r, c->vec, c->count, record,
                              flow__record_room(&r->keys, len), &target)) {
        c->res = flow__reader_no_memory();
        return 0;
    }
    st = flow__record_open_wide(&r->keys, record, len, target.out, target.cap,
                                &opened, &fault);
    if (st == FLOW_OK) {
        c->res =
            reader_deliver(r, &opened, &target, c->vec, c->count, &c->ret_len);
        return len;
    }
    if (target.kind == ON_PLAIN)
        flow__queue_consume(&r->plain, 0);
    if (st == FLOW_E_NOMEM) {
        c->res = flow__reader_no_memory();
        return 0;
    }
    c->res = flow__reader_refuse(fault.alert, fault.text);
    c->res.status = st;
    return 0;
}

/* A flow_lease_fn: open the record at the front if it is in one piece.  If it
 * is there in two, it is in one after a lease of its length.  A malformed
 * header is found again in the copy, and reported then. */
static size_t
reader_use_lease(void *ctx, const struct flow_vec span[2])
{
    struct reader_call *c = ctx;
    struct flow__fault fault;
    size_t whole;
    enum flow_status st =
        reader_measure(span[0].base, span[0].len, &whole, &fault);

    c->want = 0;
    if (st == FLOW_OK) {
        c->leased = true;
        return reader_open_record(c, span[0].base, whole);
    }
    if (st == FLOW_AGAIN && whole <= span[0].len + span[1].len)
        c->want = whole;
    return 0;
}

/* Read one record in a lease of the lower flow; false: it has none that is
 * whole, or lends none. */
static bool
reader_read_leased(struct reader_call *c, struct flow *lower)
{
    enum flow_status st;

    if (flow__queue_len(&c->r->cipher) > 0 || !reader_can_lease(lower))
        return false;
    c->want = 1;
    do {
        st = flow_with_lease(lower, FLOW_READ, c->want, reader_use_lease, c);
    } while (st == FLOW_OK && c->want > 0);
    return c->leased;
}

/* Read one record; FLOW_OK even if it had no data. */
static struct flow__reader_result
reader_read_record(struct flow__reader *r, struct flow *lower,
                   const struct flow_vec *vec, size_t count, size_t *ret_len)
{
    struct reader_call c = { .r = r, .vec = vec, .count = count };
    size_t len;

    if (r->held.status != FLOW_OK) {
        c.res = r->held;
        r->held = flow__reader_result_of(FLOW_OK);
        return c.res;
    }
    if (r->update_due)
        return flow__post_next_key(r);
    if (r->closed)
        return flow__reader_result_of(FLOW_EOF);
    if (r->ended && flow__queue_len(&r->cipher) == 0)
        return flow__reader_result_of(FLOW_E_TRUNCATED);
    if (!reader_read_leased(&c, lower)) {
        c.res = reader_next_record(r, lower, &len);
        if (c.res.status != FLOW_OK)
            return c.res;
        flow__queue_consume(
            &r->cipher,
            reader_open_record(&c, flow__queue_data(&r->cipher), len));
    }
    if (c.ret_len > 0)
        *ret_len = c.ret_len;
    return c.res;
}

/* See tls/reader.h. */
struct flow__reader_result
flow__reader_read(struct flow__reader *r, struct flow *lower,
                  const struct flow_vec *vec, size_t count, size_t *ret_len)
{
    struct flow__reader_result res = flow__reader_result_of(FLOW_OK);

    *ret_len = 0;
    while (res.status == FLOW_OK && *ret_len == 0 &&
           flow__queue_len(&r->plain) == 0)
        res = reader_read_record(r, lower, vec, count, ret_len);
    if (flow__queue_len(&r->plain) > 0 && vec != NULL && *ret_len == 0) {
        *ret_len = flow_vec_put(vec, count, 0, flow__queue_data(&r->plain),
                                flow__queue_len(&r->plain));
        flow__queue_consume(&r->plain, *ret_len);
    }
    return res;
}

/* See tls/reader.h. */
struct flow__reader_result
flow__reader_gather(struct flow__reader *r, struct flow *lower, size_t want)
{
    struct flow__reader_result res = flow__reader_result_of(FLOW_OK);
    size_t none;

    while (res.status == FLOW_OK && flow__queue_len(&r->plain) < want)
        res = reader_read_record(r, lower, NULL, 0, &none);
    /* An error is reported once, and after the data that came before it. */
    if (flow_status_is_sticky(res.status) && flow__queue_len(&r->plain) > 0)
        r->held = res;
    return res;
}

/* true: want bytes are there, or no more come.  false: *ret_whole bytes of
 * cipher make the next record. */
static bool
reader_settle(struct flow__reader *r, struct flow *lower, size_t want,
              size_t *ret_whole)
{
    size_t none;

    while (flow__queue_len(&r->plain) < want && r->held.status == FLOW_OK &&
           !r->closed) {
        struct flow__fault fault;
        enum flow_status st;

        if (r->update_due) {
            r->held = flow__post_next_key(r);
            continue;
        }
        st = reader_measure(flow__queue_data(&r->cipher),
                            flow__queue_len(&r->cipher), ret_whole, &fault);
        if (st == FLOW_AGAIN)
            return r->ended;
        if (st != FLOW_OK || (want == 1 && *ret_whole > READER_LOOK_AHEAD_MAX))
            return true;
        r->held = reader_read_record(r, lower, NULL, 0, &none);
    }
    return true;
}

/* A flow_lease_fn: the length of the record at the front if all of it is there,
 * and otherwise 0, to a size_t. */
static size_t
reader_peek(void *ctx, const struct flow_vec span[2])
{
    uint8_t header[FLOW__RECORD_HEADER];
    struct flow__fault fault;
    size_t whole;
    size_t i;

    for (i = 0; i < sizeof(header) && i < span[0].len + span[1].len; i++)
        header[i] = i < span[0].len
                        ? ((const uint8_t *)span[0].base)[i]
                        : ((const uint8_t *)span[1].base)[i - span[0].len];
    if (reader_measure(header, i, &whole, &fault) == FLOW_AGAIN &&
        whole > FLOW__RECORD_HEADER && whole <= span[0].len + span[1].len)
        *(size_t *)ctx = whole;
    return 0;
}

/* Whether the lower flow lends a record that is assumed to have data. */
static bool
reader_lends_large(struct flow__reader *r, struct flow *lower)
{
    size_t len = 0;

    return flow__queue_len(&r->cipher) == 0 && reader_can_lease(lower) &&
           flow_with_lease(lower, FLOW_READ, 1, reader_peek, &len) == FLOW_OK &&
           len > READER_LOOK_AHEAD_MAX;
}

/* See tls/reader.h. */
bool
flow__reader_wait(struct flow__reader *r, struct flow *lower, size_t want,
                  struct flow_wait_set *set)
{
    bool was_again = false;
    size_t whole;

    while (!reader_settle(r, lower, want, &whole)) {
        struct flow__reader_result res;

        if (flow_wait_sources(lower, FLOW_READY_READ, set) == 0) {
            flow__queue_trim(&r->cipher, whole);
            return false;
        }
        if (want == 1 && reader_lends_large(r, lower))
            return true;
        res = reader_fill_cipher(r, lower, whole);
        /* If the lower flow is ready and answers AGAIN, as the fault filter
         * does, it is asked once more: the bytes may be a record without data,
         * after which nothing is ready.  One that answers so twice without a
         * byte in between is reported as ready. */
        if (res.status == FLOW_AGAIN && was_again)
            return true;
        was_again = res.status == FLOW_AGAIN;
        if (res.status < 0)
            r->held = res;
    }
    return true;
}
