/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_TCP_TCP_H
#define BACKENDS_TCP_TCP_H

#include <stdbool.h>

#include "backends/posix/stream.h"
#include "backends/tcp/dial.h"
#include "backends/tcp/tuning.h"

/* A TCP flow. */
struct tcp {
    struct flow__stream stream;
    struct tcp_dial *dial; /* Until connected; under the stream's lock. */
    struct tcp_tuning tuning;
    bool held_back; /* The last write had FLOW_MORE; the writer's. */
};

/* Makes a flow of an accepted connection that has its options; on FLOW_OK it
 * owns the descriptor. */
enum flow_status flow__tcp_accepted(const struct flow_env *env, int fd,
                                    const union flow__sockaddr *peer,
                                    socklen_t peer_len,
                                    const struct tcp_tuning *tuning,
                                    struct flow **ret_flow);

#endif
