/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "lib/plat.h"
#include "lib/plat/posix/waker.h"

/* Room for so many descriptors at first. */
#define POLL_ROOM 16u

/*
 * Invariants: fds[0] is the waker; keys[i] belongs to fds[i]; places[fd] is
 * the index of fd in fds, 0 when it is not there.
 */
struct flow__pollset {
    const struct flow_env *env;
    struct flow__fd_waker waker;
    struct pollfd *fds;
    uint64_t *keys;
    size_t count;
    size_t room;
    size_t *places;
    size_t place_count;
    size_t next; /* where the next report starts, so that none starves */
};

static bool
poll_grow(struct flow__pollset *set)
{
    size_t wanted = set->room == 0 ? POLL_ROOM : 2 * set->room;
    struct pollfd *fds;
    uint64_t *keys;

    fds = flow_env_alloc(set->env, wanted * sizeof(*fds));
    keys = flow_env_alloc(set->env, wanted * sizeof(*keys));
    if (fds == NULL || keys == NULL) {
        flow_env_free(set->env, fds, wanted * sizeof(*fds));
        flow_env_free(set->env, keys, wanted * sizeof(*keys));
        return false;
    }
    if (set->room > 0) {
        memcpy(fds, set->fds, set->count * sizeof(*fds));
        memcpy(keys, set->keys, set->count * sizeof(*keys));
    }
    flow_env_free(set->env, set->fds, set->room * sizeof(*fds));
    flow_env_free(set->env, set->keys, set->room * sizeof(*keys));
    set->fds = fds;
    set->keys = keys;
    set->room = wanted;
    return true;
}

static bool
poll_grow_places(struct flow__pollset *set, int fd)
{
    size_t wanted = set->place_count == 0 ? POLL_ROOM : set->place_count;
    size_t *places;

    while (wanted <= (size_t)fd)
        wanted *= 2;
    if (wanted == set->place_count)
        return true;
    places = flow_env_alloc(set->env, wanted * sizeof(*places));
    if (places == NULL)
        return false;
    if (set->place_count > 0)
        memcpy(places, set->places, set->place_count * sizeof(*places));
    flow_env_free(set->env, set->places, set->place_count * sizeof(*places));
    set->places = places;
    set->place_count = wanted;
    return true;
}

static void
poll_take_out(struct flow__pollset *set, size_t place)
{
    size_t last = --set->count;

    set->places[set->fds[place].fd] = 0;
    if (place == last)
        return;
    set->fds[place] = set->fds[last];
    set->keys[place] = set->keys[last];
    set->places[set->fds[place].fd] = place;
}

enum flow_status
flow__pollset_set(struct flow__pollset *set, int fd, uint32_t before,
                  uint32_t events, uint64_t key)
{
    size_t place;

    (void)before;
    place = (size_t)fd < set->place_count ? set->places[fd] : 0;
    if (events == 0) {
        if (place != 0)
            poll_take_out(set, place);
        return FLOW_OK;
    }
    if (place == 0) {
        if ((set->count == set->room && !poll_grow(set)) ||
            !poll_grow_places(set, fd))
            return FLOW_E_NOMEM;
        place = set->count++;
        set->places[fd] = place;
    }
    set->keys[place] = key;
    set->fds[place].fd = fd;
    set->fds[place].events = 0;
    if (events & FLOW_WAIT_IN)
        set->fds[place].events |= POLLIN;
    if (events & FLOW_WAIT_OUT)
        set->fds[place].events |= POLLOUT;
    return FLOW_OK;
}

enum flow_status
flow__pollset_new(const struct flow_env *env, struct flow__pollset **ret_set)
{
    struct flow__pollset *set = flow_env_alloc(env, sizeof(*set));
    enum flow_status st = FLOW_E_NOMEM;

    if (set == NULL)
        return FLOW_E_NOMEM;
    set->env = env;
    set->waker.read_fd = -1;
    if (!poll_grow(set))
        goto fail;
    st = FLOW_E_SYS;
    if (!flow__fd_waker_init(&set->waker))
        goto fail;
    set->fds[0].fd = set->waker.read_fd;
    set->fds[0].events = POLLIN;
    set->count = 1;
    set->next = 1;
    *ret_set = set;
    return FLOW_OK;

fail:
    flow__pollset_free(set);
    return st;
}

enum flow_status
flow__pollset_renew(struct flow__pollset *set)
{
    while (set->count > 1)
        poll_take_out(set, set->count - 1);
    set->next = 1;
    return FLOW_OK;
}

void
flow__pollset_free(struct flow__pollset *set)
{
    const struct flow_env *env;

    if (set == NULL)
        return;
    env = set->env;
    flow__fd_waker_fini(&set->waker);
    flow_env_free(env, set->fds, set->room * sizeof(*set->fds));
    flow_env_free(env, set->keys, set->room * sizeof(*set->keys));
    flow_env_free(env, set->places, set->place_count * sizeof(*set->places));
    flow_env_free(env, set, sizeof(*set));
}

static uint32_t
poll_events_of(short revents)
{
    uint32_t mine = 0;

    if (revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL))
        mine |= FLOW_WAIT_IN;
    if (revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL))
        mine |= FLOW_WAIT_OUT;
    return mine;
}

/* Every descriptor once, from where the last report ended. */
static size_t
poll_collect(struct flow__pollset *set, struct flow__pollset_event *ev,
             size_t cap)
{
    size_t left, place, n = 0;

    place = set->next;
    for (left = set->count - 1; left > 0 && n < cap; left--, place++) {
        if (place >= set->count)
            place = 1;
        if (set->fds[place].revents == 0)
            continue;
        ev[n].key = set->keys[place];
        ev[n].events = poll_events_of(set->fds[place].revents);
        n++;
    }
    set->next = place < set->count ? place : 1;
    return n;
}

enum flow_status
flow__pollset_wait(struct flow__pollset *set, struct flow__pollset_event *ev,
                   size_t cap, uint64_t deadline, size_t *ret_count,
                   bool *ret_all)
{
    int rc;

    *ret_count = 0;
    *ret_all = false;
    rc = poll(set->fds, (nfds_t)set->count, flow__poll_timeout(deadline));
    if (rc < 0)
        return errno == EINTR ? FLOW_OK : FLOW_E_SYS;
    *ret_all = (size_t)rc <= cap;
    if (rc == 0)
        return FLOW_OK;
    if (set->fds[0].revents != 0)
        flow__fd_waker_drain(&set->waker);
    *ret_count = poll_collect(set, ev, cap);
    return FLOW_OK;
}

struct flow_waker *
flow__pollset_waker(struct flow__pollset *set)
{
    return &set->waker.base;
}

int
flow__pollset_fd(struct flow__pollset *set)
{
    (void)set;
    return -1;
}
