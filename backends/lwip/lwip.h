/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_LWIP_LWIP_H
#define BACKENDS_LWIP_LWIP_H

#include <flow/backend.h>
#include <flow/lwip.h>

#include "backends/lwip/wire.h"

/* The longest read lease: a TLS record fits.  Half the window, so the window
 * is open until that many bytes are there. */
#define LWIP_LEASE_MAX (TCP_WND / 2)

/* Options that a connection gets when it has a block. */
struct lwip_tuning {
    bool delay;
    bool keepalive;
};

/* Of a flow that dials. */
struct lwip_dial {
    ip_addr_t to;
    uint16_t port;
    bool begun;        /* lwIP has been asked to connect. */
    uint64_t timeout;  /* ns, 0: none. */
    uint64_t deadline; /* Set by the first call of open. */
    uint64_t retry;    /* After lwIP had no block: when to ask again. */
};

struct lwip_flow {
    struct flow base;
    struct flow_event changed; /* The wire's. */
    struct lwip_wire wire;
    struct lwip_tuning tuning;
    struct lwip_dial dial;
    bool known; /* The addresses below are set. */
    ip_addr_t local;
    ip_addr_t peer;
    uint16_t local_port;
    uint16_t peer_port;
    bool held;    /* Bytes written with FLOW_MORE wait. */
    bool starved; /* lwIP had no memory for the last write. */
    /* A lease over more than one buffer is a copy. */
    uint8_t *gathered;
    size_t gathered_len;
};

#define LWIP_CAPS                                                              \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_LEASE_READ | FLOW_CAP_DUPLEX |            \
     FLOW_CAP_RESETS_UNREAD)

/* Allocates a flow without a connection; NULL: no memory. */
struct lwip_flow *flow__lwip_flow_new(const struct flow_env *env, uint32_t caps,
                                      const struct flow_lwip_options *opt);

/* Takes over an established connection.  Entered. */
void flow__lwip_flow_accept(struct lwip_flow *t, struct lwip_wire *from);

/* Applies the options to the block, which the wire has.  Entered. */
void flow__lwip_tune(struct lwip_flow *t);

/* Notes the addresses of an established connection, whose block the wire has.
 * Entered. */
void flow__lwip_note_addresses(struct lwip_flow *t);

/* The opening (backends/lwip/lwip_dial.c). */
enum flow_status flow__lwip_dial_open(struct flow *f);
/* Whether open would not answer FLOW_AGAIN.  Entered. */
bool flow__lwip_dial_is_ready(const struct lwip_flow *t);
/* When to call open again at the latest.  Entered. */
uint64_t flow__lwip_dial_due(const struct lwip_flow *t);

#endif
