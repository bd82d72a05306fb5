/* SPDX-License-Identifier: ISC */
#include "tls/reader.h"

#include <string.h>

#include <flow/backend.h>

#include "tls/order.h"

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

/* Bytes to read in one call: room for one small record up to four large ones,
 * more while the lower flow fills all of it. */
#define READER_AHEAD_MIN 2048u
#define READER_AHEAD_MAX 65536u
/* Records without data that a peer may send in a row: empty ones, warnings,
 * KeyUpdates, tickets. */
#define READER_IDLE_RECORDS_MAX 32u
/* A NewSessionTicket may have more than 2^16 bytes; no server sends that. */
#define READER_POST_MESSAGE_MAX 16384u

/* Records up to this size are opened before a reader is woken for them. */
#define READER_LOOK_AHEAD_MAX 1024u

static struct flow__reader_result
reader_result(enum flow_status status)
{
    struct flow__reader_result r = { .status = status,
                                     .alert_received = FLOW__ALERT_NONE,
                                     .fault = { FLOW__ALERT_NONE, NULL } };

    return r;
}

static struct flow__reader_result
reader_from_lower(enum flow_status status)
{
    struct flow__reader_result r = reader_result(status);

    r.from_lower = true;
    return r;
}

static struct flow__reader_result
reader_refuse(enum flow__alert alert, const char *text)
{
    struct flow__reader_result r = reader_result(FLOW_E_PROTO);

    r.fault.alert = alert;
    r.fault.text = text;
    return r;
}

