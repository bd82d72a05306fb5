/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "link.h"
#include "step.h"

/*
 * OpenSSL as the peer on a pair, in process: agreed parameters, data in both
 * directions, ends, KeyUpdates and refusals, with OpenSSL's view of them.
 */

struct suite {
    uint32_t version;
    uint16_t number;
    const char *name; /* OpenSSL's name */
    const char *key;
};

static const struct suite suites[] = {
    { 0x0304, 0x1301, "TLS_AES_128_GCM_SHA256", "p256" },
    { 0x0304, 0x1302, "TLS_AES_256_GCM_SHA384", "p384" },
    { 0x0304, 0x1303, "TLS_CHACHA20_POLY1305_SHA256", "rsa" },
    { 0x0304, 0x1304, "TLS_AES_128_CCM_SHA256", "p256" },
    { 0x0304, 0x1305, "TLS_AES_128_CCM_8_SHA256", "rsa" },
    { 0x0303, 0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", "p256" },
    { 0x0303, 0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", "p384" },
    { 0x0303, 0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305", "p256" },
    { 0x0303, 0xc0ac, "ECDHE-ECDSA-AES128-CCM", "p256" },
    { 0x0303, 0xc0ad, "ECDHE-ECDSA-AES256-CCM", "p256" },
    { 0x0303, 0xc0ae, "ECDHE-ECDSA-AES128-CCM8", "p256" },
    { 0x0303, 0xc02f, "ECDHE-RSA-AES128-GCM-SHA256", "rsa" },
    { 0x0303, 0xc030, "ECDHE-RSA-AES256-GCM-SHA384", "rsa" },
    { 0x0303, 0xcca8, "ECDHE-RSA-CHACHA20-POLY1305", "rsa" },
};

static void
check_suite(const struct suite *s, bool we_serve)
{
    struct flow_tls_info info;
    char chain[32], key[32];
    struct link l;

    guard_case(s->name);
    snprintf(chain, sizeof(chain), "%s.pem", s->key);
    snprintf(key, sizeof(key), "%s.key", s->key);
    link_init(&l, we_serve, s->version);
    link_key(&l, chain, key);
    assert_status(flow_tls_config_set_suites(l.config, &s->number, 1), FLOW_OK);
    if (s->version == 0x0304)
        assert_int_equal(SSL_CTX_set_ciphersuites(l.peer.ctx, s->name), 1);
    else
        assert_int_equal(SSL_CTX_set_cipher_list(l.peer.ctx, s->name), 1);
    link_open(&l);
    link_talk(&l);
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    assert_int_equal(info.version, s->version);
    assert_int_equal(info.suite, s->number);
    assert_false(info.resumed);
    assert_int_equal(
        SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(l.peer.ssl)),
        s->number);
    assert_string_equal(info.server_name, "server.example");
    if (!we_serve) {
        assert_int_equal(info.verify_flags, 0);
        assert_true(info.peer_chain_len > 100);
        assert_int_equal(info.peer_chain[0], 0x30);
    }
    link_close(&l);
}

static void
every_suite_connects_in_both_roles(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        check_suite(&suites[i], true);
        check_suite(&suites[i], false);
    }
}

static void
every_group_connects_in_both_roles(void **state)
{
    static const struct {
        uint16_t number;
        const char *name;
    } groups[] = { { FLOW_TLS_GROUP_X25519, "X25519" },
                   { FLOW_TLS_GROUP_P256, "P-256" },
                   { FLOW_TLS_GROUP_P384, "P-384" },
                   { FLOW_TLS_GROUP_P521, "P-521" } };
    struct flow_tls_info info;
    struct link l;
    size_t i;
    int role, v;

    (void)state;
    for (i = 0; i < 4; i++)
        for (role = 0; role < 2; role++)
            for (v = 0x0303; v <= 0x0304; v++) {
                guard_case(groups[i].name);
                link_init(&l, role != 0, (uint32_t)v);
                /* In TLS 1.2 the client would have to offer the curve of an
                 * ECDSA key too. */
                link_key(&l, "rsa.pem", "rsa.key");
                assert_status(
                    flow_tls_config_set_groups(l.config, &groups[i].number, 1),
                    FLOW_OK);
                assert_int_equal(
                    SSL_CTX_set1_groups_list(l.peer.ctx, groups[i].name), 1);
                link_open(&l);
                link_say(&l, 100, i);
                link_hear(&l, 100, i);
                assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
                assert_true(info.group == groups[i].number || info.group == 0);
                if (v == 0x0304)
                    assert_int_equal(info.group, groups[i].number);
                link_close(&l);
            }
}

/* We offer both versions, and OpenSSL has only TLS 1.2. */
static void
peer_with_only_tls12_gets_tls12(void **state)
{
    static const char *const keys[][2] = { { "rsa.pem", "rsa.key" },
                                           { "p256.pem", "p256.key" },
                                           { "p384.pem", "p384.key" } };
    struct flow_tls_info info;
    struct link l;
    size_t i;
    int role;

    (void)state;
    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        for (role = 0; role < 2; role++) {
            guard_case(keys[i][0]);
            link_init(&l, role != 0, 0);
            link_key(&l, keys[i][0], keys[i][1]);
            assert_int_equal(
                SSL_CTX_set_max_proto_version(l.peer.ctx, TLS1_2_VERSION), 1);
            link_open(&l);
            assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
            assert_int_equal(info.version, FLOW_TLS_1_2);
            link_say(&l, 100, i);
            link_hear(&l, 100, i);
            link_close(&l);
        }
}

/* The client's first key share is for a group that the server does not have. */
static void
hello_retry_request_is_sent_and_answered(void **state)
{
    const uint16_t p384[] = { FLOW_TLS_GROUP_P384 };
    const uint16_t ours[] = { FLOW_TLS_GROUP_X25519, FLOW_TLS_GROUP_P384 };
    struct link l;

    (void)state;
    link_init(&l, true, 0x0304);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_groups(l.config, p384, 1), FLOW_OK);
    assert_int_equal(SSL_CTX_set1_groups_list(l.peer.ctx, "X25519:P-384"), 1);
    link_open(&l);
    link_talk(&l);
    link_close(&l);
    link_init(&l, false, 0x0304);
    assert_status(flow_tls_config_set_groups(l.config, ours, 2), FLOW_OK);
    assert_int_equal(SSL_CTX_set1_groups_list(l.peer.ctx, "P-384"), 1);
    link_open(&l);
    link_talk(&l);
    link_close(&l);
}

