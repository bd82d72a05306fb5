/* SPDX-License-Identifier: ISC */
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/tls.h>
#include <flow/util.h>

/* A client and, once its handshake is done, its connection to the server. */
struct tunnel {
    struct tunnel *next, **link;
    struct proxy *proxy;
    struct flow *client;
    struct flow *server; /* NULL: the client's handshake is under way */
    /* What is said before that handshake, or by the server before the relay;
     * NULL: nothing, or no more. */
    struct starttls *starttls;
    uint64_t deadline; /* of the client's handshake */
    struct flow_relay relay;
};

static uint64_t
tunnel_now(const struct proxy *p)
{
    return p->env->now(p->env->ctx);
}

/* See "proxy.h". */
void
tunnel_close(struct tunnel *t)
{
    struct proxy *p = t->proxy;

    if (t->server != NULL)
        flow_relay_fini(&t->relay);
    flow_close(t->client);
    flow_close(t->server);
    *t->link = t->next;
    if (t->next != NULL)
        t->next->link = t->link;
    p->tunnel_count--;
    free(t->starttls);
    free(t);
}

/* The error record of the direction of a flow that failed. */
static bool
tunnel_find_error(struct flow *f, struct flow_error *ret)
{
    flow_get_error(f, FLOW_READ, ret);
    if (ret->status >= FLOW_OK)
        flow_get_error(f, FLOW_WRITE, ret);
    return ret->status < FLOW_OK;
}

static void
tunnel_log_end(struct tunnel *t, enum flow_status st)
{
    const struct flow_relay_side *side = t->relay.side;
    char peer[128], what[180];
    size_t len = sizeof(peer);
    struct flow_error err;

    if (!t->proxy->log)
        return;
    if (flow_query(t->client, FLOW_QUERY_PEER_ADDRESS, peer, &len) != FLOW_OK ||
        peer[0] == '\0')
        snprintf(peer, sizeof(peer), "a client");
    if (t->starttls != NULL && t->starttls->problem != NULL) {
        cli_complain("%s: STARTTLS: %s", peer, t->starttls->problem);
    } else if (st < FLOW_OK && t->server != NULL &&
               tunnel_find_error(t->server, &err)) {
        snprintf(what, sizeof(what), "%s: connection to the server", peer);
        cli_flow_error(what, &err);
    } else if (st < FLOW_OK && tunnel_find_error(t->client, &err)) {
        cli_flow_error(peer, &err);
    } else {
        cli_complain("%s: %llu bytes to the server, %llu bytes back%s", peer,
                     (unsigned long long)side[0].bytes,
                     (unsigned long long)side[1].bytes,
                     st == FLOW_E_TIMEOUT ? ", then idle timeout" : "");
    }
}

static bool
tunnel_begin_starttls(struct tunnel *t, enum starttls_role role)
{
    t->starttls = malloc(sizeof(*t->starttls));
    if (t->starttls == NULL) {
        cli_complain("cannot serve a connection: out of memory");
        return false;
    }
    starttls_init(t->starttls, t->proxy->starttls, role);
    return true;
}

/* Go on with what is said in the clear, on the client's flow or the server's.
 */
static enum flow_status
tunnel_speak(struct tunnel *t)
{
    struct flow *f = t->server != NULL ? t->server : t->client;
    enum flow_status st = starttls_step(t->starttls, f);

    if (st == FLOW_AGAIN)
        flow_poller_set(t->proxy->poller, f, starttls_wants(t->starttls));
    if (st == FLOW_OK) {
        free(t->starttls);
        t->starttls = NULL;
    }
    return st;
}

/* The client has asked for TLS: the flow over which it did becomes one of TLS.
 */
static enum flow_status
tunnel_start_tls(struct tunnel *t)
{
    struct proxy *p = t->proxy;
    struct flow_tls_config *config =
        flow_tls_holder_get(reload_holder(p->reload));
    struct flow_error err;
    enum flow_status st = flow_poller_remove(p->poller, t->client);

    if (st == FLOW_OK)
        st = flow_tls_wrap_server(config, t->client, 0, &t->client, &err);
    flow_tls_config_unref(config);
    if (st == FLOW_OK)
        st = flow_poller_add(p->poller, t->client, FLOW_READY_OPEN, t);
    if (st != FLOW_OK)
        cli_complain("cannot serve a connection: out of memory");
    else
        flow_set_deadline(t->client, FLOW_READ | FLOW_WRITE, t->deadline);
    return st;
}

