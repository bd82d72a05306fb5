/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lib/atomic.h"
#include "tls/sni.h"
#include "tls/verifier.h"

/*
 * Freezing: sort the index, then report every problem of the selector.
 *
 * Locks: lock, inside flow_fork_block(), so that a child never inherits a
 * selector that is half frozen.
 */

/* --- the index --- */

static bool
check_is_before(const struct flow__sni_pattern *a,
                const struct flow__sni_pattern *b)
{
    int c = flow__sni_pattern_order(a, b->class, b->text, b->len);

    if (c != 0)
        return c < 0;
    return a->entry != b->entry ? a->entry < b->entry
                                : a->identity < b->identity;
}

/* Move the element at root down to its place in a heap. */
static void
check_sift(struct flow__sni_pattern *p, size_t root, size_t count)
{
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        struct flow__sni_pattern swap = p[root];

        if (child + 1 < count && check_is_before(&p[child], &p[child + 1]))
            child++;
        if (!check_is_before(&p[root], &p[child]))
            return;
        p[root] = p[child];
        p[child] = swap;
        root = child;
    }
}

/* Heapsort: no memory, and no worst case that a configuration could hit. */
static void
check_sort(struct flow__sni_pattern *p, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        check_sift(p, i, count);
    for (size_t i = count; i-- > 1;) {
        struct flow__sni_pattern swap = p[0];

        p[0] = p[i];
        p[i] = swap;
        check_sift(p, 0, i);
    }
}

/* --- duplicates --- */

static bool
check_overlap(const struct flow__sni_identity *a,
              const struct flow__sni_identity *b)
{
    bool a_always = a->not_before == 0 && a->not_after == 0;
    bool b_always = b->not_before == 0 && b->not_after == 0;

    /* Two certificates of which one replaces the other have other times. */
    if (a_always || b_always)
        return a_always == b_always;
    return a->not_before == b->not_before && a->not_after == b->not_after;
}

static bool
check_has(const struct flow__sni_pattern *p, size_t identity)
{
    return p->identity == FLOW__SNI_ALL || p->identity == identity;
}

/* Whether nothing but the order decides between certificates of two patterns,
 * which may be one and the same. */
static bool
check_is_ambiguous(const struct flow_tls_sni *s,
                   const struct flow__sni_pattern *a,
                   const struct flow__sni_pattern *b)
{
    const struct flow__sni_entry *ea = &s->entry[a->entry];
    const struct flow__sni_entry *eb = &s->entry[b->entry];

    if (ea->requires_alpn != eb->requires_alpn ||
        (ea->requires_alpn && strcmp(ea->alpn[0], eb->alpn[0]) != 0))
        return false;
    for (size_t i = 0; i < ea->identity_count; i++)
        for (size_t j = 0; j < eb->identity_count; j++)
            if (check_has(a, i) && check_has(b, j) && (ea != eb || i != j) &&
                ea->identity[i].key == eb->identity[j].key &&
                check_overlap(&ea->identity[i], &eb->identity[j]))
                return true;
    return false;
}

/* "NAME: entry A and entry B". */
static enum flow_status
check_note_duplicate(const struct flow_tls_sni *s,
                     const struct flow__sni_pattern *a,
                     const struct flow__sni_pattern *b, struct flow_error *err)
{
    const bool is_one = a->entry == b->entry;
    const char *const part[] = { a->shown, ": entry ", s->entry[a->entry].id,
                                 is_one ? "" : " and entry ",
                                 is_one ? "" : s->entry[b->entry].id };
    char detail[FLOW_ERROR_DETAIL];

    flow__sni_join(detail, part, sizeof(part) / sizeof(part[0]));
    return flow__sni_problem(
        s, err, FLOW_E_INVAL,
        "a name has two certificates with the same kind of key", NULL, detail);
}

static enum flow_status
check_duplicates(const struct flow_tls_sni *s, struct flow_error *err)
{
    enum flow_status st = FLOW_OK;

    for (size_t i = 0; i < s->pattern_count; i++) {
        const struct flow__sni_pattern *a = &s->pattern[i];
        bool is_ambiguous = false;

        if (a->class == FLOW__SNI_CLASS_NOT)
            break;
        for (size_t j = i; j < s->pattern_count && !is_ambiguous; j++) {
            const struct flow__sni_pattern *b = &s->pattern[j];

            if (flow__sni_pattern_order(b, a->class, a->text, a->len) != 0)
                break;
            is_ambiguous = check_is_ambiguous(s, a, b);
            if (is_ambiguous)
                st = check_note_duplicate(s, a, b, err);
        }
    }
    return st;
}

/* --- entries --- */

