/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/tls_session.h>
#include <flow/tls_sni.h>

#include "link.h"
#include "pki.h"
#include "step.h"
#include "test.h"

/*
 * The tickets of a server of ours, presented by OpenSSL's client: what resumes
 * a session, and everything that must not.
 */

#define TICKETS 16

struct visit {
    const char *name;     /* server name; NULL: none */
    const char *alpn;     /* a list as on the wire, NULL: none */
    uint64_t epoch;       /* of the server's configuration */
    SSL_SESSION *session; /* to present; NULL: none */
    bool by_selector;     /* the server has two entries */
    bool has_no_tickets;  /* the server has none */
    bool is_plain;        /* TLS 1.2 without the extended master secret */
    bool ends_time;       /* the clock says a time beyond all certificates */
};

static struct flow_tls_tickets *tickets;
/* What the last visit obtained. */
static SSL_SESSION *obtained[TICKETS];
static int obtained_count;
static bool was_resumed;
static char server_entry[64];

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    assert_true(obtained_count < TICKETS);
    obtained[obtained_count++] = session;
    return 1;
}

static void
forget(void)
{
    while (obtained_count > 0)
        SSL_SESSION_free(obtained[--obtained_count]);
}

/* The last ticket, which the caller frees. */
static SSL_SESSION *
keep(void)
{
    SSL_SESSION *s;

    assert_true(obtained_count > 0);
    s = obtained[--obtained_count];
    return s;
}

static void
add_entry(struct flow_tls_sni *s, const char *id, const char *const *patterns)
{
    struct flow_tls_sni_entry entry = {
        .id = id,
        .patterns = patterns,
        .pattern_count = 1,
        .flags = strcmp(id, "one") == 0 ? FLOW_TLS_SNI_IS_DEFAULT : 0u,
    };
    size_t index;

    entry.flags |= FLOW_TLS_SNI_ALLOW_NAME_MISMATCH;
    assert_status(flow_tls_sni_add_entry(s, &entry, &index, NULL), FLOW_OK);
    assert_status(flow_tls_sni_add_keypair_file(s, index, pki("p256.pem"),
                                                pki("p256.key"), NULL, NULL,
                                                NULL),
                  FLOW_OK);
}

static void
use_selector(struct flow_tls_config *c)
{
    static const char *const one[] = { "server.example" };
    static const char *const two[] = { "other.example" };
    struct flow_tls_sni *s;

    assert_status(flow_tls_sni_new(TEST_ENV, &s, NULL), FLOW_OK);
    add_entry(s, "one", one);
    add_entry(s, "two", two);
    assert_status(flow_tls_config_set_sni(c, s, NULL), FLOW_OK);
    flow_tls_sni_unref(s);
}

/* A connection that must succeed; afterwards obtained and was_resumed are of
 * it. */
