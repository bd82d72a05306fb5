/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <flow/tls.h>
#include <flow/util.h>

#include "contract.h"

#define SECOND UINT64_C(1000000000)

static uint64_t
now(void)
{
    return TEST_ENV->now(TEST_ENV->ctx);
}

/* Read from or write to a flow that is ready for it. */
static enum flow_status
act(struct flow *f, uint32_t bit)
{
    uint8_t buf[256] = { 0 };
    size_t n;

    if (bit == FLOW_READY_READ)
        return flow_read(f, buf, sizeof(buf), &n);
    return flow_write(f, buf, sizeof(buf), &n);
}

/* If a flow is ready, the operation does not answer AGAIN.  If a layer must
 * read to know whether it is ready, each attempt makes progress. */
static void
check_ready(struct ends *e, struct flow *f, uint32_t bit)
{
    unsigned tries = 0;

    while (step_ready(f, bit) != 0) {
        enum flow_status st = act(f, bit);

        if (st != FLOW_AGAIN)
            return;
        assert_false(contract_exact(e->stack));
        assert_true(++tries < 100000);
    }
}

static void
c34_ready_operation_does_not_answer_again(struct ends *e)
{
    uint64_t seed = 34;
    int i;

    step_open(e);
    for (i = 0; i < 300; i++) {
        uint64_t dice = test_random(&seed);
        struct flow *f = dice & 1 ? e->a : e->b;

        check_ready(e, f, dice & 2 ? FLOW_READY_READ : FLOW_READY_WRITE);
        if (dice & 4)
            check_ready(e, f, FLOW_READY_READ);
    }
    contract_end(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
}

static void
c35_sources_only_when_nothing_is_ready(struct ends *e)
{
    struct flow_wait_set set;

    step_open(e);
    flow_wait_set_init(&set);
    if (flow_wait_sources(e->a, FLOW_READY_READ, &set) == 0)
        assert_true(set.count > 0 || set.deadline != FLOW_NEVER);
    step_put(e, e->b, "x", 1);
    while (step_ready(e->a, FLOW_READY_READ) == 0)
        step_wait(e, FLOW_READY_READ, 0);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(e->a, FLOW_READY_READ, &set),
                     FLOW_READY_READ);
    assert_int_equal(set.count, 0);
    assert_int_equal(set.deadline, FLOW_NEVER);
    /* Nothing that was not asked for is reported. */
    assert_int_equal(
        flow_wait_sources(e->a, FLOW_READY_WRITE, &set) & ~FLOW_READY_WRITE, 0);
}

