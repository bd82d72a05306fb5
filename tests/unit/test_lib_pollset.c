/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <unistd.h>

#include "lib/plat.h"
#include "lib/plat/fake/fake.h"
#include "unit.h"

#define MSEC  UINT64_C(1000000)
#define PIPES 40

struct fixture {
    struct flow__fake fake;
    struct flow__pollset *set;
    int fd[PIPES][2];
};

static int
setup(void **state)
{
    static struct fixture f;
    size_t i;

    flow__fake_init(&f.fake, 1);
    for (i = 0; i < PIPES; i++)
        if (pipe(f.fd[i]) != 0)
            return -1;
    *state = &f;
    return flow__pollset_new(&f.fake.env, &f.set) == FLOW_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    size_t i;

    flow__pollset_free(f->set);
    for (i = 0; i < PIPES; i++) {
        close(f->fd[i][0]);
        close(f->fd[i][1]);
    }
    return f->fake.live_blocks == 0 ? 0 : -1;
}

static void
events_carry_their_user_pointer(void **state)
{
    struct fixture *f = *state;
    struct flow__pollset_event ev[PIPES];
    bool all;
    size_t count, i;

    for (i = 0; i < PIPES; i++)
        assert_int_equal(
            flow__pollset_set(f->set, f->fd[i][0], 0, FLOW_WAIT_IN, 100 + i),
            FLOW_OK);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, PIPES, FLOW_NOW, &count, &all), FLOW_OK);
    assert_int_equal(count, 0);
    assert_int_equal(write(f->fd[33][1], "x", 1), 1);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, PIPES, FLOW_NEVER, &count, &all),
        FLOW_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ev[0].key, 133);
    assert_int_equal(ev[0].events, FLOW_WAIT_IN);

    assert_int_equal(
        flow__pollset_set(f->set, f->fd[33][0], FLOW_WAIT_IN, 0, 0), FLOW_OK);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, PIPES, FLOW_NOW, &count, &all), FLOW_OK);
    assert_int_equal(count, 0);
}

static void
interest_can_change(void **state)
{
    struct fixture *f = *state;
    struct flow__pollset_event ev[4];
    bool all;
    size_t count;

    assert_int_equal(flow__pollset_set(f->set, f->fd[0][1], 0, FLOW_WAIT_IN, 1),
                     FLOW_OK);
    assert_int_equal(flow__pollset_wait(f->set, ev, 4, FLOW_NOW, &count, &all),
                     FLOW_OK);
    assert_int_equal(count, 0);
    assert_int_equal(
        flow__pollset_set(f->set, f->fd[0][1], FLOW_WAIT_IN, FLOW_WAIT_OUT, 2),
        FLOW_OK);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, 4, FLOW_NEVER, &count, &all), FLOW_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ev[0].events, FLOW_WAIT_OUT);
}

/* A closed descriptor's number is reused at once. */
static void
reused_descriptor_number_is_watched_again(void **state)
{
    struct fixture *f = *state;
    struct flow__pollset_event ev[4];
    bool all;
    size_t count;
    enum flow_status st;
    int old, end[2];

    old = f->fd[0][0];
    assert_int_equal(flow__pollset_set(f->set, old, 0, FLOW_WAIT_IN, 1),
                     FLOW_OK);
    close(f->fd[0][0]);
    close(f->fd[0][1]);
    assert_int_equal(pipe(end), 0);
    f->fd[0][0] = end[0];
    f->fd[0][1] = end[1];
    assert_int_equal(end[0], old);
    assert_int_equal(write(end[1], "x", 1), 1);
    st = flow__pollset_set(f->set, old, FLOW_WAIT_IN, FLOW_WAIT_IN, 2);
    if (st == FLOW_E_CLOSED)
        st = flow__pollset_set(f->set, old, 0, FLOW_WAIT_IN, 2);
    assert_int_equal(st, FLOW_OK);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, 4, FLOW_NEVER, &count, &all), FLOW_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ev[0].key, 2);
}

static void
wakeup_before_or_during_the_sleep_ends_it(void **state)
{
    struct fixture *f = *state;
    struct flow__pollset_event ev[1];
    struct flow_waker *waker = flow__pollset_waker(f->set);
    bool all;
    size_t count;

    waker->wake(waker);
    waker->wake(waker);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, 1, FLOW_NEVER, &count, &all), FLOW_OK);
    assert_int_equal(count, 0);
    /* The wakeup was consumed: now only the time ends the sleep. */
    assert_int_equal(flow__pollset_wait(f->set, ev, 1, flow__plat_now() + MSEC,
                                        &count, &all),
                     FLOW_OK);
    waker->wake(waker);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, 1, FLOW_NEVER, &count, &all), FLOW_OK);
}

