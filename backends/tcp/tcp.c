/* SPDX-License-Identifier: ISC */
#include "backends/tcp/tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/tcp.h>

#include "backends/posix/fd_io.h"

/* For the list of schemes that the build makes. */
extern const struct flow_scheme flow__scheme_tcp;

static struct tcp *
tcp_of(struct flow *f)
{
    return (struct tcp *)f;
}

static void
apply_options(const struct tcp *t)
{
    int fd = t->stream.in;

    /* Both only tune: a system that refuses them still carries the bytes. */
    (void)flow__fd_set_option(fd, IPPROTO_TCP, TCP_NODELAY, !t->delay);
    (void)flow__fd_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, t->keepalive);
}

/* Under the lock, since the other direction's thread may ask what to wait for
 * while this one takes the step. */
static enum flow_status
tcp_open(struct flow *f)
{
    struct tcp *t = tcp_of(f);
    union flow__sockaddr peer;
    struct flow_addr addr;
    struct flow_error err;
    enum flow_status st;
    socklen_t len;
    int fd;

    if (t->dial == NULL)
        return FLOW_OK;
    flow__lock_acquire(&t->stream.lock);
    st = flow__tcp_dial_step(t->dial, &fd, &addr, &err);
    if (st == FLOW_OK) {
        len = flow__tcp_sockaddr(&addr, &peer);
        flow__stream_connected(&t->stream, fd, &peer, len);
        apply_options(t);
    }
    if (st != FLOW_AGAIN) {
        flow__tcp_dial_free(t->dial);
        t->dial = NULL;
    }
    flow__lock_release(&t->stream.lock);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return st;
    return flow_fail_with(f, FLOW_READ | FLOW_WRITE, &err);
}

static uint32_t
tcp_wait(struct flow *f, uint32_t interest, struct flow_wait_sink *sink)
{
    struct tcp *t = tcp_of(f);
    bool ready;

    if (interest != FLOW_READY_OPEN)
        return flow__stream_wait(f, interest, sink);
    flow__lock_acquire(&t->stream.lock);
    ready = t->dial == NULL || flow__tcp_dial_wait(t->dial, sink);
    flow__lock_release(&t->stream.lock);
    return ready ? FLOW_READY_OPEN : 0;
}

static enum flow_status
tcp_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
           uint32_t flags, size_t *ret_len)
{
    struct tcp *t = tcp_of(f);
    enum flow_status st = flow__stream_writev(f, vec, count, flags, ret_len);

    if (st == FLOW_OK)
        t->held_back = (flags & FLOW_MORE) != 0;
    return st;
}

/*
 * What the system held back for MSG_MORE goes out when TCP_NODELAY is set,
 * even if it was set before (tcp(7)); nothing else pushes it before 200 ms.
 */
static enum flow_status
tcp_flush(struct flow *f)
{
    struct tcp *t = tcp_of(f);
    int fd = t->stream.out;

    if (!t->held_back)
        return FLOW_OK;
    if (flow__fd_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
        (t->delay && flow__fd_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 0) < 0))
        return flow__stream_fail(&t->stream, FLOW_WRITE, errno,
                                 "flushing failed");
    t->held_back = false;
    return FLOW_OK;
}

static void
tcp_close(struct flow *f)
{
    flow__tcp_dial_free(tcp_of(f)->dial);
    flow__stream_close(f);
}

/* Options may be set before there is a socket to set them on. */
static enum flow_status
tcp_control(struct flow *f, enum flow_control_key key, int64_t value)
{
    struct tcp *t = tcp_of(f);
    enum flow_status st = FLOW_OK;

    if (key != FLOW_CONTROL_NODELAY && key != FLOW_CONTROL_KEEPALIVE)
        return FLOW_E_NOTSUP;
    if (value != 0 && value != 1)
        return FLOW_E_INVAL;
    if (t->stream.in >= 0)
        st = flow__stream_control(f, key, value);
    if (st != FLOW_OK)
        return st;
    if (key == FLOW_CONTROL_NODELAY)
        t->delay = value == 0;
    else
        t->keepalive = value == 1;
    return FLOW_OK;
}

