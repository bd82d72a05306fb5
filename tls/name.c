/* SPDX-License-Identifier: ISC */
#include "tls/name.h"

#include <string.h>

/* The longest input: a full name and its trailing dot fit. */
#define NAME_TEXT_MAX  255
#define NAME_LABEL_MAX 63

static char
name_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
name_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
name_is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || name_is_digit(c) || c == '-' || c == '_';
}

/* Value of a hexadecimal digit, -1 for anything else. */
static int
name_hex_value(char c)
{
    if (name_is_digit(c))
        return c - '0';
    c = name_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four decimal numbers of 0..255, without leading zeros: those mean octal to
 * some programs and decimal to others. */
static bool
name_parse_ipv4(const char *text, size_t len, uint8_t *ret_ip)
{
    size_t at = 0;

    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t start;

        if (part > 0 && (at == len || text[at++] != '.'))
            return false;
        start = at;
        while (at < len && at - start < 4 && name_is_digit(text[at]))
            value = value * 10 + (unsigned)(text[at++] - '0');
        if (at == start || value > 255 ||
            (text[start] == '0' && at - start > 1))
            return false;
        ret_ip[part] = (uint8_t)value;
    }
    return at == len;
}

/* One group of an IPv6 address; its length in characters, 0 for none. */
static size_t
name_parse_group(const char *text, size_t len, uint8_t *ret_two)
{
    unsigned value = 0;
    size_t n = 0;

    while (n < len && n < 4 && name_hex_value(text[n]) >= 0)
        value = value << 4 | (unsigned)name_hex_value(text[n++]);
    ret_two[0] = (uint8_t)(value >> 8);
    ret_two[1] = (uint8_t)value;
    return n;
}

/* RFC 4291 2.2, its three forms; no zone. */
static bool
name_parse_ipv6(const char *text, size_t len, uint8_t *ret_ip)
{
    uint8_t ip[16];
    size_t used = 0; /* bytes of ip */
    size_t gap = 17; /* where "::" stood; 17: nowhere */
    size_t at = 0;

    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < len) {
        size_t n;

        if (used <= 12 && name_parse_ipv4(text + at, len - at, ip + used)) {
            used += 4;
            at = len;
            break;
        }
        if (used == 16)
            return false;
        n = name_parse_group(text + at, len - at, ip + used);
        if (n == 0)
            return false;
        used += 2;
        at += n;
        if (at == len)
            break;
        /* A separator, and never the last character unless it is "::". */
        if (text[at++] != ':' || at == len)
            return false;
        if (text[at] == ':') {
            if (gap != 17)
                return false;
            gap = used;
            at++;
        }
    }
    if (gap == 17 ? used != 16 : used > 14)
        return false;
    memset(ret_ip, 0, 16);
    if (gap == 17)
        gap = used;
    memcpy(ret_ip, ip, gap);
    memcpy(ret_ip + 16 - (used - gap), ip + gap, used - gap);
    return true;
}

bool
flow__name_looks_like_ip(const char *text, size_t len)
{
    size_t digits = 0;

    if (len > 0 && memchr(text, ':', len) != NULL)
        return true;
    if (len > 0 && text[len - 1] == '.')
        len--;
    while (digits < len && name_is_digit(text[len - 1 - digits]))
        digits++;
    return digits > 0 && (digits == len || text[len - 1 - digits] == '.');
}

/* Copy a DNS name in normal form; false if it is not a valid one. */
static bool
name_parse_dns(const char *text, size_t len, struct flow__name *ret_name)
{
    size_t label = 0;

    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 0 || len > FLOW__NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name_lower(text[i]);

        if (c == '.' ? label == 0 : !name_is_label_char(c))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > NAME_LABEL_MAX)
            return false;
        ret_name->dns[i] = c;
    }
    ret_name->dns[len] = '\0';
    ret_name->dns_len = len;
    return label > 0;
}

enum flow__name_kind
flow__name_parse(const char *text, size_t len, struct flow__name *ret_name)
{
    memset(ret_name, 0, sizeof(*ret_name));
    if (len > NAME_TEXT_MAX)
        return FLOW__NAME_INVALID;
    if (flow__name_looks_like_ip(text, len)) {
        if (name_parse_ipv4(text, len, ret_name->ip))
            ret_name->ip_len = 4;
        else if (name_parse_ipv6(text, len, ret_name->ip))
            ret_name->ip_len = 16;
        if (ret_name->ip_len > 0)
            ret_name->kind = FLOW__NAME_IP;
    } else if (name_parse_dns(text, len, ret_name)) {
        ret_name->kind = FLOW__NAME_DNS;
    }
    if (ret_name->kind == FLOW__NAME_INVALID)
        memset(ret_name, 0, sizeof(*ret_name));
    return ret_name->kind;
}

/* b is lower case already. */
static bool
name_equal_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (name_lower(a[i]) != b[i])
            return false;
    return true;
}

enum flow__name_match
flow__name_compare(const char *pattern, size_t pattern_len,
                   const struct flow__name *name)
{
    const char *dot;
    size_t rest;

    if (name->kind != FLOW__NAME_DNS)
        return FLOW__MATCH_NONE;
    if (pattern_len == name->dns_len &&
        name_equal_nocase(pattern, name->dns, pattern_len))
        return FLOW__MATCH_EXACT;
    if (pattern_len < 2 || pattern[0] != '*' || pattern[1] != '.')
        return FLOW__MATCH_NONE;
    /* The name without its first label against the pattern without its star,
     * which must leave a dot between two labels: "*.com" covers nothing. */
    dot = memchr(name->dns, '.', name->dns_len);
    if (dot == NULL || strchr(dot + 1, '.') == NULL)
        return FLOW__MATCH_NONE;
    rest = name->dns_len - (size_t)(dot - name->dns);
    if (pattern_len - 1 != rest || !name_equal_nocase(pattern + 1, dot, rest))
        return FLOW__MATCH_NONE;
    return FLOW__MATCH_WILDCARD;
}

static bool
name_covers(const struct flow__san *san, const struct flow__name *name)
{
    if (name->kind == FLOW__NAME_IP)
        return san->kind == FLOW__SAN_IP && san->len == name->ip_len &&
               memcmp(san->base, name->ip, name->ip_len) == 0;
    return san->kind == FLOW__SAN_DNS &&
           flow__name_compare((const char *)san->base, san->len, name) !=
               FLOW__MATCH_NONE;
}

bool
flow__name_verify(const struct flow__name *name, const struct flow__san *san,
                  size_t count, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++)
        if (name_covers(&san[i], name)) {
            if (ret_index != NULL)
                *ret_index = i;
            return true;
        }
    return false;
}
