/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/flow.h>

#include "fixture.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

static void
read_fills_the_buffer_and_counts(void **state)
{
    struct mock *m = new_mock();
    char a[4] = "....", b[4] = "....";
    const struct flow_vec vec[] = { { a, 3 }, { NULL, 2 }, { b, 4 } };
    size_t n = 99;

    (void)state;
    m->read_max = 7;
    assert_int_equal(flow_readv(&m->base, vec, 3, &n), FLOW_OK);
    assert_int_equal(n, 7);
    assert_memory_equal(a, "rrr.", 4);
    assert_memory_equal(b, "rr..", 4);
    flow_close(&m->base);
}

static void
empty_vectors_have_no_effect(void **state)
{
    struct mock *m = new_mock();
    const struct flow_vec vec[] = { { NULL, 0 }, { NULL, 0 } };
    size_t n = 99;

    (void)state;
    m->read_st = FLOW_E_RESET;
    m->write_st = FLOW_E_RESET;
    assert_int_equal(flow_readv(&m->base, vec, 2, &n), FLOW_OK);
    assert_int_equal(n, 0);
    n = 99;
    assert_int_equal(flow_write(&m->base, NULL, 0, &n), FLOW_OK);
    assert_int_equal(n, 0);
    assert_int_equal(flow_readv(&m->base, NULL, 0, &n), FLOW_OK);
    assert_int_equal(m->reads + m->writes + m->opens, 0);
    flow_close(&m->base);
}

static void
invalid_arguments_do_not_reach_the_backend(void **state)
{
    struct mock *m = new_mock();
    static const struct flow_vec many[1025];
    const struct flow_vec huge[] = { { NULL, SIZE_MAX }, { NULL, 2 } };
    const struct flow_cvec nowhere = { NULL, 3 };
    const struct flow_cvec fine = { "abc", 3 };
    struct flow_error err;
    size_t n;

    (void)state;
    assert_int_equal(flow_readv(&m->base, many, 1025, &n), FLOW_E_INVAL);
    assert_int_equal(flow_readv(&m->base, huge, 2, &n), FLOW_E_INVAL);
    assert_int_equal(flow_writev(&m->base, &nowhere, 1, 0, &n), FLOW_E_INVAL);
    assert_int_equal(flow_writev(&m->base, &fine, 1, FLOW_MORE | FLOW_FIN, &n),
                     FLOW_E_INVAL);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_INVAL);
    assert_string_equal(err.layers[0], "mock");
    assert_int_equal(flow_writev(&m->base, &fine, 1, 4, &n), FLOW_E_INVAL);
    assert_int_equal(flow_shutdown(&m->base, (enum flow_dir)3), FLOW_E_INVAL);
    assert_int_equal(m->reads + m->writes + m->shutdowns, 0);
    /* The error is transient: the flow works afterwards. */
    assert_int_equal(flow_writev(&m->base, &fine, 1, 0, &n), FLOW_OK);
    assert_int_equal(n, 3);
    flow_close(&m->base);
}

static void
again_changes_no_state(void **state)
{
    struct mock *m = new_mock();
    char buf[4];
    size_t n = 99;

    (void)state;
    m->read_st = FLOW_AGAIN;
    m->write_st = FLOW_AGAIN;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_AGAIN);
    assert_int_equal(n, 0);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_AGAIN);
    m->read_st = FLOW_OK;
    m->write_st = FLOW_OK;
    assert_int_equal(flow_read(&m->base, buf, 2, &n), FLOW_OK);
    assert_int_equal(n, 2);
    assert_int_equal(flow_write(&m->base, "yz", 2, &n), FLOW_OK);
    assert_int_equal(n, 2);
    flow_close(&m->base);
}

static void
sticky_status_is_answered_without_the_backend(void **state)
{
    static const enum flow_status sticky[] = {
        FLOW_EOF,        FLOW_E_TRUNCATED, FLOW_E_CLOSED, FLOW_E_RESET,
        FLOW_E_CANCELED, FLOW_E_PROTO,     FLOW_E_AUTH,   FLOW_E_SYS,
    };
    struct flow_error err;
    struct mock *m;
    char buf[4];
    size_t i, n;

    (void)state;
    for (i = 0; i < COUNT(sticky); i++) {
        m = new_mock();
        m->read_st = sticky[i];
        assert_int_equal(flow_read(&m->base, buf, 4, &n), sticky[i]);
        m->read_st = FLOW_OK;
        assert_int_equal(flow_read(&m->base, buf, 4, &n), sticky[i]);
        assert_int_equal(m->reads, 1);
        flow_get_error(&m->base, FLOW_READ, &err);
        assert_int_equal(err.status, sticky[i] < 0 ? sticky[i] : FLOW_OK);
        /* The other direction is not affected. */
        assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_OK);
        flow_get_error(&m->base, FLOW_WRITE, &err);
        assert_int_equal(err.status, FLOW_OK);
        flow_close(&m->base);
    }
}

