/* SPDX-License-Identifier: ISC */
#include "tls/config.h"

/*
 * What a configuration verifies its peers with.
 *
 * Invariants: certificates that were added are trusted alone; the system's are
 * trusted only by a client, if none was added and no verifier was given, and
 * are loaded by freezing.  If freezing fails, the system's go again, so that
 * those added afterwards are alone too.  A verifier that was given is not
 * changed here.
 */

static enum flow_status
trust_may_set(const struct flow_tls_config *c, struct flow_error *err)
{
    if (flow__config_is_frozen(c))
        return flow__config_refuse(err, FLOW_E_BUSY,
                                   "the configuration is in use");
    return FLOW_OK;
}

static enum flow_status
trust_may_add(const struct flow_tls_config *c, struct flow_error *err)
{
    enum flow_status st = trust_may_set(c, err);

    if (st == FLOW_OK && c->shares_verifier)
        return flow__config_refuse(
            err, FLOW_E_INVAL,
            "the configuration has a verifier, which has the trust");
    return st;
}

static enum flow_status
trust_add(struct flow_tls_config *c, const char *name, const void *data,
          size_t len, struct flow_error *err)
{
    const struct flow__span bytes = { data, len };
    struct flow_tls_verifier *v = c->verifier;
    size_t bad = 0, count;
    enum flow_status st = trust_may_add(c, err);

    if (st == FLOW_OK && v == NULL)
        st = flow_tls_verifier_new(c->env, &v, err);
    if (st != FLOW_OK)
        return st;
    st = flow__verifier_add_trust(v, bytes, true, &bad, &count, err);
    if (st == FLOW_OK) {
        c->verifier = v;
        return st;
    }
    if (bad > 0)
        flow__verifier_set_detail(err, name, bad);
    else if (name != NULL)
        flow_error_set_detail(err, name);
    if (c->verifier == NULL)
        flow_tls_verifier_unref(v);
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_trust(struct flow_tls_config *c, const void *data,
                          size_t len, struct flow_error *ret_err)
{
    return trust_add(c, NULL, data, len, ret_err);
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_trust_file(struct flow_tls_config *c, const char *path,
                               struct flow_error *ret_err)
{
    uint8_t *data;
    size_t len;
    enum flow_status st = trust_may_add(c, ret_err);

    if (st == FLOW_OK)
        st = flow__config_read_file(c->env, path, &data, &len, ret_err);
    if (st != FLOW_OK)
        return st;
    st = trust_add(c, path, data, len, ret_err);
    flow__config_free_file(c->env, data, len);
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_verifier(struct flow_tls_config *c,
                             struct flow_tls_verifier *v,
                             struct flow_error *ret_err)
{
    enum flow_status st = trust_may_set(c, ret_err);

    if (st != FLOW_OK)
        return st;
    if (c->verifier != NULL)
        return flow__config_refuse(
            ret_err, FLOW_E_INVAL,
            "the configuration has trust or a verifier already");
    c->verifier = flow_tls_verifier_ref(v);
    c->shares_verifier = true;
    return FLOW_OK;
}

/* See tls/config.h. */
enum flow_status
flow__config_complete_trust(struct flow_tls_config *c, struct flow_error *err)
{
    enum flow_status st;

    if (!flow__engine_can_connect() || c->server || c->verifier != NULL)
        return FLOW_OK;
    st = flow_tls_verifier_new(c->env, &c->verifier, err);
    if (st == FLOW_OK && !c->skip_verify)
        st = flow_tls_verifier_add_system_trust(c->verifier, err);
    return st;
}
