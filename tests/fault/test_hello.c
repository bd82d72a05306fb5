/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "step.h"

/*
 * Hellos from a hostile peer: mutated by seed, split into small records, with
 * invalid lengths, with invalid key shares; and other records before any key
 * exists.  Expected: a definite error, the alert of the RFC, bounded work.
 */

/* A TLS flow of ours, and the raw other end. */
struct bench {
    struct flow *tls;
    struct flow *raw;
    unsigned calls;
};

static void
bench_make(struct bench *b, bool server, uint32_t version)
{
    struct flow *near;

    memset(b, 0, sizeof(*b));
    assert_status(flow_pair_new(TEST_ENV, 1 << 17, NULL, &near, &b->raw),
                  FLOW_OK);
    if (server)
        assert_status(flow_tls_wrap_server(stack_tls_server(version), near, 0,
                                           &b->tls, NULL),
                      FLOW_OK);
    else
        assert_status(flow_tls_wrap_client(stack_tls_client(version), near,
                                           "server.example", 0, &b->tls, NULL),
                      FLOW_OK);
}

static void
bench_close(struct bench *b)
{
    flow_close(b->tls);
    flow_close(b->raw);
}

static void
feed(struct bench *b, const void *data, size_t len)
{
    size_t n;

    assert_status(flow_write(b->raw, data, len, &n), FLOW_OK);
    assert_int_equal(n, len);
}

/* Bytes that the flow has sent so far. */
static size_t
sent(struct bench *b, uint8_t *buf, size_t cap)
{
    size_t len = 0, n;

    while (len < cap && flow_read(b->raw, buf + len, cap - len, &n) == FLOW_OK)
        len += n;
    return len;
}

/* Drive the opening until it waits or ends; few calls must be enough. */
static enum flow_status
drive(struct bench *b)
{
    enum flow_status st;

    do {
        st = flow_open(b->tls);
        assert_true(++b->calls < 200);
    } while (st == FLOW_AGAIN && step_ready(b->tls, FLOW_READY_OPEN) != 0);
    return st;
}

static enum flow_status
drive_to_the_end(struct bench *b)
{
    enum flow_status st = drive(b);

    if (st == FLOW_AGAIN) {
        assert_status(flow_shutdown(b->raw, FLOW_WRITE), FLOW_OK);
        st = drive(b);
    }
    return st;
}

/* A whole record that contains a ClientHello. */
static size_t
client_hello(uint32_t version, uint8_t *buf, size_t cap)
{
    struct bench b;
    size_t len;

    bench_make(&b, false, version);
    assert_status(drive(&b), FLOW_AGAIN);
    len = sent(&b, buf, cap);
    assert_int_equal(len, 5 + (buf[3] << 8 | buf[4]));
    bench_close(&b);
    return len;
}

/* Change a record by seed; returns its new length. */
static size_t
mutate(uint8_t *r, size_t len, size_t cap, uint64_t seed)
{
    unsigned times = 1 + (unsigned)(test_random(&seed) % 4);
    size_t at, n;

    while (times-- > 0) {
        at = 5 + test_random(&seed) % (len - 5);
        switch (test_random(&seed) % 6) {
        case 0:
            r[at] ^= (uint8_t)(1u << test_random(&seed) % 8);
            break;
        case 1:
            r[at] = (uint8_t)test_random(&seed);
            break;
        case 2:
            /* Truncate it and correct the length of the record. */
            len = at + 1;
            break;
        case 3:
            /* Delete a range. */
            n = 1 + test_random(&seed) % 8;
            n = n > len - at ? len - at : n;
            memmove(r + at, r + at + n, len - at - n);
            len -= n;
            break;
        case 4:
            /* Duplicate a range. */
            n = 1 + test_random(&seed) % 40;
            n = n > len - at ? len - at : n;
            if (len + n <= cap) {
                memmove(r + at + n, r + at, len - at);
                len += n;
            }
            break;
        default:
            r[at] = test_random(&seed) % 2 ? 0xff : 0;
            break;
        }
        if (len < 7)
            break;
    }
    r[3] = (uint8_t)((len - 5) >> 8);
    r[4] = (uint8_t)(len - 5);
    return len;
}

