/* SPDX-License-Identifier: ISC */
#include "backends/posix/stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <flow/buf.h>
#include <flow/posix.h>

#include "backends/posix/fd_io.h"

/*
 * Reading, writing and closing a connected descriptor.
 *
 * - One system call per operation, so that no error is hidden by bytes that
 *   moved before it.
 * - The system reports a broken connection once, to the direction that calls
 *   first, and an end of stream to the other.  The first sets `broken` under
 * the lock, the other reads it (decision 0013).
 * - A process that inherited the flow changes nothing that other owners of the
 *   descriptor would notice.
 *
 * Lock: the stream's, held during send(2), which does not block.  The reader
 * takes it only at an end or an error.
 */

static struct flow__stream *
stream_of(struct flow *f)
{
    return (struct flow__stream *)f;
}

_Static_assert(sizeof(union flow__sockaddr) <= UINT8_MAX,
               "the length of an address fits into a byte");

void *
flow__stream_new(const struct flow_env *env, const struct flow_ops *ops,
                 size_t size, socklen_t peer_room, uint32_t caps)
{
    struct flow__stream *s;

    /* The system tells the whole length of an address that it cut. */
    if (peer_room > sizeof(union flow__sockaddr))
        peer_room = 0;
    size += peer_room;
    s = flow_env_alloc(env, size);
    if (s == NULL)
        return NULL;
    if (flow_base_init(&s->base, ops, env, caps) != FLOW_OK) {
        flow_env_free(env, s, size);
        return NULL;
    }
    flow_lock_init(&s->lock);
    s->size = (uint16_t)size;
    s->peer_room = (uint8_t)peer_room;
    s->in = -1;
    s->out = -1;
    s->is_socket = true;
    s->in_is_socket = true;
    s->process = flow_process();
    return s;
}

void
flow__stream_set_peer(struct flow__stream *s, const union flow__sockaddr *peer,
                      socklen_t peer_len)
{
    uint8_t *end = (uint8_t *)s + s->size;

    if (peer_len > s->peer_room)
        peer_len = 0;
    memcpy(end - s->peer_room, peer, peer_len);
    s->peer_len = (uint8_t)peer_len;
}

socklen_t
flow__stream_get_peer(const struct flow__stream *s,
                      union flow__sockaddr *ret_peer)
{
    const uint8_t *end = (const uint8_t *)s + s->size;

    memset(ret_peer, 0, sizeof(*ret_peer));
    memcpy(ret_peer, end - s->peer_room, s->peer_len);
    return s->peer_len;
}

void
flow__stream_connected(struct flow__stream *s, int fd)
{
    s->in = fd;
    s->out = fd;
}

/* The text of the peer's address, or "". */
static void
stream_format_peer(const struct flow__stream *s, char text[FLOW__SOCKADDR_TEXT])
{
    union flow__sockaddr peer;
    socklen_t len = flow__stream_get_peer(s, &peer);

    flow__sockaddr_format(&peer, len, text);
}

enum flow_status
flow__stream_fail(struct flow__stream *s, uint32_t dirs, int code,
                  const char *fallback)
{
    char peer[FLOW__SOCKADDR_TEXT];

    stream_format_peer(s, peer);
    return flow_posix_fail(&s->base, dirs, code, fallback, peer);
}

static bool
stream_is_broken(struct flow__stream *s)
{
    bool broken;

    flow_lock_acquire(&s->lock);
    broken = s->broken;
    flow_lock_release(&s->lock);
    return broken;
}

static bool
stream_is_again(int code)
{
    return code == EAGAIN || code == EWOULDBLOCK;
}

/* Whether an error means that the transport is gone for both directions. */
static bool
stream_is_break(int code)
{
    return code == ECONNRESET || code == ETIMEDOUT || code == ECONNABORTED ||
           code == ENETRESET || code == EHOSTUNREACH || code == ENETUNREACH;
}

enum flow_status
flow__stream_readv(struct flow *f, const struct flow_vec *vec, size_t count,
                   size_t *ret_len)
{
    struct flow__stream *s = stream_of(f);
    ssize_t got = s->in_is_socket ? flow__fd_recvv(s->in, vec, count)
                                  : flow__fd_readv(s->in, vec, count);
    int code = errno;

    *ret_len = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return FLOW_OK;
    if (got < 0 && stream_is_again(code))
        return FLOW_AGAIN;
    if (got < 0) {
        flow_lock_acquire(&s->lock);
        s->broken = s->broken || stream_is_break(code);
        flow_lock_release(&s->lock);
        return flow__stream_fail(s, FLOW_READ, code, "reading failed");
    }
    /*
     * An end of stream.  If the connection is broken, the writer got the error,
     * under the lock and before the read above.
     */
    if (stream_is_broken(s))
        return flow__stream_fail(s, FLOW_READ, ECONNRESET, "reading failed");
    return FLOW_EOF;
}

