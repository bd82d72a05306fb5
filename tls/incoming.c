/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/handshake_state.h"

/* The engine's input buffer; a longer message is refused by name. */
#define MESSAGE_MAX 16384u
/* Enough for honest peers; floods end here. */
#define WARNINGS_MAX 4u
#define CCS_MAX      2u
/* Refused 0-RTT data that is read over, in all. */
#define EARLY_MAX 65536u

#define ALERT_WARNING 1

static enum flow_status
refuse(struct flow__fault *fault, enum flow__alert alert, const char *text)
{
    fault->alert = alert;
    fault->text = text;
    return FLOW_E_PROTO;
}

/* See tls/handshake_state.h. */
size_t
flow__incoming_missing(const struct flow__handshake *hs)
{
    size_t have = flow__stage_len(&hs->raw);
    const uint8_t *p = flow__stage_data(&hs->raw);
    size_t need;

    if (have < FLOW__RECORD_HEADER)
        return FLOW__RECORD_HEADER - have;
    need = FLOW__RECORD_HEADER + (size_t)(p[3] << 8 | p[4]);
    return need > have ? need - have : 0;
}

static enum flow_status
feed_record(struct flow__handshake *hs, const uint8_t *record, size_t len)
{
    return flow__stage_append(&hs->feed, record, len) ? FLOW_OK : FLOW_E_NOMEM;
}

static enum flow_status
feed_plain(struct flow__handshake *hs, const uint8_t *msg, size_t len)
{
    uint8_t header[FLOW__RECORD_HEADER];

    flow__record_write_header(header, FLOW__CONTENT_HANDSHAKE, len);
    if (!flow__stage_reserve(&hs->feed, sizeof(header) + len))
        return FLOW_E_NOMEM;
    (void)flow__stage_append(&hs->feed, header, sizeof(header));
    (void)flow__stage_append(&hs->feed, msg, len);
    return FLOW_OK;
}

/* Seal a message again, in a record of its own: numbers of the records that
 * the engine sees are not those on the wire. */
static enum flow_status
feed_sealed(struct flow__handshake *hs, const uint8_t *msg, size_t len)
{
    struct flow_cvec vec = { msg, len };
    struct flow__record_content content = { FLOW__CONTENT_HANDSHAKE, &vec, 0,
                                            len };
    size_t room = flow__record_prefix(&hs->feed_keys) + len +
                  flow__record_suffix(&hs->feed_keys);
    enum flow_status st;

    flow__stage_release(&hs->last);
    if (!flow__stage_append(&hs->last, msg, len) ||
        !flow__stage_reserve(&hs->feed, room))
        return FLOW_E_NOMEM;
    st = flow__record_seal(&hs->feed_keys, &content,
                           flow__stage_tail(&hs->feed), &room);
    if (st == FLOW_OK)
        hs->feed.end += room;
    return st;
}

/* Of TLS 1.2, whose ECDHE messages have a point behind a length of one byte;
 * the engine calls any fault in them by other names. */
static enum flow_status
check_exchange(struct flow__handshake *hs, const uint8_t *msg, size_t len,
               struct flow__fault *fault)
{
    bool client = msg[0] == FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE;
    bool whole = client ? len > 4 && len == 5 + (size_t)msg[4]
                        : len > 7 && (msg[4] != 3 || len > 8 + (size_t)msg[7]);

    if (!whole)
        return refuse(fault, FLOW__ALERT_DECODE_ERROR,
                      "the peer's key exchange is cut");
    /* RFC 8422 5.4: named_curve and its number. */
    if (!client && msg[4] == 3)
        hs->group = (uint16_t)(msg[5] << 8 | msg[6]);
    return FLOW_OK;
}

/* In TLS 1.2 the engine takes an encrypted record for a message in the clear
 * where a change_cipher_spec is missing.  (We ask for no client certificate
 * and for no ticket, which could come here.) */
