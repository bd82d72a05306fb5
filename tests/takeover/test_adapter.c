/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/tls_config.h>

#include "pki.h"
#include "stacks.h"
#include "test.h"
#include "tls/config.h"
#include "tls/engine.h"

/*
 * Two engines of mbedTLS with the interface of tls/engine.h that pass each
 * other messages, without records, ciphers and flows.  This file tests what the
 * adapter promises; test_takeover.c tests the facts that it depends on.
 */

#define MESSAGES 32

/* A message in transit. */
struct passed {
    enum flow__level level;
    uint8_t bytes[8192];
    size_t len;
};

struct side {
    struct flow_tls_config *config;
    struct flow__engine *engine;
    enum flow_status status;
    struct passed out[MESSAGES]; /* all messages that the side sent */
    size_t said;
    size_t heard; /* number of the other's messages received */
    /* The exported secrets, by level and direction. */
    uint8_t secret[3][2][48];
    size_t secret_len[3][2];
    unsigned secrets;
    const struct flow__suite *suite;
    struct flow__key_material keys[3][2];
    struct flow_error err;
};

static struct side client, server;

static void
make(struct side *s, bool is_server, uint16_t version, const char *pair)
{
    enum flow_tls_version v = (enum flow_tls_version)version;
    char chain[40], key[40];

    memset(s, 0, sizeof(*s));
    s->status = FLOW_AGAIN;
    assert_status(is_server
                      ? flow_tls_config_new_server(TEST_ENV, &s->config, NULL)
                      : flow_tls_config_new_client(TEST_ENV, &s->config, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(s->config, v, v), FLOW_OK);
    (void)snprintf(chain, sizeof(chain), "%s.pem", pair);
    (void)snprintf(key, sizeof(key), "%s.key", pair);
    if (is_server)
        assert_status(flow_tls_config_add_keypair_file(
                          s->config, pki(chain), pki(key), NULL, NULL, NULL),
                      FLOW_OK);
    else
        assert_status(
            flow_tls_config_add_trust_file(s->config, pki("ca.pem"), NULL),
            FLOW_OK);
}

static void
prepare(uint16_t version, const char *pair)
{
    make(&client, false, version, pair);
    make(&server, true, version, pair);
}

static void
start(void)
{
    assert_status(flow_tls_config_freeze(client.config, NULL), FLOW_OK);
    assert_status(flow_tls_config_freeze(server.config, NULL), FLOW_OK);
    assert_status(flow__engine_new(client.config->engine, NULL, 0,
                                   "server.example", NULL, &client.engine),
                  FLOW_OK);
    assert_status(flow__engine_new(server.config->engine,
                                   flow__sni_pair(server.config->sni, 0, 0),
                                   (uint16_t)server.config->max_version, NULL,
                                   NULL, &server.engine),
                  FLOW_OK);
}

static void
end(void)
{
    flow__engine_free(client.engine);
    flow__engine_free(server.engine);
    flow_tls_config_unref(client.config);
    flow_tls_config_unref(server.config);
}

/* Every secret is exported once, after the ServerHello that selects its
 * suite. */
static void
note_secret(struct side *s, const struct flow__engine_event *ev)
{
    int i;

    assert_non_null(ev->suite);
    assert_true(s->suite == NULL || s->suite == ev->suite);
    s->suite = ev->suite;
    assert_int_equal(s->secret_len[ev->level][ev->is_write], 0);
    assert_int_not_equal(ev->level, FLOW__LEVEL_PLAIN);
    memcpy(s->secret[ev->level][ev->is_write], ev->bytes, ev->len);
    s->secret_len[ev->level][ev->is_write] = ev->len;
    s->secrets++;
    for (i = 0; i < 2; i++) {
        bool is_set = i == ev->is_write || ev->suite->version == 0x0303;

        assert_int_equal(ev->keys[i] != NULL, is_set);
        if (is_set)
            s->keys[ev->level][i] = *ev->keys[i];
    }
}

/* A message is complete, alone in its event, and protected only by a known
 * key. */
static void
note_message(struct side *s, const struct flow__engine_event *ev)
{
    struct passed *p = &s->out[s->said++];
    const uint8_t *b = ev->bytes;

    assert_true(s->said <= MESSAGES && ev->len <= sizeof(p->bytes));
    assert_int_equal(ev->len,
                     4 + ((size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3]));
    if (ev->level == FLOW__LEVEL_HANDSHAKE)
        assert_true(s->secret_len[ev->level][1] > 0);
    if (ev->level == FLOW__LEVEL_DATA)
        assert_int_equal(s->secret_len[ev->level][0], 48);
    p->level = ev->level;
    p->len = ev->len;
    memcpy(p->bytes, b, ev->len);
}

static void
drain(struct side *s)
{
    struct flow__engine_event ev;
    enum flow_status st;

    while ((st = flow__engine_next(s->engine, &ev)) == FLOW_OK) {
        if (ev.kind == FLOW__ENGINE_SECRET)
            note_secret(s, &ev);
        else
            note_message(s, &ev);
    }
    assert_status(st, FLOW_AGAIN);
}

/* Pass one message from one side to s; false if there is none. */
static bool
hear(struct side *s, const struct side *from)
{
    const struct passed *p = &from->out[s->heard];

    if (s->heard == from->said || s->status != FLOW_AGAIN)
        return false;
    s->heard++;
    s->status =
        flow__engine_feed(s->engine, p->level, p->bytes, p->len, &s->err);
    drain(s);
    return true;
}

static void
run(void)
{
    bool moved = true;

    client.status = flow__engine_start(client.engine, &client.err);
    assert_status(client.status, FLOW_AGAIN);
    drain(&client);
    while (moved) {
        moved = hear(&server, &client);
        moved = hear(&client, &server) || moved;
    }
}

/* The types of a side's messages, in order. */
static void
assert_said(const struct side *s, const char *types)
{
    size_t i;

    assert_int_equal(s->said, strlen(types));
    for (i = 0; i < s->said; i++)
        assert_int_equal(s->out[i].bytes[0], types[i]);
}

/* Each side writes with the keys that the other reads with. */
static void
assert_same_keys(int level)
{
    assert_memory_equal(&client.keys[level][1], &server.keys[level][0],
                        sizeof(client.keys[level][1]));
    assert_memory_equal(&client.keys[level][0], &server.keys[level][1],
                        sizeof(client.keys[level][0]));
    assert_memory_not_equal(&client.keys[level][0], &client.keys[level][1],
                            sizeof(client.keys[level][0]));
}

static void
assert_agreed(uint16_t version)
{
    int level;

    assert_status(client.status, FLOW_OK);
    assert_status(server.status, FLOW_OK);
    assert_ptr_equal(client.suite, server.suite);
    assert_int_equal(client.secrets, version == 0x0304 ? 4 : 1);
    assert_int_equal(server.secrets, client.secrets);
    if (version == 0x0303) {
        assert_memory_equal(client.secret[2][0], server.secret[2][0], 48);
        assert_same_keys(2);
        return;
    }
    for (level = 1; level <= 2; level++) {
        size_t len = client.secret_len[level][1];

        assert_int_equal(len, client.suite->hash);
        assert_memory_equal(client.secret[level][1], server.secret[level][0],
                            len);
        assert_memory_equal(client.secret[level][0], server.secret[level][1],
                            len);
        assert_memory_not_equal(client.secret[level][0],
                                client.secret[level][1], len);
        assert_same_keys(level);
    }
}

static void
tls13_handshake_has_the_messages_of_the_rfc(void **state)
{
    size_t i;

    (void)state;
    prepare(0x0304, "p256");
    start();
    run();
    assert_agreed(0x0304);
    assert_said(&client, "\1\24");
    assert_said(&server, "\2\10\13\17\24");
    assert_int_equal(client.out[0].level, FLOW__LEVEL_PLAIN);
    assert_int_equal(client.out[1].level, FLOW__LEVEL_HANDSHAKE);
    assert_int_equal(server.out[0].level, FLOW__LEVEL_PLAIN);
    for (i = 1; i < server.said; i++)
        assert_int_equal(server.out[i].level, FLOW__LEVEL_HANDSHAKE);
    end();
}

static void
tls12_handshake_has_the_messages_of_the_rfc(void **state)
{
    size_t i;

    (void)state;
    prepare(0x0303, "p256");
    start();
    run();
    assert_agreed(0x0303);
    assert_said(&client, "\1\20\24");
    assert_said(&server, "\2\13\14\16\24");
    for (i = 0; i + 1 < server.said; i++)
        assert_int_equal(server.out[i].level, FLOW__LEVEL_PLAIN);
    assert_int_equal(server.out[i].level, FLOW__LEVEL_DATA);
    assert_int_equal(client.out[1].level, FLOW__LEVEL_PLAIN);
    assert_int_equal(client.out[2].level, FLOW__LEVEL_DATA);
    end();
}

/* Every suite: either side opens what the other seals. */
static void
every_suite_of_the_engine_matches_ours(void **state)
{
    const struct flow__suite *suite;
    size_t i, ran = 0;

    (void)state;
    for (i = 0; (suite = flow__suite_at(i)) != NULL; i++) {
        guard_case(suite->name);
        prepare(suite->version, suite->auth == FLOW__AUTH_RSA ? "rsa" : "p256");
        if (flow_tls_config_set_suites(client.config, &suite->id, 1) ==
                FLOW_OK &&
            flow_tls_config_set_suites(server.config, &suite->id, 1) ==
                FLOW_OK) {
            start();
            run();
            assert_agreed(suite->version);
            assert_ptr_equal(client.suite, suite);
            ran++;
        }
        end();
    }
    assert_true(ran >= 9);
}

static void
hello_retry_request_adds_the_expected_messages(void **state)
{
    const uint16_t both[] = { FLOW_TLS_GROUP_X25519, FLOW_TLS_GROUP_P384 };

    (void)state;
    prepare(0x0304, "p256");
    assert_status(flow_tls_config_set_groups(client.config, both, 2), FLOW_OK);
    assert_status(flow_tls_config_set_groups(server.config, both + 1, 1),
                  FLOW_OK);
    start();
    run();
    assert_agreed(0x0304);
    assert_said(&client, "\1\1\24");
    assert_said(&server, "\2\2\10\13\17\24");
    end();
}

/* A failed call returns no events, whatever the engine wrote, and the RFC's
 * alert. */
static void
failed_calls_return_no_events(void **state)
{
    static const struct {
        uint16_t version;
        bool of_client; /* the side whose message is corrupted */
        size_t nth;
        int alert;
    } cases[] = {
        { 0x0304, true, 1, 51 },  { 0x0304, false, 3, 51 },
        { 0x0304, false, 4, 51 }, { 0x0303, true, 2, 51 },
        { 0x0303, false, 2, 51 }, { 0x0303, false, 4, 51 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct side *liar = cases[i].of_client ? &client : &server;
        struct side *other = cases[i].of_client ? &server : &client;
        struct flow__engine_event ev;
        bool moved = true;

        prepare(cases[i].version, "p256");
        start();
        client.status = flow__engine_start(client.engine, &client.err);
        drain(&client);
        while (moved && other->heard < cases[i].nth) {
            moved = hear(&server, &client);
            if (other->heard < cases[i].nth)
                moved = hear(&client, &server) || moved;
        }
        assert_int_equal(other->heard, cases[i].nth);
        while (liar->said <= cases[i].nth)
            assert_true(hear(liar, other));
        liar->out[cases[i].nth].bytes[liar->out[cases[i].nth].len - 1] ^= 1;
        other->status =
            flow__engine_feed(other->engine, liar->out[cases[i].nth].level,
                              liar->out[cases[i].nth].bytes,
                              liar->out[cases[i].nth].len, &other->err);
        assert_status(other->status, FLOW_E_PROTO);
        assert_int_equal(other->err.alert_sent, cases[i].alert);
        assert_status(flow__engine_next(other->engine, &ev), FLOW_AGAIN);
        end();
    }
}

/* Feeding a level whose key the engine has not made is our own mistake. */
static void
message_at_a_level_without_a_key_is_refused(void **state)
{
    (void)state;
    prepare(0x0304, "p256");
    start();
    client.status = flow__engine_start(client.engine, &client.err);
    drain(&client);
    assert_status(flow__engine_feed(server.engine, FLOW__LEVEL_HANDSHAKE,
                                    client.out[0].bytes, client.out[0].len,
                                    &server.err),
                  FLOW_E_SYS);
    assert_int_equal(server.err.alert_sent, 80);
    end();
}

/* mbedTLS cannot return a cookie. */
static void
cookie_is_not_supported(void **state)
{
    const uint16_t both[] = { FLOW_TLS_GROUP_X25519, FLOW_TLS_GROUP_P384 };
    static const uint8_t extension[] = { 0, 44, 0, 3, 0, 1, 'c' };
    struct passed *p;
    size_t at;

    (void)state;
    prepare(0x0304, "p256");
    assert_status(flow_tls_config_set_groups(client.config, both, 2), FLOW_OK);
    assert_status(flow_tls_config_set_groups(server.config, both + 1, 1),
                  FLOW_OK);
    start();
    client.status = flow__engine_start(client.engine, &client.err);
    drain(&client);
    assert_true(hear(&server, &client));
    p = &server.out[0];
    memcpy(p->bytes + p->len, extension, sizeof(extension));
    p->len += sizeof(extension);
    p->bytes[3] = (uint8_t)(p->bytes[3] + sizeof(extension));
    at = 4 + 2 + 32;
    at += 1u + p->bytes[at] + 3;
    p->bytes[at + 1] = (uint8_t)(p->bytes[at + 1] + sizeof(extension));
    assert_true(hear(&client, &server));
    assert_status(client.status, FLOW_E_PROTO);
    assert_int_equal(client.err.alert_sent, 40);
    assert_non_null(strstr(client.err.text, "cookie"));
    end();
}

/* The adapter's own memory: each allocation of a handshake fails once. */
static void
failed_allocations_are_reported(void **state)
{
    uint16_t version;
    size_t n, before, failed;

    (void)state;
    for (version = 0x0303; version <= 0x0304; version++)
        for (n = 1, failed = 1; failed > 0; n++) {
            prepare(version, "p256");
            start();
            before = atomic_load(&test_env.failed);
            test_env_fail(n, false);
            client.status = flow__engine_start(client.engine, &client.err);
            while (client.status == FLOW_AGAIN && server.status == FLOW_AGAIN) {
                struct side *s = &client, *other = &server;
                struct flow__engine_event ev;
                enum flow_status st;
                unsigned i;

                for (i = 0; i < 2; i++, s = &server, other = &client) {
                    while ((st = flow__engine_next(s->engine, &ev)) == FLOW_OK)
                        if (ev.kind == FLOW__ENGINE_MESSAGE)
                            note_message(s, &ev);
                        else
                            note_secret(s, &ev);
                    if (st != FLOW_AGAIN)
                        s->status = st;
                    else if (s->status == FLOW_AGAIN &&
                             s->heard < other->said) {
                        const struct passed *p = &other->out[s->heard++];

                        s->status = flow__engine_feed(
                            s->engine, p->level, p->bytes, p->len, &s->err);
                    }
                }
            }
            failed = atomic_load(&test_env.failed) - before;
            test_env_fail(0, false);
            if (failed > 0)
                assert_true(client.status == FLOW_E_NOMEM ||
                            server.status == FLOW_E_NOMEM);
            end();
        }
    assert_true(n > 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tls13_handshake_has_the_messages_of_the_rfc),
        TEST(tls12_handshake_has_the_messages_of_the_rfc),
        TEST(every_suite_of_the_engine_matches_ours),
        TEST(hello_retry_request_adds_the_expected_messages),
        TEST(failed_calls_return_no_events),
        TEST(message_at_a_level_without_a_key_is_refused),
        TEST(cookie_is_not_supported),
        TEST(failed_allocations_are_reported),
    };

    return TEST_RUN(tests);
}
