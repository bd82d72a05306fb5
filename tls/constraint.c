/* SPDX-License-Identifier: ISC */
#include "tls/constraint.h"

#include <string.h>

#include "tls/dn.h"

/*
 * Each name of a certificate is compared with each subtree of its form.  A name
 * is allowed if no excluded subtree has it, and if a permitted one has it or
 * there is none of its form.
 *
 * Invariant: what cannot be decided is not allowed.
 */

enum constraint_match {
    CONSTRAINT_OUTSIDE = 0,
    CONSTRAINT_INSIDE,
    CONSTRAINT_UNKNOWN
};

struct constraint_name {
    unsigned choice; /* enum flow__general_name, or one that is not in it */
    struct flow__span value;
};

static enum constraint_match
constraint_match_if(bool inside)
{
    return inside ? CONSTRAINT_INSIDE : CONSTRAINT_OUTSIDE;
}

static uint8_t
constraint_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Whether a ends with b, in any case of letters. */
static bool
constraint_ends_with(struct flow__span a, struct flow__span b)
{
    size_t skip;

    if (a.len < b.len)
        return false;
    skip = a.len - b.len;
    for (size_t i = 0; i < b.len; i++)
        if (constraint_lower(a.base[skip + i]) != constraint_lower(b.base[i]))
            return false;
    return true;
}

static struct flow__span
constraint_after(struct flow__span text, size_t skip)
{
    struct flow__span rest = { text.base + skip, text.len - skip };

    return rest;
}

/* The position of c; the length if it is not there. */
static size_t
constraint_find(struct flow__span text, char c)
{
    const uint8_t *at = text.len > 0 ? memchr(text.base, c, text.len) : NULL;

    return at != NULL ? (size_t)(at - text.base) : text.len;
}

/* Whether every byte can be one of a host name in normal form.  A base such as
 * "b.example." or "*.b.example" has no host in it, but is meant to. */
static bool
constraint_is_domain(struct flow__span base)
{
    bool after_dot = false;

    for (size_t i = 0; i < base.len; i++) {
        uint8_t c = constraint_lower(base.base[i]);
        bool is_dot = c == '.';

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
            c != '_' && !is_dot)
            return false;
        if (is_dot && after_dot)
            return false;
        after_dot = is_dot;
    }
    return !after_dot;
}

/* A host below ".base", or base itself and what is below it. */
static bool
constraint_host_within(struct flow__span base, struct flow__span host)
{
    if (base.len == 0)
        return true;
    if (!constraint_ends_with(host, base))
        return false;
    if (base.base[0] == '.')
        return host.len > base.len;
    return host.len == base.len || host.base[host.len - base.len - 1] == '.';
}

/* Whether a wildcard may stand for base itself: "*.b" for "a.b". */
static bool
constraint_wildcard_covers(struct flow__span host, struct flow__span base)
{
    size_t dot = constraint_find(base, '.');

    return host.len > 2 && host.base[0] == '*' && host.base[1] == '.' &&
           dot > 0 && dot < base.len && base.len - dot == host.len - 1 &&
           constraint_ends_with(base, constraint_after(host, 1));
}

static enum constraint_match
constraint_match_dns(struct flow__span base, struct flow__span host,
                     bool excluded)
{
    if (!constraint_is_domain(base))
        return CONSTRAINT_UNKNOWN;
    return constraint_match_if(
        constraint_host_within(base, host) ||
        (excluded && constraint_wildcard_covers(host, base)));
}

/* A mailbox, a host, or ".domain" for every host in it. */
static enum constraint_match
constraint_match_email(struct flow__span base, struct flow__span mailbox)
{
    size_t base_at = constraint_find(base, '@');
    size_t at = constraint_find(mailbox, '@');
    struct flow__span host;

    if (at == mailbox.len || base.len == 0)
        return CONSTRAINT_UNKNOWN;
    host = constraint_after(mailbox, at + 1);
    if (!constraint_is_domain(
            constraint_after(base, base_at < base.len ? base_at + 1 : 0)))
        return CONSTRAINT_UNKNOWN;
    if (base_at < base.len) {
        struct flow__span local = { mailbox.base, at };

        return constraint_match_if(flow__span_is(local, base.base, base_at) &&
                                   host.len == base.len - base_at - 1 &&
                                   constraint_ends_with(base, host));
    }
    return constraint_match_if(
        constraint_ends_with(host, base) &&
        (base.base[0] == '.' ? host.len > base.len : host.len == base.len));
}

/* Bits set at the front only. */
static bool
constraint_is_mask(const uint8_t *mask, size_t len)
{
    bool ended = false;

    for (size_t bit = 0; bit < len * 8; bit++) {
        bool set = (mask[bit / 8] & (0x80u >> bit % 8)) != 0;

        if (set && ended)
            return false;
        ended = !set;
    }
    return true;
}

/* The IPv4 address in ::ffff:0:0/96 (RFC 4291 2.5.5.2); otherwise as it is. */
static struct flow__span
constraint_unmap(struct flow__span ip)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (ip.len == 16 && memcmp(ip.base, mapped, sizeof(mapped)) == 0)
        return constraint_after(ip, sizeof(mapped));
    return ip;
}

