/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/util.h>

#include "backends.h"
#include "stacks.h"
#include "step.h"
#include "test.h"

/*
 * Bytes that are copied in user space for each byte that a stack carries, on
 * its way out and on its way in.  The functions of libc that copy are replaced
 * at link time (--wrap) by functions that count and call them, and the library
 * is compiled so that the compiler calls them for every copy (meson.build;
 * decision 0091).  Bytes that the kernel copies do not count, nor do those that
 * a cipher reads in one place and writes in another.
 *
 * As a test, it compares the figures with what docs/performance.md promises;
 * with --print it prints a table of all stacks.
 */

#define COPIES_MESSAGES 256u
/* Messages that are written before any is read. */
#define COPIES_BATCH 16u
#define COPIES_LARGE 16384u

void *__real_memcpy(void *dst, const void *src, size_t len);
void *__real_memmove(void *dst, const void *src, size_t len);
void *__wrap_memcpy(void *dst, const void *src, size_t len);
void *__wrap_memmove(void *dst, const void *src, size_t len);
void *__wrap_mempcpy(void *dst, const void *src, size_t len);
void *__wrap___memcpy_chk(void *dst, const void *src, size_t len, size_t room);
void *__wrap___memmove_chk(void *dst, const void *src, size_t len, size_t room);

/* Volatile: a compiler takes it that memcpy() does not change it. */
static volatile uint64_t copied;

void *
__wrap_memcpy(void *dst, const void *src, size_t len)
{
    copied += len;
    return __real_memcpy(dst, src, len);
}

void *
__wrap_memmove(void *dst, const void *src, size_t len)
{
    copied += len;
    return __real_memmove(dst, src, len);
}

void *
__wrap_mempcpy(void *dst, const void *src, size_t len)
{
    copied += len;
    return (uint8_t *)__real_memcpy(dst, src, len) + len;
}

void *
__wrap___memcpy_chk(void *dst, const void *src, size_t len, size_t room)
{
    if (len > room)
        abort();
    return __wrap_memcpy(dst, src, len);
}

void *
__wrap___memmove_chk(void *dst, const void *src, size_t len, size_t room)
{
    if (len > room)
        abort();
    return __wrap_memmove(dst, src, len);
}

/* One stack, and how many bytes its two directions may copy per byte. */
struct way {
    const char *name;
    const char *backend; /* of the contract's; NULL: a pair of 1 MiB */
    layer_fn *layer;     /* NULL: bare */
    bool leases;
    double least[2]; /* to write, to read */
    double most[2];
};

#define ANY 1e9
/* What headers, nonces and results of functions add. */
#define LITTLE 0.005

static const struct way ways[] = {
    { "pair", NULL, NULL, false, { 1, 1 }, { 1 + LITTLE, 1 + LITTLE } },
    { "pair, leases", NULL, NULL, true, { 0, 0 }, { LITTLE, LITTLE } },
#ifdef TEST_UNIX
    { "socketpair", "socketpair", NULL, false, { 0, 0 }, { LITTLE, LITTLE } },
    { "tcp", "tcp", NULL, false, { 0, 0 }, { LITTLE, LITTLE } },
#endif
#ifdef TEST_VCHAN
    { "vchan", "vchan", NULL, false, { 1, 1 }, { 1 + LITTLE, 1 + LITTLE } },
#endif
#ifdef TEST_TLS
    { "tls13/pair", NULL, layer_tls13, false, { 0, 0 }, { 0.02, 0.02 } },
    { "tls12/pair", NULL, layer_tls12, false, { 0, 0 }, { 0.02, 0.02 } },
#endif
#if defined(TEST_TLS) && defined(TEST_UNIX)
    { "tls13/socketpair",
      "socketpair",
      layer_tls13,
      false,
      { 0, 0 },
      { LITTLE, 0.05 } },
    { "tls12/socketpair",
      "socketpair",
      layer_tls12,
      false,
      { 0, 0 },
      { LITTLE, 0.05 } },
    { "tls13/tcp", "tcp", layer_tls13, false, { 0, 0 }, { LITTLE, 0.05 } },
#endif
#if defined(TEST_TLS) && defined(TEST_VCHAN)
    { "tls13/vchan",
      "vchan",
      layer_tls13,
      false,
      { 1, 1 },
      { 1 + LITTLE, 1 + 0.05 } },
#endif
};

