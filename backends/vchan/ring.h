/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_RING_H
#define FLOW_VCHAN_RING_H

#include <flow/status.h>

#include "backends/vchan/proto.h"

/*
 * One end of each of the two rings, in memory that the peer can change.
 *
 * Indexes are free-running counters modulo 2^32; a position is the index
 * AND (size - 1).  For a reader with private state c = own consumer and
 * rp = last accepted producer, a loaded producer is accepted if
 *
 *     rp - c  <=  new - c  <=  size            (mod 2^32)
 *
 * and for a writer with p = own producer and rc = last accepted consumer a
 * loaded consumer is accepted if
 *
 *     p - new  <=  p - rc  and  p - new  <=  size.
 *
 * Any other value is a fault that stays, never "nothing to do".  Own indexes
 * are stored to the page and never loaded back, so the peer cannot rewind them
 * and have bytes delivered or overwritten twice.
 *
 * No function sleeps, allocates or sends an event.  After it has moved an
 * index, once or several times, the caller asks whether the peer has requested
 * an event, and sends it.
 *
 * The thread that reads owns struct vchan_rx, the thread that writes struct
 * vchan_tx; there is no lock.
 */

/* The peer's live byte, with the last value that this direction has loaded. */
struct vchan_live {
    const uint8_t *byte;
    uint8_t seen;
    uint8_t max; /* largest legal value: NEVER for a server, else HERE */
};

/*
 * Loads the live byte once, unless it was GONE before.  An unknown value, or a
 * value that went back, is a fault in *ret_fault and answers GONE.
 */
uint8_t flow__vchan_live_look(struct vchan_live *live,
                              enum vchan_fault *ret_fault);

/* The two notify bytes, which both directions use. */
struct vchan_notify {
    uint8_t *peer; /* the peer's: we set bits to request events */
    uint8_t *own;  /* ours: the peer sets bits, we clear them */
};

/*
 * A request is: set the bit, fence, load the index.  A report is: store the
 * index, fence, load the bit.  With both fences at least one of the two sides
 * sees the store of the other.  Without either fence both may miss it, and the
 * peer sleeps although the ring has bytes or room for it.
 */

/* Requests an event.  The caller looks at the index again before it sleeps. */
void flow__vchan_request(const struct vchan_notify *notify, uint8_t bit);

/*
 * To be called after an index was stored: true if the peer has requested an
 * event for it; clears the request.  Only one thread tests and clears a bit, so
 * a bit that it found set is still set when it clears it.
 */
bool flow__vchan_requested(const struct vchan_notify *notify, uint8_t bit);

struct vchan_rx {
    const uint8_t *data;
    uint32_t size;
    const uint32_t *shr_prod;
    uint32_t *shr_cons;
    struct vchan_notify notify;
    struct vchan_live live;
    uint32_t prod; /* last accepted */
    uint32_t cons; /* ours */
    bool last;     /* prod was loaded after the live byte was GONE */
    enum vchan_fault fault;
};

struct vchan_tx {
    uint8_t *data;
    uint32_t size;
    uint32_t *shr_prod;
    const uint32_t *shr_cons;
    struct vchan_notify notify;
    struct vchan_live live;
    uint32_t prod; /* ours */
    uint32_t cons; /* last accepted */
    bool bypass;   /* write with non-temporal stores; set by the caller */
    enum vchan_fault fault;
};

/* A piece of ring memory; bytes that wrap are two. */
struct vchan_span {
    uint8_t *base;
    uint32_t len;
};

/*
 * Loads the indexes of the page.  A server may continue old numbers, so a
 * client that attaches loads them instead of starting at 0.  Own indexes are
 * loaded only here.  False, with a fault, if they overfill the ring.
 */
bool flow__vchan_rx_attach(struct vchan_rx *rx);
bool flow__vchan_tx_attach(struct vchan_tx *tx);

/*
 * How many bytes can be read now.  OK with at least one byte, AGAIN, EOF if the
 * peer is gone and its last byte was consumed, or E_PROTO.
 */
enum flow_status flow__vchan_rx_look(struct vchan_rx *rx, uint32_t *ret_avail);

/*
 * After look() answered OK: whether no byte follows those that it found.  The
 * peer may have written before it left, so *ret_avail is set anew.  A fault is
 * in rx->fault.
 */
bool flow__vchan_rx_is_last(struct vchan_rx *rx, uint32_t *ret_avail);

/* Copies bytes off .. off + len of those that look() found, without consuming
 * them. */
void flow__vchan_rx_get(const struct vchan_rx *rx, uint32_t off, void *dst,
                        uint32_t len);

/* The first len readable bytes in place. */
void flow__vchan_rx_spans(const struct vchan_rx *rx, uint32_t len,
                          struct vchan_span span[2]);

/* Consumes bytes.  Before the caller returns, it asks report() whether to send
 * an event. */
void flow__vchan_rx_take(struct vchan_rx *rx, uint32_t len);
bool flow__vchan_rx_report(const struct vchan_rx *rx);

/* Requests an event for the peer's next write and looks again.  Only if this
 * answers AGAIN may the reader sleep. */
enum flow_status flow__vchan_rx_arm(struct vchan_rx *rx, uint32_t *ret_avail);

/* How much can be written now: OK, AGAIN, E_CLOSED or E_PROTO. */
enum flow_status flow__vchan_tx_look(struct vchan_tx *tx, uint32_t *ret_room);
void flow__vchan_tx_put(struct vchan_tx *tx, uint32_t off, const void *src,
                        uint32_t len);
void flow__vchan_tx_spans(struct vchan_tx *tx, uint32_t len,
                          struct vchan_span span[2]);

/* Publishes bytes that were put, and asks whether to send an event. */
void flow__vchan_tx_publish(struct vchan_tx *tx, uint32_t len);
bool flow__vchan_tx_report(const struct vchan_tx *tx);

enum flow_status flow__vchan_tx_arm(struct vchan_tx *tx, uint32_t *ret_room);

#endif
