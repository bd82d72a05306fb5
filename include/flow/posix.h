/* SPDX-License-Identifier: ISC */
#ifndef FLOW_POSIX_H
#define FLOW_POSIX_H

#include <stdint.h>

#include <flow/backend.h>
#include <flow/export.h>
#include <flow/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief For authors of backends on descriptors of a POSIX system.
 *
 * A wait operation asks flow_wait_fd_ready() whether its descriptor is ready
 * and calls flow_wait_add_fd() if it is not (<flow/wait.h>).  Before a backend
 * closes a descriptor that a wait operation named, it calls flow_fd_closing()
 * or flow_listener_fd_closing(), so that no poller keeps the number.  The
 * functions below turn an errno into a status and an error record.
 *
 * The library has this header's functions on POSIX systems only.
 */

/**
 * @brief Fill an error record from an errno.
 *
 * The record gets the status of the errno, its meaning in words and, where it
 * is known, a hint what to do.  ECONNRESET becomes #FLOW_E_RESET, EPIPE
 * #FLOW_E_CLOSED, ENOMEM #FLOW_E_NOMEM, most others #FLOW_E_SYS.  EAGAIN and
 * EINTR are not errors: answer #FLOW_AGAIN and repeat the call.
 *
 * @param[out] err       The record; NULL: only the status is wanted.
 * @param[in]  layer     The name of the kind of flow, a string that lives as
 *                       long as the record.
 * @param[in]  code      The errno, which the record keeps as its code, in
 *                       #FLOW_DOMAIN_ERRNO.
 * @param[in]  fallback  The text for an errno that has none of its own, such as
 *                       "reading failed"; as long-lived as @p layer.
 * @param[in]  detail    The object of the call, such as an address; copied, and
 *                       cut if it is long; or NULL.
 * @return The status.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_posix_error(struct flow_error *err,
                                           const char *layer, int code,
                                           const char *fallback,
                                           const char *detail);

/**
 * @brief Record an errno as the failure of directions of a flow.
 *
 * As flow_posix_error() with the name of the flow, and flow_fail_with().
 *
 * @param[in,out] f         The flow whose operation fails.
 * @param[in]     dirs      #FLOW_READ, #FLOW_WRITE or both.
 * @param[in]     code      As above.
 * @param[in]     fallback  As above.
 * @param[in]     detail    As above.
 * @return The status that the operation returns.
 * @par Threads
 * Those that may call the operation.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_posix_fail(struct flow *f, uint32_t dirs,
                                          int code, const char *fallback,
                                          const char *detail);

#ifdef __cplusplus
}
#endif

#endif