static bool
must_change(const struct flow__handshake *hs)
{
    if (hs->version != FLOW_TLS_1_2 || hs->rx_protected)
        return false;
    return hs->server ? hs->last_message == FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE
                      : hs->tx_protected;
}

/* A whole message: look at it, then it is the engine's. */
static enum flow_status
take_message(struct flow__handshake *hs, const uint8_t *msg, size_t len,
             struct flow__fault *fault)
{
    enum flow_status st = FLOW_OK;

    if (hs->server && (hs->engine == NULL || (hs->retry && !hs->second_hello)))
        st = flow__handshake_client_hello(hs, msg, len, fault);
    else if (!hs->server && msg[0] == FLOW__HANDSHAKE_HELLO_REQUEST &&
             !hs->rx_protected)
        /* RFC 5246 7.4.1.1: ignored while a handshake runs, but counted. */
        return ++hs->warnings > WARNINGS_MAX
                   ? refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                            "the peer floods us with HelloRequests")
                   : FLOW_OK;
    else if (!hs->server && hs->version == 0)
        st = flow__handshake_hello(hs, msg, len, fault);
    else if (msg[0] > FLOW__HANDSHAKE_SERVER_HELLO &&
             msg[0] == hs->last_message)
        st = refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                    "the peer sent a message twice");
    else if (msg[0] == FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE ||
             msg[0] == FLOW__HANDSHAKE_SERVER_KEY_EXCHANGE)
        st = check_exchange(hs, msg, len, fault);
    if (st != FLOW_OK)
        return st;
    hs->last_message = msg[0];
    if (hs->message_sealed)
        return feed_sealed(hs, msg, len);
    if (!hs->server && hs->version == FLOW_TLS_1_3)
        hs->rx_protected = true;
    return feed_plain(hs, msg, len);
}

/* Join fragments: mbedTLS wants the four header bytes of the first one
 * together, and whole messages are what we look at. */
static enum flow_status
take_fragment(struct flow__handshake *hs, const uint8_t *data, size_t len,
              struct flow__fault *fault)
{
    hs->message_sealed = hs->rx_protected;
    if (len == 0)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer sent an empty handshake record");
    if (must_change(hs))
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer did not change its cipher before its Finished");
    if (!flow__stage_append(&hs->message, data, len))
        return FLOW_E_NOMEM;

    while (flow__stage_len(&hs->message) >= FLOW__HANDSHAKE_HEADER) {
        const uint8_t *msg = flow__stage_data(&hs->message);
        size_t whole = FLOW__HANDSHAKE_HEADER +
                       ((size_t)msg[1] << 16 | (size_t)msg[2] << 8 | msg[3]);
        enum flow_status st;

        if (whole > MESSAGE_MAX)
            return refuse(fault, FLOW__ALERT_DECODE_ERROR,
                          "a handshake message is longer than 16,384 bytes");
        if (flow__stage_len(&hs->message) < whole)
            return FLOW_OK;
        if (hs->rx_protected && !hs->message_sealed)
            return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                          "a plaintext message follows the change of keys");
        st = take_message(hs, msg, whole, fault);
        if (st != FLOW_OK)
            return st;
        flow__stage_consume(&hs->message, whole);
        /* Keys change here, and in TLS 1.2 the engine would hide the rest. */
        if (hs->last_message == FLOW__HANDSHAKE_FINISHED &&
            flow__stage_len(&hs->message) > 0)
            return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                          "the peer sent a message behind its Finished");
    }
    return FLOW_OK;
}

