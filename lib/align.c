/* SPDX-License-Identifier: ISC */
#include "lib/align.h"
#include "lib/checked.h"

void
flow__align_hints(struct flow_buf_hints *hints, size_t align,
                  enum flow_buf_backing backing)
{
    flow_buf_hints_init(hints);
    hints->align = align;
    hints->granularity = align;
    hints->backing = backing;
}

static const struct flow_align_policy *
align_of_policy(const struct flow_buf_policy *policy)
{
    return (const struct flow_align_policy *)(const void *)policy;
}

static enum flow_status
align_acquire(const struct flow_buf_policy *policy, size_t min_size,
              struct flow_buf *ret_buf)
{
    const struct flow_env *env = align_of_policy(policy)->env;
    size_t align = policy->hints.align;
    size_t size;
    void *ptr;

    if (!flow__checked_round_up(min_size, align, &size))
        return FLOW_E_INVAL;
    ptr = env->alloc(env->ctx, size, align);
    if (ptr == NULL)
        return FLOW_E_NOMEM;
    ret_buf->base = ptr;
    ret_buf->len = size;
    return FLOW_OK;
}

static void
align_release(const struct flow_buf_policy *policy, struct flow_buf *buf)
{
    const struct flow_env *env = align_of_policy(policy)->env;

    if (policy->hints.secret)
        flow_wipe(buf->base, buf->len);
    env->free(env->ctx, buf->base, buf->len, policy->hints.align);
}

/* See <flow/align.h>. */
enum flow_status
flow_align_init(struct flow_align_policy *p, const struct flow_env *env,
                size_t align, bool secret)
{
    enum flow_buf_backing backing;

    if (!flow__align_is_valid(align))
        return FLOW_E_INVAL;
    backing = align >= FLOW_PAGE_SIZE ? FLOW_BUF_PAGES : FLOW_BUF_HEAP;
    *p = (struct flow_align_policy){
        .base = { .acquire = align_acquire,
                  .release = align_release,
                  .any_thread = true },
        .env = env != NULL ? env : flow_env_default(),
    };
    flow__align_hints(&p->base.hints, align, backing);
    p->base.hints.secret = secret;
    return FLOW_OK;
}
