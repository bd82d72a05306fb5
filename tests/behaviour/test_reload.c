/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_holder.h>
#include <flow/tls_sni.h>
#include <flow/tls_verify.h>
#include <flow/wait.h>

#include "pki.h"
#include "step.h"

/*
 * A configuration that is replaced while it is used: which connections keep the
 * one before, at every point of a handshake, and what a replacement that fails
 * leaves in force.
 */

static struct flow_tls_config *client;

static void
begin(enum flow_tls_version version)
{
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(client, version, version),
                  FLOW_OK);
}

/* An entry with the names of its certificate. */
static enum flow_status
add_entry(struct flow_tls_sni *sni, const char *id, uint32_t flags,
          const char *chain, const char *key)
{
    static const char *const cert[] = { "@cert" };
    const struct flow_tls_sni_entry entry = {
        .id = id, .patterns = cert, .pattern_count = 1, .flags = flags
    };
    size_t index;
    enum flow_status st = flow_tls_sni_add_entry(sni, &entry, &index, NULL);

    return st != FLOW_OK ? st
                         : flow_tls_sni_add_keypair_file(sni, index, chain, key,
                                                         NULL, NULL, NULL);
}

/* The configuration of a server for server.example, whose entry has this id.
 * That of "old" has an index that no entry of the others has. */
static enum flow_status
make_server(const char *id, const char *chain, const char *key,
            struct flow_tls_config **ret)
{
    struct flow_tls_sni *sni;
    enum flow_status st = flow_tls_config_new_server(TEST_ENV, ret, NULL);

    if (st != FLOW_OK)
        return st;
    st = flow_tls_sni_new(TEST_ENV, &sni, NULL);
    if (st == FLOW_OK) {
        if (strcmp(id, "old") == 0)
            st = add_entry(sni, "other", 0, pki("second.pem"),
                           pki("second.key"));
        if (st == FLOW_OK)
            st = add_entry(sni, id, FLOW_TLS_SNI_IS_DEFAULT, chain, key);
        if (st == FLOW_OK)
            st = flow_tls_config_set_sni(*ret, sni, NULL);
        flow_tls_sni_unref(sni);
    }
    if (st != FLOW_OK)
        flow_tls_config_unref(*ret);
    return st;
}

static struct flow_tls_config *
server(const char *id, const char *kind)
{
    struct flow_tls_config *c = NULL;
    char chain[32], key[32];

    snprintf(chain, sizeof(chain), "%s.pem", kind);
    snprintf(key, sizeof(key), "%s.key", kind);
    assert_status(make_server(id, pki(chain), pki(key), &c), FLOW_OK);
    return c;
}

static struct flow_tls_holder *
holder_of(const char *id, const char *kind)
{
    struct flow_tls_config *c = server(id, kind);
    struct flow_tls_holder *h;

    assert_status(flow_tls_holder_new(TEST_ENV, c, &h, NULL), FLOW_OK);
    flow_tls_config_unref(c);
    return h;
}

static void
put(struct flow_tls_holder *h, const char *id, const char *kind)
{
    struct flow_tls_config *c = server(id, kind);

    assert_status(flow_tls_holder_set(h, c, NULL), FLOW_OK);
    flow_tls_config_unref(c);
}

/* A connection whose server has the configuration that is in force now. */
static void
connect_now(struct ends *e, struct flow_tls_holder *h)
{
    struct flow_tls_config *c = flow_tls_holder_get(h);

    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e->a, &e->b), FLOW_OK);
    assert_status(
        flow_tls_wrap_client(client, e->a, "server.example", 0, &e->a, NULL),
        FLOW_OK);
    assert_status(flow_tls_wrap_server(c, e->b, 0, &e->b, NULL), FLOW_OK);
    flow_tls_config_unref(c);
}

