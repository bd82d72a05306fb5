/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/handshake_state.h"

/*
 * What the hellos of both sides settle, noted in the handshake as each is sent
 * or received: session id, version, suite, group, certificate, ALPN, limits.
 *
 * Invariants: a server chooses its certificate and makes its engine with the
 * first ClientHello, and a second one cannot change the choice.  version is 0
 * until the ServerHello.  A client refuses what it did not offer.
 *
 * Locks: as in handshake.c.
 */

static void
agreement_note_decision(struct flow__handshake *hs,
                        const struct flow_tls_sni_decision *d)
{
    const struct flow_tls_config *c = hs->config;

    hs->pair = flow__sni_pair(c->sni, d->entry, d->identity);
    hs->conf = c->entry_engine[d->entry] != NULL ? c->entry_engine[d->entry]
                                                 : c->engine;
    hs->entry = (uint16_t)d->entry;
    hs->client_auth = flow__config_client_auth(c, &c->sni->entry[d->entry]);
    if (hs->client_auth.auth == FLOW_TLS_CLIENT_AUTH_NONE)
        hs->verify_flags = FLOW_VERIFY_NOT_CHECKED;
    memcpy(hs->pattern, d->pattern, strlen(d->pattern) + 1);
}

static void
agreement_note_session_id(struct flow__handshake *hs,
                          const struct flow__client_hello *ch)
{
    memcpy(hs->session_id, ch->session_id.base, ch->session_id.len);
    hs->session_id_len = ch->session_id.len;
}

/* See tls/handshake_state.h. */
struct flow_tls_sni_terms
flow__agreement_terms(const struct flow__handshake *hs)
{
    const struct flow_tls_config *c = hs->config;
    const struct flow_tls_sni_terms terms = {
        .min_version = c->min_version,
        .max_version = c->max_version,
        .suites = c->suite,
        .suite_count = c->suite_count,
        .alpn = (const char *const *)c->alpn,
        .alpn_count = c->alpn_count,
        .now = hs->env->wall(hs->env->ctx),
        .answer = FLOW_TLS_SNI_NOT_ASKED,
    };

    return terms;
}

/* Ask the callback.  The count is read first, so that an answer that comes
 * meanwhile is not missed. */
static int
agreement_ask(struct flow__handshake *hs,
              const struct flow_tls_sni_client *client)
{
    const struct flow_tls_sni *s = hs->config->sni;
    int answer;

    if (s->answered != NULL)
        hs->answers = flow_event_sequence(s->answered);
    answer = s->lookup(s->lookup_user, client);
    hs->is_asking = answer == FLOW_TLS_SNI_PENDING;
    return answer;
}

static enum flow_status
agreement_decide(struct flow__handshake *hs,
                 const struct flow_tls_sni_client *client,
                 struct flow_tls_sni_decision *ret_decision)
{
    struct flow_tls_sni_terms terms = flow__agreement_terms(hs);
    enum flow_status st =
        flow_tls_sni_select(hs->config->sni, client, &terms, ret_decision);

    if (st != FLOW_OK || ret_decision->outcome != FLOW_TLS_SNI_ASK)
        return st;
    terms.answer = agreement_ask(hs, client);
    if (hs->is_asking)
        return FLOW_AGAIN;
    return flow_tls_sni_select(hs->config->sni, client, &terms, ret_decision);
}

static enum flow_status
agreement_choose(struct flow__handshake *hs,
                 const struct flow__client_hello *ch,
                 enum flow_tls_version *ret_version, struct flow_error *err)
{
    struct flow_tls_sni_client client;
    struct flow_tls_sni_decision decision;
    struct flow__fault fault;
    enum flow_status st;

    flow__sni_client_fill(&client, ch);
    memcpy(hs->sni, client.name, strlen(client.name) + 1);
    st = agreement_decide(hs, &client, &decision);
    if (st == FLOW_AGAIN)
        return st;
    if (st == FLOW_OK && decision.outcome == FLOW_TLS_SNI_SERVED) {
        agreement_note_decision(hs, &decision);
        *ret_version = decision.version;
        return FLOW_OK;
    }
    fault.alert = (enum flow__alert)decision.alert;
    fault.text = decision.text;
    return flow__handshake_fault(hs, FLOW_E_PROTO, &fault, err);
}

/* Keep what the first ClientHello asks for, once a certificate was chosen. */
static enum flow_status
agreement_begin_serving(struct flow__handshake *hs,
                        const struct flow__client_hello *ch,
                        enum flow_tls_version version, struct flow_error *err)
{
    struct flow__ticket_use *tickets;
    enum flow_status st;