static void
finite_field_groups_are_refused(void **state)
{
    struct link l;

    (void)state;
    link_init(&l, true, 0x0304);
    link_key(&l, "p256.pem", "p256.key");
    assert_int_equal(SSL_CTX_set1_groups_list(l.peer.ctx, "ffdhe2048"), 1);
    link_start(&l);
    assert_status(link_handshake(&l), FLOW_E_PROTO);
    assert_int_equal(l.peer.alert_in, 40);
    link_close(&l);
}

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
            const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, len,
                                 (const unsigned char *)"\2h2\10http/1.1", 12,
                                 in, in_len) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void
alpn_is_negotiated(void **state)
{
    static const char *const both[] = { "http/1.1", "h2" };
    static const char *const other[] = { "gopher" };
    struct flow_tls_info info;
    struct link l;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_init(&l, role != 0, 0);
        if (role != 0)
            link_key(&l, "p256.pem", "p256.key");
        assert_status(flow_tls_config_set_alpn(l.config, both, 2), FLOW_OK);
        SSL_CTX_set_alpn_protos(l.peer.ctx,
                                (const unsigned char *)"\2h2\10http/1.1", 12);
        SSL_CTX_set_alpn_select_cb(l.peer.ctx, choose_alpn, NULL);
        link_open(&l);
        assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
        /* The server's preference decides. */
        assert_string_equal(info.alpn, role != 0 ? "http/1.1" : "h2");
        link_say(&l, 10, 1);
        link_close(&l);
    }
    link_init(&l, true, 0);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_alpn(l.config, other, 1), FLOW_OK);
    SSL_CTX_set_alpn_protos(l.peer.ctx, (const unsigned char *)"\2h2", 3);
    link_start(&l);
    assert_status(link_handshake(&l), FLOW_E_PROTO);
    assert_int_equal(l.peer.alert_in, 120);
    link_close(&l);
}

