/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include "lib/plat/fake/fake.h"
#include "tests/unit/mock_flow.h"
#include "tls/batch.h"
#include "tls/mbedtls/psa.h"
#include "tls/writer.h"

/*
 * The sending half of TLS over a flow whose answers the test sets.  The bytes
 * that it accepts are kept, others are lost.
 */

static struct flow__fake fake;
static struct mock *low;
static struct flow__writer w;

static int
setup(void **state)
{
    struct flow__key_material keys = { .key = { 1 } };
    struct flow__secret secret = { .hash = FLOW__SHA256 };
    struct flow__record_keys k;

    (void)state;
    if (flow__psa_init() != FLOW_OK)
        return -1;
    flow__fake_init(&fake, 1);
    low = mock_new(&fake.env, FLOW_CAP_DUPLEX);
    if (flow__record_init(&k, &fake.env, flow__suite_find(0x1301), &keys, 0) !=
        FLOW_OK)
        return -1;
    flow__writer_init(&w, &fake.env, FLOW__RECORD_PLAIN_MAX, 0);
    flow__writer_start(&w, &k, &secret, true);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    flow__writer_fini(&w);
    flow_close(&low->base);
    return fake.live_blocks == 0 ? 0 : -1;
}

static struct flow__writer_result
put(size_t *ret_len)
{
    static const uint8_t text[100] = { 7 };
    const struct flow_cvec vec = { text, sizeof(text) };

    return flow__writer_write(&w, &low->base, &vec, 1, 0, ret_len);
}

/* A sealed record counts as accepted even if the lower flow is out of memory at
 * the moment: if the caller wrote its bytes again, they would arrive twice. */
static void
sealed_bytes_are_accepted(void **state)
{
    size_t n;

    (void)state;
    low->write_st = FLOW_E_NOMEM;
    assert_int_equal(put(&n).status, FLOW_OK);
    assert_int_equal(n, 100);
    assert_int_equal(w.keys.seq, 1);
    /* The next call reports the error, and loses no bytes by it. */
    assert_int_equal(put(&n).status, FLOW_E_NOMEM);
    assert_int_equal(n, 0);
    assert_int_equal(w.keys.seq, 1);
    low->write_st = FLOW_OK;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(w.keys.seq, 1);
}

/* The peer can end the connection while the caller fills a lease. */
static void
leased_memory_outlives_an_alert(void **state)
{
    struct flow_vec span;

    (void)state;
    assert_int_equal(flow__writer_lease(&w, &low->base, 100, &span).status,
                     FLOW_OK);
    assert_true(flow__writer_alert(&w, &low->base, FLOW__ALERT_BAD_RECORD_MAC));
    assert_non_null(w.open.base);
    memset(span.base, 1, 100);
    assert_int_equal(flow__writer_commit(&w, &low->base, 100, 0).cause,
                     FLOW__WRITER_DEAD);
    assert_null(w.open.base);
}

/* If a commit has accepted bytes, a pending message does not make it fail. */
static void
commit_accepts_bytes_without_memory(void **state)
{
    struct flow_vec span;

    (void)state;
    assert_int_equal(flow__writer_lease(&w, &low->base, 100, &span).status,
                     FLOW_OK);
    flow__writer_owe(&w, FLOW__OWED_ANSWER);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow__writer_commit(&w, &low->base, 100, 0).status,
                     FLOW_OK);
    assert_int_equal(w.keys.seq, 0);
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    /* KeyUpdate under the old key, the data under the new one. */
    assert_int_equal(w.updates, 1);
    assert_int_equal(w.keys.seq, 1);
}

static void
pending_message_survives_a_failed_allocation(void **state)
{
    (void)state;
    flow__writer_owe(&w, FLOW__OWED_ANSWER);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_E_NOMEM);
    assert_false(flow__writer_is_idle(&w));
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(w.updates, 1);
    flow__writer_owe(&w, FLOW__OWED_REQUEST);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_E_NOMEM);
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(w.updates, 2);
    assert_true(flow__writer_is_idle(&w));
}

/* An allocator that fails, and during whose call the reader thread finds that
 * the peer's key has reached its limit. */
static void *
no_memory_and_a_request(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    (void)size;
    (void)align;
    flow__writer_owe(&w, FLOW__OWED_REQUEST);
    return NULL;
}