static void
transient_error_does_not_end_the_flow(void **state)
{
    struct mock *m = new_mock();
    struct flow_error err;
    char buf[4];
    size_t n;

    (void)state;
    m->read_st = FLOW_E_NOMEM;
    m->fail_text = "no buffer";
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_E_NOMEM);
    flow_get_error(&m->base, FLOW_READ, &err);
    assert_string_equal(err.text, "no buffer");
    m->read_st = FLOW_OK;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_OK);
    m->read_st = FLOW_E_RESET;
    m->fail_text = "gone";
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_E_RESET);
    flow_get_error(&m->base, FLOW_READ, &err);
    assert_string_equal(err.text, "gone");
    flow_close(&m->base);
}

static void
fin_takes_effect_when_all_was_accepted(void **state)
{
    struct mock *m = new_mock();
    const struct flow_cvec vec = { "abcdef", 6 };
    size_t n;

    (void)state;
    m->write_max = 4;
    assert_int_equal(flow_writev(&m->base, &vec, 1, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(n, 4);
    assert_int_equal(m->shutdowns, 0);
    m->write_max = 6;
    assert_int_equal(flow_writev(&m->base, &vec, 1, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(n, 6);
    assert_int_equal(m->write_flags, FLOW_MORE);
    assert_int_equal(m->shutdowns, 1);
    assert_int_equal(m->how, FLOW_WRITE);
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_OK);
    assert_int_equal(m->shutdowns, 1);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CLOSED);
    assert_int_equal(m->writes, 2);
    flow_close(&m->base);
}

static void
fin_with_a_pending_end_marker_answers_ok(void **state)
{
    struct mock *m = new_mock();
    const struct flow_cvec vec = { "abc", 3 };
    size_t n;

    (void)state;
    m->shutdown_st = FLOW_AGAIN;
    assert_int_equal(flow_writev(&m->base, &vec, 1, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(n, 3);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CLOSED);
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_AGAIN);
    m->shutdown_st = FLOW_OK;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_OK);
    assert_int_equal(m->shutdowns, 3);
    flow_close(&m->base);
}

static void
shutdown_may_be_called_before_the_flow_is_open(void **state)
{
    struct mock *m = mock_new(&fake.env, MOCK_CAPS | FLOW_CAP_NEEDS_OPEN);
    size_t n;

    (void)state;
    m->open_st = FLOW_AGAIN;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_AGAIN);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CLOSED);
    m->open_st = FLOW_OK;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_OK);
    assert_int_equal(m->shutdowns, 1);
    flow_close(&m->base);
}

static void
fin_without_bytes_is_shutdown(void **state)
{
    struct mock *m = new_mock();
    size_t n;

    (void)state;
    assert_int_equal(flow_writev(&m->base, NULL, 0, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(m->shutdowns, 1);
    assert_int_equal(m->writes, 0);
    flow_close(&m->base);
}

static void
shutdown_without_half_close_is_refused(void **state)
{
    struct mock *m = mock_new(&fake.env, FLOW_CAP_DUPLEX);
    const struct flow_cvec vec = { "abc", 3 };
    size_t n;

    (void)state;
    assert_int_equal(flow_writev(&m->base, &vec, 1, FLOW_FIN, &n),
                     FLOW_E_NOTSUP);
    assert_int_equal(n, 0);
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_E_NOTSUP);
    assert_int_equal(m->writes + m->shutdowns, 0);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_OK);
    flow_close(&m->base);
}

