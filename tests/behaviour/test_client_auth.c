/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_sni.h>
#include <flow/util.h>

#include "pki.h"
#include "step.h"

/*
 * Certificates of clients between two of our own: two connections of one
 * configuration at once, whose entries ask for different things, kinds of keys
 * and hashes of TLS 1.2, a callback about the chain, settings that must not
 * switch the verification off, and a peer that goes silent.
 */

static struct flow_tls_config *client, *server;

static void
own(struct flow_tls_config *c, const char *chain, const char *key)
{
    struct flow_error err;

    if (flow_tls_config_add_keypair_file(c, pki(chain), pki(key), NULL, NULL,
                                         &err) != FLOW_OK)
        fail_msg("%s (%s)", err.text, err.detail);
}

static void
begin(void)
{
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
                  FLOW_OK);
}

static void
require(void)
{
    own(server, "p256.pem", "p256.key");
    assert_status(flow_tls_config_add_trust_file(server, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(
        flow_tls_config_set_client_auth(server, FLOW_TLS_CLIENT_AUTH_REQUIRED),
        FLOW_OK);
}

static void
end(void)
{
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
}

static void
wrap(struct ends *e, const char *name)
{
    struct flow_error err;

    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e->a, &e->b), FLOW_OK);
    assert_status(flow_tls_wrap_client(client, e->a, name, 0, &e->a, NULL),
                  FLOW_OK);
    if (flow_tls_wrap_server(server, e->b, 0, &e->b, &err) != FLOW_OK)
        fail_msg("%s (%s)", err.text, err.detail);
}

static void
is_client(struct flow *f, const char *entry, uint32_t flags,
          const char *subject)
{
    char text[FLOW_ERROR_DETAIL] = "?";
    struct flow_tls_info info;

    assert_status(flow_tls_get_info(f, &info), FLOW_OK);
    assert_string_equal(info.entry, entry);
    assert_int_equal(info.verify_flags, flags);
    assert_status(flow_tls_get_peer_subject(f, text, sizeof(text)),
                  flags == 0 ? FLOW_OK : FLOW_E_AUTH);
    assert_string_equal(text, flags == 0 ? subject : "?");
    if (flags != 0)
        return;
    /* It is not cut off. */
    memset(text, '?', sizeof(text));
    assert_status(flow_tls_get_peer_subject(f, text, strlen(subject)),
                  FLOW_E_INVAL);
    assert_int_equal(text[0], '?');
    assert_status(flow_tls_get_peer_subject(f, text, strlen(subject) + 1),
                  FLOW_OK);
    assert_string_equal(text, subject);
}

static void
serve_two_entries(void)
{
    static const char *const cert[] = { "@cert" };
    static const char *const files[][2] = { { "p256.pem", "p256.key" },
                                            { "second.pem", "second.key" } };
    const struct flow_tls_sni_entry entries[] = {
        { .id = "open",
          .patterns = cert,
          .pattern_count = 1,
          .flags = FLOW_TLS_SNI_IS_DEFAULT },
        { .id = "closed",
          .patterns = cert,
          .pattern_count = 1,
          .client_auth = FLOW_TLS_CLIENT_AUTH_REQUIRED },
    };
    struct flow_tls_sni *s;
    size_t index;

    assert_status(flow_tls_sni_new(TEST_ENV, &s, NULL), FLOW_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_status(flow_tls_sni_add_entry(s, &entries[i], &index, NULL),
                      FLOW_OK);
        assert_status(flow_tls_sni_add_keypair_file(s, index, pki(files[i][0]),
                                                    pki(files[i][1]), NULL,
                                                    NULL, NULL),
                      FLOW_OK);
    }
    assert_status(flow_tls_config_add_trust_file(server, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_sni(server, s, NULL), FLOW_OK);
    flow_tls_sni_unref(s);
}

/* The trust of the configuration is that of the entry which asks. */
static void
two_connections_of_one_configuration(void **state)
{
    struct ends open, closed;

    (void)state;
    begin();
    own(client, "p384.pem", "p384.key");
    serve_two_entries();
    wrap(&open, "server.example");
    wrap(&closed, "second.example");
    for (int i = 0; i < 20; i++) {
        (void)!flow_open(open.a);
        (void)!flow_open(closed.a);
        (void)!flow_open(closed.b);
        (void)!flow_open(open.b);
    }
    is_client(open.b, "open", FLOW_VERIFY_NOT_CHECKED, NULL);
    is_client(closed.b, "closed", 0, "CN=p384");
    step_pass(&open, open.a, 1000, 1);
    step_pass(&closed, closed.a, 1000, 1);
    ends_close(&open);
    ends_close(&closed);
    end();
}

/* Each kind of key with each suite of TLS 1.2, whose hash mbedTLS signs with,
 * and in TLS 1.3. */
static void
kinds_of_keys_and_suites(void **state)
{
    static const uint16_t suites[] = { 0xc02b, 0xc02c, 0xcca9,
                                       0x1301, 0x1302, 0x1303 };
    static const char *const files[][3] = {
        { "p256.pem", "p256.key", "CN=p256" },
        { "p384.pem", "p384.key", "CN=p384" },
        { "rsa.pem", "rsa.key", "CN=rsa" },
        { "chain.pem", "chained.key", "CN=chained" },
    };

    (void)state;
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 4; k++) {
            struct ends e;

            guard_case(files[k][0]);
            begin();
            require();
            own(client, files[k][0], files[k][1]);
            assert_status(flow_tls_config_set_suites(client, &suites[i], 1),
                          FLOW_OK);
            wrap(&e, "server.example");
            step_open(&e);
            is_client(e.b, "pair 1", 0, files[k][2]);
            step_pass(&e, e.a, 1000, 1);
            ends_close(&e);
            end();
        }
    guard_case(NULL);
}

