/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/ssl.h>

#include <flow/tls_config.h>

#include "engine.h"
#include "test.h"

/*
 * Facts about mbedTLS on which the takeover of its keys depends, one test each.
 * If one does not hold in another version of mbedTLS, it fails here first.
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
secrets_are_exported_once_before_their_first_use(void **state)
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
    /* The handshake secrets are exported before the ServerHello is sent, and
     * the suite is not known at that time. */
    assert_int_equal(engine.sends_before[SERVER_HS], 0);
    assert_int_equal(engine.suite_seen[SERVER_HS], 0);
    /* The length of a secret is that of the suite's hash; here SHA-256. */
    assert_int_equal(engine.secret_len[SERVER_HS], 32);
    assert_int_equal(engine.secret_len[SERVER_APP], 32);
    /* The application secrets are exported before the Finished, which is
     * therefore the next record and opens with the handshake key. */
    finished = engine.sends_before[SERVER_APP];
    assert_true(finished > 0 && finished == engine.sends - 1);
    record_key13(&hs, engine.secret[SERVER_HS]);
    /* After ServerHello and change_cipher_spec the sequence numbers start at
     * 0. */
    assert_true(record_open(&hs, finished - 2,
                            engine.out + engine.send_at[finished],
                            engine.send_len[finished], plain, &type) > 4);
    assert_int_equal(type, 22);
    assert_int_equal(plain[0], 20);
    end();
}

static void
master_secret_is_exported_once_before_our_finished(void **state)
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

/* The peer's data arrives together with its Finished and after it. */
static void
data_after_finished(mbedtls_ssl_protocol_version version)
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
    assert_true(ossl_write(&peer, "follow", 6));
    engine_from_peer(&engine, &peer);
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl), 0);
    assert_int_equal(mbedtls_ssl_check_pending(&engine.ssl), 0);
    /* The engine stopped at its last record; the rest is unread. */
    left = engine.in_len - engine.in_off;
    if (version == TLS13)
        record_key13(&key, engine.secret[CLIENT_APP]);
    else
        record_key12(&key, &engine, true);
    assert_int_equal(record_open(&key, version == TLS13 ? 0 : 1,
                                 engine.in + engine.in_off, left, plain, &type),
                     6);
    assert_memory_equal(plain, "follow", 6);
    assert_int_equal(type, 23);
    end();
}

static void
data_after_the_last_record_stays_unread(void **state)
{
    (void)state;
    data_after_finished(TLS13);
    data_after_finished(TLS12);
}

/* The exported secrets suffice to continue without the engine. */
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
exported_secrets_suffice_to_continue(void **state)
{
    (void)state;
    goes_on_without(false, TLS13);
    goes_on_without(true, TLS13);
    goes_on_without(false, TLS12);
    goes_on_without(true, TLS12);
}

/* A Finished with another message in the same record. */
static void
message_after_a_finished_in_its_record_is_accepted(void **state)
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
    /* The engine accepts it silently, so the layer above has to check. */
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl), 0);
    assert_int_equal(mbedtls_ssl_check_pending(&engine.ssl), 1);
    end();
}

/* Corrupt the client's second flight; the server's reaction. */
static void
server_alert_is_sealed_with_the_handshake_key(void **state)
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
    /* The client already has the application key and cannot open it. */
    engine_to_peer(&engine, &peer);
    assert_int_equal(ossl_read(&peer, plain, sizeof(plain)), -1);
    assert_int_equal(peer.alert_in, -1);
    end();
}

static void
client_alert_is_in_plaintext(void **state)
{
    const uint8_t *r;

    (void)state;
    begin(false, TLS13);
    mbedtls_ssl_conf_authmode(&engine.conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    ossl_use_key(&peer, "untrusted.pem", "untrusted.key");
    start();
    assert_true(engine_handshake(&engine, &peer) < 0);
    assert_int_equal(engine.exports[CLIENT_HS], 1);
    r = engine.out + engine.send_at[engine.sends - 1];
    assert_int_equal(r[0], 21);
    assert_int_equal(r[6], 48);
    end();
}

#if defined(FLOW_MBEDTLS_PEER)
/* Without libflow, which asks for an optional one, nothing is accepted. */
static void
a_required_verification_never_succeeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin(false, i == 0 ? TLS12 : TLS13);
        mbedtls_ssl_conf_authmode(&engine.conf, MBEDTLS_SSL_VERIFY_REQUIRED);
        start();
        assert_int_equal(engine_handshake(&engine, &peer),
                         MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        end();
    }
}
#endif

static void
some_malformed_records_get_no_alert(void **state)
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
    /* The message's first three bytes in a record of their own. */
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
record_limit_of_mbedtls_is_one_short(void **state)
{
    (void)state;
    complete(true, TLS13);
    assert_int_equal(mbedtls_ssl_get_max_out_record_payload(&engine.ssl),
                     16383);
    end();
}

/* The reason why the send callback must discard everything after the
 * takeover. */
static void
close_notify_of_mbedtls_would_reuse_a_nonce(void **state)
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

