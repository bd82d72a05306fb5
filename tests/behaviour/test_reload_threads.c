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
#include <flow/tls_sni.h>
#include <flow/tls_verify.h>

#include "pki.h"
#include "step.h"

/*
 * Threads that make handshakes while the main thread replaces the
 * configuration: each handshake sees one configuration alone, the one that was
 * in force when it began.
 *
 * usage: test_reload_threads [RELOADS]
 */

#define THREADS 64
/* For each reload, or the threads would leave it no processor. */
#define HANDSHAKES 4

/* The n-th configuration has an entry "n", and the certificate n % 2. */
static const char *const kind[] = { "p256", "p384" };
static char chain_path[2][512], key_path[2][512];
static uint8_t *der[2];
static size_t der_len[2];

static unsigned long reloads = 50;
static struct flow_tls_config *client;
static struct flow_tls_holder *holder;
static atomic_ulong latest; /* that was set */
static atomic_bool done;
static sem_t wanted; /* handshakes */

struct worker {
    pthread_t thread;
    unsigned long handshakes;
    unsigned long changes; /* of the configuration between two of them */
    const char *fault;     /* NULL: none */
};

static struct flow_tls_config *
make_server(unsigned long number)
{
    static const char *const cert[] = { "@cert" };
    struct flow_tls_sni_entry entry = { .patterns = cert,
                                        .pattern_count = 1,
                                        .flags = FLOW_TLS_SNI_IS_DEFAULT };
    struct flow_tls_config *c;
    struct flow_tls_sni *sni;
    char id[24];
    size_t index;

    snprintf(id, sizeof(id), "%lu", number);
    entry.id = id;
    assert_status(flow_tls_config_new_server(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_sni_new(TEST_ENV, &sni, NULL), FLOW_OK);
    assert_status(flow_tls_sni_add_entry(sni, &entry, &index, NULL), FLOW_OK);
    assert_status(
        flow_tls_sni_add_keypair_file(sni, index, chain_path[number % 2],
                                      key_path[number % 2], NULL, NULL, NULL),
        FLOW_OK);
    assert_status(flow_tls_config_set_sni(c, sni, NULL), FLOW_OK);
    flow_tls_sni_unref(sni);
    return c;
}

/* What the two sides agreed on belongs to one configuration, which is not older
 * than the one that was set before the handshake began. */
static const char *
check_agreed(struct flow *a, struct flow *b, unsigned long oldest,
             unsigned long *ret_number)
{
    struct flow_tls_info ours, theirs;
    unsigned long number;

    if (flow_tls_get_info(b, &ours) != FLOW_OK ||
        flow_tls_get_info(a, &theirs) != FLOW_OK)
        return "no facts about the handshake";
    number = strtoul(ours.entry, NULL, 10);
    if (number < oldest)
        return "a configuration that had been replaced";
    if (theirs.peer_chain_len != der_len[number % 2] ||
        memcmp(theirs.peer_chain, der[number % 2], der_len[number % 2]) != 0)
        return "the certificate of another configuration";
    *ret_number = number;
    return NULL;
}

static const char *
shake_hands(struct flow *a, struct flow *b)
{
    enum flow_status ours = FLOW_AGAIN, theirs = FLOW_AGAIN;

    for (int i = 0; i < 100 && (ours == FLOW_AGAIN || theirs == FLOW_AGAIN);
         i++) {
        theirs = flow_open(a);
        ours = flow_open(b);
    }
    return ours == FLOW_OK && theirs == FLOW_OK ? NULL : "handshake failed";
}

static const char *
connect_once(unsigned long *ret_number)
{
    unsigned long oldest = atomic_load(&latest);
    struct flow_tls_config *c = flow_tls_holder_get(holder);
    struct flow *a, *b;
    const char *fault;

    if (flow_pair_new(TEST_ENV, 16384, NULL, &a, &b) != FLOW_OK ||
        flow_tls_wrap_client(client, a, "server.example", 0, &a, NULL) !=
            FLOW_OK ||
        flow_tls_wrap_server(c, b, 0, &b, NULL) != FLOW_OK)
        return "cannot connect";
    flow_tls_config_unref(c);
    fault = shake_hands(a, b);
    if (fault == NULL)
        fault = check_agreed(a, b, oldest, ret_number);
    flow_close(a);
    flow_close(b);
    return fault;
}

static void *
work(void *arg)
{
    struct worker *w = arg;
    unsigned long number = 0, before;
    bool last;

    /* One at the start, and at least one after the last reload. */
    do {
        last = atomic_load(&done);
        before = number;
        w->fault = connect_once(&number);
        w->handshakes++;
        w->changes += number != before;
        while (!last && sem_wait(&wanted) != 0)
            continue;
    } while (w->fault == NULL && !last);
    return NULL;
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
    struct flow_tls_config *first;
    char file[32];

    for (size_t i = 0; i < 2; i++) {
        snprintf(file, sizeof(file), "%s.pem", kind[i]);
        snprintf(chain_path[i], sizeof(chain_path[i]), "%s", pki(file));
        snprintf(file, sizeof(file), "%s.key", kind[i]);
        snprintf(key_path[i], sizeof(key_path[i]), "%s", pki(file));
        read_certificate(i);
    }
    assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL), FLOW_OK);
    assert_status(flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
                  FLOW_OK);
    first = make_server(0);
    assert_status(flow_tls_holder_new(TEST_ENV, first, &holder, NULL), FLOW_OK);
    flow_tls_config_unref(first);
}

static void
clean_up(void)
{
    for (size_t i = 0; i < 2; i++)
        flow_env_free(TEST_ENV, der[i], der_len[i]);
    flow_tls_holder_unref(holder);
    flow_tls_config_unref(client);
}

static void
want(size_t handshakes)
{
    for (size_t i = 0; i < handshakes; i++)
        assert_int_equal(sem_post(&wanted), 0);
}

static void
each_handshake_sees_one_configuration(void **state)
{
    static struct worker w[THREADS];
    unsigned long handshakes = 0, changes = 0;

    (void)state;
    assert_int_equal(sem_init(&wanted, 0, 0), 0);
    set_up();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    for (unsigned long n = 1; n <= reloads; n++) {
        struct flow_tls_config *c = make_server(n);

        assert_status(flow_tls_holder_set(holder, c, NULL), FLOW_OK);
        flow_tls_config_unref(c);
        atomic_store(&latest, n);
        want(HANDSHAKES);
    }
    atomic_store(&done, true);
    want(2 * THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
        if (w[i].fault != NULL)
            fail_msg("thread %zu, handshake %lu: %s", i, w[i].handshakes,
                     w[i].fault);
        handshakes += w[i].handshakes;
        changes += w[i].changes;
    }
    print_message("%lu reloads, %lu handshakes, %lu of them with another "
                  "configuration than the one before\n",
                  reloads, handshakes, changes);
    assert_true(handshakes >= THREADS);
    assert_true(changes >= THREADS);
    clean_up();
    sem_destroy(&wanted);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_handshake_sees_one_configuration),
    };

    if (argc > 1)
        reloads = strtoul(argv[1], NULL, 10);
    return TEST_RUN(tests);
}
