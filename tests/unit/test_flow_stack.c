/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/buf.h>
#include <flow/flow.h>
#include <flow/prefix.h>

#include "fixture.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

static void
lease_makes_other_calls_of_the_direction_busy(void **state)
{
    struct mock *m = new_mock();
    struct flow_vec span[2];
    char buf[4];
    size_t n;

    (void)state;
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 5, span), FLOW_OK);
    assert_ptr_equal(span[0].base, m->lent);
    assert_int_equal(span[0].len, 5);
    assert_int_equal(span[1].len, 0);
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_E_BUSY);
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 1, span), FLOW_E_BUSY);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_OK);
    assert_int_equal(flow_commit(&m->base, FLOW_WRITE, 0, 0), FLOW_E_INVAL);
    assert_int_equal(flow_commit(&m->base, FLOW_READ, 6, 0), FLOW_E_INVAL);
    assert_int_equal(flow_commit(&m->base, FLOW_READ, 1, FLOW_MORE),
                     FLOW_E_INVAL);
    assert_int_equal(m->commits, 0);
    assert_int_equal(flow_commit(&m->base, FLOW_READ, 5, 0), FLOW_OK);
    assert_int_equal(m->used, 5);
    assert_int_equal(flow_commit(&m->base, FLOW_READ, 0, 0), FLOW_E_INVAL);
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_OK);
    flow_close(&m->base);
}

static void
refused_lease_changes_no_state(void **state)
{
    struct mock *m = mock_new(&fake.env, FLOW_CAP_LEASE_READ);
    struct flow_vec span[2] = { { &m, 7 }, { &m, 7 } };

    (void)state;
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 1, span), FLOW_E_NOTSUP);
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 0, span), FLOW_E_INVAL);
    m->lease_st = FLOW_AGAIN;
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 1, span), FLOW_AGAIN);
    assert_int_equal(span[0].len, 7);
    m->lease_st = FLOW_EOF;
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 1, span), FLOW_EOF);
    m->lease_st = FLOW_OK;
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 1, span), FLOW_EOF);
    flow_close(&m->base);
}

/* The flow remembers the size of a refused lease until another call of the
 * direction. */
static void
size_of_a_refused_lease_is_remembered(void **state)
{
    struct mock *m = new_mock();
    struct flow_vec span[2];
    uint8_t byte;
    size_t n;

    (void)state;
    assert_int_equal(flow_wanted(&m->base, FLOW_READ), 1);
    m->lease_st = FLOW_AGAIN;
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 5, span), FLOW_AGAIN);
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 7, span), FLOW_AGAIN);
    assert_int_equal(flow_wanted(&m->base, FLOW_READ), 5);
    assert_int_equal(flow_wanted(&m->base, FLOW_WRITE), 7);
    /* These calls want no bytes. */
    assert_int_equal(flow_read(&m->base, NULL, 0, &n), FLOW_OK);
    assert_int_equal(flow_write(&m->base, NULL, 0, &n), FLOW_OK);
    assert_int_equal(flow_flush(&m->base), FLOW_OK);
    assert_int_equal(flow_lease(&m->base, FLOW_READ, 0, span), FLOW_E_INVAL);
    assert_int_equal(flow_wanted(&m->base, FLOW_READ), 5);
    assert_int_equal(flow_wanted(&m->base, FLOW_WRITE), 7);

    m->read_st = FLOW_AGAIN;
    assert_int_equal(flow_read(&m->base, &byte, 1, &n), FLOW_AGAIN);
    assert_int_equal(flow_wanted(&m->base, FLOW_READ), 1);
    assert_int_equal(flow_wanted(&m->base, FLOW_WRITE), 7);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_OK);
    assert_int_equal(flow_wanted(&m->base, FLOW_WRITE), 1);
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 7, span), FLOW_AGAIN);
    m->lease_st = FLOW_OK;
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 3, span), FLOW_OK);
    assert_int_equal(flow_wanted(&m->base, FLOW_WRITE), 1);
    flow_close(&m->base);
}

static void
commit_can_end_the_direction(void **state)
{
    struct mock *m = new_mock();
    struct flow_vec span[2];
    size_t n;

    (void)state;
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 8, span), FLOW_OK);
    assert_int_equal(flow_commit(&m->base, FLOW_WRITE, 3, FLOW_FIN), FLOW_OK);
    assert_int_equal(m->used, 3);
    assert_int_equal(m->write_flags, FLOW_MORE);
    assert_int_equal(m->shutdowns, 1);
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 1, span), FLOW_E_CLOSED);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CLOSED);
    flow_close(&m->base);
}

static void
commit_on_an_aborted_flow_ends_the_lease(void **state)
{
    struct mock *m = new_mock();
    struct flow_vec span[2];

    (void)state;
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 8, span), FLOW_OK);
    flow_abort(&m->base);
    assert_int_equal(flow_commit(&m->base, FLOW_WRITE, 8, 0), FLOW_E_CANCELED);
    assert_int_equal(m->commits, 1);
    assert_int_equal(m->used, 0);
    flow_close(&m->base);
}

