/* SPDX-License-Identifier: ISC */
/*
 * A port without descriptors: the fake hypervisor, whose events are flow_event
 * signals.  They must report everything that a channel's descriptor would
 * report.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <flow/poller.h>
#include <flow/util.h>
#include <flow/vchan.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"
#include "place.h"

#define SEC UINT64_C(1000000000)

#define PORTS 1024u

/*
 * One doorbell for all channels: a signal for another channel costs a
 * superfluous look.  For each port, the number of signals that the last drain
 * saw.
 */
static struct flow_event doorbell;
static uint32_t drained[PORTS];
static const struct vchan_event_ops *fake_events;

static void
bell_notify(struct vchan_channel *channel)
{
    fake_events->notify(channel);
    flow_event_signal(&doorbell);
}

static bool
bell_drain(struct vchan_channel *channel)
{
    __atomic_store_n(&drained[fake_events->port(channel)],
                     flow_event_sequence(&doorbell), __ATOMIC_RELEASE);
    return fake_events->drain(channel);
}

static void
bell_wait(const struct vchan_channel *channel, struct flow_wait_set *set)
{
    flow_wait_add_event(set, &doorbell,
                        __atomic_load_n(&drained[fake_events->port(channel)],
                                        __ATOMIC_ACQUIRE));
}

static void
bell_close(struct vchan_channel *channel)
{
    fake_events->close(channel);
    flow_event_signal(&doorbell);
}

/* Sleeps that ended at their deadline and not by a source. */
static unsigned by_clock;

static enum flow_status
counting_wait(void *ctx, struct flow_wait_set *set, uint64_t deadline)
{
    const struct flow_env *env = flow_env_default();
    enum flow_status st = env->wait(ctx, set, deadline);
    uint64_t end = flow_deadline_min(set->deadline, deadline);

    if (end > FLOW_NOW && env->now(env->ctx) >= end)
        __atomic_add_fetch(&by_clock, 1, __ATOMIC_RELAXED);
    return st;
}

struct port {
    struct place place;
    struct flow_env env;
    struct vchan_event_ops events;
    struct vchan_hyp *hyp[2]; /* the server's, the client's */
    struct flow_listener *listener;
};

static void
port_open(struct port *p, unsigned i, unsigned flags)
{
    assert_int_equal(flow__vchan_fake_open(&p->env, p->place.dir,
                                           (uint16_t)(1 + i), flags, &p->hyp[i],
                                           NULL),
                     FLOW_OK);
    fake_events = p->hyp[i]->events;
    p->hyp[i]->events = &p->events;
    p->hyp[i]->descriptors = false;
}

static void
port_start(struct port *p)
{
    place_make(&p->place);
    p->env = *flow_env_default();
    p->env.wait = counting_wait;
    by_clock = 0;
    flow_event_init(&doorbell);
    port_open(p, 0, VCHAN_FAKE_MAKE);
    port_open(p, 1, 0);
    p->events = *fake_events;
    p->events.notify = bell_notify;
    p->events.drain = bell_drain;
    p->events.wait = bell_wait;
    p->events.close = bell_close;
    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(p->hyp[0]), 2,
                                           "x", NULL, &p->listener, NULL),
                     FLOW_OK);
}

static struct flow *
port_dial(struct port *p)
{
    struct flow *f;

    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(p->hyp[1]), 1,
                                            "x", NULL, &f, NULL),
                     FLOW_OK);
    return f;
}

static void
port_stop(struct port *p)
{
    flow_listener_close(p->listener);
    flow__vchan_hyp_unref(p->hyp[1]);
    flow__vchan_hyp_unref(p->hyp[0]);
    flow_event_fini(&doorbell);
    place_check_and_remove(&p->place);
}

static void
there_are_no_descriptors(void **state)
{
    struct flow_wait_set set;
    struct flow *f[2];
    struct port p;
    size_t len = sizeof(int);
    int fd;

    (void)state;
    port_start(&p);
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(p.listener, &set));
    for (size_t i = 0; i < set.count; i++)
        assert_int_equal(set.source[i].kind, FLOW_WAIT_EVENT);
    f[1] = port_dial(&p);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    assert_int_equal(flow_accept(p.listener, &f[0]), FLOW_OK);
    for (unsigned i = 0; i < 2; i++) {
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(f[i], FLOW_READY_READ, &set), 0);
        assert_true(set.count > 0);
        for (size_t s = 0; s < set.count; s++)
            assert_int_equal(set.source[s].kind, FLOW_WAIT_EVENT);
        assert_int_equal(flow_query(f[i], FLOW_QUERY_FD, &fd, &len),
                         FLOW_E_NOTSUP);
        assert_int_equal(flow_caps(f[i]) & FLOW_CAP_FD, 0);
    }
    close_pair(f);
    port_stop(&p);
}

#define ROUNDS 2000

static void *
echo(void *arg)
{
    struct port *p = arg;
    struct flow *f;
    size_t n;
    char c;

    assert_int_equal(flow_accept_wait(p->listener, &f), FLOW_OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(flow_read_exact(f, &c, 1, &n), FLOW_OK);
        assert_int_equal(flow_write_all(f, &c, 1, &n), FLOW_OK);
    }
    assert_int_equal(flow_read_exact(f, &c, 1, &n), FLOW_EOF);
    flow_close(f);
    return NULL;
}

/*
 * Two threads that wait for each other.  A lost wake ends at the deadline after
 * a second; on a busy machine a deadline may also come first without one.
 */
