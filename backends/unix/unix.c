/* SPDX-License-Identifier: ISC */
#include "backends/unix/unix.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <flow/posix.h>
#include <flow/unix.h>

#include "backends/posix/fd_io.h"

/*
 * Connecting to a UNIX socket, and the flow after that (posix/stream.c).
 *
 * - connect(2) answers EAGAIN if the listener's queue is full, and no
 * descriptor tells when it has room: the flow tries again by the clock.
 * - `fd` is the socket while it connects; once connected it is the stream's.
 *
 * Lock: the stream's, since the other direction's thread may call wait during
 * the opening.
 */

/* Pause before the next try if the listener's queue is full, ns. */
#define UNIX_RETRY_PAUSE UINT64_C(5000000)

static struct unix_flow *
unix_of(struct flow *f)
{
    return (struct unix_flow *)f;
}

static socklen_t
unix_no_address(const char *path, const char *text, struct flow_error *err)
{
    flow_error_set(err, FLOW_E_INVAL, "unix", FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, path);
    return 0;
}

socklen_t
flow__unix_address(const char *path, union flow__sockaddr *ret_addr,
                   struct flow_error *err)
{
    size_t len = strlen(path);
    size_t head = offsetof(struct sockaddr_un, sun_path);

    if (len == 0)
        return unix_no_address(path, "the path is empty", err);
    if (len >= sizeof(ret_addr->un.sun_path))
        return unix_no_address(path, "the path is too long for a UNIX socket",
                               err);
    memset(ret_addr, 0, sizeof(*ret_addr));
    ret_addr->un.sun_family = AF_UNIX;
    memcpy(ret_addr->un.sun_path, path, len);
    if (path[0] != '@')
        return (socklen_t)(head + len + 1);
#ifdef __linux__
    ret_addr->un.sun_path[0] = '\0';
    if (len == 1)
        return unix_no_address(path, "the abstract name is empty", err);
    return (socklen_t)(head + len);
#else
    return unix_no_address(path, "this system has no abstract names", err);
#endif
}

static uint64_t
unix_now(const struct unix_flow *u)
{
    const struct flow_env *env = u->stream.base.env;

    return env->now(env->ctx);
}

static bool
unix_is_late(const struct unix_flow *u)
{
    return u->deadline != FLOW_NEVER && unix_now(u) >= u->deadline;
}

/* Tries once.  0: connected; EAGAIN: not yet; else an errno. */
static int
unix_try_connect(struct unix_flow *u)
{
    union flow__sockaddr peer;
    socklen_t len;

    if (u->in_progress)
        return flow_wait_fd_ready(NULL, u->fd, FLOW_WAIT_OUT) == 0
                   ? EAGAIN
                   : flow__fd_take_error(u->fd);
    if (u->retry != FLOW_NEVER && unix_now(u) < u->retry)
        return EAGAIN;
    len = flow__stream_get_peer(&u->stream, &peer);
    if (u->fd < 0)
        u->fd = flow__fd_socket(AF_UNIX);
    if (u->fd < 0)
        return errno;
    if (connect(u->fd, &peer.any, len) == 0)
        return 0;
    if (errno == EINPROGRESS || errno == EINTR) {
        u->in_progress = true;
        return EAGAIN;
    }
    if (errno != EAGAIN)
        return errno;
    u->retry = unix_now(u) + UNIX_RETRY_PAUSE;
    return EAGAIN;
}

static void
unix_drop_connecting(struct unix_flow *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
}

static enum flow_status
unix_open_failed(struct unix_flow *u, int code)
{
    struct flow_error err;
    char path[FLOW__SOCKADDR_TEXT];
    union flow__sockaddr peer;
    socklen_t len;

    if (code != EAGAIN)
        return flow__stream_fail(&u->stream, FLOW_READ | FLOW_WRITE, code,
                                 "connecting failed");
    len = flow__stream_get_peer(&u->stream, &peer);
    flow__sockaddr_format(&peer, len, path);
    flow_error_set(&err, FLOW_E_TIMEOUT, "unix", FLOW_DOMAIN_NONE, 0,
                   "the listener's queue stayed full until the timeout");
    flow_error_set_detail(&err, path);
    return flow_fail_with(&u->stream.base, FLOW_READ | FLOW_WRITE, &err);
}

