/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SESSION_H
#define FLOW_TLS_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/export.h>
#include <flow/flow.h>
#include <flow/status.h>
#include <flow/tls_config.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Sessions that are resumed: the tickets of a server, and a client's
 * store.
 *
 * A server without tickets makes a full handshake with every client.  With
 * them, it gives each client its session, sealed with a key that only the
 * server has, and a client that presents the ticket again is spared the
 * certificates and signatures.  The key exchange is new in TLS 1.3.  In TLS 1.2
 * it is not: an attacker who obtains a ticket's key can decrypt every
 * connection of TLS 1.2 that made or used a ticket of it.
 *
 * A ticket is good only for the entry (flow/tls_sni.h) and its policy of client
 * certificates, the server name, the application protocol, the version and the
 * epoch with which it was made.  Where clients are asked for a certificate, it
 * holds the client's chain, which is verified again, and 4096 bytes of it at
 * most: a client with a longer one gets no ticket.  A ticket that is not good
 * is ignored, and the handshake is a full one.
 *
 * <!-- fragment -->
 * @code
 * struct flow_tls_tickets *t;
 *
 * flow_tls_tickets_new(NULL, &t, &err);
 * flow_tls_config_set_tickets(config, t, 0, &err);
 * flow_tls_tickets_unref(t);
 * @endcode
 */

/** Keys of tickets, and how many are given for how long.  Any number of
 *  configurations may share them.  After fork(2) each process has a copy, and
 *  makes the next keys of its own. */
struct flow_tls_tickets;

/** Bytes of a key: a name of 16, by which it is found, and 32 of secret. */
#define FLOW_TLS_TICKET_KEY_LEN 48

/** Keys at most. */
#define FLOW_TLS_TICKET_KEYS_MAX 4

/**
 * @brief Make ticket keys.
 *
 * They are random: a new one is made when the present one has sealed tickets
 * for one lifetime, and the one before opens them for another, after which it
 * is wiped with the next handshake.  flow_tls_tickets_set_keys() replaces them.
 *
 * @param[in]  env          Environment; NULL: flow_env_default().
 * @param[out] ret_tickets  The keys, with one reference.
 * @param[out] ret_err      Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_tickets_new(const struct flow_env *env,
                     struct flow_tls_tickets **ret_tickets,
                     struct flow_error *ret_err);

/**
 * @brief Take another reference.
 * @param[in,out] t  The keys.
 * @return @p t.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API struct flow_tls_tickets *
flow_tls_tickets_ref(struct flow_tls_tickets *t);

/**
 * @brief Drop a reference; the last one wipes the keys and frees all memory.
 * @param[in] t  The keys; NULL does nothing.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_tickets_unref(struct flow_tls_tickets *t);

/**
 * @brief Say how long a ticket can be used, and how many a client gets.
 *
 * Whatever the lifetime, a session ends 7 days after the full handshake that
 * began it: a ticket that is given with a resumed session lasts no longer.
 *
 * @param[in,out] t        The keys.
 * @param[in]     seconds  1..604800 (7 days); the default is 7200.
 * @param[in]     count    Tickets of a full TLS 1.3 handshake, 0..8; the
 *                         default is 2.  A resumed one gives one, and TLS 1.2
 *                         one per full handshake, unless this is 0: then
 *                         TLS 1.2 does not accept any either.
 * @retval FLOW_OK       Set, for tickets from now on.
 * @retval FLOW_E_INVAL  Out of range.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_tickets_set_limits(struct flow_tls_tickets *t, uint32_t seconds,
                            unsigned count);

/**
 * @brief Give the keys, so that several processes or machines accept each
 * other's tickets.
 *
 * The first key seals tickets, and all of them open tickets.  They replace
 * those that were there, which are wiped, and are not rotated: give a new list
 * for that, at least once per lifetime.  To rotate without a full handshake,
 * give every process the new key as the last of its list, then as the first,
 * and one lifetime later drop the old one.
 *
 * @param[in,out] t       The keys.
 * @param[in]     keys    @p count times #FLOW_TLS_TICKET_KEY_LEN random bytes;
 *                        copied.
 * @param[in]     count   1..#FLOW_TLS_TICKET_KEYS_MAX.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range, or two have the same name.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_tickets_set_keys(struct flow_tls_tickets *t, const void *keys,
                          size_t count);

/**
 * @brief Let a server give and accept tickets.
 *
 * @param[in,out] c        The server's configuration; takes a reference to
 *                         @p t.
 * @param[in]     t        The keys; NULL, the default: no tickets.
 * @param[in]     epoch    Of the tickets.  A configuration that replaces
 *                         another with the same keys, and whose policy differs
 *                         in a way that earlier sessions must not outlive, is
 *                         given another number.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_NOTSUP  @p c is a client's, or the library's mbedTLS was built
 *                        without sessions.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_tickets(struct flow_tls_config *c,
                            struct flow_tls_tickets *t, uint64_t epoch,
                            struct flow_error *ret_err);

/** A client's store of sessions.  Any number of configurations may share it.
 *  After fork(2) each process has a copy: a session of TLS 1.3 that both copies
 *  have may be offered by both, which links the two connections. */
struct flow_tls_sessions;

/** Tickets at most that a client keeps of one connection. */
#define FLOW_TLS_TICKETS_MAX 8

/** Bytes of the key that exported sessions are sealed with. */
#define FLOW_TLS_SESSIONS_KEY_LEN 32

