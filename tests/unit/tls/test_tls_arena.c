/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <stdalign.h>

#include "child.h"
#include "tests/unit/tls/bytes.h"

#include "arena.h"
#include "memory.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/step.h"

/*
 * The memory of a handshake for the bundled mbedTLS: blocks, the chunks they
 * are cut from, and what becomes of a block that outlives its handshake.
 */

/* A chunk has fewer bytes than this, and more than half of it. */
#define CHUNK 4096u

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FINDS_FREED_BLOCKS 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define FINDS_FREED_BLOCKS 1
#endif

/* The linker's names of the C library's functions. */
void *__real_calloc(size_t count, size_t size);
void __real_free(void *ptr);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *ptr);

/* Atomic: what this program took from the heap, and has not given back. */
static unsigned taken;
static unsigned live;
static unsigned fail_at; /* the allocation that fails; 0: none */

void *
__wrap_calloc(size_t count, size_t size)
{
    void *ptr;

    if (__atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED) == fail_at)
        return NULL;
    ptr = __real_calloc(count, size);
    if (ptr != NULL)
        __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    return ptr;
}

void
__wrap_free(void *ptr)
{
    if (ptr != NULL)
        __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    __real_free(ptr);
}

static int
start(void **state)
{
    (void)state;
    taken = 0;
    live = 0;
    fail_at = 0;
    return 0;
}

static void
fail_allocation(unsigned nth)
{
    fail_at = taken + nth;
}

static bool
is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static void
blocks_are_zero_aligned_and_apart(void **state)
{
    struct flow__arena *arena = NULL;
    uint8_t *block[FLOW__ARENA_BLOCK + 40];
    const size_t count = sizeof(block) / sizeof(block[0]);

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t n = 0; n < count; n++) {
            block[n] = flow__arena_alloc(&arena, n);
            assert_non_null(block[n]);
            assert_int_equal((uintptr_t)block[n] % alignof(max_align_t), 0);
            assert_true(is_zero(block[n], n));
            memset(block[n], (int)(n % 255 + 1), n);
        }
        for (size_t n = 0; n < count; n++)
            for (size_t i = 0; i < n; i++)
                assert_int_equal(block[n][i], n % 255 + 1);
        /* In an order that mixes the sizes. */
        for (size_t i = 0, n = 0; i < count; i++, n = (n + 103) % count)
            flow__arena_free(arena, block[n]);
    }
    flow__arena_end(arena);
    assert_int_equal(live, 0);
}

static void
small_blocks_share_chunks_and_large_ones_do_not(void **state)
{
    struct flow__arena *arena = NULL;
    void *small[CHUNK / FLOW__ARENA_BLOCK], *large;
    const size_t count = sizeof(small) / sizeof(small[0]);

    (void)state;
    for (size_t i = 0; i < count; i++)
        small[i] = flow__arena_alloc(&arena, FLOW__ARENA_BLOCK);
    /* The arena and one or two chunks. */
    assert_in_range(taken, 2, 3);
    large = flow__arena_alloc(&arena, FLOW__ARENA_BLOCK + 1);
    assert_int_equal(taken, live);
    flow__arena_free(arena, large);
    assert_int_equal(taken, live + 1);
    for (size_t i = 0; i < count; i++)
        flow__arena_free(arena, small[i]);
    assert_int_equal(taken, live + 1);
    flow__arena_end(arena);
    assert_int_equal(live, 0);
}

static void
a_block_outside_of_a_handshake_is_of_the_heap(void **state)
{
    struct flow__arena *arena = NULL;
    void *block = flow__arena_alloc(NULL, 16), *other;

    (void)state;
    assert_non_null(block);
    assert_int_equal(live, 1);
    other = flow__arena_alloc(&arena, 16);
    flow__arena_free(arena, block);
    assert_int_equal(live, 2);
    flow__arena_free(arena, other);
    flow__arena_free(arena, NULL);
    flow__arena_free(NULL, NULL);
    flow__arena_end(arena);
    flow__arena_end(NULL);
    assert_int_equal(live, 0);
}

