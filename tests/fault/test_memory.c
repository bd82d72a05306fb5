/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TEST_LIBCRYPTO
#include <openssl/crypto.h>
#endif

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_export.h>
#include <flow/tls_session.h>

#include "pki.h"
#include "session.h"
#include "wrap.h"

/*
 * The nth allocation fails, for every n: first those of the flows' environment,
 * then those of the whole program including the crypto library.  No leak, no
 * crash, the status is E_NOMEM, and neither end reports a fault of the other.
 * An mbedTLS that was not built with libflow may forget why it failed, and then
 * the status is another error.
 */

enum stack_kind { PLAIN, TLS_1_2, TLS_1_3 };

#ifdef TEST_TLS
/* A server keeps the engine too.  A build of mbedTLS may have no exporter. */
static enum flow_status
export_something(struct flow_tls_config *c, bool server)
{
    enum flow_status st =
        flow_tls_config_add_exporter(c, "EXPERIMENTAL", "context", 7, 32);

    if (st == FLOW_OK)
        st = flow_tls_config_keep_engine(c, server);
    return st == FLOW_E_NOTSUP ? FLOW_OK : st;
}

/* With sessions that are resumed these stay, in memory that is not counted. */
static struct flow_tls_tickets *tickets;
static struct flow_tls_sessions *store;

static enum flow_status
resume(struct flow_tls_config *c, bool server)
{
    if (store == NULL)
        return FLOW_OK;
    return server ? flow_tls_config_set_tickets(c, tickets, 0, NULL)
                  : flow_tls_config_set_sessions(c, store, 1, NULL);
}

/* A configuration of its own, so that its allocations fail too. */
static enum flow_status
configure(bool server, uint32_t version, struct flow_tls_config **ret)
{
    enum flow_tls_version v = (enum flow_tls_version)version;
    struct flow_tls_config *c = NULL;
    enum flow_status st;

    st = server ? flow_tls_config_new_server(TEST_ENV, &c, NULL)
                : flow_tls_config_new_client(TEST_ENV, &c, NULL);
    if (st == FLOW_OK)
        st = flow_tls_config_set_versions(c, v, v);
    if (st == FLOW_OK && server)
        st = flow_tls_config_add_keypair_file(
            c, pki("p256.pem"), pki("p256.key"), NULL, NULL, NULL);
    else if (st == FLOW_OK)
        st = flow_tls_config_add_trust_file(c, pki("ca.pem"), NULL);
    if (st == FLOW_OK && getenv("FLOW_TEST_CLIENT_AUTH") != NULL)
        st = server ? flow_tls_config_add_trust_file(c, pki("ca.pem"), NULL)
                    : flow_tls_config_add_keypair_file(c, pki("p256.pem"),
                                                       pki("p256.key"), NULL,
                                                       NULL, NULL);
    if (st == FLOW_OK && getenv("FLOW_TEST_CLIENT_AUTH") != NULL && server)
        st = flow_tls_config_set_client_auth(c, FLOW_TLS_CLIENT_AUTH_REQUIRED);
    if (st == FLOW_OK)
        st = resume(c, server);
    if (st == FLOW_OK)
        st = export_something(c, server);
    if (st == FLOW_OK)
        st = flow_tls_config_freeze(c, NULL);
    if (st == FLOW_OK) {
        *ret = c;
        return FLOW_OK;
    }
    flow_tls_config_unref(c);
    return st;
}

static enum flow_status
wrap_tls(struct ends *e, uint32_t version)
{
    struct flow_tls_config *client = NULL, *server = NULL;
    enum flow_status st;

    st = configure(false, version, &client);
    if (st == FLOW_OK)
        st = configure(true, version, &server);
    if (st == FLOW_OK)
        st = flow_tls_wrap_client(client, e->a, "server.example", 0, &e->a,
                                  NULL);
    if (st == FLOW_OK)
        st = flow_tls_wrap_server(server, e->b, 0, &e->b, NULL);
    flow_tls_config_unref(client);
    flow_tls_config_unref(server);
    return st;
}
#endif

