/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <flow/align.h>
#include <flow/endpoint.h>
#include <flow/pair.h>
#include <flow/poller.h>
#include <flow/tls.h>
#include <flow/util.h>

#include "backends.h"
#include "child.h"
#include "pki.h"
#include "step.h"

/*
 * What a process and its forked child may both use at the same time.
 */

/* Limit of steps in which two ends in one thread must be done. */
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

/* Pass one byte through, with as many calls as that needs. */
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

/* A poller and two connected ends, of which it watches b for reading. */
struct table {
    struct ends e;
    struct flow_poller *poller;
};

static uint64_t
soon(void)
{
    const struct flow_env *env = flow_env_default();

    return env->now(env->ctx) + STEP_LIMIT;
}

/* Set up so that the system has the poller's interest already. */
static bool
set_table(struct table *t, const struct flow_contract_backend *backend)
{
    const struct flow_poller_event *event;
    size_t n;

    ends_make_bare(&t->e, backend);
    return open_both(t->e.a, t->e.b) &&
           flow_poller_new(NULL, &t->poller) == FLOW_OK &&
           flow_poller_add(t->poller, t->e.b, FLOW_READY_READ, NULL) ==
               FLOW_OK &&
           flow_poller_wait(t->poller, 1, FLOW_NOW, &event, &n) ==
               FLOW_E_TIMEOUT;
}

static void
clear_table(struct table *t)
{
    flow_poller_free(t->poller);
    ends_close(&t->e);
}

#define TURNS 500

/* At end a: echo every byte. */
static void *
return_bytes(void *arg)
{
    const struct table *t = arg;
    unsigned turn;
    uint8_t byte;
    size_t n;

    for (turn = 0; turn < TURNS; turn++) {
        flow_set_deadline(t->e.a, FLOW_READ, soon());
        if (flow_read_wait(t->e.a, &byte, 1, &n) != FLOW_OK ||
            flow_write_all(t->e.a, &byte, 1, NULL) != FLOW_OK)
            return arg;
    }
    return NULL;
}

static bool
read_polled(const struct table *t, uint8_t expected)
{
    enum flow_status st = FLOW_AGAIN;
    const struct flow_poller_event *event;
    uint8_t byte;
    size_t n;

    while (st == FLOW_AGAIN) {
        if (flow_poller_wait(t->poller, 1, soon(), &event, &n) != FLOW_OK ||
            n != 1 || event->flow != t->e.b)
            return false;
        st = flow_read(t->e.b, &byte, 1, &n);
    }
    return st == FLOW_OK && byte == expected;
}

/* Bytes that another thread echoes, mostly while the poller sleeps. */
static bool
play(struct table *t)
{
    pthread_t thread;
    bool ok = true;
    void *failed;
    unsigned turn;
    uint8_t byte;

    if (pthread_create(&thread, NULL, return_bytes, t) != 0)
        return false;
    for (turn = 0; turn < TURNS && ok; turn++) {
        byte = (uint8_t)turn;
        ok = flow_write_all(t->e.b, &byte, 1, NULL) == FLOW_OK &&
             read_polled(t, byte);
    }
    pthread_join(thread, &failed);
    return ok && failed == NULL;
}

static bool
play_in_child(struct table *t)
{
#ifdef CHILD_HAS_NO_THREADS
    return pass_byte(t->e.a, t->e.b, 1);
#else
    return play(t);
#endif
}

/* Whether a child may make flows of its own beside those of its parent.  lwIP's
 * stack belongs to the process that started it. */
static bool
works_in_child(const struct flow_contract_backend *backend)
{
    return strcmp(backend->name, "lwip") != 0;
}

