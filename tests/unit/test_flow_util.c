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

static struct flow__fake fake;
static struct flow *end[2];

static int
setup(void **state)
{
    (void)state;
    flow__fake_init(&fake, 1);
    duct_new(&fake.env, 8, end);
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
read_exact_tells_where_the_stream_ended(void **state)
{
    char buf[8];
    size_t n;

    (void)state;
    put(end[0], "abcdef");
    assert_int_equal(flow_shutdown(end[0], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_exact(end[1], buf, 4, &n), FLOW_OK);
    assert_memory_equal(buf, "abcd", 4);
    assert_int_equal(flow_read_exact(end[1], buf, 4, &n), FLOW_E_TRUNCATED);
    assert_int_equal(n, 2);
    assert_memory_equal(buf, "ef", 2);
    assert_int_equal(flow_read_exact(end[1], buf, 4, &n), FLOW_EOF);
    assert_int_equal(n, 0);
    assert_int_equal(flow_read_exact(end[1], buf, 0, &n), FLOW_OK);
}

static void
timeout_reports_the_bytes_so_far(void **state)
{
    char buf[8];
    size_t n;

    (void)state;
    put(end[0], "abc");
    flow_set_deadline(end[1], FLOW_READ, fake.now + SEC);
    assert_int_equal(flow_read_exact(end[1], buf, 8, &n), FLOW_E_TIMEOUT);
    assert_int_equal(n, 3);
    put(end[0], "defgh");
    flow_set_deadline(end[1], FLOW_READ, FLOW_NEVER);
    assert_int_equal(flow_read_exact(end[1], buf + 3, 5, &n), FLOW_OK);
    assert_memory_equal(buf, "abcdefgh", 8);

    flow_set_deadline(end[0], FLOW_WRITE, fake.now + SEC);
    assert_int_equal(flow_write_all(end[0], "0123456789", 10, &n),
                     FLOW_E_TIMEOUT);
    assert_int_equal(n, 8);
}

/* A peer that always has one more byte does not keep the deadline from ending
 * the call. */
static void
steady_trickle_does_not_defeat_the_deadline(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    char buf[100];
    size_t n;

    (void)state;
    m->read_max = 1;
    m->write_max = 1;
    flow_set_deadline(&m->base, FLOW_READ | FLOW_WRITE, FLOW_NOW);
    assert_int_equal(flow_read_exact(&m->base, buf, 100, &n), FLOW_E_TIMEOUT);
    assert_int_equal(n, 1);
    assert_int_equal(flow_write_all(&m->base, buf, 100, &n), FLOW_E_TIMEOUT);
    assert_int_equal(n, 1);
    flow_close(&m->base);
}

static void
write_all_flushes_and_fin_ends(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_cvec vec[] = { { "", 0 }, { "ab", 2 }, { "", 0 }, { "c", 1 } };
    size_t n;

    (void)state;
    m->write_max = 1;
    assert_int_equal(flow_write_all(&m->base, "abc", 3, NULL), FLOW_OK);
    assert_int_equal(m->writes, 3);
    assert_int_equal(m->flushes, 1);
    assert_int_equal(flow_writev_all(&m->base, vec, 4, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(n, 3);
    assert_int_equal(m->writes, 6);
    assert_int_equal(m->shutdowns, 1);
    flow_close(&m->base);
}

static void
fin_without_bytes_ends_and_empty_write_sends_no_bytes(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    size_t n = 99;

    (void)state;
    assert_int_equal(flow_writev_all(&m->base, NULL, 0, 0, &n), FLOW_OK);
    assert_int_equal(n, 0);
    assert_int_equal(m->shutdowns, 0);
    assert_int_equal(flow_writev_all(&m->base, NULL, 0, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(m->shutdowns, 1);
    flow_close(&m->base);
}

static void
vector_longer_than_one_call_is_written_whole(void **state)
{
    static struct flow_cvec vec[3000];
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    size_t i, n;

    (void)state;
    for (i = 0; i < COUNT(vec); i++)
        vec[i] = (struct flow_cvec){ "x", 1 };
    assert_int_equal(flow_writev_all(&m->base, vec, COUNT(vec), 0, &n),
                     FLOW_OK);
    assert_int_equal(n, 3000);
    assert_int_equal(m->writes, 3);
    assert_int_equal(m->write_flags, 0);
    flow_close(&m->base);
}

/* C21: no byte is accepted, however many calls the vector needs. */
static void
invalid_arguments_are_refused_before_the_first_write(void **state)
{
    struct mock *m =
        mock_new(&fake.env, MOCK_CAPS & ~FLOW_CAP_HALF_CLOSE_WRITE);
    static struct flow_cvec vec[1025];
    struct flow_error err;
    size_t i, n = 99;

    (void)state;
    for (i = 0; i < COUNT(vec); i++)
        vec[i] = (struct flow_cvec){ "x", 1 };
    assert_int_equal(flow_writev_all(&m->base, vec, COUNT(vec), 0x80, &n),
                     FLOW_E_INVAL);
    assert_int_equal(n, 0);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_string_equal(err.text, "unknown flags");
    assert_int_equal(
        flow_writev_all(&m->base, vec, COUNT(vec), FLOW_MORE | FLOW_FIN, &n),
        FLOW_E_INVAL);
    assert_int_equal(flow_writev_all(&m->base, vec, COUNT(vec), FLOW_FIN, &n),
                     FLOW_E_NOTSUP);
    vec[COUNT(vec) - 1].base = NULL;
    assert_int_equal(flow_writev_all(&m->base, vec, COUNT(vec), 0, &n),
                     FLOW_E_INVAL);
    assert_int_equal(flow_writev_all(&m->base, NULL, 0, 0x80, &n),
                     FLOW_E_INVAL);
    assert_int_equal(n, 0);
    assert_int_equal(m->writes, 0);
    assert_int_equal(m->shutdowns, 0);
    flow_close(&m->base);
}

static void
open_wait_drives_the_opening(void **state)
{
    struct flow_fault_plan plan;
    struct mock *m;
    struct flow *f;

    (void)state;
    m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    flow_fault_plan_init(&plan);
    plan.delay = SEC;
    assert_int_equal(flow_fault_wrap(&m->base, &plan, &f), FLOW_OK);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    assert_int_equal(m->opens, 1);
    assert_true(fake.now >= 2 * SEC);
    flow_close(f);
}

static void
copy_moves_until_the_end_or_the_limit(void **state)
{
    struct mock *from = mock_new(&fake.env, MOCK_CAPS);
    struct mock *to = mock_new(&fake.env, MOCK_CAPS);
    uint64_t n;

    (void)state;
    from->read_max = 1000;
    to->write_max = 300;
    assert_int_equal(flow_copy(&from->base, &to->base, 2500, &n), FLOW_OK);
    assert_int_equal(n, 2500);
    assert_int_equal(from->reads, 3);
    assert_int_equal(to->flushes, 1);
    from->read_st = FLOW_EOF;
    assert_int_equal(flow_copy(&from->base, &to->base, UINT64_MAX, &n),
                     FLOW_EOF);
    assert_int_equal(n, 0);
    assert_int_equal(to->shutdowns, 0);
    flow_close(&from->base);

    from = mock_new(&fake.env, MOCK_CAPS);
    to->write_st = FLOW_E_RESET;
    assert_int_equal(flow_copy(&from->base, &to->base, 10, &n), FLOW_E_RESET);
    assert_int_equal(n, 0);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow_copy(&from->base, &to->base, 10, NULL), FLOW_E_NOMEM);
    flow_close(&from->base);
    flow_close(&to->base);
}

static void
copy_obeys_the_write_deadline_of_a_busy_destination(void **state)
{
    struct mock *from = mock_new(&fake.env, MOCK_CAPS);
    struct mock *to = mock_new(&fake.env, MOCK_CAPS);
    struct flow_error err;
    uint64_t n;

    (void)state;
    flow_set_deadline(&to->base, FLOW_WRITE, fake.now);
    assert_int_equal(flow_copy(&from->base, &to->base, 1 << 20, &n),
                     FLOW_E_TIMEOUT);
    assert_true(n > 0 && n < 1 << 20);
    flow_get_error(&to->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_TIMEOUT);
    flow_close(&from->base);
    flow_close(&to->base);
}

/* The source is silent, and the destination's deadline passes first. */
static void
copy_obeys_the_write_deadline_while_it_waits_to_read(void **state)
{
    const enum flow_status flush[] = { FLOW_OK, FLOW_AGAIN };
    struct mock *from, *to;
    struct flow_error err;
    uint64_t start, n;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(flush); i++) {
        from = mock_new(&fake.env, MOCK_CAPS);
        to = mock_new(&fake.env, MOCK_CAPS);
        from->read_st = FLOW_AGAIN;
        from->ready = 0;
        to->flush_st = flush[i];
        to->ready = 0;
        start = fake.now;
        flow_set_deadline(&from->base, FLOW_READ, start + 3 * SEC);
        flow_set_deadline(&to->base, FLOW_WRITE, start + SEC);
        flow_set_deadline(&to->base, FLOW_READ, start + SEC / 2);
        assert_int_equal(flow_copy(&from->base, &to->base, 10, &n),
                         FLOW_E_TIMEOUT);
        assert_int_equal(fake.now, start + SEC);
        flow_get_error(&to->base, FLOW_WRITE, &err);
        assert_int_equal(err.status, FLOW_E_TIMEOUT);

        /* No byte was lost, and the copy continues after a new deadline. */
        flow_set_deadline(&to->base, FLOW_WRITE, FLOW_NEVER);
        assert_int_equal(flow_copy(&from->base, &to->base, 10, &n),
                         FLOW_E_TIMEOUT);
        assert_int_equal(fake.now, start + 3 * SEC);
        flow_get_error(&from->base, FLOW_READ, &err);
        assert_int_equal(err.status, FLOW_E_TIMEOUT);
        flow_close(&from->base);
        flow_close(&to->base);
    }
}

struct copier {
    struct flow *from, *to;
    enum flow_status st;
};

static void *
run_copy(void *arg)
{
    struct copier *c = arg;

    c->st = flow_copy(c->from, c->to, UINT64_MAX, NULL);
    return NULL;
}

/* An event of the destination wakes a copy that waits for the source. */
static void
copy_that_waits_to_read_sees_its_destination_change(void **state)
{
    struct flow *in[2], *out[2];
    struct copier c;
    pthread_t thread;
    int i, round;

    (void)state;
    for (round = 0; round < 40; round++) {
        duct_new(flow_env_default(), 16, in);
        duct_new(flow_env_default(), 16, out);
        c = (struct copier){ in[1], out[0], FLOW_OK };
        assert_int_equal(pthread_create(&thread, NULL, run_copy, &c), 0);
        if ((round & 1) != 0)
            sched_yield();
        if ((round & 2) != 0) {
            flow_abort(out[0]);
        } else {
            flow_set_deadline(out[0], FLOW_WRITE, flow_now(out[0]) + 60 * SEC);
            flow_set_deadline(out[0], FLOW_WRITE, FLOW_NOW);
        }
        pthread_join(thread, NULL);
        assert_int_equal(c.st,
                         (round & 2) != 0 ? FLOW_E_CANCELED : FLOW_E_TIMEOUT);
        for (i = 0; i < 2; i++) {
            flow_close(in[i]);
            flow_close(out[i]);
        }
    }
}

static void
finish_ends_both_directions(void **state)
{
    struct flow_finish_result result;
    char buf[4];
    size_t n;

    (void)state;
    put(end[1], "unread");
    assert_int_equal(flow_shutdown(end[1], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_finish(end[0], fake.now + SEC, 100, &result),
                     FLOW_OK);
    assert_int_equal(result.ours, FLOW_END_ORDERLY);
    assert_int_equal(result.peers, FLOW_END_ORDERLY);
    assert_int_equal(result.drained, 6);
    assert_int_equal(flow_read(end[1], buf, 4, &n), FLOW_EOF);
    end[0] = NULL;
}

static void
finish_gives_up_at_its_deadline(void **state)
{
    struct flow_finish_result result;
    uint64_t begin = fake.now;

    (void)state;
    assert_int_equal(flow_finish(end[0], begin + SEC, 100, &result),
                     FLOW_E_TIMEOUT);
    assert_int_equal(result.ours, FLOW_END_ORDERLY);
    assert_int_equal(result.peers, FLOW_END_NONE);
    assert_true(fake.now == begin + SEC);
    end[0] = NULL;
}

static void
finish_does_not_drain_for_ever(void **state)
{
    struct flow_finish_result result;
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);

    (void)state;
    assert_int_equal(flow_finish(&m->base, FLOW_NEVER, 1000000, &result),
                     FLOW_E_CANCELED);
    assert_true(result.drained <= 1000000);
    put(end[1], "abc");
    assert_int_equal(flow_shutdown(end[1], FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_finish(end[0], FLOW_NEVER, 3, &result), FLOW_OK);
    assert_int_equal(result.drained, 3);
    end[0] = NULL;
}

static void
finish_without_half_close_reports_quality_gone(void **state)
{
    struct flow_finish_result result;
    struct mock *m = mock_new(&fake.env, FLOW_CAP_DUPLEX);

    (void)state;
    m->read_st = FLOW_EOF;
    assert_int_equal(flow_finish(&m->base, FLOW_NEVER, 0, &result), FLOW_OK);
    assert_int_equal(result.ours, FLOW_END_GONE);
    assert_int_equal(result.peers, FLOW_END_GONE);
}

/* One thread reads and one writes at each end, while others move deadlines;
 * finally one end is aborted while threads wait on it. */
struct party {
    struct flow *f;
    uint64_t moved;
    enum flow_status st;
};

#define MANY 60000u

static void *
write_many(void *arg)
{
    struct party *p = arg;
    char buf[7] = "abcdefg";
    size_t n;

    while (p->moved < MANY) {
        p->st = flow_write_all(p->f, buf, sizeof(buf), &n);
        p->moved += n;
        if (p->st != FLOW_OK && p->st != FLOW_E_TIMEOUT)
            return NULL;
    }
    return NULL;
}

static void *
read_many(void *arg)
{
    struct party *p = arg;
    char buf[5];
    size_t n;

    for (;;) {
        p->st = flow_read_wait(p->f, buf, sizeof(buf), &n);
        p->moved += n;
        if (p->st != FLOW_OK && p->st != FLOW_E_TIMEOUT)
            return NULL;
    }
}

static void
reader_and_writer_threads_survive_moved_deadlines_and_an_abort(void **state)
{
    struct flow *live[2];
    struct party writer, reader, idle;
    pthread_t thread[3];
    int i;

    (void)state;
    duct_new(flow_env_default(), 16, live);
    writer = (struct party){ .f = live[0] };
    idle = (struct party){ .f = live[0] };
    reader = (struct party){ .f = live[1] };
    pthread_create(&thread[0], NULL, write_many, &writer);
    pthread_create(&thread[1], NULL, read_many, &reader);
    pthread_create(&thread[2], NULL, read_many, &idle);
    for (i = 0; i < 200; i++) {
        flow_set_deadline(live[1], FLOW_READ, FLOW_NOW);
        flow_set_deadline(live[1], FLOW_READ, FLOW_NEVER);
        flow_set_deadline(live[0], FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    }
    pthread_join(thread[0], NULL);
    assert_int_equal(flow_shutdown(live[0], FLOW_WRITE), FLOW_OK);
    pthread_join(thread[1], NULL);
    assert_int_equal(reader.st, FLOW_EOF);
    assert_int_equal(reader.moved, writer.moved);
    flow_abort(live[0]);
    pthread_join(thread[2], NULL);
    assert_int_equal(idle.st, FLOW_E_CANCELED);
    flow_close(live[0]);
    flow_close(live[1]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(read_exact_tells_where_the_stream_ended),
        TEST(timeout_reports_the_bytes_so_far),
        TEST(steady_trickle_does_not_defeat_the_deadline),
        TEST(write_all_flushes_and_fin_ends),
        TEST(fin_without_bytes_ends_and_empty_write_sends_no_bytes),
        TEST(vector_longer_than_one_call_is_written_whole),
        TEST(invalid_arguments_are_refused_before_the_first_write),
        TEST(open_wait_drives_the_opening),
        TEST(copy_moves_until_the_end_or_the_limit),
        TEST(copy_obeys_the_write_deadline_of_a_busy_destination),
        TEST(copy_obeys_the_write_deadline_while_it_waits_to_read),
        TEST(copy_that_waits_to_read_sees_its_destination_change),
        TEST(finish_ends_both_directions),
        TEST(finish_gives_up_at_its_deadline),
        TEST(finish_does_not_drain_for_ever),
        TEST(finish_without_half_close_reports_quality_gone),
        TEST(reader_and_writer_threads_survive_moved_deadlines_and_an_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
