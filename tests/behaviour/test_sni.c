/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_sni.h>
#include <flow/util.h>
#include <flow/wait.h>

#include "pki.h"
#include "step.h"

/*
 * A selector in a server: what the two sides agree on by the name that the
 * client asks for, a callback that answers later, and refusals.
 */

static struct flow_tls_config *client, *server;
static struct flow_tls_sni *selector;

static size_t
entry(const struct flow_tls_sni_entry *e)
{
    struct flow_error err;
    size_t index;

    if (flow_tls_sni_add_entry(selector, e, &index, &err) != FLOW_OK)
        fail_msg("%s (%s)", err.text, err.detail);
    return index;
}

static void
key_for(size_t index, const char *name)
{
    char chain[64], key[64];
    struct flow_error err;

    snprintf(chain, sizeof(chain), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    if (flow_tls_sni_add_keypair_file(selector, index, pki(chain), pki(key),
                                      NULL, NULL, &err) != FLOW_OK)
        fail_msg("%s (%s)", err.text, err.detail);
}

static void
begin(void)
{
    struct flow_tls_sni_policy policy;

    flow_tls_sni_preset(FLOW_TLS_SNI_STRICT, &policy);
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_sni_new(TEST_ENV, &selector, NULL), FLOW_OK);
    assert_status(flow_tls_sni_set_policy(selector, &policy), FLOW_OK);
}

/* The selector is the server's alone from here on. */
static void
set_up(void)
{
    struct flow_error err;

    if (flow_tls_config_set_sni(server, selector, &err) != FLOW_OK)
        fail_msg("%s (%s)", err.text, err.detail);
    flow_tls_sni_unref(selector);
}

static void
release(void)
{
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
}

static void
wrap(struct ends *e, const char *name)
{
    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e->a, &e->b), FLOW_OK);
    assert_status(flow_tls_wrap_client(client, e->a, name, 0, &e->a, NULL),
                  FLOW_OK);
    assert_status(flow_tls_wrap_server(server, e->b, 0, &e->b, NULL), FLOW_OK);
}

static void
agrees(const char *name, const char *id, const char *pattern, int version,
       const char *alpn)
{
    struct flow_tls_info info;
    struct ends e;

    guard_case(name);
    wrap(&e, name);
    step_open(&e);
    assert_status(flow_tls_get_info(e.b, &info), FLOW_OK);
    assert_string_equal(info.entry, id);
    assert_string_equal(info.matched_name, pattern);
    assert_string_equal(info.server_name, name);
    assert_int_equal(info.version, version);
    assert_string_equal(info.alpn, alpn);
    assert_status(flow_tls_get_info(e.a, &info), FLOW_OK);
    assert_int_equal(info.version, version);
    assert_string_equal(info.alpn, alpn);
    assert_string_equal(info.entry, "");
    assert_int_equal(info.verify_flags, 0);
    step_pass(&e, e.a, 1000, 1);
    ends_close(&e);
    guard_case(NULL);
}

/* The statuses and alerts of both sides when the server refuses. */
static void
refuses(const char *name, int alert, const char *text)
{
    struct flow_error err;
    struct ends e;
    enum flow_status st = FLOW_AGAIN;

    guard_case(name);
    wrap(&e, name);
    for (int i = 0; i < 100 && st == FLOW_AGAIN; i++) {
        (void)!flow_open(e.a);
        st = flow_open(e.b);
    }
    assert_status(st, FLOW_E_PROTO);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, alert);
    assert_string_equal(err.text, text);
    assert_string_equal(err.detail, name);
    if (alert >= 0) {
        assert_status(flow_open(e.a), FLOW_E_PROTO);
        flow_get_error(e.a, FLOW_READ, &err);
        assert_int_equal(err.alert_received, alert);
    }
    ends_close(&e);
    guard_case(NULL);
}

