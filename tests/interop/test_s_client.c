/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/tls_export.h>
#include <flow/util.h>

#include "pki.h"
#include "remote.h"
#include "stacks.h"
#include "test.h"

/* openssl s_client and s_server, with the options that users type. */

/* --- s_client --- */

/* The common arguments, then those of the test up to NULL. */
static void
s_client(const char *const more[])
{
    const char *argv[ARGS] = { "openssl",
                               "s_client",
                               "-connect",
                               remote.address,
                               "-servername",
                               "server.example",
                               "-verify_hostname",
                               "server.example",
                               "-CAfile",
                               remote.ca,
                               "-verify_return_error" };
    size_t n = 11;

    while (*more != NULL && n < ARGS - 1)
        argv[n++] = *more++;
    child_start(&remote.child, NULL, argv);
}

/* The options for one suite.  Newer versions refuse short tags unless the
 * security level is lowered in both lists of suites. */
static void
only_suite(const struct suite *s, const char *ret[5])
{
    static char list[80];

    snprintf(list, sizeof(list), "%s:@SECLEVEL=0",
             s->version == 0x0304 ? "ALL" : s->openssl);
    ret[0] = s->version == 0x0304 ? "-tls1_3" : "-tls1_2";
    ret[1] = "-cipher";
    ret[2] = list;
    ret[3] = "-ciphersuites";
    ret[4] = s->version == 0x0304 ? s->openssl : "TLS_AES_128_GCM_SHA256";
}

static void
s_client_connects_with_every_suite(void **state)
{
    const char *suite[5];
    size_t i;

    (void)state;
    for (i = 0; suites[i].number != 0; i++) {
        const struct suite *s = &suites[i];

        guard_case(s->openssl);
        serve(s->pair, s->version);
        offer(s);
        only_suite(s, suite);
        s_client((const char *[]){ "-quiet", suite[0], suite[1], suite[2],
                                   suite[3], suite[4], NULL });
        must_open(accept_tls());
        child_write(&remote.child, "ping\n");
        hear("ping\n");
        agreed(s->version, s->number);
        say_bye("pong\n");
        assert_true(child_expect(&remote.child, "pong"));
        assert_int_equal(child_wait(&remote.child), 0);
        hear_end(FLOW_EOF);
        end();
    }
}

/* The bytes that flow_tls_export() gives, as they were printed after a text. */
static void
prints_our_exporter(const char *text)
{
    uint8_t ours[32];
    const char *printed;

    assert_status(flow_tls_export(remote.tls, "EXPERIMENTAL", NULL, 0, ours,
                                  sizeof(ours)),
                  FLOW_OK);
    assert_true(child_expect(&remote.child, text));
    assert_true(child_expect(&remote.child, "---"));
    printed = strstr(remote.child.text, text);
    assert_non_null(printed);
    printed += strlen(text);
    for (size_t i = 0; i < sizeof(ours); i++) {
        unsigned byte;

        assert_int_equal(sscanf(printed + 2 * i, "%2x", &byte), 1);
        assert_int_equal(byte, ours[i]);
    }
}

static void
s_client_exports_what_we_export(void **state)
{
    (void)state;
    for (int v = 0x0303; v <= 0x0304; v++) {
        serve("p256", v);
        assert_status(flow_tls_config_add_exporter(remote.config,
                                                   "EXPERIMENTAL", NULL, 0, 32),
                      FLOW_OK);
        s_client((const char *[]){ "-keymatexport", "EXPERIMENTAL",
                                   "-keymatexportlen", "32", NULL });
        must_open(accept_tls());
        prints_our_exporter("Keying material: ");
        end();
    }
}

/* Both kinds of KeyUpdate, as commands to a running s_client. */
static void
s_client_updates_its_keys(void **state)
{
    struct flow_tls_info info;

    (void)state;
    serve("p256", 0x0304);
    s_client((const char *[]){ "-tls1_3", NULL });
    must_open(accept_tls());
    child_write(&remote.child, "one\n");
    hear("one\n");
    child_write(&remote.child, "k\n");
    assert_true(child_expect(&remote.child, "KEYUPDATE"));
    child_write(&remote.child, "two\n");
    hear("two\n");
    child_write(&remote.child, "K\n");
    child_write(&remote.child, "three\n");
    hear("three\n");
    say("answered\n");
    assert_true(child_expect(&remote.child, "answered"));
    assert_status(flow_control(remote.tls, FLOW_CONTROL_REKEY, 1), FLOW_OK);
    say("ours\n");
    assert_true(child_expect(&remote.child, "ours"));
    child_write(&remote.child, "four\n");
    hear("four\n");
    assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
    /* k, K, and the answer to ours; our answer to K, and our own. */
    assert_int_equal(info.key_updates_received, 3);
    assert_int_equal(info.key_updates_sent, 2);
    child_write(&remote.child, "Q\n");
    hear_end(FLOW_EOF);
    assert_int_equal(child_wait(&remote.child), 0);
    end();
}