static void
parent_and_child_pollers_both_work(void **state)
{
    const struct flow_contract_backend *backend;
    struct table ours = { .poller = NULL };
    struct table theirs = { .poller = NULL };
    size_t count;
    pid_t child;
    size_t i;

    (void)state;
    backend = backends(&count);
    for (i = 0; i < count; i++) {
        guard_case(backend[i].name);
        assert_true(set_table(&ours, &backend[i]));
        child = child_begin();
        if (child == 0) {
            clear_table(&ours);
            if (works_in_child(&backend[i])) {
                CHILD_CHECK(set_table(&theirs, &backend[i]));
                CHILD_CHECK(play_in_child(&theirs));
                clear_table(&theirs);
            }
            child_end();
        }
        assert_true(play(&ours));
        child_join(child);
        assert_true(play(&ours));
        clear_table(&ours);
    }
    guard_case(NULL);
}

/* The child is done before the parent's poller sleeps for the first time. */
static void
poller_freed_in_the_child_works_in_the_parent(void **state)
{
    const struct flow_contract_backend *backend;
    struct table ours = { .poller = NULL };
    size_t count;
    pid_t child;
    size_t i;

    (void)state;
    backend = backends(&count);
    for (i = 0; i < count; i++) {
        guard_case(backend[i].name);
        assert_true(set_table(&ours, &backend[i]));
        child = child_begin();
        if (child == 0) {
            clear_table(&ours);
            child_end();
        }
        child_join(child);
        assert_true(play(&ours));
        clear_table(&ours);
    }
    guard_case(NULL);
}

#define STORM_THREADS 4
#define STORM_FORKS   60
#define STORM_BLOCKS  16

/* The operations that the threads of a storm repeat, and what they share. */
static struct {
    bool (*use)(unsigned who);
    atomic_bool over;
    struct flow_pool *pool;
#ifdef TEST_TLS
    struct flow_tls_config *client;
    struct flow_tls_config *server;
    struct flow *tls;
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
    return flow_pool_in_use(storm.pool) <= STORM_BLOCKS;
}

#ifdef TEST_TLS
/* A signature with a shared key, and every part of the TLS engine. */
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

/* Fork while the threads run.  Each child makes a check of its own and then
 * runs each thread's operation once. */
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

/* At most one block is in use by a thread; each of the others is there once. */
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
pool_in_use_by_threads_works_in_the_child(void **state)
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
pair_names_in_use_by_threads_work_in_the_child(void **state)
{
    (void)state;
    skip_without_memory();
    fork_in_storm(use_names, NULL, 100);
}

#ifdef TEST_TLS
static void
tls_in_use_by_threads_works_in_the_child(void **state)
{
    (void)state;
    skip_without_memory();
    make_tls_configs();
    fork_in_storm(use_tls, NULL, 40);
    flow_tls_config_unref(storm.client);
    flow_tls_config_unref(storm.server);
}
#endif

#ifdef TEST_TLS
static void
tls_pair(struct ends *e)
{
    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &e->a, &e->b),
                  FLOW_OK);
    layer_tls13(e);
}

/* The error record of the last refused call, in each direction. */
static void
check_refused_in_child(enum flow_status st, struct flow *f, enum flow_dir dir)
{
    struct flow_error err;

    CHILD_CHECK(st == FLOW_E_INVAL);
    flow_get_error(f, dir, &err);
    CHILD_CHECK(err.status == FLOW_E_INVAL && err.hint != NULL);
    CHILD_CHECK(strcmp(err.text, "a TLS connection is used by one process "
                                 "alone, and another began it") == 0);
}

/* Facts of the handshake are readable, and nothing is changed. */
static void
try_facts_in_child(struct flow *f)
{
    struct flow_tls_info info;
    struct flow *lower;

    CHILD_CHECK(flow_tls_get_info(f, &info) == FLOW_OK);
    CHILD_CHECK(info.version == FLOW_TLS_1_3);
    CHILD_CHECK(flow_control(f, FLOW_CONTROL_REKEY, 0) == FLOW_E_INVAL);
    CHILD_CHECK(flow_detach(f, &lower) == FLOW_E_INVAL);
}

static bool
ask_facts(unsigned who)
{
    struct flow_tls_info info;

    (void)who;
    return flow_tls_get_info(storm.tls, &info) == FLOW_OK;
}

