/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/config.h"

/*
 * The certificates that a server shows, each with its key: pairs, and once
 * frozen the list of candidates from which tls/sni.c selects one.
 *
 * Invariant: candidate i is pair i, and its names point into that pair.
 */

static enum flow_status
identity_append(struct flow_tls_config *c, struct flow__keypair *pair)
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
identity_add(struct flow_tls_config *c, const struct flow__keypair_input *in,
             struct flow_error *err)
{
    struct flow__keypair *pair;
    enum flow_status st;

    if (flow__config_is_frozen(c))
        return flow__config_refuse(err, FLOW_E_BUSY,
                                   "the configuration is in use");
    if (!c->server)
        return flow__config_refuse(err, FLOW_E_NOTSUP,
                                   "client certificates are not supported");
    st = flow__keypair_new(c->env, in, &pair, err);
    if (st != FLOW_OK)
        return st;
    st = identity_append(c, pair);
    if (st != FLOW_OK) {
        flow__keypair_free(pair);
        return flow__config_refuse(err, st, "no memory");
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

    return identity_add(c, &in, ret_err);
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

    st = flow__config_read_file(c, chain_path, &chain, &in.chain_len, ret_err);
    if (st != FLOW_OK)
        return st;
    st = flow__config_read_file(c, key_path, &key, &in.key_len, ret_err);
    if (st == FLOW_OK) {
        in.chain = chain;
        in.key = key;
        st = identity_add(c, &in, ret_err);
        flow__config_free_file(c, key, in.key_len);
    }
    flow__config_free_file(c, chain, in.chain_len);
    return st;
}

/* See tls/config.h. */
void
flow__config_free_candidates(struct flow_tls_config *c)
{
    flow_env_free(c->env, c->candidate, c->pair_count * sizeof(*c->candidate));
    flow_env_free(c->env, c->name, c->name_count * sizeof(*c->name));
    c->candidate = NULL;
    c->name = NULL;
    c->name_count = 0;
}

static size_t
identity_count_names(const struct flow__keypair *pair)
{
    const uint8_t *name;
    size_t len, n = 0;

    while (flow__keypair_name(pair, n, &name, &len))
        n++;
    return n;
}

/* See tls/config.h. */
enum flow_status
flow__config_make_candidates(struct flow_tls_config *c, struct flow_error *err)
{
    struct flow__span *next;

    for (size_t i = 0; i < c->pair_count; i++)
        c->name_count += identity_count_names(c->pair[i]);
    c->candidate =
        flow_env_alloc(c->env, c->pair_count * sizeof(*c->candidate));
    if (c->name_count > 0)
        c->name = flow_env_alloc(c->env, c->name_count * sizeof(*c->name));
    if (c->candidate == NULL || (c->name_count > 0 && c->name == NULL)) {
        flow__config_free_candidates(c);
        return flow__config_refuse(err, FLOW_E_NOMEM, "no memory");
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
