/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/handshake_state.h"
#include "tls/peer.h"

/*
 * Records of the peer into messages, messages into the engine.  A record is
 * taken in this order: header, key, content, order of the messages, check of
 * the message, engine.  What one step refuses never reaches the next.
 *
 * Invariants: raw begins with a record; it is taken off only after all of it
 * was accepted.  message holds the fragments of one message, so no record of
 * another type is accepted while it is not empty (RFC 8446 5.1).  A message
 * moves order when the engine has accepted it, not before: an alert then
 * leaves under the key that the peer expects.  All that a peer may repeat has a
 * limit: warnings, change_cipher_spec, early data, bytes in all.
 *
 * Locks: as in handshake.c.
 */

/* More than correct peers send, so that floods end here. */
#define INCOMING_WARNINGS_MAX 4u
#define INCOMING_CCS_MAX      2u
/* Bytes of refused 0-RTT data that are skipped, in all. */
#define INCOMING_EARLY_MAX 65536u

static const struct flow__order_facts *
incoming_facts_of(const struct flow__handshake *hs)
{
    return flow__order_facts(hs->order.state);
}

static enum flow_status
incoming_refuse_misplaced(const struct flow__handshake *hs, const char *text,
                          struct flow_error *err)
{
    return flow__handshake_refuse(hs, FLOW__ALERT_UNEXPECTED_MESSAGE, text,
                                  err);
}

/* See tls/handshake_state.h. */
size_t
flow__incoming_missing(const struct flow__handshake *hs)
{
    size_t have = flow__queue_len(&hs->raw);
    const uint8_t *p = flow__queue_data(&hs->raw);
    size_t need;

    if (have < FLOW__RECORD_HEADER)
        return FLOW__RECORD_HEADER - have;
    need = FLOW__RECORD_HEADER + (size_t)(p[3] << 8 | p[4]);
    return need > have ? need - have : 0;
}

/* --- messages --- */

/* Note what a message of the peer says, before the engine gets it. */
static enum flow_status
incoming_note_message(struct flow__handshake *hs, enum flow__kind kind,
                      const uint8_t *msg, size_t len, struct flow_error *err)
{
    if (kind == FLOW__KIND_CLIENT_HELLO)
        return flow__agreement_client_hello(hs, msg, len, err);
    /* Servers send the others. */
    if (!flow__engine_can_connect())
        return FLOW_OK;
    if (msg[0] == FLOW__HANDSHAKE_SERVER_HELLO)
        return flow__agreement_server_hello(hs, msg, len, err);
    if (kind == FLOW__KIND_SERVER_KEY_EXCHANGE)
        flow__agreement_key_exchange(hs, msg, len);
    if (kind == FLOW__KIND_NEW_SESSION_TICKET)
        flow__resumption_note_ticket(hs, msg, len);
    return FLOW_OK;
}

/* See tls/checks.h. */
static uint16_t
incoming_session_suite(const struct flow__handshake *hs)
{
    return hs->session != NULL && hs->session->facts.version == FLOW_TLS_1_2
               ? hs->session_suite
               : 0u;
}

static enum flow_status
incoming_check_message(struct flow__handshake *hs,
                       const struct flow__order_row *row, const uint8_t *msg,
                       size_t len, struct flow_error *err)
{
    const struct flow_tls_sni_terms terms = flow__agreement_terms(hs);
    const struct flow__check_facts facts = {
        .offer = hs->server ? NULL : &hs->offer,
        .session_suite = incoming_session_suite(hs),
        .terms = hs->server ? &terms : NULL,
        .skip_extended = hs->config->skip_extended,
        .name = hs->sni,
        .alpn = { hs->alpn, hs->alpn_len },
        .suite = hs->suite,
        .group = hs->group,
        .peer_key = hs->peer_key,
    };
    struct flow__fault fault;
    enum flow_status st;

    if (row->check == NULL)
        return FLOW_OK;
    st = row->check(&facts, msg, len, &fault);
    return st == FLOW_OK ? st : flow__handshake_fault(hs, st, &fault, err);
}

