/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/align.h>
#include <flow/backend.h>
#include <flow/buffered.h>
#include <flow/fault.h>
#include <flow/prefix.h>
#include <flow/tls.h>
#include <flow/trace.h>

#include "contract.h"

static bool
lends(const struct flow *f, enum flow_dir dir)
{
    return (flow_caps(f) & (dir == FLOW_READ ? FLOW_CAP_LEASE_READ
                                             : FLOW_CAP_LEASE_WRITE)) != 0;
}

/* Wait for a lease of at least want bytes. */
static enum flow_status
lease(struct ends *e, struct flow *f, enum flow_dir dir, size_t want,
      struct flow_vec span[2])
{
    uint32_t bit = dir == FLOW_READ ? FLOW_READY_READ : FLOW_READY_WRITE;
    enum flow_status st;
    unsigned tries = 0;

    while ((st = flow_lease(f, dir, want, span)) == FLOW_AGAIN) {
        if (step_other(e, f) != NULL)
            (void)!flow_flush(step_other(e, f));
        assert_true(tries++ < 100000);
        if (step_ready(f, bit) == 0)
            step_wait(e, f == e->a ? bit : 0, f == e->b ? bit : 0);
    }
    return st;
}

static void
c52_leases_need_the_capability(struct ends *e)
{
    struct flow_vec span[2];

    step_open(e);
    if (!lends(e->a, FLOW_READ))
        assert_status(flow_lease(e->a, FLOW_READ, 1, span), FLOW_E_NOTSUP);
    if (!lends(e->a, FLOW_WRITE))
        assert_status(flow_lease(e->a, FLOW_WRITE, 1, span), FLOW_E_NOTSUP);
    step_pass(e, e->a, 100, 52);
    step_pass(e, e->b, 100, 53);
}

/* Compare the bytes of a lease with those of test_fill(seed) from off on. */
static size_t
check_spans(const struct flow_vec span[2], uint64_t seed, size_t off)
{
    test_check(span[0].base, span[0].len, seed, off);
    if (span[1].len > 0)
        test_check(span[1].base, span[1].len, seed, off + span[0].len);
    return span[0].len + span[1].len;
}

static void
c53_read_lease_shows_and_commit_consumes(struct ends *e)
{
    struct flow_vec span[2];
    uint8_t data[300];
    size_t off = 0, shown, take;

    step_open(e);
    if (!lends(e->a, FLOW_READ))
        return;
    test_fill(data, sizeof(data), 53);
    step_put(e, e->b, data, sizeof(data));
    assert_status(lease(e, e->a, FLOW_READ, 40, span), FLOW_OK);
    assert_true(span[0].len >= 40);
    (void)check_spans(span, 53, 0);
    assert_status(flow_commit(e->a, FLOW_READ, 0, 0), FLOW_OK);
    while (off < sizeof(data)) {
        assert_status(lease(e, e->a, FLOW_READ, 1, span), FLOW_OK);
        shown = check_spans(span, 53, off);
        assert_in_range(shown, 1, sizeof(data) - off);
        take = shown > 7 ? 7 : shown;
        assert_status(flow_commit(e->a, FLOW_READ, take, 0), FLOW_OK);
        off += take;
        if (off % 3 == 0 && off < sizeof(data)) {
            uint8_t byte;

            step_get(e, e->a, &byte, 1);
            assert_int_equal(byte, data[off++]);
        }
    }
    assert_status(step_drain(e, e->a, &shown), FLOW_AGAIN);
    assert_int_equal(shown, 0);
}

static void
c54_read_lease_waits_for_want_bytes(struct ends *e)
{
    struct flow_vec span[2];
    uint8_t data[10];

    step_open(e);
    if (!lends(e->a, FLOW_READ))
        return;
    test_fill(data, sizeof(data), 54);
    step_put(e, e->b, data, sizeof(data));
    assert_status(lease(e, e->a, FLOW_READ, sizeof(data), span), FLOW_OK);
    assert_status(flow_commit(e->a, FLOW_READ, 0, 0), FLOW_OK);
    assert_status(flow_lease(e->a, FLOW_READ, 50, span), FLOW_AGAIN);
    /* A refused lease is not held: reading is allowed. */
    assert_status(flow_read(e->a, NULL, 0, &(size_t){ 0 }), FLOW_OK);
    contract_end(e, e->b);
    assert_status(lease(e, e->a, FLOW_READ, 50, span), FLOW_OK);
    assert_int_equal(check_spans(span, 54, 0), sizeof(data));
    assert_status(flow_commit(e->a, FLOW_READ, sizeof(data), 0), FLOW_OK);
    assert_status(lease(e, e->a, FLOW_READ, 1, span), FLOW_EOF);
}

