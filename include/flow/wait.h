/* SPDX-License-Identifier: ISC */
#ifndef FLOW_WAIT_H
#define FLOW_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief What a flow waits for, in terms that fit any event loop.
 *
 * After #FLOW_AGAIN the wait operation of a flow writes wait sources into a
 * #flow_wait_set: descriptors with the events to look for, event objects of
 * this library, and a point in time.  flow_wait(), a poller or a foreign event
 * loop sleeps until one of them fires, and asks the flow again; a source that
 * fired is a reason to look, not a promise.
 */

/** No deadline: as a point in time, "never". */
#define FLOW_NEVER UINT64_C(0)
/** A deadline that has passed: "do not wait at all". */
#define FLOW_NOW UINT64_C(1)

/** Look for readability of a descriptor. */
#define FLOW_WAIT_IN 0x1u
/** Look for writability of a descriptor. */
#define FLOW_WAIT_OUT 0x2u

/**
 * @brief A function that wakes a sleeper, from any thread.
 *
 * Each sleeper has one: flow_env::wait has one for its thread, a poller one for
 * each of its entries.  A wake that comes before the sleep is not lost: the
 * next sleep ends at once.
 */
struct flow_waker {
    /** Called from any thread, under the library's wait lock: must not block
     *  and must not call this library. */
    void (*wake)(struct flow_waker *self);
};

/**
 * @brief One sleeper's place in the list of a #flow_event.
 *
 * Memory of the sleeper; the members belong to the event while armed.
 */
struct flow_event_node {
    struct flow_event_node *next;  /**< Next in the event's list. */
    struct flow_event_node **link; /**< What points at this node. */
    struct flow_waker *waker;      /**< Whom to wake. */
};

/**
 * @brief An event without a descriptor: a counter and a list of sleepers.
 *
 * For flows that live in memory.  Code that changes what a flow can do signals
 * its event.  A sleeper arms a node with the count that it read *before* it
 * looked at the flow, so that it does not miss a change in between.
 *
 * Invariant: a node is in the list iff it is armed; the list is changed only
 * under the library's wait lock.
 */
struct flow_event {
    uint32_t sequence;            /**< Signals so far, modulo 2^32. */
    struct flow_event_node *head; /**< Armed sleepers. */
};

/**
 * @brief Make an event with no signal and no sleeper.
 *
 * @param[out] ev  Caller's memory.
 * @par Since
 * 0.1
 */
FLOW_API void flow_event_init(struct flow_event *ev);

/**
 * @brief The number of signals so far.  Read it before you look at the state.
 *
 * @param[in] ev  The event.
 * @return The count, modulo 2^32.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API uint32_t flow_event_sequence(const struct flow_event *ev);

/**
 * @brief Count a signal and wake every armed sleeper.
 *
 * @param[in,out] ev  The event.
 * @par Threads Any.  Takes no lock if no thread sleeps on it.
 * @par Since
 * 0.1
 */
FLOW_API void flow_event_signal(struct flow_event *ev);

/**
 * @brief Add a sleeper.
 *
 * @param[in,out] ev        The event.
 * @param[out]    node      Caller's memory, unused so far; stays in use until
 *                          flow_event_disarm().
 * @param[in]     waker     What a signal calls.
 * @param[in]     sequence  The count from before the state was looked at.
 * @return true when no signal came since; false when one did, in which case
 *         the sleeper must look again.  The node is armed in both cases.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API bool flow_event_arm(struct flow_event *ev,
                             struct flow_event_node *node,
                             struct flow_waker *waker, uint32_t sequence);

/**
 * @brief Remove a sleeper.  Its waker is not called afterwards.
 *
 * A node whose event was ended by flow_event_fini() is already out.
 *
 * @param[in,out] node  An armed node.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_event_disarm(struct flow_event_node *node);

/**
 * @brief End an event: wake and remove all that still sleep on it.
 *
 * @param[in,out] ev  The event; its memory may be released afterwards.
 * @par Threads
 * Any, once.
 * @par Since
 * 0.1
 */
FLOW_API void flow_event_fini(struct flow_event *ev);

/** Kinds of wait source. */
enum flow_wait_kind {
    FLOW_WAIT_FD = 1,   /**< A descriptor and the events to look for. */
    FLOW_WAIT_EVENT = 2 /**< A #flow_event and the count that was seen. */
};

