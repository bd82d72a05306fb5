/* SPDX-License-Identifier: ISC */
/* server ENDPOINT SECONDS [CERT KEY]: sends back what each client sends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <flow/endpoint.h>
#include <flow/poller.h>
#include <flow/tls.h>

enum conn_state { READING, WRITING, FLUSHING, ENDING };

static const uint32_t conn_interest[] = {
    [READING] = FLOW_READY_READ,
    [WRITING] = FLOW_READY_WRITE,
    [FLUSHING] = FLOW_READY_FLUSH,
    [ENDING] = FLOW_READY_FLUSH,
};

struct conn {
    struct conn *next, **link;
    struct flow *flow;
    enum conn_state state;
    size_t len, sent;
    char buf[4096];
};

static struct flow_poller *poller;
static struct conn *conns;
static uint64_t idle_limit;
static volatile sig_atomic_t stopped;

static void
server_stop(int number)
{
    (void)number;
    stopped = 1;
    flow_poller_wake(poller);
}

static int
server_failed(const char *what, const struct flow_error *err)
{
    char text[512];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "server: %s: %s\n", what, text);
    return 1;
}

static void
server_report(const struct conn *c, const char *text)
{
    char peer[128];
    size_t len = sizeof(peer);

    if (flow_query(c->flow, FLOW_QUERY_PEER_ADDRESS, peer, &len) != FLOW_OK)
        snprintf(peer, sizeof(peer), "a client");
    fprintf(stderr, "server: %s: %s\n", peer, text);
}

static void
server_report_error(const struct conn *c)
{
    enum flow_dir dir = c->state == READING ? FLOW_READ : FLOW_WRITE;
    struct flow_error err;
    char text[512];

    flow_get_error(c->flow, dir, &err);
    flow_error_format(&err, text, sizeof(text));
    server_report(c, text);
}

static void
server_drop(struct conn *c)
{
    flow_close(c->flow);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    free(c);
}

static enum flow_status
server_step(struct conn *c)
{
    enum flow_status st;
    size_t n;

    switch (c->state) {
    case READING:
        c->sent = 0;
        st = flow_read(c->flow, c->buf, sizeof(c->buf), &c->len);
        if (st == FLOW_OK)
            c->state = WRITING;
        if (st != FLOW_EOF)
            return st;
        c->state = ENDING;
        return FLOW_OK;
    case WRITING:
        st = flow_write(c->flow, c->buf + c->sent, c->len - c->sent, &n);
        c->sent += n;
        if (c->sent == c->len)
            c->state = FLUSHING;
        return st;
    case FLUSHING:
        st = flow_flush(c->flow);
        if (st == FLOW_OK)
            c->state = READING;
        return st;
    case ENDING:
    default:
        st = flow_shutdown(c->flow, FLOW_WRITE);
        return st == FLOW_OK ? FLOW_EOF : st;
    }
}

static void
server_advance(struct conn *c)
{
    enum flow_status st;

    while ((st = server_step(c)) == FLOW_OK) {
        flow_set_timeout(c->flow, FLOW_READ | FLOW_WRITE, idle_limit);
        if (c->state == READING)
            break;
    }
    if (st == FLOW_OK || st == FLOW_AGAIN) {
        flow_poller_set(poller, c->flow, conn_interest[c->state]);
        return;
    }
    if (st != FLOW_EOF)
        server_report_error(c);
    server_drop(c);
}

static void
server_accept(struct flow_listener *l)
{
    enum flow_status st;
    struct flow_error err;
    struct flow *f;
    struct conn *c;

    st = flow_accept(l, &f);
    if (st == FLOW_AGAIN)
        return;
    if (st != FLOW_OK) {
        flow_listener_get_error(l, &err);
        server_failed("cannot accept", &err);
        return;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL ||
        flow_poller_add(poller, f, conn_interest[READING], c) != FLOW_OK) {
        fprintf(stderr, "server: no memory for a connection\n");
        flow_close(f);
        free(c);
        return;
    }
    c->flow = f;
    c->next = conns;
    c->link = &conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    conns = c;
    flow_set_timeout(f, FLOW_READ | FLOW_WRITE, idle_limit);
}

static void
server_handle(const struct flow_poller_event *event)
{
    struct conn *c = event->user;

    if (event->ready == 0)
        return;
    if (event->listener != NULL) {
        server_accept(event->listener);
    } else if ((event->ready & FLOW_READY_DEADLINE) != 0) {
        server_report(c, "no progress for too long");
        server_drop(c);
    } else {
        server_advance(c);
    }
}

static int
server_loop(void)
{
    const struct flow_poller_event *event;
    enum flow_status st;
    size_t count, i;

    while (!stopped) {
        st = flow_poller_wait(poller, 64, FLOW_NEVER, &event, &count);
        if (st != FLOW_OK) {
            fprintf(stderr, "server: %s\n", flow_status_text(st));
            return 1;
        }
        for (i = 0; i < count; i++)
            server_handle(&event[i]);
    }
    return 0;
}

static int
server_run(struct flow_listener *l)
{
    struct sigaction action = { .sa_handler = server_stop };
    char address[128];
    size_t len = sizeof(address);
    int code = 1;

    if (flow_poller_new(NULL, &poller) != FLOW_OK) {
        fprintf(stderr, "server: cannot make a poller\n");
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (flow_poller_add_listener(poller, l, NULL) == FLOW_OK &&
        flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len) ==
            FLOW_OK) {
        printf("listening on %s\n", address);
        fflush(stdout);
        code = server_loop();
    }
    while (conns != NULL)
        server_drop(conns);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    flow_poller_free(poller);
    return code;
}

static enum flow_status
server_tls(struct flow_listener **l, const char *cert, const char *key,
           struct flow_error *err)
{
    struct flow_tls_config *config;
    struct flow_listener *tls;
    enum flow_status st;

    st = flow_tls_config_new_server(NULL, &config, err);
    if (st != FLOW_OK)
        return st;
    st = flow_tls_config_add_keypair_file(config, cert, key, NULL, NULL, err);
    if (st == FLOW_OK)
        st = flow_tls_listen(config, *l, 0, &tls, err);
    if (st == FLOW_OK)
        *l = tls;
    flow_tls_config_unref(config);
    return st;
}

int
main(int argc, char **argv)
{
    struct flow_listener *l;
    struct flow_error err;
    double seconds;
    int code;

    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: server ENDPOINT SECONDS [CERT KEY]\n");
        return 2;
    }
    seconds = atof(argv[2]);
    if (!(seconds > 0 && seconds < 1e6)) {
        fprintf(stderr, "server: SECONDS is not a number above 0\n");
        return 2;
    }
    idle_limit = (uint64_t)(seconds * 1e9);
    if (flow_endpoint_listen(NULL, argv[1], NULL, &l, &err) != FLOW_OK)
        return server_failed("cannot listen", &err);
    if (argc == 5 && server_tls(&l, argv[3], argv[4], &err) != FLOW_OK)
        code = server_failed("cannot set up TLS", &err);
    else
        code = server_run(l);
    flow_listener_close(l);
    return code;
}
