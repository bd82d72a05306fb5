/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_ENV_H
#define TEST_SUPPORT_ENV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>

/*
 * The environment of every test: the platform's, but memory is counted and
 * allocations can be made to fail, and the clock can be stopped.  There is one
 * per process; the guards reset it before each test.
 */
struct test_env {
    struct flow_env env;
    atomic_size_t live;   /* Allocations not yet freed. */
    atomic_size_t bytes;  /* Their bytes. */
    atomic_size_t total;  /* Allocations so far. */
    atomic_size_t failed; /* Allocations that were made to fail so far. */
    size_t fail_at;       /* This allocation fails, counted from 1; 0: none. */
    bool fail_after;      /* And so do all later ones. */
    bool manual;          /* The clock is stopped until a wait advances it. */
    uint64_t now;         /* The time of the stopped clock. */
    int64_t wall_offset;  /* Added to the wall clock, in seconds. */
};

extern struct test_env test_env;

/* The environment to pass to constructors. */
#define TEST_ENV (&test_env.env)

void test_env_reset(void);

/* Stop the clock.  If nothing else ends a wait, it moves the clock to the
 * deadline at once, so no test sleeps. */
void test_env_stop_clock(void);

/* Make the nth allocation from now on fail (1 is the next), and all later ones
 * too if after is true; 0 ends that. */
void test_env_fail(size_t nth, bool after);

#endif
