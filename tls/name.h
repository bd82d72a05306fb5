/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_NAME_H
#define FLOW_TLS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names of servers: their normal form, and whether a certificate is for one
 * (RFC 9525).  Pure functions of bytes.
 */

/* Longest normalised DNS name. */
#define FLOW__NAME_MAX 253

enum flow__name_kind {
    FLOW__NAME_INVALID = 0, /* neither, or similar to an address */
    FLOW__NAME_DNS = 1,
    FLOW__NAME_IP = 2
};

/* A name in normal form. */
struct flow__name {
    enum flow__name_kind kind;
    char dns[FLOW__NAME_MAX + 1]; /* lower case, no trailing dot, NUL */
    size_t dns_len;
    uint8_t ip[16]; /* network order */
    size_t ip_len;  /* 4 or 16 */
};

/*
 * Normalise a name: at most 255 bytes, ASCII, no NUL; lower case; one trailing
 * dot taken off; at most 253 bytes of labels of 1..63 letters, digits, '-' and
 * '_'.  A literal IPv4 or IPv6 address (without brackets or zone) is an IP.
 * Text that ends in an all-numeric label or holds a ':' without being an
 * address is FLOW__NAME_INVALID.  Returns ret_name->kind.
 */
enum flow__name_kind flow__name_parse(const char *text, size_t len,
                                      struct flow__name *ret_name);

/* Like an address, whether or not it is one: holds a ':' or its last label is
 * all digits.  For server_name, where a literal address is not allowed. */
bool flow__name_looks_like_ip(const char *text, size_t len);

/* How a pattern of a certificate covers a DNS name. */
enum flow__name_match {
    FLOW__MATCH_NONE = 0,
    FLOW__MATCH_EXACT = 1,
    FLOW__MATCH_WILDCARD = 2 /* "*.b.c": exactly one label more */
};

/*
 * Compare a dNSName of a certificate with a normalised DNS name: letters of
 * either case are equal; '*' counts only as the whole left-most label, with at
 * least two labels after it, and stands for one label.
 */
enum flow__name_match flow__name_compare(const char *pattern,
                                         size_t pattern_len,
                                         const struct flow__name *name);

/* An entry of subjectAltName. */
enum flow__san_kind {
    FLOW__SAN_OTHER = 0,
    FLOW__SAN_DNS = 1,
    FLOW__SAN_IP = 2
};

struct flow__san {
    enum flow__san_kind kind;
    const uint8_t *base;
    size_t len;
};

/*
 * Whether a certificate with these subjectAltName entries is for a name: a DNS
 * name against dNSName entries only, an address against iPAddress entries only,
 * the subject's common name never (RFC 9525 6.3, 6.4).  On true *ret_index, if
 * not NULL, is the entry that matched.
 */
bool flow__name_verify(const struct flow__name *name,
                       const struct flow__san *san, size_t count,
                       size_t *ret_index);

#endif
