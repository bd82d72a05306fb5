/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CHECKS_H
#define FLOW_TLS_CHECKS_H

#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#include "tls/alert.h"
#include "tls/hello.h"
#include "tls/sni.h"
#include "tls/suite.h"

/*
 * Checks on one message of the peer, before the engine gets it: its lengths to
 * the last byte, and what the RFCs demand and the engine does not look at.
 * Pure and bounded; tls/order.c names the check of each message.
 */

struct flow__check_facts {
    /* Our ClientHello: the one sent last.  Client only. */
    const struct flow__client_hello *offer;
    /* What the server may negotiate.  Server only. */
    const struct flow__sni_policy *policy;
    /* The agreed suite; NULL before the ServerHello was taken. */
    const struct flow__suite *suite;
    /* Of the peer's certificate; FLOW__KEY_OTHER before it was taken. */
    enum flow__key_type peer_key;
};

/* msg: whole, header included, of the type that the check is named for.
 * FLOW_OK, or FLOW_E_PROTO with the alert and a phrase in *ret_fault. */
typedef enum flow_status flow__check_fn(const struct flow__check_facts *facts,
                                        const uint8_t *msg, size_t len,
                                        struct flow__fault *ret_fault);

/* An extension of a ClientHello is malformed, missing, or contradicts the
 * version that the policy chooses. */
flow__check_fn flow__check_client_hello;
/* Version, suite, group and extensions were offered. */
flow__check_fn flow__check_server_hello;
flow__check_fn flow__check_hello_retry_request;
flow__check_fn flow__check_encrypted_extensions;
flow__check_fn flow__check_certificate_request12;
flow__check_fn flow__check_certificate_request13;
flow__check_fn flow__check_certificate12;
flow__check_fn flow__check_certificate13;
/* RFC 8446 4.4.3: the scheme is one for messages, and fits peer_key. */
flow__check_fn flow__check_certificate_verify12;
flow__check_fn flow__check_certificate_verify13;
/* The point is uncompressed (RFC 8422 5.4, 5.7); the server's certificate fits
 * the suite, and the signature the certificate (RFC 5246 7.4.2). */
flow__check_fn flow__check_server_key_exchange;
flow__check_fn flow__check_client_key_exchange;
flow__check_fn flow__check_finished12;
flow__check_fn flow__check_finished13;
flow__check_fn flow__check_new_session_ticket12;
flow__check_fn flow__check_new_session_ticket13;
flow__check_fn flow__check_key_update;
/* A body without a byte: HelloRequest, ServerHelloDone. */
flow__check_fn flow__check_empty;

#endif
