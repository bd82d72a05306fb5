/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/handshake_state.h"
#include "tls/key_log.h"

/*
 * Events of the engine into keys, messages and records; our alert.
 *
 * Invariants: the events of one call of the engine leave as one flight, whole
 * or not at all.  They are taken with a copy of order, which replaces the old
 * one when the flight is sealed; a failure before that leaves order, and with
 * it the key for the alert, as the peer knows it.  A key is made once for each
 * level and direction, since a second one would use its record numbers again.
 * Every flight has to be in order's tables: the engine's mistakes end as
 * internal_error and are never sent.
 *
 * Locks: as in handshake.c.
 */

static const uint8_t outgoing_change_cipher_spec[1] = { 1 };

/* A mistake of the engine, or a cipher that fails. */
static enum flow_status
outgoing_engine_failed(const struct flow__handshake *hs, struct flow_error *err)
{
    const struct flow__fault fault = { FLOW__ALERT_INTERNAL_ERROR,
                                       "the engine failed" };

    return flow__handshake_fault(hs, FLOW_E_SYS, &fault, err);
}

static enum flow_status
outgoing_status_error(const struct flow__handshake *hs, enum flow_status status,
                      struct flow_error *err)
{
    if (status == FLOW_OK)
        return FLOW_OK;
    return status == FLOW_E_NOMEM ? flow__handshake_fault(hs, status, NULL, err)
                                  : outgoing_engine_failed(hs, err);
}

/* --- secrets --- */

static enum flow_status
outgoing_take_secret13(struct flow__handshake *hs,
                       const struct flow__engine_event *ev)
{
    struct flow__record_keys *keys = ev->is_write ? hs->tx : hs->rx;
    struct flow__secret *kept = ev->is_write ? &hs->tx_secret : &hs->rx_secret;
    enum flow_status st;

    if (ev->len != (size_t)ev->suite->hash)
        return FLOW_E_SYS;
    st = flow__record_init(&keys[ev->level], hs->env, ev->suite,
                           ev->keys[ev->is_write], 0);
    if (st == FLOW_OK && ev->level == FLOW__LEVEL_DATA) {
        kept->hash = ev->suite->hash;
        memcpy(kept->bytes, ev->bytes, ev->len);
    }
    return st;
}

static enum flow_status
outgoing_take_secret12(struct flow__handshake *hs,
                       const struct flow__engine_event *ev)
{
    enum flow_status st;

    if (ev->len != FLOW__MASTER_LEN)
        return FLOW_E_SYS;
    st = flow__record_init(&hs->tx[FLOW__LEVEL_DATA], hs->env, ev->suite,
                           ev->keys[1], 0);
    if (st == FLOW_OK)
        st = flow__record_init(&hs->rx[FLOW__LEVEL_DATA], hs->env, ev->suite,
                               ev->keys[0], 0);
    return st;
}

/* A key is made once: a second one would repeat its numbers. */
static enum flow_status
outgoing_take_secret(struct flow__handshake *hs,
                     const struct flow__engine_event *ev)
{
    struct flow__record_keys *keys = ev->is_write ? hs->tx : hs->rx;

    if (ev->suite != hs->suite || ev->level == FLOW__LEVEL_PLAIN ||
        keys[ev->level].suite != NULL)
        return FLOW_E_SYS;
    flow__key_log_note(hs->config, hs->server, ev);
    return hs->version == FLOW_TLS_1_3 ? outgoing_take_secret13(hs, ev)
                                       : outgoing_take_secret12(hs, ev);
}

/* --- messages --- */

/* RFC 8446 D.4: once, and only if the client's session id is not empty. */
static enum flow_status
outgoing_add_compatibility(struct flow__handshake *hs)
{
    if (hs->ccs_sent || hs->session_id_len == 0)
        return FLOW_OK;
    hs->ccs_sent = true;
    return flow__flight_add(&hs->flight, FLOW__CONTENT_CHANGE_CIPHER_SPEC,
                            FLOW__LEVEL_PLAIN, outgoing_change_cipher_spec,
                            sizeof(outgoing_change_cipher_spec));
}

/* TLS 1.2: the change that the engine's Finished has to follow. */
static enum flow_status
outgoing_change_cipher(struct flow__handshake *hs, struct flow__order *order)
{
    const struct flow__order_row *row;
    struct flow__fault fault;
    enum flow_status st =
        flow__order_find(order, true, FLOW__KIND_CHANGE_CIPHER_SPEC,
                         FLOW__LEVEL_PLAIN, &row, &fault);

    if (st != FLOW_OK)
        return FLOW_E_SYS;
    flow__order_take(order, row);
    return flow__flight_add(&hs->flight, FLOW__CONTENT_CHANGE_CIPHER_SPEC,
                            FLOW__LEVEL_PLAIN, outgoing_change_cipher_spec,
                            sizeof(outgoing_change_cipher_spec));
}

/* Note what a message of ours says. */
static enum flow_status
outgoing_note_message(struct flow__handshake *hs, enum flow__kind kind,
                      const struct flow__engine_event *ev,
                      struct flow_error *err)
{
    if (kind == FLOW__KIND_CLIENT_HELLO)
        return flow__agreement_offer(hs, ev->bytes, ev->len, err);
    if (ev->bytes[0] == FLOW__HANDSHAKE_SERVER_HELLO)
        return flow__agreement_server_hello(hs, ev->bytes, ev->len, err);
    if (kind == FLOW__KIND_SERVER_KEY_EXCHANGE)
        flow__agreement_key_exchange(hs, ev->bytes, ev->len);
    return FLOW_OK;
}