/* The text that s_client prints when we refuse. */
static void
refused_s_client(int version, const char *const more[], int alert,
                 const char *text)
{
    struct flow_error err;

    (void)version;
    s_client(more);
    assert_status(accept_tls(), FLOW_E_PROTO);
    flow_get_error(remote.tls, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, alert);
    flow_close(remote.tls);
    remote.tls = NULL;
    if (!child_expect(&remote.child, text))
        fail_msg("no \"%s\" in: %s", text, remote.child.text);
    assert_int_not_equal(child_wait(&remote.child), 0);
}

static void
s_client_gets_named_alerts(void **state)
{
    static const char *const protocols[] = { "h2" };
    const uint16_t p521[] = { FLOW_TLS_GROUP_P521 };

    (void)state;
    guard_case("ALPN");
    serve("p256", 0);
    assert_status(flow_tls_config_set_alpn(remote.config, protocols, 1),
                  FLOW_OK);
    refused_s_client(0, (const char *[]){ "-alpn", "gopher,spdy/1", NULL }, 120,
                     "no application protocol");
    end();
    guard_case("fallback");
    serve("p256", 0);
    refused_s_client(0, (const char *[]){ "-tls1_2", "-fallback_scsv", NULL },
                     86, "inappropriate fallback");
    end();
    guard_case("version");
    serve("p256", 0x0304);
    refused_s_client(0, (const char *[]){ "-tls1_2", NULL }, 70,
                     "protocol version");
    end();
    guard_case("group");
    serve("p256", 0x0304);
    assert_status(flow_tls_config_set_groups(remote.config, p521, 1), FLOW_OK);
    refused_s_client(0, (const char *[]){ "-groups", "X25519:P-256", NULL }, 40,
                     "handshake failure");
    end();
    guard_case("signature algorithm");
    serve("p256", 0x0304);
    refused_s_client(0, (const char *[]){ "-sigalgs", "RSA-PSS+SHA256", NULL },
                     40, "handshake failure");
    end();
}

static void
s_client_answers_a_hello_retry_request(void **state)
{
    const uint16_t p384[] = { FLOW_TLS_GROUP_P384 };
    struct flow_tls_info info;

    (void)state;
    serve("p256", 0x0304);
    assert_status(flow_tls_config_set_groups(remote.config, p384, 1), FLOW_OK);
    s_client((const char *[]){ "-quiet", "-groups", "X25519:P-384", NULL });
    must_open(accept_tls());
    child_write(&remote.child, "ping\n");
    hear("ping\n");
    assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
    assert_int_equal(info.group, FLOW_TLS_GROUP_P384);
    say_bye("pong\n");
    assert_int_equal(child_wait(&remote.child), 0);
    end();
}

/* The certificate that matches the name and that the client can verify. */
static void
s_client_gets_the_right_certificate(void **state)
{
    static const struct {
        const char *name;
        const char *option;
        const char *value;
        const char *subject;
        const char *matched;
    } rows[] = {
        { "server.example", "-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256",
          "subject=CN=p256", "server.example" },
        { "server.example", "-sigalgs", "RSA-PSS+SHA256", "subject=CN=rsa",
          "server.example" },
        { "SECOND.example", "-sigalgs", "ECDSA+SHA256", "subject=CN=second",
          "second.example" },
        { "a.wild.example", "-sigalgs", "ECDSA+SHA256", "subject=CN=wildcard",
          "*.wild.example" },
        { "elsewhere.example", "-sigalgs", "ECDSA+SHA256", "subject=CN=p256",
          "" },
    };
    struct flow_tls_info info;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *argv[] = {
            "openssl",     "s_client",   "-connect",     remote.address,
            "-servername", rows[i].name, rows[i].option, rows[i].value,
            "-CAfile",     remote.ca,    "-nameopt",     "RFC2253",
            NULL
        };

        guard_case(rows[i].name);
        serve("p256", 0);
        add_pair("rsa");
        add_pair("second");
        add_pair("wildcard");
        child_start(&remote.child, NULL, argv);
        must_open(accept_tls());
        if (!child_expect(&remote.child, rows[i].subject))
            fail_msg("no \"%s\" in: %s", rows[i].subject, remote.child.text);
        assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
        assert_string_equal(info.matched_name, rows[i].matched);
        end();
    }
}

/* If a tool is killed, its connection has no orderly end, and neither has ours
 * for the tool if we abort. */
