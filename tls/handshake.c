/* SPDX-License-Identifier: ISC */
#include "tls/handshake.h"

#include <string.h>

#include "lib/checked.h"
#include "tls/handshake_state.h"

/*
 * A handshake from its first step to its last, without waiting: each step goes
 * on until the flow below answers FLOW_AGAIN.  The phase only grows, from NEW
 * to DONE or FAILED.
 *
 * Invariants: while out holds records nothing is read, so the next message of
 * the peer can only answer what it has been sent.  If a step sends a flight
 * after it has read all that the lower flow had, it ends there and does not
 * read: the answer takes a round trip.  A failure is recorded once, and from
 * then on the only thing sent is its alert, or the answer to a client that does
 * not speak TLS.  When it has left, a server that owns the lower flow ends it
 * and discards input, until the peer has ended or the time is over.  The engine
 * is freed at that point: a failed handshake runs no code of mbedTLS.
 *
 * Locks: every function runs under both locks of the TLS flow (tls/tls_flow.h)
 * and takes those of the flow below inside them.
 */

/* Read-ahead: enough for a hello or a certificate flight in one call. */
#define HANDSHAKE_READ_STEP 4096u
/* How long a failed handshake waits, in ns, for a lower flow that does not take
 * the alert and for a peer that does not end; less where the handshake's limit
 * comes first. */
#define HANDSHAKE_LINGER 1000000000u

/* See tls/handshake.h. */
enum flow_status
flow__handshake_new(struct flow_tls_config *config, const struct flow_env *env,
                    const char *server_name,
                    struct flow__handshake **ret_handshake)
{
    struct flow__handshake *hs = flow_env_alloc(env, sizeof(*hs));
    struct flow__name name;

    if (hs == NULL)
        return FLOW_E_NOMEM;
    hs->env = env;
    hs->config = config;
    hs->server = config->server;
    hs->time_limit = config->handshake_time;
    hs->record_limit = FLOW__RECORD_PLAIN_MAX;
    hs->is_drained = true;
    hs->verify_flags = FLOW_VERIFY_MISSING;
    hs->path_end = INT64_MAX;
    hs->peer_key = FLOW__KEY_OTHER;
    flow__order_init(&hs->order, hs->server);
    flow__queue_init(&hs->raw, env);
    flow__queue_init(&hs->message, env);
    flow__queue_init(&hs->out, env);
    flow__queue_init(&hs->hello, env);
    flow__flight_init(&hs->flight, env);
    if (server_name != NULL) {
        hs->ip_name = flow__name_parse(server_name, strlen(server_name),
                                       &name) == FLOW__NAME_IP;
        if (hs->ip_name)
            memcpy(hs->name, server_name, strlen(server_name) + 1);
        else
            memcpy(hs->name, name.dns, name.dns_len + 1);
    }
    *ret_handshake = hs;
    return FLOW_OK;
}

/* See tls/handshake.h. */
void
flow__handshake_free(struct flow__handshake *hs)
{
    const struct flow_env *env;

    if (hs == NULL)
        return;
    env = hs->env;
    flow__engine_free(hs->engine);
    flow__queue_release(&hs->raw);
    flow__queue_release(&hs->message);
    flow__queue_release(&hs->out);
    flow__queue_release(&hs->hello);
    flow__flight_clear(&hs->flight);
    for (unsigned i = 0; i < FLOW__LEVELS; i++) {
        flow__record_fini(&hs->rx[i]);
        flow__record_fini(&hs->tx[i]);
    }
    flow_env_free(env, hs->alpn, hs->alpn_len);
    flow_env_free(env, hs->scope, hs->tickets.scope.len);
    flow_env_free(env, hs->client_chain, FLOW__TICKET_CHAIN_MAX);
    if (hs->session_peer != NULL)
        flow_env_free(env, hs->session_peer, strlen(hs->session_peer) + 1);
    flow__session_free(hs->session);
    flow__harvest_free(hs->harvest);
    flow_env_free(env, hs->chain, hs->chain_len);
    flow_env_free(env, hs->names, hs->names_len);
    flow_wipe(hs, sizeof(*hs));
    flow_env_free(env, hs, sizeof(*hs));
}

static enum flow_status
handshake_lower_failed(struct flow *lower, enum flow_dir dir,
                       enum flow_status st, struct flow_error *err)
{
    flow_get_error(lower, dir, err);
    flow_error_add_layer(err, "tls");
    return st;
}

/* Write our records to the lower flow, and flush it: no other call does so
 * while we wait for the peer's answer. */
static enum flow_status
handshake_flush_out(struct flow__handshake *hs, struct flow *lower,
                    struct flow_error *err)
{
    enum flow_status st;
    size_t n;

