/* SPDX-License-Identifier: ISC */
/*
 * A peer that disappears: its process exits, and its kernel clears a byte and
 * sends an event; or its domain is destroyed, which only the state of the
 * channel shows.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "domains.h"

/* The listener exists; flags say how its world reports the end of a peer. */
static void
start(struct world *w, unsigned flags, const struct flow_vchan_options *opt)
{
    world_start(w, flags);
    world_listen(w, opt);
}

/* Asks for the wait sources once; returns the deadline among them. */
static uint64_t
look(struct flow *f, uint32_t interest, uint32_t *ret_ready)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    *ret_ready = flow_wait_sources(f, interest, &set);
    return set.deadline;
}

static void
expect_dead(struct flow *f)
{
    char buf[8];
    size_t n;

    assert_int_equal(flow_read(f, buf, 1, &n), FLOW_EOF);
    assert_int_equal(flow_write(f, buf, 1, &n), FLOW_E_CLOSED);
}

/* The other end sleeps until an event or its deadline, never for more than
 * 10 s. */
static void
silent_death(unsigned dies, uint32_t interest, uint64_t after)
{
    struct world w;
    struct flow *f;
    uint64_t next;
    uint64_t died;
    uint32_t ready;

    start(&w, VCHAN_FAKE_SILENT, NULL);
    world_connect(&w);
    f = w.flow[!dies];
    while (interest & FLOW_READY_WRITE) {
        static const char zeros[4096];
        size_t n;

        if (flow_write(f, zeros, sizeof(zeros), &n) == FLOW_AGAIN)
            break;
    }
    /* A while of silence with a living peer first: the pauses grow. */
    died = fake_now + after;
    for (;;) {
        next = look(f, interest, &ready);
        assert_int_equal(ready, 0);
        assert_true(next > fake_now);
        if (next >= died)
            break;
        fake_now = next;
    }
    fake_now = died;
    flow__vchan_fake_kill(dies == 0 ? w.server : w.client);
    for (;;) {
        next = look(f, interest, &ready);
        if (ready != 0)
            break;
        assert_true(next > fake_now);
        fake_now = next;
        assert_true(fake_now - died < 10 * SEC);
    }
    assert_true(ready & interest);
    assert_true(fake_now - died < 10 * SEC);
    expect_dead(f);
    world_stop(&w);
}

static void
a_destroyed_domain_is_noticed_within_ten_seconds(void **state)
{
    (void)state;
    for (uint64_t after = SEC / 2; after < 40 * SEC; after += SEC) {
        silent_death(0, FLOW_READY_READ, after);
        silent_death(1, FLOW_READY_READ, after);
        silent_death(1, FLOW_READY_WRITE, after);
        silent_death(0, FLOW_READY_READ | FLOW_READY_WRITE, after);
    }
}

static void
bytes_of_a_peer_that_disappeared_are_read_first(void **state)
{
    struct world w;
    uint32_t ready;
    char buf[8];
    size_t n;

    (void)state;
    start(&w, VCHAN_FAKE_SILENT, NULL);
    world_connect(&w);
    assert_int_equal(look(w.flow[0], FLOW_READY_READ, &ready), fake_now + SEC);
    assert_int_equal(flow_write(w.flow[1], "will", 4, &n), FLOW_OK);
    flow__vchan_fake_kill(w.client);
    fake_now += 5 * SEC;
    assert_int_equal(flow_read(w.flow[0], buf, 8, &n), FLOW_OK);
    assert_int_equal(n, 4);
    look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, 0);
    fake_now += SEC;
    look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, FLOW_READY_READ);
    expect_dead(w.flow[0]);
    world_stop(&w);
}

/* Half a second passes, and a waiting thread looks at its deadline. */
static bool
half_a_second(struct flow *f, uint32_t interest, uint64_t *due)
{
    uint32_t ready = 0;

    fake_now += SEC / 2;
    if (fake_now >= *due)
        *due = look(f, interest, &ready);
    return ready != 0;
}

