/* SPDX-License-Identifier: ISC */
#include "backends/posix/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <flow/posix.h>

#include "backends/posix/fd_io.h"

/*
 * Accepting connections (acceptor.h has the reserve).
 *
 * - One call accepts one connection, and passes over at most ACCEPTOR_DEAD_MAX
 *   that died in the queue: the socket stays ready for the rest.
 * - After the system ran out of descriptors or memory, accepting pauses until
 *   `resume`; the pause doubles with each failure in a row.
 *
 * The core lets one thread at a time call a listener; there is no lock.
 */

/* Shortest and longest pause after running out of descriptors, ns. */
#define ACCEPTOR_DELAY_MIN UINT64_C(5000000)
#define ACCEPTOR_DELAY_MAX UINT64_C(1000000000)
/* Connections that died in the queue and that one call passes over. */
#define ACCEPTOR_DEAD_MAX 64

static struct flow__acceptor *
acceptor_of(struct flow_listener *l)
{
    return (struct flow__acceptor *)l;
}

static int
acceptor_open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void *
flow__acceptor_new(const struct flow_env *env,
                   const struct flow_listener_ops *ops, size_t size, int fd)
{
    struct flow__acceptor *a = flow_env_alloc(env, size);

    if (a == NULL)
        return NULL;
    flow_listener_init(&a->base, ops, env);
    a->size = size;
    a->fd = fd;
    a->reserve = acceptor_open_reserve();
    return a;
}

static uint64_t
acceptor_now(const struct flow__acceptor *a)
{
    return a->base.env->now(a->base.env->ctx);
}

static void
acceptor_back_off(struct flow__acceptor *a, int code)
{
    const struct flow_env *env = a->base.env;

    a->delay = a->delay == 0 ? ACCEPTOR_DELAY_MIN : 2 * a->delay;
    if (a->delay > ACCEPTOR_DELAY_MAX)
        a->delay = ACCEPTOR_DELAY_MAX;
    a->resume = acceptor_now(a) + a->delay;
    flow_posix_error(&a->base.error, a->base.ops->name, code,
                     "accepting failed", NULL);
    if (env->log != NULL)
        env->log(env->ctx, FLOW_LOG_WARN, a->base.ops->name, "accepting pauses",
                 a, code);
}

/* Closes one connection at once, so that its peer does not wait in vain. */
static void
acceptor_turn_away(struct flow__acceptor *a)
{
    union flow__sockaddr peer;
    socklen_t len;
    int fd;

    if (a->reserve < 0)
        return;
    close(a->reserve);
    fd = flow__fd_accept(a->fd, &peer, &len);
    if (fd >= 0)
        close(fd);
    a->reserve = acceptor_open_reserve();
}

/* Whether an error of accept(2) concerns one connection and not the listener:
 * some systems report network errors of a queued connection. */
static bool
acceptor_is_dead_connection(int code)
{
    switch (code) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static enum flow_status
acceptor_accept_failed(struct flow__acceptor *a, int code)
{
    struct flow_error *err = &a->base.error;

    /* Leave further dead connections to the next call: the socket stays ready.
     */
    if (code == EAGAIN || code == EWOULDBLOCK ||
        acceptor_is_dead_connection(code))
        return FLOW_AGAIN;
    if (code == EMFILE || code == ENFILE)
        acceptor_turn_away(a);
    if (code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM) {
        acceptor_back_off(a, code);
        return FLOW_AGAIN;
    }
    return flow_posix_error(err, a->base.ops->name, code, "accepting failed",
                            NULL);
}

enum flow_status
flow__acceptor_accept(struct flow_listener *l, struct flow **ret_flow)
{
    struct flow__acceptor *a = acceptor_of(l);
    union flow__sockaddr peer;
    enum flow_status st;
    socklen_t len;
    int dead = 0;
    int fd;

    if (a->resume != FLOW_NEVER && acceptor_now(a) < a->resume)
        return FLOW_AGAIN;
    a->resume = FLOW_NEVER;
    do
        fd = flow__fd_accept(a->fd, &peer, &len);
    while (fd < 0 && acceptor_is_dead_connection(errno) &&
           ++dead < ACCEPTOR_DEAD_MAX);
    if (fd < 0)
        return acceptor_accept_failed(a, errno);

    a->delay = 0;
    if (a->reserve < 0)
        a->reserve = acceptor_open_reserve();
    st = a->make(a, fd, &peer, len, ret_flow);
    if (st == FLOW_OK)
        return FLOW_OK;
    close(fd);
    return flow_listener_fail(l, st, FLOW_DOMAIN_NONE, 0,
                              "no memory for an accepted flow");
}

bool
flow__acceptor_wait(struct flow_listener *l, struct flow_wait_set *set)
{
    struct flow__acceptor *a = acceptor_of(l);

    if (a->resume != FLOW_NEVER && acceptor_now(a) < a->resume) {
        flow_wait_add_time(set, a->resume);
        return false;
    }
    if (flow_wait_fd_ready(set, a->fd, FLOW_WAIT_IN) != 0)
        return true;
    flow_wait_add_fd(set, a->fd, FLOW_WAIT_IN);
    return false;
}

void
flow__acceptor_close(struct flow_listener *l)
{
    struct flow__acceptor *a = acceptor_of(l);

    close(a->fd);
    if (a->reserve >= 0)
        close(a->reserve);
    flow_env_free(l->env, a, a->size);
}

enum flow_status
flow__acceptor_query(struct flow_listener *l, enum flow_query_key key,
                     void *buf, size_t *len)
{
    struct flow__acceptor *a = acceptor_of(l);
    union flow__sockaddr addr;
    socklen_t addr_len = sizeof(addr);
    char where[FLOW__SOCKADDR_TEXT];
    char text[FLOW__SOCKADDR_TEXT + 32];

    if (key == FLOW_QUERY_FD)
        return flow_answer(buf, len, &a->fd, sizeof(a->fd));
    if (key != FLOW_QUERY_LOCAL_ADDRESS && key != FLOW_QUERY_DESCRIPTION)
        return FLOW_E_NOTSUP;
    if (getsockname(a->fd, &addr.any, &addr_len) < 0)
        return FLOW_E_NOTSUP;
    flow__sockaddr_format(&addr, addr_len, where);
    if (key == FLOW_QUERY_LOCAL_ADDRESS)
        return flow_answer_string(buf, len, where);
    snprintf(text, sizeof(text), "%s %s", l->ops->name, where);
    return flow_answer_string(buf, len, text);
}
