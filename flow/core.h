/* SPDX-License-Identifier: ISC */
#ifndef FLOW_CORE_H
#define FLOW_CORE_H

#include <flow/backend.h>

/*
 * The state of a direction, the opening, the errors, waking, and what a flow
 * tells a poller.  The other files of flow/ depend on core.c, and it depends on
 * none of them.  Index 0 is FLOW_READ, 1 is FLOW_WRITE.
 */

/* Both directions, as a mask. */
#define FLOW__BOTH ((uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE)

/* The bits that an interest may have. */
#define FLOW__READY_KNOWN                                                      \
    (FLOW_READY_READ | FLOW_READY_WRITE | FLOW_READY_FLUSH | FLOW_READY_OPEN)

/* flow::opening.  A thread that stores INSIDE drives the opening, or asks what
 * it waits for, until it stores one of the others. */
enum flow__opening {
    FLOW__OPENING_NEW,
    FLOW__OPENING_INSIDE,
    FLOW__OPENING_BEGUN,
};

static inline size_t
flow__index(enum flow_dir dir)
{
    return dir == FLOW_WRITE;
}

static inline bool
flow__is_direction(enum flow_dir dir)
{
    return dir == FLOW_READ || dir == FLOW_WRITE;
}

/* Whether a flow has no opening of its own and is open as the lower one is. */
static inline bool
flow__opens_with_lower(const struct flow *f)
{
    return f->lower != NULL &&
           (f->ops->open == NULL || (f->caps & FLOW_CAP_FILTER) != 0);
}

/*
 * What a flow or a listener tells the poller that watches it.  The poller
 * stores such a struct in flow::watch and flow_listener::watch, which are NULL
 * otherwise.  All of it is called in the thread of the poller.
 */
struct flow__watch {
    const struct flow__watch_ops *ops;
};

struct flow__watch_ops {
    /* It was used: its readiness may have changed. */
    void (*used)(struct flow__watch *watch);
    /* A descriptor that it named as a wait source is about to be closed; -1:
     * all that it named. */
    void (*closing)(struct flow__watch *watch, int fd);
    /* It is about to be closed. */
    void (*end)(struct flow__watch *watch);
};

static inline void
flow__watch_used(struct flow__watch *watch)
{
    if (watch != NULL)
        watch->ops->used(watch);
}

static inline void
flow__watch_closing(struct flow__watch *watch, int fd)
{
    if (watch != NULL)
        watch->ops->closing(watch, fd);
}

static inline void
flow__watch_end(struct flow__watch *watch)
{
    if (watch != NULL)
        watch->ops->end(watch);
}

/* An operation begins: what a poller knows of this flow and those above may no
 * longer be true. */
void flow__used(struct flow *f);

/*
 * Begin a call of a direction: no other runs, no lease is out, it has not
 * ended.  FLOW_OK: flow__leave() must follow.  Anything else is what the call
 * returns, and its record is made.
 */
enum flow_status flow__enter(struct flow *f, enum flow_dir dir);
void flow__leave(struct flow *f, enum flow_dir dir);

/* The same for a read, a write or a lease.  Readiness then no longer depends on
 * a lease that answered FLOW_AGAIN (C34). */
enum flow_status flow__enter_data(struct flow *f, enum flow_dir dir);

/* End the direction if st is sticky, and record an error that has no record
 * yet; returns st. */
enum flow_status flow__settle(struct flow *f, enum flow_dir dir,
                              enum flow_status st);

/* End directions for good, unless they have ended already. */
void flow__end(struct flow *f, uint32_t dirs, enum flow_status st);

enum flow_status flow__state(const struct flow *f, enum flow_dir dir);

/* Drive the opening one step, unless another thread does (FLOW_AGAIN). */
enum flow_status flow__drive_open(struct flow *f);

/* The earlier deadline of both directions; the opening must be over by then. */
uint64_t flow__earlier_deadline(const struct flow *f);

bool flow__is_due(const struct flow_env *env, uint64_t deadline);

/* Record an error that ends nothing, in this layer's name; returns st. */
enum flow_status flow__report(struct flow *f, enum flow_dir dir,
                              enum flow_status st, const char *text);

#endif