/* One session in which an allocation may fail. */
static enum flow_status
attempt(enum stack_kind kind, struct session *s)
{
    enum flow_status st;

    memset(s, 0, sizeof(*s));
    st = flow_pair_new(TEST_ENV, 4096, NULL, &s->e.a, &s->e.b);
#ifdef TEST_TLS
    if (st == FLOW_OK && kind != PLAIN)
        st = wrap_tls(&s->e, kind == TLS_1_2 ? FLOW_TLS_1_2 : FLOW_TLS_1_3);
#else
    (void)kind;
#endif
    if (st != FLOW_OK) {
        ends_close(&s->e);
        return st;
    }
    session_run(s);
    return FLOW_OK;
}

#ifdef TEST_TLS
/* Have a session for the next attempt, if they are resumed; how many. */
static long
prime(enum stack_kind kind)
{
    struct session s;

    if (kind == PLAIN || getenv("FLOW_TEST_SESSIONS") == NULL)
        return 0;
    if (store == NULL) {
        assert_status(flow_tls_tickets_new(NULL, &tickets, NULL), FLOW_OK);
        assert_status(flow_tls_sessions_new(NULL, &store, NULL), FLOW_OK);
    }
    flow_tls_sessions_clear(store);
    assert_status(attempt(kind, &s), FLOW_OK);
    assert_int_equal(flow_tls_sessions_count(store), 1);
    return 1;
}

/* Drop what an attempt has left in the store. */
static void
forget(void)
{
    if (store != NULL)
        flow_tls_sessions_clear(store);
}
#else
static long
prime(enum stack_kind kind)
{
    (void)kind;
    return 0;
}

static void
forget(void)
{
}
#endif

#ifdef TEST_MBEDTLS_TELLS
#define INTERNAL_ERROR 80 /* RFC 8446 6 */

/* One end was out of memory and told the other one.  The other end reports that
 * alert, or the end of the flow below. */
static void
check_blame(const struct session *s)
{
    unsigned i, unwell = 0;

    for (i = 0; i < 2; i++) {
        const struct flow_error *why = &s->side[i].why;

        if (why->status == FLOW_OK)
            continue;
        unwell++;
        if (why->alert_sent != -1)
            assert_int_equal(why->alert_sent, INTERNAL_ERROR);
        if (why->status == FLOW_E_PROTO)
            assert_int_equal(why->alert_received, INTERNAL_ERROR);
        else
            assert_status_in(why->status, STATUS_BIT(FLOW_E_NOMEM) |
                                              STATUS_BIT(FLOW_E_TRUNCATED) |
                                              STATUS_BIT(FLOW_E_RESET) |
                                              STATUS_BIT(FLOW_E_CLOSED));
        if (why->status == FLOW_E_NOMEM)
            assert_string_equal(why->layers[0], "tls");
    }
    if (unwell > 0)
        assert_true(s->side[0].why.status == FLOW_E_NOMEM ||
                    s->side[1].why.status == FLOW_E_NOMEM);
}
#endif

static void
check(const struct session *s, enum flow_status st, bool failed)
{
    if (!failed) {
        assert_status(st, FLOW_OK);
        session_check_complete(s);
    } else if (st == FLOW_OK) {
        session_check_sound(s);
    }
}

/* Allocations of the environment. */
static void
sweep_environment(enum stack_kind kind)
{
    struct session s;
    enum flow_status st;
    size_t n;
    char name[80];

    for (n = 1;; n++) {
        size_t failed = atomic_load(&test_env.failed);

        snprintf(name, sizeof(name), "allocation %zu", n);
        guard_case(name);
        (void)prime(kind);
        test_env_fail(n, false);
        st = attempt(kind, &s);
        failed = atomic_load(&test_env.failed) - failed;
        test_env_fail(0, false);
        forget();
        assert_int_equal(atomic_load(&test_env.live), 0);
        assert_int_equal(atomic_load(&test_env.bytes), 0);
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_E_NOMEM));
        check(&s, st, failed != 0);
        if (failed == 0)
            break;
    }
    assert_true(n > 1);
    guard_case(NULL);
}

