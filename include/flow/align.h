/* SPDX-License-Identifier: ISC */
#ifndef FLOW_ALIGN_H
#define FLOW_ALIGN_H

#include <flow/buf.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Buffer policies: plain, cache line, page, bounded pool, arena.
 */

/** Bytes of a cache line, the widest of the processors in use. */
#define FLOW_CACHE_LINE 64u
/** Bytes of a page, as Xen and x86 have it. */
#define FLOW_PAGE_SIZE 4096u

/** A policy over an environment's allocator. */
struct flow_align_policy {
    struct flow_buf_policy base; /**< The policy. */
    const struct flow_env *env;  /**< Where memory comes from. */
};

/**
 * @brief Buffers of the environment, aligned and padded.
 *
 * The address *and* the size are multiples of @p align: a buffer of a page
 * policy shares its pages with nothing else.
 *
 * @param[out] p       Caller's memory.
 * @param[in]  env     Must outlive the policy; NULL: flow_env_default().
 * @param[in]  align   Power of two: 1 for plain heap, #FLOW_CACHE_LINE,
 *                     #FLOW_PAGE_SIZE, or any other.
 * @param[in]  secret  Wipe buffers when they are given back.
 * @retval FLOW_OK       Ready; nothing to release.
 * @retval FLOW_E_INVAL  @p align is not a power of two, or above 2^30.
 * @par Threads
 * Any may acquire and release.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_align_init(struct flow_align_policy *p, const struct flow_env *env,
                size_t align, bool secret);

struct flow_pool;

/**
 * @brief A bounded pool of equal blocks, all allocated now.
 *
 * If the pool is empty, acquire answers #FLOW_AGAIN, and the policy's available
 * event tells when to try again.  Blocks are wiped when they are released, so
 * that no user sees the bytes of another.
 *
 * @param[in]  env         Must outlive the pool; NULL: flow_env_default().
 * @param[in]  block_size  Bytes per block, >= 1; rounded up to @p align.
 * @param[in]  count       Blocks, 1..65536.
 * @param[in]  align       Power of two, 1..2^30.
 * @param[out] ret_pool    The pool.
 * @retval FLOW_OK       Made; release: flow_pool_free().
 * @retval FLOW_E_INVAL  An argument is out of range.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Threads
 * Any may acquire and release.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_pool_new(const struct flow_env *env, size_t block_size, size_t count,
              size_t align, struct flow_pool **ret_pool);

/**
 * @brief The policy of a pool.
 * @param[in] pool  The pool.
 * @return Valid as long as the pool.
 * @par Since
 * 0.1
 */
FLOW_API const struct flow_buf_policy *
flow_pool_policy(const struct flow_pool *pool);

/**
 * @brief The number of blocks in use.
 * @param[in] pool  The pool.
 * @return 0..count.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_pool_in_use(const struct flow_pool *pool);

/**
 * @brief Release a pool.  No block may be in use.
 * @param[in] pool  The pool; NULL does nothing.
 * @par Since
 * 0.1
 */
FLOW_API void flow_pool_free(struct flow_pool *pool);

/** A policy that cuts buffers from memory of the caller. */
struct flow_arena_policy {
    struct flow_buf_policy base; /**< The policy. */
    uint8_t *mem;                /**< The memory. */
    size_t size;                 /**< Its bytes. */
    size_t used;                 /**< Bytes cut off so far. */
    size_t out;                  /**< Buffers out; at 0 the arena is empty
                                      again. */
};

/**
 * @brief Buffers from the caller's own memory.
 *
 * Buffers are cut off one after the other; the memory is free again when all
 * have been released.
 *
 * @param[out] p      Caller's memory.
 * @param[in]  mem    The arena; must outlive what is cut from it.
 * @param[in]  size   Its bytes.
 * @param[in]  align  Power of two, 1..2^30.
 * @retval FLOW_OK       Ready; nothing to release.
 * @retval FLOW_E_INVAL  @p align is out of range.
 * @par Threads
 * One thread at a time may acquire and release buffers.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_arena_init(struct flow_arena_policy *p, void *mem, size_t size,
                size_t align);

#ifdef __cplusplus
}
#endif

#endif
