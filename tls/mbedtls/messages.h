/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_MESSAGES_H
#define FLOW_TLS_MBEDTLS_MESSAGES_H

#include "tls/engine.h"
#include "tls/keys.h"
#include "tls/queue.h"
#include "tls/record.h"

/*
 * Exchanges handshake messages with an engine that reads and writes only
 * records.
 *
 * The engine reads from in and writes to out, both memory of ours.  A message
 * of the peer is put into a record of its own for the engine.  If the engine
 * expects it protected, it is sealed with the peer's key, under numbers that
 * count these records and not those on the wire.  A record of the engine is
 * opened with the engine's own key, and its content leaves as a message.
 *
 * Keys are derived once, when a record or an event first needs them: those of
 * the handshake serve both here and on the wire.
 *
 * Invariants: no byte of in or out ever reaches the wire.  These records are
 * sealed with keys and numbers that records on the wire use too, and differ
 * from them in padding and order: if both were sent, nonces would repeat.  The
 * functions that the engine calls only copy: they make no key and take no lock.
 *
 * What mbedTLS does (tests/takeover shows each):
 *   - every call of its send function has one whole record, and a handshake
 *     record has exactly one message;
 *   - secrets come before the records they protect: those of the handshake
 *     before the ServerHello, when the engine cannot name the suite yet; those
 *     of the data before its Finished, which is under the handshake key; the
 *     master secret of TLS 1.2 before its own Finished;
 *   - it pads the records of TLS 1.3, and sends change_cipher_spec and alerts,
 *     which we send ourselves;
 *   - it reads one record for each message that it is given.
 */

enum flow__messages_secret {
    FLOW__MESSAGES_CLIENT_HANDSHAKE = 0,
    FLOW__MESSAGES_SERVER_HANDSHAKE,
    FLOW__MESSAGES_CLIENT_DATA,
    FLOW__MESSAGES_SERVER_DATA,
    FLOW__MESSAGES_MASTER, /* TLS 1.2: its keys are those of the data */
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
    bool is_over;

    unsigned known; /* bit per kind: exported */
    unsigned told;  /* bit per kind: reported as an event */
    unsigned made;  /* bit per kind: its keys are derived */
    uint8_t secret[FLOW__MESSAGES_SECRETS][FLOW__SECRET_MAX];
    size_t secret_len;
    uint8_t client_random[FLOW__RANDOM_LEN];
    uint8_t server_random[FLOW__RANDOM_LEN];
    struct flow__key_material keys[FLOW__MESSAGES_MASTER];

    struct flow__record_keys in_keys;  /* seal what the peer sent, again */
    struct flow__record_keys out_keys; /* open what the engine sealed */
};

void flow__messages_init(struct flow__messages *m, const struct flow_env *env,
                         bool server);
/* Wipes. */
void flow__messages_fini(struct flow__messages *m);

/* Put a message of the peer for the next call of the engine.  FLOW_OK,
 * FLOW_E_NOMEM, or FLOW_E_SYS if its key is not known. */
enum flow_status flow__messages_put(struct flow__messages *m,
                                    enum flow__level level, const uint8_t *msg,
                                    size_t len);

/* Called by the engine to read, to send and to export.  read: 0 if in is empty.
 * send: false without memory. */
size_t flow__messages_read(struct flow__messages *m, uint8_t *buf, size_t len);
bool flow__messages_send(struct flow__messages *m, const uint8_t *record,
                         size_t len);
void flow__messages_export(struct flow__messages *m,
                           enum flow__messages_secret kind,
                           const uint8_t *secret, size_t len,
                           const uint8_t *client_random,
                           const uint8_t *server_random);

/* The handshake is over, and out has no message of it: in TLS 1.3, what the
 * engine writes and reads from now on is protected with the keys of the data.
 */
void flow__messages_finish(struct flow__messages *m);

/* See flow__engine_next(). */
enum flow_status flow__messages_next(struct flow__messages *m,
                                     struct flow__engine_event *ret_event);

/* After the engine failed: drop what it wrote, and return the alert that it
 * wanted to send, or FLOW__ALERT_NONE. */
enum flow__alert flow__messages_drop(struct flow__messages *m);

#endif