/* The row of a message, or of the message that its header announces. */
static enum flow_status
incoming_find_row(struct flow__handshake *hs, enum flow__level level,
                  const uint8_t *msg, size_t len, enum flow__kind *ret_kind,
                  const struct flow__order_row **ret_row,
                  struct flow_error *err)
{
    const struct flow__span session_id = { hs->session_id, hs->session_id_len };
    struct flow__fault fault;
    enum flow_status st;

    *ret_kind = flow__order_kind(&hs->order, msg, len, session_id);
    st = flow__order_find(&hs->order, false, *ret_kind, level, ret_row, &fault);
    return st == FLOW_OK ? st : flow__handshake_fault(hs, st, &fault, err);
}

/* Give a message to the engine and send what it answers. */
static enum flow_status
incoming_feed(struct flow__handshake *hs, enum flow__level level,
              const uint8_t *msg, size_t len, const struct flow__order_row *row,
              struct flow_error *err)
{
    enum flow_status over = flow__engine_feed(hs->engine, level, msg, len, err);
    enum flow_status st;

    if (over != FLOW_OK && over != FLOW_AGAIN)
        return over;
    if (over == FLOW_OK)
        flow__resumption_settle(hs);
    st = over == FLOW_OK ? flow__handshake_check_peer(hs, err) : FLOW_OK;
    if (st != FLOW_OK)
        return st;
    flow__order_take(&hs->order, row);
    st = flow__outgoing_events(hs, over, err);
    return st == FLOW_OK && over == FLOW_OK ? flow__handshake_complete(hs, err)
                                            : st;
}

/* RFC 8446 5.1: no message may span a change of keys.  We also refuse bytes
 * after a message that makes it our turn; that message is then not taken. */
static enum flow_status
incoming_refuse_trailing(const struct flow__handshake *hs,
                         struct flow_error *err)
{
    return incoming_refuse_misplaced(
        hs, "the peer sent more after the last message of its turn", err);
}

/* Find the row of a whole message, check the message, verify certificates, and
 * feed it to the engine.  trailing: bytes of its record that follow it. */
static enum flow_status
incoming_take_message(struct flow__handshake *hs, enum flow__level level,
                      const uint8_t *msg, size_t len, size_t trailing,
                      struct flow_error *err)
{
    const struct flow__order_row *row;
    enum flow__kind kind;
    enum flow_status st =
        incoming_find_row(hs, level, msg, len, &kind, &row, err);
    bool is_cut =
        st == FLOW_OK && (row->flags & FLOW__ROW_LAST) != 0 && trailing > 0;

    if (st != FLOW_OK)
        return st;
    if (is_cut && flow__order_facts(row->to)->turn != FLOW__TURN_PEER)
        return incoming_refuse_trailing(hs, err);
    st = incoming_check_message(hs, row, msg, len, err);
    if (st != FLOW_OK)
        return st;
    if ((row->flags & FLOW__ROW_IGNORED) != 0)
        return ++hs->warnings > INCOMING_WARNINGS_MAX
                   ? incoming_refuse_misplaced(hs, "too many HelloRequests",
                                               err)
                   : FLOW_OK;
    st = incoming_note_message(hs, kind, msg, len, err);
    if (st == FLOW_OK && msg[0] == FLOW__HANDSHAKE_CERTIFICATE)
        st = flow__peer_verify(hs, msg, len, err);
    if (st == FLOW_OK && kind == FLOW__KIND_CERTIFICATE_REQUEST &&
        flow__engine_can_connect())
        st = flow__peer_answer_request(hs, msg, len, err);
    if (st == FLOW_OK)
        st = incoming_feed(hs, level, msg, len, row, err);
    return st == FLOW_OK && is_cut ? incoming_refuse_trailing(hs, err) : st;
}

/* TLS 1.2: only a change of keys is missing here, so that what came may be
 * encrypted, and its lengths mean nothing. */
static bool
incoming_change_is_due(const struct flow__handshake *hs)
{
    const struct flow__order_row *row;
    struct flow__fault fault;

    return !incoming_facts_of(hs)->drops_ccs &&
           flow__order_find(&hs->order, false, FLOW__KIND_CHANGE_CIPHER_SPEC,
                            FLOW__LEVEL_PLAIN, &row, &fault) == FLOW_OK;
}

/* Take the first message of the queue.  FLOW_AGAIN: it is not whole yet, or the
 * choice of a certificate waits for the callback. */
