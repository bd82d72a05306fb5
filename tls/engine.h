/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_ENGINE_H
#define FLOW_TLS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/status.h>
#include <flow/tls_config.h>

#include "tls/cert.h"
#include "tls/exporter.h"
#include "tls/key_type.h"
#include "tls/keys.h"
#include "tls/order_kinds.h"
#include "tls/suite.h"

#define FLOW__PIN_LEN 32 /* SHA-256 */

/*
 * The interface to a TLS library: certificates, keys, and the handshake as
 * messages.  libflow seals and opens all records itself, so this interface has
 * no records, sockets, flows or application data.  One implementation is linked
 * in; today that is tls/mbedtls/.
 *
 * Every function may be called from any thread, on different objects.
 */

/* Initialise the engine; every configuration calls this.  FLOW_E_NOMEM,
 * or FLOW_E_ENTROPY until a source of entropy is healthy. */
enum flow_status flow__engine_init(struct flow_error *err);

/* Whether the engine of this build has the client's side of a handshake. */
bool flow__engine_can_connect(void);
/* Whether it has TLS 1.2.  If not, it refuses configurations that allow it. */
bool flow__engine_has_tls12(void);
/* Whether it can resume sessions.  If not, no server is given tickets, and no
 * client a store of sessions. */
bool flow__engine_can_resume(void);

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
    bool is_client; /* the leaf is for TLS clients, else for servers */
    bool allow_expired;
    flow_tls_sni_report_fn *report; /* of every problem; may be NULL */
    void *report_user;
};

/* Parse and check: the key matches, the leaf is for its purpose and valid at
 * env's wall clock, each certificate is issued by the next.  Every problem is
 * reported; err gets the first. */
enum flow_status flow__keypair_new(const struct flow_env *env,
                                   const struct flow__keypair_input *in,
                                   struct flow__keypair **ret_pair,
                                   struct flow_error *err);
void flow__keypair_free(struct flow__keypair *pair);
enum flow__key_type flow__keypair_type(const struct flow__keypair *pair);
/* The leaf in DER, as long as the pair. */
struct flow__span flow__keypair_leaf(const struct flow__keypair *pair);

/* The i-th dNSName of the leaf, not NUL terminated; false after the last. */
bool flow__keypair_name(const struct flow__keypair *pair, size_t i,
                        const uint8_t **ret_name, size_t *ret_len);

/* The issuer of the i-th certificate of the chain, an RDNSequence without its
 * header; false after the last. */
bool flow__keypair_issuer(const struct flow__keypair *pair, size_t i,
                          struct flow__span *ret_issuer);

/* When the leaf is valid, in seconds since 1970, bounds included. */
void flow__keypair_validity(const struct flow__keypair *pair,
                            int64_t *ret_not_before, int64_t *ret_not_after);

/* The signature schemes (RFC 8446 4.2.3) of the chain, without those of
 * self-signed certificates and those that have no number: at most cap.  Returns
 * how many. */
size_t flow__keypair_schemes(const struct flow__keypair *pair, uint16_t *ret,
                             size_t cap);

/*
 * What a verification asks of the library.
 */

/* Whether the library's parser accepts a certificate, whatever its extensions
 * are: FLOW_OK, FLOW_E_INVAL or FLOW_E_NOMEM. */
enum flow_status flow__engine_check_certificate(struct flow__span der);

/* Check a signature by the key in a SubjectPublicKeyInfo: FLOW_OK, FLOW_E_AUTH
 * for a wrong one or a key that cannot have made it, or FLOW_E_NOMEM. */
enum flow_status flow__engine_check_signature(struct flow__span spki,
                                              const struct flow__signature *s);

/* SHA-256: FLOW_OK or FLOW_E_NOMEM. */
enum flow_status flow__engine_fingerprint(struct flow__span bytes,
                                          uint8_t ret[FLOW__PIN_LEN]);

/* Decode lines of base64; false if they are not or do not fit. */
bool flow__engine_decode_base64(struct flow__span text, uint8_t *buf,
                                size_t cap, size_t *ret_len);

