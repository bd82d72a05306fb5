/* SPDX-License-Identifier: ISC */
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flow/tls_export.h>
#include <flow/util.h>

#include "pki.h"
#include "remote.h"
#include "stacks.h"
#include "test.h"

/* gnutls-cli, gnutls-serv and curl, with the options that users type. */

/* --- GnuTLS --- */

#define PRIORITY13 "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
#define PRIORITY12 "NORMAL:-VERS-ALL:+VERS-TLS1.2:"

static void
gnutls_cli(const char *priority, const char *const more[])
{
    const char *argv[ARGS] = { "gnutls-cli",
                               "--port",
                               remote.port,
                               "--x509cafile",
                               remote.ca,
                               "--sni-hostname=server.example",
                               "--verify-hostname=server.example",
                               "--priority",
                               priority };
    size_t n = 9;

    while (*more != NULL && n < ARGS - 2)
        argv[n++] = *more++;
    argv[n] = "127.0.0.1";
    child_start(&remote.child, NULL, argv);
}

static void
gnutls_cli_connects_with_every_suite(void **state)
{
    char priority[200];
    size_t i;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    for (i = 0; suites[i].number != 0; i++) {
        const struct suite *s = &suites[i];

        snprintf(priority, sizeof(priority), "%s%s",
                 s->version == 0x0304 ? PRIORITY13 : PRIORITY12, s->gnutls);
        guard_case(priority);
        serve(s->pair, s->version);
        offer(s);
        gnutls_cli(priority, (const char *[]){ NULL });
        must_open(accept_tls());
        agreed(s->version, s->number);
        child_write(&remote.child, "ping\n");
        hear("ping\n");
        /* At the end of its input it sends close_notify, and it reads on. */
        child_close_input(&remote.child);
        hear_end(FLOW_EOF);
        say_bye("pong\n");
        assert_int_equal(child_wait(&remote.child), 0);
        assert_non_null(strstr(remote.child.text, "pong"));
        end();
    }
}

static void
gnutls_cli_connects_with_every_group(void **state)
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
            assert_status(flow_tls_config_set_groups(remote.config, all, 4),
                          FLOW_OK);
            gnutls_cli(priority, (const char *[]){ NULL });
            must_open(accept_tls());
            assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
            assert_int_equal(info.group, groups[i].number);
            child_close_input(&remote.child);
            hear_end(FLOW_EOF);
            say_bye("pong\n");
            assert_int_equal(child_wait(&remote.child), 0);
            end();
        }
}

static void
gnutls_cli_exports_what_we_export(void **state)
{
    static const char text[] = "Key material: ";
    uint8_t ours[32];
    char hex[2 * sizeof(ours) + 1];

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    for (int v = 0x0303; v <= 0x0304; v++) {
        serve("p256", v);
        assert_status(flow_tls_config_add_exporter(
                          remote.config, "EXPERIMENTAL", NULL, 0, sizeof(ours)),
                      FLOW_OK);
        gnutls_cli(v == 0x0304 ? PRIORITY13 "+AES-128-GCM"
                               : PRIORITY12 "+AES-128-GCM",
                   (const char *[]){ "--keymatexport=EXPERIMENTAL",
                                     "--keymatexportsize=32", NULL });
        must_open(accept_tls());
        assert_status(flow_tls_export(remote.tls, "EXPERIMENTAL", NULL, 0, ours,
                                      sizeof(ours)),
                      FLOW_OK);
        for (size_t i = 0; i < sizeof(ours); i++)
            snprintf(hex + 2 * i, 3, "%02x", ours[i]);
        assert_true(child_expect(&remote.child, text));
        assert_true(child_expect(&remote.child, hex));
        end();
    }
}

static void
gnutls_cli_negotiates_alpn(void **state)
{
    static const char *const ours[] = { "h2", "http/1.1" };
    struct flow_tls_info info;
    struct flow_error err;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    serve("p256", 0);
    assert_status(flow_tls_config_set_alpn(remote.config, ours, 2), FLOW_OK);
    gnutls_cli("NORMAL", (const char *[]){ "--alpn=http/1.1", NULL });
    must_open(accept_tls());
    assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
    assert_string_equal(info.alpn, "http/1.1");
    assert_true(child_expect(&remote.child, "Application protocol: http/1.1"));
    end();
    serve("p256", 0);
    assert_status(flow_tls_config_set_alpn(remote.config, ours, 2), FLOW_OK);
    gnutls_cli("NORMAL", (const char *[]){ "--alpn=gopher", NULL });
    assert_status(accept_tls(), FLOW_E_PROTO);
    flow_get_error(remote.tls, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 120);
    assert_true(
        child_expect(&remote.child, "No supported application protocol"));
    end();
}

