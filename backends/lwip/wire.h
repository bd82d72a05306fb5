/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_LWIP_WIRE_H
#define BACKENDS_LWIP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/backend.h>

#include <lwip/tcp.h>

/*
 * A connection as lwIP's callbacks see it: what a flow has of it, and what a
 * listener keeps for each one that waits to be accepted.  Everything here is
 * called entered (backends/lwip/stack.h).
 *
 * Invariants: pcb is NULL from the moment lwIP frees it.  unread is the sum of
 * the lengths of the list `in`, whose `tot_len` members mean nothing; last is
 * its last element.  The bytes of the list count in lwIP's receive window, so
 * there are never more than TCP_WND.
 */
struct lwip_wire {
    struct tcp_pcb *pcb;
    struct pbuf *in; /* What was received and not read, oldest first. */
    struct pbuf *last;
    size_t unread;
    size_t spare;   /* Bytes of memory after last that may be filled. */
    bool connected; /* A flow that dials: the peer has answered. */
    bool ended;     /* The peer has ended its direction. */
    err_t error;    /* Why lwIP gave the connection up; ERR_OK: it did not. */
    struct flow_event *changed; /* Signalled after every change, or NULL. */
};

/* How a connection is let go. */
enum lwip_end {
    LWIP_END_CLOSE,  /* As close(2): what was accepted is sent. */
    LWIP_END_RESET,  /* The peer gets a reset. */
    LWIP_END_FORGET, /* The peer is not told. */
};

/* Once, when the stack has started. */
void flow__lwip_wire_init(void);

/* Takes over a connection. */
void flow__lwip_wire_bind(struct lwip_wire *w, struct tcp_pcb *pcb,
                          struct flow_event *changed);

/* Moves a connection, and all that was received, to another place. */
void flow__lwip_wire_move(struct lwip_wire *from, struct lwip_wire *to,
                          struct flow_event *changed);

/* Whether lwIP has given the connection up, or freed it before the peer
 * ended. */
bool flow__lwip_wire_is_lost(const struct lwip_wire *w);

/* Copies bytes out and consumes them; how many. */
size_t flow__lwip_wire_take(struct lwip_wire *w, const struct flow_vec *vec,
                            size_t count);

/* Drops the first len <= unread bytes, and tells the peer that there is room.
 */
void flow__lwip_wire_consume(struct lwip_wire *w, size_t len);

/* Lets go of the connection and of all that was received. */
void flow__lwip_wire_release(struct lwip_wire *w, enum lwip_end how);

#endif
