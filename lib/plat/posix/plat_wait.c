/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/event.h"
#include "lib/plat/posix/plat_env.h"
#include "lib/plat/posix/plat_fork.h"
#include "lib/plat/posix/waker.h"

/* How soon a thread without a waker looks again, in ns. */
#define WAIT_BLIND_NAP 10000000u

/*
 * How a thread sleeps: it arms a node at every event, looks whether one has
 * fired since the caller looked, calls poll(2) on the descriptors and its own
 * waker, and disarms the nodes.
 *
 * One sleeper per thread that ever slept, in a list under the wait lock.  Its
 * nodes are here and not on the thread's stack: a forked child has the events
 * with the nodes in their lists, but not the thread, and its stack is given to
 * the next one.
 *
 * Invariants: between two sleeps no node is armed.  A sleep may end early: the
 * caller looks again, so a late wake costs one more look.
 *
 * Locks: the wait lock, for arming and disarming; it is not held in poll(2).
 */
struct wait_sleeper {
    struct flow__fd_waker waker;
    struct flow_event_node nodes[FLOW_WAIT_SOURCES];
    size_t node_count; /* Of the sleep that is on. */
    struct wait_sleeper *next;
    struct wait_sleeper **link;
};

static struct wait_sleeper *wait_sleepers;
static pthread_key_t wait_sleeper_key;
static bool wait_sleeper_key_is_made;
static uint32_t wait_sleeper_once;

static void
wait_disarm_nodes_locked(struct wait_sleeper *me)
{
    size_t i;

    for (i = 0; i < me->node_count; i++)
        flow__event_disarm_locked(&me->nodes[i]);
    me->node_count = 0;
}

static void
wait_enlist_locked(struct wait_sleeper *me)
{
    me->next = wait_sleepers;
    if (me->next != NULL)
        me->next->link = &me->next;
    me->link = &wait_sleepers;
    wait_sleepers = me;
}

static void
wait_delist_locked(struct wait_sleeper *me)
{
    if (me->next != NULL)
        me->next->link = me->link;
    *me->link = me->next;
}

static void
wait_end_sleeper(void *ptr)
{
    struct wait_sleeper *me = ptr;

    flow__wait_lock();
    wait_delist_locked(me);
    flow__wait_unlock();
    flow__fd_waker_fini(&me->waker);
    free(me);
}

/*
 * In a child, at once: later the program may have closed all descriptors, as
 * daemons do, and opened others under their numbers.  Only the thread that
 * forked is here, and goes on with its sleeper.
 */
static void
wait_end_sleepers_in_child(void)
{
    struct wait_sleeper *mine =
        wait_sleeper_key_is_made ? pthread_getspecific(wait_sleeper_key) : NULL;
    struct wait_sleeper *next;
    struct wait_sleeper *it;

    for (it = wait_sleepers; it != NULL; it = next) {
        next = it->next;
        wait_disarm_nodes_locked(it);
        flow__fd_waker_fini(&it->waker);
        if (it == mine)
            continue;
        wait_delist_locked(it);
        free(it);
    }
}

static void
wait_make_sleeper_key(void)
{
    wait_sleeper_key_is_made =
        pthread_key_create(&wait_sleeper_key, wait_end_sleeper) == 0;
    flow__fork_in_child(wait_end_sleepers_in_child);
}

static struct wait_sleeper *
wait_new_sleeper(void)
{
    struct wait_sleeper *me = calloc(1, sizeof(*me));

    if (me == NULL)
        return NULL;
    if (!flow__fd_waker_init(&me->waker) ||
        pthread_setspecific(wait_sleeper_key, me) != 0) {
        flow__fd_waker_fini(&me->waker);
        free(me);
        return NULL;
    }
    flow__wait_lock();
    wait_enlist_locked(me);
    flow__wait_unlock();
    return me;
}

/*
 * The sleeper of the calling thread, made at its first sleep and freed when the
 * thread ends; NULL: it cannot be made.  In a child of a fork that ran no
 * handlers its descriptors are the parent's, and the numbers may be reused.
 */
static struct wait_sleeper *
wait_thread_sleeper(void)
{
    struct wait_sleeper *me;

    flow_once(wait_make_sleeper_key, &wait_sleeper_once);
    if (!wait_sleeper_key_is_made)
        return NULL;
    me = pthread_getspecific(wait_sleeper_key);
    if (me == NULL)
        return wait_new_sleeper();
    if (me->waker.read_fd >= 0 && !flow__fd_waker_is_inherited(&me->waker))
        return me;
    return flow__fd_waker_init(&me->waker) ? me : NULL;
}

/* What one sleep needs, on its stack. */
struct wait_sleep {
    struct wait_sleeper *me; /* NULL: nothing can wake this thread */
    struct pollfd fds[FLOW_WAIT_SOURCES + 1];
    nfds_t fd_count;
    bool signalled; /* an event fired before the sleep */
};

static void
wait_add_source(struct wait_sleep *s, const struct flow_wait_source *source)
{
    struct pollfd *pfd;

    if (source->kind == FLOW_WAIT_FD) {
        pfd = &s->fds[s->fd_count++];
        pfd->fd = source->fd;
        pfd->events = 0;
        if (source->events & FLOW_WAIT_IN)
            pfd->events |= POLLIN;
        if (source->events & FLOW_WAIT_OUT)
            pfd->events |= POLLOUT;
    } else if (s->me != NULL) {
        if (!flow__event_arm_locked(source->event,
                                    &s->me->nodes[s->me->node_count++],
                                    &s->me->waker.base, source->sequence))
            s->signalled = true;
    } else if (flow_event_sequence(source->event) != source->sequence) {
        s->signalled = true;
    }
}

/* Whether an event can end the sleep. */
static bool
wait_has_nodes(const struct wait_sleep *s)
{
    return s->me != NULL && s->me->node_count > 0;
}

static void
wait_prepare(struct wait_sleep *s, const struct flow_wait_set *set)
{
    size_t i;

    s->me = wait_thread_sleeper();
    s->fd_count = 0;
    s->signalled = false;
    /* Lock once for all events, here and at the end: every sleep runs this. */
    flow__wait_lock();
    for (i = 0; i < set->count; i++)
        wait_add_source(s, &set->source[i]);
    flow__wait_unlock();
    if (wait_has_nodes(s)) {
        s->fds[s->fd_count].fd = s->me->waker.read_fd;
        s->fds[s->fd_count].events = POLLIN;
        s->fd_count++;
    }
}

enum flow_status
flow__plat_wait(void *ctx, struct flow_wait_set *set, uint64_t deadline)
{
    struct wait_sleep s;
    int rc = 0;

    (void)ctx;
    wait_prepare(&s, set);
    deadline = flow_deadline_min(deadline, set->deadline);
    if (s.me == NULL)
        deadline =
            flow_deadline_min(deadline, flow__plat_now() + WAIT_BLIND_NAP);
    if (!s.signalled) {
        rc = poll(s.fds, s.fd_count, flow__poll_timeout(deadline));
        if (rc > 0 && wait_has_nodes(&s) && s.fds[s.fd_count - 1].revents != 0)
            flow__fd_waker_drain(&s.me->waker);
    }
    if (s.me != NULL) {
        flow__wait_lock();
        wait_disarm_nodes_locked(s.me);
        flow__wait_unlock();
    }
    return rc < 0 && errno != EINTR ? FLOW_E_SYS : FLOW_OK;
}
