/* SPDX-License-Identifier: ISC */
#include "backends/lwip/addr.h"

#include <string.h>

#include "backends/lwip/stack.h"

/* A decimal number without leading zeros, up to max; NULL: there is none. */
static const char *
addr_number(const char *text, uint32_t max, uint32_t *ret_number)
{
    uint32_t n = 0;
    size_t i;

    for (i = 0; text[i] >= '0' && text[i] <= '9' && n <= max; i++)
        n = n * 10 + (uint32_t)(text[i] - '0');
    if (i == 0 || n > max || (text[0] == '0' && i > 1))
        return NULL;
    *ret_number = n;
    return text + i;
}

bool
flow__lwip_addr_parse(const char *text, ip_addr_t *ret_addr)
{
    uint32_t part[4];
    size_t i;

    for (i = 0; i < 4; i++) {
        text = addr_number(text, 255, &part[i]);
        if (text == NULL || *text != (i < 3 ? '.' : '\0'))
            return false;
        text++;
    }
    IP4_ADDR(ret_addr, part[0], part[1], part[2], part[3]);
    return true;
}

static char *
addr_put(char *to, uint32_t number)
{
    char digits[10];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

void
flow__lwip_addr_format(const ip_addr_t *addr, uint16_t port,
                       char ret_text[LWIP_ADDR_SIZE])
{
    uint8_t part[4];
    char *to = ret_text;
    size_t i;

    memcpy(part, &addr->addr, sizeof(part));
    for (i = 0; i < 4; i++) {
        to = addr_put(to, part[i]);
        *to++ = i < 3 ? '.' : ':';
    }
    *addr_put(to, port) = '\0';
}

static enum flow_status
addr_split_failed(const char *rest, const char *text, struct flow_error *err)
{
    flow_error_set(err, FLOW_E_INVAL, LWIP_LAYER, FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, rest);
    if (err != NULL)
        err->hint = "write lwip://ADDRESS:PORT with an IPv4 address";
    return FLOW_E_INVAL;
}

enum flow_status
flow__lwip_addr_split(const char *rest, char ret_host[LWIP_HOST_SIZE],
                      uint16_t *ret_port, struct flow_error *err)
{
    const char *host = rest + 2, *colon, *end;
    uint32_t port;

    if (strncmp(rest, "//", 2) != 0)
        return addr_split_failed(rest, "\"//\" is missing", err);
    colon = strchr(host, ':');
    if (colon == NULL)
        return addr_split_failed(rest, "the port is missing", err);
    end = addr_number(colon + 1, 65535, &port);
    if (end == NULL || *end != '\0')
        return addr_split_failed(rest, "the port is not a number up to 65535",
                                 err);
    if (colon - host >= LWIP_HOST_SIZE)
        return addr_split_failed(rest, "not an IPv4 address", err);
    memcpy(ret_host, host, (size_t)(colon - host));
    ret_host[colon - host] = '\0';
    *ret_port = (uint16_t)port;
    return FLOW_OK;
}
