/* SPDX-License-Identifier: ISC */
#include "backends/vchan/vchan.h"

/* Pauses between looks for a server, where the store has no watch and after
 * keys that could not be used. */
#define PAUSE_MIN UINT64_C(1000000)
#define PAUSE_MAX UINT64_C(100000000)

void
flow__vchan_dial_init(struct vchan *v, const struct flow_vchan_options *opt)
{
    v->dial.pause = PAUSE_MIN;
    v->dial.watch = opt->watch_domains;
    v->dial.reattach = opt->reattach;
    if (opt->timeout > 0)
        v->dial.deadline =
            flow_time_after(v->base.env->now(v->base.env->ctx), opt->timeout);
}

static bool
client_dial_due(const struct vchan *v, uint64_t now)
{
    return v->dial.retry_at <= now ||
           (v->dial.deadline != FLOW_NEVER && now >= v->dial.deadline);
}

/* Why a client gave up: what stood in the way when it last looked. */
static enum flow_status
client_dial_timeout(struct vchan *v)
{
    struct flow_error err;

    flow_error_set(&err, FLOW_E_TIMEOUT, "vchan", FLOW_DOMAIN_NONE, 0,
                   v->dial.found
                       ? "the server's keys are in the store, but its vchan "
                         "is gone or taken"
                       : "no server published its keys in the store");
    err.hint = "start the server first, and check the domain and the name";
    flow_error_set_detail(&err, v->base_path);
    return flow_fail_with(&v->base, FLOW_READ | FLOW_WRITE, &err);
}

/*
 * Whether what was found wrong with an offer was wrong while it was offered.
 * A page that its server has withdrawn meanwhile may hold anything.
 */
static bool
client_dial_is_current(struct vchan *v, uint32_t ref, uint32_t port)
{
    struct vchan_hyp *hyp = v->conn.hyp;
    uint32_t ref_now = 0;
    uint32_t port_now = 0;

    return hyp->store->lookup(hyp, v->conn.peer, v->base_path, &ref_now,
                              &port_now, NULL) == FLOW_OK &&
           ref_now == ref && port_now == port;
}

static enum flow_status
client_dial_once(struct vchan *v, struct flow_error *err)
{
    struct vchan_hyp *hyp = v->conn.hyp;
    uint16_t peer = v->conn.peer;
    struct vchan_conn conn;
    enum flow_status st;
    uint32_t port = 0;
    uint32_t ref = 0;

    st = flow__vchan_hyp_check(hyp, err);
    if (st != FLOW_OK)
        return st;
    /* Consume the watch's events before looking, so that a later one is not
     * lost. */
    if (v->dial.keys != NULL)
        hyp->store->watch_drain(v->dial.keys);
    v->dial.found = false;
    st = hyp->store->lookup(hyp, peer, v->base_path, &ref, &port, err);
    if (st != FLOW_OK)
        return st;
    v->dial.found = true;
    conn = (struct vchan_conn){ .hyp = hyp, .peer = peer };
    st = flow__vchan_conn_join(&conn, ref, port, v->dial.reattach, &v->rx,
                               &v->tx, err);
    if (st == FLOW_E_PROTO && !client_dial_is_current(v, ref, port))
        return FLOW_AGAIN;
    if (st != FLOW_OK)
        return st;
    if (v->dial.watch && (st = flow__vchan_conn_watch(&conn, err)) != FLOW_OK) {
        flow__vchan_conn_leave(&conn);
        return st;
    }
    flow__vchan_dial_end(v);
    /* The connection has a reference of its own. */
    flow__vchan_hyp_unref(v->conn.hyp);
    v->conn = conn;
    return FLOW_OK;
}

void
flow__vchan_dial_end(struct vchan *v)
{
    if (v->dial.keys == NULL)
        return;
    /* The descriptor of the watch is not known here. */
    flow_fd_closing(&v->base, -1);
    v->conn.hyp->store->watch_close(v->dial.keys);
    v->dial.keys = NULL;
}

/* Watches the store for new keys; false: look at intervals. */
static bool
client_dial_watch(struct vchan *v)
{
    struct vchan_hyp *hyp = v->conn.hyp;

    return v->dial.keys != NULL ||
           (hyp->store->watch_keys != NULL &&
            hyp->store->watch_keys(hyp, v->base_path, &v->dial.keys, NULL) ==
                FLOW_OK);
}

