/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/ssl.h>

#include <flow/tls_config.h>

#include "engine.h"
#include "test.h"

/*
 * Facts about mbedTLS, one test each, that taking over its keys leans on.  If
 * one of them stops to hold with another version of it, this is where that is
 * seen first.
 */

#define CLIENT_HS MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET
#define SERVER_HS MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET
#define CLIENT_APP                                                             \
    MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET
#define SERVER_APP                                                             \
    MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET
#define MASTER MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET

#define TLS12 MBEDTLS_SSL_VERSION_TLS1_2
#define TLS13 MBEDTLS_SSL_VERSION_TLS1_3

static struct engine engine;
static struct ossl peer;

static void
begin(bool server, mbedtls_ssl_protocol_version version)
{
    engine_init(&engine, server, version);
    ossl_init(&peer, !server,
              version == TLS13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_ciphersuites(peer.ctx, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_num_tickets(peer.ctx, 0);
}

static void
start(void)
{
    engine_start(&engine);
    ossl_start(&peer, NULL);
}

static void
end(void)
{
    engine_free(&engine);
    ossl_free(&peer);
}

static void
complete(bool server, mbedtls_ssl_protocol_version version)
{
    begin(server, version);
    start();
    assert_int_equal(engine_handshake(&engine, &peer), 0);
    assert_true(ossl_open(&peer));
}

static void
every_send_is_one_whole_record(void **state)
{
    size_t i;
    int role, v;

    (void)state;
    for (role = 0; role < 2; role++)
        for (v = 0; v < 2; v++) {
            complete(role != 0, v ? TLS13 : TLS12);
            assert_true(engine.sends > 1);
            for (i = 0; i < engine.sends; i++) {
                const uint8_t *r = engine.out + engine.send_at[i];

                assert_int_equal(5 + (r[3] << 8 | r[4]), engine.send_len[i]);
            }
            end();
        }
}

static void
secrets_come_once_and_before_what_they_key(void **state)
{
    struct record_key hs;
    uint8_t plain[4096], type;
    size_t finished;

    (void)state;
    complete(true, TLS13);
    assert_int_equal(engine.exports[CLIENT_HS], 1);
    assert_int_equal(engine.exports[SERVER_HS], 1);
    assert_int_equal(engine.exports[CLIENT_APP], 1);
    assert_int_equal(engine.exports[SERVER_APP], 1);
    assert_int_equal(engine.exports[MASTER], 0);
    /* The handshake secrets: before the ServerHello is on the stage, and the
     * suite cannot be asked then. */
    assert_int_equal(engine.sends_before[SERVER_HS], 0);
    assert_int_equal(engine.suite_seen[SERVER_HS], 0);
    /* The length of a secret is that of its hash; SHA-256 here. */
    assert_int_equal(engine.secret_len[SERVER_HS], 32);
    assert_int_equal(engine.secret_len[SERVER_APP], 32);
    /* The application secrets: before the Finished, which is therefore the
     * next record and opens with the handshake key. */
    finished = engine.sends_before[SERVER_APP];
    assert_true(finished > 0 && finished == engine.sends - 1);
    record_key13(&hs, engine.secret[SERVER_HS]);
    /* Behind ServerHello and change_cipher_spec: numbers from 0. */
    assert_true(record_open(&hs, finished - 2,
                            engine.out + engine.send_at[finished],
                            engine.send_len[finished], plain, &type) > 4);
    assert_int_equal(type, 22);
    assert_int_equal(plain[0], 20);
    end();
}

static void
master_secret_comes_once_before_our_finished(void **state)
{
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        complete(role != 0, TLS12);
        assert_int_equal(engine.exports[MASTER], 1);
        assert_int_equal(engine.secret_len[MASTER], 48);
        assert_int_equal(engine.prf, MBEDTLS_SSL_TLS_PRF_SHA256);
        assert_int_equal(engine.exports[SERVER_APP], 0);
        assert_true(engine.sends_before[MASTER] < engine.sends);
        end();
    }
}

/* What the peer sends with, and right behind, its Finished. */
static void
data_behind_finished(mbedtls_ssl_protocol_version version)
{
    struct record_key key;
    uint8_t plain[100], type;
    size_t left;

    begin(true, version);
    start();
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl),
                     MBEDTLS_ERR_SSL_WANT_READ);
    engine_to_peer(&engine, &peer);
    ossl_step(&peer);
    if (version == TLS12) {
        engine_from_peer(&engine, &peer);
        assert_int_equal(mbedtls_ssl_handshake(&engine.ssl), 0);
        engine_to_peer(&engine, &peer);
        ossl_step(&peer);
    }
    assert_true(ossl_open(&peer));
    assert_true(ossl_write(&peer, "behind", 6));
    engine_from_peer(&engine, &peer);
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl), 0);
    assert_int_equal(mbedtls_ssl_check_pending(&engine.ssl), 0);
    /* It stopped at its last record; the rest is as it came. */
    left = engine.in_len - engine.in_off;
    if (version == TLS13)
        record_key13(&key, engine.secret[CLIENT_APP]);
    else
        record_key12(&key, &engine, true);
    assert_int_equal(record_open(&key, version == TLS13 ? 0 : 1,
                                 engine.in + engine.in_off, left, plain, &type),
                     6);
    assert_memory_equal(plain, "behind", 6);
    assert_int_equal(type, 23);
    end();
}

