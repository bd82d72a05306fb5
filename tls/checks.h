/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_CHECKS_H
#define FLOW_TLS_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#include "tls/alert.h"
#include "tls/hello.h"
#include "tls/key_type.h"
#include "tls/suite.h"

/*
 * Checks of one message of the peer, before the engine gets it: all its
 * lengths, and what the RFCs require but the engine does not check.  Pure and
 * bounded; tls/order.c names the check of each message.
 */

struct flow__check_facts {
    /* Our ClientHello: the one sent last.  Client only, else NULL. */
    const struct flow__client_hello *offer;
    /* The suite of the session of TLS 1.2 that it offers to resume; 0: none. */
    uint16_t session_suite;
    /* What the server may negotiate.  Server only, else NULL. */
    const struct flow_tls_sni_terms *terms;
    /* Server: it accepts TLS 1.2 without the extended master secret. */
    bool skip_extended;
    /* Server, of a second ClientHello: what the first one asked for. */
    const char *name; /* "" for none */
    struct flow__span alpn;
    /* The agreed suite, or that of a HelloRetryRequest; NULL before. */
    const struct flow__suite *suite;
    /* TLS 1.2, server: the curve of our ServerKeyExchange. */
    uint16_t group;
    /* Of the peer's certificate; FLOW__KEY_OTHER before its Certificate. */
    enum flow__key_type peer_key;
};

/* msg: whole, header included, of the type that the check is named for.
 * FLOW_OK, or FLOW_E_PROTO with the alert and a phrase in *ret_fault. */
typedef enum flow_status flow__check_fn(const struct flow__check_facts *facts,
                                        const uint8_t *msg, size_t len,
                                        struct flow__fault *ret_fault);

/*
 * check_hello.c.  ClientHello: it has the extensions that the version chosen by
 * the policy needs, and it is not an inappropriate fallback (RFC 7507).  A
 * second one asks for the same as the first (RFC 8446 4.1.2).  The others:
 * everything chosen was offered, and no extension is unsolicited or misplaced.
 */
flow__check_fn flow__check_client_hello;
flow__check_fn flow__check_second_client_hello;
flow__check_fn flow__check_server_hello;
flow__check_fn flow__check_hello_retry_request;
flow__check_fn flow__check_encrypted_extensions;

/*
 * check_certificate.c.  CertificateVerify: the scheme fits peer_key, and in TLS
 * 1.3 is allowed for messages (RFC 8446 4.2.3).
 */
flow__check_fn flow__check_certificate_request12;
flow__check_fn flow__check_certificate_request13;
flow__check_fn flow__check_certificate12;
flow__check_fn flow__check_certificate13;
flow__check_fn flow__check_certificate_verify12;
flow__check_fn flow__check_certificate_verify13;

/*
 * check_exchange.c, TLS 1.2: the curve was offered, the point is uncompressed
 * (RFC 8422 5.4, 5.7).  ServerKeyExchange: the server's certificate fits the
 * suite, and the scheme of the signature the certificate (RFC 5246 7.4.2).
 */
flow__check_fn flow__check_server_key_exchange;
flow__check_fn flow__check_client_key_exchange;

/* check_finished.c.  empty: HelloRequest and ServerHelloDone, without a body.
 */
flow__check_fn flow__check_finished12;
flow__check_fn flow__check_finished13;
flow__check_fn flow__check_empty;

/* check_post_handshake.c. */
flow__check_fn flow__check_new_session_ticket12;
flow__check_fn flow__check_new_session_ticket13;
flow__check_fn flow__check_key_update;

/*
 * checks.c
 */

/* The body of a message; false if its header states another length. */
bool flow__check_body(const uint8_t *msg, size_t len,
                      struct flow__span *ret_body);

/* FLOW_OK if our ClientHello had an extension of this type. */
enum flow_status flow__check_was_offered(const struct flow__client_hello *offer,
                                         uint16_t type,
                                         struct flow__fault *ret_fault);

/* Check the extensions of a TLS 1.3 message; place is one of FLOW__IN_.  None
 * may be a duplicate or belong to other messages, and if offer is given, each
 * must be in it. */
enum flow_status flow__check_extensions(struct flow__span list, unsigned place,
                                        const struct flow__client_hello *offer,
                                        struct flow__fault *ret_fault);

/* Whether a scheme may sign messages of TLS 1.3 (check_certificate.c) with a
 * key (RFC 8446 4.2.3). */
bool flow__check_scheme13(uint16_t scheme, enum flow__key_type key);

#endif
