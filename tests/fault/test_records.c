/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "engine.h"
#include "step.h"

/*
 * Records with a valid tag that should not be there: the peer is mbedTLS until
 * the keys are agreed, and this test afterwards.
 */

#define CLIENT_HS MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET
#define CLIENT_APP                                                             \
    MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET
#define SERVER_APP                                                             \
    MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET

#define HANDSHAKE_FINISHED 20

/* The scripted peer, its wire, and the flow under test. */
struct stage {
    struct engine puppet;
    struct flow *wire;
    struct flow *tls;
    struct record_key theirs; /* Key with which the peer seals. */
    struct record_key ours;   /* Key with which the flow under test seals. */
    uint64_t sent;            /* Sequence number of the peer's next record. */
    uint64_t received;        /* Sequence number of the flow's next record. */
    bool we_serve;
    bool tls12;
};

static struct stage stage;

static void
stage_make(struct stage *s, bool we_serve, bool tls12)
{
    uint32_t version = tls12 ? 0x0303 : 0x0304;
    struct flow *near;

    memset(s, 0, sizeof(*s));
    s->we_serve = we_serve;
    s->tls12 = tls12;
    engine_init(&s->puppet, !we_serve,
                tls12 ? MBEDTLS_SSL_VERSION_TLS1_2
                      : MBEDTLS_SSL_VERSION_TLS1_3);
    engine_start(&s->puppet);
    assert_status(flow_pair_new(TEST_ENV, 1 << 17, NULL, &near, &s->wire),
                  FLOW_OK);
    if (we_serve)
        assert_status(flow_tls_wrap_server(stack_tls_server(version), near, 0,
                                           &s->tls, NULL),
                      FLOW_OK);
    else
        assert_status(flow_tls_wrap_client(stack_tls_client(version), near,
                                           "server.example", 0, &s->tls, NULL),
                      FLOW_OK);
}

static void
stage_open(struct stage *s, bool we_serve, bool tls12)
{
    enum flow_status st;
    bool moved;
    int rc = 0;

    stage_make(s, we_serve, tls12);
    do {
        st = flow_open(s->tls);
        moved = engine_exchange(&s->puppet, s->wire);
        if (rc == 0 || rc == MBEDTLS_ERR_SSL_WANT_READ)
            rc = mbedtls_ssl_handshake(&s->puppet.ssl);
        moved |= engine_exchange(&s->puppet, s->wire);
    } while (moved || st == FLOW_AGAIN);
    assert_status(st, FLOW_OK);
    assert_int_equal(rc, 0);
    s->puppet.in_off = s->puppet.in_len;
    if (tls12) {
        record_key12(&s->theirs, &s->puppet, we_serve);
        record_key12(&s->ours, &s->puppet, !we_serve);
        s->sent = s->received = 1;
    } else {
        record_key13(&s->theirs,
                     s->puppet.secret[we_serve ? CLIENT_APP : SERVER_APP]);
        record_key13(&s->ours,
                     s->puppet.secret[we_serve ? SERVER_APP : CLIENT_APP]);
    }
}

static void
stage_close(struct stage *s)
{
    engine_free(&s->puppet);
    flow_close(s->tls);
    flow_close(s->wire);
}

static void
inject(struct stage *s, const void *bytes, size_t len)
{
    size_t n;

    assert_status(flow_write(s->wire, bytes, len, &n), FLOW_OK);
    assert_int_equal(n, len);
}

/* A sealed record of the peer. */
static void
inject_sealed(struct stage *s, uint8_t type, const void *plain, size_t len)
{
    static uint8_t record[20100];

    inject(s, record,
           record_seal(&s->theirs, s->sent++, type, plain, len, record));
}

/* The status of reading. */
static enum flow_status
drain(struct stage *s, size_t *ret_len)
{
    enum flow_status st;
    uint8_t buf[512];
    size_t n, total = 0;

    do {
        st = flow_read(s->tls, buf, sizeof(buf), &n);
        total += n;
    } while (st == FLOW_OK);
    if (ret_len != NULL)
        *ret_len = total;
    return st;
}

