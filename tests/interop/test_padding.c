/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/tls.h>

#include "env.h"
#include "link.h"
#include "step.h"

/*
 * Padded records of application data: their lengths on the wire, and that
 * OpenSSL reads what they hold.
 */

#define FULL 16384
#define TAG  16

static void
begin(struct link *l, uint32_t version, size_t block)
{
    link_init(l, true, version);
    link_key(l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_padding(l->config, block), FLOW_OK);
    link_open(l);
}

/* The length field of a record with len bytes of content, of which a record
 * holds limit at most. */
static size_t
padded(size_t len, size_t block, size_t limit)
{
    size_t inner = len + 1;

    if (block > 1)
        inner = (inner + block - 1) / block * block;
    return (inner < limit + 1 ? inner : limit + 1) + TAG;
}

/* The length field of the next record on the wire from *at on, which is
 * moved. */
static size_t
next(const struct link *l, size_t *at)
{
    size_t len;

    assert_true(*at + 5 <= l->wire.len);
    assert_int_equal(l->wire.data[*at], 23);
    len = (size_t)l->wire.data[*at + 3] << 8 | l->wire.data[*at + 4];
    *at += 5 + len;
    return len;
}

/* The records from at on must be those of len bytes and no others. */
static void
records_are(const struct link *l, size_t at, size_t len, size_t block,
            size_t limit)
{
    for (; len > limit; len -= limit)
        assert_int_equal(next(l, &at), limit + 1 + TAG);
    assert_int_equal(next(l, &at), padded(len, block, limit));
    assert_int_equal(at, l->wire.len);
}

static void
say_padded(struct link *l, size_t len, size_t block, size_t limit)
{
    const size_t at = l->wire.len;

    link_say(l, len, len);
    records_are(l, at, len, block, limit);
}

static const size_t blocks[] = { 0,   1,   2,    3,    16,    64,
                                 100, 512, 4096, 5000, 16383, 16384 };
#define BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

static void
small_lengths_are_multiples(void **state)
{
    struct link l;

    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        begin(&l, 0x0304, blocks[i]);
        for (size_t len = 1; len <= 600; len++)
            say_padded(&l, len, blocks[i], FULL);
        link_close(&l);
    }
}

static void
large_lengths_are_multiples_or_full(void **state)
{
    static const size_t around[] = { 4095,  8191,  12287,    15000,   16128,
                                     16383, 16384, 2 * FULL, 3 * FULL };
    struct link l;

    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        begin(&l, 0x0304, blocks[i]);
        for (size_t k = 0; k < sizeof(around) / sizeof(around[0]); k++)
            for (size_t len = around[k] - 3; len <= around[k] + 3; len++)
                say_padded(&l, len, blocks[i], FULL);
        if (blocks[i] > 3)
            for (size_t d = 1; d <= 4; d++)
                say_padded(&l, FULL - blocks[i] + d, blocks[i], FULL);
        link_close(&l);
    }
}

/* Nothing is sent for nothing. */
static void
empty_write_sends_no_record(void **state)
{
    struct link l;
    size_t at, n;

    (void)state;
    begin(&l, 0x0304, 256);
    at = l.wire.len;
    assert_status(flow_write(l.ours, "", 0, &n), FLOW_OK);
    assert_status(flow_flush(l.ours), FLOW_OK);
    assert_int_equal(l.wire.len, at);
    link_close(&l);
}

/* What is on the wire for OpenSSL, which reads it. */
static void
read_all(struct link *l, size_t len, uint64_t seed)
{
    uint8_t *got = malloc(len);
    unsigned tries = 0;
    size_t have = 0;

    assert_non_null(got);
    while (have < len) {
        int n = ossl_read(&l->peer, got + have, len - have);

        assert_true(n >= 0 && tries++ < 1000);
        have += (size_t)n;
    }
    test_check(got, len, seed, 0);
    free(got);
}

static void
segments_share_a_padded_record(void **state)
{
    static const size_t sizes[] = { 1, 7, 100, 300 };
    static uint8_t data[50 * 300];
    struct flow_cvec vec[50];
    struct link l;
    size_t n;

    (void)state;
    begin(&l, 0x0304, 512);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const size_t at = l.wire.len;

        test_fill(data, 50 * sizes[i], i);
        for (size_t k = 0; k < 50; k++) {
            vec[k].base = data + k * sizes[i];
            vec[k].len = sizes[i];
        }
        assert_status(flow_writev(l.ours, vec, 50, 0, &n), FLOW_OK);
        assert_int_equal(n, 50 * sizes[i]);
        assert_status(flow_flush(l.ours), FLOW_OK);
        records_are(&l, at, n, 512, FULL);
        read_all(&l, n, i);
    }
    link_close(&l);
}

