/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_COMPAT_H
#define FLOW_TLS_MBEDTLS_COMPAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>

#include <flow/status.h>

#include "tls/alert.h"
#include "tls/cert.h"

/*
 * Where mbedTLS 3.6 and 4.x differ.  major3.c and major4.c implement this, and
 * the build compiles the one that fits (decision 0071).  Everything else in
 * this directory uses what both have.
 */

/* Features that a build of mbedTLS may have or lack. */
enum flow__mbed_feature {
    FLOW__MBED_LOCKS,    /* locks around what threads share */
    FLOW__MBED_SLOTS,    /* as many PSA keys as there is memory for */
    FLOW__MBED_IN_PLACE, /* PSA does not copy its arguments */
    FLOW__MBED_FEATURES  /* how many there are */
};

bool flow__mbed_has(enum flow__mbed_feature feature);

/* Prepare mbedTLS: one thread calls this before PSA is initialised and before
 * any other thread uses mbedTLS. */
void flow__mbed_prepare(void);

/* mbedTLS functions whose arguments differ.  Where one has to be given, the
 * random generator is ours. */
void flow__mbed_conf_random(mbedtls_ssl_config *ssl);
/* Have a client report the tickets of TLS 1.3. */
void flow__mbed_conf_tickets(mbedtls_ssl_config *ssl);
int flow__mbed_parse_key(mbedtls_pk_context *key, const uint8_t *data,
                         size_t len, const uint8_t *pass, size_t pass_len);
/* A SubjectPublicKeyInfo in DER. */
int flow__mbed_parse_public_key(mbedtls_pk_context *key,
                                struct flow__span spki);
int flow__mbed_check_pair(const mbedtls_pk_context *public_key,
                          const mbedtls_pk_context *key);

/* Check a signature of a certificate by a key: 0 or an error number, for a
 * wrong one too.  hash has s->hash_bits, by the algorithm md. */
int flow__mbed_check_signature(mbedtls_pk_context *key,
                               const struct flow__signature *s,
                               mbedtls_md_type_t md, const uint8_t *hash);

/*
 * Let libcrypto sign with a private key, where this build of mbedTLS has it.
 * The key is then for signing only, and its private part cannot be read from
 * it: 0, or a number that says that there was no memory.
 */
int flow__mbed_settle_key(mbedtls_pk_context *key);

/*
 * Check the key share in a ServerKeyExchange of TLS 1.2, after mbedTLS found
 * its signature valid: 0 or an error number.  3.6 has checked it already.  4.x
 * checks it only when it answers the ServerHelloDone, and reports a wrong one
 * like a failure of its own.  The lengths in the message were checked.
 */
int flow__mbed_check_share(const uint8_t *msg, size_t len);

/*
 * Error numbers.  3.6 adds the number of a module, a multiple of 128, to that
 * of the underlying failure.  4.x returns only the latter, as a number of PSA
 * if PSA has one.
 */

/* Whether a number, or a part of it, says that there was no memory. */
bool flow__mbed_no_memory(int code);

/* Whether a number of a key's parser says that the key is malformed. */
bool flow__mbed_is_key_error(int code);

/* Whether a number that came in answer to a Certificate message says that a
 * certificate is malformed. */
bool flow__mbed_is_certificate_error(int code);

/* What a number of mbedTLS means for a handshake. */
struct flow__mbed_meaning {
    int code;
    enum flow_status status;
    enum flow__alert alert;
    const char *text;
};

/* The meaning of numbers that only one of the two has; NULL: not one of
 * those. */
const struct flow__mbed_meaning *flow__mbed_own_meaning(int code);

#endif