/* Room in the ring does not show that the peer exists, and neither do bytes
 * that it left: a thread that waits for the other direction notices its end
 * as soon. */
static void
our_own_bytes_do_not_show_that_the_peer_exists(void **state)
{
    static const char zeros[32768];
    struct world w;
    uint64_t due;
    uint64_t died;
    uint32_t ready;
    char c;
    size_t n;

    (void)state;
    for (unsigned reads = 0; reads < 2; reads++) {
        uint32_t interest = reads ? FLOW_READY_WRITE : FLOW_READY_READ;

        start(&w, VCHAN_FAKE_SILENT, NULL);
        world_connect(&w);
        if (reads) {
            assert_int_equal(flow_write(w.flow[1], zeros, 1000, &n), FLOW_OK);
            assert_int_equal(flow_write(w.flow[0], zeros, sizeof(zeros), &n),
                             FLOW_OK);
        }
        due = look(w.flow[0], interest, &ready);
        assert_int_equal(ready, 0);
        flow__vchan_fake_kill(w.client);
        died = fake_now;
        do {
            assert_true(fake_now - died < 10 * SEC);
            assert_int_equal(reads ? flow_read(w.flow[0], &c, 1, &n)
                                   : flow_write(w.flow[0], "x", 1, &n),
                             FLOW_OK);
        } while (!half_a_second(w.flow[0], interest, &due));
        world_stop(&w);
    }
}

static void
a_live_peer_is_asked_about_less_and_less(void **state)
{
    static const uint64_t pause[] = { 1, 2, 4, 8, 8, 8 };
    struct world w;
    uint32_t ready;
    size_t n;
    char c;

    (void)state;
    start(&w, 0, NULL);
    world_connect(&w);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 6; i++) {
            uint64_t next = look(w.flow[0], FLOW_READY_READ, &ready);

            assert_int_equal(ready, 0);
            assert_int_equal(next - fake_now, pause[i] * SEC);
            fake_now = next;
        }
        /* Bytes that the peer moves show that it exists. */
        assert_int_equal(flow_write(w.flow[1], "x", 1, &n), FLOW_OK);
        assert_int_equal(flow_read(w.flow[0], &c, 1, &n), FLOW_OK);
    }
    world_stop(&w);
}

/*
 * The server's hypervisor, without channel states: instead the store says which
 * domain it has released, and a watch fires.
 */
struct vchan_watch {
    int pipe[2];
};

static struct vchan_event_ops blind_events;
static struct vchan_store_ops telling_store;
static struct vchan_watch the_watch;
static unsigned watches;
static bool refuse_watch;
static unsigned asked;
static int let_go; /* domain, or -1 */

static enum vchan_channel_state
no_state(struct vchan_channel *channel)
{
    (void)channel;
    return VCHAN_CHANNEL_UNKNOWN;
}

static bool
is_released(struct vchan_hyp *hyp, uint16_t domid)
{
    (void)hyp;
    asked++;
    return domid == let_go;
}

static enum flow_status
watch_open(struct vchan_hyp *hyp, struct vchan_watch **ret_watch,
           struct flow_error *err)
{
    (void)hyp;
    if (refuse_watch)
        return flow_error_set(err, FLOW_E_SYS, "vchan", FLOW_DOMAIN_NONE, 0,
                              "the store refuses");
    assert_int_equal(pipe(the_watch.pipe), 0);
    watches++;
    *ret_watch = &the_watch;
    return FLOW_OK;
}

static void
watch_wait(const struct vchan_watch *d, struct flow_wait_set *set)
{
    flow_wait_add_fd(set, d->pipe[0], FLOW_WAIT_IN);
}

static bool
watch_drain(struct vchan_watch *d)
{
    struct pollfd p = { .fd = d->pipe[0], .events = POLLIN };
    char byte;

    return poll(&p, 1, 0) == 1 && read(d->pipe[0], &byte, 1) == 1;
}

static void
watch_close(struct vchan_watch *d)
{
    close(d->pipe[0]);
    close(d->pipe[1]);
    watches--;
}

