/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <flow/pair.h>
#include <flow/poller.h>
#include <flow/unix.h>

#include "mock_flow.h"
#include "unit.h"

/*
 * Fairness: between two reports of a flow that stays ready, no other flow is
 * reported more than once.
 */

/* More than the poller takes from the system at once. */
#define TURNS_MOST 320u

struct turns {
    struct flow_poller *poller;
    struct flow *near_end[TURNS_MOST];
    struct flow *far_end[TURNS_MOST]; /* NULL: a flow that is always ready */
    bool is_quiet[TURNS_MOST];        /* has nothing to read most of the time */
    uint64_t last[TURNS_MOST];        /* time of its last report; 0: never */
    uint64_t before[TURNS_MOST];      /* time of the report before that */
    uint64_t clock;                   /* number of reports */
    size_t count;
};

static void
turns_watch(struct turns *t, struct flow *near_end, struct flow *far_end)
{
    size_t i = t->count++;

    t->near_end[i] = near_end;
    t->far_end[i] = far_end;
    assert_int_equal(
        flow_poller_add(t->poller, near_end, FLOW_READY_READ, &t->last[i]),
        FLOW_OK);
}

/* A socket: the poller learns of it from the system. */
static void
turns_add_socket(struct turns *t)
{
    struct flow *near_end, *far_end;
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(flow_fd_adopt(NULL, fd[0], fd[0], &near_end, NULL),
                     FLOW_OK);
    assert_int_equal(flow_fd_adopt(NULL, fd[1], fd[1], &far_end, NULL),
                     FLOW_OK);
    turns_watch(t, near_end, far_end);
}

/* Flows that are ready without an event of the system. */
static void
turns_add_pair(struct turns *t)
{
    struct flow *near_end, *far_end;

    assert_int_equal(flow_pair_new(NULL, 4096, NULL, &near_end, &far_end),
                     FLOW_OK);
    turns_watch(t, near_end, far_end);
}

static void
turns_start(struct turns *t)
{
    memset(t, 0, sizeof(*t));
    assert_int_equal(flow_poller_new(NULL, &t->poller), FLOW_OK);
}

static void
turns_end(struct turns *t)
{
    size_t i;

    for (i = 0; i < t->count; i++) {
        flow_close(t->near_end[i]);
        flow_close(t->far_end[i]);
    }
    flow_poller_free(t->poller);
}

/* Write as much as the flow accepts. */
static void
turns_flood(struct turns *t, size_t i)
{
    static const char junk[1024];
    size_t n;

    if (t->far_end[i] != NULL)
        while (flow_write(t->far_end[i], junk, sizeof(junk), &n) == FLOW_OK)
            continue;
}

static void
turns_check(const struct turns *t, size_t reported)
{
    size_t i;

    if (t->last[reported] == 0 || t->is_quiet[reported])
        return;
    for (i = 0; i < t->count; i++)
        if (i != reported && t->before[i] > t->last[reported])
            fail_msg("flow %zu came twice between two reports of flow %zu", i,
                     reported);
}

/* A handler that reads a part of what there is; a quiet flow is emptied. */
static void
turns_serve(struct turns *t, const struct flow_poller_event *ev)
{
    size_t i = (size_t)((uint64_t *)ev->user - t->last);
    char buf[256];
    size_t n;

    turns_check(t, i);
    t->before[i] = t->last[i];
    t->last[i] = ++t->clock;
    if (t->is_quiet[i]) {
        while (flow_read(ev->flow, buf, sizeof(buf), &n) == FLOW_OK)
            continue;
        return;
    }
    assert_int_equal(flow_read(ev->flow, buf, 1, &n), FLOW_OK);
}

static void
turns_serve_all(struct turns *t, size_t cap)
{
    const struct flow_poller_event *ev;
    size_t i, n;

    assert_int_equal(flow_poller_wait(t->poller, cap, FLOW_NOW, &ev, &n),
                     FLOW_OK);
    assert_in_range(n, 1, cap);
    for (i = 0; i < n; i++)
        turns_serve(t, &ev[i]);
}

