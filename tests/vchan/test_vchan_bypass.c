/* SPDX-License-Identifier: ISC */
/* Whether parts of large writes go past the caches, and that they arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/vchan/bypass.h"
#include "backends/vchan/shm.h"

/* How many of `parts` parts go past the caches if copies take these times. */
static unsigned
bypassed(struct vchan_bypass *b, unsigned parts, uint64_t through,
         uint64_t past)
{
    unsigned count = 0;

    for (unsigned i = 0; i < parts; i++) {
        bool timed;
        bool next = flow__vchan_bypass_next(b, &timed);

        count += next;
        if (timed)
            flow__vchan_bypass_took(b, next, next ? past : through);
    }
    return count;
}

static void
the_way_that_saves_a_third_is_used(void **state)
{
    struct vchan_bypass near = { .parts = 0 };
    struct vchan_bypass far = { .parts = 0 };

    (void)state;
    assert_in_range(bypassed(&near, 1024, 2500, 2900), 1, 32);
    assert_in_range(bypassed(&far, 1024, 12000, 2900), 1024 - 32, 1023);
}

/* A virtual processor is moved: the next trials notice it. */
static void
a_change_of_distance_is_noticed(void **state)
{
    struct vchan_bypass b = { .parts = 0 };

    (void)state;
    bypassed(&b, 1024, 2500, 2900);
    bypassed(&b, 1024, 12000, 2900);
    assert_in_range(bypassed(&b, 4096, 12000, 2900), 4096 - 5, 4096);
    bypassed(&b, 1024, 2500, 2900);
    assert_in_range(bypassed(&b, 4096, 2500, 2900), 1, 5);
}

static void
one_slow_copy_changes_nothing(void **state)
{
    struct vchan_bypass b = { .parts = 0 };

    (void)state;
    bypassed(&b, 1024, 2500, 2900);
    flow__vchan_bypass_took(&b, false, 4000000);
    assert_in_range(bypassed(&b, 60, 2500, 2900), 0, 1);
    bypassed(&b, 1024, 12000, 2900);
    flow__vchan_bypass_took(&b, true, 4000000);
    assert_in_range(bypassed(&b, 60, 12000, 2900), 59, 60);
}

/* Two readings of the clock for each part would cost as much as copying some
 * 2 KiB. */
static void
few_copies_are_timed(void **state)
{
    struct vchan_bypass b = { .parts = 0 };
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < 4096; i++) {
        bool timed;
        bool next = flow__vchan_bypass_next(&b, &timed);

        count += timed;
        if (timed)
            flow__vchan_bypass_took(&b, next, next ? 2900 : 2500);
    }
    assert_in_range(count, 1, 4096 / 15);
}

/* A clock that stands still measures nothing. */
static void
without_a_clock_the_caches_are_used(void **state)
{
    struct vchan_bypass b = { .parts = 0 };

    (void)state;
    assert_in_range(bypassed(&b, 1024, 0, 0), 1, 32);
}

/* Every length and alignment up to a few lines more than is copied plainly. */
static void
bytes_arrive_whichever_way_they_go(void **state)
{
    enum { MOST = 2 * FLOW__SHM_AHEAD, ROOM = MOST + 3 * FLOW__SHM_LINE };
    static uint8_t src[ROOM];
    static uint8_t ring[2][ROOM];
    static uint8_t got[ROOM];

    (void)state;
    srand(5);
    for (unsigned i = 0; i < ROOM; i++)
        src[i] = (uint8_t)rand();
    for (size_t len = 1; len <= MOST; len += len < 200 ? 1 : 61) {
        size_t to = (size_t)rand() % FLOW__SHM_LINE;
        size_t from = (size_t)rand() % FLOW__SHM_LINE;

        memset(ring, 0xee, sizeof(ring));
        memset(got, 0xee, sizeof(got));
        flow__shm_put(ring[0] + to, src + from, len);
        flow__shm_put_past_caches(ring[1] + to, src + from, len);
        assert_memory_equal(ring[0], ring[1], ROOM);
        flow__shm_get(got + to, ring[1] + to, len);
        assert_memory_equal(got, ring[1], ROOM);
        assert_memory_equal(got + to, src + from, len);
        assert_true(to == 0 || got[to - 1] == 0xee);
        assert_int_equal(got[to + len], 0xee);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_that_saves_a_third_is_used),
        cmocka_unit_test(a_change_of_distance_is_noticed),
        cmocka_unit_test(one_slow_copy_changes_nothing),
        cmocka_unit_test(few_copies_are_timed),
        cmocka_unit_test(without_a_clock_the_caches_are_used),
        cmocka_unit_test(bytes_arrive_whichever_way_they_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
