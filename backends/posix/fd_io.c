/* SPDX-License-Identifier: ISC */
#include "backends/posix/fd_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE is there instead. */
#endif
#ifndef MSG_MORE
#define MSG_MORE 0 /* Holding back is optional. */
#endif

/*
 * Segments per call.  A vector may have 1024, which would be 16 KiB of a stack;
 * the bytes of those beyond are for the next call.
 */
#if defined(IOV_MAX) && IOV_MAX < 64
#define FD_SEGMENTS IOV_MAX
#else
#define FD_SEGMENTS 64
#endif

int
flow__fd_set_nonblocking(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;

    if (flags < 0 || (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0))
        return -1;
    return (flags & O_NONBLOCK) != 0;
}

int
flow__fd_set_cloexec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    return flags < 0 ? -1 : fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

int
flow__fd_set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

int
flow__fd_get_option(int fd, int level, int name, int *ret_value)
{
    socklen_t len = sizeof(*ret_value);

    *ret_value = 0;
    return getsockopt(fd, level, name, ret_value, &len);
}

int
flow__fd_take_error(int fd)
{
    int code;

    if (flow__fd_get_option(fd, SOL_SOCKET, SO_ERROR, &code) < 0)
        return errno;
    return code;
}

#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)

int
flow__fd_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int
fd_accept_once(int fd, union flow__sockaddr *ret_addr, socklen_t *ret_len)
{
    return accept4(fd, &ret_addr->any, ret_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

#else

static int
fd_prepare(int fd)
{
    int saved;

    if (fd < 0)
        return -1;
    if (flow__fd_set_nonblocking(fd, true) >= 0 &&
        flow__fd_set_cloexec(fd) >= 0) {
#ifdef SO_NOSIGPIPE
        (void)flow__fd_set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
        return fd;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int
flow__fd_socket(int family)
{
    return fd_prepare(socket(family, SOCK_STREAM, 0));
}

static int
fd_accept_once(int fd, union flow__sockaddr *ret_addr, socklen_t *ret_len)
{
    return fd_prepare(accept(fd, &ret_addr->any, ret_len));
}

#endif

int
flow__fd_accept(int fd, union flow__sockaddr *ret_addr, socklen_t *ret_len)
{
    int got;

    do {
        *ret_len = sizeof(*ret_addr);
        got = fd_accept_once(fd, ret_addr, ret_len);
    } while (got < 0 && errno == EINTR);
    return got;
}

/*
 * As many segments as one call takes, without empty ones: a call with nothing
 * but those would answer 0, which is the end of the stream.  The bytes of all
 * segments without a base go to the same scratch memory, which is listed as
 * often as they need it.
 */
static size_t
fd_fill_read(struct iovec *iov, const struct flow_vec *vec, size_t count,
             uint8_t *scratch, size_t scratch_size)
{
    size_t n = 0;
    size_t i;
    size_t len;

    for (i = 0; i < count && n < FD_SEGMENTS; i++) {
        if (vec[i].base != NULL && vec[i].len > 0) {
            iov[n].iov_base = vec[i].base;
            iov[n++].iov_len = vec[i].len;
        }
        if (vec[i].base != NULL)
            continue;
        for (len = vec[i].len; len > 0 && n < FD_SEGMENTS; n++) {
            iov[n].iov_base = scratch;
            iov[n].iov_len = len < scratch_size ? len : scratch_size;
            len -= iov[n].iov_len;
        }
    }
    return n;
}

/*
 * One call and no loop: a second call that fails would have to hide its error
 * because the first moved bytes, and a socket reports each error only once.
 */
ssize_t
flow__fd_readv(int fd, const struct flow_vec *vec, size_t count)
{
    struct iovec iov[FD_SEGMENTS];
    uint8_t scratch[4096];
    size_t n = fd_fill_read(iov, vec, count, scratch, sizeof(scratch));
    ssize_t got;

    do
        got = readv(fd, iov, (int)n);
    while (got < 0 && errno == EINTR);
    return got;
}

static ssize_t
fd_recv_segments(int fd, const struct flow_vec *vec, size_t count)
{
    struct iovec iov[FD_SEGMENTS];
    uint8_t scratch[4096];
    struct msghdr msg;

    memset(&msg, 0, sizeof(msg));
    msg.msg_iov = iov;
    /* The member is an int here and a size_t there; a short fits in both. */
    msg.msg_iovlen =
        (unsigned short)fd_fill_read(iov, vec, count, scratch, sizeof(scratch));
    return recvmsg(fd, &msg, MSG_DONTWAIT);
}

/* One segment is the common case, and recv(2) is cheaper than recvmsg(2). */
ssize_t
flow__fd_recvv(int fd, const struct flow_vec *vec, size_t count)
{
    ssize_t got;

    do
        got = count == 1 && vec->base != NULL
                  ? recv(fd, vec->base, vec->len, MSG_DONTWAIT)
                  : fd_recv_segments(fd, vec, count);
    while (got < 0 && errno == EINTR);
    return got;
}

static size_t
fd_fill_write(struct iovec *iov, const struct flow_cvec *vec, size_t count)
{
    size_t n = 0;
    size_t i;

    for (i = 0; i < count && n < FD_SEGMENTS; i++) {
        if (vec[i].len == 0)
            continue;
        /* The call does not write there; iovec serves both directions. */
        iov[n].iov_base = (void *)(uintptr_t)vec[i].base;
        iov[n++].iov_len = vec[i].len;
    }
    return n;
}

static ssize_t
fd_send_segments(int fd, const struct flow_cvec *vec, size_t count, int flags)
{
    struct iovec iov[FD_SEGMENTS];
    struct msghdr msg;

    memset(&msg, 0, sizeof(msg));
    msg.msg_iov = iov;
    /* The member is an int here and a size_t there; a short fits in both. */
    msg.msg_iovlen = (unsigned short)fd_fill_write(iov, vec, count);
    return sendmsg(fd, &msg, flags);
}

ssize_t
flow__fd_sendv(int fd, const struct flow_cvec *vec, size_t count, bool more)
{
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    ssize_t sent;

    do
        sent = count == 1 ? send(fd, vec->base, vec->len, flags)
                          : fd_send_segments(fd, vec, count, flags);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/*
 * Only sockets have MSG_NOSIGNAL.  The kernel sends SIGPIPE to the writing
 * thread, so the signal is blocked there and, if this write raised it, consumed
 * before the mask is restored.
 */
ssize_t
flow__fd_writev(int fd, const struct flow_cvec *vec, size_t count)
{
    struct iovec iov[FD_SEGMENTS];
    size_t n = fd_fill_write(iov, vec, count);
    sigset_t pipe_set;
    sigset_t before;
    sigset_t pending;
    ssize_t wrote;
    int code;
    int sig;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &before);
    do
        wrote = writev(fd, iov, (int)n);
    while (wrote < 0 && errno == EINTR);
    code = errno;
    if (wrote < 0 && code == EPIPE && !sigismember(&pending, SIGPIPE)) {
        sigpending(&pending);
        if (sigismember(&pending, SIGPIPE))
            sigwait(&pipe_set, &sig);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return wrote;
}