static void
shutdown_of_reading_is_local(void **state)
{
    struct mock *m = new_mock();
    char buf[4];
    size_t n;

    (void)state;
    assert_int_equal(flow_shutdown(&m->base, FLOW_READ), FLOW_OK);
    assert_int_equal(m->how, FLOW_READ);
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_EOF);
    assert_int_equal(flow_shutdown(&m->base, FLOW_READ), FLOW_OK);
    assert_int_equal(m->shutdowns, 1);
    assert_int_equal(m->reads, 0);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_OK);
    flow_close(&m->base);
}

static void
abort_ends_both_directions(void **state)
{
    struct mock *m = new_mock();
    struct flow_error err;
    char buf[4];
    size_t n;

    (void)state;
    flow_abort(&m->base);
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_E_CANCELED);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CANCELED);
    assert_int_equal(flow_flush(&m->base), FLOW_E_CANCELED);
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_E_CANCELED);
    assert_int_equal(flow_shutdown(&m->base, FLOW_READ), FLOW_E_CANCELED);
    assert_int_equal(flow_open(&m->base), FLOW_E_CANCELED);
    flow_get_error(&m->base, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_E_CANCELED);
    assert_int_equal(m->reads + m->writes + m->flushes + m->shutdowns, 0);
    flow_close(&m->base);
}

static void
abort_keeps_the_status_of_earlier_ends(void **state)
{
    struct mock *m = new_mock();
    char buf[4];
    size_t n;

    (void)state;
    m->read_st = FLOW_EOF;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_EOF);
    flow_abort(&m->base);
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_EOF);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CANCELED);
    flow_close(&m->base);
}

static void
close_closes_owned_lower_flows(void **state)
{
    unsigned low_closes = 0, top_closes = 0;
    struct mock *low = new_mock();
    struct mock *top = mock_wrap(&low->base, false, MOCK_CAPS);

    (void)state;
    low->close_count = &low_closes;
    top->close_count = &top_closes;
    flow_close(&top->base);
    assert_int_equal(top_closes, 1);
    assert_int_equal(low_closes, 0);
    top = mock_wrap(&low->base, true, MOCK_CAPS);
    flow_close(&top->base);
    assert_int_equal(low_closes, 1);
    flow_close(NULL);
}

static void
flush_calls_the_backend_only_with_bytes_pending(void **state)
{
    struct mock *m = new_mock();

    (void)state;
    m->flush_st = FLOW_AGAIN;
    assert_int_equal(flow_flush(&m->base), FLOW_AGAIN);
    m->flush_st = FLOW_OK;
    assert_int_equal(flow_flush(&m->base), FLOW_OK);
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_flush(&m->base), FLOW_OK);
    assert_int_equal(m->flushes, 2);
    flow_close(&m->base);
}

static void
vector_helpers_cross_segment_boundaries(void **state)
{
    char a[3] = "...", b[3] = "...", out[6] = "......";
    const struct flow_vec to[] = { { a, 3 }, { NULL, 0 }, { b, 3 } };
    const struct flow_cvec from[] = { { "abc", 3 }, { "", 0 }, { "def", 3 } };

    (void)state;
    assert_int_equal(flow_vec_len(to, 3), 6);
    assert_int_equal(flow_cvec_len(from, 3), 6);
    assert_int_equal(flow_vec_put(to, 3, 2, "xyz", 3), 3);
    assert_memory_equal(a, "..x", 3);
    assert_memory_equal(b, "yz.", 3);
    assert_int_equal(flow_vec_put(to, 3, 5, "12", 2), 1);
    assert_int_equal(flow_vec_put(to, 3, 6, "12", 2), 0);
    assert_int_equal(flow_cvec_get(from, 3, 1, out, 4), 4);
    assert_memory_equal(out, "bcde..", 6);
    assert_int_equal(flow_cvec_get(from, 3, 5, out, 6), 1);
}