static void
c55_write_lease_is_a_write(struct ends *e)
{
    struct flow_vec span[2];
    uint8_t data[40];
    size_t n;

    step_open(e);
    if (!lends(e->a, FLOW_WRITE))
        return;
    test_fill(data, sizeof(data), 55);
    assert_status(lease(e, e->a, FLOW_WRITE, 20, span), FLOW_OK);
    assert_true(span[0].len >= 20);
    memcpy(span[0].base, data, 20);
    assert_status(flow_commit(e->a, FLOW_WRITE, 20, FLOW_MORE), FLOW_OK);
    assert_status(lease(e, e->a, FLOW_WRITE, 20, span), FLOW_OK);
    memcpy(span[0].base, data + 20, 20);
    if (!(flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_WRITE)) {
        assert_status(flow_commit(e->a, FLOW_WRITE, 20, 0), FLOW_OK);
        contract_take(e, e->b, sizeof(data), 55);
        return;
    }
    assert_status(flow_commit(e->a, FLOW_WRITE, 20, FLOW_FIN), FLOW_OK);
    assert_status(flow_write(e->a, "x", 1, &n), FLOW_E_CLOSED);
    step_shutdown(e, e->a);
    contract_take(e, e->b, sizeof(data), 55);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
}

static void
c56_one_lease_per_direction(struct ends *e)
{
    struct flow_vec span[2];
    uint8_t byte;
    size_t n = 99;

    step_open(e);
    if (lends(e->a, FLOW_READ)) {
        step_put(e, e->b, "abc", 3);
        assert_status(lease(e, e->a, FLOW_READ, 1, span), FLOW_OK);
        assert_status(flow_read(e->a, &byte, 1, &n), FLOW_E_BUSY);
        assert_int_equal(n, 0);
        assert_status(flow_lease(e->a, FLOW_READ, 1, span), FLOW_E_BUSY);
        step_pass(e, e->a, 20, 56);
        assert_status(flow_commit(e->a, FLOW_READ, 0, 0), FLOW_OK);
        step_get(e, e->a, &byte, 1);
        assert_int_equal(byte, 'a');
        step_get(e, e->a, &byte, 1);
        step_get(e, e->a, &byte, 1);
        assert_int_equal(byte, 'c');
    }
    if (lends(e->a, FLOW_WRITE)) {
        assert_status(lease(e, e->a, FLOW_WRITE, 1, span), FLOW_OK);
        assert_status(flow_write(e->a, "x", 1, &n), FLOW_E_BUSY);
        assert_status(flow_lease(e->a, FLOW_WRITE, 1, span), FLOW_E_BUSY);
        if (flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_WRITE)
            assert_status(flow_shutdown(e->a, FLOW_WRITE), FLOW_E_BUSY);
        step_put(e, e->b, "d", 1);
        assert_status(step_drain(e, e->a, &n), FLOW_AGAIN);
        assert_int_equal(n, 1);
        assert_status(flow_commit(e->a, FLOW_WRITE, 0, 0), FLOW_OK);
    }
    step_pass(e, e->a, 100, 57);
    step_pass(e, e->b, 100, 58);
}