/* An alert of the peer, decrypted or in the clear. */
static enum flow_status
take_alert(struct flow__handshake *hs, const uint8_t *data, size_t len,
           struct flow__fault *fault, struct flow_error *err)
{
    if (len != 2)
        return refuse(fault, FLOW__ALERT_DECODE_ERROR,
                      "the peer sent a malformed alert");
    /* RFC 8446 6: levels mean nothing there; before a version is agreed a
     * warning is TLS 1.2's. */
    if (data[0] == ALERT_WARNING && hs->version != FLOW_TLS_1_3 &&
        data[1] != FLOW__ALERT_CLOSE_NOTIFY)
        return ++hs->warnings > WARNINGS_MAX
                   ? refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                            "the peer floods us with warnings")
                   : FLOW_OK;
    (void)flow_error_set(err, FLOW_E_PROTO, "tls", FLOW_DOMAIN_NONE, 0,
                         data[1] == FLOW__ALERT_CLOSE_NOTIFY
                             ? "the peer ended the handshake"
                             : "the peer refused the handshake");
    err->alert_received = data[1];
    fault->alert = FLOW__ALERT_NONE;
    return FLOW_E_PROTO;
}

static enum flow_status
take_ccs(struct flow__handshake *hs, const uint8_t *record, size_t len,
         struct flow__fault *fault)
{
    bool begun = hs->server ? hs->engine != NULL : hs->version != 0;

    /* RFC 8446 5: one byte, and never before the hellos. */
    begun = begun || hs->retry;
    if (len != FLOW__RECORD_HEADER + 1 || record[FLOW__RECORD_HEADER] != 1 ||
        !begun || ++hs->ccs_received > CCS_MAX)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer sent change_cipher_spec out of place");
    if (hs->version != FLOW_TLS_1_2)
        return FLOW_OK;
    if (hs->rx_protected)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer changed its cipher twice");
    hs->rx_protected = true;
    return feed_record(hs, record, len);
}

/* Read over a record of 0-RTT data that we did not accept (RFC 8446
 * 4.2.10). */
static enum flow_status
skip_early(struct flow__handshake *hs, size_t len, struct flow__fault *fault)
{
    hs->early_bytes += len;
    if (hs->early_bytes > EARLY_MAX)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer sends more early data than we read over");
    return FLOW_OK;
}

/* What a protected record of the handshake holds. */
static enum flow_status
take_content(struct flow__handshake *hs, uint8_t type, const uint8_t *data,
             size_t len, struct flow__fault *fault, struct flow_error *err)
{
    if (type == FLOW__CONTENT_HANDSHAKE)
        return take_fragment(hs, data, len, fault);
    /* RFC 8446 5.1: nothing comes between the fragments of a message. */
    if (flow__stage_len(&hs->message) > 0)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer interrupted a handshake message");
    if (type == FLOW__CONTENT_ALERT)
        return take_alert(hs, data, len, fault, err);
    return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                  "the peer sent application data in the handshake");
}

static enum flow_status
take_protected(struct flow__handshake *hs, const uint8_t *record, size_t len,
               struct flow__fault *fault, struct flow_error *err)
{
    struct flow__record_keys *keys =
        hs->version == FLOW_TLS_1_3 ? &hs->rx_handshake : &hs->rx_data;
    struct flow__record_opened opened;
    size_t room;
    uint8_t *scratch;
    enum flow_status st;

    if (keys->ctx == NULL)
        return FLOW_E_SYS;
    room = flow__record_room(keys, len) + 1;
    scratch = flow_env_alloc(hs->env, room);
    if (scratch == NULL)
        return FLOW_E_NOMEM;
    st = flow__record_open(keys, record, len, scratch, &opened, fault);
    if (st == FLOW_OK) {
        hs->skip_early = false;
        st = take_content(hs, opened.type, scratch, opened.len, fault, err);
    } else if (st == FLOW_E_PROTO && hs->skip_early &&
               fault->alert == FLOW__ALERT_BAD_RECORD_MAC) {
        st = skip_early(hs, len, fault);
    }
    flow_wipe(scratch, room);
    flow_env_free(hs->env, scratch, room);
    return st;
}

