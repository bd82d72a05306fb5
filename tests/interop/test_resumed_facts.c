/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/crypto.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_export.h>
#include <flow/tls_session.h>
#include <flow/tls_verify.h>

#include "ossl.h"
#include "pki.h"
#include "step.h"

/*
 * What a resumed connection says of itself and its peer, which is what the full
 * handshake said; and certificates that are revoked between the two, by a list
 * that either side gets.
 */

#define NO_GROUP 0

static const enum flow_tls_version versions[] = { FLOW_TLS_1_2, FLOW_TLS_1_3 };

static struct flow_tls_tickets *tickets;
static struct flow_tls_sessions *store;

/* The lists of the two sides; NULL: none. */
struct visit {
    enum flow_tls_version version;
    const char *client_revokes;
    const char *server_revokes;
};

/* One side's answers, copied. */
struct said {
    struct flow_tls_info info;
    char alpn[32];
    char server_name[64];
    char matched_name[64];
    char entry[64];
    char subject[FLOW_ERROR_DETAIL];
    uint8_t chain[8192];
    struct flow_tls_facts facts;
    uint8_t binding[FLOW_TLS_BINDING_LEN];
};

static struct said said[2]; /* of the client and the server */
static struct flow_error failure[2];
static bool has_bindings; /* the engine of this build has an exporter */

static void
begin(void)
{
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    assert_status(flow_tls_sessions_new(TEST_ENV, &store, NULL), FLOW_OK);
}

static void
finish(void)
{
    flow_tls_sessions_unref(store);
    flow_tls_tickets_unref(tickets);
}

static void
set_verifier(struct flow_tls_config *c, const char *revoked)
{
    struct flow_tls_verifier *v;
    unsigned char *crl;
    int len;

    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_add_trust_file(v, pki("ca.pem"), NULL),
                  FLOW_OK);
    if (revoked != NULL) {
        crl = ossl_revoke(revoked, &len);
        assert_status(flow_tls_verifier_add_crl(v, crl, (size_t)len, NULL),
                      FLOW_OK);
        OPENSSL_free(crl);
    }
    assert_status(flow_tls_config_set_verifier(c, v, NULL), FLOW_OK);
    flow_tls_verifier_unref(v);
}

static void
set_common(struct flow_tls_config *c, const struct visit *v)
{
    static const char *const protocols[] = { "h2" };

    assert_status(flow_tls_config_set_versions(c, v->version, v->version),
                  FLOW_OK);
    assert_status(flow_tls_config_set_alpn(c, protocols, 1), FLOW_OK);
    has_bindings = flow_tls_config_add_channel_binding(c) == FLOW_OK;
}

static struct flow_tls_config *
make_client(const struct visit *v)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    set_common(c, v);
    set_verifier(c, v->client_revokes);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p384.pem"), pki("p384.key"), NULL, NULL, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_sessions(c, store, 1, NULL), FLOW_OK);
    return c;
}

static struct flow_tls_config *
make_server(const struct visit *v)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    set_common(c, v);
    set_verifier(c, v->server_revokes);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    assert_status(
        flow_tls_config_set_client_auth(c, FLOW_TLS_CLIENT_AUTH_REQUIRED),
        FLOW_OK);
    assert_status(flow_tls_config_limit_ca_list(c, 0), FLOW_OK);
    assert_status(flow_tls_config_set_tickets(c, tickets, 0, NULL), FLOW_OK);
    return c;
}

static void
copy_text(char *to, size_t cap, const char *from)
{
    assert_true(strlen(from) < cap);
    memcpy(to, from, strlen(from) + 1);
}

static void
note(struct flow *f, struct said *s)
{
    memset(s, 0, sizeof(*s));
    assert_status(flow_tls_get_info(f, &s->info), FLOW_OK);
    assert_status(flow_tls_get_peer_subject(f, s->subject, sizeof(s->subject)),
                  FLOW_OK);
    assert_status(flow_tls_get_facts(&s->info.peer_cert, &s->facts), FLOW_OK);
    assert_ptr_equal(s->info.peer_cert.base, s->info.peer_chain);
    copy_text(s->alpn, sizeof(s->alpn), s->info.alpn);
    copy_text(s->server_name, sizeof(s->server_name), s->info.server_name);
    copy_text(s->matched_name, sizeof(s->matched_name), s->info.matched_name);
    copy_text(s->entry, sizeof(s->entry), s->info.entry);
    assert_true(s->info.peer_chain_len <= sizeof(s->chain));
    memcpy(s->chain, s->info.peer_chain, s->info.peer_chain_len);
    if (has_bindings)
        assert_status(flow_tls_get_channel_binding(f, s->binding), FLOW_OK);
}

/* A connection, and what both sides say of it; the worse status. */
static enum flow_status
connect_once(const struct visit *v)
{
    struct flow_tls_config *client = make_client(v), *server = make_server(v);
    enum flow_status st[2] = { FLOW_AGAIN, FLOW_AGAIN };
    struct ends e = { 0 };

    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e.a, "server.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e.b, 0, &e.b, NULL), FLOW_OK);
    for (int i = 0; i < 50; i++) {
        st[0] = st[0] == FLOW_AGAIN ? flow_open(e.a) : st[0];
        st[1] = st[1] == FLOW_AGAIN ? flow_open(e.b) : st[1];
    }
    if (st[0] == FLOW_OK && st[1] == FLOW_OK) {
        step_pass(&e, e.b, 100, 1);
        step_pass(&e, e.a, 100, 2);
        note(e.a, &said[0]);
        note(e.b, &said[1]);
        assert_int_equal(said[0].info.resumed, said[1].info.resumed);
        assert_memory_equal(said[0].binding, said[1].binding,
                            FLOW_TLS_BINDING_LEN);
    }
    flow_get_error(e.a, FLOW_READ, &failure[0]);
    flow_get_error(e.b, FLOW_READ, &failure[1]);
    ends_close(&e);
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
    return st[0] < st[1] ? st[0] : st[1];
}

