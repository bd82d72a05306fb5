/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_POSIX_STREAM_H
#define BACKENDS_POSIX_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/backend.h>
#include <flow/port.h>

#include "backends/posix/sockaddr.h"

/*
 * A flow on connected descriptors: what TCP, UNIX sockets and adopted
 * descriptors have in common.  First member of the backend's own struct.
 *
 * Threads: the reader uses in, the writer out.  Neither changes after the
 * opening, except that ending the write direction closes an out that differs
 * from in.
 */
struct flow__stream {
    struct flow base;
    size_t size;        /* Of the backend's struct. */
    int in;             /* -1: not connected yet. */
    int out;            /* The same as in, or another; -1: closed. */
    bool is_socket;     /* out is a socket. */
    bool in_is_socket;  /* in is a socket. */
    bool restore_in;    /* Make in blocking again when it is closed. */
    bool restore_out;   /* The same for out. */
    uint32_t process;   /* The one that made the flow, and restores. */
    bool broken;        /* The transport failed; under the lock. */
    socklen_t peer_len; /* Of peer; 0: not known. */
    union flow__sockaddr peer;
    struct flow_lock lock;
};

/* Capabilities of a connected stream socket. */
#define FLOW__STREAM_CAPS                                                      \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX | FLOW_CAP_FD)

/* Allocates a zeroed struct of size bytes and initialises the common part, not
 * connected yet; NULL: no memory. */
void *flow__stream_new(const struct flow_env *env, const struct flow_ops *ops,
                       size_t size, uint32_t caps);
/* Gives a connected socket to the stream. */
void flow__stream_connected(struct flow__stream *s, int fd,
                            const union flow__sockaddr *peer,
                            socklen_t peer_len);
/* Records an errno, with the peer as detail. */
enum flow_status flow__stream_fail(struct flow__stream *s, uint32_t dirs,
                                   int code, const char *fallback);

/* Operations, as in struct flow_ops. */
enum flow_status flow__stream_readv(struct flow *f, const struct flow_vec *vec,
                                    size_t count, size_t *ret_len);
enum flow_status flow__stream_writev(struct flow *f,
                                     const struct flow_cvec *vec, size_t count,
                                     uint32_t flags, size_t *ret_len);
enum flow_status flow__stream_shutdown(struct flow *f, enum flow_dir dir);
uint32_t flow__stream_wait(struct flow *f, uint32_t interest,
                           struct flow_wait_set *set);
void flow__stream_close(struct flow *f);
enum flow_status flow__stream_query(struct flow *f, enum flow_query_key key,
                                    void *buf, size_t *len);
enum flow_status flow__stream_control(struct flow *f, enum flow_control_key key,
                                      int64_t value);

#endif
