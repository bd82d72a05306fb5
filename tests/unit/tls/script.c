/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/script.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "tls/config.h"

struct script script_client;
struct script script_server;

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

/* Its two parts after its own header: what is signed, and the algorithm. */
#define SCRIPT_BODY     (script_certificate + 3)
#define SCRIPT_BODY_LEN 132

/* --- recording of messages --- */

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

/* A message whose header is written before its body. */
static void
message(struct script_call *call, enum flow__level level, uint8_t type,
        const void *body, size_t len)
{
    struct script_event *e = script_insert(call, call->events);

    assert_true(len + 4 <= sizeof(e->bytes));
    e->level = level;
    e->is_write = true;
    e->bytes[0] = type;
    e->bytes[2] = (uint8_t)(len >> 8);
    e->bytes[3] = (uint8_t)len;
    memcpy(e->bytes + 4, body, len);
    e->len = len + 4;
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

static void
client_hello(struct script_call *call, uint16_t version, uint16_t suite)
{
    /* Groups, point formats, signature algorithms, extended master secret. */
    static const uint8_t common[] = { 0, 10, 0, 6, 0, 4,  0, 29, 0, 23,
                                      0, 11, 0, 2, 1, 0,  0, 13, 0, 4,
                                      0, 2,  4, 3, 0, 23, 0, 0 };
    static const uint8_t versions[] = { 0, 43, 0, 3,  2, 3,  4, 0, 51,
                                        0, 38, 0, 36, 0, 29, 0, 32 };
    struct writer w = { { 0 }, 0 };
    size_t at;

    put_u16(&w, 0x0303);
    put_fill(&w, 0xc1, 32);
    put_fill(&w, 32, 1);
    put_fill(&w, 0x5e, 32);
    put_u16(&w, 2);
    put_u16(&w, suite);
    put(&w, "\1\0", 2);
    at = begin_u16(&w);
    put(&w, common, sizeof(common));
    if (version == 0x0304) {
        put(&w, versions, sizeof(versions));
        put_fill(&w, 9, 32);
    }
    end_u16(&w, at);
    message(call, FLOW__LEVEL_PLAIN, 1, w.bytes, w.len);
}

static void
server_hello(struct script_call *call, uint16_t version, uint16_t suite)
{
    static const uint8_t versions[] = { 0,  43, 0,  2, 3,  4, 0,
                                        51, 0,  36, 0, 29, 0, 32 };
    struct writer w = { { 0 }, 0 };
    size_t at;

    put_u16(&w, 0x0303);
    put_fill(&w, 0x5c, 32);
    put_fill(&w, version == 0x0304 ? 32 : 0, 1);
    put_fill(&w, 0x5e, version == 0x0304 ? 32 : 0);
    put_u16(&w, suite);
    put_fill(&w, 0, 1);
    at = begin_u16(&w);
    if (version == 0x0304) {
        put(&w, versions, sizeof(versions));
        put_fill(&w, 7, 32);
    } else {
        put(&w, "\0\27\0\0", 4);
    }
    end_u16(&w, at);
    message(call, FLOW__LEVEL_PLAIN, 2, w.bytes, w.len);
}

/* TLS 1.3 has a context before the list, and extensions after a
 * certificate. */
static void
certificate(struct script_call *call, uint16_t version)
{
    const uint8_t len = sizeof(script_certificate);
    const uint8_t extensions = version == 0x0304 ? 2 : 0;
    const uint8_t list[] = { 0, 0, (uint8_t)(len + 3 + extensions), 0, 0, len };
    struct writer w = { { 0 }, 0 };

    put_fill(&w, 0, version == 0x0304 ? 1 : 0);
    put(&w, list, sizeof(list));
    put(&w, script_certificate, len);
    put_fill(&w, 0, extensions);
    message(call, version == 0x0304 ? FLOW__LEVEL_HANDSHAKE : FLOW__LEVEL_PLAIN,
            11, w.bytes, w.len);
}

static void
finished(struct script_call *call, uint16_t version)
{
    struct writer w = { { 0 }, 0 };

    put_fill(&w, 0xf1, version == 0x0304 ? 32 : 12);
    message(call, version == 0x0304 ? FLOW__LEVEL_HANDSHAKE : FLOW__LEVEL_DATA,
            20, w.bytes, w.len);
}

static void
write13(struct script *c, struct script *s)
{
    struct script_call *call = say(c, FLOW_AGAIN);
    int i;

    client_hello(call, 0x0304, c->suite);
    secrets(say(c, FLOW_AGAIN), FLOW__LEVEL_HANDSHAKE, false);
    for (i = 0; i < 3; i++)
        (void)say(c, FLOW_AGAIN);
    call = say(c, FLOW_OK);
    secrets(call, FLOW__LEVEL_DATA, false);
    finished(call, 0x0304);

    call = say(s, FLOW_AGAIN);
    server_hello(call, 0x0304, s->suite);
    secrets(call, FLOW__LEVEL_HANDSHAKE, true);
    message(call, FLOW__LEVEL_HANDSHAKE, 8, "\0\0", 2);
    certificate(call, 0x0304);
    message(call, FLOW__LEVEL_HANDSHAKE, 15, "\4\3\0\4sign", 8);
    secrets(call, FLOW__LEVEL_DATA, true);
    finished(call, 0x0304);
    (void)say(s, FLOW_OK);
}

static void
write12(struct script *c, struct script *s)
{
    static const uint8_t exchange[] = "\3\0\35\40"
                                      "0123456789abcdef0123456789abcdef"
                                      "\4\3\0\4sign";
    struct script_call *call = say(c, FLOW_AGAIN);
    int i;

    client_hello(call, 0x0303, c->suite);
    for (i = 0; i < 3; i++)
        (void)say(c, FLOW_AGAIN);
    call = say(c, FLOW_AGAIN);
    secret(call, FLOW__LEVEL_DATA, false, 5, 48);
    message(call, FLOW__LEVEL_PLAIN, 16, exchange + 3, 33);
    finished(call, 0x0303);
    (void)say(c, FLOW_OK);

    call = say(s, FLOW_AGAIN);
    server_hello(call, 0x0303, s->suite);
    certificate(call, 0x0303);
    message(call, FLOW__LEVEL_PLAIN, 12, exchange, sizeof(exchange) - 1);
    message(call, FLOW__LEVEL_PLAIN, 14, "", 0);
    secret(say(s, FLOW_AGAIN), FLOW__LEVEL_DATA, false, 5, 48);
    finished(say(s, FLOW_OK), 0x0303);
}

void
script_write(uint16_t version)
{
    memset(&script_client, 0, sizeof(script_client));
    memset(&script_server, 0, sizeof(script_server));
    script_forget_seals();
    script_client.suite = script_server.suite =
        version == 0x0304 ? 0x1301 : 0xc02b;
    if (version == 0x0304)
        write13(&script_client, &script_server);
    else
        write12(&script_client, &script_server);
}

/* --- the engine --- */

struct flow__keypair {
    const struct flow_env *env;
};

struct flow__engine_conf {
    const struct flow_tls_config *config;
};

struct flow__engine {
    const struct flow_env *env;
    struct script *script;
    const struct script_call *call;    /* the last call */
    unsigned next;                     /* the current event of that call */
    struct flow__key_material keys[2]; /* of the last event, by is_write */
};

enum flow_status
flow__engine_init(struct flow_error *err)
{
    (void)err;
    return FLOW_OK;
}

enum flow_status
flow__keypair_new(const struct flow_env *env,
                  const struct flow__keypair_input *in,
                  struct flow__keypair **ret_pair, struct flow_error *err)
{
    (void)in;
    (void)err;
    *ret_pair = flow_env_alloc(env, sizeof(**ret_pair));
    if (*ret_pair == NULL)
        return FLOW_E_NOMEM;
    (*ret_pair)->env = env;
    return FLOW_OK;
}

void
flow__keypair_free(struct flow__keypair *pair)
{
    if (pair != NULL)
        flow_env_free(pair->env, pair, sizeof(*pair));
}

enum flow__key_type
flow__keypair_type(const struct flow__keypair *pair)
{
    (void)pair;
    return FLOW__KEY_P256;
}

void
flow__keypair_validity(const struct flow__keypair *pair,
                       int64_t *ret_not_before, int64_t *ret_not_after)
{
    (void)pair;
    *ret_not_before = 0;
    *ret_not_after = 0;
}

size_t
flow__keypair_schemes(const struct flow__keypair *pair, uint16_t *ret,
                      size_t cap)
{
    (void)pair;
    (void)ret;
    (void)cap;
    return 0;
}

bool
flow__keypair_name(const struct flow__keypair *pair, size_t i,
                   const uint8_t **ret_name, size_t *ret_len)
{
    (void)pair;
    if (i > 0)
        return false;
    *ret_name = (const uint8_t *)"server.example";
    *ret_len = 14;
    return true;
}

bool
flow__keypair_issuer(const struct flow__keypair *pair, size_t i,
                     struct flow__span *ret_issuer)
{
    (void)pair;
    (void)i;
    (void)ret_issuer;
    return false;
}

enum flow_status
flow__engine_present(struct flow__engine *e, struct flow__keypair *pair)
{
    (void)e;
    (void)pair;
    return FLOW_OK;
}

uint16_t
flow__engine_scheme12(const struct flow__suite *suite, enum flow__key_type key)
{
    (void)suite;
    (void)key;
    return FLOW__SIGN_ECDSA_SECP256R1_SHA256;
}

/* The script's certificates are made of anything, and every signature is
 * right. */
enum flow_status
flow__engine_check_certificate(struct flow__span der)
{
    return der.len > 0 ? FLOW_OK : FLOW_E_INVAL;
}

enum flow_status
flow__engine_check_signature(struct flow__span spki,
                             const struct flow__signature *s)
{
    return spki.len > 0 && s->value.len > 0 ? FLOW_OK : FLOW_E_AUTH;
}

enum flow_status
flow__engine_fingerprint(struct flow__span bytes, uint8_t ret[FLOW__PIN_LEN])
{
    for (size_t i = 0; i < FLOW__PIN_LEN; i++)
        ret[i] = i < bytes.len ? bytes.base[i] : 0;
    return FLOW_OK;
}

bool
flow__engine_decode_base64(struct flow__span text, uint8_t *buf, size_t cap,
                           size_t *ret_len)
{
    (void)text;
    (void)buf;
    (void)cap;
    *ret_len = 0;
    return false;
}

enum flow_status
flow__engine_conf_new(const struct flow_tls_config *c,
                      const struct flow__engine_terms *terms,
                      struct flow__engine_conf **ret_conf,
                      struct flow_error *err)
{
    (void)terms;
    (void)err;
    *ret_conf = flow_env_alloc(c->env, sizeof(**ret_conf));
    if (*ret_conf == NULL)
        return FLOW_E_NOMEM;
    (*ret_conf)->config = c;
    return FLOW_OK;
}

void
flow__engine_conf_free(struct flow__engine_conf *conf)
{
    if (conf != NULL)
        flow_env_free(conf->config->env, conf, sizeof(*conf));
}

enum flow_status
flow__engine_new(struct flow__engine_conf *conf, struct flow__keypair *pair,
                 uint16_t version, const char *server_name,
                 struct flow__ticket_use *tickets,
                 struct flow__engine **ret_engine)
{
    struct flow__engine *e = flow_env_alloc(conf->config->env, sizeof(*e));

    assert_true((pair != NULL) == conf->config->server);
    assert_int_equal(version, conf->config->server
                                  ? (uint16_t)conf->config->max_version
                                  : 0);
    assert_true((server_name == NULL) == conf->config->server);
    assert_null(tickets);
    if (e == NULL)
        return FLOW_E_NOMEM;
    e->env = conf->config->env;
    e->script = conf->config->server ? &script_server : &script_client;
    *ret_engine = e;
    return FLOW_OK;
}

void
flow__engine_free(struct flow__engine *e)
{
    if (e != NULL)
        flow_env_free(e->env, e, sizeof(*e));
}

/* The scripts have no sessions. */

enum flow_status
flow__engine_offer(struct flow__engine *e, struct flow__span state)
{
    (void)e;
    (void)state;
    fail_msg("a session is offered");
    return FLOW_E_INVAL;
}

enum flow_status
flow__engine_session(struct flow__engine *e, uint8_t **ret_state,
                     size_t *ret_len)
{
    (void)e;
    (void)ret_state;
    (void)ret_len;
    fail_msg("a session is asked for");
    return FLOW_E_SYS;
}

enum flow_status
flow__engine_ticket(struct flow__engine *e, const uint8_t *msg, size_t len,
                    uint8_t **ret_state, size_t *ret_len)
{
    (void)e;
    (void)msg;
    (void)len;
    (void)ret_state;
    (void)ret_len;
    fail_msg("a ticket is taken");
    return FLOW_E_SYS;
}

enum flow_status
flow__engine_seal(const struct flow__seal_key *key, struct flow__span plain,
                  uint8_t *out)
{
    (void)key;
    (void)plain;
    (void)out;
    fail_msg("sessions are sealed");
    return FLOW_E_SYS;
}

enum flow_status
flow__engine_open(const struct flow__seal_key *key, struct flow__span sealed,
                  uint8_t *out)
{
    (void)key;
    (void)sealed;
    (void)out;
    fail_msg("sessions are opened");
    return FLOW_E_AUTH;
}

bool
flow__engine_read_ticket(const struct flow__ticket_use *use,
                         struct flow__span ticket, uint8_t *buf,
                         struct flow__span *ret_chain,
                         uint8_t ret_salt[FLOW__SEAL_SALT])
{
    (void)use;
    (void)ticket;
    (void)buf;
    (void)ret_chain;
    (void)ret_salt;
    fail_msg("a ticket is read");
    return false;
}

struct flow__span
flow__keypair_leaf(const struct flow__keypair *pair)
{
    const struct flow__span none = { NULL, 0 };

    (void)pair;
    fail_msg("a client's certificate is read");
    return none;
}

size_t
flow__engine_message_max(void)
{
    return 16384;
}

static enum flow_status
run(struct flow__engine *e, struct flow_error *err)
{
    assert_true(e->script->made < e->script->calls);
    e->call = &e->script->call[e->script->made++];
    e->next = e->call->status < 0 ? e->call->events : 0;
    if (e->call->status < 0) {
        (void)flow_error_set(err, e->call->status, "tls", FLOW_DOMAIN_NONE, 0,
                             "as the script says");
        err->alert_sent = (int16_t)e->call->alert;
    }
    return e->call->status;
}

enum flow_status
flow__engine_start(struct flow__engine *e, struct flow_error *err)
{
    return run(e, err);
}

enum flow_status
flow__engine_feed(struct flow__engine *e, enum flow__level level,
                  const uint8_t *msg, size_t len, struct flow_error *err)
{
    struct script_call *call = &e->script->call[e->script->made];

    assert_true(len >= 4 && len == 4u + (size_t)(msg[2] << 8 | msg[3]));
    call->fed = msg[0];
    call->fed_level = level;
    return run(e, err);
}

static void
put_u24(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 16);
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)value;
}