static void
blind(struct vchan_hyp *hyp)
{
    blind_events = *hyp->events;
    blind_events.state = no_state;
    hyp->events = &blind_events;
    telling_store = *hyp->store;
    telling_store.released = is_released;
    telling_store.watch_domains = watch_open;
    telling_store.watch_wait = watch_wait;
    telling_store.watch_drain = watch_drain;
    telling_store.watch_close = watch_close;
    hyp->store = &telling_store;
    refuse_watch = false;
    let_go = -1;
    asked = 0;
}

static void
without_channel_states_the_store_is_asked(void **state)
{
    struct world w;
    uint64_t next;
    uint32_t ready;

    (void)state;
    start(&w, VCHAN_FAKE_SILENT, NULL);
    world_connect(&w);
    blind(w.server);
    next = look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(next, fake_now + SEC);
    assert_int_equal(asked, 0);
    fake_now = next;
    next = look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, 0);
    assert_int_equal(asked, 1);
    assert_int_equal(next, fake_now + 2 * SEC);
    let_go = 2;
    fake_now = next;
    look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, FLOW_READY_READ);
    expect_dead(w.flow[0]);
    assert_int_equal(watches, 0);
    world_stop(&w);
}

/* The watch fires long before the deadline. */
static void
a_watch_reports_at_once(void **state)
{
    const struct flow_vchan_options opt = { .watch_domains = true };
    struct world w;
    uint32_t ready;

    (void)state;
    start(&w, VCHAN_FAKE_SILENT, &opt);
    blind(w.server);
    world_connect(&w);
    assert_int_equal(watches, 1);
    look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, 0);

    /* Another domain was destroyed: the thread looks, and sleeps again. */
    let_go = 7;
    assert_int_equal(write(the_watch.pipe[1], "x", 1), 1);
    look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, 0);
    assert_int_equal(asked, 1);

    let_go = 2;
    assert_int_equal(write(the_watch.pipe[1], "x", 1), 1);
    assert_int_equal(flow_wait(w.flow[0], FLOW_READY_READ, &ready), FLOW_OK);
    assert_int_equal(ready, FLOW_READY_READ);
    assert_int_equal(asked, 2);
    expect_dead(w.flow[0]);
    world_stop(&w);
    assert_int_equal(watches, 0);
}

/* Events without end neither hide the watch nor keep a thread awake after it
 * fired. */
static void
a_watch_reports_in_an_event_storm(void **state)
{
    const struct flow_vchan_options opt = { .watch_domains = true };
    const struct vchan_conn *peer;
    struct world w;
    uint32_t ready;

    (void)state;
    start(&w, VCHAN_FAKE_SILENT, &opt);
    blind(w.server);
    world_connect(&w);
    peer = &((struct vchan *)w.flow[1])->conn;
    look(w.flow[0], FLOW_READY_READ, &ready);

    let_go = 7;
    assert_int_equal(write(the_watch.pipe[1], "x", 1), 1);
    peer->hyp->events->notify(peer->channel);
    look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, 0);
    assert_int_equal(asked, 1);
    assert_false(watch_drain(&the_watch));

    let_go = 2;
    assert_int_equal(write(the_watch.pipe[1], "x", 1), 1);
    peer->hyp->events->notify(peer->channel);
    look(w.flow[0], FLOW_READY_READ, &ready);
    assert_int_equal(ready, FLOW_READY_READ);
    expect_dead(w.flow[0]);
    world_stop(&w);
}

static void
a_watch_wakes_a_thread_that_sleeps_already(void **state)
{
    const struct flow_vchan_options opt = { .watch_domains = true };
    struct flow_wait_set set;
    struct world w;

    (void)state;
    start(&w, VCHAN_FAKE_SILENT, &opt);
    blind(w.server);
    world_connect(&w);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(w.flow[0], FLOW_READY_READ, &set), 0);
    let_go = 2;
    assert_int_equal(write(the_watch.pipe[1], "x", 1), 1);
    /* Returns because of the descriptor: this clock stands still. */
    assert_int_equal(w.env.wait(w.env.ctx, &set, FLOW_NEVER), FLOW_OK);
    assert_int_not_equal(flow_wait_sources(w.flow[0], FLOW_READY_READ, &set),
                         0);
    world_stop(&w);
}

