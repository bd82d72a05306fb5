/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_BYPASS_H
#define FLOW_VCHAN_BYPASS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the parts of large writes go into the ring past the caches.
 *
 * A reader whose processor shares a cache with the writer's has the bytes
 * sooner when they stay there.  Between processors that share none, a store
 * waits for its line to come back from the reader's, and memory is several
 * times as fast.  Nothing tells which of the two is so, and a hypervisor moves
 * virtual processors, so the writer measures: it times some of the parts that
 * it copies in one way, and now and then copies one in the other way.
 *
 * The two latest times of each way are kept, and the shorter of them counts, so
 * that one in which the writer was interrupted changes nothing.
 */
struct vchan_bypass {
    /* ns of the latest copies, through the caches and past them; 0: none. */
    uint64_t time[2][2];
    uint32_t parts; /* copied so far */
};

/* The way of the next part: past the caches?  *ret_timed: whether the copy is
 * to be timed. */
bool flow__vchan_bypass_next(struct vchan_bypass *bypass, bool *ret_timed);

/* What copying such a part took. */
void flow__vchan_bypass_took(struct vchan_bypass *bypass, bool past,
                             uint64_t ns);

#endif
