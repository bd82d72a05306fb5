/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/unit/tls/script.h"
#include "tests/unit/unit.h"
#include "tls/hello.h"

/*
 * The lists of the scripted engine: the messages and secrets of whole
 * handshakes, in the order in which each end has them.
 */

#define TLS13 0x0304

#define GROUP_X25519 29
#define GROUP_P256   23

struct script script_client;
struct script script_server;

const uint8_t script_session_id[SCRIPT_SESSION_ID_LEN] = {
    0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e,
    0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e,
    0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e, 0x5e,
};

/* Self-signed for server.example, with a key and a signature of four bytes. */
const uint8_t script_certificate[142] = {
    0x30, 0x81, 0x8b, 0x30, 0x76, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01,
    0x01, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03,
    0x02, 0x30, 0x00, 0x30, 0x1e, 0x17, 0x0d, 0x32, 0x30, 0x30, 0x31, 0x30,
    0x31, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x5a, 0x17, 0x0d, 0x34, 0x39,
    0x31, 0x32, 0x33, 0x31, 0x32, 0x33, 0x35, 0x39, 0x35, 0x39, 0x5a, 0x30,
    0x00, 0x30, 0x1d, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    0x03, 0x06, 0x00, 0x04, 0x6b, 0x6b, 0x6b, 0x6b, 0xa3, 0x1d, 0x30, 0x1b,
    0x30, 0x19, 0x06, 0x03, 0x55, 0x1d, 0x11, 0x04, 0x12, 0x30, 0x10, 0x82,
    0x0e, 0x73, 0x65, 0x72, 0x76, 0x65, 0x72, 0x2e, 0x65, 0x78, 0x61, 0x6d,
    0x70, 0x6c, 0x65, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x04, 0x03, 0x02, 0x03, 0x05, 0x00, 0x73, 0x69, 0x67, 0x6e,
};

/* --- lists --- */

static struct script_call *
say(struct script *s, enum flow_status status)
{
    struct script_call *call = &s->call[s->calls++];

    assert_true(s->calls <= SCRIPT_CALLS);
    call->status = status;
    call->alert = -1;
    return call;
}

struct script_event *
script_insert(struct script_call *call, unsigned n)
{
    assert_true(call->events < SCRIPT_EVENTS);
    memmove(call->event + n + 1, call->event + n,
            (call->events - n) * sizeof(*call->event));
    call->events++;
    memset(call->event + n, 0, sizeof(*call->event));
    return call->event + n;
}

void
script_cut(struct script_call *call, unsigned n)
{
    call->events--;
    memmove(call->event + n, call->event + n + 1,
            (call->events - n) * sizeof(*call->event));
}

static void
secret(struct script_call *call, enum flow__level level, bool is_write,
       uint8_t fill, size_t len)
{
    struct script_event *e = script_insert(call, call->events);

    e->is_secret = true;
    e->level = level;
    e->is_write = is_write;
    memset(e->bytes, fill, len);
    e->len = len;
}

/* TLS 1.3: 1 is the client's handshake secret, 2 the server's, 3 and 4 those of
 * application data. */
static void
secrets(struct script_call *call, enum flow__level level, bool server)
{
    uint8_t first = level == FLOW__LEVEL_HANDSHAKE ? 1 : 3;

    secret(call, level, true, (uint8_t)(first + (server ? 1 : 0)), 32);
    secret(call, level, false, (uint8_t)(first + (server ? 0 : 1)), 32);
}

/* TLS 1.2: both directions. */
static void
master(struct script_call *call)
{
    secret(call, FLOW__LEVEL_DATA, false, 5, 48);
}

/* --- messages --- */

struct writer {
    uint8_t bytes[300];
    size_t len;
};

static void
put(struct writer *w, const void *data, size_t len)
{
    assert_true(w->len + len <= sizeof(w->bytes));
    memcpy(w->bytes + w->len, data, len);
    w->len += len;
}

static void
put_fill(struct writer *w, uint8_t fill, size_t len)
{
    while (len-- > 0)
        put(w, &fill, 1);
}

static void
put_u16(struct writer *w, uint16_t value)
{
    const uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };

    put(w, bytes, 2);
}

