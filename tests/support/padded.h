/* SPDX-License-Identifier: ISC */
#ifndef TESTS_SUPPORT_PADDED_H
#define TESTS_SUPPORT_PADDED_H

#include "tls/record.h"

/*
 * Seal a padded record of TLS 1.3 without the library's own padding.  The
 * inside of one is content, type, zeros (RFC 8446 5.2).  So it is sealed as
 * content that ends with the type and all zeros but one, and whose type is 0.
 *
 * vec has room for one more segment after count of them; pad >= 1.
 */
static inline enum flow_status
padded_seal(struct flow__record_keys *k, struct flow_cvec *vec, size_t count,
            uint8_t type, size_t pad, uint8_t *out, size_t *ret_len)
{
    static uint8_t tail[FLOW__RECORD_PLAIN_MAX + 1];
    struct flow__record_content inner = { 0, vec, 0, pad, 0 };

    *ret_len = 0;
    if (pad > sizeof(tail))
        return FLOW_E_INVAL;
    for (size_t i = 0; i < count; i++)
        inner.len += vec[i].len;
    tail[0] = type;
    vec[count].base = tail;
    vec[count].len = pad;
    return flow__record_seal(k, &inner, out, ret_len);
}

#endif
