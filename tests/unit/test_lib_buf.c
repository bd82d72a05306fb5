/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/align.h>

#include "lib/plat/fake/fake.h"
#include "unit.h"

static int
setup(void **state)
{
    static struct flow__fake fake;

    flow__fake_init(&fake, 1);
    *state = &fake;
    return 0;
}

static int
nothing_leaked(void **state)
{
    const struct flow__fake *fake = *state;

    return fake->live_blocks == 0 ? 0 : -1;
}

static void
composed_hints_meet_both_requirements(void **state)
{
    struct flow_buf_hints below = { .align = 64,
                                    .granularity = 6,
                                    .headroom = 5,
                                    .tailroom = 16,
                                    .max_contiguous = 0,
                                    .backing = FLOW_BUF_PAGES };
    const struct flow_buf_hints above = { .align = 16,
                                          .granularity = 4,
                                          .headroom = 8,
                                          .tailroom = 1,
                                          .max_contiguous = 100,
                                          .backing = FLOW_BUF_STATIC,
                                          .secret = true };

    (void)state;
    assert_int_equal(flow_buf_compose(&below, &above), FLOW_OK);
    assert_int_equal(below.align, 64);
    assert_int_equal(below.granularity, 12);
    assert_int_equal(below.headroom, 13);
    assert_int_equal(below.tailroom, 17);
    assert_int_equal(below.max_contiguous, 100);
    assert_int_equal(below.backing, FLOW_BUF_PAGES);
    assert_true(below.secret);
}

static void
incompatible_hints_are_refused_unchanged(void **state)
{
    struct flow_buf_hints below, before, above;

    (void)state;
    flow_buf_hints_init(&below);
    flow_buf_hints_init(&above);
    below.granularity = SIZE_MAX;
    above.granularity = SIZE_MAX - 1;
    before = below;
    assert_int_equal(flow_buf_compose(&below, &above), FLOW_E_INVAL);
    assert_memory_equal(&below, &before, sizeof(below));
    flow_buf_hints_init(&below);
    flow_buf_hints_init(&above);
    below.headroom = SIZE_MAX;
    above.headroom = 1;
    assert_int_equal(flow_buf_compose(&below, &above), FLOW_E_INVAL);
}

static void
align_policy_aligns_address_and_size(void **state)
{
    static const size_t aligns[] = { 1, 8, FLOW_CACHE_LINE, FLOW_PAGE_SIZE,
                                     65536 };
    struct flow__fake *fake = *state;
    struct flow_align_policy p;
    struct flow_buf buf;
    size_t i;

    for (i = 0; i < COUNT(aligns); i++) {
        assert_int_equal(flow_align_init(&p, &fake->env, aligns[i], true),
                         FLOW_OK);
        assert_int_equal(flow_buf_acquire(&p.base, 1000, &buf), FLOW_OK);
        assert_int_equal((uintptr_t)buf.base % aligns[i], 0);
        assert_int_equal(buf.len % aligns[i], 0);
        assert_true(buf.len >= 1000);
        memset(buf.base, 0xff, buf.len);
        flow_buf_release(&p.base, &buf);
        assert_null(buf.base);
        flow_buf_release(&p.base, &buf);
    }
}

static void
align_policy_refuses_impossible_alignments(void **state)
{
    struct flow__fake *fake = *state;
    struct flow_align_policy p;
    struct flow_buf buf;

    assert_int_equal(flow_align_init(&p, &fake->env, 0, false), FLOW_E_INVAL);
    assert_int_equal(flow_align_init(&p, &fake->env, 3, false), FLOW_E_INVAL);
    assert_int_equal(flow_align_init(&p, &fake->env, (size_t)1 << 31, false),
                     FLOW_E_INVAL);
    assert_int_equal(flow_align_init(&p, &fake->env, 64, false), FLOW_OK);
    assert_int_equal(flow_buf_acquire(&p.base, 0, &buf), FLOW_E_INVAL);
    assert_int_equal(flow_buf_acquire(&p.base, SIZE_MAX, &buf), FLOW_E_INVAL);
    fake->fail_at = fake->allocs + 1;
    assert_int_equal(flow_buf_acquire(&p.base, 1, &buf), FLOW_E_NOMEM);
}

