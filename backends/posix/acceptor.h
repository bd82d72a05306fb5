/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_POSIX_ACCEPTOR_H
#define BACKENDS_POSIX_ACCEPTOR_H

#include <stddef.h>
#include <stdint.h>

#include <flow/listener.h>

#include "backends/posix/sockaddr.h"

/* Connections that may wait when the caller does not say. */
#define FLOW__ACCEPTOR_BACKLOG 128

/*
 * A listener on a listening socket.  First member of the backend's struct.
 *
 * Running out of descriptors would leave the peer waiting and the socket
 * readable for ever.  So one descriptor is held in reserve: it is given up to
 * take the peer in and turn it away, and then nothing is accepted until
 * resume, which moves away further each time in a row.
 */
struct flow__acceptor {
    struct flow_listener base;
    size_t size;     /* Of the backend's struct. */
    int fd;          /* The listening socket. */
    int reserve;     /* -1 while it could not be had. */
    uint64_t resume; /* Monotonic ns, FLOW_NEVER: accepting. */
    uint64_t delay;  /* The last one, ns. */
    /* Make a flow of a connection; FLOW_OK takes the descriptor. */
    enum flow_status (*make)(struct flow__acceptor *a, int fd,
                             const union flow__sockaddr *peer,
                             socklen_t peer_len, struct flow **ret_flow);
};

/* A zeroed struct of size bytes with the common part made; NULL: no memory.
 * Takes the socket on success. */
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
