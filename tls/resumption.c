/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/der.h"
#include "tls/handshake_state.h"
#include "tls/path.h"

/*
 * What a session may be resumed for.
 *
 * A ticket of ours is sealed for a scope: everything that the first handshake
 * decided and a resumed one does not decide again.  It is
 *
 *     2 | version 2 | suite 2 | epoch 8 | policy of client certificates 1
 *       | length 1, entry | length 1, name | length 1, protocol
 *
 * of the handshake in which the ticket is made, and opens only in one with the
 * same.  The suite is that of TLS 1.2, which a session keeps, else 0.
 *
 * Where clients are asked for a certificate, a ticket holds the client's chain,
 * which is verified again, before the engine gets the ClientHello.  So it is
 * verified by what is trusted and revoked now, and no callback of the program
 * runs inside the engine.
 *
 * A session of a client is found by a digest of everything that it asked for.
 *
 * Invariants: without a session that can be used, made and kept the handshake
 * goes on.  A resumed session has the verification of the full
 * handshake that began it, or a newer one, and ends with that handshake's
 * certificates.
 *
 * Locks: as in handshake.c.
 */

#define RESUMPTION_SCOPE_MAX (14 + 3 * 256)
/* Tickets of a ClientHello whose chains are verified. */
#define RESUMPTION_TICKETS_MAX 4
/* Of a session of TLS 1.2 whose server does not tell, seconds. */
#define RESUMPTION_LIFE 7200u

/* --- the scope of a ticket --- */

struct resumption_scope {
    uint8_t bytes[RESUMPTION_SCOPE_MAX];
    size_t len;
};

static void
resumption_put_number(struct resumption_scope *s, uint64_t value, int bytes)
{
    for (int i = bytes; i-- > 0;)
        s->bytes[s->len++] = (uint8_t)(value >> 8 * i);
}

/* Every text is shorter than 256 bytes. */
static void
resumption_put_text(struct resumption_scope *s, const char *text)
{
    size_t len = strlen(text);

    resumption_put_number(s, len, 1);
    memcpy(s->bytes + s->len, text, len);
    s->len += len;
}

/* Whether a ClientHello offers a protocol. */
static bool
resumption_has_protocol(const struct flow__client_hello *ch, const char *name)
{
    struct flow__span list = ch->alpn;
    struct flow__span offered;

    while (flow__hello_next_alpn(&list, &offered))
        if (offered.len == strlen(name) &&
            memcmp(offered.base, name, offered.len) == 0)
            return true;
    return false;
}

/* The protocol that the engine will agree on: the first of ours that the client
 * offers. */
static const char *
resumption_protocol(const struct flow__handshake *hs,
                    const struct flow__client_hello *ch)
{
    const struct flow_tls_config *c = hs->config;
    const struct flow__sni_entry *entry = &c->sni->entry[hs->entry];
    char *const *ours = entry->alpn_count > 0 ? entry->alpn : c->alpn;
    size_t count = entry->alpn_count > 0 ? entry->alpn_count : c->alpn_count;

    for (size_t i = 0; i < count; i++)
        if (resumption_has_protocol(ch, ours[i]))
            return ours[i];
    return "";
}

/* The suite of TLS 1.2 that the engine will agree on: the first of ours that
 * the client offers and the key can sign for. */
static uint16_t
resumption_suite(const struct flow__handshake *hs,
                 const struct flow__client_hello *ch)
{
    const struct flow_tls_config *c = hs->config;
    enum flow__suite_auth auth = flow__keypair_type(hs->pair) == FLOW__KEY_RSA
                                     ? FLOW__AUTH_RSA
                                     : FLOW__AUTH_ECDSA;

    for (size_t i = 0; i < c->suite_count; i++) {
        const struct flow__suite *s = flow__suite_find(c->suite[i]);

        if (s != NULL && s->version == FLOW_TLS_1_2 && s->auth == auth &&
            flow__span_has_u16(ch->suites, s->id))
            return s->id;
    }
    return 0;
}

