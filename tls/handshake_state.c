/* SPDX-License-Identifier: ISC */
#include "tls/handshake_state.h"

#include <string.h>

/* How a handshake fails and how it completes: every file of it calls this. */

/* See tls/handshake_state.h. */
enum flow_status
flow__handshake_fault(const struct flow__handshake *hs, enum flow_status status,
                      const struct flow__fault *fault, struct flow_error *err)
{
    bool is_told = fault != NULL && fault->text != NULL;

    (void)flow_error_set(err, status, "tls", FLOW_DOMAIN_NONE, 0,
                         status == FLOW_E_NOMEM ? "no memory for the handshake"
                         : is_told              ? fault->text
                                   : "the handshake cannot be protected");
    err->alert_sent =
        (int16_t)(status == FLOW_E_PROTO ? fault->alert
                                         : FLOW__ALERT_INTERNAL_ERROR);
    if (hs->sni[0] != '\0')
        flow_error_set_detail(err, hs->sni);
    return status;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__handshake_refuse(const struct flow__handshake *hs, enum flow__alert alert,
                       const char *text, struct flow_error *err)
{
    const struct flow__fault fault = { alert, text };

    return flow__handshake_fault(hs, FLOW_E_PROTO, &fault, err);
}

/* Keep the names without room to spare: they live as long as the connection.
 * Most certificates have the very name that was asked for, which is kept once.
 * A server whose client asked for none keeps nothing. */
static enum flow_status
state_keep_names(struct flow__handshake *hs)
{
    const char *asked = hs->server ? hs->sni : hs->name;
    size_t asked_len = strlen(asked) + 1;
    size_t matched_len;

    hs->same_name = strcmp(asked, hs->pattern) == 0;
    if (hs->same_name && asked[0] == '\0')
        return FLOW_OK;
    matched_len = hs->same_name ? 0 : strlen(hs->pattern) + 1;
    hs->names_len = asked_len + matched_len;
    hs->names = flow_env_alloc(hs->env, hs->names_len);
    if (hs->names == NULL)
        return FLOW_E_NOMEM;
    memcpy(hs->names, asked, asked_len);
    memcpy(hs->names + asked_len, hs->pattern, matched_len);
    return FLOW_OK;
}

static enum flow_status
state_keep_chain(struct flow__handshake *hs)
{
    const bool resumed = flow__resumption_happened(hs);
    const struct flow__span had = flow__resumption_chain(hs);

    /* The engine keeps none with a session of TLS 1.3, and the leaf alone with
     * one of TLS 1.2. */
    hs->chain_len =
        resumed ? had.len : flow__engine_peer_chain(hs->engine, NULL, 0);
    if (hs->chain_len == 0)
        return FLOW_OK;
    hs->chain = flow_env_alloc(hs->env, hs->chain_len);
    if (hs->chain == NULL)
        return FLOW_E_NOMEM;
    if (resumed)
        memcpy(hs->chain, had.base, had.len);
    else
        (void)flow__engine_peer_chain(hs->engine, hs->chain, hs->chain_len);
    return FLOW_OK;
}

/* Whether a handshake may end with a peer that was not verified. */
static bool
state_may_be_unverified(const struct flow__handshake *hs)
{
    if (!hs->server)
        return hs->config->skip_verify;
    if (hs->client_auth.auth == FLOW_TLS_CLIENT_AUTH_OPTIONAL)
        return flow__resumption_happened(hs)
                   ? flow__resumption_chain(hs).len == 0
                   : flow__engine_peer_chain(hs->engine, NULL, 0) == 0;
    return hs->client_auth.auth == FLOW_TLS_CLIENT_AUTH_NONE;
}

/* See tls/handshake_state.h.  tls/peer.c refuses such a peer when its
 * certificates come; this is for one that sent none. */
enum flow_status
flow__handshake_check_peer(const struct flow__handshake *hs,
                           struct flow_error *err)
{
    const struct flow__fault unverified = { FLOW__ALERT_INTERNAL_ERROR,
                                            "the peer was not verified" };

    if (hs->verify_flags == 0 || state_may_be_unverified(hs))
        return FLOW_OK;
    (void)flow__handshake_fault(hs, FLOW_E_SYS, &unverified, err);
    err->verify_flags = hs->verify_flags;
    return FLOW_E_SYS;
}

static enum flow_status
state_export(struct flow__handshake *hs)
{
    if (hs->exported == NULL)
        return FLOW_OK;
    hs->exported->is_safe = hs->extended;
    return flow__exported_fill(hs->exported, hs->config, hs->engine);
}

/* See tls/handshake_state.h. */
enum flow_status
flow__handshake_complete(struct flow__handshake *hs, struct flow_error *err)
{
    const struct flow__fault no_keys = { FLOW__ALERT_INTERNAL_ERROR,
                                         "the engine exported no keys" };
    enum flow_status st;

    if (hs->tx[FLOW__LEVEL_DATA].suite == NULL ||
        hs->rx[FLOW__LEVEL_DATA].suite == NULL)
        return flow__handshake_fault(hs, FLOW_E_SYS, &no_keys, err);
    st = state_keep_names(hs);
    if (st == FLOW_OK)
        st = state_keep_chain(hs);
    if (st == FLOW_OK)
        st = state_export(hs);
    if (st != FLOW_OK)
        return flow__handshake_fault(hs, st, NULL, err);
    flow__resumption_keep(hs);
    hs->phase = FLOW__PHASE_DONE;
    return FLOW_OK;
}
