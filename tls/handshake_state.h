/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HANDSHAKE_STATE_H
#define FLOW_TLS_HANDSHAKE_STATE_H

#include "tls/config.h"
#include "tls/engine.h"
#include "tls/handshake.h"
#include "tls/hello.h"

/*
 * What handshake.c (who is next), incoming.c (records of the peer, before the
 * engine sees them) and outgoing.c (records of the engine, before the peer
 * sees them) share.  Nothing else includes it.
 */

/* A secret the engine exported. */
struct flow__exported {
    bool is_set;
    struct flow__secret secret;
};

struct flow__handshake {
    const struct flow_env *env;
    struct flow_tls_config *config; /* the TLS flow holds the reference */
    bool server;
    bool stepped; /* what is below was asked to open */
    bool started; /* it is open */
    bool done;
    uint64_t time_limit;           /* ns from started on; 0: none */
    uint64_t dial_limit;           /* ns from stepped on; 0: none */
    uint64_t deadline;             /* what these two make */
    char name[FLOW__NAME_MAX + 1]; /* client: to ask for */
    bool has_name;
    bool ip_name;
    struct flow__engine *engine; /* server: from the ClientHello on */

    /* Stages: raw -> message -> feed -> engine -> out. */
    struct flow__stage raw;     /* bytes of the lower flow */
    struct flow__stage message; /* handshake bytes to be joined */
    bool message_sealed;        /* they came protected */
    struct flow__stage feed;    /* whole records for the engine */
    struct flow__stage last;    /* the last protected message that was fed */
    struct flow__stage out;     /* whole records for the lower flow */
    bool unflushed;             /* the lower flow may hold some of ours back */
    size_t taken;               /* bytes of records looked at */
    bool header_checked;        /* of the record that raw begins with */
    bool starved;               /* the engine asked for more than there is */

    /* What went by on the wire. */
    uint16_t version; /* 0 before the ServerHello */
    const struct flow__suite *suite;
    uint16_t group;
    bool resumed;
    bool retry;        /* a HelloRetryRequest went by */
    bool second_hello; /* and the ClientHello that answers it */
    bool rx_protected; /* the peer's next record is encrypted */
    bool tx_protected; /* ours is */
    bool ccs_sent;
    bool finished_sent;   /* our Finished went out: the data key is next */
    uint8_t last_message; /* type of the peer's last one in the clear */
    unsigned ccs_received;
    unsigned warnings;

    /* Client: extensions of our ClientHello. */
    uint16_t offered[FLOW__HELLO_EXTENSIONS_MAX];
    unsigned offered_count;

    /* Server: what the ClientHello asked for. */
    struct flow__keypair *pair;
    uint8_t *alpn; /* as in the first ClientHello */
    size_t alpn_len;
    char sni[FLOW__NAME_MAX + 1];
    char pattern[FLOW__NAME_MAX + 3];
    bool skip_early; /* drop what does not open: refused 0-RTT data */
    size_t early_bytes;

    /* Keys, as the engine exports them.  TLS 1.2 uses only the data ones. */
    struct flow__exported secret[4]; /* by enum flow__secret_kind */
    bool has_master;
    uint8_t master[FLOW__MASTER_LEN];
    uint8_t client_random[FLOW__RANDOM_LEN];
    uint8_t server_random[FLOW__RANDOM_LEN];
    /* seq of the tx keys: records that the engine sealed so far; of the rx
     * keys: records of the peer; of feed_keys, which are the rx keys of the
     * handshake again: records that the engine was given. */
    struct flow__record_keys tx_handshake;
    struct flow__record_keys rx_handshake;
    struct flow__record_keys tx_data;
    struct flow__record_keys rx_data;
    struct flow__record_keys feed_keys;

    uint8_t *chain; /* the peer's certificates, when done */
    size_t chain_len;
    char *names; /* asked for, and what matched it; each with its NUL */
    size_t names_len;

    int engine_alert; /* that it wanted to send, -1: none */
    /* Set by what runs inside an engine call; looked at behind it. */
    enum flow_status hook_status;
    struct flow__fault hook_fault;
};

/* Handshake messages that we look at (RFC 5246 7.4, RFC 8446 4). */
#define FLOW__HANDSHAKE_HELLO_REQUEST        0
#define FLOW__HANDSHAKE_ENCRYPTED_EXTENSIONS 8
#define FLOW__HANDSHAKE_CERTIFICATE          11
#define FLOW__HANDSHAKE_SERVER_KEY_EXCHANGE  12
#define FLOW__HANDSHAKE_CERTIFICATE_VERIFY   15
#define FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE  16
#define FLOW__HANDSHAKE_FINISHED             20

/* incoming.c */

/* Look at the next whole record in raw; the engine may get it in feed.
 * FLOW_OK: looked at one.  FLOW_AGAIN: raw has less than one.  Else *fault or,
 * for an alert of the peer, *err says why. */
enum flow_status flow__incoming_next(struct flow__handshake *hs,
                                     struct flow__fault *fault,
                                     struct flow_error *err);
/* Bytes that raw lacks before there is a whole record. */
size_t flow__incoming_missing(const struct flow__handshake *hs);

/* explain.c */

/* The engine refused what it was fed: the alert that the RFC names, and a
 * phrase that fits, whatever the engine had to say. */
void flow__handshake_explain(struct flow__handshake *hs,
                             struct flow_error *err);
/* A list of extensions has one that our ClientHello did not ask for. */
bool flow__handshake_is_unsolicited(const struct flow__handshake *hs,
                                    struct flow__span extensions);

/* outgoing.c */

/* The engine's send hook. */
bool flow__outgoing_record(void *ctx, const uint8_t *record, size_t len);
/* Put an alert of ours on out, under the key that the peer expects now.
 * false: no memory, no alert. */
bool flow__outgoing_alert(struct flow__handshake *hs, int alert);

/* handshake.c */

/* Make the keys whose secrets and suite are known by now. */
enum flow_status flow__handshake_derive(struct flow__handshake *hs);
/* A ServerHello went by, in either direction. */
enum flow_status flow__handshake_hello(struct flow__handshake *hs,
                                       const uint8_t *msg, size_t len,
                                       struct flow__fault *fault);
/* Server: the ClientHello is there: choose a certificate and make the
 * engine. */
enum flow_status flow__handshake_client_hello(struct flow__handshake *hs,
                                              const uint8_t *msg, size_t len,
                                              struct flow__fault *fault);

#endif
