/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/plat.h"
#include "lib/plat/posix/waker.h"

/* Events taken from the kernel at a time. */
#define BATCH 64

struct flow__pollset {
    const struct flow_env *env;
    int epoll_fd;
    struct flow__fd_waker waker; /* registered with a user of NULL */
};

static enum flow_status
status_of(int code)
{
    switch (code) {
    case EPERM: /* A file: always ready, never polled. */
        return FLOW_E_NOTSUP;
    case ENOMEM:
    case ENOSPC:
        return FLOW_E_NOMEM;
    default:
        return FLOW_E_SYS;
    }
}

enum flow_status
flow__pollset_set(struct flow__pollset *set, int fd, uint32_t before,
                  uint32_t events, void *user)
{
    struct epoll_event ev = { .data.ptr = user };
    int rc;

    if (events == 0) {
        /* Gone already when the descriptor was closed. */
        epoll_ctl(set->epoll_fd, EPOLL_CTL_DEL, fd, &ev);
        return FLOW_OK;
    }
    if (events & FLOW_WAIT_IN)
        ev.events |= EPOLLIN;
    if (events & FLOW_WAIT_OUT)
        ev.events |= EPOLLOUT;
    rc = epoll_ctl(set->epoll_fd, before != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
                   fd, &ev);
    /* A number that was closed and given out again is not what it was. */
    if (rc != 0 && before != 0 && errno == ENOENT)
        rc = epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
    else if (rc != 0 && before == 0 && errno == EEXIST)
        rc = epoll_ctl(set->epoll_fd, EPOLL_CTL_MOD, fd, &ev);
    return rc == 0 ? FLOW_OK : status_of(errno);
}

enum flow_status
flow__pollset_new(const struct flow_env *env, struct flow__pollset **ret_set)
{
    struct flow__pollset *set = flow_env_alloc(env, sizeof(*set));

    if (set == NULL)
        return FLOW_E_NOMEM;
    set->env = env;
    set->waker.read_fd = -1;
    set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->epoll_fd < 0 || !flow__fd_waker_init(&set->waker) ||
        flow__pollset_set(set, set->waker.read_fd, 0, FLOW_WAIT_IN, NULL) !=
            FLOW_OK) {
        flow__pollset_free(set);
        return FLOW_E_SYS;
    }
    *ret_set = set;
    return FLOW_OK;
}

void
flow__pollset_free(struct flow__pollset *set)
{
    if (set == NULL)
        return;
    flow__fd_waker_fini(&set->waker);
    if (set->epoll_fd >= 0)
        close(set->epoll_fd);
    flow_env_free(set->env, set, sizeof(*set));
}

static uint32_t
events_of(uint32_t events)
{
    uint32_t mine = 0;

    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        mine |= FLOW_WAIT_IN;
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        mine |= FLOW_WAIT_OUT;
    return mine;
}

enum flow_status
flow__pollset_wait(struct flow__pollset *set, struct flow__pollset_event *ev,
                   size_t cap, uint64_t deadline, size_t *ret_count)
{
    struct epoll_event raw[BATCH];
    int most = cap < BATCH ? (int)cap : BATCH;
    int n, i;

    *ret_count = 0;
    n = epoll_wait(set->epoll_fd, raw, most, flow__poll_timeout(deadline));
    if (n < 0)
        return errno == EINTR ? FLOW_OK : FLOW_E_SYS;
    for (i = 0; i < n; i++) {
        if (raw[i].data.ptr == NULL) {
            flow__fd_waker_drain(&set->waker);
            continue;
        }
        ev[*ret_count].user = raw[i].data.ptr;
        ev[*ret_count].events = events_of(raw[i].events);
        ++*ret_count;
    }
    return FLOW_OK;
}

struct flow_waker *
flow__pollset_waker(struct flow__pollset *set)
{
    return &set->waker.base;
}

int
flow__pollset_fd(const struct flow__pollset *set)
{
    return set->epoll_fd;
}
