/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/util.h>

#include "child.h"
#include "stacks.h"
#include "test.h"

/*
 * The tools of others at the other end of a TCP connection: openssl s_client
 * and s_server, gnutls-cli and gnutls-serv, curl.
 */

static struct flow_tls_config *config;
static struct flow_listener *listener;
static struct flow *tls;
static struct child child;
static char address[64]; /* 127.0.0.1:port */
static char port[16];
static char ca[256];

static uint64_t
soon(void)
{
    return TEST_ENV->now(TEST_ENV->ctx) +
           UINT64_C(1000000) * (CHILD_LIMIT - 5000);
}

static const char *
why(void)
{
    static char line[400];
    struct flow_error err;

    flow_get_error(tls, FLOW_READ, &err);
    (void)flow_error_format(&err, line, sizeof(line));
    return line;
}

static void
add_pair(const char *name)
{
    char chain[64], key[64];

    snprintf(chain, sizeof(chain), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    assert_status(flow_tls_config_add_keypair_file(config, pki(chain), pki(key),
                                                   NULL, NULL, NULL),
                  FLOW_OK);
}

/* --- we serve --- */

/* Settings may be changed until accept_tls(). */
static void
serve(const char *pair, int version)
{
    size_t len = sizeof(address);
    enum flow_tls_version v = (enum flow_tls_version)version;

    snprintf(ca, sizeof(ca), "%s", pki("ca.pem"));
    assert_status(flow_tls_config_new_server(TEST_ENV, &config, NULL), FLOW_OK);
    add_pair(pair);
    if (version != 0)
        assert_status(flow_tls_config_set_versions(config, v, v), FLOW_OK);
    assert_status(
        flow_tcp_listen(TEST_ENV, "127.0.0.1", 0, NULL, &listener, NULL),
        FLOW_OK);
    assert_status(
        flow_listener_query(listener, FLOW_QUERY_LOCAL_ADDRESS, address, &len),
        FLOW_OK);
    snprintf(port, sizeof(port), "%s", strrchr(address, ':') + 1);
}

/* What opening the next connection answers. */
static enum flow_status
accept_tls(void)
{
    struct flow *tcp;

    flow_listener_set_deadline(listener, soon());
    assert_status(flow_accept_wait(listener, &tcp), FLOW_OK);
    assert_status(flow_tls_wrap_server(config, tcp, 0, &tls), FLOW_OK);
    flow_set_deadline(tls, FLOW_READ | FLOW_WRITE, soon());
    return flow_open_wait(tls);
}

static void
end(void)
{
    flow_close(tls);
    flow_listener_close(listener);
    flow_tls_config_unref(config);
    child_kill(&child);
    tls = NULL;
    listener = NULL;
    config = NULL;
}

/* --- they serve --- */

/* The server that runs as child listens on port. */
static void
client_of(const char *at, int version)
{
    enum flow_tls_version v = (enum flow_tls_version)version;

    snprintf(port, sizeof(port), "%s", at);
    assert_status(flow_tls_config_new_client(TEST_ENV, &config, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(config, pki("ca.pem"), NULL),
                  FLOW_OK);
    if (version != 0)
        assert_status(flow_tls_config_set_versions(config, v, v), FLOW_OK);
}

static enum flow_status
dial_tls(void)
{
    struct flow *tcp;

    assert_status(flow_tcp_dial(TEST_ENV, "127.0.0.1",
                                (uint16_t)strtoul(port, NULL, 10), NULL, &tcp),
                  FLOW_OK);
    assert_status(flow_tls_wrap_client(config, tcp, "server.example", 0, &tls),
                  FLOW_OK);
    flow_set_deadline(tls, FLOW_READ | FLOW_WRITE, soon());
    return flow_open_wait(tls);
}

static void
must_open(enum flow_status st)
{
    if (st != FLOW_OK)
        fail_msg("%s; the tool said: %s", why(), child.text);
}

/* --- data --- */

static void
say(const char *text)
{
    size_t n;

    assert_status(flow_write_all(tls, text, strlen(text), &n), FLOW_OK);
    assert_status(flow_flush_wait(tls), FLOW_OK);
}

static void
hear(const char *text)
{
    char buf[256] = { 0 };
    size_t n;

    if (flow_read_exact(tls, buf, strlen(text), &n) != FLOW_OK)
        fail_msg("%s; the tool said: %s", why(), child.text);
    assert_string_equal(buf, text);
}

static void
hear_end(enum flow_status wanted)
{
    char buf[4096];
    size_t n;
    enum flow_status st;

    do
        st = flow_read_some(tls, buf, sizeof(buf), &n);
    while (st == FLOW_OK);
    assert_status(st, wanted);
}

/* Answer, end, and let the tool end. */
static void
say_bye(const char *text)
{
    say(text);
    assert_status(flow_shutdown_wait(tls, FLOW_WRITE), FLOW_OK);
}

static void
agreed(int version, unsigned suite)
{
    struct flow_tls_info info;

    assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
    assert_int_equal(info.version, version);
    assert_int_equal(info.suite, suite);
    assert_string_equal(info.server_name, "server.example");
}

/* --- openssl s_client --- */

#define ARGS 32

/* The usual arguments, then those of the test up to NULL. */
static void
s_client(const char *const more[])
{
    const char *argv[ARGS] = { "openssl",
                               "s_client",
                               "-connect",
                               address,
                               "-servername",
                               "server.example",
                               "-verify_hostname",
                               "server.example",
                               "-CAfile",
                               ca,
                               "-verify_return_error" };
    size_t n = 11;

    while (*more != NULL && n < ARGS - 1)
        argv[n++] = *more++;
    child_start(&child, NULL, argv);
}

struct suite {
    int version;
    unsigned number;
    const char *openssl;
    const char *gnutls; /* priority string behind the version's; NULL: none */
    const char *pair;
};

#define ECDSA "-KX-ALL:+ECDHE-ECDSA:-CIPHER-ALL:+"
#define RSA   "-KX-ALL:+ECDHE-RSA:-CIPHER-ALL:+"

static const struct suite suites[] = {
    { 0x0304, 0x1301, "TLS_AES_128_GCM_SHA256", "-CIPHER-ALL:+AES-128-GCM",
      "p256" },
    { 0x0304, 0x1302, "TLS_AES_256_GCM_SHA384", "-CIPHER-ALL:+AES-256-GCM",
      "p384" },
    { 0x0304, 0x1303, "TLS_CHACHA20_POLY1305_SHA256",
      "-CIPHER-ALL:+CHACHA20-POLY1305", "rsa" },
    { 0x0304, 0x1304, "TLS_AES_128_CCM_SHA256", "-CIPHER-ALL:+AES-128-CCM",
      "rsa" },
    { 0x0304, 0x1305, "TLS_AES_128_CCM_8_SHA256", "-CIPHER-ALL:+AES-128-CCM-8",
      "p256" },
    { 0x0303, 0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", ECDSA "AES-128-GCM",
      "p256" },
    { 0x0303, 0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", ECDSA "AES-256-GCM",
      "p384" },
    { 0x0303, 0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305",
      ECDSA "CHACHA20-POLY1305", "p256" },
    { 0x0303, 0xc0ac, "ECDHE-ECDSA-AES128-CCM", ECDSA "AES-128-CCM", "p256" },
    { 0x0303, 0xc0ad, "ECDHE-ECDSA-AES256-CCM", ECDSA "AES-256-CCM", "p384" },
    { 0x0303, 0xc0ae, "ECDHE-ECDSA-AES128-CCM8", ECDSA "AES-128-CCM-8",
      "p256" },
    { 0x0303, 0xc02f, "ECDHE-RSA-AES128-GCM-SHA256", RSA "AES-128-GCM", "rsa" },
    { 0x0303, 0xc030, "ECDHE-RSA-AES256-GCM-SHA384", RSA "AES-256-GCM", "rsa" },
    { 0x0303, 0xcca8, "ECDHE-RSA-CHACHA20-POLY1305", RSA "CHACHA20-POLY1305",
      "rsa" },
};

#define SUITES (sizeof(suites) / sizeof(suites[0]))

static void
offer(const struct suite *s)
{
    const uint16_t number = (uint16_t)s->number;

    assert_status(flow_tls_config_set_suites(config, &number, 1), FLOW_OK);
}

static void
s_client_with_every_suite(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < SUITES; i++) {
        const struct suite *s = &suites[i];

        guard_case(s->openssl);
        serve(s->pair, s->version);
        offer(s);
        s_client((const char *[]){
            "-quiet", s->version == 0x0304 ? "-tls1_3" : "-tls1_2",
            s->version == 0x0304 ? "-ciphersuites" : "-cipher", s->openssl,
            NULL });
        must_open(accept_tls());
        child_write(&child, "ping\n");
        hear("ping\n");
        agreed(s->version, s->number);
        say_bye("pong\n");
        assert_true(child_expect(&child, "pong"));
        assert_int_equal(child_wait(&child), 0);
        hear_end(FLOW_EOF);
        end();
    }
}

/* Both kinds of KeyUpdate, typed into a running s_client. */
static void
s_client_updates_its_keys(void **state)
{
    struct flow_tls_info info;

    (void)state;
    serve("p256", 0x0304);
    s_client((const char *[]){ "-tls1_3", NULL });
    must_open(accept_tls());
    child_write(&child, "one\n");
    hear("one\n");
    child_write(&child, "k\n");
    assert_true(child_expect(&child, "KEYUPDATE"));
    child_write(&child, "two\n");
    hear("two\n");
    child_write(&child, "K\n");
    child_write(&child, "three\n");
    hear("three\n");
    say("answered\n");
    assert_true(child_expect(&child, "answered"));
    assert_status(flow_control(tls, FLOW_CONTROL_REKEY, 1), FLOW_OK);
    say("ours\n");
    assert_true(child_expect(&child, "ours"));
    child_write(&child, "four\n");
    hear("four\n");
    assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
    /* k, K, and the answer to ours; our answer to K, and ours. */
    assert_int_equal(info.key_updates_received, 3);
    assert_int_equal(info.key_updates_sent, 2);
    child_write(&child, "Q\n");
    hear_end(FLOW_EOF);
    assert_int_equal(child_wait(&child), 0);
    end();
}

/* What s_client prints when we refuse. */
static void
refused_s_client(int version, const char *const more[], int alert,
                 const char *text)
{
    struct flow_error err;

    (void)version;
    s_client(more);
    assert_status(accept_tls(), FLOW_E_PROTO);
    flow_get_error(tls, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, alert);
    flow_close(tls);
    tls = NULL;
    if (!child_expect(&child, text))
        fail_msg("no \"%s\" in: %s", text, child.text);
    assert_int_not_equal(child_wait(&child), 0);
}

static void
s_client_is_refused_by_name(void **state)
{
    static const char *const protocols[] = { "h2" };
    const uint16_t p521[] = { FLOW_TLS_GROUP_P521 };

    (void)state;
    guard_case("ALPN");
    serve("p256", 0);
    assert_status(flow_tls_config_set_alpn(config, protocols, 1), FLOW_OK);
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
    assert_status(flow_tls_config_set_groups(config, p521, 1), FLOW_OK);
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
s_client_gets_a_retry(void **state)
{
    const uint16_t p384[] = { FLOW_TLS_GROUP_P384 };
    struct flow_tls_info info;

    (void)state;
    serve("p256", 0x0304);
    assert_status(flow_tls_config_set_groups(config, p384, 1), FLOW_OK);
    s_client((const char *[]){ "-quiet", "-groups", "X25519:P-384", NULL });
    must_open(accept_tls());
    child_write(&child, "ping\n");
    hear("ping\n");
    assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
    assert_int_equal(info.group, FLOW_TLS_GROUP_P384);
    say_bye("pong\n");
    assert_int_equal(child_wait(&child), 0);
    end();
}

/* The certificate that fits the name and what the client can check. */
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
          "subject=CN = p256", "server.example" },
        { "server.example", "-sigalgs", "RSA-PSS+SHA256", "subject=CN = rsa",
          "server.example" },
        { "SECOND.example", "-sigalgs", "ECDSA+SHA256", "subject=CN = second",
          "second.example" },
        { "a.wild.example", "-sigalgs", "ECDSA+SHA256", "subject=CN = wildcard",
          "*.wild.example" },
        { "elsewhere.example", "-sigalgs", "ECDSA+SHA256", "subject=CN = p256",
          "" },
    };
    struct flow_tls_info info;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *argv[] = { "openssl",
                               "s_client",
                               "-connect",
                               address,
                               "-servername",
                               rows[i].name,
                               rows[i].option,
                               rows[i].value,
                               "-CAfile",
                               ca,
                               NULL };

        guard_case(rows[i].name);
        serve("p256", 0);
        add_pair("rsa");
        add_pair("second");
        add_pair("wildcard");
        child_start(&child, NULL, argv);
        must_open(accept_tls());
        if (!child_expect(&child, rows[i].subject))
            fail_msg("no \"%s\" in: %s", rows[i].subject, child.text);
        assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
        assert_string_equal(info.matched_name, rows[i].matched);
        end();
    }
}

