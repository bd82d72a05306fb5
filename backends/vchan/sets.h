/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_SETS_H
#define FLOW_VCHAN_SETS_H

#include <flow/buf.h>
#include <flow/port.h>

#include "backends/vchan/pins.h"
#include "backends/vchan/proto.h"

/*
 * Page sets: the pages that a server grants to one peer, for one connection at
 * a time.
 *
 * A hypervisor may be unable to end a grant while the peer has the page mapped,
 * and may not report it: Linux then keeps the pages and charges them to no
 * process.  So no grant is ended while its listener exists.  A set is reused
 * for the next connection of the same peer, and a peer that never unmaps costs
 * as many sets as it has connections at once.
 *
 * Invariants:
 *
 * - A set is granted once, to one domain, and stays granted while the pool is
 *   open.  No other page has its references meanwhile, so the reference of the
 *   control page identifies the set.
 * - A set is out, which means that a connection owns it, or it is in the pool,
 *   with our live byte at VCHAN_LIVE_GONE.
 * - A set goes out with every byte zero, and only after its peer has unmapped
 *   it.  The state of the channel says so: the channel stays allocated with its
 *   set, only one client can bind it, and a client closes it after it has
 *   unmapped the pages.  If the hypervisor does not tell the state, a client
 *   that cleared its live byte is given SETS_COOL to unmap.
 * - While the peer holds more than `max` of sets that came back, in pages or in
 *   number, it gets no new set.  The number counts too, since each set has a
 *   channel, however small its rings are.  Pages that this peer, and no other,
 *   has pinned of closed pools count as well.
 * - A wait source that event loops know ends when the offer becomes a flow and
 *   when the set comes back.
 *
 * The pool is a buffer policy: its buffer is the control page of a set.
 * Acquiring answers AGAIN at the limit, and the event `available` is signalled
 * for each set that comes back.  A peer that unmaps a set sends no signal, so a
 * waiting caller also tries at intervals.
 *
 * One thread at a time acquires and closes; any thread releases and asks for
 * the statistics.  The lock guards the list, `out` of each set, `users` and
 * `closed`; the only calls under it ask for the state of channels.
 */

struct vchan_sets;

/* Sets that came back and that the peer still has mapped. */
struct vchan_kept {
    uint32_t pages;
    uint32_t sets;
};

struct vchan_set {
    struct vchan_sets *sets;
    struct vchan_set *next;
    struct vchan_channel *channel;
    struct vchan_region *control;
    struct vchan_region *left;  /* NULL: in the control page */
    struct vchan_region *right; /* the same */
    uint64_t back_at;           /* when it came back; 0: it was never out */
    uint32_t ref;               /* of the control page */
    uint32_t ring_pages;
    bool out;
    bool stale;           /* the channel has no wait source */
    uint32_t ring_refs[]; /* left ones first */
};

struct vchan_sets {
    struct flow_buf_policy policy;
    struct vchan_hyp *hyp;   /* a reference */
    struct vchan_pins *pins; /* the peer's account; we are one of its users */
    struct vchan_orders orders;
    struct vchan_kept max;
    uint16_t peer;
    bool readonly_ring;
    struct flow_error error; /* of the last acquire; the acquirer's */
    struct flow_event available;
    struct flow_lock lock;
    struct vchan_set *first;
    uint32_t users; /* the owner, and each set that is out */
    bool closed;
};

struct vchan_sets_stats {
    uint32_t granted; /* pages of all sets */
    struct vchan_kept kept;
};

/*
 * Makes a pool without sets.  max: the limits.  FLOW_E_NOMEM is the only
 * error.
 */
enum flow_status flow__vchan_sets_new(struct vchan_hyp *hyp, uint16_t peer,
                                      struct vchan_orders orders,
                                      bool readonly_ring, struct vchan_kept max,
                                      struct vchan_sets **ret_sets);

/* The set of a buffer from this pool. */
struct vchan_set *flow__vchan_sets_find(struct vchan_sets *sets,
                                        const struct flow_buf *buf);

/*
 * Replaces the wait source of a set that is out.  FLOW_E_SYS: none could be
 * made, and the set can only be released.
 */
enum flow_status flow__vchan_set_renew(struct vchan_set *set,
                                       struct flow_error *err);

/* The buffer with which a set is released. */
struct flow_buf flow__vchan_set_buf(const struct vchan_set *set);

struct vchan_sets_stats flow__vchan_sets_stats(struct vchan_sets *sets);

/*
 * Closes the pool: ends every set in it now, and each set that is out when it
 * comes back.  Pages that the peer has mapped become pinned.  The caller
 * acquires nothing after this.  NULL does nothing.
 */
void flow__vchan_sets_close(struct vchan_sets *sets);

#endif
