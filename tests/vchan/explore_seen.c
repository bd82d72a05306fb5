/* SPDX-License-Identifier: ISC */
#include "explore_seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Open addressing over 128-bit fingerprints of states. */
static struct fingerprint {
    uint64_t a;
    uint64_t b;
} * table;
static size_t table_size;
static size_t table_used;

static struct fingerprint
fingerprint_of(const struct state *st)
{
    struct fingerprint f = { 0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu };
    const uint8_t *p = (const uint8_t *)st;
    uint64_t word;

    _Static_assert(sizeof(struct state) % 8 == 0, "whole words");
    for (size_t i = 0; i < sizeof(*st); i += 8) {
        memcpy(&word, p + i, 8);
        f.a = (f.a ^ word) * 0xff51afd7ed558ccdu;
        f.a ^= f.a >> 32;
        f.b = (f.b + word) * 0xc4ceb9fe1a85ec53u;
        f.b ^= f.b >> 29;
    }
    f.a |= 1; /* all zero is the empty slot */
    return f;
}

static bool
slot_take(struct fingerprint f)
{
    size_t i = (size_t)f.b & (table_size - 1);

    for (; table[i].a != 0; i = (i + 1) & (table_size - 1))
        if (table[i].a == f.a && table[i].b == f.b)
            return false;
    table[i] = f;
    table_used++;
    return true;
}

bool
explore_seen_add(const struct state *st)
{
    if (table_used * 2 >= table_size) {
        struct fingerprint *old = table;
        size_t old_size = table_size;

        table_size = old_size == 0 ? 1u << 12 : old_size * 2;
        table_used = 0;
        table = calloc(table_size, sizeof(*table));
        assert_non_null(table);
        for (size_t i = 0; i < old_size; i++)
            if (old[i].a != 0)
                slot_take(old[i]);
        free(old);
    }
    return slot_take(fingerprint_of(st));
}

void
explore_seen_clear(void)
{
    table_used = 0;
    if (table != NULL)
        memset(table, 0, table_size * sizeof(*table));
}

void
explore_seen_free(void)
{
    free(table);
    table = NULL;
    table_size = table_used = 0;
}
