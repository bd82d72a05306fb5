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
 * Invariant: the last peer_room bytes of the memory, after the backend's
 * struct, are for the peer's address, whose kinds differ much in length.
 *
 * Threads: the reader uses in, the writer out.  Neither changes after the
 * opening, except that ending the write direction closes an out that differs
 * from in.
 */
struct flow__stream {
    struct flow base;
    struct flow_lock lock;
    int in;            /* -1: not connected yet. */
    int out;           /* The same as in, or another; -1: closed. */
    uint32_t process;  /* The one that made the flow, and restores. */
    uint16_t size;     /* Of the memory. */
    uint8_t peer_room; /* For the peer's address. */
    uint8_t peer_len;  /* Of the peer's address; 0: not known. */
    bool is_socket;    /* out is a socket. */
    bool in_is_socket; /* in is a socket. */
    bool restore_in;   /* Make in blocking again when it is closed. */
    bool restore_out;  /* The same for out. */
    bool broken;       /* The transport failed; under the lock. */
};

/* Capabilities of a connected stream socket. */
#define FLOW__STREAM_CAPS                                                      \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX | FLOW_CAP_FD |                    \
     FLOW_CAP_RESETS_UNREAD)

/* Allocates a zeroed struct of size bytes and room for the peer's address, and
 * initialises the common part, not connected yet; NULL: no memory. */
void *flow__stream_new(const struct flow_env *env, const struct flow_ops *ops,
                       size_t size, socklen_t peer_room, uint32_t caps);
/* Sets the peer's address; one that is longer than the room stays unknown. */
void flow__stream_set_peer(struct flow__stream *s,
                           const union flow__sockaddr *peer,
                           socklen_t peer_len);
/* Returns its length; 0: not known. */
socklen_t flow__stream_get_peer(const struct flow__stream *s,
                                union flow__sockaddr *ret_peer);
/* Gives a connected socket to the stream. */
void flow__stream_connected(struct flow__stream *s, int fd);
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