/* Operations that every backend must have, each missing in turn. */
static void
incomplete_operation_tables_are_refused(void **state)
{
    static const uint32_t lease = FLOW_CAP_LEASE_READ;
    struct mock *m = new_mock();
    const struct flow_ops whole = *m->base.ops;
    struct flow f, untouched;
    struct flow_ops ops;

    (void)state;
    memset(&f, 0x55, sizeof(f));
    untouched = f;
#define REFUSED(member, caps)                                                  \
    ops = whole;                                                               \
    ops.member = 0;                                                            \
    assert_int_equal(flow_base_init(&f, &ops, &fake.env, caps), FLOW_E_INVAL); \
    assert_memory_equal(&f, &untouched, sizeof(f))
    REFUSED(name, 0);
    REFUSED(readv, 0);
    REFUSED(writev, 0);
    REFUSED(wait, 0);
    REFUSED(close, 0);
    REFUSED(shutdown, FLOW_CAP_HALF_CLOSE_WRITE);
    REFUSED(open, FLOW_CAP_NEEDS_OPEN);
    REFUSED(lease, lease);
    REFUSED(commit, lease);
#undef REFUSED
    /* A flow over a lower flow also needs its own open and end operations. */
    ops = whole;
    ops.shutdown = NULL;
    ops.open = NULL;
    assert_int_equal(
        flow_base_wrap(&f, &ops, &m->base, false,
                       FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_NEEDS_OPEN),
        FLOW_OK);
    flow_base_fini(&f);
    flow_close(&m->base);
}

/* If the version differs, struct flow may have another size: nothing is written
 * to it. */
static void
operation_tables_of_another_version_are_refused(void **state)
{
    struct mock *m = new_mock();
    struct flow_ops ops = *m->base.ops;
    struct flow f, untouched;
    uint32_t version;

    (void)state;
    memset(&f, 0x55, sizeof(f));
    untouched = f;
    for (version = 0; version < 5; version++) {
        ops.version = version;
        if (version == FLOW_OPS_VERSION)
            continue;
        assert_int_equal(flow_base_init(&f, &ops, &fake.env, 0), FLOW_E_NOTSUP);
        assert_int_equal(flow_base_wrap(&f, &ops, &m->base, true, 0),
                         FLOW_E_NOTSUP);
        assert_memory_equal(&f, &untouched, sizeof(f));
    }
    flow_close(&m->base);
}

static void
timeout_is_relative_to_now(void **state)
{
    struct mock *m = new_mock();

    (void)state;
    m->ready = 0;
    assert_int_equal(flow_now(&m->base), fake.now);
    fake.now = 1000;
    flow_set_timeout(&m->base, FLOW_READ, 500);
    assert_int_equal(flow_wait(&m->base, FLOW_READY_READ, NULL),
                     FLOW_E_TIMEOUT);
    assert_int_equal(fake.now, 1500);
    /* One direction at a time; 0 removes the deadline. */
    flow_set_timeout(&m->base, FLOW_WRITE, 100);
    flow_set_timeout(&m->base, FLOW_READ, 0);
    m->time = 5000;
    assert_int_equal(flow_wait(&m->base, FLOW_READY_WRITE, NULL),
                     FLOW_E_TIMEOUT);
    assert_int_equal(fake.now, 1600);
    assert_int_equal(m->base.deadline[0], FLOW_NEVER);
    /* The sum does not fit into 64 bits of nanoseconds. */
    flow_set_timeout(&m->base, FLOW_READ | FLOW_WRITE, UINT64_MAX);
    assert_true(m->base.deadline[0] == UINT64_MAX);
    assert_true(m->base.deadline[1] == UINT64_MAX);
    flow_close(&m->base);
}

static void
each_flow_has_a_user_pointer(void **state)
{
    struct mock *low = new_mock();
    struct mock *top = mock_wrap(&low->base, true, MOCK_CAPS);
    int a, b;

    (void)state;
    assert_null(flow_get_user(&top->base));
    flow_set_user(&low->base, &a);
    assert_null(flow_get_user(&top->base));
    flow_set_user(&top->base, &b);
    assert_ptr_equal(flow_get_user(&low->base), &a);
    assert_ptr_equal(flow_get_user(&top->base), &b);
    flow_set_user(&top->base, NULL);
    assert_null(flow_get_user(&top->base));
    flow_close(&top->base);
}

/* What a flow_lease_fn finds and does. */
struct borrower {
    struct flow *f;
    size_t len;  /* lent */
    size_t used; /* to commit */
    bool aborts;
};

static size_t
borrow(void *ctx, const struct flow_vec span[2])
{
    struct borrower *b = ctx;
    struct flow_vec again[2];
    char c = 0;
    size_t n;

    b->len = span[0].len + span[1].len;
    /* The direction is in use, the other is free. */
    assert_int_equal(flow_write(b->f, &c, 1, &n), FLOW_E_BUSY);
    assert_int_equal(flow_lease(b->f, FLOW_WRITE, 1, again), FLOW_E_BUSY);
    assert_int_equal(flow_commit(b->f, FLOW_WRITE, 1, 0), FLOW_E_INVAL);
    assert_int_equal(flow_read(b->f, &c, 1, &n), FLOW_OK);
    if (b->aborts)
        flow_abort(b->f);
    return b->used;
}

