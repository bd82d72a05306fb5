/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>

#include "junk.h"
#include "mint.h"
#include "test.h"

/*
 * Too many, too small, too slow: records that are allowed once and come for
 * ever, tiny fragments and oversized messages, slow peers.  Work and memory are
 * bounded.
 */

/* More records without data than we accept in a row. */
#define FLOOD 200

static struct evil evil;

static const uint8_t zeros[CIPHER_MAX];

/* --- floods --- */

/* Repeat one record without data after the handshake; the expected result. */
static void
flood(const struct junk *j, bool we_serve, int version)
{
    struct evil_alert alerts;
    size_t bytes, n;
    uint8_t buf[10];
    int i;

    guard_case(j->name);
    evil_open(&evil, we_serve, version);
    /* A few of them, then data, several times: accepted. */
    for (i = 0; i < 40; i++) {
        evil_sealed(&evil, DATA, j->type, j->content, j->len);
        if (i % 8 == 7) {
            evil_sealed(&evil, DATA, BYTES, "x", 1);
            assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
        }
        (void)!flow_flush(evil.ours);
    }
    bytes = atomic_load(&test_env.bytes);
    for (i = 0; i < FLOOD; i++)
        evil_sealed(&evil, DATA, j->type, j->content, j->len);
    evil_read_refused(&evil, FLOW_E_PROTO, 10, DATA);
    evil_alerts(&evil, &alerts);
    /* There is one answer, not one for each. */
    assert_true(alerts.warnings <= 45);
    assert_true(alerts.updates <= 45);
    assert_true(atomic_load(&test_env.bytes) <= bytes + 32768);
    evil_free(&evil);
}

static void
floods_after_the_handshake_are_ended(void **state)
{
    static const struct junk empty = { "empty records", BYTES, "", 0, 10, -1 };
    static const struct junk warning = {
        "warnings", ALERT, "\1\132", 2, 10, -1
    };
    static const struct junk hello_request = {
        "HelloRequests", MESSAGE, "\0\0\0\0", 4, 10, -1
    };
    static const struct junk hello = {
        "ClientHellos", MESSAGE, "\1\0\0\0", 4, 10, -1
    };
    static const struct junk ticket = {
        "tickets", MESSAGE, "\4\0\0\16\0\0\1\0\0\0\0\0\0\0\1x\0\0", 18, 10, -1
    };

    (void)state;
    evil_wrong = 0;
    flood(&empty, true, 0x0303);
    flood(&empty, false, 0x0303);
    flood(&empty, true, 0x0304);
    flood(&empty, false, 0x0304);
    flood(&warning, true, 0x0303);
    flood(&warning, false, 0x0303);
    flood(&warning, true, 0x0304);
    flood(&hello_request, false, 0x0303);
    flood(&hello, true, 0x0303);
    flood(&ticket, false, 0x0304);
    assert_int_equal(evil_wrong, 0);
}

