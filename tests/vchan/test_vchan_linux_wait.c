/* SPDX-License-Identifier: ISC */
/*
 * The wait sources of the Linux port: for which object they fire, when they
 * end, and the errors if no descriptor is left.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "descriptors.h"
#include "loop.h"
#include "stub_world.h"

/* Whether any source of a waiting thread is ready. */
static bool
would_wake(const struct flow_wait_set *set)
{
    struct pollfd p[FLOW_WAIT_SOURCES];

    for (unsigned i = 0; i < set->count; i++)
        p[i] = (struct pollfd){ .fd = set->source[i].fd, .events = POLLIN };
    return poll(p, set->count, 0) > 0;
}

/* Also threads that wait when another part of the program notices it. */
static void
a_migration_wakes_all_that_sleep(void **state)
{
    struct flow_wait_set set[3];
    struct flow *f[2];
    struct flow *dials;
    struct flow *after;
    struct flow *none;
    struct flow_env other;
    struct world w;

    (void)state;
    world_start(&w);
    world_listen(&w);
    world_connect(&w, f);
    other = w.env[0];
    stub_enter(SERVER);
    for (unsigned i = 0; i < 3; i++)
        flow_wait_set_init(&set[i]);
    /* The second call finds the source that the first has opened. */
    look(f[0], FLOW_READY_READ);
    assert_int_equal(flow_wait_sources(f[0], FLOW_READY_READ, &set[0]), 0);
    assert_false(flow_listener_wait_sources(w.listener, &set[1]));
    assert_false(would_wake(&set[0]));
    assert_false(would_wake(&set[1]));
    stub_migrate(SERVER, 9);
    stub_enter(9);
    assert_int_equal(
        flow_vchan_connect(&other, CLIENT, "y", NULL, &after, NULL), FLOW_OK);
    assert_true(would_wake(&set[0]));
    assert_true(would_wake(&set[1]));
    assert_int_equal(flow_accept(w.listener, &none), FLOW_E_RESET);
    flow_close(after);
    /* A client that waits for keys sleeps on a watch. */
    stub_enter(CLIENT);
    assert_int_equal(
        flow_vchan_connect(&w.env[1], SERVER, "z", NULL, &dials, NULL),
        FLOW_OK);
    assert_int_equal(flow_open(dials), FLOW_AGAIN);
    look(dials, FLOW_READY_OPEN);
    assert_int_equal(flow_open(dials), FLOW_AGAIN);
    fake_now += SEC;
    assert_int_equal(flow_open(dials), FLOW_AGAIN);
    assert_int_equal(flow_wait_sources(dials, FLOW_READY_OPEN, &set[2]), 0);
    assert_false(would_wake(&set[2]));
    stub_migrate(CLIENT, 10);
    stub_enter(10);
    assert_int_equal(
        flow_vchan_connect(&w.env[1], SERVER, "y", NULL, &after, NULL),
        FLOW_OK);
    assert_true(would_wake(&set[2]));
    assert_int_equal(flow_open(dials), FLOW_E_RESET);
    flow_close(after);
    flow_close(dials);
    close_pair(f);
    flow_listener_close(w.listener);
}

/* The channel is reused for other flows, while the loop still has the
 * descriptor registered for the old one. */
static void
a_foreign_loop_gets_events_of_the_flow_only(void **state)
{
    int loop = loop_new();
    struct flow *f[2];
    struct world w;

    (void)state;
    world_start(&w);
    world_listen(&w);
    world_connect(&w, f);
    loop_add(loop, loop_fd_of_flow(f[0]));
    pass(f[1], f[0], "an event comes");
    assert_true(loop_fires(loop));
    flow_close(f[0]);
    assert_false(loop_fires(loop));
    flow_close(f[1]);
    assert_int_equal(close(loop), 0);
    flow_listener_close(w.listener);
}

/* The channel of the offer becomes that of the flow. */
static void
a_foreign_loop_gets_events_of_the_offer_only(void **state)
{
    int loop = loop_new();
    struct flow *f[2];
    struct world w;
    int offer;

    (void)state;
    world_start(&w);
    world_listen(&w);
    offer = loop_fd_of_listener(w.listener);
    loop_add(loop, offer);
    f[1] = world_dial(&w);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    assert_true(loop_fires(loop));
    stub_enter(SERVER);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    assert_int_not_equal(loop_fd_of_flow(f[0]), offer);
    assert_int_not_equal(loop_fd_of_listener(w.listener), offer);
    pass(f[1], f[0], "an event comes");
    assert_false(loop_fires(loop));
    loop_add(loop, loop_fd_of_flow(f[0]));
    pass(f[1], f[0], "and another one");
    assert_true(loop_fires(loop));
    close_pair(f);
    assert_int_equal(close(loop), 0);
    flow_listener_close(w.listener);
}

