/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_VECTORS_H
#define FLOW_TESTS_UNIT_TLS_VECTORS_H

#include "tests/unit/tls/bytes.h"

/* Vector files: lines of words, "#" begins a comment. */

#define VECTOR_LINE  8192
#define VECTOR_WORDS 8

struct vector_file {
    FILE *f;
    char line[VECTOR_LINE];
    char *word[VECTOR_WORDS];
    size_t count; /* words of the current line */
};

static inline void
vector_open(struct vector_file *v, const char *name)
{
    char path[512];
    const char *dir = getenv("FLOW_TEST_VECTORS");

    assert_non_null(dir);
    assert_true(snprintf(path, sizeof(path), "%s/%s", dir, name) <
                (int)sizeof(path));
    v->f = fopen(path, "r");
    if (v->f == NULL)
        fail_msg("cannot open %s", path);
}

/* Step to the next line; false at the end, where the file is closed. */
static inline bool
vector_next(struct vector_file *v)
{
    while (fgets(v->line, sizeof(v->line), v->f) != NULL) {
        char *rest = v->line;
        char *word;

        assert_non_null(strchr(v->line, '\n'));
        v->count = 0;
        if (v->line[0] == '#')
            continue;
        while ((word = strtok_r(rest, " \n", &rest)) != NULL) {
            assert_true(v->count < VECTOR_WORDS);
            v->word[v->count++] = word;
        }
        if (v->count > 0)
            return true;
    }
    fclose(v->f);
    return false;
}

static inline bool
vector_is(const struct vector_file *v, const char *what)
{
    return strcmp(v->word[0], what) == 0;
}

/* The bytes of a word; none if the word is missing. */
static inline size_t
vector_bytes(const struct vector_file *v, size_t word, uint8_t *out, size_t cap)
{
    return word < v->count ? from_hex(v->word[word], out, cap) : 0;
}

#endif