    while (flow__queue_len(&hs->out) > 0) {
        st = flow_write(lower, flow__queue_data(&hs->out),
                        flow__queue_len(&hs->out), &n);
        if (st < 0)
            return handshake_lower_failed(lower, FLOW_WRITE, st, err);
        if (st != FLOW_OK)
            return st;
        flow__queue_consume(&hs->out, n);
        hs->unflushed = true;
        hs->is_quiet = hs->is_drained;
    }
    if (!hs->unflushed)
        return FLOW_OK;
    st = flow_flush(lower);
    if (st < 0)
        return handshake_lower_failed(lower, FLOW_WRITE, st, err);
    hs->unflushed = st != FLOW_OK;
    return st;
}

/* Read the rest of the next record, and what else has arrived. */
static enum flow_status
handshake_fill_raw(struct flow__handshake *hs, struct flow *lower,
                   struct flow_error *err)
{
    size_t missing = flow__incoming_missing(hs);
    size_t n;
    enum flow_status st;

    if (!flow__queue_reserve(&hs->raw, missing > HANDSHAKE_READ_STEP
                                           ? missing
                                           : HANDSHAKE_READ_STEP))
        return flow_error_set(err, FLOW_E_NOMEM, "tls", FLOW_DOMAIN_NONE, 0,
                              "no memory for the handshake");
    st = flow_read(lower, flow__queue_tail(&hs->raw),
                   flow__queue_room(&hs->raw), &n);
    hs->is_drained = n < flow__queue_room(&hs->raw);
    flow__queue_extend(&hs->raw, n);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return st;
    if (st == FLOW_EOF) {
        (void)flow_error_set(err, FLOW_E_TRUNCATED, "tls", FLOW_DOMAIN_NONE, 0,
                             "the peer closed the connection in the handshake");
        return FLOW_E_TRUNCATED;
    }
    return handshake_lower_failed(lower, FLOW_READ, st, err);
}

static void
handshake_limit_time(struct flow__handshake *hs, uint64_t nsec)
{
    if (nsec != 0)
        hs->deadline = flow_deadline_min(
            hs->deadline, flow_time_after(hs->env->now(hs->env->ctx), nsec));
}

/* Resolving a name and connecting have limits of their own in the lower flow.
 * The time of the handshake begins when the lower flow is open. */
static enum flow_status
handshake_open_lower(struct flow__handshake *hs, struct flow *lower,
                     struct flow_error *err)
{
    enum flow_status st;

    if (hs->phase == FLOW__PHASE_NEW)
        handshake_limit_time(hs, hs->dial_limit);
    hs->phase = FLOW__PHASE_OPENING;
    st = flow_open(lower);
    return st < 0 ? handshake_lower_failed(lower, FLOW_READ, st, err) : st;
}

/* A client sends first. */
static enum flow_status
handshake_begin_client(struct flow__handshake *hs, struct flow_error *err)
{
    enum flow_status st =
        flow__engine_new(hs->config->engine, NULL, 0,
                         hs->name[0] != '\0' && !hs->ip_name ? hs->name : NULL,
                         NULL, &hs->engine);

    if (st != FLOW_OK)
        return flow_error_set(err, st, "tls", FLOW_DOMAIN_NONE, 0,
                              "the engine cannot start a handshake");
    flow__resumption_offer(hs);
    st = flow__engine_start(hs->engine, err);
    if (st == FLOW_AGAIN)
        st = flow__outgoing_events(hs, st, err);
    /* Nothing was sent yet. */
    err->alert_sent = FLOW__ALERT_NONE;
    return st;
}

static enum flow_status
handshake_begin(struct flow__handshake *hs, struct flow_error *err)
{
    hs->phase = FLOW__PHASE_RUNNING;
    handshake_limit_time(hs, hs->time_limit);
    return hs->server || !flow__engine_can_connect()
               ? FLOW_OK
               : handshake_begin_client(hs, err);
}

/* Queue what tells the peer that it is refused, if anything: the alert, or the
 * answer to a client that sent text. */
static void
handshake_queue_refusal(struct flow__handshake *hs)
{
    const struct flow_tls_config *c = hs->config;
    int alert = hs->failure.alert_sent;
    bool is_answered = hs->is_text && c->text_answer_len > 0;
    bool is_queued =
        is_answered
            ? flow__queue_append(&hs->out, c->text_answer, c->text_answer_len)
            : alert >= 0 && flow__outgoing_alert(hs, alert);

    if (is_answered || !is_queued)
        hs->failure.alert_sent = FLOW__ALERT_NONE;
    hs->lingers = is_queued && hs->server;
}

