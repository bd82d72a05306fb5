/* SPDX-License-Identifier: ISC */
#include <pthread.h>

#include "lib/atomic.h"
#include "lib/plat.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct flow__lock),
               "a mutex fits into its place");

static pthread_mutex_t *
mutex_of(struct flow__lock *lock)
{
    return (pthread_mutex_t *)(void *)lock->opaque;
}

void
flow__lock_init(struct flow__lock *lock)
{
    pthread_mutex_init(mutex_of(lock), NULL);
}

void
flow__lock_fini(struct flow__lock *lock)
{
    pthread_mutex_destroy(mutex_of(lock));
}

void
flow__lock_acquire(struct flow__lock *lock)
{
    pthread_mutex_lock(mutex_of(lock));
}

bool
flow__lock_try(struct flow__lock *lock)
{
    return pthread_mutex_trylock(mutex_of(lock)) == 0;
}

void
flow__lock_release(struct flow__lock *lock)
{
    pthread_mutex_unlock(mutex_of(lock));
}

static pthread_mutex_t wait_mutex = PTHREAD_MUTEX_INITIALIZER;

void
flow__wait_lock(void)
{
    pthread_mutex_lock(&wait_mutex);
}

void
flow__wait_unlock(void)
{
    pthread_mutex_unlock(&wait_mutex);
}

/* States of flow__once(). */
enum { ONCE_NEW = 0, ONCE_RUNNING = 1, ONCE_DONE = 2 };

static pthread_mutex_t once_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t once_done = PTHREAD_COND_INITIALIZER;

void
flow__once(void (*fn)(void), uint32_t *state)
{
    bool mine;

    if (flow__load_acquire(state) == ONCE_DONE)
        return;
    pthread_mutex_lock(&once_mutex);
    while (flow__load_acquire(state) == ONCE_RUNNING)
        pthread_cond_wait(&once_done, &once_mutex);
    mine = flow__load_acquire(state) == ONCE_NEW;
    if (mine)
        flow__store_release(state, ONCE_RUNNING);
    pthread_mutex_unlock(&once_mutex);
    if (!mine)
        return;

    /* Without the mutex, so that fn may lead to another flow__once(). */
    fn();
    pthread_mutex_lock(&once_mutex);
    flow__store_release(state, ONCE_DONE);
    pthread_cond_broadcast(&once_done);
    pthread_mutex_unlock(&once_mutex);
}