static void
end_u16(struct writer *w, size_t at)
{
    w->bytes[at - 2] = (uint8_t)((w->len - at) >> 8);
    w->bytes[at - 1] = (uint8_t)(w->len - at);
}

static size_t
begin_u16(struct writer *w)
{
    put_u16(w, 0);
    return w->len;
}

/* A KeyShareEntry (RFC 8446 4.2.8). */
static void
put_share(struct writer *w, bool retried)
{
    put_u16(w, retried ? GROUP_P256 : GROUP_X25519);
    put_u16(w, retried ? 65 : 32);
    put_fill(w, 4, 1);
    put_fill(w, 7, retried ? 64 : 31);
}

/* What a client of TLS 1.3 offers; a session comes last (RFC 8446 4.2.11). */
static void
put_offer13(struct writer *w, const struct script_shape *shape, bool retried)
{
    static const uint8_t versions[] = { 0, 43, 0, 3, 2, 3, 4 };
    static const uint8_t psk[] = { 0, 45, 0, 2,   1, 1, 0, 41, 0, 44, 0,
                                   7, 0,  1, 't', 0, 0, 0, 0,  0, 33, 32 };
    size_t at, list;

    put(w, versions, sizeof(versions));
    put_u16(w, 51);
    at = begin_u16(w);
    list = begin_u16(w);
    put_share(w, retried);
    end_u16(w, list);
    end_u16(w, at);
    if (!shape->resumes)
        return;
    put(w, psk, sizeof(psk));
    put_fill(w, 0xb1, 32);
}

static void
put_client_hello(struct writer *w, const struct script_shape *shape,
                 bool retried)
{
    /* Groups, point formats, signature algorithms, extended master secret. */
    static const uint8_t common[] = { 0, 10, 0, 6, 0, 4,  0, 29, 0, 23,
                                      0, 11, 0, 2, 1, 0,  0, 13, 0, 4,
                                      0, 2,  4, 3, 0, 23, 0, 0 };
    size_t at;

    put_u16(w, 0x0303);
    put_fill(w, 0xc1, 32);
    put_fill(w, SCRIPT_SESSION_ID_LEN, 1);
    put(w, script_session_id, SCRIPT_SESSION_ID_LEN);
    put_u16(w, 2);
    put_u16(w, shape->version == TLS13 ? 0x1301 : 0xc02b);
    put(w, "\1\0", 2);
    at = begin_u16(w);
    put(w, common, sizeof(common));
    if (shape->version == TLS13)
        put_offer13(w, shape, retried);
    else if (shape->resumes || shape->promises)
        put(w, "\0\43\0\0", 4);
    end_u16(w, at);
}

static void
put_server_hello13(struct writer *w, enum flow__kind kind, bool retried)
{
    static const uint8_t versions[] = { 0, 43, 0, 2, 3, 4 };
    size_t at;

    put_u16(w, 51);
    at = begin_u16(w);
    if (kind == FLOW__KIND_HELLO_RETRY_REQUEST)
        put_u16(w, GROUP_P256);
    else
        put_share(w, retried);
    end_u16(w, at);
    put(w, versions, sizeof(versions));
    if (kind == FLOW__KIND_SERVER_HELLO13_PSK)
        put(w, "\0\51\0\2\0\0", 6);
}

static void
put_server_hello(struct writer *w, enum flow__kind kind, bool retried)
{
    const bool is13 = kind == FLOW__KIND_SERVER_HELLO13 ||
                      kind == FLOW__KIND_SERVER_HELLO13_PSK ||
                      kind == FLOW__KIND_HELLO_RETRY_REQUEST;
    const bool repeats = is13 || kind == FLOW__KIND_SERVER_HELLO12_RESUMED ||
                         kind == FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET;
    const bool promises = kind == FLOW__KIND_SERVER_HELLO12_TICKET ||
                          kind == FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET;
    size_t at;

    put_u16(w, 0x0303);
    if (kind == FLOW__KIND_HELLO_RETRY_REQUEST)
        put(w, flow__hello_retry_random, FLOW__RANDOM_LEN);
    else
        put_fill(w, 0x5c, 32);
    put_fill(w, repeats ? SCRIPT_SESSION_ID_LEN : 0, 1);
    put(w, script_session_id, repeats ? SCRIPT_SESSION_ID_LEN : 0);
    put_u16(w, is13 ? 0x1301 : 0xc02b);
    put_fill(w, 0, 1);
    at = begin_u16(w);
    if (is13)
        put_server_hello13(w, kind, retried);
    else
        put(w, "\0\27\0\0", 4);
    if (promises)
        put(w, "\0\43\0\0", 4);
    end_u16(w, at);
}

