/* SPDX-License-Identifier: ISC */
#ifndef FLOW_PREFIX_H
#define FLOW_PREFIX_H

#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief A filter that puts bytes in front of what a flow reads.
 *
 * To look at the first bytes of a stream and then let another layer see them
 * again.
 */

/**
 * @brief Put bytes back in front of a flow.
 *
 * They are read first; then the filter passes everything through.
 *
 * @param[in]  lower     The flow.
 * @param[in]  bytes     What to read first; copied.
 * @param[in]  len       How many, may be 0.
 * @param[out] ret_flow  The filter.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Ownership
 * On #FLOW_OK the filter owns @p lower; else it is still the caller's.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_prefix_wrap(struct flow *lower, const void *bytes, size_t len,
                 struct flow **ret_flow);

#ifdef __cplusplus
}
#endif

#endif