/* A tool that dies is no end; our dying is none to it. */
static void
cut_connections(void **state)
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
    child_write(&child, "ping\n");
    hear("ping\n");
    child_kill(&child);
    st = flow_read_some(tls, buf, sizeof(buf), &n);
    assert_status_in(st,
                     STATUS_BIT(FLOW_E_TRUNCATED) | STATUS_BIT(FLOW_E_RESET));
    end();
    guard_case("we go without a word");
    serve("p256", 0x0304);
    s_client((const char *[]){ "-quiet", NULL });
    must_open(accept_tls());
    assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
    flow_close(tls);
    tls = NULL;
    assert_true(child_expect(&child, "unexpected eof"));
    assert_int_not_equal(child_wait(&child), 0);
    end();
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
    child_start(&child, NULL, argv);
    if (!child_expect(&child, "ACCEPT 127.0.0.1:") ||
        !child_expect(&child, "\n"))
        fail_msg("no port in: %s", child.text);
    snprintf(at, sizeof(at), "%u", child_number(&child, "ACCEPT 127.0.0.1:"));
    snprintf(port, sizeof(port), "%s", at);
}

static void
s_server_with_every_suite(void **state)
{
    char at[16];
    size_t i;

    (void)state;
    for (i = 0; i < SUITES; i++) {
        const struct suite *s = &suites[i];

        guard_case(s->openssl);
        s_server(s->pair,
                 (const char *[]){ s->version == 0x0304 ? "-tls1_3" : "-tls1_2",
                                   s->version == 0x0304 ? "-ciphersuites"
                                                        : "-cipher",
                                   s->openssl, "-rev", NULL });
        memcpy(at, port, sizeof(at));
        client_of(at, s->version);
        offer(s);
        must_open(dial_tls());
        agreed(s->version, s->number);
        /* Tickets stand in front of what we read. */
        say("ping\n");
        hear("gnip\n");
        say_bye("last\n");
        end();
    }
}

