/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/messages.h"

#include <string.h>

#include "tls/hello.h"

/* See tls/mbedtls/messages.h. */
void
flow__messages_init(struct flow__messages *m, const struct flow_env *env,
                    bool server)
{
    memset(m, 0, sizeof(*m));
    m->env = env;
    m->server = server;
    flow__queue_init(&m->in, env);
    flow__queue_init(&m->out, env);
}

/* See tls/mbedtls/messages.h. */
void
flow__messages_fini(struct flow__messages *m)
{
    flow__queue_release(&m->in);
    flow__queue_release(&m->out);
    flow__record_fini(&m->in_keys);
    flow__record_fini(&m->out_keys);
    flow_wipe(m, sizeof(*m));
}

static bool
messages_is_tls13(const struct flow__messages *m)
{
    return m->suite->version == FLOW_TLS_1_3;
}

/* The suite is in the ServerHello, ours or the peer's. */
static void
messages_note_message(struct flow__messages *m, const uint8_t *msg, size_t len)
{
    struct flow__server_hello hello;
    struct flow__fault fault;

    if (msg[0] == FLOW__HANDSHAKE_SERVER_HELLO &&
        flow__hello_parse_server(msg, len, &hello, &fault) == FLOW_OK &&
        !hello.retry)
        m->suite = flow__suite_find(hello.suite);
}

static bool
messages_is_known(const struct flow__messages *m,
                  enum flow__messages_secret kind)
{
    return (m->known & 1u << kind) != 0;
}

static enum flow_status
messages_derive13(struct flow__messages *m, enum flow__messages_secret kind)
{
    struct flow__secret secret = { m->suite->hash, { 0 } };
    enum flow_status st;

    memcpy(secret.bytes, m->secret[kind], (size_t)secret.hash);
    st = flow__keys_traffic(m->suite, &secret, &m->keys[kind]);
    flow_wipe(&secret, sizeof(secret));
    if (st == FLOW_OK)
        m->made |= 1u << kind;
    return st;
}

static enum flow_status
messages_derive12(struct flow__messages *m)
{
    const struct flow__keys12 from = { m->secret[FLOW__MESSAGES_MASTER],
                                       m->client_random, m->server_random };
    enum flow_status st =
        flow__keys_tls12(m->suite, &from, &m->keys[FLOW__MESSAGES_CLIENT_DATA],
                         &m->keys[FLOW__MESSAGES_SERVER_DATA]);

    if (st == FLOW_OK)
        m->made |=
            1u << FLOW__MESSAGES_CLIENT_DATA | 1u << FLOW__MESSAGES_SERVER_DATA;
    return st;
}

/* The keys of a kind, derived when they are first needed. */
static enum flow_status
messages_derive(struct flow__messages *m, enum flow__messages_secret kind)
{
    if ((m->made & 1u << kind) != 0)
        return FLOW_OK;
    if (!messages_is_known(m,
                           messages_is_tls13(m) ? kind : FLOW__MESSAGES_MASTER))
        return FLOW_E_SYS;
    return messages_is_tls13(m) ? messages_derive13(m, kind)
                                : messages_derive12(m);
}

/* Which keys protect the handshake of one side. */
static enum flow__messages_secret
messages_kind_of(const struct flow__messages *m, bool of_client)
{
    if (messages_is_tls13(m) && !m->is_over)
        return of_client ? FLOW__MESSAGES_CLIENT_HANDSHAKE
                         : FLOW__MESSAGES_SERVER_HANDSHAKE;
    return of_client ? FLOW__MESSAGES_CLIENT_DATA : FLOW__MESSAGES_SERVER_DATA;
}

/* Keys of one direction of the handshake, made when they are first needed. */
static enum flow_status
messages_need_keys(struct flow__messages *m, bool of_client,
                   struct flow__record_keys *keys)
{
    enum flow__messages_secret kind;
    enum flow_status st;

    if (keys->ctx != NULL)
        return FLOW_OK;
    if (m->suite == NULL)
        return FLOW_E_SYS;
    kind = messages_kind_of(m, of_client);
    st = messages_derive(m, kind);
    return st == FLOW_OK
               ? flow__record_init(keys, m->env, m->suite, &m->keys[kind], 0)
               : st;
}

static enum flow_status
messages_put_plain(struct flow__messages *m, uint8_t type,
                   const uint8_t *content, size_t len)
{
    uint8_t header[FLOW__RECORD_HEADER];

    flow__record_write_header(header, type, len);
    if (!flow__queue_reserve(&m->in, sizeof(header) + len))
        return FLOW_E_NOMEM;
    (void)flow__queue_append(&m->in, header, sizeof(header));
    (void)flow__queue_append(&m->in, content, len);
    return FLOW_OK;
}

