/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_BYPASS_H
#define FLOW_VCHAN_BYPASS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the parts of large writes go into the ring past the caches, with
 * non-temporal stores.
 *
 * If the reader's processor shares a cache with the writer's, the bytes reach
 * it sooner through that cache.  If the two share none, a store waits until its
 * line comes back from the other cache, and writing to memory is several times
 * as fast.  A domain cannot know which is the case, and a hypervisor moves
 * virtual processors.  So the writer measures: it times some of the parts that
 * it copies in one way, and sometimes copies one in the other way.
 *
 * The two latest times of each way are kept and the shorter one counts, so that
 * an interrupt during one of them changes nothing.
 */
struct vchan_bypass {
    /* ns of the latest copies, through the caches and past them; 0: none. */
    uint64_t time[2][2];
    uint32_t parts; /* copied so far */
};

/* Whether to copy the next part past the caches.  *ret_timed: whether to time
 * the copy. */
bool flow__vchan_bypass_next(struct vchan_bypass *bypass, bool *ret_timed);

/* Records the time that the copy of a part took. */
void flow__vchan_bypass_took(struct vchan_bypass *bypass, bool past,
                             uint64_t ns);

#endif