/* With AddressSanitizer, freed blocks are not used again. */
static void
freed_blocks_are_used_again(void **state)
{
    struct flow__arena *arena = NULL;
    uint8_t *kept, *block = NULL;
    unsigned chunks;

    (void)state;
#ifdef FINDS_FREED_BLOCKS
    skip();
#endif
    kept = flow__arena_alloc(&arena, 100);
    chunks = taken;
    for (unsigned i = 0; i < 100000; i++) {
        flow__arena_free(arena, block);
        block = flow__arena_alloc(&arena, 24 + i % 3);
        assert_true(is_zero(block, 24 + i % 3));
        memset(block, 0xff, 24 + i % 3);
    }
    assert_int_equal(taken, chunks);
    flow__arena_free(arena, block);
    flow__arena_free(arena, kept);
    flow__arena_end(arena);
    assert_int_equal(live, 0);
}

/* A freed block is a part of a chunk that is still there. */
__attribute__((no_sanitize("address"))) static void
a_freed_block_is_wiped(void **state)
{
    struct flow__arena *arena = NULL, *other = NULL;
    uint8_t *block[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        block[i] = flow__arena_alloc(&arena, 200);
        for (size_t k = 0; k < 200; k++)
            ((volatile uint8_t *)block[i])[k] = 0xaa;
    }
    flow__arena_free(arena, block[0]);
    flow__arena_free(other, block[1]);
    /* The first bytes of the one that will be used again are its link. */
    for (size_t k = sizeof(void *); k < 200; k++)
        assert_int_equal(((volatile uint8_t *)block[0])[k], 0);
    for (size_t k = 0; k < 200; k++)
        assert_int_equal(((volatile uint8_t *)block[1])[k], 0);
    flow__arena_free(arena, block[2]);
    flow__arena_end(arena);
    assert_int_equal(live, 0);
}

static void
a_block_may_outlive_its_handshake(void **state)
{
    struct flow__arena *first = NULL, *second = NULL;
    uint8_t *a = flow__arena_alloc(&first, 50);
    uint8_t *b = flow__arena_alloc(&first, 60);
    uint8_t *c = flow__arena_alloc(&first, 70);
    uint8_t *d;

    (void)state;
    memset(b, 1, 60);
    memset(c, 2, 70);
    flow__arena_free(first, a);
    /* Before the end, by another handshake. */
    d = flow__arena_alloc(&second, 10);
    flow__arena_free(second, c);
    flow__arena_end(first);
    /* The second arena, its chunk, and the chunk of b. */
    assert_int_equal(live, 3);
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(b[i], 1);
    flow__arena_free(second, b);
    assert_int_equal(live, 2);
    flow__arena_end(second);
    assert_int_equal(live, 1);
    flow__arena_free(NULL, d);
    assert_int_equal(live, 0);
}

/* An arena at the address of one that has ended is another one. */
static void
a_block_is_not_taken_for_one_of_a_later_arena(void **state)
{
    struct flow__arena *arena = NULL;
    void *block[64], *again;

    (void)state;
    for (size_t i = 0; i < 64; i++) {
        block[i] = flow__arena_alloc(&arena, 16);
        flow__arena_end(arena);
        arena = NULL;
    }
    /* One of these has the address of one before. */
    again = flow__arena_alloc(&arena, 16);
    for (size_t i = 0; i < 64; i++)
        flow__arena_free(arena, block[i]);
    assert_int_equal(live, 2);
    flow__arena_free(arena, again);
    flow__arena_end(arena);
    assert_int_equal(live, 0);
}

