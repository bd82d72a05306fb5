/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/util.h>

#include "pki.h"
#include "step.h"
#include "tap.h"

/*
 * TLS connections after their handshake: memory and records of an idle one, an
 * alert while the wire is full, a reader during a long write.
 */

#define SECOND UINT64_C(1000000000)

static const uint32_t versions[] = { FLOW_TLS_1_2, FLOW_TLS_1_3 };

static void
open_over(struct ends *e, size_t capacity, uint32_t version)
{
    *e = (struct ends){ 0 };
    assert_status(flow_pair_new(TEST_ENV, capacity, NULL, &e->a, &e->b),
                  FLOW_OK);
    if (version == FLOW_TLS_1_2)
        layer_tls12(e);
    else
        layer_tls13(e);
    step_open(e);
}

static struct flow *
lower_of(struct flow *f)
{
    struct flow *lower;
    size_t len = sizeof(lower);

    assert_status(flow_query(f, FLOW_QUERY_LOWER, &lower, &len), FLOW_OK);
    return lower;
}

static struct flow_tls_config *
limited(struct flow_tls_config *c, uint64_t records)
{
    assert_status(flow_tls_config_set_key_limit(c, records), FLOW_OK);
    return c;
}

/* Drive both ends as a poller does, without any data. */
static void
idle_turns(struct ends *e, int count)
{
    size_t n;

    while (count-- > 0) {
        assert_status(flow_read(e->a, NULL, 100, &n), FLOW_AGAIN);
        assert_status(flow_flush(e->a), FLOW_OK);
        assert_status(flow_read(e->b, NULL, 100, &n), FLOW_AGAIN);
        assert_status(flow_flush(e->b), FLOW_OK);
    }
}

static uint64_t
updates_of(struct flow *f)
{
    struct flow_tls_info info;

    assert_status(flow_tls_get_info(f, &info), FLOW_OK);
    return info.key_updates_sent;
}

/* However low the limit: keys are updated for data, not in answer to each
 * other. */
static void
idle_connections_update_no_keys(void **state)
{
    struct flow_tls_config *client, *server;
    struct ends e;

    (void)state;
    for (uint64_t limit = 1; limit <= 3; limit++) {
        e = (struct ends){ 0 };
        assert_status(flow_tls_config_new_client(TEST_ENV, &client, NULL),
                      FLOW_OK);
        assert_status(flow_tls_config_new_server(TEST_ENV, &server, NULL),
                      FLOW_OK);
        assert_status(
            flow_tls_config_add_trust_file(client, pki("ca.pem"), NULL),
            FLOW_OK);
        assert_status(flow_tls_config_add_keypair_file(server, pki("p256.pem"),
                                                       pki("p256.key"), NULL,
                                                       NULL, NULL),
                      FLOW_OK);
        assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e.a, &e.b),
                      FLOW_OK);
        assert_status(flow_tls_wrap_client(limited(client, limit), e.a,
                                           "server.example", 0, &e.a, NULL),
                      FLOW_OK);
        assert_status(
            flow_tls_wrap_server(limited(server, limit), e.b, 0, &e.b, NULL),
            FLOW_OK);
        step_open(&e);
        idle_turns(&e, 200);
        assert_int_equal(updates_of(e.a), 0);
        assert_int_equal(updates_of(e.b), 0);
        step_pass(&e, e.a, 100000, limit);
        step_pass(&e, e.b, 100000, limit);
        assert_true(updates_of(e.a) > 0);
        /* A few turns complete what the data made due. */
        idle_turns(&e, 10);
        for (int i = 0; i < 2; i++) {
            struct flow *f = i == 0 ? e.a : e.b;
            uint64_t updates = updates_of(f);

            idle_turns(&e, 100);
            assert_int_equal(updates_of(f), updates);
        }
        ends_close(&e);
        flow_tls_config_unref(client);
        flow_tls_config_unref(server);
    }
}

