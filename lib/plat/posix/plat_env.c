/* SPDX-License-Identifier: ISC */
#include "lib/plat/posix/plat_env.h"

static uint64_t
env_now(void *ctx)
{
    (void)ctx;
    return flow__plat_now();
}

static int64_t
env_wall(void *ctx)
{
    (void)ctx;
    return flow__plat_wall();
}

static void *
env_alloc(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    return flow__plat_alloc(size, align);
}

static void
env_free(void *ctx, void *ptr, size_t size, size_t align)
{
    (void)ctx;
    flow__plat_free(ptr, size, align);
}

static bool
env_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    return flow__plat_random(buf, len);
}

static const struct flow_env env_default = {
    .now = env_now,
    .wall = env_wall,
    .alloc = env_alloc,
    .free = env_free,
    .random = env_random,
    .wait = flow__plat_wait,
    .resolver = &flow__plat_resolver,
};

/* See <flow/env.h>. */
const struct flow_env *
flow_env_default(void)
{
    return &env_default;
}
