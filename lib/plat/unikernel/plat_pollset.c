/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "lib/plat/unikernel/sleeper.h"

/*
 * A set without descriptors: only its waker ends a sleep.  Flows on this port
 * report events and times, for which a poller uses the waker and the deadline.
 */
struct flow__pollset {
    const struct flow_env *env;
    struct flow__sleeper sleeper;
};

enum flow_status
flow__pollset_new(const struct flow_env *env, struct flow__pollset **ret_set)
{
    struct flow__pollset *set = flow_env_alloc(env, sizeof(*set));

    if (set == NULL)
        return FLOW_E_NOMEM;
    set->env = env;
    flow__sleeper_init(&set->sleeper);
    *ret_set = set;
    return FLOW_OK;
}

void
flow__pollset_free(struct flow__pollset *set)
{
    if (set != NULL)
        flow_env_free(set->env, set, sizeof(*set));
}

enum flow_status
flow__pollset_set(struct flow__pollset *set, int fd, uint32_t before,
                  uint32_t events, uint64_t key)
{
    (void)set;
    (void)fd;
    (void)before;
    (void)key;
    return events == 0 ? FLOW_OK : FLOW_E_NOTSUP;
}

enum flow_status
flow__pollset_renew(struct flow__pollset *set)
{
    (void)set;
    return FLOW_OK;
}

enum flow_status
flow__pollset_wait(struct flow__pollset *set, struct flow__pollset_event *ev,
                   size_t cap, uint64_t deadline, size_t *ret_count,
                   bool *ret_all)
{
    (void)ev;
    (void)cap;
    *ret_count = 0;
    *ret_all = true;
    flow__sleeper_sleep(&set->sleeper, deadline);
    flow__sleeper_reset(&set->sleeper);
    return FLOW_OK;
}

struct flow_waker *
flow__pollset_waker(struct flow__pollset *set)
{
    return &set->sleeper.base;
}

int
flow__pollset_fd(struct flow__pollset *set)
{
    (void)set;
    return -1;
}
