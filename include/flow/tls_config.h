/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CONFIG_H
#define FLOW_TLS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/export.h>
#include <flow/status.h>
#include <flow/tls_verify.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief What a TLS flow may negotiate, which certificates it trusts, and which
 * are its own.
 *
 * A configuration is made, set up, and frozen by its first use; from then on
 * any number of flows and threads share it, each holding a reference.  Every
 * default is safe: TLS 1.2 and 1.3, AEAD suites, groups x25519, P-256 and
 * P-384, chain and name verified against the system's trust store.  What is
 * not safe has `insecure` in its name.  The library reads no variable of the
 * process environment: a program that honours SSL_CERT_FILE calls
 * flow_tls_config_add_trust_file().
 *
 * A function that fails leaves the configuration as it was and, if it takes a
 * #flow_error, names the file or the certificate in question.  On a frozen
 * configuration every setter answers #FLOW_E_BUSY.
 *
 * <!-- fragment -->
 * @code
 * struct flow_tls_config *c;
 *
 * flow_tls_config_new_server(NULL, &c, &err);
 * flow_tls_config_add_keypair_file(c, "chain.pem", "key.pem", NULL, NULL,
 *                                  &err);
 * flow_tls_wrap_server(c, tcp, 0, &tls, &err);
 * flow_tls_config_unref(c);
 * @endcode
 */

struct flow_tls_config;

/** Protocol version numbers as on the wire (RFC 8446 4.2.1). */
enum flow_tls_version {
    FLOW_TLS_1_2 = 0x0303, /**< RFC 5246, with extended master secret. */
    FLOW_TLS_1_3 = 0x0304  /**< RFC 8446. */
};

/** Whether a server asks its clients for a certificate. */
enum flow_tls_client_auth {
    /** An entry of a selector: as the configuration.  A configuration: none. */
    FLOW_TLS_CLIENT_AUTH_DEFAULT = 0,
    FLOW_TLS_CLIENT_AUTH_NONE, /**< No certificate is requested. */
    /** One is requested.  A client may send none; one that it sends must be
     *  accepted, or the client is refused. */
    FLOW_TLS_CLIENT_AUTH_OPTIONAL,
    /** A client without an accepted certificate is refused. */
    FLOW_TLS_CLIENT_AUTH_REQUIRED
};

/** @name Named groups (RFC 8446 4.2.7) */
/**@{*/
#define FLOW_TLS_GROUP_P256   0x0017u /**< secp256r1. */
#define FLOW_TLS_GROUP_P384   0x0018u /**< secp384r1. */
#define FLOW_TLS_GROUP_P521   0x0019u /**< secp521r1. */
#define FLOW_TLS_GROUP_X25519 0x001du /**< x25519 (RFC 7748). */
/**@}*/

/**
 * @brief Called for the passphrase of an encrypted key.
 *
 * @param[in]  user  As given with the callback.
 * @param[out] buf   Receives the passphrase, no NUL needed; wiped after use.
 * @param[in]  cap   Bytes at @p buf.
 * @return Its length, 1..@p cap, or 0 to give up.
 */
typedef size_t flow_tls_passphrase_fn(void *user, char *buf, size_t cap);