/* The error record names the cause; with an alert if one is due. */
static void
check_refusal(struct bench *b, enum flow_status st)
{
    struct flow_error err;
    char line[300];

    assert_status_in(st, STATUS_BIT(FLOW_E_PROTO) |
                             STATUS_BIT(FLOW_E_TRUNCATED) |
                             STATUS_BIT(FLOW_E_AUTH));
    flow_get_error(b->tls, FLOW_READ, &err);
    assert_status(err.status, st);
    assert_non_null(err.text);
    assert_true(flow_error_format(&err, line, sizeof(line)) > 0);
    if (st == FLOW_E_PROTO)
        assert_true(err.alert_sent > 0 || err.alert_received >= 0);
}

static void
mutated_client_hellos_get_a_definite_answer(void **state)
{
    static uint8_t hello[4096], copy[8192], out[16384];
    unsigned refused = 0;
    size_t len = 0, n;
    uint64_t seed;
    struct bench b;
    char name[60];

    (void)state;
    for (seed = 1; seed <= 1000; seed++) {
        if (seed % 100 == 1)
            len = client_hello(seed % 200 == 1 ? 0x0304 : 0, hello,
                               sizeof(hello));
        snprintf(name, sizeof(name), "ClientHello, seed %u", (unsigned)seed);
        guard_case(name);
        memcpy(copy, hello, len);
        n = mutate(copy, len, sizeof(copy), seed);
        bench_make(&b, true, 0);
        feed(&b, copy, n);
        check_refusal(&b, drive_to_the_end(&b));
        /* Refused before any key was agreed: the alert is in plaintext. */
        n = sent(&b, out, sizeof(out));
        if (n == 7 && out[0] == 21) {
            assert_int_equal(out[5], 2);
            refused++;
        }
        bench_close(&b);
    }
    guard_case(NULL);
    /* Some mutations were refused, and some were not. */
    assert_in_range(refused, 200, 990);
}

/* The flight of our server that answers this client. */
static size_t
server_flight(struct bench *client, struct bench *server, uint8_t *buf,
              size_t cap)
{
    static uint8_t hello[4096];
    size_t len;

    assert_status(drive(client), FLOW_AGAIN);
    len = sent(client, hello, sizeof(hello));
    feed(server, hello, len);
    assert_status(drive(server), FLOW_AGAIN);
    return sent(server, buf, cap);
}

static void
mutated_server_hellos_get_a_definite_answer(void **state)
{
    static uint8_t flight[16384], first[8192];
    struct bench client, server;
    size_t len, n, m;
    uint64_t seed;
    char name[60];

    (void)state;
    for (seed = 1; seed <= 1000; seed++) {
        uint32_t version = seed % 2 ? 0x0304 : 0x0303;

        snprintf(name, sizeof(name), "ServerHello, seed %u", (unsigned)seed);
        guard_case(name);
        bench_make(&client, false, 0);
        bench_make(&server, true, version);
        len = server_flight(&client, &server, flight, sizeof(flight));
        n = 5 + (size_t)(flight[3] << 8 | flight[4]);
        memcpy(first, flight, n);
        m = mutate(first, n, sizeof(first), seed);
        if (m == n && memcmp(first, flight, n) == 0)
            first[20] ^= 1;
        feed(&client, first, m);
        feed(&client, flight + n, len - n);
        check_refusal(&client, drive_to_the_end(&client));
        bench_close(&client);
        bench_close(&server);
    }
    guard_case(NULL);
}

/* The expected alert after a record that arrives before any key. */
struct misplaced {
    const char *what;
    size_t len;
    uint8_t bytes[16];
    int alert;    /* -1: none; an alert of the peer, or ignored */
    int or_alert; /* another alert that the RFCs allow, or the same */
};

