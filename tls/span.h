/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SPAN_H
#define FLOW_TLS_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes inside a message, read from the front.  A function that takes bytes
 * answers false if there are too few; the span must not be used after that.
 * Numbers are in network byte order.
 */

/* base is NULL if the field is absent. */
struct flow__span {
    const uint8_t *base;
    size_t len;
};

bool flow__span_take(struct flow__span *in, size_t len, struct flow__span *ret);
bool flow__span_take_u8(struct flow__span *in, uint8_t *ret);
bool flow__span_take_u16(struct flow__span *in, uint16_t *ret);

/* A vector after its length of 1, 2 or 3 bytes. */
bool flow__span_take_vec8(struct flow__span *in, struct flow__span *ret);
bool flow__span_take_vec16(struct flow__span *in, struct flow__span *ret);
bool flow__span_take_vec24(struct flow__span *in, struct flow__span *ret);

/* A vector of one or more 2-byte numbers, after its length of 2 bytes. */
bool flow__span_take_numbers(struct flow__span *in, struct flow__span *ret);

/* Whether two spans have the same bytes. */
bool flow__span_equal(struct flow__span a, struct flow__span b);
bool flow__span_is(struct flow__span a, const void *bytes, size_t len);

/* Whether a list of 2-byte numbers holds one; false for an absent list. */
bool flow__span_has_u16(struct flow__span list, uint16_t value);

#endif
