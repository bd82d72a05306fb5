/* SPDX-License-Identifier: ISC */
/* The layout's rules: orders, where rings are, grant lists, store paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/vchan/path.h"
#include "backends/vchan/proto.h"

static void
orders_are_those_of_the_reference(void **state)
{
    static const struct {
        uint64_t left, right;
        unsigned left_order, right_order;
    } row[] = {
        { 0, 0, 10, 11 },
        { 1024, 2048, 10, 11 },
        { 1025, 0, 11, 10 },
        { 2048, 1024, 11, 10 },
        { 1025, 1025, 11, 12 },
        { 1025, 4097, 11, 13 },
        { 2049, 0, 12, 11 },
        { 0, 2049, 11, 12 },
        { 2049, 2049, 12, 12 },
        { 4097, 2048, 13, 11 },
        { 65536, 65536, 16, 16 },
        { 65537, 65536, 17, 16 },
        { 1048576, 1048576, 20, 20 },
        { 0, 1048576, 11, 20 },
    };
    struct vchan_orders o;

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        assert_true(flow__vchan_orders_choose(row[i].left, row[i].right, &o));
        assert_int_equal(o.left, row[i].left_order);
        assert_int_equal(o.right, row[i].right_order);
    }
    assert_false(flow__vchan_orders_choose(1048577, 0, &o));
    assert_false(flow__vchan_orders_choose(0, 1048577, &o));
    assert_false(flow__vchan_orders_choose(UINT64_MAX, UINT64_MAX, &o));
}

static void
every_chosen_pair_is_accepted_and_large_enough(void **state)
{
    struct vchan_orders o;

    (void)state;
    for (uint64_t left = 1; left <= 1048576; left = left * 3 / 2 + 1) {
        for (uint64_t right = 1; right <= 1048576; right = right * 3 / 2 + 1) {
            assert_true(flow__vchan_orders_choose(left, right, &o));
            assert_int_equal(flow__vchan_orders_check(o), VCHAN_FAULT_NONE);
            assert_true(flow__vchan_order_size(o.left) >= left);
            assert_true(flow__vchan_order_size(o.right) >= right);
        }
    }
}

/* The check against a model that paints the control page. */
static enum vchan_fault
painted(unsigned left, unsigned right)
{
    static uint8_t page[VCHAN_PAGE_SIZE];
    unsigned order[2] = { left, right };
    size_t list = 24;

    if (left < 10 || left > 20 || right < 10 || right > 20)
        return VCHAN_FAULT_ORDER;
    memset(page, 0, sizeof(page));
    for (unsigned i = 0; i < 2; i++) {
        size_t size = (size_t)1 << order[i];

        if (size >= VCHAN_PAGE_SIZE) {
            list += 4 * (size / VCHAN_PAGE_SIZE);
            continue;
        }
        for (size_t at = size; at < 2 * size; at++)
            if (page[at]++ != 0)
                return VCHAN_FAULT_ORDER;
    }
    for (size_t at = 0; at < list; at++)
        if (at >= sizeof(page) || page[at] != 0)
            return VCHAN_FAULT_GRANTS;
    return VCHAN_FAULT_NONE;
}

static void
every_pair_of_orders_is_judged_as_the_page_shows(void **state)
{
    unsigned accepted = 0;

    (void)state;
    for (unsigned left = 0; left <= 70; left++) {
        for (unsigned right = 0; right <= 70; right++) {
            struct vchan_orders o = { left, right };
            enum vchan_fault fault = flow__vchan_orders_check(o);

            assert_int_equal(fault, painted(left, right));
            accepted += fault == VCHAN_FAULT_NONE;
        }
    }
    /* 11 x 11, without 10/10, 11/11 and the two pairs of 10 and 20, whose
     * 256 references run 24 bytes into the ring. */
    assert_int_equal(accepted, 117);
    assert_int_equal(
        flow__vchan_orders_check((struct vchan_orders){ 0xffff, 0xffff }),
        VCHAN_FAULT_ORDER);
}

