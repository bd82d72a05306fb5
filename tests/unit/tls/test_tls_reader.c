/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/psa.h"

#include <flow/pair.h>

#include "lib/plat/fake/fake.h"
#include "tests/unit/mock_flow.h"
#include "tls/reader.h"

/*
 * The receiving half of TLS and a peer that never updates its key.
 */

#define LIMIT 20u

static struct flow__fake fake;
/* The lower flow, which has only the bytes that were read ahead. */
static struct mock *low;
static struct flow__reader r;
/* The peer's key. */
static struct flow__record_keys theirs;
static struct flow__secret secret;

static void
make(uint16_t suite)
{
    const struct flow__queue nothing = { .env = &fake.env };
    const struct flow__suite *s = flow__suite_find(suite);
    struct flow__key_material keys = { .key = { 1 } };
    struct flow__record_keys k;
    bool tls13 = s->version == 0x0304;

    flow__fake_init(&fake, 1);
    low = mock_new(&fake.env, FLOW_CAP_DUPLEX);
    low->read_st = FLOW_AGAIN;
    memset(&secret, 0, sizeof(secret));
    secret.hash = s->hash;
    assert_int_equal(
        flow__record_init(&theirs, &fake.env, s, &keys, tls13 ? 0 : 1),
        FLOW_OK);
    assert_int_equal(flow__record_init(&k, &fake.env, s, &keys, theirs.seq),
                     FLOW_OK);
    k.limit = LIMIT;
    flow__reader_init(&r, &fake.env, true, 0);
    flow__reader_start(&r, &k, &secret, &nothing, tls13);
}

static void
unmake(void)
{
    flow__reader_fini(&r);
    flow__record_fini(&theirs);
    flow_close(&low->base);
    assert_int_equal(fake.live_blocks, 0);
}

static void
send_record(uint8_t type, const void *bytes, size_t len)
{
    const struct flow_cvec vec = { bytes, len };
    const struct flow__record_content content = { type, &vec, 0, len, 0 };
    uint8_t record[200];
    size_t total;

    assert_int_equal(flow__record_seal(&theirs, &content, record, &total),
                     FLOW_OK);
    assert_true(flow__queue_append(&r.cipher, record, total));
}

/* Receive one record of data; the status of reading it. */
static struct flow__reader_result
receive(void)
{
    static const uint8_t zero[100];
    uint8_t data[100], got[100] = { 0 };
    const struct flow_vec vec = { got, sizeof(got) };
    struct flow__reader_result res;
    size_t n;

    memset(data, 7, sizeof(data));
    send_record(FLOW__CONTENT_APPLICATION_DATA, data, sizeof(data));
    res = flow__reader_read(&r, &low->base, &vec, 1, &n);
    assert_int_equal(n, res.status == FLOW_OK ? sizeof(data) : 0);
    assert_memory_equal(got, res.status == FLOW_OK ? data : zero, sizeof(got));
    return res;
}

static void
receive_many(unsigned count)
{
    while (count-- > 0)
        assert_int_equal(receive().status, FLOW_OK);
}

/* The peer updates its key, as if it had received our request. */
static void
renew(void)
{
    static const uint8_t update[5] = { 24, 0, 0, 1, 0 };

    send_record(FLOW__CONTENT_HANDSHAKE, update, sizeof(update));
    assert_int_equal(flow__record_update(&theirs, &secret), FLOW_OK);
}

static bool
asks(void)
{
    bool asked = r.ask_renewal;

    r.ask_renewal = false;
    return asked;
}

static void
peer_is_asked_to_update_a_key_at_its_limit(void **state)
{
    int i;

    (void)state;
    make(0x1301);
    for (i = 0; i < 3; i++) {
        receive_many(LIMIT - 1);
        assert_false(asks());
        receive_many(1);
        assert_true(asks());
        /* The peer is asked once, and is not refused before the request was
         * sent. */
        receive_many(5 * LIMIT);
        assert_false(asks());
        flow__reader_expect_update(&r);
        receive_many(LIMIT);
        renew();
    }
    assert_int_equal(r.updates, 2);
    unmake();
}

/* A configured limit may be lower. */
static void
configured_limit_counts(void **state)
{
    (void)state;
    make(0x1301);
    r.key_limit = 5;
    receive_many(4);
    assert_false(asks());
    receive_many(1);
    assert_true(asks());
    renew();
    receive_many(5);
    assert_true(asks());
    unmake();
}

