/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <string.h>

#include <flow/align.h>
#include <flow/flow.h>
#include <flow/pair.h>
#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "stream.h"
#include "unit.h"

/* Two ends on the fake environment, which counts memory that is not freed. */
struct fixture {
    struct flow__fake fake;
    struct flow *a;
    struct flow *b;
};

static void
begin(struct fixture *x, size_t capacity)
{
    flow__fake_init(&x->fake, 1);
    assert_int_equal(flow_pair_new(&x->fake.env, capacity, NULL, &x->a, &x->b),
                     FLOW_OK);
}

static void
end(struct fixture *x)
{
    flow_close(x->a);
    flow_close(x->b);
    assert_int_equal(x->fake.live_blocks, 0);
}

static void
put(struct flow *f, const char *text)
{
    size_t n;

    assert_int_equal(flow_write(f, text, strlen(text), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
}

static void
get(struct flow *f, const char *text)
{
    char buf[64];
    size_t n;

    assert_int_equal(flow_read(f, buf, strlen(text), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, n);
}

static uint32_t
ready(struct flow *f, uint32_t interest)
{
    struct flow_wait_set set;
    uint32_t bits;

    flow_wait_set_init(&set);
    bits = flow_wait_sources(f, interest, &set);
    /* C35: something is ready, or there is something to wait for. */
    assert_true((bits != 0) == (set.count == 0));
    return bits;
}

static void
invalid_arguments_are_refused(void **state)
{
    struct flow__fake fake;
    struct flow *a = NULL;
    struct flow *b = NULL;

    (void)state;
    flow__fake_init(&fake, 1);
    assert_int_equal(flow_pair_new(&fake.env, 0, NULL, &a, &b), FLOW_E_INVAL);
    assert_int_equal(
        flow_pair_new(&fake.env, ((size_t)1 << 30) + 1, NULL, &a, &b),
        FLOW_E_INVAL);
    assert_null(a);
    assert_null(b);
    assert_int_equal(fake.allocs, 0);
}

static void
every_allocation_may_fail(void **state)
{
    struct flow__fake fake;
    struct flow *a = NULL;
    struct flow *b = NULL;
    enum flow_status st;
    uint64_t n;

    (void)state;
    for (n = 1;; n++) {
        flow__fake_init(&fake, 1);
        fake.fail_at = n;
        st = flow_pair_new(&fake.env, 64, NULL, &a, &b);
        if (st == FLOW_OK)
            break;
        assert_int_equal(st, FLOW_E_NOMEM);
        assert_null(a);
        assert_int_equal(fake.live_blocks, 0);
    }
    assert_true(n > 3);
    flow_close(a);
    flow_close(b);
    assert_int_equal(fake.live_blocks, 0);
}

static void
capabilities_are_exact(void **state)
{
    const uint32_t caps = FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |
                          FLOW_CAP_ORDERLY_END | FLOW_CAP_LEASE_READ |
                          FLOW_CAP_LEASE_WRITE | FLOW_CAP_DUPLEX;
    struct fixture x;

    (void)state;
    begin(&x, 16);
    assert_int_equal(flow_caps(x.a), caps);
    assert_int_equal(flow_caps(x.b), caps);
    end(&x);
}

static void
capacity_is_a_power_of_two_and_bounds_writes(void **state)
{
    const char bytes[100] = { 0 };
    struct fixture x;
    size_t n;

    (void)state;
    begin(&x, 33);
    assert_int_equal(flow_write(x.a, bytes, sizeof(bytes), &n), FLOW_OK);
    assert_int_equal(n, 64);
    assert_int_equal(flow_write(x.a, bytes, 1, &n), FLOW_AGAIN);
    assert_int_equal(n, 0);
    assert_int_equal(ready(x.a, FLOW_READY_WRITE), 0);
    assert_int_equal(flow_read(x.b, NULL, 1, &n), FLOW_OK);
    assert_int_equal(ready(x.a, FLOW_READY_WRITE), FLOW_READY_WRITE);
    assert_int_equal(flow_write(x.a, bytes, 2, &n), FLOW_OK);
    assert_int_equal(n, 1);
    end(&x);
}

/* Vectors of odd pieces, through a ring that wraps at every offset. */
static void
vectors_wrap_at_every_offset(void **state)
{
    char in[11];
    char out[11];
    struct flow_cvec w[4] = {
        { "ab", 2 }, { "", 0 }, { "cdefg", 5 }, { "hijk", 4 }
    };
    struct flow_vec r[4] = {
        { in, 1 }, { NULL, 3 }, { in + 4, 6 }, { in + 10, 1 }
    };
    struct fixture x;
    size_t n;
    int i;

    (void)state;
    begin(&x, 16);
    memcpy(out, "abcdefghijk", 11);
    for (i = 0; i < 40; i++) {
        memset(in, '.', sizeof(in));
        assert_int_equal(flow_writev(x.a, w, 4, FLOW_MORE, &n), FLOW_OK);
        assert_int_equal(n, 11);
        assert_int_equal(flow_flush(x.a), FLOW_OK);
        assert_int_equal(flow_readv(x.b, r, 4, &n), FLOW_OK);
        assert_int_equal(n, 11);
        assert_memory_equal(in, "a...efghijk", 11);
    }
    end(&x);
}

static void
half_close_works_in_both_directions(void **state)
{
    struct fixture x;
    size_t n;
    char c;

    (void)state;
    begin(&x, 16);
    put(x.a, "last");
    assert_int_equal(flow_shutdown(x.a, FLOW_WRITE), FLOW_OK);
    get(x.b, "last");
    assert_int_equal(flow_read(x.b, &c, 1, &n), FLOW_EOF);
    put(x.b, "still");
    get(x.a, "still");
    assert_int_equal(flow_shutdown(x.b, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read(x.a, &c, 1, &n), FLOW_EOF);
    end(&x);
}

static void
close_without_shutdown_is_truncation(void **state)
{
    struct flow_error err;
    struct fixture x;
    size_t n;
    char c;

    (void)state;
    begin(&x, 16);
    put(x.a, "rest");
    flow_close(x.a);
    x.a = NULL;
    assert_int_equal(ready(x.b, FLOW_READY_READ | FLOW_READY_WRITE),
                     FLOW_READY_READ | FLOW_READY_WRITE);
    get(x.b, "rest");
    assert_int_equal(flow_read(x.b, &c, 1, &n), FLOW_E_TRUNCATED);
    assert_int_equal(flow_write(x.b, "x", 1, &n), FLOW_E_CLOSED);
    flow_get_error(x.b, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_E_TRUNCATED);
    assert_string_equal(err.layers[0], "pair");
    flow_get_error(x.b, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_CLOSED);
    end(&x);
}

static void
close_after_shutdown_is_an_end(void **state)
{
    struct fixture x;
    uint32_t quality = 99;
    size_t len = sizeof(quality);
    size_t n;
    char c;

    (void)state;
    begin(&x, 16);
    put(x.a, "rest");
    assert_int_equal(flow_shutdown(x.a, FLOW_WRITE), FLOW_OK);
    flow_close(x.a);
    x.a = NULL;
    get(x.b, "rest");
    assert_int_equal(flow_read(x.b, &c, 1, &n), FLOW_EOF);
    assert_int_equal(flow_query(x.b, FLOW_QUERY_END_READ, &quality, &len),
                     FLOW_OK);
    assert_int_equal(quality, FLOW_END_ORDERLY);
    assert_int_equal(flow_write(x.b, "x", 1, &n), FLOW_E_CLOSED);
    end(&x);
}

/* C28: the peer is not told, and its writes still succeed. */
static void
shutdown_read_discards_bytes(void **state)
{
    const char bytes[40] = { 0 };
    struct fixture x;
    size_t n;
    char c;
    int i;

    (void)state;
    begin(&x, 64);
    assert_int_equal(flow_write(x.a, bytes, 40, &n), FLOW_OK);
    assert_int_equal(flow_shutdown(x.b, FLOW_READ), FLOW_OK);
    for (i = 0; i < 10; i++) {
        assert_int_equal(flow_write(x.a, bytes, 40, &n), FLOW_OK);
        assert_int_equal(n, 40);
    }
    assert_int_equal(flow_read(x.b, &c, 1, &n), FLOW_EOF);
    put(x.b, "back");
    get(x.a, "back");
    end(&x);
}

static void
read_lease_has_two_spans_across_the_wrap(void **state)
{
    struct flow_vec span[2];
    struct fixture x;
    size_t n;

    (void)state;
    begin(&x, 16);
    assert_int_equal(flow_lease(x.b, FLOW_READ, 1, span), FLOW_AGAIN);
    put(x.a, "0123456789ab");
    assert_int_equal(flow_read(x.b, NULL, 12, &n), FLOW_OK);
    put(x.a, "ABCDEFGHIJ"); /* 4 at the end of the ring, 6 at its start */

    assert_int_equal(flow_lease(x.b, FLOW_READ, 1, span), FLOW_OK);
    assert_int_equal(span[0].len, 4);
    assert_memory_equal(span[0].base, "ABCD", 4);
    assert_int_equal(span[1].len, 6);
    assert_memory_equal(span[1].base, "EFGHIJ", 6);
    /* One lease per direction; the other direction is not affected. */
    assert_int_equal(flow_read(x.b, NULL, 1, &n), FLOW_E_BUSY);
    assert_int_equal(flow_lease(x.b, FLOW_READ, 1, span), FLOW_E_BUSY);
    put(x.b, "x");
    assert_int_equal(flow_commit(x.b, FLOW_READ, 11, 0), FLOW_E_INVAL);
    assert_int_equal(flow_commit(x.b, FLOW_READ, 0, 0), FLOW_OK);

    /* The lease is contiguous across the end of the ring. */
    assert_int_equal(flow_lease(x.b, FLOW_READ, 7, span), FLOW_OK);
    assert_int_equal(span[0].len, 7);
    assert_memory_equal(span[0].base, "ABCDEFG", 7);
    assert_int_equal(span[1].len, 3);
    assert_memory_equal(span[1].base, "HIJ", 3);
    assert_int_equal(flow_commit(x.b, FLOW_READ, 5, 0), FLOW_OK);
    get(x.b, "FGHIJ");
    end(&x);
}

static void
read_lease_waits_for_want_bytes(void **state)
{
    struct flow_vec span[2];
    struct fixture x;
    size_t n;

    (void)state;
    begin(&x, 16);
    put(x.a, "abc");
    assert_int_equal(flow_lease(x.b, FLOW_READ, 0, span), FLOW_E_INVAL);
    assert_int_equal(flow_lease(x.b, FLOW_READ, 17, span), FLOW_E_INVAL);
    assert_int_equal(flow_lease(x.b, FLOW_READ, 4, span), FLOW_AGAIN);
    /* C34: three bytes are too few, an end is an answer. */
    assert_int_equal(ready(x.b, FLOW_READY_READ), 0);
    assert_int_equal(flow_shutdown(x.a, FLOW_WRITE), FLOW_OK);
    assert_int_equal(ready(x.b, FLOW_READY_READ), FLOW_READY_READ);
    assert_int_equal(flow_lease(x.b, FLOW_READ, 4, span), FLOW_OK);
    assert_int_equal(span[0].len, 3);
    assert_int_equal(span[1].len, 0);
    assert_int_equal(flow_commit(x.b, FLOW_READ, 3, 0), FLOW_OK);
    assert_int_equal(flow_lease(x.b, FLOW_READ, 1, span), FLOW_EOF);
    assert_int_equal(flow_read(x.b, NULL, 1, &n), FLOW_EOF);
    end(&x);
}

static void
write_lease_has_two_spans_across_the_wrap(void **state)
{
    struct flow_vec span[2];
    struct fixture x;
    size_t n;

    (void)state;
    begin(&x, 16);
    put(x.a, "0123456789ab");
    assert_int_equal(flow_read(x.b, NULL, 12, &n), FLOW_OK);
    put(x.b, "x"); /* the other direction is not affected */

    assert_int_equal(flow_lease(x.a, FLOW_WRITE, 1, span), FLOW_OK);
    assert_int_equal(span[0].len, 4);
    assert_int_equal(span[1].len, 12);
    assert_int_equal(flow_write(x.a, "y", 1, &n), FLOW_E_BUSY);
    memcpy(span[0].base, "ABCD", 4);
    memcpy(span[1].base, "EF", 2);
    assert_int_equal(flow_commit(x.a, FLOW_WRITE, 6, FLOW_MORE), FLOW_OK);
    get(x.b, "ABCDEF");

    /* Move to 4 bytes before the end of the ring and ask for 9 in one piece. */
    put(x.a, "..........");
    assert_int_equal(flow_read(x.b, NULL, 10, &n), FLOW_OK);
    assert_int_equal(flow_lease(x.a, FLOW_WRITE, 9, span), FLOW_OK);
    assert_int_equal(span[0].len, 9);
    assert_int_equal(span[1].len, 7);
    memcpy(span[0].base, "abcdefghi", 9);
    memcpy(span[1].base, "jk", 2);
    assert_int_equal(flow_commit(x.a, FLOW_WRITE, 11, 0), FLOW_OK);
    get(x.b, "abcdefghijk");
    end(&x);
}

static void
write_lease_waits_for_want_bytes(void **state)
{
    struct flow_vec span[2];
    struct fixture x;

    (void)state;
    begin(&x, 16);
    put(x.a, "0123456789");
    assert_int_equal(flow_lease(x.a, FLOW_WRITE, 7, span), FLOW_AGAIN);
    assert_int_equal(flow_lease(x.a, FLOW_WRITE, 17, span), FLOW_E_INVAL);
    assert_int_equal(flow_lease(x.a, FLOW_WRITE, 6, span), FLOW_OK);
    assert_int_equal(span[0].len, 6);
    assert_int_equal(flow_commit(x.a, FLOW_WRITE, 0, 0), FLOW_OK);
    get(x.b, "0123456789");
    /* A part of a lease that reaches into the mirrored margin. */
    put(x.a, "ABCD");
    get(x.b, "ABCD");
    assert_int_equal(flow_lease(x.a, FLOW_WRITE, 16, span), FLOW_OK);
    assert_int_equal(span[0].len, 16);
    assert_int_equal(span[1].len, 0);
    memcpy(span[0].base, "abcd", 4);
    assert_int_equal(flow_commit(x.a, FLOW_WRITE, 4, FLOW_FIN), FLOW_OK);
    get(x.b, "abcd");
    assert_int_equal(flow_read(x.b, NULL, 1, &(size_t){ 0 }), FLOW_EOF);
    end(&x);
}

/* Every offset, every want, leases on both sides: no byte is lost or
 * duplicated. */
static void
leases_work_at_every_offset(void **state)
{
    struct flow_vec w[2];
    struct flow_vec r[2];
    uint8_t sent = 0;
    uint8_t expected = 0;
    struct fixture x;
    size_t want;
    size_t i;
    int round;

    (void)state;
    begin(&x, 8);
    for (round = 0; round < 200; round++) {
        want = 1 + (size_t)round % 8;
        assert_int_equal(flow_lease(x.a, FLOW_WRITE, want, w), FLOW_OK);
        assert_true(w[0].len >= want);
        for (i = 0; i < want; i++)
            ((uint8_t *)w[0].base)[i] = sent++;
        assert_int_equal(flow_commit(x.a, FLOW_WRITE, want, 0), FLOW_OK);
        assert_int_equal(flow_lease(x.b, FLOW_READ, want, r), FLOW_OK);
        assert_int_equal(r[0].len + r[1].len, want);
        for (i = 0; i < want; i++)
            assert_int_equal(((uint8_t *)r[0].base)[i], expected++);
        assert_int_equal(flow_commit(x.b, FLOW_READ, want, 0), FLOW_OK);
    }
    end(&x);
}

static void
lease_outlives_the_close_of_the_peer(void **state)
{
    struct flow_vec span[2];
    struct fixture x;

    (void)state;
    begin(&x, 16);
    put(x.a, "abc");
    assert_int_equal(flow_lease(x.b, FLOW_READ, 1, span), FLOW_OK);
    assert_int_equal(flow_lease(x.b, FLOW_WRITE, 1, (struct flow_vec[2]){ 0 }),
                     FLOW_OK);
    flow_close(x.a);
    x.a = NULL;
    assert_memory_equal(span[0].base, "abc", 3);
    assert_int_equal(flow_commit(x.b, FLOW_READ, 3, 0), FLOW_OK);
    assert_int_equal(flow_commit(x.b, FLOW_WRITE, 1, 0), FLOW_E_CLOSED);
    assert_int_equal(flow_lease(x.b, FLOW_READ, 1, span), FLOW_E_TRUNCATED);
    end(&x);
}

static void
rings_are_allocated_by_the_policy(void **state)
{
    struct flow_buf_hints hints;
    size_t len = sizeof(hints);
    struct flow_vec span[2];
    struct flow__fake fake;
    struct flow_pool *pool;
    struct flow *a;
    struct flow *b;
    struct flow *c;
    struct flow *d;

    (void)state;
    flow__fake_init(&fake, 1);
    assert_int_equal(flow_pool_new(&fake.env, 2 * 4096, 3, 4096, &pool),
                     FLOW_OK);
    assert_int_equal(
        flow_pair_new(&fake.env, 4096, flow_pool_policy(pool), &a, &b),
        FLOW_OK);
    assert_int_equal(flow_pool_in_use(pool), 2);
    assert_int_equal(flow_lease(a, FLOW_WRITE, 1, span), FLOW_OK);
    assert_int_equal((uintptr_t)span[0].base % 4096, 0);
    assert_int_equal(flow_query(a, FLOW_QUERY_BUF_HINTS, &hints, &len),
                     FLOW_OK);
    assert_int_equal(hints.align, 4096);
    /* One block is left and two are needed. */
    assert_int_equal(
        flow_pair_new(&fake.env, 4096, flow_pool_policy(pool), &c, &d),
        FLOW_E_NOMEM);
    assert_int_equal(flow_pool_in_use(pool), 2);
    flow_close(a);
    assert_int_equal(flow_pool_in_use(pool), 2);
    flow_close(b);
    assert_int_equal(flow_pool_in_use(pool), 0);
    flow_pool_free(pool);
    assert_int_equal(fake.live_blocks, 0);
}

static void
queries_answer_description_and_footprint(void **state)
{
    struct fixture x;
    char text[32];
    size_t size;
    size_t other;
    size_t len;

    (void)state;
    begin(&x, 1024);
    len = sizeof(text);
    assert_int_equal(flow_query(x.a, FLOW_QUERY_DESCRIPTION, text, &len),
                     FLOW_OK);
    assert_string_equal(text, "pair");
    len = sizeof(size);
    assert_int_equal(flow_query(x.a, FLOW_QUERY_FOOTPRINT, &size, &len),
                     FLOW_OK);
    assert_int_equal(flow_query(x.b, FLOW_QUERY_FOOTPRINT, &other, &len),
                     FLOW_OK);
    assert_int_equal(size + other, x.fake.live_bytes);
    len = sizeof(text);
    assert_int_equal(flow_query(x.a, FLOW_QUERY_LOCAL_ADDRESS, text, &len),
                     FLOW_E_NOTSUP);
    assert_int_equal(flow_query(x.a, FLOW_QUERY_FD, text, &len), FLOW_E_NOTSUP);
    end(&x);
}

/* ---- threads ---- */

/* C71: a reader and a writer on each end, four threads in all. */
static void
four_threads_may_use_one_pair(void **state)
{
    struct flow *a;
    struct flow *b;

    (void)state;
    assert_int_equal(flow_pair_new(NULL, 512, NULL, &a, &b), FLOW_OK);
    stream_both_ways(a, b);
    flow_close(a);
    flow_close(b);
}

static void
abort_wakes_a_reader(void **state)
{
    struct stream_reader reader;
    struct flow *f;
    struct flow *peer;

    (void)state;
    assert_int_equal(flow_pair_new(NULL, 16, NULL, &f, &peer), FLOW_OK);
    stream_reader_start(&reader, f);
    flow_abort(f);
    assert_int_equal(stream_reader_join(&reader), FLOW_E_CANCELED);
    flow_close(f);
    flow_close(peer);
}

static void
close_of_the_peer_wakes_a_reader(void **state)
{
    struct stream_reader reader;
    struct flow *f;
    struct flow *peer;

    (void)state;
    assert_int_equal(flow_pair_new(NULL, 16, NULL, &f, &peer), FLOW_OK);
    stream_reader_start(&reader, f);
    flow_close(peer);
    assert_int_equal(stream_reader_join(&reader), FLOW_E_TRUNCATED);
    flow_close(f);
}

static void *
close_it(void *arg)
{
    flow_close(arg);
    return NULL;
}

static void
both_ends_may_close_at_the_same_time(void **state)
{
    struct flow *a;
    struct flow *b;
    pthread_t thread;
    int i;

    (void)state;
    for (i = 0; i < 300; i++) {
        assert_int_equal(flow_pair_new(NULL, 16, NULL, &a, &b), FLOW_OK);
        assert_int_equal(pthread_create(&thread, NULL, close_it, b), 0);
        flow_close(a);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invalid_arguments_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(capabilities_are_exact),
        cmocka_unit_test(capacity_is_a_power_of_two_and_bounds_writes),
        cmocka_unit_test(vectors_wrap_at_every_offset),
        cmocka_unit_test(half_close_works_in_both_directions),
        cmocka_unit_test(close_without_shutdown_is_truncation),
        cmocka_unit_test(close_after_shutdown_is_an_end),
        cmocka_unit_test(shutdown_read_discards_bytes),
        cmocka_unit_test(read_lease_has_two_spans_across_the_wrap),
        cmocka_unit_test(read_lease_waits_for_want_bytes),
        cmocka_unit_test(write_lease_has_two_spans_across_the_wrap),
        cmocka_unit_test(write_lease_waits_for_want_bytes),
        cmocka_unit_test(leases_work_at_every_offset),
        cmocka_unit_test(lease_outlives_the_close_of_the_peer),
        cmocka_unit_test(rings_are_allocated_by_the_policy),
        cmocka_unit_test(queries_answer_description_and_footprint),
        cmocka_unit_test(four_threads_may_use_one_pair),
        cmocka_unit_test(abort_wakes_a_reader),
        cmocka_unit_test(close_of_the_peer_wakes_a_reader),
        cmocka_unit_test(both_ends_may_close_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
