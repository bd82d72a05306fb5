/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_export.h>
#include <flow/tls_session.h>
#include <flow/tls_verify.h>
#include <flow/util.h>

#include "pki.h"
#include "step.h"

/*
 * Sessions between two of our own that share ticket keys and a store: who the
 * client is after a resumption, what the server trusts by then, which
 * certificates the client has by then, a configuration with other suites, an
 * engine that is kept, certificates that end, threads, and failing allocations.
 */

#define CERTIFICATE_EXPIRED 45 /* RFC 8446 6 */

struct visit {
    enum flow_tls_version version;
    enum flow_tls_client_auth auth;
    const char *chain; /* of the client; NULL: it has none */
    const char *key;
    const char *trust; /* of the server; NULL: the test CA */
    uint16_t suite;    /* of the server; 0: all */
    uint64_t epoch;
    flow_tls_verify_fn *callback; /* of the server; NULL: none */
    bool keeps_engine;            /* of the client */
};

static const enum flow_tls_version versions[] = { FLOW_TLS_1_2, FLOW_TLS_1_3 };

static struct flow_tls_config *client, *server;
static struct flow_tls_tickets *tickets;
static struct flow_tls_sessions *store;
/* Of the last visit. */
static struct flow_error failure;
static bool was_resumed;
static uint32_t client_flags;
static size_t client_chain_len;
static char client_subject[FLOW_ERROR_DETAIL];
/* Of all clients; NULL: each has its own. */
static struct flow_tls_verifier *client_verifier;

static void
begin(void)
{
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    assert_status(flow_tls_sessions_new(TEST_ENV, &store, NULL), FLOW_OK);
}

static void
finish(void)
{
    flow_tls_tickets_unref(tickets);
    flow_tls_sessions_unref(store);
}

static struct flow_tls_verifier *
new_verifier(const char *trust, flow_tls_verify_fn *callback)
{
    struct flow_tls_verifier *v;

    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_add_trust_file(v, pki(trust), NULL),
                  FLOW_OK);
    assert_status(flow_tls_verifier_set_callback(v, callback, NULL), FLOW_OK);
    return v;
}

static void
set_up_client(const struct visit *v)
{
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    if (client_verifier != NULL)
        assert_status(
            flow_tls_config_set_verifier(client, client_verifier, NULL),
            FLOW_OK);
    else
        assert_status(
            flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
            FLOW_OK);
    assert_status(flow_tls_config_set_versions(client, v->version, v->version),
                  FLOW_OK);
    if (v->chain != NULL)
        assert_status(flow_tls_config_add_keypair_file(
                          client, pki(v->chain), pki(v->key), NULL, NULL, NULL),
                      FLOW_OK);
    assert_status(flow_tls_config_set_sessions(client, store, 1, NULL),
                  FLOW_OK);
    if (v->keeps_engine)
        assert_status(flow_tls_config_keep_engine(client, true), FLOW_OK);
}

static void
set_up_verifier(const struct visit *v)
{
    struct flow_tls_verifier *verifier =
        new_verifier(v->trust != NULL ? v->trust : "ca.pem", v->callback);

    assert_status(flow_tls_config_set_verifier(server, verifier, NULL),
                  FLOW_OK);
    flow_tls_verifier_unref(verifier);
    assert_status(flow_tls_config_set_client_auth(server, v->auth), FLOW_OK);
    /* The client presents what it has. */
    assert_status(flow_tls_config_limit_ca_list(server, 0), FLOW_OK);
}

static void
set_up_server(const struct visit *v)
{
    assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(server, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_tickets(server, tickets, v->epoch, NULL),
                  FLOW_OK);
    if (v->suite != 0)
        assert_status(flow_tls_config_set_suites(server, &v->suite, 1),
                      FLOW_OK);
    if (v->auth != FLOW_TLS_CLIENT_AUTH_DEFAULT)
        set_up_verifier(v);
}

static void
wrap(struct ends *e)
{
    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e->a, &e->b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e->a, "server.example", 0, &e->a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e->b, 0, &e->b, NULL), FLOW_OK);
}

static void
note(struct ends *e)
{
    struct flow_tls_info info;

    assert_status(flow_tls_get_info(e->a, &info), FLOW_OK);
    was_resumed = info.resumed;
    assert_int_equal(info.verify_flags, 0);
    assert_string_equal(info.matched_name, "server.example");
    assert_status(flow_tls_get_info(e->b, &info), FLOW_OK);
    assert_int_equal(info.resumed, was_resumed);
    client_flags = info.verify_flags;
    client_chain_len = info.peer_chain_len;
    client_subject[0] = '\0';
    assert_status(
        flow_tls_get_peer_subject(e->b, client_subject, sizeof(client_subject)),
        client_flags == 0 ? FLOW_OK : FLOW_E_AUTH);
}