static enum flow_status
messages_put_sealed(struct flow__messages *m, const uint8_t *msg, size_t len)
{
    const struct flow_cvec vec = { msg, len };
    const struct flow__record_content content = { FLOW__CONTENT_HANDSHAKE, &vec,
                                                  0, len, 0 };
    enum flow_status st = messages_need_keys(m, m->server, &m->in_keys);
    size_t room;

    if (st != FLOW_OK)
        return st;
    room = flow__record_prefix(&m->in_keys) + len +
           flow__record_suffix(&m->in_keys);
    if (!flow__queue_reserve(&m->in, room))
        return FLOW_E_NOMEM;
    st = flow__record_seal(&m->in_keys, &content, flow__queue_tail(&m->in),
                           &room);
    if (st == FLOW_OK)
        flow__queue_extend(&m->in, room);
    return st;
}

/* See tls/mbedtls/messages.h. */
enum flow_status
flow__messages_put(struct flow__messages *m, enum flow__level level,
                   const uint8_t *msg, size_t len)
{
    static const uint8_t ccs[1] = { 1 };
    enum flow_status st = FLOW_OK;

    if (!m->server)
        messages_note_message(m, msg, len);
    if (level == FLOW__LEVEL_PLAIN)
        return messages_put_plain(m, FLOW__CONTENT_HANDSHAKE, msg, len);
    if (level == FLOW__LEVEL_DATA && !m->in_changed &&
        (m->suite == NULL || !messages_is_tls13(m))) {
        m->in_changed = true;
        st = messages_put_plain(m, FLOW__CONTENT_CHANGE_CIPHER_SPEC, ccs,
                                sizeof(ccs));
    }
    return st == FLOW_OK ? messages_put_sealed(m, msg, len) : st;
}

/* See tls/mbedtls/messages.h. */
size_t
flow__messages_read(struct flow__messages *m, uint8_t *buf, size_t len)
{
    size_t n = flow__queue_len(&m->in);

    if (n > len)
        n = len;
    m->starved = n == 0;
    if (n == 0)
        return 0;
    memcpy(buf, flow__queue_data(&m->in), n);
    flow__queue_consume(&m->in, n);
    return n;
}

/* See tls/mbedtls/messages.h. */
bool
flow__messages_send(struct flow__messages *m, const uint8_t *record, size_t len)
{
    return flow__queue_append(&m->out, record, len);
}

/* See tls/mbedtls/messages.h. */
void
flow__messages_export(struct flow__messages *m, enum flow__messages_secret kind,
                      const uint8_t *secret, size_t len,
                      const uint8_t *client_random,
                      const uint8_t *server_random)
{
    if (len > FLOW__SECRET_MAX)
        return;
    memcpy(m->secret[kind], secret, len);
    m->secret_len = len;
    memcpy(m->client_random, client_random, sizeof(m->client_random));
    memcpy(m->server_random, server_random, sizeof(m->server_random));
    m->known |= 1u << kind;
}

/* See tls/mbedtls/messages.h. */
void
flow__messages_finish(struct flow__messages *m)
{
    if (!messages_is_tls13(m) || m->is_over)
        return;
    flow__record_fini(&m->in_keys);
    flow__record_fini(&m->out_keys);
    memset(&m->in_keys, 0, sizeof(m->in_keys));
    memset(&m->out_keys, 0, sizeof(m->out_keys));
    m->is_over = true;
}

/* Both directions of TLS 1.2. */
static enum flow_status
messages_tell_master(struct flow__messages *m,
                     struct flow__engine_event *ret_event)
{
    enum flow_status st = messages_derive(m, FLOW__MESSAGES_CLIENT_DATA);

    ret_event->level = FLOW__LEVEL_DATA;
    ret_event->keys[m->server] = &m->keys[FLOW__MESSAGES_SERVER_DATA];
    ret_event->keys[!m->server] = &m->keys[FLOW__MESSAGES_CLIENT_DATA];
    return st;
}

/* One direction and level of TLS 1.3. */
static enum flow_status
messages_tell_secret(struct flow__messages *m, enum flow__messages_secret kind,
                     struct flow__engine_event *ret_event)
{
    bool of_client = kind == FLOW__MESSAGES_CLIENT_HANDSHAKE ||
                     kind == FLOW__MESSAGES_CLIENT_DATA;

    ret_event->level = kind == FLOW__MESSAGES_CLIENT_HANDSHAKE ||
                               kind == FLOW__MESSAGES_SERVER_HANDSHAKE
                           ? FLOW__LEVEL_HANDSHAKE
                           : FLOW__LEVEL_DATA;
    ret_event->is_write = of_client != m->server;
    ret_event->keys[ret_event->is_write] = &m->keys[kind];
    return messages_derive(m, kind);
}

/* The next secret that was exported, if its suite is known; else FLOW_AGAIN. */
static enum flow_status
messages_next_secret(struct flow__messages *m,
                     struct flow__engine_event *ret_event)
{
    unsigned kind = 0;

