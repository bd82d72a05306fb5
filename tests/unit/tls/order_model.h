/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_ORDER_MODEL_H
#define FLOW_TESTS_UNIT_TLS_ORDER_MODEL_H

#include <stdbool.h>

#include "tls/alert.h"
#include "tls/order_kinds.h"

/*
 * A second opinion on what may come next, written from RFC 8446 appendix A,
 * RFC 5246 7.3 and RFC 5077 alone, without a look at tls/order.c.  One endpoint
 * is told every message of both sides, in order.
 *
 * The endpoint offers TLS 1.2 and 1.3, only suites with ephemeral curves and
 * certificates, tickets and sessions, as a server also client certificates; no
 * early data, no client authentication after the handshake, no
 * CertificateStatus, no renegotiation.  It sends no ticket of TLS 1.3 and no
 * KeyUpdate before the handshake is over, as RFC 8446 4.6 would let a server
 * do.
 */

/* Model states are numbers below this. */
#define ORDER_MODEL_STATES 512

struct order_verdict {
    bool legal;
    /* If the message is legal: the next state, or the same one if the message
     * is ignored. */
    unsigned next;
    /* If the message is legal: the level that protects it.  A
     * change_cipher_spec is always in plaintext. */
    enum flow__level level;
    /* If the message is illegal and the peer's: the alert. */
    enum flow__alert alert;
};

struct order_model {
    unsigned (*start)(bool server);
    /* ours: the endpoint sends the message.  A change_cipher_spec that TLS 1.3
     * sends for middleboxes is not a message when it is ours; the peer's is
     * legal where it must be dropped. */
    struct order_verdict (*take)(unsigned state, bool ours,
                                 enum flow__kind kind);
    /* Whether the handshake is complete. */
    bool (*is_open)(unsigned state);
};

extern const struct order_model order_model;

#endif
