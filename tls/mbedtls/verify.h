/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_VERIFY_H
#define FLOW_TLS_MBEDTLS_VERIFY_H

#include "tls/alert.h"
#include "tls/mbedtls/mbed.h"
#include "tls/name.h"

/* What to check a server's certificate against, and what was found. */
struct flow__mbed_verify {
    const struct flow_env *env;
    const char *name; /* NULL: no name is checked */
    /* Subject of the first certificate refused, from the root down. */
    char subject[FLOW_ERROR_DETAIL];
    char matched[FLOW__NAME_MAX + 3]; /* the leaf's dNSName, "" for none */
    enum flow__key_type key;          /* the leaf's */
};

/* An mbedtls_ssl_set_verify() callback; ctx is a struct flow__mbed_verify. */
int flow__mbed_verify_cert(void *ctx, mbedtls_x509_crt *cert, int depth,
                           uint32_t *flags);

/* FLOW_VERIFY_ bits for the engine's. */
uint32_t flow__mbed_verify_flags(uint32_t engine);

/* Text and alert for the most serious of FLOW_VERIFY_ bits. */
const char *flow__mbed_verify_text(uint32_t flags);
enum flow__alert flow__mbed_verify_alert(uint32_t flags);

#endif