/* A connection, whose data bring the tickets; the server's status. */
static enum flow_status
visit(const struct visit *v)
{
    enum flow_status st = FLOW_AGAIN;
    struct ends e;

    set_up_client(v);
    set_up_server(v);
    wrap(&e);
    for (int i = 0; i < 100 && st == FLOW_AGAIN; i++) {
        (void)!flow_open(e.a);
        st = flow_open(e.b);
    }
    if (st == FLOW_OK) {
        step_open(&e);
        step_pass(&e, e.b, 1000, 1);
        step_pass(&e, e.a, 1000, 2);
        note(&e);
    } else {
        flow_get_error(e.b, FLOW_READ, &failure);
    }
    ends_close(&e);
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
    return st;
}

/* Whether the session of a first connection is resumed by a second one, which
 * must not fail. */
static bool
resumes(const struct visit *first, const struct visit *second)
{
    flow_tls_sessions_clear(store);
    assert_status(visit(first), FLOW_OK);
    assert_false(was_resumed);
    assert_int_equal(flow_tls_sessions_count(store), 1);
    assert_status(visit(second), FLOW_OK);
    return was_resumed;
}

static const enum flow_tls_client_auth asking[] = {
    FLOW_TLS_CLIENT_AUTH_OPTIONAL, FLOW_TLS_CLIENT_AUTH_REQUIRED
};

static struct visit
chained(enum flow_tls_version version, enum flow_tls_client_auth auth)
{
    const struct visit v = { .version = version,
                             .auth = auth,
                             .chain = "chain.pem",
                             .key = "chained.key" };

    return v;
}

static void
the_client_is_who_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct visit v = chained(versions[i / 2], asking[i % 2]);
        size_t full;

        begin();
        assert_status(visit(&v), FLOW_OK);
        assert_false(was_resumed);
        full = client_chain_len;
        for (int n = 0; n < 3; n++) {
            assert_status(visit(&v), FLOW_OK);
            assert_true(was_resumed);
            assert_int_equal(client_flags, 0);
            assert_int_equal(client_chain_len, full);
            assert_string_equal(client_subject, "CN=chained");
        }
        finish();
    }
}

static void
a_client_without_a_certificate_stays_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit v = { .version = versions[i],
                                 .auth = FLOW_TLS_CLIENT_AUTH_OPTIONAL };

        begin();
        assert_true(resumes(&v, &v));
        assert_int_equal(client_flags, FLOW_VERIFY_MISSING);
        assert_int_equal(client_chain_len, 0);
        finish();
    }
}

static void
another_policy_gets_full_handshakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit open = { .version = versions[i] };
        const struct visit unknown = { .version = versions[i],
                                       .auth = FLOW_TLS_CLIENT_AUTH_OPTIONAL };
        const struct visit refused = { .version = versions[i],
                                       .auth = FLOW_TLS_CLIENT_AUTH_REQUIRED };
        const struct visit optional =
            chained(versions[i], FLOW_TLS_CLIENT_AUTH_OPTIONAL);
        const struct visit required =
            chained(versions[i], FLOW_TLS_CLIENT_AUTH_REQUIRED);
        struct visit ignored = optional;

        begin();
        ignored.auth = FLOW_TLS_CLIENT_AUTH_DEFAULT;
        assert_false(resumes(&optional, &required));
        assert_int_equal(client_flags, 0);
        assert_false(resumes(&required, &optional));
        assert_false(resumes(&ignored, &required));
        assert_int_equal(client_flags, 0);
        assert_false(resumes(&required, &ignored));
        assert_int_equal(client_flags, FLOW_VERIFY_NOT_CHECKED);
        assert_int_equal(client_chain_len, 0);
        assert_false(resumes(&open, &unknown));
        assert_int_equal(client_flags, FLOW_VERIFY_MISSING);
        flow_tls_sessions_clear(store);
        assert_status(visit(&unknown), FLOW_OK);
        assert_status(visit(&refused), FLOW_E_AUTH);
        assert_int_equal(failure.verify_flags, FLOW_VERIFY_MISSING);
        finish();
    }
}

