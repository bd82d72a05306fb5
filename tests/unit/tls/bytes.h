/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_BYTES_H
#define FLOW_TESTS_UNIT_TLS_BYTES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* Shared by tests of pure code: bytes from hexadecimal text and from files, and
 * random numbers from a seed. */

static inline size_t
from_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t len = 0;

    for (; *hex != '\0'; hex += 2) {
        char two[3] = { hex[0], hex[1], '\0' };
        char *end;

        assert_true(len < cap);
        out[len++] = (uint8_t)strtoul(two, &end, 16);
        assert_ptr_equal(end, two + 2);
    }
    return len;
}

/* A whole file, in memory of exactly its length, so that a sanitizer sees reads
 * beyond its end.  The caller frees it. */
static inline uint8_t *
load_file(const char *dir, const char *name, size_t *ret_len)
{
    char path[512];
    uint8_t *data;
    FILE *f;
    long len;

    assert_true(snprintf(path, sizeof(path), "%s/%s", dir, name) <
                (int)sizeof(path));
    f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    len = ftell(f);
    assert_true(len >= 0);
    rewind(f);
    data = malloc((size_t)len + (len == 0));
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)len, f), (size_t)len);
    fclose(f);
    *ret_len = (size_t)len;
    return data;
}

/* A copy in memory of exactly its length; the caller frees it. */
static inline uint8_t *
exact_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

/* xorshift64*: the same numbers on every machine. */
static inline uint32_t
next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * UINT64_C(2685821657736338717) >> 32);
}

#endif
