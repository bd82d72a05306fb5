/* SPDX-License-Identifier: ISC */
#include "tls/handshake.h"

#include <string.h>

#include "lib/checked.h"
#include "tls/handshake_state.h"
#include "tls/sni.h"

/* Read-ahead: enough for a hello or a certificate flight in one call. */
#define READ_STEP 4096u
/* An engine that wants to be called again without having asked for a record
 * (mbedTLS after some messages); more than this is a bug of ours. */
#define ENGINE_CALLS_MAX 16

static enum flow_status
refuse(struct flow__fault *fault, enum flow__alert alert, const char *text)
{
    fault->alert = alert;
    fault->text = text;
    return FLOW_E_PROTO;
}

static size_t
engine_recv(void *ctx, uint8_t *buf, size_t len)
{
    struct flow__handshake *hs = ctx;
    size_t n = flow__stage_len(&hs->feed);

    if (n > len)
        n = len;
    hs->starved = n == 0;
    if (n == 0)
        return 0;
    memcpy(buf, flow__stage_data(&hs->feed), n);
    flow__stage_consume(&hs->feed, n);
    return n;
}

static void
engine_secret(void *ctx, const struct flow__engine_secret *s)
{
    struct flow__handshake *hs = ctx;
    struct flow__exported *e;

    memcpy(hs->client_random, s->client_random, sizeof(hs->client_random));
    memcpy(hs->server_random, s->server_random, sizeof(hs->server_random));
    if (s->kind == FLOW__SECRET_MASTER) {
        memcpy(hs->master, s->bytes, sizeof(hs->master));
        hs->has_master = true;
        return;
    }
    e = &hs->secret[s->kind];
    /* The hash has no getter; the secret's length tells it. */
    e->secret.hash = s->len == FLOW__SHA384 ? FLOW__SHA384 : FLOW__SHA256;
    memcpy(e->secret.bytes, s->bytes, (size_t)e->secret.hash);
    e->is_set = true;
}

static struct flow__keypair *
engine_keypair(void *ctx)
{
    struct flow__handshake *hs = ctx;

    return hs->pair;
}

static enum flow_status
make_engine(struct flow__handshake *hs)
{
    const struct flow__engine_hooks hooks = {
        .ctx = hs,
        .recv = engine_recv,
        .send = flow__outgoing_record,
        .secret = engine_secret,
        .keypair = engine_keypair,
    };

    return flow__engine_new(hs->config->engine, &hooks,
                            hs->has_name ? hs->name : NULL, hs->ip_name,
                            &hs->engine);
}

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
    hs->engine_alert = FLOW__ALERT_NONE;
    flow__stage_init(&hs->raw, env);
    flow__stage_init(&hs->message, env);
    flow__stage_init(&hs->feed, env);
    flow__stage_init(&hs->last, env);
    flow__stage_init(&hs->out, env);
    if (server_name != NULL) {
        hs->ip_name = flow__name_parse(server_name, strlen(server_name),
                                       &name) == FLOW__NAME_IP;
        if (hs->ip_name)
            memcpy(hs->name, server_name, strlen(server_name) + 1);
        else
            memcpy(hs->name, name.dns, name.dns_len + 1);
        hs->has_name = true;
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
    flow__stage_release(&hs->raw);
    flow__stage_release(&hs->message);
    flow__stage_release(&hs->feed);
    flow__stage_release(&hs->last);
    flow__stage_release(&hs->out);
    flow__record_fini(&hs->tx_handshake);
    flow__record_fini(&hs->rx_handshake);
    flow__record_fini(&hs->tx_data);
    flow__record_fini(&hs->rx_data);
    flow__record_fini(&hs->feed_keys);
    flow_env_free(env, hs->alpn, hs->alpn_len);
    flow_env_free(env, hs->chain, hs->chain_len);
    flow_env_free(env, hs->names, hs->names_len);
    flow_wipe(hs, sizeof(*hs));
    flow_env_free(env, hs, sizeof(*hs));
}

static enum flow_status
derive13(struct flow__handshake *hs, enum flow__secret_kind kind,
         struct flow__record_keys *keys)
{
    struct flow__key_material material;
    enum flow_status st;

    if (keys->ctx != NULL || !hs->secret[kind].is_set)
        return FLOW_OK;
    st = flow__keys_traffic(hs->suite, &hs->secret[kind].secret, &material);
    if (st == FLOW_OK)
        st = flow__record_init(keys, hs->env, hs->suite, &material, 0);
    flow_wipe(&material, sizeof(material));
    return st;
}

