/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <flow/endpoint.h>
#include <flow/pair.h>
#include <flow/poller.h>
#include <flow/unix.h>

#include "lib/plat.h"
#include "unit.h"

/* A poller, and single flows and listeners, in a foreign event loop. */

#define SEC UINT64_C(1000000000)

struct foreign {
    struct flow_poller *poller;
    struct flow *near_end;
    struct flow *far_end;
    int fd; /* of the poller, queried once as a loop does; -1: none */
};

static void
foreign_start(struct foreign *x, bool is_socket)
{
    int fd[2];

    assert_int_equal(flow_poller_new(NULL, &x->poller), FLOW_OK);
    if (is_socket) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
        assert_int_equal(flow_fd_adopt(NULL, fd[0], fd[0], &x->near_end, NULL),
                         FLOW_OK);
        assert_int_equal(flow_fd_adopt(NULL, fd[1], fd[1], &x->far_end, NULL),
                         FLOW_OK);
    } else {
        assert_int_equal(
            flow_pair_new(NULL, 64, NULL, &x->near_end, &x->far_end), FLOW_OK);
    }
}

static void
foreign_end(struct foreign *x)
{
    flow_close(x->near_end);
    flow_close(x->far_end);
    flow_poller_free(x->poller);
}

/* Sleep on the descriptor up to a deadline, as the loop does. */
static bool
foreign_sleep(struct foreign *x, int msec)
{
    struct pollfd fd = { .fd = x->fd, .events = POLLIN };

    return poll(&fd, 1, msec) == 1;
}

/* The number of events. */
static size_t
foreign_turn(struct foreign *x)
{
    const struct flow_poller_event *ev;
    enum flow_status st;
    size_t n;

    st = flow_poller_wait(x->poller, 8, FLOW_NOW, &ev, &n);
    assert_int_equal(st, n > 0 ? FLOW_OK : FLOW_E_TIMEOUT);
    return n;
}

static void *
write_byte(void *arg)
{
    struct foreign *x = arg;
    size_t n;

    assert_int_equal(flow_write(x->far_end, "x", 1, &n), FLOW_OK);
    return NULL;
}

static void *
abort_flow(void *arg)
{
    flow_abort(((struct foreign *)arg)->near_end);
    return NULL;
}

static void *
move_deadline(void *arg)
{
    flow_set_deadline(((struct foreign *)arg)->near_end, FLOW_READ, FLOW_NOW);
    return NULL;
}

/* After the poller looked at the flow, the loop used it elsewhere, for example
 * in a timer. */
static void
poller_wakes_a_loop_that_used_a_flow(void **state)
{
    static void *(*const disturb[])(void *) = { write_byte, abort_flow,
                                                move_deadline };
    struct foreign x;
    pthread_t thread;
    size_t i, n;
    char byte;

    (void)state;
    for (i = 0; i < 4 * COUNT(disturb); i++) {
        foreign_start(&x, i % 2 == 0);
        x.fd = flow_poller_fd(x.poller);
        if (x.fd < 0) {
            foreign_end(&x);
            return;
        }
        assert_int_equal(
            flow_poller_add(x.poller, x.near_end, FLOW_READY_READ, NULL),
            FLOW_OK);
        assert_int_equal(foreign_turn(&x), 0);
        if (i % 4 < 2)
            assert_int_equal(flow_read(x.near_end, &byte, 1, &n), FLOW_AGAIN);
        assert_int_equal(pthread_create(&thread, NULL, disturb[i / 4], &x), 0);
        pthread_join(thread, NULL);
        assert_true(foreign_sleep(&x, 0));
        assert_int_equal(foreign_turn(&x), 1);
        foreign_end(&x);
    }
}

/* The descriptor is readable if and only if there are events to fetch. */
static void
descriptor_is_readable_while_there_are_events(void **state)
{
    struct foreign x;
    char buf[8];
    size_t i, n;

    (void)state;
    for (i = 0; i < 2; i++) {
        foreign_start(&x, i == 0);
        x.fd = flow_poller_fd(x.poller);
        if (x.fd < 0) {
            foreign_end(&x);
            return;
        }
        assert_false(foreign_sleep(&x, 0));
        /* A flow is added. */
        assert_int_equal(
            flow_poller_add(x.poller, x.near_end, FLOW_READY_READ, NULL),
            FLOW_OK);
        assert_true(foreign_sleep(&x, 0));
        assert_int_equal(foreign_turn(&x), 0);
        assert_false(foreign_sleep(&x, 0));
        /* The loop writes to it and reads part elsewhere. */
        assert_int_equal(flow_write(x.far_end, "abc", 3, &n), FLOW_OK);
        assert_true(foreign_sleep(&x, 0));
        assert_int_equal(foreign_turn(&x), 1);
        assert_true(foreign_sleep(&x, 0));
        assert_int_equal(flow_read(x.near_end, buf, 1, &n), FLOW_OK);
        assert_true(foreign_sleep(&x, 0));
        assert_int_equal(foreign_turn(&x), 1);
        assert_int_equal(flow_read(x.near_end, buf, 8, &n), FLOW_OK);
        assert_int_equal(foreign_turn(&x), 0);
        assert_false(foreign_sleep(&x, 0));
        /* Another interest. */
        assert_int_equal(
            flow_poller_set(x.poller, x.near_end, FLOW_READY_WRITE), FLOW_OK);
        assert_true(foreign_sleep(&x, 0));
        assert_int_equal(foreign_turn(&x), 1);
        assert_int_equal(flow_poller_set(x.poller, x.near_end, 0), FLOW_OK);
        assert_int_equal(foreign_turn(&x), 0);
        assert_false(foreign_sleep(&x, 0));
        flow_poller_wake(x.poller);
        assert_true(foreign_sleep(&x, 0));
        foreign_end(&x);
    }
}