static void
c57_invalid_leases_and_commits_are_refused(struct ends *e)
{
    struct flow_vec span[2];
    int d;

    step_open(e);
    step_put(e, e->b, "abc", 3);
    for (d = FLOW_READ; d <= FLOW_WRITE; d++) {
        enum flow_dir dir = (enum flow_dir)d;

        assert_status(flow_commit(e->a, dir, 0, 0), FLOW_E_INVAL);
        if (!lends(e->a, dir))
            continue;
        assert_status(flow_lease(e->a, dir, 0, span), FLOW_E_INVAL);
        assert_status(flow_lease(e->a, dir, SIZE_MAX / 2, span), FLOW_E_INVAL);
        assert_status(lease(e, e->a, dir, 1, span), FLOW_OK);
        assert_status(flow_commit(e->a, dir, span[0].len + span[1].len + 1, 0),
                      FLOW_E_INVAL);
        assert_status(flow_lease(e->a, dir, 1, span), FLOW_E_BUSY);
        assert_status(flow_commit(e->a, dir, 0, 0), FLOW_OK);
    }
    step_pass(e, e->a, 10, 57);
}

static void
c58_close_ends_a_lease(struct ends *e)
{
    struct flow_vec span[2];

    step_open(e);
    step_put(e, e->b, "abc", 3);
    if (lends(e->a, FLOW_READ))
        assert_status(lease(e, e->a, FLOW_READ, 1, span), FLOW_OK);
    if (lends(e->a, FLOW_WRITE))
        assert_status(lease(e, e->a, FLOW_WRITE, 1, span), FLOW_OK);
    flow_close(e->a);
    e->a = NULL;
}

#ifdef TEST_TLS
/* A failed constructor fills in an error record: status, layer, text, and a
 * hint unless memory ran out. */
static void
check_record(const struct flow_error *err, enum flow_status st)
{
    assert_status(err->status, st);
    assert_true(err->layer_count == 1);
    assert_string_equal(err->layers[0], "tls");
    assert_true(err->text[0] != '\0');
    assert_true(st == FLOW_E_NOMEM || err->hint != NULL);
}
#endif

static void
c59_failed_constructor_leaves_the_lower_flow(struct ends *e)
{
    struct flow *const untouched = (struct flow *)(void *)e;
    struct flow *f = untouched;
    struct flow_fault_plan plan;
    struct flow_align_policy policy;
#ifdef TEST_TLS
    struct flow_error err;
#endif

    step_open(e);
    flow_fault_plan_init(&plan);
    assert_status(flow_align_init(&policy, TEST_ENV, 1, false), FLOW_OK);
    test_env_fail(1, true);
    assert_status(flow_trace_wrap(e->a, NULL, NULL, &f), FLOW_E_NOMEM);
    assert_status(flow_prefix_wrap(e->a, "x", 1, &f), FLOW_E_NOMEM);
    assert_status(flow_fault_wrap(e->a, &plan, &f), FLOW_E_NOMEM);
    assert_status(flow_buffered_wrap(e->a, &policy.base, 100, &f),
                  FLOW_E_NOMEM);
#ifdef TEST_TLS
    assert_status(flow_tls_wrap_client(stack_tls_client(0), e->a, "x.example",
                                       0, &f, &err),
                  FLOW_E_NOMEM);
    check_record(&err, FLOW_E_NOMEM);
    assert_status(flow_tls_wrap_server(stack_tls_server(0), e->a, 0, &f, &err),
                  FLOW_E_NOMEM);
    check_record(&err, FLOW_E_NOMEM);
#endif
    test_env_fail(0, false);
    assert_status(flow_buffered_wrap(e->a, &policy.base, 0, &f), FLOW_E_INVAL);
    plan.again_percent = 101;
    assert_status(flow_fault_wrap(e->a, &plan, &f), FLOW_E_INVAL);
#ifdef TEST_TLS
    assert_status(
        flow_tls_wrap_client(stack_tls_client(0), e->a, NULL, 0, &f, &err),
        FLOW_E_INVAL);
    check_record(&err, FLOW_E_INVAL);
    assert_status(flow_tls_wrap_client(stack_tls_client(0), e->a, "x..example",
                                       0, &f, &err),
                  FLOW_E_INVAL);
    check_record(&err, FLOW_E_INVAL);
    assert_string_equal(err.detail, "x..example");
    assert_status(flow_tls_wrap_client(stack_tls_server(0), e->a, "x.example",
                                       0, &f, &err),
                  FLOW_E_INVAL);
    check_record(&err, FLOW_E_INVAL);
    assert_status(flow_tls_wrap_client(stack_tls_client(0), e->a, "x.example",
                                       0x80, &f, &err),
                  FLOW_E_INVAL);
    check_record(&err, FLOW_E_INVAL);
    assert_status(flow_tls_wrap_server(stack_tls_client(0), e->a, 0, &f, &err),
                  FLOW_E_INVAL);
    check_record(&err, FLOW_E_INVAL);
    assert_status(flow_tls_wrap_server(stack_tls_client(0), e->a, 0, &f, NULL),
                  FLOW_E_INVAL);
#endif
    assert_ptr_equal(f, untouched);
    step_pass(e, e->a, 100, 59);
    step_pass(e, e->b, 100, 60);
}

