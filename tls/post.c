/* SPDX-License-Identifier: ISC */
#include "tls/post.h"

#include "tls/harvest.h"
#include "tls/order.h"

/*
 * Records without application data, after the handshake: alerts, KeyUpdates,
 * tickets, and requests to renegotiate.
 *
 * Invariants: post holds a message that is not whole yet, and no record of
 * another type is accepted while it is not empty (RFC 8446 5.1).  A message is
 * taken once.  If there is no memory for the key of a KeyUpdate, the update
 * stays due, and no record is opened before it is done.
 *
 * Locks: the TLS flow's rx_lock, as in reader.c.
 */

/* Records without data that a peer may send in a row: empty ones, warnings,
 * KeyUpdates, tickets. */
#define POST_IDLE_RECORDS_MAX 32u
/* A NewSessionTicket may have more than 2^16 bytes; no server sends that. */
#define POST_MESSAGE_MAX 16384u

static struct flow__reader_result
post_take_alert(struct flow__reader *r, const uint8_t *content, size_t len)
{
    struct flow__reader_result res;

    if (len != 2)
        return flow__reader_refuse(FLOW__ALERT_DECODE_ERROR, "malformed alert");
    if (content[1] == FLOW__ALERT_CLOSE_NOTIFY) {
        r->closed = true;
        return flow__reader_result_of(FLOW_EOF);
    }
    /* RFC 8446 6.1: user_canceled announces a close_notify. */
    if ((content[0] == FLOW__ALERT_LEVEL_WARNING && !r->tls13) ||
        content[1] == FLOW__ALERT_USER_CANCELED)
        return flow__reader_result_of(FLOW_OK);
    res = flow__reader_refuse(FLOW__ALERT_NONE, FLOW__ALERT_RECEIVED_TEXT);
    res.alert_received = content[1];
    return res;
}

/* Make the key that a KeyUpdate announced.  The message is consumed, so a key
 * that cannot be made now stays due. */
struct flow__reader_result
flow__post_next_key(struct flow__reader *r)
{
    enum flow_status st = flow__record_update(&r->keys, &r->secret);

    if (st == FLOW_E_NOMEM)
        return flow__reader_no_memory();
    r->update_due = false;
    r->renewal_asked = false;
    /* The record that ends the old key may have reached that key's limit. */
    r->ask_renewal = false;
    r->refuse_from = 0;
    if (st != FLOW_OK)
        return flow__reader_refuse(FLOW__ALERT_INTERNAL_ERROR,
                                   "the next keys cannot be made");
    r->updates++;
    if (r->update_asks)
        r->ask_update = true;
    return flow__reader_result_of(FLOW_OK);
}

/* The rows of these states say what may come after the handshake. */
static enum flow__order_state
post_state(const struct flow__reader *r)
{
    if (r->tls13)
        return r->server ? FLOW__STATE_S13_OPEN : FLOW__STATE_C13_OPEN;
    return r->server ? FLOW__STATE_S12_OPEN : FLOW__STATE_C12_OPEN;
}

/* The row of a whole message, if its check accepts it. */
static enum flow_status
post_find_row(const struct flow__reader *r, const uint8_t *msg, size_t len,
              const struct flow__order_row **ret_row, struct flow__fault *fault)
{
    static const struct flow__check_facts facts = { .peer_key =
                                                        FLOW__KEY_OTHER };
    const struct flow__span none = { NULL, 0 };
    const struct flow__order at = { post_state(r), false };
    enum flow_status st =
        flow__order_find(&at, false, flow__order_kind(&at, msg, len, none),
                         FLOW__LEVEL_DATA, ret_row, fault);

    if (st != FLOW_OK || (*ret_row)->check == NULL)
        return st;
    return (*ret_row)->check(&facts, msg, len, fault);
}

static void
post_end_harvest(struct flow__reader *r)
{
    flow__harvest_free(r->harvest);
    r->harvest = NULL;
}

/* See tls/post.h. */
void
flow__post_note_data(struct flow__reader *r)
{
    if (r->harvest != NULL && !flow__harvest_waits(r->harvest))
        post_end_harvest(r);
}

