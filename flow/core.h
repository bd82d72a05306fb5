/* SPDX-License-Identifier: ISC */
#ifndef FLOW_CORE_H
#define FLOW_CORE_H

#include <flow/backend.h>
#include <flow/util.h>

/*
 * What the files of flow/ share.  core.c has the state of a direction, the
 * opening, the errors and waking; the other files depend on it, and it depends
 * on none of them.  Index 0 is FLOW_READ, 1 is FLOW_WRITE.
 */

/* Both directions, as a mask. */
#define FLOW__BOTH ((uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE)

/* Segments of a vector, at most. */
#define FLOW__SEGMENTS 1024u

/* The bits that an interest may have. */
#define FLOW__READY_KNOWN                                                      \
    (FLOW_READY_READ | FLOW_READY_WRITE | FLOW_READY_FLUSH | FLOW_READY_OPEN)

/* More bits of an interest, for flow__wait_items() and flow__check_deadlines()
 * alone: a direction that is not waited for, but whose deadline counts.  They
 * are not reported ready, except that FLOW__OBEY_WRITE is when that direction
 * has failed. */
#define FLOW__OBEY_READ  0x10000u
#define FLOW__OBEY_WRITE 0x20000u

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

/* An operation begins: forget what a poller knows of this flow and those
 * above. */
void flow__used(struct flow *f);

/*
 * Begin a call of a direction: no other runs, no lease is out, it has not
 * ended.  FLOW_OK: flow__leave() must follow.  Anything else is what the call
 * returns, and its record is made.
 */
enum flow_status flow__enter(struct flow *f, enum flow_dir dir);
void flow__leave(struct flow *f, enum flow_dir dir);

/* The same for a read, a write or a lease, which ends what a refused lease
 * waits for (C34). */
enum flow_status flow__enter_data(struct flow *f, enum flow_dir dir);

/* Make sticky what is, and see that an error has a record; returns st. */
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

/* Whether a write has proper arguments: FLOW_OK, or what it returns, with its
 * record made. */
enum flow_status flow__check_write(struct flow *f, const struct flow_cvec *vec,
                                   size_t count, uint32_t flags);

/* The end of the write direction, for flow_shutdown() and FLOW_FIN: f is open
 * and entered. */
enum flow_status flow__end_write(struct flow *f);

/*
 * Discard at most len bytes of what came after flow_shutdown(FLOW_READ).
 * FLOW_OK: some, and *ret_len says how many.  FLOW_AGAIN: there is nothing now,
 * or another thread is at it.  Anything else: how the input ended; it is
 * answered again.
 */
enum flow_status flow__discard(struct flow *f, size_t len, size_t *ret_len);

/* The wait operation of an open flow whose reading was shut down: what is
 * ready of the interest, which has no FLOW_READY_READ.  Input is discarded and
 * is among the sources, so that a peer that sends before it reads goes on. */
uint32_t flow__discard_wait(struct flow *f, uint32_t interest,
                            struct flow_wait_set *set);

/* Sleep until one of the flows is ready, a deadline of theirs has passed
 * (FLOW_E_TIMEOUT), or the deadline given has (FLOW_OK, nothing ready).  All
 * of the environment env. */
enum flow_status flow__wait_items(struct flow_wait_item *items, size_t count,
                                  const struct flow_env *env,
                                  uint64_t deadline);

/* FLOW_E_TIMEOUT, with its record, when the deadline of a flow has passed that
 * its interest obeys; else FLOW_OK. */
enum flow_status flow__check_deadlines(const struct flow_wait_item *items,
                                       size_t count);

/* Take a flow off the one below, which then belongs to nobody here. */
void flow__leave_lower(struct flow *f);

#endif
