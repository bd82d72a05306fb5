/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* Tests use the pipe on systems that have an eventfd. */
#if defined(__linux__) && !defined(FLOW__WAKER_IS_PIPE)
#define WAKER_HAS_EVENTFD 1
#include <sys/eventfd.h>
#else
#define WAKER_HAS_EVENTFD 0
#endif

#include "lib/atomic.h"
#include "lib/plat.h"
#include "lib/plat/posix/waker.h"

bool
flow__fd_waker_is_inherited(const struct flow__fd_waker *waker)
{
    return waker->process != flow_process();
}

/* Async-signal-safe. */
static void
waker_wake(struct flow_waker *self)
{
    struct flow__fd_waker *waker = (struct flow__fd_waker *)(void *)self;
    const uint64_t one = 1;
    int saved = errno;
    ssize_t n;

    if (!flow__fd_waker_is_inherited(waker) &&
        flow__swap(&waker->pending, 1) == 0) {
        /* It cannot be full: it was read empty, and nothing else writes to
         * it. */
        n = write(waker->write_fd, &one, sizeof(one));
        (void)n;
    }
    errno = saved;
}

#if WAKER_HAS_EVENTFD
static bool
waker_open_fds(struct flow__fd_waker *waker)
{
    waker->read_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    waker->write_fd = waker->read_fd;
    return waker->read_fd >= 0;
}
#else
static bool
waker_open_fds(struct flow__fd_waker *waker)
{
    int fd[2];
    int i;

    if (pipe(fd) != 0)
        return false;
    for (i = 0; i < 2; i++) {
        fcntl(fd[i], F_SETFD, FD_CLOEXEC);
        fcntl(fd[i], F_SETFL, O_NONBLOCK);
    }
    waker->read_fd = fd[0];
    waker->write_fd = fd[1];
    return true;
}
#endif

bool
flow__fd_waker_init(struct flow__fd_waker *waker)
{
    waker->base.wake = waker_wake;
    waker->pending = 0;
    waker->process = flow_process();
    waker->read_fd = -1;
    waker->write_fd = -1;
    return waker_open_fds(waker);
}

void
flow__fd_waker_fini(struct flow__fd_waker *waker)
{
    if (waker->read_fd < 0)
        return;
    close(waker->read_fd);
    if (waker->write_fd != waker->read_fd)
        close(waker->write_fd);
    waker->read_fd = -1;
    waker->write_fd = -1;
}

void
flow__fd_waker_drain(struct flow__fd_waker *waker)
{
    uint64_t drained[8];
    ssize_t n;

    /* Read even if pending is not set: a waker may be between its two steps. */
    do
        n = read(waker->read_fd, drained, sizeof(drained));
    while (n == (ssize_t)sizeof(drained));
    flow__store(&waker->pending, 0);
}

int
flow__poll_timeout(uint64_t deadline)
{
    uint64_t now, msec;

    if (deadline == FLOW_NEVER)
        return -1;
    now = flow__plat_now();
    if (deadline <= now)
        return 0;
    msec = (deadline - now + 999999) / 1000000;
    return msec > INT_MAX ? INT_MAX : (int)msec;
}