static void
resumption_fill_scope(const struct flow__handshake *hs,
                      const struct flow__client_hello *ch, uint16_t version,
                      struct resumption_scope *s)
{
    s->len = 0;
    resumption_put_number(s, 2, 1);
    resumption_put_number(s, version, 2);
    resumption_put_number(
        s, version == FLOW_TLS_1_2 ? resumption_suite(hs, ch) : 0u, 2);
    resumption_put_number(s, hs->config->ticket_epoch, 8);
    resumption_put_number(s, (unsigned)hs->client_auth.auth, 1);
    resumption_put_text(s, hs->config->sni->entry[hs->entry].id);
    resumption_put_text(s, hs->sni);
    resumption_put_text(s, resumption_protocol(hs, ch));
}

/* --- the certificates of a client --- */

/* Divide a chain into certificates; 0: it has none, or too many, or is
 * malformed. */
static size_t
resumption_divide(struct flow__span chain,
                  struct flow__span certs[FLOW__PATH_CERTS])
{
    size_t count = 0;

    while (chain.len > 0 && count < FLOW__PATH_CERTS &&
           flow__der_take_whole(&chain, FLOW__DER_SEQUENCE, &certs[count]))
        count++;
    return chain.len == 0 ? count : 0;
}

/* Whether the client of a session would be accepted now; *ret_flags are what a
 * full handshake would have come to. */
static bool
resumption_accepts_client(const struct flow__handshake *hs,
                          struct flow__span chain, uint32_t *ret_flags)
{
    struct flow__span certs[FLOW__PATH_CERTS];
    struct flow_tls_verdict verdict;
    size_t count = resumption_divide(chain, certs);

    *ret_flags = FLOW_VERIFY_MISSING;
    if (chain.len == 0)
        return hs->client_auth.auth == FLOW_TLS_CLIENT_AUTH_OPTIONAL;
    if (count == 0 ||
        flow__verifier_run(hs->client_auth.verifier, certs, count, NULL,
                           FLOW__PURPOSE_CLIENT, &verdict) != FLOW_OK)
        return false;
    *ret_flags = verdict.flags;
    return true;
}

static bool
resumption_accepts_ticket(struct flow__handshake *hs, struct flow__span ticket)
{
    struct flow__ticket_use *use = &hs->tickets;
    struct flow__span chain;

    if (!flow__engine_read_ticket(use, ticket, hs->client_chain, &chain,
                                  use->accepted) ||
        !resumption_accepts_client(hs, chain, &hs->accepted_flags))
        return false;
    use->chain = chain;
    use->has_accepted = true;
    return true;
}

/* RFC 8446 4.2.11: the identities of a pre_shared_key extension. */
static void
resumption_accept_psk(struct flow__handshake *hs, struct flow__span body)
{
    struct flow__span list, ticket, age;
    int count = 0;

    if (!flow__span_take_vec16(&body, &list))
        return;
    while (count++ < RESUMPTION_TICKETS_MAX &&
           flow__span_take_vec16(&list, &ticket) &&
           flow__span_take(&list, 4, &age))
        if (resumption_accepts_ticket(hs, ticket))
            return;
}

/* Find the ticket whose client would be accepted now. */
static void
resumption_accept(struct flow__handshake *hs,
                  const struct flow__client_hello *ch, uint16_t version)
{
    struct flow__span list = ch->extensions;
    struct flow__span body;
    uint16_t type;

    while (flow__hello_next_extension(&list, &type, &body))
        if (version == FLOW_TLS_1_3 && type == FLOW__EXTENSION_PRE_SHARED_KEY)
            resumption_accept_psk(hs, body);
        else if (version == FLOW_TLS_1_2 &&
                 type == FLOW__EXTENSION_SESSION_TICKET)
            (void)resumption_accepts_ticket(hs, body);
}

/* See tls/handshake_state.h.  A chain that is too long makes no ticket. */
void
flow__resumption_note_client(struct flow__handshake *hs,
                             const struct flow__span *certs, size_t count)
{
    struct flow__span *chain = &hs->tickets.chain;

    if (hs->client_chain == NULL)
        return;
    chain->base = hs->client_chain;
    chain->len = 0;
    for (size_t i = 0; i < count; i++) {
        if (certs[i].len > FLOW__TICKET_CHAIN_MAX - chain->len) {
            chain->len = FLOW__TICKET_CHAIN_MAX + 1;
            return;
        }
        memcpy(hs->client_chain + chain->len, certs[i].base, certs[i].len);
        chain->len += certs[i].len;
    }
}

