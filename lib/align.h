/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_ALIGN_H
#define FLOW_LIB_ALIGN_H

#include <flow/align.h>

#include "lib/bits.h"

/* Largest alignment that the policies take. */
#define FLOW__ALIGN_MAX ((size_t)1 << 30)

static inline bool
flow__align_is_valid(size_t align)
{
    return flow__is_power_of_two(align) && align <= FLOW__ALIGN_MAX;
}

/* What a policy over memory of one alignment promises. */
void flow__align_hints(struct flow_buf_hints *hints, size_t align,
                       enum flow_buf_backing backing);

#endif
