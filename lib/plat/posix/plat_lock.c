/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "lib/atomic.h"
#include "lib/plat.h"
#include "lib/plat/posix/plat_fork.h"

/*
 * Locks of the port.  Order over the whole library, outermost first:
 *
 *   those of a flow, of the flow below it, and so on down the stack
 *   flow_fork_block(), with the lock of one shared object inside it
 *   the lock of flow_once()
 *   the wait lock
 *
 * No thread waits for input or output while it holds one.  Before a fork the
 * last three are free or held by the thread that forks (plat_fork.c).  Locks of
 * a flow are not covered, since a flow that another thread is using cannot be
 * used in the child at all.
 */

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct flow_lock),
               "a mutex fits into its place");

static pthread_mutex_t *
lock_mutex_of(struct flow_lock *lock)
{
    return (pthread_mutex_t *)(void *)lock->opaque;
}

void
flow_lock_init(struct flow_lock *lock)
{
    pthread_mutex_init(lock_mutex_of(lock), NULL);
}

void
flow_lock_fini(struct flow_lock *lock)
{
    pthread_mutex_destroy(lock_mutex_of(lock));
}

void
flow_lock_acquire(struct flow_lock *lock)
{
    pthread_mutex_lock(lock_mutex_of(lock));
}

bool
flow_lock_try(struct flow_lock *lock)
{
    return pthread_mutex_trylock(lock_mutex_of(lock)) == 0;
}

void
flow_lock_release(struct flow_lock *lock)
{
    pthread_mutex_unlock(lock_mutex_of(lock));
}

static pthread_mutex_t lock_wait_mutex = PTHREAD_MUTEX_INITIALIZER;

void
flow__wait_lock(void)
{
    pthread_mutex_lock(&lock_wait_mutex);
}

void
flow__wait_unlock(void)
{
    pthread_mutex_unlock(&lock_wait_mutex);
}

/* Pauses that give up the rest of a time slice, and the length of the others:
 * a latch is held for a system call or for some records. */
#define LOCK_YIELDS   8u
#define LOCK_PAUSE_NS 20000

void
flow__plat_pause(unsigned tries)
{
    const struct timespec pause = { 0, LOCK_PAUSE_NS };

    if (tries < LOCK_YIELDS)
        sched_yield();
    else
        nanosleep(&pause, NULL);
}

/* States of flow_once(). */
enum { ONCE_NEW = 0, ONCE_RUNNING = 1, ONCE_DONE = 2 };

static pthread_mutex_t lock_once_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t lock_once_done = PTHREAD_COND_INITIALIZER;
static unsigned lock_once_running; /* Functions; under the mutex. */

void
flow_once(void (*fn)(void), uint32_t *state)
{
    bool mine;

    if (flow__load_acquire(state) == ONCE_DONE)
        return;
    pthread_mutex_lock(&lock_once_mutex);
    while (flow__load_acquire(state) == ONCE_RUNNING)
        pthread_cond_wait(&lock_once_done, &lock_once_mutex);
    mine = flow__load_acquire(state) == ONCE_NEW;
    if (mine) {
        flow__store_release(state, ONCE_RUNNING);
        lock_once_running++;
    }
    pthread_mutex_unlock(&lock_once_mutex);
    if (!mine)
        return;

    /* Without the mutex, so that fn may lead to another flow_once(). */
    fn();
    pthread_mutex_lock(&lock_once_mutex);
    flow__store_release(state, ONCE_DONE);
    lock_once_running--;
    pthread_cond_broadcast(&lock_once_done);
    pthread_mutex_unlock(&lock_once_mutex);
}

static void
lock_before_fork(void)
{
    pthread_mutex_lock(&lock_once_mutex);
    while (lock_once_running > 0)
        pthread_cond_wait(&lock_once_done, &lock_once_mutex);
    pthread_mutex_lock(&lock_wait_mutex);
}

static void
lock_after_fork(bool in_child)
{
    static const pthread_cond_t no_waiters = PTHREAD_COND_INITIALIZER;

    pthread_mutex_unlock(&lock_wait_mutex);
    if (in_child)
        lock_once_done = no_waiters;
    pthread_mutex_unlock(&lock_once_mutex);
}

static const struct flow__fork_locks lock_fork_locks = {
    .acquire = lock_before_fork,
    .release = lock_after_fork,
};

/* As the library is loaded, before a thread can hold a lock.  Without memory
 * for one more handler no handler runs at all. */
__attribute__((constructor)) static void
lock_watch_forks(void)
{
    flow__fork_watch(&lock_fork_locks);
}