/* The next record of the flow under test, opened; its length, or -1. */
static int
next_record(struct stage *s, uint8_t *plain, uint8_t *type)
{
    struct engine *e = &s->puppet;
    const uint8_t *r;
    size_t len;
    int n;

    (void)engine_exchange(e, s->wire);
    r = e->in + e->in_off;
    if (e->in_len - e->in_off < 5)
        return -1;
    len = 5 + (size_t)(r[3] << 8 | r[4]);
    assert_true(len <= e->in_len - e->in_off);
    n = record_open(&s->ours, s->received++, r, len, plain, type);
    assert_true(n >= 0);
    e->in_off += len;
    return n;
}

/* The flow failed with this alert, the peer can decrypt it, and nothing follows
 * it. */
static void
expect_alert(struct stage *s, int alert, int or_alert)
{
    static uint8_t plain[20000];
    struct flow_error err;
    uint8_t type = 0;

    assert_status(drain(s, NULL), FLOW_E_PROTO);
    flow_get_error(s->tls, FLOW_READ, &err);
    if (err.alert_sent != alert && err.alert_sent != or_alert)
        fail_msg("alert %d, not %d", err.alert_sent, alert);
    assert_int_equal(next_record(s, plain, &type), 2);
    assert_int_equal(type, 21);
    assert_int_equal(plain[0], 2);
    assert_int_equal(plain[1], err.alert_sent);
    assert_int_equal(next_record(s, plain, &type), -1);
}

struct sealed {
    const char *what;
    uint8_t type;
    size_t len;
    uint8_t bytes[40];
    int alert;
    int or_alert;
};

/* TLS 1.3, in either role. */
static const struct sealed sealed13[] = {
    { "inner change_cipher_spec", 20, 1, { 1 }, 10, 10 },
    { "inner heartbeat", 24, 3, { 1, 0, 0 }, 10, 10 },
    { "inner type of nothing", 0, 4, { 0 }, 10, 10 },
    { "empty alert", 21, 0, { 0 }, 10, 50 },
    { "alert of one byte", 21, 1, { 2 }, 50, 10 },
    { "two alerts at once", 21, 4, { 1, 90, 1, 90 }, 50, 10 },
    { "empty handshake", 22, 0, { 0 }, 10, 10 },
    { "Finished", 22, 6, { 20, 0, 0, 2, 0, 0 }, 10, 10 },
    { "ClientHello", 22, 6, { 1, 0, 0, 2, 3, 3 }, 10, 10 },
    { "ServerHello", 22, 6, { 2, 0, 0, 2, 3, 3 }, 10, 10 },
    { "EndOfEarlyData", 22, 4, { 5, 0, 0, 0 }, 10, 10 },
    { "CertificateRequest", 22, 7, { 13, 0, 0, 3, 0, 0, 0 }, 10, 10 },
    { "unknown message", 22, 4, { 99, 0, 0, 0 }, 10, 10 },
    { "KeyUpdate of 2", 22, 5, { 24, 0, 0, 1, 2 }, 47, 47 },
    { "KeyUpdate without a body", 22, 4, { 24, 0, 0, 0 }, 50, 50 },
    { "KeyUpdate of two bytes", 22, 6, { 24, 0, 0, 2, 0, 0 }, 50, 50 },
    { "KeyUpdate not the last",
      22,
      9,
      { 24, 0, 0, 1, 0, 24, 0, 0, 1 },
      10,
      10 },
};

