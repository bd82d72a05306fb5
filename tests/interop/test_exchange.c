/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "link.h"
#include "step.h"
#include "test.h"

/*
 * OpenSSL as the peer: the data and messages after the handshake, and settings
 * of OpenSSL that change what it sends.
 */

/* Read OpenSSL's side up to len bytes or its end; the status of its last
 * read. */
static int
peer_reads(struct link *l, uint8_t *buf, size_t len, size_t *ret_len)
{
    int r = 0, tries;

    *ret_len = 0;
    for (tries = 0; tries < 100 && r >= 0 && *ret_len < len; tries++) {
        (void)!flow_flush(l->ours);
        r = ossl_read(&l->peer, buf + *ret_len, len - *ret_len);
        *ret_len += r > 0 ? (size_t)r : 0;
    }
    return r;
}

/* --- sizes --- */

/* Every length around the limits where the number of records changes. */
static void
sizes(uint32_t version, bool we_serve)
{
    static const size_t around[] = { 64,   256,   512,   1024,  2048,
                                     4096, 16368, 16384, 32768, 65536 };
    struct link l;
    size_t i, len;

    link_make(&l, we_serve, version);
    for (len = 1; len < 40; len++) {
        link_say(&l, len, len);
        link_hear(&l, len, len);
    }
    for (i = 0; i < sizeof(around) / sizeof(around[0]); i++)
        for (len = around[i] - 2; len <= around[i] + 2; len++) {
            link_say(&l, len, len);
            link_hear(&l, len, len);
        }
    link_close(&l);
}

static void
lengths_around_the_record_limits_arrive(void **state)
{
    (void)state;
    sizes(0x0303, true);
    sizes(0x0303, false);
    sizes(0x0304, true);
    sizes(0x0304, false);
}

/* One record of every length up to the largest, counted by their headers. */
static void
records_of_every_length_arrive(void **state)
{
    static uint8_t data[16384], got[16384];
    struct records before, after;
    struct link l;
    size_t len, n, total;

    (void)state;
    test_fill(data, sizeof(data), 5);
    link_make(&l, true, 0x0304);
    wire_records(&l.wire, 0, &before);
    for (len = 1; len <= sizeof(data); len += len < 300 ? 1 : 37) {
        assert_status(flow_write(l.ours, data, len, &n), FLOW_OK);
        assert_int_equal(n, len);
        (void)peer_reads(&l, got, len, &total);
        assert_int_equal(total, len);
        assert_memory_equal(got, data, len);
        before.data++;
    }
    wire_records(&l.wire, 0, &after);
    assert_int_equal(after.data, before.data);
    link_close(&l);
}

/* --- 100 MB each way --- */

#define LARGE (UINT64_C(100) << 20)

struct hash {
    EVP_MD_CTX *ctx;
    uint8_t sum[32];
};

static void
hash_begin(struct hash *h)
{
    h->ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL), 1);
}

static void
hash_end(struct hash *h)
{
    assert_int_equal(EVP_DigestFinal_ex(h->ctx, h->sum, NULL), 1);
    EVP_MD_CTX_free(h->ctx);
}

