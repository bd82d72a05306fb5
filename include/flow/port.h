/* SPDX-License-Identifier: ISC */
#ifndef FLOW_PORT_H
#define FLOW_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief For authors of backends: what the port of the library provides beside
 * the environment.
 *
 * The port is the part of the library that was written for one operating
 * system.  A backend that uses these functions runs on every port, with and
 * without threads, with and without fork(2).  For anything else a backend that
 * belongs to one system calls that system.
 *
 * Every function may be called from any thread and neither prints nor exits.
 */

/**
 * @brief A mutual exclusion lock, in memory of its owner.
 *
 * It is not recursive.  On a port without threads it does nothing.  Its size is
 * that of the largest lock of any port, so a change of port does not change
 * the layout of a backend's objects.
 *
 * Operations of a flow never wait, so hold a lock for a few instructions only,
 * and call neither flow_wake() nor the functions of other flows in between.
 * flow_event_signal() may be called.
 */
struct flow_lock {
    uint64_t opaque[8]; /**< The port's. */
};

/**
 * @brief Make a lock, which no thread holds.
 * @param[out] lock  Uninitialised memory.
 * @par Since
 * 0.1
 */
FLOW_API void flow_lock_init(struct flow_lock *lock);

/**
 * @brief End a lock.
 * @param[in,out] lock  Made by flow_lock_init(); no thread holds it.
 * @par Since
 * 0.1
 */
FLOW_API void flow_lock_fini(struct flow_lock *lock);

/**
 * @brief Take a lock, and wait while another thread holds it.
 * @param[in,out] lock  A lock that the calling thread does not hold.
 * @par Since
 * 0.1
 */
FLOW_API void flow_lock_acquire(struct flow_lock *lock);

/**
 * @brief Take a lock if no thread holds it.
 * @param[in,out] lock  A lock that the calling thread does not hold.
 * @return Whether it was taken.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE bool flow_lock_try(struct flow_lock *lock);

/**
 * @brief Give a lock back.
 * @param[in,out] lock  A lock that the calling thread holds.
 * @par Since
 * 0.1
 */
FLOW_API void flow_lock_release(struct flow_lock *lock);

/**
 * @brief Run a function exactly once in the process.
 *
 * The first thread that calls runs it; every call returns after it has run.
 *
 * @param[in]     fn     It may call flow_once() with another @p state, but not
 *                       flow_fork_block().
 * @param[in,out] state  A static variable that starts as 0.
 * @par Since
 * 0.1
 */
FLOW_API void flow_once(void (*fn)(void), uint32_t *state);

/**
 * @brief The number of the calling process.
 *
 * None of the processes from which this one was forked had the same number.  If
 * an object stores the number when it is made and finds another one later, this
 * process has inherited it; its clean-up must then not change what both
 * processes share (registrations, modes, paths).
 *
 * It costs a load where the system allows it.  A child of vfork(2) still has
 * its parent's memory and number, and may only call exec or _exit.
 *
 * @return The number, never 0.
 * @par Since
 * 0.1
 */
FLOW_API uint32_t flow_process(void);

/**
 * @brief Make fork(2) wait until flow_fork_unblock().
 *
 * For a lock that is shared by more than one flow: call this before
 * flow_lock_acquire() and flow_fork_unblock() after flow_lock_release().  A
 * child then finds the lock free and what it guards consistent.  A thread may
 * nest these calls; it must not wait for anything in between.
 *
 * @par Since
 * 0.1
 */
FLOW_API void flow_fork_block(void);

/**
 * @brief Let fork(2) go on, after flow_fork_block().
 * @par Since
 * 0.1
 */
FLOW_API void flow_fork_unblock(void);

#ifdef __cplusplus
}
#endif

#endif
