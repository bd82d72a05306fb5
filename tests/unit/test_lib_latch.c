/* SPDX-License-Identifier: ISC */
#include <pthread.h>

#include "lib/latch.h"
#include "unit.h"

/* Latches, with as many threads as take them. */

#define LATCH_THREADS 4
#define LATCH_TURNS   20000u

static struct flow__latch latch;
static unsigned turns; /* under the latch; not atomic */

static void
a_latch_is_taken_once(void **state)
{
    (void)state;
    assert_true(flow__latch_try(&latch));
    assert_false(flow__latch_try(&latch));
    flow__latch_release(&latch);
    flow__latch_acquire(&latch);
    assert_false(flow__latch_try(&latch));
    flow__latch_release(&latch);
}

static void *
take_turns(void *arg)
{
    for (unsigned i = 0; i < LATCH_TURNS; i++) {
        flow__latch_acquire(&latch);
        turns++;
        flow__latch_release(&latch);
    }
    return arg;
}

static void
threads_exclude_each_other(void **state)
{
    pthread_t thread[LATCH_THREADS];

    (void)state;
    turns = 0;
    for (size_t i = 0; i < LATCH_THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, take_turns, NULL), 0);
    for (size_t i = 0; i < LATCH_THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(turns, LATCH_THREADS * LATCH_TURNS);
}

static void *
take_late(void *arg)
{
    flow__latch_acquire(&latch);
    *(unsigned *)arg = turns;
    flow__latch_release(&latch);
    return NULL;
}

/* The thread that waits has it after the holder, and sees what that did. */
static void
a_taken_latch_is_waited_for(void **state)
{
    pthread_t thread;
    unsigned seen = 0;

    (void)state;
    flow__latch_acquire(&latch);
    turns = 0;
    assert_int_equal(pthread_create(&thread, NULL, take_late, &seen), 0);
    turns = 77;
    flow__latch_release(&latch);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen, 77);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_latch_is_taken_once),
        cmocka_unit_test(threads_exclude_each_other),
        cmocka_unit_test(a_taken_latch_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
