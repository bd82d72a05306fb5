/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_ENV_H
#define TEST_SUPPORT_ENV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>

/*
 * The environment of every test: that of the platform, but memory is counted
 * and can fail, and the clock can be set by hand.  One per process, made fresh
 * for each test by the guards.
 */
struct test_env {
    struct flow_env env;
    atomic_size_t live;   /* Allocations not yet given back. */
    atomic_size_t bytes;  /* Their bytes. */
    atomic_size_t total;  /* Allocations so far. */
    atomic_size_t failed; /* Allocations refused so far. */
    size_t fail_at;       /* This allocation fails, counted from 1; 0: none. */
    bool fail_after;      /* And all behind it. */
    bool manual;          /* The clock stands until somebody waits. */
    uint64_t now;         /* What it shows. */
    int64_t wall_offset;  /* Added to the wall clock, seconds. */
};

extern struct test_env test_env;

/* What constructors are given. */
#define TEST_ENV (&test_env.env)

void test_env_reset(void);

/* Stop the clock.  A wait in which nothing else happens moves it to the
 * deadline at once, so that no test sleeps. */
void test_env_stop_clock(void);

/* Fail the nth allocation from now on (1 is the next), all later ones too if
 * after; 0 ends it. */
void test_env_fail(size_t nth, bool after);

#endif