static const struct misplaced before_hello[] = {
    { "change_cipher_spec", 6, { 20, 3, 3, 0, 1, 1 }, 10, 10 },
    { "application data", 8, { 23, 3, 3, 0, 3, 1, 2, 3 }, 10, 10 },
    { "heartbeat", 8, { 24, 3, 3, 0, 3, 1, 0, 0 }, 10, 10 },
    { "unknown type", 6, { 99, 3, 3, 0, 1, 0 }, 10, 10 },
    { "HTTP", 16, "GET / HTTP/1.1\r\n", 10, 70 },
    { "empty handshake", 5, { 22, 3, 3, 0, 0 }, 10, 10 },
    { "empty alert", 5, { 21, 3, 3, 0, 0 }, 10, 50 },
    { "alert of one byte", 6, { 21, 3, 3, 0, 1, 1 }, 50, 10 },
    { "alert of three bytes", 8, { 21, 3, 3, 0, 3, 1, 0, 0 }, 50, 10 },
    { "ServerHelloDone", 9, { 22, 3, 3, 0, 4, 14, 0, 0, 0 }, 10, 10 },
    { "Finished", 11, { 22, 3, 3, 0, 6, 20, 0, 0, 2, 0, 0 }, 10, 10 },
    { "unknown message", 9, { 22, 3, 3, 0, 4, 77, 0, 0, 0 }, 10, 10 },
    { "too long a record", 5, { 22, 3, 3, 0x48, 1 }, 22, 22 },
    { "fatal alert", 7, { 21, 3, 3, 0, 2, 2, 40 }, -1, -1 },
};

static void
check_misplaced(const struct misplaced *m, bool server, uint32_t version)
{
    struct flow_error err;
    uint8_t out[4096];
    struct bench b;
    char name[100];
    size_t n;

    snprintf(name, sizeof(name), "%s to a %s", m->what,
             server ? "server" : "client");
    guard_case(name);
    bench_make(&b, server, version);
    (void)drive(&b);
    (void)sent(&b, out, sizeof(out));
    feed(&b, m->bytes, m->len);
    assert_status(drive(&b), FLOW_E_PROTO);
    flow_get_error(b.tls, FLOW_READ, &err);
    n = sent(&b, out, sizeof(out));
    if (m->alert < 0) {
        assert_int_equal(err.alert_received, 40);
        assert_int_equal(n, 0);
    } else {
        assert_true(err.alert_sent == m->alert ||
                    err.alert_sent == m->or_alert);
        assert_int_equal(n, 7);
        assert_int_equal(out[0], 21);
        assert_int_equal(out[5], 2);
        assert_int_equal(out[6], err.alert_sent);
    }
    bench_close(&b);
    guard_case(NULL);
}

static void
records_before_the_hello_get_their_alert(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(before_hello) / sizeof(before_hello[0]); i++) {
        check_misplaced(&before_hello[i], true, 0);
        check_misplaced(&before_hello[i], true, 0x0303);
        check_misplaced(&before_hello[i], false, 0);
        check_misplaced(&before_hello[i], false, 0x0303);
    }
}

/*
 * A server reads it after its own flight: TLS 1.3 ignores it (RFC 8446 5), in
 * TLS 1.2 it is out of order.
 */
static void
change_cipher_spec_after_the_client_hello_depends_on_the_version(void **state)
{
    static const uint8_t ccs[] = { 20, 3, 3, 0, 1, 1 };
    static uint8_t hello[4096];
    struct flow_error err;
    struct bench b;
    uint32_t v;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        size_t len = client_hello(v, hello, sizeof(hello));

        bench_make(&b, true, v);
        feed(&b, hello, len);
        feed(&b, ccs, sizeof(ccs));
        assert_status(drive(&b), v == 0x0304 ? FLOW_AGAIN : FLOW_E_PROTO);
        flow_get_error(b.tls, FLOW_READ, &err);
        assert_int_equal(err.alert_sent, v == 0x0304 ? -1 : 10);
        bench_close(&b);
    }
}

static void
floods_before_the_hello_are_ended(void **state)
{
    static const uint8_t warning[] = { 21, 3, 3, 0, 2, 1, 90 };
    static const uint8_t ccs[] = { 20, 3, 3, 0, 1, 1 };
    struct bench b;
    enum flow_status st = FLOW_AGAIN;
    int i, role;

    (void)state;
    for (role = 0; role < 2; role++) {
        bench_make(&b, role != 0, 0);
        st = drive(&b);
        for (i = 0; i < 5000 && st == FLOW_AGAIN; i++) {
            feed(&b, warning, sizeof(warning));
            b.calls = 0;
            st = drive(&b);
        }
        assert_status(st, FLOW_E_PROTO);
        assert_true(i < 100);
        bench_close(&b);
        bench_make(&b, role != 0, 0);
        st = drive(&b);
        for (i = 0; i < 300 && st == FLOW_AGAIN; i++) {
            feed(&b, ccs, sizeof(ccs));
            b.calls = 0;
            st = drive(&b);
        }
        assert_status(st, FLOW_E_PROTO);
        bench_close(&b);
    }
}

