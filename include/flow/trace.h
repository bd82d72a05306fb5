/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TRACE_H
#define FLOW_TRACE_H

#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief A filter that reports every call; the smallest complete filter.
 */

/** One call through a trace filter. */
struct flow_trace_event {
    const char *operation;   /**< "readv", "writev", "shutdown", ... */
    enum flow_status status; /**< What it answered. */
    size_t asked;            /**< Bytes asked for, where that makes sense. */
    size_t done;             /**< Bytes moved, where that makes sense. */
    uint64_t time;           /**< Monotonic ns. */
};

/** Receives the events, in the thread that made the call. */
typedef void flow_trace_fn(void *user, const struct flow_trace_event *event);

/**
 * @brief Report every call on a flow.
 * @param[in]  lower     The flow.
 * @param[in]  fn        Called after each operation; must not use the flow.
 *                       NULL: the environment's log at #FLOW_LOG_DEBUG.
 * @param[in]  user      Given back to @p fn.
 * @param[out] ret_flow  The filter.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Ownership
 * On #FLOW_OK the filter owns @p lower; else it is still the caller's.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_trace_wrap(struct flow *lower,
                                                        flow_trace_fn *fn,
                                                        void *user,
                                                        struct flow **ret_flow);

#ifdef __cplusplus
}
#endif

#endif
