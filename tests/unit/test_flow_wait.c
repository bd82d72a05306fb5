/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <flow/flow.h>
#include <flow/trace.h>
#include <flow/util.h>

#include "fixture.h"
#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/plat.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

#include "tests/support/child.h"

#define SEC UINT64_C(1000000000)
#define ALL                                                                    \
    (FLOW_READY_READ | FLOW_READY_WRITE | FLOW_READY_FLUSH | FLOW_READY_OPEN)

static uint32_t
ask(struct mock *m, uint32_t interest, struct flow_wait_set *set)
{
    flow_wait_set_init(set);
    return flow_wait_sources(&m->base, interest, set);
}

static void
wait_reports_the_readiness_of_the_backend(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_wait_set set;

    (void)state;
    m->ready = FLOW_READY_WRITE;
    m->time = 5 * SEC;
    assert_int_equal(ask(m, FLOW_READY_READ | FLOW_READY_WRITE, &set),
                     FLOW_READY_WRITE);
    assert_int_equal(set.deadline, FLOW_NEVER);
    assert_int_equal(ask(m, FLOW_READY_READ, &set), 0);
    assert_int_equal(m->interest, FLOW_READY_READ);
    assert_true(set.deadline == 5 * SEC);
    assert_int_equal(ask(m, 0, &set), 0);
    flow_close(&m->base);
}

/* Its deadline neither, which counts for both directions until the flow is
 * open. */
static void
flow_without_interest_has_no_wait_sources(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct mock *shy = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    struct flow_wait_item items[2] = { { &m->base, FLOW_READY_READ, 0 },
                                       { &shy->base, 0, 0 } };

    (void)state;
    m->ready = 0;
    flow_set_deadline(&shy->base, FLOW_READ | FLOW_WRITE, FLOW_NOW);
    assert_int_equal(flow_wait_any(items, 2, 5 * SEC), FLOW_E_TIMEOUT);
    assert_true(fake.now == 5 * SEC);
    flow_close(&m->base);
    flow_close(&shy->base);
}

/* A thread on a stack that the test provides. */
#define STACK_SIZE ((size_t)1 << 20)

static void *
wait_for_abort(void *arg)
{
    struct mock *m = arg;
    struct flow_wait_item item = { &m->base, FLOW_READY_READ, 0 };

    return flow_wait_any(&item, 1, FLOW_NEVER) == FLOW_OK ? m : NULL;
}

static bool
has_sleeper(struct flow_event *ev)
{
    bool armed;

    flow__wait_lock();
    armed = ev->head != NULL;
    flow__wait_unlock();
    return armed;
}

/* The child does not have the thread, and reuses its stack. */
static void
wait_keeps_no_pointer_to_the_stack_of_its_thread(void **state)
{
    struct mock *m = mock_new(flow_env_default(), MOCK_CAPS);
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attr;
    pthread_t thread;
    void *result;
    pid_t child;

    (void)state;
    m->ready = 0;
    assert_true(stack != MAP_FAILED);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attr, wait_for_abort, m), 0);
    while (!has_sleeper(&m->base.wake[0]))
        sched_yield();
    child = child_begin();
    if (child == 0) {
        CHILD_CHECK(munmap(stack, STACK_SIZE) == 0);
        flow_wake(&m->base, FLOW_READ | FLOW_WRITE);
        flow_close(&m->base);
        child_end_without_threads();
    }
    child_join(child);
    flow_abort(&m->base);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, m);
    flow_close(&m->base);
    pthread_attr_destroy(&attr);
    munmap(stack, STACK_SIZE);
}

static void
wait_set_contains_the_deadline(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_wait_set set;

    (void)state;
    m->ready = 0;
    flow_set_deadline(&m->base, FLOW_READ, 7 * SEC);
    flow_set_deadline(&m->base, FLOW_WRITE, 5 * SEC);
    ask(m, FLOW_READY_READ, &set);
    assert_true(set.deadline == 7 * SEC);
    ask(m, FLOW_READY_FLUSH, &set);
    assert_true(set.deadline == 5 * SEC);
    ask(m, FLOW_READY_READ | FLOW_READY_WRITE, &set);
    assert_true(set.deadline == 5 * SEC);
    m->time = 3 * SEC;
    ask(m, FLOW_READY_READ, &set);
    assert_true(set.deadline == 3 * SEC);
    flow_close(&m->base);
}

