/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HARVEST_H
#define FLOW_TLS_HARVEST_H

#include "tls/sessions.h"

/* A client's engine after the handshake, kept for the tickets of a TLS 1.3
 * server.  Used under the TLS flow's read lock. */
struct flow__harvest {
    const struct flow_env *env;
    struct flow__engine *engine;
    bool owns_engine; /* else the flow keeps it for exporters */
    const struct flow_tls_config *config; /* the TLS flow's */
    struct flow__session *model;          /* all but the engine's state */
    unsigned left;                        /* tickets to be kept */
    uint64_t until; /* given up then, at the next record; monotonic ns */
};

/* Take model over.  NULL: no memory; it is released. */
struct flow__harvest *flow__harvest_new(const struct flow_env *env,
                                        const struct flow_tls_config *config,
                                        struct flow__session *model);
/* Its bytes, with those of an engine that it owns. */
size_t flow__harvest_footprint(const struct flow__harvest *h);
/* NULL does nothing. */
void flow__harvest_free(struct flow__harvest *h);

/* A NewSessionTicket whose lengths were checked has come.  Whatever is wrong
 * with it, the connection goes on; one that is too long is ignored.  false: no
 * more are wanted. */
bool flow__harvest_take(struct flow__harvest *h, const uint8_t *msg,
                        size_t len);

/* A record has come.  false: tickets are no longer waited for. */
bool flow__harvest_waits(const struct flow__harvest *h);

#endif