/* TLS 1.2. */
static const struct sealed sealed12[] = {
    { "change_cipher_spec", 20, 1, { 1 }, 10, 10 },
    { "heartbeat", 24, 3, { 1, 0, 0 }, 10, 10 },
    { "unknown type", 99, 3, { 1, 0, 0 }, 10, 10 },
    { "empty alert", 21, 0, { 0 }, 10, 50 },
    { "alert of one byte", 21, 1, { 2 }, 50, 10 },
    { "Finished", 22, 6, { 20, 0, 0, 2, 0, 0 }, 10, 10 },
    { "unknown message", 22, 4, { 99, 0, 0, 0 }, 10, 10 },
    { "KeyUpdate", 22, 5, { 24, 0, 0, 1, 0 }, 10, 10 },
};

static void
check_sealed(const struct sealed *m, bool we_serve, bool tls12)
{
    char name[100];

    snprintf(name, sizeof(name), "%s to a %s, %s", m->what,
             we_serve ? "server" : "client", tls12 ? "1.2" : "1.3");
    guard_case(name);
    stage_open(&stage, we_serve, tls12);
    inject_sealed(&stage, m->type, m->bytes, m->len);
    expect_alert(&stage, m->alert, m->or_alert);
    stage_close(&stage);
    guard_case(NULL);
}

static void
sealed_records_out_of_order_get_their_alert(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(sealed13) / sizeof(sealed13[0]); i++) {
        check_sealed(&sealed13[i], true, false);
        check_sealed(&sealed13[i], false, false);
    }
    for (i = 0; i < sizeof(sealed12) / sizeof(sealed12[0]); i++) {
        check_sealed(&sealed12[i], true, true);
        check_sealed(&sealed12[i], false, true);
    }
}

struct plain {
    const char *what;
    size_t len;
    uint8_t bytes[40];
    int alert;
};

/* Plaintext records after the keys are agreed. */
static const struct plain in_clear[] = {
    { "handshake", 9, { 22, 3, 3, 0, 4, 0, 0, 0, 0 }, 10 },
    { "alert", 7, { 21, 3, 3, 0, 2, 2, 0 }, 10 },
    { "change_cipher_spec", 6, { 20, 3, 3, 0, 1, 1 }, 10 },
    { "unknown type", 6, { 99, 3, 3, 0, 1, 1 }, 10 },
    { "data that does not open", 30, { 23, 3, 3, 0, 25, 1, 2, 3 }, 20 },
    { "data shorter than a tag", 9, { 23, 3, 3, 0, 4, 1, 2, 3, 4 }, 20 },
    { "too long a record", 5, { 23, 3, 3, 0x41, 1 }, 22 },
};

static void
plaintext_records_after_the_handshake_are_refused(void **state)
{
    size_t i;
    int role;

    (void)state;
    for (i = 0; i < sizeof(in_clear) / sizeof(in_clear[0]); i++)
        for (role = 0; role < 2; role++) {
            guard_case(in_clear[i].what);
            stage_open(&stage, role != 0, false);
            inject(&stage, in_clear[i].bytes, in_clear[i].len);
            expect_alert(&stage, in_clear[i].alert, in_clear[i].alert);
            stage_close(&stage);
        }
    guard_case(NULL);
}

static void
records_of_every_valid_shape_are_accepted(void **state)
{
    static uint8_t plain[16385];
    size_t n;
    int v;

    (void)state;
    for (v = 0; v < 2; v++) {
        stage_open(&stage, true, v == 0);
        inject_sealed(&stage, 23, plain, 0);
        inject_sealed(&stage, 23, plain, 1);
        inject_sealed(&stage, 23, plain, 16384);
        assert_status(drain(&stage, &n), FLOW_AGAIN);
        assert_int_equal(n, 16385);
        /* One byte more than allowed: record_overflow. */
        inject_sealed(&stage, 23, plain, 16385);
        expect_alert(&stage, 22, 22);
        stage_close(&stage);
    }
}

