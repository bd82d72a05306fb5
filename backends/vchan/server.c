/* SPDX-License-Identifier: ISC */
#include "backends/vchan/vchan.h"

#include <string.h>

/*
 * The listener of one client domain.
 *
 * - At most one offer is published at a time.  It has a set of pages, a channel
 *   and two keys in the store.
 * - An offer is for one client: its keys are removed before the next offer is
 *   published, and the next offer has another set.
 * - A client has taken the offer when its live byte is not VCHAN_LIVE_NEVER,
 *   whatever the event says; the event only wakes the listener.
 * - Without a free set the listener answers AGAIN and waits for the pool's
 *   event `available`, and by the clock, since a peer that unmaps sends none.
 *
 * The core lets one thread at a time call a listener, so there is no lock; the
 * pool has its own (sets.h).
 */

#define SERVER_RING_DEFAULT            32768u
#define SERVER_PINNED_DEFAULT          2048u
#define SERVER_PINNED_CHANNELS_DEFAULT 128u

/* Pause after an offer could not be made, ns. */
#define SERVER_RETRY UINT64_C(100000000)

/* Pauses, which double, between two publications of one offer, until its peer
 * is known to exist. */
#define SERVER_ANNOUNCE_MIN UINT64_C(1000000000)
#define SERVER_ANNOUNCE_MAX UINT64_C(8000000000)

/* Limits of events that no client explains, as in wait.c: at
 * SERVER_IDLE_EVENTS the channel is ignored for SERVER_IDLE_MUTE ns, and from
 * then on after every SERVER_IDLE_AGAIN more. */
#define SERVER_IDLE_EVENTS 64u
#define SERVER_IDLE_AGAIN  8u
#define SERVER_IDLE_MUTE   UINT64_C(10000000)

struct vchan_listener {
    struct flow_listener base;
    struct vchan_hyp *hyp;
    struct vchan_sets *sets;
    struct flow_vchan_options opt;
    struct vchan_orders orders;
    uint16_t peer;
    char path[VCHAN_BASE_MAX];
    struct vchan_conn offer; /* channel NULL: there is none */
    uint32_t port;           /* of the offer, as published */
    uint32_t came_back;      /* sequence of the pool's event, last seen */
    uint64_t retry_at;
    uint64_t announce_at; /* next publication; FLOW_NEVER: not needed */
    uint64_t announce_pause;
    uint64_t muted_until; /* events are ignored until this time */
    uint32_t idle_events; /* since the last client attached */
    bool absent;          /* the peer did not exist when last asked for */
    enum flow_status
        failed; /* what server_listener_wait() met; for the next accept */
};

static struct vchan_listener *
server_listener_of(struct flow_listener *l)
{
    return (struct vchan_listener *)l;
}

static uint64_t
server_clock_now(const struct vchan_listener *l)
{
    return l->base.env->now(l->base.env->ctx);
}

/* Removes the keys of the offer, which is for one client. */
static void
server_withdraw(struct vchan_listener *l)
{
    if (l->offer.channel != NULL &&
        flow__vchan_hyp_check(l->hyp, NULL) == FLOW_OK)
        l->hyp->store->withdraw(l->hyp, l->path, l->port);
}

/* Takes a set that no client has mapped, and publishes it. */
static enum flow_status
server_make_offer(struct vchan_listener *l, struct flow_error *err)
{
    enum flow_status st;

    l->came_back = flow_event_sequence(l->sets->policy.available);
    st = flow__vchan_conn_offer(&l->offer, l->sets, err);
    if (st != FLOW_OK)
        return st;
    l->port = l->hyp->events->port(l->offer.channel);
    st = l->hyp->store->publish(l->hyp, l->path, l->peer, l->offer.set->ref,
                                l->port, err);
    if (st != FLOW_OK)
        flow__vchan_conn_leave(&l->offer);
    return st;
}

/*
 * Publishes the offer again if the store may have dropped the peer's permission
 * to read it, which it does if the domain was created after the keys.  The
 * hypervisor knows a domain before the store does, so the publications go on
 * for some time after the domain exists.
 */
static void
server_announce(struct vchan_listener *l)
{
    uint64_t now = server_clock_now(l);
    enum vchan_presence presence;

    if (l->announce_at == FLOW_NEVER || l->announce_at > now)
        return;
    presence = l->hyp->store->presence(l->hyp, l->peer);
    if (l->absent && presence != VCHAN_ABSENT)
        l->announce_pause = SERVER_ANNOUNCE_MIN;
    l->absent = presence == VCHAN_ABSENT;
    if (!l->absent)
        (void)l->hyp->store->publish(l->hyp, l->path, l->peer,
                                     l->offer.set->ref, l->port, NULL);
    l->announce_at =
        presence == VCHAN_PRESENT && l->announce_pause >= SERVER_ANNOUNCE_MAX
            ? FLOW_NEVER
            : now + l->announce_pause;
    if (l->announce_pause < SERVER_ANNOUNCE_MAX)
        l->announce_pause *= 2;
}