static void
ended_direction_is_ready(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_wait_set set;
    char buf[4];
    size_t n;

    (void)state;
    m->ready = 0;
    m->read_st = FLOW_EOF;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_EOF);
    assert_int_equal(ask(m, FLOW_READY_READ, &set), FLOW_READY_READ);
    m->shutdown_st = FLOW_AGAIN;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_AGAIN);
    assert_int_equal(ask(m, FLOW_READY_WRITE, &set), FLOW_READY_WRITE);
    assert_int_equal(ask(m, FLOW_READY_FLUSH, &set), 0);
    m->shutdown_st = FLOW_OK;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_OK);
    assert_int_equal(ask(m, FLOW_READY_FLUSH, &set), FLOW_READY_FLUSH);
    flow_close(&m->base);
}

static void
aborted_flow_is_ready_for_everything(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    struct flow_wait_set set;

    (void)state;
    m->ready = 0;
    flow_abort(&m->base);
    assert_int_equal(ask(m, ALL, &set), ALL);
    assert_int_equal(m->waits, 0);
    flow_close(&m->base);
}

static void
operations_of_an_unopened_flow_wait_for_its_opening(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    struct flow_wait_set set;

    (void)state;
    m->ready = 0;
    flow_set_deadline(&m->base, FLOW_WRITE, 9 * SEC);
    assert_int_equal(ask(m, FLOW_READY_READ, &set), 0);
    assert_int_equal(m->interest, FLOW_READY_OPEN);
    assert_true(set.deadline == 9 * SEC);
    m->ready = FLOW_READY_OPEN;
    assert_int_equal(ask(m, ALL, &set), ALL);
    /* A passed deadline is an answer too: the opening fails for good. */
    m->ready = 0;
    fake.now = 9 * SEC;
    assert_int_equal(ask(m, FLOW_READY_READ, &set), FLOW_READY_READ);
    flow_close(&m->base);
}

static void
opened_flow_is_ready_for_open(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_wait_set set;

    (void)state;
    m->ready = 0;
    assert_int_equal(ask(m, FLOW_READY_OPEN, &set), FLOW_READY_OPEN);
    flow_close(&m->base);
}

/* The same for a flow that another thread opened. */
static void
filter_is_open_when_its_lower_flow_is(void **state)
{
    struct mock *low = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    struct mock *top = mock_wrap(
        &low->base, true, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN | FLOW_CAP_FILTER);
    struct flow_wait_set set;

    (void)state;
    top->ready = 0;
    assert_int_equal(ask(top, FLOW_READY_OPEN, &set), 0);
    assert_int_equal(flow_open(&low->base), FLOW_OK);
    assert_int_equal(ask(top, FLOW_READY_OPEN, &set), FLOW_READY_OPEN);
    flow_close(&top->base);
}

/* The deadline below is not the caller's, and as a source it would wake the
 * caller for ever. */
static void
passed_deadline_of_the_lower_flow_is_not_a_wait_source(void **state)
{
    struct mock *low = mock_new(&fake.env, MOCK_CAPS);
    struct flow_wait_set set;
    struct flow *top;

    (void)state;
    low->ready = 0;
    flow_set_deadline(&low->base, FLOW_READ, 3 * SEC);
    assert_int_equal(flow_trace_wrap(&low->base, NULL, NULL, &top), FLOW_OK);
    flow_set_deadline(top, FLOW_READ, 9 * SEC);
    fake.now = 4 * SEC;
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(top, FLOW_READY_READ, &set), 0);
    assert_true(set.deadline == 9 * SEC);
    assert_int_equal(flow_wait(top, FLOW_READY_READ, NULL), FLOW_E_TIMEOUT);
    assert_true(fake.now == 9 * SEC);
    /* The lower flow itself still obeys its deadline. */
    assert_int_equal(flow_wait(&low->base, FLOW_READY_READ, NULL),
                     FLOW_E_TIMEOUT);
    flow_close(top);
}

static void
timeout_is_not_sticky(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS);
    struct flow_error err;
    uint32_t ready = 99;
    char buf[4];
    size_t n;

    (void)state;
    m->ready = 0;
    flow_set_deadline(&m->base, FLOW_READ, 3 * SEC);
    assert_int_equal(flow_wait(&m->base, FLOW_READY_READ, &ready),
                     FLOW_E_TIMEOUT);
    assert_int_equal(ready, 0);
    assert_true(fake.now == 3 * SEC);
    flow_get_error(&m->base, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_E_TIMEOUT);
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_OK);
    flow_set_deadline(&m->base, FLOW_READ, FLOW_NOW);
    assert_int_equal(flow_wait(&m->base, FLOW_READY_READ, NULL),
                     FLOW_E_TIMEOUT);
    /* An event that has already happened counts, even after the deadline. */
    m->ready = FLOW_READY_READ;
    assert_int_equal(flow_wait(&m->base, FLOW_READY_READ, &ready), FLOW_OK);
    assert_int_equal(ready, FLOW_READY_READ);
    assert_int_equal(flow_wait(&m->base, 0, &ready), FLOW_E_INVAL);
    assert_int_equal(flow_wait(&m->base, 0x100, &ready), FLOW_E_INVAL);
    flow_close(&m->base);
}

