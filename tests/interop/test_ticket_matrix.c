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
 * Tickets never cross names.  A server has two entries with a certificate each.
 * OpenSSL's client obtains a ticket in every scene, which is a server name, a
 * protocol and a policy of client certificates, and presents it in those
 * that differ in one of these or in all, with the same ticket keys and the same
 * epoch.  The session is resumed in its own scene alone; elsewhere the client
 * gets the certificate of the entry that serves its name, in a full handshake.
 */

static const struct {
    const char *name; /* NULL: none is sent */
    const char *entry;
    const char *subject; /* of the entry's certificate */
} hosts[] = {
    { "server.example", "one", "p256" },
    { "also.example", "one", "p256" },
    { "second.example", "two", "second" },
    { NULL, "one", "p256" },
};

/* What the client offers; the server has both. */
static const char *const offers[] = { NULL, "\2h2", "\10http/1.1" };

static const enum flow_tls_client_auth policies[] = {
    FLOW_TLS_CLIENT_AUTH_NONE,
    FLOW_TLS_CLIENT_AUTH_OPTIONAL,
    FLOW_TLS_CLIENT_AUTH_REQUIRED,
};

#define HOSTS    (sizeof(hosts) / sizeof(hosts[0]))
#define OFFERS   (sizeof(offers) / sizeof(offers[0]))
#define POLICIES (sizeof(policies) / sizeof(policies[0]))
#define SCENES   (HOSTS * OFFERS * POLICIES)

struct scene {
    size_t host;
    size_t offer;
    size_t policy;
};

static int version;
static struct flow_tls_tickets *tickets;
static struct flow_tls_config *servers[POLICIES];
static SSL_SESSION *obtained; /* the last one of a visit */
static bool was_resumed;

static struct scene
scene_of(size_t i)
{
    const struct scene s = { i % HOSTS, i / HOSTS % OFFERS,
                             i / HOSTS / OFFERS };

    return s;
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(obtained);
    obtained = session;
    return 1;
}

static void
add_entry(struct flow_tls_sni *sni, const struct flow_tls_sni_entry *entry,
          const char *chain, const char *key)
{
    size_t index;

    assert_status(flow_tls_sni_add_entry(sni, entry, &index, NULL), FLOW_OK);
    assert_status(flow_tls_sni_add_keypair_file(sni, index, pki(chain),
                                                pki(key), NULL, NULL, NULL),
                  FLOW_OK);
}

static void
add_entries(struct flow_tls_config *c, enum flow_tls_client_auth policy)
{
    static const char *const one[] = { "server.example", "also.example" };
    static const char *const two[] = { "second.example" };
    const struct flow_tls_sni_entry first = {
        .id = "one",
        .patterns = one,
        .pattern_count = 2,
        .flags = FLOW_TLS_SNI_IS_DEFAULT | FLOW_TLS_SNI_ALLOW_NAME_MISMATCH,
        .client_auth = policy,
    };
    const struct flow_tls_sni_entry second = {
        .id = "two",
        .patterns = two,
        .pattern_count = 1,
        .client_auth = policy,
    };
    struct flow_tls_sni *sni;

    assert_status(flow_tls_sni_new(TEST_ENV, &sni, NULL), FLOW_OK);
    add_entry(sni, &first, "p256.pem", "p256.key");
    add_entry(sni, &second, "second.pem", "second.key");
    assert_status(flow_tls_config_set_sni(c, sni, NULL), FLOW_OK);
    flow_tls_sni_unref(sni);
}

static struct flow_tls_config *
make_server(enum flow_tls_client_auth policy)
{
    static const char *const protocols[] = { "h2", "http/1.1" };
    const enum flow_tls_version v = (enum flow_tls_version)version;
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_versions(c, v, v), FLOW_OK);
    assert_status(flow_tls_config_set_alpn(c, protocols, 2), FLOW_OK);
    if (policy != FLOW_TLS_CLIENT_AUTH_NONE)
        assert_status(flow_tls_config_add_trust_file(c, pki("ca.pem"), NULL),
                      FLOW_OK);
    add_entries(c, policy);
    assert_status(flow_tls_config_set_tickets(c, tickets, 0, NULL), FLOW_OK);
    return c;
}

static void
begin(int v)
{
    version = v;
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    for (size_t i = 0; i < POLICIES; i++)
        servers[i] = make_server(policies[i]);
}

static void
finish(void)
{
    for (size_t i = 0; i < POLICIES; i++)
        flow_tls_config_unref(servers[i]);
    flow_tls_tickets_unref(tickets);
}

/* OpenSSL's client of a scene, which has a certificate. */
static void
start(struct link *l, const struct scene *s)
{
    const char *offer = offers[s->offer];
    SSL_CTX *ctx;

    link_init(l, true, (uint32_t)version);
    flow_tls_config_unref(l->config);
    l->config = flow_tls_config_ref(servers[s->policy]);
    ctx = l->peer.ctx;
    ossl_use_key(&l->peer, "p384.pem", "p384.key");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    link_start(l);
    SSL_set_tlsext_host_name(l->peer.ssl, hosts[s->host].name);
    if (offer != NULL)
        assert_int_equal(SSL_set_alpn_protos(l->peer.ssl,
                                             (const uint8_t *)offer,
                                             (unsigned)strlen(offer)),
                         0);
}