/* Padding makes a record longer, and not less idle. */
static void
floods_of_padded_empty_records_are_ended(void **state)
{
    static const size_t pads[] = { 1, 100, 1023, 1024, 4096, 16384 };
    static uint8_t record[CIPHER_MAX + 64], buf[20000];
    size_t bytes, len, n;

    (void)state;
    evil_wrong = 0;
    for (size_t i = 0; i < 2 * sizeof(pads) / sizeof(pads[0]); i++) {
        evil_open(&evil, i % 2 != 0, 0x0304);
        for (int k = 0; k < 40; k++) {
            len = cipher_seal(&evil.seal[DATA], BYTES, "x", k % 8 == 7,
                              pads[i / 2] - (k % 8 == 7), record);
            evil_raw(&evil, record, len);
            assert_status(evil_read(&evil, buf, sizeof(buf), &n),
                          k % 8 == 7 ? FLOW_OK : FLOW_AGAIN);
            assert_int_equal(n, k % 8 == 7);
        }
        bytes = atomic_load(&test_env.bytes);
        for (int k = 0; k < FLOOD; k++) {
            len = cipher_seal(&evil.seal[DATA], BYTES, "", 0, pads[i / 2],
                              record);
            evil_raw(&evil, record, len);
        }
        evil_read_refused(&evil, FLOW_E_PROTO, 10, DATA);
        /* Six records that are read ahead, and one that is opened. */
        assert_true(atomic_load(&test_env.bytes) <= bytes + 7 * 16645);
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
}

/* Each KeyUpdate changes the key. */
static void
flood_of_key_updates_is_ended(void **state)
{
    int role, ask, i;

    (void)state;
    evil_wrong = 0;
    for (role = 0; role < 2; role++)
        for (ask = 0; ask < 2; ask++) {
            const uint8_t update[5] = { 24, 0, 0, 1, (uint8_t)ask };
            struct evil_alert alerts;

            evil_open(&evil, role != 0, 0x0304);
            for (i = 0; i < FLOOD; i++) {
                evil_sealed(&evil, DATA, MESSAGE, update, sizeof(update));
                cipher_update(&evil.seal[DATA], evil.secret[1][role ? 0 : 1]);
            }
            evil_read_refused(&evil, FLOW_E_PROTO, 10, DATA);
            evil_alerts(&evil, &alerts);
            assert_true(alerts.updates <= 1);
            evil_free(&evil);
        }
    assert_int_equal(evil_wrong, 0);
}

/* Before the hellos. */
static void
floods_before_the_handshake_are_ended(void **state)
{
    size_t bytes;
    int role, i;

    (void)state;
    evil_wrong = 0;
    for (role = 0; role < 2; role++) {
        guard_case("warnings");
        evil_init(&evil, role != 0, 0x0303);
        evil_start(&evil);
        evil.status = flow_open(evil.ours);
        bytes = atomic_load(&test_env.bytes);
        for (i = 0; i < 5000; i++)
            evil_plain(&evil, ALERT, "\1\132", 2);
        evil.status = flow_open(evil.ours);
        evil_refused(&evil, FLOW_E_PROTO, 10, PLAIN);
        assert_true(atomic_load(&test_env.bytes) <= bytes + 32768);
        evil_free(&evil);
    }
    guard_case("HelloRequests");
    evil_init(&evil, false, 0x0303);
    evil_start(&evil);
    evil.status = flow_open(evil.ours);
    for (i = 0; i < 5000; i++)
        evil_plain(&evil, MESSAGE, "\0\0\0\0", 4);
    evil.status = flow_open(evil.ours);
    evil_refused(&evil, FLOW_E_PROTO, 10, PLAIN);
    evil_free(&evil);
    assert_int_equal(evil_wrong, 0);
}

/* --- fragments --- */

static size_t fragment_size;
static const struct junk *interruption;

static void
split(struct evil *e, struct evil_record *r)
{
    size_t off, n;

    if (r->type != MESSAGE)
        return;
    r->drop = true;
    for (off = 0; off < r->len; off += n) {
        n = r->len - off < fragment_size ? r->len - off : fragment_size;
        evil_sealed(e, r->epoch, r->type, r->content + off, n);
        if (interruption != NULL && off == 0)
            evil_sealed(e, r->epoch, interruption->type, interruption->content,
                        interruption->len);
    }
}

static void
fragments(size_t size, bool we_serve, int version)
{
    fragment_size = size;
    evil_init(&evil, we_serve, version);
    evil.edit = split;
    evil_start(&evil);
    evil_run(&evil);
}

/* RFC 8446 5.1 allows any fragment but an empty one. */
static void
fragmented_messages_are_joined_within_limits(void **state)
{
    static const size_t sizes[] = { 1, 2, 3, 4, 5, 50, 200 };
    char name[64];
    int role, version;
    size_t i;

    (void)state;
    interruption = NULL;
    evil_wrong = 0;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (role = 0; role < 2; role++)
            for (version = 0x0303; version <= 0x0304; version++) {
                snprintf(name, sizeof(name), "%zu bytes, %s, 0x%04x", sizes[i],
                         role ? "server" : "client", version);
                guard_case(name);
                fragments(sizes[i], role != 0, version);
                if (evil.status != FLOW_OK) {
                    print_error("%s: %s\n", name, evil_text(&evil));
                    evil_wrong++;
                }
                evil_free(&evil);
            }
    assert_int_equal(evil_wrong, 0);
}

static void
interrupted_messages_are_refused(void **state)
{
    static const struct junk between[] = {
        { "empty handshake", MESSAGE, "", 0, 10, -1 },
        { "change_cipher_spec", CCS, "\1", 1, 10, -1 },
        { "warning", ALERT, "\1\132", 2, 10, -1 },
        { "data", BYTES, "x", 1, 10, -1 },
    };
    size_t i;
    int role;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(between) / sizeof(between[0]); i++)
        for (role = 0; role < 2; role++) {
            guard_case(between[i].name);
            interruption = &between[i];
            fragments(20, role != 0, 0x0304);
            evil_refused(&evil, FLOW_E_PROTO, 10, PLAIN);
            evil_free(&evil);
        }
    interruption = NULL;
    assert_int_equal(evil_wrong, 0);
}