static void
server_name_selects_the_certificate(void **state)
{
    struct flow_tls_info info;
    struct link l;
    char subject[100];
    X509 *leaf;

    (void)state;
    link_init(&l, true, 0);
    link_key(&l, "p256.pem", "p256.key");
    link_key(&l, "second.pem", "second.key");
    link_key(&l, "wildcard.pem", "wildcard.key");
    link_start(&l);
    SSL_set_tlsext_host_name(l.peer.ssl, "Second.Example");
    SSL_set1_host(l.peer.ssl, "second.example");
    assert_status(link_handshake(&l), FLOW_OK);
    leaf = SSL_get1_peer_certificate(l.peer.ssl);
    assert_non_null(leaf);
    X509_NAME_oneline(X509_get_subject_name(leaf), subject, sizeof(subject));
    X509_free(leaf);
    assert_string_equal(subject, "/CN=second");
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    assert_string_equal(info.server_name, "second.example");
    assert_string_equal(info.matched_name, "second.example");
    link_close(&l);
}

/* The alert that OpenSSL receives when its certificate is refused. */
static void
refused_certificate(const char *chain, const char *key, uint32_t flag,
                    int alert, uint32_t version)
{
    struct flow_error err;
    struct link l;

    guard_case(chain);
    link_init(&l, false, version);
    link_key(&l, chain, key);
    link_start(&l);
    assert_status(link_handshake(&l), FLOW_E_AUTH);
    flow_get_error(l.ours, FLOW_READ, &err);
    assert_true(err.verify_flags & flag);
    assert_int_equal(err.alert_sent, alert);
    assert_int_equal(l.peer.alert_in, alert);
    link_close(&l);
}

static void
refused_certificates_get_their_alert(void **state)
{
    uint32_t v;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        refused_certificate("expired.pem", "expired.key", FLOW_VERIFY_EXPIRED,
                            45, v);
        refused_certificate("untrusted.pem", "untrusted.key",
                            FLOW_VERIFY_NOT_TRUSTED, 48, v);
        refused_certificate("wrongname.pem", "wrongname.key", FLOW_VERIFY_NAME,
                            42, v);
        refused_certificate("cnonly.pem", "cnonly.key", FLOW_VERIFY_NAME, 42,
                            v);
        refused_certificate("ip.pem", "ip.key", FLOW_VERIFY_NAME, 42, v);
        refused_certificate("future.pem", "future.key", FLOW_VERIFY_FUTURE, 45,
                            v);
        /* The intermediate certificate is missing. */
        refused_certificate("chained.pem", "chained.key",
                            FLOW_VERIFY_NOT_TRUSTED, 48, v);
    }
}

static void
certificate_chains_are_verified(void **state)
{
    struct link l;

    (void)state;
    link_init(&l, false, 0);
    link_key(&l, "chain.pem", "chained.key");
    link_open(&l);
    link_say(&l, 10, 1);
    link_close(&l);
    link_init(&l, true, 0);
    link_key(&l, "chain.pem", "chained.key");
    link_open(&l);
    link_say(&l, 10, 1);
    link_close(&l);
}

/* RFC 7627: without the extension we refuse TLS 1.2, in either role. */
static void
extended_master_secret_is_required(void **state)
{
    struct link l;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_init(&l, role != 0, 0x0303);
        link_key(&l, "p256.pem", "p256.key");
        SSL_CTX_set_options(l.peer.ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
        link_start(&l);
        assert_status(link_handshake(&l), FLOW_E_PROTO);
        assert_false(ossl_open(&l.peer));
        assert_int_equal(l.peer.alert_in, 40);
        link_close(&l);
    }
}