static void
peer_that_does_not_renew_is_refused(void **state)
{
    struct flow__reader_result res;

    (void)state;
    make(0x1301);
    /* The peer is not asked before its limit. */
    flow__reader_expect_update(&r);
    receive_many(3 * LIMIT);
    assert_true(asks());
    flow__reader_expect_update(&r);
    receive_many(LIMIT);
    res = receive();
    assert_int_equal(res.status, FLOW_E_PROTO);
    assert_int_equal(res.fault.alert, FLOW__ALERT_UNEXPECTED_MESSAGE);
    assert_non_null(strstr(res.fault.text, "key"));
    unmake();
}

/* In TLS 1.2 a peer cannot update its key, and no RFC tells it to stop. */
static void
tls12_peers_are_not_held_to_our_limit(void **state)
{
    (void)state;
    make(0xc02f);
    receive_many(3 * LIMIT);
    assert_false(asks());
    flow__reader_expect_update(&r);
    receive_many(3 * LIMIT);
    unmake();
}

/* The record that brings the new key is the last one of the old key: that the
 * old key reached its limit with it does not matter any more. */
static void
peer_that_updated_its_key_is_not_asked(void **state)
{
    uint8_t got[100];
    const struct flow_vec vec = { got, sizeof(got) };
    size_t n;

    (void)state;
    make(0x1301);
    r.key_limit = 1;
    renew();
    assert_int_equal(flow__reader_read(&r, &low->base, &vec, 1, &n).status,
                     FLOW_AGAIN);
    assert_int_equal(r.updates, 1);
    assert_false(asks());
    unmake();
}

/* A record without data does not change the caller's memory (C02); one with
 * data is spread over all of it. */
static void
only_data_reaches_the_callers_memory(void **state)
{
    static const uint16_t suites[] = { 0x1301, 0xc02f };
    static const uint8_t warning[2] = { 1, 90 };
    uint8_t before[2][500], got[2][500], data[100];
    const struct flow_vec vec[3] = { { got[0], 30 },
                                     { NULL, 0 },
                                     { got[1], sizeof(got[1]) } };
    size_t n;

    memset(before, 0xaa, sizeof(before));
    memset(data, 7, sizeof(data));
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        make(suites[i]);
        memset(got, 0xaa, sizeof(got));
        send_record(FLOW__CONTENT_ALERT, warning, sizeof(warning));
        send_record(FLOW__CONTENT_APPLICATION_DATA, data, 0);
        if (r.tls13)
            renew();
        assert_int_equal(flow__reader_read(&r, &low->base, vec, 3, &n).status,
                         FLOW_AGAIN);
        assert_int_equal(n, 0);
        assert_memory_equal(got, before, sizeof(got));
        send_record(FLOW__CONTENT_APPLICATION_DATA, data, sizeof(data));
        assert_int_equal(flow__reader_read(&r, &low->base, vec, 3, &n).status,
                         FLOW_OK);
        assert_int_equal(n, sizeof(data));
        assert_memory_equal(got[0], data, 30);
        assert_memory_equal(got[0] + 30, before, sizeof(got[0]) - 30);
        assert_memory_equal(got[1], data, 70);
        assert_memory_equal(got[1] + 70, before, sizeof(got[1]) - 70);
        unmake();
    }
}

/* Whatever was read ahead, a partial record holds as much memory as its header
 * announces, and a partial header almost none. */
static void
a_partial_record_holds_what_it_needs(void **state)
{
    static const uint8_t large[5] = { 23, 3, 3, 0x40, 0x11 };
    static const uint8_t some[65536];
    struct flow_wait_set set;
    size_t n;

    (void)state;
    for (size_t known = 1; known <= sizeof(large) + 1; known++)
        for (int sleeps = 0; sleeps < 2; sleeps++) {
            make(0x1301);
            low->ready = 0;
            assert_true(flow__queue_append(&r.cipher, some, sizeof(some)));
            r.cipher.start = (uint32_t)(sizeof(some) - known);
            memcpy(flow__queue_data(&r.cipher), large,
                   known < sizeof(large) ? known : sizeof(large));
            flow_wait_set_init(&set);
            if (sleeps)
                assert_false(flow__reader_wait(&r, &low->base, 1, &set));
            else
                assert_int_equal(
                    flow__reader_read(&r, &low->base, NULL, 0, &n).status,
                    FLOW_AGAIN);
            assert_int_equal(flow__queue_len(&r.cipher), known);
            assert_memory_equal(flow__queue_data(&r.cipher), large,
                                known < sizeof(large) ? known : sizeof(large));
            assert_in_range(r.cipher.cap, known,
                            known < sizeof(large) ? 2048 : 9 * 2048);
            unmake();
        }
}

