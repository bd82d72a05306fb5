/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/prefix.h>
#include <flow/tls.h>

#include "lib/plat/fake/fake.h"
#include "stacks.h"
#include "test.h"
#include "tests/unit/mock_flow.h"
#include "tls/tls_flow.h"

/*
 * When the handshake timeout starts: after the flow below is open.  The test
 * decides when that is.
 */

#define SECOND UINT64_C(1000000000)

static struct flow__fake fake;
static struct mock *low;
static struct flow *tls;

static void
make(bool server)
{
    flow__fake_init(&fake, 1);
    low = mock_new(&fake.env, FLOW_CAP_DUPLEX | FLOW_CAP_NEEDS_OPEN);
    low->open_st = FLOW_AGAIN;
    low->read_st = FLOW_AGAIN;
    low->ready = 0;
    if (server)
        assert_status(flow_tls_wrap_server(stack_tls_server(0), &low->base, 0,
                                           &tls, NULL),
                      FLOW_OK);
    else
        assert_status(flow_tls_wrap_client(stack_tls_client(0), &low->base,
                                           "server.example", 0, &tls, NULL),
                      FLOW_OK);
}

static void
unmake(void)
{
    flow_close(tls);
    assert_int_equal(fake.live_blocks, 0);
}

/* The wait set of the opening while nothing below is ready. */
static uint64_t
wake_time(void)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(tls, FLOW_READY_OPEN, &set), 0);
    return set.deadline;
}

static void
check_text(const char *part)
{
    struct flow_error err;

    flow_get_error(tls, FLOW_READ, &err);
    assert_status(err.status, FLOW_E_TIMEOUT);
    assert_non_null(strstr(err.text, part));
}

/* However long connecting took, the peer has the whole handshake timeout. */
static void
handshake_timeout_starts_when_the_lower_flow_is_open(void **state)
{
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        make(role != 0);
        assert_status(flow_open(tls), FLOW_AGAIN);
        assert_true(wake_time() == FLOW_NEVER);
        flow__fake_advance(&fake, 60 * SECOND);
        assert_status(flow_open(tls), FLOW_AGAIN);
        assert_int_equal(low->writes, 0);
        assert_int_equal(low->reads, 0);
        assert_true(wake_time() == FLOW_NEVER);

        low->open_st = FLOW_OK;
        assert_status(flow_open(tls), FLOW_AGAIN);
        /* A client has sent its hello, and reads when it can be answered. */
        assert_int_equal(low->writes, role == 0 ? 1 : 0);
        assert_int_equal(low->reads, role == 0 ? 0 : 1);
        assert_true(wake_time() == fake.now + 10 * SECOND);
        flow__fake_advance(&fake, 10 * SECOND - 1);
        assert_status(flow_open(tls), FLOW_AGAIN);
        flow__fake_advance(&fake, 1);
        assert_status(flow_open(tls), FLOW_E_TIMEOUT);
        check_text("the handshake took longer");
        unmake();
    }
}

/* A thread that waits for the opening is woken, and its next step is the
 * handshake's. */
static void
opening_waits_for_the_lower_flow(void **state)
{
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        struct flow_wait_set set;

        make(role != 0);
        assert_status(flow_open(tls), FLOW_AGAIN);
        (void)wake_time();
        assert_int_equal(low->interest, FLOW_READY_OPEN);
        low->ready = FLOW_READY_OPEN;
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(tls, FLOW_READY_OPEN, &set),
                         FLOW_READY_OPEN);
        low->open_st = FLOW_OK;
        low->ready = 0;
        assert_status(flow_open(tls), FLOW_AGAIN);
        (void)wake_time();
        assert_int_equal(low->interest, FLOW_READY_READ);
        unmake();
    }
}

/* A dialled flow has one timeout for its whole opening. */
static void
dial_timeout_starts_with_the_connection(void **state)
{
    (void)state;
    make(false);
    flow__handshake_limit_time(flow__tls_cast(tls)->hs, 30 * SECOND);
    assert_status(flow_open(tls), FLOW_AGAIN);
    assert_true(wake_time() == fake.now + 30 * SECOND);
    flow__fake_advance(&fake, 25 * SECOND);
    low->open_st = FLOW_OK;
    assert_status(flow_open(tls), FLOW_AGAIN);
    assert_true(wake_time() == fake.now + 5 * SECOND);
    flow__fake_advance(&fake, 5 * SECOND);
    assert_status(flow_open(tls), FLOW_E_TIMEOUT);
    unmake();

    make(false);
    flow__handshake_limit_time(flow__tls_cast(tls)->hs, 30 * SECOND);
    assert_status(flow_open(tls), FLOW_AGAIN);
    flow__fake_advance(&fake, 30 * SECOND);
    assert_status(flow_open(tls), FLOW_E_TIMEOUT);
    check_text("connecting took longer");
    unmake();
}

/* The flow's own deadline applies during every part of the opening. */
static void
deadline_ends_the_opening_while_connecting(void **state)
{
    (void)state;
    make(false);
    flow_set_deadline(tls, (uint32_t)FLOW_READ, fake.now + SECOND);
    assert_status(flow_open(tls), FLOW_AGAIN);
    assert_true(wake_time() == fake.now + SECOND);
    flow__fake_advance(&fake, SECOND);
    assert_status(flow_open(tls), FLOW_E_TIMEOUT);
    unmake();
}