static enum flow_status
incoming_next_message(struct flow__handshake *hs, enum flow__level level,
                      struct flow_error *err)
{
    const uint8_t *msg = flow__queue_data(&hs->message);
    size_t have = flow__queue_len(&hs->message);
    const struct flow__order_row *row;
    enum flow__kind kind;
    enum flow_status st;
    size_t len;

    if (have < FLOW__HANDSHAKE_HEADER)
        return FLOW_AGAIN;
    len = FLOW__HANDSHAKE_HEADER +
          ((size_t)msg[1] << 16 | (size_t)msg[2] << 8 | msg[3]);
    if (incoming_change_is_due(hs)) {
        st = incoming_find_row(hs, level, msg, FLOW__HANDSHAKE_HEADER, &kind,
                               &row, err);
        if (st != FLOW_OK)
            return st;
    }
    if (len > flow__engine_message_max())
        return flow__handshake_refuse(
            hs, FLOW__ALERT_DECODE_ERROR,
            "a handshake message is longer than 16,384 bytes", err);
    if (have < len)
        return FLOW_AGAIN;
    st = incoming_take_message(hs, level, msg, len, have - len, err);
    if (st == FLOW_OK)
        flow__queue_consume(&hs->message, len);
    return st;
}

static enum flow_status
incoming_take_messages(struct flow__handshake *hs, enum flow__level level,
                       struct flow_error *err)
{
    enum flow_status st;

    do {
        st = incoming_next_message(hs, level, err);
    } while (st == FLOW_OK);
    return st == FLOW_AGAIN ? FLOW_OK : st;
}

/* Join fragments into messages. */
static enum flow_status
incoming_take_fragment(struct flow__handshake *hs, enum flow__level level,
                       const uint8_t *data, size_t len, struct flow_error *err)
{
    if (len == 0)
        return incoming_refuse_misplaced(
            hs, "the peer sent an empty handshake record", err);
    if (!flow__queue_append(&hs->message, data, len))
        return flow__handshake_fault(hs, FLOW_E_NOMEM, NULL, err);
    return incoming_take_messages(hs, level, err);
}

/* --- alerts, change_cipher_spec, 0-RTT data --- */

/* An alert of the peer, decrypted or in the clear. */
static enum flow_status
incoming_take_alert(struct flow__handshake *hs, const uint8_t *data, size_t len,
                    struct flow_error *err)
{
    if (len != 2)
        return flow__handshake_refuse(hs, FLOW__ALERT_DECODE_ERROR,
                                      "the peer sent a malformed alert", err);
    /* RFC 8446 6: levels mean nothing there; before a version is agreed a
     * warning is TLS 1.2's. */
    if (data[0] == FLOW__ALERT_LEVEL_WARNING && hs->version != FLOW_TLS_1_3 &&
        data[1] != FLOW__ALERT_CLOSE_NOTIFY)
        return ++hs->warnings > INCOMING_WARNINGS_MAX
                   ? incoming_refuse_misplaced(hs, "too many warning alerts",
                                               err)
                   : FLOW_OK;
    (void)flow_error_set(err, FLOW_E_PROTO, "tls", FLOW_DOMAIN_NONE, 0,
                         data[1] == FLOW__ALERT_CLOSE_NOTIFY
                             ? "the peer ended the handshake"
                             : FLOW__ALERT_RECEIVED_TEXT);
    err->alert_received = data[1];
    return FLOW_E_PROTO;
}

static enum flow_status
incoming_take_ccs(struct flow__handshake *hs, const uint8_t *data, size_t len,
                  struct flow_error *err)
{
    const struct flow__order_row *row;
    struct flow__fault fault;
    enum flow_status st;

    /* RFC 8446 5, RFC 5246 7.1 */
    if (len != 1 || data[0] != 1 || ++hs->ccs_received > INCOMING_CCS_MAX)
        return incoming_refuse_misplaced(
            hs, "the peer sent change_cipher_spec out of place", err);
    if (incoming_facts_of(hs)->drops_ccs)
        return FLOW_OK;
    st = flow__order_find(&hs->order, false, FLOW__KIND_CHANGE_CIPHER_SPEC,
                          FLOW__LEVEL_PLAIN, &row, &fault);
    if (st != FLOW_OK)
        return flow__handshake_fault(hs, st, &fault, err);
    flow__order_take(&hs->order, row);
    return FLOW_OK;
}

