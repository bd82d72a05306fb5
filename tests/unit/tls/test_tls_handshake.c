/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_session.h>

#include "test.h"
#include "tests/unit/tls/script.h"
#include "tls/flight.h"
#include "tls/order.h"

/*
 * The handshake with an engine that follows a script, both ends in one thread:
 * how tls/ handles messages, secrets and failures, without a TLS library.
 */

static const uint16_t versions[] = { 0x0303, 0x0304 };

struct both {
    struct flow_tls_config *config[2]; /* client, server; in this order too: */
    struct flow *flow[2];
    enum flow_status status[2];
    struct script *script[2];
};

static struct both both;
static bool skips_verify; /* of the next client */
static bool trusts_other; /* and whether it trusts another certificate */

/* The certificate of the script, or one with another signature. */
static enum flow_status
trust_the_script(struct flow_tls_config *c)
{
    uint8_t der[sizeof(script_certificate)];

    memcpy(der, script_certificate, sizeof(der));
    der[sizeof(der) - 1] ^= trusts_other;
    return flow_tls_config_add_trust(c, der, sizeof(der), NULL);
}

static enum flow_status
configure(bool server, uint16_t version, struct flow_tls_config **ret)
{
    enum flow_tls_version v = (enum flow_tls_version)version;
    enum flow_status st = server
                              ? flow_tls_config_new_server(TEST_ENV, ret, NULL)
                              : flow_tls_config_new_client(TEST_ENV, ret, NULL);

    if (st != FLOW_OK)
        return st;
    st = flow_tls_config_set_versions(*ret, v, v);
    if (st == FLOW_OK && server)
        st = flow_tls_config_add_keypair(*ret, "chain", 5, "key", 3, NULL, NULL,
                                         NULL);
    else if (st == FLOW_OK && skips_verify)
        st = flow_tls_config_insecure_skip_verify(*ret, true);
    else if (st == FLOW_OK)
        st = trust_the_script(*ret);
    return st;
}

static void
both_end(void)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        flow_close(both.flow[i]);
        flow_tls_config_unref(both.config[i]);
    }
    memset(&both, 0, sizeof(both));
}

/* Answers FLOW_E_NOMEM only if the test makes allocations fail. */
static enum flow_status
both_begin(uint16_t version)
{
    struct flow *below[2] = { NULL, NULL };
    enum flow_status st;

    script_write(version);
    memset(&both, 0, sizeof(both));
    both.script[0] = &script_client;
    both.script[1] = &script_server;
    st = configure(false, version, &both.config[0]);
    if (st == FLOW_OK)
        st = configure(true, version, &both.config[1]);
    if (st == FLOW_OK)
        st = flow_pair_new(TEST_ENV, 4096, NULL, &below[0], &below[1]);
    if (st == FLOW_OK) {
        st = flow_tls_wrap_client(both.config[0], below[0], "server.example", 0,
                                  &both.flow[0], NULL);
        if (st != FLOW_OK)
            flow_close(below[0]);
        else
            st = flow_tls_wrap_server(both.config[1], below[1], 0,
                                      &both.flow[1], NULL);
        if (both.flow[1] == NULL)
            flow_close(below[1]);
    }
    return st;
}

/* Drive both until neither makes progress. */
static void
both_run(void)
{
    int i;

    for (i = 0; i < 60; i++) {
        both.status[0] = flow_open(both.flow[0]);
        both.status[1] = flow_open(both.flow[1]);
    }
}

/* A failed end sent an alert and the other one read it, so it was sealed under
 * the key that the reader expected. */
static void
assert_told(unsigned who, enum flow_status status, int alert)
{
    struct flow_error err;
    uint8_t byte;
    size_t n;

    assert_status(both.status[who], status);
    flow_get_error(both.flow[who], FLOW_READ, &err);
    assert_int_equal(err.alert_sent, alert);
    if (both.status[1 - who] == FLOW_OK)
        assert_status(flow_read(both.flow[1 - who], &byte, 1, &n),
                      FLOW_E_PROTO);
    else
        assert_status(both.status[1 - who], FLOW_E_PROTO);
    flow_get_error(both.flow[1 - who], FLOW_READ, &err);
    assert_int_equal(err.alert_received, alert);
    assert_int_equal(err.alert_sent, -1);
}

