/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/tls_session.h>

#include "link.h"
#include "pki.h"
#include "step.h"
#include "test.h"

/*
 * A client of ours with a store of sessions, and OpenSSL as the server: what is
 * resumed, what is not, and what a resumed connection says of its peer.
 */

#define DAY 86400

struct visit {
    const char *name; /* NULL: server.example */
    const char *peer; /* of flow_tls_set_session_peer(); NULL: none */
    const char *alpn; /* of the client; NULL: none */
    unsigned tickets; /* to keep; 0: 1 */
    int served;       /* tickets that the server gives; -1: none */
    size_t extra;     /* bytes by which these are longer */
    long lifetime;    /* of the tickets, in seconds; 0: OpenSSL's default */
    bool skips_verify;
    bool skips_name;
    bool has_other_trust; /* the client trusts another authority */
    bool has_other_keys;  /* the server has lost its ticket keys */
    bool rekeys;          /* the server changes its keys before its tickets */
};

static struct flow_tls_sessions *store;
/* Of the last visit. */
static struct flow_tls_info info;
static size_t chain_len;
static enum flow_status status;
static struct flow_error failure;
static size_t extra; /* of the present visit */

/* OpenSSL seals these bytes into its ticket. */
static int
lengthen_ticket(SSL *ssl, void *arg)
{
    static const unsigned char bytes[16384];

    (void)arg;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, extra);
}

static SSL_TICKET_RETURN
accept_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
              size_t len, SSL_TICKET_STATUS ticket, void *arg)
{
    (void)ssl;
    (void)session;
    (void)name;
    (void)len;
    (void)arg;
    return ticket == SSL_TICKET_SUCCESS || ticket == SSL_TICKET_SUCCESS_RENEW
               ? SSL_TICKET_RETURN_USE_RENEW
               : SSL_TICKET_RETURN_IGNORE_RENEW;
}

static void
set_up(struct link *l, int version, const struct visit *v)
{
    static unsigned char keys[80];

    link_init(l, false, (uint32_t)version);
    keys[0] = v->has_other_keys;
    SSL_CTX_set_tlsext_ticket_keys(l->peer.ctx, keys, sizeof(keys));
    SSL_CTX_set_num_tickets(l->peer.ctx, v->served < 0    ? 0
                                         : v->served == 0 ? 2
                                                          : (size_t)v->served);
    if (v->lifetime != 0)
        SSL_CTX_set_timeout(l->peer.ctx, v->lifetime);
    extra = v->extra;
    if (extra > 0)
        SSL_CTX_set_session_ticket_cb(l->peer.ctx, lengthen_ticket,
                                      accept_ticket, NULL);
    if (v->alpn != NULL)
        assert_status(flow_tls_config_set_alpn(l->config, &v->alpn, 1),
                      FLOW_OK);
    assert_status(
        flow_tls_config_insecure_skip_verify(l->config, v->skips_verify),
        FLOW_OK);
    assert_status(flow_tls_config_insecure_skip_name(l->config, v->skips_name),
                  FLOW_OK);
    assert_status(flow_tls_config_set_sessions(
                      l->config, store, v->tickets == 0 ? 1 : v->tickets, NULL),
                  FLOW_OK);
    if (!v->has_other_trust)
        return;
    flow_tls_config_unref(l->config);
    assert_status(flow_tls_config_new_client(TEST_ENV, &l->config, NULL),
                  FLOW_OK);
    assert_status(
        flow_tls_config_add_trust_file(l->config, pki("other.pem"), NULL),
        FLOW_OK);
    assert_status(flow_tls_config_set_versions(l->config,
                                               (enum flow_tls_version)version,
                                               (enum flow_tls_version)version),
                  FLOW_OK);
    assert_status(flow_tls_config_set_sessions(l->config, store, 1, NULL),
                  FLOW_OK);
}