static void
every_allocation_may_fail(void **state)
{
    struct flow__arena *arena = NULL;
    void *block, *more[CHUNK / FLOW__ARENA_BLOCK + 2];
    size_t count = 0;

    (void)state;
    fail_allocation(1); /* the arena itself */
    assert_null(flow__arena_alloc(&arena, 16));
    assert_null(arena);
    fail_allocation(2); /* its first chunk */
    assert_null(flow__arena_alloc(&arena, 16));
    block = flow__arena_alloc(&arena, 16);
    assert_non_null(block);
    fail_allocation(1); /* a block of the heap */
    assert_null(flow__arena_alloc(&arena, FLOW__ARENA_BLOCK + 1));
    fail_allocation(1); /* a second chunk */
    while ((more[count] = flow__arena_alloc(&arena, FLOW__ARENA_BLOCK)) != NULL)
        assert_true(++count < sizeof(more) / sizeof(more[0]));
    more[count] = flow__arena_alloc(&arena, FLOW__ARENA_BLOCK);
    assert_non_null(more[count]);
    for (size_t i = 0; i <= count; i++)
        flow__arena_free(arena, more[i]);
    flow__arena_free(arena, block);
    assert_null(flow__arena_alloc(&arena, SIZE_MAX));
    assert_null(flow__arena_alloc(NULL, SIZE_MAX - 1));
    flow__arena_end(arena);
    assert_int_equal(live, 0);
}

static void
a_request_of_mbedtls_uses_the_arena_of_its_step(void **state)
{
    struct flow__arena *arena = NULL;
    struct flow__mbed_step step;
    void *outside, *inside, *large;

    (void)state;
    outside = flow__mbed_calloc(3, 5);
    flow__mbed_begin_step(&step, &arena);
    inside = flow__mbed_calloc(3, 5);
    large = flow__mbed_calloc(FLOW__ARENA_BLOCK, 2);
    assert_non_null(arena);
    /* Two blocks of the heap, the arena and a chunk. */
    assert_int_equal(live, 4);
    flow__mbed_free(outside);
    flow__mbed_free(inside);
    assert_int_equal(live, 3);
    assert_int_equal(flow__mbed_end_step(&step, -1), -1);
    flow__mbed_free(large);
    assert_null(flow__mbed_arena());
    flow__mbed_end_arena(arena);
    assert_int_equal(live, 0);
}

static void
a_product_that_overflows_is_lack_of_memory(void **state)
{
    struct flow__arena *arena = NULL;
    struct flow__mbed_step step;

    (void)state;
    flow__mbed_begin_step(&step, &arena);
    /* The product is 16 in the bits that there are. */
    assert_null(flow__mbed_calloc(SIZE_MAX / 16 + 2, 16));
    assert_int_equal(flow__mbed_end_step(&step, 0),
                     MBEDTLS_ERR_SSL_ALLOC_FAILED);
    flow__mbed_end_arena(arena);
    assert_int_equal(taken, 0);
}

/* --- threads -------------------------------------------------------------- */

#define THREADS 4
#define EACH    200
#define ROUNDS  20

static uint8_t *handed[THREADS][EACH];

/* Another connection's handshake, which frees blocks of the first one. */
static void *
free_blocks(void *arg)
{
    uint8_t **block = arg;
    struct flow__arena *own = NULL;

    for (size_t i = 0; i < EACH; i++) {
        uint8_t *mine = flow__arena_alloc(&own, 30);

        mine[0] = block[i][0];
        flow__arena_free(own, block[i]);
        flow__arena_free(own, mine);
    }
    flow__arena_end(own);
    return NULL;
}

static void
hand_out_and_end(void)
{
    struct flow__arena *arena = NULL;
    pthread_t thread[THREADS];
    uint8_t *mine;

    for (size_t t = 0; t < THREADS; t++)
        for (size_t i = 0; i < EACH; i++) {
            handed[t][i] = flow__arena_alloc(&arena, 20 + i);
            handed[t][i][0] = (uint8_t)t;
        }
    for (size_t t = 0; t < THREADS; t++)
        assert_int_equal(
            pthread_create(&thread[t], NULL, free_blocks, handed[t]), 0);
    for (size_t i = 0; i < EACH; i++) {
        mine = flow__arena_alloc(&arena, 20 + i);
        mine[0] = 1;
        flow__arena_free(arena, mine);
    }
    flow__arena_end(arena);
    for (size_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_join(thread[t], NULL), 0);
}

