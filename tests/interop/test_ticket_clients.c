/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <openssl/pem.h>

#include <flow/pair.h>
#include <flow/tls_session.h>
#include <flow/tls_verify.h>

#include "link.h"
#include "pki.h"
#include "psk.h"
#include "step.h"
#include "test.h"

/*
 * Clients of a server with tickets that do what OpenSSL's does not: they
 * present several tickets at once, of which the server takes the first one that
 * is good, and they have chains of certificates that are too long for a ticket.
 */

#define NONE     (-1)
#define WEEK     604800
#define CHAIN_OK 4096u /* bytes of a client's chain that a ticket holds */

static struct flow_tls_tickets *tickets;
static SSL_SESSION *obtained; /* the last one of a visit */

static void
begin(void)
{
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
}

static void
finish(void)
{
    SSL_SESSION_free(obtained);
    obtained = NULL;
    flow_tls_tickets_unref(tickets);
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(obtained);
    obtained = session;
    return 1;
}

/* --- servers --- */

/* The chain of p384.pem has two certificates, that of chain.pem three. */
static enum flow_status
reject_short_chains(void *user, const struct flow_tls_verdict *verdict)
{
    (void)user;
    return verdict->path_len == 2 ? FLOW_E_AUTH : FLOW_OK;
}

static struct flow_tls_config *
make_server(int version, enum flow_tls_client_auth auth,
            flow_tls_verify_fn *callback)
{
    const enum flow_tls_version v = (enum flow_tls_version)version;
    struct flow_tls_verifier *verifier;
    struct flow_tls_config *c;

    assert_status(flow_tls_verifier_new(TEST_ENV, &verifier, NULL), FLOW_OK);
    assert_status(
        flow_tls_verifier_add_trust_file(verifier, pki("ca.pem"), NULL),
        FLOW_OK);
    assert_status(flow_tls_verifier_set_callback(verifier, callback, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_versions(c, v, v), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    if (auth != FLOW_TLS_CLIENT_AUTH_NONE)
        assert_status(flow_tls_config_set_verifier(c, verifier, NULL), FLOW_OK);
    flow_tls_verifier_unref(verifier);
    assert_status(flow_tls_config_set_client_auth(c, auth), FLOW_OK);
    assert_status(flow_tls_config_limit_ca_list(c, 0), FLOW_OK);
    assert_status(flow_tls_config_set_tickets(c, tickets, 0, NULL), FLOW_OK);
    return c;
}

/* OpenSSL's client of a server, which may be changed until link_start(). */
static void
prepare(struct link *l, struct flow_tls_config *server, int version)
{
    link_init(l, true, (uint32_t)version);
    flow_tls_config_unref(l->config);
    l->config = flow_tls_config_ref(server);
    SSL_CTX_set_session_cache_mode(l->peer.ctx, SSL_SESS_CACHE_CLIENT |
                                                    SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(l->peer.ctx, on_session);
    assert_int_equal(
        SSL_CTX_set_ciphersuites(l->peer.ctx, "TLS_AES_128_GCM_SHA256"), 1);
}

/* A full handshake, and whether it brought a ticket. */
static bool
visit(struct link *l)
{
    struct flow_tls_info info;
    uint8_t buf[4];

    SSL_SESSION_free(obtained);
    obtained = NULL;
    link_open(l);
    (void)ossl_read(&l->peer, buf, sizeof(buf));
    assert_status(flow_tls_get_info(l->ours, &info), FLOW_OK);
    assert_false(info.resumed);
    link_say(l, 100, 1);
    link_hear(l, 100, 2);
    return obtained != NULL && SSL_SESSION_has_ticket(obtained);
}

/* --- several tickets --- */

/* A ticket with one byte changed. */
static struct psk_identity
damaged(const struct psk_identity *id)
{
    struct psk_identity other = *id;

    other.ticket[other.len / 2] ^= 1;
    return other;
}

/* Which of these tickets a server takes; NONE if it wants a full handshake. */
static int
taken(struct flow_tls_config *server, const struct psk_identity *const *ids,
      size_t count)
{
    static struct psk_hello h;
    static uint8_t buf[32768];
    struct flow *tls, *raw;
    size_t n;
    int which;

    psk_begin(&h, 0x0304);
    psk_present(&h, ids, count);
    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &tls, &raw), FLOW_OK);
    assert_status(flow_tls_wrap_server(server, tls, 0, &tls, NULL), FLOW_OK);
    assert_status(flow_write(raw, h.bytes, h.len, &n), FLOW_OK);
    assert_int_equal(n, h.len);
    assert_status(flow_open(tls), FLOW_AGAIN);
    assert_status(flow_read(raw, buf, sizeof(buf), &n), FLOW_OK);
    which = psk_selected(buf, n);
    flow_close(tls);
    flow_close(raw);
    return which;
}

/* A session of a server with the certificate of a client; the caller frees
 * it. */
static SSL_SESSION *
session_of(struct flow_tls_config *server, const char *chain, const char *key)
{
    struct link l;
    SSL_SESSION *s;

    prepare(&l, server, 0x0304);
    ossl_use_key(&l.peer, chain, key);
    assert_true(visit(&l));
    link_close(&l);
    s = obtained;
    obtained = NULL;
    return s;
}

static const enum flow_tls_client_auth policies[] = {
    FLOW_TLS_CLIENT_AUTH_NONE, FLOW_TLS_CLIENT_AUTH_OPTIONAL,
    FLOW_TLS_CLIENT_AUTH_REQUIRED
};

static void
the_first_good_ticket_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct flow_tls_config *server;
        struct psk_identity good, bad;
        SSL_SESSION *s;

        begin();
        server = make_server(0x0304, policies[i], NULL);
        s = session_of(server, "p384.pem", "p384.key");
        good = psk_identity_of(s);
        bad = damaged(&good);
        {
            const struct psk_identity *const first[] = { &good, &bad };
            const struct psk_identity *const second[] = { &bad, &good, &bad };
            const struct psk_identity *const fourth[] = { &bad, &bad, &bad,
                                                          &good };
            const struct psk_identity *const none[] = { &bad, &bad };

            assert_int_equal(taken(server, first, 2), 0);
            assert_int_equal(taken(server, second, 3), 1);
            assert_int_equal(taken(server, fourth, 4), 3);
            assert_int_equal(taken(server, none, 2), NONE);
        }
        SSL_SESSION_free(s);
        flow_tls_config_unref(server);
        finish();
    }
}

