/* SPDX-License-Identifier: ISC */
#include "tls/config.h"

/*
 * The certificates of a configuration: of a server its selector, and what its
 * entries negotiate; of a client a list.
 *
 * Invariant: a selector that is made of pairs belongs to this configuration
 * alone, and is frozen with it.
 */

static enum flow_status
identity_check_state(const struct flow_tls_config *c, struct flow_error *err)
{
    if (flow__config_is_frozen(c))
        return flow__config_refuse(err, FLOW_E_BUSY,
                                   "the configuration is in use");
    return FLOW_OK;
}

/* See tls/config.h. */
void
flow__config_free_pairs(struct flow_tls_config *c)
{
    for (size_t i = 0; i < c->pair_count; i++)
        flow__keypair_free(c->pair[i]);
    flow_env_free(c->env, c->pair, c->pair_cap * sizeof(*c->pair));
}

/* Add a pair of a client. */
static enum flow_status
identity_add_own(struct flow_tls_config *c,
                 const struct flow__keypair_input *in, struct flow_error *err)
{
    struct flow__keypair *pair;
    enum flow_status st = flow__keypair_new(c->env, in, &pair, err);
    void *list = c->pair;

    if (st != FLOW_OK)
        return st;
    if (!flow__sni_grow(c->env, &list, &c->pair_cap, c->pair_count,
                        sizeof(*c->pair))) {
        flow__keypair_free(pair);
        return flow__config_refuse(err, FLOW_E_NOMEM, "no memory");
    }
    c->pair = list;
    c->pair[c->pair_count++] = pair;
    return FLOW_OK;
}

static enum flow_status
identity_add(struct flow_tls_config *c, const struct flow__keypair_input *in,
             struct flow_error *err)
{
    struct flow__keypair *pair;
    enum flow_status st = identity_check_state(c, err);

    if (st != FLOW_OK)
        return st;
    if (!c->server)
        return identity_add_own(c, in, err);
    if (c->is_given)
        return flow__config_refuse(err, FLOW_E_INVAL,
                                   "the configuration has a selector, to which "
                                   "certificates are added");
    if (c->sni == NULL)
        st = flow_tls_sni_new(c->env, &c->sni, err);
    if (st == FLOW_OK)
        st = flow__keypair_new(c->env, in, &pair, err);
    if (st != FLOW_OK)
        return st;
    st = flow__sni_add_pair(
        c->sni, pair, c->allow_expired ? FLOW_TLS_SNI_ALLOW_EXPIRED : 0, err);
    if (st != FLOW_OK)
        flow__keypair_free(pair);
    return st;
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
        .is_client = !c->server,
        .allow_expired = c->allow_expired,
    };

    return identity_add(c, &in, ret_err);
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_keypair_file(struct flow_tls_config *c,
                                 const char *chain_path, const char *key_path,
                                 flow_tls_passphrase_fn *passphrase, void *user,
                                 struct flow_error *ret_err)
{
    struct flow__config_pair_files files;
    enum flow_status st = flow__config_read_pair(
        c->env, chain_path, key_path, passphrase, user, &files, ret_err);

    if (st != FLOW_OK)
        return st;
    files.input.is_client = !c->server;
    files.input.allow_expired = c->allow_expired;
    st = identity_add(c, &files.input, ret_err);
    flow__config_free_pair(c->env, &files);
    return st;
}

/* Whether every certificate has its key. */
static bool
identity_has_keys(const struct flow_tls_sni *s)
{
    for (size_t i = 0; i < s->entry_count; i++)
        for (size_t j = 0; j < s->entry[i].identity_count; j++)
            if (flow__sni_pair(s, i, j) == NULL)
                return false;
    return true;
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_config_set_sni(struct flow_tls_config *c, struct flow_tls_sni *s,
                        struct flow_error *ret_err)
{
    enum flow_status st = identity_check_state(c, ret_err);

    if (st != FLOW_OK)
        return st;
    if (!c->server)
        return flow__config_refuse(ret_err, FLOW_E_NOTSUP,
                                   "a selector is for servers");
    if (c->sni != NULL && (c->is_given || c->sni->entry_count > 0))
        return flow__config_refuse(ret_err, FLOW_E_INVAL,
                                   "the configuration has certificates");
    if (!identity_has_keys(s))
        return flow__config_refuse(ret_err, FLOW_E_INVAL,
                                   "the selector has a certificate without a "
                                   "key");
    st = flow_tls_sni_freeze(s, ret_err);
    if (st != FLOW_OK)
        return st;
    flow_tls_sni_unref(c->sni);
    c->sni = flow_tls_sni_ref(s);
    c->is_given = true;
    return FLOW_OK;
}

/* See tls/config.h. */
void
flow__config_free_entries(struct flow_tls_config *c)
{
    if (c->entry_engine == NULL)
        return;
    for (size_t i = 0; i < c->sni->entry_count; i++)
        flow__engine_conf_free(c->entry_engine[i]);
    flow_env_free(c->env, c->entry_engine,
                  c->sni->entry_count * sizeof(*c->entry_engine));
    c->entry_engine = NULL;
}

/* Make what an entry needs that does not negotiate as the configuration does.
 */
static enum flow_status
identity_complete_entry(struct flow_tls_config *c, size_t index,
                        struct flow_error *err)
{
    const struct flow__sni_entry *e = &c->sni->entry[index];
    struct flow__engine_terms terms = flow__config_terms(c);

    if (e->min_version > terms.min_version)
        terms.min_version = e->min_version;
    if (e->max_version != 0 && e->max_version < terms.max_version)
        terms.max_version = e->max_version;
    if (terms.min_version > terms.max_version) {
        (void)flow__config_refuse(err, FLOW_E_INVAL,
                                  "an entry allows no version of the "
                                  "configuration");
        flow_error_set_detail(err, e->id);
        return FLOW_E_INVAL;
    }
    flow__config_ask(c, e, &terms);
    if (e->alpn_count > 0) {
        terms.alpn = e->alpn;
        terms.alpn_count = e->alpn_count;
    } else if (e->min_version == 0 && e->max_version == 0 &&
               !terms.asks_client) {
        return FLOW_OK;
    }
    return flow__engine_conf_new(c, &terms, &c->entry_engine[index], err);
}

/* See tls/config.h. */
enum flow_status
flow__config_complete_entries(struct flow_tls_config *c, struct flow_error *err)
{
    enum flow_status st = FLOW_OK;

    c->entry_engine =
        flow_env_alloc(c->env, c->sni->entry_count * sizeof(*c->entry_engine));
    if (c->entry_engine == NULL)
        return flow__config_refuse(err, FLOW_E_NOMEM, "no memory");
    for (size_t i = 0; i < c->sni->entry_count && st == FLOW_OK; i++)
        st = identity_complete_entry(c, i, err);
    if (st == FLOW_OK)
        st = flow_tls_sni_freeze(c->sni, err);
    if (st != FLOW_OK)
        flow__config_free_entries(c);
    return st;
}
