/* SPDX-License-Identifier: ISC */
#ifndef FLOW_FAULT_H
#define FLOW_FAULT_H

#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief A filter that injects faults into a flow, repeatably, from a seed.
 *
 * To test a program against what networks do: calls that would block, short
 * reads and writes, delays, a connection that is cut at byte k, flipped bits.
 */

/** No byte: for the positions of #flow_fault_plan. */
#define FLOW_FAULT_NEVER UINT64_MAX

/** What goes wrong.  Start with flow_fault_plan_init(): nothing does. */
struct flow_fault_plan {
    uint64_t seed;          /**< Same seed, same faults. */
    uint32_t again_percent; /**< Calls that answer AGAIN first although they
                                 would succeed, 0..100. */
    bool again_always;      /**< All of them do, once each. */
    size_t max_read;        /**< Most bytes per read, 0: no limit. */
    size_t max_write;       /**< Most bytes per write, 0: no limit. */
    bool random_short;      /**< Lengths 1..limit by seed instead of the
                                 limit itself. */
    uint64_t delay;         /**< ns that a call which would succeed answers
                                 AGAIN before it does; a time source. */
    uint64_t cut_read;      /**< After so many bytes reading ends with
                                 @ref cut_status. */
    uint64_t cut_write;     /**< After so many bytes writing fails with
                                 @ref cut_status; a read side that has not
                                 been cut goes on. */
    /** EOF, E_TRUNCATED, E_RESET, ...; EOF means E_CLOSED for writing. */
    enum flow_status cut_status;
    uint64_t flip_read;  /**< Position of a byte read whose lowest bit flips. */
    uint64_t flip_write; /**< The same for a byte written. */
};

/**
 * @brief A plan in which nothing goes wrong.
 * @param[out] plan  The plan.
 * @par Since
 * 0.1
 */
FLOW_API void flow_fault_plan_init(struct flow_fault_plan *plan);

/**
 * @brief Inject faults into a flow.
 *
 * Readiness stays correct: after an injected AGAIN the flow is ready at once,
 * or at the end of the delay.  Leases are not forwarded.
 *
 * @param[in]  lower     The flow.
 * @param[in]  plan      What goes wrong; copied.
 * @param[out] ret_flow  The filter.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  The plan is out of range.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Ownership
 * On #FLOW_OK the filter owns @p lower; else it is still the caller's.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_fault_wrap(struct flow *lower, const struct flow_fault_plan *plan,
                struct flow **ret_flow);

#ifdef __cplusplus
}
#endif

#endif