/* Fail the handshake. */
static void
handshake_give_up(struct flow__handshake *hs, const struct flow_error *err)
{
    hs->phase = FLOW__PHASE_FAILED;
    hs->is_asking = false;
    hs->failure = *err;
    flow__engine_free(hs->engine);
    hs->engine = NULL;
    flow__queue_release(&hs->raw);
    handshake_limit_time(hs, HANDSHAKE_LINGER);
    handshake_queue_refusal(hs);
}

static bool
handshake_is_late(const struct flow__handshake *hs)
{
    return hs->deadline != FLOW_NEVER &&
           hs->env->now(hs->env->ctx) >= hs->deadline;
}

/* The alert of a failed handshake waits for the lower flow like any record, and
 * the end of the lower flow for the peer; but only for a limited time, and not
 * beyond the deadline of the opening. */
static enum flow_status
handshake_linger(struct flow__handshake *hs, struct flow *lower,
                 uint32_t circumstances, struct flow_error *err)
{
    struct flow_error ignored;
    enum flow_status st = handshake_flush_out(hs, lower, &ignored);
    bool is_late = (circumstances & FLOW__STEP_LATE) != 0;
    bool is_over = st != FLOW_AGAIN;

    if ((circumstances & FLOW__STEP_ENDS_LOWER) == 0)
        hs->lingers = false;
    if (st == FLOW_OK && hs->lingers)
        is_over = flow__linger_step(&hs->linger, lower);
    if (!is_over && !is_late && !handshake_is_late(hs))
        return FLOW_AGAIN;
    /* If the caller's deadline has passed, flow_close() still offers the alert.
     */
    if (st != FLOW_AGAIN || !is_late)
        flow__queue_release(&hs->out);
    if (st != FLOW_OK)
        hs->failure.alert_sent = FLOW__ALERT_NONE;
    hs->deadline = hs->env->now(hs->env->ctx);
    *err = hs->failure;
    return err->status;
}

/* Process one record.  FLOW_AGAIN: the lower flow has no more now, or the
 * callback of the selector has no answer. */
static enum flow_status
handshake_advance(struct flow__handshake *hs, struct flow *lower,
                  struct flow_error *err)
{
    enum flow_status st = flow__incoming_next(hs, err);

    if (st >= 0 && hs->is_asking)
        return FLOW_AGAIN;
    if (st == FLOW_AGAIN)
        return hs->is_quiet ? FLOW_AGAIN : handshake_fill_raw(hs, lower, err);
    if (st != FLOW_OK)
        handshake_give_up(hs, err);
    return FLOW_OK;
}

static enum flow_status
handshake_start(struct flow__handshake *hs, struct flow *lower,
                struct flow_error *err)
{
    enum flow_status st = handshake_open_lower(hs, lower, err);

    if (st != FLOW_OK)
        return st;
    st = handshake_begin(hs, err);
    if (st != FLOW_OK)
        handshake_give_up(hs, err);
    return FLOW_OK;
}

/* See tls/handshake.h. */
enum flow_status
flow__handshake_step(struct flow__handshake *hs, struct flow *lower,
                     uint32_t circumstances, struct flow_error *err)
{
    bool is_late = (circumstances & FLOW__STEP_LATE) != 0;
    enum flow_status st = FLOW_OK;

    flow_error_clear(err);
    hs->is_quiet = false;
    if (hs->phase < FLOW__PHASE_RUNNING)
        st = handshake_start(hs, lower, err);
    if (st >= 0 && hs->phase != FLOW__PHASE_FAILED && is_late)
        return FLOW_AGAIN;
    if (st >= 0 && hs->phase != FLOW__PHASE_FAILED && handshake_is_late(hs))
        return flow_error_set(err, FLOW_E_TIMEOUT, "tls", FLOW_DOMAIN_NONE, 0,
                              hs->phase == FLOW__PHASE_OPENING
                                  ? "connecting took longer than its limit"
                                  : "the handshake took longer than its limit");
    while (st == FLOW_OK) {
        if (hs->phase == FLOW__PHASE_FAILED)
            return handshake_linger(hs, lower, circumstances, err);
        st = handshake_flush_out(hs, lower, err);
        if (st != FLOW_OK || hs->phase == FLOW__PHASE_DONE)
            return st;
        st = handshake_advance(hs, lower, err);
    }
    return st;
}

/* See tls/handshake.h. */
void
flow__handshake_offer_alert(struct flow__handshake *hs, struct flow *lower)
{
    struct flow_error ignored;

    if (hs->phase == FLOW__PHASE_FAILED)
        (void)!handshake_flush_out(hs, lower, &ignored);
}

/* See tls/handshake.h. */
void
flow__handshake_limit_time(struct flow__handshake *hs, uint64_t nsec)
{
    hs->dial_limit = nsec;
}

/* See tls/handshake.h. */
void
flow__handshake_export_to(struct flow__handshake *hs,
                          struct flow__exported *exported)
{
    hs->exported = exported;
}

