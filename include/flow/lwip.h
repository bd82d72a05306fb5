/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LWIP_H
#define FLOW_LWIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/export.h>
#include <flow/flow.h>
#include <flow/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Flows over lwIP, a TCP/IP stack inside the program, for machines whose
 *        system has none.
 *
 * The stack is one per process.  flow_lwip_start() starts it with a loopback
 * interface, flow_lwip_attach() gives it a network.  It runs in the calls of
 * this library and has no thread of its own:
 *
 * - Every operation of its flows and listeners lets it do what has become
 *   possible.
 * - A thread that waits for one of them, in any of the ways to wait, wakes for
 *   the stack's timers: their time is among the wait sources.
 * - flow_lwip_receive() gives it a packet of the network.  The program calls it
 *   from its main loop, or from flow_env::wait before it sleeps.
 * - A program in which no thread waits calls flow_lwip_poll() whenever the time
 *   that it returned has come.  Otherwise nothing is repeated that the network
 *   lost, and the last bytes of closed flows may stay unsent.
 *
 * lwIP itself may be entered by one thread at a time.  The functions of this
 * library see to that with a lock, so they may be called from any thread, on
 * ports that have threads; flow_lwip_interface::send, which is called under the
 * lock, may not call this library.  An interrupt handler may call none of
 * them.
 *
 * The stack belongs to the process that started it: in another one, every call
 * that would move bytes is #FLOW_E_INVAL (C80).
 *
 * There is IPv4 and no name resolution.  As over sockets, a flow that is
 * closed with unread input resets the connection, and one that is closed
 * otherwise sends what was accepted; if the peer takes nothing of it for 60
 * seconds, it is dropped.
 */

/** Settings of a flow or listener over lwIP; zero is the default of each. */
struct flow_lwip_options {
    /** Dialling: ns until the connection must be there; 0: none. */
    uint64_t timeout;
    /** Listening: connections that may wait for accept, at most 255; 0: 32. */
    int backlog;
    /** Leave small segments to Nagle's algorithm; default: send at once. */
    bool delay;
    /** Probe a peer that was silent for 2 hours. */
    bool keepalive;
};

/**
 * @brief Start the stack, with the loopback interface 127.0.0.1.
 *
 * @param[in]  env      The stack's clock and entropy; must live as long as the
 *                      process.  NULL: flow_env_default().
 * @param[out] ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK        It runs; also if it had been started with @p env.
 * @retval FLOW_E_ENTROPY The environment has no entropy for initial sequence
 *                        numbers (RFC 6528).  The stack is not started, and a
 *                        later call may succeed.
 * @retval FLOW_E_BUSY    It was started with another environment, or by the
 *                        process from which this one was forked.
 * @par Threads
 * Any, before every other function of this header.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_lwip_start(const struct flow_env *env, struct flow_error *ret_err);

/**
 * @brief Run the timers that are due.
 *
 * @return When to call again at the latest, in monotonic ns of the stack's
 *         clock.  #FLOW_NEVER: the stack has no timer, was not started, or
 *         belongs to another process.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API uint64_t flow_lwip_poll(void);

/**
 * @brief Make a flow to an address and port.
 *
 * Returns at once; opening it connects.  If the stack has as many connections
 * as it can have, opening answers #FLOW_AGAIN until one is gone.
 *
 * @param[in]  env       Environment; NULL: flow_env_default().
 * @param[in]  host      An IPv4 address.
 * @param[in]  port      1..65535.
 * @param[in]  opt       Options, or NULL; copied.
 * @param[out] ret_flow  The flow; not connected yet.
 * @param[out] ret_err   Why it failed; may be NULL.
 * @retval FLOW_OK       Made; connects when opened.
 * @retval FLOW_E_INVAL  @p host is not an IPv4 address, @p port is 0, or the
 *                       stack is not started or belongs to another process.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_lwip_dial(const struct flow_env *env, const char *host, uint16_t port,
               const struct flow_lwip_options *opt, struct flow **ret_flow,
               struct flow_error *ret_err);

/**
 * @brief Listen on an address and port.
 *
 * While as many connections wait for accept as the backlog allows, or the stack
 * has as many connections as it can have, further ones get no answer, and their
 * clients try again.
 *
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[in]  host          An IPv4 address of the stack, "" or "*" for all.
 * @param[in]  port          0: any; ask #FLOW_QUERY_LOCAL_ADDRESS which.
 * @param[in]  opt           Options, or NULL.
 * @param[out] ret_listener  The listener.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK       Listening.
 * @retval FLOW_E_INVAL  @p host is not an IPv4 address, the backlog is
 *                       negative, or the stack is not started or belongs to
 *                       another process.
 * @retval FLOW_E_SYS    Another listener has the port.
 * @retval FLOW_E_NOMEM  No memory, or the stack has 8 listeners.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_lwip_listen(const struct flow_env *env, const char *host, uint16_t port,
                 const struct flow_lwip_options *opt,
                 struct flow_listener **ret_listener,
                 struct flow_error *ret_err);

/** @brief An Ethernet interface: what the program's driver tells of it. */
struct flow_lwip_interface {
    uint8_t hardware[6]; /**< Its Ethernet address. */
    uint8_t address[4];  /**< Its IPv4 address, most significant byte first. */
    uint8_t netmask[4];  /**< Addresses that it reaches directly. */
    uint8_t gateway[4];  /**< Router to all others; zeros: none. */
    /**
     * Send a frame, without a frame check sequence, of at most 1,514 bytes.
     * Copies it before it returns.  False: the device takes nothing now, and
     * the frame is lost, as frames may be.  Must not block and must not call
     * this library.
     */
    bool (*send)(void *ctx, const struct flow_cvec *vec, size_t count);
    void *ctx; /**< Given to send. */
};

/**
 * @brief Give the stack its Ethernet interface.
 *
 * @param[in]  interface  Copied.
 * @param[out] ret_err    Why it failed; may be NULL.
 * @retval FLOW_OK       In use until the process ends.
 * @retval FLOW_E_INVAL  The stack is not started or belongs to another process,
 *                       or the interface has no send function.
 * @retval FLOW_E_BUSY   The stack has an interface.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_lwip_attach(const struct flow_lwip_interface *interface,
                 struct flow_error *ret_err);

/**
 * @brief Give the stack a frame that its interface received.
 *
 * @param[in] frame  From the Ethernet header on, without a frame check
 *                   sequence; copied.
 * @param[in] len    Its bytes.  Frames of fewer than 14 or more than 1,514 are
 *                   dropped.
 * @retval FLOW_OK       The stack has dealt with it; frames that are not for
 *                       this host, or malformed, are dropped.
 * @retval FLOW_AGAIN    The stack has no memory for it now.  The driver may
 * drop it, or keep it and try again later.
 * @retval FLOW_E_INVAL  The stack has no interface or belongs to another
 *                       process.
 * @par Threads
 * Any, but not an interrupt handler.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_lwip_receive(const void *frame,
                                                          size_t len);

#ifdef __cplusplus
}
#endif

#endif
