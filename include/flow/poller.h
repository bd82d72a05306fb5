/* SPDX-License-Identifier: ISC */
#ifndef FLOW_POLLER_H
#define FLOW_POLLER_H

#include <flow/flow.h>
#include <flow/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Many flows in one thread.
 *
 * Level-triggered: an entry is reported as long as it is ready.  Readiness is
 * the flow's own, so plaintext that TLS has decrypted but nobody has read yet
 * counts: "the socket is silent but the data is here" cannot happen.
 *
 * @code
 * flow_poller_add(p, f, FLOW_READY_READ, conn);
 * while (flow_poller_wait(p, ev, 64, FLOW_NEVER, &n) == FLOW_OK)
 *     for (i = 0; i < n; i++)
 *         serve(ev[i].user, ev[i].ready);
 * @endcode
 */

struct flow_poller;

/** flow_poller_event::ready: a deadline of the flow has passed, of either
 *  direction whatever the interest, or that of the listener; reported until it
 *  is moved. */
#define FLOW_READY_DEADLINE 0x100u
/** flow_poller_event::ready: a listener has a flow to accept. */
#define FLOW_READY_ACCEPT 0x200u

/** What flow_poller_wait() reports. */
struct flow_poller_event {
    struct flow *flow;              /**< The flow, or NULL. */
    struct flow_listener *listener; /**< The listener, or NULL. */
    uint32_t ready;                 /**< FLOW_READY_ bits. */
    void *user;                     /**< As given when it was added. */
};

/**
 * @brief Make a poller.
 * @param[in]  env         Its environment; NULL: flow_env_default().
 * @param[out] ret_poller  The poller; release: flow_poller_free().
 * @retval FLOW_OK        Made.
 * @retval FLOW_E_NOMEM   No memory.
 * @retval FLOW_E_SYS     The system gave no descriptor.
 * @retval FLOW_E_NOTSUP  This platform has no poller.
 * @par Threads
 * A poller and its flows belong to one thread, except flow_poller_wake(),
 * flow_abort() and flow_set_deadline().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_poller_new(const struct flow_env *env, struct flow_poller **ret_poller);

/**
 * @brief Watch a flow.
 * @param[in,out] p         The poller.
 * @param[in,out] f         A flow that no poller watches; must be removed
 *                          before it is closed.
 * @param[in]     interest  FLOW_READY_ bits; 0 only watches the deadlines.
 * @param[in]     user      Given back with its events.
 * @retval FLOW_OK       Watched.
 * @retval FLOW_E_INVAL  It is watched already.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_poller_add(struct flow_poller *p,
                                                        struct flow *f,
                                                        uint32_t interest,
                                                        void *user);

/**
 * @brief Change what is looked for.
 * @param[in,out] p         The poller.
 * @param[in,out] f         A flow it watches.
 * @param[in]     interest  FLOW_READY_ bits.
 * @par Since
 * 0.1
 */
FLOW_API void flow_poller_set(struct flow_poller *p, struct flow *f,
                              uint32_t interest);

/**
 * @brief Stop watching a flow.  No event for it comes any more, not even from
 * a list that flow_poller_wait() has filled and its caller not yet read.
 * @param[in,out] p  The poller.
 * @param[in,out] f  A flow it watches.
 * @par Since
 * 0.1
 */
FLOW_API void flow_poller_remove(struct flow_poller *p, struct flow *f);

/**
 * @brief Watch a listener, with #FLOW_READY_ACCEPT.
 * @param[in,out] p     The poller.
 * @param[in,out] l     A listener that no poller watches.
 * @param[in]     user  Given back with its events.
 * @return As flow_poller_add().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_poller_add_listener(struct flow_poller *p, struct flow_listener *l,
                         void *user);

/**
 * @brief Stop watching a listener.
 * @param[in,out] p  The poller.
 * @param[in,out] l  A listener it watches.
 * @par Since
 * 0.1
 */
FLOW_API void flow_poller_remove_listener(struct flow_poller *p,
                                          struct flow_listener *l);

/**
 * @brief Wait until something is ready.
 *
 * Reports every ready entry once per call, starting behind the one reported
 * last, so that a small @p cap starves nobody.  An entry whose flow is removed
 * while the list is worked on has flow and listener NULL from then on.
 *
 * @param[in,out] p          The poller.
 * @param[out]    events     Where to.  The poller keeps the pointer until the
 *                           next call or flow_poller_free(), to blank what is
 *                           removed meanwhile: never an array of a function
 *                           that returns before that.
 * @param[in]     cap        How many fit, >= 1.
 * @param[in]     deadline   Monotonic ns, #FLOW_NEVER or #FLOW_NOW.
 * @param[out]    ret_count  How many were reported.
 * @retval FLOW_OK         1 or more events, or 0 after flow_poller_wake().
 * @retval FLOW_E_TIMEOUT  The deadline passed.
 * @return An error of the system's wait.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_poller_wait(struct flow_poller *p, struct flow_poller_event *events,
                 size_t cap, uint64_t deadline, size_t *ret_count);

/**
 * @brief End a flow_poller_wait(), now or the next one.
 * @param[in,out] p  The poller.
 * @par Threads
 * Any, signal handlers included.
 * @par Since
 * 0.1
 */
FLOW_API void flow_poller_wake(struct flow_poller *p);

/**
 * @brief A descriptor that is readable when flow_poller_wait() has work, to
 * put the whole poller into a foreign event loop.
 *
 * Call flow_poller_wait() with #FLOW_NOW once before sleeping on it, and after
 * each wake; flow_poller_timeout() bounds the sleep.
 *
 * @param[in] p  The poller.
 * @return The descriptor, still the poller's, or -1 where the system has none
 *         (poll(2)).
 * @par Since
 * 0.1
 */
FLOW_API int flow_poller_fd(const struct flow_poller *p);

/**
 * @brief When flow_poller_wait() has work even if the descriptor is silent.
 * @param[in,out] p  The poller.
 * @return Monotonic ns, #FLOW_NEVER, or #FLOW_NOW.
 * @par Since
 * 0.1
 */
FLOW_API uint64_t flow_poller_timeout(struct flow_poller *p);

/**
 * @brief Release a poller; its flows live on, unwatched.
 * @param[in] p  The poller; NULL does nothing.
 * @par Since
 * 0.1
 */
FLOW_API void flow_poller_free(struct flow_poller *p);

#ifdef __cplusplus
}
#endif

#endif
