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
 * Calls on descriptors, the same on every POSIX system.  On failure they return
 * -1 and set errno, as the system calls do.  They restart after EINTR, and none
 * of them raises SIGPIPE.
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
int flow__fd_get_option(int fd, int level, int name, int *ret_value);
/* The pending error of a socket (SO_ERROR), which the call clears; 0: none. */
int flow__fd_take_error(int fd);

/* Read into a vector with one system call, which may take only the first
 * segments of a long one.  The bytes of a segment without a base are discarded.
 * 0 is the end of the stream: the vector must have room for a byte. */
ssize_t flow__fd_readv(int fd, const struct flow_vec *vec, size_t count);
/* The same for a socket, whose blocking mode does not matter: neither this call
 * nor flow__fd_sendv() blocks. */
ssize_t flow__fd_recvv(int fd, const struct flow_vec *vec, size_t count);
/* Write a vector to a socket, with one system call as above.  more: the system
 * may hold the bytes back (MSG_MORE). */
ssize_t flow__fd_sendv(int fd, const struct flow_cvec *vec, size_t count,
                       bool more);
/* The same for any other descriptor. */
ssize_t flow__fd_writev(int fd, const struct flow_cvec *vec, size_t count);

#endif