static ssize_t
stream_send_locked(struct flow__stream *s, const struct flow_cvec *vec,
                   size_t count, bool more)
{
    ssize_t sent;
    int code;

    flow_lock_acquire(&s->lock);
    sent = flow__fd_sendv(s->out, vec, count, more);
    code = errno;
    if (sent < 0 && code == EPIPE && s->broken)
        code = ECONNRESET;
    if (sent < 0 && stream_is_break(code))
        s->broken = true;
    flow_lock_release(&s->lock);
    errno = code;
    return sent;
}

enum flow_status
flow__stream_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
                    uint32_t flags, size_t *ret_len)
{
    struct flow__stream *s = stream_of(f);
    bool more = (flags & FLOW_MORE) != 0;
    ssize_t sent = s->is_socket ? stream_send_locked(s, vec, count, more)
                                : flow__fd_writev(s->out, vec, count);
    int code = errno;

    *ret_len = sent > 0 ? (size_t)sent : 0;
    if (sent > 0)
        return FLOW_OK;
    if (sent == 0 || stream_is_again(code))
        return FLOW_AGAIN;
    return flow__stream_fail(s, FLOW_WRITE, code, "writing failed");
}

/* The processes that have a descriptor share its mode.  Only the process that
 * made the flow restores it. */
static void
stream_close_fd(const struct flow__stream *s, int fd, bool restore)
{
    if (restore && s->process == flow_process())
        (void)flow__fd_set_nonblocking(fd, false);
    close(fd);
}

static void
stream_close_out(struct flow__stream *s)
{
    if (s->out < 0)
        return;
    stream_close_fd(s, s->out, s->restore_out);
    s->out = -1;
}

enum flow_status
flow__stream_shutdown(struct flow *f, enum flow_dir dir)
{
    struct flow__stream *s = stream_of(f);

    /* The peer of a UNIX socket would notice SHUT_RD. */
    if (dir == FLOW_READ)
        return FLOW_OK;
    if (!s->is_socket) {
        if (s->out != s->in)
            flow_fd_closing(f, s->out);
        stream_close_out(s);
        return FLOW_OK;
    }
    /* A socket that is not connected any more has no peer to tell. */
    if (shutdown(s->out, SHUT_WR) < 0 && errno != ENOTCONN)
        return flow__stream_fail(s, FLOW_WRITE, errno,
                                 "ending the direction failed");
    return FLOW_OK;
}

uint32_t
flow__stream_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct flow__stream *s = stream_of(f);
    uint32_t ready = interest & (FLOW_READY_FLUSH | FLOW_READY_OPEN);
    uint32_t in = (interest & FLOW_READY_READ) != 0 ? FLOW_WAIT_IN : 0u;
    uint32_t out = (interest & FLOW_READY_WRITE) != 0 ? FLOW_WAIT_OUT : 0u;
    uint32_t got = 0;

    if (in != 0 && out != 0 && s->in == s->out)
        got = flow_wait_fd_ready(set, s->in, in | out);
    else
        got = (in != 0 ? flow_wait_fd_ready(set, s->in, in) : 0u) |
              (out != 0 ? flow_wait_fd_ready(set, s->out, out) : 0u);
    if ((got & FLOW_WAIT_IN) != 0)
        ready |= FLOW_READY_READ;
    if ((got & FLOW_WAIT_OUT) != 0)
        ready |= FLOW_READY_WRITE;
    if (ready != 0)
        return ready;
    if (in != 0)
        flow_wait_add_fd(set, s->in, in);
    if (out != 0)
        flow_wait_add_fd(set, s->out, out);
    return 0;
}

/* Makes close(2) send a reset; descriptors without one close as usual. */
static void
stream_reset_at_close(int fd)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

void
flow__stream_close(struct flow *f)
{
    struct flow__stream *s = stream_of(f);
    const struct flow_env *env = f->env;

    flow_base_fini(f);
    if (flow_is_aborted(f)) {
        stream_reset_at_close(s->in);
        stream_reset_at_close(s->out);
    }
    if (s->out != s->in)
        stream_close_out(s);
    if (s->in >= 0)
        stream_close_fd(s, s->in, s->restore_in);
    flow_lock_fini(&s->lock);
    flow_env_free(env, s, s->size);
}