/* The same after the handshake, where tls/ joins the fragments. */
static void
interrupted_messages_after_the_handshake_are_refused(void **state)
{
    static const uint8_t update[5] = { 24, 0, 0, 1, 0 };
    static const struct junk between[] = {
        { "empty data", BYTES, "", 0, 10, -1 },
        { "data", BYTES, "x", 1, 10, -1 },
        { "close_notify", ALERT, "\1\0", 2, 10, -1 },
    };
    uint8_t buf[8];
    size_t i, n;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
        guard_case(between[i].name);
        evil_open(&evil, true, 0x0304);
        evil_sealed(&evil, DATA, MESSAGE, update, 2);
        evil_sealed(&evil, DATA, between[i].type, between[i].content,
                    between[i].len);
        evil_read_refused(&evil, FLOW_E_PROTO, 10, DATA);
        evil_free(&evil);
    }
    /* If no other message interrupts them, they are a message. */
    evil_open(&evil, true, 0x0304);
    for (i = 0; i < sizeof(update); i++)
        evil_sealed(&evil, DATA, MESSAGE, update + i, 1);
    cipher_update(&evil.seal[DATA], evil.secret[1][0]);
    evil_sealed(&evil, DATA, BYTES, "next", 4);
    assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, 4);
    evil_free(&evil);
    assert_int_equal(evil_wrong, 0);
}

/* Make the ClientHello this long, with padding (RFC 7685). */
static size_t hello_len;

static void
pad_hello(struct evil *e, struct evil_record *r)
{
    size_t at = 4 + 2 + 32, grow, off;
    uint8_t *p = r->content;

    if (r->type != MESSAGE || p[0] != 1)
        return;
    assert_true(r->len + 4 < hello_len);
    grow = hello_len - r->len;
    at += 1u + p[at];
    at += 2u + (size_t)(p[at] << 8 | p[at + 1]);
    at += 1u + p[at];
    memmove(p + at + 2 + grow, p + at + 2, r->len - at - 2);
    memset(p + at + 2, 0, grow);
    p[at + 2 + 1] = 21;
    p[at + 2 + 2] = (uint8_t)((grow - 4) >> 8);
    p[at + 2 + 3] = (uint8_t)(grow - 4);
    off = (size_t)(p[at] << 8 | p[at + 1]) + grow;
    p[at] = (uint8_t)(off >> 8);
    p[at + 1] = (uint8_t)off;
    r->len = hello_len;
    p[1] = (uint8_t)((hello_len - 4) >> 16);
    p[2] = (uint8_t)((hello_len - 4) >> 8);
    p[3] = (uint8_t)(hello_len - 4);
    fragment_size = 16384;
    split(e, r);
}