static void
visit(int version, const struct visit *v)
{
    static const char *const protocols[] = { "h2", "http/1.1" };
    struct flow_tls_info info;
    struct link l;
    uint8_t buf[4];

    forget();
    link_init(&l, true, (uint32_t)version);
    if (v->by_selector)
        use_selector(l.config);
    else
        link_key(&l, "p256.pem", "p256.key");
    if (v->alpn != NULL)
        assert_status(flow_tls_config_set_alpn(l.config, protocols, 2),
                      FLOW_OK);
    if (!v->has_no_tickets)
        assert_status(
            flow_tls_config_set_tickets(l.config, tickets, v->epoch, NULL),
            FLOW_OK);
    SSL_CTX_set_session_cache_mode(l.peer.ctx, SSL_SESS_CACHE_CLIENT |
                                                   SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(l.peer.ctx, on_session);
    SSL_CTX_set_verify(l.peer.ctx, SSL_VERIFY_NONE, NULL);
    assert_status(flow_tls_config_insecure_skip_extended_master(l.config, true),
                  FLOW_OK);
    if (v->is_plain)
        SSL_CTX_set_options(l.peer.ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    link_start(&l);
    if (v->alpn != NULL)
        assert_int_equal(SSL_set_alpn_protos(l.peer.ssl,
                                             (const uint8_t *)v->alpn,
                                             (unsigned)strlen(v->alpn)),
                         0);
    SSL_set_tlsext_host_name(l.peer.ssl, v->name);
    /* OpenSSL uses a session of TLS 1.3 once, and this is another. */
    if (v->session != NULL) {
        SSL_SESSION *copy = SSL_SESSION_dup(v->session);

        assert_int_equal(SSL_set_session(l.peer.ssl, copy), 1);
        SSL_SESSION_free(copy);
    }
    if (v->ends_time)
        test_env.wall_offset = INT64_MAX - TEST_ENV->wall(TEST_ENV->ctx) - 600;
    if (link_handshake(&l) != FLOW_OK || !ossl_open(&l.peer))
        fail_msg("no handshake; OpenSSL got alert %d", l.peer.alert_in);
    (void)ossl_read(&l.peer, buf, sizeof(buf));
    link_say(&l, 100, 1);
    link_hear(&l, 100, 2);
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    was_resumed = info.resumed;
    (void)snprintf(server_entry, sizeof(server_entry), "%s", info.entry);
    assert_int_equal(SSL_session_reused(l.peer.ssl), info.resumed);
    assert_int_equal(l.peer.fatal_in, 0);
    link_close(&l);
}

static void
begin(void)
{
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
}

static void
finish(void)
{
    forget();
    flow_tls_tickets_unref(tickets);
}

/* Present the session of a first visit in a second, which differs. */
static bool
resumes(int version, const struct visit *first, const struct visit *second)
{
    struct visit again = *second;
    SSL_SESSION *s;

    visit(version, first);
    assert_false(was_resumed);
    s = keep();
    again.session = s;
    visit(version, &again);
    SSL_SESSION_free(s);
    return was_resumed;
}

static const int versions[] = { 0x0303, 0x0304 };

static void
sessions_are_resumed(void **state)
{
    const struct visit v = { .name = "server.example" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_true(resumes(versions[i], &v, &v));
        finish();
    }
}

/* A TLS 1.3 session goes on with the tickets that each connection gives. */
static void
a_resumed_connection_gives_one_more(void **state)
{
    struct visit v = { .name = "server.example" };
    int i;

    (void)state;
    begin();
    visit(0x0304, &v);
    assert_int_equal(obtained_count, 2);
    for (i = 0; i < 4; i++) {
        SSL_SESSION *s = keep();

        v.session = s;
        visit(0x0304, &v);
        assert_true(was_resumed);
        assert_int_equal(obtained_count, 1);
        SSL_SESSION_free(s);
    }
    finish();
}

/* A server does not remember tickets: one that is presented again resumes. */
static void
a_ticket_can_be_presented_again(void **state)
{
    struct visit v = { .name = "server.example" };
    size_t i;
    int n;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        visit(versions[i], &v);
        v.session = keep();
        for (n = 0; n < 3; n++) {
            visit(versions[i], &v);
            assert_true(was_resumed);
        }
        SSL_SESSION_free(v.session);
        v.session = NULL;
        finish();
    }
}

static void
the_count_of_tickets_is_the_servers(void **state)
{
    const struct visit v = { .name = "server.example" };
    unsigned count;

    (void)state;
    for (count = 0; count <= 8; count++) {
        begin();
        assert_status(flow_tls_tickets_set_limits(tickets, 100, count),
                      FLOW_OK);
        visit(0x0304, &v);
        assert_int_equal(obtained_count, count);
        visit(0x0303, &v);
        if (count > 0)
            assert_true(SSL_SESSION_has_ticket(obtained[0]));
        else
            assert_true(obtained_count == 0 ||
                        !SSL_SESSION_has_ticket(obtained[0]));
        finish();
    }
}

static void
the_lifetime_is_told(void **state)
{
    const struct visit v = { .name = "server.example" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_status(flow_tls_tickets_set_limits(tickets, 4321, 1), FLOW_OK);
        visit(versions[i], &v);
        assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(obtained[0]),
                         4321);
        finish();
    }
}

