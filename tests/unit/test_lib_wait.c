/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <flow/env.h>

#include "lib/atomic.h"
#include "lib/plat.h"
#include "lib/plat/fake/fake.h"
#include "unit.h"

#include "tests/support/child.h"

#define MSEC UINT64_C(1000000)
/* Longer than any of these waits takes. */
#define LONG (20000 * MSEC)

static enum flow_status
wait_until(struct flow_wait_set *set, uint64_t deadline)
{
    const struct flow_env *env = flow_env_default();

    return env->wait(env->ctx, set, deadline);
}

static void
time_sums_do_not_wrap(void **state)
{
    (void)state;
    assert_true(flow_time_after(100, 10) == 110);
    assert_true(flow_time_after(UINT64_MAX - 3, 10) == UINT64_MAX);
    assert_true(flow_time_after(FLOW_NEVER, 0) == 2);
    assert_true(flow_time_after(FLOW_NOW, 0) == 2);
}

static void
deadline_ends_the_sleep(void **state)
{
    struct flow_wait_set set;
    uint64_t begin = flow__plat_now();

    (void)state;
    flow_wait_set_init(&set);
    assert_int_equal(wait_until(&set, begin + 5 * MSEC), FLOW_OK);
    assert_true(flow__plat_now() >= begin + 5 * MSEC);
    flow_wait_add_time(&set, begin + 10 * MSEC);
    assert_int_equal(wait_until(&set, FLOW_NEVER), FLOW_OK);
    assert_true(flow__plat_now() >= begin + 10 * MSEC);
    assert_int_equal(wait_until(&set, FLOW_NOW), FLOW_OK);
    assert_true(flow__plat_now() < begin + LONG);
}

static void
descriptor_ends_the_sleep(void **state)
{
    struct flow_wait_set set;
    uint64_t begin = flow__plat_now();
    int fd[2];

    (void)state;
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], "x", 1), 1);
    flow_wait_set_init(&set);
    flow_wait_add_fd(&set, fd[0], FLOW_WAIT_IN);
    assert_int_equal(wait_until(&set, begin + LONG), FLOW_OK);
    flow_wait_set_init(&set);
    flow_wait_add_fd(&set, fd[1], FLOW_WAIT_OUT);
    assert_int_equal(wait_until(&set, begin + LONG), FLOW_OK);
    assert_true(flow__plat_now() < begin + LONG);
    close(fd[0]);
    close(fd[1]);
}

static void
wakeup_before_the_sleep_is_not_lost(void **state)
{
    struct flow_wait_set set;
    struct flow_event ev;
    uint32_t seen;

    (void)state;
    flow_event_init(&ev);
    seen = flow_event_sequence(&ev);
    flow_event_signal(&ev);
    flow_wait_set_init(&set);
    flow_wait_add_event(&set, &ev, seen);
    assert_int_equal(wait_until(&set, FLOW_NEVER), FLOW_OK);
    assert_null(ev.head);
    flow_event_fini(&ev);
}

/* Two threads take turns, each sleeping without a deadline until its turn: one
 * lost wakeup is a hang. */
struct ball {
    struct flow_event ev;
    unsigned turn; /* atomic */
};

#define TURNS 20000u

static void
play(struct ball *ball, unsigned mine)
{
    struct flow_wait_set set;
    unsigned now;
    uint32_t seen;

    for (;;) {
        seen = flow_event_sequence(&ball->ev);
        now = flow__load(&ball->turn);
        if (now >= TURNS)
            return;
        if (now % 2 == mine) {
            flow__store(&ball->turn, now + 1);
            flow_event_signal(&ball->ev);
            continue;
        }
        flow_wait_set_init(&set);
        flow_wait_add_event(&set, &ball->ev, seen);
        assert_int_equal(wait_until(&set, FLOW_NEVER), FLOW_OK);
    }
}

static void *
play_odd(void *arg)
{
    play(arg, 1);
    return NULL;
}