/* After much reading, half a header holds no memory for read-ahead. */
static void
half_a_header_holds_no_buffer(void **state)
{
    static const uint8_t part[4] = { 23, 3, 3, 0x41 };
    static uint8_t bytes[200000];
    size_t idle, now, len = sizeof(idle), n, i;
    struct ends e;

    (void)state;
    open_over(&e, 1 << 20, FLOW_TLS_1_3);
    assert_status(flow_query(e.b, FLOW_QUERY_FOOTPRINT, &idle, &len), FLOW_OK);
    for (i = 0; i < 20; i++) {
        assert_status(flow_write(e.a, bytes, sizeof(bytes), &n), FLOW_OK);
        while (flow_read(e.b, bytes, sizeof(bytes), &n) == FLOW_OK)
            continue;
    }
    assert_status(flow_write(lower_of(e.a), part, sizeof(part), &n), FLOW_OK);
    assert_status(flow_read(e.b, bytes, 7, &n), FLOW_AGAIN);
    assert_status(flow_query(e.b, FLOW_QUERY_FOOTPRINT, &now, &len), FLOW_OK);
    assert_in_range(now, 0, idle + 4096);
    ends_close(&e);
}

/* Fill the wire from a to b, and send a a record that no key sealed. */
static void
break_reading(struct ends *e)
{
    static const uint8_t bad[5 + 40] = { 23, 3, 3, 0, 40 };
    uint8_t bytes[4096] = { 0 };
    struct flow_error err;
    size_t n;

    while (flow_write(e->a, bytes, sizeof(bytes), &n) == FLOW_OK)
        continue;
    assert_status(flow_write(lower_of(e->b), bad, sizeof(bad), &n), FLOW_OK);
    assert_status(flow_read(e->a, bytes, sizeof(bytes), &n), FLOW_E_PROTO);
    flow_get_error(e->a, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 20);
}

static void
expect_alert(struct flow *f)
{
    struct flow_error err;

    flow_get_error(f, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_E_PROTO);
    assert_int_equal(err.alert_received, 20);
}

static void
flush_sends_a_pending_alert(void **state)
{
    struct flow_wait_set set;
    struct ends e;
    size_t n;

    (void)state;
    for (int v = 0; v < 2; v++) {
        open_over(&e, 8192, versions[v]);
        break_reading(&e);
        assert_status(flow_flush(e.a), FLOW_AGAIN);
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(e.a, FLOW_READY_FLUSH, &set), 0);
        assert_true(set.count > 0);
        assert_status(flow_read(e.b, NULL, 100000, &n), FLOW_OK);
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(e.a, FLOW_READY_FLUSH, &set),
                         FLOW_READY_FLUSH);
        while (flow_flush(e.a) == FLOW_AGAIN)
            assert_status(flow_read(e.b, NULL, 100000, &n), FLOW_OK);
        assert_status(flow_flush(e.a), FLOW_E_PROTO);
        assert_status(step_end(&e, e.b, &n), FLOW_E_PROTO);
        expect_alert(e.b);
        ends_close(&e);
    }
}

/* No thread waits for room, but room that became free meanwhile is used. */
static void
close_sends_a_pending_alert(void **state)
{
    struct ends e;
    size_t n;

    (void)state;
    for (int v = 0; v < 2; v++) {
        open_over(&e, 8192, versions[v]);
        break_reading(&e);
        while (flow_read(e.b, NULL, 100000, &n) == FLOW_OK)
            continue;
        flow_close(e.a);
        e.a = NULL;
        assert_status(step_end(&e, e.b, &n), FLOW_E_PROTO);
        expect_alert(e.b);
        ends_close(&e);
    }
}

static void *
read_to_the_end(void *arg)
{
    struct flow *f = arg;
    enum flow_status st;
    size_t n;

    do
        st = flow_read_wait(f, NULL, 100000, &n);
    while (st == FLOW_OK);
    return NULL;
}