static void
s_server_with_every_group(void **state)
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
            memcpy(at, port, sizeof(at));
            client_of(at, v);
            if (!groups[i].by_default)
                assert_status(
                    flow_tls_config_set_groups(config, &groups[i].number, 1),
                    FLOW_OK);
            /* Most of them by a HelloRetryRequest. */
            must_open(dial_tls());
            say("ping\n");
            hear("gnip\n");
            assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
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
    memcpy(at, port, sizeof(at));
    client_of(at, 0x0304);
    must_open(dial_tls());
    say("hello\n");
    assert_true(child_expect(&child, "hello"));
    child_write(&child, "k\n");
    child_write(&child, "one\n");
    hear("one\n");
    child_write(&child, "K\n");
    child_write(&child, "two\n");
    hear("two\n");
    say("answered\n");
    assert_true(child_expect(&child, "answered"));
    assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
    assert_int_equal(info.key_updates_received, 2);
    assert_int_equal(info.key_updates_sent, 1);
    end();
}

/* It may ask for a certificate; we have none. */
static void
s_server_asks_for_a_certificate(void **state)
{
    struct flow_error err;
    char at[16];
    int v;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        guard_case("it may be left out");
        s_server("p256", (const char *[]){ "-verify", "1", "-rev", NULL });
        memcpy(at, port, sizeof(at));
        client_of(at, v);
        must_open(dial_tls());
        say("ping\n");
        hear("gnip\n");
        end();
        guard_case("it may not");
        s_server("p256", (const char *[]){ "-Verify", "1", "-rev", NULL });
        memcpy(at, port, sizeof(at));
        client_of(at, v);
        if (dial_tls() == FLOW_OK)
            hear_end(FLOW_E_PROTO);
        flow_get_error(tls, FLOW_READ, &err);
        assert_int_equal(err.alert_received, v == 0x0304 ? 116 : 40);
        end();
    }
}

