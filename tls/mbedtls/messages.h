/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_MESSAGES_H
#define FLOW_TLS_MBEDTLS_MESSAGES_H

#include "tls/engine.h"
#include "tls/keys.h"
#include "tls/queue.h"
#include "tls/record.h"

/*
 * Handshake messages in and out of an engine that speaks only records.
 *
 * The engine reads from in and writes to out, both memory of ours.  A message
 * of the peer is put into a record of its own for the engine; where the engine
 * expects it protected it is sealed with the peer's key, under numbers that
 * count these records and not those of the wire.  A record of the engine is
 * opened with the engine's own key; what was in it leaves as a message.
 *
 * Invariants: no byte of in or out ever reaches the wire.  What stands there is
 * sealed with the keys and numbers of records that do, and differs from them in
 * its padding and its order: both together would break the cipher.  What the
 * engine calls back only copies: no key is made, and no lock taken, inside its
 * call.
 *
 * What mbedTLS does (tests/takeover shows each):
 *   - every call of its send function has one whole record, and a handshake
 *     record has exactly one message;
 *   - secrets come before the records they protect: those of the handshake
 *     before the ServerHello, when the engine cannot name the suite yet; those
 *     of the data before its Finished, which stands under the handshake key;
 *     the master secret of TLS 1.2 before its own Finished;
 *   - it pads the records of TLS 1.3, and sends change_cipher_spec and alerts,
 *     all of which are ours to send;
 *   - it reads one record for each message that it is given.
 */

enum flow__messages_secret {
    FLOW__MESSAGES_CLIENT_HANDSHAKE = 0,
    FLOW__MESSAGES_SERVER_HANDSHAKE,
    FLOW__MESSAGES_CLIENT_DATA,
    FLOW__MESSAGES_SERVER_DATA,
    FLOW__MESSAGES_MASTER, /* TLS 1.2 */
    FLOW__MESSAGES_SECRETS /* how many kinds there are */
};

struct flow__messages {
    const struct flow_env *env;
    bool server;
    const struct flow__suite *suite; /* NULL before the ServerHello */

    struct flow__queue in;  /* a record for the engine */
    struct flow__queue out; /* records of the engine, of its last call */
    size_t passed;          /* bytes of out that the last event points into */
    bool starved;           /* the engine asked for more than in has */
    bool in_changed;        /* TLS 1.2: in had a change_cipher_spec */
    bool out_changed;       /* TLS 1.2: out had one */

    unsigned known; /* bit per kind: exported */
    unsigned told;  /* bit per kind: was an event */
    uint8_t secret[FLOW__MESSAGES_SECRETS][FLOW__SECRET_MAX];
    size_t secret_len;
    uint8_t client_random[FLOW__RANDOM_LEN];
    uint8_t server_random[FLOW__RANDOM_LEN];

    struct flow__record_keys in_keys;  /* seal what the peer sent, again */
    struct flow__record_keys out_keys; /* open what the engine sealed */
};

void flow__messages_init(struct flow__messages *m, const struct flow_env *env,
                         bool server);
/* Wipes. */
void flow__messages_fini(struct flow__messages *m);

/* A message of the peer, for the next call of the engine.  FLOW_OK,
 * FLOW_E_NOMEM, or FLOW_E_SYS when its key is not known. */
enum flow_status flow__messages_put(struct flow__messages *m,
                                    enum flow__level level, const uint8_t *msg,
                                    size_t len);

/* The engine's functions to read, to send and to export.  read: 0 when in is
 * empty.  send: false without memory. */
size_t flow__messages_read(struct flow__messages *m, uint8_t *buf, size_t len);
bool flow__messages_send(struct flow__messages *m, const uint8_t *record,
                         size_t len);
void flow__messages_export(struct flow__messages *m,
                           enum flow__messages_secret kind,
                           const uint8_t *secret, size_t len,
                           const uint8_t *client_random,
                           const uint8_t *server_random);

/* See flow__engine_next(). */
enum flow_status flow__messages_next(struct flow__messages *m,
                                     struct flow__engine_event *ret_event);

/* The engine failed: the alert that it wanted to send, FLOW__ALERT_NONE where
 * it was silent; what it wrote is dropped. */
enum flow__alert flow__messages_drop(struct flow__messages *m);

#endif
