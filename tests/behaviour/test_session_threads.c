/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_holder.h>
#include <flow/tls_session.h>
#include <flow/tls_verify.h>

#include "pki.h"
#include "step.h"

/*
 * Threads that resume sessions of one store while the main thread replaces the
 * server's configuration and its ticket keys, changes limits, and exports the
 * store and imports it again.  No connection fails for that, and none is
 * resumed with a session of another epoch.
 *
 * The n-th configuration has the epoch n / 2 and the certificate of the epoch's
 * parity.  A resumed client reports the certificate of the session's full
 * handshake, which tells the epoch of the session.
 *
 * usage: test_session_threads [RELOADS]
 */

#define THREADS 8
/* Before each reload; some are with the configuration before. */
#define CONNECTIONS 24
#define RELOADS_MAX 1000
#define EXPORT_MAX  (1u << 20)

static const char *const kind[] = { "p256", "p384" };
static const enum flow_tls_version versions[] = { FLOW_TLS_1_2, FLOW_TLS_1_3 };
static char chain_path[2][512], key_path[2][512];
static uint8_t *der[2];
static size_t der_len[2];

static unsigned long reloads = 40;
/* Kept until the end, so that an address tells the number. */
static struct flow_tls_config *servers[RELOADS_MAX + 1];
static struct flow_tls_config *clients[2];
static struct flow_tls_holder *holder;
static struct flow_tls_tickets *tickets;
static struct flow_tls_sessions *store;
static atomic_bool done;
static sem_t connected; /* connections that are over */

struct worker {
    pthread_t thread;
    unsigned long handshakes;
    unsigned long resumed;
    const char *fault; /* NULL: none */
};

static struct flow_tls_config *
make_server(unsigned long number)
{
    const unsigned long epoch = number / 2;
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(c, chain_path[epoch % 2],
                                                   key_path[epoch % 2], NULL,
                                                   NULL, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_tickets(c, tickets, epoch, NULL),
                  FLOW_OK);
    return c;
}

static struct flow_tls_config *
make_client(enum flow_tls_version version)
{
    struct flow_tls_config *c;

    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(c, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(c, version, version), FLOW_OK);
    assert_status(flow_tls_config_set_sessions(c, store, 2, NULL), FLOW_OK);
    return c;
}

static unsigned long
number_of(const struct flow_tls_config *c)
{
    unsigned long n = 0;

    while (servers[n] != c)
        n++;
    return n;
}

static bool
shake_hands(struct flow *a, struct flow *b)
{
    enum flow_status st[2] = { FLOW_AGAIN, FLOW_AGAIN };

    for (int i = 0; i < 100 && (st[0] == FLOW_AGAIN || st[1] == FLOW_AGAIN);
         i++) {
        st[0] = flow_open(a);
        st[1] = flow_open(b);
    }
    return st[0] == FLOW_OK && st[1] == FLOW_OK;
}

/* A byte, with which the tickets of TLS 1.3 come. */
static bool
pass_byte(struct flow *a, struct flow *b)
{
    uint8_t byte = 1;
    size_t n;

    return flow_write(b, &byte, 1, &n) == FLOW_OK && flow_flush(b) == FLOW_OK &&
           flow_read(a, &byte, 1, &n) == FLOW_OK && n == 1;
}

/* What both sides say belongs to the epoch of the server's configuration. */
static const char *
check_said(struct flow *a, struct flow *b, unsigned long number,
           struct worker *w)
{
    const unsigned long parity = number / 2 % 2;
    struct flow_tls_info ours, theirs;

    if (flow_tls_get_info(a, &ours) != FLOW_OK ||
        flow_tls_get_info(b, &theirs) != FLOW_OK)
        return "no facts about the connection";
    if (ours.resumed != theirs.resumed || !ours.verified)
        return "the sides do not agree, or the server is not verified";
    if (ours.peer_chain_len != der_len[parity] ||
        memcmp(ours.peer_chain, der[parity], der_len[parity]) != 0)
        return "a session of another epoch was resumed";
    w->resumed += ours.resumed;
    return NULL;
}

static const char *
connect_once(struct worker *w)
{
    struct flow_tls_config *c = flow_tls_holder_get(holder);
    const unsigned long number = number_of(c);
    const char *fault = NULL;
    struct flow *a, *b;

    if (flow_pair_new(TEST_ENV, 65536, NULL, &a, &b) != FLOW_OK ||
        flow_tls_wrap_client(clients[w->handshakes % 2], a, "server.example", 0,
                             &a, NULL) != FLOW_OK ||
        flow_tls_wrap_server(c, b, 0, &b, NULL) != FLOW_OK)
        return "cannot connect";
    flow_tls_config_unref(c);
    if (!shake_hands(a, b))
        fault = "the handshake failed";
    else if (!pass_byte(a, b))
        fault = "the connection does not work";
    else
        fault = check_said(a, b, number, w);
    flow_close(a);
    flow_close(b);
    w->handshakes++;
    return fault;
}

