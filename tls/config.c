/* SPDX-License-Identifier: ISC */
#include "tls/config.h"

#include <string.h>

#include "lib/atomic.h"
#include "tls/suite.h"

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
#define DEFAULT_HANDSHAKE_TIME  UINT64_C(10000000000)
#define DEFAULT_HANDSHAKE_BYTES 65536u
#define MAX_HANDSHAKE_BYTES     (1u << 20)
/* A system's trust store is about 220 KB today. */
#define MAX_FILE_BYTES (4u << 20)

static const uint16_t default_groups[] = { FLOW_TLS_GROUP_X25519,
                                           FLOW_TLS_GROUP_P256,
                                           FLOW_TLS_GROUP_P384 };

/* TLS 1.3 first, then TLS 1.2; AES-128-GCM before the stronger ones, since it
 * is the fastest and strong enough. */
static const uint16_t default_suites[] = {
    0x1301, 0x1303, 0x1302, 0x1304, 0xc02b, 0xc02f,
    0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc0ac, 0xc0ad,
};

static enum flow_status
config_refuse(struct flow_error *err, enum flow_status status, const char *text)
{
    return flow_error_set(err, status, "tls config", FLOW_DOMAIN_NONE, 0, text);
}

static bool
config_is_frozen(const struct flow_tls_config *c)
{
    return flow__load_acquire(&c->frozen) != 0;
}

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
        return config_refuse(ret_err, FLOW_E_NOMEM, "no memory");

    c->env = env;
    c->refs = 1;
    c->server = server;
    c->min_version = FLOW_TLS_1_2;
    c->max_version = FLOW_TLS_1_3;
    c->suite_count = sizeof(default_suites) / sizeof(default_suites[0]);
    memcpy(c->suite, default_suites, sizeof(default_suites));
    c->group_count = sizeof(default_groups) / sizeof(default_groups[0]);
    memcpy(c->group, default_groups, sizeof(default_groups));
    c->handshake_time = DEFAULT_HANDSHAKE_TIME;
    c->handshake_bytes = DEFAULT_HANDSHAKE_BYTES;
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

static void
config_free_candidates(struct flow_tls_config *c)
{
    flow_env_free(c->env, c->candidate, c->pair_count * sizeof(*c->candidate));
    flow_env_free(c->env, c->name, c->name_count * sizeof(*c->name));
    c->candidate = NULL;
    c->name = NULL;
    c->name_count = 0;
}

/* See <flow/tls_config.h>. */
void
flow_tls_config_unref(struct flow_tls_config *c)
{
    if (c == NULL || flow__sub(&c->refs, 1) != 1)
        return;
    flow__engine_conf_free(c->engine);
    config_free_candidates(c);
    for (size_t i = 0; i < c->pair_count; i++)
        flow__keypair_free(c->pair[i]);
    flow_env_free(c->env, c->pair, c->pair_count * sizeof(*c->pair));
    flow__trust_free(c->trust);
    config_free_alpn(c);
    flow_lock_fini(&c->lock);
    flow_env_free(c->env, c, sizeof(*c));
}

/* The first of the system's stores that can be read. */
static enum flow_status
config_load_system_trust(struct flow_tls_config *c, struct flow_error *err)
{
    const char *const *path;

    for (path = flow__plat_trust_files(); *path != NULL; path++) {
        uint8_t *data;
        size_t len, count = 0;
        const char *text;
        int32_t code;
        enum flow_status st = flow__plat_read_file(
            c->env, *path, MAX_FILE_BYTES, &data, &len, &code, &text);

        if (st == FLOW_E_NOMEM)
            return config_refuse(err, st, "no memory for the trust store");
        if (st != FLOW_OK)
            continue;
        st = flow__trust_add(c->trust, data, len, false, &count, err);
        flow_env_free(c->env, data, len + 1);
        if (st != FLOW_OK || count > 0)
            return st;
    }
    (void)config_refuse(err, FLOW_E_SYS,
                        "this system has no trust store that can be read");
    if (err != NULL)
        err->hint = "install ca-certificates, or name the certificates to "
                    "trust with flow_tls_config_add_trust_file()";
    return FLOW_E_SYS;
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
        return config_refuse(err, FLOW_E_INVAL,
                             "no cipher suite fits the protocol versions");
    c->min_version = min;
    c->max_version = max;
    return FLOW_OK;
}