static void
add_three_entries(void)
{
    static const char *const cert[] = { "@cert" };
    static const char *const wild[] = { "*.wild.example", "!no.wild.example" };
    static const char *const h2[] = { "h2" };
    const struct flow_tls_sni_entry entries[] = {
        { .id = "main",
          .patterns = cert,
          .pattern_count = 1,
          .flags = FLOW_TLS_SNI_IS_DEFAULT },
        { .id = "second",
          .patterns = cert,
          .pattern_count = 1,
          .alpn = h2,
          .alpn_count = 1 },
        { .id = "wild",
          .patterns = wild,
          .pattern_count = 2,
          .max_version = FLOW_TLS_1_2 },
    };
    static const char *const files[] = { "p256", "second", "wildcard" };

    for (size_t i = 0; i < 3; i++)
        key_for(entry(&entries[i]), files[i]);
}

static void
each_name_has_its_entry(void **state)
{
    static const char *const protocols[] = { "http/1.1", "h2" };

    (void)state;
    begin();
    add_three_entries();
    set_up();
    assert_status(flow_tls_config_set_alpn(server, protocols, 2), FLOW_OK);
    assert_status(flow_tls_config_set_alpn(client, protocols, 2), FLOW_OK);
    agrees("server.example", "main", "server.example", FLOW_TLS_1_3,
           "http/1.1");
    agrees("second.example", "second", "second.example", FLOW_TLS_1_3, "h2");
    agrees("www.wild.example", "wild", "*.wild.example", FLOW_TLS_1_2,
           "http/1.1");
    refuses("no.wild.example", 112, "client asked for an unknown host name");
    refuses("unknown.example", 112, "client asked for an unknown host name");
    release();
}

static void
an_entry_without_a_common_version_or_protocol(void **state)
{
    static const char *const protocols[] = { "http/1.1" };

    (void)state;
    begin();
    add_three_entries();
    set_up();
    assert_status(flow_tls_config_set_alpn(client, protocols, 1), FLOW_OK);
    assert_status(
        flow_tls_config_set_versions(client, FLOW_TLS_1_3, FLOW_TLS_1_3),
        FLOW_OK);
    refuses("second.example", 120,
            "client offers no application protocol of this server");
    refuses("www.wild.example", 70,
            "client offers no TLS version that is allowed here");
    release();
}

/* RFC 7301 3.2 */
static void
the_servers_order_of_protocols_decides(void **state)
{
    static const char *const servers[] = { "http/1.1", "h2", "x" };
    static const char *const clients[] = { "y", "h2", "http/1.1" };

    (void)state;
    for (int version = FLOW_TLS_1_2; version <= FLOW_TLS_1_3; version++) {
        const enum flow_tls_version v = (enum flow_tls_version)version;

        begin();
        add_three_entries();
        set_up();
        assert_status(flow_tls_config_set_versions(client, v, v), FLOW_OK);
        assert_status(flow_tls_config_set_alpn(server, servers, 3), FLOW_OK);
        assert_status(flow_tls_config_set_alpn(client, clients, 3), FLOW_OK);
        agrees("server.example", "main", "server.example", version, "http/1.1");
        release();
    }
}

/* RFC 8737 3: a validator offers this protocol alone, and gets it only with the
 * certificate that answers its challenge. */