/* Skip a record of 0-RTT data that we did not accept (RFC 8446 4.2.10). */
static enum flow_status
incoming_skip_record(struct flow__handshake *hs, size_t len,
                     struct flow_error *err)
{
    hs->early_bytes += len;
    return hs->early_bytes > INCOMING_EARLY_MAX
               ? incoming_refuse_misplaced(
                     hs, "the peer sent more early data than may be skipped",
                     err)
               : FLOW_OK;
}

/* --- records --- */

static enum flow_status
incoming_take_content(struct flow__handshake *hs, enum flow__level level,
                      uint8_t type, const uint8_t *data, size_t len,
                      struct flow_error *err)
{
    if (type == FLOW__CONTENT_HANDSHAKE)
        return incoming_take_fragment(hs, level, data, len, err);
    /* RFC 8446 5.1: nothing comes between the fragments of a message. */
    if (flow__queue_len(&hs->message) > 0)
        return incoming_refuse_misplaced(
            hs, "the peer interrupted a handshake message", err);
    if (type == FLOW__CONTENT_ALERT)
        return incoming_take_alert(hs, data, len, err);
    if (type == FLOW__CONTENT_CHANGE_CIPHER_SPEC)
        return incoming_take_ccs(hs, data, len, err);
    return incoming_refuse_misplaced(
        hs, "the peer sent application data in the handshake", err);
}

static enum flow_status
incoming_take_protected(struct flow__handshake *hs, enum flow__level level,
                        const uint8_t *record, size_t len,
                        struct flow_error *err)
{
    struct flow__record_keys *keys = &hs->rx[level];
    struct flow__record_opened opened;
    struct flow__fault fault;
    size_t room;
    uint8_t *scratch;
    enum flow_status st;

    if (keys->ctx == NULL)
        return flow__handshake_fault(hs, FLOW_E_SYS, NULL, err);
    room = flow__record_room(keys, len) + 1;
    scratch = flow_env_alloc(hs->env, room);
    if (scratch == NULL)
        return flow__handshake_fault(hs, FLOW_E_NOMEM, NULL, err);
    st = flow__record_open(keys, record, len, scratch, &opened, &fault);
    if (st == FLOW_OK) {
        hs->skip_early = false;
        st = incoming_take_content(hs, level, opened.type, scratch, opened.len,
                                   err);
    } else if (st == FLOW_E_PROTO && hs->skip_early &&
               incoming_facts_of(hs)->skip == FLOW__SKIP_UNOPENED &&
               fault.alert == FLOW__ALERT_BAD_RECORD_MAC) {
        st = incoming_skip_record(hs, len, err);
    } else {
        st = flow__handshake_fault(hs, st, &fault, err);
    }
    flow_wipe(scratch, room);
    flow_env_free(hs->env, scratch, room);
    return st;
}

/* An unencrypted record although the peer has keys. */
static enum flow_status
incoming_take_unprotected13(struct flow__handshake *hs, const uint8_t *record,
                            size_t len, struct flow_error *err)
{
    /* A client that could not make our keys refuses in the clear. */
    if (record[0] == FLOW__CONTENT_ALERT && hs->server)
        return incoming_take_alert(hs, record + FLOW__RECORD_HEADER,
                                   len - FLOW__RECORD_HEADER, err);
    return incoming_refuse_misplaced(
        hs, "the peer sent a plaintext record where it must encrypt", err);
}

static enum flow_status
incoming_take_record(struct flow__handshake *hs, const uint8_t *record,
                     size_t len, struct flow_error *err)
{
    const struct flow__order_facts *facts = incoming_facts_of(hs);
    bool data = record[0] == FLOW__CONTENT_APPLICATION_DATA;

    /* A change_cipher_spec is never encrypted where it may come. */
    if (facts->skip == FLOW__SKIP_APPLICATION_DATA && hs->skip_early && data)
        return incoming_skip_record(hs, len, err);
    if (facts->rx == FLOW__LEVEL_PLAIN ||
        record[0] == FLOW__CONTENT_CHANGE_CIPHER_SPEC)
        return incoming_take_content(hs, FLOW__LEVEL_PLAIN, record[0],
                                     record + FLOW__RECORD_HEADER,
                                     len - FLOW__RECORD_HEADER, err);
    if (facts->version == FLOW_TLS_1_3 && !data)
        return incoming_take_unprotected13(hs, record, len, err);
    return incoming_take_protected(hs, facts->rx, record, len, err);
}