/* TLS 1.3 has a context before the list, and extensions after a
 * certificate. */
static void
put_certificate(struct writer *w, bool is13)
{
    const uint8_t len = sizeof(script_certificate);
    const uint8_t extensions = is13 ? 2 : 0;
    const uint8_t list[] = { 0, 0, (uint8_t)(len + 3 + extensions), 0, 0, len };

    put_fill(w, 0, is13 ? 1 : 0);
    put(w, list, sizeof(list));
    put(w, script_certificate, len);
    put_fill(w, 0, extensions);
}

/* A body of fixed bytes: in TLS 1.2 and 1.3, or in both. */
struct fixed {
    const char *bytes[2];
    size_t len[2];
};

static const struct fixed fixed[FLOW__KIND_COUNT] = {
    [FLOW__KIND_NEW_SESSION_TICKET] = { { "\0\0\16\20\0\1t",
                                          "\0\0\16\20\0\0\0\0\1n\0\1t\0\0" },
                                        { 7, 15 } },
    [FLOW__KIND_ENCRYPTED_EXTENSIONS] = { { "\0\0", "\0\0" }, { 2, 2 } },
    [FLOW__KIND_CERTIFICATE_EMPTY] = { { "\0\0\0", "\0\0\0\0" }, { 3, 4 } },
    [FLOW__KIND_SERVER_KEY_EXCHANGE] = { { "\3\0\35\40"
                                           "0123456789abcdef0123456789abcdef"
                                           "\4\3\0\4sign",
                                           "\3" },
                                         { 44, 1 } },
    [FLOW__KIND_CERTIFICATE_REQUEST] = { { "\1\100\0\2\4\3\0\0",
                                           "\0\0\10\0\15\0\4\0\2\4\3" },
                                         { 8, 11 } },
    [FLOW__KIND_CERTIFICATE_VERIFY] = { { "\4\3\0\4sign", "\4\3\0\4sign" },
                                        { 8, 8 } },
    [FLOW__KIND_CLIENT_KEY_EXCHANGE] = { { "\40"
                                           "0123456789abcdef0123456789abcdef",
                                           "\40" },
                                         { 33, 1 } },
    [FLOW__KIND_FINISHED] = { { "0123456789ab",
                                "0123456789abcdef0123456789abcdef" },
                              { 12, 32 } },
    [FLOW__KIND_CERTIFICATE_STATUS] = { { "\1\0\0\1o", "\1\0\0\1o" },
                                        { 5, 5 } },
    [FLOW__KIND_KEY_UPDATE] = { { "\0", "\0" }, { 1, 1 } },
};

/* RFC 8446 4, RFC 5246 7.4, RFC 5077 3.3, RFC 6066 8; the last is of none. */
static const uint8_t types[FLOW__KIND_COUNT] = {
    [FLOW__KIND_HELLO_REQUEST] = 0,
    [FLOW__KIND_CLIENT_HELLO] = 1,
    [FLOW__KIND_SERVER_HELLO12] = 2,
    [FLOW__KIND_SERVER_HELLO12_TICKET] = 2,
    [FLOW__KIND_SERVER_HELLO12_RESUMED] = 2,
    [FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET] = 2,
    [FLOW__KIND_SERVER_HELLO13] = 2,
    [FLOW__KIND_SERVER_HELLO13_PSK] = 2,
    [FLOW__KIND_HELLO_RETRY_REQUEST] = 2,
    [FLOW__KIND_NEW_SESSION_TICKET] = 4,
    [FLOW__KIND_END_OF_EARLY_DATA] = 5,
    [FLOW__KIND_ENCRYPTED_EXTENSIONS] = 8,
    [FLOW__KIND_CERTIFICATE] = 11,
    [FLOW__KIND_CERTIFICATE_EMPTY] = 11,
    [FLOW__KIND_SERVER_KEY_EXCHANGE] = 12,
    [FLOW__KIND_CERTIFICATE_REQUEST] = 13,
    [FLOW__KIND_SERVER_HELLO_DONE] = 14,
    [FLOW__KIND_CERTIFICATE_VERIFY] = 15,
    [FLOW__KIND_CLIENT_KEY_EXCHANGE] = 16,
    [FLOW__KIND_FINISHED] = 20,
    [FLOW__KIND_CERTIFICATE_STATUS] = 22,
    [FLOW__KIND_KEY_UPDATE] = 24,
    [FLOW__KIND_UNKNOWN] = 99,
};