static const struct flow_ops tcp_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "tcp",
    .readv = flow__stream_readv,
    .writev = tcp_writev,
    .shutdown = flow__stream_shutdown,
    .wait = tcp_wait,
    .close = tcp_close,
    .open = tcp_open,
    .flush = tcp_flush,
    .query = flow__stream_query,
    .control = tcp_control,
};

enum flow_status
flow__tcp_accepted(const struct flow_env *env, int fd,
                   const union flow__sockaddr *peer, socklen_t peer_len,
                   bool delay, bool keepalive, struct flow **ret_flow)
{
    struct tcp *t =
        flow__stream_new(env, &tcp_ops, sizeof(*t), FLOW__STREAM_CAPS);

    if (t == NULL)
        return FLOW_E_NOMEM;
    t->delay = delay;
    t->keepalive = keepalive;
    flow__stream_connected(&t->stream, fd, peer, peer_len);
    apply_options(t);
    *ret_flow = &t->stream.base;
    return FLOW_OK;
}

/* See <flow/tcp.h>. */
enum flow_status
flow_tcp_dial(const struct flow_env *env, const char *host, uint16_t port,
              const struct flow_tcp_options *opt, struct flow **ret_flow)
{
    static const struct flow_tcp_options defaults;
    uint32_t caps = FLOW__STREAM_CAPS | FLOW_CAP_NEEDS_OPEN;
    struct flow_addr literal;
    struct tcp *t;

    if (env == NULL)
        env = flow_env_default();
    if (opt == NULL)
        opt = &defaults;
    if (host[0] == '\0' || strlen(host) >= TCP_HOST_SIZE || port == 0)
        return FLOW_E_INVAL;
    /* What a resolver waits for need not be a descriptor. */
    if (!flow__tcp_literal(host, port, &literal))
        caps &= ~FLOW_CAP_FD;

    t = flow__stream_new(env, &tcp_ops, sizeof(*t), caps);
    if (t == NULL)
        return FLOW_E_NOMEM;
    t->delay = opt->delay;
    t->keepalive = opt->keepalive;
    t->dial = flow__tcp_dial_new(env, host, port, opt->timeout);
    if (t->dial == NULL) {
        tcp_close(&t->stream.base);
        return FLOW_E_NOMEM;
    }
    *ret_flow = &t->stream.base;
    return FLOW_OK;
}

static struct flow_tcp_options
options_of(const struct flow_endpoint_options *opt)
{
    struct flow_tcp_options tcp = { .timeout = 0 };

    if (opt != NULL) {
        tcp.timeout = opt->timeout;
        tcp.backlog = opt->backlog;
        tcp.reuse_port = opt->reuse_port;
        tcp.delay = opt->delay;
        tcp.keepalive = opt->keepalive;
    }
    return tcp;
}

static enum flow_status
scheme_dial(const struct flow_env *env, const char *rest,
            const struct flow_endpoint_options *opt, struct flow **ret_flow,
            struct flow_error *err)
{
    struct flow_tcp_options tcp = options_of(opt);
    struct tcp_endpoint to;
    enum flow_status st = flow__tcp_parse(rest, &to, err);

    if (st != FLOW_OK)
        return st;
    st = flow_tcp_dial(env, to.host, to.port, &tcp, ret_flow);
    if (st == FLOW_E_INVAL) {
        flow_error_set(err, st, "tcp", FLOW_DOMAIN_NONE, 0,
                       "dialling needs a host and a port above 0");
        flow_error_set_detail(err, rest);
    } else if (st != FLOW_OK) {
        flow_error_set(err, st, "tcp", FLOW_DOMAIN_NONE, 0, "no memory");
    }
    return st;
}

static enum flow_status
scheme_listen(const struct flow_env *env, const char *rest,
              const struct flow_endpoint_options *opt,
              struct flow_listener **ret_listener, struct flow_error *err)
{
    struct flow_tcp_options tcp = options_of(opt);
    struct tcp_endpoint at;
    enum flow_status st = flow__tcp_parse(rest, &at, err);

    if (st != FLOW_OK)
        return st;
    return flow_tcp_listen(env, at.host, at.port, &tcp, ret_listener, err);
}

const struct flow_scheme flow__scheme_tcp = {
    .name = "tcp",
    .syntax = "tcp://HOST:PORT",
    .dial = scheme_dial,
    .listen = scheme_listen,
};
