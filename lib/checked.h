/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_CHECKED_H
#define FLOW_LIB_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arithmetic on sizes that detects overflow: false, and *ret is unchanged. */

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

#endif