/* Copies an error into the listener's record. */
static void
server_fail_with(struct vchan_listener *l, const struct flow_error *err)
{
    flow_listener_fail(&l->base, err->status, err->domain, err->code,
                       err->text);
    l->base.error.hint = err->hint;
    flow_error_set_detail(&l->base.error, err->detail);
}

/* Whether to try again to make an offer: a set came back, or the pause is
 * over. */
static bool
server_is_due(const struct vchan_listener *l)
{
    return l->came_back != flow_event_sequence(l->sets->policy.available) ||
           l->retry_at <= server_clock_now(l);
}

/* Makes an offer if there is none, with a pause after a failure.  AGAIN: the
 * pool is exhausted, or the pause is not over. */
static enum flow_status
server_renew_offer(struct vchan_listener *l)
{
    struct flow_error err;
    enum flow_status st;

    st = flow__vchan_hyp_check(l->hyp, &err);
    if (st == FLOW_OK && l->offer.channel != NULL)
        return FLOW_OK;
    if (st == FLOW_OK && !server_is_due(l))
        return FLOW_AGAIN;
    if (st == FLOW_OK)
        st = server_make_offer(l, &err);
    if (st == FLOW_OK)
        return FLOW_OK;
    l->retry_at = server_clock_now(l) + SERVER_RETRY;
    /* Ignore the event of a set that this failure itself gave back. */
    if (st != FLOW_AGAIN)
        l->came_back = flow_event_sequence(l->sets->policy.available);
    server_fail_with(l, &err);
    return st;
}

/* Whether a client has attached, or has stored anything else in its live
 * byte. */
static bool
server_taken(struct vchan_listener *l)
{
    return l->offer.channel != NULL &&
           flow__vchan_conn_client(&l->offer) != VCHAN_LIVE_NEVER;
}

/* Consumes an event of the offer.  A client that attaches sends one; a client
 * that only binds may send any number. */
static void
server_consume_event(struct vchan_listener *l)
{
    if (!l->hyp->events->drain(l->offer.channel) ||
        ++l->idle_events < SERVER_IDLE_EVENTS)
        return;
    l->idle_events = SERVER_IDLE_EVENTS - SERVER_IDLE_AGAIN;
    l->muted_until = server_clock_now(l) + SERVER_IDLE_MUTE;
}

/* Makes a flow of an offer that a client has taken; on failure, releases the
 * connection. */
static enum flow_status
server_hand_over(struct vchan_listener *l, struct vchan_conn *conn,
                 struct flow **ret_flow)
{
    struct flow_error err;
    struct vchan *v;
    enum flow_status st;

    /* Event loops know the offer's wait source as the listener's: the flow gets
     * another one. */
    flow_listener_fd_closing(&l->base, -1);
    st = flow__vchan_set_renew(conn->set, &err);
    if (st == FLOW_OK && l->opt.watch_domains)
        st = flow__vchan_conn_watch(conn, &err);
    if (st == FLOW_OK)
        st = flow__vchan_new(l->base.env, &l->opt, conn, NULL, 0, l->path, &v,
                             &err);
    if (st == FLOW_OK) {
        *ret_flow = &v->base;
        return FLOW_OK;
    }
    flow__vchan_conn_leave(conn);
    server_fail_with(l, &err);
    return st;
}

static enum flow_status
server_listener_accept(struct flow_listener *base, struct flow **ret_flow)
{
    struct vchan_listener *l = server_listener_of(base);
    enum flow_status st =
        l->failed != FLOW_OK ? l->failed : server_renew_offer(l);
    struct vchan_conn conn;

    l->failed = FLOW_OK;
    if (st != FLOW_OK)
        return st;
    server_consume_event(l);
    if (!server_taken(l)) {
        server_announce(l);
        return FLOW_AGAIN;
    }
    l->idle_events = 0;
    l->announce_at = FLOW_NEVER;
    server_withdraw(l);
    conn = l->offer;
    l->offer = (struct vchan_conn){ 0 };
    /* Make the next offer before the descriptor of this one is closed, so that
     * it has another number.  If that fails, the next accept reports it. */
    server_renew_offer(l);
    return server_hand_over(l, &conn, ret_flow);
}

static bool
server_listener_wait(struct flow_listener *base, struct flow_wait_set *set)
{
    struct vchan_listener *l = server_listener_of(base);
    enum flow_status st =
        l->failed != FLOW_OK ? l->failed : server_renew_offer(l);

    if (st == FLOW_AGAIN) {
        flow_wait_add_event(set, l->sets->policy.available, l->came_back);
        flow_wait_add_time(set, l->retry_at);
        return false;
    }
    l->failed = st;
    if (st != FLOW_OK)
        return true;
    server_consume_event(l);
    if (server_taken(l))
        return true;
    server_announce(l);
    if (l->muted_until > server_clock_now(l))
        flow_wait_add_time(set, l->muted_until);
    else
        l->hyp->events->wait(l->offer.channel, set);
    flow_wait_add_time(set, l->announce_at);
    return false;
}