/* The limit of all bytes but those of 0-RTT data, which has its own. */
static enum flow_status
incoming_check_total(const struct flow__handshake *hs, struct flow_error *err)
{
    return hs->taken - hs->early_bytes > hs->config->handshake_bytes
               ? flow__handshake_refuse(
                     hs, FLOW__ALERT_HANDSHAKE_FAILURE,
                     "the peer's handshake is longer than the limit", err)
               : FLOW_OK;
}

/* Whether a record may be 0-RTT data: the header does not tell it from a
 * handshake message. */
static bool
incoming_may_be_early(const struct flow__handshake *hs, const uint8_t *record)
{
    return hs->skip_early && record[0] == FLOW__CONTENT_APPLICATION_DATA &&
           incoming_facts_of(hs)->skip != FLOW__SKIP_NONE;
}

/* Whether the first bytes are text: no record of TLS begins with a character
 * that can be printed. */
static bool
incoming_is_text(const uint8_t *record)
{
    for (size_t i = 0; i < FLOW__RECORD_HEADER; i++)
        if (record[i] < 0x20 || record[i] > 0x7e)
            return false;
    return true;
}

/* The first bytes are not a record of TLS: the error quotes them if they are
 * text, and a server may answer in the clear. */
static enum flow_status
incoming_refuse_first(struct flow__handshake *hs, const uint8_t *record,
                      struct flow__fault *fault, struct flow_error *err)
{
    char begin[FLOW__RECORD_HEADER + 1] = "";
    enum flow_status st;

    fault->text = "the peer does not speak TLS";
    hs->is_text = incoming_is_text(record);
    st = flow__handshake_fault(hs, FLOW_E_PROTO, fault, err);
    if (hs->is_text) {
        memcpy(begin, record, FLOW__RECORD_HEADER);
        flow_error_set_detail(err, begin);
    }
    return st;
}

static enum flow_status
incoming_check_header(struct flow__handshake *hs, const uint8_t *record,
                      struct flow_error *err)
{
    struct flow__record_header header;
    bool first = hs->taken == 0;
    /* Early data is encrypted whatever we think of it. */
    bool encrypted = incoming_facts_of(hs)->rx != FLOW__LEVEL_PLAIN ||
                     record[0] == FLOW__CONTENT_APPLICATION_DATA;
    struct flow__fault fault;
    enum flow_status st =
        flow__record_parse(record, encrypted, &header, &fault);

    if (st != FLOW_OK && first)
        return incoming_refuse_first(hs, record, &fault, err);
    if (st != FLOW_OK)
        return flow__handshake_fault(hs, st, &fault, err);
    hs->taken += FLOW__RECORD_HEADER + header.len;
    return incoming_may_be_early(hs, record) ? FLOW_OK
                                             : incoming_check_total(hs, err);
}

/* See tls/handshake_state.h. */
enum flow_status
flow__incoming_next(struct flow__handshake *hs, struct flow_error *err)
{
    const uint8_t *record = flow__queue_data(&hs->raw);
    size_t len;
    enum flow_status st;

    /* The ClientHello is at the front of the queue; its record was taken. */
    if (hs->is_asking)
        return incoming_take_messages(hs, FLOW__LEVEL_PLAIN, err);
    if (flow__queue_len(&hs->raw) < FLOW__RECORD_HEADER)
        return FLOW_AGAIN;
    if (!hs->header_checked) {
        st = incoming_check_header(hs, record, err);
        if (st != FLOW_OK)
            return st;
        hs->header_checked = true;
    }
    if (flow__incoming_missing(hs) > 0)
        return FLOW_AGAIN;
    hs->header_checked = false;
    len = FLOW__RECORD_HEADER + (size_t)(record[3] << 8 | record[4]);
    st = incoming_take_record(hs, record, len, err);
    if (st != FLOW_OK)
        return st;
    flow__queue_consume(&hs->raw, len);
    return incoming_check_total(hs, err);
}
