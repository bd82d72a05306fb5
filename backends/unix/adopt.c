/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flow/unix.h>

#include "backends/posix/fd_io.h"
#include "backends/posix/stream.h"

static const struct flow_ops adopt_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "fd",
    .readv = flow__stream_readv,
    .writev = flow__stream_writev,
    .shutdown = flow__stream_shutdown,
    .wait = flow__stream_wait,
    .close = flow__stream_close,
    .query = flow__stream_query,
    .control = flow__stream_control,
};

static int
adopt_get_option(int fd, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

/* NULL if the descriptor is a stream that is open for the direction; else the
 * text of the error. */
static const char *
adopt_what_is_wrong(int fd, int forbidden_mode)
{
    int flags = fcntl(fd, F_GETFL);
    int type = adopt_get_option(fd, SO_TYPE);

    if (flags < 0)
        return "the descriptor is not open";
    if ((flags & O_ACCMODE) == forbidden_mode)
        return forbidden_mode == O_WRONLY
                   ? "the descriptor to read from is not open for reading"
                   : "the descriptor to write to is not open for writing";
    if (type >= 0 && type != SOCK_STREAM)
        return "the socket is not a stream socket";
    if (type >= 0 && adopt_get_option(fd, SO_ACCEPTCONN) > 0)
        return "the socket is a listening socket";
    return NULL;
}

static enum flow_status
adopt_check_fd(int fd, int forbidden_mode, struct flow_error *err)
{
    const char *text = adopt_what_is_wrong(fd, forbidden_mode);
    char detail[32];

    if (text == NULL)
        return FLOW_OK;
    snprintf(detail, sizeof(detail), "descriptor %d", fd);
    flow_error_set(err, FLOW_E_INVAL, "fd", FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, detail);
    return FLOW_E_INVAL;
}

static uint32_t
adopt_capabilities(int read_fd, int write_fd)
{
    uint32_t caps = FLOW__STREAM_CAPS;

    if (read_fd == write_fd && adopt_get_option(write_fd, SO_TYPE) < 0)
        caps &= ~(FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ);
    if (adopt_get_option(write_fd, SO_TYPE) < 0)
        caps &= ~FLOW_CAP_RESETS_UNREAD;
    return caps;
}

static void
adopt_take_over(struct flow__stream *s, int read_fd, int write_fd)
{
    s->in = read_fd;
    s->out = write_fd;
    s->is_socket = adopt_get_option(write_fd, SO_TYPE) >= 0;
    s->in_is_socket = adopt_get_option(read_fd, SO_TYPE) >= 0;
    /* Processes share the mode of a terminal or pipe, so it is restored later.
     * A socket's mode does not matter and is not changed. */
    if (!s->in_is_socket)
        s->restore_in = flow__fd_set_nonblocking(read_fd, true) == 0;
    if (!s->is_socket && write_fd != read_fd)
        s->restore_out = flow__fd_set_nonblocking(write_fd, true) == 0;
    (void)flow__fd_set_cloexec(read_fd);
    (void)flow__fd_set_cloexec(write_fd);
#ifdef SO_NOSIGPIPE
    (void)flow__fd_set_option(write_fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
}

/* See <flow/unix.h>. */
enum flow_status
flow_fd_adopt(const struct flow_env *env, int read_fd, int write_fd,
              struct flow **ret_flow, struct flow_error *ret_err)
{
    enum flow_status st = adopt_check_fd(read_fd, O_WRONLY, ret_err);
    union flow__sockaddr peer;
    socklen_t peer_len = sizeof(peer);
    struct flow__stream *s;

    if (st == FLOW_OK)
        st = adopt_check_fd(write_fd, O_RDONLY, ret_err);
    if (st != FLOW_OK)
        return st;
    if (getpeername(read_fd, &peer.any, &peer_len) < 0)
        peer_len = 0;
    s = flow__stream_new(env != NULL ? env : flow_env_default(), &adopt_ops,
                         sizeof(*s), peer_len,
                         adopt_capabilities(read_fd, write_fd));
    if (s == NULL)
        return flow_error_set(ret_err, FLOW_E_NOMEM, "fd", FLOW_DOMAIN_NONE, 0,
                              "no memory for a flow");
    adopt_take_over(s, read_fd, write_fd);
    flow__stream_set_peer(s, &peer, peer_len);
    *ret_flow = &s->base;
    return FLOW_OK;
}