static enum flow_status
reject_it(void *user, const struct flow_tls_verdict *verdict)
{
    (void)user;
    (void)verdict;
    return FLOW_E_AUTH;
}

/* The server has changed its mind about the client since. */
static void
a_client_is_verified_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct visit v = chained(versions[i / 2], asking[i % 2]);
        struct visit other = v, rejects = v;

        begin();
        other.trust = "other.pem";
        rejects.callback = reject_it;
        assert_status(visit(&v), FLOW_OK);
        assert_status(visit(&rejects), FLOW_E_AUTH);
        assert_non_null(strstr(failure.text, "rejected by the application"));
        flow_tls_sessions_clear(store);
        assert_status(visit(&v), FLOW_OK);
        assert_status(visit(&other), FLOW_E_AUTH);
        assert_int_equal(failure.verify_flags, FLOW_VERIFY_NOT_TRUSTED);
        finish();
    }
}

/* A store that is shared must not lend one client's identity to another. */
static void
each_identity_has_its_sessions(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit one =
            chained(versions[i], FLOW_TLS_CLIENT_AUTH_OPTIONAL);
        struct visit two = one, none = one;

        begin();
        two.chain = "p384.pem";
        two.key = "p384.key";
        none.chain = NULL;
        assert_false(resumes(&one, &two));
        assert_string_equal(client_subject, "CN=p384");
        assert_false(resumes(&one, &none));
        assert_int_equal(client_flags, FLOW_VERIFY_MISSING);
        assert_false(resumes(&none, &one));
        assert_string_equal(client_subject, "CN=chained");
        finish();
    }
}

/* mbedTLS would end the handshake. */
static void
a_server_may_give_up_a_suite(void **state)
{
    static const uint16_t suites[2][2] = { { 0xc02b, 0xc02c },
                                           { 0x1301, 0x1302 } };

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 2; k++) {
            struct visit before = { .version = versions[i],
                                    .suite = suites[i][k] };
            struct visit after = { .version = versions[i],
                                   .suite = suites[i][1 - k] };

            begin();
            assert_true(resumes(&before, &before));
            assert_false(resumes(&before, &after));
            finish();
        }
}

static void
another_epoch_gets_full_handshakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct visit before =
            chained(versions[i], FLOW_TLS_CLIENT_AUTH_REQUIRED);
        struct visit after = before;

        begin();
        after.epoch = 1;
        assert_true(resumes(&before, &before));
        assert_false(resumes(&before, &after));
        finish();
    }
}

static int64_t path_end;

/* Of the path, whose last certificate is the trusted one. */
static enum flow_status
note_path_end(void *user, const struct flow_tls_verdict *verdict)
{
    struct flow_tls_facts facts;

    (void)user;
    path_end = INT64_MAX;
    for (size_t i = 0; i < verdict->path_len; i++) {
        assert_status(flow_tls_get_facts(&verdict->path[i], &facts), FLOW_OK);
        path_end = facts.not_after < path_end ? facts.not_after : path_end;
    }
    return FLOW_OK;
}

/* The trusted one included, whatever the lifetime of the ticket. */
static void
a_session_ends_with_a_certificate(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit v = { .version = versions[i] };
        int64_t now = TEST_ENV->wall(TEST_ENV->ctx);

        begin();
        client_verifier = new_verifier("ca.pem", note_path_end);
        assert_status(visit(&v), FLOW_OK);
        flow_tls_sessions_clear(store);
        test_env.wall_offset = path_end - now - 600;
        assert_status(visit(&v), FLOW_OK);
        assert_false(was_resumed);
        test_env.wall_offset += 300;
        assert_status(visit(&v), FLOW_OK);
        assert_true(was_resumed);
        assert_int_equal(flow_tls_sessions_count(store), 1);
        test_env.wall_offset += 400;
        assert_int_not_equal(visit(&v), FLOW_OK);
        assert_int_equal(failure.alert_received, CERTIFICATE_EXPIRED);
        assert_int_equal(flow_tls_sessions_count(store), 0);
        test_env.wall_offset = 0;
        flow_tls_verifier_unref(client_verifier);
        client_verifier = NULL;
        finish();
    }
}

/* The exporters and the tickets share one engine. */
static void
a_kept_engine_takes_tickets(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit v = { .version = versions[i], .keeps_engine = true };

        begin();
        assert_true(resumes(&v, &v));
        finish();
    }
}

#define THREADS 4
#define TIMES   25