static void
c60_owned_lower_flow_is_closed_once(struct ends *e)
{
    struct wire wire = { 0 };
    struct flow *f;

    f = tap_wrap(e->a, &wire, NULL);
    assert_status(flow_trace_wrap(f, NULL, NULL, &f), FLOW_OK);
    assert_status(flow_prefix_wrap(f, "x", 1, &f), FLOW_OK);
    e->a = NULL;
    assert_int_equal(wire.closes, 0);
    flow_close(f);
    assert_int_equal(wire.closes, 1);
    wire_free(&wire);
}

static void
c61_capabilities_are_computed(struct ends *e)
{
    const uint32_t tls = FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |
                         FLOW_CAP_ORDERLY_END | FLOW_CAP_AUTHENTICATED_END |
                         FLOW_CAP_CONFIDENTIAL;
    uint32_t below = e->stack->backend->caps;
    uint32_t caps = flow_caps(e->a);

    /* Only the dialling side has to connect. */
    assert_int_equal(flow_caps(e->a) | FLOW_CAP_NEEDS_OPEN,
                     flow_caps(e->b) | FLOW_CAP_NEEDS_OPEN);
    if (e->stack->recipe->layer[0] == NULL)
        assert_int_equal(caps & below, below);
    if (e->stack->tls > 0) {
        assert_int_equal(caps & tls, tls);
    } else {
        assert_int_equal(
            caps & (FLOW_CAP_AUTHENTICATED_END | FLOW_CAP_CONFIDENTIAL), 0);
    }
    /* No layer adds a capability that only the transport can have. */
    assert_int_equal(caps & FLOW_CAP_FD & ~below, 0);
    if (!(below & FLOW_CAP_DUPLEX))
        assert_int_equal(caps & FLOW_CAP_DUPLEX, 0);
}