/* The chains of four tickets are verified, and of no more. */
static void
a_fifth_ticket_with_a_chain_is_not_read(void **state)
{
    struct flow_tls_config *server;
    struct psk_identity good, bad;
    SSL_SESSION *s;

    (void)state;
    begin();
    server = make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, NULL);
    s = session_of(server, "p384.pem", "p384.key");
    good = psk_identity_of(s);
    bad = damaged(&good);
    {
        const struct psk_identity *const fifth[] = { &bad, &bad, &bad, &bad,
                                                     &good };

        assert_int_equal(taken(server, fifth, 5), NONE);
    }
    SSL_SESSION_free(s);
    flow_tls_config_unref(server);
    finish();
}

/* Two identities of one client, of which the server accepts the second one by
 * now, whichever comes first. */
static void
a_ticket_of_an_accepted_client_is_taken(void **state)
{
    struct flow_tls_config *before, *now;
    struct psk_identity refused, accepted;
    SSL_SESSION *a, *b;

    (void)state;
    begin();
    before = make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, NULL);
    now =
        make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, reject_short_chains);
    a = session_of(before, "p384.pem", "p384.key");
    b = session_of(before, "chain.pem", "chained.key");
    refused = psk_identity_of(a);
    accepted = psk_identity_of(b);
    {
        const struct psk_identity *const both[] = { &refused, &accepted };
        const struct psk_identity *const turned[] = { &accepted, &refused };

        assert_int_equal(taken(before, both, 2), 0);
        assert_int_equal(taken(now, both, 2), 1);
        assert_int_equal(taken(now, turned, 2), 0);
        assert_int_equal(taken(now, both, 1), NONE);
    }
    SSL_SESSION_free(a);
    SSL_SESSION_free(b);
    flow_tls_config_unref(before);
    flow_tls_config_unref(now);
    finish();
}

