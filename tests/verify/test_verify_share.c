/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "pki.h"
#include "test.h"

/* A verifier that connections share. */

struct paths {
    unsigned count;
    size_t len;
    enum flow_status answer;
};

static enum flow_status
note_path(void *user, const struct flow_tls_verdict *verdict)
{
    struct paths *paths = user;

    paths->count++;
    paths->len = verdict->path_len;
    return paths->answer;
}

static struct flow_tls_config *
make_client(struct flow_tls_verifier *v)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_verifier(c, v, NULL), FLOW_OK);
    return c;
}

static struct flow_tls_config *
make_server(const char *chain, const char *key)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(c, pki(chain), pki(key),
                                                   NULL, NULL, NULL),
                  FLOW_OK);
    return c;
}

/* The status of the client, and the alert that the server received. */
static enum flow_status
connect_both(struct flow_tls_config *client, struct flow_tls_config *server,
             int *ret_alert)
{
    enum flow_status status[2] = { FLOW_AGAIN, FLOW_AGAIN };
    struct flow *below[2], *end[2];
    struct flow_error err;

    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &below[0], &below[1]),
                  FLOW_OK);
    assert_status(flow_tls_wrap_client(client, below[0], "server.example", 0,
                                       &end[0], NULL),
                  FLOW_OK);
    assert_status(flow_tls_wrap_server(server, below[1], 0, &end[1], NULL),
                  FLOW_OK);
    for (int i = 0; i < 20; i++)
        for (int side = 0; side < 2; side++)
            if (status[side] == FLOW_AGAIN)
                status[side] = flow_open(end[side]);
    flow_get_error(end[1], FLOW_READ, &err);
    *ret_alert = err.alert_received;
    flow_close(end[0]);
    flow_close(end[1]);
    return status[0];
}

static void
connections_share_a_verifier(void **state)
{
    struct paths paths = { .answer = FLOW_OK };
    struct flow_tls_config *c, *other, *server;
    struct flow_tls_verifier *v;
    int alert;

    (void)state;
    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_add_trust_file(v, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_verifier_set_minimum(v, 3072, 256, 256), FLOW_OK);
    assert_status(flow_tls_verifier_set_callback(v, note_path, &paths),
                  FLOW_OK);
    assert_status(flow_tls_config_set_verifier(c, v, NULL), FLOW_OK);
    flow_tls_verifier_unref(v);

    other = make_client(v);
    server = make_server("chain.pem", "chained.key");
    assert_status(connect_both(c, server, &alert), FLOW_OK);
    assert_int_equal(paths.count, 1);
    assert_int_equal(paths.len, 3);
    assert_status(connect_both(other, server, &alert), FLOW_OK);
    assert_int_equal(paths.count, 2);

    /* The verifier does not change; the answer of its callback may. */
    paths.answer = FLOW_E_AUTH;
    assert_status(connect_both(c, server, &alert), FLOW_E_AUTH);
    assert_int_equal(alert, 46);
    flow_tls_config_unref(server);

    server = make_server("rsa.pem", "rsa.key");
    paths.count = 0;
    assert_status(connect_both(c, server, &alert), FLOW_E_AUTH);
    assert_int_equal(alert, 42);
    assert_int_equal(paths.count, 0);
    flow_tls_config_unref(server);
    flow_tls_config_unref(c);
    flow_tls_config_unref(other);
}

/* Each connection gets its trust from one place. */
static void
trust_and_a_verifier_exclude_each_other(void **state)
{
    struct flow_tls_config *c, *server;
    struct flow_tls_verifier *v;
    struct flow_error err;
    int alert;

    (void)state;
    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    c = make_client(v);
    assert_status(flow_tls_config_add_trust_file(c, pki("ca.pem"), &err),
                  FLOW_E_INVAL);
    assert_non_null(strstr(err.text, "has a verifier"));
    assert_status(flow_tls_config_set_verifier(c, v, &err), FLOW_E_INVAL);
    /* It trusts nothing, and the system's store is not added. */
    server = make_server("p256.pem", "p256.key");
    assert_status(connect_both(c, server, &alert), FLOW_E_AUTH);
    assert_int_equal(alert, 48);
    assert_status(flow_tls_config_set_verifier(c, v, &err), FLOW_E_BUSY);
    assert_status(flow_tls_verifier_require_crl(v, true), FLOW_E_BUSY);
    assert_status(flow_tls_config_set_verifier(server, v, &err), FLOW_E_BUSY);
    flow_tls_config_unref(server);
    flow_tls_config_unref(c);

    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(c, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_verifier(c, v, &err), FLOW_E_INVAL);
    flow_tls_config_unref(c);
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_verifier(c, v, &err), FLOW_OK);
    assert_status(flow_tls_config_set_verifier(c, v, &err), FLOW_E_INVAL);
    assert_status(flow_tls_config_add_trust_file(c, pki("ca.pem"), &err),
                  FLOW_E_INVAL);
    flow_tls_config_unref(c);
    flow_tls_verifier_unref(v);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_share_a_verifier),
        TEST(trust_and_a_verifier_exclude_each_other),
    };

    return TEST_RUN(tests);
}
