/* SPDX-License-Identifier: ISC */
#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_session.h>
#include <flow/tls_verify.h>

#include "pki.h"
#include "step.h"

/*
 * A client's sessions and a verifier that changes its mind: the callback is
 * asked about the chain of a session before the session is offered.
 */

static bool is_revoked;
static unsigned asked;

static enum flow_status
decide(void *user, const struct flow_tls_verdict *verdict)
{
    (void)user;
    asked += verdict->path_len > 0;
    return is_revoked ? FLOW_E_AUTH : FLOW_OK;
}

static struct flow_tls_config *
make_server(enum flow_tls_version version)
{
    struct flow_tls_tickets *tickets;
    struct flow_tls_config *c;

    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_versions(c, version, version), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(
                      c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_tickets(c, tickets, 0, NULL), FLOW_OK);
    flow_tls_tickets_unref(tickets);
    return c;
}

static struct flow_tls_config *
make_client(enum flow_tls_version version)
{
    struct flow_tls_sessions *sessions;
    struct flow_tls_verifier *v;
    struct flow_tls_config *c;

    assert_status(flow_tls_sessions_new(TEST_ENV, &sessions, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_add_trust_file(v, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_verifier_set_callback(v, decide, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_versions(c, version, version), FLOW_OK);
    assert_status(flow_tls_config_set_verifier(c, v, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_sessions(c, sessions, 4, NULL), FLOW_OK);
    flow_tls_verifier_unref(v);
    flow_tls_sessions_unref(sessions);
    return c;
}

/* A connection; the status of the client. */
static enum flow_status
connect_once(struct flow_tls_config *client, struct flow_tls_config *server,
             bool *ret_resumed)
{
    enum flow_status st = FLOW_AGAIN;
    struct flow_tls_info info;
    struct ends e = { 0 };
    uint8_t byte;
    size_t n;

    *ret_resumed = false;
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e.a, "server.example", 0, &e.a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e.b, 0, &e.b, NULL), FLOW_OK);
    for (int i = 0; i < 20; i++) {
        if (st == FLOW_AGAIN)
            st = flow_open(e.a);
        (void)!flow_open(e.b);
    }
    if (st == FLOW_OK) {
        assert_status(flow_tls_get_info(e.a, &info), FLOW_OK);
        *ret_resumed = info.resumed;
        /* Tickets of TLS 1.3 come with the data. */
        step_pass(&e, e.b, 100, 1);
        assert_status(flow_read(e.a, &byte, 1, &n), FLOW_AGAIN);
    }
    ends_close(&e);
    return st;
}

static void
check(enum flow_tls_version version)
{
    struct flow_tls_config *server = make_server(version);
    struct flow_tls_config *client = make_client(version);
    bool resumed;

    /* A handshake under valgrind on a loaded machine can take longer than its
     * limit of 10 s, and its tickets come later than a client waits. */
    test_env_stop_clock();
    is_revoked = false;
    asked = 0;
    assert_status(connect_once(client, server, &resumed), FLOW_OK);
    assert_false(resumed);
    assert_int_equal(asked, 1);
    assert_status(connect_once(client, server, &resumed), FLOW_OK);
    assert_true(resumed);
    assert_int_equal(asked, 2);
    is_revoked = true;
    assert_status(connect_once(client, server, &resumed), FLOW_E_AUTH);
    flow_tls_config_unref(server);
    flow_tls_config_unref(client);
}

static void
tls12(void **state)
{
    (void)state;
    check(FLOW_TLS_1_2);
}

static void
tls13(void **state)
{
    (void)state;
    check(FLOW_TLS_1_3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tls12),
        TEST(tls13),
    };

    return TEST_RUN(tests);
}
