/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_POSIX_ACCEPTOR_H
#define BACKENDS_POSIX_ACCEPTOR_H

#include <stddef.h>
#include <stdint.h>

#include <flow/listener.h>

#include "backends/posix/sockaddr.h"

/* The default backlog. */
#define FLOW__ACCEPTOR_BACKLOG 128

/*
 * A listener on a listening socket.  First member of the backend's struct.
 *
 * If the process runs out of descriptors, the connection would stay in the
 * queue and the socket readable for ever.  So one descriptor is held in
 * reserve: it is closed, the connection accepted and closed in its place, and
 * then nothing is accepted until `resume`.
 */
struct flow__acceptor {
    struct flow_listener base;
    size_t size;     /* Of the backend's struct. */
    int fd;          /* The listening socket. */
    int reserve;     /* -1: none could be opened. */
    uint64_t resume; /* Monotonic ns, FLOW_NEVER: accepting. */
    uint64_t delay;  /* The last pause, ns. */
    /* Make a flow of a connection; on FLOW_OK it owns the descriptor. */
    enum flow_status (*make)(struct flow__acceptor *a, int fd,
                             const union flow__sockaddr *peer,
                             socklen_t peer_len, struct flow **ret_flow);
};

/* Allocates a zeroed struct of size bytes and initialises the common part;
 * NULL: no memory.  On success it owns the socket. */
void *flow__acceptor_new(const struct flow_env *env,
                         const struct flow_listener_ops *ops, size_t size,
                         int fd);

/* Operations, as in struct flow_listener_ops. */
enum flow_status flow__acceptor_accept(struct flow_listener *l,
                                       struct flow **ret_flow);
bool flow__acceptor_wait(struct flow_listener *l, struct flow_wait_set *set);
void flow__acceptor_close(struct flow_listener *l);
enum flow_status flow__acceptor_query(struct flow_listener *l,
                                      enum flow_query_key key, void *buf,
                                      size_t *len);

#endif
