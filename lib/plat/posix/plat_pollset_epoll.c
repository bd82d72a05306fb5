/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/plat.h"
#include "lib/plat/posix/waker.h"

/*
 * A set of descriptors in the kernel, level-triggered, and that of the waker.
 *
 * Invariants: data holds a key of the caller, never a pointer, so that an event
 * for a registration that is gone can be told from a live one.  When the
 * waker's descriptor is reported it is read empty, before the caller looks for
 * the cause.  A report that does not fill the array (*ret_all) had all that was
 * ready.
 *
 * Threads: the owner's; only the waker is called from others.  No lock.
 */

/* Events taken from the kernel at a time. */
#define EPOLL_BATCH 128

/* The key of the waker. */
#define EPOLL_WAKER UINT64_MAX

/*
 * The kernel keeps a registration as long as the file is open in any process,
 * and removes it only by the number that the file had.  If that number was
 * closed and a copy of it is still open, only a new epoll set gets rid of the
 * registration.  So the set can be renewed, and callers get another descriptor:
 * shown_fd is an epoll set that contains epoll_fd and stays the same file.
 */
struct flow__pollset {
    const struct flow_env *env;
    int epoll_fd;
    int shown_fd; /* -1: it was not asked for */
    struct flow__fd_waker waker;
};

static enum flow_status
epoll_status(int code)
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
                  uint32_t events, uint64_t key)
{
    struct epoll_event ev = { .data.u64 = key };
    int rc;

    if (events == 0) {
        /* It fails when the descriptor was closed before. */
        epoll_ctl(set->epoll_fd, EPOLL_CTL_DEL, fd, &ev);
        return FLOW_OK;
    }
    if (events & FLOW_WAIT_IN)
        ev.events |= EPOLLIN;
    if (events & FLOW_WAIT_OUT)
        ev.events |= EPOLLOUT;
    rc = epoll_ctl(set->epoll_fd, before != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
                   fd, &ev);
    if (rc != 0 && before != 0 && errno == ENOENT)
        return FLOW_E_CLOSED;
    /* The set still has this number for a file that another descriptor holds
     * open. */
    if (rc != 0 && before == 0 && errno == EEXIST)
        rc = epoll_ctl(set->epoll_fd, EPOLL_CTL_MOD, fd, &ev);
    return rc == 0 ? FLOW_OK : epoll_status(errno);
}

/* An epoll set that watches one descriptor; -1: there is none to be had. */
static int
epoll_around(int fd, uint64_t key)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = key };
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (epoll_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        close(epoll_fd);
        return -1;
    }
    return epoll_fd;
}

enum flow_status
flow__pollset_new(const struct flow_env *env, struct flow__pollset **ret_set)
{
    struct flow__pollset *set = flow_env_alloc(env, sizeof(*set));

    if (set == NULL)
        return FLOW_E_NOMEM;
    set->env = env;
    set->waker.read_fd = -1;
    set->epoll_fd = -1;
    set->shown_fd = -1;
    if (flow__fd_waker_init(&set->waker))
        set->epoll_fd = epoll_around(set->waker.read_fd, EPOLL_WAKER);
    if (set->epoll_fd < 0) {
        flow__pollset_free(set);
        return FLOW_E_SYS;
    }
    *ret_set = set;
    return FLOW_OK;
}

enum flow_status
flow__pollset_renew(struct flow__pollset *set)
{
    struct epoll_event ev = { .events = EPOLLIN };
    int epoll_fd = epoll_around(set->waker.read_fd, EPOLL_WAKER);

    if (epoll_fd < 0)
        return FLOW_E_SYS;
    if (set->shown_fd >= 0 &&
        epoll_ctl(set->shown_fd, EPOLL_CTL_ADD, epoll_fd, &ev) != 0) {
        close(epoll_fd);
        return FLOW_E_SYS;
    }
    /* A child may have a copy of the old one, so closing does not suffice. */
    if (set->shown_fd >= 0)
        epoll_ctl(set->shown_fd, EPOLL_CTL_DEL, set->epoll_fd, &ev);
    close(set->epoll_fd);
    set->epoll_fd = epoll_fd;
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
    if (set->shown_fd >= 0)
        close(set->shown_fd);
    flow_env_free(set->env, set, sizeof(*set));
}

static uint32_t
epoll_events_of(uint32_t events)
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
                   size_t cap, uint64_t deadline, size_t *ret_count,
                   bool *ret_all)
{
    struct epoll_event raw[EPOLL_BATCH];
    int most = cap < EPOLL_BATCH ? (int)cap : EPOLL_BATCH;
    int n, i;

    *ret_count = 0;
    *ret_all = false;
    n = epoll_wait(set->epoll_fd, raw, most, flow__poll_timeout(deadline));
    if (n < 0)
        return errno == EINTR ? FLOW_OK : FLOW_E_SYS;
    *ret_all = n < most;
    for (i = 0; i < n; i++) {
        if (raw[i].data.u64 == EPOLL_WAKER) {
            flow__fd_waker_drain(&set->waker);
            continue;
        }
        ev[*ret_count].key = raw[i].data.u64;
        ev[*ret_count].events = epoll_events_of(raw[i].events);
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
flow__pollset_fd(struct flow__pollset *set)
{
    if (set->shown_fd < 0)
        set->shown_fd = epoll_around(set->epoll_fd, 0);
    return set->shown_fd;
}