/* Every certificate of an entry is for every pattern of it. */
static enum flow_status
check_coverage(const struct flow_tls_sni *s, struct flow_error *err)
{
    enum flow_status st = FLOW_OK;

    for (size_t i = 0; i < s->pattern_count; i++) {
        const struct flow__sni_pattern *p = &s->pattern[i];
        const struct flow__sni_entry *e = &s->entry[p->entry];
        bool is_covered = true;

        if ((e->flags & FLOW_TLS_SNI_ALLOW_NAME_MISMATCH) != 0 ||
            p->identity != FLOW__SNI_ALL)
            continue;
        for (size_t j = 0; j < e->identity_count; j++)
            is_covered =
                is_covered && flow__sni_identity_covers(&e->identity[j], p);
        if (!is_covered)
            st = flow__sni_problem(
                s, err, FLOW_E_INVAL,
                "a certificate of the entry is not for this name", e->id,
                p->shown);
    }
    return st;
}

static bool
check_has_pattern(const struct flow_tls_sni *s, size_t entry)
{
    for (size_t i = 0; i < s->pattern_count; i++)
        if (s->pattern[i].entry == entry &&
            s->pattern[i].class != FLOW__SNI_CLASS_NOT)
            return true;
    return false;
}

/* If it was given some and all were refused, that is not reported again. */
static enum flow_status
check_note_empty(const struct flow_tls_sni *s, const struct flow__sni_entry *e,
                 struct flow_error *err)
{
    static const char text[] = "an entry has no certificate";

    if (!e->has_refused)
        return flow__sni_problem(s, err, FLOW_E_INVAL, text, e->id, NULL);
    if (err != NULL && err->status == FLOW_OK)
        (void)flow_error_set(err, FLOW_E_INVAL, "tls config", FLOW_DOMAIN_NONE,
                             0, text);
    return FLOW_E_INVAL;
}

/* Each entry has a certificate, and can be chosen. */
static enum flow_status
check_entries(const struct flow_tls_sni *s, struct flow_error *err)
{
    enum flow_status st = FLOW_OK;

    for (size_t i = 0; i < s->entry_count; i++) {
        const char *id = s->entry[i].id;

        if (s->entry[i].identity_count == 0)
            st = check_note_empty(s, &s->entry[i], err);
        else if (i != s->default_entry && s->lookup == NULL &&
                 !s->policy.compat && !check_has_pattern(s, i))
            st = flow__sni_problem(s, err, FLOW_E_INVAL,
                                   "an entry has no name to be found by", id,
                                   NULL);
    }
    return st;
}

static bool
check_uses_default(enum flow_tls_sni_action action)
{
    return action == FLOW_TLS_SNI_USE_DEFAULT ||
           action == FLOW_TLS_SNI_USE_DEFAULT_OR_FIRST;
}

static enum flow_status
check_default(const struct flow_tls_sni *s, struct flow_error *err)
{
    if (s->default_entry != FLOW__SNI_ALL ||
        (!check_uses_default(s->policy.on_no_name) &&
         !check_uses_default(s->policy.on_unknown)))
        return FLOW_OK;
    return flow__sni_problem(
        s, err, FLOW_E_INVAL,
        "the policy needs a default entry, and none is marked as it", NULL,
        NULL);
}

static enum flow_status
check_all(struct flow_tls_sni *s, struct flow_error *err)
{
    enum flow_status st[4];

    if (s->entry_count == 0)
        return flow__sni_problem(s, err, FLOW_E_INVAL,
                                 "a selector needs an entry", NULL, NULL);
    check_sort(s->pattern, s->pattern_count);
    st[0] = check_entries(s, err);
    st[1] = check_default(s, err);
    st[2] = check_coverage(s, err);
    st[3] = check_duplicates(s, err);
    for (size_t i = 0; i < sizeof(st) / sizeof(st[0]); i++)
        if (st[i] != FLOW_OK)
            return st[i];
    return FLOW_OK;
}

static void
check_freeze(struct flow_tls_sni *s)
{
    for (size_t i = 0; i < s->entry_count; i++)
        if (s->entry[i].client_verifier != NULL)
            flow__verifier_freeze(s->entry[i].client_verifier);
    flow__store_release(&s->frozen, 1);
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_freeze(struct flow_tls_sni *s, struct flow_error *ret_err)
{
    enum flow_status st = FLOW_OK;

    if (flow__sni_is_frozen(s))
        return FLOW_OK;
    if (ret_err != NULL)
        flow_error_clear(ret_err);
    flow_fork_block();
    flow_lock_acquire(&s->lock);
    if (!flow__sni_is_frozen(s)) {
        st = check_all(s, ret_err);
        if (st == FLOW_OK)
            check_freeze(s);
    }
    flow_lock_release(&s->lock);
    flow_fork_unblock();
    return st;
}
