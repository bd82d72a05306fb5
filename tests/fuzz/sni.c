/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tls/sni.h"

/*
 * Input: a byte with the number of key pairs; for each a byte with its key and
 * the number of its names, then the names, each as a length and bytes; a byte
 * for the policy; then a ClientHello.
 */

#define PAIRS 8
#define NAMES 4

struct input {
    const uint8_t *at;
    size_t left;
};

static uint8_t
next(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static struct flow__span
next_name(struct input *in)
{
    size_t len = next(in) % 64;
    struct flow__span name;

    if (len > in->left)
        len = in->left;
    name.base = in->at;
    name.len = len;
    in->at += len;
    in->left -= len;
    return name;
}

static void
check_served(const struct flow__sni_candidate *c, size_t count,
             const struct flow__sni_policy *policy,
             const struct flow__client_hello *h,
             const struct flow__sni_decision *d)
{
    static const enum flow__name_match match[] = {
        [FLOW__SNI_MATCH_EXACT] = FLOW__MATCH_EXACT,
        [FLOW__SNI_MATCH_WILDCARD] = FLOW__MATCH_WILDCARD,
    };

    FUZZ_CHECK(d->index < count && d->version != 0);
    FUZZ_CHECK(d->fault.alert == FLOW__ALERT_NONE);
    FUZZ_CHECK(flow__sni_usable(c[d->index].key, d->version, policy, h));
    if (d->kind == FLOW__SNI_MATCH_NO_NAME) {
        FUZZ_CHECK(h->sni_state != FLOW__SNI_NAME);
        return;
    }
    FUZZ_CHECK(h->sni_state == FLOW__SNI_NAME);
    if (d->kind != FLOW__SNI_MATCH_DEFAULT) {
        FUZZ_CHECK(flow__name_compare((const char *)d->pattern.base,
                                      d->pattern.len,
                                      &h->sni) == match[d->kind]);
        return;
    }
    /* The default pair is for names that no pair has. */
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < c[i].name_count; n++)
            FUZZ_CHECK(flow__name_compare((const char *)c[i].names[n].base,
                                          c[i].names[n].len,
                                          &h->sni) == FLOW__MATCH_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = { data, len };
    struct flow__sni_candidate c[PAIRS];
    struct flow__span names[PAIRS][NAMES];
    struct flow__sni_policy policy = { 0x0303, 0x0304, NULL, 0 };
    struct flow__client_hello h;
    struct flow__sni_decision d;
    struct flow__fault fault;
    const size_t count = 1 + next(&in) % PAIRS;

    for (size_t i = 0; i < count; i++) {
        const uint8_t what = next(&in);

        c[i].key = (enum flow__key_type)(what & 3);
        c[i].name_count = what >> 2 & 3;
        c[i].names = names[i];
        for (size_t n = 0; n < c[i].name_count; n++)
            names[i][n] = next_name(&in);
    }
    const uint8_t versions = next(&in);
    policy.min_version = versions & 1 ? 0x0304 : 0x0303;
    policy.max_version = versions & 2 ? policy.min_version : 0x0304;
    if (flow__hello_parse_client(in.at, in.left, &h, &fault) != FLOW_OK)
        return 0;
    flow__sni_select(c, count, &policy, &h, &d);
    if (d.serve)
        check_served(c, count, &policy, &h, &d);
    else
        FUZZ_CHECK(d.fault.alert != FLOW__ALERT_NONE && d.fault.text != NULL);
    return 0;
}