static void
s_server_is_killed(void **state)
{
    char at[16], buf[10];
    size_t n;

    (void)state;
    s_server("p256", (const char *[]){ "-rev", NULL });
    memcpy(at, port, sizeof(at));
    client_of(at, 0);
    must_open(dial_tls());
    say("ping\n");
    hear("gnip\n");
    child_kill(&child);
    assert_status_in(flow_read_some(tls, buf, sizeof(buf), &n),
                     STATUS_BIT(FLOW_E_TRUNCATED) | STATUS_BIT(FLOW_E_RESET));
    end();
}

/* --- GnuTLS --- */

#define PRIORITY13 "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
#define PRIORITY12 "NORMAL:-VERS-ALL:+VERS-TLS1.2:"

static bool
need(const char *program)
{
    if (child_exists(program))
        return true;
    print_message("skipped: there is no %s\n", program);
    return false;
}

static void
gnutls_cli(const char *priority, const char *const more[])
{
    const char *argv[ARGS] = { "gnutls-cli",
                               "--port",
                               port,
                               "--x509cafile",
                               ca,
                               "--sni-hostname=server.example",
                               "--verify-hostname=server.example",
                               "--priority",
                               priority };
    size_t n = 9;

    while (*more != NULL && n < ARGS - 2)
        argv[n++] = *more++;
    argv[n] = "127.0.0.1";
    child_start(&child, NULL, argv);
}

