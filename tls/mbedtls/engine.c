/* SPDX-License-Identifier: ISC */
#include "tls/engine.h"

#include <string.h>

#include <flow/tls.h>

#include "tls/config.h"
#include "tls/hello.h"
#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/engine_state.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/messages.h"
#include "tls/mbedtls/step.h"
#include "tls/mbedtls/ticket.h"

/*
 * The engine of tls/engine.h over mbedTLS's public interface: one context per
 * handshake, which reads and writes messages through messages.c.
 *
 * Invariants: a configuration is not changed once a context uses it, except
 * one that is the context's own, between two steps of it.  The
 * context never sees a record of the peer, and never application data.  A
 * handshake runs in steps (tls/mbedtls/step.h), which a fork never divides, and
 * neither ssl nor own has memory of its arena once it is freed.  ssl is set up
 * before the engine is given out, and its user data is the engine.
 *
 * Locks: none of ours.  Threads: one at a time for one engine.
 */

/* Calls of mbedtls_ssl_handshake() for one message.  An engine that needs more
 * than this, and does not ask for a record, is in an endless loop. */
#define ENGINE_CALLS_MAX 16

/* mbedTLS's constants for groups and signature algorithms are the numbers on
 * the wire, RFC 8446 4.2.3 and 4.2.7. */
static const uint16_t engine_sig_algs[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE,
};

static void
engine_copy_lists(struct flow__engine_conf *conf,
                  const struct flow_tls_config *c,
                  const struct flow__engine_terms *terms)
{
    for (size_t i = 0; i < c->suite_count; i++)
        conf->suites[i] = c->suite[i];
    memcpy(conf->groups, c->group, c->group_count * sizeof(*c->group));
    for (size_t i = 0; i < terms->alpn_count; i++)
        conf->alpn[i] = terms->alpn[i];
}

