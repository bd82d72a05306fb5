/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/ring.h"
#include "unit.h"

static void
used_and_room_across_the_wrap(void **state)
{
    uint32_t cons, len;

    (void)state;
    for (cons = UINT32_MAX - 20; cons != 20; cons++)
        for (len = 0; len <= 16; len++) {
            assert_int_equal(flow__ring_used(cons + len, cons), len);
            assert_int_equal(flow__ring_room(16, cons + len, cons), 16 - len);
            assert_true(flow__ring_is_sane(16, cons + len, cons));
        }
    assert_false(flow__ring_is_sane(16, 17, 0));
    assert_false(flow__ring_is_sane(16, 0, 1));
    assert_true(flow__ring_is_sane(1u << 31, 1u << 31, 0));
}

static void
spans_cover_each_byte_once(void **state)
{
    struct flow__ring_span span[2];
    uint32_t size, index, len;

    (void)state;
    for (size = 1; size <= 8; size *= 2)
        for (index = UINT32_MAX - 9; index != 9; index++)
            for (len = 0; len <= size; len++) {
                flow__ring_spans(size, index, len, span);
                assert_int_equal(span[0].len + span[1].len, len);
                assert_int_equal(span[0].off, index % size);
                assert_true(span[0].off + span[0].len <= size);
                assert_int_equal(span[1].off, 0);
                if (span[1].len > 0)
                    assert_int_equal(span[0].off + span[0].len, size);
            }
}

static void
put_and_get_agree(void **state)
{
    uint8_t mem[16], in[16], out[16];
    uint32_t index, len, i;

    (void)state;
    for (i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i + 1);
    for (index = UINT32_MAX - 17; index != 17; index++)
        for (len = 0; len <= sizeof(mem); len++) {
            memset(mem, 0, sizeof(mem));
            memset(out, 0, sizeof(out));
            flow__ring_put(mem, sizeof(mem), index, in, len);
            for (i = 0; i < len; i++)
                assert_int_equal(mem[(index + i) % sizeof(mem)], in[i]);
            flow__ring_get(mem, sizeof(mem), index, out, len);
            assert_memory_equal(out, in, len);
        }
}

static void
powers_of_two(void **state)
{
    (void)state;
    assert_false(flow__is_power_of_two(0));
    assert_true(flow__is_power_of_two(1));
    assert_false(flow__is_power_of_two(6));
    assert_true(flow__is_power_of_two((size_t)1 << 31));
    assert_int_equal(flow__ceil_power_of_two(0), 1);
    assert_int_equal(flow__ceil_power_of_two(1), 1);
    assert_int_equal(flow__ceil_power_of_two(1025), 2048);
    assert_int_equal(flow__ceil_power_of_two(1u << 31), 1u << 31);
    assert_int_equal(flow__ceil_power_of_two((1u << 31) + 1), 0);
}

static void
sums_that_do_not_fit_are_refused(void **state)
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
    assert_true(flow__time_after(UINT64_MAX - 3, 10) == UINT64_MAX);
    assert_true(flow__time_after(0, 0) == 2);
    assert_true(flow__time_after(100, 10) == 110);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_and_room_across_the_wrap),
        cmocka_unit_test(spans_cover_each_byte_once),
        cmocka_unit_test(put_and_get_agree),
        cmocka_unit_test(powers_of_two),
        cmocka_unit_test(sums_that_do_not_fit_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