static void
short_event_list_starves_no_descriptor(void **state)
{
    struct fixture *f = *state;
    bool seen[PIPES] = { false };
    struct flow__pollset_event ev[3];
    bool all;
    size_t count, i, round;

    for (i = 0; i < PIPES; i++) {
        assert_int_equal(
            flow__pollset_set(f->set, f->fd[i][0], 0, FLOW_WAIT_IN, i),
            FLOW_OK);
        assert_int_equal(write(f->fd[i][1], "x", 1), 1);
    }
    for (round = 0; round < PIPES; round++) {
        assert_int_equal(
            flow__pollset_wait(f->set, ev, 3, FLOW_NOW, &count, &all), FLOW_OK);
        assert_int_equal(count, 3);
        for (i = 0; i < count; i++)
            seen[ev[i].key] = true;
    }
    for (i = 0; i < PIPES; i++)
        assert_true(seen[i]);
}

static void
error_is_reported_in_both_directions(void **state)
{
    struct fixture *f = *state;
    struct flow__pollset_event ev[1];
    bool all;
    size_t count;

    assert_int_equal(flow__pollset_set(f->set, f->fd[0][0], 0, FLOW_WAIT_IN, 1),
                     FLOW_OK);
    close(f->fd[0][1]);
    f->fd[0][1] = dup(0);
    assert_int_equal(
        flow__pollset_wait(f->set, ev, 1, FLOW_NEVER, &count, &all), FLOW_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ev[0].events, FLOW_WAIT_IN | FLOW_WAIT_OUT);
}

/* Whether a foreign event loop sees the set as readable. */
static bool
is_readable(const struct fixture *f)
{
    struct pollfd fd = { .fd = flow__pollset_fd(f->set), .events = POLLIN };

    return fd.fd < 0 || poll(&fd, 1, 0) == 1;
}

/* A renewed set does not report descriptors that were closed, even if their
 * files stay open; a thread that waits on the set still does. */
static void
renewed_set_contains_only_the_waker(void **state)
{
    struct fixture *f = *state;
    struct flow_waker *waker = flow__pollset_waker(f->set);
    struct flow__pollset_event ev[PIPES];
    size_t count, i;
    int fd, copy;
    bool all;

    fd = flow__pollset_fd(f->set);
    assert_int_equal(flow__pollset_fd(f->set), fd);
    for (i = 0; i < PIPES; i++) {
        assert_int_equal(
            flow__pollset_set(f->set, f->fd[i][0], 0, FLOW_WAIT_IN, i),
            FLOW_OK);
        assert_int_equal(write(f->fd[i][1], "x", 1), 1);
    }
    assert_true(is_readable(f));
    copy = dup(f->fd[0][0]);
    close(f->fd[0][0]);
    assert_int_equal(flow__pollset_renew(f->set), FLOW_OK);
    f->fd[0][0] = copy;
    assert_int_equal(flow__pollset_fd(f->set), fd);
    assert_true(fd < 0 || !is_readable(f));
    assert_int_equal(
        flow__pollset_wait(f->set, ev, PIPES, FLOW_NOW, &count, &all), FLOW_OK);
    assert_int_equal(count, 0);
    waker->wake(waker);
    assert_true(is_readable(f));
    assert_int_equal(
        flow__pollset_wait(f->set, ev, PIPES, FLOW_NEVER, &count, &all),
        FLOW_OK);
    assert_true(fd < 0 || !is_readable(f));
    assert_int_equal(
        flow__pollset_set(f->set, f->fd[7][0], 0, FLOW_WAIT_IN, 70), FLOW_OK);
    assert_true(is_readable(f));
    assert_int_equal(
        flow__pollset_wait(f->set, ev, PIPES, FLOW_NEVER, &count, &all),
        FLOW_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ev[0].key, 70);
}

static void
every_failed_allocation_is_survived(void **state)
{
    struct fixture *f = *state;
    struct flow__pollset *set;
    size_t blocks = f->fake.live_blocks;
    uint64_t n;

    for (n = 1;; n++) {
        f->fake.fail_at = f->fake.allocs + n;
        if (flow__pollset_new(&f->fake.env, &set) == FLOW_OK)
            break;
        assert_int_equal(f->fake.live_blocks, blocks);
    }
    flow__pollset_free(set);
    flow__pollset_free(NULL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_carry_their_user_pointer),
        TEST(interest_can_change),
        TEST(reused_descriptor_number_is_watched_again),
        TEST(wakeup_before_or_during_the_sleep_ends_it),
        TEST(short_event_list_starves_no_descriptor),
        TEST(error_is_reported_in_both_directions),
        TEST(renewed_set_contains_only_the_waker),
        TEST(every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
