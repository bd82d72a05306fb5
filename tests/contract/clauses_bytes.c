/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/tls.h>

#include "contract.h"

static void
c01_status_and_count_are_apart(struct ends *e)
{
    uint8_t buf[100];
    enum flow_status st;
    size_t n;

    step_open(e);
    n = 99;
    assert_status(flow_read(e->a, buf, sizeof(buf), &n), FLOW_AGAIN);
    assert_int_equal(n, 0);
    do {
        n = 99;
        st = flow_write(e->a, buf, 10, &n);
        assert_in_range(n, st == FLOW_OK ? 1 : 0, st == FLOW_OK ? 10 : 0);
    } while (st == FLOW_AGAIN);
    assert_status(st, FLOW_OK);
    contract_end(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    n = 99;
    assert_status(flow_read(e->a, buf, sizeof(buf), &n), FLOW_EOF);
    assert_int_equal(n, 0);
    if (e->b == NULL)
        return;
    n = 99;
    assert_status(flow_write(e->b, buf, sizeof(buf), &n), FLOW_E_CLOSED);
    assert_int_equal(n, 0);
}

static void
c02_again_changes_nothing(struct ends *e)
{
    uint8_t big[3000], small[5], got[3];
    size_t n, sent, extra;

    step_open(e);
    assert_status(flow_read(e->b, big, sizeof(big), &n), FLOW_AGAIN);
    step_pass(e, e->b, 50, 1);
    /* A read that answered AGAIN is not pending: the next one may have another
     * length. */
    test_fill(small, sizeof(small), 2);
    step_put(e, e->a, small, sizeof(small));
    step_get(e, e->b, got, sizeof(got));
    test_check(got, sizeof(got), 2, 0);
    step_get(e, e->b, got, 2);
    /* Nor is a write: after AGAIN the next write may have other and fewer
     * bytes. */
    sent = contract_fill(e->a, 3);
    memset(big, 0xee, sizeof(big));
    /* The transport may find room meanwhile: the bytes that it accepted
     * count. */
    assert_status_in(flow_write(e->a, big, sizeof(big), &extra),
                     STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
    contract_take(e, e->b, sent, 3);
    while (extra > 0) {
        n = extra < sizeof(big) ? extra : sizeof(big);
        step_get(e, e->b, big, n);
        extra -= n;
    }
    step_put(e, e->a, small, sizeof(small));
    step_get(e, e->b, got, sizeof(got));
    test_check(got, sizeof(got), 2, 0);
}

static void
c03_ok_is_progress(struct ends *e)
{
    static const size_t len[] = { 1, 2, 100, 5000 };
    size_t i;

    step_open(e);
    /* step_pass() checks the status and the count of every call. */
    for (i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
        step_pass(e, e->a, len[i], i);
        step_pass(e, e->b, len[i], i + 100);
    }
}

#define SEGMENTS 1024

/* Empty segments before the bytes and among them have no effect. */
static void
c03_empty_segments_do_not_count(struct ends *e)
{
    static const size_t at[] = { SEGMENTS - 1, 16, 0 };
    struct flow_vec in[SEGMENTS] = { { NULL, 0 } };
    struct flow_cvec out[SEGMENTS] = { { NULL, 0 } };
    uint8_t got[2];
    enum flow_status st;
    size_t i, n;

    step_open(e);
    for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        memset(in, 0, sizeof(in));
        memset(out, 0, sizeof(out));
        out[at[i]] = (struct flow_cvec){ "x", 1 };
        in[at[i]] = (struct flow_vec){ got, 1 };
        while ((st = flow_writev(e->a, out, SEGMENTS, 0, &n)) == FLOW_AGAIN)
            step_wait(e, FLOW_READY_WRITE, 0);
        assert_status(st, FLOW_OK);
        assert_int_equal(n, 1);
        step_flush(e, e->a);
        while ((st = flow_readv(e->b, in, SEGMENTS, &n)) == FLOW_AGAIN)
            step_wait(e, 0, FLOW_READY_READ);
        assert_status(st, FLOW_OK);
        assert_int_equal(n, 1);
        assert_int_equal(got[0], 'x');
    }
}

static void
c04_sticky_status_stays(struct ends *e)
{
    struct flow_error first, again;
    uint8_t buf[16];
    size_t n, i;

    step_open(e);
    step_put(e, e->b, "x", 1);
    contract_end(e, e->b);
    assert_status(step_end(e, e->a, &n), FLOW_EOF);
    assert_int_equal(n, 1);
    flow_close(e->b);
    e->b = NULL;
    for (i = 0; i < 3; i++)
        assert_status(flow_read(e->a, buf, sizeof(buf), &n), FLOW_EOF);
    flow_abort(e->a);
    assert_status(flow_write(e->a, buf, 1, &n), FLOW_E_CANCELED);
    flow_get_error(e->a, FLOW_WRITE, &first);
    for (i = 0; i < 3; i++)
        assert_status(flow_write(e->a, buf, 1, &n), FLOW_E_CANCELED);
    flow_get_error(e->a, FLOW_WRITE, &again);
    assert_int_equal(first.status, again.status);
    assert_ptr_equal(first.text, again.text);
    assert_int_equal(first.layer_count, again.layer_count);
}

static void
c05_transient_error_changes_nothing(struct ends *e)
{
    struct flow_vec span[2];
    uint8_t buf[16] = { 0 };
    struct flow_cvec vec = { buf, sizeof(buf) };
    size_t n;

    step_open(e);
    assert_status(flow_writev(e->a, &vec, 1, 0x80, &n), FLOW_E_INVAL);
    assert_status(flow_commit(e->a, FLOW_WRITE, 0, 0), FLOW_E_INVAL);
    assert_status(flow_shutdown(e->a, (enum flow_dir)7), FLOW_E_INVAL);
    assert_status_in(flow_lease(e->a, FLOW_READ, 0, span),
                     STATUS_BIT(FLOW_E_INVAL) | STATUS_BIT(FLOW_E_NOTSUP));
    assert_status(flow_control(e->a, (enum flow_control_key)999, 0),
                  FLOW_E_NOTSUP);
    step_pass(e, e->a, 200, 1);
    step_pass(e, e->b, 200, 2);
}

static void
c06_error_record_names_layers(struct ends *e)
{
    struct flow_error err;
    char line[400];
    uint8_t buf[4] = { 0 };
    size_t n;
    int d;

    step_open(e);
    for (d = FLOW_READ; d <= FLOW_WRITE; d++) {
        flow_get_error(e->a, (enum flow_dir)d, &err);
        assert_status(err.status, FLOW_OK);
    }
    flow_abort(e->a);
    assert_status(flow_read(e->a, buf, sizeof(buf), &n), FLOW_E_CANCELED);
    flow_get_error(e->a, FLOW_READ, &err);
    assert_status(err.status, FLOW_E_CANCELED);
    assert_non_null(err.text);
    assert_in_range(err.layer_count, 1, FLOW_ERROR_LAYERS);
    assert_string_equal(err.layers[err.layer_count - 1], flow_name(e->a));
    assert_in_range(flow_error_format(&err, line, sizeof(line)), 1, 399);
    assert_non_null(strstr(line, err.text));
    /* If the failure comes from below, the layer that failed is named first and
     * the topmost layer last. */
    flow_close(e->a);
    e->a = NULL;
    if (step_end(e, e->b, NULL) == FLOW_EOF)
        return;
    flow_get_error(e->b, FLOW_READ, &err);
    assert_true(err.status < 0);
    assert_non_null(err.text);
    assert_in_range(err.layer_count, 1, FLOW_ERROR_LAYERS);
    assert_string_equal(err.layers[err.layer_count - 1], flow_name(e->b));
}

/* The error record itself may need memory that cannot be allocated. */
static void
c06_error_without_memory_is_reported(struct ends *e)
{
    struct flow_error err;
    enum flow_status st;
    uint8_t byte;
    size_t n;

    step_open(e);
    flow_close(e->b);
    e->b = NULL;
    test_env_fail(1, true);
    st = step_break(e, e->a);
    test_env_fail(0, false);
    flow_get_error(e->a, FLOW_WRITE, &err);
    assert_status(err.status, st);
    assert_non_null(err.text);
    /* If a layer needs memory to write, the write fails without an end. */
    if (st == FLOW_E_NOMEM)
        st = step_break(e, e->a);
    flow_get_error(e->a, FLOW_WRITE, &err);
    assert_status(err.status, st);
    assert_non_null(err.text);
    assert_in_range(err.layer_count, 1, FLOW_ERROR_LAYERS);
    assert_string_equal(err.layers[err.layer_count - 1], flow_name(e->a));
    /* The error is sticky (C04), with memory or without. */
    assert_status(flow_write(e->a, "x", 1, &n), st);
    flow_get_error(e->a, FLOW_WRITE, &err);
    assert_status(err.status, st);
    assert_non_null(err.text);
    st = step_end(e, e->a, NULL);
    assert_status(flow_read(e->a, &byte, 1, &n), st);
}

static void
c07_bytes_arrive_unchanged(struct ends *e)
{
    static const size_t len[] = { 1,    2,    63,   64,   65,  1245,
                                  2047, 2048, 2049, 4095, 4096 };
    static uint8_t from[8192], to[8192];
    size_t i, off;

    step_open(e);
    for (i = 0; i < sizeof(len) / sizeof(len[0]); i++)
        for (off = 0; off < 9; off += i + 1) {
            test_fill(from + off, len[i], i + off);
            step_put(e, i % 2 ? e->a : e->b, from + off, 1);
            step_get(e, i % 2 ? e->b : e->a, to + 8 - off, 1);
            assert_int_equal(to[8 - off], from[off]);
            step_pass(e, i % 2 ? e->b : e->a, len[i], i + off);
        }
}

static void
c08_read_does_not_wait_to_fill(struct ends *e)
{
    uint8_t data[10], got[1000];
    enum flow_status st;
    size_t n;

    step_open(e);
    test_fill(data, sizeof(data), 8);
    step_put(e, e->a, data, sizeof(data));
    while ((st = flow_read(e->b, got, sizeof(got), &n)) == FLOW_AGAIN)
        step_wait(e, 0, FLOW_READY_READ);
    assert_status(st, FLOW_OK);
    assert_in_range(n, 1, sizeof(data));
    test_check(got, n, 8, 0);
}

/* The rest of a vector after its first off bytes. */
static size_t
rest_of(const struct flow_vec *vec, size_t count, size_t off,
        struct flow_vec *ret)
{
    size_t i, out = 0;

    for (i = 0; i < count; i++) {
        size_t skip = off < vec[i].len ? off : vec[i].len;

        off -= skip;
        if (skip == vec[i].len)
            continue;
        ret[out] = vec[i];
        ret[out].len -= skip;
        if (ret[out].base != NULL)
            ret[out].base = (uint8_t *)ret[out].base + skip;
        out++;
    }
    return out;
}

static void
get_vec(struct ends *e, struct flow *f, const struct flow_vec *vec,
        size_t count, size_t len)
{
    struct flow_vec part[8];
    enum flow_status st;
    size_t done = 0, n;

    while (done < len) {
        st = flow_readv(f, part, rest_of(vec, count, done, part), &n);
        if (st == FLOW_AGAIN)
            step_wait(e, 0, FLOW_READY_READ);
        else
            assert_status(st, FLOW_OK);
        done += n;
    }
    assert_int_equal(done, len);
}

static void
c09_segments_fill_in_order(struct ends *e)
{
    uint8_t data[60], x[3], y[50], z[7];
    const struct flow_vec vec[] = {
        { x, sizeof(x) }, { NULL, 0 }, { y, sizeof(y) }, { z, sizeof(z) }
    };

    step_open(e);
    test_fill(data, sizeof(data), 9);
    step_put(e, e->a, data, sizeof(data));
    get_vec(e, e->b, vec, 4, sizeof(data));
    assert_memory_equal(x, data, 3);
    assert_memory_equal(y, data + 3, 50);
    assert_memory_equal(z, data + 53, 7);
}

static void
c10_segment_without_base_discards(struct ends *e)
{
    uint8_t data[60], x[10], y[5];
    const struct flow_vec vec[] = {
        { NULL, 20 }, { x, sizeof(x) }, { NULL, 25 }, { y, sizeof(y) }
    };

    step_open(e);
    test_fill(data, sizeof(data), 10);
    step_put(e, e->a, data, sizeof(data));
    get_vec(e, e->b, vec, 4, sizeof(data));
    assert_memory_equal(x, data + 20, 10);
    assert_memory_equal(y, data + 55, 5);
}

static void
c11_empty_read_has_no_effect(struct ends *e)
{
    const struct flow_vec nothing[] = { { NULL, 0 }, { NULL, 0 } };
    uint8_t byte;
    size_t n = 99;
#ifdef TEST_TLS
    struct flow_tls_info info;
#endif

    assert_status(flow_readv(e->a, NULL, 0, &n), FLOW_OK);
    assert_int_equal(n, 0);
#ifdef TEST_TLS
    if (e->stack->tls > 0 && e->stack->recipe->layer[1] == NULL)
        assert_status(flow_tls_get_info(e->a, &info), FLOW_AGAIN);
#endif
    step_open(e);
    step_put(e, e->b, "z", 1);
    n = 99;
    assert_status(flow_readv(e->a, nothing, 2, &n), FLOW_OK);
    assert_int_equal(n, 0);
    step_get(e, e->a, &byte, 1);
    assert_int_equal(byte, 'z');
    contract_end(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    assert_status(flow_read(e->a, NULL, 0, &n), FLOW_OK);
    flow_abort(e->a);
    assert_status(flow_read(e->a, NULL, 0, &n), FLOW_OK);
    assert_int_equal(n, 0);
}

static void
c12_bytes_come_before_the_end(struct ends *e)
{
    uint8_t data[300];
    uint32_t ends = e->stack->backend->abandoned;

    if (e->stack->tls > 0)
        ends = STATUS_BIT(FLOW_E_TRUNCATED) | STATUS_BIT(FLOW_E_RESET);
    step_open(e);
    test_fill(data, sizeof(data), 12);
    step_put(e, e->a, data, sizeof(data));
    flow_close(e->a);
    e->a = NULL;
    contract_take(e, e->b, sizeof(data), 12);
    assert_status_in(step_end(e, e->b, NULL), ends);
}

static void
c13_short_write_is_not_an_error(struct ends *e)
{
    size_t sent;

    step_open(e);
    sent = contract_fill(e->a, 13);
    assert_true(sent > 0);
    contract_take(e, e->b, sent, 13);
    assert_status(step_drain(e, e->b, &sent), FLOW_AGAIN);
    assert_int_equal(sent, 0);
    step_pass(e, e->a, 5000, 14);
}

static void
c14_segments_leave_in_order(struct ends *e)
{
    struct flow_cvec vec[16];
    uint8_t data[136];
    size_t i, off = 0, n, done = 0;
    enum flow_status st;

    step_open(e);
    test_fill(data, sizeof(data), 14);
    while (done < sizeof(data)) {
        /* 16 segments of 1, 2, ... bytes, without the first `done` bytes. */
        for (i = 0, off = 0; i < 16; off += ++i) {
            size_t skip = done > off ? done - off : 0;

            skip = skip > i + 1 ? i + 1 : skip;
            vec[i].base = data + off + skip;
            vec[i].len = i + 1 - skip;
        }
        st = flow_writev(e->a, vec, 16, 0, &n);
        done += n;
        if (st == FLOW_AGAIN)
            step_wait(e, FLOW_READY_WRITE, 0);
        else
            assert_status(st, FLOW_OK);
    }
    contract_take(e, e->b, sizeof(data), 14);
}

static void
c15_callers_memory_is_free_on_return(struct ends *e)
{
    uint8_t data[2000];
    enum flow_status st;
    size_t n, total = 0, i;

    step_open(e);
    for (i = 0; i < 5; i++) {
        test_fill(data, sizeof(data), 15);
        while ((st = flow_write(e->a, data + total, sizeof(data) - total,
                                &n)) == FLOW_AGAIN)
            step_wait(e, FLOW_READY_WRITE, 0);
        assert_status(st, FLOW_OK);
        memset(data, 0xff, sizeof(data));
        total += n;
        if (total == sizeof(data))
            break;
    }
    contract_take(e, e->b, total, 15);
}

/* Write all of data with these flags. */
static void
put_flags(struct ends *e, struct flow *f, const uint8_t *data, size_t len,
          uint32_t flags)
{
    enum flow_status st;
    size_t n;

    do {
        struct flow_cvec vec = { data, len };

        st = flow_writev(f, &vec, 1, flags, &n);
        if (st == FLOW_AGAIN) {
            if (f == e->a)
                step_wait(e, FLOW_READY_WRITE, 0);
            else
                step_wait(e, 0, FLOW_READY_WRITE);
            continue;
        }
        assert_status(st, FLOW_OK);
        data += n;
        len -= n;
    } while (len > 0);
}

static void
c16_flush_sends_all_that_was_accepted(struct ends *e)
{
    uint8_t data[30];

    step_open(e);
    test_fill(data, sizeof(data), 16);
    put_flags(e, e->a, data, sizeof(data), FLOW_MORE);
    step_flush(e, e->a);
    contract_take(e, e->b, sizeof(data), 16);
    step_flush(e, e->a);
    step_flush(e, e->b);
}

static void
c17_next_write_sends_what_more_held_back(struct ends *e)
{
    uint8_t data[40];

    step_open(e);
    test_fill(data, sizeof(data), 17);
    put_flags(e, e->a, data, 20, FLOW_MORE);
    put_flags(e, e->a, data + 20, 20, 0);
    contract_take(e, e->b, sizeof(data), 17);
    if (!contract_half_close(e->b))
        return;
    put_flags(e, e->b, data, sizeof(data), FLOW_MORE);
    step_shutdown(e, e->b);
    contract_take(e, e->a, sizeof(data), 17);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
}

static void
c18_fin_ends_the_direction_after_the_last_byte(struct ends *e)
{
    uint8_t data[500];
    size_t n;

    step_open(e);
    if (!contract_half_close(e->a))
        return;
    test_fill(data, sizeof(data), 18);
    put_flags(e, e->a, data, sizeof(data), FLOW_FIN);
    assert_status(flow_write(e->a, data, 1, &n), FLOW_E_CLOSED);
    step_shutdown(e, e->a);
    contract_take(e, e->b, sizeof(data), 18);
    assert_status(step_end(e, e->b, &n), FLOW_EOF);
    assert_int_equal(n, 0);
    step_pass(e, e->b, 100, 19);
}

static void
c19_fin_on_a_prefix_is_ignored(struct ends *e)
{
    static uint8_t big[24 << 20];
    struct flow_cvec vec = { big, sizeof(big) };
    enum flow_status st;
    size_t n, total = 0;

    step_open(e);
    if (!contract_half_close(e->a))
        return;
    do {
        st = flow_writev(e->a, &vec, 1, FLOW_FIN, &n);
        total += n;
        assert_true(n < sizeof(big));
    } while (st == FLOW_OK ||
             (st == FLOW_AGAIN && step_ready(e->a, FLOW_READY_WRITE)));
    assert_status(st, FLOW_AGAIN);
    for (n = 0; n < total;) {
        size_t part = total - n < sizeof(big) ? total - n : sizeof(big);

        step_get(e, e->b, big, part);
        n += part;
    }
    memset(big, 0, sizeof(big));
    step_pass(e, e->a, 100, 19);
}

static void
c20_fin_needs_half_close(struct ends *e)
{
    struct flow_cvec vec = { "x", 1 };
    enum flow_status st;
    size_t n;

    step_open(e);
    while ((st = flow_writev(e->a, &vec, 1, FLOW_FIN, &n)) == FLOW_AGAIN)
        step_wait(e, FLOW_READY_WRITE, 0);
    if (flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_WRITE) {
        assert_status(st, FLOW_OK);
        assert_int_equal(n, 1);
        return;
    }
    assert_status(st, FLOW_E_NOTSUP);
    assert_int_equal(n, 0);
    step_pass(e, e->a, 10, 20);
}

static void
c21_contradicting_flags_are_invalid(struct ends *e)
{
    struct flow_cvec vec = { "x", 1 };
    size_t n;

    step_open(e);
    assert_status(flow_writev(e->a, &vec, 1, FLOW_MORE | FLOW_FIN, &n),
                  FLOW_E_INVAL);
    assert_int_equal(n, 0);
    assert_status(flow_writev(e->a, &vec, 1, 0x10, &n), FLOW_E_INVAL);
    assert_int_equal(n, 0);
    step_flush(e, e->a);
    assert_status(step_drain(e, e->b, &n), FLOW_AGAIN);
    assert_int_equal(n, 0);
}

static void
c22_empty_write_sends_nothing(struct ends *e)
{
    struct flow_cvec nothing[] = { { NULL, 0 }, { "x", 0 } };
    enum flow_status st;
    size_t n = 99;

    step_open(e);
    assert_status(flow_write(e->a, NULL, 0, &n), FLOW_OK);
    assert_int_equal(n, 0);
    assert_status(flow_writev(e->a, nothing, 2, 0, &n), FLOW_OK);
    step_flush(e, e->a);
    assert_status(step_drain(e, e->b, &n), FLOW_AGAIN);
    assert_int_equal(n, 0);
    st = flow_writev(e->a, nothing, 2, FLOW_FIN, &n);
    if (!(flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_WRITE)) {
        assert_status(st, FLOW_E_NOTSUP);
        return;
    }
    assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
    step_shutdown(e, e->a);
    assert_status(step_end(e, e->b, &n), FLOW_EOF);
    assert_int_equal(n, 0);
}

static void
c23_write_after_shutdown_is_closed(struct ends *e)
{
    size_t n = 99;

    step_open(e);
    if (!(flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_WRITE)) {
        assert_status(flow_shutdown(e->a, FLOW_WRITE), FLOW_E_NOTSUP);
        return;
    }
    (void)!flow_shutdown(e->a, FLOW_WRITE);
    assert_status(flow_write(e->a, "x", 1, &n), FLOW_E_CLOSED);
    assert_int_equal(n, 0);
    step_shutdown(e, e->a);
    assert_status(flow_write(e->a, "x", 1, &n), FLOW_E_CLOSED);
    assert_status(step_end(e, e->b, &n), FLOW_EOF);
    assert_int_equal(n, 0);
}

const struct clause clauses_bytes[] = {
    CLAUSE(c01_status_and_count_are_apart),
    CLAUSE(c02_again_changes_nothing),
    CLAUSE(c03_ok_is_progress),
    CLAUSE(c03_empty_segments_do_not_count),
    CLAUSE(c04_sticky_status_stays),
    CLAUSE(c05_transient_error_changes_nothing),
    CLAUSE(c06_error_record_names_layers),
    CLAUSE(c06_error_without_memory_is_reported),
    CLAUSE(c07_bytes_arrive_unchanged),
    CLAUSE(c08_read_does_not_wait_to_fill),
    CLAUSE(c09_segments_fill_in_order),
    CLAUSE(c10_segment_without_base_discards),
    CLAUSE(c11_empty_read_has_no_effect),
    CLAUSE(c12_bytes_come_before_the_end),
    CLAUSE(c13_short_write_is_not_an_error),
    CLAUSE(c14_segments_leave_in_order),
    CLAUSE(c15_callers_memory_is_free_on_return),
    CLAUSE(c16_flush_sends_all_that_was_accepted),
    CLAUSE(c17_next_write_sends_what_more_held_back),
    CLAUSE(c18_fin_ends_the_direction_after_the_last_byte),
    CLAUSE(c19_fin_on_a_prefix_is_ignored),
    CLAUSE(c20_fin_needs_half_close),
    CLAUSE(c21_contradicting_flags_are_invalid),
    CLAUSE(c22_empty_write_sends_nothing),
    CLAUSE(c23_write_after_shutdown_is_closed),
    { NULL, NULL },
};