/* Both ends of one connection; false: it did not work.  *ret_resumed counts. */
static bool
connect_once(unsigned *ret_resumed)
{
    enum flow_status st[2] = { FLOW_AGAIN, FLOW_AGAIN };
    struct flow_tls_info info;
    struct flow *a, *b;
    uint8_t byte = 1;
    bool ok;
    size_t n;

    if (flow_pair_new(TEST_ENV, 65536, NULL, &a, &b) != FLOW_OK ||
        flow_tls_wrap_client(client, a, "server.example", 0, &a, NULL) !=
            FLOW_OK ||
        flow_tls_wrap_server(server, b, 0, &b, NULL) != FLOW_OK)
        return false;
    for (int i = 0; i < 100 && (st[0] == FLOW_AGAIN || st[1] == FLOW_AGAIN);
         i++) {
        st[0] = flow_open(a);
        st[1] = flow_open(b);
    }
    ok = st[0] == FLOW_OK && st[1] == FLOW_OK &&
         flow_write(b, &byte, 1, &n) == FLOW_OK && flow_flush(b) == FLOW_OK &&
         flow_read(a, &byte, 1, &n) == FLOW_OK &&
         flow_tls_get_info(a, &info) == FLOW_OK && info.verify_flags == 0;
    *ret_resumed += ok && info.resumed;
    flow_close(a);
    flow_close(b);
    return ok;
}

static void *
connect_often(void *resumed)
{
    for (int i = 0; i < TIMES; i++) {
        if (!connect_once(resumed))
            return NULL;
        if (i == TIMES / 2)
            flow_tls_sessions_clear(store);
    }
    return resumed;
}

/* A store, ticket keys and two configurations; the keys and limits change
 * meanwhile. */
static void
threads_share_a_store(void **state)
{
    const struct visit v = chained(FLOW_TLS_1_3, FLOW_TLS_CLIENT_AUTH_REQUIRED);
    uint8_t keys[FLOW_TLS_TICKET_KEY_LEN];
    unsigned resumed[THREADS] = { 0 }, sum = 0;
    pthread_t thread[THREADS];
    void *done;

    (void)state;
    begin();
    set_up_client(&v);
    set_up_server(&v);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&thread[i], NULL, connect_often, &resumed[i]), 0);
    for (uint64_t i = 0; i < 20; i++) {
        test_fill(keys, sizeof(keys), i / 10);
        assert_status(flow_tls_tickets_set_keys(tickets, keys, 1), FLOW_OK);
        assert_status(flow_tls_sessions_set_limits(store, 10 + i, 1u << 20),
                      FLOW_OK);
        assert_true(flow_tls_sessions_count(store) <= 10 + i);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], &done), 0);
        assert_non_null(done);
        sum += resumed[i];
    }
    assert_true(sum > 0);
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
    finish();
}

/* Whichever allocation of a resumed handshake or of its ticket fails, either
 * end fails or both work. */
static void
every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct visit v =
            chained(versions[i], FLOW_TLS_CLIENT_AUTH_REQUIRED);
        size_t opened = 0;

        for (size_t nth = 1; nth < 150; nth++) {
            enum flow_status st[2];
            struct ends e;

            begin();
            assert_status(visit(&v), FLOW_OK);
            set_up_client(&v);
            set_up_server(&v);
            wrap(&e);
            test_env_fail(nth, false);
            step_open_status(&e, &st[0], &st[1]);
            test_env_fail(0, false);
            if (st[0] == FLOW_OK && st[1] == FLOW_OK) {
                step_pass(&e, e.b, 1000, 1);
                step_pass(&e, e.a, 1000, 2);
                note(&e);
                assert_int_equal(client_flags, 0);
                assert_string_equal(client_subject, "CN=chained");
                opened++;
            }
            ends_close(&e);
            flow_tls_config_unref(client);
            flow_tls_config_unref(server);
            finish();
        }
        assert_true(opened > 20);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_client_is_who_it_was),
        TEST(a_client_without_a_certificate_stays_unknown),
        TEST(another_policy_gets_full_handshakes),
        TEST(a_client_is_verified_again),
        TEST(each_identity_has_its_sessions),
        TEST(a_server_may_give_up_a_suite),
        TEST(another_epoch_gets_full_handshakes),
        TEST(a_session_ends_with_a_certificate),
        TEST(a_kept_engine_takes_tickets),
        TEST(threads_share_a_store),
        TEST(every_allocation_may_fail),
    };

    return TEST_RUN(tests);
}
