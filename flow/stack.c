/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "flow/core.h"
#include "flow/stack.h"
#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * A flow's place in a stack: how it is made, alone or on another flow, how it
 * is aborted and closed, and what becomes of the flow below.
 *
 * Invariant: lower->upper is the flow that was wrapped around lower last, NULL
 * once that one has left.
 *
 * Locks: the wait lock, for lower->upper.
 *
 * Threads: flow_abort() comes from any.  No other call of the flow may run
 * beside the rest.
 */

/* The version first: in another one the members have other places. */
static enum flow_status
stack_check_ops(const struct flow_ops *ops, uint32_t caps, bool has_lower)
{
    const uint32_t leases = FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE;

    if (ops->version != FLOW_OPS_VERSION)
        return FLOW_E_NOTSUP;
    if (ops->name == NULL || ops->readv == NULL || ops->writev == NULL ||
        ops->wait == NULL || ops->close == NULL)
        return FLOW_E_INVAL;
    if ((caps & leases) != 0 && (ops->lease == NULL || ops->commit == NULL))
        return FLOW_E_INVAL;
    /* Other operations that are missing go to the lower flow. */
    if (has_lower)
        return FLOW_OK;
    if ((caps & FLOW_CAP_HALF_CLOSE_WRITE) != 0 && ops->shutdown == NULL)
        return FLOW_E_INVAL;
    if ((caps & FLOW_CAP_NEEDS_OPEN) != 0 && ops->open == NULL)
        return FLOW_E_INVAL;
    return FLOW_OK;
}

static void
stack_make(struct flow *f, const struct flow_ops *ops,
           const struct flow_env *env, uint32_t caps)
{
    size_t i;

    memset(f, 0, sizeof(*f));
    f->ops = ops;
    f->env = env;
    f->caps = caps;
    f->opened = ops->open == NULL || (caps & FLOW_CAP_NEEDS_OPEN) == 0;
    for (i = 0; i < 2; i++)
        flow_event_init(&f->wake[i]);
}

/* See <flow/backend.h>. */
enum flow_status
flow_base_init(struct flow *f, const struct flow_ops *ops,
               const struct flow_env *env, uint32_t caps)
{
    enum flow_status st = stack_check_ops(ops, caps, false);

    if (st == FLOW_OK)
        stack_make(f, ops, env, caps);
    return st;
}

/* See <flow/backend.h>. */
enum flow_status
flow_base_wrap(struct flow *f, const struct flow_ops *ops, struct flow *lower,
               bool owned, uint32_t caps)
{
    enum flow_status st = stack_check_ops(ops, caps, true);

    if (st != FLOW_OK)
        return st;
    stack_make(f, ops, lower->env, caps);
    f->lower = lower;
    f->owns_lower = owned;
    if (flow__opens_with_lower(f))
        f->opened = flow__load(&lower->opened);
    flow__wait_lock();
    flow__store(&lower->upper, f);
    flow__wait_unlock();
    return FLOW_OK;
}

void
flow__leave_lower(struct flow *f)
{
    struct flow *lower = f->lower;

    flow__wait_lock();
    if (flow__load(&lower->upper) == f)
        flow__store(&lower->upper, NULL);
    flow__wait_unlock();
    f->lower = NULL;
}

/* See <flow/backend.h>. */
bool
flow_is_aborted(const struct flow *f)
{
    return flow__load(&f->aborted) != 0;
}

/* See <flow/flow.h>. */
void
flow_abort(struct flow *f)
{
    /* After both ends there is nothing left to cut off. */
    if (flow__load(&f->ended) == 0 || flow__state(f, FLOW_READ) != FLOW_EOF ||
        flow__load(&f->shut) != 0)
        flow__store(&f->aborted, 1);
    flow_fail(f, FLOW__BOTH, FLOW_E_CANCELED, FLOW_DOMAIN_NONE, 0,
              "aborted on this side");
}

/* See <flow/flow.h>. */
void
flow_close(struct flow *f)
{
    if (f == NULL)
        return;
    flow__watch_end(f->watch);
    /* A flow above may live on: the descriptors that it named here are gone. */
    flow_fd_closing(f, -1);
    f->ops->close(f);
}

/* See <flow/backend.h>. */
void
flow_base_fini(struct flow *f)
{
    struct flow *lower = f->lower;
    size_t i;

    for (i = 0; i < 2; i++) {
        flow_event_fini(&f->wake[i]);
        flow_env_free(f->env, f->error[i], sizeof(*f->error[i]));
        f->error[i] = NULL;
    }
    if (lower == NULL)
        return;
    flow__leave_lower(f);
    if (!f->owns_lower)
        return;
    /* No layer below may tell the peer of an orderly end (C47). */
    if (flow_is_aborted(f))
        flow_abort(lower);
    flow_close(lower);
}

/* See <flow/backend.h>. */
uint32_t
flow_caps_forward(uint32_t caps)
{
    caps &= ~(FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE |
              FLOW_CAP_LEASE_VOLATILE | FLOW_CAP_LEASE_SHARED);
    return caps | FLOW_CAP_DETACH | FLOW_CAP_FILTER;
}