/* The certificate that the client has of its server, from this handshake or
 * from that which the session began with. */
static void
check_certificate(struct link *l, const char *subject)
{
    X509 *cert = SSL_get1_peer_certificate(l->peer.ssl);
    char text[64];

    assert_non_null(cert);
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
                                          NID_commonName, text,
                                          sizeof(text)) > 0);
    assert_string_equal(text, subject);
    X509_free(cert);
}

static void
check_agreed(struct link *l, const struct scene *s)
{
    const char *offer = offers[s->offer];
    struct flow_tls_info info;

    assert_status(flow_tls_get_info(l->ours, &info), FLOW_OK);
    assert_string_equal(info.entry, hosts[s->host].entry);
    assert_string_equal(info.alpn, offer != NULL ? offer + 1 : "");
    assert_int_equal(info.verify_flags,
                     policies[s->policy] == FLOW_TLS_CLIENT_AUTH_NONE
                         ? FLOW_VERIFY_NOT_CHECKED
                         : 0u);
    assert_int_equal(SSL_session_reused(l->peer.ssl), info.resumed);
    assert_int_equal(l->peer.fatal_in, 0);
    was_resumed = info.resumed;
}

/* A connection, which must succeed, and its ticket. */
static void
visit(const struct scene *s, SSL_SESSION *session)
{
    struct link l;
    uint8_t buf[4];

    start(&l, s);
    if (session != NULL)
        assert_int_equal(SSL_set_session(l.peer.ssl, session), 1);
    if (link_handshake(&l) != FLOW_OK || !ossl_open(&l.peer))
        fail_msg("no handshake; OpenSSL got alert %d", l.peer.alert_in);
    (void)ossl_read(&l.peer, buf, sizeof(buf));
    check_agreed(&l, s);
    check_certificate(&l, hosts[s->host].subject);
    link_close(&l);
}

/* Whether two scenes are the same, or differ in one thing or in all three. */
static bool
is_tried(const struct scene *a, const struct scene *b)
{
    const int differ = (a->host != b->host) + (a->offer != b->offer) +
                       (a->policy != b->policy);

    return differ != 2;
}

/* Present the ticket of one scene in the others, and in the same again. */
static void
present(size_t from)
{
    const struct scene first = scene_of(from);
    SSL_SESSION *s;

    visit(&first, NULL);
    assert_false(was_resumed);
    s = obtained;
    obtained = NULL;
    assert_true(SSL_SESSION_has_ticket(s));
    for (size_t to = 0; to < SCENES; to++) {
        const struct scene second = scene_of(to);
        SSL_SESSION *again;
        char name[40];

        if (!is_tried(&first, &second))
            continue;
        again = SSL_SESSION_dup(s);
        (void)snprintf(name, sizeof(name), "ticket of scene %zu in %zu", from,
                       to);
        guard_case(name);
        visit(&second, again);
        assert_int_equal(was_resumed, from == to);
        SSL_SESSION_free(again);
    }
    guard_case(NULL);
    SSL_SESSION_free(s);
    SSL_SESSION_free(obtained);
    obtained = NULL;
}

/* All tickets of one version and policy. */
static void
present_all(int v, enum flow_tls_client_auth policy)
{
    begin(v);
    for (size_t i = 0; i < SCENES; i++)
        if (policies[scene_of(i).policy] == policy)
            present(i);
    finish();
}

static void
tls12_tickets_of_clients_that_are_not_asked(void **state)
{
    (void)state;
    present_all(0x0303, FLOW_TLS_CLIENT_AUTH_NONE);
}

static void
tls12_tickets_of_clients_that_may_be_unknown(void **state)
{
    (void)state;
    present_all(0x0303, FLOW_TLS_CLIENT_AUTH_OPTIONAL);
}

static void
tls12_tickets_of_clients_that_must_be_known(void **state)
{
    (void)state;
    present_all(0x0303, FLOW_TLS_CLIENT_AUTH_REQUIRED);
}

static void
tls13_tickets_of_clients_that_are_not_asked(void **state)
{
    (void)state;
    present_all(0x0304, FLOW_TLS_CLIENT_AUTH_NONE);
}

static void
tls13_tickets_of_clients_that_may_be_unknown(void **state)
{
    (void)state;
    present_all(0x0304, FLOW_TLS_CLIENT_AUTH_OPTIONAL);
}

static void
tls13_tickets_of_clients_that_must_be_known(void **state)
{
    (void)state;
    present_all(0x0304, FLOW_TLS_CLIENT_AUTH_REQUIRED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tls12_tickets_of_clients_that_are_not_asked),
        TEST(tls12_tickets_of_clients_that_may_be_unknown),
        TEST(tls12_tickets_of_clients_that_must_be_known),
        TEST(tls13_tickets_of_clients_that_are_not_asked),
        TEST(tls13_tickets_of_clients_that_may_be_unknown),
        TEST(tls13_tickets_of_clients_that_must_be_known),
    };

    return TEST_RUN(tests);
}
