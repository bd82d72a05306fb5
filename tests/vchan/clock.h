/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_CLOCK_H
#define TESTS_VCHAN_CLOCK_H

#include <stdint.h>

#include <flow/env.h>

#define SEC UINT64_C(1000000000)

/* A clock that is set by hand. */
static uint64_t fake_now;

static inline uint64_t
read_fake_clock(void *ctx)
{
    (void)ctx;
    return fake_now;
}

/* The rest of the environment is the platform's. */
static inline void
clock_set_by_hand(struct flow_env *env)
{
    fake_now = 1000 * SEC;
    env->now = read_fake_clock;
}

#endif
