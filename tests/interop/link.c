/* SPDX-License-Identifier: ISC */
#include "link.h"

#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>

#include "pki.h"
#include "step.h"
#include "test.h"

void
link_init(struct link *l, bool we_serve, uint32_t version)
{
    enum flow_tls_version v = (enum flow_tls_version)version;

    memset(l, 0, sizeof(*l));
    l->we_serve = we_serve;
    if (we_serve)
        assert_status(flow_tls_config_new_server(TEST_ENV, &l->config, NULL),
                      FLOW_OK);
    else
        assert_status(flow_tls_config_new_client(TEST_ENV, &l->config, NULL),
                      FLOW_OK);
    if (version != 0)
        assert_status(flow_tls_config_set_versions(l->config, v, v), FLOW_OK);
    if (!we_serve)
        assert_status(
            flow_tls_config_add_trust_file(l->config, pki("ca.pem"), NULL),
            FLOW_OK);
    ossl_init(&l->peer, !we_serve, (int)version);
}

void
link_key(struct link *l, const char *chain, const char *key)
{
    if (!l->we_serve) {
        ossl_use_key(&l->peer, chain, key);
        return;
    }
    assert_status(flow_tls_config_add_keypair_file(l->config, pki(chain),
                                                   pki(key), NULL, NULL, NULL),
                  FLOW_OK);
}

void
link_start(struct link *l)
{
    struct flow *near;

    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &near, &l->other),
                  FLOW_OK);
    near = tap_wrap(near, &l->wire, &l->tap);
    if (l->we_serve)
        assert_status(flow_tls_wrap_server(l->config, near, 0, &l->ours, NULL),
                      FLOW_OK);
    else
        assert_status(flow_tls_wrap_client(l->config, near, "server.example", 0,
                                           &l->ours, NULL),
                      FLOW_OK);
    ossl_start(&l->peer, l->other);
}

enum flow_status
link_handshake(struct link *l)
{
    enum flow_status st = FLOW_AGAIN;
    int quiet = 0;

    while (quiet < 3) {
        if (st == FLOW_AGAIN)
            st = flow_open(l->ours);
        if (st == FLOW_OK)
            (void)!flow_flush(l->ours);
        quiet = ossl_step(&l->peer) ? 0 : quiet + 1;
    }
    return st;
}

void
link_open(struct link *l)
{
    struct flow_error err;
    char line[300];

    link_start(l);
    if (link_handshake(l) != FLOW_OK || !ossl_open(&l->peer)) {
        flow_get_error(l->ours, FLOW_READ, &err);
        flow_error_format(&err, line, sizeof(line));
        fail_msg("no handshake: %s; OpenSSL got alert %d", line,
                 l->peer.alert_in);
    }
}

void
link_close(struct link *l)
{
    ossl_free(&l->peer);
    flow_close(l->ours);
    flow_close(l->other);
    flow_tls_config_unref(l->config);
    wire_free(&l->wire);
}

void
link_make(struct link *l, bool we_serve, uint32_t version)
{
    link_init(l, we_serve, version);
    if (we_serve)
        link_key(l, "p256.pem", "p256.key");
    link_open(l);
}

void
link_say(struct link *l, size_t len, uint64_t seed)
{
    uint8_t *data = malloc(len + 1), *got = malloc(len + 1);
    size_t sent = 0, received = 0, n;
    unsigned tries = 0;
    int r;

    assert_true(data != NULL && got != NULL);
    test_fill(data, len, seed);
    while (received < len) {
        enum flow_status st = FLOW_OK;

        if (sent < len)
            st = flow_write(l->ours, data + sent, len - sent, &n);
        else
            n = 0;
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
        sent += n;
        (void)!flow_flush(l->ours);
        r = ossl_read(&l->peer, got + received, len - received);
        assert_true(r >= 0);
        received += (size_t)r;
        assert_true(tries++ < 100000);
    }
    test_check(got, len, seed, 0);
    free(data);
    free(got);
}

void
link_hear(struct link *l, size_t len, uint64_t seed)
{
    uint8_t *data = malloc(len + 1), *got = malloc(len + 1);
    size_t sent = 0, received = 0, n;
    unsigned tries = 0;

    assert_true(data != NULL && got != NULL);
    test_fill(data, len, seed);
    while (received < len) {
        size_t part = len - sent < 16000 ? len - sent : 16000;
        enum flow_status st;

        if (part > 0 && l->peer.held_len == 0) {
            assert_true(ossl_write(&l->peer, data + sent, part));
            sent += part;
        }
        ossl_step(&l->peer);
        st = flow_read(l->ours, got + received, len - received, &n);
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
        received += n;
        assert_true(tries++ < 100000);
    }
    test_check(got, len, seed, 0);
    free(data);
    free(got);
}

enum flow_status
link_end(struct link *l, size_t *ret_len)
{
    enum flow_status st;
    uint8_t buf[512];
    unsigned quiet = 0;
    size_t n;

    *ret_len = 0;
    do {
        st = flow_read(l->ours, buf, sizeof(buf), &n);
        *ret_len += n;
        if (st == FLOW_AGAIN && !ossl_step(&l->peer))
            quiet++;
    } while (st == FLOW_OK || (st == FLOW_AGAIN && quiet < 5));
    return st;
}

void
link_talk(struct link *l)
{
    static const size_t len[] = { 1, 3, 1000, 16383, 16384, 16385, 60000 };
    size_t i;

    for (i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
        link_say(l, len[i], i);
        link_hear(l, len[i], i + 10);
    }
}
