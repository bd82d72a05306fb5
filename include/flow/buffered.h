/* SPDX-License-Identifier: ISC */
#ifndef FLOW_BUFFERED_H
#define FLOW_BUFFERED_H

#include <flow/buf.h>
#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief A filter that gives any flow leases, from buffers of a policy.
 *
 * Reads ahead and delays writes, by at most one buffer each.  Written bytes are
 * sent when the buffer is full, with the next write without #FLOW_MORE, with
 * flow_flush() or flow_shutdown().
 */

/**
 * @brief Put a buffer in front of a flow.
 * @param[in]  lower     The flow.
 * @param[in]  policy    Where the buffers come from; must outlive the filter.
 *                       A buffer is held only while it has bytes.  If
 *                       flow_buf_policy::any_thread is false, as for an arena,
 *                       the filter has no #FLOW_CAP_DUPLEX.
 * @param[in]  size      Bytes per direction, >= 1.
 * @param[out] ret_flow  The filter.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  @p size is 0.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Ownership
 * On #FLOW_OK the filter owns @p lower; else it is still the caller's.
 * @par Alignment
 * The first span of a lease starts where the policy aligns, whenever the
 * buffer is empty.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_buffered_wrap(struct flow *lower, const struct flow_buf_policy *policy,
                   size_t size, struct flow **ret_flow);

#ifdef __cplusplus
}
#endif

#endif