static void
hello_of(size_t len, size_t limit)
{
    hello_len = len;
    evil_init(&evil, true, 0x0303);
    if (limit != 0)
        assert_status(
            flow_tls_config_set_handshake_limits(evil.config, 0, limit),
            FLOW_OK);
    evil.edit = pad_hello;
    evil_start(&evil);
    /* The handshake does not complete: OpenSSL did not send this hello. */
    (void)!flow_open(evil.ours);
    (void)ossl_step(&evil.peer);
    evil_run(&evil);
}

static void
hellos_are_limited_in_length(void **state)
{
    static const size_t fine[] = { 600, 4096, 16000, 16384 };
    static const size_t long_ones[] = { 16385, 20000, 40000 };
    size_t i;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        hello_of(fine[i], 0);
        /* The ServerHello arrived: the failure is that of OpenSSL's or our
         * Finished. */
        if (evil.loop.out_len < 100) {
            print_error("%zu bytes: %s\n", fine[i], evil_text(&evil));
            evil_wrong++;
        }
        evil_free(&evil);
    }
    for (i = 0; i < sizeof(long_ones) / sizeof(long_ones[0]); i++) {
        hello_of(long_ones[i], 0);
        evil_refused(&evil, FLOW_E_PROTO, 50, PLAIN);
        assert_non_null(strstr(evil_text(&evil), "16,384 bytes"));
        evil_free(&evil);
    }
    /* The configured limit of a handshake's bytes. */
    hello_of(2000, 1024);
    evil_refused(&evil, FLOW_E_PROTO, 40, PLAIN);
    assert_non_null(strstr(evil_text(&evil), "longer than the limit"));
    evil_free(&evil);
    assert_int_equal(evil_wrong, 0);
}

/* --- slow peers, and bytes one by one --- */

static void
handshake_works_byte_by_byte(void **state)
{
    uint8_t buf[100];
    int role, version;
    size_t n, got;

    (void)state;
    for (role = 0; role < 2; role++)
        for (version = 0x0303; version <= 0x0304; version++) {
            evil_init(&evil, role != 0, version);
            evil_start(&evil);
            evil.loop.chunk = 1;
            evil_run(&evil);
            assert_status(evil.status, FLOW_OK);
            assert_true(evil.loop.reads <= evil.loop.in_len + 100);
            evil_sealed(&evil, DATA, BYTES, "one by one", 10);
            evil_sealed(&evil, DATA, ALERT, "\1\0", 2);
            for (got = 0; got < 10; got += n)
                assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
            assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_EOF);
            evil_free(&evil);
        }
}

/* A byte now and then does not extend the handshake timeout. */
static void
slow_peers_reach_the_handshake_timeout(void **state)
{
    static const uint8_t header[] = { MESSAGE, 3, 1, 1, 0, 1, 0, 0, 252 };
    struct flow_wait_set set;
    int role, i;

    (void)state;
    for (role = 0; role < 2; role++) {
        test_env_stop_clock();
        evil_init(&evil, role != 0, 0x0304);
        evil_start(&evil);
        evil.status = flow_open(evil.ours);
        evil_raw(&evil, header, sizeof(header));
        for (i = 0; i < 9; i++) {
            test_env.now += UINT64_C(1000000000);
            evil_raw(&evil, "", 1);
            if (role != 0)
                assert_status(flow_open(evil.ours), FLOW_AGAIN);
        }
        flow_wait_set_init(&set);
        (void)flow_wait_sources(evil.ours, FLOW_READY_OPEN, &set);
        test_env.now += UINT64_C(1100000000);
        /* A thread that waits for the opening is woken. */
        flow_wait_set_init(&set);
        assert_true(flow_wait_sources(evil.ours, FLOW_READY_OPEN, &set) != 0 ||
                    set.deadline <= test_env.now);
        evil.status = flow_open(evil.ours);
        assert_status(evil.status, FLOW_E_TIMEOUT);
        assert_non_null(strstr(evil_text(&evil), "longer than its limit"));
        assert_status(flow_open(evil.ours), FLOW_E_TIMEOUT);
        assert_int_equal(evil.loop.closes, 0);
        evil_free(&evil);
    }
}