/* Number of records sealed with this key, from the first that opens. */
static uint64_t
opened_records(const struct record_key *key, uint64_t first)
{
    uint8_t plain[4096], type;
    uint64_t number = first;
    size_t i;

    for (i = 0; i < engine.sends; i++)
        if (engine.send_len[i] < sizeof(plain) &&
            record_open(key, number, engine.out + engine.send_at[i],
                        engine.send_len[i], plain, &type) >= 0)
            number++;
    return number;
}

/* Finished is number 0 in TLS 1.2; in TLS 1.3 without tickets there is no
 * record yet. */
static void
sequence_numbers_at_the_takeover_are_known(void **state)
{
    struct record_key key;
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        complete(role != 0, TLS13);
        record_key13(&key, engine.secret[role ? SERVER_APP : CLIENT_APP]);
        assert_int_equal(opened_records(&key, 0), 0);
        end();
        complete(role != 0, TLS12);
        record_key12(&key, &engine, role == 0);
        assert_int_equal(opened_records(&key, 0), 1);
        end();
    }
}

static void
length_of_a_secret_tells_the_hash(void **state)
{
    static const int suites[] = { MBEDTLS_TLS1_3_AES_256_GCM_SHA384, 0 };

    (void)state;
    begin(true, TLS13);
    mbedtls_ssl_conf_ciphersuites(&engine.conf, suites);
    SSL_CTX_set_ciphersuites(peer.ctx, "TLS_AES_256_GCM_SHA384");
    start();
    assert_int_equal(engine_handshake(&engine, &peer), 0);
    assert_int_equal(engine.secret_len[SERVER_HS], 48);
    assert_int_equal(engine.secret_len[CLIENT_HS], 48);
    assert_int_equal(engine.secret_len[SERVER_APP], 48);
    assert_int_equal(engine.secret_len[CLIENT_APP], 48);
    end();
}

static void
secrets_are_exported_once_after_a_retry(void **state)
{
    static const uint16_t p384[] = { MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
                                     MBEDTLS_SSL_IANA_TLS_GROUP_NONE };
    static const uint16_t both[] = { MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                     MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
                                     MBEDTLS_SSL_IANA_TLS_GROUP_NONE };
    int role;

    (void)state;
    for (role = 0; role < 2; role++) {
        begin(role != 0, TLS13);
        mbedtls_ssl_conf_groups(&engine.conf, role ? p384 : both);
        SSL_CTX_set1_groups_list(peer.ctx, role ? "X25519:P-384" : "P-384");
        start();
        assert_int_equal(engine_handshake(&engine, &peer), 0);
        assert_int_equal(engine.exports[CLIENT_HS], 1);
        assert_int_equal(engine.exports[SERVER_HS], 1);
        assert_int_equal(engine.exports[CLIENT_APP], 1);
        assert_int_equal(engine.exports[SERVER_APP], 1);
        end();
    }
}

#if defined(MBEDTLS_SSL_SESSION_TICKETS)
static int
write_ticket(void *ctx, const mbedtls_ssl_session *session,
             unsigned char *start_at, const unsigned char *end_at, size_t *len,
             uint32_t *lifetime)
{
    (void)ctx;
    (void)session;
    assert_true(end_at - start_at >= 16);
    memset(start_at, 7, 16);
    *len = 16;
    *lifetime = 100;
    return 0;
}

static int
parse_ticket(void *ctx, mbedtls_ssl_session *session, unsigned char *buf,
             size_t len)
{
    (void)ctx;
    (void)session;
    (void)buf;
    (void)len;
    return MBEDTLS_ERR_SSL_INVALID_MAC;
}

static int
send_nothing(void *ctx, const unsigned char *buf, size_t len)
{
    (void)ctx;
    (void)buf;
    (void)len;
    return MBEDTLS_ERR_SSL_WANT_WRITE;
}

/*
 * A server that still has tickets to send reports the handshake as over; only
 * the return value 0 comes after them.
 */
static void
handshake_over_is_reported_too_early(void **state)
{
    struct record_key key;

    (void)state;
    begin(true, TLS13);
    mbedtls_ssl_conf_session_tickets_cb(&engine.conf, write_ticket,
                                        parse_ticket, NULL);
    mbedtls_ssl_conf_tls13_key_exchange_modes(
        &engine.conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_ALL);
    mbedtls_ssl_conf_new_session_tickets(&engine.conf, 2);
    start();
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl),
                     MBEDTLS_ERR_SSL_WANT_READ);
    engine_to_peer(&engine, &peer);
    ossl_step(&peer);
    engine_from_peer(&engine, &peer);
    engine_block(&engine, send_nothing);
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl),
                     MBEDTLS_ERR_SSL_WANT_WRITE);
    assert_int_equal(mbedtls_ssl_is_handshake_over(&engine.ssl), 1);
    record_key13(&key, engine.secret[SERVER_APP]);
    assert_int_equal(opened_records(&key, 0), 0);
    engine_block(&engine, NULL);
    assert_int_equal(mbedtls_ssl_handshake(&engine.ssl), 0);
    assert_int_equal(opened_records(&key, 0), 2);
    end();
}
#endif

static unsigned certificate_calls;

