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

/* Host and port of an endpoint's name. */
struct tcp_endpoint {
    char host[TCP_HOST_SIZE]; /* No brackets; empty: any. */
    uint16_t port;
};

/*
 * Parse "//HOST:PORT", "//ADDRESS:PORT", "//[ADDRESS]:PORT".  On
 * FLOW_E_INVAL err, unless NULL, says what is allowed.
 */
enum flow_status flow__tcp_parse(const char *rest,
                                 struct tcp_endpoint *ret_endpoint,
                                 struct flow_error *err);

/* Whether host is an IPv4 or IPv6 address (RFC 4007 11: with an optional
 * %zone); then *ret_addr is it. */
bool flow__tcp_literal(const char *host, uint16_t port,
                       struct flow_addr *ret_addr);

/* The system's form of an address; returns its length. */
socklen_t flow__tcp_sockaddr(const struct flow_addr *addr,
                             union flow__sockaddr *ret_addr);

/* Reorder so that the families take turns, beginning with the first one's
 * (RFC 8305 4); within a family the order stays. */
void flow__tcp_interleave(struct flow_addr *addr, size_t count);

#endif
