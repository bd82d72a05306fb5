/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_POSIX_SOCKADDR_H
#define BACKENDS_POSIX_SOCKADDR_H

#include <stddef.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Any address that our sockets have. */
union flow__sockaddr {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* Size of the longest text of an address, with its NUL. */
#define FLOW__SOCKADDR_TEXT (sizeof(struct sockaddr_un) + 2)

/*
 * "192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%2]:80", "/run/a.sock",
 * "@abstract", or "" for a socket without a name.  An IPv4-mapped IPv6 address
 * is written as the IPv4 address.
 */
void flow__sockaddr_format(const union flow__sockaddr *addr, socklen_t len,
                           char ret_text[FLOW__SOCKADDR_TEXT]);

#endif