static enum flow_status
resumption_ask(struct flow__handshake *hs, const struct flow__client_hello *ch,
               uint16_t version)
{
    hs->tickets.asks_client = hs->client_auth.auth != FLOW_TLS_CLIENT_AUTH_NONE;
    if (!hs->tickets.asks_client)
        return FLOW_OK;
    hs->client_chain = flow_env_alloc(hs->env, FLOW__TICKET_CHAIN_MAX);
    if (hs->client_chain == NULL)
        return FLOW_E_NOMEM;
    resumption_accept(hs, ch, version);
    return FLOW_OK;
}

/* --- a server --- */

/* Suites of ours that the client offers. */
static void
resumption_fill_suites(struct flow__handshake *hs,
                       const struct flow__client_hello *ch)
{
    const struct flow_tls_config *c = hs->config;
    size_t count = 0;

    for (size_t i = 0; i < c->suite_count; i++)
        if (flow__span_has_u16(ch->suites, c->suite[i]))
            hs->ticket_suites[count++] = c->suite[i];
    hs->tickets.suites = hs->ticket_suites;
    hs->tickets.suite_count = count;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__resumption_serve(struct flow__handshake *hs,
                       const struct flow__client_hello *ch, uint16_t version,
                       struct flow__ticket_use **ret_use)
{
    struct flow_tls_tickets *tickets = hs->config->tickets;
    int64_t now = flow__session_clock(hs->env);
    struct resumption_scope scope;
    uint32_t seconds;
    unsigned count;

    *ret_use = NULL;
    /* Without a clock the age of a ticket is not known. */
    if (!flow__engine_can_resume() || tickets == NULL || now < 0)
        return FLOW_OK;
    flow__tickets_limits(tickets, &seconds, &count);
    /* The engine takes no ticket of TLS 1.2 where it can give none.  RFC 7627
     * 5.3: a session without the extended master secret must not be resumed. */
    if (version == FLOW_TLS_1_2 && (count == 0 || !ch->extended_master_secret))
        return FLOW_OK;
    resumption_fill_scope(hs, ch, version, &scope);
    hs->scope = flow_env_alloc(hs->env, scope.len);
    if (hs->scope == NULL)
        return FLOW_E_NOMEM;
    memcpy(hs->scope, scope.bytes, scope.len);
    hs->tickets.tickets = tickets;
    hs->tickets.scope.base = hs->scope;
    hs->tickets.scope.len = scope.len;
    hs->tickets.now = now;
    hs->tickets.begun = now;
    resumption_fill_suites(hs, ch);
    *ret_use = &hs->tickets;
    return resumption_ask(hs, ch, version);
}

/* --- the session of a client --- */

/* A server may have been shown any of a client's certificates. */
static bool
resumption_write_identities(const struct flow_tls_config *c,
                            struct flow__queue *q)
{
    uint8_t print[FLOW__PIN_LEN];
    bool ok = flow__queue_append(q, "", 1);

    for (size_t i = 0; i < c->pair_count && ok; i++)
        ok = flow__engine_fingerprint(flow__keypair_leaf(c->pair[i]), print) ==
                 FLOW_OK &&
             flow__queue_append(q, print, sizeof(print));
    return ok;
}

/* Everything that must be equal. */
static bool
resumption_write_key(const struct flow__handshake *hs, struct flow__queue *q)
{
    const struct flow_tls_config *c = hs->config;
    const uint8_t flags = (uint8_t)(c->skip_verify << 1 | c->skip_name);
    const uint16_t versions[] = { (uint16_t)c->min_version,
                                  (uint16_t)c->max_version };
    const char *peer = hs->session_peer != NULL ? hs->session_peer : "";
    bool ok = flow__queue_append(q, &flags, 1) &&
              flow__queue_append(q, versions, sizeof(versions)) &&
              flow__queue_append(q, hs->name, strlen(hs->name) + 1) &&
              flow__queue_append(q, peer, strlen(peer) + 1) &&
              flow__queue_append(q, c->suite,
                                 (c->suite_count + 1) * sizeof(*c->suite)) &&
              flow__queue_append(q, c->group,
                                 (c->group_count + 1) * sizeof(*c->group));

    for (size_t i = 0; i < c->alpn_count && ok; i++)
        ok = flow__queue_append(q, c->alpn[i], strlen(c->alpn[i]) + 1);
    return ok && resumption_write_identities(c, q);
}

static bool
resumption_make_key(struct flow__handshake *hs)
{
    struct flow__queue q;
    bool ok;

    flow__queue_init(&q, hs->env);
    ok = resumption_write_key(hs, &q);
    if (ok) {
        const struct flow__span bytes = { flow__queue_data(&q),
                                          flow__queue_len(&q) };

        ok = flow__engine_fingerprint(bytes, hs->session_key) == FLOW_OK;
    }
    flow__queue_release(&q);
    return ok;
}

/* Verify the certificates of a session that another verifier accepted, or one
 * of another process, or this one, whose answer may be another one now. */
static bool
resumption_verify_again(const struct flow__handshake *hs,
                        struct flow__session *s)
{
    const struct flow_tls_config *c = hs->config;
    struct flow__span certs[FLOW__PATH_CERTS];
    struct flow_tls_verdict verdict;
    struct flow__name name;
    size_t count = resumption_divide(s->chain, certs);

    if (!c->skip_name && flow__name_parse(hs->name, strlen(hs->name), &name) ==
                             FLOW__NAME_INVALID)
        return false;
    if (count == 0 ||
        flow__verifier_run(c->verifier, certs, count,
                           c->skip_name ? NULL : &name, FLOW__PURPOSE_SERVER,
                           &verdict) != FLOW_OK)
        return false;
    s->facts.verify_flags = verdict.flags;
    s->facts.verified_by = flow__verifier_serial(c->verifier);
    s->facts.path_end = flow__session_path_end(&verdict);
    if (s->facts.ends > s->facts.path_end)
        s->facts.ends = s->facts.path_end;
    return true;
}

static bool
resumption_is_trusted(const struct flow__handshake *hs, struct flow__session *s)
{
    const struct flow_tls_config *c = hs->config;

    if (c->skip_verify ||
        (s->facts.verified_by == flow__verifier_serial(c->verifier) &&
         !flow__verifier_may_revoke(c->verifier)))
        return true;
    return resumption_verify_again(hs, s);
}

/* See tls/handshake_state.h. */
void
flow__resumption_offer(struct flow__handshake *hs)
{
    struct flow_tls_sessions *sessions = hs->config->sessions;
    int64_t now = flow__session_clock(hs->env);
    struct flow__session *s;

    /* Without a clock the age of a session is not known. */
    if (sessions == NULL || now < 0)
        return;
    hs->has_session_key = resumption_make_key(hs);
    if (!hs->has_session_key)
        return;
    s = flow__sessions_take(sessions, hs->session_key, now);
    if (s != NULL && resumption_is_trusted(hs, s) &&
        flow__engine_offer(hs->engine, s->state, &hs->session_suite) == FLOW_OK)
        hs->session = s;
    else
        flow__session_free(s);
}

/* See tls/handshake_state.h.  RFC 5077 3.3: a ticket may be empty. */
void
flow__resumption_note_ticket(struct flow__handshake *hs, const uint8_t *msg,
                             size_t len)
{
    hs->ticket_life = (uint32_t)msg[4] << 24 | (uint32_t)msg[5] << 16 |
                      (uint32_t)msg[6] << 8 | msg[7];
    hs->has_ticket =
        (msg[8] != 0 || msg[9] != 0) && len <= FLOW__SESSION_MESSAGE_MAX;
}

/* --- how a handshake ended --- */

/* See tls/handshake_state.h.  A full handshake of TLS 1.2 has a
 * ServerKeyExchange, which names a group, and a resumed one has not. */
bool
flow__resumption_happened(const struct flow__handshake *hs)
{
    return hs->version == FLOW_TLS_1_2 ? hs->group == 0 : hs->resumed;
}

/* See tls/handshake_state.h. */
void
flow__resumption_settle(struct flow__handshake *hs)
{
    const struct flow__session *s = hs->session;

    if (hs->tickets.has_accepted && flow__resumption_happened(hs))
        hs->verify_flags = hs->accepted_flags;
    if (s == NULL || !flow__resumption_happened(hs))
        return;
    hs->verify_flags = s->facts.verify_flags;
    memcpy(hs->pattern, s->name.base, s->name.len);
    hs->pattern[s->name.len] = '\0';
}

/* See tls/handshake_state.h. */
struct flow__span
flow__resumption_chain(const struct flow__handshake *hs)
{
    const struct flow__span none = { NULL, 0 };

    if (!flow__resumption_happened(hs))
        return none;
    return hs->session != NULL ? hs->session->chain : hs->tickets.chain;
}

static void
resumption_fill_facts(const struct flow__handshake *hs, int64_t now,
                      struct flow__session_facts *facts)
{
    const struct flow__session *s =
        flow__resumption_happened(hs) ? hs->session : NULL;
    const struct flow_tls_verifier *v = hs->config->verifier;

    memcpy(facts->key, hs->session_key, sizeof(facts->key));
    facts->version = hs->version;
    facts->verify_flags = hs->verify_flags;
    facts->verified_by = v != NULL ? flow__verifier_serial(v) : 0u;
    facts->path_end = s != NULL ? s->facts.path_end : hs->path_end;
    facts->begun = s != NULL ? s->facts.begun : now;
    facts->ends = facts->begun;
}

/* TLS 1.3: the tickets come after the handshake. */
static void
resumption_prepare_harvest(struct flow__handshake *hs,
                           const struct flow__session_facts *facts,
                           struct flow__session_parts *parts)
{
    struct flow__session *model = flow__session_new(hs->env, facts, parts);

    if (model != NULL)
        hs->harvest = flow__harvest_new(hs->env, hs->config, model);
}

/* TLS 1.2: the engine has the session now. */
static void
resumption_keep12(struct flow__handshake *hs, int64_t now,
                  struct flow__session_facts *facts,
                  struct flow__session_parts *parts)
{
    const uint32_t life =
        hs->ticket_life != 0 ? hs->ticket_life : RESUMPTION_LIFE;
    struct flow__session *s = NULL;
    uint8_t *state;
    size_t len;

    if (flow__engine_session(hs->engine, &state, &len) != FLOW_OK)
        return;
    parts->state.base = state;
    parts->state.len = len;
    facts->ends = flow__session_end(facts, parts->chain, now, life);
    if (facts->ends > now)
        s = flow__session_new(flow__sessions_env(hs->config->sessions), facts,
                              parts);
    if (s != NULL)
        flow__sessions_put(hs->config->sessions, s);
    flow_wipe(state, len);
    flow_env_free(hs->config->env, state, len);
}

/* See tls/handshake_state.h. */
void
flow__resumption_keep(struct flow__handshake *hs)
{
    const bool happened = flow__resumption_happened(hs);
    int64_t now = flow__session_clock(hs->env);
    struct flow__session_facts facts;
    struct flow__session_parts parts = {
        { (const uint8_t *)hs->pattern, strlen(hs->pattern) },
        { hs->chain, hs->chain_len },
        { NULL, 0 },
    };

    if (!flow__engine_can_resume() || !hs->has_session_key || now < 0 ||
        !hs->extended)
        return;
    resumption_fill_facts(hs, now, &facts);
    if (hs->version == FLOW_TLS_1_3) {
        resumption_prepare_harvest(hs, &facts, &parts);
    } else if (happened && !hs->has_ticket) {
        flow__sessions_put(hs->config->sessions, hs->session);
        hs->session = NULL;
    } else if (hs->has_ticket && (happened || hs->session == NULL)) {
        resumption_keep12(hs, now, &facts, &parts);
    }
    /* Else TLS 1.2 was offered alone, for a session that was refused.  If its
     * successor were kept, TLS 1.3 would not be offered again. */
}