static void
half_close(bool we_serve, uint32_t version)
{
    struct link l;
    uint8_t buf[10];
    size_t n;

    link_make(&l, we_serve, version);
    link_say(&l, 100, 1);
    /* We end first; OpenSSL continues to send. */
    assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
    assert_int_equal(ossl_read(&l.peer, buf, sizeof(buf)), -2);
    assert_int_equal(l.peer.close_notify_in, 1);
    link_hear(&l, 3000, 2);
    SSL_shutdown(l.peer.ssl);
    ossl_step(&l.peer);
    assert_status(link_end(&l, &n), FLOW_EOF);
    assert_int_equal(n, 0);
    assert_int_equal(step_query(l.ours, FLOW_QUERY_END_READ),
                     FLOW_END_AUTHENTICATED);
    assert_int_equal(l.peer.close_notify_in, 1);
    assert_int_equal(l.peer.close_notify_out, 1);
    link_close(&l);
}

static void
half_close_works_in_both_roles(void **state)
{
    (void)state;
    half_close(true, 0x0303);
    half_close(false, 0x0303);
    half_close(true, 0x0304);
    half_close(false, 0x0304);
}

static void
writing_continues_after_the_peers_end(void **state)
{
    struct link l;
    uint8_t buf[10];
    uint32_t v;
    size_t n;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        link_make(&l, true, v);
        link_hear(&l, 100, 1);
        SSL_shutdown(l.peer.ssl);
        ossl_step(&l.peer);
        assert_status(link_end(&l, &n), FLOW_EOF);
        /* OpenSSL continues to read only if it has not received our
         * close_notify. */
        link_say(&l, 5000, 2);
        assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
        assert_int_equal(ossl_read(&l.peer, buf, sizeof(buf)), -2);
        assert_int_equal(l.peer.close_notify_in, 1);
        link_close(&l);
    }
}

/* OpenSSL sends its KeyUpdate with its next write. */
static void
peer_updates(struct link *l, bool ask)
{
    assert_int_equal(
        SSL_key_update(l->peer.ssl, ask ? SSL_KEY_UPDATE_REQUESTED
                                        : SSL_KEY_UPDATE_NOT_REQUESTED),
        1);
}

static void
key_updates_of_the_peer_are_followed(void **state)
{
    struct flow_tls_info info;
    struct link l;
    int role, i;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_make(&l, role != 0, 0x0304);
        for (i = 0; i < 5; i++) {
            peer_updates(&l, false);
            link_hear(&l, 1000, (uint64_t)i);
            link_say(&l, 1000, (uint64_t)i);
        }
        assert_int_equal(l.peer.key_update_in, 0);
        for (i = 0; i < 5; i++) {
            peer_updates(&l, true);
            link_hear(&l, 1000, (uint64_t)i);
            link_say(&l, 1000, (uint64_t)i);
            assert_int_equal(l.peer.key_update_in, i + 1);
        }
        assert_int_equal(l.peer.key_update_asked, 0);
        assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
        assert_int_equal(info.key_updates_received, 10);
        assert_int_equal(info.key_updates_sent, 5);
        /* Many requests before our next write: one answer. */
        for (i = 0; i < 3; i++) {
            peer_updates(&l, true);
            link_hear(&l, 100, (uint64_t)i);
        }
        link_say(&l, 1000, 9);
        assert_int_equal(l.peer.key_update_in, 6);
        link_close(&l);
    }
}

static void
key_updates_of_ours_are_followed(void **state)
{
    struct link l;
    int role, i;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_make(&l, role != 0, 0x0304);
        for (i = 0; i < 4; i++) {
            assert_status(flow_control(l.ours, FLOW_CONTROL_REKEY, i % 2),
                          FLOW_OK);
            link_say(&l, 1000, (uint64_t)i);
            link_hear(&l, 1000, (uint64_t)i);
            link_say(&l, 20000, (uint64_t)i);
        }
        assert_int_equal(l.peer.key_update_in, 4);
        assert_int_equal(l.peer.key_update_asked, 2);
        assert_int_equal(l.peer.key_update_out, 2);
        link_close(&l);
        /* We update our key before its limit. */
        link_init(&l, role != 0, 0x0304);
        link_key(&l, "p256.pem", "p256.key");
        assert_status(flow_tls_config_set_key_limit(l.config, 10), FLOW_OK);
        link_open(&l);
        for (i = 0; i < 55; i++)
            link_say(&l, 100, (uint64_t)i);
        assert_in_range(l.peer.key_update_in, 5, 7);
        link_close(&l);
    }
    link_make(&l, true, 0x0303);
    assert_status(flow_control(l.ours, FLOW_CONTROL_REKEY, 0), FLOW_E_NOTSUP);
    link_close(&l);
}

