/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"

static uint64_t
plat_env_now(void *ctx)
{
    (void)ctx;
    return flow__plat_now();
}

static int64_t
plat_env_wall(void *ctx)
{
    (void)ctx;
    return flow__plat_wall();
}

static void *
plat_env_alloc(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    return flow__plat_alloc(size, align);
}

static void
plat_env_free(void *ctx, void *ptr, size_t size, size_t align)
{
    (void)ctx;
    flow__plat_free(ptr, size, align);
}

static bool
plat_env_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    return flow__plat_random(buf, len);
}

static const struct flow_env plat_env = {
    .now = plat_env_now,
    .wall = plat_env_wall,
    .alloc = plat_env_alloc,
    .free = plat_env_free,
    .random = plat_env_random,
    .wait = flow__machine_wait,
};

/* See <flow/env.h>. */
const struct flow_env *
flow_env_default(void)
{
    return &plat_env;
}
