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
 * that of the flow, not of its socket, so plaintext that TLS has decrypted and
 * no caller has read yet counts.
 *
 * Entries are reported round robin: between two reports of a flow that stays
 * ready, every other flow is reported at most once, however few events a call
 * asks for.
 *
 * If a flow is removed or closed while the caller works on the list, its event
 * becomes zero.  So look at flow_poller_event::ready first:
 *
 * <!-- quote: tests/unit/test_poller_list.c -->
 * @code
 * st = flow_poller_wait(p, 64, FLOW_NEVER, &ev, &n);
 * for (i = 0; i < n; i++)
 *     if (ev[i].ready != 0)
 *         serve(ev[i].user, ev[i].ready);
 * @endcode
 *
 * After fork() a poller belongs to the process that made it.  In the child
 * flow_poller_free() releases the child's copy, and closing a flow that the
 * poller watches removes it from that copy.  Neither changes anything for the
 * parent.  Every other call that returns a status answers #FLOW_E_INVAL.
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
 * @param[in,out] f         A flow that no poller watches.  flow_close() also
 *                          removes it.
 * @param[in]     interest  FLOW_READY_ bits; 0 only watches the deadlines.
 * @param[in]     user      Given back with its events.
 * @retval FLOW_OK       Watched.
 * @retval FLOW_E_INVAL  The flow is watched already, @p interest has a bit
 *                       other than #FLOW_READY_READ, #FLOW_READY_WRITE,
 *                       #FLOW_READY_FLUSH and #FLOW_READY_OPEN, or the poller
 *                       was inherited by fork().
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_poller_add(struct flow_poller *p,
                                                        struct flow *f,
                                                        uint32_t interest,
                                                        void *user);

/**
 * @brief Change the interest in a flow.
 * @param[in,out] p         The poller.
 * @param[in,out] f         A flow it watches.
 * @param[in]     interest  As for flow_poller_add().
 * @retval FLOW_OK       The interest is set.
 * @retval FLOW_E_INVAL  This poller does not watch @p f, @p interest has an
 *                       unknown bit, or the poller was inherited.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_poller_set(struct flow_poller *p, struct flow *f,
                                          uint32_t interest);

/**
 * @brief Stop watching a flow.  No event for it follows; one that is already in
 * the list of flow_poller_wait() becomes zero in all its members.
 * @param[in,out] p  The poller.
 * @param[in,out] f  A flow it watches.
 * @retval FLOW_OK       It is not watched any more.
 * @retval FLOW_E_INVAL  This poller does not watch @p f, or the poller was
 *                       inherited.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_poller_remove(struct flow_poller *p,
                                             struct flow *f);

/**
 * @brief Watch a listener, with #FLOW_READY_ACCEPT.
 * @param[in,out] p     The poller.
 * @param[in,out] l     A listener that no poller watches.
 *                      flow_listener_close() also removes it.
 * @param[in]     user  Given back with its events.
 * @return As flow_poller_add().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_poller_add_listener(struct flow_poller *p, struct flow_listener *l,
                         void *user);

/**
 * @brief Stop watching a listener, as flow_poller_remove().
 * @param[in,out] p  The poller.
 * @param[in,out] l  A listener it watches.
 * @return As flow_poller_remove().
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_poller_remove_listener(struct flow_poller *p,
                                                      struct flow_listener *l);

/**
 * @brief Wait until something is ready.
 *
 * Lists entries that are ready, each once, the one reported least recently
 * first.  Every call asks the system, so a flow that becomes ready is reported
 * however many others are always ready.
 *
 * The poller owns the list.  If a flow or a listener is removed or closed while
 * the caller works on the list, its event becomes zero in all its members.
 *
 * @param[in,out] p           The poller.
 * @param[in]     cap         Events to list at most, >= 1.
 * @param[in]     deadline    Monotonic ns, #FLOW_NEVER or #FLOW_NOW.
 * @param[out]    ret_events  The list; valid until the next flow_poller_wait()
 *                            or flow_poller_free().
 * @param[out]    ret_count   How many events it has.
 * @retval FLOW_OK         1 or more events, or 0 after flow_poller_wake().
 * @retval FLOW_E_TIMEOUT  The deadline passed.
 * @retval FLOW_E_INVAL    @p cap is 0, or the poller was inherited.
 * @return An error of the system's wait.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_poller_wait(struct flow_poller *p, size_t cap, uint64_t deadline,
                 const struct flow_poller_event **ret_events,
                 size_t *ret_count);

/**
 * @brief End a flow_poller_wait(), now or the next one.
 * @param[in,out] p  The poller.
 * @par Threads
 * Any, signal handlers included.  Without effect in a child that inherited
 * the poller.
 * @par Since
 * 0.1
 */
FLOW_API void flow_poller_wake(struct flow_poller *p);

/**
 * @brief A descriptor that stands for the whole poller in another event loop.
 *
 * When it is readable, call flow_poller_wait() with #FLOW_NOW.  It becomes
 * readable when a watched flow may be ready, also because of a call on that
 * flow elsewhere in the loop, or of flow_abort() or flow_set_deadline() in
 * another thread.  It does not become readable when a deadline passes: sleep no
 * longer than until flow_poller_timeout().  examples/epoll_echo.c is a whole
 * server.
 *
 * @param[in,out] p  The poller.
 * @return The descriptor, still the poller's, and always the same; -1 where the
 *         system has none (poll(2)), when no descriptor is left, and for a
 *         poller that was inherited.
 * @par Since
 * 0.1
 */
FLOW_API int flow_poller_fd(struct flow_poller *p);

/**
 * @brief When to call flow_poller_wait() even if the descriptor is not
 *        readable.
 * @param[in,out] p  The poller.
 * @return Monotonic ns, #FLOW_NEVER, or #FLOW_NOW when it has work already.
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
