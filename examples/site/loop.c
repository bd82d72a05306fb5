/* SPDX-License-Identifier: ISC */
#include "site.h"

#include "../common/cli.h"

/*
 * The loop of one worker: listeners, connections, and how it ends.  It uses
 * nothing of another worker; orders come through workers.c.
 */

static bool
loop_watch_listeners(struct site *s)
{
    if (flow_poller_add_listener(s->poller, s->tls, s->tls) == FLOW_OK &&
        (s->plain == NULL ||
         flow_poller_add_listener(s->poller, s->plain, s->plain) == FLOW_OK)) {
        s->listening = true;
        return true;
    }
    cli_complain("cannot watch the listeners: out of memory");
    return false;
}

static void
loop_unwatch_listeners(struct site *s)
{
    if (!s->listening)
        return;
    flow_poller_remove_listener(s->poller, s->tls);
    if (s->plain != NULL)
        flow_poller_remove_listener(s->poller, s->plain);
    s->listening = false;
}

/* One connection for each report: asking whether there is another would cost a
 * system call, and the poller tells it anyway. */
static void
loop_accept(struct site *s, struct flow_listener *l)
{
    struct flow_error err;
    struct flow *flow;
    enum flow_status st;

    if (s->conn_count >= s->max_connections)
        return;
    st = flow_accept(l, &flow);
    if (st == FLOW_OK) {
        conn_start(s, flow, l == s->plain);
    } else if (st != FLOW_AGAIN) {
        flow_listener_get_error(l, &err);
        cli_flow_error("cannot accept a connection", &err);
    }
}

static void
loop_stop_listening(struct site *s)
{
    loop_unwatch_listeners(s);
    flow_listener_close(s->tls);
    flow_listener_close(s->plain);
    s->tls = NULL;
    s->plain = NULL;
    if (s->log && s->conn_count > 0)
        cli_complain("stopping; %zu connections are still open", s->conn_count);
}

/* Wait once and handle the events. */
static bool
loop_turn(struct site *s)
{
    const struct flow_poller_event *event;
    enum flow_status st;
    size_t count, i;

    st = flow_poller_wait(s->poller, SITE_EVENTS, FLOW_NEVER, &event, &count);
    if (st != FLOW_OK && st != FLOW_E_TIMEOUT) {
        cli_complain("cannot wait: %s", flow_status_text(st));
        return false;
    }
    for (i = 0; i < count; i++) {
        if (event[i].listener != NULL)
            loop_accept(s, event[i].listener);
        else if (event[i].flow != NULL)
            conn_event(event[i].user, event[i].ready);
    }
    return true;
}

/* The first worker also waits for the others, to whom it passes signals. */
static bool
loop_is_busy(const struct site *s)
{
    return s->tls != NULL || s->conn_count > 0 ||
           (s->index == 0 && workers_running(s->workers) > 0);
}

/* A second signal, or the failure of another worker. */
static int
loop_cut(struct site *s)
{
    if (s->conn_count == 0)
        return CLI_OK;
    cli_complain("closed %zu connections that had not ended", s->conn_count);
    conn_close_all(s);
    return CLI_FAILED;
}

/* See "site.h". */
int
loop_run(struct site *s)
{
    int code = CLI_OK;

    while (loop_is_busy(s)) {
        int orders = workers_orders(s->workers, s->index);

        if (orders > 0 && s->tls != NULL)
            loop_stop_listening(s);
        if (orders > 1 && loop_cut(s) != CLI_OK)
            code = CLI_FAILED;
        if (!loop_is_busy(s))
            break;
        /* With the most connections do not watch the listeners: a waiting
         * client would make them ready all the time. */
        if (s->conn_count >= s->max_connections)
            loop_unwatch_listeners(s);
        else if (s->tls != NULL && !s->listening && !loop_watch_listeners(s))
            return CLI_FAILED;
        if (!loop_turn(s))
            return CLI_FAILED;
    }
    return code;
}