/* A failure below is the status of our opening. */
static void
failure_of_the_lower_flow_is_passed_on(void **state)
{
    struct flow_error err;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        make(role != 0);
        assert_status(flow_open(tls), FLOW_AGAIN);
        low->open_st = FLOW_E_CLOSED;
        low->fail_text = "no server listens";
        assert_status(flow_open(tls), FLOW_E_CLOSED);
        flow_get_error(tls, FLOW_WRITE, &err);
        assert_string_equal(err.text, "no server listens");
        assert_int_equal(low->writes, 0);
        unmake();
    }
}

/* A server that received something other than TLS, and whose alert the lower
 * flow does not accept. */
static void
make_lingering(void)
{
    make(true);
    low->read_max = 64;
    low->read_st = FLOW_OK;
    low->write_st = FLOW_AGAIN;
    low->open_st = FLOW_OK;
}

static void
check_cause(const struct flow *f)
{
    static const enum flow_dir dirs[2] = { FLOW_READ, FLOW_WRITE };
    struct flow_error err;
    size_t i;

    for (i = 0; i < 2; i++) {
        flow_get_error(f, dirs[i], &err);
        assert_status(err.status, FLOW_E_PROTO);
        assert_string_equal(err.layers[0], "tls");
        /* The alert was given up. */
        assert_int_equal(err.alert_sent, -1);
    }
}

/* The deadline ends the wait for room for the alert; the status stays that of
 * the failed handshake. */
static void
deadline_of_a_failed_handshake_reports_its_cause(void **state)
{
    (void)state;
    make_lingering();
    flow_set_deadline(tls, (uint32_t)FLOW_READ, fake.now + SECOND / 2);
    assert_status(flow_open(tls), FLOW_AGAIN);
    assert_true(wake_time() == fake.now + SECOND / 2);
    flow__fake_advance(&fake, SECOND / 2 - 1);
    assert_status(flow_open(tls), FLOW_AGAIN);
    flow__fake_advance(&fake, 1);
    assert_status(flow_open(tls), FLOW_E_PROTO);
    check_cause(tls);
    unmake();
}

/* The deadline may belong to a flow above. */
static void
deadline_above_a_failed_handshake_reports_its_cause(void **state)
{
    struct flow *below;
    struct flow *top;
    int layers;

    (void)state;
    for (layers = 1; layers < 4; layers++) {
        make_lingering();
        below = tls;
        /* Two filters that pass everything through, or TLS, which opens the
         * flow below first. */
        if (layers != 3)
            assert_status(flow_prefix_wrap(below, NULL, 0, &top), FLOW_OK);
        else
            assert_status(flow_tls_wrap_client(stack_tls_client(0), below,
                                               "server.example", 0, &top, NULL),
                          FLOW_OK);
        if (layers == 2)
            assert_status(flow_prefix_wrap(top, NULL, 0, &top), FLOW_OK);
        flow_set_deadline(top, (uint32_t)FLOW_WRITE, fake.now + SECOND / 2);
        assert_status(flow_open(top), FLOW_AGAIN);
        flow__fake_advance(&fake, SECOND / 2);
        assert_status(flow_open(top), FLOW_E_PROTO);
        check_cause(top);
        check_cause(below);
        tls = top;
        unmake();
    }
}

/* A deadline above does not end an opening below, which may have another owner
 * with a later deadline. */
static void
deadline_above_does_not_end_the_opening_below(void **state)
{
    struct flow *top;

    (void)state;
    make(true);
    low->open_st = FLOW_OK;
    assert_status(flow_prefix_wrap(tls, NULL, 0, &top), FLOW_OK);
    flow_set_deadline(top, (uint32_t)FLOW_WRITE, fake.now + SECOND);
    assert_status(flow_open(top), FLOW_AGAIN);
    flow__fake_advance(&fake, SECOND);
    assert_status(flow_open(top), FLOW_E_TIMEOUT);
    assert_status(flow_open(tls), FLOW_AGAIN);
    tls = top;
    unmake();
}

/* A handshake that is still running does not continue after the deadline. */
static void
handshake_stops_at_its_deadline(void **state)
{
    unsigned reads;

    (void)state;
    make(true);
    low->open_st = FLOW_OK;
    flow_set_deadline(tls, (uint32_t)FLOW_READ, fake.now + SECOND);
    assert_status(flow_open(tls), FLOW_AGAIN);
    reads = low->reads;
    flow__fake_advance(&fake, SECOND);
    low->read_st = FLOW_OK;
    assert_status(flow_open(tls), FLOW_E_TIMEOUT);
    assert_int_equal(low->reads, reads);
    check_text("the deadline passed");
    unmake();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handshake_timeout_starts_when_the_lower_flow_is_open),
        TEST(opening_waits_for_the_lower_flow),
        TEST(dial_timeout_starts_with_the_connection),
        TEST(deadline_ends_the_opening_while_connecting),
        TEST(failure_of_the_lower_flow_is_passed_on),
        TEST(deadline_of_a_failed_handshake_reports_its_cause),
        TEST(deadline_above_a_failed_handshake_reports_its_cause),
        TEST(deadline_above_does_not_end_the_opening_below),
        TEST(handshake_stops_at_its_deadline),
    };

    return TEST_RUN(tests);
}
