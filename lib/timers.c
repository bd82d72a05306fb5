/* SPDX-License-Identifier: ISC */
#include "lib/timers.h"

/*
 * Stopping a timer moves the last one to its place, from where it is sifted
 * down or up.  Nothing is allocated, so setting a timer cannot fail.
 *
 * Threads: the heap's owner alone, no lock.
 */

static void
timers_put(struct flow__timers *timers, size_t place, struct flow__timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void
timers_rise(struct flow__timers *timers, size_t place)
{
    struct flow__timer *timer = timers->heap[place];
    size_t parent;

    while (place > 0) {
        parent = (place - 1) / 2;
        if (timers->heap[parent]->due <= timer->due)
            break;
        timers_put(timers, place, timers->heap[parent]);
        place = parent;
    }
    timers_put(timers, place, timer);
}

static void
timers_sink(struct flow__timers *timers, size_t place)
{
    struct flow__timer *timer = timers->heap[place];
    size_t child;

    for (;;) {
        child = 2 * place + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->due < timers->heap[child]->due)
            child++;
        if (timer->due <= timers->heap[child]->due)
            break;
        timers_put(timers, place, timers->heap[child]);
        place = child;
    }
    timers_put(timers, place, timer);
}

void
flow__timers_stop(struct flow__timers *timers, struct flow__timer *timer)
{
    size_t place = timer->place;
    struct flow__timer *last;

    if (place == FLOW__NOT_RUNNING)
        return;
    timer->place = FLOW__NOT_RUNNING;
    last = timers->heap[--timers->count];
    if (last == timer)
        return;
    timers_put(timers, place, last);
    timers_sink(timers, place);
    timers_rise(timers, last->place);
}

void
flow__timers_set(struct flow__timers *timers, struct flow__timer *timer,
                 uint64_t due)
{
    if (timer->place != FLOW__NOT_RUNNING && timer->due == due)
        return;
    flow__timers_stop(timers, timer);
    timer->due = due;
    timers_put(timers, timers->count, timer);
    timers_rise(timers, timers->count++);
}
