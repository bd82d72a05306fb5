/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LISTENER_H
#define FLOW_LISTENER_H

#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Accepting flows, the same for every backend.
 *
 * A listener is made by a backend (flow_tcp_listen()) or by name
 * (flow_endpoint_listen()).  An accepted flow is not open yet: its handshake
 * runs on first use, so a slow client does not delay the next one.  Flows
 * outlive their listener.
 */

struct flow_listener;

/**
 * @brief Operations of a kind of listener, for authors of listeners.
 *
 * None of them blocks, as in <flow/backend.h>.
 */
struct flow_listener_ops {
    /** #FLOW_OPS_VERSION of <flow/backend.h>. */
    uint32_t version;
    /** Static name of the kind. */
    const char *name;
    /**
     * Take the next flow.
     * Returns: OK, AGAIN, or an error that leaves the listener usable, with
     * its cause in the listener's record (flow_listener_fail()).
     */
    enum flow_status (*accept)(struct flow_listener *l, struct flow **ret_flow);
    /** As flow_ops::wait: true when accept would not answer AGAIN, else
     *  sources. */
    bool (*wait)(struct flow_listener *l, struct flow_wait_set *set);
    /** Release everything; connections that were not accepted are closed. */
    void (*close)(struct flow_listener *l);
    /** Answer a key, or NULL: only #FLOW_QUERY_LOCAL_ADDRESS,
     *  #FLOW_QUERY_FD and #FLOW_QUERY_DESCRIPTION make sense. */
    enum flow_status (*query)(struct flow_listener *l, enum flow_query_key key,
                              void *buf, size_t *len);
};

/** What every listener begins with; members belong to the core. */
struct flow_listener {
    const struct flow_listener_ops *ops; /**< The kind. */
    const struct flow_env *env;          /**< Its environment. */
    uint64_t deadline;                   /**< (a) For flow_listener_wait(). */
    uint8_t canceled;                    /**< (a) Aborted. */
    struct flow_event wake;              /**< Makes sleepers look again. */
    struct flow__watch *watch;           /**< The poller's entry, or NULL. */
    struct flow_listener *upper;         /**< See flow_listener_wrap(). */
    struct flow_error error;             /**< The last failure. */
};

/**
 * @brief Initialise the common part of a listener.
 * @param[out] l    First member of the backend's struct, zeroed before.
 * @param[in]  ops  Static table.
 * @param[in]  env  Must outlive the listener and its flows.
 * @par Since
 * 0.1
 */
FLOW_API void flow_listener_init(struct flow_listener *l,
                                 const struct flow_listener_ops *ops,
                                 const struct flow_env *env);

/**
 * @brief Declare that a listener accepts from another, which it owns.
 *
 * @param[in,out] l      The listener; closes @p lower with itself.
 * @param[in,out] lower  The one below.
 * @par Since
 * 0.1
 */
FLOW_API void flow_listener_wrap(struct flow_listener *l,
                                 struct flow_listener *lower);

/**
 * @brief Announce that a descriptor is about to be closed: flow_fd_closing()
 * for listeners.
 *
 * Not needed in the close operation.
 *
 * @param[in,out] l   The listener whose wait operation named it.
 * @param[in]     fd  The descriptor, still open; -1: all that were named.
 * @par Threads
 * As flow_accept().
 * @par Since
 * 0.1
 */
FLOW_API void flow_listener_fd_closing(struct flow_listener *l, int fd);

/**
 * @brief Record why an accept failed.
 * @param[in,out] l       The listener.
 * @param[in]     status  What accept returns.
 * @param[in]     domain  Whose number @p code is.
 * @param[in]     code    Native code or 0.
 * @param[in]     text    Static phrase.
 * @return @p status.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_listener_fail(struct flow_listener *l,
                                             enum flow_status status,
                                             enum flow_domain domain,
                                             int32_t code, const char *text);

/**
 * @brief Take the next flow, if one is there.
 *
 * @param[in,out] l         The listener.
 * @param[out]    ret_flow  The flow, not open yet.
 * @retval FLOW_OK    *@p ret_flow is the caller's.
 * @retval FLOW_AGAIN No connection waits, or the listener backs off after
 *                    running out of descriptors.
 * @retval FLOW_E_CANCELED flow_listener_abort() was called.
 * @return Any other error leaves the listener usable.
 * @par Threads
 * One at a time.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_accept(struct flow_listener *l,
                                                    struct flow **ret_flow);

/**
 * @brief Wait for the next flow and take it.
 *
 * @param[in,out] l         The listener.
 * @param[out]    ret_flow  The flow, not open yet.
 * @retval FLOW_OK         *@p ret_flow is the caller's.
 * @retval FLOW_E_TIMEOUT  The deadline passed.
 * @return As flow_accept(), never #FLOW_AGAIN.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_accept_wait(struct flow_listener *l, struct flow **ret_flow);

/**
 * @brief Whether there is a flow to accept, and what to wait for if not.
 *
 * The sources include the deadline, and an event that flow_listener_abort() and
 * flow_listener_set_deadline() signal.  None of them is a source of a flow that
 * was accepted.
 *
 * @param[in,out] l    The listener.
 * @param[in,out] set  Initialised by the caller.
 * @return true when flow_accept() would not answer #FLOW_AGAIN.
 * @par Since
 * 0.1
 */
FLOW_API bool flow_listener_wait_sources(struct flow_listener *l,
                                         struct flow_wait_set *set);

/**
 * @brief Move the deadline of flow_accept_wait().
 * @param[in,out] l     The listener.
 * @param[in]     nsec  Monotonic ns, #FLOW_NEVER or #FLOW_NOW.
 * @par Threads
 * Any, before flow_listener_close().
 * @par Since
 * 0.1
 */
FLOW_API void flow_listener_set_deadline(struct flow_listener *l,
                                         uint64_t nsec);

/**
 * @brief Make flow_accept_wait() and every later accept return
 *        #FLOW_E_CANCELED.
 * @param[in,out] l  The listener.
 * @par Threads
 * Any, before flow_listener_close().
 * @par Since
 * 0.1
 */
FLOW_API void flow_listener_abort(struct flow_listener *l);

/**
 * @brief Ask a listener about itself, as flow_query().
 * @param[in]     l    The listener.
 * @param[in]     key  #FLOW_QUERY_LOCAL_ADDRESS says which port was chosen.
 * @param[out]    buf  As flow_query().
 * @param[in,out] len  As flow_query().
 * @return As flow_query().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_listener_query(struct flow_listener *l, enum flow_query_key key, void *buf,
                    size_t *len);

/**
 * @brief Why the last accept failed.
 * @param[in]  l        The listener.
 * @param[out] ret_err  A copy of the record.
 * @par Since
 * 0.1
 */
FLOW_API void flow_listener_get_error(const struct flow_listener *l,
                                      struct flow_error *ret_err);

/**
 * @brief End a listener; its flows live on.
 * @param[in] l  The listener; NULL does nothing.
 * @par Since
 * 0.1
 */
FLOW_API void flow_listener_close(struct flow_listener *l);

#ifdef __cplusplus
}
#endif

#endif
