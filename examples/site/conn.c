/* SPDX-License-Identifier: ISC */
#include "site.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/tls.h>

#include "../common/cli.h"

/*
 * A connection:
 *
 *   OPENING -> (REQUEST) -> ANSWERING -> ENDING -> DRAINING -> closed
 *
 * The response depends on the TLS server name alone, so the request is never
 * parsed; but it is read and dropped up to its end.  If a socket is closed with
 * unread input, the kernel sends a reset, and the peer may lose the response.
 * For the same reason ENDING sends close_notify and FIN, and DRAINING waits for
 * the peer to end its direction.
 *
 * Input is read once for each report of the poller that there is some, and not
 * before: a read that finds nothing costs as much as one that does not, and the
 * poller answers for many connections at once.
 */
enum state {
    CONN_OPENING,   /* connected, handshake under way */
    CONN_REQUEST,   /* plain port: reading the request */
    CONN_ANSWERING, /* writing the response, and the end of our direction */
    CONN_ENDING,    /* sending the end of our direction */
    CONN_DRAINING   /* waiting until the peer ends its direction */
};

/* Bytes written before another connection gets its turn: 16 full records. */
#define TURN ((size_t)16 * 16384)
/* Bytes of input that are dropped per connection before it is closed. */
#define DRAIN_MAX (UINT64_C(4) << 20)

struct conn {
    struct conn *next, **link;
    struct site *site;
    struct flow *flow;
    enum state state;
    bool plain;
    bool has_input;   /* the poller has said so since the last read */
    bool input_over;  /* the peer's direction is not read any more */
    uint64_t began;   /* ns */
    uint64_t drained; /* bytes of input dropped */
    const struct answer *answer;
    struct answer own; /* a redirect */
    char tail[ANSWER_TAIL];
    size_t tail_len;
    size_t sent; /* bytes of head, tail and body accepted */
    size_t request_len;
    char *request; /* plain port: REQUEST_MAX bytes */
};

static uint64_t
conn_now(const struct conn *c)
{
    return c->site->env->now(c->site->env->ctx);
}

static void
conn_set_deadline(struct conn *c, uint64_t nsec)
{
    flow_set_deadline(c->flow, FLOW_READ | FLOW_WRITE, conn_now(c) + nsec);
}

/* The peer's address and the protocol, for the log. */
static void
conn_log_peer(struct conn *c)
{
    char address[80] = "?";
    size_t len = sizeof(address);

    if (flow_query(c->flow, FLOW_QUERY_PEER_ADDRESS, address, &len) != FLOW_OK)
        strcpy(address, "?");
    fprintf(stderr, "%s %s", address, c->plain ? "http" : "https");
}

static void
conn_log_trouble(struct conn *c, const char *what)
{
    static const char *const phase[] = { "handshake", "request", "answer",
                                         "end", "end" };

    if (!c->site->log)
        return;
    flockfile(stderr);
    conn_log_peer(c);
    fprintf(stderr, " %s: %s\n", phase[c->state], what);
    funlockfile(stderr);
}

static void
conn_log_failure(struct conn *c, enum flow_dir dir)
{
    struct flow_error err;
    char text[512];

    if (!c->site->log)
        return;
    flow_get_error(c->flow, dir, &err);
    flow_error_format(&err, text, sizeof(text));
    conn_log_trouble(c, text);
}

static void
conn_log_answer(struct conn *c)
{
    const char *name = "-", *version = "-";
    char client[512] = "";
    enum flow_status st;
    struct flow_tls_info info;

    if (!c->site->log)
        return;
    if (!c->plain && flow_tls_get_info(c->flow, &info) == FLOW_OK) {
        version = info.version == FLOW_TLS_1_3 ? "TLSv1.3" : "TLSv1.2";
        if (info.server_name[0] != '\0')
            name = info.server_name;
        st = flow_tls_get_peer_subject(c->flow, client, sizeof(client));
        if (st == FLOW_E_INVAL)
            snprintf(client, sizeof(client), "with a subject that is too long");
    }
    flockfile(stderr);
    conn_log_peer(c);
    fprintf(stderr, " %s %s %d %zu bytes %" PRIu64 " ms%s%s\n", name, version,
            c->answer->status, c->answer->body_len,
            (conn_now(c) - c->began) / 1000000,
            client[0] != '\0' ? ", client " : "", client);
    funlockfile(stderr);
}

