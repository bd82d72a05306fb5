/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/env.h>

/* See <flow/env.h>. */
void *
flow_env_alloc(const struct flow_env *env, size_t size)
{
    void *ptr = env->alloc(env->ctx, size, 0);

    if (ptr != NULL)
        memset(ptr, 0, size);
    return ptr;
}

/* See <flow/env.h>. */
void
flow_env_free(const struct flow_env *env, void *ptr, size_t size)
{
    if (ptr != NULL)
        env->free(env->ctx, ptr, size, 0);
}

/* See <flow/env.h>. */
void
flow_wipe(void *ptr, size_t len)
{
    if (len == 0)
        return;
    memset(ptr, 0, len);
    /* Without a reader the compiler may drop the stores; this asm looks like
     * one. */
    __asm__ __volatile__("" : : "r"(ptr) : "memory");
}