/* The server trusts the issuer of the client's certificate, and the client
 * sends that one's issuers too.  mbedTLS as a system has it verifies them
 * again, and takes eight intermediates. */
static void
certificates_above_the_trusted_one(void **state)
{
    static const enum flow_tls_version versions[] = { FLOW_TLS_1_2,
                                                      FLOW_TLS_1_3 };

    (void)state;
    if (TEST_ENGINE_REFUSES)
        skip();
    for (size_t i = 0; i < 2; i++) {
        struct ends e;

        begin();
        own(server, "p256.pem", "p256.key");
        assert_status(
            flow_tls_config_add_trust_file(server, pki("deep9.pem"), NULL),
            FLOW_OK);
        assert_status(flow_tls_config_set_client_auth(
                          server, FLOW_TLS_CLIENT_AUTH_REQUIRED),
                      FLOW_OK);
        own(client, "deepchain.pem", "deep.key");
        assert_status(
            flow_tls_config_set_versions(client, versions[i], versions[i]),
            FLOW_OK);
        wrap(&e, "server.example");
        step_open(&e);
        is_client(e.b, "pair 1", 0, "CN=deep");
        ends_close(&e);
        end();
    }
}

static enum flow_status
refused_by(struct ends *e)
{
    enum flow_status st = FLOW_AGAIN;

    for (int i = 0; i < 100 && st == FLOW_AGAIN; i++) {
        (void)!flow_open(e->a);
        st = flow_open(e->b);
    }
    return st;
}

static enum flow_status
reject_it(void *user, const struct flow_tls_verdict *verdict)
{
    unsigned *asked = user;

    ++*asked;
    assert_int_equal(verdict->path_len, 2);
    return FLOW_E_AUTH;
}

static void
a_callback_sees_the_chain_and_may_reject_it(void **state)
{
    struct flow_tls_verifier *v;
    struct flow_error err;
    unsigned asked = 0;
    struct ends e;

    (void)state;
    begin();
    own(client, "p384.pem", "p384.key");
    own(server, "p256.pem", "p256.key");
    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_add_trust_file(v, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_verifier_set_callback(v, reject_it, &asked),
                  FLOW_OK);
    assert_status(flow_tls_config_set_verifier(server, v, NULL), FLOW_OK);
    flow_tls_verifier_unref(v);
    assert_status(
        flow_tls_config_set_client_auth(server, FLOW_TLS_CLIENT_AUTH_OPTIONAL),
        FLOW_OK);
    wrap(&e, "server.example");
    assert_status(refused_by(&e), FLOW_E_AUTH);
    assert_int_equal(asked, 1);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_non_null(strstr(err.text, "rejected by the application"));
    assert_string_equal(err.detail, "CN=p384");
    ends_close(&e);
    end();
}

/* The insecure settings are those of clients. */
static void
a_server_never_skips_it(void **state)
{
    struct flow_error err;
    struct ends e;

    (void)state;
    begin();
    require();
    assert_status(flow_tls_config_insecure_skip_verify(server, true), FLOW_OK);
    assert_status(flow_tls_config_insecure_skip_name(server, true), FLOW_OK);
    own(client, "untrusted.pem", "untrusted.key");
    assert_status(flow_tls_config_limit_ca_list(server, 0), FLOW_OK);
    wrap(&e, "server.example");
    assert_status(refused_by(&e), FLOW_E_AUTH);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_int_equal(err.verify_flags, FLOW_VERIFY_NOT_TRUSTED);
    ends_close(&e);
    end();
}

/* A client that was asked and says no more costs no longer than any other. */
static void
a_silent_client_times_out(void **state)
{
    struct ends e;

    (void)state;
    begin();
    require();
    assert_status(flow_tls_config_set_handshake_limits(server, 50000000, 0),
                  FLOW_OK);
    wrap(&e, "server.example");
    assert_status(flow_open(e.a), FLOW_AGAIN);
    assert_status(flow_open(e.b), FLOW_AGAIN);
    assert_status(flow_open_wait(e.b), FLOW_E_TIMEOUT);
    ends_close(&e);
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_connections_of_one_configuration),
        TEST(kinds_of_keys_and_suites),
        TEST(certificates_above_the_trusted_one),
        TEST(a_callback_sees_the_chain_and_may_reject_it),
        TEST(a_server_never_skips_it),
        TEST(a_silent_client_times_out),
    };

    return TEST_RUN(tests);
}
