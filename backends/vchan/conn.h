/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_CONN_H
#define FLOW_VCHAN_CONN_H

#include "backends/vchan/hyp.h"
#include "backends/vchan/ring.h"
#include "backends/vchan/sets.h"

/* One connection: the pages, the channel, and their set if we are the server.
 * A server offers it, a client joins it; both leave it. */
struct vchan_conn {
    struct vchan_hyp *hyp; /* a reference */
    uint16_t peer;
    bool server;
    struct vchan_orders orders; /* a copy: the page is not read again */
    struct vchan_channel *channel;
    struct vchan_region *control;
    struct vchan_region *left;   /* NULL: in the control page */
    struct vchan_region *right;  /* the same */
    struct vchan_set *set;       /* server: owns the pages and the channel */
    struct vchan_watch *domains; /* NULL: watch_domains is off */
};

/*
 * Server: takes a set from the pool and initialises its control page.  Nothing
 * is published yet.  AGAIN: the pool is exhausted, and err has the reason.
 */
enum flow_status flow__vchan_conn_offer(struct vchan_conn *conn,
                                        struct vchan_sets *sets,
                                        struct flow_error *err);

/*
 * Client: binds, maps, checks and attaches.  conn holds the hypervisor, without
 * a reference, and the peer.  reattach: also take the place of a client that
 * has left.  AGAIN: the offer is stale, taken or not ready; look up the keys
 * again.
 */
enum flow_status flow__vchan_conn_join(struct vchan_conn *conn, uint32_t ref,
                                       uint32_t port, bool reattach,
                                       struct vchan_rx *rx, struct vchan_tx *tx,
                                       struct flow_error *err);

/* Our ends of the two rings, with indexes of 0. */
void flow__vchan_conn_rings(const struct vchan_conn *conn, struct vchan_rx *rx,
                            struct vchan_tx *tx);

/* Watches for the destruction of domains, if the store has such a watch. */
enum flow_status flow__vchan_conn_watch(struct vchan_conn *conn,
                                        struct flow_error *err);

/* The client's live byte; the server of an offer polls it. */
uint8_t flow__vchan_conn_client(const struct vchan_conn *conn);

/* Clears our live byte and sends an event. */
void flow__vchan_conn_disconnect(struct vchan_conn *conn);

/* Disconnects and releases everything; a zeroed struct is allowed. */
void flow__vchan_conn_leave(struct vchan_conn *conn);

#endif