static void
acme_needs_an_entry_that_requires_it(void **state)
{
    static const char *const cert[] = { "@cert" };
    static const char *const acme[] = { "acme-tls/1" };
    static const char *const beside[] = { "h2", "acme-tls/1" };
    const struct flow_tls_sni_entry challenge = {
        .id = "challenge",
        .patterns = cert,
        .pattern_count = 1,
        .require_alpn = "acme-tls/1",
    };

    (void)state;
    begin();
    add_three_entries();
    key_for(entry(&challenge), "p256");
    set_up();
    assert_status(flow_tls_config_set_alpn(server, acme, 1), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_alpn(server, beside, 2), FLOW_E_INVAL);
    assert_status(flow_tls_config_set_alpn(server, beside, 1), FLOW_OK);
    assert_status(flow_tls_config_set_alpn(client, acme, 1), FLOW_OK);
    agrees("server.example", "challenge", "server.example", FLOW_TLS_1_3,
           "acme-tls/1");
    refuses("second.example", 120,
            "client offers no application protocol of this server");
    release();
    begin();
    add_three_entries();
    key_for(entry(&challenge), "p256");
    set_up();
    assert_status(flow_tls_config_set_alpn(server, beside, 1), FLOW_OK);
    assert_status(flow_tls_config_set_alpn(client, beside, 2), FLOW_OK);
    agrees("server.example", "main", "server.example", FLOW_TLS_1_3, "h2");
    release();
}

static void
an_unknown_name_may_be_dropped(void **state)
{
    const struct flow_tls_sni_policy policy = {
        .on_unknown = FLOW_TLS_SNI_DROP,
    };

    (void)state;
    begin();
    assert_status(flow_tls_sni_set_policy(selector, &policy), FLOW_OK);
    add_three_entries();
    set_up();
    refuses("unknown.example", -1, "client asked for an unknown host name");
    release();
}

/* --- the callback --- */

static struct {
    int answer;
    unsigned asked;
    char name[254];
    struct flow_event answered;
} directory;

static int
look_up(void *user, const struct flow_tls_sni_client *asking)
{
    assert_ptr_equal(user, &directory);
    directory.asked++;
    strcpy(directory.name, asking->name);
    return directory.answer;
}

static void
begin_with_callback(bool has_event)
{
    static const char *const cert[] = { "@cert" };
    struct flow_tls_sni_entry e = { .id = "main",
                                    .patterns = cert,
                                    .pattern_count = 1,
                                    .flags = FLOW_TLS_SNI_IS_DEFAULT };

    begin();
    memset(&directory, 0, sizeof(directory));
    flow_event_init(&directory.answered);
    assert_status(
        flow_tls_sni_set_lookup(selector, look_up, &directory,
                                has_event ? &directory.answered : NULL),
        FLOW_OK);
    key_for(entry(&e), "p256");
    e = (struct flow_tls_sni_entry){ .id = "late" };
    key_for(entry(&e), "second");
    set_up();
}

static void
end_with_callback(void)
{
    release();
    flow_event_fini(&directory.answered);
}

static void
a_callback_names_the_entry(void **state)
{
    (void)state;
    begin_with_callback(false);
    directory.answer = 1;
    agrees("second.example", "late", "", FLOW_TLS_1_3, "");
    assert_int_equal(directory.asked, 1);
    assert_string_equal(directory.name, "second.example");
    /* A name that an entry has is not looked up. */
    agrees("server.example", "main", "server.example", FLOW_TLS_1_3, "");
    assert_int_equal(directory.asked, 1);
    directory.answer = FLOW_TLS_SNI_NO_ENTRY;
    refuses("second.example", 112, "client asked for an unknown host name");
    directory.answer = 99;
    refuses("second.example", 112, "client asked for an unknown host name");
    end_with_callback();
}

static bool
waits_for_event(const struct flow_wait_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->source[i].kind == FLOW_WAIT_EVENT &&
            set->source[i].event == &directory.answered)
            return true;
    return false;
}

/* Both sides go on until the server waits for the callback. */
static void
until_asked(struct ends *e)
{
    wrap(e, "second.example");
    for (int i = 0; i < 100 && directory.asked == 0; i++) {
        assert_status(flow_open(e->a), FLOW_AGAIN);
        assert_status(flow_open(e->b), FLOW_AGAIN);
    }
    assert_int_equal(directory.asked, 1);
}