static enum flow__level
level_of(enum flow__kind kind, bool is13)
{
    if (types[kind] <= 2 && kind != FLOW__KIND_HELLO_REQUEST)
        return FLOW__LEVEL_PLAIN;
    if (!is13)
        return kind == FLOW__KIND_FINISHED ? FLOW__LEVEL_DATA
                                           : FLOW__LEVEL_PLAIN;
    return kind == FLOW__KIND_NEW_SESSION_TICKET ||
                   kind == FLOW__KIND_KEY_UPDATE
               ? FLOW__LEVEL_DATA
               : FLOW__LEVEL_HANDSHAKE;
}

void
script_make(enum flow__kind kind, const struct script_shape *shape,
            bool retried, struct script_event *ret)
{
    const bool is13 = shape->version == TLS13;
    struct writer w = { { 0 }, 0 };

    if (kind == FLOW__KIND_CLIENT_HELLO)
        put_client_hello(&w, shape, retried);
    else if (types[kind] == 2)
        put_server_hello(&w, kind, retried);
    else if (kind == FLOW__KIND_CERTIFICATE)
        put_certificate(&w, is13);
    else
        put(&w, fixed[kind].bytes[is13] != NULL ? fixed[kind].bytes[is13] : "",
            fixed[kind].len[is13]);
    memset(ret, 0, sizeof(*ret));
    assert_true(w.len + 4 <= sizeof(ret->bytes));
    ret->level = level_of(kind, is13);
    ret->is_write = true;
    ret->bytes[0] = types[kind];
    ret->bytes[2] = (uint8_t)(w.len >> 8);
    ret->bytes[3] = (uint8_t)w.len;
    memcpy(ret->bytes + 4, w.bytes, w.len);
    ret->len = w.len + 4;
}

/* --- handshakes --- */

static void
message(struct script_call *call, enum flow__kind kind,
        const struct script_shape *shape)
{
    struct script_event *e = script_insert(call, call->events);

    script_make(kind, shape, shape->retries, e);
}

static enum flow__kind
clients_certificate(const struct script_shape *shape)
{
    return shape->presents ? FLOW__KIND_CERTIFICATE
                           : FLOW__KIND_CERTIFICATE_EMPTY;
}

static bool
has_certificate(const struct script_shape *shape)
{
    return !shape->resumes;
}

static void
write_client13(const struct script_shape *shape)
{
    struct script *c = &script_client;
    struct script_call *call = say(c, FLOW_AGAIN);
    int silent = 1 + (has_certificate(shape) ? 2 : 0) + (shape->asks ? 1 : 0);

    script_make(FLOW__KIND_CLIENT_HELLO, shape, false, script_insert(call, 0));
    if (shape->retries)
        message(say(c, FLOW_AGAIN), FLOW__KIND_CLIENT_HELLO, shape);
    secrets(say(c, FLOW_AGAIN), FLOW__LEVEL_HANDSHAKE, false);
    while (silent-- > 0)
        (void)say(c, FLOW_AGAIN);
    call = say(c, FLOW_OK);
    secrets(call, FLOW__LEVEL_DATA, false);
    if (shape->asks)
        message(call, clients_certificate(shape), shape);
    if (shape->presents)
        message(call, FLOW__KIND_CERTIFICATE_VERIFY, shape);
    message(call, FLOW__KIND_FINISHED, shape);
}

