/* SPDX-License-Identifier: ISC */
#include "backends/pair/ring.h"

void
flow__ring_spans(uint32_t size, uint32_t index, uint32_t len,
                 struct flow__ring_span ret_span[2])
{
    uint32_t place = flow__ring_place(size, index);
    uint32_t to_end = size - place;

    ret_span[0].off = place;
    ret_span[0].len = len < to_end ? len : to_end;
    ret_span[1].off = 0;
    ret_span[1].len = len - ret_span[0].len;
}