/* End both directions on both sides and read both markers. */
static void
end_all(struct ends *e)
{
    step_shutdown(e, e->a);
    step_shutdown(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
}

static void
c62_detach_returns_the_lower_flow(struct ends *e)
{
    struct flow *a = NULL, *b = NULL;
    uint8_t word[5];

    if (e->stack->recipe->layer[0] == NULL) {
        step_open(e);
        assert_int_equal(flow_caps(e->a) & FLOW_CAP_DETACH, 0);
        assert_status(flow_detach(e->a, &a), FLOW_E_NOTSUP);
        step_pass(e, e->a, 10, 62);
        return;
    }
    assert_true(flow_caps(e->a) & FLOW_CAP_DETACH);
    if (strcmp(flow_name(e->a), "tls") != 0) {
        assert_status(flow_detach(e->a, &a), FLOW_OK);
        assert_status(flow_detach(e->b, &b), FLOW_OK);
        e->a = a;
        e->b = b;
        step_pass(e, e->a, 100, 62);
        return;
    }
    step_open(e);
    step_pass(e, e->a, 100, 62);
    assert_status(flow_detach(e->a, &a), FLOW_E_BUSY);
    assert_status(flow_control(e->a, FLOW_CONTROL_PROPAGATE, 2), FLOW_E_INVAL);
    assert_status(flow_control(e->a, FLOW_CONTROL_PROPAGATE, 0), FLOW_OK);
    assert_status(flow_control(e->b, FLOW_CONTROL_PROPAGATE, 0), FLOW_OK);
    step_shutdown(e, e->a);
    step_shutdown(e, e->b);
    assert_status(flow_control(e->a, FLOW_CONTROL_PROPAGATE, 1), FLOW_E_INVAL);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    assert_status(flow_detach(e->a, &a), FLOW_OK);
    e->a = a;
    /* Bytes that follow the marker at once have been read ahead with it. */
    step_put(e, e->a, "clear", 5);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
    assert_status(flow_detach(e->b, &b), FLOW_OK);
    e->b = b;
    step_get(e, e->b, word, 5);
    assert_memory_equal(word, "clear", 5);
    step_pass(e, e->a, 100, 63);
    step_pass(e, e->b, 100, 64);
}

/* Unless the program says otherwise, the end is passed down: the lower flow
 * that comes back has ended as the layer has. */
static void
c62_detach_after_an_end_was_passed_down(struct ends *e)
{
    struct flow *a = NULL, *b = NULL;
    size_t n;

    if (e->stack->recipe->layer[0] == NULL ||
        strcmp(flow_name(e->a), "tls") != 0)
        return;
    step_open(e);
    step_pass(e, e->a, 100, 65);
    end_all(e);
    assert_status(flow_detach(e->a, &a), FLOW_OK);
    assert_status(flow_detach(e->b, &b), FLOW_OK);
    e->a = a;
    e->b = b;
    if (flow_caps(a) & FLOW_CAP_HALF_CLOSE_WRITE)
        assert_status(flow_write(a, "x", 1, &n), FLOW_E_CLOSED);
    else
        step_pass(e, a, 100, 66);
}

static void
c63_query_obeys_its_length(struct ends *e)
{
    char text[512];
    size_t need = 0, len;

    step_open(e);
    assert_status(flow_query(e->a, FLOW_QUERY_DESCRIPTION, NULL, &need),
                  FLOW_OK);
    assert_in_range(need, 2, sizeof(text));
    len = need - 1;
    assert_status(flow_query(e->a, FLOW_QUERY_DESCRIPTION, text, &len),
                  FLOW_E_INVAL);
    assert_int_equal(len, need);
    len = sizeof(text);
    assert_status(flow_query(e->a, FLOW_QUERY_DESCRIPTION, text, &len),
                  FLOW_OK);
    assert_int_equal(len, need);
    assert_int_equal(strlen(text), need - 1);
    /* The name of each layer is in it. */
    assert_non_null(strstr(text, flow_name(e->a)));
    len = sizeof(text);
    assert_status(flow_query(e->a,
                             (enum flow_query_key)(FLOW_QUERY_PRIVATE - 1),
                             text, &len),
                  FLOW_E_NOTSUP);
}

static void
c64_unknown_query_keys_are_passed_down(struct ends *e)
{
    static const unsigned unknown[] = { FLOW_QUERY_SECURITY - 1,
                                        FLOW_QUERY_SECURITY_LAST,
                                        FLOW_QUERY_PRIVATE - 1 };
    struct flow *lower = NULL, *f = e->a;
    struct flow_tls_info info;
    size_t len = sizeof(lower), depth = 0;
    int fd;

    step_open(e);
    while (flow_query(f, FLOW_QUERY_LOWER, &lower, &len) == FLOW_OK &&
           lower != f) {
        f = lower;
        depth++;
        assert_true(depth < 10);
    }
    assert_int_equal(depth, e->stack->recipe->layer[0] == NULL   ? 0
                            : e->stack->recipe->layer[1] == NULL ? 1
                            : e->stack->recipe->layer[2] == NULL ? 2
                                                                 : 3);
    len = sizeof(fd);
    if (e->stack->backend->caps & FLOW_CAP_FD) {
        assert_status(flow_query(e->a, FLOW_QUERY_FD, &fd, &len), FLOW_OK);
        assert_true(fd >= 0);
    } else {
        assert_status(flow_query(e->a, FLOW_QUERY_FD, &fd, &len),
                      FLOW_E_NOTSUP);
    }
    len = sizeof(info);
    assert_status(flow_query(e->a, FLOW_QUERY_TLS_INFO, &info, &len),
                  e->stack->tls > 0 ? FLOW_OK : FLOW_E_NOTSUP);
    /* Keys that no layer knows; from PRIVATE on a backend may have its own. */
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_status(
            flow_query(e->a, (enum flow_query_key)unknown[i], &info, &len),
            FLOW_E_NOTSUP);
}

static void
c65_control_refuses_unknown_keys_and_values(struct ends *e)
{
    step_open(e);
    assert_status(
        flow_control(e->a, (enum flow_control_key)(FLOW_CONTROL_PRIVATE - 1),
                     0),
        FLOW_E_NOTSUP);
    if (strcmp(e->stack->backend->name, "tcp") == 0) {
        assert_status(flow_control(e->a, FLOW_CONTROL_NODELAY, 7),
                      FLOW_E_INVAL);
        assert_status(flow_control(e->a, FLOW_CONTROL_NODELAY, 1), FLOW_OK);
    }
    if (e->stack->tls > 0) {
        assert_status(flow_control(e->a, FLOW_CONTROL_RECORD_LIMIT, -1),
                      FLOW_E_INVAL);
        assert_status(flow_control(e->a, FLOW_CONTROL_RECORD_LIMIT, 1000),
                      FLOW_OK);
    } else {
        assert_status(flow_control(e->a, FLOW_CONTROL_REKEY, 0), FLOW_E_NOTSUP);
    }
    step_pass(e, e->a, 3000, 65);
}

static void
c66_out_of_memory_is_transient(struct ends *e)
{
    uint8_t data[5000], got[5000];
    size_t sent = 0, received = 0, n, rounds = 0;
    enum flow_status st;
    uint64_t seed = 66;
    const uint32_t fine =
        STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN) | STATUS_BIT(FLOW_E_NOMEM);

    step_open(e);
    test_fill(data, sizeof(data), 66);
    while (received < sizeof(data)) {
        bool starve = test_random(&seed) % 3 != 0;

        assert_true(rounds++ < 200000);
        test_env_fail(starve ? 1 : 0, true);
        if (sent < sizeof(data)) {
            st = flow_write(
                e->a, data + sent,
                sizeof(data) - sent > 900 ? 900 : sizeof(data) - sent, &n);
            assert_status_in(st, fine);
            sent += n;
        }
        if (sent == sizeof(data))
            assert_status_in(flow_flush(e->a), fine);
        st = flow_read(e->b, got + received, sizeof(got) - received, &n);
        assert_status_in(st, fine);
        received += n;
    }
    test_env_fail(0, false);
    test_check(got, sizeof(got), 66, 0);
    step_pass(e, e->b, 100, 67);
}