/* The peer's key reaches its limit too, and the peer does not count records. */
static void
peer_is_asked_to_update_its_key(void **state)
{
    struct link l;
    uint8_t byte;
    int role, i;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_init(&l, role != 0, 0x0304);
        link_key(&l, "p256.pem", "p256.key");
        assert_status(flow_tls_config_set_key_limit(l.config, 30), FLOW_OK);
        link_open(&l);
        for (i = 0; i < 100; i++) {
            link_hear(&l, 100, (uint64_t)i);
            assert_status(flow_flush(l.ours), FLOW_OK);
            assert_int_equal(ossl_read(&l.peer, &byte, 1), 0);
        }
        assert_in_range(l.peer.key_update_asked, 3, 4);
        assert_in_range(l.peer.key_update_out, 3, 4);
        link_say(&l, 100, 1);
        link_close(&l);
    }
}

/* In TLS 1.2 the last record of a key is reserved for the end.  If the program
 * ends in time, it is the close_notify; if the program continues to write, it
 * is an alert, so that the peer does not take the data for complete. */
static void
tls12_key_at_its_limit_ends_with_an_alert(void **state)
{
    const char *more = "more than the key allows";
    struct flow_error err;
    struct records sealed;
    struct link l;
    size_t before, n;
    uint8_t byte;
    int role, shuts, i;

    (void)state;
    for (role = 0; role < 2; role++)
        for (shuts = 0; shuts < 2; shuts++) {
            link_init(&l, role != 0, 0x0303);
            link_key(&l, "p256.pem", "p256.key");
            assert_status(flow_tls_config_set_key_limit(l.config, 10), FLOW_OK);
            link_open(&l);
            before = l.wire.len;
            /* The Finished was one of the records. */
            for (i = 0; i < 8; i++)
                link_say(&l, 100, (uint64_t)i);
            if (shuts != 0) {
                assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
                assert_int_equal(ossl_read(&l.peer, &byte, 1), -2);
                assert_int_equal(l.peer.close_notify_in, 1);
                assert_int_equal(l.peer.fatal_in, 0);
                link_hear(&l, 1000, 1);
            } else {
                assert_status(flow_write(l.ours, more, strlen(more), &n),
                              FLOW_E_PROTO);
                assert_int_equal(n, 0);
                flow_get_error(l.ours, FLOW_WRITE, &err);
                assert_non_null(strstr(err.text, "TLS 1.2"));
                assert_non_null(strstr(err.text, "key"));
                assert_int_equal(err.alert_sent, 80);
                assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_E_PROTO);
                assert_int_equal(ossl_read(&l.peer, &byte, 1), -1);
                assert_int_equal(l.peer.alert_in, 80);
                assert_int_equal(l.peer.fatal_in, 1);
                assert_int_equal(l.peer.close_notify_in, 0);
            }
            wire_records(&l.wire, before, &sealed);
            assert_int_equal(sealed.total, 9);
            link_close(&l);
        }
}

/* The bytes that were accepted and held back have a record as well. */
static void
tls12_key_reserves_a_record_for_buffered_bytes(void **state)
{
    uint8_t data[100], got[100];
    struct flow_cvec vec = { data, sizeof(data) };
    struct link l;
    size_t n;
    int i;

    (void)state;
    test_fill(data, sizeof(data), 1);
    link_init(&l, true, 0x0303);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_set_key_limit(l.config, 10), FLOW_OK);
    link_open(&l);
    for (i = 0; i < 7; i++)
        link_say(&l, 100, (uint64_t)i);
    assert_status(flow_writev(l.ours, &vec, 1, FLOW_MORE, &n), FLOW_OK);
    assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
    ossl_step(&l.peer);
    assert_int_equal(ossl_read(&l.peer, got, sizeof(got)), sizeof(got));
    test_check(got, sizeof(got), 1, 0);
    assert_int_equal(ossl_read(&l.peer, got, 1), -2);
    assert_int_equal(l.peer.close_notify_in, 1);
    link_close(&l);
}

