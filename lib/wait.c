/* SPDX-License-Identifier: ISC */
#include <flow/wait.h>

#include "lib/plat.h"

/*
 * A list of what one sleep waits for, filled by the wait operations of a stack.
 *
 * Invariants: a descriptor is in the list once, with the events of all flows
 * that wait for it.  If a source does not fit, the deadline becomes FLOW_NOW:
 * the sleeper looks again at once instead of missing a wake.
 *
 * Threads: a wait set is on the stack of the thread that asks; no lock.
 */

/* See <flow/wait.h>. */
uint64_t
flow_time_after(uint64_t now, uint64_t nsec)
{
    uint64_t sum = now + nsec;

    if (sum < now)
        return UINT64_MAX;
    return sum <= FLOW_NOW ? FLOW_NOW + 1 : sum;
}

/* See <flow/wait.h>. */
void
flow_wait_set_init(struct flow_wait_set *set)
{
    set->count = 0;
    set->deadline = FLOW_NEVER;
    set->fd_ready = NULL;
    set->ctx = NULL;
    set->depth = 0;
}

/* See <flow/wait.h>. */
uint32_t
flow_wait_fd_ready(const struct flow_wait_set *set, int fd, uint32_t events)
{
    if (set != NULL && set->fd_ready != NULL)
        return set->fd_ready(set->ctx, fd, events);
    return flow__plat_fd_ready(fd, events);
}

/* The next free source.  NULL: the list is full, and the caller must not sleep,
 * since a source that is not in the list would not wake it. */
static struct flow_wait_source *
wait_new_source(struct flow_wait_set *set)
{
    struct flow_wait_source *source;

    if (set->count == FLOW_WAIT_SOURCES) {
        set->deadline = FLOW_NOW;
        return NULL;
    }
    source = &set->source[set->count++];
    *source = (struct flow_wait_source){ .fd = -1 };
    return source;
}

/* See <flow/wait.h>. */
void
flow_wait_add_fd(struct flow_wait_set *set, int fd, uint32_t events)
{
    struct flow_wait_source *source;
    size_t i;

    for (i = 0; i < set->count; i++) {
        source = &set->source[i];
        if (source->kind == FLOW_WAIT_FD && source->fd == fd) {
            source->events |= events;
            return;
        }
    }
    source = wait_new_source(set);
    if (source == NULL)
        return;
    source->kind = FLOW_WAIT_FD;
    source->fd = fd;
    source->events = events;
}

/* See <flow/wait.h>. */
void
flow_wait_add_event(struct flow_wait_set *set, struct flow_event *ev,
                    uint32_t sequence)
{
    struct flow_wait_source *source;

    source = wait_new_source(set);
    if (source == NULL)
        return;
    source->kind = FLOW_WAIT_EVENT;
    source->event = ev;
    source->sequence = sequence;
}

/* See <flow/wait.h>. */
void
flow_wait_add_time(struct flow_wait_set *set, uint64_t nsec)
{
    set->deadline = flow_deadline_min(set->deadline, nsec);
}
