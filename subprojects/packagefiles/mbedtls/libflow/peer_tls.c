/* SPDX-License-Identifier: ISC */
#include "common.h"

#include "peer.h"

/* The Certificate message of TLS 1.2, and sessions. */
#define mbedtls_x509_crt_parse_der flow__mbed_parse_peer
#include "ssl_tls.c"