/* A peer with old versions only is refused with protocol_version. */
static void
gnutls_cli_with_old_versions_is_refused(void **state)
{
    struct flow_error err;

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    serve("rsa", 0);
    gnutls_cli("LEGACY:-VERS-ALL:+VERS-TLS1.1", (const char *[]){ NULL });
    assert_status(accept_tls(), FLOW_E_PROTO);
    flow_get_error(remote.tls, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 70);
    assert_true(child_expect(&remote.child, "protocol version"));
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
    child_write(&remote.child, "one\n");
    hear("one\n");
    child_write(&remote.child, "^rekey^\n");
    assert_true(child_expect(&remote.child, "Rekey was completed"));
    child_write(&remote.child, "two\n");
    hear("two\n");
    child_write(&remote.child, "^rekey1^\n");
    child_write(&remote.child, "three\n");
    hear("three\n");
    say("answered\n");
    assert_true(child_expect(&remote.child, "answered"));
    assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
    assert_int_equal(info.key_updates_received, 2);
    assert_int_equal(info.key_updates_sent, 1);
    assert_status(flow_control(remote.tls, FLOW_CONTROL_REKEY, 0), FLOW_OK);
    say("after ours\n");
    assert_true(child_expect(&remote.child, "after ours"));
    end();
}

static void
gnutls_cli_reads_padded_records(void **state)
{
    static const size_t blocks[] = { 2, 100, 512, 4096, 16384 };
    char line[800], end_of_line[32];

    (void)state;
    if (!need("gnutls-cli"))
        skip();
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        serve("p256", 0x0304);
        assert_status(flow_tls_config_set_padding(remote.config, blocks[i]),
                      FLOW_OK);
        gnutls_cli("NORMAL:-VERS-ALL:+VERS-TLS1.3", (const char *[]){ NULL });
        must_open(accept_tls());
        for (size_t len = 1; len < 700; len += 37) {
            memset(line, 'p', len);
            snprintf(end_of_line, sizeof(end_of_line), "%zu bytes\n", len);
            memcpy(line + len, end_of_line, strlen(end_of_line) + 1);
            say(line);
            assert_true(child_expect(&remote.child, end_of_line));
        }
        child_write(&remote.child, "one\n");
        hear("one\n");
        child_close_input(&remote.child);
        hear_end(FLOW_EOF);
        say_bye("last\n");
        assert_int_equal(child_wait(&remote.child), 0);
        assert_non_null(strstr(remote.child.text, "last"));
        end();
    }
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
    child_start(&remote.child, NULL, argv);
    snprintf(remote.port, sizeof(remote.port), "%u", child_port(&remote.child));
}

static void
gnutls_serv_accepts_every_suite(void **state)
{
    char priority[200], at[16];
    size_t i;

    (void)state;
    if (!need("gnutls-serv"))
        skip();
    for (i = 0; suites[i].number != 0; i++) {
        const struct suite *s = &suites[i];

        snprintf(priority, sizeof(priority), "%s%s",
                 s->version == 0x0304 ? PRIORITY13 : PRIORITY12, s->gnutls);
        guard_case(priority);
        gnutls_serv(s->pair, priority);
        memcpy(at, remote.port, sizeof(at));
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

static void
gnutls_serv_reads_padded_records(void **state)
{
    static const size_t blocks[] = { 2, 100, 512, 4096, 16384 };
    char line[300], at[16];

    (void)state;
    if (!need("gnutls-serv"))
        skip();
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        gnutls_serv("p256", "NORMAL:-VERS-ALL:+VERS-TLS1.3");
        memcpy(at, remote.port, sizeof(at));
        client_of(at, 0x0304);
        assert_status(flow_tls_config_set_padding(remote.config, blocks[i]),
                      FLOW_OK);
        must_open(dial_tls());
        for (size_t len = 1; len < 250; len += 13) {
            memset(line, 'p', len);
            memcpy(line + len, "\n", 2);
            say(line);
            hear(line);
        }
        say_bye("last\n");
        hear("last\n");
        end();
    }
}

/* We offer both versions, and the server has only TLS 1.2. */
static void
gnutls_serv_with_only_tls12_is_accepted(void **state)
{
    static const char *const pairs[] = { "rsa", "p256" };
    char at[16];
    size_t i;

    (void)state;
    if (!need("gnutls-serv"))
        skip();
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        guard_case(pairs[i]);
        gnutls_serv(pairs[i], "NORMAL:-VERS-ALL:+VERS-TLS1.2");
        memcpy(at, remote.port, sizeof(at));
        client_of(at, 0);
        must_open(dial_tls());
        say("ping\n");
        hear("ping\n");
        say_bye("last\n");
        hear("last\n");
        end();
    }
}