static void
gnutls_cli_with_every_suite(void **state)
{
    char priority[200];
    size_t i;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    for (i = 0; i < SUITES; i++) {
        const struct suite *s = &suites[i];

        snprintf(priority, sizeof(priority), "%s%s",
                 s->version == 0x0304 ? PRIORITY13 : PRIORITY12, s->gnutls);
        guard_case(priority);
        serve(s->pair, s->version);
        offer(s);
        gnutls_cli(priority, (const char *[]){ NULL });
        must_open(accept_tls());
        agreed(s->version, s->number);
        child_write(&child, "ping\n");
        hear("ping\n");
        /* Its end of input is close_notify; it reads on. */
        child_close_input(&child);
        hear_end(FLOW_EOF);
        say_bye("pong\n");
        assert_int_equal(child_wait(&child), 0);
        assert_non_null(strstr(child.text, "pong"));
        end();
    }
}

static void
gnutls_cli_with_every_group(void **state)
{
    static const struct {
        const char *name;
        uint16_t number;
    } groups[] = { { "X25519", FLOW_TLS_GROUP_X25519 },
                   { "SECP256R1", FLOW_TLS_GROUP_P256 },
                   { "SECP384R1", FLOW_TLS_GROUP_P384 },
                   { "SECP521R1", FLOW_TLS_GROUP_P521 } };
    const uint16_t all[] = { FLOW_TLS_GROUP_P521, FLOW_TLS_GROUP_P384,
                             FLOW_TLS_GROUP_P256, FLOW_TLS_GROUP_X25519 };
    struct flow_tls_info info;
    char priority[200];
    size_t i;
    int v;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    for (i = 0; i < 4; i++)
        for (v = 0x0303; v <= 0x0304; v++) {
            snprintf(priority, sizeof(priority), "%s-GROUP-ALL:+GROUP-%s",
                     v == 0x0304 ? PRIORITY13 : PRIORITY12, groups[i].name);
            guard_case(priority);
            serve("rsa", v);
            assert_status(flow_tls_config_set_groups(config, all, 4), FLOW_OK);
            gnutls_cli(priority, (const char *[]){ NULL });
            must_open(accept_tls());
            assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
            assert_int_equal(info.group, groups[i].number);
            child_close_input(&child);
            hear_end(FLOW_EOF);
            say_bye("pong\n");
            assert_int_equal(child_wait(&child), 0);
            end();
        }
}