/* The client's handshake is done: connect to the server. */
static enum flow_status
tunnel_reach_server(struct tunnel *t)
{
    struct proxy *p = t->proxy;
    struct flow_error err;
    enum flow_status st;
    char what[300];

    st = flow_endpoint_dial(NULL, p->to, &p->dial, &t->server, &err);
    if (st != FLOW_OK) {
        snprintf(what, sizeof(what), "cannot reach %s", p->to);
        cli_flow_error(what, &err);
        return st;
    }
    flow_set_deadline(t->client, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    if (p->starttls != STARTTLS_NONE) {
        if (!tunnel_begin_starttls(t, STARTTLS_SKIPS)) {
            flow_close(t->server);
            t->server = NULL;
            return FLOW_E_NOMEM;
        }
        /* Nothing of the client is read before the server's greeting. */
        flow_poller_set(p->poller, t->client, 0);
        flow_set_deadline(t->server, FLOW_READ | FLOW_WRITE,
                          tunnel_now(p) + p->connect_timeout);
    }
    st = flow_relay_init(&t->relay, t->client, t->server, TUNNEL_BUFFER,
                         p->idle_timeout);
    if (st == FLOW_OK) {
        st = flow_poller_add(p->poller, t->server, 0, t);
        if (st == FLOW_OK)
            return FLOW_OK;
        flow_relay_fini(&t->relay);
    }
    cli_complain("cannot serve a connection: out of memory");
    flow_close(t->server);
    t->server = NULL;
    return st;
}

/* Whether a side read an error: its peer left without an end in order, and will
 * neither send nor read more. */
static bool
tunnel_is_cut(const struct flow_relay_side *side)
{
    return side->status < FLOW_OK && side->source < FLOW_OK;
}

/* Move what can be moved.  If one side was cut, the tunnel ends as soon as the
 * other has the bytes that came before. */
static enum flow_status
tunnel_relay(struct tunnel *t)
{
    enum flow_status st = flow_relay_step(&t->relay);

    for (unsigned i = 0; i < 2 && st == FLOW_AGAIN; i++)
        if (tunnel_is_cut(&t->relay.side[i]))
            st = t->relay.side[i].status;
    return st;
}

static enum flow_status
tunnel_step(struct tunnel *t)
{
    enum flow_status st;

    if (t->server == NULL && t->starttls != NULL) {
        st = tunnel_speak(t);
        if (st == FLOW_OK)
            st = tunnel_start_tls(t);
        if (st != FLOW_OK)
            return st;
    }
    if (t->server == NULL) {
        st = flow_open(t->client);
        if (st != FLOW_OK)
            return st;
        st = tunnel_reach_server(t);
        if (st != FLOW_OK)
            return st;
    }
    if (t->starttls != NULL) {
        st = tunnel_speak(t);
        if (st != FLOW_OK)
            return st;
        flow_set_deadline(t->server, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    }
    return tunnel_relay(t);
}

static void
tunnel_run(struct tunnel *t)
{
    struct proxy *p = t->proxy;
    enum flow_status st = tunnel_step(t);
    uint32_t client_interest, server_interest;
    uint64_t latest;

    if (st != FLOW_AGAIN) {
        tunnel_log_end(t, st);
        tunnel_close(t);
        return;
    }
    /* The interest is still FLOW_READY_OPEN, or tunnel_speak() has set it. */
    if (t->server == NULL || t->starttls != NULL)
        return;
    latest = flow_relay_interest(&t->relay, &client_interest, &server_interest);
    flow_poller_set(p->poller, t->client, client_interest);
    flow_poller_set(p->poller, t->server, server_interest);
    /* The relay's own deadline is set on one of the two flows, so that the
     * poller reports it. */
    flow_set_deadline(t->client, FLOW_READ, latest);
}

/* See "proxy.h". */
void
tunnel_start(struct proxy *p, struct flow *client)
{
    struct tunnel *t = calloc(1, sizeof(*t));

    if (t == NULL ||
        flow_poller_add(p->poller, client, FLOW_READY_OPEN, t) != FLOW_OK) {
        cli_complain("cannot serve a connection: out of memory");
        flow_close(client);
        free(t);
        return;
    }
    t->proxy = p;
    t->client = client;
    t->next = p->tunnels;
    t->link = &p->tunnels;
    if (t->next != NULL)
        t->next->link = &t->next;
    p->tunnels = t;
    p->tunnel_count++;
    t->deadline = tunnel_now(p) + p->connect_timeout;
    flow_set_deadline(client, FLOW_READ | FLOW_WRITE, t->deadline);
    if (p->starttls != STARTTLS_NONE &&
        !tunnel_begin_starttls(t, STARTTLS_SERVES))
        tunnel_close(t);
    else
        tunnel_run(t);
}

/* See "proxy.h".  The relay looks after its time itself; what comes before it
 * does not. */
void
tunnel_event(struct tunnel *t, uint32_t ready)
{
    bool is_relay = t->server != NULL && t->starttls == NULL;

    if (!is_relay && (ready & FLOW_READY_DEADLINE) != 0) {
        if (t->server != NULL)
            t->starttls->problem = "the server does not send its greeting";
        tunnel_log_end(t, FLOW_E_TIMEOUT);
        tunnel_close(t);
        return;
    }
    tunnel_run(t);
}
