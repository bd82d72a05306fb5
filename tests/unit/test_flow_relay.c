/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <string.h>

#include <flow/fault.h>
#include <flow/util.h>

#include "duct.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)

/* near[0] - near[1] relayed to far[0] - far[1]: the test drives near[0] and
 * far[1]. */
static struct flow__fake fake;
static struct flow *near_end[2], *far_end[2];
static struct flow_relay relay;

static int
setup(void **state)
{
    (void)state;
    flow__fake_init(&fake, 1);
    duct_new(&fake.env, 16, near_end);
    duct_new(&fake.env, 16, far_end);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    flow_relay_fini(&relay);
    flow_close(near_end[0]);
    flow_close(near_end[1]);
    flow_close(far_end[0]);
    flow_close(far_end[1]);
    return fake.live_blocks == 0 ? 0 : -1;
}

static void
join(size_t size, uint64_t idle)
{
    assert_int_equal(
        flow_relay_init(&relay, near_end[1], far_end[0], size, idle), FLOW_OK);
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
    char buf[32];
    size_t n;

    assert_int_equal(flow_read(f, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, n);
}

static void
end_of_one_direction_is_passed_on_alone(void **state)
{
    uint32_t a, b;
    size_t n;

    (void)state;
    join(0, 0);
    put(near_end[0], "question");
    assert_int_equal(flow_shutdown(near_end[0], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    expect(far_end[1], "question");
    assert_int_equal(flow_read(far_end[1], NULL, 9, &n), FLOW_EOF);
    assert_true(flow_relay_interest(&relay, &a, &b) == FLOW_NEVER);
    assert_int_equal(a, 0);
    assert_int_equal(b, FLOW_READY_READ);
    put(far_end[1], "answer");
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    expect(near_end[0], "answer");
    assert_int_equal(flow_shutdown(far_end[1], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_relay_step(&relay), FLOW_OK);
    assert_int_equal(flow_read(near_end[0], NULL, 9, &n), FLOW_EOF);
    assert_int_equal(relay.side[0].bytes, 8);
    assert_int_equal(relay.side[1].bytes, 6);
    assert_int_equal(relay.side[0].operations, 1);
}

static void
relay_is_idle_if_both_directions_are(void **state)
{
    uint64_t begin = fake.now;

    (void)state;
    join(0, 10 * SEC);
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    flow__fake_advance(&fake, 9 * SEC);
    put(far_end[1], "x");
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    assert_int_equal(flow_relay_run(&relay), FLOW_E_TIMEOUT);
    assert_true(fake.now == begin + 19 * SEC);
}

static void
slow_reader_blocks_the_writer(void **state)
{
    uint32_t a, b;
    size_t n, got = 0, sent = 0;

    (void)state;
    join(8, 0);
    while (flow_write(near_end[0], "0123456789", 10, &n) == FLOW_OK) {
        sent += n;
        assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    }
    /* Two full ducts, and 1 to 8 bytes in the buffer of the relay. */
    assert_in_range(sent, 16 + 1 + 16, 16 + 8 + 16);
    flow_relay_interest(&relay, &a, &b);
    assert_int_equal(a, 0);
    assert_int_equal(b, FLOW_READY_WRITE | FLOW_READY_READ);
    while (got < sent) {
        assert_int_equal(flow_read(far_end[1], NULL, 5, &n), FLOW_OK);
        got += n;
        assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    }
    assert_int_equal(relay.side[0].bytes, sent);
}

/* Errors at each of the first 64 bytes, on either side and in either
 * direction. */
static void
error_at_any_byte_is_reported_and_loses_no_earlier_byte(void **state)
{
    struct flow_fault_plan plan;
    char text[65], buf[65];
    struct flow *cut;
    size_t k, n;
    int where;

    (void)state;
    for (n = 0; n < 64; n++)
        text[n] = (char)('!' + n);
    for (where = 0; where < 2; where++)
        for (k = 0; k <= 64; k++) {
            struct flow *in[2], *out[2];

            duct_new(&fake.env, 64, in);
            duct_new(&fake.env, 64, out);
            flow_fault_plan_init(&plan);
            plan.cut_status = FLOW_E_RESET;
            if (where == 0)
                plan.cut_read = k;
            else
                plan.cut_write = k;
            cut = where == 0 ? in[1] : out[0];
            assert_int_equal(flow_fault_wrap(cut, &plan, &cut), FLOW_OK);
            assert_int_equal(flow_relay_init(&relay, where == 0 ? cut : in[1],
                                             where == 0 ? out[0] : cut, 10, 0),
                             FLOW_OK);
            assert_int_equal(flow_write_all(in[0], text, 64, NULL), FLOW_OK);
            assert_int_equal(flow_shutdown(in[0], FLOW_WRITE), FLOW_OK);
            assert_int_equal(flow_shutdown(out[1], FLOW_WRITE), FLOW_OK);
            assert_int_equal(flow_relay_run(&relay), FLOW_E_RESET);
            assert_int_equal(relay.side[0].status, FLOW_E_RESET);
            assert_int_equal(relay.side[1].status, FLOW_EOF);
            assert_int_equal(relay.side[0].bytes, k);
            if (k > 0) {
                assert_int_equal(flow_read(out[1], buf, 65, &n), FLOW_OK);
                assert_int_equal(n, k);
                assert_memory_equal(buf, text, k);
            }
            /* The relay passes on no end that the source did not have. */
            assert_int_equal(flow_read(out[1], buf, 65, &n), FLOW_AGAIN);
            flow_relay_fini(&relay);
            flow_close(in[0]);
            flow_close(out[1]);
            flow_close(where == 0 ? cut : in[1]);
            flow_close(where == 0 ? out[0] : cut);
        }
}

static void
closed_output_ends_its_direction(void **state)
{
    (void)state;
    join(0, 0);
    flow_close(near_end[0]);
    near_end[0] = NULL;
    /* Reading ends truncated; the write fails with the next byte. */
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    put(far_end[1], "x");
    assert_int_equal(flow_relay_step(&relay), FLOW_E_TRUNCATED);
    assert_int_equal(relay.side[1].status, FLOW_E_CLOSED);
}

/* For example if the second flow cannot be opened while the first is silent. */
static void
failed_side_ends_the_silent_one_at_once(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);

    (void)state;
    m->read_st = FLOW_E_RESET;
    m->fail_text = "refused";
    m->fail_dirs = FLOW_READ | FLOW_WRITE;
    assert_int_equal(flow_relay_init(&relay, near_end[1], &m->base, 0, 0),
                     FLOW_OK);
    assert_int_equal(flow_relay_step(&relay), FLOW_E_RESET);
    flow_close(&m->base);
}

static void
relay_continues_the_other_direction_without_half_close(void **state)
{
    struct mock *m = mock_new(&fake.env, FLOW_CAP_DUPLEX);
    size_t n;

    (void)state;
    m->read_st = FLOW_AGAIN;
    assert_int_equal(flow_relay_init(&relay, near_end[1], &m->base, 0, 0),
                     FLOW_OK);
    assert_int_equal(flow_shutdown(near_end[0], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    assert_int_equal(relay.side[0].status, FLOW_EOF);
    assert_int_equal(m->shutdowns, 0);
    m->read_st = FLOW_EOF;
    assert_int_equal(flow_relay_step(&relay), FLOW_OK);
    assert_int_equal(flow_read(near_end[0], NULL, 9, &n), FLOW_EOF);
    flow_close(&m->base);
}

static void
init_survives_failed_allocations(void **state)
{
    uint64_t n;

    (void)state;
    for (n = 1; n <= 2; n++) {
        fake.fail_at = fake.allocs + n;
        assert_int_equal(flow_relay_init(&relay, near_end[1], far_end[0], 0, 0),
                         FLOW_E_NOMEM);
    }
}

static void
check_timed_out(struct flow *f, enum flow_dir dir)
{
    struct flow_error err;

    flow_get_error(f, dir, &err);
    assert_int_equal(err.status, FLOW_E_TIMEOUT);
}

/* The deadline of every direction that still runs ends the sleep, even if that
 * direction has nothing to read or write. */
static void
run_obeys_every_deadline(void **state)
{
    struct flow *end[2];
    uint64_t start;
    size_t i;

    (void)state;
    end[0] = near_end[1];
    end[1] = far_end[0];
    join(0, 100 * SEC);
    for (i = 0; i < 4; i++) {
        enum flow_dir dir = i % 2 != 0 ? FLOW_WRITE : FLOW_READ;

        start = fake.now;
        flow_set_deadline(end[i / 2], (uint32_t)dir, start + SEC);
        assert_int_equal(flow_relay_run(&relay), FLOW_E_TIMEOUT);
        assert_int_equal(fake.now, start + SEC);
        check_timed_out(end[i / 2], dir);
        flow_set_deadline(end[i / 2], (uint32_t)dir, FLOW_NEVER);
    }
    /* No byte was lost. */
    put(near_end[0], "still there");
    assert_int_equal(flow_shutdown(near_end[0], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_shutdown(far_end[1], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_relay_run(&relay), FLOW_OK);
    expect(far_end[1], "still there");
}

/* A direction that has ended has no deadline any more. */
static void
run_forgets_deadlines_of_ended_directions(void **state)
{
    uint64_t start = fake.now;

    (void)state;
    join(0, 10 * SEC);
    assert_int_equal(flow_shutdown(near_end[0], FLOW_WRITE), FLOW_OK);
    flow_set_deadline(near_end[1], FLOW_READ, start + SEC);
    flow_set_deadline(far_end[0], FLOW_WRITE, start + SEC);
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    assert_int_equal(flow_relay_run(&relay), FLOW_E_TIMEOUT);
    assert_int_equal(fake.now, start + 10 * SEC);
}

/* Two flows that are always ready do not keep a deadline from ending the
 * call. */
static void
busy_run_obeys_every_deadline(void **state)
{
    struct flow_error err;
    struct mock *m[2];
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        enum flow_dir dir = i % 2 != 0 ? FLOW_WRITE : FLOW_READ;

        m[0] = mock_new(&fake.env, MOCK_CAPS);
        m[1] = mock_new(&fake.env, MOCK_CAPS);
        assert_int_equal(
            flow_relay_init(&relay, &m[0]->base, &m[1]->base, 0, 0), FLOW_OK);
        flow_set_deadline(&m[i / 2]->base, (uint32_t)dir, fake.now);
        assert_int_equal(flow_relay_run(&relay), FLOW_E_TIMEOUT);
        check_timed_out(&m[i / 2]->base, dir);
        /* Only that direction has the error. */
        flow_get_error(&m[i / 2]->base,
                       dir == FLOW_READ ? FLOW_WRITE : FLOW_READ, &err);
        assert_int_equal(err.status, FLOW_OK);
        assert_true(relay.side[0].bytes > 0);
        flow_relay_fini(&relay);
        flow_close(&m[0]->base);
        flow_close(&m[1]->base);
    }
}

/* If a source fails while its bytes wait to be written, the relay still
 * sleeps. */
static void
run_sleeps_while_bytes_of_a_failed_source_are_unwritten(void **state)
{
    struct mock *to = mock_new(&fake.env, MOCK_CAPS);
    uint64_t waits;

    (void)state;
    to->read_st = FLOW_AGAIN;
    to->write_st = FLOW_AGAIN;
    to->ready = 0;
    assert_int_equal(flow_relay_init(&relay, near_end[1], &to->base, 0, SEC),
                     FLOW_OK);
    put(near_end[0], "kept");
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    flow_abort(near_end[1]);
    waits = to->waits;
    assert_int_equal(flow_relay_run(&relay), FLOW_E_TIMEOUT);
    assert_true(to->waits - waits < 10);
    assert_int_equal(relay.side[0].len, 4);
    flow_relay_fini(&relay);
    flow_close(&to->base);
}

/* A destination that holds bytes back gets them out before the error of the
 * source ends the direction, also if it cannot flush them at once. */
static void
bytes_before_an_error_are_flushed(void **state)
{
    struct mock *from = mock_new(&fake.env, MOCK_CAPS);
    struct mock *to = mock_new(&fake.env, MOCK_CAPS);
    uint32_t a, b;

    (void)state;
    from->write_st = FLOW_AGAIN;
    to->read_st = FLOW_AGAIN;
    to->flush_st = FLOW_AGAIN;
    assert_int_equal(flow_relay_init(&relay, &from->base, &to->base, 0, 0),
                     FLOW_OK);
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    assert_true(relay.side[0].bytes > 0);
    from->read_st = FLOW_E_RESET;
    to->flushes = 0;
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    assert_int_equal(to->flushes, 1);
    assert_int_equal(relay.side[0].status, FLOW_OK);
    assert_int_equal(relay.side[0].source, FLOW_E_RESET);
    flow_relay_interest(&relay, &a, &b);
    assert_int_equal(a, 0);
    assert_int_equal(b, FLOW_READY_FLUSH | FLOW_READY_READ);
    to->flush_st = FLOW_OK;
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    assert_int_equal(to->flushes, 2);
    assert_int_equal(relay.side[0].status, FLOW_E_RESET);
    assert_int_equal(to->shutdowns, 0);
    flow_relay_fini(&relay);
    flow_close(&from->base);
    flow_close(&to->base);
}

/* The destination fails to flush after the source has failed: the source's
 * error came first. */
static void
error_of_the_source_is_told_before_that_of_the_flush(void **state)
{
    struct mock *from = mock_new(&fake.env, MOCK_CAPS);
    struct mock *to = mock_new(&fake.env, MOCK_CAPS);

    (void)state;
    from->write_st = FLOW_AGAIN;
    to->read_st = FLOW_AGAIN;
    assert_int_equal(flow_relay_init(&relay, &from->base, &to->base, 0, 0),
                     FLOW_OK);
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    from->read_st = FLOW_E_RESET;
    to->flush_st = FLOW_E_CLOSED;
    assert_int_equal(flow_relay_step(&relay), FLOW_AGAIN);
    assert_int_equal(relay.side[0].status, FLOW_E_RESET);
    flow_relay_fini(&relay);
    flow_close(&from->base);
    flow_close(&to->base);
}

static void *
run_relay(void *arg)
{
    return flow_relay_run(arg) == FLOW_OK ? arg : NULL;
}

/* The relay runs in a thread and waits for both flows at once. */
static void
relay_runs_in_a_thread(void **state)
{
    struct flow *in[2], *out[2];
    struct flow_relay live;
    pthread_t thread;
    char buf[3];
    void *ok;
    size_t n, i;

    (void)state;
    duct_new(flow_env_default(), 8, in);
    duct_new(flow_env_default(), 8, out);
    assert_int_equal(flow_relay_init(&live, in[1], out[0], 5, 0), FLOW_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_relay, &live), 0);
    for (i = 0; i < 2000; i++) {
        assert_int_equal(flow_write_all(in[0], "abc", 3, NULL), FLOW_OK);
        assert_int_equal(flow_read_exact(out[1], buf, 3, &n), FLOW_OK);
        assert_int_equal(flow_write_all(out[1], buf, 3, NULL), FLOW_OK);
        assert_int_equal(flow_read_exact(in[0], buf, 3, &n), FLOW_OK);
        assert_memory_equal(buf, "abc", 3);
    }
    assert_int_equal(flow_shutdown(in[0], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(out[1], buf, 3, &n), FLOW_EOF);
    assert_int_equal(flow_shutdown(out[1], FLOW_WRITE), FLOW_OK);
    pthread_join(thread, &ok);
    assert_non_null(ok);
    assert_int_equal(live.side[0].bytes, 6000);
    flow_relay_fini(&live);
    for (i = 0; i < 2; i++) {
        flow_close(in[i]);
        flow_close(out[i]);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(end_of_one_direction_is_passed_on_alone),
        TEST(relay_is_idle_if_both_directions_are),
        TEST(slow_reader_blocks_the_writer),
        TEST(error_at_any_byte_is_reported_and_loses_no_earlier_byte),
        TEST(closed_output_ends_its_direction),
        TEST(failed_side_ends_the_silent_one_at_once),
        TEST(relay_continues_the_other_direction_without_half_close),
        TEST(init_survives_failed_allocations),
        TEST(run_obeys_every_deadline),
        TEST(run_forgets_deadlines_of_ended_directions),
        TEST(busy_run_obeys_every_deadline),
        TEST(run_sleeps_while_bytes_of_a_failed_source_are_unwritten),
        TEST(bytes_before_an_error_are_flushed),
        TEST(error_of_the_source_is_told_before_that_of_the_flush),
        TEST(relay_runs_in_a_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
