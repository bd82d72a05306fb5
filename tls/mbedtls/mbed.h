/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_MBED_H
#define FLOW_TLS_MBEDTLS_MBED_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include <flow/env.h>
#include <flow/status.h>
#include <flow/tls.h>

#include "tls/alert.h"
#include "tls/engine.h"
#include "tls/wire.h"

/*
 * What the files of this directory share.  Nothing outside includes it.
 */

/*
 * Enter and leave mbedTLS where its global state is used: handshakes,
 * certificate and key operations, PSA.  A fork waits until no thread is inside,
 * so that a child finds mbedTLS's locks free.  If mbedTLS has no locks
 * (MBEDTLS_THREADING_C), this is one lock for the process.  Never held while
 * waiting.
 */
void flow__mbed_enter(void);
void flow__mbed_leave(void);

/*
 * Our build of mbedTLS reports its failed allocations here; entering clears
 * earlier reports.  A system's mbedTLS reports none.
 */
void flow__mbed_note_no_memory(void);
void flow__mbed_watch_memory(void);

/*
 * The result of an operation of mbedTLS: code, which it returned, or
 * MBEDTLS_ERR_SSL_ALLOC_FAILED if an allocation has failed since this thread
 * entered, even if code means success.  To be called before the thread enters
 * again.
 */
int flow__mbed_result(int code);

struct flow__keypair {
    const struct flow_env *env;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    enum flow__key_type type;
};

/* A handshake that mbedTLS ended, and what is known about it. */
struct flow__mbed_refusal {
    int code;               /* the number that it returned */
    enum flow__alert alert; /* what it wanted to send, or NONE */
    int message;            /* type of the message it was given, -1: none */
    bool tls13;             /* agreed, or about to be */
    bool second_hello;      /* server: the ClientHello after its retry */
};

/* Fill err: status, text, the alert that the RFC names (or -1).  Returns the
 * status. */
enum flow_status flow__mbed_error(struct flow_error *err,
                                  const struct flow__mbed_refusal *refusal);

/* Append a certificate in DER to chain.  As mbedtls_x509_crt_parse_der(), but
 * critical extensions that mbedTLS does not know are left to us, or to the
 * peers that the certificate is sent to.  The result is mbedTLS's. */
int flow__mbed_parse_certificate(mbedtls_x509_crt *chain,
                                 struct flow__span der);

/* FLOW__KEY_OTHER where it is neither RSA nor of a curve that TLS has a
 * signature for. */
enum flow__key_type flow__mbed_key_type(const mbedtls_pk_context *pk);

/*
 * authorities.c: what a server names in its CertificateRequest.
 */

struct flow__mbed_authorities;

/* The subjects of terms->anchors, each once; *ret is NULL if there are none, or
 * more than may be sent.  FLOW_OK or FLOW_E_NOMEM. */
enum flow_status
flow__mbed_authorities_new(const struct flow_env *env,
                           const struct flow__engine_terms *terms,
                           struct flow__mbed_authorities **ret);
void flow__mbed_authorities_free(struct flow__mbed_authorities *a);
/* For TLS 1.2; a may be NULL. */
void flow__mbed_conf_authorities(mbedtls_ssl_config *ssl,
                                 const struct flow__mbed_authorities *a);
/* For TLS 1.3: write the extension certificate_authorities (RFC 8446 4.2.4).
 * Returns its bytes, 0 if there is no list or it does not fit. */
size_t flow__mbed_authorities_write(const struct flow__mbed_authorities *a,
                                    uint8_t *buf, size_t cap);
/* Our build of mbedTLS calls this where it writes a CertificateRequest of TLS
 * 1.3, to which it cannot be told to add names; as the function above. */
size_t flow__mbed_write_authorities(const mbedtls_ssl_context *ssl,
                                    uint8_t *buf, size_t cap);

/*
 * pair_check.c
 */

/* Report a problem of a pair, store it in err unless err has one already, and
 * return its status. */
enum flow_status flow__mbed_note_problem(const struct flow__keypair_input *in,
                                         struct flow_error *err,
                                         const struct flow_error *problem);
/* Check what tls/engine.h says of a pair; the first problem is the result. */
enum flow_status flow__mbed_check_keypair(struct flow__keypair *pair,
                                          const struct flow__keypair_input *in,
                                          struct flow_error *err);
/* What is wrong with a certificate or a key that mbedTLS does not understand,
 * if its kind is known here; else NULL. */
const char *flow__mbed_refused_kind(const struct flow_env *env,
                                    const void *data, size_t len);

/* FLOW_VERIFY_EXPIRED or FLOW_VERIFY_FUTURE by the environment's clock; 0 when
 * it is valid, or when the time is not known. */
uint32_t flow__mbed_validity(const struct flow_env *env,
                             const mbedtls_x509_crt *cert);

#endif
