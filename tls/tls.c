/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/tls_session.h>

#include "lib/atomic.h"
#include "lib/bits.h"
#include "tls/config.h"
#include "tls/limiter.h"
#include "tls/tls_flow.h"

/*
 * A TLS flow from wrapping to closing: its operations, those that move data
 * excepted (tls/transfer.c, tls/wait.c, tls/info.c).
 *
 * Order of locks: rx_lock, tx_lock, those of the flow below, the limiter's, the
 * wait lock (tls/tls_flow.h, tls/limiter.c).  Opening and settings hold both
 * locks of the flow.  Neither is held while anything is waited for.
 *
 * Invariant: before a lock is taken the process is checked, since in a forked
 * child a lock may be held for ever by a thread that does not exist there.
 */

#define TLS_PEER_MAX 255u /* of flow_tls_set_session_peer() */

#define TLS_BOTH ((uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE)

/* Release the handshake, if there is one, and its place in the limiter. */
static void
tls_end_handshake(struct flow__tls *t)
{
    if (t->hs != NULL)
        flow__limiter_leave(flow__handshake_slot(t->hs));
    flow__handshake_free(t->hs);
    t->hs = NULL;
}

/* The handshake is over: its keys and facts move in, its memory goes. */
static void
tls_take_over(struct flow__tls *t)
{
    struct flow__takeover over;
    bool tls13;

    flow__handshake_take(t->hs, &over, &t->agreed);
    if (!t->config->server && (t->config->skip_verify || t->config->skip_name))
        t->agreed.verify_flags |= FLOW_VERIFY_NOT_CHECKED;
    tls13 = t->agreed.version == FLOW_TLS_1_3;
    t->writer.peer_limit = (uint16_t)over.record_limit;
    t->writer.limit = (uint16_t)flow__min(t->writer.limit, over.record_limit);
    flow__reader_start(&t->reader, &over.rx, &over.rx_secret, &over.ahead,
                       tls13);
    flow__writer_start(&t->writer, &over.tx, &over.tx_secret, tls13);
    t->writer.keys.block = tls13 ? t->config->block : 0;
    t->writer.gathers = t->config->gathers;
    t->writer.first_units = t->config->first_units;
    t->writer.first_left = t->config->first_count;
    t->reader.harvest = over.harvest;
    flow_wipe(&over, sizeof(over));
    tls_end_handshake(t);
}

/* What a step of the handshake has to know, as FLOW__STEP_ bits. */
static uint32_t
tls_circumstances(const struct flow__tls *t)
{
    const struct flow *f = &t->base;
    bool ends = f->owns_lower && t->propagate &&
                (flow_caps(f->lower) & FLOW_CAP_HALF_CLOSE_WRITE) != 0;

    return (flow_opening_is_late(f) ? (uint32_t)FLOW__STEP_LATE : 0) |
           (ends ? (uint32_t)FLOW__STEP_ENDS_LOWER : 0);
}

static enum flow_status
tls_step_handshake(struct flow__tls *t, struct flow_error *err)
{
    struct flow__slot *slot = flow__handshake_slot(t->hs);
    enum flow_status st;

    if (flow__limiter_has_dropped(slot))
        return flow_error_set(err, FLOW_E_TIMEOUT, "tls", FLOW_DOMAIN_NONE, 0,
                              "the peer said nothing for so long that newer "
                              "connections took its place");
    st = flow__handshake_step(t->hs, t->base.lower, tls_circumstances(t), err);
    if (st == FLOW_AGAIN)
        flow__limiter_note(slot, !flow__handshake_is_fresh(t->hs));
    return st;
}

static enum flow_status
tls_open(struct flow *f)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow_error err;
    enum flow_status st = FLOW_OK;

    if (flow__tls_is_inherited(t))
        return flow__tls_refuse_inherited(t, TLS_BOTH);
    flow__tls_lock(t);
    if (t->hs != NULL) {
        flow__store(&t->process, flow_process());
        st = tls_step_handshake(t, &err);
        if (st == FLOW_OK)
            tls_take_over(t);
        if (st < 0) {
            flow__limiter_leave(flow__handshake_slot(t->hs));
            st = flow_fail_with(f, TLS_BOTH, &err);
        }
    }
    flow__tls_unlock(t);
    return st;
}