/* In both directions at once, in TLS 1.3 with KeyUpdates of both sides. */
static void
large(uint32_t version, bool we_serve)
{
    static uint8_t block[1 << 16], got[1 << 16];
    struct hash sent[2], received[2];
    uint64_t out[2] = { 0, 0 }, in[2] = { 0, 0 };
    struct link l;
    size_t n, part;
    unsigned turn;
    int r;

    for (r = 0; r < 2; r++) {
        hash_begin(&sent[r]);
        hash_begin(&received[r]);
    }
    test_fill(block, sizeof(block), version);
    link_make(&l, we_serve, version);
    for (turn = 0; in[0] < LARGE || in[1] < LARGE; turn++) {
        guard_case("100 MB");
        if (out[0] < LARGE) {
            part = 1 + (turn * 7919u) % sizeof(block);
            if (part > LARGE - out[0])
                part = (size_t)(LARGE - out[0]);
            assert_true(flow_write(l.ours, block, part, &n) >= 0);
            EVP_DigestUpdate(sent[0].ctx, block, n);
            out[0] += n;
        }
        (void)!flow_flush(l.ours);
        while ((r = ossl_read(&l.peer, got, sizeof(got))) > 0) {
            EVP_DigestUpdate(received[0].ctx, got, (size_t)r);
            in[0] += (size_t)r;
        }
        assert_int_equal(r, 0);
        if (out[1] < LARGE && l.peer.held_len == 0) {
            part = 1 + (turn * 104729u) % 16384;
            if (part > LARGE - out[1])
                part = (size_t)(LARGE - out[1]);
            assert_true(ossl_write(&l.peer, block, part));
            EVP_DigestUpdate(sent[1].ctx, block, part);
            out[1] += part;
        }
        ossl_step(&l.peer);
        while (flow_read(l.ours, got, sizeof(got), &n) == FLOW_OK) {
            EVP_DigestUpdate(received[1].ctx, got, n);
            in[1] += n;
        }
        if (version == 0x0304 && turn % 1000 == 999) {
            assert_status(
                flow_control(l.ours, FLOW_CONTROL_REKEY, turn / 1000 % 2),
                FLOW_OK);
            SSL_key_update(l.peer.ssl, turn / 2000 % 2);
        }
    }
    for (r = 0; r < 2; r++) {
        hash_end(&sent[r]);
        hash_end(&received[r]);
        assert_int_equal(in[r], LARGE);
        assert_memory_equal(sent[r].sum, received[r].sum, 32);
    }
    if (version == 0x0304)
        assert_true(l.peer.key_update_in > 3 && l.peer.key_update_out > 3);
    link_close(&l);
}

static void
large_transfer_with_tls12_server(void **state)
{
    (void)state;
    large(0x0303, true);
}

static void
large_transfer_with_tls13_client(void **state)
{
    (void)state;
    large(0x0304, false);
}

/* --- ends --- */

/* Whichever side ends first, each direction has one close_notify, and all bytes
 * before it are delivered. */
static void
ends(uint32_t version, bool we_serve, int order)
{
    static uint8_t data[5000], got[8192];
    struct link l;
    size_t n, total;

    test_fill(data, sizeof(data), 3);
    link_make(&l, we_serve, version);
    if (order != 1) {
        assert_status(flow_write(l.ours, data, sizeof(data), &n), FLOW_OK);
        assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
        assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
    }
    if (order != 0) {
        assert_true(ossl_write(&l.peer, data, sizeof(data)));
        SSL_shutdown(l.peer.ssl);
        ossl_step(&l.peer);
    }
    if (order != 1) {
        assert_int_equal(peer_reads(&l, got, sizeof(got), &total), -2);
        assert_int_equal(total, sizeof(data));
    }
    if (order != 0) {
        assert_status(link_end(&l, &n), FLOW_EOF);
        assert_int_equal(n, sizeof(data));
        assert_int_equal(step_query(l.ours, FLOW_QUERY_END_READ),
                         FLOW_END_AUTHENTICATED);
    }
    /* The other direction still works, and ends after that. */
    if (order == 0) {
        link_hear(&l, 3000, 4);
        SSL_shutdown(l.peer.ssl);
        ossl_step(&l.peer);
        assert_status(link_end(&l, &n), FLOW_EOF);
    }
    if (order == 1) {
        link_say(&l, 3000, 4);
        assert_status(flow_shutdown(l.ours, FLOW_WRITE), FLOW_OK);
        assert_int_equal(peer_reads(&l, got, 1, &total), -2);
    }
    assert_int_equal(l.peer.close_notify_in, 1);
    assert_int_equal(l.peer.close_notify_out, 1);
    assert_int_equal(l.peer.fatal_in, 0);
    assert_status(flow_write(l.ours, data, 1, &n), FLOW_E_CLOSED);
    link_close(&l);
}