/* A connection, and the tickets that come with its first data. */
static void
visit(int version, const struct visit *v)
{
    struct link l;

    memset(&info, 0, sizeof(info));
    set_up(&l, version, v);
    link_start(&l);
    if (v->name != NULL) {
        struct flow *under;

        assert_status(flow_detach(l.ours, &under), FLOW_OK);
        assert_status(
            flow_tls_wrap_client(l.config, under, v->name, 0, &l.ours, NULL),
            FLOW_OK);
    }
    if (v->peer != NULL)
        assert_status(flow_tls_set_session_peer(l.ours, v->peer), FLOW_OK);
    status = link_handshake(&l);
    if (status == FLOW_OK) {
        if (v->rekeys)
            assert_int_equal(
                SSL_key_update(l.peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        link_hear(&l, 100, 2);
        if (v->rekeys) {
            assert_int_equal(SSL_new_session_ticket(l.peer.ssl), 1);
            link_hear(&l, 100, 2);
        }
        link_say(&l, 100, 1);
        assert_status(flow_tls_get_info(l.ours, &info), FLOW_OK);
        chain_len = info.peer_chain_len;
        assert_int_equal(SSL_session_reused(l.peer.ssl), info.resumed);
        assert_int_equal(l.peer.fatal_in, 0);
        if (strcmp(info.matched_name, "server.example") != 0)
            assert_true(v->skips_name || v->skips_verify || v->name != NULL);
    } else {
        flow_get_error(l.ours, FLOW_READ, &failure);
    }
    link_close(&l);
}

static void
begin(void)
{
    assert_status(flow_tls_sessions_new(TEST_ENV, &store, NULL), FLOW_OK);
}

static void
finish(void)
{
    flow_tls_sessions_unref(store);
}

/* Whether the session of a first connection is resumed by a second one. */
static bool
resumes(int version, const struct visit *first, const struct visit *second)
{
    flow_tls_sessions_clear(store);
    visit(version, first);
    assert_status(status, FLOW_OK);
    assert_false(info.resumed);
    visit(version, second);
    return status == FLOW_OK && info.resumed;
}

static const int versions[] = { 0x0303, 0x0304 };
static const struct visit plain;

static void
sessions_are_resumed(void **state)
{
    size_t i, first_len;
    int n;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        visit(versions[i], &plain);
        assert_false(info.resumed);
        first_len = chain_len;
        assert_true(first_len > 0);
        for (n = 0; n < 5; n++) {
            assert_int_equal(flow_tls_sessions_count(store), 1);
            visit(versions[i], &plain);
            assert_true(info.resumed);
            /* What the full handshake established. */
            assert_int_equal(info.verify_flags, 0);
            assert_int_equal(chain_len, first_len);
        }
        finish();
    }
}

/* With a range of versions, TLS 1.3 is agreed on both times. */
static void
sessions_are_resumed_in_a_range(void **state)
{
    (void)state;
    begin();
    assert_true(resumes(0, &plain, &plain));
    finish();
}

static void
each_parameter_matters(void **state)
{
    const struct visit other[] = {
        { .peer = "host:1" },     { .alpn = "h2" },
        { .skips_verify = true }, { .skips_name = true },
        { .name = "localhost" },
    };
    size_t i, k;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        for (k = 0; k < sizeof(other) / sizeof(other[0]); k++) {
            assert_false(resumes(versions[i], &plain, &other[k]));
            /* The session of the first is still there. */
            visit(versions[i], &plain);
            assert_true(info.resumed);
            if (other[k].name != NULL)
                continue;
            assert_true(resumes(versions[i], &other[k], &other[k]));
            assert_false(resumes(versions[i], &other[k], &plain));
        }
        finish();
    }
}

/* A session that was not verified must not become one that was. */
static void
insecure_sessions_stay_insecure(void **state)
{
    const struct visit skips = { .skips_verify = true };

    (void)state;
    begin();
    assert_true(resumes(0x0304, &skips, &skips));
    assert_true((info.verify_flags & FLOW_VERIFY_NOT_CHECKED) != 0);
    finish();
}

