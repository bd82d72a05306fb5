/* SPDX-License-Identifier: ISC */
#include "tls/config.h"

/*
 * What a server asks of its clients, for each entry of its selector.
 *
 * Invariant: once frozen, a certificate is asked for exactly where there is
 * something to verify it with, and trust that was given is used.  Otherwise a
 * user who names an authority could believe that clients need a certificate.
 */

#define CLIENT_AUTH_LIST_MAX 12288u

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_set_client_auth(struct flow_tls_config *c,
                                enum flow_tls_client_auth auth)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (!c->server)
        return FLOW_E_NOTSUP;
    if ((unsigned)auth > FLOW_TLS_CLIENT_AUTH_REQUIRED)
        return FLOW_E_INVAL;
    c->client_auth = auth;
    return FLOW_OK;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_limit_ca_list(struct flow_tls_config *c, size_t max_bytes)
{
    if (flow__config_is_frozen(c))
        return FLOW_E_BUSY;
    if (!c->server)
        return FLOW_E_NOTSUP;
    if (max_bytes > CLIENT_AUTH_LIST_MAX)
        return FLOW_E_INVAL;
    c->ca_list_max = max_bytes;
    return FLOW_OK;
}

/* See tls/config.h. */
struct flow__client_auth
flow__config_client_auth(const struct flow_tls_config *c,
                         const struct flow__sni_entry *entry)
{
    struct flow__client_auth ret = { entry->client_auth,
                                     entry->client_verifier };

    if (ret.auth == FLOW_TLS_CLIENT_AUTH_DEFAULT)
        ret.auth = c->client_auth;
    if (ret.auth == FLOW_TLS_CLIENT_AUTH_DEFAULT)
        ret.auth = FLOW_TLS_CLIENT_AUTH_NONE;
    if (ret.verifier == NULL)
        ret.verifier = c->verifier;
    if (ret.auth == FLOW_TLS_CLIENT_AUTH_NONE)
        ret.verifier = NULL;
    return ret;
}

static enum flow_status
client_auth_refuse(const char *text, const char *entry, const char *hint,
                   struct flow_error *err)
{
    (void)flow__config_refuse(err, FLOW_E_INVAL, text);
    if (err != NULL && entry != NULL)
        flow_error_set_detail(err, entry);
    if (err != NULL)
        err->hint = hint;
    return FLOW_E_INVAL;
}

/* See tls/config.h. */
enum flow_status
flow__config_check_client_auth(const struct flow_tls_config *c,
                               struct flow_error *err)
{
    bool is_used = c->verifier == NULL;

    for (size_t i = 0; i < c->sni->entry_count; i++) {
        const struct flow__sni_entry *e = &c->sni->entry[i];
        const struct flow__client_auth a = flow__config_client_auth(c, e);

        if (a.auth != FLOW_TLS_CLIENT_AUTH_NONE && a.verifier == NULL)
            return client_auth_refuse(
                "client certificates are asked for, and no certificate "
                "authority is trusted to issue them",
                e->id,
                "name one with flow_tls_config_add_trust_file(), or set a "
                "verifier",
                err);
        if (a.auth == FLOW_TLS_CLIENT_AUTH_NONE && e->client_verifier != NULL)
            return client_auth_refuse(
                "an entry has a verifier of client certificates, and its "
                "clients are not asked for any",
                e->id, "set client_auth of the entry", err);
        is_used = is_used || a.verifier == c->verifier;
    }
    return is_used ? FLOW_OK
                   : client_auth_refuse(
                         "certificates are trusted, and no client is asked "
                         "for one",
                         NULL, "call flow_tls_config_set_client_auth()", err);
}

/* See tls/config.h. */
void
flow__config_ask(const struct flow_tls_config *c,
                 const struct flow__sni_entry *entry,
                 struct flow__engine_terms *terms)
{
    const struct flow__client_auth a = flow__config_client_auth(c, entry);

    terms->asks_client = a.auth != FLOW_TLS_CLIENT_AUTH_NONE;
    terms->ca_list_max = c->ca_list_max;
    if (terms->asks_client)
        terms->anchors =
            flow__verifier_anchors(a.verifier, &terms->anchor_count);
}