static void
pass(unsigned from, const char *text)
{
    char got[20];
    size_t n;

    assert_status(flow_write(both.flow[from], text, strlen(text), &n), FLOW_OK);
    assert_status(flow_flush(both.flow[from]), FLOW_OK);
    assert_status(flow_read(both.flow[1 - from], got, sizeof(got), &n),
                  FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, n);
}

static void
scripted_handshake_completes(void **state)
{
    static const uint8_t fed[2][2][SCRIPT_CALLS] = {
        { { 0, 2, 11, 12, 14, 20 }, { 1, 16, 20 } },
        { { 0, 2, 8, 11, 15, 20 }, { 1, 20 } },
    };
    unsigned v, i, k;

    (void)state;
    for (v = 0; v < 2; v++) {
        assert_status(both_begin(versions[v]), FLOW_OK);
        both_run();
        assert_status(both.status[0], FLOW_OK);
        assert_status(both.status[1], FLOW_OK);
        for (i = 0; i < 2; i++) {
            assert_int_equal(both.script[i]->made, both.script[i]->calls);
            for (k = 0; k < both.script[i]->calls; k++)
                assert_int_equal(both.script[i]->call[k].fed, fed[v][i][k]);
            /* The peer's Finished is protected by the handshake key of the
             * peer. */
            assert_int_equal(both.script[i]->call[k - 1].fed_level,
                             v == 0 ? FLOW__LEVEL_DATA : FLOW__LEVEL_HANDSHAKE);
        }
        pass(0, "request");
        pass(1, "answer");
        both_end();
    }
}

/* Each call of each engine fails in turn. */
static void
failures_at_every_step_send_an_alert(void **state)
{
    unsigned v, who, k, calls;

    (void)state;
    for (v = 0; v < 2; v++)
        for (who = 0; who < 2; who++) {
            script_write(versions[v]);
            calls = who == 0 ? script_client.calls : script_server.calls;
            for (k = who == 0 ? 1 : 0; k < calls; k++) {
                assert_status(both_begin(versions[v]), FLOW_OK);
                both.script[who]->call[k].status = FLOW_E_AUTH;
                both.script[who]->call[k].alert = 46;
                both_run();
                assert_told(who, FLOW_E_AUTH, 46);
                /* The error is sticky, and no further record is sent. */
                assert_status(flow_open(both.flow[who]), FLOW_E_AUTH);
                both_end();
            }
        }
}

static void
client_that_cannot_start_sends_no_bytes(void **state)
{
    struct flow_error err;

    (void)state;
    assert_status(both_begin(0x0304), FLOW_OK);
    script_client.call[0].status = FLOW_E_SYS;
    script_client.call[0].alert = 80;
    both_run();
    assert_status(both.status[0], FLOW_E_SYS);
    flow_get_error(both.flow[0], FLOW_READ, &err);
    assert_int_equal(err.alert_sent, -1);
    assert_status(both.status[1], FLOW_AGAIN);
    both_end();
}

/* --- an engine that breaks the rules --- */

static void
message_in_the_clear(void)
{
    script_server.call[0].event[3].level = FLOW__LEVEL_PLAIN;
}

static void
message_too_early(void)
{
    script_server.call[0].event[3].level = FLOW__LEVEL_DATA;
}

static void
message_left_out(void)
{
    script_cut(&script_server.call[0], 3);
}

static void
message_twice(void)
{
    struct script_call *call = &script_server.call[0];
    const struct script_event again = call->event[3];

    *script_insert(call, 3) = again;
}

static void
flight_cut_short(void)
{
    script_server.call[0].events = 4;
}

static void
secret_twice(void)
{
    struct script_call *call = &script_server.call[0];
    const struct script_event again = call->event[1];

    *script_insert(call, 2) = again;
}

static void
secret_of_another_length(void)
{
    script_server.call[0].event[1].len = 48;
}

static void
secret_for_nothing(void)
{
    script_server.call[0].event[1].level = FLOW__LEVEL_PLAIN;
}

static void
never_over(void)
{
    script_server.call[1].status = FLOW_AGAIN;
}