static void
a_lease_may_last_for_one_call(void **state)
{
    struct mock *m = new_mock();
    struct borrower b = { &m->base, 0, 3, false };

    (void)state;
    assert_int_equal(flow_with_lease(&m->base, FLOW_WRITE, 8, borrow, &b),
                     FLOW_OK);
    assert_int_equal(b.len, 8);
    assert_int_equal(m->leases, 1);
    assert_int_equal(m->commits, 1);
    assert_int_equal(m->used, 3);
    /* It is over. */
    assert_int_equal(flow_commit(&m->base, FLOW_WRITE, 0, 0), FLOW_E_INVAL);
    b.used = 9;
    assert_int_equal(flow_with_lease(&m->base, FLOW_WRITE, 8, borrow, &b),
                     FLOW_E_INVAL);
    assert_int_equal(m->commits, 2);
    assert_int_equal(m->used, 0);
    b.used = 8;
    assert_int_equal(flow_with_lease(&m->base, FLOW_WRITE, 8, borrow, &b),
                     FLOW_OK);
    assert_int_equal(m->used, 8);
    flow_close(&m->base);
}

static void
a_lease_of_one_call_may_be_refused(void **state)
{
    struct mock *m = new_mock();
    struct borrower b = { &m->base, 0, 3, false };
    struct flow_vec span[2];

    (void)state;
    assert_int_equal(flow_with_lease(&m->base, FLOW_WRITE, 0, borrow, &b),
                     FLOW_E_INVAL);
    m->lease_st = FLOW_AGAIN;
    assert_int_equal(flow_with_lease(&m->base, FLOW_WRITE, 8, borrow, &b),
                     FLOW_AGAIN);
    assert_int_equal(flow_wanted(&m->base, FLOW_WRITE), 8);
    m->lease_st = FLOW_OK;
    assert_int_equal(flow_lease(&m->base, FLOW_WRITE, 1, span), FLOW_OK);
    assert_int_equal(flow_with_lease(&m->base, FLOW_WRITE, 8, borrow, &b),
                     FLOW_E_BUSY);
    assert_int_equal(b.len, 0);
    assert_int_equal(m->commits, 0);
    flow_close(&m->base);
}

/* C58: what was borrowed when the flow ends is given back without bytes. */
static void
a_flow_may_end_while_its_memory_is_used(void **state)
{
    struct mock *m = new_mock();
    struct borrower b = { &m->base, 0, 3, true };

    (void)state;
    assert_int_equal(flow_with_lease(&m->base, FLOW_WRITE, 8, borrow, &b),
                     FLOW_E_CANCELED);
    assert_int_equal(m->commits, 1);
    assert_int_equal(m->used, 0);
    flow_close(&m->base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(read_fills_the_buffer_and_counts),
        TEST(empty_vectors_have_no_effect),
        TEST(invalid_arguments_do_not_reach_the_backend),
        TEST(again_changes_no_state),
        TEST(sticky_status_is_answered_without_the_backend),
        TEST(transient_error_does_not_end_the_flow),
        TEST(fin_takes_effect_when_all_was_accepted),
        TEST(fin_with_a_pending_end_marker_answers_ok),
        TEST(shutdown_may_be_called_before_the_flow_is_open),
        TEST(fin_without_bytes_is_shutdown),
        TEST(shutdown_without_half_close_is_refused),
        TEST(shutdown_of_reading_is_local),
        TEST(abort_ends_both_directions),
        TEST(abort_keeps_the_status_of_earlier_ends),
        TEST(close_closes_owned_lower_flows),
        TEST(flush_calls_the_backend_only_with_bytes_pending),
        TEST(vector_helpers_cross_segment_boundaries),
        TEST(incomplete_operation_tables_are_refused),
        TEST(operation_tables_of_another_version_are_refused),
        TEST(timeout_is_relative_to_now),
        TEST(each_flow_has_a_user_pointer),
        TEST(a_lease_may_last_for_one_call),
        TEST(a_lease_of_one_call_may_be_refused),
        TEST(a_flow_may_end_while_its_memory_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