/* Another configuration with the same trust verifies the chain again; one with
 * other trust does not resume, and its full handshake fails. */
static void
another_verifier_verifies_again(void **state)
{
    const struct visit other = { .has_other_trust = true };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        assert_false(resumes(versions[i], &plain, &other));
        assert_status(status, FLOW_E_AUTH);
        assert_int_equal(failure.verify_flags, FLOW_VERIFY_NOT_TRUSTED);
        assert_int_equal(flow_tls_sessions_count(store), 0);
        finish();
    }
}

static void
servers_may_refuse(void **state)
{
    const struct visit lost = { .has_other_keys = true };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        assert_false(resumes(versions[i], &plain, &lost));
        assert_status(status, FLOW_OK);
        assert_int_equal(info.verify_flags, 0);
        /* Of TLS 1.2 the successor is not kept: it was offered alone. */
        assert_int_equal(flow_tls_sessions_count(store), i);
        finish();
    }
}

/* As many as wanted are kept, and each is used once. */
static void
tickets_are_counted(void **state)
{
    struct visit v = { .served = 5 };
    unsigned n;

    (void)state;
    for (n = 1; n <= 8; n++) {
        begin();
        v.tickets = n;
        visit(0x0304, &v);
        assert_int_equal(flow_tls_sessions_count(store), n < 5 ? n : 5);
        finish();
    }
    begin();
    v.served = -1;
    visit(0x0304, &v);
    assert_int_equal(flow_tls_sessions_count(store), 0);
    finish();
}

/* A ticket for which the next ClientHello may have no room is not kept. */
static void
long_tickets_are_not_kept(void **state)
{
    static const struct {
        size_t extra;
        bool is_kept;
    } lengths[] = {
        { 1000, true },   { 9000, true },   { 11000, false },
        { 14000, false }, { 15000, false }, { 15500, false },
    };

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            const struct visit v = { .extra = lengths[k].extra };

            begin();
            visit(versions[i], &v);
            assert_status(status, FLOW_OK);
            assert_int_equal(flow_tls_sessions_count(store),
                             lengths[k].is_kept);
            visit(versions[i], &v);
            assert_status(status, FLOW_OK);
            assert_int_equal(info.resumed, lengths[k].is_kept);
            finish();
        }
}

static void
tickets_after_a_key_update_are_kept(void **state)
{
    const struct visit v = { .rekeys = true, .tickets = 3, .served = 2 };

    (void)state;
    begin();
    visit(0x0304, &v);
    assert_int_equal(flow_tls_sessions_count(store), 3);
    visit(0x0304, &plain);
    assert_true(info.resumed);
    finish();
}

static void
sessions_expire(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        visit(versions[i], &plain);
        assert_int_equal(flow_tls_sessions_count(store), 1);
        test_env.wall_offset = 7 * 86400 + 1;
        visit(versions[i], &plain);
        assert_false(info.resumed);
        test_env.wall_offset = -10;
        visit(versions[i], &plain);
        assert_false(info.resumed);
        test_env.wall_offset = 0;
        finish();
    }
}

/* RFC 8446 4.6.1: whatever the server says, and however often the session is
 * resumed, each time with a new ticket. */
static void
sessions_end_after_seven_days(void **state)
{
    const struct visit v = { .lifetime = 7 * DAY };
    const struct visit longer = { .lifetime = 30 * DAY };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin();
        visit(versions[i], &v);
        for (int day = 1; day < 7; day++) {
            test_env.wall_offset = day * DAY;
            visit(versions[i], &v);
            assert_true(info.resumed);
            assert_int_equal(flow_tls_sessions_count(store), 1);
        }
        test_env.wall_offset = 7 * DAY + 1;
        visit(versions[i], &v);
        assert_false(info.resumed);
        test_env.wall_offset = 0;
        finish();
    }
    begin();
    visit(0x0303, &longer);
    test_env.wall_offset = 6 * DAY;
    visit(0x0303, &longer);
    assert_true(info.resumed);
    test_env.wall_offset = 7 * DAY + 1;
    visit(0x0303, &longer);
    assert_false(info.resumed);
    test_env.wall_offset = 0;
    finish();
}

