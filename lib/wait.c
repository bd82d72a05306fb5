/* SPDX-License-Identifier: ISC */
#include <flow/wait.h>

#include "lib/plat.h"

/*
 * A list of what one sleep waits for, filled by the wait operations of a stack.
 *
 * Invariants: a descriptor is in the list once, with the events of all that
 * asked for it.  If a source does not fit, the deadline becomes FLOW_NOW: the
 * sleeper looks again at once instead of missing a wake.
 *
 * Threads: a sink is on the stack of the thread that asks; no lock.
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
flow_wait_sink_init(struct flow_wait_sink *sink)
{
    sink->count = 0;
    sink->deadline = FLOW_NEVER;
    sink->fd_ready = NULL;
    sink->ctx = NULL;
    sink->depth = 0;
}

/* See <flow/wait.h>. */
uint32_t
flow_wait_fd_ready(const struct flow_wait_sink *sink, int fd, uint32_t events)
{
    if (sink != NULL && sink->fd_ready != NULL)
        return sink->fd_ready(sink->ctx, fd, events);
    return flow__plat_fd_ready(fd, events);
}

/* The next free source; NULL when there is none, in which case nobody may
 * sleep: a source that is not in the list would never wake them. */
static struct flow_wait_source *
wait_new_source(struct flow_wait_sink *sink)
{
    struct flow_wait_source *source;

    if (sink->count == FLOW_WAIT_SOURCES) {
        sink->deadline = FLOW_NOW;
        return NULL;
    }
    source = &sink->source[sink->count++];
    *source = (struct flow_wait_source){ .fd = -1 };
    return source;
}

/* See <flow/wait.h>. */
void
flow_wait_add_fd(struct flow_wait_sink *sink, int fd, uint32_t events)
{
    struct flow_wait_source *source;
    size_t i;

    for (i = 0; i < sink->count; i++) {
        source = &sink->source[i];
        if (source->kind == FLOW_WAIT_FD && source->fd == fd) {
            source->events |= events;
            return;
        }
    }
    source = wait_new_source(sink);
    if (source == NULL)
        return;
    source->kind = FLOW_WAIT_FD;
    source->fd = fd;
    source->events = events;
}

/* See <flow/wait.h>. */
void
flow_wait_add_event(struct flow_wait_sink *sink, struct flow_event *ev,
                    uint32_t sequence)
{
    struct flow_wait_source *source;

    source = wait_new_source(sink);
    if (source == NULL)
        return;
    source->kind = FLOW_WAIT_EVENT;
    source->event = ev;
    source->sequence = sequence;
}

/* See <flow/wait.h>. */
void
flow_wait_add_time(struct flow_wait_sink *sink, uint64_t nsec)
{
    sink->deadline = flow_deadline_min(sink->deadline, nsec);
}