/* See tls/handshake.h. */
enum flow_status
flow__handshake_set_peer(struct flow__handshake *hs, const char *peer)
{
    size_t size = strlen(peer) + 1;
    char *copy;

    if (hs->phase != FLOW__PHASE_NEW)
        return FLOW_E_BUSY;
    copy = flow_env_alloc(hs->env, size);
    if (copy == NULL)
        return FLOW_E_NOMEM;
    memcpy(copy, peer, size);
    if (hs->session_peer != NULL)
        flow_env_free(hs->env, hs->session_peer, strlen(hs->session_peer) + 1);
    hs->session_peer = copy;
    return FLOW_OK;
}

/* See tls/handshake.h. */
uint32_t
flow__handshake_wants(const struct flow__handshake *hs)
{
    if (hs->phase < FLOW__PHASE_RUNNING)
        return FLOW_READY_OPEN;
    if (flow__queue_len(&hs->out) > 0)
        return FLOW_READY_WRITE;
    if (hs->unflushed)
        return FLOW_READY_FLUSH;
    return hs->lingers ? flow__linger_wants(&hs->linger) : FLOW_READY_READ;
}

/* See tls/handshake.h. */
bool
flow__handshake_is_asking(const struct flow__handshake *hs,
                          struct flow_event **ret_answered,
                          uint32_t *ret_sequence)
{
    if (!hs->is_asking)
        return false;
    *ret_answered = hs->config->sni->answered;
    *ret_sequence = hs->answers;
    return true;
}

/* See tls/handshake.h. */
uint64_t
flow__handshake_deadline(const struct flow__handshake *hs)
{
    return hs->deadline;
}

/* See tls/handshake.h. */
bool
flow__handshake_is_fresh(const struct flow__handshake *hs)
{
    return hs->phase != FLOW__PHASE_FAILED && hs->taken == 0 &&
           flow__queue_len(&hs->raw) == 0 &&
           (hs->server || hs->phase < FLOW__PHASE_RUNNING);
}

/* See tls/handshake.h. */
struct flow__slot *
flow__handshake_slot(struct flow__handshake *hs)
{
    return &hs->slot;
}

/* See tls/handshake.h. */
size_t
flow__handshake_footprint(const struct flow__handshake *hs)
{
    return sizeof(*hs) + (size_t)hs->raw.cap + hs->message.cap + hs->out.cap +
           hs->hello.cap + hs->alpn_len;
}

/* The engine goes to the exporters, or to the harvest of tickets, which
 * otherwise shares that one. */
static void
handshake_hand_engine_over(struct flow__handshake *hs,
                           struct flow__takeover *over)
{
    bool is_kept = hs->config->keep_engine && hs->extended;

    if (hs->harvest != NULL) {
        hs->harvest->engine = hs->engine;
        hs->harvest->owns_engine = !is_kept;
    }
    if (is_kept)
        hs->exported->engine = hs->engine;
    if (is_kept || hs->harvest != NULL)
        hs->engine = NULL;
    over->harvest = hs->harvest;
    hs->harvest = NULL;
}

/* See tls/handshake.h. */
void
flow__handshake_take(struct flow__handshake *hs,
                     struct flow__takeover *ret_takeover,
                     struct flow__agreed *ret_agreed)
{
    memset(ret_takeover, 0, sizeof(*ret_takeover));
    ret_takeover->rx = hs->rx[FLOW__LEVEL_DATA];
    ret_takeover->tx = hs->tx[FLOW__LEVEL_DATA];
    memset(&hs->rx[FLOW__LEVEL_DATA], 0, sizeof(hs->rx[0]));
    memset(&hs->tx[FLOW__LEVEL_DATA], 0, sizeof(hs->tx[0]));
    ret_takeover->rx_secret = hs->rx_secret;
    ret_takeover->tx_secret = hs->tx_secret;
    ret_takeover->ahead = hs->raw;
    flow__queue_init(&hs->raw, hs->env);
    ret_takeover->record_limit = hs->record_limit;

    ret_agreed->version = hs->version;
    ret_agreed->group = hs->group;
    ret_agreed->resumed = flow__resumption_happened(hs);
    ret_agreed->alpn = flow__engine_alpn(hs->engine);
    ret_agreed->verify_flags = hs->verify_flags;
    ret_agreed->entry = hs->entry;
    ret_agreed->names = hs->names;
    ret_agreed->same_name = hs->same_name;
    hs->names = NULL;
    ret_agreed->peer_chain = hs->chain;
    /* Shorter than the message that it came in. */
    ret_agreed->peer_chain_len = (uint32_t)hs->chain_len;
    hs->chain = NULL;
    hs->chain_len = 0;
    handshake_hand_engine_over(hs, ret_takeover);
}