static void
exhausted_pool_answers_again(void **state)
{
    struct flow__fake *fake = *state;
    const struct flow_buf_policy *policy;
    struct flow_buf buf[3], more;
    struct flow_pool *pool;
    uint32_t seen;
    size_t i;

    assert_int_equal(flow_pool_new(&fake->env, 100, 3, 64, &pool), FLOW_OK);
    policy = flow_pool_policy(pool);
    for (i = 0; i < 3; i++) {
        assert_int_equal(flow_buf_acquire(policy, 128, &buf[i]), FLOW_OK);
        assert_int_equal((uintptr_t)buf[i].base % 64, 0);
        assert_int_equal(buf[i].len, 128);
        memset(buf[i].base, 'a' + (int)i, buf[i].len);
    }
    assert_ptr_not_equal(buf[0].base, buf[1].base);
    assert_int_equal(flow_pool_in_use(pool), 3);
    assert_int_equal(flow_buf_acquire(policy, 1, &more), FLOW_AGAIN);
    assert_int_equal(flow_buf_acquire(policy, 129, &more), FLOW_E_INVAL);

    seen = flow_event_sequence(policy->available);
    flow_buf_release(policy, &buf[1]);
    assert_int_not_equal(flow_event_sequence(policy->available), seen);
    assert_int_equal(flow_buf_acquire(policy, 1, &more), FLOW_OK);
    for (i = 0; i < more.len; i++)
        assert_int_equal(more.base[i], 0);
    flow_buf_release(policy, &more);
    flow_buf_release(policy, &buf[0]);
    flow_buf_release(policy, &buf[2]);
    assert_int_equal(flow_pool_in_use(pool), 0);
    flow_pool_free(pool);
    flow_pool_free(NULL);
}

static void
pool_survives_any_failed_allocation(void **state)
{
    struct flow__fake *fake = *state;
    struct flow_pool *pool;
    uint64_t n;

    assert_int_equal(flow_pool_new(&fake->env, 0, 1, 1, &pool), FLOW_E_INVAL);
    assert_int_equal(flow_pool_new(&fake->env, 1, 0, 1, &pool), FLOW_E_INVAL);
    assert_int_equal(flow_pool_new(&fake->env, 1, 65537, 1, &pool),
                     FLOW_E_INVAL);
    assert_int_equal(flow_pool_new(&fake->env, SIZE_MAX / 2, 3, 1, &pool),
                     FLOW_E_INVAL);
    for (n = 1;; n++) {
        fake->fail_at = fake->allocs + n;
        if (flow_pool_new(&fake->env, 64, 4, 64, &pool) == FLOW_OK)
            break;
        assert_int_equal(fake->live_blocks, 0);
    }
    assert_int_equal(n, 4);
    flow_pool_free(pool);
}

static void
arena_is_divided_and_reset(void **state)
{
    static _Alignas(64) uint8_t mem[300];
    struct flow_arena_policy p;
    struct flow_buf a, b, c;

    (void)state;
    assert_int_equal(flow_arena_init(&p, mem, sizeof(mem), 5), FLOW_E_INVAL);
    assert_int_equal(flow_arena_init(&p, mem + 1, sizeof(mem) - 1, 64),
                     FLOW_OK);
    assert_int_equal(flow_buf_acquire(&p.base, 65, &a), FLOW_OK);
    assert_int_equal((uintptr_t)a.base % 64, 0);
    assert_int_equal(a.len, 128);
    assert_int_equal(flow_buf_acquire(&p.base, 1, &b), FLOW_OK);
    assert_true(b.base >= a.base + a.len);
    assert_int_equal(flow_buf_acquire(&p.base, 64, &c), FLOW_E_NOMEM);
    assert_int_equal(flow_buf_acquire(&p.base, SIZE_MAX, &c), FLOW_E_INVAL);
    flow_buf_release(&p.base, &a);
    assert_int_equal(flow_buf_acquire(&p.base, 64, &c), FLOW_E_NOMEM);
    flow_buf_release(&p.base, &b);
    assert_int_equal(flow_buf_acquire(&p.base, 128, &c), FLOW_OK);
    flow_buf_release(&p.base, &c);
}

static void
wipe_leaves_zeros(void **state)
{
    uint8_t mem[33];
    size_t i;

    (void)state;
    memset(mem, 0xee, sizeof(mem));
    flow_wipe(mem, 32);
    for (i = 0; i < 32; i++)
        assert_int_equal(mem[i], 0);
    assert_int_equal(mem[32], 0xee);
    flow_wipe(NULL, 0);
}

static void
null_environment_is_the_default(void **state)
{
    struct flow_align_policy policy;
    struct flow_pool *pool;
    struct flow_buf buf;

    (void)state;
    assert_int_equal(flow_align_init(&policy, NULL, 64, false), FLOW_OK);
    assert_int_equal(flow_buf_acquire(&policy.base, 1, &buf), FLOW_OK);
    flow_buf_release(&policy.base, &buf);
    assert_int_equal(flow_pool_new(NULL, 64, 1, 64, &pool), FLOW_OK);
    assert_int_equal(flow_buf_acquire(flow_pool_policy(pool), 1, &buf),
                     FLOW_OK);
    flow_buf_release(flow_pool_policy(pool), &buf);
    flow_pool_free(pool);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, nothing_leaked)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(composed_hints_meet_both_requirements),
        TEST(incompatible_hints_are_refused_unchanged),
        TEST(align_policy_aligns_address_and_size),
        TEST(align_policy_refuses_impossible_alignments),
        TEST(exhausted_pool_answers_again),
        TEST(pool_survives_any_failed_allocation),
        TEST(arena_is_divided_and_reset),
        TEST(wipe_leaves_zeros),
        TEST(null_environment_is_the_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
