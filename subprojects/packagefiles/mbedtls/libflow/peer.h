/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_PEER_H
#define FLOW_MBEDTLS_PEER_H

#include <mbedtls/x509_crt.h>

/*
 * mbedtls_x509_crt_parse_der() for the certificates of a handshake: it passes
 * critical extensions that mbedTLS does not know, and leaves out certificates
 * with keys or signatures that mbedTLS does not know, except the peer's own.
 * libflow reads the certificates before mbedTLS does, and refuses what it does
 * not support in those that it needs.
 */
int flow__mbed_parse_peer(mbedtls_x509_crt *chain, const unsigned char *buf,
                          size_t len);

#endif
