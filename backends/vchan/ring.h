/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_RING_H
#define FLOW_VCHAN_RING_H

#include <flow/status.h>

#include "backends/vchan/proto.h"

/*
 * One end of each of the two rings, over memory the peer can change.
 *
 * Indexes are free-running counters modulo 2^32; a position is the index
 * AND (size - 1).  For a reader with private state c = own consumer and
 * rp = last accepted producer, a loaded producer is accepted when
 *
 *     rp - c  <=  new - c  <=  size            (mod 2^32)
 *
 * and for a writer with p = own producer and rc = last accepted consumer a
 * loaded consumer is accepted when
 *
 *     p - new  <=  p - rc  and  p - new  <=  size.
 *
 * Anything else is a violation: a fault that stays, never "nothing to do".
 * Own indexes are stored to the page and never loaded back, so the peer
 * cannot rewind them and have bytes delivered or overwritten twice.
 *
 * Nothing here sleeps, allocates or sends.  After an index has moved, once or
 * several times, the caller asks whether the peer has requested an event for
 * it, and sends that.
 */

/* The peer's live byte, as this direction has seen it so far. */
struct vchan_live {
    const uint8_t *byte;
    uint8_t seen;
    uint8_t max; /* largest legal value: NEVER for a server, else HERE */
};

/*
 * Looks once.  GONE is latched: the byte is not loaded again after it.
 * A value that is unknown or goes back is stored in *ret_fault and read as
 * GONE.
 */
uint8_t flow__vchan_live_look(struct vchan_live *live,
                              enum vchan_fault *ret_fault);

/* The notify bytes, same pair for both directions. */
struct vchan_notify {
    uint8_t *peer; /* the peer's: we set what we want to hear about */
    uint8_t *own;  /* ours: the peer sets, we clear when we report */
};

/*
 * A request of the peer is bit, fence, load of the index; a report of ours is
 * store of the index, fence, load of the bit.  With both fences one of the two
 * sides sees the store of the other; without either, both may miss it, and the
 * peer sleeps although the ring has what it waits for.
 */

/* Requests an event.  The caller looks at the index again before it sleeps. */
void flow__vchan_request(const struct vchan_notify *notify, uint8_t bit);

/*
 * After an index was stored: true when the peer has requested an event for it.
 * Only one thread tests a bit, and no other clears it, so a bit that was
 * found set is still set when it is cleared.
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
    bool last;     /* prod was loaded after the peer was gone */
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
    bool bypass;   /* puts bytes past the caches; the caller's choice */
    enum vchan_fault fault;
};

/* Up to two pieces of ring memory: the part up to the end and the rest. */
struct vchan_span {
    uint8_t *base;
    uint32_t len;
};

/*
 * Takes over the indexes that stand in the page: a server may continue old
 * numbers, so an attaching client loads rather than resets.  This is the
 * only time own indexes are loaded.  False, with a fault, when they overfill
 * the ring.
 */
bool flow__vchan_rx_attach(struct vchan_rx *rx);
bool flow__vchan_tx_attach(struct vchan_tx *tx);

/*
 * How much can be read now.  OK with at least one byte, AGAIN, EOF once the
 * peer is gone and its last byte was taken, or E_PROTO.
 */
enum flow_status flow__vchan_rx_look(struct vchan_rx *rx, uint32_t *ret_avail);

/*
 * Whether nothing follows what look() found: only after OK.  The peer may have
 * written before it left, so *ret_avail is new in that case.  A fault is in
 * rx->fault.
 */
bool flow__vchan_rx_is_last(struct vchan_rx *rx, uint32_t *ret_avail);

/* Copies bytes off .. off + len of what look() found; does not consume. */
void flow__vchan_rx_get(const struct vchan_rx *rx, uint32_t off, void *dst,
                        uint32_t len);

/* The first len readable bytes in place. */
void flow__vchan_rx_spans(const struct vchan_rx *rx, uint32_t len,
                          struct vchan_span span[2]);

/* Consumes.  Before the caller returns it asks whether to send an event. */
void flow__vchan_rx_take(struct vchan_rx *rx, uint32_t len);
bool flow__vchan_rx_report(const struct vchan_rx *rx);

/*
 * Asks for an event at the next write, then looks again: only after AGAIN
 * from here may the reader sleep.
 */
enum flow_status flow__vchan_rx_arm(struct vchan_rx *rx, uint32_t *ret_avail);

/* How much can be written now: OK, AGAIN, E_CLOSED or E_PROTO. */
enum flow_status flow__vchan_tx_look(struct vchan_tx *tx, uint32_t *ret_room);
void flow__vchan_tx_put(struct vchan_tx *tx, uint32_t off, const void *src,
                        uint32_t len);
void flow__vchan_tx_spans(struct vchan_tx *tx, uint32_t len,
                          struct vchan_span span[2]);

/* The same for what was put. */
void flow__vchan_tx_publish(struct vchan_tx *tx, uint32_t len);
bool flow__vchan_tx_report(const struct vchan_tx *tx);

enum flow_status flow__vchan_tx_arm(struct vchan_tx *tx, uint32_t *ret_room);

#endif
