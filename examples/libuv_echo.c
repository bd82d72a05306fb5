/* SPDX-License-Identifier: ISC */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include <flow/endpoint.h>
#include <flow/tls_config.h>

/*
 * An echo server in the event loop of libuv.
 *
 * A flow never blocks, so it works in any event loop: if a call returns
 * FLOW_AGAIN, flow_wait_sources() gives what to wait for, as descriptors,
 * events and a deadline.  `struct watch` below hands these to libuv; nothing
 * else is needed.  Events may be signalled from any thread, so their waker is a
 * uv_async_t.  A watch has one descriptor at a time, which is enough for a
 * connected socket with or without TLS.
 *
 * (For many flows in a foreign loop, put one flow_poller into it:
 * flow_poller_fd() and flow_poller_timeout().)
 */

#define BUFFER 16384

static const char help_text[] =
    "usage: libuv_echo ENDPOINT [CERT KEY]\n"
    "\n"
    "Sends every byte back to where it came from, with flows driven by libuv.\n"
    "\n"
    "  ENDPOINT    tcp://HOST:PORT, unix:///PATH, or tls+ and one of these\n"
    "  CERT, KEY   tls+...: certificate chain and private key, PEM\n"
    "\n"
    "Prints 'listening on ADDRESS' when it is ready.  Exits on SIGTERM or "
    "SIGINT.\n"
    "\n"
    "Exit codes: 0 ended by a signal, 1 failure, 2 usage error.\n";

/* The wait sources of a flow or listener, as handles of libuv. */
struct watch {
    struct flow_waker waker; /* of the events */
    struct flow_event_node node[FLOW_WAIT_SOURCES];
    size_t nodes; /* how many are armed */
    uv_async_t async;
    uv_poll_t poll;
    uv_timer_t timer;
    int fd; /* of poll, or -1 if poll is not initialised */
    int handles;
    void (*ready)(void *user);
    void (*closed)(void *user);
    void *user;
};

static uint64_t
libuv_now(void)
{
    const struct flow_env *env = flow_env_default();

    return env->now(env->ctx);
}

static void
libuv_watch_stop(struct watch *w)
{
    while (w->nodes > 0)
        flow_event_disarm(&w->node[--w->nodes]);
    if (w->fd >= 0)
        uv_poll_stop(&w->poll);
    uv_timer_stop(&w->timer);
}

/* A source fired.  ready() tries again; it may get FLOW_AGAIN. */
static void
libuv_on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;

    (void)status;
    (void)events;
    libuv_watch_stop(w);
    w->ready(w->user);
}

static void
libuv_on_timer(uv_timer_t *timer)
{
    struct watch *w = timer->data;

    libuv_watch_stop(w);
    w->ready(w->user);
}

/* Called in any thread and under a lock of libflow, so it only wakes the loop.
 */
static void
libuv_on_wake(struct flow_waker *waker)
{
    uv_async_send(&((struct watch *)(void *)waker)->async);
}

static void
libuv_on_async(uv_async_t *async)
{
    struct watch *w = async->data;

    libuv_watch_stop(w);
    w->ready(w->user);
}

static bool
libuv_watch_init(struct watch *w, uv_loop_t *loop, void (*ready)(void *),
                 void (*closed)(void *), void *user)
{
    if (uv_async_init(loop, &w->async, libuv_on_async) != 0)
        return false;
    uv_timer_init(loop, &w->timer);
    w->waker.wake = libuv_on_wake;
    w->nodes = 0;
    w->async.data = w;
    w->timer.data = w;
    w->handles = 2;
    w->fd = -1;
    w->ready = ready;
    w->closed = closed;
    w->user = user;
    return true;
}

static bool
libuv_watch_fd(struct watch *w, const struct flow_wait_source *source)
{
    int events = ((source->events & FLOW_WAIT_IN) != 0 ? UV_READABLE : 0) |
                 ((source->events & FLOW_WAIT_OUT) != 0 ? UV_WRITABLE : 0);

    if (w->fd < 0) {
        if (uv_poll_init(w->timer.loop, &w->poll, source->fd) != 0)
            return false;
        w->poll.data = w;
        w->fd = source->fd;
        w->handles = 3;
    }
    return source->fd == w->fd &&
           uv_poll_start(&w->poll, events, libuv_on_poll) == 0;
}

