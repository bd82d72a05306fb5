/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_UNIX_UNIX_H
#define BACKENDS_UNIX_UNIX_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/posix/stream.h"

/* A flow over a UNIX socket. */
struct unix_flow {
    struct flow__stream stream;
    /* The rest is for connecting, under the stream's lock. */
    int fd;            /* The connecting socket; -1: none. */
    bool in_progress;  /* The socket becomes writable when it is done. */
    uint64_t timeout;  /* ns, 0: none. */
    uint64_t deadline; /* Set by the first try. */
    uint64_t retry;    /* Time of the next try; FLOW_NEVER: at once. */
};

/*
 * The address of a path, or of an abstract name after '@'; returns its length.
 * 0, with err filled unless NULL: the path is empty or too long, or the system
 * has no abstract names.
 */
socklen_t flow__unix_address(const char *path, union flow__sockaddr *ret_addr,
                             struct flow_error *err);

/* Makes a flow of an accepted connection; on FLOW_OK it owns the descriptor. */
enum flow_status flow__unix_accepted(const struct flow_env *env, int fd,
                                     const union flow__sockaddr *peer,
                                     socklen_t peer_len,
                                     struct flow **ret_flow);

#endif