/**
 * @brief Make a store of sessions.
 *
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[out] ret_sessions  The store, with one reference.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK         Made.
 * @retval FLOW_E_NOMEM    No memory.
 * @retval FLOW_E_ENTROPY  No random bytes to start the engine with.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sessions_new(const struct flow_env *env,
                      struct flow_tls_sessions **ret_sessions,
                      struct flow_error *ret_err);

/**
 * @brief Take another reference.
 * @param[in,out] s  The store.
 * @return @p s.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API struct flow_tls_sessions *
flow_tls_sessions_ref(struct flow_tls_sessions *s);

/**
 * @brief Drop a reference; the last one wipes the sessions and frees all
 * memory.
 * @param[in] s  The store; NULL does nothing.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_sessions_unref(struct flow_tls_sessions *s);

/**
 * @brief Limit a store.  At a limit the oldest sessions are dropped.
 * @param[in,out] s      The store.
 * @param[in]     count  Sessions, 1..4096; the default is 256.
 * @param[in]     bytes  Of their memory, 1 or more; the default is 2^20.
 * @retval FLOW_OK       Set; what exceeds the limits is dropped now.
 * @retval FLOW_E_INVAL  Out of range.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sessions_set_limits(struct flow_tls_sessions *s, size_t count,
                             size_t bytes);

/**
 * @brief Count the sessions of a store, those included that have expired and
 * that no connection has looked for since.
 * @param[in] s  The store.
 * @return How many.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_tls_sessions_count(struct flow_tls_sessions *s);

/**
 * @brief Wipe and drop all sessions of a store.
 * @param[in,out] s  The store.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_sessions_clear(struct flow_tls_sessions *s);

/**
 * @brief Take all sessions out of a store as bytes, for a later process.
 *
 * The bytes are encrypted and authenticated with the key, and contain secrets
 * of connections.  An attacker who knows the key and can change the bytes can
 * make a client accept any server.
 *
 * @param[in,out] s        The store.
 * @param[in]     key      #FLOW_TLS_SESSIONS_KEY_LEN random bytes.
 * @param[out]    buf      Receives the bytes; may be NULL if @p cap is 0.
 * @param[in]     cap      Bytes at @p buf.
 * @param[out]    ret_len  How many there are, or are needed; 0: not known.
 * @retval FLOW_OK         Written; the store is empty.
 * @retval FLOW_E_INVAL    @p cap is less than @p ret_len; the sessions are
 *                         still in the store, as with every other error.
 * @retval FLOW_E_NOMEM    No memory.
 * @retval FLOW_E_ENTROPY  No random bytes.
 * @retval FLOW_E_SYS      The engine cannot encrypt.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sessions_export(struct flow_tls_sessions *s, const void *key,
                         void *buf, size_t cap, size_t *ret_len);

/**
 * @brief Add exported sessions to a store, as its oldest.
 *
 * The certificates of such a session are verified again before it is used, as
 * the configuration says then.  Bytes that are imported twice, also by two
 * processes, give each session twice, so a TLS 1.3 ticket is offered twice and
 * an observer can tell that the connections are of one client.
 *
 * @param[in,out] s        The store.
 * @param[in]     key      As given to flow_tls_sessions_export().
 * @param[in]     data     The bytes.
 * @param[in]     len      How many.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       Added.
 * @retval FLOW_E_INVAL  Not exported sessions, or of another release.
 * @retval FLOW_E_AUTH   They were changed, or the key is another.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_sessions_import(struct flow_tls_sessions *s, const void *key,
                         const void *data, size_t len,
                         struct flow_error *ret_err);

/**
 * @brief Let a client keep sessions and resume them.
 *
 * A session is looked for by the server name, the name that
 * flow_tls_set_session_peer() gave, the versions, suites, groups and
 * application protocols of the configuration, its certificates and its insecure
 * settings.  What a resumed connection says of its peer is what the full
 * handshake established;
 * if that was under another verifier, the certificates are verified again.
 *
 * A session is taken out of the store when it is offered.  Of TLS 1.2 it is put
 * back if it was resumed; of TLS 1.3 each is used once, so that connections
 * cannot be linked, and the connection gives new ones.  A connection to a
 * TLS 1.3 server keeps about 42 KB until as many came as are to be kept, or
 * until the first data that it reads after 10 s.  They are read with the data,
 * so a client that never reads gets none, and keeps the 42 KB.
 *
 * A connection that offers a session offers its version alone.
 *
 * @param[in,out] c        The client's configuration; takes a reference to
 *                         @p s.
 * @param[in]     s        The store; NULL, the default: no sessions.
 * @param[in]     tickets  To be kept of each TLS 1.3 connection,
 *                         1..#FLOW_TLS_TICKETS_MAX.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_INVAL   Out of range.
 * @retval FLOW_E_NOTSUP  @p c is a server's, or the library's mbedTLS was built
 *                        without sessions.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_sessions(struct flow_tls_config *c,
                             struct flow_tls_sessions *s, unsigned tickets,
                             struct flow_error *ret_err);

/**
 * @brief Say which service a client's connection is to, besides the name that
 * its certificate has to have: its sessions are not offered to another.
 *
 * @param[in,out] f     A TLS client, before its handshake.
 * @param[in]     peer  Such as "host:port", at most 255 bytes; copied.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_INVAL   Too long.
 * @retval FLOW_E_NOTSUP  @p f is not a TLS client.
 * @retval FLOW_E_BUSY    The handshake has begun.
 * @retval FLOW_E_NOMEM   No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_set_session_peer(struct flow *f, const char *peer);

#ifdef __cplusplus
}
#endif

#endif