/* false: the source cannot be watched.  An event that was signalled after
 * flow_wait_sources() wakes the loop at once. */
static bool
libuv_watch_source(struct watch *w, const struct flow_wait_source *source)
{
    if (source->kind == FLOW_WAIT_FD)
        return libuv_watch_fd(w, source);
    if (!flow_event_arm(source->event, &w->node[w->nodes++], &w->waker,
                        source->sequence))
        uv_async_send(&w->async);
    return true;
}

/* Call ready() when a source fires; at once if something is ready already. */
static bool
libuv_watch_start(struct watch *w, bool ready, const struct flow_wait_set *set)
{
    uint64_t later = 0;
    size_t i;

    if (ready)
        return uv_timer_start(&w->timer, libuv_on_timer, 0, 0) == 0;
    for (i = 0; i < set->count; i++)
        if (!libuv_watch_source(w, &set->source[i]))
            return false;
    if (set->deadline == FLOW_NEVER)
        return true;
    if (set->deadline > libuv_now())
        later = (set->deadline - libuv_now() + 999999) /
                1000000; /* ms, rounded up */
    /* libuv caches its clock during callbacks. */
    uv_update_time(w->timer.loop);
    return uv_timer_start(&w->timer, libuv_on_timer, later, 0) == 0;
}

static void
libuv_on_handle_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;

    if (--w->handles == 0)
        w->closed(w->user);
}

/* Call before flow_close(): libuv must release the descriptor first. */
static void
libuv_watch_close(struct watch *w)
{
    libuv_watch_stop(w);
    if (w->fd >= 0)
        uv_close((uv_handle_t *)&w->poll, libuv_on_handle_closed);
    uv_close((uv_handle_t *)&w->timer, libuv_on_handle_closed);
    uv_close((uv_handle_t *)&w->async, libuv_on_handle_closed);
}

/* A connection: read, write back, and end after the peer has ended. */
struct conn {
    struct watch watch;
    struct conn *next, **link;
    struct flow *flow;
    bool ended;
    size_t off, len;
    char buffer[BUFFER];
};

struct server {
    uv_loop_t loop;
    uv_signal_t sigint, sigterm;
    struct watch watch;
    struct flow_listener *listener;
    struct conn *conns;
    int code;
};

static void
libuv_conn_closed(void *user)
{
    free(user);
}

static void
libuv_conn_close(struct conn *c)
{
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    libuv_watch_close(&c->watch);
    flow_close(c->flow);
}

static uint32_t
libuv_interest(const struct conn *c)
{
    if (c->ended)
        return FLOW_READY_FLUSH;
    return c->len > 0 ? FLOW_READY_WRITE : FLOW_READY_READ;
}

/* FLOW_EOF when the connection is over. */
static enum flow_status
libuv_step(struct conn *c)
{
    enum flow_status st;
    size_t n;

    if (c->ended) {
        st = flow_shutdown(c->flow, FLOW_WRITE);
        return st == FLOW_OK ? FLOW_EOF : st;
    }
    if (c->len > 0) {
        st = flow_write(c->flow, c->buffer + c->off, c->len, &n);
        c->off += n;
        c->len -= n;
        return st;
    }
    c->off = 0;
    st = flow_read(c->flow, c->buffer, BUFFER, &c->len);
    c->ended = st == FLOW_EOF;
    return c->ended ? FLOW_OK : st;
}

static void
libuv_conn_ready(void *user)
{
    struct conn *c = user;
    struct flow_wait_set set;
    enum flow_status st = FLOW_OK;
    bool ready;
    int turns;

    for (turns = 0; st == FLOW_OK && turns < 32; turns++)
        st = libuv_step(c);
    if (st == FLOW_OK || st == FLOW_AGAIN) {
        flow_wait_set_init(&set);
        ready = flow_wait_sources(c->flow, libuv_interest(c), &set) != 0;
        if (libuv_watch_start(&c->watch, ready, &set))
            return;
    }
    libuv_conn_close(c);
}