static void
a_callback_may_answer_later(void **state)
{
    struct flow_wait_set set;
    struct ends e;

    (void)state;
    begin_with_callback(true);
    directory.answer = FLOW_TLS_SNI_PENDING;
    until_asked(&e);
    /* It waits for the event, and for its time limit. */
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(e.b, FLOW_READY_OPEN, &set), 0);
    assert_true(waits_for_event(&set));
    assert_int_not_equal(set.deadline, FLOW_NEVER);
    /* Another name had an answer: asked again, in vain. */
    flow_event_signal(&directory.answered);
    assert_int_equal(flow_wait_sources(e.b, FLOW_READY_OPEN, &set),
                     FLOW_READY_OPEN);
    assert_status(flow_open(e.b), FLOW_AGAIN);
    assert_int_equal(directory.asked, 2);
    directory.answer = 1;
    flow_event_signal(&directory.answered);
    step_open(&e);
    assert_int_equal(directory.asked, 3);
    step_pass(&e, e.a, 1000, 1);
    ends_close(&e);
    /* The answer may be that there is none. */
    directory.asked = 0;
    directory.answer = FLOW_TLS_SNI_PENDING;
    until_asked(&e);
    directory.answer = FLOW_TLS_SNI_NO_ENTRY;
    assert_status(flow_open(e.b), FLOW_E_PROTO);
    ends_close(&e);
    /* Closed while it waits. */
    directory.asked = 0;
    directory.answer = FLOW_TLS_SNI_PENDING;
    until_asked(&e);
    ends_close(&e);
    end_with_callback();
}

static void
the_time_limit_goes_on_while_a_callback_is_pending(void **state)
{
    struct flow_error err;
    struct ends e;

    (void)state;
    test_env_stop_clock();
    begin_with_callback(true);
    directory.answer = FLOW_TLS_SNI_PENDING;
    until_asked(&e);
    /* The stopped clock jumps to the limit. */
    assert_status(flow_open_wait(e.b), FLOW_E_TIMEOUT);
    flow_get_error(e.b, FLOW_READ, &err);
    assert_string_equal(err.text, "the handshake took longer than its limit");
    /* Asked by this call once more. */
    assert_int_equal(directory.asked, 2);
    ends_close(&e);
    end_with_callback();
}

/* --- configurations --- */

static struct {
    size_t count;
    char text[8][160];
} problems;

static void
note_problem(void *user, const struct flow_error *problem)
{
    (void)user;
    assert_true(problems.count < 8);
    snprintf(problems.text[problems.count++], sizeof(problems.text[0]), "%s",
             problem->text);
}

static void
assert_problem(const char *part)
{
    for (size_t i = 0; i < problems.count; i++)
        if (strstr(problems.text[i], part) != NULL)
            return;
    fail_msg("no problem with: %s", part);
}

static void
every_problem_of_a_pair_is_reported(void **state)
{
    static const char *const cert[] = { "@cert" };
    const struct flow_tls_sni_entry e = { .id = "main",
                                          .patterns = cert,
                                          .pattern_count = 1,
                                          .flags = FLOW_TLS_SNI_IS_DEFAULT };
    struct flow_error err;
    size_t index;

    (void)state;
    begin();
    memset(&problems, 0, sizeof(problems));
    assert_status(flow_tls_sni_set_report(selector, note_problem, NULL),
                  FLOW_OK);
    index = entry(&e);
    assert_status(
        flow_tls_sni_add_keypair_file(selector, index, pki("misordered.pem"),
                                      pki("p384.key"), NULL, NULL, &err),
        FLOW_E_INVAL);
    assert_int_equal(problems.count, 2);
    assert_problem("does not belong");
    assert_problem("out of order");
    assert_string_equal(err.text, problems.text[0]);
    problems.count = 0;
    assert_status(
        flow_tls_sni_add_keypair_file(selector, index, pki("expired.pem"),
                                      pki("p256.key"), NULL, NULL, NULL),
        FLOW_E_INVAL);
    assert_int_equal(problems.count, 2);
    assert_problem("has expired");
    problems.count = 0;
    assert_status(
        flow_tls_sni_add_keypair_file(selector, index, pki("ed25519.pem"),
                                      pki("ed25519.key"), NULL, NULL, NULL),
        FLOW_E_INVAL);
    assert_int_equal(problems.count, 2);
    assert_string_equal(problems.text[0],
                        "key is Ed25519, which is not supported");
    assert_string_equal(problems.text[1],
                        "key is Ed25519, which is not supported");
    problems.count = 0;
    assert_status(flow_tls_sni_add_keypair_file(selector, index, "none",
                                                pki("p256.key"), NULL, NULL,
                                                NULL),
                  FLOW_E_SYS);
    assert_int_equal(problems.count, 1);
    assert_problem("no such file");
    /* The entry has no certificate now, which follows from the above. */
    problems.count = 0;
    assert_status(flow_tls_sni_freeze(selector, &err), FLOW_E_INVAL);
    assert_string_equal(err.text, "an entry has no certificate");
    assert_int_equal(problems.count, 0);
    flow_tls_sni_unref(selector);
    release();
}

