/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_DER_H
#define FLOW_TLS_DER_H

#include "tls/span.h"

/*
 * A reader of DER (X.690) that never looks outside the span it is given.  Tags
 * are of one byte, and lengths have their shortest form.  A function that
 * answers false found something else; the span must not be used after that.
 */

#define FLOW__DER_BOOLEAN      0x01u
#define FLOW__DER_INTEGER      0x02u
#define FLOW__DER_BIT_STRING   0x03u
#define FLOW__DER_OCTET_STRING 0x04u
#define FLOW__DER_NULL         0x05u
#define FLOW__DER_OID          0x06u
#define FLOW__DER_ENUMERATED   0x0au
#define FLOW__DER_UTF8         0x0cu
#define FLOW__DER_PRINTABLE    0x13u
#define FLOW__DER_IA5          0x16u
#define FLOW__DER_UTC_TIME     0x17u
#define FLOW__DER_TIME         0x18u
#define FLOW__DER_SEQUENCE     0x30u
#define FLOW__DER_SET          0x31u

/* [n], simple or with elements inside. */
#define FLOW__DER_CONTEXT(n) (0x80u | (n))
#define FLOW__DER_WITHIN(n)  (0xa0u | (n))

/* Take an element: its tag and its content. */
bool flow__der_take_any(struct flow__span *in, uint8_t *ret_tag,
                        struct flow__span *ret);

/* Take the content of an element that must have this tag. */
bool flow__der_take(struct flow__span *in, uint8_t tag, struct flow__span *ret);

/* The same with the element's own tag and length. */
bool flow__der_take_whole(struct flow__span *in, uint8_t tag,
                          struct flow__span *ret);

/* Whether the next element has this tag. */
bool flow__der_is_next(const struct flow__span *in, uint8_t tag);

/* Take an element if it is next, else leave ret empty and answer true. */
bool flow__der_take_optional(struct flow__span *in, uint8_t tag,
                             struct flow__span *ret);

/* Take an INTEGER of 0..2^31-1. */
bool flow__der_take_number(struct flow__span *in, uint32_t *ret);

/* Take BOOLEAN DEFAULT FALSE. */
bool flow__der_take_flag(struct flow__span *in, bool *ret);

/* Take a BIT STRING of whole bytes. */
bool flow__der_take_bytes(struct flow__span *in, struct flow__span *ret);

/* Take UTCTime or GeneralizedTime in the forms of RFC 5280 4.1.2.5, as seconds
 * since 1970. */
bool flow__der_take_time(struct flow__span *in, int64_t *ret);

#endif
