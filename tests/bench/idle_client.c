/* SPDX-License-Identifier: ISC */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/poller.h>
#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/util.h>

/*
 * idle_client PORT CA NAME COUNT SECONDS: connects COUNT times to a server on
 * 127.0.0.1, asks each time for one answer, reads the first bytes of it and
 * keeps the connection.  Says "COUNT open" when all are, or how many after
 * SECONDS, and ends when its standard input does.  A client of its own process,
 * so that the server's memory is the server's.
 */

/* Handshakes at a time: no backlog is as short. */
#define PARALLEL 64
/* Connections from one address: fewer than ports that any system gives out. */
#define PER_ADDRESS 10000
#define SECOND      UINT64_C(1000000000)

struct client {
    struct flow *flow;
    bool has_asked;
};

struct run {
    const struct flow_env *env;
    struct flow_poller *poller;
    struct flow_tls_config *config;
    const char *name;
    struct client *clients;
    size_t count;
    size_t begun;
    size_t open; /* those that have had an answer */
    uint64_t deadline;
    uint16_t port;
};

static bool
complain(const struct flow_error *err)
{
    char text[256];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "idle_client: %s\n", text);
    return false;
}

static bool
fail(struct client *c, enum flow_dir dir)
{
    struct flow_error err;

    flow_get_error(c->flow, dir, &err);
    return complain(&err);
}

static bool
begin(struct run *r)
{
    struct client *c = &r->clients[r->begun];
    char source[32];
    struct flow_tcp_options options = { .source = source };
    struct flow_error err;
    struct flow *tcp;

    (void)snprintf(source, sizeof(source), "127.0.0.%zu",
                   1 + r->begun / PER_ADDRESS);
    if (flow_tcp_dial(NULL, "127.0.0.1", r->port, &options, &tcp, &err) !=
        FLOW_OK)
        return complain(&err);
    if (flow_tls_wrap_client(r->config, tcp, r->name, 0, &c->flow, &err) !=
        FLOW_OK) {
        flow_close(tcp);
        return complain(&err);
    }
    r->begun++;
    return flow_poller_add(r->poller, c->flow, FLOW_READY_OPEN, c) == FLOW_OK;
}

static bool
ask(struct run *r, struct client *c)
{
    char request[320];
    size_t len, sent;

    len = (size_t)snprintf(request, sizeof(request),
                           "GET /small HTTP/1.1\r\nHost: %s\r\n\r\n", r->name);
    /* Nothing was written before, so there is room for it. */
    if (flow_write(c->flow, request, len, &sent) != FLOW_OK || sent != len ||
        flow_flush(c->flow) != FLOW_OK)
        return fail(c, FLOW_WRITE);
    c->has_asked = true;
    return flow_poller_set(r->poller, c->flow, FLOW_READY_READ) == FLOW_OK;
}

/* One step of a connection that is not open yet. */
static bool
step(struct run *r, struct client *c)
{
    char some[512];
    enum flow_status st;
    size_t len;

    if (!c->has_asked) {
        st = flow_open(c->flow);
        if (st == FLOW_AGAIN)
            return true;
        return st == FLOW_OK ? ask(r, c) : fail(c, FLOW_READ);
    }
    st = flow_read(c->flow, some, sizeof(some), &len);
    if (st == FLOW_AGAIN)
        return true;
    if (st != FLOW_OK)
        return fail(c, FLOW_READ);
    r->open++;
    return flow_poller_remove(r->poller, c->flow) == FLOW_OK;
}

static bool
open_all(struct run *r)
{
    const struct flow_poller_event *event;
    enum flow_status st;
    size_t n;

    while (r->open < r->count) {
        while (r->begun < r->count && r->begun - r->open < PARALLEL)
            if (!begin(r))
                return false;
        st = flow_poller_wait(r->poller, PARALLEL, r->deadline, &event, &n);
        if (st == FLOW_E_TIMEOUT)
            return true;
        if (st != FLOW_OK)
            return false;
        for (size_t i = 0; i < n; i++)
            if (event[i].flow != NULL && !step(r, event[i].user))
                return false;
    }
    return true;
}

static bool
prepare(struct run *r, char **argv)
{
    r->env = flow_env_default();
    r->port = (uint16_t)strtoul(argv[1], NULL, 10);
    r->name = argv[3];
    r->count = strtoul(argv[4], NULL, 10);
    r->deadline = flow_time_after(r->env->now(r->env->ctx),
                                  strtoul(argv[5], NULL, 10) * SECOND);
    r->clients = calloc(r->count, sizeof(*r->clients));
    return r->clients != NULL && flow_poller_new(NULL, &r->poller) == FLOW_OK &&
           flow_tls_config_new_client(NULL, &r->config, NULL) == FLOW_OK &&
           flow_tls_config_set_versions(r->config, FLOW_TLS_1_3,
                                        FLOW_TLS_1_3) == FLOW_OK &&
           flow_tls_config_add_trust_file(r->config, argv[2], NULL) == FLOW_OK;
}

static void
finish(struct run *r)
{
    for (size_t i = 0; r->clients != NULL && i < r->begun; i++)
        flow_close(r->clients[i].flow);
    free(r->clients);
    flow_poller_free(r->poller);
    flow_tls_config_unref(r->config);
}

int
main(int argc, char **argv)
{
    struct run r = { 0 };
    bool ok;

    if (argc != 6) {
        fprintf(stderr, "usage: idle_client PORT CA NAME COUNT SECONDS\n");
        return 2;
    }
    ok = prepare(&r, argv) && open_all(&r);
    if (ok) {
        printf("%zu open\n", r.open);
        (void)fflush(stdout);
        while (getchar() != EOF)
            continue;
    }
    finish(&r);
    return ok ? 0 : 1;
}