static void
a_selector_and_pairs_exclude_each_other(void **state)
{
    const struct flow_tls_sni_identity facts = { .key = FLOW_TLS_KEY_RSA };
    const struct flow_tls_sni_entry e = { .id = "main",
                                          .flags = FLOW_TLS_SNI_IS_DEFAULT };
    struct flow_error err;

    (void)state;
    begin();
    assert_status(flow_tls_config_set_sni(client, selector, &err),
                  FLOW_E_NOTSUP);
    assert_status(flow_tls_sni_add_identity(selector, entry(&e), &facts, &err),
                  FLOW_OK);
    assert_status(flow_tls_config_set_sni(server, selector, &err),
                  FLOW_E_INVAL);
    assert_string_equal(err.text,
                        "the selector has a certificate without a key");
    flow_tls_sni_unref(selector);
    assert_status(flow_tls_sni_new(TEST_ENV, &selector, NULL), FLOW_OK);
    key_for(entry(&e), "p256");
    assert_status(flow_tls_config_set_sni(server, selector, &err), FLOW_OK);
    assert_status(flow_tls_config_set_sni(server, selector, &err),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_add_keypair_file(server, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   &err),
                  FLOW_E_INVAL);
    flow_tls_sni_unref(selector);
    release();
}

static void
an_entry_that_no_connection_can_use(void **state)
{
    const struct flow_tls_sni_entry e = { .id = "old",
                                          .flags = FLOW_TLS_SNI_IS_DEFAULT,
                                          .max_version = FLOW_TLS_1_2 };
    struct flow_error err;

    (void)state;
    begin();
    key_for(entry(&e), "p256");
    set_up();
    assert_status(
        flow_tls_config_set_versions(server, FLOW_TLS_1_3, FLOW_TLS_1_3),
        FLOW_OK);
    assert_status(flow_tls_config_freeze(server, &err), FLOW_E_INVAL);
    assert_string_equal(err.detail, "old");
    assert_status(
        flow_tls_config_set_versions(server, FLOW_TLS_1_2, FLOW_TLS_1_3),
        FLOW_OK);
    assert_status(flow_tls_config_freeze(server, &err), FLOW_OK);
    release();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_name_has_its_entry),
        TEST(an_entry_without_a_common_version_or_protocol),
        TEST(the_servers_order_of_protocols_decides),
        TEST(acme_needs_an_entry_that_requires_it),
        TEST(an_unknown_name_may_be_dropped),
        TEST(a_callback_names_the_entry),
        TEST(a_callback_may_answer_later),
        TEST(the_time_limit_goes_on_while_a_callback_is_pending),
        TEST(every_problem_of_a_pair_is_reported),
        TEST(a_selector_and_pairs_exclude_each_other),
        TEST(an_entry_that_no_connection_can_use),
    };

    return TEST_RUN(tests);
}