static size_t
config_count_names(const struct flow__keypair *pair)
{
    const uint8_t *name;
    size_t len, n = 0;

    while (flow__keypair_name(pair, n, &name, &len))
        n++;
    return n;
}

/* What the selection of a certificate looks at. */
static enum flow_status
config_make_candidates(struct flow_tls_config *c, struct flow_error *err)
{
    struct flow__span *next;

    for (size_t i = 0; i < c->pair_count; i++)
        c->name_count += config_count_names(c->pair[i]);
    c->candidate =
        flow_env_alloc(c->env, c->pair_count * sizeof(*c->candidate));
    if (c->name_count > 0)
        c->name = flow_env_alloc(c->env, c->name_count * sizeof(*c->name));
    if (c->candidate == NULL || (c->name_count > 0 && c->name == NULL)) {
        config_free_candidates(c);
        return config_refuse(err, FLOW_E_NOMEM, "no memory");
    }
    next = c->name;
    for (size_t i = 0; i < c->pair_count; i++) {
        struct flow__sni_candidate *cand = &c->candidate[i];

        cand->names = next;
        cand->key = flow__keypair_type(c->pair[i]);
        while (flow__keypair_name(c->pair[i], cand->name_count, &next->base,
                                  &next->len)) {
            cand->name_count++;
            next++;
        }
    }
    return FLOW_OK;
}

/* Load and make what only a complete configuration can have. */
static enum flow_status
config_complete(struct flow_tls_config *c, struct flow_error *err)
{
    enum flow_status st;

    if (c->server && c->pair_count == 0) {
        (void)config_refuse(err, FLOW_E_INVAL, "a server needs a certificate");
        if (err != NULL)
            err->hint = "add one with flow_tls_config_add_keypair_file()";
        return FLOW_E_INVAL;
    }
    if (!c->server && !c->skip_verify && c->trust == NULL) {
        st = flow__trust_new(c->env, &c->trust);
        if (st != FLOW_OK)
            return config_refuse(err, st, "no memory");
        st = config_load_system_trust(c, err);
        if (st != FLOW_OK)
            return st;
    }
    if (c->server) {
        st = config_make_candidates(c, err);
        if (st != FLOW_OK)
            return st;
    }
    st = flow__engine_conf_new(c, &c->engine, err);
    if (st != FLOW_OK)
        config_free_candidates(c);
    return st;
}