/* --- facts --- */

static void
says_the_same(const struct said *full, const struct said *again)
{
    assert_int_equal(again->info.version, full->info.version);
    assert_int_equal(again->info.suite, full->info.suite);
    assert_string_equal(again->info.suite_name, full->info.suite_name);
    assert_string_equal(again->alpn, full->alpn);
    assert_string_equal(again->server_name, full->server_name);
    assert_string_equal(again->matched_name, full->matched_name);
    assert_string_equal(again->entry, full->entry);
    assert_string_equal(again->subject, full->subject);
    assert_int_equal(again->info.verify_flags, 0);
    assert_int_equal(full->info.verify_flags, 0);
    assert_true(again->info.verified);
    assert_int_equal(again->info.peer_chain_len, full->info.peer_chain_len);
    assert_memory_equal(again->chain, full->chain, full->info.peer_chain_len);
    assert_int_equal(again->info.peer_cert.len, full->info.peer_cert.len);
    assert_int_equal(again->facts.not_before, full->facts.not_before);
    assert_int_equal(again->facts.not_after, full->facts.not_after);
}

/* TLS 1.3 makes a key exchange in either, TLS 1.2 in the full one alone. */
static void
names_its_group(const struct said *full, const struct said *again)
{
    if (again->info.version == FLOW_TLS_1_3) {
        assert_int_equal(again->info.group, full->info.group);
        assert_string_equal(again->info.group_name, full->info.group_name);
    } else {
        assert_int_equal(again->info.group, NO_GROUP);
        assert_string_equal(again->info.group_name, "");
    }
    assert_int_not_equal(full->info.group, NO_GROUP);
}

static void
a_resumed_connection_says_what_the_full_one_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit v = { .version = versions[i] };
        struct said full[2];

        begin();
        assert_status(connect_once(&v), FLOW_OK);
        assert_false(said[0].info.resumed);
        assert_string_equal(said[0].alpn, "h2");
        assert_string_equal(said[0].subject, "CN=p256");
        assert_string_equal(said[1].subject, "CN=p384");
        memcpy(full, said, sizeof(full));
        for (int n = 0; n < 3; n++) {
            assert_status(connect_once(&v), FLOW_OK);
            for (size_t side = 0; side < 2; side++) {
                assert_true(said[side].info.resumed);
                says_the_same(&full[side], &said[side]);
                names_its_group(&full[side], &said[side]);
            }
            /* RFC 9266: each connection has its own. */
            if (has_bindings)
                assert_memory_not_equal(said[0].binding, full[0].binding,
                                        FLOW_TLS_BINDING_LEN);
        }
        finish();
    }
}

/* --- revocation --- */

/* A first connection without lists, and a second one with these. */
static enum flow_status
then_revoked(enum flow_tls_version version, const char *by_client,
             const char *by_server)
{
    const struct visit first = { .version = version };
    const struct visit second = { .version = version,
                                  .client_revokes = by_client,
                                  .server_revokes = by_server };

    flow_tls_sessions_clear(store);
    assert_status(connect_once(&first), FLOW_OK);
    assert_false(said[0].info.resumed);
    assert_int_equal(flow_tls_sessions_count(store), 1);
    return connect_once(&second);
}

/* A list with another certificate changes nothing. */
static void
a_revoked_peer_is_not_resumed(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        assert_status(then_revoked(versions[i], "rsa.pem", NULL), FLOW_OK);
        assert_true(said[0].info.resumed);
        assert_status(then_revoked(versions[i], NULL, "rsa.pem"), FLOW_OK);
        assert_true(said[0].info.resumed);
        assert_status(then_revoked(versions[i], "p256.pem", NULL), FLOW_E_AUTH);
        assert_int_equal(failure[0].verify_flags, FLOW_VERIFY_REVOKED);
        assert_int_equal(flow_tls_sessions_count(store), 0);
        assert_int_equal(then_revoked(versions[i], NULL, "p384.pem"),
                         FLOW_E_AUTH);
        assert_int_equal(failure[1].verify_flags, FLOW_VERIFY_REVOKED);
        finish();
    }
}

/* The list stays in force for the sessions of connections that it accepted. */
static void
a_list_is_asked_at_each_resumption(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit v = { .version = versions[i],
                                 .client_revokes = "rsa.pem",
                                 .server_revokes = "rsa.pem" };
        struct visit by_client = v, by_server = v;

        by_client.client_revokes = "p256.pem";
        by_server.server_revokes = "p384.pem";
        begin();
        assert_status(connect_once(&v), FLOW_OK);
        assert_status(connect_once(&v), FLOW_OK);
        assert_true(said[0].info.resumed);
        assert_status(connect_once(&by_client), FLOW_E_AUTH);
        assert_status(connect_once(&v), FLOW_OK);
        assert_false(said[0].info.resumed);
        assert_status(connect_once(&by_server), FLOW_E_AUTH);
        finish();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_resumed_connection_says_what_the_full_one_said),
        TEST(a_revoked_peer_is_not_resumed),
        TEST(a_list_is_asked_at_each_resumption),
    };

    return TEST_RUN(tests);
}