/**
 * @brief Make the configuration of a client.
 * @param[in]  env         Environment; NULL: flow_env_default().
 * @param[out] ret_config  The configuration, with one reference.
 * @param[out] ret_err     Why it failed; may be NULL.
 * @retval FLOW_OK         Made.
 * @retval FLOW_E_NOMEM    No memory.
 * @retval FLOW_E_ENTROPY  No source of entropy is healthy; the error says why.
 *                         A later call succeeds when one is.
 * @retval FLOW_E_NOTSUP   The library's mbedTLS was built without clients.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_new_client(const struct flow_env *env,
                           struct flow_tls_config **ret_config,
                           struct flow_error *ret_err);

/**
 * @brief Make the configuration of a server; it needs a key pair.
 * @param[in]  env         Environment; NULL: flow_env_default().
 * @param[out] ret_config  The configuration, with one reference.
 * @param[out] ret_err     Why it failed; may be NULL.
 * @return As flow_tls_config_new_client().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_new_server(const struct flow_env *env,
                           struct flow_tls_config **ret_config,
                           struct flow_error *ret_err);

/**
 * @brief Take another reference.
 * @param[in,out] c  The configuration.
 * @return @p c.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API struct flow_tls_config *flow_tls_config_ref(struct flow_tls_config *c);

/**
 * @brief Drop a reference; the last one wipes the keys and frees all memory.
 * @param[in] c  The configuration; NULL does nothing.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_tls_config_unref(struct flow_tls_config *c);

/**
 * @brief Finish a configuration now, to learn of mistakes before a peer does.
 *
 * Otherwise the first flow does so.  Checks that a server has a key pair, and
 * that it has trust exactly if it asks for client certificates, leaves out
 * protocol versions without a cipher suite, and loads the system's trust store
 * for a client that was given none.
 *
 * @param[in,out] c        The configuration.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       Frozen, now or before.
 * @retval FLOW_E_INVAL  Something is missing or does not fit together.
 * @retval FLOW_E_SYS    The trust store cannot be read.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_freeze(struct flow_tls_config *c, struct flow_error *ret_err);

/**
 * @brief Restrict the protocol versions.
 * @param[in,out] c    The configuration.
 * @param[in]     min  Lowest, #FLOW_TLS_1_2 or #FLOW_TLS_1_3.
 * @param[in]     max  Highest, not below @p min.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_versions(struct flow_tls_config *c,
                             enum flow_tls_version min,
                             enum flow_tls_version max);

/**
 * @brief Restrict the cipher suites.
 *
 * Order is the preference.  Only AEAD suites with (EC)DHE are possible:
 * 0x1301..0x1305 of TLS 1.3 and the ECDHE suites of TLS 1.2 with AES-GCM,
 * ChaCha20-Poly1305 and AES-CCM.  A suite belongs to one version; a version
 * without a suite in the list is neither offered nor accepted, whatever
 * flow_tls_config_set_versions() said.
 *
 * @param[in,out] c      The configuration.
 * @param[in]     suite  IANA numbers; copied.
 * @param[in]     count  1..32.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_INVAL   The list is empty or too long.
 * @retval FLOW_E_NOTSUP  One of them is not possible.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_suites(struct flow_tls_config *c, const uint16_t *suite,
                           size_t count);

/**
 * @brief Restrict the key exchange groups.
 *
 * The default is x25519, P-256, P-384.  The order is the preference of a client
 * and of a TLS 1.2 server; a TLS 1.3 server takes the client's first key share
 * that is in the list.  There are no finite-field groups: with them a client
 * that is not authenticated could use up the server's processor.
 *
 * @param[in,out] c      The configuration.
 * @param[in]     group  FLOW_TLS_GROUP_ numbers; copied.
 * @param[in]     count  1..8.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_INVAL   The list is empty or too long.
 * @retval FLOW_E_NOTSUP  One of them is not possible.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_groups(struct flow_tls_config *c, const uint16_t *group,
                           size_t count);

/**
 * @brief Offer or accept application protocols (ALPN, RFC 7301).
 *
 * Order is the preference; the server's decides.  If no protocol of the client
 * is one of the server's, the client is refused with no_application_protocol.
 *
 * A server answers `acme-tls/1` only for an entry that requires it (RFC 8737,
 * flow_tls_sni_entry::require_alpn), never for all of its certificates.
 *
 * @param[in,out] c      The configuration.
 * @param[in]     name   Names of 1..255 bytes; copied.
 * @param[in]     count  1..16, 0 for none.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range, or `acme-tls/1` for a server.
 * @retval FLOW_E_NOMEM  No memory.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_alpn(struct flow_tls_config *c, const char *const *name,
                         size_t count);

/**
 * @brief Trust certificates from memory instead of the system's store.
 *
 * May be called more than once; the certificates add up.  A server trusts them
 * for its clients' certificates, and has no others: it must also request these
 * (flow_tls_config_set_client_auth(), flow_tls_sni_entry::client_auth), or
 * flow_tls_config_freeze() fails.
 *
 * @param[in,out] c        The configuration.
 * @param[in]     data     One or more PEM certificates, or one in DER.
 * @param[in]     len      Bytes.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       Every certificate was added.
 * @retval FLOW_E_INVAL  One was not understood, or @p c has a verifier; none
 * was added.
 * @retval FLOW_E_NOMEM  No memory.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_add_trust(struct flow_tls_config *c, const void *data,
                          size_t len, struct flow_error *ret_err);

/**
 * @brief Trust certificates from a file; as flow_tls_config_add_trust().
 * @param[in,out] c        The configuration.
 * @param[in]     path     The file.
 * @param[out]    ret_err  Why it failed, with the file's name; may be NULL.
 * @return As flow_tls_config_add_trust(); #FLOW_E_SYS when the file cannot be
 *         read; #FLOW_E_NOTSUP where there are no files.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_add_trust_file(struct flow_tls_config *c, const char *path,
                               struct flow_error *ret_err);

/**
 * @brief Verify peers with a verifier: its trust, revocation lists, pins,
 * minima and callback.
 *
 * It replaces flow_tls_config_add_trust() and the system's store.  Any number
 * of configurations may share a verifier.  A server verifies its clients with
 * it, for the purpose #FLOW_TLS_PURPOSE_CLIENT.
 *
 * @param[in,out] c        The configuration; takes a reference to @p v.
 * @param[in]     v        The verifier; frozen together with @p c.
 * @param[out]    ret_err  Why it failed; may be NULL.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  @p c has trust or a verifier already.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_verifier(struct flow_tls_config *c,
                             struct flow_tls_verifier *v,
                             struct flow_error *ret_err);

/**
 * @brief Ask clients for a certificate.
 *
 * It is asked for whether or not the client sends a server name.  What it is
 * verified with is the trust of this configuration, or its verifier; an entry
 * of a selector may have others (flow_tls_sni_entry::client_auth).  The
 * decision is made before the server's last messages leave.  A client that is
 * refused gets the alert certificate_required (in TLS 1.2 handshake_failure) if
 * it sent none, else the alert of the check that failed.
 *
 * @param[in,out] c     The server's configuration.
 * @param[in]     auth  Whether, and whether one is required.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_INVAL   Out of range.
 * @retval FLOW_E_NOTSUP  @p c is a client's.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_client_auth(struct flow_tls_config *c,
                                enum flow_tls_client_auth auth);

/**
 * @brief Limit the list of certificate authorities that a server sends with its
 * request for a certificate.
 *
 * The list has the subject of every certificate that is trusted, and helps a
 * client with several certificates to choose.  It is readable by anyone in TLS
 * 1.2, and by any client.  If it would be longer than the limit, none is sent:
 * a client whose authority is missing in a list would send no certificate.  A
 * system's mbedTLS sends none in TLS 1.3.
 *
 * @param[in,out] c          The server's configuration.
 * @param[in]     max_bytes  0..12,288 for the names with their lengths; 0: none
 *                           is sent; default 8,192.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_INVAL   Out of range.
 * @retval FLOW_E_NOTSUP  @p c is a client's.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_limit_ca_list(struct flow_tls_config *c, size_t max_bytes);

/**
 * @brief Add a certificate chain and its key, from memory.
 *
 * A client sends one if the server requests it: the first pair that was added
 * whose key can sign what the server accepts and, if the server sent a list of
 * authorities, of whose chain one certificate is issued by one of these.  If
 * there is none, it sends none, and the server decides.
 *
 * A server may have several: a handshake gets the one whose names (from the
 * leaf's subjectAltName) match the name asked for, exact before one-label
 * wildcard, else the first that was added; of equal matches the one whose key
 * type suits the client.  Two pairs with the same kind of key and validity must
 * not have a name in common.  This is short for a selector (flow/tls_sni.h),
 * which can do more; flow_tls_config_set_sni() takes the place of all pairs.
 *
 * The pair is checked now: the key must match the leaf, the leaf must be valid
 * today (flow_tls_config_allow_expired()), and each certificate must be issued
 * by the next.  If the leaf has a keyUsage, it must include digitalSignature,
 * and if it has an extendedKeyUsage, serverAuth, or a client's clientAuth.  An
 * RSA key must have at least 2048 bits.
 *
 * @param[in,out] c           The configuration.
 * @param[in]     chain       PEM, leaf first, or one certificate in DER.
 * @param[in]     chain_len   Bytes.
 * @param[in]     key         PEM or DER private key.
 * @param[in]     key_len     Bytes.
 * @param[in]     passphrase  Asked if the key is encrypted; may be NULL.
 * @param[in]     user        Given to @p passphrase.
 * @param[out]    ret_err     Why it failed; may be NULL.
 * @retval FLOW_OK        Added.
 * @retval FLOW_E_INVAL   Not understood, or they do not belong together.
 * @retval FLOW_E_AUTH    Expired, not yet valid or not for this purpose, the
 * RSA key is too short, or the passphrase is missing or wrong.
 * @retval FLOW_E_NOMEM   No memory.
 * @retval FLOW_E_ENTROPY No source of entropy is healthy: keys are checked with
 *                        random bytes.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_add_keypair(struct flow_tls_config *c, const void *chain,
                            size_t chain_len, const void *key, size_t key_len,
                            flow_tls_passphrase_fn *passphrase, void *user,
                            struct flow_error *ret_err);

/**
 * @brief Add a certificate chain and its key, from files.
 * @param[in,out] c           The configuration.
 * @param[in]     chain_path  As flow_tls_config_add_keypair().
 * @param[in]     key_path    The same file if it has both.
 * @param[in]     passphrase  Asked if the key is encrypted; may be NULL.
 * @param[in]     user        Given to @p passphrase.
 * @param[out]    ret_err     Why it failed, with the file's name; may be NULL.
 * @return As flow_tls_config_add_keypair(); #FLOW_E_SYS when a file cannot be
 *         read; #FLOW_E_NOTSUP where there are no files.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_tls_config_add_keypair_file(
    struct flow_tls_config *c, const char *chain_path, const char *key_path,
    flow_tls_passphrase_fn *passphrase, void *user, struct flow_error *ret_err);

/**
 * @brief Accept own certificates that have expired or are not valid yet.
 * @param[in,out] c      The configuration.
 * @param[in]     allow  Whether to accept them.
 * @retval FLOW_OK      Set, for pairs added from now on.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_allow_expired(struct flow_tls_config *c, bool allow);

/**
 * @brief Limit the time and the bytes of a handshake.
 *
 * The time begins when the flow below is open: resolving a name and connecting
 * have limits of their own.  The flow's deadlines and the timeout of a dialled
 * endpoint, which count from the start, apply as well.  The bytes are those
 * that a peer may send before the handshake is over; 0-RTT data, which a server
 * skips, has a limit of its own, 65,536 bytes.
 *
 * @param[in,out] c          The configuration.
 * @param[in]     nsec       ns from when the flow below is open; 0: no limit;
 *                           default 10 s.
 * @param[in]     max_bytes  1,024..2^20; 0 for the default, 65,536.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_handshake_limits(struct flow_tls_config *c, uint64_t nsec,
                                     size_t max_bytes);

/**
 * @brief Answer clients that send text instead of TLS, such as plain HTTP.
 *
 * If the first five bytes of a client are printable ASCII, which no TLS record
 * begins with, the server sends these bytes in the clear in place of the alert
 * unexpected_message.  The handshake fails all the same, and the error quotes
 * the five bytes.  Anyone on the path can read and change the answer, so it
 * should say no more than that the port expects TLS.
 *
 * @param[in,out] c     The configuration.
 * @param[in]     text  The whole answer; copied.  May be NULL if @p len is 0.
 * @param[in]     len   0..4096 bytes; 0, the default: the alert.
 * @retval FLOW_OK        Set, in place of an earlier answer.
 * @retval FLOW_E_INVAL   Too long.
 * @retval FLOW_E_NOTSUP  @p c is a client's.
 * @retval FLOW_E_NOMEM   No memory.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_text_answer(struct flow_tls_config *c, const void *text,
                                size_t len);

/**
 * @brief Accept the end of the lower flow without close_notify as an end.
 *
 * Reading then answers #FLOW_EOF, with #FLOW_END_GONE as its quality, instead
 * of #FLOW_E_TRUNCATED.  Only for protocols whose messages state their length.
 *
 * @param[in,out] c         The configuration.
 * @param[in]     tolerate  Whether to accept it.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_tolerate_truncation(struct flow_tls_config *c, bool tolerate);

/**
 * @brief Limit the records that are sealed with one key.
 *
 * Lowers the limit of RFC 8446 5.5.  In TLS 1.3 we send a KeyUpdate at the
 * limit; if the peer's key has sealed as many records, ours requests one of the
 * peer.  The KeyUpdate counts as a record, and a key seals at least one other,
 * so 1 means the same as 2.  In TLS 1.2 the last record is kept for the end:
 * flow_shutdown() still sends close_notify, while a write sends the alert
 * internal_error and fails with #FLOW_E_PROTO.
 *
 * @param[in,out] c        The configuration.
 * @param[in]     records  1..2^32; values above the cipher's own limit have no
 *                         effect; 0 for the cipher's own.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_key_limit(struct flow_tls_config *c, uint64_t records);

/**
 * @brief Begin with small records, so that the peer can read the first bytes
 * before a full record has arrived.
 *
 * A record is read only when all of it is there.  At the start of a connection,
 * and after a pause, TCP sends little before it waits for the peer, so a full
 * record takes several round trips.  Small records cost more bytes and more
 * time of the processor, and full ones follow them.
 *
 * The setting applies to bytes that are written; those that #FLOW_MORE or a
 * lease holds back stay together.  A suitable setting for a web server: 1,300
 * bytes, 40 records, 1 s.
 *
 * @param[in,out] c      The configuration.
 * @param[in]     size   Most plaintext bytes of a small record, 512..16,320,
 *                       rounded down to a multiple of 64; 0, the default: every
 *                       record may be full, whatever the other two are.
 * @param[in]     count  Small records, 1..255.
 * @param[in]     idle   ns without a write after which they begin again, up to
 *                       one hour, rounded up to seconds and at most 1 s late;
 *                       0: only at the start.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_first_records(struct flow_tls_config *c, size_t size,
                                  unsigned count, uint64_t idle);

/**
 * @brief Gather more or fewer records for one write of the flow below.
 *
 * A write of much data seals several records and gives them to the flow below
 * at once, which over TCP is one system call.  More of them cost less processor
 * time if the data goes on, and a connection whose peer does not read keeps
 * them: about 17 KB for each full record, until the flow below accepts them.
 * Over a flow that lends its own memory, records are sealed there as that has
 * room.
 *
 * @param[in,out] c        The configuration.
 * @param[in]     records  Full records, or as many bytes of smaller
 * ones, 1..16; 0, the default, for 4.
 * @retval FLOW_OK       Set.
 * @retval FLOW_E_INVAL  Out of range.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_write_records(struct flow_tls_config *c, unsigned records);

/**
 * @brief Pad records, so that their lengths tell less about the data.
 *
 * A record of application data is padded with zero bytes: content, content type
 * and padding are a multiple of block together (RFC 8446 5.4).  A record never
 * becomes longer than one that is full, so it has the full length if the
 * multiple is above that.  See #FLOW_CONTROL_RECORD_LIMIT and
 * flow_tls_config_set_first_records() for what a full record is.
 *
 * An observer still sees how many records there are, and when.  Handshake
 * messages, alerts and key updates are not padded.  Neither are the records of
 * TLS 1.2, which has no padding: where lengths must not be visible, allow TLS
 * 1.3 only.  The setting applies to what we send; padding of the peer's is
 * always accepted.
 *
 * @param[in,out] c      The configuration.
 * @param[in]     block  Bytes, 2..16,384; 0, the default, or 1: no padding.
 * @retval FLOW_OK       Set.  If TLS 1.3 is not allowed,
 *                       flow_tls_config_freeze() answers #FLOW_E_INVAL.
 * @retval FLOW_E_INVAL  Out of range.
 * @retval FLOW_E_BUSY   Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_set_padding(struct flow_tls_config *c, size_t block);

/**
 * @brief Do not verify the peer at all: anyone on the path can impersonate it.
 * @param[in,out] c     The client's configuration.
 * @param[in]     skip  Whether to skip it.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_insecure_skip_verify(struct flow_tls_config *c, bool skip);

/**
 * @brief Verify the chain, not the name: anyone with a trusted certificate can
 * impersonate the peer.
 * @param[in,out] c     The client's configuration.
 * @param[in]     skip  Whether to skip it.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_insecure_skip_name(struct flow_tls_config *c, bool skip);

/**
 * @brief Accept clients of TLS 1.2 without the extended master secret
 * (RFC 7627): someone who is on the path and serves the same client can give
 * two connections the same keys.
 *
 * Nothing can be exported from such a connection (flow/tls_export.h).
 *
 * @param[in,out] c     The server's configuration.
 * @param[in]     skip  Whether to accept them; default false.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_NOTSUP  @p c is a client's: every server that it meets has to
 *                        use the extension.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_insecure_skip_extended_master(struct flow_tls_config *c,
                                              bool skip);

#ifdef __cplusplus
}
#endif

#endif
