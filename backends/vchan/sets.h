/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_SETS_H
#define FLOW_VCHAN_SETS_H

#include <flow/buf.h>
#include <flow/port.h>

#include "backends/vchan/pins.h"
#include "backends/vchan/proto.h"

/*
 * Page sets: what a server grants to one peer for its connections, one after
 * the other.
 *
 * A hypervisor may be unable to end a grant that the peer still has mapped, and
 * may not report it: Linux then keeps the pages and counts them to no process.
 * So no grant is ended while its listener lives.  A set is used again for the
 * next connection of the same peer, and a peer that never unmaps costs as many
 * sets as it has connections at once.
 *
 * Invariants:
 *
 * - A set is granted once, to one domain, and stays granted as long as the
 *   pool is open.  Its references name nothing else meanwhile, so the control
 *   page's is the set's own number among all of them.
 * - A set is out, a connection's, or it is in the pool, where its live byte
 *   says that we are gone.
 * - A set goes out with every byte zero, and not before its peer has let go.
 *   The channel tells: it stays allocated with its set, only one client can
 *   bind it, and a client closes it after it has unmapped the pages.  Where
 *   the hypervisor does not tell the state of a channel, a client that cleared
 *   its live byte is given SETS_COOL to unmap.
 * - Of sets that the peer does not let go of there are no more than `max`, in
 *   pages and in number, before a fresh set is refused: each has a channel too,
 *   however small its rings are.  The pages that the peer has pinned of closed
 *   pools count as well, and those of no other peer.
 * - What an offer or a flow told event loops of its channel ends with it: when
 *   the offer becomes a flow, and when the set comes back.
 *
 * The pool is a buffer policy: its buffer is a set's control page.  Acquiring
 * answers AGAIN at the bound, and the event `available` is signalled for each
 * set that comes back.  There is no signal when the peer lets go of a set, so a
 * waiting caller also looks at intervals.
 *
 * One thread at a time acquires and closes.  Any thread releases and asks for
 * the statistics.  The lock guards the list, `out` of each set, `users` and
 * `closed`; under it only the state of channels is asked for.
 */

struct vchan_sets;

/* Sets that came back and that the peer has not let go of. */
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
    uint64_t back_at;           /* when it came back; 0: never out */
    uint32_t ref;               /* of the control page */
    uint32_t ring_pages;
    bool out;
    bool stale;           /* the channel has no wait source */
    uint32_t ring_refs[]; /* left ones first */
};

struct vchan_sets {
    struct flow_buf_policy policy;
    struct vchan_hyp *hyp;   /* a reference */
    struct vchan_pins *pins; /* the peer's account, of which we are a user */
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
 * A pool without any set.  max: the bounds.  FLOW_E_NOMEM is the only error.
 */
enum flow_status flow__vchan_sets_new(struct vchan_hyp *hyp, uint16_t peer,
                                      struct vchan_orders orders,
                                      bool readonly_ring, struct vchan_kept max,
                                      struct vchan_sets **ret_sets);

/* The set of a buffer from this pool. */
struct vchan_set *flow__vchan_sets_find(struct vchan_sets *sets,
                                        const struct flow_buf *buf);

/*
 * Ends what was named to wait for of a set that is out, and gives its channel
 * another wait source.  FLOW_E_SYS: there is none to be had, and the set can
 * only be given back.
 */
enum flow_status flow__vchan_set_renew(struct vchan_set *set,
                                       struct flow_error *err);

/* What a set is given back by. */
struct flow_buf flow__vchan_set_buf(const struct vchan_set *set);

struct vchan_sets_stats flow__vchan_sets_stats(struct vchan_sets *sets);

/*
 * Ends every set of the pool, and each of those that are out when it comes
 * back: what the peer has mapped is pinned.  Nothing may be
 * acquired from now on.  NULL does nothing.
 */
void flow__vchan_sets_close(struct vchan_sets *sets);

#endif