static void
queries_pass_down_but_security_facts_stop_at_their_layer(void **state)
{
    static const struct {
        unsigned key;
        bool stops;
    } rows[] = {
        { FLOW_QUERY_FD, false },
        { FLOW_QUERY_SECURITY - 1, false },
        { FLOW_QUERY_SECURITY, true },
        { FLOW_QUERY_SECURITY + 7, true },
        { FLOW_QUERY_SECURITY_LAST, true },
        { FLOW_QUERY_SECURITY_LAST + 1, false },
        { FLOW_QUERY_PRIVATE, false },
    };
    struct mock *low = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_CONFIDENTIAL);
    struct mock *mid =
        mock_wrap(&low->base, true, MOCK_CAPS | FLOW_CAP_CONFIDENTIAL);
    struct flow *top;
    char text[8];
    size_t len;

    (void)state;
    assert_int_equal(flow_prefix_wrap(&mid->base, "", 0, &top), FLOW_OK);
    assert_true((flow_caps(top) & FLOW_CAP_CONFIDENTIAL) != 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum flow_query_key key = (enum flow_query_key)rows[i].key;

        low->query_key = key;
        low->query_st = FLOW_OK;
        low->queries = 0;
        mid->query_st = FLOW_E_NOTSUP;
        len = sizeof(text);
        assert_int_equal(flow_query(top, key, text, &len),
                         rows[i].stops ? FLOW_E_NOTSUP : FLOW_OK);
        assert_int_equal(low->queries, rows[i].stops ? 0 : 1);
        /* The question passes through the filter to the topmost confidential
         * layer. */
        mid->query_key = key;
        mid->query_st = FLOW_OK;
        len = sizeof(text);
        assert_int_equal(flow_query(top, key, text, &len), FLOW_OK);
        assert_string_equal(text, "mock/1");
        assert_int_equal(len, 7);
    }
    len = 6;
    assert_int_equal(flow_query(top, mid->query_key, text, &len), FLOW_E_INVAL);
    assert_int_equal(len, 7);
    assert_int_equal(flow_query(top, mid->query_key, NULL, &len), FLOW_OK);
    flow_close(top);
}

static void
description_and_memory_cover_the_whole_stack(void **state)
{
    struct mock *low = new_mock();
    struct mock *mid = mock_wrap(&low->base, true, MOCK_CAPS);
    struct flow_buf_hints hints;
    struct flow *top, *lower;
    size_t len, footprint;
    char text[64];

    (void)state;
    assert_int_equal(flow_prefix_wrap(&mid->base, "abc", 3, &top), FLOW_OK);
    len = sizeof(text);
    assert_int_equal(flow_query(top, FLOW_QUERY_DESCRIPTION, text, &len),
                     FLOW_OK);
    assert_string_equal(text, "prefix over mock over mock");
    len = sizeof(lower);
    assert_int_equal(flow_query(top, FLOW_QUERY_LOWER, &lower, &len), FLOW_OK);
    assert_ptr_equal(lower, &mid->base);
    len = sizeof(lower);
    assert_int_equal(flow_query(&low->base, FLOW_QUERY_LOWER, &lower, &len),
                     FLOW_E_NOTSUP);
    len = sizeof(footprint);
    assert_int_equal(flow_query(top, FLOW_QUERY_FOOTPRINT, &footprint, &len),
                     FLOW_OK);
    assert_true(footprint > sizeof(struct flow));
    len = sizeof(hints);
    assert_int_equal(flow_query(top, FLOW_QUERY_BUF_HINTS, &hints, &len),
                     FLOW_OK);
    assert_int_equal(hints.granularity, 1);
    flow_close(top);
}

static uint32_t
end_of(struct flow *f, enum flow_query_key key)
{
    uint32_t end = 99;
    size_t len = sizeof(end);

    assert_int_equal(flow_query(f, key, &end, &len), FLOW_OK);
    return end;
}

static void
end_quality_follows_from_the_capabilities(void **state)
{
    struct mock *m = new_mock();
    char buf[4];
    size_t n;

    (void)state;
    assert_int_equal(end_of(&m->base, FLOW_QUERY_END_READ), FLOW_END_NONE);
    m->read_st = FLOW_EOF;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_EOF);
    assert_int_equal(end_of(&m->base, FLOW_QUERY_END_READ), FLOW_END_ORDERLY);
    m->write_st = FLOW_E_RESET;
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_RESET);
    assert_int_equal(end_of(&m->base, FLOW_QUERY_END_WRITE), FLOW_END_GONE);
    flow_close(&m->base);

    m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_AUTHENTICATED_END);
    assert_int_equal(flow_shutdown(&m->base, FLOW_READ), FLOW_OK);
    assert_int_equal(end_of(&m->base, FLOW_QUERY_END_READ), FLOW_END_NONE);
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_OK);
    assert_int_equal(end_of(&m->base, FLOW_QUERY_END_WRITE),
                     FLOW_END_AUTHENTICATED);
    flow_close(&m->base);
}