/* The descriptor is queried late, when there are events already. */
static void
descriptor_is_readable_for_earlier_events(void **state)
{
    const struct flow_poller_event *ev;
    struct foreign x;
    size_t n;

    (void)state;
    foreign_start(&x, false);
    assert_int_equal(
        flow_poller_add(x.poller, x.near_end, FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(flow_poller_wait(x.poller, 1, FLOW_NOW, &ev, &n),
                     FLOW_E_TIMEOUT);
    assert_int_equal(flow_write(x.far_end, "x", 1, &n), FLOW_OK);
    x.fd = flow_poller_fd(x.poller);
    assert_true(x.fd < 0 || foreign_sleep(&x, 0));
    assert_true(flow_poller_timeout(x.poller) == FLOW_NOW);
    foreign_end(&x);
}

/* --- one flow in a foreign event loop ------------------------------------ */

struct sleeper {
    void (*disturb)(void *arg);
    void *arg;
    struct flow_wait_set set;
};

static void *
disturb_later(void *arg)
{
    struct sleeper *s = arg;

    s->disturb(s->arg);
    return NULL;
}

/* Sleep on a wait set while another thread changes the flow.  The clock does
 * not end the sleep: the guard kills the test long before. */
static void
sleep_until_disturbed(struct flow_wait_set *set, void (*disturb)(void *),
                      void *arg)
{
    const struct flow_env *env = flow_env_default();
    struct sleeper s = { disturb, arg, *set };
    uint64_t end = env->now(env->ctx) + 60 * SEC;
    pthread_t thread;

    assert_true(set->count > 0);
    assert_int_equal(pthread_create(&thread, NULL, disturb_later, &s), 0);
    assert_int_equal(env->wait(env->ctx, set, end), FLOW_OK);
    assert_true(env->now(env->ctx) < end);
    pthread_join(thread, NULL);
}

static void
do_abort(void *arg)
{
    flow_abort(arg);
}

static void
do_deadline_read(void *arg)
{
    flow_set_deadline(arg, FLOW_READ, FLOW_NOW);
}

static void
do_deadline_write(void *arg)
{
    flow_set_deadline(arg, FLOW_WRITE, FLOW_NOW);
}

static void
wait_set_of_a_flow_wakes_for_aborts_and_deadlines(void **state)
{
    static const struct {
        uint32_t interest;
        void (*disturb)(void *);
    } cases[] = {
        { FLOW_READY_READ, do_abort },
        { FLOW_READY_READ, do_deadline_read },
        { FLOW_READY_READ | FLOW_READY_WRITE, do_deadline_write },
        { FLOW_READY_WRITE, do_abort },
        { FLOW_READY_WRITE, do_deadline_write },
    };
    static const char junk[64];
    struct flow_wait_set set;
    struct foreign x;
    size_t i, n;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        foreign_start(&x, false);
        assert_int_equal(flow_write(x.near_end, junk, 64, &n), FLOW_OK);
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(x.near_end, cases[i].interest, &set),
                         0);
        sleep_until_disturbed(&set, cases[i].disturb, x.near_end);
        foreign_end(&x);
    }
}

static void
do_listener_abort(void *arg)
{
    flow_listener_abort(arg);
}

static void
do_listener_deadline(void *arg)
{
    flow_listener_set_deadline(arg, FLOW_NOW);
}

static void
wait_set_of_a_listener_wakes_for_aborts_and_deadlines(void **state)
{
    void (*const disturb[])(void *) = { do_listener_abort,
                                        do_listener_deadline };
    struct flow_wait_set set;
    struct flow_listener *l;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(disturb); i++) {
        assert_int_equal(
            flow_endpoint_listen(NULL, "pair:foreign", NULL, &l, NULL),
            FLOW_OK);
        flow_wait_set_init(&set);
        assert_false(flow_listener_wait_sources(l, &set));
        sleep_until_disturbed(&set, disturb[i], l);
        flow_listener_close(l);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poller_wakes_a_loop_that_used_a_flow),
        cmocka_unit_test(descriptor_is_readable_while_there_are_events),
        cmocka_unit_test(descriptor_is_readable_for_earlier_events),
        cmocka_unit_test(wait_set_of_a_flow_wakes_for_aborts_and_deadlines),
        cmocka_unit_test(wait_set_of_a_listener_wakes_for_aborts_and_deadlines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
