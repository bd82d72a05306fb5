/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_EXPORT_H
#define FLOW_TLS_EXPORT_H

#include <flow/flow.h>
#include <flow/tls_config.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Secrets that leave a TLS flow: exported keying material, channel
 * bindings, and the key log.
 *
 * Both ends of a connection can derive the same secret from it under a label
 * (RFC 5705, RFC 8446 7.5), for another protocol or to bind an authentication
 * to the connection.  A flow keeps no secret from which it could be derived
 * later, so the configuration declares what will be asked for: the values are
 * computed at the end of the handshake and wiped by flow_close().
 *
 * <!-- fragment -->
 * @code
 * flow_tls_config_add_channel_binding(c);
 * ...
 * flow_tls_get_channel_binding(tls, binding);
 * @endcode
 */

/** Most exporters of a configuration. */
#define FLOW_TLS_EXPORTERS 8u
/** Most bytes of a declared value. */
#define FLOW_TLS_EXPORTED_MAX 128u
/** Most bytes of a label. */
#define FLOW_TLS_LABEL_MAX 249u
/** Most bytes of a context. */
#define FLOW_TLS_CONTEXT_MAX 1024u
/** The label of the channel binding tls-exporter (RFC 9266). */
#define FLOW_TLS_BINDING_LABEL "EXPORTER-Channel-Binding"
/** Bytes of a channel binding. */
#define FLOW_TLS_BINDING_LEN 32u

/**
 * @brief Declare keying material that flow_tls_export() will be asked for.
 *
 * Each connection keeps @p len more bytes.
 *
 * @param[in,out] c            The configuration.
 * @param[in]     label        1..249 printable ASCII characters; copied.  The
 *                             labels of TLS itself, such as "master secret",
 *                             are refused.
 * @param[in]     context      Bytes that both ends put in; copied.  NULL: none,
 *                             which TLS 1.2 tells from an empty context, and
 *                             TLS 1.3 does not.
 * @param[in]     context_len  0..1024; 0 if @p context is NULL.
 * @param[in]     len          Bytes of the value, 1..128.
 * @retval FLOW_OK        Declared; declaring the same twice changes nothing.
 * @retval FLOW_E_INVAL   Out of range, or there are 8 already.
 * @retval FLOW_E_NOTSUP  The engine of this build has no exporter.
 * @retval FLOW_E_NOMEM   No memory.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_add_exporter(struct flow_tls_config *c, const char *label,
                             const void *context, size_t context_len,
                             size_t len);

/**
 * @brief Declare the channel binding; as flow_tls_config_add_exporter() with
 * #FLOW_TLS_BINDING_LABEL, an empty context and 32 bytes.
 * @param[in,out] c  The configuration.
 * @return As flow_tls_config_add_exporter().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_add_channel_binding(struct flow_tls_config *c);

/**
 * @brief Keep the engine of a connection after its handshake, so that
 * flow_tls_export() answers labels and contexts that were not declared.
 *
 * Each connection then takes some 40 KB more until flow_close().
 *
 * @param[in,out] c     The configuration.
 * @param[in]     keep  Whether to keep it; default false.
 * @retval FLOW_OK        Set.
 * @retval FLOW_E_NOTSUP  The engine of this build has no exporter.
 * @retval FLOW_E_BUSY    Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_keep_engine(struct flow_tls_config *c, bool keep);

/**
 * @brief Export keying material.
 *
 * @param[in]  f            A TLS flow, or a filter over one.  If several TLS
 *                          flows are stacked, the uppermost answers.
 * @param[in]  label        As flow_tls_config_add_exporter().
 * @param[in]  context      As declared: NULL is not the same as empty.
 * @param[in]  context_len  0..1024.
 * @param[out] buf          Receives the value; a secret that the caller wipes,
 *                          for example with flow_wipe().
 * @param[in]  len          As declared; up to 8160 with
 *                          flow_tls_config_keep_engine().
 * @retval FLOW_OK        Exported.
 * @retval FLOW_AGAIN     The handshake is not over, or it has failed.
 * @retval FLOW_E_INVAL   An argument is out of range, or another process began
 *                        the handshake.
 * @retval FLOW_E_NOTSUP  There is no TLS flow; or label, context and length
 *                        were not declared and the engine is not kept; or the
 *                        connection is one of TLS 1.2 without the extended
 *                        master secret, whose keying material another
 *                        connection may have too (RFC 7627 5.4).
 * @retval FLOW_E_NOMEM   No memory.
 * @par Threads
 * Any, while the flow is not closed.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_export(struct flow *f, const char *label, const void *context,
                size_t context_len, void *buf, size_t len);

/**
 * @brief Get the channel binding tls-exporter (RFC 9266), to which an
 * authentication above, such as SCRAM, is bound.
 * @param[in]  f    As flow_tls_export().
 * @param[out] ret  Receives it.
 * @return As flow_tls_export().
 * @par Threads
 * Any, while the flow is not closed.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_get_channel_binding(struct flow *f, uint8_t ret[FLOW_TLS_BINDING_LEN]);

/**
 * @brief Called with a line of the key log.
 *
 * The line is in the format of NSS, such as "CLIENT_RANDOM ..." and
 * "CLIENT_TRAFFIC_SECRET_0 ...", without the end of the line.  Called in the
 * middle of a handshake, by the thread that runs it; several threads may call
 * it at once.  It must not use the flow.
 *
 * @param[in] user  As given with the callback.
 * @param[in] line  NUL terminated; wiped when the callback returns.
 */
typedef void flow_tls_key_log_fn(void *user, const char *line);

/**
 * @brief Give the secrets of every connection to a callback: anyone who reads
 * them can decrypt the connections.
 *
 * For finding faults, with a tool such as Wireshark.  The library never does it
 * by itself and reads no SSLKEYLOGFILE.
 *
 * @param[in,out] c     The configuration.
 * @param[in]     fn    The callback; NULL, the default: none.
 * @param[in]     user  Given to @p fn.
 * @retval FLOW_OK      Set.
 * @retval FLOW_E_BUSY  Frozen.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_tls_config_insecure_set_key_log(struct flow_tls_config *c,
                                     flow_tls_key_log_fn *fn, void *user);

#ifdef __cplusplus
}
#endif

#endif