/*
 * Sealing what leaves the process and has to come back unchanged, by an AEAD of
 * the library.
 */

#define FLOW__SEAL_SECRET      32
#define FLOW__SEAL_SALT        16
#define FLOW__SEAL_OVERHEAD    32 /* what a seal adds to its text */
#define FLOW__SEAL_CONTEXT_MAX 1024

struct flow__seal_key {
    const uint8_t *secret; /* FLOW__SEAL_SECRET bytes */
    /* Opens only with the same bytes. */
    struct flow__span context;
};

/* Write plain.len + FLOW__SEAL_OVERHEAD bytes: FLOW_OK, FLOW_E_NOMEM,
 * FLOW_E_ENTROPY, or FLOW_E_SYS if the engine fails. */
enum flow_status flow__engine_seal(const struct flow__seal_key *key,
                                   struct flow__span plain, uint8_t *out);
/* Write sealed.len - FLOW__SEAL_OVERHEAD bytes: FLOW_OK, FLOW_E_AUTH or
 * FLOW_E_NOMEM.  sealed has at least as many. */
enum flow_status flow__engine_open(const struct flow__seal_key *key,
                                   struct flow__span sealed, uint8_t *out);

/* What handshakes of one configuration share. */
struct flow__engine_conf;

/* What they negotiate besides what the configuration says. */
struct flow__engine_terms {
    uint16_t min_version;
    uint16_t max_version;
    char *const *alpn; /* outlives the engine's configuration */
    size_t alpn_count;
    /* Server: ask for a certificate, and send the subjects of these anchors
     * unless they have more bytes.  The list may go; its DER outlives the
     * engine's configuration. */
    bool asks_client;
    const struct flow__cert *anchors;
    size_t anchor_count;
    size_t ca_list_max;
};

/* c is complete and no longer changes; it outlives the result. */
enum flow_status flow__engine_conf_new(const struct flow_tls_config *c,
                                       const struct flow__engine_terms *terms,
                                       struct flow__engine_conf **ret_conf,
                                       struct flow_error *err);
void flow__engine_conf_free(struct flow__engine_conf *conf);

/* What a handshake reports to its caller. */
enum flow__engine_kind {
    FLOW__ENGINE_MESSAGE = 0, /* to be sent to the peer */
    FLOW__ENGINE_SECRET       /* to protect what follows */
};

/*
 * One event; everything it points to is the engine's, until the next call.
 *
 * MESSAGE: bytes is a whole handshake message with its header, level is what
 * it must be protected with.
 *
 * SECRET: level and is_write (else for reading) say what bytes protects, suite
 * with which cipher, and keys[is_write] is the key and IV that were derived
 * from it.  TLS 1.3 has a secret of 32 or 48 bytes for each direction and each
 * of the levels HANDSHAKE and DATA.  TLS 1.2 has one event for both directions:
 * level DATA, not is_write, bytes is the master secret, and both keys are set.
 * client_random has FLOW__RANDOM_LEN bytes.
 */
struct flow__engine_event {
    enum flow__engine_kind kind;
    enum flow__level level;
    bool is_write;
    const uint8_t *bytes;
    size_t len;
    const struct flow__suite *suite;
    const struct flow__key_material *keys[2]; /* to read with, to write with */
    const uint8_t *client_random;
};

/* One handshake. */
struct flow__engine;
struct flow__ticket_use;

/*
 * pair, version: server only, the certificate to use and the version that was
 * chosen with it; the engine agrees on no other.  server_name: client only;
 * NULL asks for none.  The engine verifies no certificate: tls/peer.c does,
 * before it gets a Certificate message.  tickets: server only, what it makes
 * and takes tickets with; NULL: it does neither.  FLOW_E_NOMEM, or FLOW_E_INVAL
 * for a name that the engine does not accept.
 */
enum flow_status flow__engine_new(struct flow__engine_conf *conf,
                                  struct flow__keypair *pair, uint16_t version,
                                  const char *server_name,
                                  struct flow__ticket_use *tickets,
                                  struct flow__engine **ret_engine);
