/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_H
#define FLOW_TLS_H

#include <flow/flow.h>
#include <flow/listener.h>
#include <flow/tls_config.h>
#include <flow/tls_verify.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief TLS on any flow.
 *
 * A TLS flow wraps another flow and is one: it reads and writes plaintext, has
 * half close even if the flow below has none, and distinguishes an
 * authenticated end (close_notify, #FLOW_EOF) from a truncation
 * (#FLOW_E_TRUNCATED).  The handshake runs with the first use or flow_open();
 * afterwards flow_tls_get_info() reports what was agreed.
 *
 * A connection belongs to the process that began its handshake.  In a process
 * that was forked since, every call that would move bytes or change the
 * connection answers #FLOW_E_INVAL: two processes would encrypt with the same
 * keys and the same numbers.  There flow_tls_get_info() still answers, and
 * flow_close() releases the copy.
 *
 * Data that a peer sends after our close_notify can still be read; after the
 * peer's we can still write (RFC 8446 6.1, and by the same rule in TLS 1.2).
 */

/** @name Why a peer's identity is not verified
 *  flow_error::verify_flags, flow_tls_info::verify_flags */
/**@{*/
/** A certificate has expired. */
#define FLOW_VERIFY_EXPIRED 0x0001u
/** A certificate is not valid yet. */
#define FLOW_VERIFY_FUTURE 0x0002u
/** The chain does not lead to a trusted certificate. */
#define FLOW_VERIFY_NOT_TRUSTED 0x0004u
/** The certificate is for other names. */
#define FLOW_VERIFY_NAME 0x0008u
/** Revoked. */
#define FLOW_VERIFY_REVOKED 0x0010u
/** Its key usage does not allow this. */
#define FLOW_VERIFY_USAGE 0x0020u
/** Key, curve or signature is too weak. */
#define FLOW_VERIFY_WEAK 0x0040u
/** No certificate was sent.  Set for an open flow if none was required. */
#define FLOW_VERIFY_MISSING 0x0080u
/** Another reason; flow_error::text has it. */
#define FLOW_VERIFY_OTHER 0x0100u
/** The peer's chain, its name, or both were not checked: this is a server that
 *  asked for no certificate, or the configuration has an insecure setting.  Set
 *  only for an open flow, perhaps with other bits; never in an error. */
#define FLOW_VERIFY_NOT_CHECKED 0x0200u
/** A name constraint or a path length constraint is violated. */
#define FLOW_VERIFY_CONSTRAINT 0x0400u
/** No key of the chain is pinned. */
#define FLOW_VERIFY_PIN 0x0800u
/**@}*/

/** flow_tls_wrap_client(), flow_tls_wrap_server(): do not take ownership of the
 *  lower flow.  Closing or shutting down the TLS flow does not affect it. */
#define FLOW_TLS_BORROW 0x1u

/**
 * @brief Wrap a flow as a TLS client.
 *
 * @param[in,out] c            Client configuration; frozen by this.
 * @param[in]     lower        The flow below, before its first byte.
 * @param[in]     server_name  Name to ask for and to verify: a host name
 *                             (A-labels) or an IP address, which is verified
 *                             against iPAddress entries and not sent.  NULL
 *                             only with one of the insecure settings.
 * @param[in]     flags        0 or #FLOW_TLS_BORROW.
 * @param[out]    ret_flow     The TLS flow; its handshake has not begun.
 * @param[out]    ret_err      Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  The name is missing or not valid, or @p c is a
 *                       server's.
 * @retval FLOW_E_NOMEM  No memory.
 * @return As flow_tls_config_freeze().
 * @par Ownership
 * On #FLOW_OK the TLS flow owns @p lower (unless borrowed) and has a reference
 * to @p c.  On any other result nothing changed.  If the handshake fails, the
 * flow fails; nothing is closed before flow_close().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_wrap_client(struct flow_tls_config *c, struct flow *lower,
                     const char *server_name, uint32_t flags,
                     struct flow **ret_flow, struct flow_error *ret_err);

/**
 * @brief Wrap a flow as a TLS server.
 *
 * @param[in,out] c         Server configuration; frozen by this.
 * @param[in]     lower     The flow below, before its first byte.
 * @param[in]     flags     0 or #FLOW_TLS_BORROW.
 * @param[out]    ret_flow  The TLS flow; its handshake has not begun.
 * @param[out]    ret_err   Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  @p c is a client's or has no key pair.
 * @retval FLOW_E_NOMEM  No memory.
 * @return As flow_tls_config_freeze().
 * @par Ownership
 * As flow_tls_wrap_client().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_wrap_server(struct flow_tls_config *c, struct flow *lower,
                     uint32_t flags, struct flow **ret_flow,
                     struct flow_error *ret_err);

/**
 * @brief Make a listener whose flows are TLS servers.
 *
 * @param[in,out] c               Server configuration; frozen by this.
 * @param[in]     lower           The listener below.
 * @param[in]     max_handshakes  Most flows in their handshake, 0: 1024.  At
 * the limit flow_accept() answers #FLOW_AGAIN.
 * @param[out]    ret_listener    The listener.
 * @param[out]    ret_err         Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  As flow_tls_wrap_server().
 * @retval FLOW_E_NOMEM  No memory.
 * @par Limits
 * An accepted flow counts from flow_accept() on.  If its peer has sent nothing
 * by the first call that opens it (flow_open(), a read, a write), it stops
 * counting until the first byte arrives, so silent peers do not use up the
 * limit.  At most @p max_handshakes further flows may be silent in this way;
 * for one more, the flow that was silent longest fails with #FLOW_E_TIMEOUT.
 * @par Ownership
 * On #FLOW_OK it owns @p lower and has a reference to @p c.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_listen(struct flow_tls_config *c, struct flow_listener *lower,
                unsigned max_handshakes, struct flow_listener **ret_listener,
                struct flow_error *ret_err);

/** What the two sides agreed on, and the key updates since. */
struct flow_tls_info {
    enum flow_tls_version version; /**< Protocol version. */
    uint16_t suite;                /**< IANA number of the cipher suite. */
    const char *suite_name;        /**< Its name, static. */
    uint16_t group;                /**< Key exchange group, 0 if unknown. */
    const char *group_name;        /**< Its name ("x25519"), static; "" if
                                        unknown. */
    bool resumed;                  /**< An earlier session was resumed. */
    const char *alpn;              /**< Agreed protocol, "" for none. */
    const char *server_name;       /**< Asked for, normalised; "" for none. */
    const char *matched_name;      /**< Server: the pattern of the entry that
                                        matched; client: the certificate's
                                        name; "" if none did. */
    const char *entry;             /**< Server: the id of the selector's entry
                                        that served (flow/tls_sni.h), else "".
                                        */
    uint32_t verify_flags;         /**< FLOW_VERIFY_ bits; 0 only when the
                                        peer's chain was verified, and a
                                        server's name.  A client that sent no
                                        certificate: #FLOW_VERIFY_MISSING. */
    bool verified;                 /**< The peer was verified: verify_flags is
                                        0. */
    const uint8_t *peer_chain;     /**< DER certificates one after another,
                                        leaf first; NULL for none. */
    size_t peer_chain_len;         /**< Bytes. */
    struct flow_tls_der peer_cert; /**< The peer's own certificate, the first of
                                        peer_chain; len 0 for none.  Its subject
                                        and the like: flow_tls_get_facts(). */
    uint64_t key_updates_sent;     /**< TLS 1.3 KeyUpdates of ours. */
    uint64_t key_updates_received; /**< And of the peer. */
};

/** Key of flow_query(): struct flow_tls_info, as of flow_tls_get_info(). */
#define FLOW_QUERY_TLS_INFO FLOW_QUERY_SECURITY

/**
 * @brief Ask a flow what its TLS layer agreed on.
 *
 * @param[in]  f         A TLS flow, or a filter over one.  If several TLS flows
 *                       are stacked, the uppermost answers.
 * @param[out] ret_info  The answer; pointers are valid until flow_close().
 * @retval FLOW_OK        Answered.
 * @retval FLOW_AGAIN     The handshake is not over, or it has failed.
 * @retval FLOW_E_NOTSUP  There is no TLS flow, or its struct is of another
 *                        length.
 * @retval FLOW_E_INVAL   Another process began the handshake, which was not
 *                        over when this one was forked.
 * @par Threads
 * Any, while the flow is not closed.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_get_info(struct flow *f, struct flow_tls_info *ret_info);

/**
 * @brief Who the verified peer is: the subject of its certificate.
 *
 * @param[in]  f    As for flow_tls_get_info().
 * @param[out] buf  Receives "C=NL, CN=a.example", as of flow_tls_get_subject().
 * @param[in]  cap  Bytes at @p buf, at least 1.
 * @retval FLOW_OK      Written; "" for a certificate with an empty subject.
 * @retval FLOW_E_AUTH  The peer is not verified: flow_tls_info::verify_flags is
 *                      not 0.  Nothing was written.
 * @retval FLOW_E_INVAL The subject and a NUL are longer than @p cap: cut off,
 * it could be the subject of another.  Nothing was written.
 * @return As flow_tls_get_info().
 * @par Threads
 * Any, while the flow is not closed.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_get_peer_subject(struct flow *f, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