static void
limits_drop_the_oldest(void **state)
{
    const struct visit one = { .peer = "1" }, two = { .peer = "2" };

    (void)state;
    begin();
    assert_status(flow_tls_sessions_set_limits(store, 0, 1), FLOW_E_INVAL);
    assert_status(flow_tls_sessions_set_limits(store, 4097, 1), FLOW_E_INVAL);
    assert_status(flow_tls_sessions_set_limits(store, 1, 0), FLOW_E_INVAL);
    assert_status(flow_tls_sessions_set_limits(store, 1, 100000), FLOW_OK);
    visit(0x0303, &one);
    visit(0x0303, &two);
    assert_int_equal(flow_tls_sessions_count(store), 1);
    visit(0x0303, &one);
    assert_false(info.resumed);
    assert_status(flow_tls_sessions_set_limits(store, 10, 100), FLOW_OK);
    assert_int_equal(flow_tls_sessions_count(store), 0);
    visit(0x0303, &one);
    assert_int_equal(flow_tls_sessions_count(store), 0);
    finish();
}

/* --- export and import --- */

static const uint8_t key[FLOW_TLS_SESSIONS_KEY_LEN] = { 1, 2, 3 };
static uint8_t exported[65536];

static size_t export(void)
{
    size_t len, needed;

    assert_status(flow_tls_sessions_export(store, key, NULL, 0, &needed),
                  FLOW_E_INVAL);
    assert_status(
        flow_tls_sessions_export(store, key, exported, needed - 1, &len),
        FLOW_E_INVAL);
    assert_int_equal(len, needed);
    assert_status(
        flow_tls_sessions_export(store, key, exported, sizeof(exported), &len),
        FLOW_OK);
    assert_int_equal(len, needed);
    assert_int_equal(flow_tls_sessions_count(store), 0);
    return len;
}

static void
exported_sessions_are_resumed(void **state)
{
    const struct visit other = { .has_other_trust = true };
    size_t i, len, first_len;

    (void)state;
    for (i = 0; i < 2; i++) {
        begin();
        visit(versions[i], &plain);
        first_len = chain_len;
        len = export();
        finish();
        begin();
        assert_status(flow_tls_sessions_import(store, key, exported, len, NULL),
                      FLOW_OK);
        assert_int_equal(flow_tls_sessions_count(store), 1);
        visit(versions[i], &plain);
        assert_true(info.resumed);
        assert_int_equal(info.verify_flags, 0);
        assert_int_equal(chain_len, first_len);
        flow_tls_sessions_clear(store);
        assert_status(flow_tls_sessions_import(store, key, exported, len, NULL),
                      FLOW_OK);
        visit(versions[i], &other);
        assert_status(status, FLOW_E_AUTH);
        finish();
    }
}

static void
an_empty_store_is_exported(void **state)
{
    size_t len;

    (void)state;
    begin();
    len = export();
    assert_status(flow_tls_sessions_import(store, key, exported, len, NULL),
                  FLOW_OK);
    assert_int_equal(flow_tls_sessions_count(store), 0);
    finish();
}

