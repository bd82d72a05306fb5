/* SPDX-License-Identifier: ISC */
#include "tls/config.h"

#include <string.h>

#include "lib/atomic.h"
#include "tls/suite.h"
#include "tls/writer.h"

/*
 * A configuration: settings, and what freezing makes of them.
 *
 * Invariants: a setter answers FLOW_E_BUSY once frozen is set; after that
 * nothing in it changes but refs, so that any thread may use it without a
 * lock.  frozen is set with release order after all that it stands for, and
 * read with acquire order.
 *
 * Locks: lock guards the freezing alone, inside flow_fork_block(), so that a
 * child never inherits a configuration that is half frozen.
 */

/* Long enough for a slow phone, short enough that a silent peer does not hold
 * memory for long. */
#define CONFIG_HANDSHAKE_TIME      UINT64_C(10000000000)
#define CONFIG_HANDSHAKE_BYTES     65536u
#define CONFIG_HANDSHAKE_BYTES_MAX (1u << 20)
#define CONFIG_TEXT_ANSWER_MAX     4096u
#define CONFIG_SECOND              UINT64_C(1000000000)
#define CONFIG_FIRST_MIN           512u
#define CONFIG_FIRST_MAX           16320u
#define CONFIG_FIRST_IDLE_MAX      (3600 * CONFIG_SECOND)
#define CONFIG_BLOCK_MAX           16384u
/* About a hundred names. */
#define CONFIG_CA_LIST 8192u
static const uint16_t config_default_groups[] = { FLOW_TLS_GROUP_X25519,
                                                  FLOW_TLS_GROUP_P256,
                                                  FLOW_TLS_GROUP_P384 };

/* TLS 1.3 first, then TLS 1.2; AES-128-GCM before the stronger ones, since it
 * is the fastest and strong enough. */
static const uint16_t config_default_suites[] = {
    FLOW__SUITE_AES_128_GCM_SHA256,
    FLOW__SUITE_CHACHA20_POLY1305_SHA256,
    FLOW__SUITE_AES_256_GCM_SHA384,
    FLOW__SUITE_AES_128_CCM_SHA256,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    FLOW__SUITE_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    FLOW__SUITE_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    FLOW__SUITE_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    FLOW__SUITE_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_128_CCM,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_256_CCM,
};

static enum flow_status
config_new(const struct flow_env *env, bool server,
           struct flow_tls_config **ret_config, struct flow_error *ret_err)
{
    struct flow_tls_config *c;
    enum flow_status st;

    if (env == NULL)
        env = flow_env_default();
    st = flow__engine_init(ret_err);
    if (st != FLOW_OK)
        return st;
    c = flow_env_alloc(env, sizeof(*c));
    if (c == NULL)
        return flow__config_refuse(ret_err, FLOW_E_NOMEM, "no memory");

