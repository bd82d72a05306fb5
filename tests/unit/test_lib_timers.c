/* SPDX-License-Identifier: ISC */
#include "lib/timers.h"
#include "unit.h"

#define TIMERS 200

static struct flow__timer timer[TIMERS];
static struct flow__timer *heap[TIMERS];

static uint64_t
next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 33;
}

/* The earliest of the running timers, by linear search. */
static uint64_t
earliest(void)
{
    uint64_t first = UINT64_MAX;
    size_t i;

    for (i = 0; i < TIMERS; i++)
        if (timer[i].place != FLOW__NOT_RUNNING && timer[i].due < first)
            first = timer[i].due;
    return first;
}

static void
first_timer_is_the_earliest(void **state)
{
    struct flow__timers timers = { heap, 0 };
    size_t round, i, running = 0;
    uint64_t seed = 1;

    (void)state;
    for (i = 0; i < TIMERS; i++)
        timer[i].place = FLOW__NOT_RUNNING;
    assert_null(flow__timers_first(&timers));
    for (round = 0; round < 20000; round++) {
        i = (size_t)(next_random(&seed) % TIMERS);
        running -= timer[i].place != FLOW__NOT_RUNNING;
        if (next_random(&seed) % 3 == 0) {
            flow__timers_stop(&timers, &timer[i]);
        } else {
            flow__timers_set(&timers, &timer[i], next_random(&seed) % 50);
            running++;
        }
        assert_int_equal(timers.count, running);
        if (running > 0)
            assert_int_equal(flow__timers_first(&timers)->due, earliest());
    }
    for (i = 0; i < TIMERS; i++)
        flow__timers_stop(&timers, &timer[i]);
    assert_null(flow__timers_first(&timers));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_timer_is_the_earliest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