static void
no_key_update_follows_our_close_notify(void **state)
{
    struct link l;
    uint8_t buf[100];
    size_t before, n;

    (void)state;
    link_make(&l, true, 0x0304);
    assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
    before = l.wire.len;
    peer_updates(&l, true);
    link_hear(&l, 100, 1);
    (void)!flow_flush(l.ours);
    SSL_shutdown(l.peer.ssl);
    ossl_step(&l.peer);
    assert_status(link_end(&l, &n), FLOW_EOF);
    assert_int_equal(l.wire.len, before);
    assert_int_equal(ossl_read(&l.peer, buf, sizeof(buf)), -2);
    link_close(&l);
}

static void
flood_of_key_updates_is_ended(void **state)
{
    struct flow_error err;
    enum flow_status st = FLOW_OK;
    struct link l;
    uint8_t byte;
    size_t n;
    int i;

    (void)state;
    link_make(&l, true, 0x0304);
    for (i = 0; i < 5000 && st >= 0; i++) {
        peer_updates(&l, i % 2 != 0);
        SSL_do_handshake(l.peer.ssl);
        ossl_step(&l.peer);
        st = flow_read(l.ours, &byte, 1, &n);
        (void)!flow_flush(l.ours);
    }
    assert_status(st, FLOW_E_PROTO);
    flow_get_error(l.ours, FLOW_READ, &err);
    assert_true(err.alert_sent > 0);
    link_close(&l);
}

/* F7: small writes are combined into full records. */
static void
small_writes_are_coalesced(void **state)
{
    static uint8_t data[40000], got[40000];
    static struct flow_cvec vec[1000];
    struct records before, after;
    size_t i, off, n, want;
    struct link l;
    int r;

    (void)state;
    link_make(&l, true, 0x0304);
    test_fill(data, sizeof(data), 7);
    for (i = 0, off = 0; i < 1000; i++) {
        vec[i].base = data + off;
        vec[i].len = 1 + i % 3;
        off += vec[i].len;
    }
    assert_status(flow_control(l.ours, FLOW_CONTROL_RECORD_LIMIT, 16384),
                  FLOW_OK);
    wire_records(&l.wire, 0, &before);
    assert_status(flow_writev(l.ours, vec, 1000, 0, &n), FLOW_OK);
    assert_int_equal(n, off);
    (void)!flow_flush(l.ours);
    wire_records(&l.wire, 0, &after);
    assert_int_equal(after.data - before.data, (off + 16383) / 16384);
    for (want = off, i = 0; want > 0; want -= (size_t)r, i += (size_t)r)
        assert_true((r = ossl_read(&l.peer, got + i, want)) > 0);
    assert_memory_equal(got, data, off);
    /* A full record is one record; an empty write sends none. */
    before = after;
    assert_status(flow_write(l.ours, data, 16384, &n), FLOW_OK);
    assert_int_equal(n, 16384);
    assert_status(flow_write(l.ours, data, 0, &n), FLOW_OK);
    (void)!flow_flush(l.ours);
    wire_records(&l.wire, 0, &after);
    assert_int_equal(after.data - before.data, 1);
    link_close(&l);
}