static void
held_back_bytes_are_padded_once(void **state)
{
    struct flow_cvec vec;
    struct link l;
    uint8_t data[900];
    size_t at, n;

    (void)state;
    begin(&l, 0x0304, 256);
    at = l.wire.len;
    test_fill(data, sizeof(data), 5);
    for (size_t i = 0; i < 9; i++) {
        vec.base = data + 100 * i;
        vec.len = 100;
        assert_status(flow_writev(l.ours, &vec, 1, FLOW_MORE, &n), FLOW_OK);
        assert_int_equal(n, 100);
    }
    assert_int_equal(l.wire.len, at);
    assert_status(flow_flush(l.ours), FLOW_OK);
    records_are(&l, at, 900, 256, FULL);
    read_all(&l, 900, 5);
    link_close(&l);
}

static void
leases_are_padded(void **state)
{
    static const size_t lens[] = { 1, 254, 255, 256, 16127, 16383, 16384 };
    struct flow_vec span[2];
    struct link l;

    (void)state;
    begin(&l, 0x0304, 256);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        const size_t at = l.wire.len;

        assert_status(flow_lease(l.ours, FLOW_WRITE, lens[i], span), FLOW_OK);
        assert_true(span[0].len >= lens[i]);
        test_fill(span[0].base, lens[i], i);
        assert_status(flow_commit(l.ours, FLOW_WRITE, lens[i], 0), FLOW_OK);
        records_are(&l, at, lens[i], 256, FULL);
        read_all(&l, lens[i], i);
    }
    link_close(&l);
}

/* However few bytes the flow below takes at a time. */
static void
padded_records_leave_in_parts(void **state)
{
    static const size_t lens[] = { 1, 500, 16300, 40000 };
    static uint8_t data[40000], got[40000];
    struct link l;

    (void)state;
    for (size_t step = 1; step <= 5000; step = 7 * step + 3) {
        begin(&l, 0x0304, 1024);
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            const size_t at = l.wire.len;
            size_t sent = 0, have = 0, n;

            test_fill(data, lens[i], i);
            while (have < lens[i]) {
                enum flow_status st = FLOW_OK;
                int r;

                tap_gate(l.tap, FLOW_WRITE, step);
                n = 0;
                if (sent < lens[i])
                    st = flow_write(l.ours, data + sent, lens[i] - sent, &n);
                assert_status_in(st,
                                 STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
                sent += n;
                (void)!flow_flush(l.ours);
                r = ossl_read(&l.peer, got + have, lens[i] - have);
                assert_true(r >= 0);
                have += (size_t)r;
            }
            assert_int_equal(sent, lens[i]);
            test_check(got, lens[i], i, 0);
            tap_gate(l.tap, FLOW_WRITE, TAP_OPEN);
            assert_status(flow_flush(l.ours), FLOW_OK);
            records_are(&l, at, lens[i], 1024, FULL);
        }
        link_close(&l);
    }
}

/* A record is not padded beyond the limit that was set for it. */
static void
limits_of_records_are_kept(void **state)
{
    struct link l;
    size_t at;

    (void)state;
    begin(&l, 0x0304, 256);
    assert_status(flow_control(l.ours, FLOW_CONTROL_RECORD_LIMIT, 700),
                  FLOW_OK);
    for (size_t len = 1; len < 1500; len += 7)
        say_padded(&l, len, 256, 700);
    assert_status(flow_control(l.ours, FLOW_CONTROL_RECORD_LIMIT, 64), FLOW_OK);
    for (size_t len = 1; len < 200; len++)
        say_padded(&l, len, 256, 64);
    link_close(&l);

    link_init(&l, true, 0x0304);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_padding(l.config, 4096), FLOW_OK);
    assert_status(flow_tls_config_set_first_records(l.config, 1280, 3, 0),
                  FLOW_OK);
    link_open(&l);
    say_padded(&l, 10, 4096, 1280);
    at = l.wire.len;
    link_say(&l, 2560 + 100, 1);
    assert_int_equal(next(&l, &at), 1281 + TAG);
    assert_int_equal(next(&l, &at), 1281 + TAG);
    assert_int_equal(next(&l, &at), 4096 + TAG);
    assert_int_equal(at, l.wire.len);
    link_close(&l);
}

/* Only data is padded, under every key. */
static void
alerts_and_key_updates_are_not_padded(void **state)
{
    struct flow_tls_info info;
    struct link l;
    size_t at;

    (void)state;
    begin(&l, 0x0304, 300);
    for (int i = 0; i < 3; i++) {
        at = l.wire.len;
        assert_status(flow_control(l.ours, FLOW_CONTROL_REKEY, 0), FLOW_OK);
        link_say(&l, 10, 1);
        assert_int_equal(next(&l, &at), 5 + 1 + TAG);
        records_are(&l, at, 10, 300, FULL);
    }
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    assert_int_equal(info.key_updates_sent, 3);
    at = l.wire.len;
    assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
    assert_int_equal(next(&l, &at), 2 + 1 + TAG);
    assert_int_equal(at, l.wire.len);
    link_close(&l);
}

