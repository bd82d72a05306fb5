/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_ENGINE_STATE_H
#define FLOW_TLS_MBEDTLS_ENGINE_STATE_H

#include <mbedtls/ssl.h>

#include "tls/config.h"
#include "tls/mbedtls/messages.h"

/* What the files of the engine share: engine.c and resuming.c. */

struct flow__arena;
struct flow__mbed_authorities;

struct flow__engine_conf {
    const struct flow_tls_config *config;
    mbedtls_ssl_config ssl;
    /* Server: the same, and nothing older than TLS 1.3. */
    mbedtls_ssl_config ssl13;
    uint16_t min_version;
    uint16_t max_version;
    bool asks_client;
    struct flow__mbed_authorities *authorities; /* sent with it; NULL: none */
    int suites[FLOW__MAX_SUITES + 1];
    uint16_t groups[FLOW__MAX_GROUPS + 1];
    const char *alpn[FLOW__MAX_ALPN + 1];
};

struct flow__engine {
    struct flow__engine_conf *conf;
    struct flow__keypair *pair; /* server only */
    /* A copy of the configuration, where a handshake has to set what mbedTLS
     * has no other place for: the certificate that a client presents, and what
     * a server makes tickets with. */
    mbedtls_ssl_config *own;
    struct flow__messages messages;
    unsigned hellos; /* server: ClientHellos that it was given */
    struct flow__arena *arena;
    struct flow__ticket_use *tickets; /* server: may be NULL */
    mbedtls_ssl_context ssl;
};

#endif
