/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HANDSHAKE_STATE_H
#define FLOW_TLS_HANDSHAKE_STATE_H

#include "tls/config.h"
#include "tls/engine.h"
#include "tls/flight.h"
#include "tls/handshake.h"
#include "tls/harvest.h"
#include "tls/hello.h"
#include "tls/limiter.h"
#include "tls/linger.h"
#include "tls/order.h"
#include "tls/sni.h"

/*
 * What the files of the handshake share; nothing else includes it:
 *
 *   handshake.c        the lower flow, time, and how it begins and ends
 *   linger.c           how it ends after a refusal
 *   incoming.c         records of the peer to messages to the engine
 *   outgoing.c         events of the engine to keys and records; our alert
 *   agreement.c        what the hellos agree on
 *   resumption.c       what a session may be resumed for
 *   handshake_state.c  how it fails and how it completes
 *
 * Each calls only those below it.
 *
 * Invariant: between two calls, order reflects every message that was accepted
 * and every message in out.  A message that is refused does not change it, so
 * order names the key under which the peer can read the alert.
 */

enum flow__handshake_phase {
    FLOW__PHASE_NEW = 0, /* flow_open() of the lower flow is not called yet */
    FLOW__PHASE_OPENING, /* and now it is */
    FLOW__PHASE_RUNNING,
    FLOW__PHASE_DONE,  /* except for what is in out */
    FLOW__PHASE_FAILED /* failure says why; an alert or an answer in clear may
                          be in out */
};

struct flow__handshake {
    const struct flow_env *env;
    struct flow_tls_config *config; /* the TLS flow holds the reference */
    bool server;
    struct flow__slot slot; /* the TLS flow's, while there is a handshake */
    enum flow__handshake_phase phase;
    struct flow_error failure;
    uint64_t time_limit;           /* ns from RUNNING on; 0: none */
    uint64_t dial_limit;           /* ns from OPENING on; 0: none */
    uint64_t deadline;             /* from these two; FAILED: to linger */
    char name[FLOW__NAME_MAX + 1]; /* client: name to ask for, or "" */
    bool ip_name;
    struct flow__engine *engine; /* server: from the ClientHello on */
    struct flow__order order;

    struct flow__queue raw;     /* bytes of the lower flow */
    struct flow__queue message; /* a message of the peer, in fragments */
    struct flow__flight flight; /* messages of ours */
    struct flow__queue out;     /* records for the lower flow */
    bool unflushed;             /* the lower flow may hold records back */
    bool is_drained;            /* the last read took all that there was */
    bool is_quiet;              /* this step sent after such a read */
    bool lingers;               /* FAILED: end the lower flow after out */
    struct flow__linger linger;
    size_t taken;        /* bytes of records looked at */
    bool is_text;        /* the peer began with text, not TLS */
    bool header_checked; /* of the record that raw begins with */
    bool ccs_sent;       /* TLS 1.3: the one of RFC 8446 D.4 */
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
    bool extended;                            /* the master secret is */
    size_t record_limit;                      /* content of our records */
    uint8_t session_id[FLOW__SESSION_ID_MAX]; /* of the ClientHello */
    size_t session_id_len;
    struct flow__queue hello;        /* client: our last ClientHello */
    struct flow__client_hello offer; /* the same, read */

    /* Server: what the ClientHello asked for. */
    struct flow__keypair *pair;
    struct flow__engine_conf *conf;
    uint16_t entry; /* of the selector */
    struct flow__client_auth client_auth;
    bool is_asking;   /* the callback's answer is pending ... */
    uint32_t answers; /* ... and how many there were before */
    uint8_t *alpn;    /* as in the first ClientHello */
    size_t alpn_len;
    struct flow__ticket_use tickets; /* without tickets: all zero */
    uint8_t *scope;                  /* what tickets.scope points to */
    uint16_t ticket_suites[FLOW__MAX_SUITES];
    /* What tickets.chain points to, FLOW__TICKET_CHAIN_MAX bytes, where clients
     * are asked for a certificate.  The flags are those of the session that was
     * accepted. */
    uint8_t *client_chain;
    uint32_t accepted_flags;

