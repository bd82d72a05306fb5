/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/sni.h"

/*
 * The decision.  Every certificate whose pattern matches, and which the client
 * can use, is ranked, and the best one is served.
 *
 * Steps: the names of the entries, the callback, "*", the policy.  A step in
 * which a pattern matched is the last one, even if nothing there is usable, so
 * a name that is configured never gets another name's certificate; only a
 * policy with compat goes on.
 *
 * Bounds: two binary searches for each label of the name, and the certificates
 * that are found.  USE_FIRST looks at all certificates.
 */

struct select_rank {
    enum flow_tls_sni_kind kind;
    size_t rest;     /* of the name, that the pattern's star stands for */
    bool is_general; /* its entry requires no protocol */
    bool is_outside; /* of the time in which it is valid */
    bool is_foreign; /* the client cannot verify the chain's signatures */
    enum flow__key_type key;
    size_t entry;
    size_t identity;
};

/* How far the best candidate came that is not usable. */
enum select_reach {
    SELECT_NOTHING, /* no pattern matched */
    SELECT_MATCHED,
    SELECT_REQUIRED, /* it has the required protocol */
    SELECT_VERSION   /* and a common version */
};

struct select_search {
    const struct flow_tls_sni *s;
    const struct flow_tls_sni_client *client;
    const struct flow_tls_sni_terms *terms;
    enum select_reach reach;
    bool is_found;
    struct select_rank best;
    uint16_t version;    /* of the best */
    const char *pattern; /* of the best */
};

