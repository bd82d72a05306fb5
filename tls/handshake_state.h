/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HANDSHAKE_STATE_H
#define FLOW_TLS_HANDSHAKE_STATE_H

#include "tls/config.h"
#include "tls/engine.h"
#include "tls/flight.h"
#include "tls/handshake.h"
#include "tls/hello.h"
#include "tls/order.h"

/*
 * What the files of the handshake share; nothing else includes it:
 *
 *   handshake.c        the lower flow, time, and how it begins and ends
 *   incoming.c         records of the peer to messages to the engine
 *   outgoing.c         events of the engine to keys and records; our alert
 *   agreement.c        what the hellos agree on
 *   handshake_state.c  how it fails and how it completes
 *
 * Each calls only those below it.
 *
 * Invariant: between two calls order is the state of everything that was taken
 * and of everything that stands in out.  A message that is refused leaves it
 * alone, so that order names the key with which the peer can read the alert.
 */

enum flow__handshake_phase {
    FLOW__PHASE_NEW = 0, /* the lower flow was not asked to open yet */
    FLOW__PHASE_OPENING, /* it was */
    FLOW__PHASE_RUNNING,
    FLOW__PHASE_DONE,  /* but for what stands in out */
    FLOW__PHASE_FAILED /* failure says why; an alert may stand in out */
};

struct flow__handshake {
    const struct flow_env *env;
    struct flow_tls_config *config; /* the TLS flow holds the reference */
    bool server;
    enum flow__handshake_phase phase;
    struct flow_error failure;
    uint64_t time_limit; /* ns from RUNNING on; 0: none */
    uint64_t dial_limit; /* ns from OPENING on; 0: none */
    uint64_t deadline;   /* what these two make; FAILED: for the alert */
    char name[FLOW__NAME_MAX + 1]; /* client: to ask for, or "" */
    bool ip_name;
    struct flow__engine *engine; /* server: from the ClientHello on */
    struct flow__order order;

    struct flow__queue raw;     /* bytes of the lower flow */
    struct flow__queue message; /* a message of the peer, in fragments */
    struct flow__flight flight; /* messages of ours */
    struct flow__queue out;     /* records for the lower flow */
    bool unflushed;             /* the lower flow may hold some of ours back */
    size_t taken;               /* bytes of records looked at */
    bool header_checked;        /* of the record that raw begins with */
    bool ccs_sent;              /* TLS 1.3: the one of RFC 8446 D.4 */
    unsigned ccs_received;
    unsigned warnings; /* of TLS 1.2, HelloRequests included */
    bool skip_early;   /* refused 0-RTT data may come */
    size_t early_bytes;

    /* By enum flow__level; the plain ones stay empty. */
    struct flow__record_keys rx[FLOW__LEVELS];
    struct flow__record_keys tx[FLOW__LEVELS];
    struct flow__secret rx_secret; /* TLS 1.3, of the data */
    struct flow__secret tx_secret;

    /* What the hellos say. */
    uint16_t version; /* 0 before the ServerHello */
    const struct flow__suite *suite;
    uint16_t group;
    bool resumed;
    size_t record_limit;                      /* content of our records */
    uint8_t session_id[FLOW__SESSION_ID_MAX]; /* of the ClientHello */
    size_t session_id_len;
    struct flow__queue hello;        /* client: our last ClientHello */
    struct flow__client_hello offer; /* the same, read */

    /* Server: what the ClientHello asked for. */
    struct flow__keypair *pair;
    uint8_t *alpn; /* as in the first ClientHello */
    size_t alpn_len;
    char sni[FLOW__NAME_MAX + 1];
    char pattern[FLOW__NAME_MAX + 3]; /* client: the name that matched */

    uint8_t *chain; /* the peer's certificates, when done */
    size_t chain_len;
    char *names; /* asked for, and what matched it; each with its NUL */
    size_t names_len;
};

/*
 * Functions below that may fail answer like flow__engine_feed(): FLOW_OK, or
 * an error with err filled, alert_sent saying which alert is due, or -1.
 */

/* handshake_state.c */

/* Fill err from a fault, or say that there is no memory; returns status. */
enum flow_status flow__handshake_fault(const struct flow__handshake *hs,
                                       enum flow_status status,
                                       const struct flow__fault *fault,
                                       struct flow_error *err);
/* The same for one of the peer's. */
enum flow_status flow__handshake_refuse(const struct flow__handshake *hs,
                                        enum flow__alert alert,
                                        const char *text,
                                        struct flow_error *err);
/* The engine has said that it is over: before anything of it leaves, whether
 * it has verified the peer, if it was to. */
enum flow_status flow__handshake_check_peer(const struct flow__handshake *hs,
                                            struct flow_error *err);
/* The same, and its last events are taken. */
enum flow_status flow__handshake_complete(struct flow__handshake *hs,
                                          struct flow_error *err);

/* incoming.c */

/* Look at the next whole record in raw.  FLOW_AGAIN: raw has less than one. */
enum flow_status flow__incoming_next(struct flow__handshake *hs,
                                     struct flow_error *err);
/* Bytes that raw lacks before there is a whole record. */
size_t flow__incoming_missing(const struct flow__handshake *hs);

/* outgoing.c */

/* Take the events of the engine's last call, which answered status: keys are
 * made, messages stand in out. */
enum flow_status flow__outgoing_events(struct flow__handshake *hs,
                                       enum flow_status status,
                                       struct flow_error *err);
/* Put an alert of ours on out, under the key that the peer expects now.
 * false: it cannot be sealed. */
bool flow__outgoing_alert(struct flow__handshake *hs, int alert);

/* agreement.c */

/* What the configuration lets a server negotiate. */
struct flow__sni_policy
flow__agreement_policy(const struct flow__handshake *hs);

/* Server: the ClientHello came.  The first one chooses a certificate and makes
 * the engine. */
enum flow_status flow__agreement_client_hello(struct flow__handshake *hs,
                                              const uint8_t *msg, size_t len,
                                              struct flow_error *err);
/* Client: our ClientHello goes out. */
enum flow_status flow__agreement_offer(struct flow__handshake *hs,
                                       const uint8_t *msg, size_t len,
                                       struct flow_error *err);
/* A ServerHello, ours or the peer's, or a HelloRetryRequest. */
enum flow_status flow__agreement_server_hello(struct flow__handshake *hs,
                                              const uint8_t *msg, size_t len,
                                              struct flow_error *err);
/* A ServerKeyExchange, ours or the peer's. */
void flow__agreement_key_exchange(struct flow__handshake *hs,
                                  const uint8_t *msg, size_t len);

#endif
