/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <flow/posix.h>
#include <flow/tcp.h>

#include "backends/posix/acceptor.h"
#include "backends/posix/fd_io.h"
#include "backends/tcp/tcp.h"

/*
 * A listener of TCP.
 *
 * The options of its connections are set on the listening socket, since most
 * systems give them to the sockets that it accepts.  No standard says so, so
 * the first connection is asked whether it has them; if not, each gets them.
 *
 * The core lets one thread at a time call a listener; there is no lock.
 */

struct tcp_listener {
    struct flow__acceptor acceptor;
    struct tcp_tuning tuning;
    enum {
        TCP_LISTEN_UNKNOWN, /* no connection was accepted yet */
        TCP_LISTEN_INHERITS,
        TCP_LISTEN_SETS_EACH
    } options;
};

static void
tcp_listen_tune(struct tcp_listener *l, int fd)
{
    if (l->options == TCP_LISTEN_UNKNOWN)
        l->options = flow__tcp_tuning_is_applied(&l->tuning, fd)
                         ? TCP_LISTEN_INHERITS
                         : TCP_LISTEN_SETS_EACH;
    if (l->options == TCP_LISTEN_SETS_EACH)
        flow__tcp_tuning_apply(&l->tuning, fd);
}

static enum flow_status
tcp_listen_make_flow(struct flow__acceptor *a, int fd,
                     const union flow__sockaddr *peer, socklen_t peer_len,
                     struct flow **ret_flow)
{
    struct tcp_listener *l = (struct tcp_listener *)a;

    tcp_listen_tune(l, fd);
    return flow__tcp_accepted(a->base.env, fd, peer, peer_len, &l->tuning,
                              ret_flow);
}

/*
 * Several sockets on one port.  Where SO_REUSEPORT alone gives all connections
 * to one of them, another option divides them (FreeBSD).
 */
#if defined(SO_REUSEPORT_LB)
#define TCP_LISTEN_SHARED SO_REUSEPORT_LB
#elif defined(SO_REUSEPORT)
#define TCP_LISTEN_SHARED SO_REUSEPORT
#endif

static bool
tcp_listen_can_share(void)
{
#ifdef TCP_LISTEN_SHARED
    return true;
#else
    return false;
#endif
}

static int
tcp_listen_share(int fd)
{
#ifdef TCP_LISTEN_SHARED
    return flow__fd_set_option(fd, SOL_SOCKET, TCP_LISTEN_SHARED, 1);
#else
    (void)fd;
    errno = ENOPROTOOPT;
    return -1;
#endif
}

static const struct flow_listener_ops tcp_listener_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "tcp",
    .accept = flow__acceptor_accept,
    .wait = flow__acceptor_wait,
    .close = flow__acceptor_close,
    .query = flow__acceptor_query,
};

/*
 * A listening socket, or -1 with errno.  both: an IPv6 socket that accepts IPv4
 * connections too.  "::" alone accepts IPv6 only, so that another socket can
 * listen on "0.0.0.0".
 */
static int
listen_at(const struct flow_addr *addr, bool both,
          const struct flow_tcp_options *opt)
{
    union flow__sockaddr sa;
    socklen_t len = flow__tcp_sockaddr(addr, &sa);
    int backlog = opt->backlog > 0 ? opt->backlog : FLOW__ACCEPTOR_BACKLOG;
    int fd = flow__fd_socket(sa.any.sa_family);
    int saved;

    if (fd < 0)
        return -1;
    if (flow__fd_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
        (!opt->reuse_port || tcp_listen_share(fd) == 0) &&
        (addr->family == 4 ||
         flow__fd_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both) == 0) &&
        bind(fd, &sa.any, len) == 0 && listen(fd, backlog) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int
listen_anywhere(uint16_t port, const struct flow_tcp_options *opt)
{
    const struct flow_addr any6 = { .family = 6, .port = port };
    const struct flow_addr any4 = { .family = 4, .port = port };
    int fd = listen_at(&any6, true, opt);

    /* This machine has no IPv6. */
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL ||
                   errno == ENOPROTOOPT))
        fd = listen_at(&any4, false, opt);
    return fd;
}

static enum flow_status
tcp_listen_refuse(struct flow_error *err, enum flow_status status,
                  const char *host, const char *text, const char *hint)
{
    flow_error_set(err, status, "tcp", FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, host);
    if (err != NULL)
        err->hint = hint;
    return status;
}

static enum flow_status
tcp_listen_open_socket(const char *host, uint16_t port,
                       const struct flow_tcp_options *opt, int *ret_fd,
                       struct flow_error *err)
{
    union flow__sockaddr sa;
    struct flow_addr addr = { .family = 6, .port = port };
    bool anywhere = host[0] == '\0' || strcmp(host, "*") == 0;
    char where[FLOW__SOCKADDR_TEXT];
    socklen_t len;

    if (opt->backlog < 0)
        return tcp_listen_refuse(err, FLOW_E_INVAL, host,
                                 "the backlog is negative", NULL);
    if (opt->reuse_port && !tcp_listen_can_share())
        return tcp_listen_refuse(err, FLOW_E_NOTSUP, host,
                                 "this system cannot share a port",
                                 "listen once, and accept in one process");
    if (opt->source != NULL || opt->source_port != 0)
        return tcp_listen_refuse(err, FLOW_E_INVAL, host,
                                 "a source address is only for dialling",
                                 "give the address to listen on as the host");
    if (!anywhere && !flow__tcp_literal(host, port, &addr))
        return tcp_listen_refuse(
            err, FLOW_E_INVAL, host, "the host is not an address to listen on",
            "give an IPv4 or IPv6 address of this machine, or * for "
            "all of them");
    *ret_fd =
        anywhere ? listen_anywhere(port, opt) : listen_at(&addr, false, opt);
    if (*ret_fd >= 0)
        return FLOW_OK;
    len = flow__tcp_sockaddr(&addr, &sa);
    flow__sockaddr_format(&sa, len, where);
    return flow_posix_error(err, "tcp", errno, "listening failed", where);
}

/* See <flow/tcp.h>. */
enum flow_status
flow_tcp_listen(const struct flow_env *env, const char *host, uint16_t port,
                const struct flow_tcp_options *opt,
                struct flow_listener **ret_listener, struct flow_error *ret_err)
{
    static const struct flow_tcp_options defaults;
    struct tcp_tuning tuning;
    struct tcp_listener *l;
    enum flow_status st;
    int fd;

    if (env == NULL)
        env = flow_env_default();
    if (opt == NULL)
        opt = &defaults;
    st = flow__tcp_tuning_parse(opt, &tuning, ret_err);
    if (st == FLOW_OK)
        st = tcp_listen_open_socket(host, port, opt, &fd, ret_err);
    if (st != FLOW_OK)
        return st;
    l = flow__acceptor_new(env, &tcp_listener_ops, sizeof(*l), fd);
    if (l == NULL) {
        close(fd);
        return flow_error_set(ret_err, FLOW_E_NOMEM, "tcp", FLOW_DOMAIN_NONE, 0,
                              "no memory for a listener");
    }
    l->acceptor.make = tcp_listen_make_flow;
    l->tuning = tuning;
    flow__tcp_tuning_apply(&tuning, fd);
    *ret_listener = &l->acceptor.base;
    return FLOW_OK;
}