/* Every third flow is quiet and receives bytes now and then. */
static void
turns_play(size_t flows, size_t cap)
{
    static struct turns t;
    size_t i, round, n;
    uint64_t rounds = 4 * flows / cap + 20;

    turns_start(&t);
    for (i = 0; i < flows; i++) {
        if (i % 4 == 3)
            turns_add_pair(&t);
        else
            turns_add_socket(&t);
        t.is_quiet[i] = i % 3 == 2;
        if (!t.is_quiet[i])
            turns_flood(&t, i);
    }
    srand((unsigned)(flows * 1000 + cap));
    for (round = 0; round < rounds; round++) {
        i = (size_t)rand() % flows;
        if (t.is_quiet[i])
            (void)!flow_write(t.far_end[i], "hello", 5, &n);
        turns_serve_all(&t, cap);
    }
    for (i = 0; i < flows; i++)
        assert_true(t.is_quiet[i] || t.before[i] != 0);
    turns_end(&t);
}

static void
no_flow_is_reported_twice_before_the_others(void **state)
{
    static const size_t flows[] = { 5, 40, 129, TURNS_MOST };
    static const size_t cap[] = { 1, 2, 3, 64, 1000 };
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(flows); i++)
        for (k = 0; k < COUNT(cap); k++)
            turns_play(flows[i], cap[k]);
}

/* The handler of one flow writes to the others, as a proxy does. */
static void
used_flows_keep_their_place_in_the_order(void **state)
{
    static struct turns t;
    const struct flow_poller_event *ev;
    size_t i, round, n;

    (void)state;
    turns_start(&t);
    for (i = 0; i < 5; i++) {
        turns_add_socket(&t);
        turns_flood(&t, i);
    }
    for (round = 0; round < 100; round++) {
        assert_int_equal(flow_poller_wait(t.poller, 1, FLOW_NOW, &ev, &n),
                         FLOW_OK);
        turns_serve(&t, &ev[0]);
        for (i = 0; i < t.count; i++)
            assert_int_equal(flow_write(t.near_end[i], "x", 1, &n), FLOW_OK);
    }
    for (i = 0; i < t.count; i++)
        assert_true(t.before[i] != 0);
    turns_end(&t);
}

/* All flows that the list has room for are ready all the time.  If another one
 * becomes ready, it is in the next list. */
static void
system_is_polled_in_every_call(void **state)
{
    static struct turns t;
    const struct flow_poller_event *ev;
    size_t i, n, cap;

    (void)state;
    for (cap = 1; cap <= 64; cap += 21) {
        turns_start(&t);
        for (i = 0; i < cap; i++) {
            turns_add_socket(&t);
            turns_flood(&t, i);
        }
        turns_add_socket(&t);
        t.is_quiet[cap] = true;
        for (i = 0; i < 10; i++)
            turns_serve_all(&t, cap);
        assert_int_equal(t.last[cap], 0);
        assert_int_equal(flow_write(t.far_end[cap], "x", 1, &n), FLOW_OK);
        assert_int_equal(flow_poller_wait(t.poller, cap, FLOW_NOW, &ev, &n),
                         FLOW_OK);
        assert_ptr_equal(ev[0].flow, t.near_end[cap]);
        turns_end(&t);
    }
}

/* Another process may read what the system reported. */
static void
system_event_counts_for_one_report(void **state)
{
    static struct turns t;
    const struct flow_poller_event *ev;
    size_t n, len = sizeof(int);
    char buf[8];
    int fd;

    (void)state;
    turns_start(&t);
    turns_add_socket(&t);
    assert_int_equal(flow_query(t.near_end[0], FLOW_QUERY_FD, &fd, &len),
                     FLOW_OK);
    assert_int_equal(flow_write(t.far_end[0], "ab", 2, &n), FLOW_OK);
    /* It was not read: it is reported again. */
    assert_int_equal(flow_poller_wait(t.poller, 4, FLOW_NOW, &ev, &n), FLOW_OK);
    assert_int_equal(flow_poller_wait(t.poller, 4, FLOW_NOW, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_int_equal(recv(fd, buf, sizeof(buf), 0), 2);
    assert_int_equal(flow_poller_wait(t.poller, 4, FLOW_NOW, &ev, &n),
                     FLOW_E_TIMEOUT);
    turns_end(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_flow_is_reported_twice_before_the_others),
        cmocka_unit_test(used_flows_keep_their_place_in_the_order),
        cmocka_unit_test(system_is_polled_in_every_call),
        cmocka_unit_test(system_event_counts_for_one_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
