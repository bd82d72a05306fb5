/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HANDSHAKE_H
#define FLOW_TLS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* What both sides agreed on; owned by the TLS flow. */
struct flow__agreed {
    uint16_t version;
    const struct flow__suite *suite;
    uint16_t group; /* 0: not known */
    bool resumed;
    const char *alpn; /* the configuration's, or "" */
    char *names;      /* the two that follow, names_len bytes */
    size_t names_len;
    const char *server_name;
    const char *matched_name; /* may begin with a star */
    uint32_t verify_flags;
    uint8_t *peer_chain;
    size_t peer_chain_len;
};

/* What a handshake hands over when it is done. */
struct flow__takeover {
    struct flow__record_keys rx;
    struct flow__record_keys tx;
    struct flow__secret rx_secret; /* TLS 1.3: for KeyUpdate */
    struct flow__secret tx_secret;
    struct flow__queue ahead; /* records that came after the last message */
    size_t record_limit;      /* largest content we may send per record */
};

/* server_name: client only; already checked, or NULL. */
enum flow_status flow__handshake_new(struct flow_tls_config *config,
                                     const struct flow_env *env,
                                     const char *server_name,
                                     struct flow__handshake **ret_handshake);

/* Wipes and releases; NULL does nothing. */
void flow__handshake_free(struct flow__handshake *hs);

/* Continue until the lower flow would block.  FLOW_OK: the handshake is over
 * and the lower flow has all our records.  FLOW_AGAIN: wait for what
 * flow__handshake_wants() says.  Any other status: *err has the reason; an
 * alert was sent if one was due and the lower flow accepted it.  is_late: the
 * caller's deadline has passed; a handshake that has failed reports its reason,
 * any other stops. */
enum flow_status flow__handshake_step(struct flow__handshake *hs,
                                      struct flow *lower, bool is_late,
                                      struct flow_error *err);

/* Before flow__handshake_free(): offer a queued alert to the lower flow once
 * more, without waiting. */
void flow__handshake_offer_alert(struct flow__handshake *hs,
                                 struct flow *lower);

/* Before the first step: limit the time from that step on, the opening of the
 * lower flow included, to nsec ns; 0: no limit.  The configuration's limit
 * starts when the lower flow is open. */
void flow__handshake_limit_time(struct flow__handshake *hs, uint64_t nsec);

/* One FLOW_READY_ bit of the lower flow. */
uint32_t flow__handshake_wants(const struct flow__handshake *hs);

/* When it must be done, monotonic ns; FLOW_NEVER: no limit, or none yet. */
uint64_t flow__handshake_deadline(const struct flow__handshake *hs);

/* Whether nothing was read or written yet. */
bool flow__handshake_is_fresh(const struct flow__handshake *hs);

/* Bytes held, without those of the engine. */
size_t flow__handshake_footprint(const struct flow__handshake *hs);

/* After FLOW_OK of step: move keys, secrets and facts out. */
void flow__handshake_take(struct flow__handshake *hs,
                          struct flow__takeover *ret_takeover,
                          struct flow__agreed *ret_agreed);

#endif
