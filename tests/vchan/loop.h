/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_LOOP_H
#define TESTS_VCHAN_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/flow.h>
#include <flow/listener.h>

/* A foreign event loop: a descriptor stays registered until its file is
 * closed. */
static inline int
loop_new(void)
{
    int loop = epoll_create1(EPOLL_CLOEXEC);

    assert_true(loop >= 0);
    return loop;
}

static inline void
loop_add(int loop, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };

    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
}

static inline bool
loop_fires(int loop)
{
    struct epoll_event event;

    return epoll_wait(loop, &event, 1, 0) == 1;
}

/* The one descriptor among the sources of a flow without input. */
static inline int
loop_fd_of_flow(struct flow *f)
{
    struct flow_wait_set set;
    size_t len = sizeof(int);
    int fd;

    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(f, FLOW_READY_READ, &set), 0);
    assert_int_equal(set.source[0].kind, FLOW_WAIT_FD);
    assert_int_equal(flow_query(f, FLOW_QUERY_FD, &fd, &len), FLOW_OK);
    assert_int_equal(set.source[0].fd, fd);
    return fd;
}

/* The same for a listener without a client. */
static inline int
loop_fd_of_listener(struct flow_listener *l)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(l, &set));
    assert_int_equal(set.source[0].kind, FLOW_WAIT_FD);
    return set.source[0].fd;
}

#endif