static void
no_wakeup_is_lost_between_threads(void **state)
{
    struct ball ball = { .turn = 0 };
    pthread_t thread;

    (void)state;
    flow_event_init(&ball.ev);
    assert_int_equal(pthread_create(&thread, NULL, play_odd, &ball), 0);
    play(&ball, 0);
    pthread_join(thread, NULL);
    assert_int_equal(ball.turn, TURNS);
    flow_event_fini(&ball.ev);
}

static void
loopback_name_is_resolved(void **state)
{
    const struct flow_resolver *resolver = flow_env_default()->resolver;
    struct flow_addr addr[4];
    struct flow_lookup *lookup;
    struct flow_wait_set set;
    enum flow_status st;
    int32_t code = 0;
    size_t count, i;

    (void)state;
    assert_int_equal(resolver->start(NULL, "localhost", 443, &lookup), FLOW_OK);
    for (;;) {
        st = resolver->result(lookup, addr, COUNT(addr), &count, &code);
        if (st != FLOW_AGAIN)
            break;
        flow_wait_set_init(&set);
        resolver->wait(lookup, &set);
        assert_int_equal(wait_until(&set, FLOW_NEVER), FLOW_OK);
    }
    assert_int_equal(st, FLOW_OK);
    assert_in_range(count, 1, COUNT(addr));
    for (i = 0; i < count; i++) {
        assert_int_equal(addr[i].port, 443);
        if (addr[i].family == 4)
            assert_int_equal(addr[i].bytes[0], 127);
        else
            assert_int_equal(addr[i].bytes[15], 1);
    }
    resolver->cancel(lookup);
}

static void
lookup_can_be_cancelled(void **state)
{
    const struct flow_resolver *resolver = flow_env_default()->resolver;
    struct flow_lookup *lookup;
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        assert_int_equal(resolver->start(NULL, "localhost", 1, &lookup),
                         FLOW_OK);
        resolver->cancel(lookup);
    }
    assert_non_null(resolver->text(12345));
}

#define MANY_LOOKUPS 300

static void
wait_for_lookup(struct flow_lookup *lookup)
{
    const struct flow_resolver *resolver = flow_env_default()->resolver;
    struct flow_wait_set set;
    struct flow_addr addr[4];
    enum flow_status st;
    int32_t code = 0;
    size_t count;

    for (;;) {
        st = resolver->result(lookup, addr, COUNT(addr), &count, &code);
        if (st != FLOW_AGAIN)
            break;
        flow_wait_set_init(&set);
        resolver->wait(lookup, &set);
        assert_int_equal(wait_until(&set, FLOW_NEVER), FLOW_OK);
    }
    assert_int_equal(st, FLOW_OK);
    assert_in_range(count, 1, COUNT(addr));
}

/* The number of this process's threads, if the system tells it; 0 otherwise,
 * which passes every upper limit. */
static size_t
count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    size_t count = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2; /* "." and "..". */
}

static void
lookups_beyond_the_thread_limit_wait_their_turn(void **state)
{
    const struct flow_resolver *resolver = flow_env_default()->resolver;
    static struct flow_lookup *lookup[MANY_LOOKUPS];
    size_t i, threads, most = 0;

    (void)state;
    for (i = 0; i < MANY_LOOKUPS; i++) {
        assert_int_equal(resolver->start(NULL, "localhost", 1, &lookup[i]),
                         FLOW_OK);
        threads = count_threads();
        most = threads > most ? threads : most;
    }
    /* 64 lookups at work; further threads found the queue empty and are
     * exiting. */
    assert_in_range(most, 0, 150);
    /* Some lookups are cancelled in the queue, some in a thread, some after
     * they are done. */
    for (i = 0; i < MANY_LOOKUPS; i++)
        if (i % 3 != 0)
            resolver->cancel(lookup[i]);
    for (i = 0; i < MANY_LOOKUPS; i += 3) {
        wait_for_lookup(lookup[i]);
        resolver->cancel(lookup[i]);
    }
}

