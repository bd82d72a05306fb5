/* SPDX-License-Identifier: ISC */
#include "lib/bits.h"
#include "lib/checked.h"
#include "unit.h"

static void
powers_of_two_are_recognised(void **state)
{
    (void)state;
    assert_false(flow__is_power_of_two(0));
    assert_true(flow__is_power_of_two(1));
    assert_false(flow__is_power_of_two(6));
    assert_true(flow__is_power_of_two((size_t)1 << 31));
}

static void
sums_that_overflow_are_refused(void **state)
{
    size_t value = 7;

    (void)state;
    assert_true(flow__checked_add(SIZE_MAX - 1, 1, &value));
    assert_true(value == SIZE_MAX);
    value = 7;
    assert_false(flow__checked_add(SIZE_MAX, 1, &value));
    assert_false(flow__checked_mul(SIZE_MAX / 2, 3, &value));
    assert_false(flow__checked_round_up(SIZE_MAX, 2, &value));
    assert_int_equal(value, 7);
    assert_true(flow__checked_round_up(65, 64, &value));
    assert_int_equal(value, 128);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_of_two_are_recognised),
        cmocka_unit_test(sums_that_overflow_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
