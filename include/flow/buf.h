/* SPDX-License-Identifier: ISC */
#ifndef FLOW_BUF_H
#define FLOW_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/export.h>
#include <flow/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Where buffers come from: alignment, size steps, room around, backing.
 *
 * A caller may pass any address and length to a flow.  A backend that needs
 * special memory takes it from a policy.  The hints of a whole stack are
 * composed from those of its layers (flow_buf_compose(),
 * #FLOW_QUERY_BUF_HINTS), so that an application can allocate once for all of
 * them.  Policies are in <flow/align.h>.
 */

/** What memory is made of; a larger value is stricter. */
enum flow_buf_backing {
    FLOW_BUF_HEAP = 0,     /**< Any memory. */
    FLOW_BUF_STATIC = 1,   /**< A pool fixed at construction. */
    FLOW_BUF_PAGES = 2,    /**< Whole pages, nothing else on them. */
    FLOW_BUF_GRANTABLE = 3 /**< Pages that can be shared with a peer. */
};

/**
 * @brief Requirements of a layer or an application on memory.
 *
 * Invariants: align is a power of two; granularity >= 1.
 */
struct flow_buf_hints {
    size_t align;                  /**< Address: a multiple of this, >= 1. */
    size_t granularity;            /**< Size: a multiple of this, >= 1. */
    size_t headroom;               /**< Bytes free in front of the data. */
    size_t tailroom;               /**< Bytes free after it. */
    size_t max_contiguous;         /**< Largest useful piece, 0: no limit. */
    enum flow_buf_backing backing; /**< What it is made of. */
    bool secret;                   /**< Wiped before it is given back. */
};

/** A buffer from a policy. */
struct flow_buf {
    uint8_t *base; /**< First byte, aligned; NULL: none. */
    size_t len;    /**< Bytes, at least what was asked for. */
};

/**
 * @brief A source of buffers.
 *
 * First member of a policy's own struct; must outlive what it gave out.
 */
struct flow_buf_policy {
    /** #FLOW_OK, #FLOW_E_NOMEM, #FLOW_E_INVAL for more than it can ever give,
     *  or, from a bounded pool, #FLOW_AGAIN: wait for @ref available. */
    enum flow_status (*acquire)(const struct flow_buf_policy *policy,
                                size_t min_size, struct flow_buf *ret_buf);
    /** Give a buffer back; wipes it when the hints say secret. */
    void (*release)(const struct flow_buf_policy *policy, struct flow_buf *buf);
    /** Signalled when a buffer of a bounded pool is released; NULL: acquire
     * never answers AGAIN. */
    struct flow_event *available;
    /** true: several threads may acquire and release at once.  false: one
     *  thread at a time; a flow that takes buffers in both directions then has
     *  no #FLOW_CAP_DUPLEX. */
    bool any_thread;
    /** What its buffers are like. */
    struct flow_buf_hints hints;
};

/**
 * @brief Hints that ask for nothing: align 1, granularity 1, heap.
 * @param[out] hints  The hints.
 * @par Since
 * 0.1
 */
FLOW_API void flow_buf_hints_init(struct flow_buf_hints *hints);

/**
 * @brief Add the hints of the layer above to those of the layers below.
 *
 * Alignment: the larger; granularity: the least common multiple; headroom and
 * tailroom: the sums; max_contiguous: the smaller; backing: the stricter.
 *
 * @param[in,out] below  Hints so far; receives the composition.
 * @param[in]     above  Hints of the layer above.
 * @retval FLOW_OK       Composed.
 * @retval FLOW_E_INVAL  The least common multiple or a sum does not fit;
 *                       @p below is unchanged.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_buf_compose(struct flow_buf_hints *below,
                                           const struct flow_buf_hints *above);

/**
 * @brief Take a buffer.
 * @param[in]  policy    The source.
 * @param[in]  min_size  Bytes wanted, >= 1.
 * @param[out] ret_buf   The buffer.
 * @return As flow_buf_policy::acquire.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_buf_acquire(const struct flow_buf_policy *policy, size_t min_size,
                 struct flow_buf *ret_buf);

/**
 * @brief Give a buffer back and forget it.
 * @param[in]     policy  Where it came from.
 * @param[in,out] buf     The buffer; its base becomes NULL.  One without a
 *                        base does nothing.
 * @par Since
 * 0.1
 */
FLOW_API void flow_buf_release(const struct flow_buf_policy *policy,
                               struct flow_buf *buf);

#ifdef __cplusplus
}
#endif

#endif