static enum flow_status
tls_detach(struct flow *f, const void **ret_ahead, size_t *ret_len)
{
    struct flow__tls *t = flow__tls_cast(f);
    bool clean;

    *ret_ahead = NULL;
    *ret_len = 0;
    if (flow__tls_is_inherited(t))
        return FLOW_E_INVAL;
    if (t->hs != NULL)
        return flow__handshake_is_fresh(t->hs) ? FLOW_OK : FLOW_E_BUSY;
    clean = t->reader.closed && flow__queue_len(&t->reader.plain) == 0 &&
            t->ended && !t->writer.dead;
    if (!clean)
        return FLOW_E_BUSY;
    *ret_ahead = flow__queue_data(&t->reader.cipher);
    *ret_len = flow__queue_len(&t->reader.cipher);
    return FLOW_OK;
}

/* An alert that waits for the lower flow is the only thing that a close still
 * sends: it tells the peer no more than a close without it, but why. */
static void
tls_offer_alert(struct flow__tls *t)
{
    struct flow *f = &t->base;

    if (flow__tls_is_inherited(t) || flow_is_aborted(f))
        return;
    if (t->hs != NULL)
        flow__handshake_offer_alert(t->hs, f->lower);
    else if (t->writer.dead || t->writer.spent)
        (void)flow__writer_flush(&t->writer, f->lower);
}

static void
tls_close(struct flow *f)
{
    struct flow__tls *t = flow__tls_cast(f);
    struct flow__exported *exported = flow__tls_exported(t);
    const size_t size = flow__tls_size(t->config);
    const struct flow_env *env = f->env;

    tls_offer_alert(t);
    tls_end_handshake(t);
    flow__reader_fini(&t->reader);
    flow__writer_fini(&t->writer);
    flow_env_free(env, t->agreed.peer_chain, t->agreed.peer_chain_len);
    flow_env_free(env, t->agreed.names, flow__agreed_names_len(&t->agreed));
    if (exported != NULL)
        flow__engine_free(exported->engine);
    flow_base_fini(f);
    flow_tls_config_unref(t->config);
    flow_wipe(t, size);
    flow_env_free(env, t, size);
}

static enum flow_status
tls_control_rekey(struct flow__tls *t, int64_t value)
{
    if (value != 0 && value != 1)
        return FLOW_E_INVAL;
    if (t->hs != NULL)
        return FLOW_AGAIN;
    if (t->agreed.version != FLOW_TLS_1_3)
        return FLOW_E_NOTSUP;
    flow__writer_owe(&t->writer,
                     value == 1 ? FLOW__OWED_REQUEST : FLOW__OWED_UPDATE);
    return FLOW_OK;
}

static enum flow_status
tls_control_limit(struct flow__tls *t, int64_t value)
{
    if (value < 64 || value > FLOW__RECORD_PLAIN_MAX)
        return FLOW_E_INVAL;
    /* A record that is held back was given room for the old limit. */
    if (t->writer.has_open)
        return FLOW_E_BUSY;
    t->writer.limit = (uint16_t)flow__min((size_t)value, t->writer.peer_limit);
    return FLOW_OK;
}

static enum flow_status
tls_control_propagate(struct flow__tls *t, bool on)
{
    /* Records that went down cannot be taken back. */
    if (t->settled && on != t->propagate)
        return FLOW_E_INVAL;
    t->propagate = on;
    return FLOW_OK;
}

