/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include <flow/pair.h>

#include "lib/plat/fake/fake.h"
#include "tests/support/padded.h"
#include "tls/batch.h"
#include "tls/mbedtls/psa.h"
#include "tls/writer.h"

/*
 * How records are padded: the arithmetic, the bytes, and the room that they
 * need.
 */

#define DATA  FLOW__CONTENT_APPLICATION_DATA
#define PLAIN FLOW__RECORD_PLAIN_MAX

static uint8_t content[PLAIN + 1];
static uint8_t record[FLOW__RECORD_MAX + 64];
static uint8_t other[FLOW__RECORD_MAX + 64];

static void
start_keys(struct flow__record_keys *k, const struct flow_env *env,
           const struct flow__suite *suite, size_t block)
{
    const struct flow__key_material keys = { .key = { 1 }, .iv = { 2 } };

    assert_int_equal(flow__record_init(k, env, suite, &keys, 0), FLOW_OK);
    k->block = (uint16_t)block;
}

/* By counting, for every length, block and limit that differ in kind. */
static void
padding_reaches_the_next_multiple_or_the_limit(void **state)
{
    static const size_t blocks[] = { 2, 3, 16, 100, 256, 4096, PLAIN };
    static const size_t limits[] = { 64, 255, 256, 257, 1000, PLAIN };
    struct flow__record_keys k = { .block = 0 };

    (void)state;
    for (size_t len = 0; len <= PLAIN; len++)
        assert_int_equal(flow__record_padding(&k, len, PLAIN), 0);
    for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
            for (size_t len = 0; len <= limits[i]; len++) {
                size_t pad = 0;

                k.block = (uint16_t)blocks[b];
                while (len + pad < limits[i] && (len + 1 + pad) % k.block != 0)
                    pad++;
                assert_int_equal(flow__record_padding(&k, len, limits[i]), pad);
            }
}

/* The same bytes as of a record whose zeros are content, and in place too. */
static void
check_padded(struct flow__record_keys *k, struct flow__record_keys *reader,
             size_t len, size_t pad)
{
    struct flow_cvec vec[3] = { { content, len / 2 },
                                { content + len / 2, len - len / 2 } };
    const struct flow__record_content c = { DATA, vec, 0, len, pad };
    const size_t prefix = flow__record_prefix(k);
    struct flow__record_opened o;
    struct flow__fault fault;
    size_t n, want;

    assert_int_equal(flow__record_seal(k, &c, record, &n), FLOW_OK);
    assert_int_equal(n, prefix + len + pad + flow__record_suffix(k));
    if (pad > 0) {
        k->seq--;
        assert_int_equal(padded_seal(k, vec, 2, DATA, pad, other, &want),
                         FLOW_OK);
        assert_int_equal(n, want);
        assert_memory_equal(record, other, n);
    }
    k->seq--;
    memset(other, 0xee, sizeof(other));
    memcpy(other + prefix, content, len);
    assert_int_equal(
        flow__record_seal_in_place(k, DATA, other, len, pad, &want), FLOW_OK);
    assert_int_equal(n, want);
    assert_memory_equal(record, other, n);
    assert_int_equal(other[n], 0xee);
    assert_int_equal(flow__record_open(reader, record, n, other, &o, &fault),
                     FLOW_OK);
    assert_int_equal(o.type, DATA);
    assert_int_equal(o.len, len);
    assert_memory_equal(other, content, len);
}

