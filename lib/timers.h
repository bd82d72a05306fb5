/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_TIMERS_H
#define FLOW_LIB_TIMERS_H

#include <stddef.h>
#include <stdint.h>

/* A timer that is not running. */
#define FLOW__NOT_RUNNING SIZE_MAX

/* A point in time, inside a larger struct; due counts while it runs. */
struct flow__timer {
    uint64_t due;
    size_t place; /* in the heap, or FLOW__NOT_RUNNING */
};

/*
 * Timers by the time they are due: a binary heap of pointers, in memory of the
 * owner, which must have room for every timer.
 *
 * Invariants: heap[i]->due >= heap[(i - 1) / 2]->due; heap[i]->place == i.
 */
struct flow__timers {
    struct flow__timer **heap;
    size_t count;
};

/* The timer that is due first, or NULL. */
static inline struct flow__timer *
flow__timers_first(const struct flow__timers *timers)
{
    return timers->count > 0 ? timers->heap[0] : NULL;
}

/* Start a timer, or move it. */
void flow__timers_set(struct flow__timers *timers, struct flow__timer *timer,
                      uint64_t due);

/* Stop a timer; one that does not run stays so. */
void flow__timers_stop(struct flow__timers *timers, struct flow__timer *timer);

#endif
