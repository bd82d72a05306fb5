/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/backend.h>

#include "lib/bits.h"
#include "lib/checked.h"

/* See <flow/backend.h>. */
size_t
flow_vec_len(const struct flow_vec *vec, size_t count)
{
    size_t i, total = 0;

    for (i = 0; i < count; i++)
        if (!flow__checked_add(total, vec[i].len, &total))
            return SIZE_MAX;
    return total;
}

/* See <flow/backend.h>. */
size_t
flow_cvec_len(const struct flow_cvec *vec, size_t count)
{
    size_t i, total = 0;

    for (i = 0; i < count; i++)
        if (!flow__checked_add(total, vec[i].len, &total))
            return SIZE_MAX;
    return total;
}

/* See <flow/backend.h>. */
size_t
flow_vec_put(const struct flow_vec *vec, size_t count, size_t off,
             const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t i, n, done = 0;

    for (i = 0; i < count && done < len; i++) {
        if (off >= vec[i].len) {
            off -= vec[i].len;
            continue;
        }
        n = flow__min(vec[i].len - off, len - done);
        if (vec[i].base != NULL)
            memcpy((uint8_t *)vec[i].base + off, from + done, n);
        done += n;
        off = 0;
    }
    return done;
}

/* See <flow/backend.h>. */
size_t
flow_cvec_get(const struct flow_cvec *vec, size_t count, size_t off, void *data,
              size_t len)
{
    uint8_t *to = data;
    size_t i, n, done = 0;

    for (i = 0; i < count && done < len; i++) {
        if (off >= vec[i].len) {
            off -= vec[i].len;
            continue;
        }
        n = flow__min(vec[i].len - off, len - done);
        memcpy(to + done, (const uint8_t *)vec[i].base + off, n);
        done += n;
        off = 0;
    }
    return done;
}