static int
on_certificate(mbedtls_ssl_context *ssl)
{
    (void)ssl;
    certificate_calls++;
    return 0;
}

static void
certificate_callback_always_runs(void **state)
{
    int v;

    (void)state;
    for (v = 0; v < 2; v++) {
        begin(true, v ? TLS13 : TLS12);
        mbedtls_ssl_conf_cert_cb(&engine.conf, on_certificate);
        start();
        /* Even for a client that sends no server name. */
        SSL_set_tlsext_host_name(peer.ssl, NULL);
        certificate_calls = 0;
        assert_int_equal(engine_handshake(&engine, &peer), 0);
        assert_int_equal(certificate_calls, 1);
        end();
    }
}

/* The reason why the list of protocols must outlive the connection. */
static void
alpn_string_points_into_the_configuration(void **state)
{
    static const char *protocols[] = { "h2", "http/1.1", NULL };
    const char *agreed;

    (void)state;
    begin(true, TLS13);
    assert_int_equal(mbedtls_ssl_conf_alpn_protocols(&engine.conf, protocols),
                     0);
    SSL_CTX_set_alpn_protos(peer.ctx, (const unsigned char *)"\10http/1.1", 9);
    start();
    assert_int_equal(engine_handshake(&engine, &peer), 0);
    agreed = mbedtls_ssl_get_alpn_protocol(&engine.ssl);
    assert_ptr_equal(agreed, protocols[1]);
    end();
}

/* In TLS 1.2 there is a getter for the limit that a client requests. */
static void
fragment_limit_has_a_getter_in_tls12(void **state)
{
    (void)state;
    begin(true, TLS12);
    SSL_CTX_set_tlsext_max_fragment_length(peer.ctx,
                                           TLSEXT_max_fragment_length_1024);
    start();
    assert_int_equal(engine_handshake(&engine, &peer), 0);
    assert_int_equal(mbedtls_ssl_get_max_out_record_payload(&engine.ssl), 1024);
    end();
    complete(true, TLS12);
    assert_int_equal(mbedtls_ssl_get_max_out_record_payload(&engine.ssl),
                     16384);
    end();
}

/* RFC 8446 specifies certificate_required (116). */
static void
missing_client_certificate_gets_alert_41(void **state)
{
    const uint8_t *r;
    struct record_key hs;
    uint8_t plain[100], type = 0;
    int len = -1;
    uint64_t i;

    (void)state;
    begin(true, TLS13);
    mbedtls_ssl_conf_authmode(&engine.conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&engine.conf, &engine.crt, NULL);
    start();
    assert_true(engine_handshake(&engine, &peer) < 0);
    r = engine.out + engine.send_at[engine.sends - 1];
    record_key13(&hs, engine.secret[SERVER_HS]);
    for (i = 0; i < 10 && len < 0; i++)
        len = record_open(&hs, i, r, engine.send_len[engine.sends - 1], plain,
                          &type);
    assert_int_equal(len, 2);
    assert_int_equal(type, 21);
    assert_int_equal(plain[1], 41);
    end();
}

/* After the takeover we use its write key: freeing the engine sends nothing. */
static void
freeing_mbedtls_sends_no_record(void **state)
{
    size_t before;
    int role, v;

    (void)state;
    for (role = 0; role < 2; role++)
        for (v = 0; v < 2; v++) {
            complete(role != 0, v ? TLS13 : TLS12);
            before = engine.sends;
            mbedtls_ssl_free(&engine.ssl);
            assert_int_equal(engine.sends, before);
            mbedtls_ssl_init(&engine.ssl);
            end();
        }
}

static int
set_up(void **state)
{
    struct flow_tls_config *c;

    if (guard_process(state) != 0)
        return -1;
    /* Seed the engine and install its locks, as in every program. */
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
        TEST(secrets_are_exported_once_before_their_first_use),
        TEST(master_secret_is_exported_once_before_our_finished),
        TEST(data_after_the_last_record_stays_unread),
        TEST(exported_secrets_suffice_to_continue),
        TEST(message_after_a_finished_in_its_record_is_accepted),
        TEST(server_alert_is_sealed_with_the_handshake_key),
        TEST(client_alert_is_in_plaintext),
#if defined(FLOW_MBEDTLS_PEER)
        TEST(a_required_verification_never_succeeds),
#endif
        TEST(some_malformed_records_get_no_alert),
        TEST(short_first_fragment_is_refused),
        TEST(extended_master_secret_is_not_enforced),
        TEST(record_limit_of_mbedtls_is_one_short),
        TEST(close_notify_of_mbedtls_would_reuse_a_nonce),
        TEST(sequence_numbers_at_the_takeover_are_known),
        TEST(length_of_a_secret_tells_the_hash),
        TEST(secrets_are_exported_once_after_a_retry),
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
        TEST(handshake_over_is_reported_too_early),
#endif
        TEST(certificate_callback_always_runs),
        TEST(alpn_string_points_into_the_configuration),
        TEST(fragment_limit_has_a_getter_in_tls12),
        TEST(missing_client_certificate_gets_alert_41),
        TEST(freeing_mbedtls_sends_no_record),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