static void
a_watch_that_is_refused_is_an_error_of_both_sides(void **state)
{
    const struct flow_vchan_options opt = { .watch_domains = true };
    struct flow_error err;
    struct world w;
    struct flow *f;

    (void)state;
    start(&w, 0, &opt);
    blind(w.server);
    refuse_watch = true;
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.client), 1,
                                            "x", NULL, &w.flow[1], NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(w.flow[1]), FLOW_OK);
    assert_int_equal(flow_accept(w.listener, &f), FLOW_E_SYS);
    flow_listener_get_error(w.listener, &err);
    assert_string_equal(err.text, "the store refuses");
    expect_dead(w.flow[1]);
    flow_close(w.flow[1]);

    blind(w.client);
    refuse_watch = true;
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.client), 1,
                                            "x", &opt, &w.flow[1], NULL),
                     FLOW_OK);
    while (flow_accept(w.listener, &f) != FLOW_AGAIN)
        fake_now += SEC;
    assert_int_equal(flow_open(w.flow[1]), FLOW_E_SYS);
    flow_get_error(w.flow[1], FLOW_READ, &err);
    assert_string_equal(err.text, "the store refuses");
    w.flow[0] = NULL;
    world_stop(&w);
}

/* A client in a process of its own, which says when it is attached. */
static pid_t
start_client(const char *dir, const char *last_words)
{
    int pipe_fd[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct flow *f;
        size_t n;

        close(pipe_fd[0]);
        if (flow_vchan_fake_connect(NULL, dir, NULL, &f, NULL) != FLOW_OK ||
            flow_open_wait(f) != FLOW_OK ||
            flow_write_all(f, last_words, strlen(last_words), &n) != FLOW_OK ||
            write(pipe_fd[1], "!", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(pipe_fd[1]);
    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
    close(pipe_fd[0]);
    return pid;
}

static void
a_killed_process_is_noticed_at_once(void **state)
{
    struct flow_listener *l;
    struct flow *f;
    char dir[SCRATCH_MAX];
    uint32_t pinned;
    uint32_t ready;
    char buf[8];
    size_t len = sizeof(pinned);
    size_t n;
    pid_t pid;

    (void)state;
    scratch_dir(dir);
    assert_int_equal(flow_vchan_fake_listen(NULL, dir, NULL, &l, NULL),
                     FLOW_OK);
    pid = start_client(dir, "bye");
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    assert_int_equal(flow_read_exact(f, buf, 3, &n), FLOW_OK);
    assert_memory_equal(buf, "bye", 3);
    assert_int_equal(kill(pid, SIGKILL), 0);

    /* An event reports it: the deadline is a second away. */
    flow_set_deadline(f, FLOW_READ,
                      flow_env_default()->now(flow_env_default()->ctx) +
                          SEC / 2);
    assert_int_equal(flow_wait(f, FLOW_READY_READ, &ready), FLOW_OK);
    expect_dead(f);
    waitpid(pid, NULL, 0);

    /* Its mappings have ended with it. */
    flow_close(f);
    assert_int_equal(
        flow_listener_query(l, FLOW_QUERY_PINNED_PAGES, &pinned, &len),
        FLOW_OK);
    assert_int_equal(pinned, 0);
    flow_listener_close(l);
    assert_int_not_equal(access(dir, F_OK), 0);
}

/* A child closes inherited objects, and the process that made them notices
 * nothing. */
static void
a_child_closes_what_it_inherited(void **state)
{
    struct flow *dials;
    struct world w;
    int status;
    char byte;
    size_t n;
    pid_t pid;

    (void)state;
    start(&w, 0, NULL);
    world_connect(&w);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.client), 1,
                                            "absent", NULL, &dials, NULL),
                     FLOW_OK);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (flow_write(w.flow[0], "x", 1, &n) != FLOW_E_INVAL ||
            flow_read(w.flow[1], &byte, 1, &n) != FLOW_E_INVAL ||
            flow_accept(w.listener, &dials) != FLOW_E_INVAL)
            _exit(1);
        flow_close(dials);
        world_leave(&w);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(flow_write(w.flow[0], "x", 1, &n), FLOW_OK);
    assert_int_equal(flow_read(w.flow[1], &byte, 1, &n), FLOW_OK);
    assert_int_equal(flow_read(w.flow[1], &byte, 1, &n), FLOW_AGAIN);
    flow_close(dials);
    flow_close(w.flow[0]);
    flow_close(w.flow[1]);
    world_connect(&w);
    world_stop(&w);
}