static void
data_behind_the_last_record_stays(void **state)
{
    (void)state;
    data_behind_finished(TLS13);
    data_behind_finished(TLS12);
}

/* The exported secrets are enough to go on without the engine. */
static void
goes_on_without(bool server, mbedtls_ssl_protocol_version version)
{
    uint64_t first = version == TLS13 ? 0 : 1;
    uint8_t record[200], plain[100], type, got[100];
    struct record_key ours, theirs;
    size_t n;

    complete(server, version);
    if (version == TLS13) {
        record_key13(&ours, engine.secret[server ? SERVER_APP : CLIENT_APP]);
        record_key13(&theirs, engine.secret[server ? CLIENT_APP : SERVER_APP]);
    } else {
        record_key12(&ours, &engine, !server);
        record_key12(&theirs, &engine, server);
    }
    mbedtls_ssl_free(&engine.ssl);
    mbedtls_ssl_init(&engine.ssl);
    n = record_seal(&ours, first, 23, "ours", 4, record);
    BIO_write(peer.in, record, (int)n);
    assert_int_equal(ossl_read(&peer, got, sizeof(got)), 4);
    assert_memory_equal(got, "ours", 4);
    assert_true(ossl_write(&peer, "theirs", 6));
    engine.in_off = engine.in_len;
    engine_from_peer(&engine, &peer);
    assert_int_equal(record_open(&theirs, first, engine.in + engine.in_off,
                                 engine.in_len - engine.in_off, plain, &type),
                     6);
    end();
}

static void
exported_secrets_suffice(void **state)
{
    (void)state;
    goes_on_without(false, TLS13);
    goes_on_without(true, TLS13);
    goes_on_without(false, TLS12);
    goes_on_without(true, TLS12);
}

/* A Finished with another message in the same record. */
static void
messages_hidden_behind_a_finished(void **state)
{
    static const uint8_t hello_request[4] = { 0 };
    struct record_key key;
    uint8_t plain[256], type, record[300];
    size_t flight, n;
    int len;

    (void)state;
    begin(true, TLS12);
    start();
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    (void)mbedtls_ssl_handshake(&engine.ssl);
    engine_to_peer(&engine, &peer);
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    /* ClientKeyExchange, change_cipher_spec, Finished: hold the last back. */
    flight = engine.in_off;
    for (n = 0; n < 2; n++)
        flight +=
            5 + (size_t)(engine.in[flight + 3] << 8 | engine.in[flight + 4]);
    n = engine.in_len - flight;
    memcpy(record, engine.in + flight, n);
    engine.in_len = flight;
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl),
                     MBEDTLS_ERR_SSL_WANT_READ);
    assert_int_equal(engine.exports[MASTER], 1);
    record_key12(&key, &engine, true);
    len = record_open(&key, 0, record, n, plain, &type);
    assert_int_equal(len, 16);
    memcpy(plain + len, hello_request, 4);
    n = record_seal(&key, 0, 22, plain, (size_t)len + 4, record);
    engine_feed(&engine, record, n);
    /* It is taken silently, so the layer above has to ask. */
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl), 0);
    assert_int_equal(mbedtls_ssl_check_pending(&engine.ssl), 1);
    end();
}

/* Break the client's second flight: what the server says about it. */
static void
server_alert_is_under_the_handshake_key(void **state)
{
    struct record_key hs;
    uint8_t plain[100], type;
    const uint8_t *r;
    int len = -1;
    uint64_t i;

    (void)state;
    begin(true, TLS13);
    start();
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    (void)mbedtls_ssl_handshake(&engine.ssl);
    engine_to_peer(&engine, &peer);
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    engine.in[engine.in_len - 1] ^= 1;
    assert_true(mbedtls_ssl_handshake(&engine.ssl) < 0);
    r = engine.out + engine.send_at[engine.sends - 1];
    assert_int_equal(r[0], 23);
    record_key13(&hs, engine.secret[SERVER_HS]);
    for (i = 0; i < 10 && len < 0; i++)
        len = record_open(&hs, i, r, engine.send_len[engine.sends - 1], plain,
                          &type);
    assert_int_equal(len, 2);
    assert_int_equal(type, 21);
    assert_int_equal(plain[1], 20);
    /* The client, which has the application key by now, cannot read it. */
    engine_to_peer(&engine, &peer);
    assert_int_equal(ossl_read(&peer, plain, sizeof(plain)), -1);
    assert_int_equal(peer.alert_in, -1);
    end();
}