static enum flow_status
tls_control_one(struct flow__tls *t, enum flow_control_key key, int64_t value)
{
    switch ((int)key) {
    case FLOW_CONTROL_REKEY:
        return tls_control_rekey(t, value);
    case FLOW_CONTROL_RECORD_LIMIT:
        return tls_control_limit(t, value);
    case FLOW_CONTROL_TRUNCATION:
        if (value != 0 && value != 1)
            return FLOW_E_INVAL;
        t->tolerate = value == 1;
        return FLOW_OK;
    case FLOW_CONTROL_PROPAGATE:
        if (value != 0 && value != 1)
            return FLOW_E_INVAL;
        return tls_control_propagate(t, value == 1);
    case FLOW_CONTROL_RELEASE:
        /* Empty queues hold no memory; the flows below may hold some. */
    default:
        return FLOW_E_NOTSUP;
    }
}

static enum flow_status
tls_control(struct flow *f, enum flow_control_key key, int64_t value)
{
    struct flow__tls *t = flow__tls_cast(f);
    enum flow_status st;

    if (flow__tls_is_inherited(t))
        return FLOW_E_INVAL;
    flow__tls_lock(t);
    st = tls_control_one(t, key, value);
    flow__tls_unlock(t);
    return st;
}

static const struct flow_ops tls_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "tls",
    .readv = flow__tls_readv,
    .writev = flow__tls_writev,
    .shutdown = flow__tls_shutdown,
    .wait = flow__tls_wait,
    .close = tls_close,
    .open = tls_open,
    .flush = flow__tls_flush,
    .lease = flow__tls_lease,
    .commit = flow__tls_commit,
    .detach = tls_detach,
    .query = flow__tls_query,
    .control = tls_control,
};

/* See tls/tls_flow.h. */
struct flow__tls *
flow__tls_find(struct flow *f)
{
    while (f != NULL && f->ops != &tls_ops)
        f = f->lower;
    return f != NULL ? flow__tls_cast(f) : NULL;
}

static uint32_t
tls_caps_over(uint32_t below)
{
    const uint32_t kept =
        FLOW_CAP_DUPLEX | FLOW_CAP_FD | FLOW_CAP_RESETS_UNREAD;

    return (below & kept) | FLOW_CAP_HALF_CLOSE_WRITE |
           FLOW_CAP_HALF_CLOSE_READ | FLOW_CAP_ORDERLY_END |
           FLOW_CAP_AUTHENTICATED_END | FLOW_CAP_CONFIDENTIAL |
           FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE | FLOW_CAP_NEEDS_OPEN |
           FLOW_CAP_DETACH;
}

static enum flow_status
tls_no_memory(struct flow_error *err)
{
    return flow_error_set(err, FLOW_E_NOMEM, "tls", FLOW_DOMAIN_NONE, 0,
                          "no memory for a TLS flow");
}

/* See tls/tls_flow.h. */
enum flow_status
flow__tls_wrap(struct flow_tls_config *c, struct flow *lower,
               const char *server_name, uint32_t flags,
               struct flow__tls **ret_tls, struct flow_error *err)
{
    const struct flow_env *env = flow_get_env(lower);
    bool owned = (flags & FLOW_TLS_BORROW) == 0;
    struct flow__tls *t;
    enum flow_status st = flow_tls_config_freeze(c, err);

    if (st != FLOW_OK)
        return st;
    t = flow_env_alloc(env, flow__tls_size(c));
    if (t == NULL)
        return tls_no_memory(err);
    st = flow__handshake_new(c, env, server_name, &t->hs);
    if (st != FLOW_OK) {
        flow_env_free(env, t, flow__tls_size(c));
        return tls_no_memory(err);
    }
    st = flow_base_wrap(&t->base, &tls_ops, lower, owned,
                        tls_caps_over(flow_caps(lower)));
    if (st != FLOW_OK) {
        flow__handshake_free(t->hs);
        flow_env_free(env, t, flow__tls_size(c));
        return flow_error_set(err, st, "tls", FLOW_DOMAIN_NONE, 0,
                              "no flow can be made of these operations");
    }
    flow__reader_init(&t->reader, env, c->server, c->key_limit);
    flow__writer_init(&t->writer, env, FLOW__RECORD_PLAIN_MAX, c->key_limit);
    t->config = flow_tls_config_ref(c);
    flow__handshake_export_to(t->hs, flow__tls_exported(t));
    t->propagate = owned;
    t->tolerate = c->tolerate_truncation;
    t->agreed.alpn = "";
    *ret_tls = t;
    return FLOW_OK;
}