static void
key_update_request_survives_a_failed_allocation(void **state)
{
    void *(*const alloc)(void *, size_t, size_t) = fake.env.alloc;

    (void)state;
    flow__writer_owe(&w, FLOW__OWED_UPDATE);
    fake.env.alloc = no_memory_and_a_request;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_E_NOMEM);
    fake.env.alloc = alloc;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(w.updates, 1);
    /* The KeyUpdate requests the peer's. */
    assert_int_equal(w.has_asked, 1);
}

/* A limit of one record means one record of data: a flush without data does not
 * update a key that has sealed none. */
static void
idle_key_is_not_updated(void **state)
{
    unsigned writes;
    size_t n;

    (void)state;
    w.key_limit = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
        assert_int_equal(w.updates, i);
        assert_int_equal(put(&n).status, FLOW_OK);
        assert_int_equal(n, 100);
        assert_int_equal(w.updates, i);
        assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
        assert_int_equal(w.updates, i + 1);
        writes = low->writes;
        assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
        assert_int_equal(low->writes, writes);
    }
    assert_true(flow__writer_is_idle(&w));
}

/* The lower flow accepts everything; a thread that waits for the lock gets it
 * all the same. */
static void
one_call_seals_a_bounded_number_of_records(void **state)
{
    enum { PARTS = FLOW__WRITER_RECORDS + 3 };
    static const uint8_t text[PARTS * FLOW__RECORD_PLAIN_MAX] = { 7 };
    struct flow_cvec vec = { text, sizeof(text) };
    size_t n;

    (void)state;
    assert_int_equal(flow__writer_write(&w, &low->base, &vec, 1, 0, &n).status,
                     FLOW_OK);
    assert_int_equal(n, FLOW__WRITER_RECORDS * FLOW__RECORD_PLAIN_MAX);
    assert_int_equal(w.keys.seq, FLOW__WRITER_RECORDS);
    vec.len -= n;
    assert_int_equal(flow__writer_write(&w, &low->base, &vec, 1, 0, &n).status,
                     FLOW_OK);
    assert_int_equal(n, vec.len);
}

/* What was held back and close_notify are one write of the lower flow. */
static void
last_record_and_close_notify_leave_together(void **state)
{
    static const uint8_t text[100] = { 7 };
    const struct flow_cvec vec = { text, sizeof(text) };
    size_t n;

    (void)state;
    assert_int_equal(
        flow__writer_write(&w, &low->base, &vec, 1, FLOW_MORE, &n).status,
        FLOW_OK);
    assert_int_equal(n, sizeof(text));
    assert_int_equal(low->writes, 0);
    assert_int_equal(flow__writer_close(&w, &low->base).status, FLOW_OK);
    assert_int_equal(low->writes, 1);
    assert_int_equal(w.keys.seq, 2);
}

/* The lower flow is full when the connection fails: the alert waits for room as
 * any record does, then the writer reports the failure. */
static void
alert_waits_for_room(void **state)
{
    unsigned writes;
    size_t n;

    (void)state;
    low->write_st = FLOW_AGAIN;
    assert_true(flow__writer_alert(&w, &low->base, FLOW__ALERT_BAD_RECORD_MAC));
    assert_int_equal(w.keys.seq, 1);
    assert_true(flow__queue_len(&w.out) > 0);
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_AGAIN);
    assert_int_equal(flow__writer_close(&w, &low->base).status, FLOW_AGAIN);
    /* A write does not wait for the alert. */
    assert_int_equal(put(&n).cause, FLOW__WRITER_DEAD);
    low->write_st = FLOW_OK;
    low->flush_st = FLOW_AGAIN;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_AGAIN);
    assert_int_equal(flow__queue_len(&w.out), 0);
    writes = low->writes;
    low->flush_st = FLOW_OK;
    assert_int_equal(flow__writer_flush(&w, &low->base).cause,
                     FLOW__WRITER_DEAD);
    assert_int_equal(flow__writer_close(&w, &low->base).cause,
                     FLOW__WRITER_DEAD);
    assert_int_equal(low->writes, writes);
    assert_int_equal(w.keys.seq, 1);
}

/* A KeyUpdate message is sent only if the next key has been made: whichever
 * allocation fails, the old key stays and the call can be repeated. */
static void
key_update_survives_a_failed_allocation(void **state)
{
    unsigned failed = 0;
    uint64_t n;

    (void)state;
    for (n = 1;; n++) {
        uint64_t updates = w.updates;
        unsigned writes = low->writes;
        size_t len;

        flow__writer_owe(&w, FLOW__OWED_UPDATE);
        fake.fail_at = fake.allocs + n;
        if (put(&len).status == FLOW_OK)
            break;
        failed++;
        fake.fail_at = 0;
        assert_int_equal(len, 0);
        assert_false(w.dead);
        if (low->writes == writes)
            assert_int_equal(w.updates, updates);
        assert_int_equal(put(&len).status, FLOW_OK);
        assert_int_equal(len, 100);
        assert_int_equal(w.updates, updates + 1);
        assert_int_equal(w.keys.seq, 1);
    }
    fake.fail_at = 0;
    /* The next key, the message, the data. */
    assert_int_equal(failed, 3);
}