    c->env = env;
    c->refs = 1;
    c->server = server;
    c->min_version = FLOW_TLS_1_2;
    c->max_version = FLOW_TLS_1_3;
    c->suite_count =
        sizeof(config_default_suites) / sizeof(config_default_suites[0]);
    memcpy(c->suite, config_default_suites, sizeof(config_default_suites));
    c->group_count =
        sizeof(config_default_groups) / sizeof(config_default_groups[0]);
    memcpy(c->group, config_default_groups, sizeof(config_default_groups));
    c->handshake_time = CONFIG_HANDSHAKE_TIME;
    c->handshake_bytes = CONFIG_HANDSHAKE_BYTES;
    c->ca_list_max = CONFIG_CA_LIST;
    c->gathers = FLOW__WRITER_GATHERS;
    flow_lock_init(&c->lock);
    *ret_config = c;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_new_client(const struct flow_env *env,
                           struct flow_tls_config **ret_config,
                           struct flow_error *ret_err)
{
    if (!flow__engine_can_connect())
        return flow__config_refuse(ret_err, FLOW_E_NOTSUP,
                                   "this build of the library has no clients");
    return config_new(env, false, ret_config, ret_err);
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_new_server(const struct flow_env *env,
                           struct flow_tls_config **ret_config,
                           struct flow_error *ret_err)
{
    return config_new(env, true, ret_config, ret_err);
}

/* See <flow/tls_config.h>. */
struct flow_tls_config *
flow_tls_config_ref(struct flow_tls_config *c)
{
    (void)flow__add(&c->refs, 1);
    return c;
}

static void
config_free_alpn(struct flow_tls_config *c)
{
    for (size_t i = 0; i < c->alpn_count; i++) {
        flow_env_free(c->env, c->alpn[i], strlen(c->alpn[i]) + 1);
        c->alpn[i] = NULL;
    }
    c->alpn_count = 0;
}

/* See <flow/tls_config.h>. */
void
flow_tls_config_unref(struct flow_tls_config *c)
{
    if (c == NULL || flow__sub(&c->refs, 1) != 1)
        return;
    flow__engine_conf_free(c->engine);
    flow__config_free_entries(c);
    flow_tls_sni_unref(c->sni);
    flow__config_free_pairs(c);
    flow_tls_verifier_unref(c->verifier);
    flow_tls_tickets_unref(c->tickets);
    flow_tls_sessions_unref(c->sessions);
    config_free_alpn(c);
    flow__config_free_exporters(c);
    flow_env_free(c->env, c->text_answer, c->text_answer_len);
    flow_lock_fini(&c->lock);
    flow_env_free(c->env, c, sizeof(*c));
}

static bool
config_has_suite(const struct flow_tls_config *c, enum flow_tls_version version)
{
    for (size_t i = 0; i < c->suite_count; i++) {
        const struct flow__suite *s = flow__suite_find(c->suite[i]);

        if (s != NULL && s->version == version)
            return true;
    }
    return false;
}

/* A version without a suite must not be agreed on: the handshake would fail
 * with every peer that prefers that version. */
static enum flow_status
config_narrow_versions(struct flow_tls_config *c, struct flow_error *err)
{
    enum flow_tls_version min = c->min_version;
    enum flow_tls_version max = c->max_version;

    if (!config_has_suite(c, min))
        min = max;
    if (!config_has_suite(c, max))
        max = min;
    if (!config_has_suite(c, min))
        return flow__config_refuse(
            err, FLOW_E_INVAL, "no cipher suite fits the protocol versions");
    c->min_version = min;
    c->max_version = max;
    return FLOW_OK;
}

/* TLS 1.2 has no padding, so without TLS 1.3 the lengths would be visible. */
static enum flow_status
config_check_padding(const struct flow_tls_config *c, struct flow_error *err)
{
    if (c->block == 0 || c->max_version >= FLOW_TLS_1_3)
        return FLOW_OK;
    (void)flow__config_refuse(err, FLOW_E_INVAL, "padding needs TLS 1.3");
    if (err != NULL)
        err->hint = "allow TLS 1.3 and a suite of it, or set no padding";
    return FLOW_E_INVAL;
}

/* Load the system's trust store, if needed, and make what depends on all
 * settings: the engine's configuration, and those of the entries. */
static enum flow_status
config_complete(struct flow_tls_config *c, struct flow_error *err)
{
    struct flow__engine_terms terms;
    enum flow_status st;

    if (c->server && (c->sni == NULL || c->sni->entry_count == 0)) {
        (void)flow__config_refuse(err, FLOW_E_INVAL,
                                  "a server needs a certificate");
        if (err != NULL)
            err->hint = "add one with flow_tls_config_add_keypair_file()";
        return FLOW_E_INVAL;
    }
    st = flow__config_complete_trust(c, err);
    if (st == FLOW_OK && c->server)
        st = flow__config_check_client_auth(c, err);
    if (st != FLOW_OK)
        return st;
    terms = flow__config_terms(c);
    st = flow__engine_conf_new(c, &terms, &c->engine, err);
    if (st == FLOW_OK && c->server)
        st = flow__config_complete_entries(c, err);
    if (st != FLOW_OK) {
        flow__engine_conf_free(c->engine);
        c->engine = NULL;
    }
    return st;
}

static enum flow_status
config_freeze(struct flow_tls_config *c, struct flow_error *err)
{
    const enum flow_tls_version min = c->min_version;
    const enum flow_tls_version max = c->max_version;
    struct flow_tls_verifier *given = c->verifier;
    enum flow_status st = config_narrow_versions(c, err);

    if (st == FLOW_OK)
        st = config_check_padding(c, err);
    if (st == FLOW_OK)
        st = config_complete(c, err);
    if (st == FLOW_OK && c->verifier != NULL)
        flow__verifier_freeze(c->verifier);
    if (st == FLOW_OK)
        return st;
    /* The caller may set other suites before the next attempt ... */
    c->min_version = min;
    c->max_version = max;
    /* ... or add certificates, which replace the system's. */
    if (given == NULL) {
        flow_tls_verifier_unref(c->verifier);
        c->verifier = NULL;
    }
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_freeze(struct flow_tls_config *c, struct flow_error *ret_err)
{
    enum flow_status st = FLOW_OK;

    if (flow__config_is_frozen(c))
        return FLOW_OK;
    flow_fork_block();
    flow_lock_acquire(&c->lock);
    if (!flow__config_is_frozen(c)) {
        st = config_freeze(c, ret_err);
        if (st == FLOW_OK)
            flow__store_release(&c->frozen, 1);
    }
    flow_lock_release(&c->lock);
    flow_fork_unblock();
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_versions(struct flow_tls_config *c,
                             enum flow_tls_version min,
                             enum flow_tls_version max)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if ((min != FLOW_TLS_1_2 && min != FLOW_TLS_1_3) ||
        (max != FLOW_TLS_1_2 && max != FLOW_TLS_1_3) || min > max)
        return FLOW_E_INVAL;
    c->min_version = min;
    c->max_version = max;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_suites(struct flow_tls_config *c, const uint16_t *suite,
                           size_t count)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (count == 0 || count > FLOW__MAX_SUITES)
        return FLOW_E_INVAL;
    for (size_t i = 0; i < count; i++)
        if (flow__suite_find(suite[i]) == NULL)
            return FLOW_E_NOTSUP;
    memcpy(c->suite, suite, count * sizeof(*suite));
    c->suite[count] = 0;
    c->suite_count = count;
    return FLOW_OK;
}

static bool
config_is_group(uint16_t group)
{
    return group == FLOW_TLS_GROUP_X25519 || group == FLOW_TLS_GROUP_P256 ||
           group == FLOW_TLS_GROUP_P384 || group == FLOW_TLS_GROUP_P521;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_groups(struct flow_tls_config *c, const uint16_t *group,
                           size_t count)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (count == 0 || count > FLOW__MAX_GROUPS)
        return FLOW_E_INVAL;
    for (size_t i = 0; i < count; i++)
        if (!config_is_group(group[i]))
            return FLOW_E_NOTSUP;
    memcpy(c->group, group, count * sizeof(*group));
    c->group[count] = 0;
    c->group_count = count;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_alpn(struct flow_tls_config *c, const char *const *name,
                         size_t count)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (count > FLOW__MAX_ALPN)
        return FLOW_E_INVAL;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(name[i]);

        if (len == 0 || len > 255 ||
            (c->server && strcmp(name[i], "acme-tls/1") == 0))
            return FLOW_E_INVAL;
    }
    config_free_alpn(c);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(name[i]) + 1;

        c->alpn[i] = flow_env_alloc(c->env, size);
        if (c->alpn[i] == NULL) {
            config_free_alpn(c);
            return FLOW_E_NOMEM;
        }
        memcpy(c->alpn[i], name[i], size);
        c->alpn_count = i + 1;
    }
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_allow_expired(struct flow_tls_config *c, bool allow)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    c->allow_expired = allow;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_handshake_limits(struct flow_tls_config *c, uint64_t nsec,
                                     size_t max_bytes)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (max_bytes == 0)
        max_bytes = CONFIG_HANDSHAKE_BYTES;
    if (max_bytes < 1024 || max_bytes > CONFIG_HANDSHAKE_BYTES_MAX)
        return FLOW_E_INVAL;
    c->handshake_time = nsec;
    c->handshake_bytes = max_bytes;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_text_answer(struct flow_tls_config *c, const void *text,
                                size_t len)
{
    uint8_t *copy = NULL;

    if (!c->server)
        return FLOW_E_NOTSUP;
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (len > CONFIG_TEXT_ANSWER_MAX)
        return FLOW_E_INVAL;
    if (len > 0) {
        copy = flow_env_alloc(c->env, len);
        if (copy == NULL)
            return FLOW_E_NOMEM;
        memcpy(copy, text, len);
    }
    flow_env_free(c->env, c->text_answer, c->text_answer_len);
    c->text_answer = copy;
    c->text_answer_len = len;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_tolerate_truncation(struct flow_tls_config *c, bool tolerate)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    c->tolerate_truncation = tolerate;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_key_limit(struct flow_tls_config *c, uint64_t records)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (records > UINT64_C(1) << 32)
        return FLOW_E_INVAL;
    c->key_limit = records;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_first_records(struct flow_tls_config *c, size_t size,
                                  unsigned count, uint64_t idle)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (size != 0 &&
        (size < CONFIG_FIRST_MIN || size > CONFIG_FIRST_MAX || count == 0 ||
         count > UINT8_MAX || idle > CONFIG_FIRST_IDLE_MAX))
        return FLOW_E_INVAL;
    c->first_units = (uint8_t)(size / FLOW__WRITER_UNIT);
    c->first_count = size != 0 ? (uint8_t)count : 0;
    c->first_idle =
        size != 0 ? (uint16_t)((idle + CONFIG_SECOND - 1) / CONFIG_SECOND) : 0;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_write_records(struct flow_tls_config *c, unsigned records)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (records > FLOW__WRITER_RECORDS)
        return FLOW_E_INVAL;
    c->gathers = records != 0 ? (uint8_t)records : FLOW__WRITER_GATHERS;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_padding(struct flow_tls_config *c, size_t block)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (block > CONFIG_BLOCK_MAX)
        return FLOW_E_INVAL;
    c->block = block > 1 ? (uint16_t)block : 0;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_insecure_skip_verify(struct flow_tls_config *c, bool skip)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    c->skip_verify = skip;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_insecure_skip_name(struct flow_tls_config *c, bool skip)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    c->skip_name = skip;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_insecure_skip_extended_master(struct flow_tls_config *c,
                                              bool skip)
{
    if (!c->server)
        return FLOW_E_NOTSUP;
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    c->skip_extended = skip;
    return FLOW_OK;
}
