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
 * virtual processors, so the writer measures: it copies the part in one way,
 * and now and then one in the other.
 *
 * The two latest copies of each way are kept, and the faster of them counts, so
 * that one in which the writer was interrupted changes nothing.
 */
struct vchan_bypass {
    uint64_t time[2]
                 [2]; /* ns of a copy: through caches and past them; 0: none */
    uint32_t parts;   /* copied so far */
};

/* The way of the next part: past the caches? */
bool flow__vchan_bypass_next(struct vchan_bypass *bypass);

/* What copying it took. */
void flow__vchan_bypass_took(struct vchan_bypass *bypass, bool past,
                             uint64_t ns);

#endif
