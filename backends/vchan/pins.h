/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_PINS_H
#define FLOW_VCHAN_PINS_H

#include "backends/vchan/hyp.h"

/*
 * Pinned pages: pages whose grant we ended while the peer had them mapped. They
 * are not reused, and not freed before the peer unmaps them: until then it
 * could read and change their next contents.
 *
 * A handle has one account for each domain that has pinned pages or a pool. The
 * limit of a pool counts the account of its own peer only, so the pages that
 * one peer pins do not reduce what another may have.
 *
 * Invariants:
 *
 * - `pages` is the sum over the regions in the account's list.
 * - An account without pages has at least one user.
 *
 * Locks: the lock of an account guards its list and `pages`.  unshare() is
 * called under it, so that two threads which ask at once both get the current
 * count.  The handle's pins_lock guards the list of accounts and their users;
 * no function is called under it.  No thread holds two of these locks.
 */

struct vchan_pins;

/*
 * The account of a domain, for a pool.  Also frees the pages that domains
 * without a pool have unmapped since.  NULL: no memory.
 */
struct vchan_pins *flow__vchan_pins_open(struct vchan_hyp *hyp, uint16_t peer);

/* Drops a user; the account stays while it has pinned pages. */
void flow__vchan_pins_close(struct vchan_pins *pins);

/* Ends the grant of a region of ours: the region is freed, or pinned if the
 * peer has it mapped.  NULL does nothing. */
void flow__vchan_pins_retire(struct vchan_pins *pins,
                             struct vchan_region *region);

/* Tries to free the pinned regions; returns the pages that stay pinned. */
uint32_t flow__vchan_pins_reap(struct vchan_pins *pins);

/* The same for the account of a domain, if it has one. */
uint32_t flow__vchan_pins_of(struct vchan_hyp *hyp, uint16_t peer);

/* Ends all accounts, with the last reference of a handle.  Pages that a peer
 * still maps are left to the hypervisor. */
void flow__vchan_pins_end(struct vchan_hyp *hyp);

#endif