static void
write_server13(const struct script_shape *shape)
{
    struct script *s = &script_server;
    struct script_call *call;

    if (shape->retries)
        message(say(s, FLOW_AGAIN), FLOW__KIND_HELLO_RETRY_REQUEST, shape);
    call = say(s, FLOW_AGAIN);
    message(call,
            shape->resumes ? FLOW__KIND_SERVER_HELLO13_PSK
                           : FLOW__KIND_SERVER_HELLO13,
            shape);
    secrets(call, FLOW__LEVEL_HANDSHAKE, true);
    message(call, FLOW__KIND_ENCRYPTED_EXTENSIONS, shape);
    if (shape->asks)
        message(call, FLOW__KIND_CERTIFICATE_REQUEST, shape);
    if (has_certificate(shape)) {
        message(call, FLOW__KIND_CERTIFICATE, shape);
        message(call, FLOW__KIND_CERTIFICATE_VERIFY, shape);
    }
    secrets(call, FLOW__LEVEL_DATA, true);
    message(call, FLOW__KIND_FINISHED, shape);
    if (shape->asks)
        (void)say(s, FLOW_AGAIN);
    if (shape->presents)
        (void)say(s, FLOW_AGAIN);
    (void)say(s, FLOW_OK);
}

static void
write_client12(const struct script_shape *shape)
{
    struct script *c = &script_client;
    struct script_call *call = say(c, FLOW_AGAIN);
    int silent = 3 + (shape->asks ? 1 : 0);

    message(call, FLOW__KIND_CLIENT_HELLO, shape);
    if (shape->resumes) {
        master(say(c, FLOW_AGAIN));
        if (shape->promises)
            (void)say(c, FLOW_AGAIN);
        message(say(c, FLOW_OK), FLOW__KIND_FINISHED, shape);
        return;
    }
    while (silent-- > 0)
        (void)say(c, FLOW_AGAIN);
    call = say(c, FLOW_AGAIN);
    if (shape->asks)
        message(call, clients_certificate(shape), shape);
    master(call);
    message(call, FLOW__KIND_CLIENT_KEY_EXCHANGE, shape);
    if (shape->presents)
        message(call, FLOW__KIND_CERTIFICATE_VERIFY, shape);
    message(call, FLOW__KIND_FINISHED, shape);
    if (shape->promises)
        (void)say(c, FLOW_AGAIN);
    (void)say(c, FLOW_OK);
}

static void
write_short_server12(const struct script_shape *shape)
{
    struct script_call *call = say(&script_server, FLOW_AGAIN);

    message(call,
            shape->promises ? FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET
                            : FLOW__KIND_SERVER_HELLO12_RESUMED,
            shape);
    master(call);
    if (shape->promises)
        message(call, FLOW__KIND_NEW_SESSION_TICKET, shape);
    message(call, FLOW__KIND_FINISHED, shape);
    (void)say(&script_server, FLOW_OK);
}

static void
write_server12(const struct script_shape *shape)
{
    struct script *s = &script_server;
    struct script_call *call = say(s, FLOW_AGAIN);

    message(call,
            shape->promises ? FLOW__KIND_SERVER_HELLO12_TICKET
                            : FLOW__KIND_SERVER_HELLO12,
            shape);
    message(call, FLOW__KIND_CERTIFICATE, shape);
    message(call, FLOW__KIND_SERVER_KEY_EXCHANGE, shape);
    if (shape->asks)
        message(call, FLOW__KIND_CERTIFICATE_REQUEST, shape);
    message(call, FLOW__KIND_SERVER_HELLO_DONE, shape);
    if (shape->asks)
        (void)say(s, FLOW_AGAIN);
    master(say(s, FLOW_AGAIN));
    if (shape->presents)
        (void)say(s, FLOW_AGAIN);
    call = say(s, FLOW_OK);
    if (shape->promises)
        message(call, FLOW__KIND_NEW_SESSION_TICKET, shape);
    message(call, FLOW__KIND_FINISHED, shape);
}

void
script_write_shape(const struct script_shape *shape)
{
    memset(&script_client, 0, sizeof(script_client));
    memset(&script_server, 0, sizeof(script_server));
    script_forget_seals();
    script_client.suite = script_server.suite =
        shape->version == TLS13 ? 0x1301 : 0xc02b;
    if (shape->version == TLS13) {
        write_client13(shape);
        write_server13(shape);
        return;
    }
    write_client12(shape);
    if (shape->resumes)
        write_short_server12(shape);
    else
        write_server12(shape);
}

void
script_write(uint16_t version)
{
    const struct script_shape shape = { .version = version };

    script_write_shape(&shape);
}