/* In a child whose parent has lookup threads: the lookups that the parent
 * began, and one more. */
static int
look_up_in_child(struct flow_lookup **lookup)
{
    const struct flow_resolver *resolver = flow_env_default()->resolver;
    struct flow_lookup *own;
    size_t i;

    for (i = 0; i < MANY_LOOKUPS; i++) {
        if (i % 2 == 0)
            wait_for_lookup(lookup[i]);
        resolver->cancel(lookup[i]);
    }
    if (resolver->start(NULL, "localhost", 1, &own) != FLOW_OK)
        return 1;
    wait_for_lookup(own);
    resolver->cancel(own);
    return 0;
}

static void
lookups_work_in_a_forked_child(void **state)
{
    const struct flow_resolver *resolver = flow_env_default()->resolver;
    static struct flow_lookup *lookup[MANY_LOOKUPS];
    size_t i;
    pid_t pid;

    (void)state;
#if defined(CHILD_HAS_NO_THREADS) || defined(CHILD_HAS_NO_MEMORY)
    skip();
#endif
    for (i = 0; i < MANY_LOOKUPS; i++)
        assert_int_equal(resolver->start(NULL, "localhost", 1, &lookup[i]),
                         FLOW_OK);
    pid = child_begin();
    if (pid == 0) {
        CHILD_CHECK(look_up_in_child(lookup) == 0);
        child_end_without_threads();
    }
    for (i = 0; i < MANY_LOOKUPS; i++) {
        wait_for_lookup(lookup[i]);
        resolver->cancel(lookup[i]);
    }
    child_join(pid);
}

static void
fake_clock_jumps_instead_of_sleeping(void **state)
{
    struct flow__fake fake;
    struct flow_wait_set set;
    struct flow_event ev;
    uint64_t then;

    (void)state;
    flow__fake_init(&fake, 1);
    flow_event_init(&ev);
    flow_wait_set_init(&set);
    then = fake.now + 3600 * 1000 * MSEC;
    assert_int_equal(fake.env.wait(&fake, &set, then), FLOW_OK);
    assert_true(fake.env.now(&fake) == then);
    flow_wait_add_event(&set, &ev, 0);
    assert_int_equal(fake.env.wait(&fake, &set, FLOW_NEVER), FLOW_E_SYS);
    flow_event_signal(&ev);
    assert_int_equal(fake.env.wait(&fake, &set, FLOW_NEVER), FLOW_OK);
}

static void
fake_entropy_is_determined_by_its_seed(void **state)
{
    struct flow__fake a, b;
    uint8_t x[40], y[40];

    (void)state;
    flow__fake_init(&a, 5);
    flow__fake_init(&b, 5);
    assert_true(a.env.random(&a, x, sizeof(x)));
    assert_true(b.env.random(&b, y, sizeof(y)));
    assert_memory_equal(x, y, sizeof(x));
    assert_true(b.env.random(&b, y, sizeof(y)));
    assert_memory_not_equal(x, y, sizeof(x));
    b.no_entropy = true;
    assert_false(b.env.random(&b, y, sizeof(y)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_sums_do_not_wrap),
        cmocka_unit_test(deadline_ends_the_sleep),
        cmocka_unit_test(descriptor_ends_the_sleep),
        cmocka_unit_test(wakeup_before_the_sleep_is_not_lost),
        cmocka_unit_test(no_wakeup_is_lost_between_threads),
        cmocka_unit_test(loopback_name_is_resolved),
        cmocka_unit_test(lookup_can_be_cancelled),
        cmocka_unit_test(lookups_beyond_the_thread_limit_wait_their_turn),
        cmocka_unit_test(lookups_work_in_a_forked_child),
        cmocka_unit_test(fake_clock_jumps_instead_of_sleeping),
        cmocka_unit_test(fake_entropy_is_determined_by_its_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