static void
every_suite_seals_padding(void **state)
{
    static const size_t blocks[] = { 2, 16, 100, 256, 2048 };
    const struct flow__suite *suite;
    struct flow__record_keys k, reader;

    (void)state;
    for (size_t i = 0; (suite = flow__suite_at(i)) != NULL; i++) {
        if (suite->version != FLOW_TLS_1_3)
            continue;
        start_keys(&k, flow_env_default(), suite, 0);
        start_keys(&reader, flow_env_default(), suite, 0);
        for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++) {
            k.block = (uint16_t)blocks[b];
            for (size_t len = 0; len <= 600; len++)
                check_padded(&k, &reader, len,
                             flow__record_padding(&k, len, PLAIN));
            for (size_t len = PLAIN - 300; len <= PLAIN; len += 50)
                check_padded(&k, &reader, len,
                             flow__record_padding(&k, len, PLAIN));
        }
        check_padded(&k, &reader, 0, PLAIN);
        check_padded(&k, &reader, 1, PLAIN - 1);
        flow__record_fini(&k);
        flow__record_fini(&reader);
    }
}

static void
too_much_padding_is_refused(void **state)
{
    static const size_t wrong[][2] = { { PLAIN, 1 },
                                       { 1, PLAIN },
                                       { 0, PLAIN + 1 },
                                       { 100, SIZE_MAX },
                                       { 100, SIZE_MAX - 99 } };
    const struct flow_cvec vec = { content, PLAIN };
    struct flow__record_content c = { DATA, &vec, 0, 0, 0 };
    struct flow__record_keys k;
    size_t n;

    (void)state;
    start_keys(&k, flow_env_default(), flow__suite_find(0x1301), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        c.len = wrong[i][0];
        c.pad = wrong[i][1];
        assert_int_equal(flow__record_seal(&k, &c, record, &n), FLOW_E_INVAL);
        assert_int_equal(n, 0);
        assert_int_equal(k.seq, 0);
    }
    flow__record_fini(&k);
    /* TLS 1.2 cannot tell padding from content. */
    start_keys(&k, flow_env_default(), flow__suite_find(0xc02b), 0);
    c.len = 100;
    c.pad = 1;
    assert_int_equal(flow__record_seal(&k, &c, record, &n), FLOW_E_INVAL);
    assert_int_equal(k.seq, 0);
    flow__record_fini(&k);
}

/* Of padded records that the lower flow took in part, the whole ones count. */
static void
padded_records_that_were_taken_whole_are_kept(void **state)
{
    /* 100 bytes and the type are padded to 101, the limit, 50 to 64. */
    static const size_t kept[][2] = { { 0, 0 },     { 121, 0 },   { 122, 100 },
                                      { 243, 100 }, { 244, 200 }, { 328, 200 },
                                      { 329, 250 } };
    const struct flow_cvec vec = { content, 250 };
    struct flow__record_keys k;
    struct flow__queue out;

    (void)state;
    start_keys(&k, flow_env_default(), flow__suite_find(0x1301), 64);
    flow__queue_init(&out, flow_env_default());
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct flow__batch b = {
            .keys = &k,
            .vec = &vec,
            .len = 250,
            .limit = 100,
            .most = 9,
            .room = 1000,
        };

        assert_int_equal(flow__batch_to_queue(&b, &out), FLOW_OK);
        assert_int_equal(b.done, 250);
        assert_int_equal(flow__queue_len(&out), 329);
        flow__batch_keep(&b, kept[i][0]);
        assert_int_equal(b.done, kept[i][1]);
        flow__queue_release(&out);
    }
    flow__record_fini(&k);
}

/* Read what is in a flow and open its records; returns the content's length. */
static size_t
open_all(struct flow *f, struct flow__record_keys *k, size_t from)
{
    static uint8_t wire[1 << 16];
    size_t have, n, at, done = 0;

    assert_int_equal(flow_read(f, wire, sizeof(wire), &have), FLOW_OK);
    for (at = 0; at < have; at += n) {
        struct flow__record_opened o;
        struct flow__fault fault;

        n = 5 + ((size_t)wire[at + 3] << 8 | wire[at + 4]);
        assert_true(n <= have - at);
        assert_int_equal(flow__record_open(k, wire + at, n, other, &o, &fault),
                         FLOW_OK);
        assert_memory_equal(other, content + from + done, o.len);
        done += o.len;
    }
    return done;
}