/* Negative if a comes before b. */
static int
select_compare(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

/* The order of two that are equally exact. */
static int
select_compare_equals(const struct select_rank *a, const struct select_rank *b)
{
    int c = select_compare(a->is_general, b->is_general);

    if (c == 0)
        c = select_compare(a->is_outside, b->is_outside);
    if (c == 0)
        c = select_compare(a->is_foreign, b->is_foreign);
    if (c == 0)
        c = select_compare(a->key, b->key);
    return c;
}

static int
select_compare_exactness(const struct select_rank *a,
                         const struct select_rank *b)
{
    int c = select_compare(a->kind, b->kind);

    return c != 0 ? c : select_compare(a->rest, b->rest);
}

static bool
select_is_plain(const struct select_rank *r)
{
    return r->kind <= FLOW_TLS_SNI_WILDCARD;
}

static bool
select_is_better(const struct flow_tls_sni_policy *policy,
                 const struct select_rank *a, const struct select_rank *b)
{
    bool both_plain = select_is_plain(a) && select_is_plain(b);
    int c = 0;

    if (policy->list_order)
        c = select_compare(a->entry, b->entry);
    else if (policy->key_before_exact && both_plain)
        c = select_compare_equals(a, b);
    if (c == 0)
        c = select_compare_exactness(a, b);
    if (c == 0)
        c = select_compare_equals(a, b);
    if (c == 0)
        c = select_compare(a->entry, b->entry);
    if (c == 0)
        c = select_compare(a->identity, b->identity);
    return c < 0;
}

static void
select_reach(struct select_search *x, enum select_reach reach)
{
    if (x->reach < reach)
        x->reach = reach;
}

static void
select_consider(struct select_search *x, const struct select_rank *found,
                uint16_t version, const char *pattern)
{
    const struct flow__sni_entry *entry = &x->s->entry[found->entry];
    const struct flow__sni_identity *identity =
        &entry->identity[found->identity];
    struct select_rank r = *found;

    r.key = identity->key;
    if (flow__sni_narrow(r.key, version, x->client, x->terms) !=
        FLOW_TLS_SNI_CHOSEN)
        return;
    r.is_general = !entry->requires_alpn;
    r.is_outside = flow__sni_is_outside(identity, x->terms->now);
    r.is_foreign = !flow__sni_chain_suits(identity, x->client);
    if (x->is_found && !select_is_better(&x->s->policy, &r, &x->best))
        return;
    x->is_found = true;
    x->best = r;
    x->version = version;
    x->pattern = pattern;
}

/* Consider one certificate of an entry, or all. */
static void
select_take(struct select_search *x, enum flow_tls_sni_kind kind, size_t rest,
            size_t entry, size_t identity, const char *pattern)
{
    const struct flow__sni_entry *e = &x->s->entry[entry];
    struct select_rank r = { .kind = kind, .rest = rest, .entry = entry };
    uint16_t version;

    select_reach(x, SELECT_MATCHED);
    if (!flow__sni_has_required(e, x->client))
        return;
    select_reach(x, SELECT_REQUIRED);
    version = flow__sni_entry_version(e, x->client, x->terms);
    if (version == 0)
        return;
    select_reach(x, SELECT_VERSION);
    for (size_t i = 0; i < e->identity_count; i++)
        if (identity == FLOW__SNI_ALL || identity == i) {
            r.identity = i;
            select_consider(x, &r, version, pattern);
        }
}

/* The first pattern of the index that has the class and the text, or that comes
 * after them. */
static size_t
select_find(const struct flow_tls_sni *s, enum flow__sni_class class,
            const char *text, size_t len)
{
    size_t low = 0, high = s->pattern_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (flow__sni_pattern_order(&s->pattern[middle], class, text, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
select_is_at(const struct flow_tls_sni *s, size_t at,
             enum flow__sni_class class, const char *text, size_t len)
{
    return at < s->pattern_count &&
           flow__sni_pattern_order(&s->pattern[at], class, text, len) == 0;
}

/* Whether an entry excludes the client's name. */
static bool
select_is_excluded(const struct select_search *x, size_t entry)
{
    const char *name = x->client->name;
    size_t len = strlen(name);
    size_t at = select_find(x->s, FLOW__SNI_CLASS_NOT, name, len);

    for (; select_is_at(x->s, at, FLOW__SNI_CLASS_NOT, name, len); at++)
        if (x->s->pattern[at].entry == entry)
            return true;
    return false;
}

/* Take all patterns of a class that have a text. */
static void
select_look_up(struct select_search *x, enum flow__sni_class class,
               const char *text, size_t len)
{
    size_t at = select_find(x->s, class, text, len);

    for (; select_is_at(x->s, at, class, text, len); at++) {
        const struct flow__sni_pattern *p = &x->s->pattern[at];
        enum flow_tls_sni_kind kind = flow__sni_pattern_kind(class);
        size_t rest =
            class == FLOW__SNI_CLASS_EXACT || class == FLOW__SNI_CLASS_ANY
                ? 0
                : strlen(x->client->name) - len;

        if (class != FLOW__SNI_CLASS_EXACT && select_is_excluded(x, p->entry))
            continue;
        select_take(x, kind, rest, p->entry, p->identity, p->shown);
    }
}

/* Step 1: patterns with the name, or with a part of it. */
static void
select_by_name(struct select_search *x)
{
    const char *name = x->client->name;
    size_t len = strlen(name);
    const char *dot = strchr(name, '.');

    select_look_up(x, FLOW__SNI_CLASS_EXACT, name, len);
    select_look_up(x, FLOW__SNI_CLASS_SELF, name, len);
    if (dot != NULL)
        select_look_up(x, FLOW__SNI_CLASS_LABEL, dot + 1, strlen(dot + 1));
    for (; dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t rest = strlen(dot + 1);

        select_look_up(x, FLOW__SNI_CLASS_SELF, dot + 1, rest);
        select_look_up(x, FLOW__SNI_CLASS_LABELS, dot + 1, rest);
        select_look_up(x, FLOW__SNI_CLASS_TRAILING, name, (size_t)(dot - name));
    }
}

/* Whether the search ends with what its steps so far have found. */
static bool
select_is_over(const struct select_search *x)
{
    return x->is_found || (x->reach != SELECT_NOTHING && !x->s->policy.compat);
}

static void
select_refuse(struct flow_tls_sni_decision *d, enum flow__alert alert,
              const char *text)
{
    d->outcome = FLOW_TLS_SNI_REJECTED;
    d->alert = alert;
    d->text = text;
}

static void
select_refuse_unusable(const struct select_search *x,
                       struct flow_tls_sni_decision *d)
{
    if (x->reach == SELECT_MATCHED)
        select_refuse(d, FLOW__ALERT_NO_APPLICATION_PROTOCOL,
                      "client does not offer the application protocol that "
                      "this name requires");
    else if (x->reach == SELECT_REQUIRED)
        select_refuse(d, FLOW__ALERT_PROTOCOL_VERSION,
                      "client offers no TLS version that is allowed here");
    else
        select_refuse(d, FLOW__ALERT_HANDSHAKE_FAILURE,
                      "client can use none of the keys for this name");
}

static void
select_first(struct select_search *x)
{
    for (size_t i = 0; i < x->s->entry_count && !x->is_found; i++)
        select_take(x, FLOW_TLS_SNI_FIRST, 0, i, FLOW__SNI_ALL, "");
}

/* Last step.  false: the decision is made. */
static bool
select_by_policy(struct select_search *x, enum flow_tls_sni_kind kind,
                 struct flow_tls_sni_decision *d)
{
    bool is_missing = kind == FLOW_TLS_SNI_NO_NAME;
    enum flow_tls_sni_action action =
        is_missing ? x->s->policy.on_no_name : x->s->policy.on_unknown;

    switch (action) {
    case FLOW_TLS_SNI_REJECT:
        if (!is_missing)
            select_refuse(d, FLOW__ALERT_UNRECOGNIZED_NAME,
                          "client asked for an unknown host name");
        else
            select_refuse(d,
                          d->version == FLOW_TLS_1_3
                              ? FLOW__ALERT_MISSING_EXTENSION
                              : FLOW__ALERT_HANDSHAKE_FAILURE,
                          "client did not send a host name");
        return false;
    case FLOW_TLS_SNI_DROP:
        d->outcome = FLOW_TLS_SNI_DROPPED;
        d->text = is_missing ? "client did not send a host name"
                             : "client asked for an unknown host name";
        return false;
    case FLOW_TLS_SNI_USE_FIRST:
        select_first(x);
        return true;
    case FLOW_TLS_SNI_USE_DEFAULT:
    case FLOW_TLS_SNI_USE_DEFAULT_OR_FIRST:
    default:
        break;
    }
    if (x->s->default_entry != FLOW__SNI_ALL)
        select_take(x, kind, 0, x->s->default_entry, FLOW__SNI_ALL, "");
    if (!x->is_found && action == FLOW_TLS_SNI_USE_DEFAULT_OR_FIRST)
        select_first(x);
    return true;
}

/* Step 2.  false: the callback has to be asked. */
static bool
select_by_callback(struct select_search *x)
{
    int answer = x->terms->answer;

    if (x->s->lookup == NULL)
        return true;
    if (answer == FLOW_TLS_SNI_NOT_ASKED)
        return false;
    if (answer >= 0 && (size_t)answer < x->s->entry_count)
        select_take(x, FLOW_TLS_SNI_CALLBACK, 0, (size_t)answer, FLOW__SNI_ALL,
                    "");
    return true;
}

/* All steps for a client that sent a name.  false: the decision is made. */
static bool
select_for_name(struct select_search *x, struct flow_tls_sni_decision *d)
{
    select_by_name(x);
    if (select_is_over(x))
        return true;
    if (!select_by_callback(x)) {
        d->outcome = FLOW_TLS_SNI_ASK;
        return false;
    }
    if (!select_is_over(x))
        select_look_up(x, FLOW__SNI_CLASS_ANY, "", 0);
    return select_is_over(x) || select_by_policy(x, FLOW_TLS_SNI_DEFAULT, d);
}

static const char *
select_alpn_of(struct flow_tls_sni_list offer, const char *const *list,
               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct flow__span rest = { offer.base, offer.len };
        struct flow__span name;

        while (flow__hello_next_alpn(&rest, &name))
            if (name.len == strlen(list[i]) &&
                memcmp(name.base, list[i], name.len) == 0)
                return list[i];
    }
    return NULL;
}

/* RFC 7301 3.2: our preference decides. */
static void
select_serve(const struct select_search *x, struct flow_tls_sni_decision *d)
{
    const struct flow__sni_entry *e = &x->s->entry[x->best.entry];
    size_t count = e->alpn_count > 0 ? e->alpn_count : x->terms->alpn_count;
    const char *const *list =
        e->alpn_count > 0 ? (const char *const *)e->alpn : x->terms->alpn;
    const char *alpn = NULL;

    d->entry = x->best.entry;
    d->identity = x->best.identity;
    d->kind = x->best.kind;
    d->pattern = x->pattern;
    d->version = (enum flow_tls_version)x->version;
    d->outside_validity = x->best.is_outside;
    if (count == 0 || x->client->alpn.len == 0)
        return;
    alpn = select_alpn_of(x->client->alpn, list, count);
    if (alpn != NULL)
        d->alpn = alpn;
    else
        select_refuse(d, FLOW__ALERT_NO_APPLICATION_PROTOCOL,
                      "client offers no application protocol of this server");
}

static void
select_decide(struct select_search *x, struct flow_tls_sni_decision *d)
{
    enum flow_tls_sni_state state = x->client->state;
    bool is_decided;

    if (state == FLOW_TLS_SNI_INVALID && !x->s->policy.invalid_is_unknown) {
        select_refuse(d, FLOW__ALERT_UNRECOGNIZED_NAME,
                      "client sent an invalid host name");
        return;
    }
    if (state == FLOW_TLS_SNI_IP_LITERAL && x->s->policy.reject_ip_literal) {
        select_refuse(d, FLOW__ALERT_UNRECOGNIZED_NAME,
                      "client sent an address as host name");
        return;
    }
    if (d->version == 0) {
        select_refuse(d, FLOW__ALERT_PROTOCOL_VERSION,
                      "client offers no TLS version that is allowed here");
        return;
    }
    if (state == FLOW_TLS_SNI_NAME)
        is_decided = !select_for_name(x, d);
    else
        is_decided = !select_by_policy(x,
                                       state == FLOW_TLS_SNI_INVALID
                                           ? FLOW_TLS_SNI_DEFAULT
                                           : FLOW_TLS_SNI_NO_NAME,
                                       d);
    if (is_decided)
        return;
    if (x->is_found)
        select_serve(x, d);
    else
        select_refuse_unusable(x, d);
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_select(const struct flow_tls_sni *s,
                    const struct flow_tls_sni_client *client,
                    const struct flow_tls_sni_terms *terms,
                    struct flow_tls_sni_decision *ret_decision)
{
    struct select_search x = { .s = s, .client = client, .terms = terms };
    struct flow_tls_sni_decision *d = ret_decision;

    if (!flow__sni_is_frozen(s))
        return FLOW_E_INVAL;
    memset(d, 0, sizeof(*d));
    d->alert = FLOW__ALERT_NONE;
    d->pattern = "";
    d->alpn = "";
    d->version = (enum flow_tls_version)flow__sni_version(
        (uint16_t)terms->min_version, (uint16_t)terms->max_version,
        client->versions, client->legacy_version);
    select_decide(&x, d);
    return FLOW_OK;
}