static void
grant_lists_have_no_reserved_and_no_double_reference(void **state)
{
    uint32_t refs[512];

    (void)state;
    for (uint32_t i = 0; i < 512; i++)
        refs[i] = 9 + i;
    assert_int_equal(flow__vchan_grants_check(refs, 512, 8), VCHAN_FAULT_NONE);
    assert_int_equal(flow__vchan_grants_check(refs, 0, 8), VCHAN_FAULT_NONE);
    assert_int_equal(flow__vchan_grants_check(refs, 512, 9 + 511),
                     VCHAN_FAULT_GRANTS);
    refs[511] = 7;
    assert_int_equal(flow__vchan_grants_check(refs, 512, 8),
                     VCHAN_FAULT_GRANTS);
    refs[511] = 9;
    assert_int_equal(flow__vchan_grants_check(refs, 512, 8),
                     VCHAN_FAULT_GRANTS);
    assert_int_equal(flow__vchan_grants_check(refs, 511, 8), VCHAN_FAULT_NONE);
    refs[0] = UINT32_MAX;
    assert_int_equal(flow__vchan_grants_check(refs, 511, 8), VCHAN_FAULT_NONE);
}

static void
names_and_own_paths_make_a_base(void **state)
{
    char base[VCHAN_BASE_MAX];

    (void)state;
    assert_true(flow__vchan_path(3, 7, "512", base));
    assert_string_equal(base, "/local/domain/3/data/vchan/7/512");
    assert_true(flow__vchan_path(0, 32751, "a_B-9", base));
    assert_string_equal(base, "/local/domain/0/data/vchan/32751/a_B-9");
    assert_true(flow__vchan_path(3, 7, "/local/domain/3/data/x", base));
    assert_string_equal(base, "/local/domain/3/data/x");
}

static void
other_paths_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "a/b",
        "a.b",
        "..",
        "a b",
        "\xc3\xa4",
        "/",
        "/local/domain/4/data/x", /* another domain's tree */
        "/local/domain/33/data",  /* a prefix only by digits */
        "/local/domain/3",
        "/local/domain/3/",
        "/local/domain/3/data/",
        "/local/domain/3//data",
        "/local/domain/3/../4/data",
        "/vm/3",
    };
    char base[VCHAN_BASE_MAX];
    char text[400];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(flow__vchan_path(3, 7, bad[i], base));
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(flow__vchan_path(3, 7, text, base));
    /* The longest that fits, and one more. */
    text[VCHAN_BASE_MAX - sizeof("/local/domain/3/data/vchan/7/")] = '\0';
    assert_true(flow__vchan_path(3, 7, text, base));
    assert_int_equal(strlen(base), VCHAN_BASE_MAX - 1);
    text[strlen(text)] = 'x';
    assert_false(flow__vchan_path(3, 7, text, base));
}

static void
numbers_are_digits_and_in_range(void **state)
{
    static const char *const bad[] = { "",
                                       " 8",
                                       "8 ",
                                       "+8",
                                       "-8",
                                       "0x9",
                                       "7",
                                       "1x",
                                       "8.",
                                       "4294967296",
                                       "100000000000000" };
    uint32_t n;

    (void)state;
    assert_true(flow__vchan_number("8", 1, 8, UINT32_MAX, &n));
    assert_int_equal(n, 8);
    assert_true(flow__vchan_number("4294967295", 10, 8, UINT32_MAX, &n));
    assert_int_equal(n, UINT32_MAX);
    assert_true(flow__vchan_number("0000000009", 10, 8, UINT32_MAX, &n));
    assert_int_equal(n, 9);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(
            flow__vchan_number(bad[i], strlen(bad[i]), 8, UINT32_MAX, &n));
    assert_false(flow__vchan_number("8\0", 2, 8, UINT32_MAX, &n));
    assert_false(flow__vchan_number("131072", 6, 1, 131071, &n));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_those_of_the_reference),
        cmocka_unit_test(every_chosen_pair_is_accepted_and_large_enough),
        cmocka_unit_test(every_pair_of_orders_is_judged_as_the_page_shows),
        cmocka_unit_test(grant_lists_have_no_reserved_and_no_double_reference),
        cmocka_unit_test(names_and_own_paths_make_a_base),
        cmocka_unit_test(other_paths_are_refused),
        cmocka_unit_test(numbers_are_digits_and_in_range),
    };

    return cmocka_run_group_tests_name("vchan: layout", tests, NULL, NULL);
}
