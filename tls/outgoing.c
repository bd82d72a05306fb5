/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/handshake_state.h"

#define ALERT_FATAL 2
/* An alert of the engine, padded as it pads, with header and tag. */
#define ALERT_RECORD_MAX (FLOW__RECORD_HEADER + 16 + FLOW__AEAD_TAG_MAX)

static bool
fail_hook(struct flow__handshake *hs, enum flow_status status,
          const struct flow__fault *fault)
{
    hs->hook_status = status;
    if (fault != NULL)
        hs->hook_fault = *fault;
    return false;
}

/* Open a record of our own: whether it stands under these keys, at the next
 * number.  *ret_type and up to cap bytes of content. */
static bool
opens_under(struct flow__handshake *hs, struct flow__record_keys *keys,
            const uint8_t *record, size_t len, uint8_t *ret_type,
            uint8_t ret_content[2])
{
    struct flow__record_opened opened;
    struct flow__fault fault;
    size_t room;
    uint8_t *scratch;
    enum flow_status st;

    if (keys->ctx == NULL)
        return false;
    room = flow__record_room(keys, len);
    if (room < 2)
        return false;
    scratch = flow_env_alloc(hs->env, room);
    if (scratch == NULL)
        return false;
    st = flow__record_open(keys, record, len, scratch, &opened, &fault);
    if (st == FLOW_OK) {
        *ret_type = opened.type;
        memcpy(ret_content, scratch, 2);
    }
    flow_wipe(scratch, room);
    flow_env_free(hs->env, scratch, room);
    return st == FLOW_OK;
}

/*
 * Which epoch a protected record of TLS 1.3 belongs to cannot be told from
 * states of the engine: it exports the data secret before its Finished, which
 * still stands under the handshake key, and may write tickets under the data
 * key later.  The key that opens it tells.
 */
static bool
note_protected13(struct flow__handshake *hs, const uint8_t *record, size_t len)
{
    uint8_t type = 0, content[2] = { 0, 0 };
    bool data_key_is_known = hs->tx_data.ctx != NULL;

    if (data_key_is_known &&
        opens_under(hs, &hs->tx_data, record, len, &type, content))
        return type != FLOW__CONTENT_ALERT;
    if (len <= ALERT_RECORD_MAX &&
        opens_under(hs, &hs->tx_handshake, record, len, &type, content)) {
        if (type == FLOW__CONTENT_ALERT) {
            /* Swallowed: its number is free again for ours. */
            hs->tx_handshake.seq--;
            hs->engine_alert = content[1];
            return false;
        }
    } else {
        hs->tx_handshake.seq++;
    }
    if (data_key_is_known)
        hs->finished_sent = true;
    return true;
}

/* Same for TLS 1.2: Finished is record 0, an alert may follow it. */
static bool
note_protected12(struct flow__handshake *hs, const uint8_t *record, size_t len)
{
    uint8_t type = 0, content[2] = { 0, 0 };

    if (record[0] != FLOW__CONTENT_ALERT) {
        hs->tx_data.seq++;
        return true;
    }
    if (opens_under(hs, &hs->tx_data, record, len, &type, content)) {
        hs->tx_data.seq--;
        hs->engine_alert = content[1];
    }
    return false;
}

/* What an answer of the peer may hold. */
static bool
note_offer(struct flow__handshake *hs, const uint8_t *msg, size_t len)
{
    struct flow__client_hello hello;
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    struct flow__span body;

    if (flow__hello_parse_client(msg, len, &hello, &fault) != FLOW_OK)
        return fail_hook(hs, FLOW_E_SYS, NULL);
    hs->offered_count = 0;
    while (hs->offered_count < FLOW__HELLO_EXTENSIONS_MAX &&
           flow__hello_next_extension(&hello.extensions,
                                      &hs->offered[hs->offered_count], &body))
        hs->offered_count++;
    return true;
}

static bool
note_message(struct flow__handshake *hs, const uint8_t *msg, size_t len)
{
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow_status st;

    if (len < FLOW__HANDSHAKE_HEADER)
        return true;
    if (!hs->server)
        return msg[0] != FLOW__HANDSHAKE_CLIENT_HELLO ||
               note_offer(hs, msg, len);
    if (msg[0] == FLOW__HANDSHAKE_SERVER_HELLO) {
        st = flow__handshake_hello(hs, msg, len, &fault);
        if (st != FLOW_OK)
            return fail_hook(hs, st, &fault);
        if (hs->version == FLOW_TLS_1_3) {
            hs->tx_protected = true;
            hs->rx_protected = true;
        }
    }
    /* RFC 8422 5.4: named_curve and its number. */
    if (msg[0] == FLOW__HANDSHAKE_SERVER_KEY_EXCHANGE && len >= 7 &&
        msg[4] == 3)
        hs->group = (uint16_t)(msg[5] << 8 | msg[6]);
    return true;
}