/* The threads hold the locks of the connection nearly all the time. */
static void
queries_of_the_handshake_work_in_the_child(void **state)
{
    struct ends e = { 0 };

    (void)state;
    skip_without_memory();
    tls_pair(&e);
    step_open(&e);
    storm.tls = e.a;
    fork_in_storm(ask_facts, NULL, 40);
    ends_close(&e);
}

/* Every call that could use a key, or send bytes that were sealed with one. */
static void
try_all_in_child(struct flow *f)
{
    struct flow_vec span[2];
    uint8_t byte;
    size_t n;

    CHILD_CHECK(step_ready(f, FLOW_READY_READ) == FLOW_READY_READ);
    CHILD_CHECK(step_ready(f, FLOW_READY_FLUSH) == FLOW_READY_FLUSH);
    check_refused_in_child(flow_read(f, &byte, 1, &n), f, FLOW_READ);
    check_refused_in_child(flow_write(f, "x", 1, &n), f, FLOW_WRITE);
    check_refused_in_child(flow_flush(f), f, FLOW_WRITE);
    check_refused_in_child(flow_lease(f, FLOW_READ, 1, span), f, FLOW_READ);
    check_refused_in_child(flow_lease(f, FLOW_WRITE, 1, span), f, FLOW_WRITE);
    check_refused_in_child(flow_shutdown(f, FLOW_READ), f, FLOW_READ);
    check_refused_in_child(flow_shutdown(f, FLOW_WRITE), f, FLOW_WRITE);
}

static void
tls_connection_is_refused_in_the_child(void **state)
{
    struct ends e = { 0 };
    pid_t child;

    (void)state;
    tls_pair(&e);
    step_open(&e);
    step_pass(&e, e.a, 1000, 1);
    child = child_begin();
    if (child == 0) {
        try_all_in_child(e.a);
        try_facts_in_child(e.a);
        flow_close(e.a);
        try_all_in_child(e.b);
        try_facts_in_child(e.b);
        flow_close(e.b);
        child_end();
    }
    child_join(child);
    step_pass(&e, e.a, 1000, 2);
    step_pass(&e, e.b, 1000, 3);
    ends_close(&e);
}

static void
handshake_is_refused_in_the_child(void **state)
{
    struct ends e = { 0 };
    struct flow_error err;
    struct flow_tls_info info;
    pid_t child;

    (void)state;
    tls_pair(&e);
    assert_status(flow_open(e.a), FLOW_AGAIN);
    child = child_begin();
    if (child == 0) {
        CHILD_CHECK(flow_open(e.a) == FLOW_E_INVAL);
        flow_get_error(e.a, FLOW_READ, &err);
        CHILD_CHECK(err.status == FLOW_E_INVAL && err.hint != NULL);
        CHILD_CHECK(flow_tls_get_info(e.a, &info) == FLOW_E_INVAL);
        flow_close(e.a);
        flow_close(e.b);
        child_end();
    }
    child_join(child);
    step_open(&e);
    step_pass(&e, e.a, 1000, 1);
    ends_close(&e);
}

/* The parent makes the flows and begins no handshake. */
static void
child_may_begin_a_handshake_of_the_parent(void **state)
{
    struct ends e = { 0 };
    pid_t child;

    (void)state;
    tls_pair(&e);
    child = child_begin();
    if (child == 0) {
        CHILD_CHECK(converse(e.a, e.b));
        CHILD_CHECK(converse(e.b, e.a));
        flow_close(e.a);
        flow_close(e.b);
        child_end();
    }
    child_join(child);
    ends_close(&e);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parent_and_child_pollers_both_work),
        TEST(poller_freed_in_the_child_works_in_the_parent),
        TEST(pool_in_use_by_threads_works_in_the_child),
        TEST(pair_names_in_use_by_threads_work_in_the_child),
#ifdef TEST_TLS
        TEST(tls_in_use_by_threads_works_in_the_child),
        TEST(tls_connection_is_refused_in_the_child),
        TEST(queries_of_the_handshake_work_in_the_child),
        TEST(handshake_is_refused_in_the_child),
        TEST(child_may_begin_a_handshake_of_the_parent),
#endif
    };

    return TEST_RUN(tests);
}
