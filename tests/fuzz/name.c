/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tls/name.h"

/*
 * Input: a byte with the length of a name, the name, and a dNSName of a
 * certificate.  The comparison is repeated label by label in another way.
 */

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool
same(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

static enum flow__name_match
slowly(const char *pattern, size_t len, const struct flow__name *name)
{
    const char *dot = strchr(name->dns, '.');
    size_t dots = 0;

    if (same(pattern, len, name->dns, name->dns_len))
        return FLOW__MATCH_EXACT;
    for (size_t i = 0; i < name->dns_len; i++)
        dots += name->dns[i] == '.';
    if (dots >= 2 && len >= 2 && pattern[0] == '*' &&
        same(pattern + 1, len - 1, dot, strlen(dot)))
        return FLOW__MATCH_WILDCARD;
    return FLOW__MATCH_NONE;
}

static void
check_normal_form(const char *text, size_t len, const struct flow__name *name)
{
    struct flow__name again;

    FUZZ_CHECK(name->dns_len == strlen(name->dns));
    FUZZ_CHECK(name->dns_len > 0 && name->dns_len <= FLOW__NAME_MAX);
    FUZZ_CHECK(same(text, name->dns_len, name->dns, name->dns_len));
    FUZZ_CHECK(len == name->dns_len ||
               (len == name->dns_len + 1 && text[len - 1] == '.'));
    FUZZ_CHECK(flow__name_parse(name->dns, name->dns_len, &again) ==
               FLOW__NAME_DNS);
    FUZZ_CHECK(memcmp(name, &again, sizeof(again)) == 0);
    FUZZ_CHECK(!flow__name_looks_like_ip(text, len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *text = (const char *)data + 1;
    struct flow__name name;
    size_t name_len;

    if (len == 0)
        return 0;
    name_len = data[0] < len ? data[0] : len - 1;
    const char *pattern = text + name_len;
    const size_t pattern_len = len - 1 - name_len;
    const struct flow__san san = { FLOW__SAN_DNS, (const uint8_t *)pattern,
                                   pattern_len };

    switch (flow__name_parse(text, name_len, &name)) {
    case FLOW__NAME_DNS:
        check_normal_form(text, name_len, &name);
        break;
    case FLOW__NAME_IP:
        FUZZ_CHECK(name.ip_len == 4 || name.ip_len == 16);
        FUZZ_CHECK(flow__name_looks_like_ip(text, name_len));
        break;
    case FLOW__NAME_INVALID:
    default:
        FUZZ_CHECK(name.dns_len == 0 && name.ip_len == 0);
        break;
    }
    const enum flow__name_match match =
        flow__name_compare(pattern, pattern_len, &name);
    FUZZ_CHECK(match == (name.kind == FLOW__NAME_DNS
                             ? slowly(pattern, pattern_len, &name)
                             : FLOW__MATCH_NONE));
    FUZZ_CHECK(flow__name_verify(&name, &san, 1, NULL) ==
               (match != FLOW__MATCH_NONE));
    return 0;
}