static void
both_sides_may_pad(void **state)
{
    struct link l;

    (void)state;
    for (size_t i = 0; i < BLOCKS; i++)
        for (int role = 0; role < 2; role++) {
            link_init(&l, role != 0, 0x0304);
            link_key(&l, "p256.pem", "p256.key");
            assert_status(flow_tls_config_set_padding(l.config, blocks[i]),
                          FLOW_OK);
            /* It pads its handshake too, for which we have a limit. */
            SSL_CTX_set_block_padding(l.peer.ctx, blocks[i] % 5000);
            link_open(&l);
            link_talk(&l);
            link_close(&l);
        }
}

/* Every suite of TLS 1.3, whose ciphers may be of different libraries. */
static void
every_suite_is_padded(void **state)
{
    static const uint16_t suites[] = { 0x1301, 0x1302, 0x1303, 0x1304 };
    struct link l;

    (void)state;
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        link_init(&l, true, 0x0304);
        link_key(&l, "p256.pem", "p256.key");
        assert_int_equal(
            SSL_CTX_set_ciphersuites(l.peer.ctx, "TLS_AES_128_GCM_SHA256:"
                                                 "TLS_AES_256_GCM_SHA384:"
                                                 "TLS_CHACHA20_POLY1305_SHA256:"
                                                 "TLS_AES_128_CCM_SHA256"),
            1);
        assert_status(flow_tls_config_set_suites(l.config, &suites[i], 1),
                      FLOW_OK);
        assert_status(flow_tls_config_set_padding(l.config, 1000), FLOW_OK);
        link_open(&l);
        for (size_t len = 1; len <= 20000; len += 1 + len / 9)
            say_padded(&l, len, 1000, FULL);
        link_close(&l);
    }
}

static void
tls12_is_not_padded(void **state)
{
    struct flow_tls_info info;
    struct link l;
    size_t at;

    (void)state;
    link_init(&l, true, 0);
    link_key(&l, "p256.pem", "p256.key");
    SSL_CTX_set_max_proto_version(l.peer.ctx, TLS1_2_VERSION);
    assert_status(flow_tls_config_set_padding(l.config, 256), FLOW_OK);
    link_open(&l);
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    assert_int_equal(info.version, 0x0303);
    at = l.wire.len;
    link_say(&l, 10, 1);
    assert_int_equal(next(&l, &at), 8 + 10 + TAG);
    link_talk(&l);
    link_close(&l);
}

static void
padding_without_tls13_is_refused(void **state)
{
    static const uint16_t old[] = { 0xc02b };
    struct flow_error err;
    struct link l;

    (void)state;
    link_init(&l, true, 0x0303);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_padding(l.config, 256), FLOW_OK);
    assert_status(flow_tls_config_freeze(l.config, &err), FLOW_E_INVAL);
    assert_non_null(strstr(err.text, "padding needs TLS 1.3"));
    assert_non_null(err.hint);
    assert_status(flow_tls_config_freeze(l.config, NULL), FLOW_E_INVAL);
    /* The suites may leave no other version, too. */
    assert_status(
        flow_tls_config_set_versions(l.config, FLOW_TLS_1_2, FLOW_TLS_1_3),
        FLOW_OK);
    assert_status(flow_tls_config_set_suites(l.config, old, 1), FLOW_OK);
    assert_status(flow_tls_config_freeze(l.config, NULL), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_padding(l.config, 1), FLOW_OK);
    assert_status(flow_tls_config_freeze(l.config, NULL), FLOW_OK);
    link_open(&l);
    link_talk(&l);
    link_close(&l);
}

static void
settings_are_checked(void **state)
{
    struct link l;

    (void)state;
    link_init(&l, true, 0x0304);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_padding(l.config, 64), FLOW_OK);
    assert_status(flow_tls_config_set_padding(l.config, 16385), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_padding(l.config, 65536 + 256),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_set_padding(l.config, SIZE_MAX),
                  FLOW_E_INVAL);
    link_open(&l);
    assert_status(flow_tls_config_set_padding(l.config, 0), FLOW_E_BUSY);
    say_padded(&l, 100, 64, FULL);
    link_close(&l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(small_lengths_are_multiples),
        TEST(large_lengths_are_multiples_or_full),
        TEST(empty_write_sends_no_record),
        TEST(segments_share_a_padded_record),
        TEST(held_back_bytes_are_padded_once),
        TEST(leases_are_padded),
        TEST(padded_records_leave_in_parts),
        TEST(limits_of_records_are_kept),
        TEST(alerts_and_key_updates_are_not_padded),
        TEST(both_sides_may_pad),
        TEST(every_suite_is_padded),
        TEST(tls12_is_not_padded),
        TEST(padding_without_tls13_is_refused),
        TEST(settings_are_checked),
    };

    return TEST_RUN(tests);
}