static enum flow_status
tls_refuse(struct flow_error *err, const char *text, const char *hint)
{
    (void)flow_error_set(err, FLOW_E_INVAL, "tls", FLOW_DOMAIN_NONE, 0, text);
    if (err != NULL)
        err->hint = hint;
    return FLOW_E_INVAL;
}

static bool
tls_is_server_name(const char *name)
{
    struct flow__name parsed;
    size_t len = strlen(name);

    return len <= FLOW__NAME_MAX + 1 &&
           flow__name_parse(name, len, &parsed) != FLOW__NAME_INVALID;
}

/* A configuration for one role, and the flags. */
static enum flow_status
tls_check_use(const struct flow_tls_config *c, bool server, uint32_t flags,
              struct flow_error *err)
{
    if ((flags & ~FLOW_TLS_BORROW) != 0)
        return tls_refuse(err, "unknown flags", "give 0 or FLOW_TLS_BORROW");
    if (c->server == server)
        return FLOW_OK;
    if (server)
        return tls_refuse(err, "a client's configuration cannot serve",
                          "make one with flow_tls_config_new_server()");
    return tls_refuse(err, "a server's configuration cannot be a client's",
                      "make one with flow_tls_config_new_client()");
}

static enum flow_status
tls_check_server_name(const struct flow_tls_config *c, const char *name,
                      struct flow_error *err)
{
    bool missing = name == NULL || name[0] == '\0';

    if (missing ? name == NULL && (c->skip_verify || c->skip_name)
                : tls_is_server_name(name))
        return FLOW_OK;
    if (missing)
        return tls_refuse(err, "there is no server name to verify",
                          "give the name that the certificate must have");
    (void)tls_refuse(err, "the server name is not a host name or an address",
                     "write internationalised names in their xn-- form");
    flow_error_set_detail(err, name);
    return FLOW_E_INVAL;
}

/* See <flow/tls_session.h>. */
enum flow_status
flow_tls_set_session_peer(struct flow *f, const char *peer)
{
    struct flow__tls *t = flow__tls_cast(f);
    enum flow_status st = FLOW_E_BUSY;

    if (f->ops != &tls_ops || t->config->server)
        return FLOW_E_NOTSUP;
    if (strlen(peer) > TLS_PEER_MAX)
        return FLOW_E_INVAL;
    if (flow__tls_is_inherited(t))
        return FLOW_E_BUSY;
    flow__tls_lock(t);
    if (t->hs != NULL)
        st = flow__handshake_set_peer(t->hs, peer);
    flow__tls_unlock(t);
    return st;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_wrap_client(struct flow_tls_config *c, struct flow *lower,
                     const char *server_name, uint32_t flags,
                     struct flow **ret_flow, struct flow_error *ret_err)
{
    enum flow_status st = tls_check_use(c, false, flags, ret_err);
    struct flow__tls *t;

    if (st == FLOW_OK)
        st = tls_check_server_name(c, server_name, ret_err);
    if (st == FLOW_OK)
        st = flow__tls_wrap(c, lower, server_name, flags, &t, ret_err);
    if (st == FLOW_OK)
        *ret_flow = &t->base;
    return st;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_wrap_server(struct flow_tls_config *c, struct flow *lower,
                     uint32_t flags, struct flow **ret_flow,
                     struct flow_error *ret_err)
{
    enum flow_status st = tls_check_use(c, true, flags, ret_err);
    struct flow__tls *t;

    if (st == FLOW_OK)
        st = flow__tls_wrap(c, lower, NULL, flags, &t, ret_err);
    if (st == FLOW_OK)
        *ret_flow = &t->base;
    return st;
}