/* Tickets are skipped where there is no store of sessions. */
static void
post_take_ticket(struct flow__reader *r, const uint8_t *msg, size_t len)
{
    if (r->harvest != NULL && !flow__harvest_take(r->harvest, msg, len))
        post_end_harvest(r);
}

/* Take a whole message after the handshake. */
static struct flow__reader_result
post_take_message(struct flow__reader *r, const uint8_t *msg, size_t len,
                  bool is_last)
{
    const struct flow__order_row *row;
    struct flow__fault fault;

    if (post_find_row(r, msg, len, &row, &fault) != FLOW_OK)
        return flow__reader_refuse(fault.alert, fault.text);
    if ((row->flags & FLOW__ROW_LAST) != 0 && !is_last)
        return flow__reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                                   "a message spans the change of keys");
    if ((row->flags & FLOW__ROW_NO_RENEGOTIATION) != 0)
        r->ask_refusal = true;
    if (row->kind == FLOW__KIND_NEW_SESSION_TICKET)
        post_take_ticket(r, msg, len);
    if (row->kind != FLOW__KIND_KEY_UPDATE)
        return flow__reader_result_of(FLOW_OK);
    /* RFC 8446 4.6.3 */
    r->update_due = true;
    r->update_asks = msg[FLOW__HANDSHAKE_HEADER] == FLOW__KEY_UPDATE_REQUESTED;
    return flow__post_next_key(r);
}

/* Take the whole messages at the front, *ret_used bytes. */
static struct flow__reader_result
post_take_messages(struct flow__reader *r, const uint8_t *msg, size_t len,
                   size_t *ret_used)
{
    struct flow__reader_result res = flow__reader_result_of(FLOW_OK);
    size_t whole;

    *ret_used = 0;
    for (; res.status == FLOW_OK && len >= FLOW__HANDSHAKE_HEADER;
         msg += whole, len -= whole) {
        whole = FLOW__HANDSHAKE_HEADER +
                ((size_t)msg[1] << 16 | (size_t)msg[2] << 8 | msg[3]);
        if (whole > POST_MESSAGE_MAX)
            return flow__reader_refuse(
                FLOW__ALERT_DECODE_ERROR,
                "a handshake message is longer than 16,384 bytes");
        if (len < whole)
            break;
        res = post_take_message(r, msg, whole, len == whole);
        *ret_used += whole;
    }
    return res;
}

/* Take handshake bytes.  Only an incomplete message is stored. */
static struct flow__reader_result
post_take_handshake(struct flow__reader *r, const uint8_t *content, size_t len)
{
    struct flow__reader_result res;
    size_t used = 0;

    if (flow__queue_len(&r->post) == 0) {
        res = post_take_messages(r, content, len, &used);
        if (res.status != FLOW_OK || used == len)
            return res;
    }
    /* The record is consumed, so the call cannot be repeated. */
    if (!flow__queue_append(&r->post, content + used, len - used)) {
        res = flow__reader_refuse(FLOW__ALERT_INTERNAL_ERROR,
                                  "no memory for a handshake message");
        res.status = FLOW_E_SYS;
        return res;
    }
    res = post_take_messages(r, flow__queue_data(&r->post),
                             flow__queue_len(&r->post), &used);
    flow__queue_consume(&r->post, used);
    return res;
}

struct flow__reader_result
flow__post_take(struct flow__reader *r, uint8_t type, const uint8_t *content,
                size_t len)
{
    if (++r->idle_records > POST_IDLE_RECORDS_MAX)
        return flow__reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                                   "too many records in a row without data");
    if (type == FLOW__CONTENT_HANDSHAKE)
        return post_take_handshake(r, content, len);
    /* RFC 8446 5.1: nothing comes between the fragments of a message. */
    if (flow__queue_len(&r->post) > 0)
        return flow__reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                                   "the peer interrupted a handshake message");
    if (type == FLOW__CONTENT_ALERT)
        return post_take_alert(r, content, len);
    if (type == FLOW__CONTENT_APPLICATION_DATA)
        return flow__reader_result_of(FLOW_OK);
    return flow__reader_refuse(FLOW__ALERT_UNEXPECTED_MESSAGE,
                               "change_cipher_spec after the handshake");
}
