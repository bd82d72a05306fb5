/* SPDX-License-Identifier: ISC */
#include <flow/wait.h>

#include "unit.h"

struct counter {
    struct flow_waker base;
    unsigned wakes;
};

static void
count_wake(struct flow_waker *self)
{
    ((struct counter *)(void *)self)->wakes++;
}

static void
signal_before_arm_is_seen(void **state)
{
    struct counter c = { { count_wake }, 0 };
    struct flow_event_node node;
    struct flow_event ev;
    uint32_t seen;

    (void)state;
    flow_event_init(&ev);
    seen = flow_event_sequence(&ev);
    flow_event_signal(&ev);
    assert_false(flow_event_arm(&ev, &node, &c.base, seen));
    assert_int_equal(c.wakes, 0);
    flow_event_disarm(&node);
}

static void
signal_after_arm_wakes_each_sleeper(void **state)
{
    struct counter c[3] = { { { count_wake }, 0 },
                            { { count_wake }, 0 },
                            { { count_wake }, 0 } };
    struct flow_event_node node[3];
    struct flow_event ev;
    size_t i;

    (void)state;
    flow_event_init(&ev);
    for (i = 0; i < 3; i++)
        assert_true(flow_event_arm(&ev, &node[i], &c[i].base,
                                   flow_event_sequence(&ev)));
    flow_event_signal(&ev);
    /* If the one in the middle of the list leaves, the others stay. */
    flow_event_disarm(&node[1]);
    flow_event_signal(&ev);
    assert_int_equal(c[0].wakes, 2);
    assert_int_equal(c[1].wakes, 1);
    assert_int_equal(c[2].wakes, 2);
    flow_event_disarm(&node[2]);
    flow_event_disarm(&node[0]);
    flow_event_signal(&ev);
    assert_int_equal(c[0].wakes + c[1].wakes + c[2].wakes, 5);
    assert_null(ev.head);
}

static void
event_sequence_wraps(void **state)
{
    struct counter c = { { count_wake }, 0 };
    struct flow_event_node node;
    struct flow_event ev;

    (void)state;
    flow_event_init(&ev);
    ev.sequence = UINT32_MAX;
    flow_event_signal(&ev);
    assert_int_equal(flow_event_sequence(&ev), 0);
    assert_true(flow_event_arm(&ev, &node, &c.base, 0));
    flow_event_disarm(&node);
}

static void
ending_an_event_wakes_and_removes_its_waiters(void **state)
{
    struct counter c = { { count_wake }, 0 };
    struct flow_event_node node[2];
    struct flow_event ev;

    (void)state;
    flow_event_init(&ev);
    flow_event_arm(&ev, &node[0], &c.base, 0);
    flow_event_arm(&ev, &node[1], &c.base, 0);
    flow_event_fini(&ev);
    assert_int_equal(c.wakes, 2);
    ev.head = (void *)1; /* Its memory is not touched any more. */
    flow_event_disarm(&node[0]);
    flow_event_disarm(&node[1]);
}

static void
wait_set_merges_one_descriptor(void **state)
{
    struct flow_wait_set set;

    (void)state;
    flow_wait_set_init(&set);
    flow_wait_add_fd(&set, 3, FLOW_WAIT_IN);
    flow_wait_add_fd(&set, 4, FLOW_WAIT_OUT);
    flow_wait_add_fd(&set, 3, FLOW_WAIT_OUT);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.source[0].events, FLOW_WAIT_IN | FLOW_WAIT_OUT);
    assert_int_equal(set.source[1].events, FLOW_WAIT_OUT);
    assert_int_equal(set.deadline, FLOW_NEVER);
}

static void
full_wait_set_does_not_sleep(void **state)
{
    struct flow_wait_set set;
    struct flow_event ev;
    int fd;

    (void)state;
    flow_event_init(&ev);
    flow_wait_set_init(&set);
    for (fd = 0; fd < FLOW_WAIT_SOURCES; fd++)
        flow_wait_add_fd(&set, fd, FLOW_WAIT_IN);
    assert_int_equal(set.deadline, FLOW_NEVER);
    flow_wait_add_event(&set, &ev, 0);
    assert_int_equal(set.count, FLOW_WAIT_SOURCES);
    assert_int_equal(set.deadline, FLOW_NOW);
}

static void
earliest_time_wins(void **state)
{
    struct flow_wait_set set;

    (void)state;
    flow_wait_set_init(&set);
    flow_wait_add_time(&set, FLOW_NEVER);
    assert_int_equal(set.deadline, FLOW_NEVER);
    flow_wait_add_time(&set, 500);
    flow_wait_add_time(&set, FLOW_NEVER);
    flow_wait_add_time(&set, 700);
    assert_int_equal(set.deadline, 500);
    flow_wait_add_time(&set, FLOW_NOW);
    assert_int_equal(set.deadline, FLOW_NOW);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signal_before_arm_is_seen),
        cmocka_unit_test(signal_after_arm_wakes_each_sleeper),
        cmocka_unit_test(event_sequence_wraps),
        cmocka_unit_test(ending_an_event_wakes_and_removes_its_waiters),
        cmocka_unit_test(wait_set_merges_one_descriptor),
        cmocka_unit_test(full_wait_set_does_not_sleep),
        cmocka_unit_test(earliest_time_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
