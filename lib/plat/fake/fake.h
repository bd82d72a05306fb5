/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_FAKE_FAKE_H
#define FLOW_LIB_PLAT_FAKE_FAKE_H

#include <flow/env.h>

#include "lib/plat.h"

/*
 * An environment for tests, for one thread: a clock that is set by hand and
 * jumps to the deadline instead of sleeping, entropy from a seed, an allocator
 * that counts, checks and fails where it is told to.
 */
struct flow__fake {
    struct flow_env env; /* what flows are given */

    uint64_t now;     /* monotonic ns, set freely */
    int64_t wall;     /* seconds since 1970, set freely */
    uint64_t entropy; /* state of the generator */
    bool no_entropy;  /* random fails */

    uint64_t waits; /* sleeps asked for */
    uint64_t jumps; /* sleeps that only time ended */

    uint64_t allocs;    /* allocations asked for */
    uint64_t fail_at;   /* number of the one to fail, from 1; 0: none */
    bool fail_all;      /* that one and every later */
    size_t live_blocks; /* allocated and not freed */
    size_t live_bytes;
    size_t peak_bytes;
};

/* Time starts at one second; the same seed gives the same bytes. */
void flow__fake_init(struct flow__fake *fake, uint64_t seed);

/* Time passes. */
void flow__fake_advance(struct flow__fake *fake, uint64_t nsec);

#endif
