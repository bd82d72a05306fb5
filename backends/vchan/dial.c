/* SPDX-License-Identifier: ISC */
#include "backends/vchan/vchan.h"

/*
 * The opening of a client: wait for the server's keys in the store, then
 * attach.
 *
 * - Until it has attached, v->conn has only the hypervisor and the peer; after
 *   that it is a whole connection, and `dial` has nothing left to free.
 * - A step drains the watch before it reads the keys, so a change that follows
 *   fires the watch again.
 * - After keys that could not be used the next step comes by the clock: the
 *   watch fires for new keys, not when the old ones become usable.
 *
 * A step and a wait are calls of the opening, which the core lets one thread
 * make at a time.
 */

/* Pauses between two steps, which double, where the store has no watch and
 * after keys that could not be used. */
#define DIAL_PAUSE_MIN UINT64_C(1000000)
#define DIAL_PAUSE_MAX UINT64_C(100000000)

void
flow__vchan_dial_init(struct vchan *v, const struct flow_vchan_options *opt)
{
    v->dial.pause = DIAL_PAUSE_MIN;
    v->dial.watch = opt->watch_domains;
    v->dial.reattach = opt->reattach;
    if (opt->timeout > 0)
        v->dial.deadline =
            flow_time_after(v->base.env->now(v->base.env->ctx), opt->timeout);
}

static bool
dial_due(const struct vchan *v, uint64_t now)
{
    return v->dial.retry_at <= now ||
           (v->dial.deadline != FLOW_NEVER && now >= v->dial.deadline);
}

/* The error of a client whose time is over: what its last step found. */
static enum flow_status
dial_timeout(struct vchan *v)
{
    struct flow_error err;

    flow_error_set(&err, FLOW_E_TIMEOUT, "vchan", FLOW_DOMAIN_NONE, 0,
                   v->dial.found
                       ? "the server's keys are in the store, but its vchan "
                         "is closed or in use"
                       : "no server published its keys in the store");
    err.hint = "start the server first, and check the domain and the name";
    flow_error_set_detail(&err, v->base_path);
    return flow_fail_with(&v->base, FLOW_READ | FLOW_WRITE, &err);
}

/* Whether an offer is still published.  If it is not, an invalid page proves
 * nothing: the server may have reused it since. */
static bool
dial_is_current(struct vchan *v, uint32_t ref, uint32_t port)
{
    struct vchan_hyp *hyp = v->conn.hyp;
    uint32_t ref_now = 0;
    uint32_t port_now = 0;

    return hyp->store->lookup(hyp, v->conn.peer, v->base_path, &ref_now,
                              &port_now, NULL) == FLOW_OK &&
           ref_now == ref && port_now == port;
}

static enum flow_status
dial_once(struct vchan *v, struct flow_error *err)
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
    if (st == FLOW_E_PROTO && !dial_is_current(v, ref, port))
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
    /* Only the store knows the descriptor of the watch. */
    flow_fd_closing(&v->base, -1);
    v->conn.hyp->store->watch_close(v->dial.keys);
    v->dial.keys = NULL;
}

/* Watches the store for new keys; false: it cannot, so look at intervals. */
static bool
dial_watch(struct vchan *v)
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
    if (!dial_due(v, now) &&
        flow__vchan_hyp_check(v->conn.hyp, NULL) == FLOW_OK)
        return FLOW_AGAIN;

    st = dial_once(v, &err);
    if (st == FLOW_OK)
        return FLOW_OK;
    if (st != FLOW_AGAIN)
        return flow_fail_with(f, FLOW_READ | FLOW_WRITE, &err);
    if (v->dial.deadline != FLOW_NEVER && now >= v->dial.deadline)
        return dial_timeout(v);
    v->dial.retry_at = now + v->dial.pause;
    if (v->dial.pause < DIAL_PAUSE_MAX)
        v->dial.pause *= 2;
    return FLOW_AGAIN;
}

bool
flow__vchan_dial_wait(struct vchan *v, struct flow_wait_set *set)
{
    struct vchan_hyp *hyp = v->conn.hyp;
    uint64_t now = v->base.env->now(v->base.env->ctx);

    if (v->conn.channel != NULL || dial_due(v, now) ||
        flow__vchan_hyp_check(hyp, NULL) != FLOW_OK)
        return true;
    /* Keys that could not be used are tried again by the clock.  The watch is
     * left out then: if it has fired, the caller would not sleep. */
    if (!v->dial.found && dial_watch(v)) {
        hyp->store->watch_wait(v->dial.keys, set);
        v->dial.retry_at = 0;
        flow_wait_add_time(set, v->dial.deadline);
        return false;
    }
    flow_wait_add_time(set,
                       flow_deadline_min(v->dial.retry_at, v->dial.deadline));
    return false;
}
