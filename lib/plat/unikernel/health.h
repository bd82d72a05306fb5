/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_UNIKERNEL_HEALTH_H
#define FLOW_LIB_PLAT_UNIKERNEL_HEALTH_H

#include <stddef.h>
#include <stdint.h>

/* The first bytes of a source that must pass before any counts: NIST SP
 * 800-90B 4.3 wants at least 1024 samples. */
#define FLOW__HEALTH_STARTUP 1024u

enum flow__health_fault {
    FLOW__HEALTH_GOOD,
    FLOW__HEALTH_REPEATS, /* failed the repetition count test */
    FLOW__HEALTH_SKEWED   /* failed the adaptive proportion test */
};

/* The two tests over samples of one size. */
struct flow__health_track {
    uint64_t last;  /* the sample before */
    uint64_t first; /* of the window */
    uint32_t run;   /* how often last came in a row */
    uint32_t seen;  /* samples of the window so far */
    uint32_t equal; /* those that are first, itself included */
};

/* What is remembered of a source.  All zero at first. */
struct flow__health {
    struct flow__health_track bytes, words;
    uint64_t word; /* being collected */
    uint32_t word_len;
};

/* The first fault in the next len bytes of a source, after which the tests
 * must begin again from all zero. */
enum flow__health_fault flow__health_check(struct flow__health *h,
                                           const uint8_t *buf, size_t len);

#endif