static void
conn_close(struct conn *c)
{
    struct site *site = c->site;

    flow_close(c->flow);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    site->conn_count--;
    answer_fini(&c->own);
    free(c->request);
    free(c);
}

/* See "site.h". */
void
conn_close_all(struct site *site)
{
    while (site->conns != NULL)
        conn_close(site->conns);
}

static void
conn_choose(struct conn *c, const struct answer *a)
{
    c->answer = a;
    c->tail_len = answer_tail(c->tail);
    c->state = CONN_ANSWERING;
    conn_set_deadline(c, c->site->idle_timeout);
}

/* Choose the response by the TLS server name. */
static void
conn_choose_by_name(struct conn *c)
{
    const struct resource *r = NULL;
    struct flow_tls_info info;

    if (flow_tls_get_info(c->flow, &info) == FLOW_OK)
        r = resources_find(&c->site->resources, info.server_name);
    if (r == NULL)
        r = c->site->fallback;
    conn_choose(c, r != NULL ? &r->answer : &c->site->misdirected);
}

static const struct answer *
conn_redirect_for(struct conn *c, const struct request *request)
{
    char port[8] = "";
    char url[sizeof(*request) + 16];

    if (resources_find(&c->site->resources, request->host) == NULL)
        return &c->site->misdirected;
    if (c->site->https_port != 443)
        snprintf(port, sizeof(port), ":%u", c->site->https_port);
    snprintf(url, sizeof(url), "https://%s%s%s", request->host, port,
             request->path);
    return answer_redirect(&c->own, url) ? &c->own : &c->site->bad_request;
}

/*
 * The steps.  FLOW_OK: the state moved on, step again.  FLOW_AGAIN: wait.
 * Anything else: close.
 */

static enum flow_status
conn_step_opening(struct conn *c)
{
    enum flow_status st = flow_open(c->flow);

    if (st == FLOW_AGAIN)
        return st;
    if (st != FLOW_OK) {
        conn_log_failure(c, FLOW_READ);
        return st;
    }
    if (c->plain)
        c->state = CONN_REQUEST;
    else
        conn_choose_by_name(c);
    return FLOW_OK;
}

static enum flow_status
conn_step_request(struct conn *c)
{
    struct request request;
    enum flow_status st;
    size_t len;
    int status;

    st = flow_read(c->flow, c->request + c->request_len,
                   REQUEST_MAX - c->request_len, &len);
    if (st == FLOW_AGAIN)
        return st;
    if (st != FLOW_OK) {
        if (st == FLOW_EOF)
            conn_log_trouble(c,
                             "the peer ended before the request was complete");
        else
            conn_log_failure(c, FLOW_READ);
        return st;
    }
    c->request_len += len;
    status = request_parse(c->request, c->request_len, &request);
    if (status == 200)
        conn_choose(c, conn_redirect_for(c, &request));
    else if (status != 0)
        conn_choose(c, status == 431 ? &c->site->too_large
                                     : &c->site->bad_request);
    return FLOW_OK;
}

/* Read and drop input.  An error is not reported here: if the response cannot
 * be sent, the write fails. */
static void
conn_drain(struct conn *c)
{
    enum flow_status st;
    size_t len;

    if (!c->has_input || c->input_over)
        return;
    c->has_input = false;
    st = flow_read(c->flow, NULL, TURN, &len);
    c->drained += len;
    c->input_over =
        (st != FLOW_OK && st != FLOW_AGAIN) || c->drained >= DRAIN_MAX;
}

/* The bytes of head, tail and body that were not sent yet, at most TURN. */
static size_t
conn_rest_of_answer(const struct conn *c, struct flow_cvec vec[3],
                    size_t *ret_len)
{
    const struct flow_cvec part[3] = {
        { c->answer->head, c->answer->head_len },
        { c->tail, c->tail_len },
        { c->answer->body, c->answer->body_len },
    };
    size_t skip = c->sent, room = TURN, count = 0, i;

    for (i = 0; i < 3; i++) {
        size_t off = skip < part[i].len ? skip : part[i].len;
        size_t len = part[i].len - off;

        skip -= off;
        if (len > room)
            len = room;
        room -= len;
        if (len > 0)
            vec[count++] =
                (struct flow_cvec){ (const char *)part[i].base + off, len };
    }
    *ret_len = TURN - room;
    return count;
}