static enum flow_status
config_freeze(struct flow_tls_config *c, struct flow_error *err)
{
    const enum flow_tls_version min = c->min_version;
    const enum flow_tls_version max = c->max_version;
    struct flow__trust *given = c->trust;
    enum flow_status st = config_narrow_versions(c, err);

    if (st == FLOW_OK)
        st = config_complete(c, err);
    if (st == FLOW_OK)
        return st;
    /* Other suites may be set before the next attempt. */
    c->min_version = min;
    c->max_version = max;
    /* Certificates that are added before it are to be trusted alone, not
     * beside the system's. */
    if (given == NULL) {
        flow__trust_free(c->trust);
        c->trust = NULL;
    }
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_freeze(struct flow_tls_config *c, struct flow_error *ret_err)
{
    enum flow_status st = FLOW_OK;

    if (config_is_frozen(c))
        return FLOW_OK;
    flow_fork_block();
    flow_lock_acquire(&c->lock);
    if (!config_is_frozen(c)) {
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
    if (config_is_frozen(c))
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
    if (config_is_frozen(c))
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
    if (config_is_frozen(c))
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
    if (config_is_frozen(c))
        return FLOW_E_BUSY;
    if (count > FLOW__MAX_ALPN)
        return FLOW_E_INVAL;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(name[i]);

        if (len == 0 || len > 255)
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

/* "NAME, certificate 3": which of many it was. */
static void
config_name_certificate(struct flow_error *err, const char *name, size_t number)
{
    static const char what[] = "certificate ";
    char text[FLOW_ERROR_DETAIL];
    char digits[24];
    size_t len = 0, n = sizeof(digits);

    digits[--n] = '\0';
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (name != NULL) {
        len = strlen(name);
        if (len > sizeof(text) - sizeof(what) - sizeof(digits) - 2)
            len = sizeof(text) - sizeof(what) - sizeof(digits) - 2;
        memcpy(text, name, len);
        text[len++] = ',';
        text[len++] = ' ';
    }
    memcpy(text + len, what, sizeof(what) - 1);
    len += sizeof(what) - 1;
    memcpy(text + len, digits + n, sizeof(digits) - n);
    flow_error_set_detail(err, text);
}

static enum flow_status
config_may_add_trust(const struct flow_tls_config *c, struct flow_error *err)
{
    if (config_is_frozen(c))
        return config_refuse(err, FLOW_E_BUSY, "the configuration is in use");
    /* If the certificates were accepted and never used, a user would believe
     * that clients must present one. */
    if (c->server)
        return config_refuse(
            err, FLOW_E_NOTSUP,
            "a server does not verify client certificates yet");
    return FLOW_OK;
}

static enum flow_status
config_add_trust(struct flow_tls_config *c, const char *name, const void *data,
                 size_t len, struct flow_error *err)
{
    size_t number = 0;
    enum flow_status st = config_may_add_trust(c, err);

    if (st != FLOW_OK)
        return st;
    if (c->trust == NULL) {
        st = flow__trust_new(c->env, &c->trust);
        if (st != FLOW_OK)
            return config_refuse(err, st, "no memory");
    }
    st = flow__trust_add(c->trust, data, len, true, &number, err);
    if (st != FLOW_OK && number > 0)
        config_name_certificate(err, name, number);
    else if (st != FLOW_OK && name != NULL)
        flow_error_set_detail(err, name);
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_trust(struct flow_tls_config *c, const void *data,
                          size_t len, struct flow_error *ret_err)
{
    return config_add_trust(c, NULL, data, len, ret_err);
}

/* Read a file for a configuration; the error names it. */
static enum flow_status
config_read_file(const struct flow_tls_config *c, const char *path,
                 uint8_t **ret_data, size_t *ret_len, struct flow_error *err)
{
    const char *text = "the file cannot be read";
    int32_t code = 0;
    enum flow_status st = flow__plat_read_file(c->env, path, MAX_FILE_BYTES,
                                               ret_data, ret_len, &code, &text);

    if (st != FLOW_OK) {
        flow_error_set(err, st, "tls config",
                       code != 0 ? FLOW_DOMAIN_ERRNO : FLOW_DOMAIN_NONE, code,
                       st == FLOW_E_INVAL ? "the file is too large" : text);
        flow_error_set_detail(err, path);
    }
    return st;
}

static void
config_free_file(const struct flow_tls_config *c, uint8_t *data, size_t len)
{
    flow_wipe(data, len);
    flow_env_free(c->env, data, len + 1);
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_trust_file(struct flow_tls_config *c, const char *path,
                               struct flow_error *ret_err)
{
    uint8_t *data;
    size_t len;
    enum flow_status st = config_may_add_trust(c, ret_err);

    if (st == FLOW_OK)
        st = config_read_file(c, path, &data, &len, ret_err);
    if (st != FLOW_OK)
        return st;
    st = config_add_trust(c, path, data, len, ret_err);
    config_free_file(c, data, len);
    return st;
}

static enum flow_status
config_append_pair(struct flow_tls_config *c, struct flow__keypair *pair)
{
    size_t n = c->pair_count;
    struct flow__keypair **grown =
        flow_env_alloc(c->env, (n + 1) * sizeof(*grown));

    if (grown == NULL)
        return FLOW_E_NOMEM;
    if (n > 0)
        memcpy(grown, c->pair, n * sizeof(*grown));
    grown[n] = pair;
    flow_env_free(c->env, c->pair, n * sizeof(*grown));
    c->pair = grown;
    c->pair_count = n + 1;
    return FLOW_OK;
}

static enum flow_status
config_add_pair(struct flow_tls_config *c, const struct flow__keypair_input *in,
                struct flow_error *err)
{
    struct flow__keypair *pair;
    enum flow_status st;

    if (config_is_frozen(c))
        return config_refuse(err, FLOW_E_BUSY, "the configuration is in use");
    if (!c->server)
        return config_refuse(err, FLOW_E_NOTSUP,
                             "client certificates are not supported");
    st = flow__keypair_new(c->env, in, &pair, err);
    if (st != FLOW_OK)
        return st;
    st = config_append_pair(c, pair);
    if (st != FLOW_OK) {
        flow__keypair_free(pair);
        return config_refuse(err, st, "no memory");
    }
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_keypair(struct flow_tls_config *c, const void *chain,
                            size_t chain_len, const void *key, size_t key_len,
                            flow_tls_passphrase_fn *passphrase, void *user,
                            struct flow_error *ret_err)
{
    struct flow__keypair_input in = {
        .chain = chain,
        .chain_len = chain_len,
        .key = key,
        .key_len = key_len,
        .passphrase = passphrase,
        .user = user,
        .allow_expired = c->allow_expired,
    };

    return config_add_pair(c, &in, ret_err);
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_keypair_file(struct flow_tls_config *c,
                                 const char *chain_path, const char *key_path,
                                 flow_tls_passphrase_fn *passphrase, void *user,
                                 struct flow_error *ret_err)
{
    struct flow__keypair_input in = {
        .chain_name = chain_path,
        .key_name = key_path,
        .passphrase = passphrase,
        .user = user,
        .allow_expired = c->allow_expired,
    };
    uint8_t *chain, *key;
    enum flow_status st;

    st = config_read_file(c, chain_path, &chain, &in.chain_len, ret_err);
    if (st != FLOW_OK)
        return st;
    st = config_read_file(c, key_path, &key, &in.key_len, ret_err);
    if (st == FLOW_OK) {
        in.chain = chain;
        in.key = key;
        st = config_add_pair(c, &in, ret_err);
        config_free_file(c, key, in.key_len);
    }
    config_free_file(c, chain, in.chain_len);
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_allow_expired(struct flow_tls_config *c, bool allow)
{
    if (config_is_frozen(c))
        return FLOW_E_BUSY;
    c->allow_expired = allow;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_handshake_limits(struct flow_tls_config *c, uint64_t nsec,
                                     size_t max_bytes)
{
    if (config_is_frozen(c))
        return FLOW_E_BUSY;
    if (max_bytes == 0)
        max_bytes = DEFAULT_HANDSHAKE_BYTES;
    if (max_bytes < 1024 || max_bytes > MAX_HANDSHAKE_BYTES)
        return FLOW_E_INVAL;
    c->handshake_time = nsec;
    c->handshake_bytes = max_bytes;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_tolerate_truncation(struct flow_tls_config *c, bool tolerate)
{
    if (config_is_frozen(c))
        return FLOW_E_BUSY;
    c->tolerate_truncation = tolerate;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_key_limit(struct flow_tls_config *c, uint64_t records)
{
    if (config_is_frozen(c))
        return FLOW_E_BUSY;
    if (records > UINT64_C(1) << 32)
        return FLOW_E_INVAL;
    c->key_limit = records;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_insecure_skip_verify(struct flow_tls_config *c, bool skip)
{
    if (config_is_frozen(c))
        return FLOW_E_BUSY;
    c->skip_verify = skip;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_insecure_skip_name(struct flow_tls_config *c, bool skip)
{
    if (config_is_frozen(c))
        return FLOW_E_BUSY;
    c->skip_name = skip;
    return FLOW_OK;
}