static enum flow_status
take_protected13(struct flow__handshake *hs, const uint8_t *record, size_t len,
                 struct flow__fault *fault, struct flow_error *err)
{
    if (record[0] == FLOW__CONTENT_ALERT && hs->server)
        /* A client without our keys yet refuses in the clear. */
        return take_alert(hs, record + FLOW__RECORD_HEADER,
                          len - FLOW__RECORD_HEADER, fault, err);
    if (record[0] != FLOW__CONTENT_APPLICATION_DATA)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer sent a plaintext record where it must encrypt");
    return take_protected(hs, record, len, fault, err);
}

static enum flow_status
take_plain(struct flow__handshake *hs, const uint8_t *record, size_t len,
           struct flow__fault *fault, struct flow_error *err)
{
    const uint8_t *data = record + FLOW__RECORD_HEADER;

    len -= FLOW__RECORD_HEADER;
    /* RFC 8446 5.1: nothing comes between the fragments of a message. */
    if (record[0] != FLOW__CONTENT_HANDSHAKE &&
        flow__stage_len(&hs->message) > 0)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer interrupted a handshake message");
    switch (record[0]) {
    case FLOW__CONTENT_HANDSHAKE:
        return take_fragment(hs, data, len, fault);
    case FLOW__CONTENT_ALERT:
        return take_alert(hs, data, len, fault, err);
    default:
        if (hs->skip_early)
            return skip_early(hs, len + FLOW__RECORD_HEADER, fault);
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer sent application data in the handshake");
    }
}

static enum flow_status
check_header(struct flow__handshake *hs, const uint8_t *record,
             struct flow__fault *fault)
{
    struct flow__record_header header;
    bool first = hs->taken == 0;
    /* Early data is encrypted whatever we think of it. */
    bool encrypted =
        hs->rx_protected || record[0] == FLOW__CONTENT_APPLICATION_DATA;
    enum flow_status st = flow__record_parse(record, encrypted, &header, fault);

    if (st != FLOW_OK && first) {
        fault->text = "the peer does not speak TLS";
        return st;
    }
    if (st != FLOW_OK)
        return st;
    hs->taken += FLOW__RECORD_HEADER + header.len;
    if (hs->taken - hs->early_bytes > hs->config->handshake_bytes)
        return refuse(fault, FLOW__ALERT_HANDSHAKE_FAILURE,
                      "the peer's handshake is longer than the limit");
    return FLOW_OK;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__incoming_next(struct flow__handshake *hs, struct flow__fault *fault,
                    struct flow_error *err)
{
    const uint8_t *record = flow__stage_data(&hs->raw);
    size_t len;
    enum flow_status st;

    if (flow__stage_len(&hs->raw) < FLOW__RECORD_HEADER)
        return FLOW_AGAIN;
    if (!hs->header_checked) {
        st = check_header(hs, record, fault);
        if (st != FLOW_OK)
            return st;
        hs->header_checked = true;
    }
    if (flow__incoming_missing(hs) > 0)
        return FLOW_AGAIN;
    hs->header_checked = false;
    /* RFC 8446 5.1: no message may span a change of keys. */
    if (hs->rx_protected && !hs->message_sealed &&
        flow__stage_len(&hs->message) > 0)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "a plaintext message spans the change of keys");

    len = FLOW__RECORD_HEADER + (size_t)(record[3] << 8 | record[4]);
    st = flow__handshake_derive(hs);
    if (st != FLOW_OK)
        return st;
    if (record[0] == FLOW__CONTENT_CHANGE_CIPHER_SPEC)
        st = flow__stage_len(&hs->message) > 0
                 ? refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                          "the peer interrupted a handshake message")
                 : take_ccs(hs, record, len, fault);
    else if (!hs->rx_protected)
        st = take_plain(hs, record, len, fault, err);
    else if (hs->version == FLOW_TLS_1_3)
        st = take_protected13(hs, record, len, fault, err);
    else
        st = take_protected(hs, record, len, fault, err);
    if (st == FLOW_OK)
        flow__stage_consume(&hs->raw, len);
    return st;
}