static void
ends_arrive_in_every_order(void **state)
{
    int order;

    (void)state;
    for (order = 0; order < 3; order++) {
        ends(0x0303, true, order);
        ends(0x0303, false, order);
        ends(0x0304, true, order);
        ends(0x0304, false, order);
    }
}

/* The transport ends without close_notify: both sides report that it is not an
 * orderly end. */
static void
cut_connection_is_not_an_orderly_end(void **state)
{
    struct link l;
    uint8_t buf[100];
    uint32_t v;
    size_t n;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        link_make(&l, true, v);
        assert_true(ossl_write(&l.peer, "whole", 5));
        assert_status(flow_shutdown(l.other, FLOW_WRITE), FLOW_OK);
        assert_status(link_end(&l, &n), FLOW_E_TRUNCATED);
        assert_int_equal(n, 5);
        assert_int_equal(step_query(l.ours, FLOW_QUERY_END_READ),
                         FLOW_END_GONE);
        link_close(&l);

        link_make(&l, true, v);
        assert_status(flow_write(l.ours, "whole", 5, &n), FLOW_OK);
        flow_close(l.ours);
        l.ours = NULL;
        assert_int_equal(ossl_read(&l.peer, buf, sizeof(buf)), 5);
        assert_int_equal(ossl_read(&l.peer, buf, sizeof(buf)), -1);
        assert_int_equal(l.peer.close_notify_in, 0);
        link_close(&l);
    }
}

/* --- how OpenSSL may be set --- */

static void
openssl_without_middlebox_mode_connects(void **state)
{
    struct link l;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_init(&l, role != 0, 0x0304);
        link_key(&l, "p256.pem", "p256.key");
        SSL_CTX_clear_options(l.peer.ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
        link_open(&l);
        link_talk(&l);
        link_close(&l);
    }
}

static void
padded_and_small_records_of_openssl_are_read(void **state)
{
    struct link l;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_init(&l, role != 0, 0x0304);
        link_key(&l, "p256.pem", "p256.key");
        SSL_CTX_set_block_padding(l.peer.ctx, 4096);
        link_open(&l);
        link_talk(&l);
        link_close(&l);

        link_init(&l, role != 0, 0);
        link_key(&l, "p256.pem", "p256.key");
        SSL_CTX_set_max_send_fragment(l.peer.ctx, 512);
        link_open(&l);
        link_talk(&l);
        link_close(&l);
    }
}

/* RFC 6066 4: a client of TLS 1.2 gets the fragment length that it requests. */
static void
max_fragment_length_is_honoured(void **state)
{
    static const struct {
        uint8_t code;
        size_t len;
    } rows[] = { { TLSEXT_max_fragment_length_512, 512 },
                 { TLSEXT_max_fragment_length_1024, 1024 },
                 { TLSEXT_max_fragment_length_2048, 2048 },
                 { TLSEXT_max_fragment_length_4096, 4096 } };
    struct records r;
    struct link l;
    size_t i, off;

    (void)state;
    for (i = 0; i < 4; i++) {
        link_init(&l, true, 0x0303);
        link_key(&l, "p256.pem", "p256.key");
        SSL_CTX_set_tlsext_max_fragment_length(l.peer.ctx, rows[i].code);
        link_open(&l);
        /* Our own limit may be smaller, not larger. */
        assert_status(flow_control(l.ours, FLOW_CONTROL_RECORD_LIMIT, 16384),
                      FLOW_OK);
        off = l.wire.len;
        link_talk(&l);
        wire_records(&l.wire, off, &r);
        /* Explicit nonce and tag. */
        assert_int_equal(r.largest, rows[i].len + 8 + 16);
        link_close(&l);
    }
    /* TLS 1.3: we do not send the extension, and OpenSSL does not require
     * it. */
    link_init(&l, true, 0x0304);
    link_key(&l, "p256.pem", "p256.key");
    SSL_CTX_set_tlsext_max_fragment_length(l.peer.ctx,
                                           TLSEXT_max_fragment_length_512);
    link_start(&l);
    assert_status(link_handshake(&l), FLOW_OK);
    link_close(&l);
}