static void
cut_connection_is_truncated_on_either_side(void **state)
{
    struct flow_tls_info info;
    char buf[10];
    enum flow_status st;
    size_t n;

    (void)state;
    guard_case("s_client is killed");
    serve("p256", 0x0304);
    s_client((const char *[]){ "-quiet", NULL });
    must_open(accept_tls());
    child_write(&remote.child, "ping\n");
    hear("ping\n");
    child_kill(&remote.child);
    st = flow_read_wait(remote.tls, buf, sizeof(buf), &n);
    assert_status_in(st,
                     STATUS_BIT(FLOW_E_TRUNCATED) | STATUS_BIT(FLOW_E_RESET));
    end();
    guard_case("we close without close_notify");
    serve("p256", 0x0304);
    s_client((const char *[]){ "-quiet", NULL });
    must_open(accept_tls());
    assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
    flow_close(remote.tls);
    remote.tls = NULL;
    assert_true(child_expect(&remote.child, "unexpected eof"));
    assert_int_not_equal(child_wait(&remote.child), 0);
    end();
}

/* Each side pads what it sends. */
static void
s_client_pads_and_reads_padded_records(void **state)
{
    static const size_t blocks[] = { 2, 100, 512, 4096, 16384 };
    char line[300];

    (void)state;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        serve("p256", 0x0304);
        assert_status(flow_tls_config_set_padding(remote.config, blocks[i]),
                      FLOW_OK);
        s_client((const char *[]){ "-quiet", "-record_padding", "3000", NULL });
        must_open(accept_tls());
        for (size_t len = 1; len < 250; len += 13) {
            snprintf(line, sizeof(line), "%0*zu\n", (int)len, len);
            child_write(&remote.child, line);
            hear(line);
            say(line);
            assert_true(child_expect(&remote.child, line));
        }
        say_bye("last\n");
        assert_true(child_expect(&remote.child, "last"));
        assert_int_equal(child_wait(&remote.child), 0);
        hear_end(FLOW_EOF);
        end();
    }
}

/* --- openssl s_server --- */

static void
s_server(const char *pair, const char *const more[])
{
    char chain[64], key[64], chain_path[256], key_path[256];
    const char *argv[ARGS] = { "openssl", "s_server", "-accept", "127.0.0.1:0",
                               "-cert",   chain_path, "-key",    key_path };
    char at[16];
    size_t n = 8;

    snprintf(chain, sizeof(chain), "%s.pem", pair);
    snprintf(key, sizeof(key), "%s.key", pair);
    snprintf(chain_path, sizeof(chain_path), "%s", pki(chain));
    snprintf(key_path, sizeof(key_path), "%s", pki(key));
    while (*more != NULL && n < ARGS - 1)
        argv[n++] = *more++;
    child_start(&remote.child, NULL, argv);
    if (!child_expect(&remote.child, "ACCEPT 127.0.0.1:") ||
        !child_expect(&remote.child, "\n"))
        fail_msg("no port in: %s", remote.child.text);
    snprintf(at, sizeof(at), "%u",
             child_number(&remote.child, "ACCEPT 127.0.0.1:"));
    snprintf(remote.port, sizeof(remote.port), "%s", at);
}

static void
s_server_accepts_every_suite(void **state)
{
    const char *suite[5];
    char at[16];
    size_t i;

    (void)state;
    for (i = 0; suites[i].number != 0; i++) {
        const struct suite *s = &suites[i];

        guard_case(s->openssl);
        only_suite(s, suite);
        s_server(s->pair, (const char *[]){ suite[0], suite[1], suite[2],
                                            suite[3], suite[4], "-rev", NULL });
        memcpy(at, remote.port, sizeof(at));
        client_of(at, s->version);
        offer(s);
        must_open(dial_tls());
        agreed(s->version, s->number);
        /* Tickets precede the data that we read. */
        say("ping\n");
        hear("gnip\n");
        say_bye("last\n");
        end();
    }
}

static void
s_server_pads_and_reads_padded_records(void **state)
{
    static const size_t blocks[] = { 2, 100, 512, 4096, 16384 };
    char line[300], back[300], at[16];

    (void)state;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        s_server("p256", (const char *[]){ "-tls1_3", "-record_padding", "3000",
                                           "-rev", NULL });
        memcpy(at, remote.port, sizeof(at));
        client_of(at, 0x0304);
        assert_status(flow_tls_config_set_padding(remote.config, blocks[i]),
                      FLOW_OK);
        must_open(dial_tls());
        for (size_t len = 1; len < 250; len += 13) {
            snprintf(line, sizeof(line), "%0*zu\n", (int)len, len);
            for (size_t k = 0; k < len; k++)
                back[k] = line[len - 1 - k];
            memcpy(back + len, "\n", 2);
            say(line);
            hear(back);
        }
        say_bye("last\n");
        end();
    }
}

