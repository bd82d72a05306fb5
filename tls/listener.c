/* SPDX-License-Identifier: ISC */
#include <flow/tls_holder.h>

#include "tls/config.h"
#include "tls/limiter.h"
#include "tls/tls_flow.h"

/*
 * A listener that accepts TLS flows from another listener.
 *
 * Invariants: it owns the listener below and a reference to a holder, whose
 * configuration each flow gets when it is accepted.  An accepted flow enters
 * the limiter before it is given out and leaves it after its handshake.  While
 * the limiter has no room, nothing is accepted from the listener below, whose
 * backlog then fills.
 *
 * Locks: none of its own; the limiter and the holder have one each.
 */

#define LISTENER_HANDSHAKES 1024u

struct listener_tls {
    struct flow_listener base;
    struct flow_listener *lower;
    struct flow_tls_holder *holder;
    struct flow__limiter *limiter;
};

static struct listener_tls *
listener_of(struct flow_listener *l)
{
    return (struct listener_tls *)(void *)l;
}

static enum flow_status
listener_wrap(struct listener_tls *t, struct flow *lower,
              struct flow__tls **ret_tls)
{
    struct flow_tls_config *config = flow_tls_holder_get(t->holder);
    enum flow_status st = flow__tls_wrap(config, lower, NULL, 0, ret_tls, NULL);

    flow_tls_config_unref(config);
    return st;
}

static enum flow_status
listener_accept(struct flow_listener *l, struct flow **ret_flow)
{
    struct listener_tls *t = listener_of(l);
    struct flow *lower;
    struct flow__tls *tls;
    enum flow_status st;

    if (!flow__limiter_has_room(t->limiter, NULL))
        return FLOW_AGAIN;
    st = flow_accept(t->lower, &lower);
    if (st == FLOW_AGAIN)
        return st;
    if (st != FLOW_OK) {
        flow_listener_get_error(t->lower, &l->error);
        flow_error_add_layer(&l->error, "tls");
        return st;
    }
    st = listener_wrap(t, lower, &tls);
    if (st != FLOW_OK) {
        flow_close(lower);
        return flow_listener_fail(l, st, FLOW_DOMAIN_NONE, 0,
                                  "a connection was dropped: no memory");
    }
    flow__limiter_enter(t->limiter, flow__handshake_slot(tls->hs), &tls->base);
    *ret_flow = &tls->base;
    return FLOW_OK;
}

static bool
listener_wait(struct flow_listener *l, struct flow_wait_set *set)
{
    struct listener_tls *t = listener_of(l);

    return flow__limiter_has_room(t->limiter, set) &&
           flow_listener_wait_sources(t->lower, set);
}

static void
listener_close(struct flow_listener *l)
{
    struct listener_tls *t = listener_of(l);

    flow_listener_close(t->lower);
    flow_tls_holder_unref(t->holder);
    flow__limiter_unref(t->limiter);
    flow_env_free(l->env, t, sizeof(*t));
}

static enum flow_status
listener_query(struct flow_listener *l, enum flow_query_key key, void *buf,
               size_t *len)
{
    return flow_listener_query(listener_of(l)->lower, key, buf, len);
}

static const struct flow_listener_ops listener_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "tls",
    .accept = listener_accept,
    .wait = listener_wait,
    .close = listener_close,
    .query = listener_query,
};

static enum flow_status
listener_no_memory(struct flow_error *err)
{
    return flow_error_set(err, FLOW_E_NOMEM, "tls", FLOW_DOMAIN_NONE, 0,
                          "no memory for a listener");
}

static enum flow_status
listener_refuse_client(struct flow_error *err)
{
    (void)flow_error_set(err, FLOW_E_INVAL, "tls", FLOW_DOMAIN_NONE, 0,
                         "a client's configuration cannot listen");
    if (err != NULL)
        err->hint = "make one with flow_tls_config_new_server()";
    return FLOW_E_INVAL;
}

/* See <flow/tls_holder.h>. */
enum flow_status
flow_tls_listen_holder(struct flow_tls_holder *h, struct flow_listener *lower,
                       unsigned max_handshakes,
                       struct flow_listener **ret_listener,
                       struct flow_error *ret_err)
{
    const struct flow_env *env = lower->env;
    struct flow_tls_config *config = flow_tls_holder_get(h);
    const bool serves = config->server;
    struct listener_tls *t;
    enum flow_status st;

    flow_tls_config_unref(config);
    if (!serves)
        return listener_refuse_client(ret_err);
    t = flow_env_alloc(env, sizeof(*t));
    if (t == NULL)
        return listener_no_memory(ret_err);
    st = flow__limiter_new(
        env, max_handshakes != 0 ? max_handshakes : LISTENER_HANDSHAKES,
        &t->limiter);
    if (st != FLOW_OK) {
        flow_env_free(env, t, sizeof(*t));
        return listener_no_memory(ret_err);
    }
    flow_listener_init(&t->base, &listener_ops, env);
    flow_listener_wrap(&t->base, lower);
    t->lower = lower;
    t->holder = flow_tls_holder_ref(h);
    *ret_listener = &t->base;
    return FLOW_OK;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_listen(struct flow_tls_config *c, struct flow_listener *lower,
                unsigned max_handshakes, struct flow_listener **ret_listener,
                struct flow_error *ret_err)
{
    struct flow_tls_holder *h;
    enum flow_status st;

    if (!c->server)
        return listener_refuse_client(ret_err);
    st = flow_tls_holder_new(lower->env, c, &h, ret_err);
    if (st != FLOW_OK)
        return st;
    st =
        flow_tls_listen_holder(h, lower, max_handshakes, ret_listener, ret_err);
    flow_tls_holder_unref(h);
    return st;
}