static enum flow_status
derive12(struct flow__handshake *hs)
{
    struct flow__keys12 from = { hs->master, hs->client_random,
                                 hs->server_random };
    struct flow__key_material client, server;
    enum flow_status st;

    if (!hs->has_master || hs->rx_data.ctx != NULL)
        return FLOW_OK;
    st = flow__keys_tls12(hs->suite, &from, &client, &server);
    /* The first of the two may be there from an attempt that found no memory
     * for the second. */
    if (st == FLOW_OK && hs->tx_data.ctx == NULL)
        st = flow__record_init(&hs->tx_data, hs->env, hs->suite,
                               hs->server ? &server : &client, 0);
    if (st == FLOW_OK)
        st = flow__record_init(&hs->rx_data, hs->env, hs->suite,
                               hs->server ? &client : &server, 0);
    if (st == FLOW_OK)
        st = flow__record_init(&hs->feed_keys, hs->env, hs->suite,
                               hs->server ? &client : &server, 0);
    flow_wipe(&client, sizeof(client));
    flow_wipe(&server, sizeof(server));
    return st;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__handshake_derive(struct flow__handshake *hs)
{
    static const enum flow__secret_kind handshake[2] = {
        FLOW__SECRET_CLIENT_HANDSHAKE, FLOW__SECRET_SERVER_HANDSHAKE
    };
    static const enum flow__secret_kind data[2] = { FLOW__SECRET_CLIENT_DATA,
                                                    FLOW__SECRET_SERVER_DATA };
    int ours = hs->server ? 1 : 0;
    enum flow_status st;

    if (hs->suite == NULL)
        return FLOW_OK;
    if (hs->version == FLOW_TLS_1_2)
        return derive12(hs);
    st = derive13(hs, handshake[ours], &hs->tx_handshake);
    if (st == FLOW_OK)
        st = derive13(hs, handshake[1 - ours], &hs->rx_handshake);
    if (st == FLOW_OK)
        st = derive13(hs, handshake[1 - ours], &hs->feed_keys);
    if (st == FLOW_OK)
        st = derive13(hs, data[ours], &hs->tx_data);
    if (st == FLOW_OK)
        st = derive13(hs, data[1 - ours], &hs->rx_data);
    return st;
}

static bool
offers_group(const struct flow_tls_config *c, uint16_t group)
{
    for (size_t i = 0; i < c->group_count; i++) {
        if (c->group[i] == group)
            return true;
    }
    return false;
}

static enum flow_status
take_retry(struct flow__handshake *hs, const struct flow__server_hello *hello,
           struct flow__fault *fault)
{
    if (hs->retry)
        return refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                      "the peer sent a second HelloRetryRequest");
    /* RFC 8446 4.1.4; the engine would send the same ClientHello again. */
    if (hello->group == 0 && hello->cookie.len == 0)
        return refuse(fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                      "the peer's HelloRetryRequest asks for nothing");
    /* RFC 8446 4.2.8; mbedTLS 3.6.6 follows to any group that it has. */
    if (!hs->server && hello->group != 0 &&
        !offers_group(hs->config, hello->group))
        return refuse(fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                      "the server asks for a group that was not offered");
    /* mbedTLS calls every cookie unasked for, as if RFC 8446 4.2.2 had not
     * said that it is. */
    if (!hs->server && hello->cookie.len > 0)
        return refuse(fault, FLOW__ALERT_HANDSHAKE_FAILURE,
                      "the server wants a cookie back, which the engine cannot "
                      "send");
    hs->retry = true;
    return FLOW_OK;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__handshake_hello(struct flow__handshake *hs, const uint8_t *msg,
                      size_t len, struct flow__fault *fault)
{
    struct flow__server_hello hello;
    enum flow_status st = flow__hello_parse_server(msg, len, &hello, fault);

    if (st != FLOW_OK)
        return st;
    if (!hs->server && flow__handshake_is_unsolicited(hs, hello.extensions))
        return refuse(fault, FLOW__ALERT_UNSUPPORTED_EXTENSION,
                      "the peer answered an extension it was not sent");
    if (hello.retry)
        return take_retry(hs, &hello, fault);
    if (hello.version < (uint16_t)hs->config->min_version ||
        hello.version > (uint16_t)hs->config->max_version)
        return refuse(fault, FLOW__ALERT_PROTOCOL_VERSION,
                      "no protocol version in common");
    /* RFC 8446 9.2; we offer no key exchange by PSK alone. */
    if (hello.version == FLOW_TLS_1_3 && hello.group == 0)
        return refuse(fault, FLOW__ALERT_MISSING_EXTENSION,
                      "the peer sent no key share");
    /* RFC 7627 5.2: without it the session can be spliced; the engine neither
     * requires nor reports it. */
    if (hello.version == FLOW_TLS_1_2 && !hello.extended_master_secret)
        return refuse(fault, FLOW__ALERT_HANDSHAKE_FAILURE,
                      "TLS 1.2 without the extended master secret");
    hs->suite = flow__suite_find(hello.suite);
    if (hs->suite == NULL || hs->suite->version != hello.version)
        return refuse(fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                      "the peer chose a cipher suite that was not offered");
    hs->version = hello.version;
    if (hello.group != 0)
        hs->group = hello.group;
    hs->resumed = hello.psk;
    return FLOW_OK;
}

static void
note_decision(struct flow__handshake *hs, const struct flow__client_hello *ch,
              const struct flow__sni_decision *d)
{
    hs->pair = hs->config->pair[d->index];
    if (ch->sni_state == FLOW__SNI_NAME)
        memcpy(hs->sni, ch->sni.dns, ch->sni.dns_len + 1);
    if (d->pattern.base != NULL && d->pattern.len < sizeof(hs->pattern)) {
        memcpy(hs->pattern, d->pattern.base, d->pattern.len);
        hs->pattern[d->pattern.len] = '\0';
    }
}

static enum flow_status
choose(struct flow__handshake *hs, const struct flow__client_hello *ch,
       struct flow__fault *fault)
{
    const struct flow_tls_config *c = hs->config;
    const struct flow__sni_policy policy = {
        .min_version = (uint16_t)c->min_version,
        .max_version = (uint16_t)c->max_version,
        .suites = c->suite,
        .suite_count = c->suite_count,
    };
    struct flow__sni_decision decision;

    /* RFC 7507 3 */
    if (ch->fallback_scsv && ch->max_version < (uint16_t)c->max_version)
        return refuse(fault, FLOW__ALERT_INAPPROPRIATE_FALLBACK,
                      "the client fell back below what both sides support");
    /* RFC 8446 9.2, 4.2.9; the engine looks after groups and shares. */
    if (flow__sni_version(&policy, ch) == FLOW_TLS_1_3 &&
        (ch->psk ? !ch->psk_modes : ch->sigalgs.base == NULL))
        return refuse(fault, FLOW__ALERT_MISSING_EXTENSION,
                      "the client left out an extension that TLS 1.3 needs");
    flow__sni_select(c->candidate, c->pair_count, &policy, ch, &decision);
    if (!decision.serve) {
        *fault = decision.fault;
        return FLOW_E_PROTO;
    }
    if (decision.version == FLOW_TLS_1_2 && !ch->extended_master_secret)
        return refuse(fault, FLOW__ALERT_HANDSHAKE_FAILURE,
                      "TLS 1.2 without the extended master secret");
    note_decision(hs, ch, &decision);
    return FLOW_OK;
}

/* A second ClientHello may not ask for something else (RFC 8446 4.1.2). */
static enum flow_status
check_second(struct flow__handshake *hs, const struct flow__client_hello *ch,
             struct flow__fault *fault)
{
    const char *name = ch->sni_state == FLOW__SNI_NAME ? ch->sni.dns : "";

    hs->second_hello = true;
    hs->skip_early = false;
    if (strcmp(name, hs->sni) != 0 || ch->alpn.len != hs->alpn_len ||
        (hs->alpn_len > 0 &&
         memcmp(ch->alpn.base, hs->alpn, hs->alpn_len) != 0) ||
        ch->early_data)
        return refuse(fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                      "the second ClientHello differs from the first");
    return FLOW_OK;
}

/* See tls/handshake_state.h. */
enum flow_status
flow__handshake_client_hello(struct flow__handshake *hs, const uint8_t *msg,
                             size_t len, struct flow__fault *fault)
{
    struct flow__client_hello ch;
    enum flow_status st = flow__hello_parse_client(msg, len, &ch, fault);

    if (st != FLOW_OK)
        return st;
    if (hs->engine != NULL)
        return check_second(hs, &ch, fault);
    st = choose(hs, &ch, fault);
    if (st != FLOW_OK)
        return st;
    if (ch.alpn.len > 0) {
        hs->alpn = flow_env_alloc(hs->env, ch.alpn.len);
        if (hs->alpn == NULL)
            return FLOW_E_NOMEM;
        memcpy(hs->alpn, ch.alpn.base, ch.alpn.len);
        hs->alpn_len = ch.alpn.len;
    }
    hs->skip_early = ch.early_data;
    return make_engine(hs);
}

static enum flow_status
lower_failed(struct flow *lower, enum flow_dir dir, enum flow_status st,
             struct flow_error *err)
{
    flow_get_error(lower, dir, err);
    flow_error_add_layer(err, "tls");
    return st;
}

/* Push records of ours down, and on from the lower flow: nobody would do it
 * while we wait for the peer's answer. */
static enum flow_status
flush_out(struct flow__handshake *hs, struct flow *lower,
          struct flow_error *err)
{
    enum flow_status st;
    size_t n;

    while (flow__stage_len(&hs->out) > 0) {
        st = flow_write(lower, flow__stage_data(&hs->out),
                        flow__stage_len(&hs->out), &n);
        if (st < 0)
            return lower_failed(lower, FLOW_WRITE, st, err);
        if (st != FLOW_OK)
            return st;
        flow__stage_consume(&hs->out, n);
        hs->unflushed = true;
    }
    if (!hs->unflushed)
        return FLOW_OK;
    st = flow_flush(lower);
    if (st < 0)
        return lower_failed(lower, FLOW_WRITE, st, err);
    hs->unflushed = st != FLOW_OK;
    return st;
}

/* Read what the next record lacks, and what else is there. */
static enum flow_status
fill_raw(struct flow__handshake *hs, struct flow *lower, struct flow_error *err)
{
    size_t missing = flow__incoming_missing(hs);
    size_t n;
    enum flow_status st;

    if (!flow__stage_reserve(&hs->raw,
                             missing > READ_STEP ? missing : READ_STEP))
        return flow_error_set(err, FLOW_E_NOMEM, "tls", FLOW_DOMAIN_NONE, 0,
                              "no memory for the handshake");
    st = flow_read(lower, flow__stage_tail(&hs->raw),
                   flow__stage_room(&hs->raw), &n);
    hs->raw.end += n;
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return st;
    if (st == FLOW_EOF) {
        (void)flow_error_set(err, FLOW_E_TRUNCATED, "tls", FLOW_DOMAIN_NONE, 0,
                             "the peer closed the connection in the handshake");
        return FLOW_E_TRUNCATED;
    }
    return lower_failed(lower, FLOW_READ, st, err);
}

/* The end of a failed handshake: the alert, once, best effort. */
static enum flow_status
give_up(struct flow__handshake *hs, struct flow *lower, struct flow_error *err)
{
    struct flow_error ignored;

    if (err->alert_sent >= 0 && (!flow__outgoing_alert(hs, err->alert_sent) ||
                                 flush_out(hs, lower, &ignored) != FLOW_OK))
        err->alert_sent = FLOW__ALERT_NONE;
    return err->status;
}

static enum flow_status
give_up_fault(struct flow__handshake *hs, struct flow *lower,
              enum flow_status status, const struct flow__fault *fault,
              struct flow_error *err)
{
    (void)flow_error_set(err, status, "tls", FLOW_DOMAIN_NONE, 0,
                         status == FLOW_E_NOMEM ? "no memory for the handshake"
                         : fault->text != NULL
                             ? fault->text
                             : "the handshake cannot be protected");
    err->alert_sent =
        (int16_t)(status == FLOW_E_PROTO ? fault->alert
                                         : FLOW__ALERT_INTERNAL_ERROR);
    if (hs->sni[0] != '\0')
        flow_error_set_detail(err, hs->sni);
    return give_up(hs, lower, err);
}

/* The engine refused: find the alert that the RFC names, which is not always
 * the one the engine had in mind, if it had any. */
static enum flow_status
give_up_engine(struct flow__handshake *hs, struct flow *lower,
               size_t out_before, struct flow_error *err)
{
    if (hs->hook_status != FLOW_OK) {
        /* What the call wrote so far must not leave: it was refused. */
        hs->out.end = hs->out.start + out_before;
        return give_up_fault(hs, lower, hs->hook_status, &hs->hook_fault, err);
    }
    if (hs->engine_alert >= 0 && err->status != FLOW_E_AUTH)
        err->alert_sent = (int16_t)hs->engine_alert;
    if (err->status == FLOW_E_PROTO)
        flow__handshake_explain(hs, err);
    return give_up(hs, lower, err);
}

/* No longer than they are: they stay as long as the connection. */
static enum flow_status
keep_names(struct flow__handshake *hs)
{
    const char *asked = hs->server ? hs->sni : hs->name;
    size_t asked_len = strlen(asked) + 1;

    if (!hs->server)
        flow__engine_matched_name(hs->engine, hs->pattern, sizeof(hs->pattern));
    hs->names_len = asked_len + strlen(hs->pattern) + 1;
    hs->names = flow_env_alloc(hs->env, hs->names_len);
    if (hs->names == NULL)
        return FLOW_E_NOMEM;
    memcpy(hs->names, asked, asked_len);
    memcpy(hs->names + asked_len, hs->pattern, strlen(hs->pattern) + 1);
    return FLOW_OK;
}

/* The last things a handshake needs before its engine may go. */
static enum flow_status
complete(struct flow__handshake *hs, struct flow__fault *fault)
{
    enum flow_status st = flow__handshake_derive(hs);

    if (st != FLOW_OK)
        return st;
    if (hs->tx_data.ctx == NULL || hs->rx_data.ctx == NULL) {
        (void)refuse(fault, FLOW__ALERT_INTERNAL_ERROR,
                     "the engine exported no keys");
        return FLOW_E_SYS;
    }
    st = keep_names(hs);
    if (st != FLOW_OK)
        return st;
    hs->chain_len = flow__engine_peer_chain(hs->engine, NULL, 0);
    if (hs->chain_len > 0) {
        hs->chain = flow_env_alloc(hs->env, hs->chain_len);
        if (hs->chain == NULL)
            return FLOW_E_NOMEM;
        (void)flow__engine_peer_chain(hs->engine, hs->chain, hs->chain_len);
    }
    hs->done = true;
    return FLOW_OK;
}

static enum flow_status
run_engine(struct flow__handshake *hs, struct flow *lower,
           struct flow_error *err)
{
    size_t out_before = flow__stage_len(&hs->out);
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow_status st = FLOW_AGAIN;

    hs->starved = false;
    for (int i = 0; st == FLOW_AGAIN && !hs->starved && i < ENGINE_CALLS_MAX;
         i++)
        st = flow__engine_step(hs->engine, err);
    if (st == FLOW_AGAIN && hs->hook_status == FLOW_OK)
        return FLOW_AGAIN;
    if (st != FLOW_OK || hs->hook_status != FLOW_OK)
        return give_up_engine(hs, lower, out_before, err);
    if (flow__engine_has_more(hs->engine) || flow__stage_len(&hs->feed) > 0) {
        (void)refuse(&fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                     "the peer sent a message behind its Finished");
        st = FLOW_E_PROTO;
    } else {
        st = complete(hs, &fault);
    }
    return st == FLOW_OK ? FLOW_OK : give_up_fault(hs, lower, st, &fault, err);
}

static void
limit_time(struct flow__handshake *hs, uint64_t nsec)
{
    if (nsec != 0)
        hs->deadline = flow_deadline_min(
            hs->deadline, flow__time_after(hs->env->now(hs->env->ctx), nsec));
}

/* Looking a name up and connecting is the lower flow's, with limits of its
 * own: the peer's time begins when it can hear us. */
static enum flow_status
open_lower(struct flow__handshake *hs, struct flow *lower,
           struct flow_error *err)
{
    enum flow_status st;

    if (!hs->stepped)
        limit_time(hs, hs->dial_limit);
    hs->stepped = true;
    st = flow_open(lower);
    return st < 0 ? lower_failed(lower, FLOW_READ, st, err) : st;
}

static enum flow_status
begin(struct flow__handshake *hs, struct flow_error *err)
{
    enum flow_status st = FLOW_OK;

    hs->started = true;
    limit_time(hs, hs->time_limit);
    if (!hs->server)
        st = make_engine(hs);
    if (st != FLOW_OK)
        return flow_error_set(err, st, "tls", FLOW_DOMAIN_NONE, 0,
                              "the engine cannot start a handshake");
    return FLOW_OK;
}

/* One record further.  FLOW_AGAIN: the lower flow has no more now. */
static enum flow_status
advance(struct flow__handshake *hs, struct flow *lower, struct flow_error *err)
{
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow_status st;

    if (hs->engine != NULL) {
        st = run_engine(hs, lower, err);
        if (st != FLOW_AGAIN || flow__stage_len(&hs->out) > 0)
            return st == FLOW_AGAIN ? FLOW_OK : st;
    }
    err->status = FLOW_OK;
    st = flow__incoming_next(hs, &fault, err);
    if (st == FLOW_OK)
        return FLOW_OK;
    if (st == FLOW_AGAIN)
        return fill_raw(hs, lower, err);
    if (err->status != FLOW_OK)
        return give_up(hs, lower, err);
    return give_up_fault(hs, lower, st, &fault, err);
}

/* See tls/handshake.h. */
enum flow_status
flow__handshake_step(struct flow__handshake *hs, struct flow *lower,
                     struct flow_error *err)
{
    enum flow_status st = FLOW_OK;

    flow_error_clear(err);
    if (!hs->started) {
        st = open_lower(hs, lower, err);
        if (st == FLOW_OK)
            st = begin(hs, err);
    }
    if (st >= 0 && hs->deadline != FLOW_NEVER &&
        hs->env->now(hs->env->ctx) >= hs->deadline)
        return flow_error_set(err, FLOW_E_TIMEOUT, "tls", FLOW_DOMAIN_NONE, 0,
                              hs->started
                                  ? "the handshake took longer than its limit"
                                  : "connecting took longer than its limit");
    while (st == FLOW_OK) {
        st = flush_out(hs, lower, err);
        if (st != FLOW_OK || hs->done)
            return st;
        st = advance(hs, lower, err);
    }
    return st;
}

/* See tls/handshake.h. */
void
flow__handshake_limit_time(struct flow__handshake *hs, uint64_t nsec)
{
    hs->dial_limit = nsec;
}

/* See tls/handshake.h. */
uint32_t
flow__handshake_wants(const struct flow__handshake *hs)
{
    if (!hs->started)
        return FLOW_READY_OPEN;
    if (flow__stage_len(&hs->out) > 0)
        return FLOW_READY_WRITE;
    return hs->unflushed ? FLOW_READY_FLUSH : FLOW_READY_READ;
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
    return hs->taken == 0 && flow__stage_len(&hs->raw) == 0 &&
           (hs->server || !hs->started);
}

/* See tls/handshake.h. */
size_t
flow__handshake_footprint(const struct flow__handshake *hs)
{
    return sizeof(*hs) + hs->raw.cap + hs->message.cap + hs->feed.cap +
           hs->last.cap + hs->out.cap + hs->alpn_len;
}

/* See tls/handshake.h. */
void
flow__handshake_take(struct flow__handshake *hs,
                     struct flow__takeover *ret_takeover,
                     struct flow__agreed *ret_agreed)
{
    bool tls13 = hs->version == FLOW_TLS_1_3;
    const struct flow__secret *client, *server;

    memset(ret_takeover, 0, sizeof(*ret_takeover));
    ret_takeover->rx = hs->rx_data;
    ret_takeover->tx = hs->tx_data;
    memset(&hs->rx_data, 0, sizeof(hs->rx_data));
    memset(&hs->tx_data, 0, sizeof(hs->tx_data));
    client = &hs->secret[FLOW__SECRET_CLIENT_DATA].secret;
    server = &hs->secret[FLOW__SECRET_SERVER_DATA].secret;
    ret_takeover->rx_secret = hs->server ? *client : *server;
    ret_takeover->tx_secret = hs->server ? *server : *client;
    ret_takeover->ahead = hs->raw;
    flow__stage_init(&hs->raw, hs->env);
    ret_takeover->record_limit = tls13
                                     ? FLOW__RECORD_PLAIN_MAX
                                     : flow__engine_record_limit12(hs->engine);

    ret_agreed->version = hs->version;
    ret_agreed->suite = hs->suite;
    ret_agreed->group = hs->group;
    ret_agreed->resumed = hs->resumed;
    ret_agreed->alpn = flow__engine_alpn(hs->engine);
    ret_agreed->verify_flags = flow__engine_verify_flags(hs->engine);
    ret_agreed->names = hs->names;
    ret_agreed->names_len = hs->names_len;
    ret_agreed->server_name = hs->names;
    ret_agreed->matched_name = hs->names + strlen(hs->names) + 1;
    hs->names = NULL;
    ret_agreed->peer_chain = hs->chain;
    ret_agreed->peer_chain_len = hs->chain_len;
    hs->chain = NULL;
    hs->chain_len = 0;
}