static struct flow__reader_result
reader_no_memory(void)
{
    struct flow__reader_result r = reader_result(FLOW_E_NOMEM);

    r.fault.text = "no memory to decrypt a record";
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
    r->held = reader_result(FLOW_OK);
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

static struct flow__reader_result
reader_fill_cipher(struct flow__reader *r, struct flow *lower, size_t whole)
{
    size_t missing = whole - flow__queue_len(&r->cipher);
    size_t room, n;
    enum flow_status st;

    if (!flow__queue_reserve(&r->cipher,
                             missing > r->ahead ? missing : r->ahead))
        return reader_no_memory();
    room = flow__queue_room(&r->cipher);
    st = flow_read(lower, flow__queue_tail(&r->cipher), room, &n);
    flow__queue_extend(&r->cipher, n);
    if (st == FLOW_OK && n == room && r->ahead < READER_AHEAD_MAX)
        r->ahead *= 2;
    else if (st == FLOW_OK && n < r->ahead / 4 && r->ahead > READER_AHEAD_MIN)
        r->ahead /= 2;
    /* A connection may be idle for long.  Keep memory only for a record that
     * has begun, whose length its header states. */
    if (st == FLOW_AGAIN)
        flow__queue_trim(&r->cipher, whole);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return reader_result(st);
    flow__queue_consume(&r->cipher, 0);
    if (st == FLOW_EOF) {
        r->ended = true;
        return reader_result(FLOW_E_TRUNCATED);
    }
    return reader_from_lower(st);
}

/* The next record in a lease of the lower flow, if that has all of it in one
 * piece and only we can change it there. */
static const uint8_t *
reader_lease_record(struct flow__reader *r, struct flow *lower, size_t *ret_len)
{
    const uint32_t caps = flow_caps(lower);
    struct flow_vec span[2];
    struct flow__fault fault;

    if (flow__queue_len(&r->cipher) > 0 || (caps & FLOW_CAP_LEASE_READ) == 0 ||
        (caps & FLOW_CAP_LEASE_VOLATILE) != 0)
        return NULL;
    if (flow_lease(lower, FLOW_READ, 1, span) != FLOW_OK)
        return NULL;
    if (reader_measure(span[0].base, span[0].len, ret_len, &fault) != FLOW_OK) {
        /* An error is found again in the copy, and reported then. */
        (void)!flow_commit(lower, FLOW_READ, 0, 0);
        return NULL;
    }
    r->leased = (uint32_t)*ret_len;
    return span[0].base;
}

static struct flow__reader_result
reader_next_record(struct flow__reader *r, struct flow *lower,
                   const uint8_t **ret_record, size_t *ret_len)
{
    struct flow__reader_result res;
    struct flow__fault fault;
    enum flow_status st;

    *ret_record = reader_lease_record(r, lower, ret_len);
    if (*ret_record != NULL)
        return reader_result(FLOW_OK);
    for (;;) {
        st = reader_measure(flow__queue_data(&r->cipher),
                            flow__queue_len(&r->cipher), ret_len, &fault);
        if (st == FLOW_OK) {
            *ret_record = flow__queue_data(&r->cipher);
            return reader_result(FLOW_OK);
        }
        if (st != FLOW_AGAIN)
            return reader_refuse(fault.alert, fault.text);
        res = reader_fill_cipher(r, lower, *ret_len);
        if (res.status != FLOW_OK)
            return res;
    }
}

static void
reader_drop_record(struct flow__reader *r, struct flow *lower, size_t len)
{
    if (r->leased > 0)
        (void)!flow_commit(lower, FLOW_READ, len, 0);
    else
        flow__queue_consume(&r->cipher, len);
    r->leased = 0;
}

static struct flow__reader_result
reader_take_alert(struct flow__reader *r, const uint8_t *content, size_t len)
{
    struct flow__reader_result res;

    if (len != 2)
        return reader_refuse(FLOW__ALERT_DECODE_ERROR, "malformed alert");
    if (content[1] == FLOW__ALERT_CLOSE_NOTIFY) {
        r->closed = true;
        return reader_result(FLOW_EOF);
    }
    /* RFC 8446 6.1: user_canceled announces a close_notify. */
    if ((content[0] == FLOW__ALERT_LEVEL_WARNING && !r->tls13) ||
        content[1] == FLOW__ALERT_USER_CANCELED)
        return reader_result(FLOW_OK);
    res = reader_refuse(FLOW__ALERT_NONE, FLOW__ALERT_RECEIVED_TEXT);
    res.alert_received = content[1];
    return res;
}

/* Make the key that a KeyUpdate announced.  The message is consumed, so a key
 * that cannot be made now stays due. */
static struct flow__reader_result
reader_next_key(struct flow__reader *r)
{
    enum flow_status st = flow__record_update(&r->keys, &r->secret);

    if (st == FLOW_E_NOMEM)
        return reader_no_memory();
    r->update_due = false;
    r->renewal_asked = false;
    /* The record that ends the old key may have reached that key's limit. */
    r->ask_renewal = false;
    r->refuse_from = 0;
    if (st != FLOW_OK)
        return reader_refuse(FLOW__ALERT_INTERNAL_ERROR,
                             "the next keys cannot be made");
    r->updates++;
    if (r->update_asks)
        r->ask_update = true;
    return reader_result(FLOW_OK);
}

/* The rows of these states say what may come after the handshake. */
static enum flow__order_state
reader_state(const struct flow__reader *r)
{
    if (r->tls13)
        return r->server ? FLOW__STATE_S13_OPEN : FLOW__STATE_C13_OPEN;
    return r->server ? FLOW__STATE_S12_OPEN : FLOW__STATE_C12_OPEN;
}

/* The row of a whole message, if its check accepts it. */
static enum flow_status
reader_find_row(const struct flow__reader *r, const uint8_t *msg, size_t len,
                const struct flow__order_row **ret_row,
                struct flow__fault *fault)
{
    static const struct flow__check_facts facts = { .peer_key =
                                                        FLOW__KEY_OTHER };
    const struct flow__span none = { NULL, 0 };
    const struct flow__order at = { reader_state(r), false };
    enum flow_status st =
        flow__order_find(&at, false, flow__order_kind(&at, msg, len, none),
                         FLOW__LEVEL_DATA, ret_row, fault);

    if (st != FLOW_OK || (*ret_row)->check == NULL)
        return st;
    return (*ret_row)->check(&facts, msg, len, fault);
}

/* Take a whole message after the handshake.  Tickets are skipped, since
 * sessions are not resumed. */
static struct flow__reader_result
reader_take_message(struct flow__reader *r, const uint8_t *msg, size_t len,
                    bool is_last)
{
    const struct flow__order_row *row;
    struct flow__fault fault;

    if (reader_find_row(r, msg, len, &row, &fault) != FLOW_OK)
        return reader_refuse(fault.alert, fault.text);
    if ((row->flags & FLOW__ROW_LAST) != 0 && !is_last)
        return reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "a message spans the change of keys");
    if ((row->flags & FLOW__ROW_NO_RENEGOTIATION) != 0)
        r->ask_refusal = true;
    if (row->kind != FLOW__KIND_KEY_UPDATE)
        return reader_result(FLOW_OK);
    /* RFC 8446 4.6.3 */
    r->update_due = true;
    r->update_asks = msg[FLOW__HANDSHAKE_HEADER] == FLOW__KEY_UPDATE_REQUESTED;
    return reader_next_key(r);
}