/* --- 0-RTT data that was not accepted --- */

static size_t early_len;
static unsigned early_count;
static bool early_is_announced;

static void
early_data(struct evil *e, struct evil_record *r)
{
    size_t at = 4 + 2 + 32, total;
    uint8_t *p = r->content;
    unsigned i;

    if (r->type != MESSAGE || p[0] != 1 || e->step++ != 0)
        return;
    at += 1u + p[at];
    at += 2u + (size_t)(p[at] << 8 | p[at + 1]);
    at += 1u + p[at];
    if (early_is_announced) {
        memmove(p + at + 2 + 4, p + at + 2, r->len - at - 2);
        memcpy(p + at + 2, "\0\52\0\0", 4);
        total = (size_t)(p[at] << 8 | p[at + 1]) + 4;
        p[at] = (uint8_t)(total >> 8);
        p[at + 1] = (uint8_t)total;
        r->len += 4;
        p[2] = (uint8_t)((r->len - 4) >> 8);
        p[3] = (uint8_t)(r->len - 4);
    }
    evil_pass(e, r);
    for (i = 0; i < early_count; i++)
        evil_plain(e, BYTES, zeros, early_len);
}

/* OpenSSL did not send this ClientHello, so it cannot decrypt the answer. */
static void
early_within(size_t limit, bool announced, size_t len, unsigned count,
             int alert)
{
    struct flow_error err;

    early_is_announced = announced;
    early_len = len;
    early_count = count;
    evil_init(&evil, true, 0x0304);
    assert_status(flow_tls_config_set_handshake_limits(evil.config, 0, limit),
                  FLOW_OK);
    evil.edit = early_data;
    evil_start(&evil);
    evil_run(&evil);
    assert_status(evil.status, FLOW_E_PROTO);
    flow_get_error(evil.ours, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, alert);
    assert_true(evil.loop.reads < 200);
    evil_free(&evil);
}

static void
early(bool announced, size_t len, unsigned count, int alert)
{
    early_within(0, announced, len, count, alert);
}

static void
skipped_early_data_is_limited(void **state)
{
    (void)state;
    /* If the client did not announce early data, the record is a
     * bad_record_mac. */
    early(false, 1000, 1, 20);
    /* If it did, the records are skipped up to a limit, and each must be a
     * valid record of more than a few bytes. */
    early(true, 16000, 8, 10);
    early(true, 16641, 1, 22);
    early(true, 0, 20000, 10);
    /* The byte limit of the handshake does not count skipped records. */
    early_within(2048, true, 16000, 8, 10);
    early_within(2048, false, 16000, 1, 40);
}

/* --- renegotiation --- */

static void
renegotiation_is_declined(void **state)
{
    struct evil_alert alerts;
    uint8_t buf[10];
    size_t n;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        evil_open(&evil, role != 0, 0x0303);
        evil_sealed(&evil, DATA, MESSAGE, role ? "\1\0\0\0" : "\0\0\0\0", 4);
        evil_sealed(&evil, DATA, BYTES, "goes on", 7);
        assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
        assert_int_equal(n, 7);
        assert_status(flow_flush(evil.ours), FLOW_OK);
        evil_alerts(&evil, &alerts);
        assert_int_equal(alerts.number, 100);
        assert_int_equal(alerts.warnings, 1);
        assert_int_equal(alerts.fatal, 0);
        assert_status(flow_write(evil.ours, "ours too", 8, &n), FLOW_OK);
        evil_free(&evil);
    }
}

