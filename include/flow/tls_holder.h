/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HOLDER_H
#define FLOW_TLS_HOLDER_H

#include <flow/listener.h>
#include <flow/tls_config.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief The configuration in force, which can be replaced while it is used.
 *
 * A frozen configuration never changes.  To renew certificates without a
 * restart, make another one and put it into the holder: connections that are
 * accepted from then on get it, and those that were accepted before keep
 * theirs, in the middle of the handshake too.  A configuration that cannot be
 * frozen is refused, and the one in force stays.
 *
 * A holder has one reference to the configuration in force, and every
 * connection has one to its own.  The keys of a replaced configuration are
 * wiped when the last of its connections is closed.
 *
 * Session state is not handed on from one configuration to the next.
 *
 * After fork(2) each process has a holder of its own, and replaces its
 * configuration for itself.
 */

/** Opaque; flow_tls_holder_new(). */
struct flow_tls_holder;

/**
 * @brief Make a holder of a configuration.
 * @param[in]     env         Environment; NULL: flow_env_default().
 * @param[in,out] c           The configuration, a server's or a client's;
 *                            frozen by this.  The holder takes a reference.
 * @param[out]    ret_holder  The holder, with one reference.
 * @param[out]    ret_err     Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_NOMEM  No memory.
 * @return As flow_tls_config_freeze().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_holder_new(const struct flow_env *env, struct flow_tls_config *c,
                    struct flow_tls_holder **ret_holder,
                    struct flow_error *ret_err);

/**
 * @brief Take another reference.
 * @param[in,out] h  The holder.
 * @return @p h.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API struct flow_tls_holder *flow_tls_holder_ref(struct flow_tls_holder *h);

/**
 * @brief Drop a reference; the last one drops that to the configuration.
 * @param[in] h  The holder; NULL does nothing.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_holder_unref(struct flow_tls_holder *h);

/**
 * @brief The configuration in force.
 * @param[in,out] h  The holder.
 * @return The configuration, which is frozen, with a reference of the caller's,
 *         who drops it with flow_tls_config_unref().
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE struct flow_tls_config *
flow_tls_holder_get(struct flow_tls_holder *h);

/**
 * @brief Put another configuration into force.
 *
 * Every flow_tls_holder_get() that begins after this returns gets @p c.  If it
 * fails, the configuration in force stays.
 *
 * @param[in,out] h        The holder.
 * @param[in,out] c        The configuration; frozen by this.  The holder takes
 *                         a reference, and drops that to the one before.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       In force.
 * @retval FLOW_E_INVAL  It is a client's and the one in force a server's, or
 *                       the reverse.
 * @return As flow_tls_config_freeze().
 * @par Threads
 * Any.  Of several at the same time, the last one stays.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_holder_set(struct flow_tls_holder *h, struct flow_tls_config *c,
                    struct flow_error *ret_err);

/**
 * @brief Make a listener whose flows are TLS servers, each with the
 * configuration that is in force when it is accepted.
 *
 * Any number of listeners, each in a thread of its own, may share a holder.
 * Otherwise as flow_tls_listen(), which is short for a listener with a holder
 * of its own.
 *
 * @param[in,out] h               Holder of a server's configuration.
 * @param[in]     lower           The listener below.
 * @param[in]     max_handshakes  As flow_tls_listen().
 * @param[out]    ret_listener    The listener.
 * @param[out]    ret_err         Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  The configuration is a client's.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Ownership
 * On #FLOW_OK it owns @p lower and has a reference to @p h.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_listen_holder(struct flow_tls_holder *h, struct flow_listener *lower,
                       unsigned max_handshakes,
                       struct flow_listener **ret_listener,
                       struct flow_error *ret_err);

#ifdef __cplusplus
}
#endif

#endif