static enum flow_status
conn_step_answering(struct conn *c)
{
    size_t total = c->answer->head_len + c->tail_len + c->answer->body_len;
    struct flow_cvec vec[3];
    enum flow_status st;
    size_t count, len;
    bool last;

    count = conn_rest_of_answer(c, vec, &len);
    last = c->sent + len == total;
    st = flow_writev(c->flow, vec, count, last ? FLOW_FIN : 0, &len);
    if (len > 0) {
        c->sent += len;
        conn_set_deadline(c, c->site->idle_timeout);
    }
    if (st < 0) {
        conn_log_failure(c, FLOW_WRITE);
        return st;
    }
    if (c->sent < total) {
        /* A peer that sends before it reads must not block us. */
        conn_drain(c);
        return FLOW_AGAIN; /* let other connections have their turn */
    }
    c->state = CONN_ENDING;
    return FLOW_OK;
}

static enum flow_status
conn_step_ending(struct conn *c)
{
    enum flow_status st = flow_shutdown(c->flow, FLOW_WRITE);

    if (st == FLOW_AGAIN) {
        conn_drain(c);
        return st;
    }
    if (st != FLOW_OK) {
        conn_log_failure(c, FLOW_WRITE);
        return st;
    }
    c->state = CONN_DRAINING;
    conn_set_deadline(c, c->site->idle_timeout);
    return FLOW_OK;
}

static enum flow_status
conn_step_draining(struct conn *c)
{
    conn_drain(c);
    if (!c->input_over)
        return FLOW_AGAIN;
    conn_log_answer(c);
    return FLOW_EOF;
}

static enum flow_status
conn_step(struct conn *c)
{
    switch (c->state) {
    case CONN_OPENING:
        return conn_step_opening(c);
    case CONN_REQUEST:
        return conn_step_request(c);
    case CONN_ANSWERING:
        return conn_step_answering(c);
    case CONN_ENDING:
        return conn_step_ending(c);
    case CONN_DRAINING:
        break;
    }
    return conn_step_draining(c);
}

/* What the next step needs.  If it asked for more, the poller would report the
 * flow without end. */
static uint32_t
conn_interest(const struct conn *c)
{
    uint32_t input = c->input_over ? 0 : FLOW_READY_READ;

    switch (c->state) {
    case CONN_OPENING:
        return FLOW_READY_OPEN;
    case CONN_ANSWERING:
        return FLOW_READY_WRITE | input;
    case CONN_ENDING:
        return FLOW_READY_FLUSH | input;
    case CONN_REQUEST:
    case CONN_DRAINING:
        break;
    }
    return FLOW_READY_READ;
}

static void
conn_run(struct conn *c)
{
    enum flow_status st;

    do
        st = conn_step(c);
    while (st == FLOW_OK);
    if (st == FLOW_AGAIN)
        flow_poller_set(c->site->poller, c->flow, conn_interest(c));
    else
        conn_close(c);
}

/* A deadline passed.  True if the connection has another step to do. */
static bool
conn_late(struct conn *c)
{
    switch (c->state) {
    case CONN_REQUEST:
        conn_log_trouble(c, "timed out");
        conn_choose(c, &c->site->too_slow);
        return true;
    case CONN_DRAINING:
        /* Everything was sent; only the peer's end is missing. */
        conn_log_answer(c);
        return false;
    case CONN_OPENING:
    case CONN_ANSWERING:
    case CONN_ENDING:
        break;
    }
    conn_log_trouble(c, "timed out");
    return false;
}

/* See "site.h". */
void
conn_event(struct conn *c, uint32_t ready)
{
    if ((ready & FLOW_READY_DEADLINE) != 0 && !conn_late(c)) {
        conn_close(c);
        return;
    }
    c->has_input = (ready & FLOW_READY_READ) != 0;
    conn_run(c);
}

/* See "site.h".  The first step comes with the first report: the client may
 * not have sent anything yet. */
void
conn_start(struct site *site, struct flow *flow, bool plain)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        goto no_memory;
    if (plain && (c->request = malloc(REQUEST_MAX)) == NULL)
        goto no_memory;
    if (flow_poller_add(site->poller, flow, FLOW_READY_OPEN, c) != FLOW_OK)
        goto no_memory;
    c->site = site;
    c->flow = flow;
    c->plain = plain;
    c->began = conn_now(c);
    c->state = CONN_OPENING;
    conn_set_deadline(c, site->handshake_timeout);
    c->next = site->conns;
    c->link = &site->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    site->conns = c;
    site->conn_count++;
    return;

no_memory:
    cli_complain("cannot serve a connection: out of memory");
    flow_close(flow);
    if (c != NULL)
        free(c->request);
    free(c);
}
