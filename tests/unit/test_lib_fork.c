/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <flow/env.h>

#include "lib/atomic.h"
#include "lib/plat.h"
#include "lib/plat/posix/waker.h"
#include "unit.h"

#include "tests/support/child.h"

#define SEC UINT64_C(1000000000)
/* Longer than any sleep that a wakeup ends. */
#define LONG (20 * SEC)

static void
sleep_until(struct flow_event *ev, uint32_t sequence, uint64_t deadline)
{
    const struct flow_env *env = flow_env_default();
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    flow_wait_add_event(&set, ev, sequence);
    (void)env->wait(env->ctx, &set, deadline);
}

/* Sleep once in this thread, so that it has a waker. */
static void
sleep_once(void)
{
    struct flow_event ev;

    flow_event_init(&ev);
    sleep_until(&ev, flow_event_sequence(&ev), FLOW_NOW);
    flow_event_fini(&ev);
}

/* Two threads that wake each other in turn. */
struct table {
    struct flow_event ball[2];
    unsigned turns;
    bool late;
};

struct player {
    struct table *table;
    size_t side;
};

static void *
play(void *arg)
{
    const struct player *p = arg;
    struct table *t = p->table;
    uint32_t turn;
    uint64_t begin;

    for (turn = 0; turn < t->turns; turn++) {
        if (p->side == 0)
            flow_event_signal(&t->ball[0]);
        begin = flow__plat_now();
        while (flow_event_sequence(&t->ball[1 - p->side]) <= turn) {
            sleep_until(&t->ball[1 - p->side], turn, flow__plat_now() + LONG);
            if (flow__plat_now() - begin >= LONG) {
                t->late = true;
                return NULL;
            }
        }
        if (p->side == 1)
            flow_event_signal(&t->ball[1]);
    }
    return NULL;
}

/* Whether every turn of this thread came in time. */
static bool
match(unsigned turns)
{
    struct table t = { .turns = turns };
    struct player us = { &t, 0 };
    struct player them = { &t, 1 };
    pthread_t thread;

    flow_event_init(&t.ball[0]);
    flow_event_init(&t.ball[1]);
    if (pthread_create(&thread, NULL, play, &them) != 0)
        return false;
    play(&us);
    pthread_join(thread, NULL);
    flow_event_fini(&t.ball[0]);
    flow_event_fini(&t.ball[1]);
    return !t.late;
}

/* The same in a child whose parent has threads. */
static bool
match_in_child(unsigned turns)
{
#ifdef CHILD_HAS_NO_THREADS
    (void)turns;
    sleep_once();
    return true;
#else
    return match(turns);
#endif
}

static void
wakeups_work_in_parent_and_child(void **state)
{
    pid_t child;

    (void)state;
    sleep_once();
    child = child_begin();
    if (child == 0) {
        CHILD_CHECK(match_in_child(20000));
        child_end();
    }
    assert_true(match(20000));
    child_join(child);
}

static bool
is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) > 0;
}

static void
child_cannot_wake_the_parent_through_inherited_descriptors(void **state)
{
    struct flow__fd_waker waker;
    struct flow_event_node node;
    struct flow_event ev;
    pid_t child;

    (void)state;
    flow_event_init(&ev);
    assert_true(flow__fd_waker_init(&waker));
    assert_true(
        flow_event_arm(&ev, &node, &waker.base, flow_event_sequence(&ev)));
    child = child_begin();
    if (child == 0) {
        CHILD_CHECK(flow__fd_waker_is_inherited(&waker));
        waker.base.wake(&waker.base);
        flow_event_signal(&ev);
        flow_event_disarm(&node);
        flow_event_fini(&ev);
        flow__fd_waker_fini(&waker);
        child_end();
    }
    child_join(child);
    assert_false(is_readable(waker.read_fd));
    flow_event_signal(&ev);
    assert_true(is_readable(waker.read_fd));
    flow_event_disarm(&node);
    flow_event_fini(&ev);
    flow__fd_waker_fini(&waker);
}

/* A thread that sleeps until told to end. */
struct dreamer {
    struct flow_event ev;
    uint32_t end;    /* Atomic. */
    uint32_t sleeps; /* Atomic. */
};

static void *
dream(void *arg)
{
    struct dreamer *d = arg;
    uint32_t sequence;

    for (;;) {
        sequence = flow_event_sequence(&d->ev);
        if (flow__load(&d->end) != 0)
            return NULL;
        flow__add(&d->sleeps, 1);
        sleep_until(&d->ev, sequence, FLOW_NEVER);
    }
}

static bool
has_sleeper(struct flow_event *ev)
{
    bool armed;

    flow__wait_lock();
    armed = ev->head != NULL;
    flow__wait_unlock();
    return armed;
}

#define DREAMERS 4

/* The child does not have these threads: it reuses their stacks. */
static void
child_forgets_sleeping_threads_of_its_parent(void **state)
{
    struct dreamer dreamer[DREAMERS];
    pthread_t thread[DREAMERS];
    pid_t child;
    size_t i;

    (void)state;
    for (i = 0; i < DREAMERS; i++) {
        dreamer[i] = (struct dreamer){ .end = 0 };
        flow_event_init(&dreamer[i].ev);
        assert_int_equal(pthread_create(&thread[i], NULL, dream, &dreamer[i]),
                         0);
    }
    for (i = 0; i < DREAMERS; i++)
        while (!has_sleeper(&dreamer[i].ev))
            sleep_once();
    child = child_begin();
    if (child == 0) {
        for (i = 0; i < DREAMERS; i++)
            CHILD_CHECK(!has_sleeper(&dreamer[i].ev));
        CHILD_CHECK(match_in_child(100));
        for (i = 0; i < DREAMERS; i++)
            flow_event_signal(&dreamer[i].ev);
        child_end();
    }
    child_join(child);
    for (i = 0; i < DREAMERS; i++) {
        assert_true(has_sleeper(&dreamer[i].ev));
        flow__store(&dreamer[i].end, 1);
        flow_event_signal(&dreamer[i].ev);
        pthread_join(thread[i], NULL);
        /* The child's calls did not wake it. */
        assert_int_equal(dreamer[i].sleeps, 1);
        flow_event_fini(&dreamer[i].ev);
    }
}

