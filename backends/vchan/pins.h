/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_PINS_H
#define FLOW_VCHAN_PINS_H

#include "backends/vchan/hyp.h"

/*
 * Pinned pages: those whose grant we ended while the peer had them mapped.
 * They are never used again and never freed before the peer unmaps them, since
 * whatever came to stand there next would be the peer's to read and change.
 *
 * A handle has an account for each domain that pins pages or may come to.  The
 * bounds of a pool of pages look at its own peer's account alone, so what one
 * peer pins takes nothing from another.
 *
 * Invariants:
 *
 * - `pages` are those of the regions in the account's list.
 * - An account without pages has a user.
 *
 * Locks: an account's guards its list and `pages`.  Under it only unshare() is
 * called, so that whoever asks at the same time gets the answer of now; another
 * domain's account has another lock.  The handle's pins_lock guards the list of
 * accounts and their users; under it nothing is called.  No thread holds both.
 */

struct vchan_pins;

/*
 * The account of a domain, for a pool of pages; what other domains without a
 * pool have let go of is freed.  NULL: no memory.
 */
struct vchan_pins *flow__vchan_pins_open(struct vchan_hyp *hyp, uint16_t peer);

/* A user less; the account stays while pages are pinned. */
void flow__vchan_pins_close(struct vchan_pins *pins);

/* Ends the grant of a region of ours, and frees it or pins it.  NULL does
 * nothing. */
void flow__vchan_pins_retire(struct vchan_pins *pins,
                             struct vchan_region *region);

/* Tries the pinned regions again; how many pages stay pinned. */
uint32_t flow__vchan_pins_reap(struct vchan_pins *pins);

/* The same for a domain that may have no account. */
uint32_t flow__vchan_pins_of(struct vchan_hyp *hyp, uint16_t peer);

/* Ends all accounts, with the last reference of a handle: what a peer still
 * maps is left to the hypervisor. */
void flow__vchan_pins_end(struct vchan_hyp *hyp);

#endif