/* traps: fragments of one message, of the smallest size */
static void
hello_in_small_records_is_accepted(void **state)
{
    static uint8_t hello[4096], part[8192];
    static const size_t sizes[] = { 1, 2, 3, 4, 5, 100 };
    size_t len, i, off, n, out;
    struct bench b;
    uint32_t v;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++)
        for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            len = client_hello(v, hello, sizeof(hello));
            out = 0;
            for (off = 5; off < len; off += n) {
                n = len - off < sizes[i] ? len - off : sizes[i];
                part[out++] = 22;
                part[out++] = 3;
                part[out++] = 1;
                part[out++] = 0;
                part[out++] = (uint8_t)n;
                memcpy(part + out, hello + off, n);
                out += n;
            }
            bench_make(&b, true, v);
            feed(&b, part, out);
            /* Waits for the client's next flight. */
            assert_status(drive(&b), FLOW_AGAIN);
            assert_true(sent(&b, part, sizeof(part)) > 500);
            bench_close(&b);
        }
}

static void
oversized_hello_is_refused(void **state)
{
    static uint8_t record[5 + 16384];
    struct flow_error err;
    enum flow_status st;
    struct bench b;
    int i;

    (void)state;
    bench_make(&b, true, 0);
    /* Its length field exceeds the limit. */
    record[0] = 22;
    record[1] = record[2] = 3;
    record[3] = 0x40;
    record[5] = 1;
    record[6] = 1;
    for (i = 0, st = FLOW_AGAIN; i < 10 && st == FLOW_AGAIN; i++) {
        feed(&b, record, sizeof(record));
        b.calls = 0;
        st = drive(&b);
    }
    assert_status(st, FLOW_E_PROTO);
    assert_in_range(i, 1, 2);
    flow_get_error(b.tls, FLOW_READ, &err);
    assert_true(err.alert_sent > 0);
    assert_non_null(strstr(err.text, "longer than"));
    bench_close(&b);
}

/* Offset of an extension in a ClientHello record. */
static size_t
find_extension(const uint8_t *h, size_t len, unsigned type)
{
    size_t p = 5 + 4 + 2 + 32;

    p += 1u + h[p];
    p += 2u + (size_t)(h[p] << 8 | h[p + 1]);
    p += 1u + h[p];
    p += 2;
    while (p + 4 <= len) {
        if ((unsigned)(h[p] << 8 | h[p + 1]) == type)
            return p;
        p += 4u + (size_t)(h[p + 2] << 8 | h[p + 3]);
    }
    fail_msg("no extension %u", type);
    return 0;
}

static int
alert_of_server(const uint8_t *hello, size_t len)
{
    struct flow_error err;
    uint8_t out[4096];
    struct bench b;

    bench_make(&b, true, 0x0304);
    feed(&b, hello, len);
    assert_status(drive(&b), FLOW_E_PROTO);
    flow_get_error(b.tls, FLOW_READ, &err);
    assert_int_equal(sent(&b, out, sizeof(out)), 7);
    assert_int_equal(out[6], err.alert_sent);
    bench_close(&b);
    return err.alert_sent;
}

static void
invalid_key_shares_get_illegal_parameter(void **state)
{
    static uint8_t hello[4096];
    size_t len, p, q;

    (void)state;
    /* The first share is x25519: a share of zeros gives no secret. */
    len = client_hello(0x0304, hello, sizeof(hello));
    p = find_extension(hello, len, 51);
    assert_int_equal(hello[p + 6] << 8 | hello[p + 7], 0x001d);
    assert_int_equal(hello[p + 8] << 8 | hello[p + 9], 32);
    memset(hello + p + 10, 0, 32);
    assert_int_equal(alert_of_server(hello, len), 47);
    /* One byte too short, with every enclosing length corrected. */
    len = client_hello(0x0304, hello, sizeof(hello));
    p = find_extension(hello, len, 51);
    memmove(hello + p + 10, hello + p + 11, len - p - 11);
    len--;
    hello[p + 9]--;
    hello[p + 5]--;
    hello[p + 3]--;
    for (q = 5 + 4 + 2 + 32, q += 1u + hello[q],
        q += 2u + (size_t)(hello[q] << 8 | hello[q + 1]), q += 1u + hello[q];
         hello[q + 1]-- == 0;)
        hello[q]--;
    if (hello[8]-- == 0)
        hello[7]--;
    if (hello[4]-- == 0)
        hello[3]--;
    assert_int_equal(alert_of_server(hello, len), 47);
}

