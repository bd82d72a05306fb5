/* SPDX-License-Identifier: ISC */
#include "backends/pair/ring.h"
#include "unit.h"

static void
used_and_free_bytes_are_counted_across_the_wrap(void **state)
{
    uint32_t cons, len;

    (void)state;
    for (cons = UINT32_MAX - 20; cons != 20; cons++)
        for (len = 0; len <= 16; len++) {
            assert_int_equal(flow__ring_used(cons + len, cons), len);
            assert_int_equal(flow__ring_room(16, cons + len, cons), 16 - len);
        }
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_and_free_bytes_are_counted_across_the_wrap),
        cmocka_unit_test(spans_cover_each_byte_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
