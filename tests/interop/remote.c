/* SPDX-License-Identifier: ISC */
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/tcp.h>
#include <flow/util.h>

#include "pki.h"
#include "stacks.h"
#include "test.h"

struct remote remote;

static uint64_t
soon(void)
{
    return TEST_ENV->now(TEST_ENV->ctx) +
           UINT64_C(1000000) * (CHILD_LIMIT - 5000);
}

const char *
why(void)
{
    static char line[400];
    struct flow_error err;

    flow_get_error(remote.tls, FLOW_READ, &err);
    (void)flow_error_format(&err, line, sizeof(line));
    return line;
}

void
add_pair(const char *name)
{
    char chain[64], key[64];

    snprintf(chain, sizeof(chain), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    assert_status(flow_tls_config_add_keypair_file(remote.config, pki(chain),
                                                   pki(key), NULL, NULL, NULL),
                  FLOW_OK);
}

/* Everything of a server but its certificates. */
static void
listen_as(int version)
{
    size_t len = sizeof(remote.address);
    enum flow_tls_version v = (enum flow_tls_version)version;

    snprintf(remote.ca, sizeof(remote.ca), "%s", pki("ca.pem"));
    assert_status(flow_tls_config_new_server(TEST_ENV, &remote.config, NULL),
                  FLOW_OK);
    if (version != 0)
        assert_status(flow_tls_config_set_versions(remote.config, v, v),
                      FLOW_OK);
    assert_status(
        flow_tcp_listen(TEST_ENV, "127.0.0.1", 0, NULL, &remote.listener, NULL),
        FLOW_OK);
    assert_status(flow_listener_query(remote.listener, FLOW_QUERY_LOCAL_ADDRESS,
                                      remote.address, &len),
                  FLOW_OK);
    snprintf(remote.port, sizeof(remote.port), "%s",
             strrchr(remote.address, ':') + 1);
}

void
serve(const char *pair, int version)
{
    listen_as(version);
    add_pair(pair);
}

void
serve_names(struct flow_tls_sni *sni)
{
    listen_as(0);
    assert_status(flow_tls_config_set_sni(remote.config, sni, NULL), FLOW_OK);
}

enum flow_status
accept_tls(void)
{
    struct flow *tcp;

    flow_listener_set_deadline(remote.listener, soon());
    assert_status(flow_accept_wait(remote.listener, &tcp), FLOW_OK);
    assert_status(
        flow_tls_wrap_server(remote.config, tcp, 0, &remote.tls, NULL),
        FLOW_OK);
    flow_set_deadline(remote.tls, FLOW_READ | FLOW_WRITE, soon());
    return flow_open_wait(remote.tls);
}

void
end(void)
{
    flow_close(remote.tls);
    flow_listener_close(remote.listener);
    flow_tls_config_unref(remote.config);
    child_kill(&remote.child);
    remote.tls = NULL;
    remote.listener = NULL;
    remote.config = NULL;
}

void
client_of(const char *at, int version)
{
    enum flow_tls_version v = (enum flow_tls_version)version;

    snprintf(remote.port, sizeof(remote.port), "%s", at);
    assert_status(flow_tls_config_new_client(TEST_ENV, &remote.config, NULL),
                  FLOW_OK);
    assert_status(
        flow_tls_config_add_trust_file(remote.config, pki("ca.pem"), NULL),
        FLOW_OK);
    if (version != 0)
        assert_status(flow_tls_config_set_versions(remote.config, v, v),
                      FLOW_OK);
}

enum flow_status
dial_tls(void)
{
    struct flow *tcp;

    assert_status(flow_tcp_dial(TEST_ENV, "127.0.0.1",
                                (uint16_t)strtoul(remote.port, NULL, 10), NULL,
                                &tcp, NULL),
                  FLOW_OK);
    assert_status(flow_tls_wrap_client(remote.config, tcp, "server.example", 0,
                                       &remote.tls, NULL),
                  FLOW_OK);
    flow_set_deadline(remote.tls, FLOW_READ | FLOW_WRITE, soon());
    return flow_open_wait(remote.tls);
}

void
must_open(enum flow_status st)
{
    if (st != FLOW_OK)
        fail_msg("%s; the tool said: %s", why(), remote.child.text);
}

void
say(const char *text)
{
    size_t n;

    assert_status(flow_write_all(remote.tls, text, strlen(text), &n), FLOW_OK);
    assert_status(flow_flush_wait(remote.tls), FLOW_OK);
}

void
hear(const char *text)
{
    char buf[256] = { 0 };
    size_t n;

    if (flow_read_exact(remote.tls, buf, strlen(text), &n) != FLOW_OK)
        fail_msg("%s; the tool said: %s", why(), remote.child.text);
    assert_string_equal(buf, text);
}

void
hear_end(enum flow_status wanted)
{
    char buf[4096];
    size_t n;
    enum flow_status st;

    do
        st = flow_read_wait(remote.tls, buf, sizeof(buf), &n);
    while (st == FLOW_OK);
    assert_status(st, wanted);
}

void
say_bye(const char *text)
{
    say(text);
    assert_status(flow_shutdown_wait(remote.tls, FLOW_WRITE), FLOW_OK);
}

void
agreed(int version, unsigned suite)
{
    struct flow_tls_info info;

    assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
    assert_int_equal(info.version, version);
    assert_int_equal(info.suite, suite);
    assert_string_equal(info.server_name, "server.example");
}

#define ECDSA "-KX-ALL:+ECDHE-ECDSA:-CIPHER-ALL:+"
#define RSA   "-KX-ALL:+ECDHE-RSA:-CIPHER-ALL:+"

const struct suite suites[] = {
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
    { 0, 0, NULL, NULL, NULL },
};

void
offer(const struct suite *s)
{
    const uint16_t number = (uint16_t)s->number;

    assert_status(flow_tls_config_set_suites(remote.config, &number, 1),
                  FLOW_OK);
}

bool
need(const char *program)
{
    if (child_exists(program))
        return true;
    print_message("skipped: there is no %s\n", program);
    return false;
}
