/* SPDX-License-Identifier: ISC */
/* Listeners and their clients on the fake hypervisor. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/poller.h>
#include <flow/util.h>
#include <flow/vchan.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"
#include "descriptors.h"
#include "place.h"

#define MSEC UINT64_C(1000000)

static uint64_t
soon(void)
{
    const struct flow_env *env = flow_env_default();

    return env->now(env->ctx) + 100 * MSEC;
}

static void
each_client_has_pages_of_its_own(void **state)
{
    struct flow *f[3][2];
    struct flow_listener *l;
    struct flow *none;
    struct place p;
    char text[8];

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_accept(l, &none), FLOW_AGAIN);
    for (unsigned i = 0; i < 3; i++)
        connect_pair(&p, l, NULL, f[i]);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "to %u", i);
        pass(f[i][0], f[i][1], text);
        pass(f[2 - i][1], f[2 - i][0], text);
    }
    /* Flows outlive their listener. */
    flow_listener_close(l);
    pass(f[1][0], f[1][1], "still here");
    for (unsigned i = 0; i < 3; i++)
        close_pair(f[i]);
    place_check_and_remove(&p);
}

/* A domain that ends between bind and attach sends nothing. */
static void
a_client_that_dies_before_it_attached_is_a_timeout(void **state)
{
    struct vchan_channel *channel;
    struct flow_listener *l;
    struct vchan_hyp *server;
    struct vchan_hyp *client;
    struct flow_error err;
    struct flow *f;
    struct place p;
    uint32_t port = 0;
    uint32_t ref = 0;

    (void)state;
    place_make(&p);
    assert_int_equal(flow__vchan_fake_open(flow_env_default(), p.dir, 1,
                                           VCHAN_FAKE_MAKE | VCHAN_FAKE_SILENT,
                                           &server, NULL),
                     FLOW_OK);
    assert_int_equal(
        flow__vchan_fake_open(flow_env_default(), p.dir, 2, 0, &client, NULL),
        FLOW_OK);
    assert_int_equal(flow__vchan_listen_on(server, 2, "flow", NULL, &l, NULL),
                     FLOW_OK);
    client->store->lookup(client, 1, "/local/domain/1/data/vchan/2/flow", &ref,
                          &port, NULL);
    assert_int_equal(client->events->bind(client, 1, port, &channel, NULL),
                     FLOW_OK);
    flow__vchan_fake_kill(client);
    flow_listener_set_deadline(l, soon());
    assert_int_equal(flow_accept_wait(l, &f), FLOW_E_TIMEOUT);
    flow_listener_get_error(l, &err);
    assert_int_equal(err.status, FLOW_E_TIMEOUT);
    client->events->close(channel);
    flow__vchan_hyp_unref(client);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* Its live byte goes from NEVER to GONE without a look in between; its bytes
 * stay. */
static void
a_client_may_be_gone_before_it_is_accepted(void **state)
{
    struct flow_listener *l;
    struct flow *client;
    struct flow *f;
    struct place p;
    char buf[8];
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    client = dial(&p, NULL);
    assert_int_equal(flow_open(client), FLOW_OK);
    assert_int_equal(flow_write(client, "hello", 5, &n), FLOW_OK);
    flow_close(client);
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    assert_int_equal(flow_write(f, "x", 1, &n), FLOW_E_CLOSED);
    assert_int_equal(flow_read(f, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(flow_read(f, buf, sizeof(buf), &n), FLOW_EOF);
    flow_close(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void *
late_server(void *arg)
{
    const struct place *p = arg;
    struct flow_listener *l = listen_on(p, NULL);
    struct flow *f;
    size_t n;

    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    assert_int_equal(flow_write_all(f, "welcome", 7, &n), FLOW_OK);
    flow_close(f);
    flow_listener_close(l);
    return NULL;
}

static void
a_client_may_come_before_its_server(void **state)
{
    struct flow *f;
    struct place p;
    pthread_t thread;
    char buf[8];
    size_t n;

    (void)state;
    place_make(&p);
    f = dial(&p, NULL);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    assert_int_equal(flow_read(f, buf, 1, &n), FLOW_AGAIN);
    assert_int_equal(pthread_create(&thread, NULL, late_server, &p), 0);
    assert_int_equal(flow_read_exact(f, buf, 7, &n), FLOW_OK);
    assert_memory_equal(buf, "welcome", 7);
    pthread_join(thread, NULL);
    flow_close(f);
    place_check_and_remove(&p);
}

static void
expect_timeout(struct flow *f, const char *text)
{
    struct flow_error err;
    enum flow_status st;
    uint32_t ready;

    while ((st = flow_open(f)) == FLOW_AGAIN)
        assert_int_equal(flow_wait(f, FLOW_READY_OPEN, &ready), FLOW_OK);
    assert_int_equal(st, FLOW_E_TIMEOUT);
    flow_get_error(f, FLOW_READ, &err);
    assert_string_equal(err.text, text);
    assert_non_null(err.hint);
    assert_string_equal(err.detail, "/local/domain/1/data/vchan/2/flow");
    flow_close(f);
}

static void
a_client_without_a_server_times_out_and_says_why(void **state)
{
    const struct flow_vchan_options opt = { .timeout = 50 * MSEC };
    struct flow_listener *l;
    struct flow *f;
    struct place p;

    (void)state;
    place_make(&p);
    expect_timeout(dial(&p, &opt), "no server published its keys in the store");
    /* As good as for ever. */
    f = dial(&p, &(struct flow_vchan_options){ .timeout = UINT64_MAX });
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    flow_close(f);
    l = listen_on(&p, NULL);
    f = dial(&p, NULL);
    assert_int_equal(flow_open(f), FLOW_OK);
    /* Without an accept there is no new offer. */
    expect_timeout(dial(&p, &opt), "the server's keys are in the store, but "
                                   "its vchan is closed or in use");
    flow_listener_close(l);
    flow_close(f);
    place_check_and_remove(&p);
}

static void
misuse_is_refused_by_name(void **state)
{
    struct flow_vchan_options opt = { .read_size = (1 << 20) + 1 };
    struct flow_listener *l;
    struct flow_error err;
    struct vchan_hyp *hyp;
    struct flow *f;
    struct place p;
    char longer[200];

    (void)state;
    place_make(&p);
    assert_int_equal(flow_vchan_fake_listen(NULL, p.dir, &opt, &l, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "a ring is larger than 1 MiB");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(flow_vchan_fake_listen(NULL, longer, NULL, &l, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow_vchan_fake_connect(NULL, longer, NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow_vchan_fake_connect(NULL, "", NULL, &f, &err),
                     FLOW_E_INVAL);

    assert_int_equal(flow__vchan_fake_open(flow_env_default(), p.dir, 5,
                                           VCHAN_FAKE_MAKE, &hyp, NULL),
                     FLOW_OK);
    /* Our own domain, reserved ones, paths of other domains. */
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(hyp), 5, "x",
                                            NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the peer is our own domain");
    assert_int_equal(
        flow__vchan_listen_on(flow__vchan_hyp_ref(hyp), 5, "x", NULL, &l, &err),
        FLOW_E_INVAL);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(hyp), 0x7ff0,
                                            "x", NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(hyp), 6,
                                            "/local/domain/7/data/x", NULL, &f,
                                            &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.detail, "/local/domain/7/data/x");
    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(hyp), 6,
                                           "/local/domain/6/data/x", NULL, &l,
                                           &err),
                     FLOW_E_INVAL);
    opt = (struct flow_vchan_options){ .insecure_same_domain = true };
    assert_int_equal(
        flow__vchan_listen_on(flow__vchan_hyp_ref(hyp), 5, "x", &opt, &l, &err),
        FLOW_OK);
    flow_listener_close(l);
    flow__vchan_hyp_unref(hyp);
    place_check_and_remove(&p);
}

static void
two_listeners_cannot_have_one_directory(void **state)
{
    struct flow_listener *l;
    struct flow_listener *second;
    struct flow_error err;
    struct flow *f[2];
    struct place p;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_vchan_fake_listen(NULL, p.dir, NULL, &second, &err),
                     FLOW_E_SYS);
    assert_int_equal(err.code, EADDRINUSE);
    connect_pair(&p, l, NULL, f);
    pass(f[0], f[1], "unharmed");
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* A client by hand: binds, then attaches, then leaves, while its server
 * sleeps in between.  Too short a pause makes the test weaker, not wrong. */
static void *
slow_client(void *arg)
{
    const struct place *p = arg;
    const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_channel *channel;
    struct vchan_region *page;
    struct vchan_hyp *hyp;
    uint32_t port = 0;
    uint32_t ref = 0;

    flow__vchan_fake_open(flow_env_default(), p->dir, 2, 0, &hyp, NULL);
    hyp->store->lookup(hyp, 1, "/local/domain/1/data/vchan/2/flow", &ref, &port,
                       NULL);
    hyp->events->bind(hyp, 1, port, &channel, NULL);
    poll(NULL, 0, 30);
    hyp->grants->map(hyp, 1, &ref, 1, true, none, &page, NULL);
    page->base[20] = VCHAN_LIVE_HERE;
    hyp->events->notify(channel);
    poll(NULL, 0, 30);
    page->base[20] = VCHAN_LIVE_GONE;
    hyp->events->notify(channel);
    hyp->grants->unmap(hyp, page);
    hyp->events->close(channel);
    flow__vchan_hyp_unref(hyp);
    return NULL;
}

/*
 * A client that has bound and not attached yet has sent an event without
 * effect.  Later events must reach a poller too, which has the channel's
 * descriptor registered.
 */
static void
a_poller_sees_a_client_that_takes_its_time(void **state)
{
    const struct flow_poller_event *event;
    struct flow_listener *l;
    struct flow_poller *poller;
    pthread_t thread;
    struct flow *f;
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_poller_new(flow_env_default(), &poller), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, l, NULL), FLOW_OK);
    assert_int_equal(pthread_create(&thread, NULL, slow_client, &p), 0);
    assert_int_equal(
        flow_poller_wait(poller, 1, soon() + 5000 * MSEC, &event, &n), FLOW_OK);
    assert_ptr_equal(event->listener, l);
    assert_int_equal(flow_accept(l, &f), FLOW_OK);
    assert_int_equal(flow_poller_add(poller, f, FLOW_READY_READ, NULL),
                     FLOW_OK);
    assert_int_equal(
        flow_poller_wait(poller, 1, soon() + 5000 * MSEC, &event, &n), FLOW_OK);
    assert_ptr_equal(event->flow, f);
    pthread_join(thread, NULL);
    flow_poller_free(poller);
    flow_close(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* Three clients, one after the other, each with its flow in the poller that
 * has the listener. */
static void
a_poller_has_a_listener_and_its_flows(void **state)
{
    const struct flow_env *env = flow_env_default();
    const struct flow_poller_event *event;
    struct flow_listener *l;
    struct flow_poller *poller;
    struct flow *f[3][2];
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_poller_new(env, &poller), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, l, NULL), FLOW_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(flow_poller_wait(poller, 1, soon(), &event, &n),
                         FLOW_E_TIMEOUT);
        f[i][1] = dial(&p, NULL);
        assert_int_equal(flow_open(f[i][1]), FLOW_OK);
        assert_int_equal(
            flow_poller_wait(poller, 1, soon() + 5000 * MSEC, &event, &n),
            FLOW_OK);
        assert_ptr_equal(event->listener, l);
        assert_int_equal(flow_accept(l, &f[i][0]), FLOW_OK);
        assert_int_equal(
            flow_poller_add(poller, f[i][0], FLOW_READY_READ, NULL), FLOW_OK);
        assert_int_equal(flow_poller_wait(poller, 1, soon(), &event, &n),
                         FLOW_E_TIMEOUT);
        assert_int_equal(flow_write(f[i][1], "x", 1, &n), FLOW_OK);
        assert_int_equal(
            flow_poller_wait(poller, 1, soon() + 5000 * MSEC, &event, &n),
            FLOW_OK);
        assert_ptr_equal(event->flow, f[i][0]);
        flow_poller_set(poller, f[i][0], 0);
    }
    flow_poller_free(poller);
    for (unsigned i = 0; i < 3; i++)
        close_pair(f[i]);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/*
 * One client after the other, on sets that were in the poller before: their
 * channels stay open when the flow is closed, and serve the listener and the
 * next flow in turn.
 */
static void
a_poller_sees_the_next_client_of_the_same_pages(void **state)
{
    const struct flow_env *env = flow_env_default();
    const struct flow_poller_event *event;
    struct flow_listener *l;
    struct flow_poller *poller;
    struct flow *f[2];
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_poller_new(env, &poller), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, l, NULL), FLOW_OK);
    for (unsigned i = 0; i < 12; i++) {
        f[1] = dial(&p, NULL);
        for (uint32_t ready; flow_open(f[1]) == FLOW_AGAIN;)
            assert_int_equal(flow_wait(f[1], FLOW_READY_OPEN, &ready), FLOW_OK);
        assert_int_equal(
            flow_poller_wait(poller, 1, soon() + 5000 * MSEC, &event, &n),
            FLOW_OK);
        assert_ptr_equal(event->listener, l);
        assert_int_equal(flow_accept(l, &f[0]), FLOW_OK);
        assert_int_equal(flow_poller_add(poller, f[0], FLOW_READY_READ, NULL),
                         FLOW_OK);
        assert_int_equal(flow_write(f[1], "x", 1, &n), FLOW_OK);
        assert_int_equal(
            flow_poller_wait(poller, 1, soon() + 5000 * MSEC, &event, &n),
            FLOW_OK);
        assert_ptr_equal(event->flow, f[0]);
        /* Closed while it is in the poller, every other time. */
        if (i % 2 == 0)
            flow_poller_remove(poller, f[0]);
        close_pair(f);
    }
    flow_poller_free(poller);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    /* 513 pages each; the world has 16384. */
    const struct flow_vchan_options opt = { .read_size = 1 << 20,
                                            .write_size = 1 << 20 };
    struct flow *f[40][2];
    struct flow_listener *l;
    struct flow_error err;
    struct flow *none;
    struct place p;
    unsigned count = 0;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &opt);
    for (;;) {
        struct flow *client = dial(&p, NULL);

        if (flow_open(client) != FLOW_OK) {
            flow_close(client);
            break;
        }
        f[count][1] = client;
        assert_int_equal(flow_accept(l, &f[count][0]), FLOW_OK);
        count++;
        assert_true(count < 40);
    }
    assert_int_equal(count, 31);
    assert_int_equal(flow_accept(l, &none), FLOW_AGAIN); /* backs off */
    flow_listener_get_error(l, &err);
    assert_int_equal(err.status, FLOW_E_NOMEM);
    /* Room again: the listener offers again. */
    close_pair(f[--count]);
    for (struct flow *client = dial(&p, NULL);;) {
        uint32_t ready;

        if (flow_open(client) == FLOW_OK) {
            f[count][1] = client;
            break;
        }
        assert_int_not_equal(flow_accept(l, &none), FLOW_OK);
        assert_int_equal(flow_wait(client, FLOW_READY_OPEN, &ready), FLOW_OK);
    }
    assert_int_equal(flow_accept(l, &f[count][0]), FLOW_OK);
    for (unsigned i = 0; i <= count; i++)
        close_pair(f[i]);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
running_out_of_descriptors_is_named(void **state)
{
    struct vchan_channel *channel;
    struct flow_error err;
    struct vchan_hyp *hyp;
    struct rlimit old;
    struct place p;

    (void)state;
    place_make(&p);
    assert_int_equal(flow__vchan_fake_open(flow_env_default(), p.dir, 1,
                                           VCHAN_FAKE_MAKE, &hyp, NULL),
                     FLOW_OK);
    old = descriptors_forbid();
    assert_int_equal(hyp->events->alloc(hyp, 2, &channel, &err), FLOW_E_SYS);
    descriptors_restore(&old);
    assert_int_equal(err.code, EMFILE);
    /* Nothing remains of it. */
    assert_int_equal(hyp->events->alloc(hyp, 2, &channel, &err), FLOW_OK);
    assert_int_equal(hyp->events->port(channel), 1);
    hyp->events->close(channel);
    flow__vchan_hyp_unref(hyp);
    place_check_and_remove(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_has_pages_of_its_own),
        cmocka_unit_test(a_client_that_dies_before_it_attached_is_a_timeout),
        cmocka_unit_test(a_client_may_be_gone_before_it_is_accepted),
        cmocka_unit_test(a_client_may_come_before_its_server),
        cmocka_unit_test(a_client_without_a_server_times_out_and_says_why),
        cmocka_unit_test(misuse_is_refused_by_name),
        cmocka_unit_test(two_listeners_cannot_have_one_directory),
        cmocka_unit_test(a_poller_sees_a_client_that_takes_its_time),
        cmocka_unit_test(a_poller_has_a_listener_and_its_flows),
        cmocka_unit_test(a_poller_sees_the_next_client_of_the_same_pages),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_leak),
        cmocka_unit_test(running_out_of_descriptors_is_named),
    };

    return cmocka_run_group_tests_name("vchan: listeners", tests, NULL, NULL);
}