/* A Certificate of TLS 1.3 with one certificate of this many bytes, most of
 * them its signature, without a context and without extensions. */
static const uint8_t *
long_certificate(size_t len, size_t *ret_len)
{
    static uint8_t bytes[16384];
    uint8_t *der = bytes + 11, *signature = der + 4 + SCRIPT_BODY_LEN;
    size_t signature_len = len - 4 - SCRIPT_BODY_LEN - 4;

    assert_true(len + 13 <= sizeof(bytes));
    memset(bytes, 0, sizeof(bytes));
    bytes[0] = 11;
    put_u24(bytes + 1, len + 9);
    put_u24(bytes + 5, len + 5);
    put_u24(bytes + 8, len);
    put_u24(der + 1, len - 4);
    memcpy(der, "\x30\x82", 2);
    memcpy(der + 4, SCRIPT_BODY, SCRIPT_BODY_LEN);
    put_u24(signature + 1, signature_len);
    memcpy(signature, "\x03\x82", 2);
    *ret_len = len + 13;
    return bytes;
}

static const uint8_t script_random[FLOW__RANDOM_LEN] = { 1 };

/* Both ends derive the same keys from the bytes of a secret. */
static enum flow_status
make_keys(struct flow__engine *e, struct flow__engine_event *event)
{
    const struct flow__keys12 from = { event->bytes, script_random,
                                       script_random };
    struct flow__secret secret = { event->suite->hash, { 0 } };
    bool server = e->script == &script_server;

    event->keys[0] = &e->keys[0];
    event->keys[1] = &e->keys[1];
    if (event->suite->version == 0x0303)
        return flow__keys_tls12(event->suite, &from, &e->keys[!server],
                                &e->keys[server]);
    memcpy(secret.bytes, event->bytes, (size_t)secret.hash);
    return flow__keys_traffic(event->suite, &secret, &e->keys[event->is_write]);
}

