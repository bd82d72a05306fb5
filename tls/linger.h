/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_LINGER_H
#define FLOW_TLS_LINGER_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/flow.h>

/*
 * The end of a connection that was refused, after our last bytes: the lower
 * flow is ended.  If closing it with unread input would reset the transport
 * (FLOW_CAP_RESETS_UNREAD), so that the peer may lose these bytes, what the
 * peer still sends is discarded until it ends too.
 */
struct flow__linger {
    bool has_ended;     /* our direction of the lower flow */
    uint32_t discarded; /* bytes */
};

/* Continue without waiting.  true: the lower flow can be closed, since the peer
 * has ended, nothing is lost by that, as much as the limit was discarded, or
 * the lower flow has failed. */
bool flow__linger_step(struct flow__linger *linger, struct flow *lower);

/* After false: one FLOW_READY_ bit of the lower flow. */
uint32_t flow__linger_wants(const struct flow__linger *linger);

#endif