static enum flow_status
outgoing_add_message(struct flow__handshake *hs, struct flow__order *order,
                     enum flow__kind kind, const struct flow__engine_event *ev)
{
    const struct flow__order_row *row;
    struct flow__fault fault;
    enum flow_status st = FLOW_OK;

    if (hs->version == FLOW_TLS_1_2 && ev->level == FLOW__LEVEL_DATA &&
        flow__order_facts(order->state)->tx == FLOW__LEVEL_PLAIN)
        st = outgoing_change_cipher(hs, order);
    if (st == FLOW_OK)
        st = flow__order_find(order, true, kind, ev->level, &row, &fault);
    if (st == FLOW_OK && (row->flags & FLOW__ROW_CCS_BEFORE) != 0)
        st = outgoing_add_compatibility(hs);
    if (st == FLOW_OK)
        st = flow__flight_add(&hs->flight, FLOW__CONTENT_HANDSHAKE, ev->level,
                              ev->bytes, ev->len);
    if (st == FLOW_OK && (row->flags & FLOW__ROW_CCS_AFTER) != 0)
        st = outgoing_add_compatibility(hs);
    if (st == FLOW_OK)
        flow__order_take(order, row);
    return st;
}

static enum flow_status
outgoing_take_event(struct flow__handshake *hs, struct flow__order *order,
                    const struct flow__engine_event *ev, struct flow_error *err)
{
    const struct flow__span session_id = { hs->session_id, hs->session_id_len };
    enum flow__kind kind;
    enum flow_status st;

    if (ev->kind == FLOW__ENGINE_SECRET)
        return outgoing_status_error(hs, outgoing_take_secret(hs, ev), err);
    kind = flow__order_kind(order, ev->bytes, ev->len, session_id);
    st = outgoing_note_message(hs, kind, ev, err);
    return st == FLOW_OK
               ? outgoing_status_error(
                     hs, outgoing_add_message(hs, order, kind, ev), err)
               : st;
}

/* --- flights --- */

/* Seal what the flight holds; the state moves with it. */
static enum flow_status
outgoing_seal_flight(struct flow__handshake *hs,
                     const struct flow__order *order, struct flow_error *err)
{
    bool first = hs->order.state == FLOW__STATE_C_START;
    size_t before = flow__queue_len(&hs->out);
    bool spent;
    enum flow_status st = flow__flight_seal(&hs->flight, hs->tx,
                                            hs->record_limit, &hs->out, &spent);

    if (st != FLOW_OK) {
        (void)outgoing_status_error(hs, st, err);
        /* Records of the flight that were not sent have used numbers: the peer
         * could not open an alert after them, unless it is in the clear. */
        if (spent &&
            flow__order_facts(hs->order.state)->tx != FLOW__LEVEL_PLAIN)
            err->alert_sent = FLOW__ALERT_NONE;
        return st;
    }
    /* RFC 8446 5.1: old servers want to see this in the first record. */
    if (first && flow__queue_len(&hs->out) > before)
        flow__queue_data(&hs->out)[before + 2] = 1;
    hs->order = *order;
    return FLOW_OK;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__outgoing_events(struct flow__handshake *hs, enum flow_status status,
                      struct flow_error *err)
{
    struct flow__order order = hs->order;
    bool ccs_sent = hs->ccs_sent;
    struct flow__engine_event ev;
    enum flow_status st = FLOW_OK;

    while (st == FLOW_OK) {
        enum flow_status next = flow__engine_next(hs->engine, &ev);

        if (next == FLOW_AGAIN)
            break;
        st = next == FLOW_OK ? outgoing_take_event(hs, &order, &ev, err)
                             : outgoing_status_error(hs, next, err);
    }
    /* If the engine sends nothing although it is its turn, both sides would
     * wait for ever. */
    if (st == FLOW_OK &&
        (flow__order_facts(order.state)->turn == FLOW__TURN_OURS ||
         flow__order_is_open(&order) != (status == FLOW_OK)))
        st = outgoing_engine_failed(hs, err);
    if (st == FLOW_OK)
        st = outgoing_seal_flight(hs, &order, err);
    if (st != FLOW_OK) {
        flow__flight_clear(&hs->flight);
        hs->ccs_sent = ccs_sent;
    }
    return st;
}

/* See tls/handshake_state.h. */
bool
flow__outgoing_alert(struct flow__handshake *hs, int alert)
{
    const uint8_t content[2] = { FLOW__ALERT_LEVEL_FATAL, (uint8_t)alert };
    enum flow__level level = flow__order_facts(hs->order.state)->tx;
    enum flow_status st = FLOW_OK;
    bool spent;

    /* Its keys could not be made. */
    if (level != FLOW__LEVEL_PLAIN && hs->tx[level].suite == NULL)
        level = FLOW__LEVEL_PLAIN;
    if (level == FLOW__LEVEL_HANDSHAKE && !hs->server)
        st = outgoing_add_compatibility(hs);
    if (st == FLOW_OK)
        st = flow__flight_add(&hs->flight, FLOW__CONTENT_ALERT, level, content,
                              sizeof(content));
    if (st == FLOW_OK)
        st = flow__flight_seal(&hs->flight, hs->tx, hs->record_limit, &hs->out,
                               &spent);
    flow__flight_clear(&hs->flight);
    return st == FLOW_OK;
}
