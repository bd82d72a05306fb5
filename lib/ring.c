/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lib/ring.h"

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

void
flow__ring_put(uint8_t *mem, uint32_t size, uint32_t index, const void *data,
               uint32_t len)
{
    struct flow__ring_span span[2];
    const uint8_t *from = data;

    if (len == 0)
        return;
    flow__ring_spans(size, index, len, span);
    memcpy(mem + span[0].off, from, span[0].len);
    memcpy(mem, from + span[0].len, span[1].len);
}

void
flow__ring_get(const uint8_t *mem, uint32_t size, uint32_t index, void *data,
               uint32_t len)
{
    struct flow__ring_span span[2];
    uint8_t *to = data;

    if (len == 0)
        return;
    flow__ring_spans(size, index, len, span);
    memcpy(to, mem + span[0].off, span[0].len);
    memcpy(to + span[0].len, mem, span[1].len);
}