static void
over_too_soon(void)
{
    script_client.call[2].status = FLOW_OK;
}

static void
says_nothing(void)
{
    script_client.call[5].events = 2;
}

static void
no_data_keys(void)
{
    script_cut(&script_client.call[5], 0);
    script_cut(&script_client.call[5], 0);
}

static void
engine_that_breaks_a_rule_fails_the_handshake(void **state)
{
    static const struct {
        const char *name;
        unsigned who;
        void (*edit)(void);
    } cases[] = {
        { "message in the clear", 1, message_in_the_clear },
        { "message before its keys", 1, message_too_early },
        { "message left out", 1, message_left_out },
        { "message twice", 1, message_twice },
        { "flight cut short", 1, flight_cut_short },
        { "secret twice", 1, secret_twice },
        { "secret of another length", 1, secret_of_another_length },
        { "secret for nothing", 1, secret_for_nothing },
        { "never over", 1, never_over },
        { "over too soon", 0, over_too_soon },
        { "says nothing", 0, says_nothing },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        guard_case(cases[i].name);
        assert_status(both_begin(0x0304), FLOW_OK);
        cases[i].edit();
        both_run();
        assert_told(cases[i].who, FLOW_E_SYS, 80);
        both_end();
    }
}

/* Without a key the peer cannot read an alert, but the handshake does not
 * complete. */
static void
handshake_without_keys_fails(void **state)
{
    (void)state;
    assert_status(both_begin(0x0304), FLOW_OK);
    no_data_keys();
    both_run();
    assert_status(both.status[0], FLOW_E_SYS);
    both_end();
}

/* --- verification --- */

/* The issuer has the name of the trusted certificate, which is not an
 * authority's. */
static void
unverified_peers_are_refused(void **state)
{
    struct flow_error err;
    unsigned v;

    (void)state;
    trusts_other = true;
    for (v = 0; v < 2; v++) {
        assert_status(both_begin(versions[v]), FLOW_OK);
        both_run();
        assert_told(0, FLOW_E_AUTH, 48);
        flow_get_error(both.flow[0], FLOW_READ, &err);
        assert_int_equal(err.verify_flags, FLOW_VERIFY_NOT_TRUSTED);
        /* The engine never saw the certificate, the server no Finished. */
        assert_int_equal(script_client.made, versions[v] == 0x0304 ? 3 : 2);
        assert_status(both.status[1], FLOW_E_PROTO);
        both_end();
    }
    trusts_other = false;
}

/* A client that was told not to verify still gets the verification flags. */
static void
verification_flags_are_reported_without_verification(void **state)
{
    struct flow_tls_info info;
    unsigned v;

    (void)state;
    skips_verify = true;
    for (v = 0; v < 2; v++) {
        assert_status(both_begin(versions[v]), FLOW_OK);
        both_run();
        assert_status(both.status[0], FLOW_OK);
        assert_status(both.status[1], FLOW_OK);
        assert_status(flow_tls_get_info(both.flow[0], &info), FLOW_OK);
        assert_int_equal(info.verify_flags,
                         FLOW_VERIFY_NOT_TRUSTED | FLOW_VERIFY_NOT_CHECKED);
        both_end();
    }
    skips_verify = false;
}

/* --- a cipher that fails --- */

/* A side whose cipher fails sends an alert under the sequence number that the
 * peer expects, or nothing; the peer never sees a record that does not open. */
static void
assert_seal_told(enum flow_status status)
{
    unsigned who = both.status[0] == status ? 0 : 1;
    struct flow_error err, heard;

    assert_status(both.status[who], status);
    flow_get_error(both.flow[who], FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 80);
    assert_status(both.status[1 - who], FLOW_E_PROTO);
    flow_get_error(both.flow[1 - who], FLOW_READ, &heard);
    assert_int_equal(heard.alert_received, 80);
    assert_int_equal(heard.alert_sent, -1);
}

