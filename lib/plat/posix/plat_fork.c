/* SPDX-License-Identifier: ISC */
#include "lib/plat/posix/plat_fork.h"

#include <pthread.h>

#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * fork(2) copies the thread that calls it and no other, so a lock that another
 * thread holds is held for ever in the child.  What threads share beyond one
 * flow must not be left in that state:
 *
 * - a fork waits for the threads between flow_fork_block() and
 *   flow_fork_unblock(), and no thread enters until the fork is over;
 * - then it takes the locks of plat_lock.c, after every function that
 *   flow_once() runs has returned.
 *
 * Invariants: fork_inside counts the threads between the two calls.  A thread
 * that counts itself looks at fork_begun afterwards, and a fork that begins
 * looks at fork_inside afterwards, so that one of the two sees the other.
 * fork_child is written by a function that flow_once() runs and read with the
 * lock of flow_once() held, so never at the same time.
 *
 * Locks: fork_begun, the lock of flow_once(), the wait lock.  A
 * function that flow_once() runs may therefore not block forks.  fork_mutex is
 * held for no longer than it takes to read or change fork_begun.
 */
static pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fork_changed = PTHREAD_COND_INITIALIZER;
static uint32_t fork_begun;  /* Atomic; written under the mutex. */
static uint32_t fork_inside; /* Atomic. */

/* Written once each, see "plat_fork.h"; read by the handlers. */
static const struct flow__fork_locks *fork_locks;
static void (*fork_child)(void);

/* The depth of the calls of this thread; only the outermost is counted. */
static _Thread_local uint32_t fork_depth;

static void
fork_leave_gate(void)
{
    flow__sub(&fork_inside, 1);
    if (flow__load(&fork_begun) == 0)
        return;
    pthread_mutex_lock(&fork_mutex);
    pthread_cond_broadcast(&fork_changed);
    pthread_mutex_unlock(&fork_mutex);
}

static void
fork_wait_for_end(void)
{
    pthread_mutex_lock(&fork_mutex);
    while (flow__load(&fork_begun) != 0)
        pthread_cond_wait(&fork_changed, &fork_mutex);
    pthread_mutex_unlock(&fork_mutex);
}

void
flow_fork_block(void)
{
    if (fork_depth++ > 0)
        return;
    flow__add(&fork_inside, 1);
    while (flow__load(&fork_begun) != 0) {
        fork_leave_gate();
        fork_wait_for_end();
        flow__add(&fork_inside, 1);
    }
}

void
flow_fork_unblock(void)
{
    if (--fork_depth == 0)
        fork_leave_gate();
}

/* 1 if the thread that forks is inside itself, as in a callback of an
 * environment.  It goes on to hold its locks in the child. */
static uint32_t
fork_inside_myself(void)
{
    return fork_depth > 0 ? 1 : 0;
}

static void
fork_before(void)
{
    pthread_mutex_lock(&fork_mutex);
    while (flow__load(&fork_begun) != 0)
        pthread_cond_wait(&fork_changed, &fork_mutex);
    flow__store(&fork_begun, 1);
    while (flow__load(&fork_inside) > fork_inside_myself())
        pthread_cond_wait(&fork_changed, &fork_mutex);
    pthread_mutex_unlock(&fork_mutex);
    fork_locks->acquire();
}

static void
fork_after_in_parent(void)
{
    fork_locks->release(false);
    pthread_mutex_lock(&fork_mutex);
    flow__store(&fork_begun, 0);
    pthread_cond_broadcast(&fork_changed);
    pthread_mutex_unlock(&fork_mutex);
}

/* The mutex may have been held by a thread that does not exist in the child. */
static void
fork_after_in_child(void)
{
    static const pthread_mutex_t free_mutex = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t no_waiters = PTHREAD_COND_INITIALIZER;

    if (fork_child != NULL)
        fork_child();
    fork_locks->release(true);
    fork_mutex = free_mutex;
    fork_changed = no_waiters;
    flow__store(&fork_inside, fork_inside_myself());
    flow__store(&fork_begun, 0);
}

void
flow__fork_watch(const struct flow__fork_locks *locks)
{
    fork_locks = locks;
    (void)pthread_atfork(fork_before, fork_after_in_parent,
                         fork_after_in_child);
}

void
flow__fork_in_child(void (*fn)(void))
{
    fork_child = fn;
}