static void
failed_environment_allocations_are_reported_without_tls(void **state)
{
    (void)state;
    sweep_environment(PLAIN);
}

#ifdef TEST_TLS
static void
failed_environment_allocations_are_reported_with_tls(void **state)
{
    (void)state;
    sweep_environment(TLS_1_2);
    sweep_environment(TLS_1_3);
}

static size_t stride = 1;

/* What libcrypto keeps for a thread: errors, generators of random numbers. */
static void
release_thread(void)
{
#ifdef TEST_LIBCRYPTO
    OPENSSL_thread_stop();
#endif
}

#ifdef TEST_MBEDTLS_TELLS
#ifdef TEST_LIBCRYPTO
static const bool may_do_without = true;
#else
static const bool may_do_without = false;
#endif

static size_t
passphrase(void *user, char *buf, size_t cap)
{
    static const char secret[] = "opensesame";

    (void)user;
    assert_true(cap >= sizeof(secret));
    memcpy(buf, secret, sizeof(secret) - 1);
    return sizeof(secret) - 1;
}

/* A key is parsed as one format after another; a failed allocation does not
 * make the key invalid, nor the passphrase wrong.  libcrypto does without some
 * of its allocations, such as those of a cache; and without the rest mbedTLS
 * keeps the key. */
static void
loading_an_encrypted_key_reports_failed_allocations(void **state)
{
    struct flow_tls_config *c;
    struct flow_error err;
    enum flow_status st;
    bool failed = true;
    size_t n;

    (void)state;
    for (n = 1; failed; n++) {
        assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
        wrap_begin();
        wrap_fail(n, false);
        st = flow_tls_config_add_keypair_file(
            c, pki("p256.pem"), pki("encrypted.key"), passphrase, NULL, &err);
        failed = wrap_failed();
        wrap_fail(0, false);
        flow_tls_config_unref(c);
        if (may_do_without && failed && st == FLOW_OK)
            continue;
        assert_status(st, failed ? FLOW_E_NOMEM : FLOW_OK);
        if (failed)
            assert_string_equal(err.layers[0], "tls config");
    }
    assert_true(n > 30);
}
#endif

/* Allocations of the program. */
static void
sweep_program(enum stack_kind kind)
{
    struct session s;
    enum flow_status st;
    size_t n, unnamed = 0, lost = 0;
    char name[80];

    /* Memory that the program allocates once and keeps. */
    assert_status(attempt(kind, &s), FLOW_OK);
    for (n = 1;; n += n < 300 ? 1 : stride) {
        long primed = prime(kind);
        bool failed;

        snprintf(name, sizeof(name), "allocation %zu of the program", n);
        guard_case(name);
        release_thread();
        wrap_begin();
        wrap_fail(n, false);
        st = attempt(kind, &s);
        failed = wrap_failed();
        wrap_fail(0, false);
        forget();
        release_thread();
        assert_int_equal(atomic_load(&test_env.live), 0);
        assert_int_equal(atomic_load(&test_env.bytes), 0);
        /* mbedTLS 3.6.7 leaks the cipher contexts of a TLS 1.3 transform if the
         * memory for the rest of it is missing. */
        if (wrap_live() + primed > (kind == TLS_1_3 ? 3 : 0))
            fail_msg("%ld allocations were not given back",
                     wrap_live() + primed);
        lost += wrap_live() + primed != 0;
        assert_true(st <= FLOW_OK);
        unnamed += st != FLOW_OK && st != FLOW_E_NOMEM;
        check(&s, st, failed);
#ifdef TEST_MBEDTLS_TELLS
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_E_NOMEM));
        if (st == FLOW_OK)
            check_blame(&s);