/* A child has copies of all descriptors, also of registered ones. */
static void
a_child_keeps_no_registration_alive(void **state)
{
    int loop = loop_new();
    struct flow *f[2];
    struct world w;
    int gate[2];
    int status;
    pid_t child;
    char byte;

    (void)state;
    world_start(&w);
    world_listen(&w);
    world_connect(&w, f);
    loop_add(loop, loop_fd_of_flow(f[0]));
    pass(f[1], f[0], "an event comes");
    assert_true(loop_fires(loop));
    assert_int_equal(pipe(gate), 0);
    child = fork();
    if (child == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) != 0);
    }
    assert_true(child > 0);
    flow_close(f[0]);
    assert_false(loop_fires(loop));
    assert_int_equal(close(gate[1]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(close(gate[0]), 0);
    flow_close(f[1]);
    assert_int_equal(close(loop), 0);
    flow_listener_close(w.listener);
}

/* The kernel limits the number of nested epoll sets that contain a file, as
 * those of a poller in another event loop do. */
static void
many_channels_wait_in_nested_loops(void **state)
{
    const int loop[3] = { loop_new(), loop_new(), loop_new() };
    struct vchan_channel *channel[64];
    struct flow_wait_set set;
    struct vchan_hyp *after;
    struct vchan_hyp *hyp;
    struct world w;

    (void)state;
    world_start(&w);
    stub_enter(SERVER);
    loop_add(loop[2], loop[1]);
    loop_add(loop[1], loop[0]);
    assert_int_equal(flow__vchan_xen_open(&w.env[0], &hyp, NULL), FLOW_OK);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(hyp->events->alloc(hyp, CLIENT, &channel[i], NULL),
                         FLOW_OK);
        flow_wait_set_init(&set);
        hyp->events->wait(channel[i], &set);
        loop_add(loop[0], set.source[0].fd);
    }
    assert_false(loop_fires(loop[2]));
    /* A loss makes each of them readable, also one that is renewed after it. */
    stub_migrate(SERVER, 9);
    stub_enter(9);
    assert_int_equal(flow__vchan_xen_open(&w.env[0], &after, NULL), FLOW_OK);
    assert_true(hyp->events->renew(channel[0]));
    for (unsigned i = 0; i < 64; i++) {
        flow_wait_set_init(&set);
        hyp->events->wait(channel[i], &set);
        assert_true(would_wake(&set));
    }
    assert_true(loop_fires(loop[2]));
    for (unsigned i = 0; i < 64; i++)
        hyp->events->close(channel[i]);
    assert_false(loop_fires(loop[2]));
    flow__vchan_hyp_unref(after);
    flow__vchan_hyp_unref(hyp);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(close(loop[i]), 0);
}

/* At the limit of open files an accepted flow gets the offer's descriptor. */
static void
a_flow_takes_the_place_of_its_offer(void **state)
{
    struct rlimit old;
    struct flow *f[2];
    struct world w;

    (void)state;
    world_start(&w);
    world_listen(&w);
    f[1] = world_dial(&w);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    stub_enter(SERVER);
    old = descriptors_leave(0);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    descriptors_restore(&old);
    pass(f[1], f[0], "served all the same");
    loop_fd_of_flow(f[0]);
    close_pair(f);
    flow_listener_close(w.listener);
}

static void
expect_no_descriptor(const struct flow_error *err, int code, const char *text,
                     const char *hint, const char *what)
{
    assert_int_equal(err->status, FLOW_E_SYS);
    assert_int_equal(err->domain, FLOW_DOMAIN_ERRNO);
    assert_int_equal(err->code, code);
    assert_string_equal(err->text, text);
    assert_string_equal(err->hint, hint);
    assert_string_equal(err->detail, what);
}

#define PROCESS_HAS_NONE "too many open files in this process"
#define RAISE_LIMIT      "close descriptors, or raise the limit of open files"