static void *
work(void *arg)
{
    struct worker *w = arg;

    while (w->fault == NULL && !atomic_load(&done)) {
        w->fault = connect_once(w);
        (void)sem_post(&connected);
    }
    /* The main thread waits for those that connect no more, too. */
    for (unsigned long i = 0; w->fault != NULL && i <= reloads * CONNECTIONS;
         i++)
        (void)sem_post(&connected);
    return NULL;
}

/* The new key seals, and the one before it opens. */
static void
rotate_keys(unsigned long n)
{
    uint8_t keys[2 * FLOW_TLS_TICKET_KEY_LEN];

    test_fill(keys, FLOW_TLS_TICKET_KEY_LEN, n);
    test_fill(keys + FLOW_TLS_TICKET_KEY_LEN, FLOW_TLS_TICKET_KEY_LEN,
              n == 0 ? 1000000 : n - 1);
    assert_status(flow_tls_tickets_set_keys(tickets, keys, 2), FLOW_OK);
    assert_status(flow_tls_tickets_set_limits(tickets, 7200, 1 + n % 4),
                  FLOW_OK);
}

/* Sessions that are exported are not offered until they are imported. */
static void
export_and_import(unsigned long n)
{
    static const uint8_t key[FLOW_TLS_SESSIONS_KEY_LEN] = { 1 };
    static uint8_t bytes[EXPORT_MAX];
    size_t len;

    assert_status(
        flow_tls_sessions_set_limits(store, 4 + n % 60, EXPORT_MAX / 4),
        FLOW_OK);
    assert_status(
        flow_tls_sessions_export(store, key, bytes, sizeof(bytes), &len),
        FLOW_OK);
    assert_status(flow_tls_sessions_import(store, key, bytes, len, NULL),
                  FLOW_OK);
    if (n % 16 == 15)
        flow_tls_sessions_clear(store);
}

static void
put_in_force(unsigned long n)
{
    servers[n] = make_server(n);
    if (n == 0)
        assert_status(flow_tls_holder_new(TEST_ENV, servers[0], &holder, NULL),
                      FLOW_OK);
    else
        assert_status(flow_tls_holder_set(holder, servers[n], NULL), FLOW_OK);
}

static void
read_certificate(size_t i)
{
    char pem[8192];
    size_t len;
    FILE *in = fopen(chain_path[i], "r");

    assert_non_null(in);
    len = fread(pem, 1, sizeof(pem), in);
    fclose(in);
    assert_status(
        flow_tls_decode_chain(TEST_ENV, pem, len, &der[i], &der_len[i]),
        FLOW_OK);
}

static void
set_up(void)
{
    char file[32];

    for (size_t i = 0; i < 2; i++) {
        snprintf(file, sizeof(file), "%s.pem", kind[i]);
        snprintf(chain_path[i], sizeof(chain_path[i]), "%s", pki(file));
        snprintf(file, sizeof(file), "%s.key", kind[i]);
        snprintf(key_path[i], sizeof(key_path[i]), "%s", pki(file));
        read_certificate(i);
    }
    assert_int_equal(sem_init(&connected, 0, 0), 0);
    assert_status(flow_tls_tickets_new(TEST_ENV, &tickets, NULL), FLOW_OK);
    assert_status(flow_tls_sessions_new(TEST_ENV, &store, NULL), FLOW_OK);
    for (size_t i = 0; i < 2; i++)
        clients[i] = make_client(versions[i]);
    put_in_force(0);
}

static void
clean_up(void)
{
    for (size_t i = 0; i < 2; i++) {
        flow_env_free(TEST_ENV, der[i], der_len[i]);
        flow_tls_config_unref(clients[i]);
    }
    flow_tls_holder_unref(holder);
    for (unsigned long n = 0; n <= reloads; n++)
        flow_tls_config_unref(servers[n]);
    flow_tls_sessions_unref(store);
    flow_tls_tickets_unref(tickets);
    sem_destroy(&connected);
}

static void
wait_for_connections(void)
{
    for (int i = 0; i < CONNECTIONS; i++)
        while (sem_wait(&connected) != 0)
            continue;
}

static void
sessions_are_of_one_epoch(void **state)
{
    static struct worker w[THREADS];
    unsigned long handshakes = 0, resumed = 0;

    (void)state;
    set_up();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    for (unsigned long n = 1; n <= reloads; n++) {
        guard_case("a reload");
        wait_for_connections();
        put_in_force(n);
        rotate_keys(n);
        export_and_import(n);
    }
    wait_for_connections();
    guard_case(NULL);
    atomic_store(&done, true);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
        if (w[i].fault != NULL)
            fail_msg("thread %zu, connection %lu: %s", i, w[i].handshakes,
                     w[i].fault);
        handshakes += w[i].handshakes;
        resumed += w[i].resumed;
    }
    print_message("%lu reloads, %lu connections, %lu of them resumed\n",
                  reloads, handshakes, resumed);
    assert_in_range(resumed, handshakes / 8, handshakes - reloads / 2);
    clean_up();
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_are_of_one_epoch),
    };

    if (argc > 1)
        reloads = strtoul(argv[1], NULL, 10);
    if (reloads > RELOADS_MAX)
        return 2;
    return TEST_RUN(tests);
}