static void
gnutls_cli_agrees_on_a_protocol(void **state)
{
    static const char *const ours[] = { "h2", "http/1.1" };
    struct flow_tls_info info;
    struct flow_error err;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    serve("p256", 0);
    assert_status(flow_tls_config_set_alpn(config, ours, 2), FLOW_OK);
    gnutls_cli("NORMAL", (const char *[]){ "--alpn=http/1.1", NULL });
    must_open(accept_tls());
    assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
    assert_string_equal(info.alpn, "http/1.1");
    assert_true(child_expect(&child, "Application protocol: http/1.1"));
    end();
    serve("p256", 0);
    assert_status(flow_tls_config_set_alpn(config, ours, 2), FLOW_OK);
    gnutls_cli("NORMAL", (const char *[]){ "--alpn=gopher", NULL });
    assert_status(accept_tls(), FLOW_E_PROTO);
    flow_get_error(tls, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 120);
    assert_true(child_expect(&child, "No supported application protocol"));
    end();
}

/* Old versions are refused as such. */
static void
gnutls_cli_of_old_versions(void **state)
{
    struct flow_error err;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    serve("rsa", 0);
    gnutls_cli("LEGACY:-VERS-ALL:+VERS-TLS1.1", (const char *[]){ NULL });
    assert_status(accept_tls(), FLOW_E_PROTO);
    flow_get_error(tls, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 70);
    assert_true(child_expect(&child, "protocol version"));
    end();
}

static void
gnutls_cli_updates_its_keys(void **state)
{
    struct flow_tls_info info;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    serve("p256", 0x0304);
    gnutls_cli("NORMAL:-VERS-ALL:+VERS-TLS1.3",
               (const char *[]){ "--inline-commands", NULL });
    must_open(accept_tls());
    child_write(&child, "one\n");
    hear("one\n");
    child_write(&child, "^rekey^\n");
    assert_true(child_expect(&child, "Rekey was completed"));
    child_write(&child, "two\n");
    hear("two\n");
    child_write(&child, "^rekey1^\n");
    child_write(&child, "three\n");
    hear("three\n");
    say("answered\n");
    assert_true(child_expect(&child, "answered"));
    assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
    assert_int_equal(info.key_updates_received, 2);
    assert_int_equal(info.key_updates_sent, 1);
    assert_status(flow_control(tls, FLOW_CONTROL_REKEY, 0), FLOW_OK);
    say("after ours\n");
    assert_true(child_expect(&child, "after ours"));
    end();
}

static void
gnutls_serv(const char *pair, const char *priority)
{
    char chain[64], key[64], chain_path[256], key_path[256];
    const char *argv[] = { "gnutls-serv",   "--port",         "0",
                           "--echo",        "--x509certfile", chain_path,
                           "--x509keyfile", key_path,         "--priority",
                           priority,        "--nocookie",     NULL };

    argv[10] = NULL;
    snprintf(chain, sizeof(chain), "%s.pem", pair);
    snprintf(key, sizeof(key), "%s.key", pair);
    snprintf(chain_path, sizeof(chain_path), "%s", pki(chain));
    snprintf(key_path, sizeof(key_path), "%s", pki(key));
    child_start(&child, NULL, argv);
    snprintf(port, sizeof(port), "%u", child_port(&child));
}

static void
gnutls_serv_with_every_suite(void **state)
{
    char priority[200], at[16];
    size_t i;

    (void)state;
    if (!need("gnutls-serv"))
        skip();
    for (i = 0; i < SUITES; i++) {
        const struct suite *s = &suites[i];

        snprintf(priority, sizeof(priority), "%s%s",
                 s->version == 0x0304 ? PRIORITY13 : PRIORITY12, s->gnutls);
        guard_case(priority);
        gnutls_serv(s->pair, priority);
        memcpy(at, port, sizeof(at));
        client_of(at, s->version);
        offer(s);
        must_open(dial_tls());
        agreed(s->version, s->number);
        say("ping\n");
        hear("ping\n");
        say_bye("last\n");
        hear("last\n");
        end();
    }
}

/* --- curl --- */

/* Ask for a page of the server named; more up to NULL. */
static void
curl(const char *name, const char *const more[])
{
    static char url[128], resolve[128];
    const char *argv[ARGS] = { "curl",      "-sS",   "--max-time", "15",
                               "--noproxy", "*",     "--cacert",   ca,
                               "--resolve", resolve, url };
    size_t n = 11;

    snprintf(url, sizeof(url), "https://%s:%s/", name, port);
    snprintf(resolve, sizeof(resolve), "%s:%s:127.0.0.1", name, port);
    while (*more != NULL && n < ARGS - 1)
        argv[n++] = *more++;
    child_start(&child, NULL, argv);
}

