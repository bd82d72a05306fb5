/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <flow/endpoint.h>
#include <flow/poller.h>
#include <flow/tls.h>
#include <flow/util.h>

/*
 * many_clients ADDR:PORT CA NAME COUNT FILE: opens COUNT connections at once,
 * in one poller.  None reads before all are open; then each must receive a
 * complete answer that ends with FILE.
 */

struct client {
    struct flow *flow;
    bool open;
    bool answered;
    bool over;
    size_t len;
    char *answer;
};

#define EVENTS 64

struct run {
    const struct flow_env *env;
    struct flow_poller *poller;
    struct client *client;
    size_t count;
    size_t open;
    size_t over;
    size_t answered;
    const char *file;
    size_t file_len;
    size_t cap; /* bytes of an answer */
};

/* Everything must be done within this time. */
#define LIMIT UINT64_C(100000000000)

static void
client_over(struct run *r, struct client *c, enum flow_dir dir)
{
    struct flow_error err;
    char text[256];

    if (!c->answered) {
        flow_get_error(c->flow, dir, &err);
        flow_error_format(&err, text, sizeof(text));
        fprintf(stderr, "no answer: %s\n", text);
    }
    flow_poller_remove(r->poller, c->flow);
    flow_close(c->flow);
    c->flow = NULL;
    c->over = true;
    r->over++;
}

static void
client_read(struct run *r, struct client *c)
{
    enum flow_status st;
    size_t n;

    do {
        st = flow_read(c->flow, c->answer + c->len, r->cap - c->len, &n);
        c->len += n;
    } while (st == FLOW_OK && c->len < r->cap);
    if (st == FLOW_AGAIN)
        return;
    c->answered =
        st == FLOW_EOF && c->len > r->file_len &&
        memcmp(c->answer, "HTTP/1.1 200 ", 13) == 0 &&
        memcmp(c->answer + c->len - r->file_len, r->file, r->file_len) == 0;
    r->answered += c->answered;
    client_over(r, c, FLOW_READ);
}

static void
client_event(struct run *r, struct client *c)
{
    enum flow_status st;
    size_t i;

    if (c->open) {
        client_read(r, c);
        return;
    }
    st = flow_open(c->flow);
    if (st == FLOW_AGAIN)
        return;
    if (st != FLOW_OK) {
        client_over(r, c, FLOW_READ);
        return;
    }
    c->open = true;
    r->open++;
    flow_poller_set(r->poller, c->flow, 0);
    if (r->open < r->count)
        return;
    for (i = 0; i < r->count; i++)
        flow_poller_set(r->poller, r->client[i].flow, FLOW_READY_READ);
}

static bool
start(struct run *r, const char *address, const char *name,
      struct flow_tls_config *config)
{
    struct flow_endpoint_options options = { .tls = config,
                                             .server_name = name };
    struct flow_error err;
    char endpoint[128], text[256];
    size_t i;

    snprintf(endpoint, sizeof(endpoint), "tls+tcp://%s", address);
    for (i = 0; i < r->count; i++) {
        struct client *c = &r->client[i];

        c->answer = malloc(r->cap);
        if (c->answer == NULL)
            return false;
        if (flow_endpoint_dial(r->env, endpoint, &options, &c->flow, &err) !=
            FLOW_OK) {
            flow_error_format(&err, text, sizeof(text));
            fprintf(stderr, "%s: %s\n", endpoint, text);
            return false;
        }
        if (flow_poller_add(r->poller, c->flow, FLOW_READY_OPEN, c) != FLOW_OK)
            return false;
    }
    return true;
}

static bool
run(struct run *r)
{
    const struct flow_poller_event *event;
    uint64_t end = r->env->now(r->env->ctx) + LIMIT;
    enum flow_status st;
    size_t n, i;

    while (r->over < r->count) {
        st = flow_poller_wait(r->poller, EVENTS, end, &event, &n);
        if (st != FLOW_OK) {
            fprintf(stderr, "%zu open, %zu over: %s\n", r->open, r->over,
                    flow_status_text(st));
            return false;
        }
        for (i = 0; i < n; i++)
            if (event[i].flow != NULL)
                client_event(r, event[i].user);
    }
    return true;
}

static bool
read_file(struct run *r, const char *path)
{
    static char content[65536];
    FILE *in = fopen(path, "rb");

    if (in == NULL)
        return false;
    r->file_len = fread(content, 1, sizeof(content), in);
    r->file = content;
    r->cap = r->file_len + 1024;
    fclose(in);
    return true;
}

static bool
prepare(struct run *r, char **argv, struct flow_tls_config **config)
{
    struct rlimit limit;

    r->env = flow_env_default();
    r->count = strtoul(argv[4], NULL, 10);
    r->client = calloc(r->count, sizeof(*r->client));
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return r->client != NULL && read_file(r, argv[5]) &&
           flow_poller_new(r->env, &r->poller) == FLOW_OK &&
           flow_tls_config_new_client(NULL, config, NULL) == FLOW_OK &&
           flow_tls_config_add_trust_file(*config, argv[2], NULL) == FLOW_OK &&
           flow_tls_config_set_handshake_limits(*config, LIMIT, 0) == FLOW_OK;
}

int
main(int argc, char **argv)
{
    struct run r = { .count = 0 };
    struct flow_tls_config *config = NULL;
    bool ok;
    size_t i;

    if (argc != 6)
        return 2;
    ok = prepare(&r, argv, &config) && start(&r, argv[1], argv[3], config) &&
         run(&r);
    printf("%zu connected, %zu answered\n", r.open, r.answered);
    for (i = 0; r.client != NULL && i < r.count; i++) {
        if (r.client[i].flow != NULL)
            flow_poller_remove(r.poller, r.client[i].flow);
        flow_close(r.client[i].flow);
        free(r.client[i].answer);
    }
    free(r.client);
    flow_poller_free(r.poller);
    flow_tls_config_unref(config);
    return ok && r.answered == r.count ? 0 : 1;
}