/* The peer's next record, of len bytes of data, into a flow. */
static void
send_over(struct flow *f, size_t len, size_t *ret_total)
{
    static uint8_t data[2000];
    static uint8_t record[2100];
    const struct flow_cvec vec = { data, len };
    const struct flow__record_content content = {
        FLOW__CONTENT_APPLICATION_DATA, &vec, 0, len, 0
    };
    size_t n;

    memset(data, (int)theirs.seq, sizeof(data));
    assert_int_equal(flow__record_seal(&theirs, &content, record, ret_total),
                     FLOW_OK);
    assert_int_equal(flow_write(f, record, *ret_total, &n), FLOW_OK);
    assert_int_equal(n, *ret_total);
}

static void
receive_over(struct flow *f, size_t len)
{
    uint8_t got[2000];
    const struct flow_vec vec = { got, sizeof(got) };
    const uint8_t mark = (uint8_t)r.keys.seq;
    size_t n;

    assert_int_equal(flow__reader_read(&r, f, &vec, 1, &n).status, FLOW_OK);
    assert_int_equal(n, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(got[i], mark);
}

/* Records of two lengths in a ring of 4 KiB, so that some record wraps at
 * nearly every place, its header too.  None is copied. */
static void
a_record_that_wraps_is_leased(void **state)
{
    struct flow *a, *b;
    struct flow_wait_set set;
    uint64_t allocs;
    size_t total;

    (void)state;
    make(0x1301);
    r.keys.limit = UINT64_MAX;
    assert_int_equal(flow_pair_new(&fake.env, 4096, NULL, &a, &b), FLOW_OK);
    allocs = fake.allocs;
    for (size_t i = 0; i < 5000; i++) {
        const size_t len = i % 3 == 0 ? 1337 : 2000 - i % 700;

        send_over(a, len, &total);
        flow_wait_set_init(&set);
        assert_true(flow__reader_wait(&r, b, 1, &set));
        receive_over(b, len);
        assert_int_equal(fake.allocs, allocs);
    }
    flow_close(a);
    flow_close(b);
    unmake();
}

/* A record of which the lower flow has a part is copied, and no byte more. */
static void
after_a_copied_record_the_next_is_leased(void **state)
{
    static const size_t parts[] = { 1, 4, 5, 6, 1000 };
    uint8_t rest[2100];
    struct flow *a, *b;
    uint64_t allocs;
    size_t total, n;

    (void)state;
    make(0x1301);
    assert_int_equal(flow_pair_new(&fake.env, 8192, NULL, &a, &b), FLOW_OK);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        send_over(a, 1500, &total);
        assert_int_equal(flow_read(b, rest, total, &n), FLOW_OK);
        assert_int_equal(flow_write(a, rest, parts[i], &n), FLOW_OK);
        assert_int_equal(flow__reader_read(&r, b, NULL, 0, &n).status,
                         FLOW_AGAIN);
        assert_int_equal(flow__queue_len(&r.cipher), parts[i]);
        assert_int_equal(flow_write(a, rest + parts[i], total - parts[i], &n),
                         FLOW_OK);
        send_over(a, 1600, &total);
        receive_over(b, 1500);
        assert_int_equal(flow__queue_len(&r.cipher), 0);
        allocs = fake.allocs;
        receive_over(b, 1600);
        assert_int_equal(fake.allocs, allocs);
    }
    flow_close(a);
    flow_close(b);
    unmake();
}

/* A lower flow that is ready and has nothing may have bytes the next time. */
static void
a_lower_flow_that_misleads_is_asked_twice(void **state)
{
    struct flow_wait_set set;

    (void)state;
    make(0x1301);
    flow_wait_set_init(&set);
    assert_true(flow__reader_wait(&r, &low->base, 1, &set));
    assert_int_equal(low->reads, 2);
    unmake();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer_is_asked_to_update_a_key_at_its_limit),
        cmocka_unit_test(configured_limit_counts),
        cmocka_unit_test(peer_that_does_not_renew_is_refused),
        cmocka_unit_test(tls12_peers_are_not_held_to_our_limit),
        cmocka_unit_test(peer_that_updated_its_key_is_not_asked),
        cmocka_unit_test(only_data_reaches_the_callers_memory),
        cmocka_unit_test(a_partial_record_holds_what_it_needs),
        cmocka_unit_test(a_record_that_wraps_is_leased),
        cmocka_unit_test(after_a_copied_record_the_next_is_leased),
        cmocka_unit_test(a_lower_flow_that_misleads_is_asked_twice),
    };

    return cmocka_run_group_tests(tests, start_psa, NULL);
}