/** One thing to wait for. */
struct flow_wait_source {
    enum flow_wait_kind kind; /**< Which of the members below count. */
    uint32_t events;          /**< FD: #FLOW_WAIT_IN, #FLOW_WAIT_OUT. */
    int fd;                   /**< FD: the descriptor. */
    uint32_t sequence;        /**< EVENT: the count seen before looking. */
    struct flow_event *event; /**< EVENT: the event. */
};

/** Sources that every wait set has room for; a stack never needs more. */
#define FLOW_WAIT_SOURCES 8

/**
 * @brief Where a flow writes what it waits for.
 *
 * Start with flow_wait_set_init().  The wait set's memory is the caller's; it
 * holds pointers into the flow, so use it before the next call on the flow.
 */
struct flow_wait_set {
    struct flow_wait_source source[FLOW_WAIT_SOURCES]; /**< The sources. */
    size_t count;                                      /**< How many are set. */
    uint64_t deadline; /**< Earliest time to look again, monotonic ns;
                            #FLOW_NEVER when time does not matter. */
    /** How flow_wait_fd_ready() learns what a descriptor is ready for; NULL:
     *  it asks the system. */
    uint32_t (*fd_ready)(void *ctx, int fd, uint32_t events);
    void *ctx;      /**< Given to fd_ready. */
    uint32_t depth; /**< The core's: flows that are being asked. */
};

/**
 * @brief The time a number of nanoseconds after another.
 *
 * For deadlines: the sum never wraps into the past.
 *
 * @param[in] now   Monotonic ns, as the environment's now gives it.
 * @param[in] nsec  The distance.
 * @return Monotonic ns; the latest time there is, UINT64_MAX, if the sum does
 *         not fit.  Never #FLOW_NEVER or #FLOW_NOW.
 * @par Since
 * 0.1
 */
FLOW_API uint64_t flow_time_after(uint64_t now, uint64_t nsec);

/**
 * @brief Make a wait set empty.
 *
 * @param[out] set  The wait set.
 * @par Since
 * 0.1
 */
FLOW_API void flow_wait_set_init(struct flow_wait_set *set);

/**
 * @brief Ask what a descriptor is ready for, before it is waited for.
 *
 * For the wait operations of backends.  A poller answers from what the system
 * has reported already, which saves a system call.
 *
 * @param[in] set     The wait set of the wait operation; NULL asks the system.
 * @param[in] fd      The descriptor, >= 0.
 * @param[in] events  #FLOW_WAIT_IN and #FLOW_WAIT_OUT.
 * @return Those of @p events it is ready for, or 0: then flow_wait_add_fd().
 *         All of them after an error or the end of a connection.
 * @par Since
 * 0.1
 */
FLOW_API uint32_t flow_wait_fd_ready(const struct flow_wait_set *set, int fd,
                                     uint32_t events);

/**
 * @brief Wait for a descriptor.  Events for one descriptor are merged.
 *
 * @param[in,out] set     The wait set.  When it is full its deadline becomes
 *                        #FLOW_NOW, so that no caller sleeps on an incomplete
 *                        list.
 * @param[in]     fd      The descriptor, >= 0.
 * @param[in]     events  #FLOW_WAIT_IN and #FLOW_WAIT_OUT.
 * @par Since
 * 0.1
 */
FLOW_API void flow_wait_add_fd(struct flow_wait_set *set, int fd,
                               uint32_t events);

/**
 * @brief Wait for an event object.
 *
 * @param[in,out] set       The wait set; full as in flow_wait_add_fd().
 * @param[in]     ev        The event; must live while anyone waits.
 * @param[in]     sequence  Its count from before the state was looked at.
 * @par Since
 * 0.1
 */
FLOW_API void flow_wait_add_event(struct flow_wait_set *set,
                                  struct flow_event *ev, uint32_t sequence);

/**
 * @brief Look again no later than at a point in time.
 *
 * @param[in,out] set   The wait set; the earliest time wins.
 * @param[in]     nsec  Monotonic nanoseconds; #FLOW_NEVER adds nothing.
 * @par Since
 * 0.1
 */
FLOW_API void flow_wait_add_time(struct flow_wait_set *set, uint64_t nsec);

/**
 * @brief The earlier of two deadlines, where #FLOW_NEVER is the latest.
 *
 * @param[in] a  Monotonic nanoseconds or #FLOW_NEVER.
 * @param[in] b  The same.
 * @return The earlier one.
 * @par Since
 * 0.1
 */
static inline uint64_t
flow_deadline_min(uint64_t a, uint64_t b)
{
    if (a == FLOW_NEVER)
        return b;
    if (b == FLOW_NEVER)
        return a;
    return a < b ? a : b;
}

#ifdef __cplusplus
}
#endif

#endif