/* An address and a mask of the same length.  A system connects to a mapped
 * address as to the IPv4 address in it, so both are excluded together. */
static enum constraint_match
constraint_match_ip(struct flow__span base, struct flow__span ip, bool excluded)
{
    const uint8_t *mask = base.base + base.len / 2;

    if ((base.len != 8 && base.len != 32) ||
        !constraint_is_mask(mask, base.len / 2))
        return CONSTRAINT_UNKNOWN;
    if (excluded && base.len == 8)
        ip = constraint_unmap(ip);
    if (ip.len * 2 != base.len)
        return CONSTRAINT_OUTSIDE;
    for (size_t i = 0; i < ip.len; i++)
        if (((ip.base[i] ^ base.base[i]) & mask[i]) != 0)
            return CONSTRAINT_OUTSIDE;
    return CONSTRAINT_INSIDE;
}

static enum constraint_match
constraint_match(const struct constraint_name *name, struct flow__span base,
                 bool excluded)
{
    switch (name->choice) {
    case FLOW__GENERAL_DNS:
        return constraint_match_dns(base, name->value, excluded);
    case FLOW__GENERAL_EMAIL:
        return constraint_match_email(base, name->value);
    case FLOW__GENERAL_IP:
        return constraint_match_ip(base, name->value, excluded);
    case FLOW__GENERAL_DIRECTORY:
        return constraint_match_if(flow__dn_is_within(base, name->value));
    default:
        return CONSTRAINT_UNKNOWN;
    }
}

/* RFC 5280: the minimum is 0, which DER leaves out, and there is no maximum. */
static bool
constraint_take_base(struct flow__span *trees, struct constraint_name *ret)
{
    struct flow__span tree;

    return flow__der_take(trees, FLOW__DER_SEQUENCE, &tree) &&
           flow__cert_take_name(&tree, &ret->choice, &ret->value) &&
           tree.len == 0;
}

/* Whether a name is in one of the subtrees.  *ret_any: one has its form. */
static enum flow__constraint
constraint_search(const struct constraint_name *name, struct flow__span trees,
                  bool excluded, uint32_t *budget, bool *ret_any,
                  bool *ret_inside)
{
    struct constraint_name base;

    *ret_any = false;
    *ret_inside = false;
    while (trees.len > 0) {
        enum constraint_match match;

        if (*budget == 0)
            return FLOW__CONSTRAINT_TOO_MANY;
        --*budget;
        if (!constraint_take_base(&trees, &base))
            return FLOW__CONSTRAINT_UNSUPPORTED;
        if (base.choice != name->choice)
            continue;
        match = constraint_match(name, base.value, excluded);
        if (match == CONSTRAINT_UNKNOWN)
            return FLOW__CONSTRAINT_UNSUPPORTED;
        *ret_any = true;
        *ret_inside = *ret_inside || match == CONSTRAINT_INSIDE;
    }
    return FLOW__CONSTRAINT_MET;
}

static enum flow__constraint
constraint_check_name(const struct flow__cert *authority, unsigned choice,
                      struct flow__span value, uint32_t *budget)
{
    const struct constraint_name name = { choice, value };
    bool any, inside;
    enum flow__constraint result = constraint_search(
        &name, authority->excluded, true, budget, &any, &inside);

    if (result != FLOW__CONSTRAINT_MET)
        return result;
    if (inside)
        return FLOW__CONSTRAINT_VIOLATED;
    result = constraint_search(&name, authority->permitted, false, budget, &any,
                               &inside);
    if (result != FLOW__CONSTRAINT_MET)
        return result;
    return any && !inside ? FLOW__CONSTRAINT_VIOLATED : FLOW__CONSTRAINT_MET;
}

/* The subject, a directory name, and the e-mail addresses in it. */
static enum flow__constraint
constraint_check_subject(const struct flow__cert *authority,
                         const struct flow__cert *cert, uint32_t *budget)
{
    enum flow__constraint result = FLOW__CONSTRAINT_MET;
    struct flow__dn_rest rest = { { NULL, 0 }, cert->subject };
    struct flow__span email;

    if (cert->subject.len > 0)
        result = constraint_check_name(authority, FLOW__GENERAL_DIRECTORY,
                                       cert->subject, budget);
    while (result == FLOW__CONSTRAINT_MET && flow__dn_next_email(&rest, &email))
        result = constraint_check_name(authority, FLOW__GENERAL_EMAIL, email,
                                       budget);
    return result;
}

/* See tls/constraint.h. */
enum flow__constraint
flow__constraint_check(const struct flow__cert *authority,
                       const struct flow__cert *cert, uint32_t *budget)
{
    struct flow__span names = cert->names, value;
    enum flow__constraint result;
    unsigned choice;

    if (authority->permitted.len == 0 && authority->excluded.len == 0)
        return FLOW__CONSTRAINT_MET;
    result = constraint_check_subject(authority, cert, budget);
    while (result == FLOW__CONSTRAINT_MET && names.len > 0) {
        if (!flow__cert_take_name(&names, &choice, &value))
            return FLOW__CONSTRAINT_UNSUPPORTED;
        result = constraint_check_name(authority, choice, value, budget);
    }
    return result;
}