enum flow_status
flow__vchan_dial_step(struct flow *f)
{
    struct vchan *v = (struct vchan *)f;
    uint64_t now = f->env->now(f->env->ctx);
    struct flow_error err;
    enum flow_status st;

    if (v->conn.channel != NULL)
        return FLOW_OK;
    if (!client_dial_due(v, now) &&
        flow__vchan_hyp_check(v->conn.hyp, NULL) == FLOW_OK)
        return FLOW_AGAIN;

    st = client_dial_once(v, &err);
    if (st == FLOW_OK)
        return FLOW_OK;
    if (st != FLOW_AGAIN)
        return flow_fail_with(f, FLOW_READ | FLOW_WRITE, &err);
    if (v->dial.deadline != FLOW_NEVER && now >= v->dial.deadline)
        return client_dial_timeout(v);
    v->dial.retry_at = now + v->dial.pause;
    if (v->dial.pause < PAUSE_MAX)
        v->dial.pause *= 2;
    return FLOW_AGAIN;
}

bool
flow__vchan_dial_wait(struct vchan *v, struct flow_wait_set *set)
{
    struct vchan_hyp *hyp = v->conn.hyp;
    uint64_t now = v->base.env->now(v->base.env->ctx);

    if (v->conn.channel != NULL || client_dial_due(v, now) ||
        flow__vchan_hyp_check(hyp, NULL) != FLOW_OK)
        return true;
    /* A watch fires for new keys; for used ones only the clock does, and a
     * watch that fired would keep us awake until then. */
    if (!v->dial.found && client_dial_watch(v)) {
        hyp->store->watch_wait(v->dial.keys, set);
        v->dial.retry_at = 0;
        flow_wait_add_time(set, v->dial.deadline);
        return false;
    }
    flow_wait_add_time(set,
                       flow_deadline_min(v->dial.retry_at, v->dial.deadline));
    return false;
}

enum flow_status
flow__vchan_check_peer(const struct vchan_hyp *hyp, uint32_t domid,
                       const struct flow_vchan_options *opt,
                       struct flow_error *err)
{
    if (domid >= VCHAN_DOMID_LIMIT)
        return flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                              "the domain is not in 0..32751");
    if (domid == hyp->domid && !opt->insecure_same_domain) {
        flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                       "the peer is our own domain");
        if (err != NULL)
            err->hint = "some kernels crash on it; insecure_same_domain "
                        "allows it in tests";
        return FLOW_E_INVAL;
    }
    return FLOW_OK;
}

enum flow_status
flow__vchan_connect_on(struct vchan_hyp *hyp, uint32_t domid, const char *path,
                       const struct flow_vchan_options *opt,
                       struct flow **ret_flow, struct flow_error *err)
{
    static const struct flow_vchan_options defaults;
    char base[VCHAN_BASE_MAX];
    struct vchan *v;
    enum flow_status st;

    if (opt == NULL)
        opt = &defaults;
    st = flow__vchan_check_peer(hyp, domid, opt, err);
    if (st == FLOW_OK &&
        !flow__vchan_path((uint16_t)domid, hyp->domid, path, base)) {
        st = flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                            "neither a name nor a path below the server's "
                            "own");
        flow_error_set_detail(err, path);
    }
    if (st == FLOW_OK)
        st = flow__vchan_new(hyp->env, opt, NULL, hyp, (uint16_t)domid, base,
                             &v, err);
    if (st != FLOW_OK) {
        flow__vchan_hyp_unref(hyp);
        return st;
    }
    *ret_flow = &v->base;
    return FLOW_OK;
}

/* See <flow/vchan.h>. */
enum flow_status
flow_vchan_connect(const struct flow_env *env, uint32_t domid, const char *path,
                   const struct flow_vchan_options *opt, struct flow **ret_flow,
                   struct flow_error *ret_err)
{
    struct vchan_hyp *hyp;
    enum flow_status st;

    if (env == NULL)
        env = flow_env_default();
    st = flow__vchan_xen_open(env, &hyp, ret_err);
    if (st != FLOW_OK)
        return st;
    return flow__vchan_connect_on(hyp, domid, path, opt, ret_flow, ret_err);
}