static void
server_listener_close(struct flow_listener *base)
{
    struct vchan_listener *l = server_listener_of(base);
    const struct flow_env *env = base->env;

    server_withdraw(l);
    flow__vchan_conn_leave(&l->offer);
    flow__vchan_sets_close(l->sets);
    flow__vchan_hyp_unref(l->hyp);
    flow_env_free(env, l, sizeof(*l));
}

static enum flow_status
server_listener_query(struct flow_listener *base, enum flow_query_key key,
                      void *buf, size_t *len)
{
    struct vchan_listener *l = server_listener_of(base);
    uint32_t number;

    if (key == FLOW_QUERY_LOCAL_ADDRESS)
        return flow_answer_string(buf, len, l->path);
    if (key == FLOW_QUERY_PINNED_PAGES) {
        number = flow__vchan_pins_of(l->hyp, l->peer) +
                 flow__vchan_sets_stats(l->sets).kept.pages;
        return flow_answer(buf, len, &number, sizeof(number));
    }
    if (key == FLOW_QUERY_GRANTED_PAGES) {
        number = flow__vchan_sets_stats(l->sets).granted;
        return flow_answer(buf, len, &number, sizeof(number));
    }
    return FLOW_E_NOTSUP;
}

static const struct flow_listener_ops server_listener_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "vchan",
    .accept = server_listener_accept,
    .wait = server_listener_wait,
    .close = server_listener_close,
    .query = server_listener_query,
};

/* Checks the settings and fills in the defaults. */
static enum flow_status
server_settle(struct vchan_listener *l, uint32_t domid, const char *path,
              const struct flow_vchan_options *opt, struct flow_error *err)
{
    enum flow_status st;

    if (opt != NULL)
        l->opt = *opt;
    if (l->opt.pinned_max == 0)
        l->opt.pinned_max = SERVER_PINNED_DEFAULT;
    if (l->opt.pinned_channels_max == 0)
        l->opt.pinned_channels_max = SERVER_PINNED_CHANNELS_DEFAULT;
    st = flow__vchan_check_peer(l->hyp, domid, &l->opt, err);
    if (st != FLOW_OK)
        return st;
    l->peer = (uint16_t)domid;
    /* The client writes left, so that is the ring we read. */
    if (!flow__vchan_orders_choose(
            l->opt.read_size > 0 ? l->opt.read_size : SERVER_RING_DEFAULT,
            l->opt.write_size > 0 ? l->opt.write_size : SERVER_RING_DEFAULT,
            &l->orders))
        return flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                              "a ring is larger than 1 MiB");
    if (flow__vchan_path(l->hyp->domid, l->peer, path, l->path))
        return FLOW_OK;
    flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                   "not a name, and not a path below our own");
    flow_error_set_detail(err, path);
    return FLOW_E_INVAL;
}

static enum flow_status
server_make_pool(struct vchan_listener *l, struct flow_error *err)
{
    const struct vchan_kept max = { l->opt.pinned_max,
                                    l->opt.pinned_channels_max };
    enum flow_status st = flow__vchan_sets_new(
        l->hyp, l->peer, l->orders, l->opt.readonly_ring, max, &l->sets);

    if (st != FLOW_OK)
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_NONE, 0,
                       "no memory for a pool of pages");
    return st;
}

enum flow_status
flow__vchan_listen_on(struct vchan_hyp *hyp, uint32_t domid, const char *path,
                      const struct flow_vchan_options *opt,
                      struct flow_listener **ret_listener,
                      struct flow_error *err)
{
    const struct flow_env *env = hyp->env;
    struct vchan_listener *l = flow_env_alloc(env, sizeof(*l));
    enum flow_status st;

    if (l == NULL) {
        flow__vchan_hyp_unref(hyp);
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for a listener");
    }
    flow_listener_init(&l->base, &server_listener_ops, env);
    l->hyp = hyp;
    st = server_settle(l, domid, path, opt, err);
    if (st == FLOW_OK)
        st = server_make_pool(l, err);
    if (st == FLOW_OK)
        st = server_make_offer(l, err);
    /* The caller cannot repeat this one: the error says why there is no offer.
     */
    if (st == FLOW_AGAIN)
        st = FLOW_E_NOMEM;
    if (st == FLOW_OK && hyp->store->presence != NULL) {
        l->announce_pause = SERVER_ANNOUNCE_MIN;
        l->announce_at = server_clock_now(l) + SERVER_ANNOUNCE_MIN;
    }
    if (st != FLOW_OK) {
        server_listener_close(&l->base);
        return st;
    }
    *ret_listener = &l->base;
    return FLOW_OK;
}

/* See <flow/vchan.h>. */
enum flow_status
flow_vchan_listen(const struct flow_env *env, uint32_t domid, const char *path,
                  const struct flow_vchan_options *opt,
                  struct flow_listener **ret_listener,
                  struct flow_error *ret_err)
{
    struct vchan_hyp *hyp;
    enum flow_status st;

    if (env == NULL)
        env = flow_env_default();
    st = flow__vchan_xen_open(env, &hyp, ret_err);
    if (st != FLOW_OK)
        return st;
    return flow__vchan_listen_on(hyp, domid, path, opt, ret_listener, ret_err);
}
