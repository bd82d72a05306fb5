/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/flow.h>

#include "fixture.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

static void
flow_is_opened_once_before_any_operation(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    char buf[4];
    size_t n;

    (void)state;
    m->open_st = FLOW_AGAIN;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_AGAIN);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_AGAIN);
    assert_int_equal(flow_open(&m->base), FLOW_AGAIN);
    assert_int_equal(m->opens, 3);
    assert_int_equal(m->reads + m->writes, 0);
    m->open_st = FLOW_OK;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_OK);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_OK);
    assert_int_equal(flow_open(&m->base), FLOW_OK);
    assert_int_equal(m->opens, 4);
    flow_close(&m->base);
}

static void
failed_opening_is_final_in_both_directions(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    struct flow_error err;
    char buf[4];
    size_t n;

    (void)state;
    m->open_st = FLOW_E_NOMEM;
    m->fail_text = "no room for the handshake";
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_NOMEM);
    m->open_st = FLOW_OK;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_E_NOMEM);
    assert_int_equal(flow_open(&m->base), FLOW_E_NOMEM);
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_E_NOMEM);
    assert_int_equal(m->opens, 1);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_string_equal(err.text, "no room for the handshake");
    flow_close(&m->base);
}

static void
opening_fails_for_good_after_the_earlier_deadline(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    struct flow_error err;
    size_t n;

    (void)state;
    m->open_st = FLOW_AGAIN;
    flow_set_deadline(&m->base, FLOW_READ, fake.now + 10);
    flow_set_deadline(&m->base, FLOW_WRITE, fake.now + 1000);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_AGAIN);
    flow__fake_advance(&fake, 10);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_TIMEOUT);
    flow_set_deadline(&m->base, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    m->open_st = FLOW_OK;
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_TIMEOUT);
    assert_int_equal(flow_open(&m->base), FLOW_E_TIMEOUT);
    flow_get_error(&m->base, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_E_TIMEOUT);
    flow_close(&m->base);
}

/* After the deadline the core asks the backend once more, for the error that it
 * may know.  If the backend has opened meanwhile, that is too late. */
static void
backend_says_why_an_opening_past_its_deadline_failed(void **state)
{
    const enum flow_status last[] = { FLOW_AGAIN, FLOW_OK, FLOW_E_AUTH };
    struct flow_error err;
    enum flow_status told;
    struct mock *m;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(last); i++) {
        told = last[i] < 0 ? last[i] : FLOW_E_TIMEOUT;
        m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
        m->open_st = FLOW_AGAIN;
        flow_set_deadline(&m->base, FLOW_READ, fake.now + 10);
        assert_int_equal(flow_open(&m->base), FLOW_AGAIN);
        assert_false(flow_opening_is_late(&m->base));
        flow__fake_advance(&fake, 10);
        assert_true(flow_opening_is_late(&m->base));
        m->open_st = last[i];
        assert_int_equal(flow_open(&m->base), told);
        assert_int_equal(m->opens, 2);
        assert_int_equal(flow_open(&m->base), told);
        assert_int_equal(m->opens, 2);
        flow_get_error(&m->base, FLOW_WRITE, &err);
        assert_int_equal(err.status, told);
        flow_close(&m->base);
    }
}

/* Asking for the wait sources of an opening does not begin it. */
static void
opening_is_not_begun_after_the_deadline(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    struct flow_wait_set set;

    (void)state;
    m->ready = 0;
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(&m->base, FLOW_READY_OPEN, &set), 0);
    assert_int_equal(m->waits, 1);
    flow_set_deadline(&m->base, FLOW_WRITE, fake.now);
    assert_int_equal(flow_open(&m->base), FLOW_E_TIMEOUT);
    assert_int_equal(m->opens, 0);
    flow_close(&m->base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(flow_is_opened_once_before_any_operation),
        TEST(failed_opening_is_final_in_both_directions),
        TEST(opening_fails_for_good_after_the_earlier_deadline),
        TEST(backend_says_why_an_opening_past_its_deadline_failed),
        TEST(opening_is_not_begun_after_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