static enum flow_status
stream_answer_address(const union flow__sockaddr *addr, socklen_t addr_len,
                      void *buf, size_t *len)
{
    char text[FLOW__SOCKADDR_TEXT];

    flow__sockaddr_format(addr, addr_len, text);
    return flow_answer_string(buf, len, text);
}

/* "tcp 192.0.2.1:80"; the name alone if the peer has no address. */
static enum flow_status
stream_answer_description(const struct flow__stream *s, void *buf, size_t *len)
{
    const char *name = flow_name(&s->base);
    char peer[FLOW__SOCKADDR_TEXT];
    char text[FLOW__SOCKADDR_TEXT + 16];

    stream_format_peer(s, peer);
    snprintf(text, sizeof(text), "%s%s%s", name, peer[0] != '\0' ? " " : "",
             peer);
    return flow_answer_string(buf, len, text);
}

static enum flow_status
stream_answer_local(const struct flow__stream *s, void *buf, size_t *len)
{
    union flow__sockaddr addr;
    socklen_t addr_len = sizeof(addr);

    if (s->in < 0)
        return FLOW_AGAIN;
    if (getsockname(s->in, &addr.any, &addr_len) < 0)
        return FLOW_E_NOTSUP;
    return stream_answer_address(&addr, addr_len, buf, len);
}

static enum flow_status
stream_answer(const struct flow__stream *s, enum flow_query_key key, void *buf,
              size_t *len)
{
    char peer[FLOW__SOCKADDR_TEXT];
    struct flow_buf_hints hints;
    size_t size = s->size;

    if (key == FLOW_QUERY_DESCRIPTION)
        return stream_answer_description(s, buf, len);
    if (key == FLOW_QUERY_LOCAL_ADDRESS)
        return stream_answer_local(s, buf, len);
    if (key == FLOW_QUERY_PEER_ADDRESS) {
        if (s->in < 0)
            return FLOW_AGAIN;
        if (s->peer_len == 0)
            return FLOW_E_NOTSUP;
        stream_format_peer(s, peer);
        return flow_answer_string(buf, len, peer);
    }
    if (key == FLOW_QUERY_FD)
        return s->in < 0 ? FLOW_AGAIN
                         : flow_answer(buf, len, &s->in, sizeof(s->in));
    if (key == FLOW_QUERY_FOOTPRINT)
        return flow_answer(buf, len, &size, sizeof(size));
    if (key == FLOW_QUERY_BUF_HINTS) {
        flow_buf_hints_init(&hints);
        return flow_answer(buf, len, &hints, sizeof(hints));
    }
    return FLOW_E_NOTSUP;
}

/* Takes the lock, since the other direction's thread may be opening the flow.
 */
enum flow_status
flow__stream_query(struct flow *f, enum flow_query_key key, void *buf,
                   size_t *len)
{
    struct flow__stream *s = stream_of(f);
    enum flow_status st;

    flow_lock_acquire(&s->lock);
    st = stream_answer(s, key, buf, len);
    flow_lock_release(&s->lock);
    return st;
}

static bool
stream_is_ip(const struct flow__stream *s)
{
    union flow__sockaddr peer;

    return s->is_socket && flow__stream_get_peer(s, &peer) > 0 &&
           peer.any.sa_family != AF_UNIX;
}

enum flow_status
flow__stream_control(struct flow *f, enum flow_control_key key, int64_t value)
{
    struct flow__stream *s = stream_of(f);
    int rc;

    if (key != FLOW_CONTROL_NODELAY && key != FLOW_CONTROL_KEEPALIVE)
        return FLOW_E_NOTSUP;
    if (!stream_is_ip(s))
        return FLOW_E_NOTSUP;
    if (value != 0 && value != 1)
        return FLOW_E_INVAL;
    if (key == FLOW_CONTROL_NODELAY)
        rc = flow__fd_set_option(s->in, IPPROTO_TCP, TCP_NODELAY, (int)value);
    else
        rc = flow__fd_set_option(s->in, SOL_SOCKET, SO_KEEPALIVE, (int)value);
    if (rc == 0)
        return FLOW_OK;
    return flow__stream_fail(s, FLOW_WRITE, errno,
                             "setting a socket option failed");
}
