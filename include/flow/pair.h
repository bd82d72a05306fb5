/* SPDX-License-Identifier: ISC */
#ifndef FLOW_PAIR_H
#define FLOW_PAIR_H

#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

struct flow_buf_policy;

/**
 * @file
 * @brief Two flows joined in memory: what is written to one is read from the
 *        other.
 */

/**
 * @brief Make a bounded in-memory pair.
 *
 * Each direction is a ring of private memory.  Both ends lend it in both
 * directions (flow_lease()), so a layer above can encrypt directly into it.
 * Both directions have half close.  Closing an end without flow_shutdown() is
 * seen by the other as #FLOW_E_TRUNCATED when reading and #FLOW_E_CLOSED when
 * writing, after the bytes that were accepted.
 *
 * @param[in]  env       Environment of both ends; NULL: flow_env_default().
 * @param[in]  capacity  Bytes per direction, 1..2^30, rounded up to a power of
 *                       two.
 * @param[in]  policy    Where the rings' memory comes from (<flow/buf.h>), or
 *                       NULL for the environment's.
 * @param[out] ret_a     One end.
 * @param[out] ret_b     The other.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  @p capacity is out of range.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Ownership
 * The caller closes each end; the second close frees the rings.
 * @par Threads
 * The ends may be used by different threads; each end as
 * #FLOW_CAP_DUPLEX says.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_pair_new(const struct flow_env *env, size_t capacity,
              const struct flow_buf_policy *policy, struct flow **ret_a,
              struct flow **ret_b);

#ifdef __cplusplus
}
#endif

#endif
