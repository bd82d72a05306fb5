/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/*
 * Runs a fuzz target over a corpus without libFuzzer: every file as it is, and
 * a fixed number of mutations of it, the same ones in every run.
 *
 *     replay CORPUS
 */

#define INPUT_MAX 65536
#define MUTATIONS 200

static uint64_t seed = 0x5eed;

/* xorshift64* */
static size_t
below(size_t limit)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (size_t)(seed * UINT64_C(2685821657736338717) >> 33) % limit;
}

/* In memory of exactly the input's length. */
static void
run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data, len);
    FUZZ_CHECK(LLVMFuzzerTestOneInput(copy, len) == 0);
    free(copy);
}

static void
run_mutations(const uint8_t *data, size_t len)
{
    static uint8_t changed[INPUT_MAX];

    for (int i = 0; i < MUTATIONS && len > 0; i++) {
        memcpy(changed, data, len);
        for (size_t n = 1 + below(4); n > 0; n--)
            changed[below(len)] = (uint8_t)below(256);
        run(changed, below(3) == 0 ? 1 + below(len) : len);
    }
}

static void
run_file(const char *dir, const char *name)
{
    static uint8_t data[INPUT_MAX];
    char path[1024];
    size_t len;
    FILE *f;

    FUZZ_CHECK(snprintf(path, sizeof(path), "%s/%s", dir, name) <
               (int)sizeof(path));
    f = fopen(path, "rb");
    FUZZ_CHECK(f != NULL);
    len = fread(data, 1, sizeof(data), f);
    FUZZ_CHECK(feof(f));
    fclose(f);
    run(data, len);
    run_mutations(data, len);
}

int
main(int argc, char **argv)
{
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    FUZZ_CHECK(argc == 2);
    dir = opendir(argv[1]);
    FUZZ_CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        run_file(argv[1], entry->d_name);
        count++;
    }
    closedir(dir);
    printf("%u inputs, %d mutations of each\n", count, MUTATIONS);
    return count > 0 ? 0 : 1;
}
