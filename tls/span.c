/* SPDX-License-Identifier: ISC */
#include "tls/span.h"

#include <string.h>

/* See tls/span.h. */
bool
flow__span_take(struct flow__span *in, size_t len, struct flow__span *ret)
{
    if (in->len < len)
        return false;
    ret->base = in->base;
    ret->len = len;
    in->base += len;
    in->len -= len;
    return true;
}

/* See tls/span.h. */
bool
flow__span_take_u8(struct flow__span *in, uint8_t *ret)
{
    struct flow__span b;

    if (!flow__span_take(in, 1, &b))
        return false;
    *ret = b.base[0];
    return true;
}

/* See tls/span.h. */
bool
flow__span_take_u16(struct flow__span *in, uint16_t *ret)
{
    struct flow__span b;

    if (!flow__span_take(in, 2, &b))
        return false;
    *ret = (uint16_t)(b.base[0] << 8 | b.base[1]);
    return true;
}

/* See tls/span.h. */
bool
flow__span_take_vec8(struct flow__span *in, struct flow__span *ret)
{
    uint8_t len;

    return flow__span_take_u8(in, &len) && flow__span_take(in, len, ret);
}

/* See tls/span.h. */
bool
flow__span_take_vec16(struct flow__span *in, struct flow__span *ret)
{
    uint16_t len;

    return flow__span_take_u16(in, &len) && flow__span_take(in, len, ret);
}

/* See tls/span.h. */
bool
flow__span_take_vec24(struct flow__span *in, struct flow__span *ret)
{
    uint8_t high;
    uint16_t low;

    return flow__span_take_u8(in, &high) && flow__span_take_u16(in, &low) &&
           flow__span_take(in, (size_t)high << 16 | low, ret);
}

/* See tls/span.h. */
bool
flow__span_take_numbers(struct flow__span *in, struct flow__span *ret)
{
    return flow__span_take_vec16(in, ret) && ret->len >= 2 && ret->len % 2 == 0;
}

/* See tls/span.h. */
bool
flow__span_has_u16(struct flow__span list, uint16_t value)
{
    uint16_t v;

    while (flow__span_take_u16(&list, &v))
        if (v == value)
            return true;
    return false;
}

/* See tls/span.h. */
bool
flow__span_is(struct flow__span a, const void *bytes, size_t len)
{
    return a.len == len && (len == 0 || memcmp(a.base, bytes, len) == 0);
}

/* See tls/span.h. */
bool
flow__span_equal(struct flow__span a, struct flow__span b)
{
    return flow__span_is(a, b.base, b.len);
}