static void
other_names_get_full_handshakes(void **state)
{
    const struct visit one = { .name = "server.example", .by_selector = true };
    const struct visit two = { .name = "other.example", .by_selector = true };
    const struct visit none = { .by_selector = true };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_true(resumes(versions[i], &one, &one));
        assert_string_equal(server_entry, "one");
        assert_false(resumes(versions[i], &one, &two));
        assert_string_equal(server_entry, "two");
        assert_false(resumes(versions[i], &two, &one));
        /* The default entry serves both, but the names differ. */
        assert_false(resumes(versions[i], &one, &none));
        assert_string_equal(server_entry, "one");
        assert_false(resumes(versions[i], &none, &one));
        finish();
    }
}

static void
other_protocols_get_full_handshakes(void **state)
{
    const struct visit h2 = { .name = "server.example", .alpn = "\2h2" };
    const struct visit h1 = { .name = "server.example", .alpn = "\10http/1.1" };
    const struct visit both = { .name = "server.example",
                                .alpn = "\10http/1.1\2h2" };
    const struct visit none = { .name = "server.example" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_true(resumes(versions[i], &h2, &h2));
        assert_false(resumes(versions[i], &h2, &h1));
        /* The server would choose h2 again. */
        assert_true(resumes(versions[i], &h2, &both));
        assert_false(resumes(versions[i], &h2, &none));
        assert_false(resumes(versions[i], &none, &h1));
        finish();
    }
}

static void
other_epochs_get_full_handshakes(void **state)
{
    const struct visit old = { .name = "server.example", .epoch = 1 };
    const struct visit new = { .name = "server.example", .epoch = 2 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_true(resumes(versions[i], &old, &old));
        assert_false(resumes(versions[i], &old, &new));
        finish();
    }
}

/* Whether a session of one version is resumed where another is agreed on. */
static void
other_versions_get_full_handshakes(void **state)
{
    struct visit v = { .name = "server.example" };
    SSL_SESSION *s;

    (void)state;
    begin();
    visit(0x0303, &v);
    s = keep();
    v.session = s;
    visit(0x0304, &v);
    assert_false(was_resumed);
    SSL_SESSION_free(s);
    finish();
}

/* RFC 7627 5.3: such a session must not be resumed, nor one in a handshake that
 * is without it. */
static void
without_the_extended_master_secret_nothing_is_resumed(void **state)
{
    const struct visit v = { .name = "server.example" };
    struct visit plain = v;

    (void)state;
    begin();
    plain.is_plain = true;
    visit(0x0303, &plain);
    assert_false(was_resumed);
    assert_true(obtained_count == 0 || !SSL_SESSION_has_ticket(obtained[0]));
    assert_false(resumes(0x0303, &v, &plain));
    assert_true(resumes(0x0303, &v, &v));
    finish();
}

static void
servers_without_tickets_take_none(void **state)
{
    const struct visit with = { .name = "server.example" };
    const struct visit without = { .name = "server.example",
                                   .has_no_tickets = true };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_false(resumes(versions[i], &with, &without));
        finish();
    }
}

/* Change one byte of the ticket in an OpenSSL session, which keeps it in its
 * DER as an octet string of its own. */
static SSL_SESSION *
tampered(SSL_SESSION *s, size_t at)
{
    const unsigned char *ticket, *in;
    unsigned char der[8192], *out = der;
    size_t ticket_len, i;
    int len;

    SSL_SESSION_get0_ticket(s, &ticket, &ticket_len);
    len = i2d_SSL_SESSION(s, &out);
    assert_true(len > 0 && len < (int)sizeof(der));
    for (i = 0; memcmp(der + i, ticket, ticket_len) != 0; i++)
        assert_true(i + ticket_len < (size_t)len);
    der[i + at % ticket_len] ^= 1;
    in = der;
    return d2i_SSL_SESSION(NULL, &in, len);
}

static void
tampered_tickets_are_ignored(void **state)
{
    struct visit v = { .name = "server.example" };
    size_t i, at;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        /* In the name of the key, the salt, the text and the tag. */
        for (at = 0; at < 300; at += 7) {
            SSL_SESSION *good;

            v.session = NULL;
            visit(versions[i], &v);
            good = keep();
            v.session = tampered(good, at);
            visit(versions[i], &v);
            assert_false(was_resumed);
            SSL_SESSION_free(v.session);
            SSL_SESSION_free(good);
        }
        finish();
    }
}