/* Every bit, every length, and another key. */
static void
changed_exports_are_refused(void **state)
{
    const uint8_t other[FLOW_TLS_SESSIONS_KEY_LEN] = { 1, 2, 4 };
    struct flow_error err;
    size_t len, i;
    unsigned bit;

    (void)state;
    begin();
    visit(0x0304, &plain);
    len = export();
    for (i = 0; i < len; i++) {
        enum flow_status st;

        for (bit = 1; bit < 256; bit *= 2) {
            exported[i] ^= (uint8_t)bit;
            st = flow_tls_sessions_import(store, key, exported, len, &err);
            assert_status(st, i < 4 ? FLOW_E_INVAL : FLOW_E_AUTH);
            assert_non_null(err.text);
            assert_non_null(err.hint);
            exported[i] ^= (uint8_t)bit;
        }
        st = flow_tls_sessions_import(store, key, exported, i, &err);
        assert_status(st, i < 36 ? FLOW_E_INVAL : FLOW_E_AUTH);
    }
    assert_status(flow_tls_sessions_import(store, other, exported, len, NULL),
                  FLOW_E_AUTH);
    assert_int_equal(flow_tls_sessions_count(store), 0);
    assert_status(flow_tls_sessions_import(store, key, exported, len, NULL),
                  FLOW_OK);
    finish();
}

/* Whichever allocation fails, the connection fails or works, and nothing is
 * lost. */
static void
every_allocation_may_fail(void **state)
{
    size_t i, nth, opened = 0;

    (void)state;
    for (i = 0; i < 2; i++)
        for (nth = 1; nth < 60; nth++) {
            struct link l;
            uint8_t buf[8];
            size_t n;

            begin();
            visit(versions[i], &plain);
            set_up(&l, versions[i], &plain);
            link_start(&l);
            test_env_fail(nth, false);
            status = link_handshake(&l);
            test_env_fail(0, false);
            if (status == FLOW_OK && ossl_open(&l.peer)) {
                test_env_fail(nth, false);
                (void)!flow_read(l.ours, buf, sizeof(buf), &n);
                test_env_fail(0, false);
                opened++;
            }
            link_close(&l);
            finish();
        }
    assert_true(opened > 20);
}

static void
settings_are_checked(void **state)
{
    struct flow_tls_config *server;
    struct link l;
    char peer[300];

    (void)state;
    begin();
    set_up(&l, 0x0304, &plain);
    assert_status(flow_tls_config_set_sessions(l.config, store, 0, NULL),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_set_sessions(l.config, store, 9, NULL),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL), FLOW_OK);
    assert_status(flow_tls_config_set_sessions(server, store, 1, NULL),
                  FLOW_E_NOTSUP);
    flow_tls_config_unref(server);
    link_start(&l);
    memset(peer, 'x', sizeof(peer));
    peer[256] = '\0';
    assert_status(flow_tls_set_session_peer(l.ours, peer), FLOW_E_INVAL);
    peer[255] = '\0';
    assert_status(flow_tls_set_session_peer(l.ours, peer), FLOW_OK);
    assert_status(flow_tls_set_session_peer(l.ours, "host:1"), FLOW_OK);
    assert_status(flow_tls_set_session_peer(l.other, "host:1"), FLOW_E_NOTSUP);
    assert_status(link_handshake(&l), FLOW_OK);
    assert_status(flow_tls_set_session_peer(l.ours, "host:1"), FLOW_E_BUSY);
    assert_status(flow_tls_config_set_sessions(l.config, store, 1, NULL),
                  FLOW_E_BUSY);
    link_close(&l);
    finish();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_are_resumed),
        TEST(sessions_are_resumed_in_a_range),
        TEST(each_parameter_matters),
        TEST(insecure_sessions_stay_insecure),
        TEST(another_verifier_verifies_again),
        TEST(servers_may_refuse),
        TEST(tickets_are_counted),
        TEST(long_tickets_are_not_kept),
        TEST(tickets_after_a_key_update_are_kept),
        TEST(sessions_expire),
        TEST(sessions_end_after_seven_days),
        TEST(limits_drop_the_oldest),
        TEST(exported_sessions_are_resumed),
        TEST(an_empty_store_is_exported),
        TEST(changed_exports_are_refused),
        TEST(every_allocation_may_fail),
        TEST(settings_are_checked),
    };

    return TEST_RUN(tests);
}
