/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_BITS_H
#define FLOW_LIB_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool
flow__is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static inline size_t
flow__min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t
flow__max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