static void
c36_readiness_is_level_triggered(struct ends *e)
{
    const uint32_t all = FLOW_READY_READ | FLOW_READY_WRITE;
    uint32_t before;
    int i;

    step_open(e);
    before = step_ready(e->a, all);
    for (i = 0; i < 3; i++)
        assert_int_equal(step_ready(e->a, all), before);
    step_put(e, e->b, "xy", 2);
    while (step_ready(e->a, FLOW_READY_READ) == 0)
        step_wait(e, FLOW_READY_READ, 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(step_ready(e->a, FLOW_READY_READ), FLOW_READY_READ);
}

static void
c37_buffered_bytes_are_readable(struct ends *e)
{
    uint8_t data[100], byte;
    size_t i;

    step_open(e);
    test_fill(data, sizeof(data), 37);
    step_put(e, e->b, data, sizeof(data));
    for (i = 0; i < sizeof(data); i++) {
        step_get(e, e->a, &byte, 1);
        assert_int_equal(byte, data[i]);
        if (i + 1 < sizeof(data))
            assert_int_equal(step_ready(e->a, FLOW_READY_READ),
                             FLOW_READY_READ);
    }
    assert_status(step_drain(e, e->a, NULL), FLOW_AGAIN);
    assert_int_equal(step_ready(e->a, FLOW_READY_READ), 0);
}

static void
c38_ends_and_errors_are_ready(struct ends *e)
{
    step_open(e);
    contract_end(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    assert_int_equal(step_ready(e->a, FLOW_READY_READ), FLOW_READY_READ);
    if (e->b != NULL)
        assert_int_equal(step_ready(e->b, FLOW_READY_WRITE), FLOW_READY_WRITE);
    flow_abort(e->a);
    assert_int_equal(step_ready(e->a, FLOW_READY_READ | FLOW_READY_WRITE),
                     FLOW_READY_READ | FLOW_READY_WRITE);
}

static void
c39_pending_shutdown_is_waited_for_with_flush(struct ends *e)
{
    struct flow_wait_set set;
    enum flow_status st;
    size_t sent;

    step_open(e);
    if (!contract_half_close(e->a))
        return;
    sent = contract_fill(e->a, 39);
    st = flow_shutdown(e->a, FLOW_WRITE);
    assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
    flow_wait_set_init(&set);
    if (st == FLOW_AGAIN &&
        flow_wait_sources(e->a, FLOW_READY_FLUSH, &set) == 0)
        assert_true(set.count > 0 || set.deadline != FLOW_NEVER);
    /* step_get() drives the shutdown with flow_flush(). */
    contract_take(e, e->b, sent, 39);
    step_shutdown(e, e->a);
    assert_status(step_end(e, e->b, &sent), FLOW_EOF);
    assert_int_equal(sent, 0);
}

/* A thread that reads bytes one by one and waits whenever there is none. */
struct sleeper {
    pthread_t thread;
    struct flow *f;
    size_t want;
    size_t got;
    enum flow_status status;
};

static void *
sleep_and_read(void *arg)
{
    struct sleeper *s = arg;
    uint8_t byte;
    size_t n;

    while (s->got < s->want) {
        s->status = flow_read(s->f, &byte, 1, &n);
        s->got += n;
        if (s->status == FLOW_AGAIN)
            s->status = flow_wait(s->f, FLOW_READY_READ, NULL);
        if (s->status != FLOW_OK)
            break;
    }
    return NULL;
}

static void
sleeper_start(struct sleeper *s, struct flow *f, size_t want)
{
    memset(s, 0, sizeof(*s));
    s->f = f;
    s->want = want;
    assert_int_equal(pthread_create(&s->thread, NULL, sleep_and_read, s), 0);
}

/* What happened before may have signalled a source that the flow has not looked
 * at yet; asking again consumes it. */
static void
ask_until_quiet(struct flow *f, struct flow_wait_set *set)
{
    do {
        flow_wait_set_init(set);
        assert_int_equal(flow_wait_sources(f, FLOW_READY_READ, set), 0);
    } while (step_signalled(set));
}

static void
c40_no_wakeup_is_lost(struct ends *e)
{
    struct sleeper s;
    int i, j;

    step_open(e);
    sleeper_start(&s, e->b, 300);
    for (i = 0; i < 300; i++) {
        enum flow_status st;
        size_t n;

        while ((st = flow_write(e->a, "x", 1, &n)) == FLOW_AGAIN)
            assert_status(flow_wait(e->a, FLOW_READY_WRITE, NULL), FLOW_OK);
        assert_status(st, FLOW_OK);
        assert_status(flow_flush_wait(e->a), FLOW_OK);
        /* Vary how often the reader falls asleep. */
        for (j = 0; j < i * 50; j++)
            atomic_fetch_add(&test_env.total, 0);
    }
    assert_int_equal(pthread_join(s.thread, NULL), 0);
    assert_status(s.status, FLOW_OK);
    assert_int_equal(s.got, 300);
}

static void
c41_waiting_to_read_does_not_wait_for_room(struct ends *e)
{
    struct flow_wait_set set;
    size_t i;

    step_open(e);
    (void)contract_fill(e->a, 41);
    flow_wait_set_init(&set);
    if (flow_wait_sources(e->a, FLOW_READY_READ, &set) == 0)
        for (i = 0; i < set.count; i++)
            if (set.source[i].kind == FLOW_WAIT_FD)
                assert_int_equal(set.source[i].events, FLOW_WAIT_IN);
    step_pass(e, e->b, 1000, 41);
}

static void
c42_timeout_loses_no_bytes(struct ends *e)
{
    uint8_t buf[20];
    size_t n = 99;

    step_open(e);
    test_env_stop_clock();
    flow_set_deadline(e->a, FLOW_READ, now() + SECOND);
    assert_status(flow_wait(e->a, FLOW_READY_READ, NULL), FLOW_E_TIMEOUT);
    assert_status(flow_read_wait(e->a, buf, sizeof(buf), &n), FLOW_E_TIMEOUT);
    assert_int_equal(n, 0);
    /* Each direction has a deadline of its own. */
    assert_status(flow_write_all(e->a, "ping", 4, &n), FLOW_OK);
    step_get(e, e->b, buf, 4);
    step_put(e, e->b, "0123456789", 10);
    flow_set_deadline(e->a, FLOW_READ, now() + SECOND);
    assert_status(flow_read_exact(e->a, buf, 20, &n), FLOW_E_TIMEOUT);
    assert_int_equal(n, 10);
    assert_memory_equal(buf, "0123456789", 10);
    flow_set_deadline(e->a, FLOW_READ, FLOW_NEVER);
    test_env.manual = false;
    step_pass(e, e->b, 500, 42);
    step_pass(e, e->a, 500, 43);
}

static void
c43_operations_ignore_deadlines(struct ends *e)
{
    step_open(e);
    flow_set_deadline(e->a, FLOW_READ | FLOW_WRITE, FLOW_NOW);
    step_put(e, e->b, "0123456789", 10);
    flow_set_deadline(e->b, FLOW_READ | FLOW_WRITE, FLOW_NOW);
    {
        uint8_t buf[10];
        enum flow_status st;
        size_t n, got = 0, tries = 0;

        while (got < 10 && tries++ < 1000) {
            st = flow_read(e->a, buf + got, 10 - got, &n);
            assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
            got += n;
        }
        assert_int_equal(got, 10);
        do
            st = flow_write(e->a, buf, 10, &n);
        while (st == FLOW_AGAIN && tries++ < 1000);
        assert_status(st, FLOW_OK);
    }
}

static void
c44_deadlines_are_wait_sources(struct ends *e)
{
    struct flow_wait_set set;
    uint64_t when = now() + 3600 * SECOND;

    step_open(e);
    flow_set_deadline(e->a, FLOW_READ, when);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(e->a, FLOW_READY_READ, &set), 0);
    /* If a layer polls its peer by the clock, the set has an earlier time. */
    assert_in_range(set.deadline, FLOW_NOW, when);
    flow_set_deadline(e->a, FLOW_READ, FLOW_NEVER);
    flow_set_deadline(e->a, FLOW_WRITE, when);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(e->a, FLOW_READY_READ, &set), 0);
    assert_int_not_equal(set.deadline, when);
}

