/* SPDX-License-Identifier: ISC */
#ifndef FLOW_ENTRY_H
#define FLOW_ENTRY_H

#include <flow/flow.h>
#include <flow/listener.h>

#include "flow/core.h"
#include "flow/registry.h"
#include "lib/list.h"
#include "lib/timers.h"

/*
 * The entries of a poller: one for each flow and each listener that it watches.
 *
 * An entry is in one of three states.
 *
 * asleep   It is registered with everything its flow waits for.
 * to look  It is in flow__entries::look: its flow was used, woken or reported,
 *          and its readiness is unknown.  The poller looks at it before it
 *          sleeps; the entry then falls asleep or gets in line.
 * in line  It is in flow__entries::line: it is ready, or the system says that
 *          one of its descriptors is.  It keeps its place until its turn
 *          comes.  Then it is asked (unless the answer is known) and reported.
 *
 * The line is ordered by the number of the last report, so that the entry that
 * has waited longest is next.
 *
 * Whether a descriptor is ready is known from the reports of the system alone.
 * A report holds until the flow is used or was looked at.  An entry that was
 * used while it stood in line asks the system when its turn comes, and so does
 * one that reads ahead to answer what is ready.
 *
 * Waking: flow__entries::woken is a list under the wait lock.  A wake appends
 * to it, sets any_woken, and then calls the waker of the poll set if the poller
 * is asleep or a foreign loop may be (has_fd).  A poller that is about to sleep
 * sets asleep and looks at any_woken then, so one of the two sees the other.
 * Asking the system clears the waker, perhaps in a call that returns for
 * another reason, so any_woken is never left to the waker alone.
 *
 * Invariants: both heaps have room for every entry, so that looking at one
 * cannot fail.  While has_fd and not is_waiting, the descriptor of the poll set
 * is readable if an entry is woken, to be looked at, or in line.
 *
 * Locks: the wait lock, innermost, for flow__entries::woken alone.
 *
 * Threads: that of the poller, except that wakers are called from any.
 */

/* What is watched. */
struct flow__entry {
    struct flow__watch watch; /* First: flow::watch points to it. */
    struct flow__registration reg;
    struct flow__entries *entries;
    struct flow *flow; /* or */
    struct flow_listener *listener;
    void *user;
    struct flow__link all;          /* in flow__entries::all */
    struct flow__link look;         /* in flow__entries::look, iff to look */
    struct flow__link woken;        /* in flow__entries::woken, wait lock */
    struct flow_event_node wake[2]; /* at the flow's own events */
    struct flow__timer timer;       /* when to look at the latest */
    struct flow__timer turn;        /* in flow__entries::line, iff in line */
    uint32_t interest;
    uint32_t ready; /* in line: what is known to be ready; 0: ask */
    uint32_t place; /* of its event, when it was reported last */
    bool is_used;   /* in line: used since it lined up */
    bool is_asking; /* no report is known to hold: the system is asked */
    bool is_blind;  /* the system cannot watch all it waits for */
    bool is_asked;  /* its flow is being asked, and may read ahead for that */
};

/* All of one poller. */
struct flow__entries {
    const struct flow_env *env;
    struct flow__registry registry;
    struct flow__link all;
    struct flow__link look;
    struct flow__link woken; /* wait lock */
    struct flow__timers timers;
    struct flow__timers line;
    size_t heap_room;
    size_t count;
    uint64_t turns;     /* reports and additions so far */
    uint32_t any_woken; /* atomic */
    uint32_t asleep;    /* atomic: the poller asks the system */
    uint32_t has_fd;    /* atomic: a foreign loop may wait for the poll set */
    bool is_waiting;    /* in flow_poller_wait() */
};

/* On an error flow__entries_fini() must follow too. */
enum flow_status flow__entries_init(struct flow__entries *es,
                                    const struct flow_env *env);
void flow__entries_fini(struct flow__entries *es);

/* End a sleep, here or in a foreign loop.  From any thread. */
void flow__entries_poke(struct flow__entries *es);

/* Queue the entries that were woken and those whose time has come. */
void flow__entries_collect(struct flow__entries *es);

/* The same, and look once at each entry that is to be looked at. */
void flow__entries_look(struct flow__entries *es);

/* Whether an entry is to be looked at or in line. */
bool flow__entries_have_work(const struct flow__entries *es);

/* When to look at an entry at the latest, or FLOW_NEVER. */
uint64_t flow__entries_next_due(const struct flow__entries *es);

/* An entry to be looked at, without a flow or a listener yet; NULL: there is no
 * memory. */
struct flow__entry *flow__entry_new(struct flow__entries *es,
                                    const struct flow__watch_ops *ops,
                                    void *user);
void flow__entry_free(struct flow__entry *e);

/* Give a new entry its flow or its listener, and begin to watch that. */
void flow__entry_watch_flow(struct flow__entry *e, struct flow *f,
                            uint32_t interest);
void flow__entry_watch_listener(struct flow__entry *e, struct flow_listener *l);

/* Have it looked at, unless its turn is still to come. */
void flow__entry_queue(struct flow__entry *e);

/* Its turn has come, and it leaves the line: what is ready; 0 when it is asleep
 * or queued now. */
uint32_t flow__entry_take_turn(struct flow__entry *e);

/* Two of the operations of flow__watch_ops. */
void flow__entry_used(struct flow__watch *watch);
void flow__entry_closing(struct flow__watch *watch, int fd);

/* NULL for NULL. */
static inline struct flow__entry *
flow__entry_of(struct flow__watch *watch)
{
    return (struct flow__entry *)(void *)watch;
}

#endif
