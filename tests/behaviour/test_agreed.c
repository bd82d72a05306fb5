/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/backend.h>
#include <flow/pair.h>
#include <flow/prefix.h>
#include <flow/tls.h>

#include "pki.h"
#include "step.h"

/*
 * Which versions a configuration allows and what its flows then agree on:
 * versions without a suite are left out, and an unverified peer is told from a
 * verified one.
 */

static struct flow_tls_config *client, *server;

static void
configure(void)
{
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(server, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   NULL),
                  FLOW_OK);
}

static void
release(void)
{
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
}

static void
connect_as(struct ends *e, const char *name)
{
    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e->a, &e->b), FLOW_OK);
    assert_status(flow_tls_wrap_client(client, e->a, name, 0, &e->a, NULL),
                  FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e->b, 0, &e->b, NULL), FLOW_OK);
    step_open(e);
}

static void
agrees_on(uint32_t version)
{
    struct flow_tls_info info;
    struct ends e;

    connect_as(&e, "server.example");
    assert_status(flow_tls_get_info(e.a, &info), FLOW_OK);
    assert_int_equal(info.version, version);
    assert_status(flow_tls_get_info(e.b, &info), FLOW_OK);
    assert_int_equal(info.version, version);
    step_pass(&e, e.a, 1000, version);
    ends_close(&e);
}

static void
versions_without_a_suite_are_left_out(void **state)
{
    static const uint16_t old[] = { 0xc02b, 0xc02f }, new[] = { 0x1301 };
    static const struct {
        const char *name;
        const uint16_t *suite;
        size_t count;
        uint32_t version;
    } rows[] = {
        { "1.2 only", old, 2, FLOW_TLS_1_2 },
        { "1.3 only", new, 1, FLOW_TLS_1_3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int side = 0; side < 2; side++) {
            guard_case(rows[i].name);
            configure();
            assert_status(
                flow_tls_config_set_suites(side == 0 ? client : server,
                                           rows[i].suite, rows[i].count),
                FLOW_OK);
            agrees_on(rows[i].version);
            release();
        }
    guard_case(NULL);
}

/* A freeze that fails leaves no version out for good. */
static void
failed_freeze_leaves_the_versions_unchanged(void **state)
{
    static const uint16_t old[] = { 0xc02b }, both[] = { 0x1301, 0xc02b };
    struct flow_tls_config *c;

    (void)state;
    configure();
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_suites(c, old, 1), FLOW_OK);
    assert_status(flow_tls_config_freeze(c, NULL), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_suites(c, both, 2), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    flow_tls_config_unref(server);
    server = c;
    agrees_on(FLOW_TLS_1_3);
    release();
}

static void
only_a_verified_peer_has_no_flags(void **state)
{
    enum { ALL, NO_NAME, NOTHING };
    static const struct {
        const char *name;
        int skip;
        uint32_t flags;
    } rows[] = {
        { "server.example", ALL, 0 },
        { "server.example", NO_NAME, FLOW_VERIFY_NOT_CHECKED },
        { "other.example", NO_NAME, FLOW_VERIFY_NOT_CHECKED },
        { "server.example", NOTHING, FLOW_VERIFY_NOT_CHECKED },
        { "other.example", NOTHING, FLOW_VERIFY_NOT_CHECKED },
        { NULL, NOTHING, FLOW_VERIFY_NOT_CHECKED },
    };
    struct flow_tls_facts facts;
    struct flow_tls_info info;
    struct ends e;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        guard_case(rows[i].name != NULL ? rows[i].name : "no name");
        configure();
        assert_status(
            flow_tls_config_insecure_skip_name(client, rows[i].skip == NO_NAME),
            FLOW_OK);
        assert_status(flow_tls_config_insecure_skip_verify(
                          client, rows[i].skip == NOTHING),
                      FLOW_OK);
        connect_as(&e, rows[i].name);
        assert_status(flow_tls_get_info(e.a, &info), FLOW_OK);
        assert_int_equal(info.verify_flags, rows[i].flags);
        assert_int_equal(info.verified, rows[i].flags == 0);
        assert_ptr_equal(info.peer_cert.base, info.peer_chain);
        assert_in_range(info.peer_cert.len, 100, info.peer_chain_len);
        assert_status(flow_tls_get_facts(&info.peer_cert, &facts), FLOW_OK);
        assert_non_null(strstr(facts.subject, "CN="));
        assert_string_equal(facts.key, "P-256");
        /* The server requests no certificate. */
        assert_status(flow_tls_get_info(e.b, &info), FLOW_OK);
        assert_int_equal(info.verify_flags, FLOW_VERIFY_NOT_CHECKED);
        assert_false(info.verified);
        assert_null(info.peer_chain);
        assert_int_equal(info.peer_cert.len, 0);
        ends_close(&e);
        release();
    }
    guard_case(NULL);
}

