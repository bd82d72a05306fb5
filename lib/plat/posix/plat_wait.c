/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/event.h"
#include "lib/plat/posix/plat_env.h"
#include "lib/plat/posix/waker.h"

/* Without a waker of its own a thread looks again that often, in ns. */
#define BLIND_NAP 10000000u

static pthread_key_t waker_key;
static bool waker_key_is_made;
static uint32_t waker_once;

static void
end_waker(void *ptr)
{
    flow__fd_waker_fini(ptr);
    free(ptr);
}

static void
make_waker_key(void)
{
    waker_key_is_made = pthread_key_create(&waker_key, end_waker) == 0;
}

/* The calling thread's waker, made at its first sleep and ended with it. */
static struct flow__fd_waker *
thread_waker(void)
{
    struct flow__fd_waker *waker;

    flow__once(make_waker_key, &waker_once);
    if (!waker_key_is_made)
        return NULL;
    waker = pthread_getspecific(waker_key);
    if (waker != NULL)
        return waker;
    waker = malloc(sizeof(*waker));
    if (waker == NULL)
        return NULL;
    if (flow__fd_waker_init(waker) &&
        pthread_setspecific(waker_key, waker) == 0)
        return waker;
    end_waker(waker);
    return NULL;
}

/* What one sleep needs, on its stack. */
struct sleep {
    struct flow__fd_waker *waker; /* NULL: none to be had */
    struct pollfd fds[FLOW_WAIT_SOURCES + 1];
    nfds_t fd_count;
    struct flow_event_node nodes[FLOW_WAIT_SOURCES];
    size_t node_count;
    bool signalled; /* an event fired before the sleep */
};

static void
add_source(struct sleep *s, const struct flow_wait_source *source)
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
    } else if (s->waker != NULL) {
        if (!flow__event_arm_locked(source->event, &s->nodes[s->node_count++],
                                    &s->waker->base, source->sequence))
            s->signalled = true;
    } else if (flow_event_sequence(source->event) != source->sequence) {
        s->signalled = true;
    }
}

static void
prepare(struct sleep *s, const struct flow_wait_sink *sink)
{
    size_t i;

    s->waker = thread_waker();
    s->fd_count = 0;
    s->node_count = 0;
    s->signalled = false;
    /* One lock for all events, here and at the end: this is the path of every
     * sleep. */
    flow__wait_lock();
    for (i = 0; i < sink->count; i++)
        add_source(s, &sink->source[i]);
    flow__wait_unlock();
    if (s->node_count > 0) {
        s->fds[s->fd_count].fd = s->waker->read_fd;
        s->fds[s->fd_count].events = POLLIN;
        s->fd_count++;
    }
}

enum flow_status
flow__plat_wait(void *ctx, struct flow_wait_sink *sink, uint64_t deadline)
{
    struct sleep s;
    size_t i;
    int rc = 0;

    (void)ctx;
    prepare(&s, sink);
    deadline = flow_deadline_min(deadline, sink->deadline);
    if (s.waker == NULL)
        deadline = flow_deadline_min(deadline, flow__plat_now() + BLIND_NAP);
    if (!s.signalled) {
        rc = poll(s.fds, s.fd_count, flow__poll_timeout(deadline));
        if (rc > 0 && s.node_count > 0 && s.fds[s.fd_count - 1].revents != 0)
            flow__fd_waker_drain(s.waker);
    }
    flow__wait_lock();
    for (i = 0; i < s.node_count; i++)
        flow__event_disarm_locked(&s.nodes[i]);
    flow__wait_unlock();
    return rc < 0 && errno != EINTR ? FLOW_E_SYS : FLOW_OK;
}
