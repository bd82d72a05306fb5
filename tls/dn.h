/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_DN_H
#define FLOW_TLS_DN_H

#include "tls/der.h"

/*
 * Distinguished names of certificates (RFC 5280 4.1.2.4): the content of an
 * RDNSequence.
 */

/* Whether its elements are well formed.  The other functions need that. */
bool flow__dn_is_valid(struct flow__span name);

/*
 * RFC 5280 7.1: values of PrintableString, UTF8String and IA5String are equal
 * if they differ only in ASCII case and in spaces at either end or repeated
 * inside.  All other values must have the same type and the same bytes.
 */
bool flow__dn_equal(struct flow__span a, struct flow__span b);

/* The same number for names that are equal. */
uint32_t flow__dn_hash(struct flow__span name);

/* Whether a name is equal to base or below it (RFC 5280 4.2.1.10). */
bool flow__dn_is_within(struct flow__span base, struct flow__span name);

/* What is left of a name: the rest of an attribute set, and the sets after it.
 * It begins with the set empty. */
struct flow__dn_rest {
    struct flow__span set;
    struct flow__span name;
};

/* The next value of an attribute emailAddress, which is taken; false: there is
 * none left. */
bool flow__dn_next_email(struct flow__dn_rest *rest, struct flow__span *ret);

/*
 * Write "C=NL, O=Example, CN=a.example", cut off at cap - 1 bytes; the length
 * of the whole is returned.  As in RFC 4514, a backslash is before a character
 * that could be taken for a separator, and before the two hexadecimal digits of
 * a byte that is not printable ASCII; so no two names have the same text,
 * except for the kinds of their strings.  Attributes of one set have " + "
 * between them, and a type without a name is a dotted number.
 */
size_t flow__dn_text(struct flow__span name, char *buf, size_t cap);

#endif
