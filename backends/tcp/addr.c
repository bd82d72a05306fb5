/* SPDX-License-Identifier: ISC */
#include "backends/tcp/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

static enum flow_status
addr_parse_failed(const char *rest, const char *text, struct flow_error *err)
{
    flow_error_set(err, FLOW_E_INVAL, "tcp", FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, rest);
    if (err != NULL)
        err->hint = "write tcp://HOST:PORT, with an IPv6 address as "
                    "tcp://[ADDRESS]:PORT";
    return FLOW_E_INVAL;
}

/* 1 to 5 digits, 0..65535. */
static bool
addr_parse_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    size_t i;

    for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 5; i++)
        port = port * 10 + (uint32_t)(text[i] - '0');
    if (i == 0 || text[i] != '\0' || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* Characters of names and addresses.  Others (of a path, of a user name) are
 * mistakes that should not reach a resolver. */
static bool
addr_host_char(char c)
{
    return c > ' ' && c < 0x7f && strchr("/@[]?#\\", c) == NULL;
}

enum flow_status
flow__tcp_parse(const char *rest, struct tcp_endpoint *ret_endpoint,
                struct flow_error *err)
{
    const char *host = rest + 2;
    struct flow_addr addr;
    const char *end;
    const char *port;
    size_t len;
    size_t i;

    if (strncmp(rest, "//", 2) != 0)
        return addr_parse_failed(rest, "\"//\" is missing", err);
    if (host[0] == '[') {
        host++;
        end = strchr(host, ']');
        if (end == NULL || end[1] != ':')
            return addr_parse_failed(rest, "\"]:PORT\" is missing", err);
        port = end + 2;
    } else {
        end = strrchr(host, ':');
        if (end == NULL)
            return addr_parse_failed(rest, "the port is missing", err);
        if (memchr(host, ':', (size_t)(end - host)) != NULL)
            return addr_parse_failed(rest, "an IPv6 address needs brackets",
                                     err);
        port = end + 1;
    }
    len = (size_t)(end - host);
    if (len >= TCP_HOST_SIZE)
        return addr_parse_failed(rest, "the host name is too long", err);
    for (i = 0; i < len; i++)
        if (!addr_host_char(host[i]))
            return addr_parse_failed(rest, "not a valid host name", err);
    if (!addr_parse_port(port, &ret_endpoint->port))
        return addr_parse_failed(rest, "the port is not a number up to 65535",
                                 err);
    memcpy(ret_endpoint->host, host, len);
    ret_endpoint->host[len] = '\0';
    if (host != rest + 2 &&
        (!flow__tcp_literal(ret_endpoint->host, 0, &addr) || addr.family != 6))
        return addr_parse_failed(rest, "brackets are for IPv6 addresses", err);
    return FLOW_OK;
}

/* Parses the number or name of an interface. */
static bool
addr_parse_zone(const char *zone, uint32_t *ret_scope)
{
    uint32_t number = 0;
    size_t i;

    for (i = 0; zone[i] >= '0' && zone[i] <= '9' && i < 9; i++)
        number = number * 10 + (uint32_t)(zone[i] - '0');
    *ret_scope = i > 0 && zone[i] == '\0' ? number : if_nametoindex(zone);
    return *ret_scope != 0;
}

bool
flow__tcp_literal(const char *host, uint16_t port, struct flow_addr *ret_addr)
{
    char text[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t len = zone != NULL ? (size_t)(zone - host) : strlen(host);
    struct flow_addr addr = { .port = port };

    if (len >= sizeof(text))
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    if (zone == NULL && inet_pton(AF_INET, text, addr.bytes) == 1)
        addr.family = 4;
    else if (inet_pton(AF_INET6, text, addr.bytes) == 1)
        addr.family = 6;
    else
        return false;
    if (zone != NULL && !addr_parse_zone(zone + 1, &addr.scope))
        return false;
    *ret_addr = addr;
    return true;
}

socklen_t
flow__tcp_sockaddr(const struct flow_addr *addr, union flow__sockaddr *ret_addr)
{
    memset(ret_addr, 0, sizeof(*ret_addr));
    if (addr->family == 4) {
        ret_addr->in.sin_family = AF_INET;
        ret_addr->in.sin_port = htons(addr->port);
        memcpy(&ret_addr->in.sin_addr, addr->bytes, 4);
        return sizeof(ret_addr->in);
    }
    ret_addr->in6.sin6_family = AF_INET6;
    ret_addr->in6.sin6_port = htons(addr->port);
    ret_addr->in6.sin6_scope_id = addr->scope;
    memcpy(&ret_addr->in6.sin6_addr, addr->bytes, 16);
    return sizeof(ret_addr->in6);
}

void
flow__tcp_interleave(struct flow_addr *addr, size_t count)
{
    struct flow_addr next;
    size_t i;
    size_t k;

    /* Element i should be of another family than its predecessor. */
    for (i = 1; i < count; i++) {
        for (k = i; k < count && addr[k].family == addr[i - 1].family; k++)
            continue;
        if (k == count)
            return;
        next = addr[k];
        memmove(&addr[i + 1], &addr[i], (k - i) * sizeof(addr[0]));
        addr[i] = next;
    }
}
