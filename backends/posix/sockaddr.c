/* SPDX-License-Identifier: ISC */
#include "backends/posix/sockaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static void
sockaddr_format_in(const struct sockaddr_in *in, char *text, size_t size)
{
    char host[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
    snprintf(text, size, "%s:%u", host, (unsigned)ntohs(in->sin_port));
}

static void
sockaddr_format_in6(const struct sockaddr_in6 *in6, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in in = { .sin_family = AF_INET };
    unsigned port = ntohs(in6->sin6_port);

    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        memcpy(&in.sin_addr, &in6->sin6_addr.s6_addr[12], 4);
        in.sin_port = in6->sin6_port;
        sockaddr_format_in(&in, text, size);
        return;
    }
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
    if (in6->sin6_scope_id != 0)
        snprintf(text, size, "[%s%%%u]:%u", host, (unsigned)in6->sin6_scope_id,
                 port);
    else
        snprintf(text, size, "[%s]:%u", host, port);
}

static void
sockaddr_format_un(const struct sockaddr_un *un, size_t len, char *text)
{
    size_t n = len - offsetof(struct sockaddr_un, sun_path);

    /* The length ends an abstract name; a path may lack its NUL. */
    memcpy(text, un->sun_path, n);
    text[n] = '\0';
    if (n > 0 && text[0] == '\0')
        text[0] = '@';
}

void
flow__sockaddr_format(const union flow__sockaddr *addr, socklen_t len,
                      char ret_text[FLOW__SOCKADDR_TEXT])
{
    ret_text[0] = '\0';
    if (len >= sizeof(addr->in) && addr->any.sa_family == AF_INET)
        sockaddr_format_in(&addr->in, ret_text, FLOW__SOCKADDR_TEXT);
    else if (len >= sizeof(addr->in6) && addr->any.sa_family == AF_INET6)
        sockaddr_format_in6(&addr->in6, ret_text, FLOW__SOCKADDR_TEXT);
    else if (len > offsetof(struct sockaddr_un, sun_path) &&
             len <= sizeof(addr->un) && addr->any.sa_family == AF_UNIX)
        sockaddr_format_un(&addr->un, len, ret_text);
}
