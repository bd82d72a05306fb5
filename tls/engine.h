/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_ENGINE_H
#define FLOW_TLS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/status.h>
#include <flow/tls_config.h>

#include "tls/sni.h"

/*
 * What tls/ needs of a TLS library: certificates, keys, and a handshake that
 * works on whole records in memory.  Records after the handshake are ours, so
 * nothing here knows sockets, flows, or application data.  One implementation
 * is linked in; today that is tls/mbedtls/.
 *
 * Every function may be called from any thread, on different objects.
 */

/* Bring the engine up, once per process.  FLOW_E_NOMEM: no entropy, or none of
 * its locks could be made. */
enum flow_status flow__engine_init(struct flow_error *err);

/* A certificate chain and its private key. */
struct flow__keypair;

struct flow__keypair_input {
    const void *chain;
    size_t chain_len;
    const char *chain_name; /* for errors, a file; NULL: none */
    const void *key;
    size_t key_len;
    const char *key_name;
    flow_tls_passphrase_fn *passphrase;
    void *user;
    bool allow_expired;
};

/* Parse and check: the key matches, the leaf is valid at env's wall clock. */
enum flow_status flow__keypair_new(const struct flow_env *env,
                                   const struct flow__keypair_input *in,
                                   struct flow__keypair **ret_pair,
                                   struct flow_error *err);
void flow__keypair_free(struct flow__keypair *pair);
enum flow__key_type flow__keypair_type(const struct flow__keypair *pair);

/* The i-th dNSName of the leaf, not NUL terminated; false behind the last. */
bool flow__keypair_name(const struct flow__keypair *pair, size_t i,
                        const uint8_t **ret_name, size_t *ret_len);

/* Certificates that are trusted. */
struct flow__trust;

enum flow_status flow__trust_new(const struct flow_env *env,
                                 struct flow__trust **ret_trust);
void flow__trust_free(struct flow__trust *trust);

/*
 * Add certificates.  strict: all or none, FLOW_E_INVAL when one is not
 * understood.  Otherwise those that are not understood are left out, as a
 * system's store may hold some that the engine does not support.  *ret_count:
 * how many were taken, or, where one was not understood, its place from 1.
 */
enum flow_status flow__trust_add(struct flow__trust *trust, const void *data,
                                 size_t len, bool strict, size_t *ret_count,
                                 struct flow_error *err);

/* What handshakes of one configuration share. */
struct flow__engine_conf;

/* c is complete and no longer changes; it outlives the result. */
enum flow_status flow__engine_conf_new(const struct flow_tls_config *c,
                                       struct flow__engine_conf **ret_conf,
                                       struct flow_error *err);
void flow__engine_conf_free(struct flow__engine_conf *conf);

/* Secrets that a handshake exports.  In TLS 1.3 each direction has one for
 * the handshake and one for application data (RFC 8446 7.1). */
enum flow__secret_kind {
    FLOW__SECRET_CLIENT_HANDSHAKE = 0,
    FLOW__SECRET_SERVER_HANDSHAKE,
    FLOW__SECRET_CLIENT_DATA,
    FLOW__SECRET_SERVER_DATA,
    FLOW__SECRET_MASTER /* TLS 1.2 */
};

struct flow__engine_secret {
    enum flow__secret_kind kind;
    const uint8_t *bytes;
    size_t len;                   /* 32 or 48; 48 for the master secret */
    const uint8_t *client_random; /* 32 */
    const uint8_t *server_random; /* 32 */
};

/* How an engine talks to who drives it; all are called from within
 * flow__engine_step(). */
struct flow__engine_hooks {
    void *ctx;
    /* Give up to len bytes of records; 0: none now. */
    size_t (*recv)(void *ctx, uint8_t *buf, size_t len);
    /* Take one whole record; false: no memory. */
    bool (*send)(void *ctx, const uint8_t *record, size_t len);
    /* A secret was made; it is gone after the call. */
    void (*secret)(void *ctx, const struct flow__engine_secret *secret);
    /* Server: which pair to use for this handshake. */
    struct flow__keypair *(*keypair)(void *ctx);
};

/* One handshake. */
struct flow__engine;

/* server_name: client only; NULL asks for none.  ip_name: it is an address:
 * verified, but not sent (RFC 6066 3). */
enum flow_status flow__engine_new(struct flow__engine_conf *conf,
                                  const struct flow__engine_hooks *hooks,
                                  const char *server_name, bool ip_name,
                                  struct flow__engine **ret_engine);
/* Wipes and releases. */
void flow__engine_free(struct flow__engine *engine);

/* Go on as far as the records given so far allow.  FLOW_OK: the handshake is
 * over and every record of ours was sent.  FLOW_AGAIN: wants records.  Else
 * err says why, with the alert that the RFC names in alert_sent, or -1 where
 * the engine does not know. */
enum flow_status flow__engine_step(struct flow__engine *engine,
                                   struct flow_error *err);

/* After FLOW_OK: a message hides behind the last one it looked at. */
bool flow__engine_has_more(const struct flow__engine *engine);

/* After FLOW_OK: the agreed protocol, static for the configuration, or "". */
const char *flow__engine_alpn(const struct flow__engine *engine);

/* Why the peer was not verified, FLOW_VERIFY_ bits; 0 when it was. */
uint32_t flow__engine_verify_flags(const struct flow__engine *engine);

/* Client, after FLOW_OK: the certificate's name that matched, "" for none. */
void flow__engine_matched_name(const struct flow__engine *engine, char *buf,
                               size_t cap);

/* After FLOW_OK: copy the peer's certificates, DER, leaf first.  With
 * buf NULL only the length.  0: none. */
size_t flow__engine_peer_chain(const struct flow__engine *engine, uint8_t *buf,
                               size_t cap);

/* The largest plaintext per record that TLS 1.2 agreed on (RFC 6066 4). */
size_t flow__engine_record_limit12(const struct flow__engine *engine);

#endif