static void
control_is_passed_down_to_the_layer_that_knows_it(void **state)
{
    static const unsigned security[] = { FLOW_CONTROL_SECURITY,
                                         FLOW_CONTROL_REKEY,
                                         FLOW_CONTROL_SECURITY_LAST };
    static const unsigned other[] = { FLOW_CONTROL_SECURITY - 1,
                                      FLOW_CONTROL_SECURITY_LAST + 1,
                                      FLOW_CONTROL_PRIVATE };
    struct mock *low = new_mock();
    struct mock *top =
        mock_wrap(&low->base, true, MOCK_CAPS | FLOW_CAP_CONFIDENTIAL);

    (void)state;
    assert_int_equal(flow_control(&top->base, FLOW_CONTROL_NODELAY, 1),
                     FLOW_OK);
    assert_int_equal(low->value, 1);
    for (size_t i = 0; i < sizeof(security) / sizeof(security[0]); i++)
        assert_int_equal(
            flow_control(&top->base, (enum flow_control_key)security[i], 1),
            FLOW_E_NOTSUP);
    assert_int_equal(low->controls, 1);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        assert_int_equal(
            flow_control(&top->base, (enum flow_control_key)other[i], 1),
            FLOW_E_NOTSUP);
    assert_int_equal(low->controls, 4);
    flow_close(&top->base);
}

static void
detach_returns_read_ahead_bytes_first(void **state)
{
    unsigned closes = 0;
    struct mock *low = new_mock();
    struct mock *top = mock_wrap(&low->base, true, MOCK_CAPS);
    struct flow *f;
    char buf[8];
    size_t n;

    (void)state;
    top->close_count = &closes;
    top->ahead = "ahead";
    low->read_max = 2;
    assert_int_equal(flow_detach(&top->base, &f), FLOW_OK);
    assert_int_equal(closes, 1);
    assert_string_equal(flow_name(f), "prefix");
    assert_int_equal(flow_read(f, buf, 3, &n), FLOW_OK);
    assert_memory_equal(buf, "ahe", 3);
    assert_int_equal(flow_read(f, buf, 8, &n), FLOW_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(buf, "ad", 2);
    assert_int_equal(flow_read(f, buf, 8, &n), FLOW_OK);
    assert_memory_equal(buf, "rr", 2);
    /* A wakeup from below still reaches the waiter above. */
    assert_ptr_equal(low->base.upper, f);
    flow_close(f);
}

static void
detach_leaves_a_borrowed_flow_to_its_owner(void **state)
{
    struct mock *low = new_mock();
    struct mock *top = mock_wrap(&low->base, false, MOCK_CAPS);
    struct flow *f;
    unsigned closes = 0;

    (void)state;
    low->close_count = &closes;
    top->ahead = "x";
    assert_int_equal(flow_detach(&top->base, &f), FLOW_OK);
    flow_close(f);
    assert_int_equal(closes, 0);
    assert_null(low->base.upper);
    top = mock_wrap(&low->base, false, MOCK_CAPS);
    assert_int_equal(flow_detach(&top->base, &f), FLOW_OK);
    assert_ptr_equal(f, &low->base);
    flow_close(f);
}

static void
failed_detach_changes_no_state(void **state)
{
    struct mock *low = new_mock();
    struct mock *top = mock_wrap(&low->base, true, MOCK_CAPS);
    struct flow_vec span[2];
    struct flow *f = NULL;
    uint64_t n;

    (void)state;
    assert_int_equal(flow_detach(&low->base, &f), FLOW_E_NOTSUP);
    top->detach_st = FLOW_E_BUSY;
    assert_int_equal(flow_detach(&top->base, &f), FLOW_E_BUSY);
    top->detach_st = FLOW_OK;
    assert_int_equal(flow_lease(&top->base, FLOW_READ, 1, span), FLOW_OK);
    assert_int_equal(flow_detach(&top->base, &f), FLOW_E_BUSY);
    assert_int_equal(flow_commit(&top->base, FLOW_READ, 0, 0), FLOW_OK);
    top->ahead = "abc";
    for (n = 1; n <= 2; n++) {
        fake.fail_at = fake.allocs + n;
        assert_int_equal(flow_detach(&top->base, &f), FLOW_E_NOMEM);
        assert_null(f);
        assert_ptr_equal(low->base.upper, &top->base);
    }
    flow_close(&top->base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lease_makes_other_calls_of_the_direction_busy),
        TEST(refused_lease_changes_no_state),
        TEST(size_of_a_refused_lease_is_remembered),
        TEST(commit_can_end_the_direction),
        TEST(commit_on_an_aborted_flow_ends_the_lease),
        TEST(queries_pass_down_but_security_facts_stop_at_their_layer),
        TEST(description_and_memory_cover_the_whole_stack),
        TEST(end_quality_follows_from_the_capabilities),
        TEST(control_is_passed_down_to_the_layer_that_knows_it),
        TEST(detach_returns_read_ahead_bytes_first),
        TEST(detach_leaves_a_borrowed_flow_to_its_owner),
        TEST(failed_detach_changes_no_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