/* The same writer in TLS 1.2, whose key has this many records left. */
static void
be_tls12(uint64_t left)
{
    struct flow__key_material keys = { .key = { 1 } };

    flow__record_fini(&w.keys);
    assert_int_equal(flow__record_init(&w.keys, &fake.env,
                                       flow__suite_find(0xc02f), &keys, 1),
                     FLOW_OK);
    w.tls13 = false;
    w.keys.limit = w.keys.seq + left;
}

/* The alert at the end of a key survives a full lower flow and failed
 * allocations: it is sent first, then the writer fails. */
static void
last_record_of_a_key_is_an_alert(void **state)
{
    struct flow__writer_result r;
    unsigned writes;
    size_t n;

    (void)state;
    be_tls12(2);
    assert_int_equal(put(&n).status, FLOW_OK);
    assert_int_equal(n, 100);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(put(&n).status, FLOW_E_NOMEM);
    assert_int_equal(flow__record_left(&w.keys), 1);
    low->write_st = FLOW_AGAIN;
    assert_int_equal(put(&n).status, FLOW_AGAIN);
    assert_int_equal(n, 0);
    assert_int_equal(flow__record_left(&w.keys), 0);
    /* Neither a close_notify nor a second alert follows. */
    assert_int_equal(flow__writer_close(&w, &low->base).status, FLOW_AGAIN);
    low->write_st = FLOW_OK;
    writes = low->writes;
    r = put(&n);
    assert_int_equal(r.status, FLOW_E_PROTO);
    assert_int_equal(r.cause, FLOW__WRITER_EXHAUSTED);
    assert_int_equal(low->writes, writes + 1);
    assert_int_equal(put(&n).cause, FLOW__WRITER_EXHAUSTED);
    assert_int_equal(flow__writer_close(&w, &low->base).cause,
                     FLOW__WRITER_EXHAUSTED);
    assert_false(flow__writer_alert(&w, &low->base, FLOW__ALERT_DECODE_ERROR));
    assert_int_equal(low->writes, writes + 1);
    assert_int_equal(w.keys.seq, w.keys.limit);
}

/* The writer accepts as many records as the key allows, and the connection can
 * still be closed with close_notify. */
static void
key_at_its_limit_allows_an_orderly_end(void **state)
{
    static const uint8_t text[3 * FLOW__RECORD_PLAIN_MAX] = { 7 };
    const struct flow_cvec vec = { text, sizeof(text) };
    struct flow_vec span;
    size_t n;

    (void)state;
    be_tls12(3);
    assert_int_equal(flow__writer_write(&w, &low->base, &vec, 1, 0, &n).status,
                     FLOW_OK);
    assert_int_equal(n, 2 * FLOW__RECORD_PLAIN_MAX);
    assert_int_equal(flow__record_left(&w.keys), 1);
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    flow__writer_owe(&w, FLOW__OWED_REFUSAL);
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(flow__record_left(&w.keys), 1);
    assert_true(flow__writer_is_idle(&w));
    assert_int_equal(flow__writer_close(&w, &low->base).status, FLOW_OK);
    assert_true(w.close_sealed);
    assert_int_equal(flow__record_left(&w.keys), 0);

    be_tls12(2);
    w.close_sealed = false;
    assert_int_equal(flow__writer_lease(&w, &low->base, 100, &span).status,
                     FLOW_OK);
    memset(span.base, 1, 100);
    flow__writer_owe(&w, FLOW__OWED_REFUSAL);
    assert_int_equal(flow__writer_commit(&w, &low->base, 100, 0).status,
                     FLOW_OK);
    assert_int_equal(flow__record_left(&w.keys), 1);
    assert_int_equal(flow__writer_lease(&w, &low->base, 100, &span).cause,
                     FLOW__WRITER_EXHAUSTED);
}

/* Four large records are sealed into memory for all of them, and the lower flow
 * is called once. */
