/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/tls.h>

#include "step.h"

/*
 * Limits of a TLS listener: a full set of running handshakes makes it pause,
 * silent peers do not, and neither costs more memory than the peer sent.
 */

#define LIMIT 8u

static struct flow_listener *listener;

static void
begin(void)
{
    struct flow_endpoint_options opt = { 0 };

    opt.tls = stack_tls_server(0);
    opt.max_handshakes = LIMIT;
    assert_status(flow_endpoint_listen(TEST_ENV, "tls+pair:limiter", &opt,
                                       &listener, NULL),
                  FLOW_OK);
}

/* A client that connects and sends no TLS, or nothing at all. */
static struct flow *
stranger(const char *says)
{
    struct flow *f;
    size_t n;

    assert_status(flow_endpoint_dial(TEST_ENV, "pair:limiter", NULL, &f, NULL),
                  FLOW_OK);
    (void)!flow_open(f);
    if (says[0] != '\0')
        assert_status(flow_write(f, says, strlen(says), &n), FLOW_OK);
    return f;
}

static struct flow *
honest_client(void)
{
    struct flow_endpoint_options opt = { 0 };
    struct flow *f;

    opt.tls = stack_tls_client(0);
    opt.server_name = "server.example";
    assert_status(
        flow_endpoint_dial(TEST_ENV, "tls+pair:limiter", &opt, &f, NULL),
        FLOW_OK);
    assert_status(flow_open(f), FLOW_AGAIN);
    return f;
}

static struct flow *
accept_one(void)
{
    struct flow *f = NULL;

    assert_status(flow_accept(listener, &f), FLOW_OK);
    return f;
}

static bool
is_open(void)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    return flow_listener_wait_sources(listener, &set);
}

/* A client that speaks TLS is served now. */
static void
serves(void)
{
    struct ends e = { 0 };

    e.a = honest_client();
    assert_true(is_open());
    e.b = accept_one();
    step_pass(&e, e.a, 1000, 1);
    step_pass(&e, e.b, 1000, 2);
    ends_close(&e);
}

static void
close_all(struct ends *e, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ends_close(&e[i]);
}

static void
silent_peers_do_not_keep_others_out(void **state)
{
    struct ends e[LIMIT] = { 0 };

    (void)state;
    begin();
    for (size_t i = 0; i < LIMIT; i++) {
        e[i].a = stranger("");
        e[i].b = accept_one();
        assert_status(flow_open(e[i].b), FLOW_AGAIN);
    }
    serves();
    /* And no client was dropped for it. */
    for (size_t i = 0; i < LIMIT; i++)
        assert_status(flow_open(e[i].b), FLOW_AGAIN);
    close_all(e, LIMIT);
    serves();
    flow_listener_close(listener);
}

/* Flows that the program accepted but does not step are limited, too. */
static void
flows_that_are_not_stepped_count_against_the_limit(void **state)
{
    struct ends e[LIMIT] = { 0 };
    struct flow *more = NULL, *client;

    (void)state;
    begin();
    for (size_t i = 0; i < LIMIT; i++) {
        e[i].a = stranger("");
        e[i].b = accept_one();
    }
    client = stranger("");
    assert_false(is_open());
    assert_status(flow_accept(listener, &more), FLOW_AGAIN);
    /* Its first step finds no bytes. */
    assert_status(flow_open(e[0].b), FLOW_AGAIN);
    assert_true(is_open());
    more = accept_one();
    flow_close(more);
    flow_close(client);
    close_all(e, LIMIT);
    serves();
    flow_listener_close(listener);
}

/* One byte is enough for the handshake to count as running. */
static void
running_handshakes_pause_the_listener(void **state)
{
    struct ends e[LIMIT] = { 0 };
    struct flow *more = NULL, *client;
    size_t n;

    (void)state;
    begin();
    for (size_t i = 0; i < LIMIT; i++) {
        e[i].a = stranger(i % 2 == 0 ? "\x16" : "");
        e[i].b = accept_one();
        assert_status(flow_open(e[i].b), FLOW_AGAIN);
        if (i % 2 != 0)
            assert_status(flow_write(e[i].a, "\x16", 1, &n), FLOW_OK);
        assert_status(flow_open(e[i].b), FLOW_AGAIN);
    }
    client = stranger("");
    assert_false(is_open());
    assert_status(flow_accept(listener, &more), FLOW_AGAIN);
    /* A failed handshake frees its place before the flow is closed. */
    assert_status(flow_write(e[0].a, "hello", 5, &n), FLOW_OK);
    assert_status(flow_open(e[0].b), FLOW_E_PROTO);
    assert_true(is_open());
    more = accept_one();
    assert_status(flow_open(more), FLOW_AGAIN);
    flow_close(more);
    flow_close(client);
    close_all(e, LIMIT);
    serves();
    flow_listener_close(listener);
}

