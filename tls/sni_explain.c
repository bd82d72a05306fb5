/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/sni.h"

/*
 * Why each certificate is, or is not, the one that is served.  The patterns are
 * compared one by one here, without the index, so the reasons do not depend on
 * how the decision was found.
 */

static const char *const explain_texts[] = {
    [FLOW_TLS_SNI_CHOSEN] = "chosen",
    [FLOW_TLS_SNI_OTHER_NAME] = "for other names",
    [FLOW_TLS_SNI_EXCLUDED] = "its entry excludes the name",
    [FLOW_TLS_SNI_NEEDS_ALPN] = "its entry requires an application protocol "
                                "that the client does not offer",
    [FLOW_TLS_SNI_NO_VERSION] = "no TLS version in common",
    [FLOW_TLS_SNI_NO_SIGALG] = "no signature algorithm of the client fits its "
                               "key",
    [FLOW_TLS_SNI_NO_SUITE] = "no TLS 1.2 cipher suite in common for its key",
    [FLOW_TLS_SNI_NO_GROUP] = "the client does not support the curve of its "
                              "key",
    [FLOW_TLS_SNI_LESS_EXACT] = "another one matches more exactly",
    [FLOW_TLS_SNI_RANKED_LOWER] = "another one is preferred",
    [FLOW_TLS_SNI_NOT_REACHED] = "the client is refused before",
};

/* The place of a certificate among all. */
static bool
explain_place(const struct flow_tls_sni *s, size_t index,
              struct flow_tls_sni_verdict *v)
{
    for (v->entry = 0; v->entry < s->entry_count; v->entry++) {
        if (index < s->entry[v->entry].identity_count) {
            v->identity = index;
            return true;
        }
        index -= s->entry[v->entry].identity_count;
    }
    return false;
}

/* Find the best pattern of a certificate.  false: none matches, or an exclusion
 * takes effect, which *ret_excluded says. */
static bool
explain_match(const struct flow_tls_sni *s,
              const struct flow_tls_sni_client *client,
              struct flow_tls_sni_verdict *v, bool *ret_excluded)
{
    const size_t len = strlen(client->name);
    size_t best_rest = 0;
    bool is_matched = false, is_excluded = false;

    *ret_excluded = false;
    for (size_t i = 0; i < s->pattern_count; i++) {
        const struct flow__sni_pattern *p = &s->pattern[i];
        enum flow_tls_sni_kind kind = flow__sni_pattern_kind(p->class);
        size_t rest;

        if (p->entry != v->entry ||
            (p->identity != FLOW__SNI_ALL && p->identity != v->identity) ||
            !flow__sni_pattern_matches(p, client->name, len, &rest))
            continue;
        if (p->class == FLOW__SNI_CLASS_NOT) {
            is_excluded = true;
        } else if (!is_matched || kind < v->kind ||
                   (kind == v->kind && rest < best_rest)) {
            is_matched = true;
            best_rest = rest;
            v->kind = kind;
            v->pattern = p->shown;
        }
    }
    if (is_matched && is_excluded && v->kind != FLOW_TLS_SNI_EXACT) {
        *ret_excluded = true;
        v->pattern = "";
        return false;
    }
    return is_matched;
}

/* Whether a certificate is a candidate without a pattern. */
static bool
explain_is_fallback(const struct flow_tls_sni *s,
                    const struct flow_tls_sni_terms *terms,
                    const struct flow_tls_sni_decision *d,
                    const struct flow_tls_sni_verdict *v)
{
    if (d->outcome != FLOW_TLS_SNI_SERVED || d->kind < FLOW_TLS_SNI_CALLBACK)
        return false;
    if (d->kind == FLOW_TLS_SNI_CALLBACK)
        return terms->answer >= 0 && (size_t)terms->answer == v->entry;
    return d->kind == FLOW_TLS_SNI_FIRST || v->entry == s->default_entry;
}

static enum flow_tls_sni_reason
explain_usable(const struct flow_tls_sni *s,
               const struct flow_tls_sni_client *client,
               const struct flow_tls_sni_terms *terms,
               const struct flow_tls_sni_verdict *v)
{
    const struct flow__sni_entry *e = &s->entry[v->entry];

    if (!flow__sni_has_required(e, client))
        return FLOW_TLS_SNI_NEEDS_ALPN;
    return flow__sni_narrow(e->identity[v->identity].key,
                            flow__sni_entry_version(e, client, terms), client,
                            terms);
}

static enum flow_tls_sni_reason
explain_reason(const struct flow_tls_sni *s,
               const struct flow_tls_sni_client *client,
               const struct flow_tls_sni_terms *terms,
               const struct flow_tls_sni_decision *d,
               struct flow_tls_sni_verdict *v)
{
    enum flow_tls_sni_reason reason;
    bool is_excluded = false;
    bool is_matched = client->state == FLOW_TLS_SNI_NAME &&
                      explain_match(s, client, v, &is_excluded);

    if (d->outcome == FLOW_TLS_SNI_SERVED && v->entry == d->entry &&
        v->identity == d->identity) {
        v->kind = d->kind;
        v->pattern = d->pattern;
        return FLOW_TLS_SNI_CHOSEN;
    }
    if (!is_matched && explain_is_fallback(s, terms, d, v)) {
        is_matched = true;
        v->kind = d->kind;
    }
    if (!is_matched)
        return is_excluded ? FLOW_TLS_SNI_EXCLUDED : FLOW_TLS_SNI_OTHER_NAME;
    reason = explain_usable(s, client, terms, v);
    if (reason != FLOW_TLS_SNI_CHOSEN)
        return reason;
    if (d->outcome != FLOW_TLS_SNI_SERVED)
        return FLOW_TLS_SNI_NOT_REACHED;
    return v->kind > d->kind ? FLOW_TLS_SNI_LESS_EXACT
                             : FLOW_TLS_SNI_RANKED_LOWER;
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_explain(const struct flow_tls_sni *s,
                     const struct flow_tls_sni_client *client,
                     const struct flow_tls_sni_terms *terms,
                     const struct flow_tls_sni_decision *decision, size_t index,
                     struct flow_tls_sni_verdict *ret_verdict)
{
    struct flow_tls_sni_verdict v = { .pattern = "" };

    if (!explain_place(s, index, &v))
        return FLOW_EOF;
    v.id = s->entry[v.entry].id;
    v.key = (enum flow_tls_key)s->entry[v.entry].identity[v.identity].key;
    v.reason = explain_reason(s, client, terms, decision, &v);
    v.text = explain_texts[v.reason];
    *ret_verdict = v;
    return FLOW_OK;
}