/* A session with which OpenSSL may send early data. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **keep = SSL_get_app_data(ssl);

    SSL_SESSION_free(*keep);
    *keep = session;
    return 1;
}

static SSL_SESSION *
early_session(void)
{
    struct ossl client, server;
    SSL_SESSION *keep = NULL;
    struct flow *a, *b;
    uint8_t buf[10];
    int i;

    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &a, &b), FLOW_OK);
    ossl_init(&client, false, 0x0304);
    ossl_init(&server, true, 0x0304);
    SSL_CTX_set_max_early_data(server.ctx, 100000);
    SSL_CTX_set_session_cache_mode(client.ctx, SSL_SESS_CACHE_CLIENT |
                                                   SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client.ctx, keep_session);
    ossl_start(&client, a);
    ossl_start(&server, b);
    SSL_set_app_data(client.ssl, &keep);
    for (i = 0; i < 20; i++) {
        ossl_step(&client);
        ossl_step(&server);
    }
    assert_true(ossl_write(&server, "x", 1));
    assert_int_equal(ossl_read(&client, buf, sizeof(buf)), 1);
    ossl_free(&client);
    ossl_free(&server);
    flow_close(a);
    flow_close(b);
    assert_non_null(keep);
    return keep;
}

/* RFC 8446 4.2.10: early data that we did not accept is skipped, and does not
 * count against the byte limit of the handshake. */
static void
early_data_is_skipped(bool retry)
{
    const uint16_t p384[] = { FLOW_TLS_GROUP_P384 };
    SSL_SESSION *session = early_session();
    static uint8_t early[16000];
    struct link l;
    size_t n;
    int i;

    link_init(&l, true, 0x0304);
    link_key(&l, "p256.pem", "p256.key");
    if (retry)
        assert_status(flow_tls_config_set_groups(l.config, p384, 1), FLOW_OK);
    assert_status(flow_tls_config_set_handshake_limits(l.config, 0, 4096),
                  FLOW_OK);
    link_start(&l);
    assert_int_equal(SSL_set_session(l.peer.ssl, session), 1);
    for (i = 0; i < 2; i++)
        assert_int_equal(
            SSL_write_early_data(l.peer.ssl, early, sizeof(early), &n), 1);
    ossl_step(&l.peer);
    assert_status(link_handshake(&l), FLOW_OK);
    assert_true(ossl_open(&l.peer));
    assert_int_equal(SSL_get_early_data_status(l.peer.ssl),
                     SSL_EARLY_DATA_REJECTED);
    link_say(&l, 1000, 1);
    link_hear(&l, 1000, 2);
    SSL_SESSION_free(session);
    link_close(&l);
}

static void
early_data_is_skipped_with_and_without_a_retry(void **state)
{
    (void)state;
    early_data_is_skipped(false);
    early_data_is_skipped(true);
}

static void
alerts_of_the_peer_are_named(void **state)
{
    struct flow_error err;
    struct link l;
    uint32_t v;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        /* OpenSSL does not trust our certificate. */
        link_init(&l, true, v);
        link_key(&l, "untrusted.pem", "untrusted.key");
        link_start(&l);
        assert_status_in(link_handshake(&l), STATUS_BIT(FLOW_E_PROTO) |
                                                 STATUS_BIT(FLOW_E_AUTH) |
                                                 STATUS_BIT(FLOW_E_CLOSED));
        flow_get_error(l.ours, FLOW_READ, &err);
        assert_int_equal(err.alert_received, 48);
        link_close(&l);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_suite_connects_in_both_roles),
        TEST(every_group_connects_in_both_roles),
        TEST(peer_with_only_tls12_gets_tls12),
        TEST(hello_retry_request_is_sent_and_answered),
        TEST(finite_field_groups_are_refused),
        TEST(alpn_is_negotiated),
        TEST(server_name_selects_the_certificate),
        TEST(refused_certificates_get_their_alert),
        TEST(certificate_chains_are_verified),
        TEST(extended_master_secret_is_required),
        TEST(half_close_works_in_both_roles),
        TEST(writing_continues_after_the_peers_end),
        TEST(key_updates_of_the_peer_are_followed),
        TEST(key_updates_of_ours_are_followed),
        TEST(peer_is_asked_to_update_its_key),
        TEST(tls12_key_at_its_limit_ends_with_an_alert),
        TEST(tls12_key_reserves_a_record_for_buffered_bytes),
        TEST(no_key_update_follows_our_close_notify),
        TEST(flood_of_key_updates_is_ended),
        TEST(small_writes_are_coalesced),
        TEST(early_data_is_skipped_with_and_without_a_retry),
        TEST(alerts_of_the_peer_are_named),
    };

    return TEST_RUN(tests);
}
