/* SPDX-License-Identifier: ISC */
#include "lib/align.h"
#include "lib/checked.h"
#include "lib/plat.h"

/* Most blocks of a pool. */
#define POOL_MAX 65536u

/*
 * Blocks of one size that flows of any thread share.
 *
 * Invariants: free_count blocks are in the pool and their places are
 * free_list[0..free_count - 1], each once; the others are in use.  A block is
 * wiped before it is in the list, so no flow sees the bytes of another.  A flow
 * that got FLOW_AGAIN waits for available, which is signalled after a block is
 * in the list.
 *
 * Order of locks: those of a flow, flow_fork_block(), lock; the wait lock is
 * taken after lock was released.
 */
struct flow_pool {
    struct flow_buf_policy base;
    const struct flow_env *env;
    struct flow_lock lock; /* guards free_list and free_count */
    struct flow_event available;
    uint8_t *mem;
    size_t block_size;
    size_t count;
    size_t free_count;
    uint32_t *free_list;
};

static struct flow_pool *
pool_of_policy(const struct flow_buf_policy *policy)
{
    return (struct flow_pool *)(uintptr_t)policy;
}

/* Threads share a pool, so in a child it must be consistent and its lock
 * free. */
static void
pool_enter(struct flow_pool *pool)
{
    flow_fork_block();
    flow_lock_acquire(&pool->lock);
}

static void
pool_leave(struct flow_pool *pool)
{
    flow_lock_release(&pool->lock);
    flow_fork_unblock();
}

static enum flow_status
pool_acquire(const struct flow_buf_policy *policy, size_t min_size,
             struct flow_buf *ret_buf)
{
    struct flow_pool *pool = pool_of_policy(policy);
    enum flow_status st = FLOW_AGAIN;

    if (min_size > pool->block_size)
        return FLOW_E_INVAL;
    pool_enter(pool);
    if (pool->free_count > 0) {
        pool->free_count--;
        ret_buf->base =
            pool->mem + pool->free_list[pool->free_count] * pool->block_size;
        ret_buf->len = pool->block_size;
        st = FLOW_OK;
    }
    pool_leave(pool);
    return st;
}

static void
pool_release(const struct flow_buf_policy *policy, struct flow_buf *buf)
{
    struct flow_pool *pool = pool_of_policy(policy);
    size_t place = (size_t)(buf->base - pool->mem) / pool->block_size;

    flow_wipe(buf->base, buf->len);
    pool_enter(pool);
    pool->free_list[pool->free_count++] = (uint32_t)place;
    pool_leave(pool);
    flow_event_signal(&pool->available);
}

static enum flow_status
pool_fill(struct flow_pool *pool, size_t align)
{
    const struct flow_env *env = pool->env;
    size_t i;

    pool->free_list =
        flow_env_alloc(env, pool->count * sizeof(*pool->free_list));
    pool->mem = env->alloc(env->ctx, pool->count * pool->block_size, align);
    if (pool->free_list == NULL || pool->mem == NULL)
        return FLOW_E_NOMEM;
    /* Wipe blocks that were never used, too. */
    flow_wipe(pool->mem, pool->count * pool->block_size);
    for (i = 0; i < pool->count; i++)
        pool->free_list[i] = (uint32_t)(pool->count - 1 - i);
    pool->free_count = pool->count;
    return FLOW_OK;
}

/* See <flow/align.h>. */
enum flow_status
flow_pool_new(const struct flow_env *env, size_t block_size, size_t count,
              size_t align, struct flow_pool **ret_pool)
{
    struct flow_pool *pool;
    size_t size, total;

    if (block_size == 0 || count == 0 || count > POOL_MAX ||
        !flow__align_is_valid(align) ||
        !flow__checked_round_up(block_size, align, &size) ||
        !flow__checked_mul(size, count, &total))
        return FLOW_E_INVAL;

    if (env == NULL)
        env = flow_env_default();
    pool = flow_env_alloc(env, sizeof(*pool));
    if (pool == NULL)
        return FLOW_E_NOMEM;
    pool->env = env;
    pool->block_size = size;
    pool->count = count;
    pool->base.acquire = pool_acquire;
    pool->base.release = pool_release;
    pool->base.available = &pool->available;
    pool->base.any_thread = true;
    flow__align_hints(&pool->base.hints, align, FLOW_BUF_STATIC);
    pool->base.hints.max_contiguous = size;
    flow_event_init(&pool->available);
    flow_lock_init(&pool->lock);
    if (pool_fill(pool, align) != FLOW_OK) {
        flow_pool_free(pool);
        return FLOW_E_NOMEM;
    }
    *ret_pool = pool;
    return FLOW_OK;
}

/* See <flow/align.h>. */
const struct flow_buf_policy *
flow_pool_policy(const struct flow_pool *pool)
{
    return &pool->base;
}

/* See <flow/align.h>. */
size_t
flow_pool_in_use(const struct flow_pool *pool)
{
    struct flow_pool *mine = pool_of_policy(&pool->base);
    size_t out;

    pool_enter(mine);
    out = mine->count - mine->free_count;
    pool_leave(mine);
    return out;
}

/* See <flow/align.h>. */
void
flow_pool_free(struct flow_pool *pool)
{
    const struct flow_env *env;

    if (pool == NULL)
        return;
    env = pool->env;
    if (pool->mem != NULL)
        env->free(env->ctx, pool->mem, pool->count * pool->block_size,
                  pool->base.hints.align);
    flow_env_free(env, pool->free_list, pool->count * sizeof(*pool->free_list));
    flow_event_fini(&pool->available);
    flow_lock_fini(&pool->lock);
    flow_env_free(env, pool, sizeof(*pool));
}