/* --- certificates that fill more than a message may --- */

/* A chain of one real leaf and many unrelated certificates. */
static void
chain_of(unsigned count, int version)
{
    static const struct mint what = {
        "a certificate among many", "DNS:a.example", NULL, NULL, NULL, NULL
    };
    EVP_PKEY *key = mint_key();
    X509 *extra = mint_certificate(&what, key, NULL, NULL);

    evil_init(&evil, false, version);
    for (; count > 0; count--)
        assert_int_equal(SSL_CTX_add1_chain_cert(evil.peer.ctx, extra), 1);
    evil_start(&evil);
    evil_run(&evil);
    X509_free(extra);
    EVP_PKEY_free(key);
}

static void
certificate_chains_are_limited_in_length(void **state)
{
    int version;

    (void)state;
    evil_wrong = 0;
    for (version = 0x0303; version <= 0x0304; version++) {
        chain_of(5, version);
        assert_status(evil.status, FLOW_OK);
        evil_free(&evil);
        chain_of(100, version);
        evil_refused(&evil, FLOW_E_PROTO, 50,
                     version == 0x0304 ? HANDSHAKE : PLAIN);
        assert_non_null(strstr(evil_text(&evil), "16,384 bytes"));
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
}

/* --- an idle connection --- */

static size_t
footprint(void)
{
    size_t held = 0, len = sizeof(held);

    assert_status(flow_query(evil.ours, FLOW_QUERY_FOOTPRINT, &held, &len),
                  FLOW_OK);
    return held;
}

/* At most 1,700 bytes of heap, whatever passed before, while the program waits
 * for more: then no cipher context is allocated. */
static void
idle_connections_use_little_memory(void **state)
{
    static uint8_t data[16384];
    struct flow_wait_set set;
    size_t before, held, n;
    int role, version;
    uint8_t buf[64];

    (void)state;
    for (role = 0; role < 2; role++)
        for (version = 0x0303; version <= 0x0304; version++) {
            evil_init(&evil, role != 0, version);
            assert_status(flow_tls_config_freeze(evil.config, NULL), FLOW_OK);
            before = atomic_load(&test_env.bytes);
            evil_start(&evil);
            evil_run(&evil);
            assert_status(evil.status, FLOW_OK);
            evil_sealed(&evil, DATA, BYTES, zeros, 16384);
            do
                n = 0;
            while (evil_read(&evil, data, sizeof(buf), &n) == FLOW_OK);
            assert_status(flow_write(evil.ours, data, sizeof(data), &n),
                          FLOW_OK);
            flow_wait_set_init(&set);
            assert_int_equal(
                flow_wait_sources(evil.ours, FLOW_READY_READ, &set), 0);
            held = atomic_load(&test_env.bytes) - before;
            if (held > 1700)
                fail_msg("%zu bytes are held, %s, 0x%04x", held,
                         role ? "server" : "client", version);
            assert_int_equal(footprint(), held);
            evil_free(&evil);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(floods_after_the_handshake_are_ended),
        TEST(floods_of_padded_empty_records_are_ended),
        TEST(flood_of_key_updates_is_ended),
        TEST(floods_before_the_handshake_are_ended),
        TEST(fragmented_messages_are_joined_within_limits),
        TEST(interrupted_messages_are_refused),
        TEST(interrupted_messages_after_the_handshake_are_refused),
        TEST(hellos_are_limited_in_length),
        TEST(certificate_chains_are_limited_in_length),
        TEST(handshake_works_byte_by_byte),
        TEST(slow_peers_reach_the_handshake_timeout),
        TEST(skipped_early_data_is_limited),
        TEST(renegotiation_is_declined),
        TEST(idle_connections_use_little_memory),
    };

    return TEST_RUN(tests);
}