/* Send a ClientHello; the server's answer, which begins with a ServerHello. */
static void
exchange(struct flow *tls, struct flow *raw, const struct psk_hello *h,
         uint8_t *buf, size_t cap, size_t *ret_len)
{
    size_t n;

    assert_status(flow_write(raw, h->bytes, h->len, &n), FLOW_OK);
    assert_int_equal(n, h->len);
    assert_status(flow_open(tls), FLOW_AGAIN);
    assert_status(flow_read(raw, buf, cap, ret_len), FLOW_OK);
}

/* Which ticket a server takes that asks for another key share and gets another
 * ticket with it; NONE also if no ticket is presented there (NULL). */
static int
taken_after_retry(struct flow_tls_config *server,
                  const struct psk_identity *first,
                  const struct psk_identity *second)
{
    static struct psk_hello h[2];
    static uint8_t buf[32768];
    struct flow *tls, *raw;
    size_t n;

    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &tls, &raw), FLOW_OK);
    assert_status(flow_tls_wrap_server(server, tls, 0, &tls, NULL), FLOW_OK);
    psk_begin(&h[0], 0x0304);
    if (first != NULL)
        psk_present(&h[0], &first, 1);
    exchange(tls, raw, &h[0], buf, sizeof(buf), &n);
    assert_int_equal(psk_selected(buf, n), NONE);
    psk_begin_again(&h[1], &h[0], buf);
    if (second != NULL)
        psk_present(&h[1], &second, 1);
    exchange(tls, raw, &h[1], buf, sizeof(buf), &n);
    flow_close(tls);
    flow_close(raw);
    return psk_selected(buf, n);
}

/* The client that was accepted with the first ClientHello does not vouch for
 * another. */
static void
a_retry_brings_no_other_client(void **state)
{
    static const uint16_t group[] = { FLOW_TLS_GROUP_P384 };
    struct flow_tls_config *before, *now;
    struct psk_identity refused, accepted;
    SSL_SESSION *a, *b;

    (void)state;
    begin();
    before = make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, NULL);
    now =
        make_server(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED, reject_short_chains);
    assert_status(flow_tls_config_set_groups(now, group, 1), FLOW_OK);
    a = session_of(before, "p384.pem", "p384.key");
    b = session_of(before, "chain.pem", "chained.key");
    refused = psk_identity_of(a);
    accepted = psk_identity_of(b);
    assert_int_equal(taken_after_retry(now, &accepted, &accepted), 0);
    assert_int_equal(taken_after_retry(now, &accepted, &refused), NONE);
    assert_int_equal(taken_after_retry(now, &accepted, NULL), NONE);
    assert_int_equal(taken_after_retry(now, &refused, &accepted), NONE);
    assert_int_equal(taken_after_retry(now, NULL, &accepted), NONE);
    SSL_SESSION_free(a);
    SSL_SESSION_free(b);
    flow_tls_config_unref(before);
    flow_tls_config_unref(now);
    finish();
}

/* --- tickets that open and are not used --- */

/* A client without a certificate that presents a session, by whose age it is
 * so many seconds older; what our server says. */
static struct flow_tls_info
present_aged(struct flow_tls_config *server, SSL_SESSION *session, long seconds)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    struct flow_tls_info info;
    struct link l;
    uint8_t buf[4];

    SSL_SESSION_free(obtained);
    obtained = NULL;
    SSL_SESSION_set_time(copy, SSL_SESSION_get_time(copy) - seconds);
    prepare(&l, server, 0x0304);
    link_start(&l);
    assert_int_equal(SSL_set_session(l.peer.ssl, copy), 1);
    SSL_SESSION_free(copy);
    assert_status(link_handshake(&l), FLOW_OK);
    (void)ossl_read(&l.peer, buf, sizeof(buf));
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    info.peer_chain = NULL;
    link_close(&l);
    assert_non_null(obtained);
    return info;
}

/* An attacker who saw the ticket of another client can present it with a wrong
 * age, and then needs no binder.  Neither the full handshake nor its ticket
 * makes him that client. */