static const uint8_t *
key_list(uint8_t first, uint8_t second)
{
    static uint8_t keys[2 * FLOW_TLS_TICKET_KEY_LEN];

    memset(keys, first, FLOW_TLS_TICKET_KEY_LEN);
    memset(keys + FLOW_TLS_TICKET_KEY_LEN, second, FLOW_TLS_TICKET_KEY_LEN);
    return keys;
}

static void
given_keys_are_rotated_with_overlap(void **state)
{
    struct visit v = { .name = "server.example" };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        assert_status(flow_tls_tickets_set_keys(tickets, key_list(1, 2), 2),
                      FLOW_OK);
        v.session = NULL;
        visit(versions[i], &v);
        v.session = keep();
        assert_status(flow_tls_tickets_set_keys(tickets, key_list(3, 1), 2),
                      FLOW_OK);
        visit(versions[i], &v);
        assert_true(was_resumed);
        assert_status(flow_tls_tickets_set_keys(tickets, key_list(3, 4), 2),
                      FLOW_OK);
        visit(versions[i], &v);
        assert_false(was_resumed);
        SSL_SESSION_free(v.session);
        finish();
    }
}

/* Two processes that were given the same keys. */
static void
given_keys_are_shared(void **state)
{
    struct visit v = { .name = "server.example" };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        SSL_SESSION *s;

        begin();
        assert_status(flow_tls_tickets_set_keys(tickets, key_list(1, 2), 2),
                      FLOW_OK);
        v.session = NULL;
        visit(versions[i], &v);
        s = keep();
        finish();
        begin();
        assert_status(flow_tls_tickets_set_keys(tickets, key_list(1, 2), 1),
                      FLOW_OK);
        v.session = s;
        visit(versions[i], &v);
        assert_true(was_resumed);
        SSL_SESSION_free(s);
        finish();
    }
}

/* By the clock of the environment, whatever mbedTLS's own says. */
static void
expired_tickets_are_ignored(void **state)
{
    struct visit v = { .name = "server.example" };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        assert_status(flow_tls_tickets_set_limits(tickets, 100, 1), FLOW_OK);
        test_env.wall_offset = 0;
        v.session = NULL;
        visit(versions[i], &v);
        v.session = keep();
        test_env.wall_offset = 90;
        visit(versions[i], &v);
        assert_true(was_resumed);
        test_env.wall_offset = 101;
        visit(versions[i], &v);
        assert_false(was_resumed);
        /* Nor does a clock that was put back help. */
        test_env.wall_offset = -10;
        visit(versions[i], &v);
        assert_false(was_resumed);
        SSL_SESSION_free(v.session);
        finish();
    }
    test_env.wall_offset = 0;
}

/* No sum is made of such a time. */
static void
at_the_end_of_time_there_are_no_tickets(void **state)
{
    const struct visit v = { .name = "server.example", .ends_time = true };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        visit(versions[i], &v);
        assert_true(obtained_count == 0 ||
                    !SSL_SESSION_has_ticket(obtained[0]));
        test_env.wall_offset = 0;
        finish();
    }
}

/* A ticket that a resumed connection gives ends with the session. */
static void
sessions_end_after_seven_days(void **state)
{
    struct visit v = { .name = "server.example" };
    SSL_SESSION *s;

    (void)state;
    begin();
    assert_status(flow_tls_tickets_set_limits(tickets, 604800, 1), FLOW_OK);
    visit(0x0304, &v);
    s = keep();
    test_env.wall_offset = 604000;
    v.session = s;
    visit(0x0304, &v);
    assert_true(was_resumed);
    assert_in_range(SSL_SESSION_get_ticket_lifetime_hint(obtained[0]), 790,
                    800);
    SSL_SESSION_free(s);
    s = keep();
    test_env.wall_offset = 604801;
    v.session = s;
    visit(0x0304, &v);
    assert_false(was_resumed);
    SSL_SESSION_free(s);
    test_env.wall_offset = 0;
    finish();
}

/* Keys of our own seal for one lifetime and open for another. */
static void
random_keys_are_rotated_with_overlap(void **state)
{
    const uint64_t lifetime = UINT64_C(100000000000);
    struct visit v = { .name = "server.example" };

    (void)state;
    begin();
    assert_status(flow_tls_tickets_set_limits(tickets, 100, 1), FLOW_OK);
    test_env_stop_clock();
    visit(0x0304, &v);
    v.session = keep();
    test_env.now += lifetime + 1;
    visit(0x0304, &v);
    assert_true(was_resumed);
    test_env.now += lifetime;
    visit(0x0304, &v);
    assert_false(was_resumed);
    SSL_SESSION_free(v.session);
    finish();
}

