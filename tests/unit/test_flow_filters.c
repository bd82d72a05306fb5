/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/align.h>
#include <flow/buffered.h>
#include <flow/fault.h>
#include <flow/prefix.h>
#include <flow/trace.h>
#include <flow/util.h>

#include "duct.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)

static struct flow__fake fake;
static struct flow *end[2];

static int
setup(void **state)
{
    (void)state;
    flow__fake_init(&fake, 1);
    duct_new(&fake.env, 32, end);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    flow_close(end[0]);
    flow_close(end[1]);
    return fake.live_blocks == 0 ? 0 : -1;
}

static void
put(struct flow *f, const char *text)
{
    size_t n;

    assert_int_equal(flow_write(f, text, strlen(text), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
}

static void
expect(struct flow *f, const char *text)
{
    char buf[64];
    size_t n;

    assert_int_equal(flow_read(f, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, n);
}

/* --- trace --------------------------------------------------------------- */

struct log {
    struct flow_trace_event events[16];
    size_t count;
};

static void
note_event(void *user, const struct flow_trace_event *event)
{
    struct log *log = user;

    assert_in_range(log->count, 0, COUNT(log->events) - 1);
    log->events[log->count++] = *event;
}

static void
expect_event(const struct log *log, size_t at, const char *operation,
             enum flow_status st, size_t asked, size_t done)
{
    assert_in_range(at, 0, log->count - 1);
    assert_string_equal(log->events[at].operation, operation);
    assert_int_equal(log->events[at].status, st);
    assert_int_equal(log->events[at].asked, asked);
    assert_int_equal(log->events[at].done, done);
    assert_true(log->events[at].time == fake.now);
}

static void
trace_reports_every_call(void **state)
{
    struct log log = { .count = 0 };
    struct flow *f;
    char buf[8];
    size_t n;

    (void)state;
    assert_int_equal(flow_trace_wrap(end[0], note_event, &log, &f), FLOW_OK);
    assert_int_equal(flow_read(f, buf, 8, &n), FLOW_AGAIN);
    put(end[1], "abc");
    expect(f, "abc");
    put(f, "xy");
    assert_int_equal(flow_flush(f), FLOW_OK);
    assert_int_equal(flow_wait(f, FLOW_READY_WRITE, NULL), FLOW_OK);
    assert_int_equal(flow_shutdown(f, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_shutdown(f, FLOW_READ), FLOW_OK);
    expect_event(&log, 0, "readv", FLOW_AGAIN, 8, 0);
    expect_event(&log, 1, "readv", FLOW_OK, 64, 3);
    expect_event(&log, 2, "writev", FLOW_OK, 2, 2);
    expect_event(&log, 3, "flush", FLOW_OK, 0, 0);
    expect_event(&log, 4, "wait", FLOW_OK, FLOW_READY_WRITE, FLOW_READY_WRITE);
    expect_event(&log, 5, "shutdown(write)", FLOW_OK, 0, 0);
    expect_event(&log, 6, "shutdown(read)", FLOW_OK, 0, 0);
    flow_close(f);
    end[0] = NULL;
    expect_event(&log, 7, "close", FLOW_OK, 0, 0);
    assert_int_equal(log.count, 8);
}

static unsigned logged;

static void
log_line(void *ctx, enum flow_log_level level, const char *layer,
         const char *event, const void *flow, int64_t value)
{
    (void)ctx;
    (void)event;
    (void)flow;
    (void)value;
    assert_int_equal(level, FLOW_LOG_DEBUG);
    assert_string_equal(layer, "trace");
    logged++;
}

static void
trace_without_a_callback_logs(void **state)
{
    struct flow *f;

    (void)state;
    assert_int_equal(flow_trace_wrap(end[0], NULL, NULL, &f), FLOW_OK);
    end[0] = f;
    put(f, "a");
    fake.env.log = log_line;
    logged = 0;
    put(f, "b");
    assert_int_equal(logged, 1);
    fake.env.log = NULL;
}

static void
failed_wrap_leaves_the_lower_flow_alone(void **state)
{
    struct flow_align_policy policy;
    struct flow_fault_plan plan;
    struct flow *f = NULL;

    (void)state;
    flow_fault_plan_init(&plan);
    assert_int_equal(flow_align_init(&policy, &fake.env, 1, false), FLOW_OK);
    fake.fail_at = fake.allocs + 1;
    fake.fail_all = true;
    assert_int_equal(flow_trace_wrap(end[0], NULL, NULL, &f), FLOW_E_NOMEM);
    assert_int_equal(flow_prefix_wrap(end[0], "x", 1, &f), FLOW_E_NOMEM);
    assert_int_equal(flow_fault_wrap(end[0], &plan, &f), FLOW_E_NOMEM);
    assert_int_equal(flow_buffered_wrap(end[0], &policy.base, 8, &f),
                     FLOW_E_NOMEM);
    assert_int_equal(flow_buffered_wrap(end[0], &policy.base, 0, &f),
                     FLOW_E_INVAL);
    plan.again_percent = 101;
    assert_int_equal(flow_fault_wrap(end[0], &plan, &f), FLOW_E_INVAL);
    flow_fault_plan_init(&plan);
    plan.cut_status = FLOW_AGAIN;
    assert_int_equal(flow_fault_wrap(end[0], &plan, &f), FLOW_E_INVAL);
    assert_null(f);
    assert_null(end[0]->upper);
    put(end[0], "fine");
    expect(end[1], "fine");
}

/* --- fault --------------------------------------------------------------- */

static struct flow *
fault_on(struct flow *lower, const struct flow_fault_plan *plan)
{
    struct flow *f;

    assert_int_equal(flow_fault_wrap(lower, plan, &f), FLOW_OK);
    return f;
}

static void
again_always_makes_each_call_block_once(void **state)
{
    struct flow_fault_plan plan;
    struct flow_wait_set set;
    char buf[8];
    size_t n;

    (void)state;
    flow_fault_plan_init(&plan);
    plan.again_always = true;
    end[0] = fault_on(end[0], &plan);
    put(end[1], "abc");
    assert_int_equal(flow_read(end[0], buf, 8, &n), FLOW_AGAIN);
    /* The filter reports ready, so calling again at once is right. */
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(end[0], FLOW_READY_READ, &set),
                     FLOW_READY_READ);
    assert_int_equal(flow_read(end[0], buf, 8, &n), FLOW_OK);
    assert_int_equal(flow_write(end[0], "x", 1, &n), FLOW_AGAIN);
    assert_int_equal(flow_write(end[0], "x", 1, &n), FLOW_OK);
    assert_int_equal(flow_flush(end[0]), FLOW_AGAIN);
    assert_int_equal(flow_flush(end[0]), FLOW_OK);
    assert_int_equal(flow_shutdown(end[0], FLOW_WRITE), FLOW_AGAIN);
    assert_int_equal(flow_shutdown(end[0], FLOW_WRITE), FLOW_OK);
}

/* Alternating calls each answer AGAIN once. */
static void
alternating_write_and_flush_make_progress(void **state)
{
    struct flow_fault_plan plan;
    size_t n, sent = 0, rounds;

    (void)state;
    flow_fault_plan_init(&plan);
    plan.again_always = true;
    end[0] = fault_on(end[0], &plan);
    for (rounds = 0; rounds < 8; rounds++) {
        if (flow_write(end[0], "x", 1, &n) == FLOW_OK)
            sent++;
        assert_true(flow_flush(end[0]) >= 0);
    }
    assert_int_equal(sent, 4);
}

static void
delay_is_a_deadline_of_the_wait_set(void **state)
{
    struct flow_fault_plan plan;
    uint64_t begin = fake.now;
    char buf[8];
    size_t n;

    (void)state;
    flow_fault_plan_init(&plan);
    plan.delay = 3 * SEC;
    end[0] = fault_on(end[0], &plan);
    put(end[1], "abc");
    assert_int_equal(flow_read_wait(end[0], buf, 8, &n), FLOW_OK);
    assert_true(fake.now == begin + 3 * SEC);
    assert_int_equal(flow_write_all(end[0], "x", 1, NULL), FLOW_OK);
    assert_true(fake.now == begin + 9 * SEC);
}

static void
short_reads_and_writes_lose_no_bytes(void **state)
{
    struct flow_fault_plan plan;
    uint64_t seed;
    char out[32], in[32];
    size_t n, i, short_ones = 0;

    (void)state;
    for (i = 0; i < sizeof(out); i++)
        out[i] = (char)('a' + i);
    for (seed = 0; seed < 50; seed++) {
        flow_fault_plan_init(&plan);
        plan.seed = seed;
        plan.max_read = 5;
        plan.max_write = 7;
        plan.random_short = true;
        plan.again_percent = 30;
        struct flow *a = fault_on(end[0], &plan);
        assert_int_equal(flow_write_all(a, out, sizeof(out), &n), FLOW_OK);
        assert_int_equal(flow_read(end[1], in, sizeof(in), &n), FLOW_OK);
        assert_int_equal(n, sizeof(out));
        assert_memory_equal(in, out, sizeof(out));
        put(end[1], "0123456789");
        for (i = 0; i < 10; i += n) {
            assert_int_equal(flow_read_wait(a, in, 10, &n), FLOW_OK);
            assert_in_range(n, 1, 5);
            assert_memory_equal(in, &"0123456789"[i], n);
            short_ones += n < 5;
        }
        assert_int_equal(flow_detach(a, &end[0]), FLOW_OK);
    }
    assert_true(short_ones > 0);
}

static void
same_seed_makes_the_same_faults(void **state)
{
    struct flow_fault_plan plan;
    unsigned outcome[2] = { 0, 0 };
    struct flow *f;
    size_t run, i, n;

    (void)state;
    flow_fault_plan_init(&plan);
    plan.again_percent = 50;
    plan.seed = 7;
    for (run = 0; run < 2; run++) {
        f = fault_on(end[0], &plan);
        for (i = 0; i < 20; i++) {
            outcome[run] = 2 * outcome[run] +
                           (flow_write(f, "x", 1, &n) == FLOW_OK ? 1 : 0);
            if (i % 5 == 4)
                assert_true(flow_read(end[1], NULL, 32, &n) >= 0);
        }
        assert_int_equal(flow_detach(f, &end[0]), FLOW_OK);
    }
    assert_int_equal(outcome[0], outcome[1]);
    assert_int_not_equal(outcome[0], 0);
    assert_int_not_equal(outcome[0], (1u << 20) - 1);
}

static void
cut_comes_after_the_exact_number_of_bytes(void **state)
{
    struct flow_fault_plan plan;
    struct flow_error err;
    char buf[8];
    size_t n;

    (void)state;
    flow_fault_plan_init(&plan);
    plan.cut_read = 3;
    plan.cut_write = 2;
    end[0] = fault_on(end[0], &plan);
    put(end[1], "abcdef");
    expect(end[0], "abc");
    assert_int_equal(flow_wait(end[0], FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(flow_read(end[0], buf, 8, &n), FLOW_EOF);
    assert_int_equal(flow_write(end[0], "xyz", 3, &n), FLOW_OK);
    assert_int_equal(n, 2);
    assert_int_equal(flow_write(end[0], "z", 1, &n), FLOW_E_CLOSED);
    assert_int_equal(flow_shutdown(end[0], FLOW_WRITE), FLOW_E_CLOSED);
    flow_get_error(end[0], FLOW_WRITE, &err);
    assert_string_equal(err.layers[0], "fault");
    expect(end[1], "xy");
    assert_int_equal(flow_read(end[1], buf, 8, &n), FLOW_AGAIN);
}

static void
error_cut_leaves_the_other_direction_open(void **state)
{
    struct flow_fault_plan plan;
    char buf[8];
    size_t n;

    (void)state;
    flow_fault_plan_init(&plan);
    plan.cut_read = 0;
    plan.cut_status = FLOW_E_RESET;
    end[0] = fault_on(end[0], &plan);
    put(end[1], "abc");
    assert_int_equal(flow_read(end[0], buf, 8, &n), FLOW_E_RESET);
    put(end[0], "fine");
    expect(end[1], "fine");
}

static void
one_bit_is_flipped_in_each_direction(void **state)
{
    struct flow_fault_plan plan;
    char mine[] = "abcdef";
    size_t n;

    (void)state;
    flow_fault_plan_init(&plan);
    plan.flip_read = 4;
    plan.flip_write = 2;
    end[0] = fault_on(end[0], &plan);
    put(end[1], "abcdef");
    expect(end[0], "abcddf");
    put(end[1], "abcdef");
    expect(end[0], "abcdef");
    assert_int_equal(flow_write_all(end[0], mine, 6, &n), FLOW_OK);
    assert_string_equal(mine, "abcdef");
    expect(end[1], "abbdef");
}

/* --- buffered ------------------------------------------------------------ */

static struct flow *
buffer_on(struct flow *lower, const struct flow_buf_policy *policy, size_t size)
{
    struct flow *f;

    assert_int_equal(flow_buffered_wrap(lower, policy, size, &f), FLOW_OK);
    return f;
}

static void
policy_decides_whether_two_threads_may_use_the_filter(void **state)
{
    static uint8_t mem[256];
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_align_policy plain;
    struct flow_arena_policy arena;
    struct flow_pool *pool;
    struct flow *f, *lower;

    (void)state;
    assert_true((MOCK_CAPS & FLOW_CAP_DUPLEX) != 0);
    assert_int_equal(flow_align_init(&plain, &fake.env, 1, false), FLOW_OK);
    assert_int_equal(flow_arena_init(&arena, mem, sizeof(mem), 1), FLOW_OK);
    assert_int_equal(flow_pool_new(&fake.env, 8, 2, 1, &pool), FLOW_OK);

    f = buffer_on(&m->base, &plain.base, 8);
    assert_true((flow_caps(f) & FLOW_CAP_DUPLEX) != 0);
    assert_int_equal(flow_detach(f, &lower), FLOW_OK);
    f = buffer_on(lower, flow_pool_policy(pool), 8);
    assert_true((flow_caps(f) & FLOW_CAP_DUPLEX) != 0);
    assert_int_equal(flow_detach(f, &lower), FLOW_OK);
    f = buffer_on(lower, &arena.base, 8);
    assert_int_equal(flow_caps(f) & FLOW_CAP_DUPLEX, 0);
    flow_close(f);
    flow_pool_free(pool);
}

static void
read_lease_gathers_want_bytes(void **state)
{
    struct flow_align_policy policy;
    struct flow_wait_set set;
    struct flow_vec span[2];

    (void)state;
    assert_int_equal(flow_align_init(&policy, &fake.env, 64, true), FLOW_OK);
    end[0] = buffer_on(end[0], &policy.base, 16);
    assert_int_equal(flow_lease(end[0], FLOW_READ, 1, span), FLOW_AGAIN);
    put(end[1], "abc");
    assert_int_equal(flow_lease(end[0], FLOW_READ, 17, span), FLOW_E_INVAL);
    assert_int_equal(flow_lease(end[0], FLOW_READ, 5, span), FLOW_AGAIN);
    /* Not ready for a lease of that size, although there are bytes. */
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(end[0], FLOW_READY_READ, &set), 0);
    put(end[1], "def");
    assert_int_equal(flow_wait(end[0], FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(flow_lease(end[0], FLOW_READ, 5, span), FLOW_OK);
    assert_int_equal((uintptr_t)span[0].base % 64, 0);
    assert_int_equal(span[0].len, 6);
    assert_memory_equal(span[0].base, "abcdef", 6);
    assert_int_equal(flow_commit(end[0], FLOW_READ, 2, 0), FLOW_OK);
    expect(end[0], "cdef");
    /* At the end the lease is the rest, shorter than wanted. */
    put(end[1], "gh");
    assert_int_equal(flow_shutdown(end[1], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_lease(end[0], FLOW_READ, 5, span), FLOW_OK);
    assert_int_equal(span[0].len, 2);
    assert_int_equal(flow_commit(end[0], FLOW_READ, 2, 0), FLOW_OK);
    assert_int_equal(flow_lease(end[0], FLOW_READ, 1, span), FLOW_EOF);
}

static void
read_lease_is_contiguous(void **state)
{
    struct flow_align_policy policy;
    struct flow_vec span[2];
    char expected = 'a';
    size_t i, round;

    (void)state;
    assert_int_equal(flow_align_init(&policy, &fake.env, 1, false), FLOW_OK);
    end[0] = buffer_on(end[0], &policy.base, 8);
    for (round = 0; round < 20; round++) {
        char five[5];

        for (i = 0; i < 5; i++)
            five[i] = (char)('a' + (round * 5 + i) % 26);
        assert_int_equal(flow_write_all(end[1], five, 5, NULL), FLOW_OK);
        assert_int_equal(flow_lease(end[0], FLOW_READ, 5, span), FLOW_OK);
        for (i = 0; i < 5; i++) {
            assert_int_equal(((char *)span[0].base)[i], expected);
            expected = expected == 'z' ? 'a' : (char)(expected + 1);
        }
        assert_int_equal(flow_commit(end[0], FLOW_READ, 5, 0), FLOW_OK);
    }
}

static void
bytes_with_more_are_held_back_until_a_flush(void **state)
{
    struct flow_align_policy policy;
    const struct flow_cvec ab = { "ab", 2 };
    size_t n;

    (void)state;
    assert_int_equal(flow_align_init(&policy, &fake.env, 1, false), FLOW_OK);
    end[0] = buffer_on(end[0], &policy.base, 5);
    assert_int_equal(flow_writev(end[0], &ab, 1, FLOW_MORE, &n), FLOW_OK);
    assert_int_equal(flow_writev(end[0], &ab, 1, FLOW_MORE, &n), FLOW_OK);
    assert_int_equal(flow_read(end[1], NULL, 9, &n), FLOW_AGAIN);
    assert_int_equal(flow_flush(end[0]), FLOW_OK);
    expect(end[1], "abab");
    assert_int_equal(flow_writev(end[0], &ab, 1, FLOW_MORE, &n), FLOW_OK);
    put(end[0], "c");
    expect(end[1], "abc");
    assert_int_equal(flow_writev(end[0], &ab, 1, FLOW_MORE, &n), FLOW_OK);
    assert_int_equal(flow_writev(end[0], &ab, 1, FLOW_FIN, &n), FLOW_OK);
    expect(end[1], "abab");
    assert_int_equal(flow_read(end[1], NULL, 9, &n), FLOW_EOF);
}

static void
committed_write_lease_is_accepted_whole(void **state)
{
    struct flow_align_policy policy;
    struct flow_vec span[2];
    size_t n, used = 0;

    (void)state;
    assert_int_equal(flow_align_init(&policy, &fake.env, 64, false), FLOW_OK);
    end[0] = buffer_on(end[0], &policy.base, 16);
    /* The duct accepts 32 bytes, and the buffer holds 16 more. */
    while (flow_lease(end[0], FLOW_WRITE, 4, span) == FLOW_OK) {
        memset(span[0].base, 'x', 4);
        assert_int_equal(flow_commit(end[0], FLOW_WRITE, 4, 0), FLOW_OK);
        used += 4;
    }
    assert_int_equal(used, 48);
    assert_int_equal(flow_flush(end[0]), FLOW_AGAIN);
    assert_int_equal(flow_read(end[1], NULL, 64, &n), FLOW_OK);
    assert_int_equal(n, 32);
    assert_int_equal(flow_wait(end[0], FLOW_READY_FLUSH, NULL), FLOW_OK);
    assert_int_equal(flow_flush(end[0]), FLOW_OK);
    assert_int_equal(flow_read(end[1], NULL, 64, &n), FLOW_OK);
    assert_int_equal(n, 16);
}

static void
empty_pool_is_a_wait_source(void **state)
{
    const struct flow_buf_policy *policy;
    struct flow_wait_set set;
    struct flow_pool *pool;
    struct flow_vec span[2];
    struct flow_buf taken;
    size_t footprint, len = sizeof(footprint);

    (void)state;
    assert_int_equal(flow_pool_new(&fake.env, 16, 1, 1, &pool), FLOW_OK);
    policy = flow_pool_policy(pool);
    end[0] = buffer_on(end[0], policy, 16);
    assert_int_equal(flow_buf_acquire(policy, 1, &taken), FLOW_OK);
    assert_int_equal(flow_lease(end[0], FLOW_WRITE, 1, span), FLOW_AGAIN);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(end[0], FLOW_READY_WRITE, &set), 0);
    /* The set's other source is the flow's own event. */
    assert_int_equal(set.count, 2);
    assert_ptr_equal(set.source[0].event, policy->available);
    flow_buf_release(policy, &taken);
    assert_int_not_equal(flow_event_sequence(policy->available),
                         set.source[0].sequence);
    /* Freeing a buffer also ends the wait. */
    assert_int_equal(flow_wait_sources(end[0], FLOW_READY_WRITE, &set),
                     FLOW_READY_WRITE);
    assert_int_equal(flow_lease(end[0], FLOW_WRITE, 1, span), FLOW_OK);
    assert_int_equal(flow_pool_in_use(pool), 1);
    assert_int_equal(flow_commit(end[0], FLOW_WRITE, 0, 0), FLOW_OK);
    /* The filter holds a buffer only while there are bytes in it. */
    assert_int_equal(flow_pool_in_use(pool), 0);
    assert_int_equal(flow_query(end[0], FLOW_QUERY_FOOTPRINT, &footprint, &len),
                     FLOW_OK);
    flow_close(end[0]);
    end[0] = NULL;
    flow_pool_free(pool);
}

/* A write that found neither a buffer nor room below waits for the room. */
static void
write_without_a_buffer_waits_for_the_lower_flow(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    const struct flow_cvec vec = { "abc", 3 };
    struct flow_wait_set set;
    struct flow_pool *pool;
    struct flow_buf taken;
    struct flow *f;
    size_t n;

    (void)state;
    assert_int_equal(flow_pool_new(&fake.env, 16, 1, 1, &pool), FLOW_OK);
    f = buffer_on(&m->base, flow_pool_policy(pool), 16);
    assert_int_equal(flow_buf_acquire(flow_pool_policy(pool), 1, &taken),
                     FLOW_OK);
    m->write_st = FLOW_AGAIN;
    m->ready = 0;
    assert_int_equal(flow_writev(f, &vec, 1, FLOW_MORE, &n), FLOW_AGAIN);
    m->ready = FLOW_READY_WRITE;
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(f, FLOW_READY_WRITE, &set),
                     FLOW_READY_WRITE);
    flow_buf_release(flow_pool_policy(pool), &taken);
    flow_close(f);
    flow_pool_free(pool);
}

/* What a commit has accepted stays accepted if the lower flow has a transient
 * error. */
static void
commit_keeps_bytes_that_the_lower_flow_refuses(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_pool *pool;
    struct flow_vec span[2];
    struct flow *f;

    (void)state;
    assert_int_equal(flow_pool_new(&fake.env, 16, 1, 1, &pool), FLOW_OK);
    f = buffer_on(&m->base, flow_pool_policy(pool), 16);
    assert_int_equal(flow_lease(f, FLOW_WRITE, 3, span), FLOW_OK);
    memcpy(span[0].base, "abc", 3);
    m->write_st = FLOW_E_NOMEM;
    assert_int_equal(flow_commit(f, FLOW_WRITE, 3, 0), FLOW_OK);
    assert_int_equal(flow_flush(f), FLOW_E_NOMEM);
    m->write_st = FLOW_OK;
    m->write_max = 3;
    assert_int_equal(flow_flush(f), FLOW_OK);
    assert_int_equal(m->writes, 3);
    flow_close(f);
    flow_pool_free(pool);
}

static void
detach_returns_bytes_that_buffered_read_ahead(void **state)
{
    struct flow_align_policy policy;
    const struct flow_cvec ab = { "ab", 2 };
    struct flow_vec span[2];
    struct flow *f;
    size_t n;

    (void)state;
    assert_int_equal(flow_align_init(&policy, &fake.env, 1, false), FLOW_OK);
    f = buffer_on(end[0], &policy.base, 16);
    end[0] = f;
    put(end[1], "ahead");
    assert_int_equal(flow_lease(f, FLOW_READ, 5, span), FLOW_OK);
    assert_int_equal(flow_commit(f, FLOW_READ, 1, 0), FLOW_OK);
    assert_int_equal(flow_writev(f, &ab, 1, FLOW_MORE, &n), FLOW_OK);
    assert_int_equal(flow_detach(f, &end[0]), FLOW_E_BUSY);
    assert_int_equal(flow_flush(f), FLOW_OK);
    assert_int_equal(flow_detach(f, &end[0]), FLOW_OK);
    expect(end[0], "head");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trace_reports_every_call),
        TEST(trace_without_a_callback_logs),
        TEST(failed_wrap_leaves_the_lower_flow_alone),
        TEST(again_always_makes_each_call_block_once),
        TEST(alternating_write_and_flush_make_progress),
        TEST(delay_is_a_deadline_of_the_wait_set),
        TEST(short_reads_and_writes_lose_no_bytes),
        TEST(same_seed_makes_the_same_faults),
        TEST(cut_comes_after_the_exact_number_of_bytes),
        TEST(error_cut_leaves_the_other_direction_open),
        TEST(one_bit_is_flipped_in_each_direction),
        TEST(policy_decides_whether_two_threads_may_use_the_filter),
        TEST(read_lease_gathers_want_bytes),
        TEST(read_lease_is_contiguous),
        TEST(bytes_with_more_are_held_back_until_a_flush),
        TEST(committed_write_lease_is_accepted_whole),
        TEST(empty_pool_is_a_wait_source),
        TEST(write_without_a_buffer_waits_for_the_lower_flow),
        TEST(commit_keeps_bytes_that_the_lower_flow_refuses),
        TEST(detach_returns_bytes_that_buffered_read_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
