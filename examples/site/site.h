/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_SITE_SITE_H
#define EXAMPLES_SITE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>
#include <flow/listener.h>
#include <flow/poller.h>

#include "../common/reload.h"

/*
 * flow-site: one poller in each thread, every answer prepared before the first
 * connection.
 *
 *   answer.c    responses: files and their headers, prepared at startup
 *   redirect.c  parses a request on the plain port
 *   conn.c      a connection from accept to close
 *   loop.c      one poller with its listeners and connections
 *   workers.c   threads, each with a loop; signals and failures of one of them
 *   settings.c  fixed answers, and how TLS is set up
 *   main.c      options, listeners
 */

/* A response: the head, then a Date field and an empty line that are added when
 * it is sent, then the body. */
struct answer {
    int status;
    char *head;
    size_t head_len;
    const void *body;
    size_t body_len;
    bool is_mapped; /* the body is a file */
};

/* A name and its response.  The table is sorted by name. */
struct resource {
    char *name; /* lower case, without a trailing dot */
    struct answer answer;
};

struct resources {
    struct resource *item;
    size_t count;
};

/* Adds NAME=FILE; returns an exit code of "cli.h". */
int resources_add(struct resources *r, const char *name_and_file);
/* Adds a body that stays where it is; as resources_add().  The file's name
 * tells its type. */
int resources_add_bytes(struct resources *r, const char *name, const char *file,
                        const void *body, size_t len);
/* Sorts the table; false if a name occurs twice. */
bool resources_seal(struct resources *r);
const struct resource *resources_find(const struct resources *r,
                                      const char *name);
void resources_fini(struct resources *r);

/* Lower case, without a trailing dot; false if it is not a host name. */
bool host_normalise(const char *text, size_t len, char *ret, size_t cap);

/* A response with a short text; false without memory. */
bool answer_text(struct answer *a, int status, const char *reason,
                 const char *text);
/* A 301 to a URL that the caller has validated. */
bool answer_redirect(struct answer *a, const char *url);
void answer_fini(struct answer *a);
/* "Date: ...\r\n\r\n" with the current time (RFC 9110 6.6.1). */
#define ANSWER_TAIL 48
size_t answer_tail(char tail[ANSWER_TAIL]);

/* Bytes of a request that the plain port reads. */
#define REQUEST_MAX 8192

struct request {
    char host[256];
    char path[REQUEST_MAX]; /* begins with '/' */
};

/* 0: more bytes are needed; 200: *ret is set; else the status code to answer
 * with.  The text is untrusted. */
int request_parse(const char *text, size_t len, struct request *ret);

struct conn;
struct workers;

/* Events handled at a time. */
#define SITE_EVENTS 128

struct site {
    /* Settings. */
    struct resources resources;
    const struct resource *fallback; /* or NULL */
    uint64_t handshake_timeout;      /* ns */
    uint64_t idle_timeout;           /* ns */
    size_t max_connections;
    bool log;
    uint16_t https_port; /* the port in redirects */

    /* Fixed answers. */
    struct answer misdirected; /* 421: a name that is not served */
    struct answer bad_request; /* 400 */
    struct answer too_large;   /* 431 */
    struct answer too_slow;    /* 408 */

    /* What runs. */
    const struct flow_env *env;
    struct flow_poller *poller;
    struct flow_listener *tls;
    struct flow_listener *plain; /* or NULL */
    bool listening;              /* the poller watches the listeners */
    struct conn *conns;
    size_t conn_count;
    struct reload *reload; /* of the first worker alone, for all */
    struct reload_program program;
    struct workers *workers;
    size_t index; /* among the workers; 0 is in the main thread */
};

/* Makes the fixed answers; false without memory, which it has printed. */
bool settings_make_answers(struct site *site);
void settings_free_answers(struct site *site);
/* Sets what a configuration has besides the certificates; an exit code. */
int settings_apply(const struct site *site, struct flow_tls_config *config);

/* Takes ownership of the flow in every case. */
void conn_start(struct site *site, struct flow *flow, bool plain);
/* Handle an event of the poller. */
void conn_event(struct conn *c, uint32_t ready);
/* Close the connections that are left. */
void conn_close_all(struct site *site);

/* Serves until it is told to end; an exit code. */
int loop_run(struct site *site);

/* Runs as many workers as there are elements, each of which has its listeners
 * and its poller; an exit code. */
int workers_run(struct site *site, size_t count);
/* What a worker has to do: 0, to serve; 1, to end when the last connection has
 * ended; 2, to close all.  The first worker passes on the signals. */
int workers_orders(struct workers *w, size_t index);
/* How many threads besides the main one have not ended. */
size_t workers_running(const struct workers *w);

#endif
