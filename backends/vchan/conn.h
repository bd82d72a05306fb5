/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_CONN_H
#define FLOW_VCHAN_CONN_H

#include "backends/vchan/hyp.h"
#include "backends/vchan/ring.h"
#include "backends/vchan/sets.h"

/*
 * One connection: the pages, the channel and who set them up.  A server
 * offers it, a client joins it; both leave it.
 */
struct vchan_conn {
    struct vchan_hyp *hyp; /* a reference */
    uint16_t peer;
    bool server;
    struct vchan_orders orders; /* snapshot: the page's are not read again */
    struct vchan_channel *channel;
    struct vchan_region *control;
    struct vchan_region *left;  /* NULL: in the control page */
    struct vchan_region *right; /* the same */
    struct vchan_set *set;      /* server: whose all of these are */
    struct vchan_watch *deaths; /* NULL: nobody asked for it */
};

/*
 * Server: takes a set from the pool and initialises its control page.  Nothing
 * is published yet.  AGAIN: the pool is exhausted, and err has the reason.
 */
enum flow_status flow__vchan_conn_offer(struct vchan_conn *conn,
                                        struct vchan_sets *sets,
                                        struct flow_error *err);

/*
 * Client: binds, maps, checks and attaches; conn has the hypervisor, no
 * reference yet, and the peer.  reattach: also where a client has left.  AGAIN:
 * what was published is stale, taken or not ready; look the keys up again.
 */
enum flow_status flow__vchan_conn_join(struct vchan_conn *conn, uint32_t ref,
                                       uint32_t port, bool reattach,
                                       struct vchan_rx *rx, struct vchan_tx *tx,
                                       struct flow_error *err);

/* Our ends of the two rings, with indexes at their start. */
void flow__vchan_conn_rings(const struct vchan_conn *conn, struct vchan_rx *rx,
                            struct vchan_tx *tx);

/* Has the store tell of the ends of domains, if the hypervisor needs that. */
enum flow_status flow__vchan_conn_watch(struct vchan_conn *conn,
                                        struct flow_error *err);

/* The client's live byte, as a server that waits for one looks at it. */
uint8_t flow__vchan_conn_client(const struct vchan_conn *conn);

/* Says goodbye: clears our live byte and sends an event. */
void flow__vchan_conn_goodbye(struct vchan_conn *conn);

/* Says goodbye and releases everything; harmless on a zeroed struct. */
void flow__vchan_conn_leave(struct vchan_conn *conn);

#endif