static const struct flow_contract_backend *
find_backend(const char *name)
{
    size_t count, i;
    const struct flow_contract_backend *list = backends(&count);

    for (i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    fail_msg("this build has no backend %s", name);
    return NULL;
}

static void
open_ends(struct ends *e, const struct way *way)
{
    if (way->backend == NULL)
        assert_status(flow_pair_new(TEST_ENV, 1u << 20, NULL, &e->a, &e->b),
                      FLOW_OK);
    else
        ends_make_bare(e, find_backend(way->backend));
    if (way->layer != NULL)
        way->layer(e);
    step_open(e);
}

/* Write some of buf; how many bytes, 0: the flow is full. */
static size_t
write_some(const struct way *way, struct flow *f, const uint8_t *buf,
           size_t len)
{
    struct flow_vec span[2];
    enum flow_status st;
    size_t n;

    if (!way->leases) {
        st = flow_write(f, buf, len, &n);
        assert_true(st == FLOW_OK || st == FLOW_AGAIN);
        return n;
    }
    if (flow_lease(f, FLOW_WRITE, 1, span) != FLOW_OK)
        return 0;
    n = span[0].len < len ? span[0].len : len;
    assert_status(flow_commit(f, FLOW_WRITE, n, 0), FLOW_OK);
    return n;
}

static size_t
read_some(const struct way *way, struct flow *f, uint8_t *buf, size_t len)
{
    struct flow_vec span[2];
    uint32_t ready;
    enum flow_status st;
    size_t n;

    if (!way->leases) {
        st = flow_read(f, buf, len, &n);
        assert_true(st == FLOW_OK || st == FLOW_AGAIN);
        if (st == FLOW_OK)
            return n;
        flow_set_timeout(f, FLOW_READ, 1000000);
        (void)!flow_wait(f, FLOW_READY_READ, &ready);
        return 0;
    }
    if (flow_lease(f, FLOW_READ, 1, span) != FLOW_OK)
        return 0;
    n = span[0].len < len ? span[0].len : len;
    assert_status(flow_commit(f, FLOW_READ, n, 0), FLOW_OK);
    return n;
}

/* Carry messages of a size over a stack: bytes copied per byte. */
static void
carry(const struct way *way, size_t size, double ret_copied[2])
{
    static uint8_t message[COPIES_LARGE], got[COPIES_LARGE];
    const uint64_t total = (uint64_t)COPIES_MESSAGES * size;
    uint64_t sum[2] = { 0, 0 };
    uint64_t sent = 0, received = 0, before;
    struct ends e = { NULL, NULL, NULL };
    size_t n;

    open_ends(&e, way);
    while (received < total) {
        for (unsigned i = 0; i < COPIES_BATCH && sent < total; i++) {
            before = copied;
            n = write_some(way, e.a, message + sent % size, size - sent % size);
            sum[0] += copied - before;
            sent += n;
            if (n == 0)
                break;
        }
        /* What a layer keeps since the flow below it was full. */
        before = copied;
        assert_true(flow_flush(e.a) >= 0);
        sum[0] += copied - before;
        do {
            before = copied;
            n = read_some(way, e.b, got, size);
            sum[1] += copied - before;
            received += n;
        } while (n > 0);
        assert_true(received <= sent);
    }
    ends_close(&e);
    ret_copied[0] = (double)sum[0] / (double)total;
    ret_copied[1] = (double)sum[1] / (double)total;
}

static void
stacks_copy_no_more_than_they_must(void **state)
{
    double got[2];

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        guard_case(ways[i].name);
        carry(&ways[i], COPIES_LARGE, got);
        for (unsigned way = 0; way < 2; way++)
            if (got[way] < ways[i].least[way] || got[way] > ways[i].most[way])
                fail_msg("%s: %.4f bytes copied to %s each, not %.4f to %.4f",
                         ways[i].name, got[way], way == 0 ? "write" : "read",
                         ways[i].least[way], ways[i].most[way]);
    }
    guard_case(NULL);
}

/* The functions that count are in the place of libc's, in the library too. */
static void
every_copy_is_counted(void **state)
{
    uint8_t from[64] = { 1 }, to[64];
    const struct flow_vec vec = { to, sizeof(to) };
    uint64_t before = copied;
    size_t volatile len = sizeof(from);

    (void)state;
    memcpy(to, from, len);
    assert_int_equal(copied - before, 64);
    memmove(to, to + 1, len - 1);
    assert_int_equal(copied - before, 127);
    assert_int_equal(flow_vec_put(&vec, 1, 0, from, len), 64);
    assert_int_equal(copied - before, 191);
}

static void
print_all(void)
{
    static const size_t sizes[] = { COPIES_LARGE, 1024, 64 };
    double got[2];

    printf("%-20s %10s %10s %10s\n", "bytes copied by", "messages of",
           "to write", "to read");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            carry(&ways[i], sizes[s], got);
            printf("%-20s %9zu B %10.3f %10.3f\n", ways[i].name, sizes[s],
                   got[0], got[1]);
            (void)fflush(stdout);
        }
}

static void
prints(void **state)
{
    (void)state;
    print_all();
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(every_copy_is_counted), TEST(stacks_copy_no_more_than_they_must)
    };
    const struct CMUnitTest print[] = { TEST(prints) };

    if (argc > 1 && strcmp(argv[1], "--print") == 0)
        return TEST_RUN(print);
    return TEST_RUN(tests);
}