/* Take the whole messages at the front, *ret_used bytes. */
static struct flow__reader_result
reader_take_messages(struct flow__reader *r, const uint8_t *msg, size_t len,
                     size_t *ret_used)
{
    struct flow__reader_result res = reader_result(FLOW_OK);
    size_t whole;

    *ret_used = 0;
    for (; res.status == FLOW_OK && len >= FLOW__HANDSHAKE_HEADER;
         msg += whole, len -= whole) {
        whole = FLOW__HANDSHAKE_HEADER +
                ((size_t)msg[1] << 16 | (size_t)msg[2] << 8 | msg[3]);
        if (whole > READER_POST_MESSAGE_MAX)
            return reader_refuse(
                FLOW__ALERT_DECODE_ERROR,
                "a handshake message is longer than 16,384 bytes");
        if (len < whole)
            break;
        res = reader_take_message(r, msg, whole, len == whole);
        *ret_used += whole;
    }
    return res;
}

/* Take handshake bytes.  Only an incomplete message is stored. */
static struct flow__reader_result
reader_take_handshake(struct flow__reader *r, const uint8_t *content,
                      size_t len)
{
    struct flow__reader_result res;
    size_t used = 0;

    if (flow__queue_len(&r->post) == 0) {
        res = reader_take_messages(r, content, len, &used);
        if (res.status != FLOW_OK || used == len)
            return res;
    }
    /* The record is consumed, so the call cannot be repeated. */
    if (!flow__queue_append(&r->post, content + used, len - used)) {
        res = reader_refuse(FLOW__ALERT_INTERNAL_ERROR,
                            "no memory for a handshake message");
        res.status = FLOW_E_SYS;
        return res;
    }
    res = reader_take_messages(r, flow__queue_data(&r->post),
                               flow__queue_len(&r->post), &used);
    flow__queue_consume(&r->post, used);
    return res;
}

/* Take a record without application data. */
static struct flow__reader_result
reader_take_other(struct flow__reader *r, uint8_t type, const uint8_t *content,
                  size_t len)
{
    if (++r->idle_records > READER_IDLE_RECORDS_MAX)
        return reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "too many records in a row without data");
    if (type == FLOW__CONTENT_HANDSHAKE)
        return reader_take_handshake(r, content, len);
    /* RFC 8446 5.1: nothing comes between the fragments of a message. */
    if (flow__queue_len(&r->post) > 0)
        return reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "the peer interrupted a handshake message");
    if (type == FLOW__CONTENT_ALERT)
        return reader_take_alert(r, content, len);
    if (type == FLOW__CONTENT_APPLICATION_DATA)
        return reader_result(FLOW_OK);
    return reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                         "change_cipher_spec after the handshake");
}