static void
a_ticket_with_a_wrong_age_lends_no_client(void **state)
{
    struct flow_tls_config *server;
    struct flow_tls_info info;
    SSL_SESSION *s;

    (void)state;
    begin();
    server = make_server(0x0304, FLOW_TLS_CLIENT_AUTH_OPTIONAL, NULL);
    s = session_of(server, "p384.pem", "p384.key");
    info = present_aged(server, s, 0);
    assert_true(info.resumed);
    assert_int_equal(info.verify_flags, 0);
    info = present_aged(server, s, 100);
    assert_false(info.resumed);
    assert_int_equal(info.verify_flags, FLOW_VERIFY_MISSING);
    assert_int_equal(info.peer_chain_len, 0);
    SSL_SESSION_free(s);
    s = obtained;
    obtained = NULL;
    info = present_aged(server, s, 0);
    assert_true(info.resumed);
    assert_int_equal(info.verify_flags, FLOW_VERIFY_MISSING);
    assert_int_equal(info.peer_chain_len, 0);
    SSL_SESSION_free(s);
    flow_tls_config_unref(server);
    finish();
}

/* The session of the full handshake lasts its own seven days. */
static void
a_ticket_with_a_wrong_age_shortens_no_session(void **state)
{
    struct flow_tls_config *server;
    struct flow_tls_info info;
    SSL_SESSION *s;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_status(flow_tls_tickets_set_limits(tickets, WEEK, 1), FLOW_OK);
        server = make_server(0x0304, policies[i], NULL);
        s = session_of(server, "p384.pem", "p384.key");
        test_env.wall_offset = WEEK - 600;
        info = present_aged(server, s, 0);
        assert_true(info.resumed);
        assert_in_range(SSL_SESSION_get_ticket_lifetime_hint(obtained), 500,
                        600);
        info = present_aged(server, s, 100);
        assert_false(info.resumed);
        assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(obtained), WEEK);
        test_env.wall_offset = 0;
        SSL_SESSION_free(s);
        flow_tls_config_unref(server);
        finish();
    }
}

/* --- long chains --- */

/* A certificate that no path needs, which makes a chain longer. */
static X509 *
some_certificate(void)
{
    FILE *in = fopen(pki("rsa.pem"), "r");
    X509 *cert;

    assert_non_null(in);
    cert = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    assert_non_null(cert);
    return cert;
}

static size_t
size_of(X509 *cert)
{
    return (size_t)i2d_X509(cert, NULL);
}

/* Whether a client whose chain is longer by some certificates gets a ticket;
 * the handshake is the same. */
static bool
longer_gets_ticket(struct flow_tls_config *server, int version, X509 *extra,
                   size_t count, size_t *ret_len)
{
    struct link l;
    bool has;

    prepare(&l, server, version);
    ossl_use_key(&l.peer, "p384.pem", "p384.key");
    *ret_len = size_of(SSL_CTX_get0_certificate(l.peer.ctx));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(SSL_CTX_add1_chain_cert(l.peer.ctx, extra), 1);
        *ret_len += size_of(extra);
    }
    has = visit(&l);
    link_close(&l);
    return has;
}

static void
a_long_chain_makes_no_ticket(void **state)
{
    static const int versions[] = { 0x0303, 0x0304 };
    X509 *extra = some_certificate();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_tls_config *server;
        size_t count, len = 0, with = 0;

        begin();
        server = make_server(versions[i], FLOW_TLS_CLIENT_AUTH_REQUIRED, NULL);
        for (count = 0; len < CHAIN_OK + 2 * size_of(extra); count++) {
            bool has =
                longer_gets_ticket(server, versions[i], extra, count, &len);

            assert_int_equal(has, len <= CHAIN_OK);
            with += has;
        }
        assert_in_range(with, 2, count - 2);
        flow_tls_config_unref(server);
        finish();
    }
    X509_free(extra);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_good_ticket_is_taken),
        TEST(a_fifth_ticket_with_a_chain_is_not_read),
        TEST(a_ticket_of_an_accepted_client_is_taken),
        TEST(a_retry_brings_no_other_client),
        TEST(a_ticket_with_a_wrong_age_lends_no_client),
        TEST(a_ticket_with_a_wrong_age_shortens_no_session),
        TEST(a_long_chain_makes_no_ticket),
    };

    return TEST_RUN(tests);
}