static void
messages_may_be_fragmented_but_not_interleaved(void **state)
{
    static const uint8_t update[] = { 24, 0, 0, 1, 0 };
    struct flow_tls_info info;

    (void)state;
    stage_open(&stage, true, false);
    inject_sealed(&stage, 22, update, 2);
    inject_sealed(&stage, 22, update + 2, 3);
    assert_status(drain(&stage, NULL), FLOW_AGAIN);
    assert_status(flow_tls_get_info(stage.tls, &info), FLOW_OK);
    assert_int_equal(info.key_updates_received, 1);
    stage_close(&stage);
    /* RFC 8446 5.1: no other type between the fragments. */
    stage_open(&stage, true, false);
    inject_sealed(&stage, 22, update, 2);
    inject_sealed(&stage, 23, "x", 1);
    expect_alert(&stage, 10, 10);
    stage_close(&stage);
}

static void
only_clients_accept_tickets(void **state)
{
    static const uint8_t ticket[] = { 4, 0, 0, 14, 0, 0, 1, 0, 1,
                                      2, 3, 4, 0,  0, 1, 7, 0, 0 };
    size_t n;

    (void)state;
    stage_open(&stage, true, false);
    inject_sealed(&stage, 22, ticket, sizeof(ticket));
    expect_alert(&stage, 10, 10);
    stage_close(&stage);
    stage_open(&stage, false, false);
    inject_sealed(&stage, 22, ticket, sizeof(ticket));
    inject_sealed(&stage, 23, "data", 4);
    assert_status(drain(&stage, &n), FLOW_AGAIN);
    assert_int_equal(n, 4);
    stage_close(&stage);
}

/* The next record is the warning no_renegotiation (100). */
static void
expect_refusal(struct stage *s)
{
    uint8_t plain[100], type = 0;

    assert_int_equal(next_record(s, plain, &type), 2);
    assert_int_equal(type, 21);
    assert_int_equal(plain[0], 1);
    assert_int_equal(plain[1], 100);
}

static void
ask_to_renegotiate(struct stage *s)
{
    static const uint8_t hello_request[] = { 0, 0, 0, 0 };
    static const uint8_t hello[] = { 1, 0, 0, 2, 3, 3 };

    if (s->we_serve)
        inject_sealed(s, 22, hello, sizeof(hello));
    else
        inject_sealed(s, 22, hello_request, sizeof(hello_request));
}

/* RFC 5246 7.2.2, no_renegotiation.  The peer waits for our answer, which must
 * be sent even if the program writes nothing. */
static void
renegotiation_is_declined(void **state)
{
    struct flow_wait_set set;
    size_t n;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        stage_open(&stage, role != 0, true);
        ask_to_renegotiate(&stage);
        inject_sealed(&stage, 23, "data", 4);
        assert_status(drain(&stage, &n), FLOW_AGAIN);
        assert_int_equal(n, 4);
        expect_refusal(&stage);
        ask_to_renegotiate(&stage);
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(stage.tls, FLOW_READY_READ, &set),
                         0);
        expect_refusal(&stage);
        stage_close(&stage);
    }
}

/* Empty records, until the limit. */
static int
flood(bool tls12, uint8_t type, const void *bytes, size_t len)
{
    enum flow_status st = FLOW_AGAIN;
    int i;

    stage_open(&stage, true, tls12);
    for (i = 0; i < 20000 && st == FLOW_AGAIN; i++) {
        inject_sealed(&stage, type, bytes, len);
        st = drain(&stage, NULL);
        (void)!flow_flush(stage.tls);
        (void)engine_exchange(&stage.puppet, stage.wire);
        stage.puppet.in_len = stage.puppet.in_off = 0;
    }
    assert_status(st, FLOW_E_PROTO);
    stage_close(&stage);
    return i;
}

static void
floods_of_empty_records_are_ended(void **state)
{
    static const uint8_t warning[] = { 1, 90 };
    static const uint8_t hello[] = { 1, 0, 0, 2, 3, 3 };

    (void)state;
    assert_in_range(flood(false, 23, NULL, 0), 2, 10000);
    assert_in_range(flood(true, 23, NULL, 0), 2, 10000);
    assert_in_range(flood(true, 21, warning, 2), 2, 1000);
    assert_in_range(flood(true, 22, hello, sizeof(hello)), 2, 1000);
}

