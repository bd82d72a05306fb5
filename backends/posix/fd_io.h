/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_POSIX_FD_IO_H
#define BACKENDS_POSIX_FD_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <flow/flow.h>

#include "backends/posix/sockaddr.h"

/*
 * Calls on descriptors, with what systems disagree about taken out.  Those
 * that fail return -1 and set errno, as the calls they stand for do; they are
 * never interrupted, and none of them raises SIGPIPE.
 */

/* A stream socket, non-blocking and closed on exec. */
int flow__fd_socket(int family);
/* As accept(2); the descriptor is non-blocking and closed on exec. */
int flow__fd_accept(int fd, union flow__sockaddr *ret_addr, socklen_t *ret_len);
/* Set or clear O_NONBLOCK, returns what was set before, as 0 or 1. */
int flow__fd_set_nonblocking(int fd, bool on);
int flow__fd_set_cloexec(int fd);
/* An integer socket option. */
int flow__fd_set_option(int fd, int level, int name, int value);
/* The error pending on a socket, which is taken off it. */
int flow__fd_take_error(int fd);

/* A whole vector, as far as one call or a few can without waiting.  Segments
 * without a base are discarded.  0 is the end of the stream. */
ssize_t flow__fd_readv(int fd, const struct flow_vec *vec, size_t count);
/* The same for a socket, whose mode does not matter: neither this nor sending
 * ever waits. */
ssize_t flow__fd_recvv(int fd, const struct flow_vec *vec, size_t count);
/* For a socket; more says that the system may hold the bytes back. */
ssize_t flow__fd_sendv(int fd, const struct flow_cvec *vec, size_t count,
                       bool more);
/* For anything else. */
ssize_t flow__fd_writev(int fd, const struct flow_cvec *vec, size_t count);

#endif