enum flow_status
flow__engine_next(struct flow__engine *e, struct flow__engine_event *ret_event)
{
    const struct script_event *event;

    if (e->next == e->call->events)
        return FLOW_AGAIN;
    event = &e->call->event[e->next++];
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->kind =
        event->is_secret ? FLOW__ENGINE_SECRET : FLOW__ENGINE_MESSAGE;
    ret_event->level = event->level;
    ret_event->is_write = event->is_write;
    ret_event->bytes = event->bytes;
    ret_event->len = event->len;
    if (event->certificate > 0)
        ret_event->bytes =
            long_certificate(event->certificate, &ret_event->len);
    ret_event->suite = flow__suite_find(e->script->suite);
    ret_event->client_random = script_random;
    return event->is_secret ? make_keys(e, ret_event) : FLOW_OK;
}

bool
flow__engine_can_export(void)
{
    return false;
}

enum flow_status
flow__engine_export(struct flow__engine *e, const struct flow__exporter *wanted,
                    uint8_t *buf)
{
    (void)e;
    (void)wanted;
    (void)buf;
    return FLOW_E_SYS;
}

size_t
flow__engine_footprint(void)
{
    return 0;
}

const char *
flow__engine_alpn(const struct flow__engine *e)
{
    (void)e;
    return "";
}

size_t
flow__engine_peer_chain(const struct flow__engine *e, uint8_t *buf, size_t cap)
{
    (void)e;
    if (buf != NULL && cap > 0)
        buf[0] = 'x';
    return 1;
}