#endif
        if (!failed)
            break;
    }
    assert_true(n > 1);
    /* Two transforms on each side leak at three of their four allocations.
     * Signatures are random, so the number of allocations before them varies
     * between runs, and one of them may be hit twice. */
    assert_in_range(lost, 0, 24);
    print_message("%zu allocations, %zu times another error, %zu times lost\n",
                  n, unnamed, lost);
    guard_case(NULL);
}

static void
failed_program_allocations_are_reported_in_tls12(void **state)
{
    (void)state;
    sweep_program(TLS_1_2);
}

static void
failed_program_allocations_are_reported_in_tls13(void **state)
{
    (void)state;
    sweep_program(TLS_1_3);
}
#endif

#ifdef TEST_TLS
/* Make each allocation of one call fail in turn; whether one did.  The call
 * must answer with a transient FLOW_E_NOMEM. */
static bool
starve(struct flow *f, size_t n, bool reading)
{
    enum flow_status st;
    uint8_t byte;
    size_t len;
    bool failed;

    wrap_fail(n, false);
    st = reading ? flow_read(f, &byte, 1, &len) : flow_flush(f);
    failed = wrap_failed();
    wrap_fail(0, false);
    if (failed)
        assert_status(st, FLOW_E_NOMEM);
    else
        assert_status(st, reading ? FLOW_AGAIN : FLOW_OK);
    return failed;
}

/* A key update allocates memory on both sides, and a failed allocation does not
 * end the connection. */
static void
key_update_survives_failed_allocations(void **state)
{
    struct ends e = { 0 };
    size_t n, written = 0, read = 0;
    char name[80];
    bool failed = true;

    (void)state;
    assert_status(flow_pair_new(TEST_ENV, 1 << 17, NULL, &e.a, &e.b), FLOW_OK);
    assert_status(wrap_tls(&e, FLOW_TLS_1_3), FLOW_OK);
    step_open(&e);
    step_pass(&e, e.b, 100, 0);
    for (n = 1; failed; n++) {
        snprintf(name, sizeof(name), "allocation %zu", n);
        guard_case(name);
        assert_status(flow_control(e.a, FLOW_CONTROL_REKEY, n % 2), FLOW_OK);
        failed = starve(e.a, n, false);
        written += failed;
        step_flush(&e, e.a);
        if (starve(e.b, n, true)) {
            read++;
            failed = true;
        }
        step_pass(&e, e.a, 100, n);
        step_pass(&e, e.b, 100, n);
    }
    guard_case(NULL);
    /* The record that announces it; on the other side also a context of the
     * cipher.  The derivations count only if mbedTLS is linked into the
     * program. */
    assert_true(written >= 1);
    assert_true(read >= 2);
    ends_close(&e);
}
#endif

#ifdef TEST_LIBCRYPTO
/* libcrypto's allocations, which then are the program's. */

static void *
crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *
crypto_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(ptr, size);
}

static void
crypto_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    free(ptr);
}
#endif

/* usage: test_memory [STRIDE]: after the first 300 allocations of the program,
 * every STRIDEth one fails. */
int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(failed_environment_allocations_are_reported_without_tls),
#ifdef TEST_TLS
        TEST(failed_environment_allocations_are_reported_with_tls),
        TEST(key_update_survives_failed_allocations),
#ifdef TEST_MBEDTLS_TELLS
        TEST(loading_an_encrypted_key_reports_failed_allocations),
#endif
        TEST(failed_program_allocations_are_reported_in_tls12),
        TEST(failed_program_allocations_are_reported_in_tls13),
#endif
    };

#ifdef TEST_TLS
    if (argc > 1 && atoi(argv[1]) > 0)
        stride = (size_t)atoi(argv[1]);
#else
    (void)argc;
    (void)argv;
#endif
#ifdef TEST_LIBCRYPTO
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) !=
        1)
        return 1;
#endif
    return TEST_RUN(tests);
}
