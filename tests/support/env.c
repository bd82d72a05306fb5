/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <string.h>

#include "env.h"

struct test_env test_env;

static const struct flow_env *
real(void)
{
    return flow_env_default();
}

static uint64_t
env_now(void *ctx)
{
    (void)ctx;
    return test_env.manual ? test_env.now : real()->now(real()->ctx);
}

static int64_t
env_wall(void *ctx)
{
    (void)ctx;
    return real()->wall(real()->ctx) + test_env.wall_offset;
}

static void *
env_alloc(void *ctx, size_t size, size_t align)
{
    size_t nth = atomic_fetch_add(&test_env.total, 1) + 1;
    void *p;

    (void)ctx;
    if (test_env.fail_at != 0 &&
        (nth == test_env.fail_at ||
         (test_env.fail_after && nth > test_env.fail_at))) {
        atomic_fetch_add(&test_env.failed, 1);
        return NULL;
    }
    p = real()->alloc(real()->ctx, size, align);
    if (p != NULL) {
        /* Code that expects zeroed memory without asking for it fails. */
        memset(p, 0xa5, size);
        atomic_fetch_add(&test_env.live, 1);
        atomic_fetch_add(&test_env.bytes, size);
    }
    return p;
}

static void
env_free(void *ctx, void *ptr, size_t size, size_t align)
{
    (void)ctx;
    if (ptr == NULL)
        return;
    atomic_fetch_sub(&test_env.live, 1);
    atomic_fetch_sub(&test_env.bytes, size);
    real()->free(real()->ctx, ptr, size, align);
}

static bool
env_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    return real()->random(real()->ctx, buf, len);
}

/* Whether a source of the wait set has fired already. */
static bool
set_fired(const struct flow_wait_set *set)
{
    size_t i;

    for (i = 0; i < set->count; i++) {
        const struct flow_wait_source *s = &set->source[i];
        struct pollfd p = { .fd = s->fd };

        if (s->kind == FLOW_WAIT_EVENT) {
            if (flow_event_sequence(s->event) != s->sequence)
                return true;
            continue;
        }
        if (s->events & FLOW_WAIT_IN)
            p.events |= POLLIN;
        if (s->events & FLOW_WAIT_OUT)
            p.events |= POLLOUT;
        if (poll(&p, 1, 0) > 0)
            return true;
    }
    return false;
}

static enum flow_status
env_wait(void *ctx, struct flow_wait_set *set, uint64_t deadline)
{
    uint64_t until = flow_deadline_min(deadline, set->deadline);

    (void)ctx;
    if (!test_env.manual)
        return real()->wait(real()->ctx, set, deadline);
    if (set_fired(set))
        return FLOW_OK;
    if (until == FLOW_NEVER)
        return real()->wait(real()->ctx, set, FLOW_NEVER);
    if (until > test_env.now)
        test_env.now = until;
    return FLOW_OK;
}

void
test_env_reset(void)
{
    memset(&test_env, 0, sizeof(test_env));
    test_env.env.now = env_now;
    test_env.env.wall = env_wall;
    test_env.env.alloc = env_alloc;
    test_env.env.free = env_free;
    test_env.env.random = env_random;
    test_env.env.wait = env_wait;
    test_env.env.resolver = real()->resolver;
}

void
test_env_stop_clock(void)
{
    test_env.now = real()->now(real()->ctx);
    test_env.manual = true;
}

void
test_env_fail(size_t nth, bool after)
{
    test_env.fail_at = nth == 0 ? 0 : atomic_load(&test_env.total) + nth;
    test_env.fail_after = after;
}
