/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/tls_sni.h>

#include "tests/fuzz/fuzz.h"

/*
 * Input: a byte with the policy; a byte with the number of entries; for each a
 * byte with its key and flags and the number of its patterns, then the
 * patterns, each as a length and bytes, which are names of its certificate too;
 * then a ClientHello.
 */

#define ENTRIES  8
#define PATTERNS 4

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

static void
next_text(struct input *in, char *ret)
{
    size_t len = next(in) % 64;

    if (len > in->left)
        len = in->left;
    memcpy(ret, in->at, len);
    ret[len] = '\0';
    in->at += len;
    in->left -= len;
}

static void
add_entry(struct flow_tls_sni *s, struct input *in, size_t number)
{
    char text[PATTERNS][64];
    const char *patterns[PATTERNS];
    const char id[] = { (char)('a' + number), '\0' };
    const uint8_t what = next(in);
    struct flow_tls_sni_entry entry = { .id = id,
                                        .patterns = patterns,
                                        .pattern_count = what >> 2 & 3 };
    struct flow_tls_sni_identity identity = {
        .key = (enum flow_tls_key)(what & 3),
        .names = patterns,
        .name_count = entry.pattern_count,
    };
    size_t index;

    entry.flags = (what >> 4) | FLOW_TLS_SNI_ALLOW_NAME_MISMATCH |
                  (number == 0 ? FLOW_TLS_SNI_IS_DEFAULT : 0);
    for (size_t i = 0; i < entry.pattern_count; i++) {
        next_text(in, text[i]);
        patterns[i] = text[i];
    }
    if (flow_tls_sni_add_entry(s, &entry, &index, NULL) == FLOW_OK)
        FUZZ_CHECK(flow_tls_sni_add_identity(s, index, &identity, NULL) ==
                   FLOW_OK);
}

static void
check_reasons(const struct flow_tls_sni *s,
              const struct flow_tls_sni_client *client,
              const struct flow_tls_sni_terms *terms,
              const struct flow_tls_sni_decision *d)
{
    struct flow_tls_sni_verdict v;
    size_t chosen = 0, index = 0;

    while (flow_tls_sni_explain(s, client, terms, d, index++, &v) == FLOW_OK) {
        FUZZ_CHECK(v.text != NULL && v.pattern != NULL);
        chosen += v.reason == FLOW_TLS_SNI_CHOSEN ? 1 : 0;
        /* A certificate that is usable and matches better would be chosen. */
        FUZZ_CHECK(v.reason != FLOW_TLS_SNI_LESS_EXACT || v.kind > d->kind);
    }
    FUZZ_CHECK(chosen == (d->outcome == FLOW_TLS_SNI_SERVED ? 1 : 0));
}

static void
check_decision(const struct flow_tls_sni *s,
               const struct flow_tls_sni_client *client,
               const struct flow_tls_sni_decision *d)
{
    if (d->outcome != FLOW_TLS_SNI_SERVED) {
        FUZZ_CHECK(d->text != NULL);
        FUZZ_CHECK(d->outcome == FLOW_TLS_SNI_DROPPED || d->alert >= 0);
        return;
    }
    FUZZ_CHECK(d->alert == -1 && flow_tls_sni_entry_id(s, d->entry) != NULL);
    FUZZ_CHECK(d->version != 0);
    if (d->kind <= FLOW_TLS_SNI_TRAILING)
        FUZZ_CHECK(flow_tls_sni_entry_covers(s, d->entry, client->name));
    if (d->kind == FLOW_TLS_SNI_DEFAULT && client->state == FLOW_TLS_SNI_NAME)
        for (size_t i = 0; flow_tls_sni_entry_id(s, i) != NULL; i++)
            FUZZ_CHECK(!flow_tls_sni_entry_covers(s, i, client->name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = { data, len };
    const struct flow_tls_sni_terms terms = {
        .min_version = FLOW_TLS_1_2,
        .max_version = FLOW_TLS_1_3,
        .now = -1,
        .answer = FLOW_TLS_SNI_NOT_ASKED,
    };
    const uint8_t rules = next(&in);
    const size_t count = 1 + next(&in) % ENTRIES;
    struct flow_tls_sni_policy policy = {
        .on_no_name = (enum flow_tls_sni_action)(rules & 1),
        .on_unknown = (enum flow_tls_sni_action)(rules >> 1 & 1),
        .invalid_is_unknown = (rules & 4) != 0,
        .reject_ip_literal = (rules & 8) != 0,
        .list_order = (rules & 16) != 0,
        .key_before_exact = (rules & 32) != 0,
    };
    struct flow_tls_sni_decision d;
    struct flow_tls_sni_client client;
    struct flow_tls_sni *s;

    if (flow_tls_sni_new(NULL, &s, NULL) != FLOW_OK)
        return 0;
    FUZZ_CHECK(flow_tls_sni_set_policy(s, &policy) == FLOW_OK);
    for (size_t i = 0; i < count; i++)
        add_entry(s, &in, i);
    if (flow_tls_sni_freeze(s, NULL) == FLOW_OK &&
        flow_tls_sni_client_read(in.at, in.left, &client, NULL) == FLOW_OK) {
        FUZZ_CHECK(flow_tls_sni_select(s, &client, &terms, &d) == FLOW_OK);
        check_decision(s, &client, &d);
        check_reasons(s, &client, &terms, &d);
    }
    flow_tls_sni_unref(s);
    return 0;
}