/* A thread that waits on a flow that is never ready. */
struct sleeper {
    struct flow *f;
    uint32_t interest;
    enum flow_status st;
    uint32_t ready;
    unsigned started; /* atomic */
};

static void *
sleep_on(void *arg)
{
    struct sleeper *s = arg;

    flow__store(&s->started, 1);
    s->st = flow_wait(s->f, s->interest, &s->ready);
    return NULL;
}

static pthread_t
start(struct sleeper *s, struct flow *f, uint32_t interest)
{
    pthread_t thread;

    *s = (struct sleeper){ .f = f, .interest = interest };
    assert_int_equal(pthread_create(&thread, NULL, sleep_on, s), 0);
    while (flow__load(&s->started) == 0)
        continue;
    return thread;
}

static void
abort_wakes_waiting_threads(void **state)
{
    struct mock *m = mock_new(flow_env_default(), MOCK_CAPS);
    struct sleeper reader, writer;
    pthread_t a, b;

    (void)state;
    m->ready = 0;
    a = start(&reader, &m->base, FLOW_READY_READ);
    b = start(&writer, &m->base, FLOW_READY_WRITE);
    flow_abort(&m->base);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    assert_int_equal(reader.st, FLOW_OK);
    assert_int_equal(writer.st, FLOW_OK);
    flow_close(&m->base);
}

static void
moved_deadline_wakes_the_waiting_thread(void **state)
{
    struct mock *m = mock_new(flow_env_default(), MOCK_CAPS);
    struct sleeper reader;
    pthread_t thread;

    (void)state;
    m->ready = 0;
    thread = start(&reader, &m->base, FLOW_READY_READ);
    flow_set_deadline(&m->base, FLOW_WRITE, FLOW_NOW);
    flow_set_deadline(&m->base, FLOW_READ, FLOW_NOW);
    pthread_join(thread, NULL);
    assert_int_equal(reader.st, FLOW_E_TIMEOUT);
    flow_close(&m->base);
}

static void
wakeup_of_the_lower_flow_wakes_the_waiter_above(void **state)
{
    struct mock *low = mock_new(flow_env_default(), MOCK_CAPS);
    struct mock *top = mock_wrap(&low->base, true, MOCK_CAPS);
    struct sleeper reader;
    pthread_t thread;

    (void)state;
    top->ready = 0;
    thread = start(&reader, &top->base, FLOW_READY_READ);
    /* Ends the wait only if the thread looks again after a wakeup. */
    flow__store(&top->base.state[0], (int8_t)FLOW_E_RESET);
    flow_wake(&low->base, FLOW_WRITE);
    pthread_join(thread, NULL);
    assert_int_equal(reader.st, FLOW_OK);
    flow_close(&top->base);
}

/* An opening of many steps, driven by two threads in turn; each sleeps while
 * the other one makes a step. */
struct slow {
    struct flow base;
    unsigned steps;  /* only touched inside open */
    unsigned inside; /* atomic */
};

#define STEPS 2000u

static enum flow_status
slow_open(struct flow *f)
{
    struct slow *s = (struct slow *)(void *)f;

    assert_int_equal(flow__swap(&s->inside, 1), 0);
    s->steps++;
    flow__store(&s->inside, 0);
    return s->steps < STEPS ? FLOW_AGAIN : FLOW_OK;
}

static uint32_t
slow_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct slow *s = (struct slow *)(void *)f;

    (void)set;
    if (interest == FLOW_READY_OPEN) {
        assert_int_equal(flow__swap(&s->inside, 1), 0);
        flow__store(&s->inside, 0);
    }
    return interest;
}

static enum flow_status
slow_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    (void)f;
    *ret_len = flow_vec_len(vec, count);
    return FLOW_OK;
}

static enum flow_status
slow_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    (void)f;
    (void)flags;
    *ret_len = flow_cvec_len(vec, count);
    return FLOW_OK;
}

static void
slow_close(struct flow *f)
{
    flow_base_fini(f);
}

static const struct flow_ops slow_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "slow",
    .readv = slow_readv,
    .writev = slow_writev,
    .wait = slow_wait,
    .close = slow_close,
    .open = slow_open,
};