static void
a_server_that_died_leaves_keys_that_no_client_can_use(void **state)
{
    struct flow_error err;
    struct world w;
    struct flow *f;

    (void)state;
    start(&w, 0, NULL);
    flow__vchan_fake_kill(w.server);
    assert_int_equal(flow__vchan_connect_on(
                         flow__vchan_hyp_ref(w.client), 1, "x",
                         &(struct flow_vchan_options){ .timeout = 5 * SEC }, &f,
                         NULL),
                     FLOW_OK);
    while (fake_now < 1006 * SEC) {
        uint64_t next;
        uint32_t ready;

        if (flow_open(f) != FLOW_AGAIN)
            break;
        next = look(f, FLOW_READY_OPEN, &ready);
        assert_true(next > fake_now);
        fake_now = next;
    }
    assert_int_equal(fake_now, 1005 * SEC);
    assert_int_equal(flow_open(f), FLOW_E_TIMEOUT);
    flow_get_error(f, FLOW_READ, &err);
    assert_string_equal(err.text, "the server's keys are in the store, but "
                                  "its vchan is closed or in use");
    flow_close(f);
    w.flow[0] = w.flow[1] = NULL;
    world_stop(&w);
}

/* A watch of the keys, of the same kind. */
static enum flow_status
watch_keys(struct vchan_hyp *hyp, const char *base,
           struct vchan_watch **ret_watch, struct flow_error *err)
{
    (void)base;
    return watch_open(hyp, ret_watch, err);
}

static void
keys_of_a_dead_server_do_not_spin_a_client(void **state)
{
    struct flow_wait_set set;
    struct world w;

    (void)state;
    start(&w, 0, NULL);
    flow__vchan_fake_kill(w.server);
    blind(w.client);
    telling_store.watch_keys = watch_keys;
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.client), 1,
                                            "x", NULL, &w.flow[1], NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(w.flow[1]), FLOW_AGAIN);
    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(w.flow[1], FLOW_READY_OPEN, &set), 0);
    for (size_t i = 0; i < set.count; i++)
        assert_int_not_equal(set.source[i].kind, FLOW_WAIT_FD);
    assert_true(set.deadline > fake_now && set.deadline < fake_now + SEC);
    w.flow[0] = NULL;
    world_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_destroyed_domain_is_noticed_within_ten_seconds),
        cmocka_unit_test(bytes_of_a_peer_that_disappeared_are_read_first),
        cmocka_unit_test(our_own_bytes_do_not_show_that_the_peer_exists),
        cmocka_unit_test(a_live_peer_is_asked_about_less_and_less),
        cmocka_unit_test(without_channel_states_the_store_is_asked),
        cmocka_unit_test(a_watch_reports_at_once),
        cmocka_unit_test(a_watch_reports_in_an_event_storm),
        cmocka_unit_test(a_watch_wakes_a_thread_that_sleeps_already),
        cmocka_unit_test(a_watch_that_is_refused_is_an_error_of_both_sides),
        cmocka_unit_test(a_killed_process_is_noticed_at_once),
        cmocka_unit_test(a_child_closes_what_it_inherited),
        cmocka_unit_test(a_server_that_died_leaves_keys_that_no_client_can_use),
        cmocka_unit_test(keys_of_a_dead_server_do_not_spin_a_client),
    };

    return cmocka_run_group_tests_name("vchan: disconnect", tests, NULL, NULL);
}