/* --- curl --- */

/* Request a page of the named server; further arguments up to NULL. */
static void
curl(const char *name, const char *const more[])
{
    static char url[128], resolve[128];
    const char *argv[ARGS] = { "curl",      "-sS",   "--max-time", "15",
                               "--noproxy", "*",     "--cacert",   remote.ca,
                               "--resolve", resolve, url };
    size_t n = 11;

    snprintf(url, sizeof(url), "https://%s:%s/", name, remote.port);
    snprintf(resolve, sizeof(resolve), "%s:%s:127.0.0.1", name, remote.port);
    while (*more != NULL && n < ARGS - 1)
        argv[n++] = *more++;
    child_start(&remote.child, NULL, argv);
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
        assert_status(flow_tls_config_set_alpn(remote.config, protocols, 1),
                      FLOW_OK);
        curl(rows[i].name,
             (const char *[]){ rows[i].option, rows[i].value, NULL });
        must_open(accept_tls());
        assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
        assert_int_equal(info.version, rows[i].version);
        assert_int_equal(info.group, rows[i].group);
        assert_string_equal(info.alpn, "http/1.1");
        assert_string_equal(info.server_name, rows[i].name);
        hear("GET / HTTP/1.1\r\n");
        say_bye("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n"
                "Connection: close\r\n\r\nhello\n");
        assert_int_equal(child_wait(&remote.child), 0);
        assert_string_equal(remote.child.text, "hello\n");
        end();
    }
}

/* A response without a length ends with close_notify. */
static void
curl_sees_close_notify_as_the_end(void **state)
{
    (void)state;
    if (!need("curl"))
        skip();
    serve("p256", 0);
    curl("server.example", (const char *[]){ NULL });
    must_open(accept_tls());
    say_bye("HTTP/1.1 200 OK\r\n\r\nall of it\n");
    assert_int_equal(child_wait(&remote.child), 0);
    assert_string_equal(remote.child.text, "all of it\n");
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
        flow_get_error(remote.tls, FLOW_READ, &err);
        assert_int_equal(err.alert_received, rows[i].alert);
        assert_int_equal(child_wait(&remote.child), 60);
        end();
    }
}

/*
 * gnutls-serv listens on every address and has no option for that, so it and
 * its client run in a network namespace of their own with loopback only.  Where
 * namespaces are not permitted, the tests still connect over loopback only.
 */
static void
leave_the_network(void)
{
    struct ifreq lo = { .ifr_name = "lo" };
    int fd;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &lo), 0);
    lo.ifr_flags = (short)(lo.ifr_flags | IFF_UP | IFF_RUNNING);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gnutls_cli_connects_with_every_suite),
        TEST(gnutls_cli_connects_with_every_group),
        TEST(gnutls_cli_exports_what_we_export),
        TEST(gnutls_cli_negotiates_alpn),
        TEST(gnutls_cli_with_old_versions_is_refused),
        TEST(gnutls_cli_updates_its_keys),
        TEST(gnutls_cli_reads_padded_records),
        TEST(gnutls_serv_accepts_every_suite),
        TEST(gnutls_serv_reads_padded_records),
        TEST(gnutls_serv_with_only_tls12_is_accepted),
        TEST(curl_gets_a_page),
        TEST(curl_sees_close_notify_as_the_end),
        TEST(curl_refuses_our_certificate),
    };

    leave_the_network();
    return TEST_RUN(tests);
}