static void *
write_one(void *arg)
{
    enum flow_status st;
    size_t n;

    for (;;) {
        st = flow_write(arg, "x", 1, &n);
        if (st != FLOW_AGAIN)
            break;
        assert_int_equal(flow_wait(arg, FLOW_READY_WRITE, NULL), FLOW_OK);
    }
    assert_int_equal(st, FLOW_OK);
    return NULL;
}

static void
one_thread_at_a_time_opens_the_flow(void **state)
{
    struct slow s = { .steps = 0 };
    enum flow_status st;
    pthread_t thread;
    char buf[1];
    size_t n;

    (void)state;
    assert_int_equal(flow_base_init(&s.base, &slow_ops, flow_env_default(),
                                    FLOW_CAP_DUPLEX | FLOW_CAP_NEEDS_OPEN),
                     FLOW_OK);
    assert_int_equal(pthread_create(&thread, NULL, write_one, &s.base), 0);
    for (;;) {
        st = flow_read(&s.base, buf, 1, &n);
        if (st != FLOW_AGAIN)
            break;
        assert_int_equal(flow_wait(&s.base, FLOW_READY_READ, NULL), FLOW_OK);
    }
    assert_int_equal(st, FLOW_OK);
    pthread_join(thread, NULL);
    assert_int_equal(s.steps, STEPS);
    flow_close(&s.base);
}

/* A thread that read the state before another thread's step failed. */
static void
failed_opening_is_not_tried_again(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    size_t n;

    (void)state;
    m->open_st = FLOW_E_PROTO;
    assert_int_equal(flow_open(&m->base), FLOW_E_PROTO);
    m->open_st = FLOW_OK;
    assert_int_equal(flow__drive_open(&m->base), FLOW_E_PROTO);
    assert_int_equal(m->opens, 1);
    flow_close(&m->base);

    /* Reading that was shut down before does not count as such a failure. */
    m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    assert_int_equal(flow_shutdown(&m->base, FLOW_READ), FLOW_OK);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_OK);
    assert_int_equal(m->opens, 1);
    flow_close(&m->base);
}

#define BROKEN_ROUNDS 5000

/* Flows whose opening fails, used by two threads at once.  Made again for each
 * round, between the barriers. */
static struct flow *broken;
static pthread_barrier_t broken_turn;

/* Whether a thread got past the opening, or got another status. */
static void
try_broken(enum flow_dir dir)
{
    enum flow_status st;
    char byte = 0;
    size_t n;

    do
        st = dir == FLOW_READ ? flow_read(broken, &byte, 1, &n)
                              : flow_write(broken, &byte, 1, &n);
    while (st == FLOW_AGAIN);
    assert_int_equal(st, FLOW_E_PROTO);
}

static void *
write_to_broken(void *arg)
{
    int round;

    (void)arg;
    for (round = 0; round < BROKEN_ROUNDS; round++) {
        pthread_barrier_wait(&broken_turn);
        try_broken(FLOW_WRITE);
        pthread_barrier_wait(&broken_turn);
    }
    return NULL;
}

static void
both_threads_get_the_status_of_a_failed_opening(void **state)
{
    struct mock *m;
    pthread_t thread;
    int round;

    (void)state;
    assert_int_equal(pthread_barrier_init(&broken_turn, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_to_broken, NULL), 0);
    for (round = 0; round < BROKEN_ROUNDS; round++) {
        m = mock_new(flow_env_default(), MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
        m->open_st = FLOW_E_PROTO;
        broken = &m->base;
        pthread_barrier_wait(&broken_turn);
        try_broken(FLOW_READ);
        pthread_barrier_wait(&broken_turn);
        assert_int_equal(m->opens, 1);
        assert_int_equal(m->reads + m->writes, 0);
        flow_close(&m->base);
    }
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&broken_turn);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wait_reports_the_readiness_of_the_backend),
        TEST(flow_without_interest_has_no_wait_sources),
        TEST(wait_keeps_no_pointer_to_the_stack_of_its_thread),
        TEST(wait_set_contains_the_deadline),
        TEST(ended_direction_is_ready),
        TEST(aborted_flow_is_ready_for_everything),
        TEST(operations_of_an_unopened_flow_wait_for_its_opening),
        TEST(opened_flow_is_ready_for_open),
        TEST(filter_is_open_when_its_lower_flow_is),
        TEST(passed_deadline_of_the_lower_flow_is_not_a_wait_source),
        TEST(timeout_is_not_sticky),
        TEST(abort_wakes_waiting_threads),
        TEST(moved_deadline_wakes_the_waiting_thread),
        TEST(wakeup_of_the_lower_flow_wakes_the_waiter_above),
        TEST(one_thread_at_a_time_opens_the_flow),
        TEST(failed_opening_is_not_tried_again),
        TEST(both_threads_get_the_status_of_a_failed_opening),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
