/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_TICKET_H
#define FLOW_TLS_MBEDTLS_TICKET_H

#include <mbedtls/ssl.h>

#include "tls/tickets.h"

/* Have a server's configuration, which is of one handshake, make and take
 * tickets; use outlives it. */
void flow__ticket_conf(mbedtls_ssl_config *ssl, struct flow__ticket_use *use);

#endif