/* Wipes and releases; NULL does nothing. */
void flow__engine_free(struct flow__engine *engine);

/*
 * Client: present this pair, which outlives the engine, if the server asks for
 * a certificate; none otherwise.  Called before the CertificateRequest is fed,
 * at most once.  FLOW_OK or FLOW_E_NOMEM.
 */
enum flow_status flow__engine_present(struct flow__engine *engine,
                                      struct flow__keypair *pair);

/* Client, TLS 1.2: the scheme that the engine signs with, which depends on the
 * suite alone; 0 for a key that it cannot sign with. */
uint16_t flow__engine_scheme12(const struct flow__suite *suite,
                               enum flow__key_type key);

/* The longest message that flow__engine_feed() takes, header included. */
size_t flow__engine_message_max(void);

/*
 * Client, before anything else: make the ClientHello.  FLOW_AGAIN: it is the
 * next event.  Else as flow__engine_feed().
 */
enum flow_status flow__engine_start(struct flow__engine *engine,
                                    struct flow_error *err);

/*
 * Give the engine a whole handshake message of the peer, which was read at
 * level.  FLOW_OK: the handshake is over once the events have been sent.
 * FLOW_AGAIN: the engine needs more messages.  Any other status: err says why,
 * with the alert that the RFC names in alert_sent, or -1 if none is due; the
 * call made no events, and the engine can only be freed.
 */
enum flow_status flow__engine_feed(struct flow__engine *engine,
                                   enum flow__level level, const uint8_t *msg,
                                   size_t len, struct flow_error *err);

/*
 * The next event of the last call, in order; a secret comes before the first
 * message that it protects, and after the ServerHello that names its suite.
 * FLOW_OK: *ret_event is set.  FLOW_AGAIN: there is none.  FLOW_E_NOMEM or
 * FLOW_E_SYS: the engine can only be freed.
 */
enum flow_status flow__engine_next(struct flow__engine *engine,
                                   struct flow__engine_event *ret_event);

/* Client, before flow__engine_start(): offer to resume a session, which has
 * this suite.  FLOW_OK; FLOW_E_INVAL if it is not understood, FLOW_E_NOMEM: it
 * is not offered. */
enum flow_status flow__engine_offer(struct flow__engine *engine,
                                    struct flow__span state,
                                    uint16_t *ret_suite);

/* Client, after FLOW_OK, TLS 1.2: the session.  FLOW_OK: *ret_state is the
 * caller's, of the configuration's environment.  FLOW_E_NOMEM or FLOW_E_SYS. */
enum flow_status flow__engine_session(struct flow__engine *engine,
                                      uint8_t **ret_state, size_t *ret_len);

/*
 * Client, after FLOW_OK and the last event, TLS 1.3: take a NewSessionTicket,
 * and make a session of it.  As flow__engine_session(), or FLOW_AGAIN: it has
 * none.  After an error the engine can only be freed.
 */
enum flow_status flow__engine_ticket(struct flow__engine *engine,
                                     const uint8_t *msg, size_t len,
                                     uint8_t **ret_state, size_t *ret_len);

/* After FLOW_OK: the agreed protocol, static for the configuration, or "". */
const char *flow__engine_alpn(const struct flow__engine *engine);

/* Whether the engine of this build can export keying material. */
bool flow__engine_can_export(void);

/* After FLOW_OK, any number of times: the value of an exporter, wanted->len
 * bytes.  FLOW_E_NOMEM, or FLOW_E_SYS when the engine fails; then buf is
 * wiped. */
enum flow_status flow__engine_export(struct flow__engine *engine,
                                     const struct flow__exporter *wanted,
                                     uint8_t *buf);

/* About how many bytes an engine takes after its handshake. */
size_t flow__engine_footprint(void);

/* After FLOW_OK: copy the peer's certificates, DER, leaf first.  With
 * buf NULL only the length.  0: none. */
size_t flow__engine_peer_chain(const struct flow__engine *engine, uint8_t *buf,
                               size_t cap);

#endif
