/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include "lib/plat/fake/fake.h"
#include "tests/unit/mock_flow.h"
#include "tls/mbedtls/psa.h"
#include "tls/writer.h"

/*
 * The sending half of TLS over a flow that answers what the test wants: what
 * was accepted is kept, what was not is nowhere.
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

/* A sealed record is accepted, even if the lower flow has no memory for it
 * just now: asked again, its bytes would arrive twice. */
static void
sealed_bytes_are_accepted(void **state)
{
    size_t n;

    (void)state;
    low->write_st = FLOW_E_NOMEM;
    assert_int_equal(put(&n).status, FLOW_OK);
    assert_int_equal(n, 100);
    assert_int_equal(w.keys.seq, 1);
    /* The trouble is told to who comes next, who loses nothing by it. */
    assert_int_equal(put(&n).status, FLOW_E_NOMEM);
    assert_int_equal(n, 0);
    assert_int_equal(w.keys.seq, 1);
    low->write_st = FLOW_OK;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(w.keys.seq, 1);
}

/* The peer can end the connection while we fill what was lent. */
static void
lent_memory_outlives_an_alert(void **state)
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

/* What a commit accepted is not refused for what else is due. */
static void
commit_accepts_without_memory(void **state)
{
    struct flow_vec span;

    (void)state;
    assert_int_equal(flow__writer_lease(&w, &low->base, 100, &span).status,
                     FLOW_OK);
    w.owes_update = 1;
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
owed_message_survives_a_want_of_memory(void **state)
{
    (void)state;
    w.owes_update = 1;
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_E_NOMEM);
    assert_false(flow__writer_is_idle(&w));
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(w.updates, 1);
    w.wants_update = 2;
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_E_NOMEM);
    assert_int_equal(flow__writer_flush(&w, &low->base).status, FLOW_OK);
    assert_int_equal(w.updates, 2);
    assert_true(flow__writer_is_idle(&w));
}

/* The message that announces a key is on its way only when the key is there:
 * whichever allocation fails, the old one goes on and the call can be made
 * again. */
static void
key_update_survives_a_want_of_memory(void **state)
{
    unsigned failed = 0;
    uint64_t n;

    (void)state;
    for (n = 1;; n++) {
        uint64_t updates = w.updates;
        unsigned writes = low->writes;
        size_t len;

        w.wants_update = 1;
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sealed_bytes_are_accepted),
        TEST(lent_memory_outlives_an_alert),
        TEST(commit_accepts_without_memory),
        TEST(owed_message_survives_a_want_of_memory),
        TEST(key_update_survives_a_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
