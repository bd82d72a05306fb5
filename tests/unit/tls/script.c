/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/script.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "tls/config.h"

bool script_can_connect = true;
bool script_has_tls12 = true;
bool script_can_resume = true;

/* Its two parts after its own header: what is signed, and the algorithm. */
#define SCRIPT_BODY     (script_certificate + 3)
#define SCRIPT_BODY_LEN 132

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
    bool has_chain;                    /* of the peer */
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

/* Every session is the same. */

static const uint8_t script_session[] = { 's' };

enum flow_status
flow__engine_offer(struct flow__engine *e, struct flow__span state,
                   uint16_t *ret_suite)
{
    assert_ptr_equal(e->script, &script_client);
    assert_int_equal(state.len, sizeof(script_session));
    assert_memory_equal(state.base, script_session, sizeof(script_session));
    *ret_suite = e->script->suite;
    return FLOW_OK;
}

enum flow_status
flow__engine_session(struct flow__engine *e, uint8_t **ret_state,
                     size_t *ret_len)
{
    *ret_state = flow_env_alloc(e->env, sizeof(script_session));
    if (*ret_state == NULL)
        return FLOW_E_NOMEM;
    memcpy(*ret_state, script_session, sizeof(script_session));
    *ret_len = sizeof(script_session);
    return FLOW_OK;
}

enum flow_status
flow__engine_ticket(struct flow__engine *e, const uint8_t *msg, size_t len,
                    uint8_t **ret_state, size_t *ret_len)
{
    assert_true(len > 4 && msg[0] == 4);
    return flow__engine_session(e, ret_state, ret_len);
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
    /* 8: a header and an empty list, in TLS 1.3 after the length of a context.
     */
    e->has_chain |= msg[0] == FLOW__HANDSHAKE_CERTIFICATE && len > 8;
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
flow__engine_can_connect(void)
{
    return script_can_connect;
}

bool
flow__engine_has_tls12(void)
{
    return script_has_tls12;
}

bool
flow__engine_can_resume(void)
{
    return script_can_resume;
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
    if (!e->has_chain)
        return 0;
    if (buf != NULL && cap > 0)
        buf[0] = 'x';
    return 1;
}