static void
finish_sends_a_pending_alert(void **state)
{
    struct flow_finish_result result;
    pthread_t reader;
    struct ends e;

    (void)state;
    for (int v = 0; v < 2; v++) {
        open_over(&e, 8192, versions[v]);
        break_reading(&e);
        assert_int_equal(pthread_create(&reader, NULL, read_to_the_end, e.b),
                         0);
        assert_status(flow_finish(e.a,
                                  TEST_ENV->now(TEST_ENV->ctx) + 20 * SECOND, 0,
                                  &result),
                      FLOW_E_PROTO);
        e.a = NULL;
        assert_int_equal(pthread_join(reader, NULL), 0);
        expect_alert(e.b);
        ends_close(&e);
    }
}

/* A flow below TLS whose write blocks until the test releases it. */
struct slow {
    struct flow base;
    sem_t entered;
    sem_t leave;
    bool holds; /* set before the writer starts */
};

static enum flow_status
slow_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    return flow_readv(f->lower, vec, count, ret_len);
}

static enum flow_status
slow_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    struct slow *s = (struct slow *)(void *)f;

    if (s->holds) {
        sem_post(&s->entered);
        sem_wait(&s->leave);
    }
    return flow_writev(f->lower, vec, count, flags, ret_len);
}

static uint32_t
slow_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    return flow_wait_sources(f->lower, interest, set);
}

static void
slow_close(struct flow *f)
{
    struct slow *s = (struct slow *)(void *)f;

    sem_destroy(&s->entered);
    sem_destroy(&s->leave);
    flow_base_fini(f);
    free(s);
}

static const struct flow_ops slow_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "slow",
    .readv = slow_readv,
    .writev = slow_writev,
    .wait = slow_wait,
    .close = slow_close,
};

static void *
write_one(void *arg)
{
    size_t n;

    return flow_write(arg, "x", 1, &n) == FLOW_OK ? arg : NULL;
}

/* A write holds its lock as long as the lower flow's write takes; a reader with
 * data available does not wait for that lock. */
static void
long_write_does_not_block_the_reader(void **state)
{
    struct slow *s = calloc(1, sizeof(*s));
    struct ends e = { 0 };
    uint32_t ready;
    pthread_t writer;
    void *wrote;
    char got;
    size_t n;

    (void)state;
    assert_non_null(s);
    assert_status(flow_pair_new(TEST_ENV, 65536, NULL, &e.a, &e.b), FLOW_OK);
    assert_int_equal(sem_init(&s->entered, 0, 0), 0);
    assert_int_equal(sem_init(&s->leave, 0, 0), 0);
    assert_int_equal(
        flow_base_wrap(&s->base, &slow_ops, e.a, true, FLOW_CAP_DUPLEX),
        FLOW_OK);
    e.a = &s->base;
    layer_tls13(&e);
    step_open(&e);
    step_put(&e, e.b, "y", 1);
    s->holds = true;
    assert_int_equal(pthread_create(&writer, NULL, write_one, e.a), 0);
    sem_wait(&s->entered);
    assert_status(flow_wait(e.a, FLOW_READY_READ, &ready), FLOW_OK);
    assert_int_equal(ready, FLOW_READY_READ);
    assert_status(flow_read(e.a, &got, 1, &n), FLOW_OK);
    assert_int_equal(got, 'y');
    sem_post(&s->leave);
    assert_int_equal(pthread_join(writer, &wrote), 0);
    assert_non_null(wrote);
    s->holds = false;
    step_get(&e, e.b, &got, 1);
    assert_int_equal(got, 'x');
    ends_close(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(idle_connections_update_no_keys),
        TEST(half_a_header_holds_no_buffer),
        TEST(flush_sends_a_pending_alert),
        TEST(finish_sends_a_pending_alert),
        TEST(close_sends_a_pending_alert),
        TEST(long_write_does_not_block_the_reader),
    };

    return TEST_RUN(tests);
}
