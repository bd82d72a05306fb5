/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls_session.h>
#include <flow/tls_verify.h>

#include "link.h"
#include "pki.h"
#include "psk.h"
#include "test.h"

/*
 * A client that presents tickets as no honest client does: with binders that do
 * not fit, with lists of other lengths, with an absurd age, with any number of
 * tickets, cut, of another version or suite, and with 0-RTT data.  Whatever is
 * wrong with a ticket itself gives a full handshake; a ticket that the server
 * accepts, with a wrong binder, and a malformed list are refused.
 */

#define FULL           (-1)
#define EARLY_DATA     42
#define PSK_MODES      45
#define PSK            41
#define SESSION_TICKET 35
#define HELLO_MAX      16384u
#define ROOM           (1u << 17)

static struct flow_tls_tickets *tickets;
static struct flow_tls_config *server;
static SSL_SESSION *obtained;
static struct psk_hello plain[2]; /* of TLS 1.2 and of TLS 1.3 */
static struct psk_hello hello;
static struct psk_identity good;

/* How a server answered. */
struct answer {
    enum flow_status status;
    int alert;    /* its own, -1: none */
    int selected; /* FULL, or the number of a ticket; after FLOW_AGAIN */
    uint8_t bytes[32768];
    size_t len;
};

static struct answer answer;

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(obtained);
    obtained = session;
    return 1;
}

static struct flow_tls_config *
make_server(enum flow_tls_client_auth auth)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    if (auth != FLOW_TLS_CLIENT_AUTH_NONE)
        assert_status(flow_tls_config_add_trust_file(c, pki("ca.pem"), NULL),
                      FLOW_OK);
    assert_status(flow_tls_config_set_client_auth(c, auth), FLOW_OK);
    assert_status(flow_tls_config_limit_ca_list(c, 0), FLOW_OK);
    assert_status(flow_tls_config_set_tickets(c, tickets, 0, NULL), FLOW_OK);
    return c;
}

