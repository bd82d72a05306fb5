/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/plat.h"

/* See <flow/backend.h>. */
void
flow_base_init(struct flow *f, const struct flow_ops *ops,
               const struct flow_env *env, uint32_t caps)
{
    size_t i;

    memset(f, 0, sizeof(*f));
    f->ops = ops;
    f->env = env;
    f->caps = caps;
    f->opened = ops->open == NULL || (caps & FLOW_CAP_NEEDS_OPEN) == 0;
    for (i = 0; i < 2; i++) {
        flow_event_init(&f->wake[i]);
        flow_error_clear(&f->error[i]);
    }
}

/* See <flow/backend.h>. */
void
flow_base_wrap(struct flow *f, const struct flow_ops *ops, struct flow *lower,
               bool owned, uint32_t caps)
{
    flow_base_init(f, ops, lower->env, caps);
    f->lower = lower;
    f->owns_lower = owned;
    if (flow__opens_with_lower(f))
        f->opened = flow__load(&lower->opened);
    flow__wait_lock();
    flow__store(&lower->upper, f);
    flow__wait_unlock();
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
void
flow_base_fini(struct flow *f)
{
    struct flow *lower = f->lower;

    flow_event_fini(&f->wake[0]);
    flow_event_fini(&f->wake[1]);
    if (lower == NULL)
        return;
    flow__leave_lower(f);
    if (!f->owns_lower)
        return;
    /* The peer must not be told an orderly end by a layer below (C47). */
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

/* See <flow/backend.h>. */
enum flow_status
flow_answer(void *buf, size_t *len, const void *data, size_t size)
{
    size_t cap = *len;

    *len = size;
    if (buf == NULL)
        return FLOW_OK;
    if (cap < size)
        return FLOW_E_INVAL;
    if (size > 0)
        memcpy(buf, data, size);
    return FLOW_OK;
}

/* See <flow/backend.h>. */
enum flow_status
flow_answer_string(void *buf, size_t *len, const char *text)
{
    return flow_answer(buf, len, text, strlen(text) + 1);
}