/* Silent peers are limited as well: the one that was silent longest is dropped,
 * and the thread that waits on it is woken. */
static void
longest_silent_peer_is_dropped(void **state)
{
    struct ends e[LIMIT + 2] = { 0 };
    struct flow_wait_set set;
    struct flow_error err;

    (void)state;
    begin();
    for (size_t i = 0; i < LIMIT + 2; i++) {
        e[i].a = i == 1 ? honest_client() : stranger("");
        e[i].b = accept_one();
        flow_wait_set_init(&set);
        if (i == 1)
            continue; /* accepted, not stepped */
        assert_status(flow_open(e[i].b), FLOW_AGAIN);
        assert_int_equal(flow_wait_sources(e[i].b, FLOW_READY_OPEN, &set), 0);
    }
    assert_int_equal(flow_wait_sources(e[0].b, FLOW_READY_OPEN, &set),
                     FLOW_READY_OPEN);
    assert_status(flow_open(e[0].b), FLOW_E_TIMEOUT);
    flow_get_error(e[0].b, FLOW_READ, &err);
    assert_non_null(strstr(err.text, "said nothing"));
    step_pass(&e[1], e[1].a, 100, 3);
    for (size_t i = 2; i < LIMIT + 2; i++)
        assert_status(flow_open(e[i].b), FLOW_AGAIN);
    serves();
    close_all(e, LIMIT + 2);
    flow_listener_close(listener);
}

/* A stream of peers that connect and send nothing until they are dropped: a
 * client that speaks TLS is served at once, and the number of silent flows is
 * limited. */
static void
stream_of_silent_peers_takes_no_place_of_a_handshake(void **state)
{
    enum { KEPT = 64, PEERS = 2000 };
    static struct ends e[KEPT];
    size_t live, most = 0;

    (void)state;
    begin();
    memset(e, 0, sizeof(e));
    for (unsigned i = 0; i < PEERS; i++) {
        live = 0;
        for (size_t k = 0; k < KEPT; k++) {
            if (e[k].b != NULL && flow_open(e[k].b) != FLOW_AGAIN)
                ends_close(&e[k]);
            live += e[k].b != NULL;
        }
        if (live > most)
            most = live;
        for (size_t k = 0; k < KEPT; k++) {
            if (e[k].b != NULL)
                continue;
            e[k].a = stranger("");
            assert_true(is_open());
            e[k].b = accept_one();
            break;
        }
        if (i % 200 == 0)
            serves();
    }
    /* The silent ones, and one that was dropped and reports it. */
    assert_int_equal(most, LIMIT + 1);
    close_all(e, KEPT);
    flow_listener_close(listener);
}

/* Flows of two threads: each thread steps and closes its own while accepting
 * makes the listener drop those of the other. */
static void *
step_and_close(void *arg)
{
    struct ends *e = arg;

    for (size_t round = 0; round < 200; round++)
        for (size_t i = 0; i < LIMIT; i++)
            (void)!flow_open(e[i].b);
    for (size_t i = 0; i < LIMIT; i++) {
        flow_close(e[i].b);
        e[i].b = NULL;
    }
    return NULL;
}

static void
accepting_may_drop_flows_of_another_thread(void **state)
{
    struct ends e[2 * LIMIT] = { 0 };
    pthread_t thread[2];

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        begin();
        for (size_t i = 0; i < 2 * LIMIT; i++) {
            e[i].a = stranger("");
            e[i].b = accept_one();
            /* The first half is silent when the second is accepted. */
            if (i < LIMIT)
                assert_status(flow_open(e[i].b), FLOW_AGAIN);
        }
        assert_false(is_open());
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(
                pthread_create(&thread[i], NULL, step_and_close, &e[i * LIMIT]),
                0);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_join(thread[i], NULL), 0);
        close_all(e, 2 * LIMIT);
        assert_false(is_open());
        serves();
        flow_listener_close(listener);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(silent_peers_do_not_keep_others_out),
        TEST(flows_that_are_not_stepped_count_against_the_limit),
        TEST(running_handshakes_pause_the_listener),
        TEST(longest_silent_peer_is_dropped),
        TEST(stream_of_silent_peers_takes_no_place_of_a_handshake),
        TEST(accepting_may_drop_flows_of_another_thread),
    };

    return TEST_RUN(tests);
}