#if defined(MBEDTLS_SSL_CLI_C) && defined(MBEDTLS_SSL_SESSION_TICKETS)
/* Client: whether it offers and takes sessions. */
static void
engine_set_sessions(mbedtls_ssl_config *ssl, bool takes)
{
    mbedtls_ssl_conf_session_tickets(
        ssl, takes ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                   : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    if (!takes)
        return;
    mbedtls_ssl_conf_tls13_key_exchange_modes(
        ssl, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL |
                 MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
    flow__mbed_conf_tickets(ssl);
}
#endif

static void
engine_set_policy(mbedtls_ssl_config *ssl, const struct flow__engine_conf *conf,
                  uint16_t min_version, uint16_t max_version)
{
    mbedtls_ssl_conf_min_tls_version(ssl,
                                     (mbedtls_ssl_protocol_version)min_version);
    mbedtls_ssl_conf_max_tls_version(ssl,
                                     (mbedtls_ssl_protocol_version)max_version);
    flow__mbed_conf_random(ssl);
#if defined(MBEDTLS_SSL_EXTENDED_MASTER_SECRET)
    mbedtls_ssl_conf_extended_master_secret(ssl,
                                            MBEDTLS_SSL_EXTENDED_MS_ENABLED);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(ssl, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    mbedtls_ssl_conf_tls13_key_exchange_modes(
        ssl, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
#if defined(MBEDTLS_SSL_CLI_C) && defined(MBEDTLS_SSL_SESSION_TICKETS)
    if (!conf->config->server)
        engine_set_sessions(ssl, conf->config->sessions != NULL);
#endif
    /* tls/peer.c verifies the peer, and has done so when the engine gets its
     * certificates.  A server that verifies none does not ask for one. */
    mbedtls_ssl_conf_authmode(ssl, conf->asks_client
                                       ? MBEDTLS_SSL_VERIFY_OPTIONAL
                                       : MBEDTLS_SSL_VERIFY_NONE);
    flow__mbed_conf_authorities(ssl, conf->authorities);
}

/* Set the certificate; called in every handshake, with or without a name. */
static int
engine_set_keypair(mbedtls_ssl_context *ssl)
{
    struct flow__engine *e = mbedtls_ssl_get_user_data_p(ssl);

    /* After a HelloRetryRequest mbedTLS calls again, and would append a second
     * certificate: clear the list first. */
    (void)mbedtls_ssl_set_hs_own_cert(ssl, NULL, NULL);
    return mbedtls_ssl_set_hs_own_cert(ssl, &e->pair->chain, &e->pair->key);
}

static int
engine_set_config(const struct flow__engine_conf *conf, mbedtls_ssl_config *ssl,
                  uint16_t min_version, uint16_t max_version)
{
    const struct flow_tls_config *c = conf->config;
    int rc = mbedtls_ssl_config_defaults(
        ssl, c->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
        MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

    if (rc != 0)
        return rc;
    mbedtls_ssl_conf_ciphersuites(ssl, conf->suites);
    mbedtls_ssl_conf_groups(ssl, conf->groups);
    mbedtls_ssl_conf_sig_algs(ssl, engine_sig_algs);
    engine_set_policy(ssl, conf, min_version, max_version);
    if (c->server)
        mbedtls_ssl_conf_cert_cb(ssl, engine_set_keypair);
    return conf->alpn[0] != NULL
               ? mbedtls_ssl_conf_alpn_protocols(
                     ssl, (const char **)(uintptr_t)conf->alpn)
               : 0;
}

static int
engine_set_configs(struct flow__engine_conf *conf)
{
    int rc = engine_set_config(conf, &conf->ssl, conf->min_version,
                               conf->max_version);

    if (rc == 0 && conf->config->server && conf->max_version == FLOW_TLS_1_3)
        rc = engine_set_config(conf, &conf->ssl13, FLOW_TLS_1_3, FLOW_TLS_1_3);
    return rc;
}

static enum flow_status
engine_no_memory(struct flow_error *err)
{
    return flow_error_set(err, FLOW_E_NOMEM, "tls config", FLOW_DOMAIN_NONE, 0,
                          "no memory");
}

/* See tls/engine.h. */
enum flow_status
flow__engine_conf_new(const struct flow_tls_config *c,
                      const struct flow__engine_terms *terms,
                      struct flow__engine_conf **ret_conf,
                      struct flow_error *err)
{
    struct flow__engine_conf *conf = flow_env_alloc(c->env, sizeof(*conf));
    int rc;

    if (conf == NULL)
        return engine_no_memory(err);
    conf->config = c;
    conf->min_version = terms->min_version;
    conf->max_version = terms->max_version;
    conf->asks_client = terms->asks_client;
    mbedtls_ssl_config_init(&conf->ssl);
    mbedtls_ssl_config_init(&conf->ssl13);
    engine_copy_lists(conf, c, terms);
    if (flow__mbed_authorities_new(c->env, terms, &conf->authorities) !=
        FLOW_OK) {
        flow__engine_conf_free(conf);
        return engine_no_memory(err);
    }
    rc = engine_set_configs(conf);
    if (rc != 0) {
        flow__engine_conf_free(conf);
        return flow_error_set(err, FLOW_E_INVAL, "tls config",
                              FLOW_DOMAIN_ENGINE, rc,
                              "the engine refuses the configuration");
    }
    *ret_conf = conf;
    return FLOW_OK;
}

/* See tls/engine.h. */
void
flow__engine_conf_free(struct flow__engine_conf *conf)
{
    if (conf == NULL)
        return;
    mbedtls_ssl_config_free(&conf->ssl);
    mbedtls_ssl_config_free(&conf->ssl13);
    flow__mbed_authorities_free(conf->authorities);
    flow_env_free(conf->config->env, conf, sizeof(*conf));
}

/* See subprojects/packagefiles/mbedtls/libflow/request.h. */
size_t
flow__mbed_write_authorities(const mbedtls_ssl_context *ssl, uint8_t *buf,
                             size_t cap)
{
    const struct flow__engine *e =
        mbedtls_ssl_get_user_data_p((mbedtls_ssl_context *)(uintptr_t)ssl);

    return e == NULL
               ? 0
               : flow__mbed_authorities_write(e->conf->authorities, buf, cap);
}

static int
engine_on_send(void *ctx, const unsigned char *buf, size_t len)
{
    struct flow__engine *e = ctx;

    /* Accept the whole record or fail: after a partial answer, or 0, mbedTLS
     * would keep pending output. */
    return flow__messages_send(&e->messages, buf, len)
               ? (int)len
               : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

static int
engine_on_recv(void *ctx, unsigned char *buf, size_t len)
{
    struct flow__engine *e = ctx;
    size_t n = flow__messages_read(&e->messages, buf, len);

    return n > 0 ? (int)n : MBEDTLS_ERR_SSL_WANT_READ;
}

static bool
engine_secret_kind(mbedtls_ssl_key_export_type type,
                   enum flow__messages_secret *ret)
{
    switch (type) {
    case MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET:
        *ret = FLOW__MESSAGES_MASTER;
        return true;
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET:
        *ret = FLOW__MESSAGES_CLIENT_HANDSHAKE;
        return true;
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET:
        *ret = FLOW__MESSAGES_SERVER_HANDSHAKE;
        return true;
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET:
        *ret = FLOW__MESSAGES_CLIENT_DATA;
        return true;
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET:
        *ret = FLOW__MESSAGES_SERVER_DATA;
        return true;
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_EARLY_SECRET:
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_EARLY_EXPORTER_SECRET:
    default:
        return false;
    }
}

static void
engine_on_export(void *ctx, mbedtls_ssl_key_export_type type,
                 const unsigned char *secret, size_t len,
                 const unsigned char client_random[32],
                 const unsigned char server_random[32],
                 mbedtls_tls_prf_types prf)
{
    struct flow__engine *e = ctx;
    enum flow__messages_secret kind;

    (void)prf;
    if (engine_secret_kind(type, &kind))
        flow__messages_export(&e->messages, kind, secret, len, client_random,
                              server_random);
}

static int
engine_copy_config(struct flow__engine *e, uint16_t version)
{
    struct flow__engine_conf *conf = e->conf;
    int rc;

    e->own = flow_env_alloc(conf->config->env, sizeof(*e->own));
    if (e->own == NULL)
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    mbedtls_ssl_config_init(e->own);
    rc = engine_set_config(conf, e->own,
                           version == FLOW_TLS_1_3 ? FLOW_TLS_1_3
                                                   : conf->min_version,
                           conf->max_version);
    if (rc == 0 && e->tickets != NULL)
        flow__ticket_conf(e->own, e->tickets);
    return rc;
}

static int
engine_set_up(struct flow__engine *e, uint16_t version, const char *server_name)
{
    const struct flow_tls_config *c = e->conf->config;
    mbedtls_ssl_context *ssl = &e->ssl;
    int rc = c->pair_count > 0 || e->tickets != NULL
                 ? engine_copy_config(e, version)
                 : 0;

    if (rc != 0)
        return rc;
    /* mbedTLS takes the first version in the client's list that its
     * configuration allows.  For TLS 1.3 only that one is allowed.  If TLS 1.2
     * was chosen, the two sides have no newer one in common, and both stay
     * allowed: mbedTLS marks its random as that of a TLS 1.3 server (RFC 8446
     * 4.1.3) only if it allows TLS 1.3. */
    rc = mbedtls_ssl_setup(ssl, e->own != NULL            ? e->own
                                : version == FLOW_TLS_1_3 ? &e->conf->ssl13
                                                          : &e->conf->ssl);
    if (rc != 0)
        return rc;
    mbedtls_ssl_set_user_data_p(ssl, e);
    mbedtls_ssl_set_bio(ssl, e, engine_on_send, engine_on_recv, NULL);
    mbedtls_ssl_set_export_keys_cb(ssl, engine_on_export, e);
    if (c->server)
        return 0;
    return mbedtls_ssl_set_hostname(ssl, server_name);
}

/* See tls/engine.h. */
enum flow_status
flow__engine_new(struct flow__engine_conf *conf, struct flow__keypair *pair,
                 uint16_t version, const char *server_name,
                 struct flow__ticket_use *tickets,
                 struct flow__engine **ret_engine)
{
    struct flow__engine *e = flow_env_alloc(conf->config->env, sizeof(*e));
    struct flow__mbed_step step;
    int rc;

    if (e == NULL)
        return FLOW_E_NOMEM;
    e->conf = conf;
    e->pair = pair;
    e->tickets = tickets;
    flow__messages_init(&e->messages, conf->config->env, conf->config->server);
    mbedtls_ssl_init(&e->ssl);
    flow__mbed_begin_step(&step, &e->arena);
    rc = engine_set_up(e, version, server_name);
    rc = flow__mbed_end_step(&step, rc);
    if (rc != 0) {
        flow__engine_free(e);
        return flow__mbed_no_memory(rc) ? FLOW_E_NOMEM : FLOW_E_INVAL;
    }
    *ret_engine = e;
    return FLOW_OK;
}

/* See tls/engine.h. */
void
flow__engine_free(struct flow__engine *e)
{
    struct flow__mbed_step step;

    if (e == NULL)
        return;
    flow__mbed_begin_step(&step, &e->arena);
    mbedtls_ssl_free(&e->ssl);
    if (e->own != NULL)
        mbedtls_ssl_config_free(e->own);
    (void)flow__mbed_end_step(&step, 0);
    flow__mbed_end_arena(e->arena);
    flow_env_free(e->conf->config->env, e->own, sizeof(*e->own));
    flow__messages_fini(&e->messages);
    flow_env_free(e->conf->config->env, e, sizeof(*e));
}

/* See tls/engine.h. */
enum flow_status
flow__engine_present(struct flow__engine *e, struct flow__keypair *pair)
{
    struct flow__mbed_step step;
    int rc;

    flow__mbed_begin_step(&step, &e->arena);
    rc = mbedtls_ssl_conf_own_cert(e->own, &pair->chain, &pair->key);
    rc = flow__mbed_end_step(&step, rc);
    return rc == 0 ? FLOW_OK : FLOW_E_NOMEM;
}

/* See tls/engine.h.  mbedTLS takes the hash of the suite, and for RSA PKCS#1.
 */
uint16_t
flow__engine_scheme12(const struct flow__suite *suite, enum flow__key_type key)
{
    const bool sha384 = suite->hash == FLOW__SHA384;

    switch (key) {
    case FLOW__KEY_P256:
    case FLOW__KEY_P384:
    case FLOW__KEY_P521:
        return sha384 ? FLOW__SIGN_ECDSA_SECP384R1_SHA384
                      : FLOW__SIGN_ECDSA_SECP256R1_SHA256;
    case FLOW__KEY_RSA:
        return sha384 ? FLOW__SIGN_RSA_PKCS1_SHA384
                      : FLOW__SIGN_RSA_PKCS1_SHA256;
    case FLOW__KEY_OTHER:
    default:
        return 0;
    }
}

/* See tls/engine.h.  A message must fit into one record of the engine. */
size_t
flow__engine_message_max(void)
{
    return MBEDTLS_SSL_IN_CONTENT_LEN;
}

static enum flow_status
engine_refuse(struct flow__engine *e, int rc, const uint8_t *msg,
              struct flow_error *err)
{
    struct flow__mbed_refusal r = {
        .code = rc,
        .alert = flow__messages_drop(&e->messages),
        .message = msg != NULL ? msg[0] : -1,
        .tls13 = e->messages.suite != NULL &&
                 e->messages.suite->version == FLOW_TLS_1_3,
        .second_hello = e->hellos > 1,
    };

    return flow__mbed_error(err, &r);
}

/* What a run has come to.  A server of TLS 1.3 that has accepted the client's
 * Finished is open, and so is the client: a ticket that it cannot make is one
 * ticket less. */
static int
engine_outcome(struct flow__engine *e, int rc)
{
    return e->tickets != NULL && e->messages.suite != NULL &&
                   e->messages.suite->version == FLOW_TLS_1_3 &&
                   mbedtls_ssl_is_handshake_over(&e->ssl) == 1
               ? 0
               : rc;
}

/* Run the engine until it asks for a message; msg is what it was given, or
 * NULL. */
static enum flow_status
engine_run(struct flow__engine *e, const uint8_t *msg, struct flow_error *err)
{
    int rc = MBEDTLS_ERR_SSL_WANT_READ;
    struct flow__mbed_step step;

    e->messages.starved = false;
    flow__mbed_begin_step(&step, &e->arena);
    for (int i = 0;
         i < ENGINE_CALLS_MAX && !e->messages.starved &&
         (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE);
         i++)
        rc = mbedtls_ssl_handshake(&e->ssl);
    rc = engine_outcome(e, flow__mbed_end_step(&step, rc));
    if (rc == 0) {
        /* It has sent its Finished in an earlier call: out has tickets. */
        if (e->conf->config->server)
            flow__messages_finish(&e->messages);
        return FLOW_OK;
    }
    if (rc == MBEDTLS_ERR_SSL_WANT_READ && e->messages.starved)
        return FLOW_AGAIN;
    return engine_refuse(e, rc, msg, err);
}

/* See tls/engine.h. */
enum flow_status
flow__engine_start(struct flow__engine *e, struct flow_error *err)
{
    return engine_run(e, NULL, err);
}

/* RFC 8446 4.2.2 has a client send the cookie back; mbedTLS rejects every
 * cookie as unsolicited. */
static bool
engine_wants_cookie(const uint8_t *msg, size_t len)
{
    struct flow__server_hello hello;
    struct flow__fault fault;

    return flow__engine_can_connect() &&
           msg[0] == FLOW__HANDSHAKE_SERVER_HELLO &&
           flow__hello_parse_server(msg, len, &hello, &fault) == FLOW_OK &&
           hello.retry && hello.cookie.len > 0;
}

static enum flow_status
engine_check_share(struct flow__engine *e, const uint8_t *msg, size_t len,
                   struct flow_error *err)
{
    struct flow__mbed_step step;
    int rc;

    flow__mbed_begin_step(&step, &e->arena);
    rc = flow__mbed_end_step(&step, flow__mbed_check_share(msg, len));
    return rc == 0 ? FLOW_AGAIN : engine_refuse(e, rc, msg, err);
}

/* See tls/engine.h. */
enum flow_status
flow__engine_feed(struct flow__engine *e, enum flow__level level,
                  const uint8_t *msg, size_t len, struct flow_error *err)
{
    enum flow_status st = flow__messages_put(&e->messages, level, msg, len);
    if (st != FLOW_OK)
        return engine_refuse(e,
                             st == FLOW_E_NOMEM
                                 ? MBEDTLS_ERR_SSL_ALLOC_FAILED
                                 : MBEDTLS_ERR_SSL_INTERNAL_ERROR,
                             msg, err);
    if (msg[0] == FLOW__HANDSHAKE_CLIENT_HELLO)
        e->hellos++;
    if (engine_wants_cookie(msg, len)) {
        (void)flow_error_set(err, FLOW_E_PROTO, "tls", FLOW_DOMAIN_NONE, 0,
                             "the server wants a cookie back, which the engine "
                             "cannot send");
        err->alert_sent = FLOW__ALERT_HANDSHAKE_FAILURE;
        return FLOW_E_PROTO;
    }
    st = engine_run(e, msg, err);
    if (st == FLOW_AGAIN && msg[0] == FLOW__HANDSHAKE_SERVER_KEY_EXCHANGE)
        st = engine_check_share(e, msg, len, err);
    return st;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_next(struct flow__engine *e, struct flow__engine_event *ret_event)
{
    return flow__messages_next(&e->messages, ret_event);
}

/* See tls/engine.h. */
const char *
flow__engine_alpn(const struct flow__engine *e)
{
    const char *name = mbedtls_ssl_get_alpn_protocol(&e->ssl);

    return name != NULL ? name : "";
}

/* See tls/engine.h. */
size_t
flow__engine_peer_chain(const struct flow__engine *e, uint8_t *buf, size_t cap)
{
    const mbedtls_x509_crt *cert = mbedtls_ssl_get_peer_cert(&e->ssl);
    size_t len = 0;

    for (; cert != NULL; cert = cert->next) {
        if (buf != NULL && cap - len >= cert->raw.len)
            memcpy(buf + len, cert->raw.p, cert->raw.len);
        len += cert->raw.len;
    }
    return len;
}

/* See tls/engine.h. */
size_t
flow__engine_footprint(void)
{
    return sizeof(struct flow__engine) + MBEDTLS_SSL_IN_CONTENT_LEN +
           MBEDTLS_SSL_OUT_CONTENT_LEN;
}

#if defined(MBEDTLS_SSL_KEYING_MATERIAL_EXPORT)

/* See tls/engine.h. */
enum flow_status
flow__engine_export(struct flow__engine *e, const struct flow__exporter *wanted,
                    uint8_t *buf)
{
    struct flow__mbed_step step;
    int rc;

    flow__mbed_begin_step(&step, &e->arena);
    rc = mbedtls_ssl_export_keying_material(
        &e->ssl, buf, wanted->len, wanted->label, strlen(wanted->label),
        wanted->context, wanted->context_len, wanted->context != NULL);
    rc = flow__mbed_end_step(&step, rc);
    if (rc == 0)
        return FLOW_OK;
    flow_wipe(buf, wanted->len);
    return flow__mbed_no_memory(rc) ? FLOW_E_NOMEM : FLOW_E_SYS;
}

#else

/* See tls/engine.h. */
enum flow_status
flow__engine_export(struct flow__engine *e, const struct flow__exporter *wanted,
                    uint8_t *buf)
{
    (void)e;
    flow_wipe(buf, wanted->len);
    return FLOW_E_SYS;
}

#endif