/* The limit is not reported as a missing module. */
static void
a_limit_of_descriptors_is_named(void **state)
{
    struct vchan_channel *channel;
    struct vchan_hyp *hyp;
    struct flow_error err;
    struct rlimit old;
    struct world w;

    (void)state;
    world_start(&w);
    stub_enter(SERVER);
    assert_int_equal(flow__vchan_xen_open(&w.env[0], &hyp, NULL), FLOW_OK);
    old = descriptors_leave(0);
    assert_int_equal(hyp->events->alloc(hyp, CLIENT, &channel, &err),
                     FLOW_E_SYS);
    descriptors_restore(&old);
    expect_no_descriptor(&err, EMFILE, PROCESS_HAS_NONE, RAISE_LIMIT,
                         "cannot open the event channel device");
    old = descriptors_leave(1);
    assert_int_equal(hyp->events->alloc(hyp, CLIENT, &channel, &err),
                     FLOW_E_SYS);
    descriptors_restore(&old);
    expect_no_descriptor(&err, EMFILE, PROCESS_HAS_NONE, RAISE_LIMIT,
                         "cannot make a descriptor for an event channel");
    stub_fail_channels(ENFILE);
    assert_int_equal(hyp->events->alloc(hyp, CLIENT, &channel, &err),
                     FLOW_E_SYS);
    expect_no_descriptor(&err, ENFILE, "too many open files in the system",
                         "end programs that hold files open, or raise "
                         "fs.file-max",
                         "cannot open the event channel device");
    stub_fail_channels(ENOENT);
    assert_int_equal(hyp->events->alloc(hyp, CLIENT, &channel, &err),
                     FLOW_E_SYS);
    stub_fail_channels(0);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(err.text, "cannot open the event channel device");
    assert_non_null(strstr(err.hint, "load the module xen-evtchn"));
    flow__vchan_hyp_unref(hyp);
}

/* The listener also reports it if its next offer cannot be made. */
static void
a_listener_names_the_limit(void **state)
{
    struct flow_error err;
    struct rlimit old;
    struct flow *f[2];
    struct flow *none;
    struct world w;

    (void)state;
    world_start(&w);
    world_listen(&w);
    f[1] = world_dial(&w);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    stub_enter(SERVER);
    old = descriptors_leave(0);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    assert_int_equal(flow_accept(w.listener, &none), FLOW_AGAIN);
    descriptors_restore(&old);
    flow_listener_get_error(w.listener, &err);
    expect_no_descriptor(&err, EMFILE, PROCESS_HAS_NONE, RAISE_LIMIT,
                         "cannot open the event channel device");
    close_pair(f);
    flow_listener_close(w.listener);
}

/* A handle without the device would never notice that a domain was
 * destroyed. */
static void
the_limit_is_not_a_missing_right_to_make_hypercalls(void **state)
{
    unsigned before = descriptors();
    struct vchan_hyp *hyp;
    struct flow_error err;
    struct rlimit old;
    struct world w;

    (void)state;
    world_start(&w);
    stub_enter(SERVER);
    old = descriptors_leave(2);
    assert_int_equal(flow__vchan_xen_open(&w.env[0], &hyp, &err), FLOW_E_SYS);
    descriptors_restore(&old);
    expect_no_descriptor(&err, EMFILE, PROCESS_HAS_NONE, RAISE_LIMIT,
                         "cannot open the device for hypercalls");
    assert_int_equal(descriptors(), before);
    stub_allow_calls(false);
    assert_int_equal(flow__vchan_xen_open(&w.env[0], &hyp, &err), FLOW_OK);
    flow__vchan_hyp_unref(hyp);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_migration_wakes_all_that_sleep),
        cmocka_unit_test(a_foreign_loop_gets_events_of_the_flow_only),
        cmocka_unit_test(a_foreign_loop_gets_events_of_the_offer_only),
        cmocka_unit_test(a_child_keeps_no_registration_alive),
        cmocka_unit_test(many_channels_wait_in_nested_loops),
        cmocka_unit_test(a_flow_takes_the_place_of_its_offer),
        cmocka_unit_test(a_limit_of_descriptors_is_named),
        cmocka_unit_test(a_listener_names_the_limit),
        cmocka_unit_test(the_limit_is_not_a_missing_right_to_make_hypercalls),
    };

    return cmocka_run_group_tests_name("vchan: waiting on Linux", tests, NULL,
                                       NULL);
}
