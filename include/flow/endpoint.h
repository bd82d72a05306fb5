/* SPDX-License-Identifier: ISC */
#ifndef FLOW_ENDPOINT_H
#define FLOW_ENDPOINT_H

#include <flow/flow.h>
#include <flow/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Flows by name: "tcp://host:port", "unix:///path", "pair:NAME",
 * "tls+tcp://host:port".
 *
 * Which schemes there are depends on how the library was built:
 * flow_endpoint_schemes().
 */

struct flow_tls_config;
struct flow_tls_holder;

/** Settings of dialling and listening; zero is the default of each. */
struct flow_endpoint_options {
    /** tls+...: what to negotiate.  Dialling: NULL is a default client
     *  configuration (system trust store).  Listening: required, unless there
     *  is a holder. */
    struct flow_tls_config *tls;
    /** tls+... listening: holds what to negotiate, in place of @c tls; see
     *  flow_tls_listen_holder(). */
    struct flow_tls_holder *tls_holder;
    /** tls+...: the name to ask for and to verify; NULL: the host. */
    const char *server_name;
    /** Dialling: ns for resolution, connect and handshake together; 0: none. */
    uint64_t timeout;
    /** Listening: connections that may wait for accept; 0: 128. */
    int backlog;
    /** tcp: let several listeners have one port; as in struct
     *  flow_tcp_options. */
    bool reuse_port;
    /** tcp: leave small segments to Nagle's algorithm. */
    bool delay;
    /** tcp: probe a silent peer, and when; as in struct flow_tcp_options. */
    bool keepalive;
    uint64_t keepalive_idle;     /**< tcp: ns of silence before a probe. */
    uint64_t keepalive_interval; /**< tcp: ns between probes. */
    unsigned keepalive_count;    /**< tcp: probes without an answer. */
    /** tcp dialling: the address of this machine to connect from. */
    const char *source;
    uint16_t source_port; /**< tcp dialling, with source: and the port. */
    /** unix listening: permission bits of the socket file; 0: 0600. */
    unsigned mode;
    /** tls+... listening: most flows with a handshake under way; 0: 1024.  See
     *  flow_tls_listen(). */
    unsigned max_handshakes;
};

/** A scheme of endpoint names, for authors of backends. */
struct flow_scheme {
    /** "tcp" for names "tcp:..."; with a '+' at its end, as "tls+", for every
     *  name that begins so, whose rest is an endpoint again. */
    const char *name;
    /** How a name looks: "tcp://HOST:PORT". */
    const char *syntax;
    /** Make a flow; @p rest is what follows "name:" or "name+".  Non-blocking:
     * the flow connects when it is opened. */
    enum flow_status (*dial)(const struct flow_env *env, const char *rest,
                             const struct flow_endpoint_options *opt,
                             struct flow **ret_flow, struct flow_error *err);
    /** Make a listener. */
    enum flow_status (*listen)(const struct flow_env *env, const char *rest,
                               const struct flow_endpoint_options *opt,
                               struct flow_listener **ret_listener,
                               struct flow_error *err);
};

/**
 * @brief Make a flow to a named endpoint.
 *
 * Returns at once: resolving, connecting and the handshake happen as the flow
 * is opened (flow_open_wait(), or its first use), under @p opt's timeout.
 *
 * @param[in]  env       Environment; NULL: flow_env_default().
 * @param[in]  name      The endpoint.
 * @param[in]  opt       Options, or NULL.
 * @param[out] ret_flow  The flow.
 * @param[out] ret_err   Why it failed; may be NULL.
 * @retval FLOW_OK        *@p ret_flow is the caller's.
 * @retval FLOW_E_INVAL   The name cannot be parsed; the record gives the
 *                        syntax.
 * @retval FLOW_E_NOTSUP  Its scheme is not in this build; the record lists
 *                        those that are.
 * @return Any other error is in @p ret_err.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_endpoint_dial(const struct flow_env *env, const char *name,
                   const struct flow_endpoint_options *opt,
                   struct flow **ret_flow, struct flow_error *ret_err);

/**
 * @brief Listen on a named endpoint.
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[in]  name          The endpoint; "tcp://127.0.0.1:0" takes any port.
 * @param[in]  opt           Options, or NULL.
 * @param[out] ret_listener  The listener.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @return As flow_endpoint_dial().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_endpoint_listen(const struct flow_env *env, const char *name,
                     const struct flow_endpoint_options *opt,
                     struct flow_listener **ret_listener,
                     struct flow_error *ret_err);

/**
 * @brief The schemes of this build.
 * @return A NULL-terminated static list.
 * @par Since
 * 0.1
 */
FLOW_API const struct flow_scheme *const *flow_endpoint_schemes(void);

#ifdef __cplusplus
}
#endif

#endif
