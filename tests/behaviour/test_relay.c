/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/fault.h>
#include <flow/pair.h>
#include <flow/util.h>

#include "step.h"

/*
 * Two flows joined by a relay: each end is passed on by itself, errors of the
 * two sides are told apart, and the statistics are right, at whichever byte it
 * happens.
 */

#define SECOND UINT64_C(1000000000)

/* client - near | far - server, the relay in the middle. */
struct joint {
    struct flow *client, *near, *far, *server;
    struct flow_relay relay;
};

static void
make(struct joint *j, const struct flow_fault_plan *plan, uint64_t idle)
{
    memset(j, 0, sizeof(*j));
    assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &j->client, &j->near),
                  FLOW_OK);
    assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &j->far, &j->server),
                  FLOW_OK);
    if (plan != NULL)
        assert_status(flow_fault_wrap(j->near, plan, &j->near), FLOW_OK);
    assert_status(flow_relay_init(&j->relay, j->near, j->far, 512, idle),
                  FLOW_OK);
}

static void
end(struct joint *j)
{
    flow_relay_fini(&j->relay);
    flow_close(j->client);
    flow_close(j->near);
    flow_close(j->far);
    flow_close(j->server);
}

static void
say(struct flow *f, size_t len, uint64_t seed)
{
    uint8_t data[4096];
    size_t n;

    test_fill(data, len, seed);
    assert_status(flow_write(f, data, len, &n), FLOW_OK);
    assert_int_equal(n, len);
}

static void
hear(struct flow *f, size_t len, uint64_t seed)
{
    uint8_t data[4096];
    size_t n, got = 0;

    while (got < len) {
        assert_status(flow_read(f, data + got, len - got, &n), FLOW_OK);
        got += n;
    }
    test_check(data, len, seed, 0);
}

/* Step the relay until nothing changes. */
static enum flow_status
run(struct joint *j)
{
    enum flow_status st;
    uint64_t before, after;

    do {
        before = j->relay.side[0].bytes + j->relay.side[1].bytes;
        st = flow_relay_step(&j->relay);
        after = j->relay.side[0].bytes + j->relay.side[1].bytes;
    } while (st == FLOW_AGAIN && after != before);
    return st;
}

static void
relay_passes_on_each_end_by_itself(void **state)
{
    struct joint j;
    size_t n;

    (void)state;
    make(&j, NULL, 0);
    say(j.client, 1000, 1);
    assert_status(flow_shutdown(j.client, FLOW_WRITE), FLOW_OK);
    assert_status(run(&j), FLOW_AGAIN);
    hear(j.server, 1000, 1);
    assert_status(flow_read(j.server, NULL, 1, &n), FLOW_EOF);
    assert_int_equal(j.relay.side[0].bytes, 1000);
    assert_true(j.relay.side[0].operations >= 2);
    assert_status(j.relay.side[0].status, FLOW_EOF);
    assert_status(j.relay.side[1].status, FLOW_OK);
    /* The other direction still works. */
    say(j.server, 700, 2);
    assert_status(run(&j), FLOW_AGAIN);
    hear(j.client, 700, 2);
    say(j.server, 5, 3);
    assert_status(flow_shutdown(j.server, FLOW_WRITE), FLOW_OK);
    assert_status(run(&j), FLOW_OK);
    hear(j.client, 5, 3);
    assert_status(flow_read(j.client, NULL, 1, &n), FLOW_EOF);
    assert_int_equal(j.relay.side[1].bytes, 705);
    end(&j);
}

/* One side fails after k bytes, while reading or while writing. */
static void
fail_at(uint64_t k, bool reading)
{
    struct flow_fault_plan plan;
    struct flow_relay_side *hit;
    struct joint j;
    enum flow_status st;
    char name[60];

    snprintf(name, sizeof(name), "byte %u, %s", (unsigned)k,
             reading ? "reading" : "writing");
    guard_case(name);
    flow_fault_plan_init(&plan);
    plan.cut_status = FLOW_E_RESET;
    if (reading)
        plan.cut_read = k;
    else
        plan.cut_write = k;
    make(&j, &plan, 0);
    say(j.client, 100, 1);
    say(j.server, 100, 2);
    assert_status(flow_shutdown(j.client, FLOW_WRITE), FLOW_OK);
    assert_status(flow_shutdown(j.server, FLOW_WRITE), FLOW_OK);
    st = run(&j);
    assert_status(st, FLOW_E_RESET);
    hit = &j.relay.side[reading ? 0 : 1];
    assert_status(hit->status, FLOW_E_RESET);
    assert_int_equal(hit->bytes, k);
    /* All bytes before the cut arrived, and in the other direction all. */
    hear(reading ? j.server : j.client, (size_t)k, reading ? 1 : 2);
    assert_int_equal(j.relay.side[reading ? 1 : 0].bytes, 100);
    hear(reading ? j.client : j.server, 100, reading ? 2 : 1);
    end(&j);
    guard_case(NULL);
}

static void
relay_reports_an_error_at_any_byte(void **state)
{
    uint64_t k;

    (void)state;
    for (k = 0; k <= 64; k++) {
        fail_at(k, true);
        fail_at(k, false);
    }
}

static void
relay_statistics_work_without_elapsed_time(void **state)
{
    struct joint j;

    (void)state;
    /* The clock does not advance: the statistics must not divide by the elapsed
     * time. */
    test_env_stop_clock();
    make(&j, NULL, SECOND);
    say(j.client, 10, 1);
    assert_status(flow_shutdown(j.client, FLOW_WRITE), FLOW_OK);
    assert_status(flow_shutdown(j.server, FLOW_WRITE), FLOW_OK);
    assert_status(run(&j), FLOW_OK);
    assert_int_equal(j.relay.side[0].bytes, 10);
    assert_int_equal(j.relay.side[1].bytes, 0);
    end(&j);
}

static void
relay_ends_after_the_idle_time(void **state)
{
    struct joint j;

    (void)state;
    test_env_stop_clock();
    make(&j, NULL, SECOND);
    say(j.client, 10, 1);
    assert_status(run(&j), FLOW_AGAIN);
    test_env.now += SECOND / 2;
    say(j.server, 10, 1);
    assert_status(run(&j), FLOW_AGAIN);
    /* Half a second later the relay is not idle yet. */
    test_env.now += SECOND * 3 / 4;
    assert_status(run(&j), FLOW_AGAIN);
    assert_status(flow_relay_run(&j.relay), FLOW_E_TIMEOUT);
    end(&j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(relay_passes_on_each_end_by_itself),
        TEST(relay_reports_an_error_at_any_byte),
        TEST(relay_statistics_work_without_elapsed_time),
        TEST(relay_ends_after_the_idle_time),
    };

    return TEST_RUN(tests);
}