static void
several_records_take_one_write(void **state)
{
    static const uint8_t text[4 * FLOW__RECORD_PLAIN_MAX];
    const struct flow_cvec vec = { text, sizeof(text) };
    size_t n;

    (void)state;
    assert_int_equal(flow__writer_write(&w, &low->base, &vec, 1, 0, &n).status,
                     FLOW_OK);
    assert_int_equal(n, sizeof(text));
    assert_int_equal(w.keys.seq, 4);
    assert_int_equal(low->writes, 1);
}

/* As many bytes go below at once as the setting has records. */
static void
writes_are_as_large_as_is_set(void **state)
{
    static const uint8_t text[15 * FLOW__RECORD_PLAIN_MAX];
    static const struct {
        unsigned gathers, writes;
    } cases[] = {
        { 1, 15 }, { 2, 8 }, { 4, 4 }, { 8, 2 }, { 15, 1 }, { 16, 1 }
    };
    const struct flow_cvec vec = { text, sizeof(text) };
    unsigned writes;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        w.gathers = (uint8_t)cases[i].gathers;
        writes = low->writes;
        assert_int_equal(
            flow__writer_write(&w, &low->base, &vec, 1, 0, &n).status, FLOW_OK);
        assert_int_equal(n, sizeof(text));
        assert_int_equal(low->writes - writes, cases[i].writes);
    }
}

/* Without memory for the records no number is spent, however many there are. */
static void
a_failed_allocation_spends_no_number(void **state)
{
    static const uint8_t text[3 * FLOW__RECORD_PLAIN_MAX];
    const struct flow_cvec vec = { text, sizeof(text) };
    struct flow__writer_result r;
    size_t n;

    (void)state;
    for (uint64_t nth = 1;; nth++) {
        fake.fail_at = fake.allocs + nth;
        r = flow__writer_write(&w, &low->base, &vec, 1, 0, &n);
        if (r.status == FLOW_OK)
            break;
        assert_int_equal(r.status, FLOW_E_NOMEM);
        assert_int_equal(n, 0);
        assert_int_equal(w.keys.seq, 0);
        assert_null(w.out.base);
    }
    assert_int_equal(n, sizeof(text));
    assert_int_equal(w.keys.seq, 3);
}

/* A batch ends before the record that the key keeps for its update. */
static void
a_batch_ends_with_its_key(void **state)
{
    static const uint8_t text[6 * FLOW__RECORD_PLAIN_MAX];
    const struct flow_cvec vec = { text, sizeof(text) };
    size_t n;

    (void)state;
    w.key_limit = 3;
    assert_int_equal(flow__writer_write(&w, &low->base, &vec, 1, 0, &n).status,
                     FLOW_OK);
    assert_int_equal(n, sizeof(text));
    assert_int_equal(w.updates, 2);
    assert_int_equal(w.keys.seq, 2);
}

/* Of records that the lower flow took in part, the whole ones count. */
static void
records_that_were_taken_whole_are_kept(void **state)
{
    static const uint8_t text[250] = { 7 };
    const struct flow_cvec vec = { text, sizeof(text) };
    static const size_t kept[][2] = { { 0, 0 },     { 121, 0 },   { 122, 100 },
                                      { 243, 100 }, { 244, 200 }, { 315, 200 },
                                      { 316, 250 } };

    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct flow__batch b = {
            .keys = &w.keys,
            .vec = &vec,
            .len = 250,
            .limit = 100,
            .most = 9,
            .room = 1000,
        };

        assert_int_equal(flow__batch_to_queue(&b, &w.out), FLOW_OK);
        assert_int_equal(b.records, 3);
        assert_int_equal(b.done, 250);
        assert_int_equal(flow__queue_len(&w.out), 316);
        flow__batch_keep(&b, kept[i][0]);
        assert_int_equal(b.done, kept[i][1]);
        flow__queue_release(&w.out);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sealed_bytes_are_accepted),
        TEST(leased_memory_outlives_an_alert),
        TEST(commit_accepts_bytes_without_memory),
        TEST(pending_message_survives_a_failed_allocation),
        TEST(key_update_request_survives_a_failed_allocation),
        TEST(idle_key_is_not_updated),
        TEST(one_call_seals_a_bounded_number_of_records),
        TEST(last_record_and_close_notify_leave_together),
        TEST(alert_waits_for_room),
        TEST(key_update_survives_a_failed_allocation),
        TEST(last_record_of_a_key_is_an_alert),
        TEST(key_at_its_limit_allows_an_orderly_end),
        TEST(several_records_take_one_write),
        TEST(writes_are_as_large_as_is_set),
        TEST(a_failed_allocation_spends_no_number),
        TEST(a_batch_ends_with_its_key),
        TEST(records_that_were_taken_whole_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
