/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_MOCK_FLOW_H
#define TEST_UNIT_MOCK_FLOW_H

#include <flow/backend.h>

/*
 * A flow whose answers are set by the test, and which counts its calls and
 * records their arguments.
 */
struct mock {
    struct flow base;

    enum flow_status read_st; /* status of readv */
    size_t read_max;          /* most bytes per readv, all 'r' */
    enum flow_status write_st;
    size_t write_max;
    enum flow_status shutdown_st;
    enum flow_status open_st;
    enum flow_status flush_st;
    enum flow_status lease_st;
    enum flow_status commit_st;
    enum flow_status detach_st;
    enum flow_status query_st;
    enum flow_query_key query_key; /* the one it answers */
    const char *fail_text; /* if set, errors are recorded with flow_fail() */
    uint32_t fail_dirs;    /* the directions recorded */
    uint32_t ready;        /* what wait reports as ready */
    uint64_t time;         /* deadline that wait adds */
    const char *ahead;     /* the bytes detach returns */

    unsigned reads, writes, shutdowns, closes, opens, flushes;
    _Atomic unsigned waits; /* of both directions, perhaps at once */
    unsigned leases, commits, queries, controls;
    uint32_t write_flags;      /* of the last writev or commit */
    enum flow_dir how;         /* of the last shutdown */
    _Atomic uint32_t interest; /* of the last wait */
    size_t used;               /* of the last commit */
    int64_t value;             /* of the last control */
    unsigned *close_count;     /* counters that outlive the mock, or NULL */

    uint8_t lent[32];
};

/* Every operation succeeds, everything is ready, no limit. */
struct mock *mock_new(const struct flow_env *env, uint32_t caps);

/* The same on top of a lower flow, which the mock owns; readv and writev call
 * it. */
struct mock *mock_wrap(struct flow *lower, bool owned, uint32_t caps);

#define MOCK_CAPS                                                              \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX | FLOW_CAP_LEASE_READ |            \
     FLOW_CAP_LEASE_WRITE | FLOW_CAP_DETACH)

#endif
