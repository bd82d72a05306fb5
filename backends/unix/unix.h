/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_UNIX_UNIX_H
#define BACKENDS_UNIX_UNIX_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/posix/stream.h"

/* A flow over a UNIX socket. */
struct unix_flow {
    struct flow__stream stream;
    /* The rest is of dialling, under the stream's lock. */
    int fd;            /* Connecting; -1: not begun, or over. */
    bool in_progress;  /* The descriptor will tell. */
    uint64_t timeout;  /* ns, 0: none. */
    uint64_t deadline; /* From the first try on. */
    uint64_t retry;    /* When to try again, FLOW_NEVER: at once. */
};

/*
 * The address of a path, or of an abstract name after '@'; 0, with err filled
 * unless NULL, when it is empty or too long, or abstract where there are no
 * such names.
 */
socklen_t flow__unix_address(const char *path, union flow__sockaddr *ret_addr,
                             struct flow_error *err);

/* A flow of an accepted connection; FLOW_OK takes the descriptor. */
enum flow_status flow__unix_accepted(const struct flow_env *env, int fd,
                                     const union flow__sockaddr *peer,
                                     socklen_t peer_len,
                                     struct flow **ret_flow);

#endif
