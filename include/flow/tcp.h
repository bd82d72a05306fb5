/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TCP_H
#define FLOW_TCP_H

#include <flow/flow.h>
#include <flow/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Flows over TCP.
 */

/** Settings of a TCP flow or listener; zero is the default of each. */
struct flow_tcp_options {
    /** ns for resolution and connect together, over all addresses; 0: none. */
    uint64_t timeout;
    /** Connections that may wait for accept; 0: 128. */
    int backlog;
    /** Let several listeners of one user have the same port, each in a thread
     * or process of its own (SO_REUSEPORT).  Every one of them must set it; the
     * first may ask for port 0, and the others for the port that it got.  Linux
     * and FreeBSD divide new connections among them; others may give all to
     * one.  A listener that is closed takes the connections that waited for it
     * with it. #FLOW_E_NOTSUP where the system has no such option. */
    bool reuse_port;
    /** Leave small segments to Nagle's algorithm; default: send at once. */
    bool delay;
    /** Probe a silent peer (SO_KEEPALIVE).  A value above 0 in one of the next
     *  three members sets it too. */
    bool keepalive;
    /** ns of silence before the first probe, in whole seconds rounded up, at
     *  most 32767 s; 0: the system's, often 2 hours. */
    uint64_t keepalive_idle;
    /** ns between probes, with the range and rounding of keepalive_idle; 0: the
     *  system's. */
    uint64_t keepalive_interval;
    /** Probes without an answer before the connection counts as broken, at
     *  most 127; 0: the system's. */
    unsigned keepalive_count;
    /** Dialling: the IPv4 or IPv6 address of this machine to connect from; the
     *  host's addresses of the other kind are not tried.  NULL: the system
     *  chooses. */
    const char *source;
    /** Dialling, with source: the port to connect from; 0: any. */
    uint16_t source_port;
};

/**
 * @brief Make a flow to a host and port.
 *
 * Returns at once.  Opening it resolves the name (through flow_env::resolver,
 * so without blocking), then tries all addresses, IPv6 and IPv4 taking turns,
 * until one answers; one deadline covers all of it.  If none does, the error
 * is that of the last address tried, which the record's detail names.
 *
 * @param[in]  env       Environment; NULL: flow_env_default().
 * @param[in]  host      A name, an IPv4 or an IPv6 address (without brackets).
 * @param[in]  port      1..65535.
 * @param[in]  opt       Options, or NULL; copied.
 * @param[out] ret_flow  The flow; not connected yet.
 * @param[out] ret_err   Why it failed; may be NULL.
 * @retval FLOW_OK        Made; connects when opened.
 * @retval FLOW_E_INVAL   @p host is empty or too long, @p port is 0, or an
 *                        option is out of range.
 * @retval FLOW_E_NOTSUP  The system cannot set times of probes per socket.
 * @retval FLOW_E_NOMEM   No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tcp_dial(const struct flow_env *env, const char *host, uint16_t port,
              const struct flow_tcp_options *opt, struct flow **ret_flow,
              struct flow_error *ret_err);

/**
 * @brief Listen on an address and port.
 *
 * If the process runs out of descriptors, one that is held in reserve serves to
 * close the connection, and accept answers #FLOW_AGAIN for a while.
 *
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[in]  host          An IPv4 or IPv6 address, "" or "*" for any.
 * @param[in]  port          0: any; ask #FLOW_QUERY_LOCAL_ADDRESS which.
 * @param[in]  opt           Options, or NULL.
 * @param[out] ret_listener  The listener.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK        Listening.
 * @retval FLOW_E_INVAL   @p host is not an address, or an option is out of
 *                        range or only for dialling.
 * @retval FLOW_E_NOTSUP  As flow_tcp_dial().
 * @retval FLOW_E_SYS     The system refused; the record has errno.
 * @retval FLOW_E_NOMEM   No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tcp_listen(const struct flow_env *env, const char *host, uint16_t port,
                const struct flow_tcp_options *opt,
                struct flow_listener **ret_listener,
                struct flow_error *ret_err);

#ifdef __cplusplus
}
#endif

#endif