/* OpenSSL's session of a full handshake, which is in obtained. */
static void
obtain(uint32_t version)
{
    struct link l;
    uint8_t buf[4];

    link_init(&l, true, version);
    flow_tls_config_unref(l.config);
    l.config = flow_tls_config_ref(server);
    ossl_use_key(&l.peer, "p384.pem", "p384.key");
    SSL_CTX_set_session_cache_mode(l.peer.ctx, SSL_SESS_CACHE_CLIENT |
                                                   SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(l.peer.ctx, on_session);
    assert_int_equal(
        SSL_CTX_set_ciphersuites(l.peer.ctx, "TLS_AES_128_GCM_SHA256"), 1);
    link_open(&l);
    (void)ossl_read(&l.peer, buf, sizeof(buf));
    link_close(&l);
    assert_true(SSL_SESSION_has_ticket(obtained));
}

static const enum flow_tls_client_auth policies[] = {
    FLOW_TLS_CLIENT_AUTH_NONE, FLOW_TLS_CLIENT_AUTH_REQUIRED
};

/* A server of a policy, and a good ticket of it. */
static void
begin(enum flow_tls_client_auth auth)
{
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    server = make_server(auth);
    obtain(0x0304);
    good = psk_identity_of(obtained);
    psk_begin(&plain[0], 0x0303);
    psk_begin(&plain[1], 0x0304);
}

static void
finish(void)
{
    SSL_SESSION_free(obtained);
    obtained = NULL;
    flow_tls_config_unref(server);
    flow_tls_tickets_unref(tickets);
}

/* Begin a ClientHello. */
static void
start(int version)
{
    hello = plain[version == 0x0304];
}

/* Send the ClientHello, and what follows it, to a server. */
static void
send_hello(const void *more, size_t more_len)
{
    struct flow_error err;
    struct flow *tls, *raw;
    size_t n;

    assert_status(flow_pair_new(TEST_ENV, ROOM, NULL, &tls, &raw), FLOW_OK);
    assert_status(flow_tls_wrap_server(server, tls, 0, &tls, NULL), FLOW_OK);
    assert_status(flow_write(raw, hello.bytes, hello.len, &n), FLOW_OK);
    assert_int_equal(n, hello.len);
    if (more_len > 0)
        assert_status(flow_write(raw, more, more_len, &n), FLOW_OK);
    answer.status = flow_open(tls);
    flow_get_error(tls, FLOW_READ, &err);
    answer.alert = answer.status == FLOW_AGAIN ? -1 : err.alert_sent;
    assert_status(
        flow_read(raw, answer.bytes, sizeof(answer.bytes), &answer.len),
        FLOW_OK);
    if (answer.status == FLOW_AGAIN)
        answer.selected = psk_selected(answer.bytes, answer.len);
    flow_close(tls);
    flow_close(raw);
}

static void
selects(int wanted)
{
    send_hello(NULL, 0);
    assert_status(answer.status, FLOW_AGAIN);
    assert_int_equal(answer.selected, wanted);
}

/* The alert is on the wire, and nothing before it. */
static void
refuses(int alert)
{
    const uint8_t record[] = { 21, 3, 3, 0, 2, 2, (uint8_t)alert };

    send_hello(NULL, 0);
    assert_status(answer.status, FLOW_E_PROTO);
    assert_int_equal(answer.alert, alert);
    assert_int_equal(answer.len, sizeof(record));
    assert_memory_equal(answer.bytes, record, sizeof(record));
}

static void
present(const struct psk_identity *id)
{
    start(0x0304);
    psk_present(&hello, &id, 1);
}

static struct psk_identity
damaged(void)
{
    struct psk_identity other = good;

    other.ticket[other.len / 2] ^= 1;
    return other;
}

/* --- binders --- */

static uint8_t *
first_binder(void)
{
    return hello.bytes + hello.binders + 2;
}

/* Every bit of the binder of a good ticket; that of another is not used. */
static void
a_wrong_binder_is_refused(void **state)
{
    const size_t count = sizeof(policies) / sizeof(policies[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct psk_identity bad;

        begin(policies[i]);
        present(&good);
        selects(0);
        for (size_t at = 0; at < PSK_HASH; at++) {
            present(&good);
            first_binder()[1 + at] ^= 0x80;
            refuses(51);
        }
        bad = damaged();
        present(&bad);
        first_binder()[1] ^= 1;
        selects(FULL);
        finish();
    }
}

/* The binder of a ticket covers the ClientHello, and that of another ticket
 * does not fit. */
static void
a_binder_is_of_one_ticket_and_hello(void **state)
{
    struct psk_identity other;
    uint8_t binder[PSK_HASH];

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    present(&good);
    hello.bytes[5 + 4 + 2] ^= 1; /* the random */
    refuses(51);
    obtain(0x0304);
    other = psk_identity_of(obtained);
    assert_int_equal(other.len, good.len);
    present(&other);
    memcpy(binder, first_binder() + 1, sizeof(binder));
    selects(0);
    present(&good);
    memcpy(first_binder() + 1, binder, sizeof(binder));
    refuses(51);
    finish();
}

static void
set_first_binder_len(uint8_t len)
{
    first_binder()[0] = len;
    hello.bytes[hello.binders] = 0;
    hello.bytes[hello.binders + 1] = (uint8_t)(len + 1);
}

static void
a_binder_of_another_length_is_refused(void **state)
{
    static const uint8_t zeros[256];

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    for (uint8_t len = 0; len < PSK_HASH; len++) {
        present(&good);
        psk_shrink(&hello, PSK_HASH - len);
        set_first_binder_len(len);
        refuses(50);
    }
    for (uint8_t len = PSK_HASH + 1; len < 255; len += 37) {
        present(&good);
        psk_grow(&hello, zeros, len - PSK_HASH);
        set_first_binder_len(len);
        refuses(51);
    }
    finish();
}

/* One binder for each ticket, whichever ticket is good. */
static void
binders_are_counted(void **state)
{
    const size_t count = sizeof(policies) / sizeof(policies[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct psk_identity bad;

        begin(policies[i]);
        bad = damaged();
        for (size_t k = 0; k < 2; k++) {
            const struct psk_identity *const two[] = { k == 0 ? &good : &bad,
                                                       &bad };

            for (size_t binders = 0; binders < 5; binders++) {
                start(0x0304);
                psk_present_bound(&hello, two, 2, binders);
                if (binders != 2)
                    refuses(50);
                else
                    selects(k == 0 ? 0 : FULL);
            }
        }
        finish();
    }
}

/* --- lists --- */

/* The extension ends at any byte, with the lengths in it as they were. */
static void
a_list_that_is_cut_is_refused(void **state)
{
    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    present(&good);
    for (size_t cut = hello.len - hello.psk - 4; cut > 0; cut--) {
        present(&good);
        psk_shrink(&hello, cut);
        refuses(50);
    }
    finish();
}

/* RFC 8446 4.2.11: a ticket has at least one byte. */
static void
an_empty_ticket_is_refused(void **state)
{
    struct psk_identity empty;
    const struct psk_identity *const both[] = { &good, &empty };

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    empty = good;
    empty.len = 0;
    present(&empty);
    refuses(50);
    start(0x0304);
    psk_present(&hello, both, 2);
    refuses(50);
    finish();
}

/* The list is read also by a server that gives no tickets. */
static void
a_server_without_tickets_reads_the_list(void **state)
{
    struct psk_identity empty;

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    flow_tls_config_unref(server);
    assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(server, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   NULL),
                  FLOW_OK);
    present(&good);
    selects(FULL);
    empty = good;
    empty.len = 0;
    present(&empty);
    refuses(50);
    present(&good);
    psk_shrink(&hello, 1);
    set_first_binder_len(PSK_HASH - 1);
    refuses(50);
    finish();
}

/* As many tickets as a ClientHello has room for; the last one is good. */
static void
many_tickets_are_read(void **state)
{
    static const struct psk_identity *ids[512];
    static struct psk_identity small, own;
    size_t count;

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    small = good;
    small.len = 1;
    /* Its key is found, and it does not open. */
    own = good;
    own.len = 80;
    for (size_t i = 0; i < 2; i++) {
        const struct psk_identity *filler = i == 0 ? &small : &own;
        const size_t each = 2 + filler->len + 4 + 1 + PSK_HASH;

        count = (HELLO_MAX - 1500) / each;
        assert_true(count < 512);
        for (size_t k = 0; k < count; k++)
            ids[k] = filler;
        ids[count] = &good;
        start(0x0304);
        psk_present(&hello, ids, count + 1);
        assert_in_range(hello.len, HELLO_MAX / 2, HELLO_MAX);
        selects((int)count);
    }
    finish();
}

/* --- one ticket --- */

/* RFC 8446 4.2.11.1: the age does not fit what the server knows. */
static void
an_absurd_age_gives_a_full_handshake(void **state)
{
    static const uint32_t seconds[] = { 60, 7200, 604800, 0x7fffffffu / 1000,
                                        0xffffffffu / 1000 };

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        struct psk_identity other = good;
        uint32_t age = (uint32_t)good.age[0] << 24 |
                       (uint32_t)good.age[1] << 16 |
                       (uint32_t)good.age[2] << 8 | good.age[3];

        age += seconds[i] * 1000;
        for (int k = 0; k < 4; k++)
            other.age[k] = (uint8_t)(age >> (24 - 8 * k));
        present(&other);
        selects(FULL);
    }
    finish();
}

/* It ends before every one of its bytes, or has one more. */
static void
a_ticket_that_is_cut_gives_a_full_handshake(void **state)
{
    const size_t count = sizeof(policies) / sizeof(policies[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        begin(policies[i]);
        present(&good);
        selects(0);
        for (size_t len = 1; len <= good.len + 1; len++) {
            struct psk_identity other = good;

            if (len == good.len)
                continue;
            other.len = len;
            present(&other);
            selects(FULL);
        }
        finish();
    }
}

/* A key exchange by PSK alone, which has no forward secrecy, is not made. */
static void
a_client_without_psk_dhe_gets_a_full_handshake(void **state)
{
    const struct psk_identity *const ids[] = { &good };
    size_t at;

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    start(0x0304);
    at = psk_find(&hello, PSK_MODES);
    assert_int_equal(hello.bytes[at + 3], 2);
    hello.bytes[at + 5] = 0;
    psk_present(&hello, ids, 1);
    selects(FULL);
    finish();
}

/* Offer these suites of TLS 1.3 alone. */
static void
offer_suites(const uint8_t suites[4])
{
    uint8_t *p = hello.bytes + 5 + 4 + 2 + 32;

    p += 1 + p[0];
    assert_int_equal(p[1], 4);
    memcpy(p + 2, suites, 4);
}

static int
agreed_suite(void)
{
    const uint8_t *p = answer.bytes + 5 + 4 + 2 + 32;

    p += 1 + p[0];
    return p[0] << 8 | p[1];
}

/* A session of a suite that the client does not offer any more, or offers
 * last. */
static void
a_session_keeps_its_suite(void **state)
{
    const struct psk_identity *const ids[] = { &good };

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    start(0x0304);
    offer_suites((const uint8_t[]){ 0x13, 2, 0x13, 3 });
    psk_present(&hello, ids, 1);
    selects(FULL);
    assert_int_not_equal(agreed_suite(), 0x1301);
    start(0x0304);
    offer_suites((const uint8_t[]){ 0x13, 2, 0x13, 1 });
    psk_present(&hello, ids, 1);
    selects(0);
    assert_int_equal(agreed_suite(), 0x1301);
    finish();
}

/* --- another version --- */

/* The type of the server's second message in TLS 1.2. */
static int
second_message(void)
{
    size_t at = 5;

    send_hello(NULL, 0);
    assert_status(answer.status, FLOW_AGAIN);
    at += 4 + ((size_t)answer.bytes[at + 2] << 8 | answer.bytes[at + 3]);
    if (at >= 5 + ((size_t)answer.bytes[3] << 8 | answer.bytes[4]))
        at += 5;
    assert_true(at < answer.len);
    return answer.bytes[at];
}

/* A ticket of each version is presented where the other one is agreed on; the
 * extension of the other version is tried as well. */
static void
a_ticket_is_of_one_version(void **state)
{
    const unsigned char *ticket;
    struct psk_identity other;
    size_t len;

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    obtain(0x0303);
    SSL_SESSION_get0_ticket(obtained, &ticket, &len);
    start(0x0303);
    psk_extend(&hello, SESSION_TICKET, ticket, len);
    assert_int_not_equal(second_message(), 11);
    start(0x0303);
    psk_extend(&hello, SESSION_TICKET, good.ticket, good.len);
    assert_int_equal(second_message(), 11);
    start(0x0304);
    psk_extend(&hello, SESSION_TICKET, ticket, len);
    selects(FULL);
    other = good;
    assert_true(len <= sizeof(other.ticket));
    memcpy(other.ticket, ticket, len);
    other.len = len;
    SSL_SESSION_get_master_key(obtained, other.secret, sizeof(other.secret));
    present(&other);
    selects(FULL);
    finish();
}

/* In TLS 1.2 a ticket ends before every one of its bytes, or has one more. */
static void
a_tls12_ticket_that_is_cut_gives_a_full_handshake(void **state)
{
    const size_t count = sizeof(policies) / sizeof(policies[0]);
    static uint8_t more[PSK_TICKET];
    const unsigned char *ticket;
    size_t full;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        begin(policies[i]);
        obtain(0x0303);
        SSL_SESSION_get0_ticket(obtained, &ticket, &full);
        assert_true(full < sizeof(more));
        memcpy(more, ticket, full);
        for (size_t len = 0; len <= full + 1; len++) {
            start(0x0303);
            psk_extend(&hello, SESSION_TICKET, more, len);
            if ((second_message() == 11) == (len == full))
                fail_msg("%zu bytes of %zu", len, full);
        }
        finish();
    }
}

/* --- 0-RTT --- */

/* Early data under a key of the session: the session is resumed, and the data
 * are skipped. */
static void
early_data_of_a_session_are_skipped(void **state)
{
    static uint8_t records[3 * 105];
    const struct psk_identity *const ids[] = { &good };

    (void)state;
    begin(FLOW_TLS_CLIENT_AUTH_NONE);
    for (size_t i = 0; i < 3; i++) {
        static const uint8_t header[] = { 23, 3, 3, 0, 100 };

        memcpy(records + i * 105, header, sizeof(header));
    }
    start(0x0304);
    psk_extend(&hello, EARLY_DATA, NULL, 0);
    psk_present(&hello, ids, 1);
    send_hello(records, sizeof(records));
    assert_status(answer.status, FLOW_AGAIN);
    assert_int_equal(answer.selected, 0);
    start(0x0304);
    psk_present(&hello, ids, 1);
    send_hello(records, sizeof(records));
    assert_status(answer.status, FLOW_E_PROTO);
    assert_int_equal(answer.alert, 20);
    finish();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_binder_is_refused),
        TEST(a_binder_is_of_one_ticket_and_hello),
        TEST(a_binder_of_another_length_is_refused),
        TEST(binders_are_counted),
        TEST(a_list_that_is_cut_is_refused),
        TEST(an_empty_ticket_is_refused),
        TEST(a_server_without_tickets_reads_the_list),
        TEST(many_tickets_are_read),
        TEST(an_absurd_age_gives_a_full_handshake),
        TEST(a_ticket_that_is_cut_gives_a_full_handshake),
        TEST(a_client_without_psk_dhe_gets_a_full_handshake),
        TEST(a_session_keeps_its_suite),
        TEST(a_ticket_is_of_one_version),
        TEST(a_tls12_ticket_that_is_cut_gives_a_full_handshake),
        TEST(early_data_of_a_session_are_skipped),
    };

    return TEST_RUN(tests);
}
