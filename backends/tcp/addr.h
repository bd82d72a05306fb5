/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_TCP_ADDR_H
#define BACKENDS_TCP_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/status.h>

#include "backends/posix/sockaddr.h"

/* Longest host name (RFC 1035 2.3.4) and its NUL. */
#define TCP_HOST_SIZE 254

/* The host and port of an endpoint string. */
struct tcp_endpoint {
    char host[TCP_HOST_SIZE]; /* No brackets; empty: any. */
    uint16_t port;
};

/*
 * Parses "//HOST:PORT", "//ADDRESS:PORT", "//[ADDRESS]:PORT".  On FLOW_E_INVAL
 * err, unless NULL, says what is allowed.
 */
enum flow_status flow__tcp_parse(const char *rest,
                                 struct tcp_endpoint *ret_endpoint,
                                 struct flow_error *err);

/* Parses an IPv4 or IPv6 address, with an optional %zone (RFC 4007 11); false
 * if host is not an address. */
bool flow__tcp_literal(const char *host, uint16_t port,
                       struct flow_addr *ret_addr);

/* Converts an address to the system's form; returns its length. */
socklen_t flow__tcp_sockaddr(const struct flow_addr *addr,
                             union flow__sockaddr *ret_addr);

/* Sorts the addresses so that their families alternate, beginning with that of
 * the first (RFC 8305 4), and keeps the order within a family. */
void flow__tcp_interleave(struct flow_addr *addr, size_t count);

#endif