/* We offer both versions, and the server has only TLS 1.2. */
static void
s_server_with_only_tls12_is_accepted(void **state)
{
    static const char *const pairs[] = { "rsa", "p256" };
    char at[16];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        guard_case(pairs[i]);
        s_server(pairs[i], (const char *[]){ "-tls1_2", "-rev", NULL });
        memcpy(at, remote.port, sizeof(at));
        client_of(at, 0);
        must_open(dial_tls());
        say("ping\n");
        hear("gnip\n");
        say_bye("last\n");
        end();
    }
}

static void
s_server_accepts_every_group(void **state)
{
    static const struct {
        const char *name;
        uint16_t number;
        bool by_default;
    } groups[] = { { "X25519", FLOW_TLS_GROUP_X25519, true },
                   { "P-256", FLOW_TLS_GROUP_P256, true },
                   { "P-384", FLOW_TLS_GROUP_P384, true },
                   { "P-521", FLOW_TLS_GROUP_P521, false } };
    struct flow_tls_info info;
    char at[16];
    size_t i;
    int v;

    (void)state;
    for (i = 0; i < 4; i++)
        for (v = 0x0303; v <= 0x0304; v++) {
            guard_case(groups[i].name);
            s_server("rsa", (const char *[]){ "-rev", "-groups", groups[i].name,
                                              NULL });
            memcpy(at, remote.port, sizeof(at));
            client_of(at, v);
            if (!groups[i].by_default)
                assert_status(flow_tls_config_set_groups(remote.config,
                                                         &groups[i].number, 1),
                              FLOW_OK);
            /* Most of them need a HelloRetryRequest. */
            must_open(dial_tls());
            say("ping\n");
            hear("gnip\n");
            assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
            assert_int_equal(info.group, groups[i].number);
            end();
        }
}

static void
s_server_updates_its_keys(void **state)
{
    struct flow_tls_info info;
    char at[16];

    (void)state;
    s_server("p256", (const char *[]){ "-tls1_3", NULL });
    memcpy(at, remote.port, sizeof(at));
    client_of(at, 0x0304);
    must_open(dial_tls());
    say("hello\n");
    assert_true(child_expect(&remote.child, "hello"));
    child_write(&remote.child, "k\n");
    child_write(&remote.child, "one\n");
    hear("one\n");
    child_write(&remote.child, "K\n");
    child_write(&remote.child, "two\n");
    hear("two\n");
    say("answered\n");
    assert_true(child_expect(&remote.child, "answered"));
    assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
    assert_int_equal(info.key_updates_received, 2);
    assert_int_equal(info.key_updates_sent, 1);
    end();
}

/* The server may request a certificate; we have none. */
static void
s_server_may_request_a_certificate(void **state)
{
    struct flow_error err;
    char at[16];
    int v;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        guard_case("a certificate is optional");
        s_server("p256", (const char *[]){ "-verify", "1", "-rev", NULL });
        memcpy(at, remote.port, sizeof(at));
        client_of(at, v);
        must_open(dial_tls());
        say("ping\n");
        hear("gnip\n");
        end();
        guard_case("a certificate is required");
        s_server("p256", (const char *[]){ "-Verify", "1", "-rev", NULL });
        memcpy(at, remote.port, sizeof(at));
        client_of(at, v);
        if (dial_tls() == FLOW_OK)
            hear_end(FLOW_E_PROTO);
        flow_get_error(remote.tls, FLOW_READ, &err);
        assert_int_equal(err.alert_received, v == 0x0304 ? 116 : 40);
        end();
    }
}

static void
killed_s_server_is_not_an_orderly_end(void **state)
{
    char at[16], buf[10];
    size_t n;

    (void)state;
    s_server("p256", (const char *[]){ "-rev", NULL });
    memcpy(at, remote.port, sizeof(at));
    client_of(at, 0);
    must_open(dial_tls());
    say("ping\n");
    hear("gnip\n");
    child_kill(&remote.child);
    assert_status_in(flow_read_wait(remote.tls, buf, sizeof(buf), &n),
                     STATUS_BIT(FLOW_E_TRUNCATED) | STATUS_BIT(FLOW_E_RESET));
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(s_client_connects_with_every_suite),
        TEST(s_client_exports_what_we_export),
        TEST(s_client_updates_its_keys),
        TEST(s_client_gets_named_alerts),
        TEST(s_client_answers_a_hello_retry_request),
        TEST(s_client_gets_the_right_certificate),
        TEST(cut_connection_is_truncated_on_either_side),
        TEST(s_client_pads_and_reads_padded_records),
        TEST(s_server_accepts_every_suite),
        TEST(s_server_pads_and_reads_padded_records),
        TEST(s_server_with_only_tls12_is_accepted),
        TEST(s_server_accepts_every_group),
        TEST(s_server_updates_its_keys),
        TEST(s_server_may_request_a_certificate),
        TEST(killed_s_server_is_not_an_orderly_end),
    };

    return TEST_RUN(tests);
}