static enum flow_status
unix_open(struct flow *f)
{
    struct unix_flow *u = unix_of(f);
    bool late;
    int code;

    if (u->stream.in >= 0)
        return FLOW_OK;
    flow_lock_acquire(&u->stream.lock);
    if (u->timeout != 0 && u->deadline == FLOW_NEVER)
        u->deadline = flow_time_after(unix_now(u), u->timeout);
    code = unix_try_connect(u);
    late = unix_is_late(u);
    if (code == 0) {
        flow__stream_connected(&u->stream, u->fd);
        u->fd = -1;
    } else if (code != EAGAIN || late) {
        flow_fd_closing(f, -1);
        unix_drop_connecting(u);
    }
    flow_lock_release(&u->stream.lock);
    if (code == 0)
        return FLOW_OK;
    return code == EAGAIN && !late ? FLOW_AGAIN : unix_open_failed(u, code);
}

static bool
unix_wait_for_open(struct unix_flow *u, struct flow_wait_set *set)
{
    if (u->stream.in >= 0 || unix_is_late(u))
        return true;
    if (u->in_progress) {
        if (flow_wait_fd_ready(set, u->fd, FLOW_WAIT_OUT) != 0)
            return true;
        flow_wait_add_fd(set, u->fd, FLOW_WAIT_OUT);
    } else {
        if (u->retry == FLOW_NEVER || unix_now(u) >= u->retry)
            return true;
        flow_wait_add_time(set, u->retry);
    }
    flow_wait_add_time(set, u->deadline);
    return false;
}

static uint32_t
unix_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct unix_flow *u = unix_of(f);
    bool ready;

    if (interest != FLOW_READY_OPEN)
        return flow__stream_wait(f, interest, set);
    flow_lock_acquire(&u->stream.lock);
    ready = unix_wait_for_open(u, set);
    flow_lock_release(&u->stream.lock);
    return ready ? FLOW_READY_OPEN : 0;
}

static void
unix_close(struct flow *f)
{
    unix_drop_connecting(unix_of(f));
    flow__stream_close(f);
}

static const struct flow_ops unix_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "unix",
    .readv = flow__stream_readv,
    .writev = flow__stream_writev,
    .shutdown = flow__stream_shutdown,
    .wait = unix_wait,
    .close = unix_close,
    .open = unix_open,
    .query = flow__stream_query,
    .control = flow__stream_control,
};

enum flow_status
flow__unix_accepted(const struct flow_env *env, int fd,
                    const union flow__sockaddr *peer, socklen_t peer_len,
                    struct flow **ret_flow)
{
    struct unix_flow *u = flow__stream_new(env, &unix_ops, sizeof(*u), peer_len,
                                           FLOW__STREAM_CAPS);

    if (u == NULL)
        return FLOW_E_NOMEM;
    u->fd = -1;
    flow__stream_set_peer(&u->stream, peer, peer_len);
    flow__stream_connected(&u->stream, fd);
    *ret_flow = &u->stream.base;
    return FLOW_OK;
}

/* See <flow/unix.h>. */
enum flow_status
flow_unix_dial(const struct flow_env *env, const char *path,
               const struct flow_unix_options *opt, struct flow **ret_flow,
               struct flow_error *ret_err)
{
    union flow__sockaddr addr;
    socklen_t len = flow__unix_address(path, &addr, ret_err);
    struct unix_flow *u;

    if (len == 0)
        return FLOW_E_INVAL;
    u = flow__stream_new(env != NULL ? env : flow_env_default(), &unix_ops,
                         sizeof(*u), len,
                         FLOW__STREAM_CAPS | FLOW_CAP_NEEDS_OPEN);
    if (u == NULL)
        return flow_error_set(ret_err, FLOW_E_NOMEM, "unix", FLOW_DOMAIN_NONE,
                              0, "no memory for a flow");
    u->fd = -1;
    u->timeout = opt != NULL ? opt->timeout : 0;
    flow__stream_set_peer(&u->stream, &addr, len);
    *ret_flow = &u->stream.base;
    return FLOW_OK;
}