static int
lowest_free_descriptor(void)
{
    int fd = dup(STDIN_FILENO);

    close(fd);
    return fd;
}

/* A daemon closes all descriptors and opens others. */
static void
child_may_close_every_descriptor(void **state)
{
    pid_t child;
    int fd[2];
    int i;

    (void)state;
    sleep_once();
    child = child_begin();
    if (child == 0) {
        for (i = STDERR_FILENO + 1; i < 64; i++)
            close(i);
        CHILD_CHECK(pipe(fd) == 0);
        CHILD_CHECK(match_in_child(100));
        CHILD_CHECK(write(fd[1], "x", 1) == 1 && is_readable(fd[0]));
        child_end();
    }
    child_join(child);
}

static void
descriptors_do_not_accumulate_over_generations(void **state)
{
    int before;
    int status = 1;
    pid_t child;
    int depth;

    (void)state;
    sleep_once();
    before = lowest_free_descriptor();
    child = child_begin();
    if (child == 0) {
        for (depth = 0; depth < 8; depth++) {
            sleep_once();
            CHILD_CHECK(lowest_free_descriptor() == before);
            child = child_begin();
            if (child != 0)
                break;
        }
        if (child != 0)
            CHILD_CHECK(waitpid(child, &status, 0) == child && status == 0);
        child_end();
    }
    child_join(child);
}

/* Guards the two counters below. */

static uint32_t storm_is_over; /* Atomic. */
static struct flow_event storm_event;
static struct flow_lock storm_lock;
static unsigned storm_pair[2]; /* Equal whenever the lock is free. */
static uint32_t storm_once[1000];
static uint32_t storm_once_next; /* Atomic. */

static void
take_a_while(void)
{
    sched_yield();
}

static void *
storm(void *arg)
{
    uint32_t n;

    (void)arg;
    while (flow__load(&storm_is_over) == 0) {
        sleep_until(&storm_event, flow_event_sequence(&storm_event),
                    flow__plat_now() + 1000);
        flow_event_signal(&storm_event);
        flow_fork_block();
        flow_lock_acquire(&storm_lock);
        storm_pair[0]++;
        sched_yield();
        storm_pair[1]++;
        flow_lock_release(&storm_lock);
        flow_fork_unblock();
        n = flow__add(&storm_once_next, 1);
        flow_once(take_a_while, &storm_once[n % COUNT(storm_once)]);
    }
    return NULL;
}

/* Every lock that a thread of the storm may hold at the fork. */
static void
use_locks_in_child(void)
{
    size_t i;

    flow_fork_block();
    flow_lock_acquire(&storm_lock);
    CHILD_CHECK(storm_pair[0] == storm_pair[1]);
    flow_lock_release(&storm_lock);
    flow_fork_unblock();
    for (i = 0; i < COUNT(storm_once); i++)
        flow_once(take_a_while, &storm_once[i]);
    CHILD_CHECK(match_in_child(10));
}

#define STORM_THREADS 4
#define STORM_FORKS   300

static void
child_inherits_no_locked_lock(void **state)
{
    pthread_t thread[STORM_THREADS];
    pid_t child;
    size_t i;

    (void)state;
    flow_event_init(&storm_event);
    flow_lock_init(&storm_lock);
    for (i = 0; i < COUNT(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, storm, NULL), 0);
    for (i = 0; i < STORM_FORKS; i++) {
        child = child_begin();
        if (child == 0) {
            use_locks_in_child();
            child_end();
        }
        child_join(child);
    }
    flow__store(&storm_is_over, 1);
    for (i = 0; i < COUNT(thread); i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(storm_pair[0], storm_pair[1]);
    flow_event_fini(&storm_event);
    flow_lock_fini(&storm_lock);
}

/* An environment's callback may fork, whatever lock we hold. */
static void
thread_that_blocks_forks_may_fork(void **state)
{
    int status = -1;
    pid_t child;

    (void)state;
    flow_fork_block();
    flow_fork_block();
    child = child_begin();
    if (child == 0) {
        flow_fork_unblock();
        flow_fork_unblock();
        child = child_begin();
        if (child == 0) {
            CHILD_CHECK(match_in_child(10));
            child_end();
        }
        CHILD_CHECK(waitpid(child, &status, 0) == child && status == 0);
        child_end();
    }
    flow_fork_unblock();
    flow_fork_unblock();
    child_join(child);
    assert_true(match(10));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakeups_work_in_parent_and_child),
        cmocka_unit_test(
            child_cannot_wake_the_parent_through_inherited_descriptors),
        cmocka_unit_test(child_forgets_sleeping_threads_of_its_parent),
        cmocka_unit_test(child_may_close_every_descriptor),
        cmocka_unit_test(descriptors_do_not_accumulate_over_generations),
        cmocka_unit_test(child_inherits_no_locked_lock),
        cmocka_unit_test(thread_that_blocks_forks_may_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
