/* SPDX-License-Identifier: ISC */
#include "tls/der.h"

/* The number of bytes of a length above 127; longer content is not needed. */
#define DER_LENGTH_BYTES 4

static bool
der_take_length(struct flow__span *in, size_t *ret)
{
    uint8_t first, byte;

    if (!flow__span_take_u8(in, &first))
        return false;
    *ret = first;
    if (first < 0x80)
        return true;
    if (first == 0x80 || first > 0x80 + DER_LENGTH_BYTES)
        return false;
    *ret = 0;
    for (unsigned n = first & 0x7fu; n > 0; n--) {
        if (!flow__span_take_u8(in, &byte))
            return false;
        /* X.690 10.1: the shortest form. */
        if (*ret == 0 && byte == 0)
            return false;
        *ret = *ret << 8 | byte;
    }
    return *ret >= 0x80;
}

/* See tls/der.h. */
bool
flow__der_take_any(struct flow__span *in, uint8_t *ret_tag,
                   struct flow__span *ret)
{
    size_t len;

    /* A tag of several bytes has these five bits set. */
    return flow__span_take_u8(in, ret_tag) && (*ret_tag & 0x1fu) != 0x1fu &&
           der_take_length(in, &len) && flow__span_take(in, len, ret);
}

/* See tls/der.h. */
bool
flow__der_take(struct flow__span *in, uint8_t tag, struct flow__span *ret)
{
    uint8_t found;

    return flow__der_take_any(in, &found, ret) && found == tag;
}

/* See tls/der.h. */
bool
flow__der_take_whole(struct flow__span *in, uint8_t tag, struct flow__span *ret)
{
    const uint8_t *start = in->base;
    struct flow__span content;

    if (!flow__der_take(in, tag, &content))
        return false;
    ret->base = start;
    ret->len = (size_t)(in->base - start);
    return true;
}

/* See tls/der.h. */
bool
flow__der_is_next(const struct flow__span *in, uint8_t tag)
{
    return in->len > 0 && in->base[0] == tag;
}

/* See tls/der.h. */
bool
flow__der_take_optional(struct flow__span *in, uint8_t tag,
                        struct flow__span *ret)
{
    if (flow__der_is_next(in, tag))
        return flow__der_take(in, tag, ret);
    ret->base = NULL;
    ret->len = 0;
    return true;
}

/* See tls/der.h. */
bool
flow__der_take_number(struct flow__span *in, uint32_t *ret)
{
    struct flow__span bytes;

    if (!flow__der_take(in, FLOW__DER_INTEGER, &bytes) || bytes.len == 0 ||
        bytes.len > 4 || bytes.base[0] >= 0x80)
        return false;
    *ret = 0;
    for (size_t i = 0; i < bytes.len; i++)
        *ret = *ret << 8 | bytes.base[i];
    return true;
}

/* See tls/der.h. */
bool
flow__der_take_flag(struct flow__span *in, bool *ret)
{
    struct flow__span byte;

    *ret = false;
    if (!flow__der_is_next(in, FLOW__DER_BOOLEAN))
        return true;
    if (!flow__der_take(in, FLOW__DER_BOOLEAN, &byte) || byte.len != 1)
        return false;
    *ret = byte.base[0] != 0;
    return true;
}

/* See tls/der.h. */
bool
flow__der_take_bytes(struct flow__span *in, struct flow__span *ret)
{
    uint8_t unused;

    return flow__der_take(in, FLOW__DER_BIT_STRING, ret) &&
           flow__span_take_u8(ret, &unused) && unused == 0;
}

/* Two decimal digits of min..max. */
static bool
der_take_digits(struct flow__span *in, unsigned min, unsigned max,
                unsigned *ret)
{
    struct flow__span two;

    if (!flow__span_take(in, 2, &two) || two.base[0] < '0' ||
        two.base[0] > '9' || two.base[1] < '0' || two.base[1] > '9')
        return false;
    *ret = (unsigned)(two.base[0] - '0') * 10 + (unsigned)(two.base[1] - '0');
    return *ret >= min && *ret <= max;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar, for years from
 * 1. */
static int64_t
der_days_since_epoch(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[] = { 0,   31,  59,  90,  120, 151,
                                       181, 212, 243, 273, 304, 334 };
    /* 29 February counts as of the next year's, if it is still to come. */
    unsigned leap_year = month > 2 ? year : year - 1;
    int64_t days = (int64_t)year * 365 + before[month - 1] + day - 1;

    days += leap_year / 4 - leap_year / 100 + leap_year / 400;
    return days - (1970 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400);
}

static unsigned
der_days_of_month(unsigned year, unsigned month)
{
    if (month == 2)
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* See tls/der.h.  RFC 5280 4.1.2.5: with seconds, and in UTC. */
bool
flow__der_take_time(struct flow__span *in, int64_t *ret)
{
    unsigned century, year, month, day, hour, minute, second;
    struct flow__span text;
    uint8_t tag, zone;

    if (!flow__der_take_any(in, &tag, &text))
        return false;
    if (tag == FLOW__DER_TIME) {
        if (!der_take_digits(&text, 0, 99, &century) ||
            !der_take_digits(&text, 0, 99, &year))
            return false;
    } else {
        if (tag != FLOW__DER_UTC_TIME || !der_take_digits(&text, 0, 99, &year))
            return false;
        century = year < 50 ? 20 : 19;
    }
    year += century * 100;
    if (year == 0 || !der_take_digits(&text, 1, 12, &month) ||
        !der_take_digits(&text, 1, der_days_of_month(year, month), &day) ||
        !der_take_digits(&text, 0, 23, &hour) ||
        !der_take_digits(&text, 0, 59, &minute) ||
        !der_take_digits(&text, 0, 59, &second) ||
        !flow__span_take_u8(&text, &zone) || zone != 'Z' || text.len > 0)
        return false;
    *ret = der_days_since_epoch(year, month, day) * 86400 +
           (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
    return true;
}