static void
every_seal_fails_once(void **state)
{
    static const enum flow_status statuses[] = { FLOW_E_NOMEM, FLOW_E_SYS };
    unsigned v, s, n;

    (void)state;
    for (v = 0; v < 2; v++)
        for (s = 0; s < 2; s++)
            for (n = 1;; n++) {
                bool failed;

                assert_status(both_begin(versions[v]), FLOW_OK);
                script_fail_seal(n, statuses[s]);
                both_run();
                failed = script_seal_failed();
                if (failed)
                    assert_seal_told(statuses[s]);
                both_end();
                if (!failed) {
                    assert_int_equal(n, 3);
                    break;
                }
            }
}

/* A flight of two protected records of which the second fails to seal: nothing
 * of it is sent.  The server's alert, which precedes it, is in plaintext. */
static void
flight_is_sent_whole_or_not_at_all(void **state)
{
    unsigned n;

    (void)state;
    skips_verify = true;
    for (n = 0; n <= 2; n++) {
        assert_status(both_begin(0x0304), FLOW_OK);
        script_server.call[0].event[4].certificate = 16350;
        script_fail_seal(n, FLOW_E_NOMEM);
        both_run();
        if (n == 0) {
            assert_status(both.status[0], FLOW_OK);
            assert_status(both.status[1], FLOW_OK);
        } else {
            assert_true(script_seal_failed());
            assert_seal_told(FLOW_E_NOMEM);
        }
        both_end();
    }
    skips_verify = false;
}

/* A sequence number that was used stays used; the scripted cipher checks that
 * none is used twice. */
static void
sequence_numbers_of_a_failed_flight_stay_used(void **state)
{
    static const struct flow__key_material material = { .key = { 1 } };
    static const uint8_t content[100] = { 7 };
    struct flow__record_keys keys[FLOW__LEVELS];
    struct flow__flight flight;
    struct flow__queue out;
    bool spent;

    (void)state;
    script_write(0x0304);
    memset(keys, 0, sizeof(keys));
    assert_status(flow__record_init(&keys[FLOW__LEVEL_HANDSHAKE], TEST_ENV,
                                    flow__suite_find(0x1301), &material, 0),
                  FLOW_OK);
    flow__queue_init(&out, TEST_ENV);
    assert_true(flow__queue_append(&out, content, 3));
    flow__flight_init(&flight, TEST_ENV);
    assert_status(flow__flight_add(&flight, FLOW__CONTENT_HANDSHAKE,
                                   FLOW__LEVEL_HANDSHAKE, content,
                                   sizeof(content)),
                  FLOW_OK);
    script_fail_seal(3, FLOW_E_NOMEM);
    assert_status(flow__flight_seal(&flight, keys, 40, &out, &spent),
                  FLOW_E_NOMEM);
    assert_true(spent);
    assert_int_equal(flow__queue_len(&out), 3);
    assert_int_equal(keys[FLOW__LEVEL_HANDSHAKE].seq, 2);
    assert_status(flow__flight_seal(&flight, keys, 40, &out, &spent), FLOW_OK);
    assert_int_equal(keys[FLOW__LEVEL_HANDSHAKE].seq, 5);
    assert_int_equal(flow__queue_len(&out), 3 + 100 + 3 * (5 + 1 + 16));
    flow__flight_clear(&flight);
    flow__queue_release(&out);
    flow__record_fini(&keys[FLOW__LEVEL_HANDSHAKE]);
}

/* --- memory --- */

/* If one side runs out of memory, it answers FLOW_E_NOMEM; its peer gets
 * internal_error, or nothing if nothing had been sent yet. */
static void
assert_sound(void)
{
    const uint32_t answers = STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_E_NOMEM) |
                             STATUS_BIT(FLOW_E_PROTO) | STATUS_BIT(FLOW_AGAIN);
    bool told =
        both.status[0] == FLOW_E_NOMEM || both.status[1] == FLOW_E_NOMEM;
    struct flow_error err;
    unsigned i;

    for (i = 0; i < 2; i++) {
        assert_status_in(both.status[i], answers);
        assert_true(told || both.status[i] == FLOW_OK);
        if (both.status[i] != FLOW_E_PROTO)
            continue;
        flow_get_error(both.flow[i], FLOW_READ, &err);
        assert_int_equal(err.alert_received, 80);
    }
}