static void
curl_gets_a_page(void **state)
{
    static const struct {
        const char *name;
        const char *option;
        const char *value;
        int version;
        uint16_t group;
    } rows[] = {
        { "server.example", "--tlsv1.3", NULL, 0x0304, FLOW_TLS_GROUP_X25519 },
        { "server.example", "--tls-max", "1.2", 0x0303, FLOW_TLS_GROUP_X25519 },
        { "server.example", "--curves", "P-256", 0x0304, FLOW_TLS_GROUP_P256 },
        { "server.example", "--curves", "P-384", 0x0304, FLOW_TLS_GROUP_P384 },
        { "second.example", "--http1.1", NULL, 0x0304, FLOW_TLS_GROUP_X25519 },
        { "b.wild.example", "--http1.1", NULL, 0x0304, FLOW_TLS_GROUP_X25519 },
    };
    static const char *const protocols[] = { "http/1.1" };
    struct flow_tls_info info;
    size_t i;

    (void)state;
    if (!need("curl"))
        skip();
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        guard_case(rows[i].option);
        serve("p256", 0);
        add_pair("second");
        add_pair("wildcard");
        assert_status(flow_tls_config_set_alpn(config, protocols, 1), FLOW_OK);
        curl(rows[i].name,
             (const char *[]){ rows[i].option, rows[i].value, NULL });
        must_open(accept_tls());
        assert_status(flow_tls_get_info(tls, &info), FLOW_OK);
        assert_int_equal(info.version, rows[i].version);
        assert_int_equal(info.group, rows[i].group);
        assert_string_equal(info.alpn, "http/1.1");
        assert_string_equal(info.server_name, rows[i].name);
        hear("GET / HTTP/1.1\r\n");
        say_bye("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n"
                "Connection: close\r\n\r\nhello\n");
        assert_int_equal(child_wait(&child), 0);
        assert_string_equal(child.text, "hello\n");
        end();
    }
}

/* A body without a length ends with close_notify. */
static void
curl_sees_the_end(void **state)
{
    (void)state;
    if (!need("curl"))
        skip();
    serve("p256", 0);
    curl("server.example", (const char *[]){ NULL });
    must_open(accept_tls());
    say_bye("HTTP/1.1 200 OK\r\n\r\nall of it\n");
    assert_int_equal(child_wait(&child), 0);
    assert_string_equal(child.text, "all of it\n");
    end();
}

static void
curl_refuses_our_certificate(void **state)
{
    static const struct {
        const char *pair;
        int alert;
    } rows[] = { { "untrusted", 48 }, { "chained", 48 } };
    struct flow_error err;
    size_t i;

    (void)state;
    if (!need("curl"))
        skip();
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        guard_case(rows[i].pair);
        serve(rows[i].pair, 0);
        curl("server.example", (const char *[]){ NULL });
        if (accept_tls() == FLOW_OK)
            hear_end(FLOW_E_PROTO);
        flow_get_error(tls, FLOW_READ, &err);
        assert_int_equal(err.alert_received, rows[i].alert);
        assert_int_equal(child_wait(&child), 60);
        end();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(s_client_with_every_suite),
        TEST(s_client_updates_its_keys),
        TEST(s_client_is_refused_by_name),
        TEST(s_client_gets_a_retry),
        TEST(s_client_gets_the_right_certificate),
        TEST(cut_connections),
        TEST(s_server_with_every_suite),
        TEST(s_server_with_every_group),
        TEST(s_server_updates_its_keys),
        TEST(s_server_asks_for_a_certificate),
        TEST(s_server_is_killed),
        TEST(gnutls_cli_with_every_suite),
        TEST(gnutls_cli_with_every_group),
        TEST(gnutls_cli_agrees_on_a_protocol),
        TEST(gnutls_cli_of_old_versions),
        TEST(gnutls_cli_updates_its_keys),
        TEST(gnutls_serv_with_every_suite),
        TEST(curl_gets_a_page),
        TEST(curl_sees_the_end),
        TEST(curl_refuses_our_certificate),
    };

    return TEST_RUN(tests);
}
