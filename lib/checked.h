/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_CHECKED_H
#define FLOW_LIB_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arithmetic on sizes that says when it does not fit: false leaves *ret. */

static inline bool
flow__checked_add(size_t a, size_t b, size_t *ret)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

static inline bool
flow__checked_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

/* The next multiple of step, a power of two. */
static inline bool
flow__checked_round_up(size_t value, size_t step, size_t *ret)
{
    size_t sum;

    if (!flow__checked_add(value, step - 1, &sum))
        return false;
    *ret = sum & ~(step - 1);
    return true;
}

/* A time so many nanoseconds after another; never wraps into the past, and
 * never is one of the special values FLOW_NEVER and FLOW_NOW. */
static inline uint64_t
flow__time_after(uint64_t now, uint64_t nsec)
{
    uint64_t sum;

    if (__builtin_add_overflow(now, nsec, &sum))
        return UINT64_MAX;
    return sum < 2 ? 2 : sum;
}

#endif