static void
libuv_conn_start(struct server *s, struct flow *flow)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL || !libuv_watch_init(&c->watch, &s->loop, libuv_conn_ready,
                                       libuv_conn_closed, c)) {
        fprintf(stderr, "libuv_echo: no memory for a connection\n");
        flow_close(flow);
        free(c);
        return;
    }
    c->flow = flow;
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    s->conns = c;
    libuv_conn_ready(c);
}

static int
libuv_complain(const char *what, const struct flow_error *err)
{
    char text[512];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "libuv_echo: %s: %s\n", what, text);
    return 1;
}

static void
libuv_server_closed(void *user)
{
    (void)user;
}

static void
libuv_server_stop(struct server *s)
{
    while (s->conns != NULL)
        libuv_conn_close(s->conns);
    libuv_watch_close(&s->watch);
    uv_close((uv_handle_t *)&s->sigint, NULL);
    uv_close((uv_handle_t *)&s->sigterm, NULL);
}

static void
libuv_on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    libuv_server_stop(handle->data);
}

static void
libuv_server_ready(void *user)
{
    struct server *s = user;
    struct flow_wait_set set;
    struct flow_error err;
    struct flow *flow;
    enum flow_status st;
    bool ready;

    while ((st = flow_accept(s->listener, &flow)) == FLOW_OK)
        libuv_conn_start(s, flow);
    if (st != FLOW_AGAIN) {
        flow_listener_get_error(s->listener, &err);
        libuv_complain("a connection was not taken", &err);
    }
    flow_wait_set_init(&set);
    ready = flow_listener_wait_sources(s->listener, &set);
    if (libuv_watch_start(&s->watch, ready, &set))
        return;
    fprintf(stderr, "libuv_echo: cannot wait for connections\n");
    s->code = 1;
    libuv_server_stop(s);
}

static int
libuv_listen_on(struct server *s, int argc, char **argv)
{
    struct flow_endpoint_options options = { 0 };
    struct flow_error err;
    char address[256];
    size_t len = sizeof(address);
    enum flow_status st;

    if (argc == 4 &&
        (flow_tls_config_new_server(NULL, &options.tls, &err) != FLOW_OK ||
         flow_tls_config_add_keypair_file(options.tls, argv[2], argv[3], NULL,
                                          NULL, &err) != FLOW_OK)) {
        flow_tls_config_unref(options.tls);
        return libuv_complain("TLS", &err);
    }
    st = flow_endpoint_listen(NULL, argv[1], &options, &s->listener, &err);
    flow_tls_config_unref(options.tls);
    if (st != FLOW_OK)
        return libuv_complain(argv[1], &err);
    if (flow_listener_query(s->listener, FLOW_QUERY_LOCAL_ADDRESS, address,
                            &len) != FLOW_OK)
        snprintf(address, sizeof(address), "%s", argv[1]);
    printf("listening on %s\n", address);
    fflush(stdout);
    return 0;
}

static int
libuv_run(struct server *s)
{
    if (uv_loop_init(&s->loop) != 0 ||
        uv_signal_init(&s->loop, &s->sigint) != 0 ||
        uv_signal_init(&s->loop, &s->sigterm) != 0 ||
        !libuv_watch_init(&s->watch, &s->loop, libuv_server_ready,
                          libuv_server_closed, s)) {
        fprintf(stderr, "libuv_echo: cannot make a loop\n");
        return 1;
    }
    s->sigint.data = s->sigterm.data = s;
    uv_signal_start(&s->sigint, libuv_on_signal, SIGINT);
    uv_signal_start(&s->sigterm, libuv_on_signal, SIGTERM);
    libuv_server_ready(s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    return s->code;
}

int
main(int argc, char **argv)
{
    struct server server = { .code = 0 };
    int code;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return 0;
    }
    if (argc != 2 && argc != 4) {
        fputs(help_text, stderr);
        return 2;
    }
    code = libuv_listen_on(&server, argc, argv);
    if (code == 0)
        code = libuv_run(&server);
    flow_listener_close(server.listener);
    return code;
}
