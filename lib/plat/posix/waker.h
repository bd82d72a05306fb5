/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_POSIX_WAKER_H
#define FLOW_LIB_PLAT_POSIX_WAKER_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/wait.h>

/*
 * A waker that makes a descriptor readable: an eventfd on Linux, a pipe
 * elsewhere.
 *
 * Invariant: pending is set before the descriptor is written to and cleared
 * after it was read empty, so that many wakes cost one write.
 *
 * A forked child shares the descriptors of wakers that it inherits, so a wake
 * there does nothing: it would end a sleep of the parent.
 */
struct flow__fd_waker {
    struct flow_waker base;
    int read_fd;
    int write_fd;
    uint32_t pending; /* atomic */
    uint32_t process; /* flow_process() of who made it */
};

/* false when there is no descriptor to be had, or, with errno set. */
bool flow__fd_waker_init(struct flow__fd_waker *waker);
void flow__fd_waker_fini(struct flow__fd_waker *waker);
/* Whether it is of a process that this one was forked from. */
bool flow__fd_waker_is_inherited(const struct flow__fd_waker *waker);

/* Forget the wakes so far, once read_fd is readable; what woke must be looked
 * at afterwards. */
void flow__fd_waker_drain(struct flow__fd_waker *waker);

/* Milliseconds for poll(2) until a deadline, rounded up; -1 for never. */
int flow__poll_timeout(uint64_t deadline);

#endif