/* The certificate of a kind, to be released with flow_env_free(). */
static uint8_t *
certificate(const char *kind, size_t *ret_len)
{
    char file[32], pem[8192];
    uint8_t *der = NULL;
    size_t len;
    FILE *in;

    snprintf(file, sizeof(file), "%s.pem", kind);
    in = fopen(pki(file), "r");
    assert_non_null(in);
    len = fread(pem, 1, sizeof(pem), in);
    fclose(in);
    assert_status(flow_tls_decode_chain(TEST_ENV, pem, len, &der, ret_len),
                  FLOW_OK);
    return der;
}

/* Both ends complete the handshake; the server has this entry, and the client
 * the certificate of a kind. */
static void
agree(struct ends *e, const char *id, const char *kind)
{
    struct flow_tls_info info;
    uint8_t *der;
    size_t len;

    step_open(e);
    assert_status(flow_tls_get_info(e->b, &info), FLOW_OK);
    assert_string_equal(info.entry, id);
    assert_string_equal(info.matched_name, "server.example");
    der = certificate(kind, &len);
    assert_status(flow_tls_get_info(e->a, &info), FLOW_OK);
    assert_int_equal(info.peer_chain_len, len);
    assert_memory_equal(info.peer_chain, der, len);
    flow_env_free(TEST_ENV, der, len);
    step_pass(e, e->a, 1000, 1);
    step_pass(e, e->b, 1000, 2);
}

static void
serves(struct flow_tls_holder *h, const char *id, const char *kind)
{
    struct ends e;

    connect_now(&e, h);
    agree(&e, id, kind);
    ends_close(&e);
}

/* The configuration is replaced after so many steps of both sides; false if
 * the handshake was over before. */
static bool
replaced_after(unsigned steps)
{
    struct flow_tls_holder *h = holder_of("old", "p256");
    enum flow_status st = FLOW_AGAIN;
    struct ends e;

    connect_now(&e, h);
    for (unsigned i = 0; i < steps; i++) {
        (void)!flow_open(e.a);
        st = flow_open(e.b);
    }
    put(h, "new", "rsa");
    serves(h, "new", "rsa");
    agree(&e, "old", "p256");
    ends_close(&e);
    flow_tls_holder_unref(h);
    return st == FLOW_AGAIN;
}

static void
a_handshake_keeps_its_configuration(void **state)
{
    static const enum flow_tls_version versions[] = { FLOW_TLS_1_2,
                                                      FLOW_TLS_1_3 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        unsigned steps = 0;

        begin(versions[i]);
        while (replaced_after(steps))
            steps++;
        assert_true(steps >= 2);
        flow_tls_config_unref(client);
    }
}

static struct flow *
accept_one(struct flow_listener *l)
{
    struct flow *f = NULL;

    assert_status(flow_accept(l, &f), FLOW_OK);
    return f;
}

/* Clients that connected to a listener, some of which it has accepted. */
static void
a_listener_gives_what_is_in_force_when_it_accepts(void **state)
{
    struct flow_endpoint_options opt = { .server_name = "server.example" };
    struct flow_listener *listener;
    struct ends e[3] = { 0 };

    (void)state;
    begin(FLOW_TLS_1_3);
    opt.tls_holder = holder_of("old", "p256");
    assert_status(flow_endpoint_listen(TEST_ENV, "tls+pair:reload", &opt,
                                       &listener, NULL),
                  FLOW_OK);
    opt.tls = client;
    for (size_t i = 0; i < 3; i++) {
        assert_status(flow_endpoint_dial(TEST_ENV, "tls+pair:reload", &opt,
                                         &e[i].a, NULL),
                      FLOW_OK);
        assert_status(flow_open(e[i].a), FLOW_AGAIN);
    }
    e[0].b = accept_one(listener);
    put(opt.tls_holder, "new", "rsa");
    e[1].b = accept_one(listener);
    put(opt.tls_holder, "third", "p384");
    /* The listener has a reference of its own. */
    flow_tls_holder_unref(opt.tls_holder);
    e[2].b = accept_one(listener);
    agree(&e[2], "third", "p384");
    agree(&e[1], "new", "rsa");
    agree(&e[0], "old", "p256");
    for (size_t i = 0; i < 3; i++)
        ends_close(&e[i]);
    flow_listener_close(listener);
    flow_tls_config_unref(client);
}