static void
client_alert_is_in_the_clear(void **state)
{
    const uint8_t *r;

    (void)state;
    begin(false, TLS13);
    ossl_use_key(&peer, "untrusted.pem", "untrusted.key");
    start();
    assert_true(engine_handshake(&engine, &peer) < 0);
    assert_int_equal(engine.exports[CLIENT_HS], 1);
    r = engine.out + engine.send_at[engine.sends - 1];
    assert_int_equal(r[0], 21);
    assert_int_equal(r[6], 48);
    end();
}

static void
some_refusals_are_silent(void **state)
{
    static const uint8_t unknown[] = { 99, 3, 3, 0, 1, 0 };
    static const uint8_t empty_alert[] = { 21, 3, 3, 0, 0 };

    (void)state;
    begin(true, TLS13);
    start();
    engine_feed(&engine, unknown, sizeof(unknown));
    assert_true(mbedtls_ssl_handshake(&engine.ssl) < 0);
    assert_int_equal(engine.sends, 0);
    end();
    begin(true, TLS13);
    start();
    engine_feed(&engine, empty_alert, sizeof(empty_alert));
    assert_true(mbedtls_ssl_handshake(&engine.ssl) < 0);
    assert_int_equal(engine.sends, 0);
    end();
}

static void
short_first_fragment_is_refused(void **state)
{
    uint8_t fragment[5 + 3] = { 22, 3, 1, 0, 3 };

    (void)state;
    begin(true, TLS13);
    start();
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    /* Three bytes of the message in a record of their own. */
    memcpy(fragment + 5, engine.in + 5, 3);
    engine.in[2 + 3] = (uint8_t)((engine.in_len - 8) >> 8);
    engine.in[2 + 4] = (uint8_t)(engine.in_len - 8);
    engine.in_len = 0;
    engine_feed(&engine, fragment, sizeof(fragment));
    assert_int_not_equal(mbedtls_ssl_handshake(&engine.ssl),
                         MBEDTLS_ERR_SSL_WANT_READ);
    end();
}

static void
extended_master_secret_is_not_enforced(void **state)
{
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        begin(role != 0, TLS12);
        mbedtls_ssl_conf_extended_master_secret(
            &engine.conf, MBEDTLS_SSL_EXTENDED_MS_ENABLED);
        SSL_CTX_set_options(peer.ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
        start();
        assert_int_equal(engine_handshake(&engine, &peer), 0);
        assert_int_equal(SSL_get_extms_support(peer.ssl), 0);
        end();
    }
}

static void
record_limit_of_the_engine_is_one_short(void **state)
{
    (void)state;
    complete(true, TLS13);
    assert_int_equal(mbedtls_ssl_get_max_out_record_payload(&engine.ssl),
                     16383);
    end();
}

/* Why its send callback must swallow everything after the take-over. */
static void
its_close_notify_would_reuse_our_nonce(void **state)
{
    struct record_key app;
    uint8_t plain[100], type;
    size_t before;

    (void)state;
    complete(true, TLS13);
    before = engine.sends;
    assert_int_equal(mbedtls_ssl_close_notify(&engine.ssl), 0);
    assert_int_equal(engine.sends, before + 1);
    record_key13(&app, engine.secret[SERVER_APP]);
    assert_int_equal(record_open(&app, 0, engine.out + engine.send_at[before],
                                 engine.send_len[before], plain, &type),
                     2);
    assert_int_equal(type, 21);
    end();
}

static int
set_up(void **state)
{
    struct flow_tls_config *c;

    if (guard_process(state) != 0)
        return -1;
    /* Seeds the engine and gives it its locks, as in every program. */
    if (flow_tls_config_new_client(NULL, &c, NULL) != FLOW_OK)
        return -1;
    flow_tls_config_unref(c);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_send_is_one_whole_record),
        TEST(secrets_come_once_and_before_what_they_key),
        TEST(master_secret_comes_once_before_our_finished),
        TEST(data_behind_the_last_record_stays),
        TEST(exported_secrets_suffice),
        TEST(messages_hidden_behind_a_finished),
        TEST(server_alert_is_under_the_handshake_key),
        TEST(client_alert_is_in_the_clear),
        TEST(some_refusals_are_silent),
        TEST(short_first_fragment_is_refused),
        TEST(extended_master_secret_is_not_enforced),
        TEST(record_limit_of_the_engine_is_one_short),
        TEST(its_close_notify_would_reuse_our_nonce),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
