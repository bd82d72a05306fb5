/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_set.h"

#include <stddef.h>

#if defined(__linux__)

#include <sys/epoll.h>

int
flow__fake_set_new(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

int
flow__fake_set_put(int set, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };

    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

void
flow__fake_set_take(int set, int fd)
{
    struct epoll_event event = { .events = 0 };

    epoll_ctl(set, EPOLL_CTL_DEL, fd, &event);
}

#else

#include <sys/types.h>

#include <fcntl.h>
#include <sys/event.h>

int
flow__fake_set_new(void)
{
    int set = kqueue();

    if (set >= 0)
        fcntl(set, F_SETFD, FD_CLOEXEC);
    return set;
}

static int
set_change(int set, int fd, unsigned short flags)
{
    struct kevent event;

    EV_SET(&event, fd, EVFILT_READ, flags, 0, 0, NULL);
    return kevent(set, &event, 1, NULL, 0, NULL);
}

int
flow__fake_set_put(int set, int fd)
{
    return set_change(set, fd, EV_ADD);
}

void
flow__fake_set_take(int set, int fd)
{
    set_change(set, fd, EV_DELETE);
}

#endif