/* A key that was made after the lifetime was shortened ends before the one that
 * is older. */
static void
keys_end_each_at_its_time(void **state)
{
    const uint64_t second = UINT64_C(1000000000);
    struct visit v = { .name = "server.example" };

    (void)state;
    begin();
    assert_status(flow_tls_tickets_set_limits(tickets, 10000, 1), FLOW_OK);
    test_env_stop_clock();
    visit(0x0304, &v);
    assert_status(flow_tls_tickets_set_limits(tickets, 100, 1), FLOW_OK);
    test_env.now += 10001 * second;
    visit(0x0304, &v);
    v.session = keep();
    test_env.now += 199 * second;
    visit(0x0304, &v);
    assert_true(was_resumed);
    test_env.now += 2 * second;
    visit(0x0304, &v);
    assert_false(was_resumed);
    SSL_SESSION_free(v.session);
    finish();
}

static bool
no_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    (void)buf;
    (void)len;
    return false;
}

/* Without a key there is no ticket, and the connection works. */
static void
without_keys_there_are_no_tickets(void **state)
{
    const struct visit v = { .name = "server.example" };
    struct flow_env env = *TEST_ENV;
    size_t i;

    (void)state;
    env.random = no_random;
    for (i = 0; i < 2; i++) {
        assert_status(flow_tls_tickets_new(&env, &tickets, NULL), FLOW_OK);
        visit(versions[i], &v);
        assert_true(obtained_count == 0 ||
                    !SSL_SESSION_has_ticket(obtained[0]));
        finish();
    }
}

static void
limits_are_checked(void **state)
{
    struct flow_tls_config *client;
    uint8_t keys[5 * FLOW_TLS_TICKET_KEY_LEN];

    (void)state;
    begin();
    assert_status(flow_tls_tickets_set_limits(tickets, 0, 1), FLOW_E_INVAL);
    assert_status(flow_tls_tickets_set_limits(tickets, 604801, 1),
                  FLOW_E_INVAL);
    assert_status(flow_tls_tickets_set_limits(tickets, 604800, 9),
                  FLOW_E_INVAL);
    assert_status(flow_tls_tickets_set_limits(tickets, 604800, 8), FLOW_OK);
    test_fill(keys, sizeof(keys), 1);
    assert_status(flow_tls_tickets_set_keys(tickets, keys, 0), FLOW_E_INVAL);
    assert_status(flow_tls_tickets_set_keys(tickets, keys, 5), FLOW_E_INVAL);
    assert_status(flow_tls_tickets_set_keys(tickets, keys, 4), FLOW_OK);
    assert_status(flow_tls_tickets_set_keys(tickets, key_list(1, 1), 2),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_tickets(client, tickets, 0, NULL),
                  FLOW_E_NOTSUP);
    flow_tls_config_unref(client);
    finish();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_are_resumed),
        TEST(a_resumed_connection_gives_one_more),
        TEST(a_ticket_can_be_presented_again),
        TEST(the_count_of_tickets_is_the_servers),
        TEST(the_lifetime_is_told),
        TEST(other_names_get_full_handshakes),
        TEST(other_protocols_get_full_handshakes),
        TEST(other_epochs_get_full_handshakes),
        TEST(other_versions_get_full_handshakes),
        TEST(without_the_extended_master_secret_nothing_is_resumed),
        TEST(servers_without_tickets_take_none),
        TEST(tampered_tickets_are_ignored),
        TEST(given_keys_are_rotated_with_overlap),
        TEST(given_keys_are_shared),
        TEST(expired_tickets_are_ignored),
        TEST(at_the_end_of_time_there_are_no_tickets),
        TEST(sessions_end_after_seven_days),
        TEST(random_keys_are_rotated_with_overlap),
        TEST(keys_end_each_at_its_time),
        TEST(without_keys_there_are_no_tickets),
        TEST(limits_are_checked),
    };

    return TEST_RUN(tests);
}