/* RSA signs with PSS in TLS 1.3 and with PKCS#1 in TLS 1.2. */
static void
rsa_signature_schemes_are_accepted(void **state)
{
    struct link l;
    int role, kind;
    uint32_t v;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++)
        for (role = 0; role < 2; role++) {
            link_init(&l, role != 0, v);
            link_key(&l, "rsa.pem", "rsa.key");
            SSL_CTX_set1_sigalgs_list(l.peer.ctx, "RSA-PSS+SHA256:RSA+SHA256");
            link_open(&l);
            if (role != 0)
                assert_int_equal(
                    SSL_get_peer_signature_type_nid(l.peer.ssl, &kind), 1);
            else
                assert_int_equal(SSL_get_signature_type_nid(l.peer.ssl, &kind),
                                 1);
            if (v == 0x0304)
                assert_int_equal(kind, EVP_PKEY_RSA_PSS);
            else if (role != 0)
                assert_int_equal(kind, EVP_PKEY_RSA);
            link_close(&l);
        }
}

/* Whom to ask for a certificate is up to the server; our client has none. */
static void
certificate_requests_get_an_empty_answer(void **state)
{
    struct flow_error err;
    struct link l;
    uint8_t byte;
    uint32_t v;
    size_t n;

    (void)state;
    for (v = 0x0303; v <= 0x0304; v++) {
        link_init(&l, false, v);
        SSL_CTX_set_verify(l.peer.ctx, SSL_VERIFY_PEER, NULL);
        link_open(&l);
        link_talk(&l);
        link_close(&l);

        link_init(&l, false, v);
        SSL_CTX_set_verify(l.peer.ctx,
                           SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
        link_start(&l);
        if (link_handshake(&l) == FLOW_OK) {
            ossl_step(&l.peer);
            assert_status(flow_read(l.ours, &byte, 1, &n), FLOW_E_PROTO);
        }
        flow_get_error(l.ours, FLOW_READ, &err);
        assert_int_equal(err.alert_received, v == 0x0304 ? 116 : 40);
        assert_int_equal(err.alert_sent, -1);
        link_close(&l);
    }
}

/* RFC 5746, RFC 5246 7.2.2: declined with a warning, and OpenSSL gives up. */
static void
renegotiation_is_declined(void **state)
{
    struct link l;
    uint8_t buf[10];
    int role, i;
    size_t n;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_make(&l, role != 0, 0x0303);
        assert_int_equal(SSL_renegotiate(l.peer.ssl), 1);
        (void)SSL_do_handshake(l.peer.ssl);
        for (i = 0; i < 5 && l.peer.alert_in < 0; i++) {
            (void)!ossl_read(&l.peer, buf, sizeof(buf));
            (void)!flow_read(l.ours, buf, sizeof(buf), &n);
            (void)!flow_flush(l.ours);
        }
        assert_int_equal(l.peer.alert_in, 100);
        assert_int_equal(l.peer.fatal_in, 0);
        link_close(&l);
    }
}

/* Tickets are ignored, whenever and however many are sent. */
static void
session_tickets_are_ignored(void **state)
{
    struct flow_tls_info info;
    struct link l;
    uint8_t buf[10];
    size_t n;
    int i;

    (void)state;
    link_init(&l, false, 0x0304);
    SSL_CTX_set_num_tickets(l.peer.ctx, 20);
    link_open(&l);
    assert_status(flow_read(l.ours, buf, sizeof(buf), &n), FLOW_AGAIN);
    for (i = 0; i < 20; i++) {
        assert_int_equal(SSL_new_session_ticket(l.peer.ssl), 1);
        link_hear(&l, 100, (uint64_t)i);
    }
    assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
    assert_false(info.resumed);
    link_close(&l);
    /* A server of TLS 1.2 sends one during the handshake if the client offers
     * the extension; ours does not. */
    link_make(&l, false, 0x0303);
    link_talk(&l);
    link_close(&l);
}