/* Over an outer connection of TLS 1.2 on an inner one of TLS 1.3. */
static void
a_filter_passes_on_the_facts_of_the_outer_connection(void **state)
{
    static const uint16_t old[] = { 0xc02b };
    struct flow_tls_info info;
    struct flow *over, *raw[2];
    struct ends e;

    (void)state;
    configure();
    connect_as(&e, "server.example");
    assert_status(flow_prefix_wrap(e.a, "", 0, &over), FLOW_OK);
    e.a = over;
    assert_status(flow_tls_get_info(e.a, &info), FLOW_OK);
    assert_int_equal(info.version, FLOW_TLS_1_3);
    assert_string_equal(info.group_name, "x25519");
    assert_string_equal(info.server_name, "server.example");
    release();

    configure();
    assert_status(flow_tls_config_set_suites(client, old, 1), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e.a, "server.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e.b, 0, &e.b, NULL), FLOW_OK);
    assert_status(flow_tls_get_info(e.a, &info), FLOW_AGAIN);
    step_open(&e);
    assert_status(flow_prefix_wrap(e.a, "", 0, &over), FLOW_OK);
    e.a = over;
    assert_status(flow_tls_get_info(e.a, &info), FLOW_OK);
    assert_int_equal(info.version, FLOW_TLS_1_2);
    ends_close(&e);
    release();

    assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &raw[0], &raw[1]),
                  FLOW_OK);
    assert_status(flow_tls_get_info(raw[0], &info), FLOW_E_NOTSUP);
    flow_close(raw[0]);
    flow_close(raw[1]);
}

/* A backend of another release, say, whose struct has fewer members. */
static enum flow_status
answer_shorter_info(struct flow *f, enum flow_query_key key, void *buf,
                    size_t *len)
{
    static const uint32_t version = FLOW_TLS_1_3;

    (void)f;
    return key == (enum flow_query_key)FLOW_QUERY_TLS_INFO
               ? flow_answer(buf, len, &version, sizeof(version))
               : FLOW_E_NOTSUP;
}

static void
an_answer_of_another_length_is_not_taken_for_facts(void **state)
{
    struct flow_tls_info info;
    struct flow_ops other;
    struct flow *f[2];

    (void)state;
    assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &f[0], &f[1]), FLOW_OK);
    other = *f[0]->ops;
    other.query = answer_shorter_info;
    f[0]->ops = &other;
    assert_status(flow_tls_get_info(f[0], &info), FLOW_E_NOTSUP);
    flow_close(f[0]);
    flow_close(f[1]);
}

/* The client refuses the name of the certificate. */
static void
a_failed_handshake_has_no_facts(void **state)
{
    const struct flow_tls_info untouched = { .suite = 42 };
    struct flow_tls_info info = untouched;
    enum flow_status st = FLOW_AGAIN;
    struct ends e = { 0 };
    int step;

    (void)state;
    configure();
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e.a, "wrong.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e.b, 0, &e.b, NULL), FLOW_OK);
    for (step = 0; step < 100 && st == FLOW_AGAIN; step++) {
        st = flow_open(e.a);
        (void)!flow_open(e.b);
    }
    assert_status(st, FLOW_E_AUTH);
    assert_status(flow_tls_get_info(e.a, &info), FLOW_AGAIN);
    assert_status(flow_tls_get_info(e.b, &info), FLOW_AGAIN);
    assert_memory_equal(&info, &untouched, sizeof(info));
    ends_close(&e);
    release();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions_without_a_suite_are_left_out),
        TEST(failed_freeze_leaves_the_versions_unchanged),
        TEST(only_a_verified_peer_has_no_flags),
        TEST(a_filter_passes_on_the_facts_of_the_outer_connection),
        TEST(an_answer_of_another_length_is_not_taken_for_facts),
        TEST(a_failed_handshake_has_no_facts),
    };

    return TEST_RUN(tests);
}