static void
no_wake_is_lost(void **state)
{
    pthread_t thread;
    struct flow *f;
    struct port p;
    size_t n;

    (void)state;
    port_start(&p);
    assert_int_equal(pthread_create(&thread, NULL, echo, &p), 0);
    f = port_dial(&p);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char c = (char)i;

        assert_int_equal(flow_write_all(f, &c, 1, &n), FLOW_OK);
        assert_int_equal(flow_read_exact(f, &c, 1, &n), FLOW_OK);
        assert_int_equal(c, (char)i);
    }
    flow_close(f);
    pthread_join(thread, NULL);
    assert_in_range(by_clock, 0, 4);
    port_stop(&p);
}

static void
a_poller_is_woken(void **state)
{
    const struct flow_env *env = flow_env_default();
    const struct flow_poller_event *event;
    struct flow_poller *poller;
    struct flow *f[2];
    struct port p;
    size_t n;

    (void)state;
    port_start(&p);
    assert_int_equal(flow_poller_new(env, &poller), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, p.listener, NULL),
                     FLOW_OK);
    assert_int_equal(
        flow_poller_wait(poller, 1, env->now(env->ctx) + SEC / 50, &event, &n),
        FLOW_E_TIMEOUT);
    f[1] = port_dial(&p);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    assert_int_equal(
        flow_poller_wait(poller, 1, env->now(env->ctx) + 30 * SEC, &event, &n),
        FLOW_OK);
    assert_ptr_equal(event->listener, p.listener);
    assert_int_equal(flow_accept(p.listener, &f[0]), FLOW_OK);
    assert_int_equal(flow_poller_add(poller, f[0], FLOW_READY_READ, NULL),
                     FLOW_OK);
    assert_int_equal(
        flow_poller_wait(poller, 1, env->now(env->ctx) + SEC / 50, &event, &n),
        FLOW_E_TIMEOUT);
    assert_int_equal(flow_write(f[1], "x", 1, &n), FLOW_OK);
    assert_int_equal(
        flow_poller_wait(poller, 1, env->now(env->ctx) + 30 * SEC, &event, &n),
        FLOW_OK);
    assert_ptr_equal(event->flow, f[0]);
    flow_poller_free(poller);
    close_pair(f);
    port_stop(&p);
}

static void *
sleeper(void *arg)
{
    struct flow *f = arg;
    char byte;
    size_t n;

    assert_int_equal(flow_read_exact(f, &byte, 1, &n), FLOW_E_RESET);
    return NULL;
}

static void *
acceptor(void *arg)
{
    struct flow_listener *l = arg;
    struct flow *f;

    assert_int_equal(flow_accept_wait(l, &f), FLOW_E_RESET);
    return NULL;
}

/* Functions that must not be called any more. */
static bool
never_drain(struct vchan_channel *channel)
{
    (void)channel;
    fail_msg("a channel that is lost is not drained");
    return false;
}

static void
never_notify(struct vchan_channel *channel)
{
    (void)channel;
    fail_msg("nothing is sent on a channel that is lost");
}

static enum vchan_channel_state
never_state(struct vchan_channel *channel)
{
    (void)channel;
    fail_msg("a channel that is lost is not asked for");
    return VCHAN_CHANNEL_UNKNOWN;
}

static void
never_withdraw(struct vchan_hyp *hyp, const char *base, uint32_t port)
{
    (void)hyp;
    (void)base;
    (void)port;
    fail_msg("the store is not written to");
}

/*
 * A domain that was suspended or migrated: waiting threads wake, every
 * operation answers with the reason, and closing uses nothing that is lost.
 */
static void
a_lost_hypervisor_ends_everything(void **state)
{
    struct vchan_store_ops store;
    struct flow_error err;
    pthread_t thread[2];
    struct flow *dials;
    struct flow *f[2];
    struct flow *none;
    struct port p;
    size_t n;

    (void)state;
    port_start(&p);
    f[1] = port_dial(&p);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    assert_int_equal(flow_accept(p.listener, &f[0]), FLOW_OK);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(p.hyp[1]), 1,
                                            "absent", NULL, &dials, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(dials), FLOW_AGAIN);
    assert_int_equal(pthread_create(&thread[0], NULL, sleeper, f[0]), 0);
    assert_int_equal(pthread_create(&thread[1], NULL, acceptor, p.listener), 0);

    flow__vchan_hyp_lost(p.hyp[0]);
    flow__vchan_hyp_lost(p.hyp[1]);
    flow_event_signal(&doorbell);
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    p.events.drain = never_drain;
    p.events.notify = never_notify;
    p.events.state = never_state;
    store = *p.hyp[0]->store;
    store.withdraw = never_withdraw;
    p.hyp[0]->store = &store;

    assert_int_equal(flow_write(f[1], "x", 1, &n), FLOW_E_RESET);
    assert_int_equal(flow_write(f[0], "x", 1, &n), FLOW_E_RESET);
    flow_get_error(f[0], FLOW_WRITE, &err);
    assert_string_equal(err.text, "this domain was suspended or migrated: "
                                  "its event channels are lost");
    assert_int_equal(flow_open(dials), FLOW_E_RESET);
    assert_int_equal(flow_accept(p.listener, &none), FLOW_E_RESET);
    close_pair(f);
    flow_close(dials);
    flow_listener_close(p.listener);
    p.listener = NULL;
    port_stop(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_no_descriptors),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(a_poller_is_woken),
        cmocka_unit_test(a_lost_hypervisor_ends_everything),
    };

    return cmocka_run_group_tests_name("vchan: a port without descriptors",
                                       tests, NULL, NULL);
}
