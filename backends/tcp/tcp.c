/* SPDX-License-Identifier: ISC */
#include "backends/tcp/tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include <flow/tcp.h>

#include "backends/posix/fd_io.h"

static struct tcp *
tcp_of(struct flow *f)
{
    return (struct tcp *)f;
}

/* Takes the lock, since the other direction's thread may call wait during the
 * step. */
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
    flow_lock_acquire(&t->stream.lock);
    st = flow__tcp_dial_step(t->dial, &fd, &addr, &err);
    if (st == FLOW_OK) {
        len = flow__tcp_sockaddr(&addr, &peer);
        flow__stream_set_peer(&t->stream, &peer, len);
        flow__stream_connected(&t->stream, fd);
        flow__tcp_tuning_apply(&t->tuning, fd);
    }
    if (st != FLOW_AGAIN) {
        flow__tcp_dial_free(t->dial);
        t->dial = NULL;
    }
    flow_lock_release(&t->stream.lock);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return st;
    return flow_fail_with(f, FLOW_READ | FLOW_WRITE, &err);
}

static uint32_t
tcp_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct tcp *t = tcp_of(f);
    bool ready;

    if (interest != FLOW_READY_OPEN)
        return flow__stream_wait(f, interest, set);
    flow_lock_acquire(&t->stream.lock);
    ready = t->dial == NULL || flow__tcp_dial_wait(t->dial, set);
    flow_lock_release(&t->stream.lock);
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
 * Setting TCP_NODELAY sends the bytes that the system held back for MSG_MORE,
 * even if the option was set before (tcp(7)).  Without it they are sent after
 * 200 ms.
 */
static enum flow_status
tcp_flush(struct flow *f)
{
    struct tcp *t = tcp_of(f);
    int fd = t->stream.out;

    if (!t->held_back)
        return FLOW_OK;
    if (flow__fd_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
        (t->tuning.delay &&
         flow__fd_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 0) < 0))
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

/* Before there is a socket, the options are kept for it. */
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
        t->tuning.delay = value == 0;
    else
        t->tuning.keepalive = value == 1;
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
                   const struct tcp_tuning *tuning, struct flow **ret_flow)
{
    struct tcp *t = flow__stream_new(env, &tcp_ops, sizeof(*t), peer_len,
                                     FLOW__STREAM_CAPS);

    if (t == NULL)
        return FLOW_E_NOMEM;
    t->tuning = *tuning;
    flow__stream_set_peer(&t->stream, peer, peer_len);
    flow__stream_connected(&t->stream, fd);
    *ret_flow = &t->stream.base;
    return FLOW_OK;
}

static enum flow_status
tcp_refuse(struct flow_error *err, enum flow_status status, const char *text,
           const char *detail, const char *hint)
{
    flow_error_set(err, status, "tcp", FLOW_DOMAIN_NONE, 0, text);
    if (detail != NULL)
        flow_error_set_detail(err, detail);
    if (err != NULL)
        err->hint = hint;
    return status;
}

/* Parses the address to connect from; family 0: any. */
static enum flow_status
tcp_parse_source(const struct flow_tcp_options *opt,
                 struct flow_addr *ret_source, struct flow_error *err)
{
    *ret_source = (struct flow_addr){ .family = 0 };
    if (opt->source == NULL && opt->source_port == 0)
        return FLOW_OK;
    if (opt->source == NULL)
        return tcp_refuse(err, FLOW_E_INVAL,
                          "a source port needs a source address", NULL,
                          "give 0.0.0.0 or :: for any of that kind");
    if (!flow__tcp_literal(opt->source, opt->source_port, ret_source))
        return tcp_refuse(err, FLOW_E_INVAL,
                          "the source is not a valid address", opt->source,
                          "give an IPv4 or IPv6 address");
    return FLOW_OK;
}

/* Refuses arguments that cannot work. */
static enum flow_status
tcp_check_target(const char *host, uint16_t port,
                 const struct flow_addr *source,
                 const struct flow_addr *literal, struct flow_error *err)
{
    if (host[0] == '\0')
        return tcp_refuse(err, FLOW_E_INVAL, "the host is empty", NULL,
                          "give a host name or an address");
    if (strlen(host) >= TCP_HOST_SIZE)
        return tcp_refuse(err, FLOW_E_INVAL, "the host name is too long", host,
                          NULL);
    if (port == 0)
        return tcp_refuse(err, FLOW_E_INVAL, "the port to dial is 0", host,
                          "give the port that the server listens on");
    if (literal->family != 0 && source->family != 0 &&
        literal->family != source->family)
        return tcp_refuse(err, FLOW_E_INVAL,
                          "one of host and source is IPv4, the other IPv6",
                          host, NULL);
    return FLOW_OK;
}

static enum flow_status
tcp_new_dialling(const struct flow_env *env, const char *host, uint16_t port,
                 uint64_t timeout, const struct flow_addr *source,
                 const struct flow_addr *literal, struct tcp **ret_tcp)
{
    uint32_t caps = FLOW__STREAM_CAPS | FLOW_CAP_NEEDS_OPEN;
    struct tcp *t;

    /* A resolver need not wait for a descriptor. */
    if (literal->family == 0)
        caps &= ~FLOW_CAP_FD;
    t = flow__stream_new(env, &tcp_ops, sizeof(*t), sizeof(struct sockaddr_in6),
                         caps);
    if (t == NULL)
        return FLOW_E_NOMEM;
    t->dial =
        flow__tcp_dial_new(env, &t->stream.base, host, port, timeout, source);
    if (t->dial == NULL) {
        tcp_close(&t->stream.base);
        return FLOW_E_NOMEM;
    }
    *ret_tcp = t;
    return FLOW_OK;
}

/* See <flow/tcp.h>. */
enum flow_status
flow_tcp_dial(const struct flow_env *env, const char *host, uint16_t port,
              const struct flow_tcp_options *opt, struct flow **ret_flow,
              struct flow_error *ret_err)
{
    static const struct flow_tcp_options defaults;
    struct flow_addr literal = { .family = 0 };
    struct flow_addr source;
    struct tcp_tuning tuning;
    enum flow_status st;
    struct tcp *t;

    if (env == NULL)
        env = flow_env_default();
    if (opt == NULL)
        opt = &defaults;
    (void)flow__tcp_literal(host, port, &literal);
    st = flow__tcp_tuning_parse(opt, &tuning, ret_err);
    if (st == FLOW_OK)
        st = tcp_parse_source(opt, &source, ret_err);
    if (st == FLOW_OK)
        st = tcp_check_target(host, port, &source, &literal, ret_err);
    if (st != FLOW_OK)
        return st;
    st = tcp_new_dialling(env, host, port, opt->timeout, &source, &literal, &t);
    if (st != FLOW_OK)
        return tcp_refuse(ret_err, st, "no memory for a flow", host, NULL);
    t->tuning = tuning;
    *ret_flow = &t->stream.base;
    return FLOW_OK;
}