static void
c81_each_flow_has_a_user_pointer(struct ends *e)
{
    struct flow *lower;
    size_t len = sizeof(lower);
    int mine, theirs;

    assert_null(flow_get_user(e->a));
    flow_set_user(e->a, &mine);
    flow_set_user(e->b, &theirs);
    step_open(e);
    step_pass(e, e->a, 100, 81);
    assert_ptr_equal(flow_get_user(e->a), &mine);
    assert_ptr_equal(flow_get_user(e->b), &theirs);
    if (flow_query(e->a, FLOW_QUERY_LOWER, &lower, &len) == FLOW_OK)
        assert_null(flow_get_user(lower));
    flow_set_user(e->a, NULL);
    assert_null(flow_get_user(e->a));
    flow_abort(e->b);
    assert_ptr_equal(flow_get_user(e->b), &theirs);
}

const struct clause clauses_stack[] = {
    CLAUSE(c52_leases_need_the_capability),
    CLAUSE(c53_read_lease_shows_and_commit_consumes),
    CLAUSE(c54_read_lease_waits_for_want_bytes),
    CLAUSE(c55_write_lease_is_a_write),
    CLAUSE(c56_one_lease_per_direction),
    CLAUSE(c57_invalid_leases_and_commits_are_refused),
    CLAUSE(c58_close_ends_a_lease),
    CLAUSE(c59_failed_constructor_leaves_the_lower_flow),
    CLAUSE(c60_owned_lower_flow_is_closed_once),
    CLAUSE(c61_capabilities_are_computed),
    CLAUSE(c62_detach_returns_the_lower_flow),
    CLAUSE(c62_detach_after_an_end_was_passed_down),
    CLAUSE(c63_query_obeys_its_length),
    CLAUSE(c64_unknown_query_keys_are_passed_down),
    CLAUSE(c65_control_refuses_unknown_keys_and_values),
    CLAUSE(c66_out_of_memory_is_transient),
    CLAUSE(c81_each_flow_has_a_user_pointer),
    { NULL, NULL },
};