/* Straight into memory that the lower flow lends, up to its end: a record that
 * does not fit there with its padding is not begun. */
static void
padding_is_written_into_a_lease(void **state)
{
    static const size_t sizes[] = { 1, 60, 300, 510, 511, 512, 599 };
    struct flow__record_keys k, reader;
    struct flow *a, *b;
    struct flow__fake fake;

    (void)state;
    flow__fake_init(&fake, 1);
    assert_int_equal(flow_pair_new(&fake.env, 4096, NULL, &a, &b), FLOW_OK);
    start_keys(&k, &fake.env, flow__suite_find(0x1301), 512);
    start_keys(&reader, &fake.env, flow__suite_find(0x1301), 0);
    for (size_t i = 0; i < 200; i++) {
        const size_t len = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
        const struct flow_cvec vec = { content, 5000 };
        struct flow__batch batch = { .keys = &k,
                                     .vec = &vec,
                                     .off = i,
                                     .len = 600 + len,
                                     .limit = 600,
                                     .most = 9 };
        const uint64_t allocs = fake.allocs;
        enum flow_status sealed, taken;

        if (!flow__batch_to_lower(&batch, a, &sealed, &taken))
            continue; /* it lends less than a record before its end */
        assert_int_equal(sealed, FLOW_OK);
        assert_int_equal(taken, FLOW_OK);
        assert_true(batch.records > 0);
        assert_int_equal(fake.allocs, allocs);
        assert_int_equal(open_all(b, &reader, i), batch.done);
    }
    assert_true(k.seq > 300);
    flow__record_fini(&k);
    flow__record_fini(&reader);
    flow_close(a);
    flow_close(b);
    assert_int_equal(fake.live_blocks, 0);
}

/* A record that is held back is sealed again after a lack of memory, with bytes
 * that came meanwhile where the padding of the first attempt was. */
static void
held_back_record_is_padded_after_a_lack_of_memory(void **state)
{
    const struct flow__secret secret = { .hash = FLOW__SHA256 };
    struct flow_cvec vec = { content, 100 };
    struct flow__record_keys k, reader;
    struct flow__writer w;
    struct flow__fake fake;
    struct flow *a, *b;
    size_t n;

    (void)state;
    flow__fake_init(&fake, 1);
    assert_int_equal(flow_pair_new(&fake.env, 1 << 16, NULL, &a, &b), FLOW_OK);
    start_keys(&k, &fake.env, flow__suite_find(0x1301), 0);
    start_keys(&reader, &fake.env, flow__suite_find(0x1301), 0);
    flow__writer_init(&w, &fake.env, PLAIN, 0);
    flow__writer_start(&w, &k, &secret, true);
    w.keys.block = 512;
    assert_int_equal(flow__writer_write(&w, a, &vec, 1, FLOW_MORE, &n).status,
                     FLOW_OK);
    flow__record_rest(&w.keys);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow__writer_flush(&w, a).status, FLOW_E_NOMEM);
    vec.base = content + 100;
    assert_int_equal(flow__writer_write(&w, a, &vec, 1, FLOW_MORE, &n).status,
                     FLOW_OK);
    assert_int_equal(flow__writer_flush(&w, a).status, FLOW_OK);
    assert_int_equal(w.keys.seq, 1);
    assert_int_equal(open_all(b, &reader, 0), 200);
    flow__writer_fini(&w);
    flow__record_fini(&reader);
    flow_close(a);
    flow_close(b);
    assert_int_equal(fake.live_blocks, 0);
}

static int
start(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 131 + (i >> 8) + 1);
    return flow__psa_init() == FLOW_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_reaches_the_next_multiple_or_the_limit),
        cmocka_unit_test(every_suite_seals_padding),
        cmocka_unit_test(too_much_padding_is_refused),
        cmocka_unit_test(padded_records_that_were_taken_whole_are_kept),
        cmocka_unit_test(padding_is_written_into_a_lease),
        cmocka_unit_test(held_back_record_is_padded_after_a_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