    /* Client with a store of sessions. */
    char *session_peer; /* of flow_tls_set_session_peer(), or NULL */
    bool has_session_key;
    uint8_t session_key[FLOW__PIN_LEN];
    struct flow__session *session; /* that was offered; NULL: none */
    uint16_t session_suite;        /* its own */
    uint32_t ticket_life;          /* TLS 1.2, of its ticket; 0: not told */
    bool has_ticket;               /* TLS 1.2: a ticket that can be kept */
    struct flow__harvest *harvest; /* TLS 1.3: after the handshake */
    char sni[FLOW__NAME_MAX + 1];
    char pattern[FLOW__NAME_MAX + 4]; /* client: the name that matched */
    /* FLOW_VERIFY_MISSING until the peer's certificates were verified; of a
     * server that asks for none, FLOW_VERIFY_NOT_CHECKED. */
    uint32_t verify_flags;
    int64_t path_end; /* client: of the path that was accepted */
    enum flow__key_type peer_key;

    uint8_t *chain; /* the peer's certificates, when done */
    size_t chain_len;
    char *names; /* as flow__agreed::names, names_len bytes */
    bool same_name;
    size_t names_len;
    struct flow__exported *exported; /* of the flow; NULL: nothing is exported
                                      */
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
/* The same for a fault of the peer. */
enum flow_status flow__handshake_refuse(const struct flow__handshake *hs,
                                        enum flow__alert alert,
                                        const char *text,
                                        struct flow_error *err);
/* After the engine has reported the end and before its last messages are sent:
 * check that the peer was verified, if it had to be. */
enum flow_status flow__handshake_check_peer(const struct flow__handshake *hs,
                                            struct flow_error *err);
/* After its last events were taken: keep the facts; the phase is DONE. */
enum flow_status flow__handshake_complete(struct flow__handshake *hs,
                                          struct flow_error *err);

/* incoming.c */

/* Process the next whole record in raw.  FLOW_AGAIN: raw has no whole record.
 */
enum flow_status flow__incoming_next(struct flow__handshake *hs,
                                     struct flow_error *err);
/* Bytes that raw lacks before there is a whole record. */
size_t flow__incoming_missing(const struct flow__handshake *hs);

/* outgoing.c */

/* Take the events of the engine's last call, which returned status: make keys,
 * and put messages into out. */
enum flow_status flow__outgoing_events(struct flow__handshake *hs,
                                       enum flow_status status,
                                       struct flow_error *err);
/* Put an alert of ours into out, under the key that the peer expects now.
 * false: it cannot be sealed. */
bool flow__outgoing_alert(struct flow__handshake *hs, int alert);

/* agreement.c */

/* What the configuration lets a server negotiate. */
struct flow_tls_sni_terms
flow__agreement_terms(const struct flow__handshake *hs);

/* Server: a ClientHello was received.  The first one chooses a certificate and
 * makes the engine.  FLOW_AGAIN: is_asking is set, and the same message has to
 * come again once there is an answer. */
enum flow_status flow__agreement_client_hello(struct flow__handshake *hs,
                                              const uint8_t *msg, size_t len,
                                              struct flow_error *err);
/* Client: our ClientHello is sent. */
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

/* resumption.c */

/* Server, with the first ClientHello: what its engine makes and takes tickets
 * with, or NULL if it does not.  FLOW_OK or FLOW_E_NOMEM. */
enum flow_status flow__resumption_serve(struct flow__handshake *hs,
                                        const struct flow__client_hello *ch,
                                        uint16_t version,
                                        struct flow__ticket_use **ret_use);
/* Server: the client has sent its certificates, count of them; keep
 * them for tickets. */
void flow__resumption_note_client(struct flow__handshake *hs,
                                  const struct flow__span *certs, size_t count);
/* Client, before it starts: offer a session, if the store has one. */
void flow__resumption_offer(struct flow__handshake *hs);
/* Client: a NewSessionTicket of TLS 1.2 was received. */
void flow__resumption_note_ticket(struct flow__handshake *hs,
                                  const uint8_t *msg, size_t len);
/* Whether the handshake, which is over, resumed a session. */
bool flow__resumption_happened(const struct flow__handshake *hs);
/* The handshake is over: if it resumed a session, what the first one
 * established holds for this one. */
void flow__resumption_settle(struct flow__handshake *hs);
/* After that: the certificates of the peer that a resumed session has; empty
 * if it has none, or none was resumed. */
struct flow__span flow__resumption_chain(const struct flow__handshake *hs);
/* Client, after that: give the session to the store, or prepare to wait for
 * those of the server.  Never fails. */
void flow__resumption_keep(struct flow__handshake *hs);

#endif