    if (m->suite == NULL || m->known == m->told)
        return FLOW_AGAIN;
    while (((m->known ^ m->told) & 1u << kind) == 0)
        kind++;
    m->told |= 1u << kind;
    ret_event->kind = FLOW__ENGINE_SECRET;
    ret_event->bytes = m->secret[kind];
    ret_event->len = m->secret_len;
    ret_event->suite = m->suite;
    ret_event->client_random = m->client_random;
    return kind == FLOW__MESSAGES_MASTER
               ? messages_tell_master(m, ret_event)
               : messages_tell_secret(m, (enum flow__messages_secret)kind,
                                      ret_event);
}

static size_t
messages_record_len(const uint8_t *record)
{
    return FLOW__RECORD_HEADER + ((size_t)record[3] << 8 | record[4]);
}

/* Whether the engine has protected this record, its next one. */
static bool
messages_is_sealed(const struct flow__messages *m, const uint8_t *record)
{
    return record[0] == FLOW__CONTENT_APPLICATION_DATA || m->out_changed;
}

/* Open a record of the engine; *ret_content points into it. */
static enum flow_status
messages_open_record(struct flow__messages *m, uint8_t *record,
                     uint8_t *ret_type, uint8_t **ret_content, size_t *ret_len)
{
    size_t len = messages_record_len(record);
    struct flow__record_opened opened;
    struct flow__fault fault;
    enum flow_status st;

    *ret_type = record[0];
    *ret_content = record + FLOW__RECORD_HEADER;
    *ret_len = len - FLOW__RECORD_HEADER;
    if (!messages_is_sealed(m, record))
        return FLOW_OK;
    st = messages_need_keys(m, !m->server, &m->out_keys);
    if (st != FLOW_OK)
        return st;
    *ret_content = record + flow__record_prefix(&m->out_keys);
    st = flow__record_open(&m->out_keys, record, len, *ret_content, &opened,
                           &fault);
    *ret_type = opened.type;
    *ret_len = opened.len;
    return st == FLOW_E_NOMEM || st == FLOW_OK ? st : FLOW_E_SYS;
}

static enum flow__level
messages_level_of(const struct flow__messages *m, bool sealed)
{
    if (!sealed)
        return FLOW__LEVEL_PLAIN;
    return messages_is_tls13(m) && !m->is_over ? FLOW__LEVEL_HANDSHAKE
                                               : FLOW__LEVEL_DATA;
}

/* Take one record of the engine.  FLOW_AGAIN: it has no message, but something
 * that we send ourselves. */
static enum flow_status
messages_pass_record(struct flow__messages *m,
                     struct flow__engine_event *ret_event)
{
    uint8_t *record = flow__queue_data(&m->out);
    bool sealed = messages_is_sealed(m, record);
    uint8_t *content;
    uint8_t type;
    size_t len;
    enum flow_status st =
        messages_open_record(m, record, &type, &content, &len);

    if (st != FLOW_OK)
        return st;
    m->passed = messages_record_len(record);
    if (type == FLOW__CONTENT_CHANGE_CIPHER_SPEC && m->suite != NULL)
        m->out_changed = !messages_is_tls13(m);
    if (type != FLOW__CONTENT_HANDSHAKE)
        return FLOW_AGAIN;
    if (len < FLOW__HANDSHAKE_HEADER ||
        len != FLOW__HANDSHAKE_HEADER + ((size_t)content[1] << 16 |
                                         (size_t)content[2] << 8 | content[3]))
        return FLOW_E_SYS;
    if (m->server)
        messages_note_message(m, content, len);
    ret_event->kind = FLOW__ENGINE_MESSAGE;
    ret_event->level = messages_level_of(m, sealed);
    ret_event->is_write = true;
    ret_event->bytes = content;
    ret_event->len = len;
    return FLOW_OK;
}

/* See tls/mbedtls/messages.h. */
enum flow_status
flow__messages_next(struct flow__messages *m,
                    struct flow__engine_event *ret_event)
{
    enum flow_status st;

    memset(ret_event, 0, sizeof(*ret_event));
    flow__queue_consume(&m->out, m->passed);
    m->passed = 0;
    st = messages_next_secret(m, ret_event);
    while (st == FLOW_AGAIN && flow__queue_len(&m->out) > 0) {
        st = messages_pass_record(m, ret_event);
        if (st == FLOW_AGAIN) {
            flow__queue_consume(&m->out, m->passed);
            m->passed = 0;
        }
    }
    return st;
}

/* See tls/mbedtls/messages.h. */
enum flow__alert
flow__messages_drop(struct flow__messages *m)
{
    enum flow__alert alert = FLOW__ALERT_NONE;
    uint8_t *content;
    uint8_t type;
    size_t len;

    while (flow__queue_len(&m->out) > 0) {
        uint8_t *record = flow__queue_data(&m->out);

        if (messages_open_record(m, record, &type, &content, &len) == FLOW_OK) {
            if (type == FLOW__CONTENT_ALERT && len == 2)
                alert = (enum flow__alert)content[1];
            if (type == FLOW__CONTENT_CHANGE_CIPHER_SPEC && m->suite != NULL)
                m->out_changed = !messages_is_tls13(m);
        }
        flow__queue_consume(&m->out, messages_record_len(record));
    }
    return alert;
}
