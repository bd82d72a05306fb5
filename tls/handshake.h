/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HANDSHAKE_H
#define FLOW_TLS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <flow/flow.h>
#include <flow/tls.h>

#include "tls/keys.h"
#include "tls/name.h"
#include "tls/queue.h"
#include "tls/record.h"

/*
 * The handshake: passes messages between the engine and the peer, in records
 * that libflow seals and opens.  At the end its keys and facts move to the TLS
 * flow (docs/tls.md).
 */
struct flow__handshake;
struct flow__exported;
struct flow__slot;
struct flow__harvest;

/* What both sides agreed on besides the suite, which the keys know; owned by
 * the TLS flow.  Kept as long as the connection, so it is packed. */
struct flow__agreed {
    uint16_t version;
    uint16_t group; /* 0: not known */
    uint32_t verify_flags;
    const char *alpn; /* the configuration's, or "" */
    /* The name asked for, and unless same_name is set the certificate's name
     * that matched it, each with its NUL.  NULL: both are "". */
    char *names;
    uint8_t *peer_chain;
    uint32_t peer_chain_len;
    uint16_t entry; /* server: of the configuration's selector */
    bool same_name; /* the two names are equal and stored once */
    bool resumed;
};

static inline const char *
flow__agreed_server_name(const struct flow__agreed *agreed)
{
    return agreed->names != NULL ? agreed->names : "";
}

/* May begin with a star. */
static inline const char *
flow__agreed_matched_name(const struct flow__agreed *agreed)
{
    const char *asked = flow__agreed_server_name(agreed);

    return agreed->names == NULL || agreed->same_name
               ? asked
               : asked + strlen(asked) + 1;
}

/* Bytes of names. */
static inline size_t
flow__agreed_names_len(const struct flow__agreed *agreed)
{
    const char *last = flow__agreed_matched_name(agreed);

    return agreed->names == NULL
               ? 0
               : (size_t)(last - agreed->names) + strlen(last) + 1;
}

/* What a handshake hands over when it is done. */
struct flow__takeover {
    struct flow__record_keys rx;
    struct flow__record_keys tx;
    struct flow__secret rx_secret; /* TLS 1.3: for KeyUpdate */
    struct flow__secret tx_secret;
    struct flow__queue ahead; /* records that came after the last message */
    size_t record_limit;      /* largest content we may send per record */
    struct flow__harvest *harvest; /* client: for tickets; NULL: none */
};

/* server_name: client only; already checked, or NULL. */
enum flow_status flow__handshake_new(struct flow_tls_config *config,
                                     const struct flow_env *env,
                                     const char *server_name,
                                     struct flow__handshake **ret_handshake);

/* Wipes and releases; NULL does nothing. */
void flow__handshake_free(struct flow__handshake *hs);

/* Client, before the first step: see flow_tls_set_session_peer(). */
enum flow_status flow__handshake_set_peer(struct flow__handshake *hs,
                                          const char *peer);

/* For a step. */
enum {
    /* The caller's deadline has passed: a handshake that has failed reports its
     * reason, any other stops. */
    FLOW__STEP_LATE = 1,
    /* The lower flow can be ended, and is not used by any other after a
     * failure. */
    FLOW__STEP_ENDS_LOWER = 2
};

/* Continue until the lower flow would block.  FLOW_OK: the handshake is over
 * and the lower flow has all our records.  FLOW_AGAIN: wait for what
 * flow__handshake_wants() says.  Any other status: *err has the reason; an
 * alert was sent if one was due and the lower flow accepted it, and a server
 * has waited a moment for the peer to end.  circumstances: FLOW__STEP_ bits. */
enum flow_status flow__handshake_step(struct flow__handshake *hs,
                                      struct flow *lower,
                                      uint32_t circumstances,
                                      struct flow_error *err);

/* Before flow__handshake_free(): offer a queued alert to the lower flow once
 * more, without waiting. */
void flow__handshake_offer_alert(struct flow__handshake *hs,
                                 struct flow *lower);

/* Before the first step: limit the time from that step on, the opening of the
 * lower flow included, to nsec ns; 0: no limit.  The configuration's limit
 * starts when the lower flow is open. */
void flow__handshake_limit_time(struct flow__handshake *hs, uint64_t nsec);

/* Before the first step: where what the flow exports is to be stored.  It is
 * zero, and lives longer than the handshake. */
void flow__handshake_export_to(struct flow__handshake *hs,
                               struct flow__exported *exported);

/* One FLOW_READY_ bit of the lower flow. */
uint32_t flow__handshake_wants(const struct flow__handshake *hs);

/* Whether the callback of the selector is to answer: then the lower flow does
 * not matter, and *ret_answered, which may be NULL, is signalled after
 * *ret_sequence. */
bool flow__handshake_is_asking(const struct flow__handshake *hs,
                               struct flow_event **ret_answered,
                               uint32_t *ret_sequence);

/* When it must be done, monotonic ns; FLOW_NEVER: no limit, or none yet. */
uint64_t flow__handshake_deadline(const struct flow__handshake *hs);

/* Whether nothing was read or written yet. */
bool flow__handshake_is_fresh(const struct flow__handshake *hs);

/* The place in the limiter of the listener that accepted the flow, if any.  The
 * TLS flow enters it and leaves it. */
struct flow__slot *flow__handshake_slot(struct flow__handshake *hs);

/* Bytes held, without those of the engine. */
size_t flow__handshake_footprint(const struct flow__handshake *hs);

/* After FLOW_OK of step: move keys, secrets and facts out. */
void flow__handshake_take(struct flow__handshake *hs,
                          struct flow__takeover *ret_takeover,
                          struct flow__agreed *ret_agreed);

#endif