static void
received_alerts_end_or_warn_as_specified(void **state)
{
    static const uint8_t fatal[] = { 2, 80 }, closing[] = { 1, 0 };
    struct flow_error err;
    uint8_t plain[100], type;
    int v;

    (void)state;
    for (v = 0; v < 2; v++) {
        stage_open(&stage, true, v == 0);
        inject_sealed(&stage, 21, fatal, 2);
        assert_status(drain(&stage, NULL), FLOW_E_PROTO);
        flow_get_error(stage.tls, FLOW_READ, &err);
        assert_int_equal(err.alert_received, 80);
        assert_int_equal(err.alert_sent, -1);
        /* An alert is not answered. */
        assert_int_equal(next_record(&stage, plain, &type), -1);
        stage_close(&stage);
        stage_open(&stage, true, v == 0);
        inject_sealed(&stage, 21, closing, 2);
        assert_status(drain(&stage, NULL), FLOW_EOF);
        /* Bytes after it are ignored (RFC 8446 6.1). */
        inject_sealed(&stage, 23, "late", 4);
        assert_status(drain(&stage, NULL), FLOW_EOF);
        stage_close(&stage);
    }
    /* In TLS 1.3 every alert but two is fatal, whatever its level field
     * says. */
    stage_open(&stage, true, false);
    inject_sealed(&stage, 21, "\1\120", 2);
    assert_status(drain(&stage, NULL), FLOW_E_PROTO);
    stage_close(&stage);
}

/* The client's last flight is invalid: the server's alert is under a key that
 * the client has by then. */
static void
server_refuses_the_last_flight(bool garbage, int alert)
{
    uint8_t finished[4 + 32] = { HANDSHAKE_FINISHED, 0, 0, 32 };
    uint8_t record[200], plain[100], type = 0;
    struct record_key hs;
    struct flow_error err;
    size_t first;

    stage_make(&stage, true, false);
    (void)mbedtls_ssl_handshake(&stage.puppet.ssl);
    (void)engine_exchange(&stage.puppet, stage.wire);
    assert_status(flow_open(stage.tls), FLOW_AGAIN);
    (void)engine_exchange(&stage.puppet, stage.wire);
    /* The client's flight is generated and discarded. */
    assert_int_equal(mbedtls_ssl_handshake(&stage.puppet.ssl), 0);
    first =
        record_seal((record_key13(&hs, stage.puppet.secret[CLIENT_HS]), &hs), 0,
                    22, finished, sizeof(finished), record);
    if (garbage)
        record[20] ^= 1;
    inject(&stage, record, first);
    assert_status(flow_open(stage.tls), FLOW_E_PROTO);
    flow_get_error(stage.tls, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, alert);
    record_key13(&stage.ours, stage.puppet.secret[SERVER_APP]);
    stage.puppet.in_off = stage.puppet.in_len;
    assert_int_equal(next_record(&stage, plain, &type), 2);
    assert_int_equal(type, 21);
    assert_int_equal(plain[1], alert);
    stage_close(&stage);
}

static void
client_can_decrypt_server_alerts(void **state)
{
    (void)state;
    server_refuses_the_last_flight(false, 51);
    server_refuses_the_last_flight(true, 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sealed_records_out_of_order_get_their_alert),
        TEST(plaintext_records_after_the_handshake_are_refused),
        TEST(records_of_every_valid_shape_are_accepted),
        TEST(messages_may_be_fragmented_but_not_interleaved),
        TEST(only_clients_accept_tickets),
        TEST(renegotiation_is_declined),
        TEST(floods_of_empty_records_are_ended),
        TEST(received_alerts_end_or_warn_as_specified),
        TEST(client_can_decrypt_server_alerts),
    };

    return TEST_RUN(tests);
}
