/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <flow/align.h>
#include <flow/endpoint.h>
#include <flow/pair.h>
#include <flow/tls.h>

#include "child.h"
#include "stacks.h"
#include "test.h"

/*
 * What a process and the child that it forked may use at the same time.
 */

/* Steps in which two ends in one thread must have come to their goal. */
#define STEPS 1000

static bool
open_both(struct flow *a, struct flow *b)
{
    enum flow_status at_a = FLOW_AGAIN;
    enum flow_status at_b = FLOW_AGAIN;
    int i;

    for (i = 0; i < STEPS && (at_a == FLOW_AGAIN || at_b == FLOW_AGAIN); i++) {
        at_a = flow_open(a);
        at_b = flow_open(b);
    }
    return at_a == FLOW_OK && at_b == FLOW_OK;
}

/* One byte through, whatever it takes. */
static bool
pass_byte(struct flow *from, struct flow *to, uint8_t byte)
{
    enum flow_status st = FLOW_AGAIN;
    uint8_t got = 0;
    size_t n;
    int i;

    if (flow_write(from, &byte, 1, &n) != FLOW_OK)
        return false;
    for (i = 0; i < STEPS && st == FLOW_AGAIN; i++) {
        if (flow_flush(from) < 0)
            return false;
        st = flow_read(to, &got, 1, &n);
    }
    return st == FLOW_OK && got == byte;
}

static bool
converse(struct flow *a, struct flow *b)
{
    return open_both(a, b) && pass_byte(a, b, 'q') && pass_byte(b, a, 'a');
}

#define STORM_THREADS 4
#define STORM_FORKS   60
#define STORM_BLOCKS  16

/* What the threads of a storm do without a pause, and what they share. */
static struct {
    bool (*use)(unsigned who);
    atomic_bool over;
    struct flow_pool *pool;
#ifdef TEST_TLS
    struct flow_tls_config *client;
    struct flow_tls_config *server;
#endif
} storm;

static bool
use_names(unsigned who)
{
    struct flow_listener *l = NULL;
    struct flow *a = NULL;
    struct flow *b = NULL;
    char name[32];
    bool ok;

    snprintf(name, sizeof(name), "pair:storm-%u", who);
    ok = flow_endpoint_listen(NULL, name, NULL, &l, NULL) == FLOW_OK &&
         flow_endpoint_dial(NULL, name, NULL, &a, NULL) == FLOW_OK &&
         flow_open(a) == FLOW_OK && flow_accept(l, &b) == FLOW_OK &&
         converse(a, b);
    flow_close(a);
    flow_close(b);
    flow_listener_close(l);
    return ok;
}

static bool
use_pool(unsigned who)
{
    const struct flow_buf_policy *policy = flow_pool_policy(storm.pool);
    struct flow_buf buf;

    (void)who;
    if (policy->acquire(policy, 64, &buf) != FLOW_OK)
        return false;
    memset(buf.base, 0x5a, buf.len);
    policy->release(policy, &buf);
    return true;
}

#ifdef TEST_TLS
/* A signature with a key that all share, and every part of the engine. */
static bool
use_tls(unsigned who)
{
    struct flow *a = NULL;
    struct flow *b = NULL;
    bool ok;

    (void)who;
    if (flow_pair_new(NULL, 1 << 16, NULL, &a, &b) != FLOW_OK)
        return false;
    ok = flow_tls_wrap_client(storm.client, a, "server.example", 0, &a, NULL) ==
             FLOW_OK &&
         flow_tls_wrap_server(storm.server, b, 0, &b, NULL) == FLOW_OK &&
         converse(a, b);
    flow_close(a);
    flow_close(b);
    return ok;
}

static void
make_tls_configs(void)
{
    assert_status(flow_tls_config_new_client(NULL, &storm.client, NULL),
                  FLOW_OK);
    assert_status(
        flow_tls_config_add_trust_file(storm.client, pki("ca.pem"), NULL),
        FLOW_OK);
    assert_status(flow_tls_config_new_server(NULL, &storm.server, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_add_keypair_file(storm.server, pki("rsa.pem"),
                                                   pki("rsa.key"), NULL, NULL,
                                                   NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_freeze(storm.client, NULL), FLOW_OK);
    assert_status(flow_tls_config_freeze(storm.server, NULL), FLOW_OK);
}

#endif

static void *
storm_thread(void *arg)
{
    const unsigned *who = arg;
    bool ok = true;

    while (ok && !atomic_load(&storm.over))
        ok = storm.use(*who);
    return ok ? NULL : arg;
}

/* Fork in a storm of threads; each child makes a check of its own and does
 * once what the threads do. */
static void
fork_in_storm(bool (*use)(unsigned who), void (*check)(void), unsigned forks)
{
    pthread_t thread[STORM_THREADS];
    unsigned who[STORM_THREADS];
    void *failed;
    pid_t child;
    unsigned i;

    storm.use = use;
    atomic_store(&storm.over, false);
    for (i = 0; i < STORM_THREADS; i++) {
        who[i] = i;
        assert_int_equal(
            pthread_create(&thread[i], NULL, storm_thread, &who[i]), 0);
    }
    for (i = 0; i < forks; i++) {
        child = child_begin();
        if (child == 0) {
            if (check != NULL)
                check();
            CHILD_CHECK(use(STORM_THREADS));
            child_end();
        }
        child_join(child);
    }
    atomic_store(&storm.over, true);
    for (i = 0; i < STORM_THREADS; i++) {
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
}

/* A thread has one block at most; the others are there, each once. */
static void
check_pool_in_child(void)
{
    const struct flow_buf_policy *policy = flow_pool_policy(storm.pool);
    struct flow_buf buf[STORM_BLOCKS];
    size_t n = 0;
    size_t i;

    CHILD_CHECK(flow_pool_in_use(storm.pool) <= STORM_THREADS);
    while (n < STORM_BLOCKS &&
           policy->acquire(policy, 64, &buf[n]) == FLOW_OK) {
        for (i = 0; i < n; i++)
            CHILD_CHECK(buf[i].base != buf[n].base);
        n++;
    }
    CHILD_CHECK(n >= STORM_BLOCKS - STORM_THREADS);
    CHILD_CHECK(flow_pool_in_use(storm.pool) == STORM_BLOCKS);
    policy->release(policy, &buf[0]);
}

static void
pool_in_use_by_threads_is_usable_in_child(void **state)
{
    (void)state;
    assert_status(flow_pool_new(NULL, 64, STORM_BLOCKS, 64, &storm.pool),
                  FLOW_OK);
    fork_in_storm(use_pool, check_pool_in_child, 200);
    flow_pool_free(storm.pool);
}

static void
skip_without_memory(void)
{
#ifdef CHILD_HAS_NO_MEMORY
    skip();
#endif
}

static void
names_in_use_by_threads_are_usable_in_child(void **state)
{
    (void)state;
    skip_without_memory();
    fork_in_storm(use_names, NULL, 100);
}

#ifdef TEST_TLS
static void
tls_in_use_by_threads_is_usable_in_child(void **state)
{
    (void)state;
    skip_without_memory();
    make_tls_configs();
    fork_in_storm(use_tls, NULL, 40);
    flow_tls_config_unref(storm.client);
    flow_tls_config_unref(storm.server);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pool_in_use_by_threads_is_usable_in_child),
        TEST(names_in_use_by_threads_are_usable_in_child),
#ifdef TEST_TLS
        TEST(tls_in_use_by_threads_is_usable_in_child),
#endif
    };

    return TEST_RUN(tests);
}
