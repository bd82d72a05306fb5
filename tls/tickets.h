/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_TICKETS_H
#define FLOW_TLS_TICKETS_H

#include <flow/tls_session.h>

#include "tls/engine.h"

/* The longest chain of a client that a ticket holds; a client with a longer one
 * gets no ticket. */
#define FLOW__TICKET_CHAIN_MAX 4096u

#define FLOW__TICKET_NAME   16
#define FLOW__TICKET_SECRET 32

/* A session lasts no longer than this after its full handshake, seconds; RFC
 * 8446 4.6.1 allows no ticket a longer life. */
#define FLOW__SESSION_LIFE 604800

/* The key of a ticket.  Callers wipe it. */
struct flow__ticket_key {
    uint8_t name[FLOW__TICKET_NAME];
    uint8_t secret[FLOW__TICKET_SECRET];
};

/* The key to seal with, a new one if the present one has served its time.
 * false: there is no entropy. */
bool flow__tickets_present_key(struct flow_tls_tickets *t,
                               struct flow__ticket_key *ret_key);

/* The key of a name, if it is still in use. */
bool flow__tickets_find_key(struct flow_tls_tickets *t,
                            const uint8_t name[FLOW__TICKET_NAME],
                            struct flow__ticket_key *ret_key);

/* The limits of flow_tls_tickets_set_limits(). */
void flow__tickets_limits(struct flow_tls_tickets *t, uint32_t *ret_seconds,
                          unsigned *ret_count);

/*
 * What a handshake of a server gives the engine to make and take tickets with;
 * it outlives the engine.
 */
struct flow__ticket_use {
    struct flow_tls_tickets *tickets;
    /* What a ticket is good for, besides its key: it opens only with the same
     * bytes. */
    struct flow__span scope;
    int64_t now;   /* seconds since 1970 */
    int64_t begun; /* when the session's full handshake was */
    /* Suites that both sides have.  A session with another is not resumed. */
    const uint16_t *suites;
    size_t suite_count;
    /* Where clients are asked for a certificate, only the ticket with this salt
     * is taken: its chain was verified. */
    bool asks_client;
    bool has_accepted;
    uint8_t accepted[FLOW__SEAL_SALT];
    /* The client's certificates, DER in a row: what a ticket holds of them. */
    struct flow__span chain;
};

/*
 * Open a ticket for the chain in it, which is in *ret_chain and points into
 * buf, FLOW__TICKET_CHAIN_MAX bytes; *ret_salt tells the ticket from others.
 * false: it does not open, or has ended.
 */
bool flow__engine_read_ticket(const struct flow__ticket_use *use,
                              struct flow__span ticket, uint8_t *buf,
                              struct flow__span *ret_chain,
                              uint8_t ret_salt[FLOW__SEAL_SALT]);

/* When a ticket that is made now ends; no later than its session. */
int64_t flow__tickets_end(struct flow_tls_tickets *t, int64_t now,
                          int64_t begun);

#endif