static void
point_off_the_curve_gets_illegal_parameter(void **state)
{
    const uint16_t p256[] = { FLOW_TLS_GROUP_P256 };
    static uint8_t hello[4096];
    struct flow_tls_config *c;
    struct flow *near;
    struct bench b;
    size_t len, p;

    (void)state;
    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_groups(c, p256, 1), FLOW_OK);
    assert_status(flow_tls_config_insecure_skip_verify(c, true), FLOW_OK);
    memset(&b, 0, sizeof(b));
    assert_status(flow_pair_new(TEST_ENV, 8192, NULL, &near, &b.raw), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(c, near, "server.example", 0, &b.tls, NULL),
        FLOW_OK);
    flow_tls_config_unref(c);
    assert_status(drive(&b), FLOW_AGAIN);
    len = sent(&b, hello, sizeof(hello));
    bench_close(&b);
    p = find_extension(hello, len, 51);
    assert_int_equal(hello[p + 6] << 8 | hello[p + 7], 0x0017);
    hello[p + 20] ^= 1;
    assert_int_equal(alert_of_server(hello, len), 47);
}

/* A peer that stops in the middle of its hello is dropped. */
static void
silent_handshake_ends_at_the_timeout(void **state)
{
    struct bench b;

    (void)state;
    test_env_stop_clock();
    bench_make(&b, true, 0);
    feed(&b, "\26\3\1\2", 4);
    assert_status(drive(&b), FLOW_AGAIN);
    /* The configuration's own limit, 10 s. */
    while (flow_open(b.tls) == FLOW_AGAIN) {
        struct flow_wait_set set;

        flow_wait_set_init(&set);
        if (flow_wait_sources(b.tls, FLOW_READY_OPEN, &set) != 0)
            continue;
        assert_true(set.deadline != FLOW_NEVER);
        assert_status(TEST_ENV->wait(TEST_ENV->ctx, &set, FLOW_NEVER), FLOW_OK);
    }
    assert_status(flow_open(b.tls), FLOW_E_TIMEOUT);
    bench_close(&b);
}

static void
handshake_has_a_byte_limit(void **state)
{
    static const uint8_t fragment[5 + 200] = { 22, 3, 3, 0, 200, 11, 0, 0xff };
    struct flow_tls_config *c;
    struct bench b;
    enum flow_status st;
    struct flow *near;
    size_t total = 0;

    (void)state;
    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_insecure_skip_verify(c, true), FLOW_OK);
    assert_status(flow_tls_config_set_handshake_limits(c, 0, 1024), FLOW_OK);
    memset(&b, 0, sizeof(b));
    assert_status(flow_pair_new(TEST_ENV, 8192, NULL, &near, &b.raw), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(c, near, "server.example", 0, &b.tls, NULL),
        FLOW_OK);
    flow_tls_config_unref(c);
    st = drive(&b);
    while (st == FLOW_AGAIN && total < 100000) {
        feed(&b, fragment, sizeof(fragment));
        total += sizeof(fragment);
        b.calls = 0;
        st = drive(&b);
    }
    assert_status(st, FLOW_E_PROTO);
    assert_in_range(total, 205, 1024 + 410);
    bench_close(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mutated_client_hellos_get_a_definite_answer),
        TEST(mutated_server_hellos_get_a_definite_answer),
        TEST(records_before_the_hello_get_their_alert),
        TEST(floods_before_the_hello_are_ended),
        TEST(change_cipher_spec_after_the_client_hello_depends_on_the_version),
        TEST(hello_in_small_records_is_accepted),
        TEST(oversized_hello_is_refused),
        TEST(invalid_key_shares_get_illegal_parameter),
        TEST(point_off_the_curve_gets_illegal_parameter),
        TEST(silent_handshake_ends_at_the_timeout),
        TEST(handshake_has_a_byte_limit),
    };

    return TEST_RUN(tests);
}