static void
several_listeners_share_a_holder(void **state)
{
    static const char *const name[] = { "tls+pair:reload1",
                                        "tls+pair:reload2" };
    struct flow_endpoint_options opt = { .server_name = "server.example" };
    struct flow_listener *listener[2];
    struct ends e = { 0 };

    (void)state;
    begin(FLOW_TLS_1_3);
    opt.tls_holder = holder_of("old", "p256");
    for (size_t i = 0; i < 2; i++)
        assert_status(
            flow_endpoint_listen(TEST_ENV, name[i], &opt, &listener[i], NULL),
            FLOW_OK);
    put(opt.tls_holder, "new", "rsa");
    opt.tls = client;
    for (size_t i = 0; i < 2; i++) {
        assert_status(flow_endpoint_dial(TEST_ENV, name[i], &opt, &e.a, NULL),
                      FLOW_OK);
        assert_status(flow_open(e.a), FLOW_AGAIN);
        e.b = accept_one(listener[i]);
        agree(&e, "new", "rsa");
        ends_close(&e);
        flow_listener_close(listener[i]);
    }
    flow_tls_holder_unref(opt.tls_holder);
    flow_tls_config_unref(client);
}

/* --- replacements that fail --- */

static void
what_cannot_be_frozen_is_refused(void **state)
{
    struct flow_tls_holder *h;
    struct flow_tls_config *empty;
    struct flow_error err;

    (void)state;
    begin(FLOW_TLS_1_3);
    h = holder_of("old", "p256");
    assert_status(flow_tls_config_new_server(TEST_ENV, &empty, NULL), FLOW_OK);
    assert_status(flow_tls_holder_set(h, empty, &err), FLOW_E_INVAL);
    assert_string_equal(err.text, "a server needs a certificate");
    flow_tls_config_unref(empty);
    serves(h, "old", "p256");
    flow_tls_holder_unref(h);
    flow_tls_config_unref(client);
}

static void
the_other_role_is_refused(void **state)
{
    struct flow_listener *listener = NULL, *lower;
    struct flow_tls_holder *h, *of_client;
    struct flow_tls_config *c;
    struct flow_error err;

    (void)state;
    begin(FLOW_TLS_1_3);
    h = holder_of("old", "p256");
    assert_status(flow_tls_holder_set(h, client, &err), FLOW_E_INVAL);
    assert_non_null(strstr(err.text, "cannot replace"));
    serves(h, "old", "p256");
    assert_status(flow_tls_holder_new(TEST_ENV, client, &of_client, NULL),
                  FLOW_OK);
    c = server("new", "p256");
    assert_status(flow_tls_holder_set(of_client, c, NULL), FLOW_E_INVAL);
    flow_tls_config_unref(c);
    c = flow_tls_holder_get(of_client);
    assert_ptr_equal(c, client);
    flow_tls_config_unref(c);
    assert_status(
        flow_endpoint_listen(TEST_ENV, "pair:reload", NULL, &lower, NULL),
        FLOW_OK);
    assert_status(flow_tls_listen_holder(of_client, lower, 0, &listener, &err),
                  FLOW_E_INVAL);
    assert_string_equal(err.text, "a client's configuration cannot listen");
    flow_listener_close(lower);
    flow_tls_holder_unref(of_client);
    flow_tls_holder_unref(h);
    flow_tls_config_unref(client);
}

static void
the_one_in_force_may_be_set_again(void **state)
{
    struct flow_tls_holder *h;
    struct flow_tls_config *c;

    (void)state;
    begin(FLOW_TLS_1_3);
    h = holder_of("old", "p256");
    c = flow_tls_holder_get(h);
    assert_status(flow_tls_holder_set(h, c, NULL), FLOW_OK);
    flow_tls_config_unref(c);
    serves(h, "old", "p256");
    flow_tls_holder_unref(h);
    flow_tls_config_unref(client);
}