static void
every_allocation_fails_once(void **state)
{
    unsigned v;
    size_t n, before, failed;

    (void)state;
    for (v = 0; v < 2; v++) {
        for (n = 1, failed = 1; failed > 0; n++) {
            before = atomic_load(&test_env.failed);
            test_env_fail(n, false);
            if (both_begin(versions[v]) == FLOW_OK) {
                both_run();
                assert_sound();
            }
            test_env_fail(0, false);
            both_end();
            failed = atomic_load(&test_env.failed) - before;
        }
        print_message("  %zu allocations\n", n - 2);
        assert_true(n > 40);
    }
}

static void
an_engine_without_clients_makes_no_client(void **state)
{
    struct flow_tls_config *config = NULL;
    struct flow_error err;

    (void)state;
    script_can_connect = false;
    assert_int_equal(flow_tls_config_new_client(TEST_ENV, &config, &err),
                     FLOW_E_NOTSUP);
    assert_null(config);
    assert_string_equal(err.text, "this build of the library has no clients");
    assert_int_equal(flow_tls_config_new_server(TEST_ENV, &config, &err),
                     FLOW_OK);
    flow_tls_config_unref(config);
    script_can_connect = true;
}

static void
an_engine_without_tls12_takes_no_message_of_it(void **state)
{
    const struct flow__order at = { FLOW__STATE_S12_CKE, false };
    const struct flow__order_row *row;
    struct flow__fault fault;

    (void)state;
    assert_int_equal(flow__order_find(&at, false,
                                      FLOW__KIND_CLIENT_KEY_EXCHANGE,
                                      FLOW__LEVEL_PLAIN, &row, &fault),
                     FLOW_OK);
    script_has_tls12 = false;
    assert_int_equal(flow__order_find(&at, false,
                                      FLOW__KIND_CLIENT_KEY_EXCHANGE,
                                      FLOW__LEVEL_PLAIN, &row, &fault),
                     FLOW_E_PROTO);
    script_has_tls12 = true;
}

static void
an_engine_without_sessions_takes_no_tickets(void **state)
{
    struct flow_tls_config *client, *server;
    struct flow_tls_sessions *sessions;
    struct flow_tls_tickets *tickets;
    struct flow_error err;

    (void)state;
    assert_int_equal(flow_tls_config_new_client(TEST_ENV, &client, NULL),
                     FLOW_OK);
    assert_int_equal(flow_tls_config_new_server(TEST_ENV, &server, NULL),
                     FLOW_OK);
    assert_int_equal(flow_tls_sessions_new(TEST_ENV, &sessions, NULL), FLOW_OK);
    assert_int_equal(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    script_can_resume = false;
    assert_int_equal(flow_tls_config_set_tickets(server, tickets, 0, &err),
                     FLOW_E_NOTSUP);
    assert_string_equal(err.text, "this build of the library has no sessions");
    assert_int_equal(flow_tls_config_set_sessions(client, sessions, 1, &err),
                     FLOW_E_NOTSUP);
    assert_string_equal(err.text, "this build of the library has no sessions");
    script_can_resume = true;
    assert_int_equal(flow_tls_config_set_tickets(server, tickets, 0, &err),
                     FLOW_OK);
    assert_int_equal(flow_tls_config_set_sessions(client, sessions, 1, &err),
                     FLOW_OK);
    flow_tls_tickets_unref(tickets);
    flow_tls_sessions_unref(sessions);
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scripted_handshake_completes),
        TEST(failures_at_every_step_send_an_alert),
        TEST(client_that_cannot_start_sends_no_bytes),
        TEST(engine_that_breaks_a_rule_fails_the_handshake),
        TEST(handshake_without_keys_fails),
        TEST(unverified_peers_are_refused),
        TEST(verification_flags_are_reported_without_verification),
        TEST(every_seal_fails_once),
        TEST(flight_is_sent_whole_or_not_at_all),
        TEST(sequence_numbers_of_a_failed_flight_stay_used),
        TEST(every_allocation_fails_once),
        TEST(an_engine_without_clients_makes_no_client),
        TEST(an_engine_without_tls12_takes_no_message_of_it),
        TEST(an_engine_without_sessions_takes_no_tickets),
    };

    return TEST_RUN(tests);
}