static void
c45_opening_past_its_deadline_fails(struct ends *e)
{
    uint8_t byte;
    size_t n;

    test_env_stop_clock();
    flow_set_deadline(e->a, FLOW_READ, now() + SECOND);
    flow_set_deadline(e->a, FLOW_WRITE, now() + 2 * SECOND);
    if (e->stack->tls == 0) {
        assert_status(flow_open_wait(e->a), FLOW_OK);
        return;
    }
    /* b is not driven, so the handshake gets no answer. */
    assert_status(flow_open_wait(e->a), FLOW_E_TIMEOUT);
    flow_set_deadline(e->a, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    assert_status(flow_open(e->a), FLOW_E_TIMEOUT);
    assert_status(flow_read(e->a, &byte, 1, &n), FLOW_E_TIMEOUT);
    assert_status(flow_write(e->a, &byte, 1, &n), FLOW_E_TIMEOUT);
}

static void
c46_moving_a_deadline_wakes_the_waiter(struct ends *e)
{
    struct flow_wait_set set;
    struct sleeper s;
    size_t i;

    step_open(e);
    for (i = 0; i < 20; i++) {
        flow_set_deadline(e->b, FLOW_READ, now() + 3600 * SECOND);
        sleeper_start(&s, e->b, 1);
        if (i % 2)
            sched_yield();
        flow_set_deadline(e->b, FLOW_READ, FLOW_NOW);
        assert_int_equal(pthread_join(s.thread, NULL), 0);
        assert_status(s.status, FLOW_E_TIMEOUT);
    }
    flow_set_deadline(e->b, FLOW_READ, FLOW_NEVER);
    ask_until_quiet(e->b, &set);
    flow_set_deadline(e->b, FLOW_READ, now() + 3600 * SECOND);
    assert_true(step_signalled(&set));
    flow_set_deadline(e->b, FLOW_READ, FLOW_NEVER);
    step_pass(e, e->a, 100, 46);
}

/* The timeout is relative to the clock of the flow's environment. */
static void
c46_timeout_counts_from_now(struct ends *e)
{
    uint64_t begin;

    step_open(e);
    test_env_stop_clock();
    begin = flow_now(e->a);
    assert_int_equal(begin, now());
    flow_set_timeout(e->a, FLOW_READ, 3 * SECOND);
    assert_status(flow_wait(e->a, FLOW_READY_READ, NULL), FLOW_E_TIMEOUT);
    assert_in_range(flow_now(e->a), begin + 3 * SECOND, begin + 4 * SECOND);
    /* 0 removes the timeout; the other direction never had one. */
    flow_set_timeout(e->a, FLOW_READ, 0);
    test_env.manual = false;
    step_pass(e, e->b, 100, 46);
    step_pass(e, e->a, 100, 47);
}

static void
c47_abort_cancels_both_directions(struct ends *e)
{
    struct flow_wait_set set;
    struct sleeper s;
    uint8_t byte;
    size_t n;

    step_open(e);
    ask_until_quiet(e->b, &set);
    sleeper_start(&s, e->b, 1);
    sched_yield();
    assert_false(step_signalled(&set));
    flow_abort(e->b);
    assert_true(step_signalled(&set));
    assert_int_equal(pthread_join(s.thread, NULL), 0);
    assert_status(flow_read(e->b, &byte, 1, &n), FLOW_E_CANCELED);
    assert_status(flow_write(e->b, &byte, 1, &n), FLOW_E_CANCELED);
    assert_status(flow_flush(e->b), FLOW_E_CANCELED);
    assert_status(flow_shutdown(e->b, FLOW_WRITE),
                  flow_caps(e->b) & FLOW_CAP_HALF_CLOSE_WRITE ? FLOW_E_CANCELED
                                                              : FLOW_E_NOTSUP);
    /* Nothing was sent. */
    assert_status(step_drain(e, e->a, &n), FLOW_AGAIN);
    assert_int_equal(n, 0);
}

/* An aborted flow is truncated or reset for its peer, not ended. */
static void
c47_aborted_flow_has_no_orderly_end(struct ends *e)
{
    enum flow_status st;

    step_open(e);
    step_pass(e, e->a, 100, 47);
    flow_abort(e->a);
    flow_close(e->a);
    e->a = NULL;
    st = step_end(e, e->b, NULL);
    if (e->stack->tls > 0)
        assert_status_in(st, STATUS_BIT(FLOW_E_TRUNCATED) |
                                 STATUS_BIT(FLOW_E_RESET));
    else
        assert_status_in(st, e->stack->backend->aborted);
}

/* After both directions have ended, an abort loses no bytes. */
static void
c47_abort_after_both_ends_changes_nothing(struct ends *e)
{
    uint8_t data[2000];
    size_t n;

    step_open(e);
    /* If the marker of an outer layer is unread, close sends a reset, with or
     * without an abort. */
    if (!contract_half_close(e->a) || e->stack->tls > 1)
        return;
    step_shutdown(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    test_fill(data, sizeof(data), 47);
    step_put(e, e->a, data, sizeof(data));
    step_shutdown(e, e->a);
    flow_abort(e->a);
    flow_close(e->a);
    e->a = NULL;
    contract_take(e, e->b, sizeof(data), 47);
    assert_status(step_end(e, e->b, &n), FLOW_EOF);
    assert_int_equal(n, 0);
}

static void
c48_open_flow_stays_open(struct ends *e)
{
    if (!(flow_caps(e->a) & FLOW_CAP_NEEDS_OPEN))
        assert_status_in(flow_open(e->a),
                         STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
    step_open(e);
    step_pass(e, e->a, 10, 48);
    assert_status(flow_open(e->a), FLOW_OK);
    contract_end(e, e->a);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
    assert_status(flow_open(e->b), FLOW_OK);
}

static void
c49_data_calls_open_the_flow(struct ends *e)
{
    uint8_t byte = 0;
    enum flow_status w = FLOW_AGAIN, r = FLOW_AGAIN;
    uint32_t interest;
    size_t n, tries;

    for (tries = 0; tries < 100000 && r == FLOW_AGAIN; tries++) {
        interest = FLOW_READY_WRITE;
        if (w == FLOW_AGAIN)
            w = flow_write(e->a, "!", 1, &n);
        if (w == FLOW_OK)
            interest = flow_flush(e->a) == FLOW_AGAIN ? FLOW_READY_FLUSH : 0;
        r = flow_read(e->b, &byte, 1, &n);
        if (r == FLOW_AGAIN)
            step_wait(e, interest, FLOW_READY_READ);
    }
    assert_status(w, FLOW_OK);
    assert_status(r, FLOW_OK);
    assert_int_equal(byte, '!');
}

static void
c50_failed_opening_is_final(struct ends *e)
{
    enum flow_status st;
    uint8_t byte;
    size_t n;

    if (e->stack->tls == 0) {
        step_open(e);
        return;
    }
    flow_close(e->b);
    e->b = NULL;
    while ((st = flow_open(e->a)) == FLOW_AGAIN)
        step_wait(e, FLOW_READY_OPEN, 0);
    assert_status_in(st, STATUS_BIT(FLOW_E_TRUNCATED) |
                             STATUS_BIT(FLOW_E_RESET) |
                             STATUS_BIT(FLOW_E_CLOSED));
    assert_status(flow_open(e->a), st);
    assert_status(flow_read(e->a, &byte, 1, &n), st);
    assert_status(flow_write(e->a, &byte, 1, &n), st);
    assert_status(flow_shutdown(e->a, FLOW_WRITE), st);
}

/* A build without TLS does not have the question. */
static void
c51_agreed_facts_are_known_after_opening(struct ends *e)
{
#ifdef TEST_TLS
    struct flow_tls_info ours, peers;
    enum flow_status before = flow_tls_get_info(e->a, &ours);

    if (e->stack->tls == 0) {
        assert_status(before, FLOW_E_NOTSUP);
        return;
    }
    assert_status(before, FLOW_AGAIN);
    step_open(e);
    assert_status(flow_tls_get_info(e->a, &ours), FLOW_OK);
    assert_status(flow_tls_get_info(e->b, &peers), FLOW_OK);
    assert_in_range(ours.version, FLOW_TLS_1_2, FLOW_TLS_1_3);
    assert_int_equal(ours.version, peers.version);
    assert_int_equal(ours.suite, peers.suite);
#else
    (void)e;
#endif
}

const struct clause clauses_wait[] = {
    CLAUSE(c34_ready_operation_does_not_answer_again),
    CLAUSE(c35_sources_only_when_nothing_is_ready),
    CLAUSE(c36_readiness_is_level_triggered),
    CLAUSE(c37_buffered_bytes_are_readable),
    CLAUSE(c38_ends_and_errors_are_ready),
    CLAUSE(c39_pending_shutdown_is_waited_for_with_flush),
    CLAUSE(c40_no_wakeup_is_lost),
    CLAUSE(c41_waiting_to_read_does_not_wait_for_room),
    CLAUSE(c42_timeout_loses_no_bytes),
    CLAUSE(c43_operations_ignore_deadlines),
    CLAUSE(c44_deadlines_are_wait_sources),
    CLAUSE(c45_opening_past_its_deadline_fails),
    CLAUSE(c46_moving_a_deadline_wakes_the_waiter),
    CLAUSE(c46_timeout_counts_from_now),
    CLAUSE(c47_abort_cancels_both_directions),
    CLAUSE(c47_aborted_flow_has_no_orderly_end),
    CLAUSE(c47_abort_after_both_ends_changes_nothing),
    CLAUSE(c48_open_flow_stays_open),
    CLAUSE(c49_data_calls_open_the_flow),
    CLAUSE(c50_failed_opening_is_final),
    CLAUSE(c51_agreed_facts_are_known_after_opening),
    { NULL, NULL },
};