/* A reload with an allocation that fails; whether it succeeded all the same. */
static bool
reload_failing(struct flow_tls_holder *h, const char *chain, const char *key,
               size_t nth)
{
    struct flow_tls_config *before = flow_tls_holder_get(h);
    struct flow_tls_config *c, *now;
    enum flow_status st;

    test_env_fail(nth, false);
    st = make_server("new", chain, key, &c);
    if (st == FLOW_OK) {
        st = flow_tls_holder_set(h, c, NULL);
        flow_tls_config_unref(c);
    }
    test_env_fail(0, false);
    now = flow_tls_holder_get(h);
    assert_int_equal(now != before, st == FLOW_OK);
    if (st != FLOW_OK)
        assert_status(st, FLOW_E_NOMEM);
    flow_tls_config_unref(now);
    flow_tls_config_unref(before);
    return st == FLOW_OK;
}

static void
every_allocation_of_a_reload_may_fail(void **state)
{
    char chain[512], key[512];
    struct flow_tls_holder *h;
    size_t nth = 1;

    (void)state;
    begin(FLOW_TLS_1_3);
    snprintf(chain, sizeof(chain), "%s", pki("rsa.pem"));
    snprintf(key, sizeof(key), "%s", pki("rsa.key"));
    h = holder_of("old", "p256");
    while (!reload_failing(h, chain, key, nth)) {
        serves(h, "old", "p256");
        nth++;
    }
    assert_true(nth > 8);
    serves(h, "new", "rsa");
    flow_tls_holder_unref(h);
    flow_tls_config_unref(client);
}

static void
holders_and_listeners_without_memory(void **state)
{
    struct flow_tls_holder *h;
    struct flow_tls_config *c;
    struct flow_listener *lower, *listener;
    enum flow_status st = FLOW_E_NOMEM;

    (void)state;
    begin(FLOW_TLS_1_3);
    c = server("old", "p256");
    assert_status(flow_tls_config_freeze(c, NULL), FLOW_OK);
    test_env_fail(1, false);
    assert_status(flow_tls_holder_new(TEST_ENV, c, &h, NULL), FLOW_E_NOMEM);
    test_env_fail(0, false);
    assert_status(
        flow_endpoint_listen(TEST_ENV, "pair:reload", NULL, &lower, NULL),
        FLOW_OK);
    for (size_t nth = 1; st != FLOW_OK; nth++) {
        test_env_fail(nth, false);
        st = flow_tls_listen(c, lower, 0, &listener, NULL);
        test_env_fail(0, false);
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_E_NOMEM));
    }
    flow_listener_close(listener);
    flow_tls_config_unref(c);
    flow_tls_config_unref(client);
}

/* --- what a reload tells --- */

static void
the_validity_of_a_certificate(void **state)
{
    static const char *const kinds[] = { "p256", "chain" };
    struct flow_tls_der chain, leaf;
    struct flow_tls_facts facts;
    uint8_t *der;
    size_t len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        der = certificate(kinds[i], &len);
        chain = (struct flow_tls_der){ der, len };
        assert_status(flow_tls_next_cert(&chain, &leaf), FLOW_OK);
        assert_status(flow_tls_get_facts(&leaf, &facts), FLOW_OK);
        /* 2020-01-01 00:00:00 and 2049-12-31 23:59:59 */
        assert_true(facts.not_before == 1577836800);
        assert_true(facts.not_after == 2524607999);
        flow_env_free(TEST_ENV, der, len);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_keeps_its_configuration),
        TEST(a_listener_gives_what_is_in_force_when_it_accepts),
        TEST(several_listeners_share_a_holder),
        TEST(what_cannot_be_frozen_is_refused),
        TEST(the_other_role_is_refused),
        TEST(the_one_in_force_may_be_set_again),
        TEST(every_allocation_of_a_reload_may_fail),
        TEST(holders_and_listeners_without_memory),
        TEST(the_validity_of_a_certificate),
    };

    return TEST_RUN(tests);
}