/* Where a record is opened, and what is done with its content then. */
struct reader_target {
    enum {
        ON_PLAIN,  /* stays there */
        ON_CALLER, /* stays in the caller's memory */
        ON_SMALL   /* is copied to the caller's vector */
    } kind;
    uint8_t *out;
    uint8_t small[READER_LOOK_AHEAD_MAX];
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
        return true;
    }
    if (is_first && room <= READER_LOOK_AHEAD_MAX &&
        flow_vec_len(vec, count) >= room) {
        t->kind = ON_SMALL;
        t->out = t->small;
        return true;
    }
    t->kind = ON_PLAIN;
    if (!flow__queue_reserve(&r->plain, room > 0 ? room : 1))
        return false;
    t->out = flow__queue_tail(&r->plain);
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
        return reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE, why);
    }
    r->idle_records = 0;
    if (t->kind == ON_PLAIN) {
        flow__queue_extend(&r->plain, len);
        return reader_result(FLOW_OK);
    }
    *ret_len = len;
    if (t->kind == ON_SMALL) {
        (void)flow_vec_put(vec, count, 0, t->out, len);
        flow_wipe(t->out, len);
    }
    return reader_result(FLOW_OK);
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
    res = reader_take_other(r, opened->type, t->out, opened->len);
    flow_wipe(t->out, opened->len);
    if (t->kind == ON_PLAIN)
        flow__queue_consume(&r->plain, 0);
    return res;
}

/* Read one record; FLOW_OK even if it had no data. */
static struct flow__reader_result
reader_read_record(struct flow__reader *r, struct flow *lower,
                   const struct flow_vec *vec, size_t count, size_t *ret_len)
{
    struct flow__record_opened opened;
    struct flow__reader_result res;
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    const uint8_t *record;
    struct reader_target target;
    size_t len;
    enum flow_status st;

    if (r->held.status != FLOW_OK) {
        res = r->held;
        r->held = reader_result(FLOW_OK);
        return res;
    }
    if (r->update_due)
        return reader_next_key(r);
    if (r->closed)
        return reader_result(FLOW_EOF);
    if (r->ended && flow__queue_len(&r->cipher) == 0)
        return reader_result(FLOW_E_TRUNCATED);
    res = reader_next_record(r, lower, &record, &len);
    if (res.status != FLOW_OK)
        return res;
    if (!reader_choose_target(r, vec, count, record,
                              flow__record_room(&r->keys, len), &target)) {
        reader_drop_record(r, lower, 0);
        return reader_no_memory();
    }
    st = flow__record_open(&r->keys, record, len, target.out, &opened, &fault);
    if (target.kind == ON_PLAIN && st != FLOW_OK)
        flow__queue_consume(&r->plain, 0);
    reader_drop_record(r, lower, st == FLOW_OK ? len : 0);
    if (st == FLOW_E_NOMEM)
        return reader_no_memory();
    if (st != FLOW_OK) {
        res = reader_refuse(fault.alert, fault.text);
        res.status = st;
        return res;
    }
    return reader_deliver(r, &opened, &target, vec, count, ret_len);
}

/* See tls/reader.h. */
struct flow__reader_result
flow__reader_read(struct flow__reader *r, struct flow *lower,
                  const struct flow_vec *vec, size_t count, size_t *ret_len)
{
    struct flow__reader_result res = reader_result(FLOW_OK);

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
    struct flow__reader_result res = reader_result(FLOW_OK);
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
            r->held = reader_next_key(r);
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

/* Whether the lower flow lends a record that is assumed to have data. */
static bool
reader_lends_large(struct flow__reader *r, struct flow *lower)
{
    size_t len;

    if (reader_lease_record(r, lower, &len) == NULL)
        return false;
    reader_drop_record(r, lower, 0);
    return len > READER_LOOK_AHEAD_MAX;
}

/* See tls/reader.h. */
bool
flow__reader_wait(struct flow__reader *r, struct flow *lower, size_t want,
                  struct flow_wait_set *set)
{
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
        /* The lower flow said ready and is not: report that instead of asking
         * again. */
        if (res.status == FLOW_AGAIN)
            return true;
        if (res.status != FLOW_OK)
            r->held = res;
    }
    return true;
}