/* Both sides request new keys at the same time. */
static void
crossing_key_updates_work(void **state)
{
    struct flow_tls_info info;
    struct link l;
    int role, i;

    (void)state;
    for (role = 0; role < 2; role++) {
        link_make(&l, role != 0, 0x0304);
        for (i = 0; i < 10; i++) {
            assert_status(flow_control(l.ours, FLOW_CONTROL_REKEY, 1), FLOW_OK);
            assert_int_equal(
                SSL_key_update(l.peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            link_say(&l, 1000, (uint64_t)i);
            link_hear(&l, 1000, (uint64_t)i);
            link_say(&l, 17000, (uint64_t)i);
            link_hear(&l, 17000, (uint64_t)i);
        }
        assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
        assert_int_equal(info.key_updates_sent, l.peer.key_update_in);
        assert_int_equal(info.key_updates_received, l.peer.key_update_out);
        assert_true(info.key_updates_sent >= 10);
        link_close(&l);
    }
}

/* Every combination of the parameters that can be agreed on. */
static void
every_key_works_with_every_group(void **state)
{
    static const char *const keys[] = { "p256", "p384", "rsa" };
    static const uint16_t groups[] = { FLOW_TLS_GROUP_X25519,
                                       FLOW_TLS_GROUP_P256, FLOW_TLS_GROUP_P384,
                                       FLOW_TLS_GROUP_P521 };
    static const uint16_t all[] = { FLOW_TLS_GROUP_P521, FLOW_TLS_GROUP_P384,
                                    FLOW_TLS_GROUP_P256,
                                    FLOW_TLS_GROUP_X25519 };
    struct flow_tls_info info;
    char chain[32], key[32];
    struct link l;
    size_t k, g;
    int role;

    (void)state;
    for (k = 0; k < 3; k++)
        for (g = 0; g < 4; g++)
            for (role = 0; role < 2; role++) {
                int nid[] = { NID_X25519, NID_X9_62_prime256v1, NID_secp384r1,
                              NID_secp521r1 };

                guard_case(keys[k]);
                strcpy(chain, keys[k]);
                strcat(chain, ".pem");
                strcpy(key, keys[k]);
                strcat(key, ".key");
                link_init(&l, role != 0, 0x0304);
                link_key(&l, chain, key);
                assert_status(flow_tls_config_set_groups(l.config, all, 4),
                              FLOW_OK);
                SSL_CTX_set1_groups(l.peer.ctx, &nid[g], 1);
                if (k == 2)
                    SSL_CTX_set1_sigalgs_list(l.peer.ctx, "RSA-PSS+SHA256");
                link_open(&l);
                assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
                assert_int_equal(info.group, groups[g]);
                link_say(&l, 10, 1);
                link_close(&l);
            }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(lengths_around_the_record_limits_arrive),
        TEST(records_of_every_length_arrive),
        TEST(ends_arrive_in_every_order),
        TEST(cut_connection_is_not_an_orderly_end),
        TEST(openssl_without_middlebox_mode_connects),
        TEST(padded_and_small_records_of_openssl_are_read),
        TEST(max_fragment_length_is_honoured),
        TEST(rsa_signature_schemes_are_accepted),
        TEST(certificate_requests_get_an_empty_answer),
        TEST(renegotiation_is_declined),
        TEST(session_tickets_are_ignored),
        TEST(crossing_key_updates_work),
        TEST(every_key_works_with_every_group),
    };
    const struct CMUnitTest slow[] = {
        TEST(large_transfer_with_tls12_server),
        TEST(large_transfer_with_tls13_client),
    };

    if (argc > 1 && strcmp(argv[1], "large") == 0)
        return TEST_RUN(slow);
    return TEST_RUN(tests);
}