static void
other_threads_may_free_blocks_while_the_arena_ends(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        /* What pthread_create(3) takes is not counted. */
        hand_out_and_end();
        assert_int_equal(live, 0);
    }
}

/* --- mistakes ------------------------------------------------------------- */

/* How a child ends that makes a mistake with its memory; it says so on standard
 * error. */
static int
end_of(void (*mistake)(void))
{
    int status = -1;
    pid_t child = child_begin();

    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        mistake();
        child_end();
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
free_a_small_block_twice(void)
{
    struct flow__arena *arena = NULL;
    void *block = flow__arena_alloc(&arena, 16);

    flow__arena_free(arena, block);
    flow__arena_free(arena, block);
}

static void
free_a_large_block_twice(void)
{
    void *block = flow__arena_alloc(NULL, 2000);

    flow__arena_free(NULL, block);
    flow__arena_free(NULL, block);
}

static void
a_block_that_is_freed_twice_ends_the_program(void **state)
{
    (void)state;
    assert_int_not_equal(end_of(free_a_small_block_twice), 0);
    assert_int_not_equal(end_of(free_a_large_block_twice), 0);
}

#ifdef FINDS_FREED_BLOCKS
static void
read_a_freed_block(void)
{
    struct flow__arena *arena = NULL;
    volatile uint8_t *block = flow__arena_alloc(&arena, 16);

    flow__arena_free(arena, (void *)(uintptr_t)block);
    if (block[3] != 0)
        _exit(0);
}

static void
read_a_freed_block_later(void)
{
    struct flow__arena *arena = NULL;
    volatile uint8_t *block = flow__arena_alloc(&arena, 16);

    flow__arena_free(arena, (void *)(uintptr_t)block);
    for (unsigned i = 0; i < 100; i++)
        (void)!flow__arena_alloc(&arena, 16);
    if (block[3] != 0)
        _exit(0);
}

static void
write_after_a_block(void)
{
    struct flow__arena *arena = NULL;
    volatile uint8_t *block = flow__arena_alloc(&arena, 20);

    block[20] = 1;
}

static void
write_before_a_block(void)
{
    struct flow__arena *arena = NULL;
    volatile uint8_t *block;

    (void)!flow__arena_alloc(&arena, 16);
    block = flow__arena_alloc(&arena, 16);
    block[-1] = 1;
}

static void
write_before_a_large_block(void)
{
    volatile uint8_t *block = flow__arena_alloc(NULL, 2000);

    block[-1] = 1;
}
#endif

static void
address_sanitizer_finds_mistakes(void **state)
{
    (void)state;
#ifdef FINDS_FREED_BLOCKS
    assert_int_not_equal(end_of(read_a_freed_block), 0);
    assert_int_not_equal(end_of(read_a_freed_block_later), 0);
    assert_int_not_equal(end_of(write_after_a_block), 0);
    assert_int_not_equal(end_of(write_before_a_block), 0);
    assert_int_not_equal(end_of(write_before_a_large_block), 0);
#else
    skip();
#endif
}

#define ARENA_TEST(fn) cmocka_unit_test_setup(fn, start)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(blocks_are_zero_aligned_and_apart),
        ARENA_TEST(small_blocks_share_chunks_and_large_ones_do_not),
        ARENA_TEST(a_block_outside_of_a_handshake_is_of_the_heap),
        ARENA_TEST(freed_blocks_are_used_again),
        ARENA_TEST(a_freed_block_is_wiped),
        ARENA_TEST(a_block_may_outlive_its_handshake),
        ARENA_TEST(a_block_is_not_taken_for_one_of_a_later_arena),
        ARENA_TEST(every_allocation_may_fail),
        ARENA_TEST(a_request_of_mbedtls_uses_the_arena_of_its_step),
        ARENA_TEST(a_product_that_overflows_is_lack_of_memory),
        ARENA_TEST(other_threads_may_free_blocks_while_the_arena_ends),
        ARENA_TEST(a_block_that_is_freed_twice_ends_the_program),
        ARENA_TEST(address_sanitizer_finds_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
