/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_LATCH_H
#define FLOW_LIB_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/atomic.h"

/*
 * A lock of one word, for state that one thread at a time uses nearly always:
 * to take it costs one locked instruction, and to release it a store.  All zero
 * is a free latch; it needs no init and no fini.
 *
 * The price is paid by a thread that finds it taken.  There is no list of
 * sleepers, since the thread that releases would have to look for them after a
 * full barrier.  So the other thread tries again, and pauses in between
 * (flow__plat_pause()).  Hold a latch across nothing that waits.
 *
 * Memory order: taking it is an acquire, releasing it a release, so that each
 * holder sees all that the one before it did.
 */
struct flow__latch {
    uint32_t taken; /* atomic */
};

static inline bool
flow__latch_try(struct flow__latch *latch)
{
    return flow__swap_acquire(&latch->taken, 1) == 0;
}

/* Take a latch that another thread holds, once that has released it. */
void flow__latch_wait(struct flow__latch *latch);

static inline void
flow__latch_acquire(struct flow__latch *latch)
{
    if (!flow__latch_try(latch))
        flow__latch_wait(latch);
}

static inline void
flow__latch_release(struct flow__latch *latch)
{
    flow__store_release(&latch->taken, 0);
}

#endif