    if (ch->alpn.len > 0) {
        hs->alpn = flow_env_alloc(hs->env, ch->alpn.len);
        if (hs->alpn == NULL)
            return flow__handshake_fault(hs, FLOW_E_NOMEM, NULL, err);
        memcpy(hs->alpn, ch->alpn.base, ch->alpn.len);
        hs->alpn_len = ch->alpn.len;
    }
    st = flow__resumption_serve(hs, ch, (uint16_t)version, &tickets);
    if (st == FLOW_OK)
        st = flow__engine_new(hs->conf, hs->pair, (uint16_t)version, NULL,
                              tickets, &hs->engine);
    return st == FLOW_OK ? st : flow__handshake_fault(hs, st, NULL, err);
}

/* See tls/handshake_state.h. */
enum flow_status
flow__agreement_client_hello(struct flow__handshake *hs, const uint8_t *msg,
                             size_t len, struct flow_error *err)
{
    enum flow_tls_version version = FLOW_TLS_1_2;
    struct flow__client_hello ch;
    struct flow__fault fault;
    enum flow_status st = flow__hello_parse_client(msg, len, &ch, &fault);

    if (st != FLOW_OK)
        return flow__handshake_fault(hs, st, &fault, err);
    agreement_note_session_id(hs, &ch);
    hs->skip_early = ch.early_data;
    if (hs->engine != NULL)
        return FLOW_OK;
    st = agreement_choose(hs, &ch, &version, err);
    return st == FLOW_OK ? agreement_begin_serving(hs, &ch, version, err) : st;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__agreement_offer(struct flow__handshake *hs, const uint8_t *msg,
                      size_t len, struct flow_error *err)
{
    struct flow__fault fault;

    flow__queue_release(&hs->hello);
    if (!flow__queue_append(&hs->hello, msg, len))
        return flow__handshake_fault(hs, FLOW_E_NOMEM, NULL, err);
    if (flow__hello_parse_client(flow__queue_data(&hs->hello), len, &hs->offer,
                                 &fault) != FLOW_OK)
        return flow__handshake_fault(hs, FLOW_E_SYS, NULL, err);
    agreement_note_session_id(hs, &hs->offer);
    return FLOW_OK;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__agreement_server_hello(struct flow__handshake *hs, const uint8_t *msg,
                             size_t len, struct flow_error *err)
{
    struct flow__server_hello hello;
    struct flow__fault fault;
    enum flow_status st = flow__hello_parse_server(msg, len, &hello, &fault);

    if (st != FLOW_OK)
        return flow__handshake_fault(hs, st, &fault, err);
    hs->suite = flow__suite_find(hello.suite);
    if (hello.retry)
        return FLOW_OK;
    /* RFC 7627 5.2: without it two sessions can share a master secret.  A
     * ServerHello of the peer was checked already; this one may be ours. */
    if (hello.version == FLOW_TLS_1_2 && !hello.extended_master_secret &&
        !hs->config->skip_extended)
        return flow__handshake_refuse(
            hs, FLOW__ALERT_HANDSHAKE_FAILURE,
            "TLS 1.2 without the extended master secret", err);
    hs->version = hello.version;
    hs->extended =
        hello.version == FLOW_TLS_1_3 || hello.extended_master_secret;
    if (hs->suite == NULL || hs->suite->version != hello.version)
        return flow__handshake_refuse(
            hs, FLOW__ALERT_ILLEGAL_PARAMETER,
            "the peer chose a cipher suite that was not offered", err);
    if (hello.group != 0)
        hs->group = hello.group;
    hs->resumed = hello.psk;
    /* The engine may have opened a ticket and then refused its age.  The
     * session of the full handshake begins now. */
    if (hello.version == FLOW_TLS_1_3 && !hello.psk)
        hs->tickets.begun = hs->tickets.now;
    /* RFC 6066 4: 2^9 and up. */
    if (hello.max_fragment_length >= 1 && hello.max_fragment_length <= 4)
        hs->record_limit = (size_t)256 << hello.max_fragment_length;
    return FLOW_OK;
}

/* See tls/handshake_state.h.  RFC 8422 5.4: named_curve and its number. */
void
flow__agreement_key_exchange(struct flow__handshake *hs, const uint8_t *msg,
                             size_t len)
{
    if (len >= 7 && msg[4] == FLOW__CURVE_TYPE_NAMED)
        hs->group = (uint16_t)(msg[5] << 8 | msg[6]);
}