/* false: the record is not to leave. */
static bool
note_plain(struct flow__handshake *hs, const uint8_t *record, size_t len)
{
    switch (record[0]) {
    case FLOW__CONTENT_HANDSHAKE:
        return note_message(hs, record + FLOW__RECORD_HEADER,
                            len - FLOW__RECORD_HEADER);
    case FLOW__CONTENT_CHANGE_CIPHER_SPEC:
        hs->ccs_sent = true;
        if (hs->version == FLOW_TLS_1_2)
            hs->tx_protected = true;
        return true;
    case FLOW__CONTENT_ALERT:
        if (len >= FLOW__RECORD_HEADER + 2)
            hs->engine_alert = record[FLOW__RECORD_HEADER + 1];
        return false;
    default:
        return true;
    }
}

/* See tls/handshake_state.h. */
bool
flow__outgoing_record(void *ctx, const uint8_t *record, size_t len)
{
    struct flow__handshake *hs = ctx;
    bool leaves;
    enum flow_status st;

    if (len < FLOW__RECORD_HEADER)
        return fail_hook(hs, FLOW_E_SYS, NULL);
    st = flow__handshake_derive(hs);
    if (st != FLOW_OK)
        return fail_hook(hs, st, NULL);

    if (record[0] == FLOW__CONTENT_APPLICATION_DATA)
        leaves = note_protected13(hs, record, len);
    else if (hs->tx_protected && hs->version == FLOW_TLS_1_2)
        leaves = note_protected12(hs, record, len);
    else
        leaves = note_plain(hs, record, len);
    if (hs->hook_status != FLOW_OK)
        return false;
    if (leaves && !flow__stage_append(&hs->out, record, len))
        return fail_hook(hs, FLOW_E_NOMEM, NULL);
    return true;
}

/*
 * The keys that the peer can read an alert of ours with; NULL: none.  mbedTLS
 * seals a server's alerts with the handshake key even after its Finished, and
 * leaves a client's in the clear (RFC 8446 4.4.4, 6).
 */
static struct flow__record_keys *
alert_keys(struct flow__handshake *hs)
{
    if (hs->version == FLOW_TLS_1_2)
        return hs->tx_protected ? &hs->tx_data : NULL;
    if (hs->finished_sent)
        return &hs->tx_data;
    if (hs->server && !hs->tx_protected)
        return NULL;
    return hs->tx_handshake.ctx != NULL ? &hs->tx_handshake : NULL;
}

static bool
append_plain(struct flow__handshake *hs, uint8_t type, const uint8_t *content,
             size_t len)
{
    uint8_t header[FLOW__RECORD_HEADER];

    flow__record_write_header(header, type, len);
    return flow__stage_reserve(&hs->out, sizeof(header) + len) &&
           flow__stage_append(&hs->out, header, sizeof(header)) &&
           flow__stage_append(&hs->out, content, len);
}

/* See tls/handshake_state.h. */
bool
flow__outgoing_alert(struct flow__handshake *hs, int alert)
{
    static const uint8_t ccs[1] = { 1 };
    uint8_t content[2] = { ALERT_FATAL, (uint8_t)alert };
    struct flow_cvec vec = { content, sizeof(content) };
    struct flow__record_content record = { FLOW__CONTENT_ALERT, &vec, 0,
                                           sizeof(content) };
    struct flow__record_keys *keys;
    size_t len;

    if (flow__handshake_derive(hs) != FLOW_OK)
        return false;
    keys = alert_keys(hs);
    if (keys == NULL || keys->ctx == NULL)
        return append_plain(hs, FLOW__CONTENT_ALERT, content, sizeof(content));
    /* RFC 8446 D.4: a client's first encrypted record comes behind one. */
    if (hs->version == FLOW_TLS_1_3 && !hs->server && !hs->ccs_sent) {
        hs->ccs_sent = true;
        if (!append_plain(hs, FLOW__CONTENT_CHANGE_CIPHER_SPEC, ccs,
                          sizeof(ccs)))
            return false;
    }
    len =
        flow__record_prefix(keys) + sizeof(content) + flow__record_suffix(keys);
    if (!flow__stage_reserve(&hs->out, len) ||
        flow__record_seal(keys, &record, flow__stage_tail(&hs->out), &len) !=
            FLOW_OK)
        return false;
    hs->out.end += len;
    return true;
}
