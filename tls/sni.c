/* SPDX-License-Identifier: ISC */
#include "tls/sni.h"

#include <string.h>

#include "tls/suite.h"

/* Signature schemes (RFC 8446 4.2.3) with which a type of key can sign, ended
 * by 0.  In TLS 1.2 the second byte names only the kind of key (RFC 5246
 * 7.4.1.4.1), so any curve signs with any hash, and with RSA keys the engine
 * signs PKCS#1. */
static const uint16_t sni_p256_13[] = { FLOW__SIGN_ECDSA_SECP256R1_SHA256, 0 };
static const uint16_t sni_p384_13[] = { FLOW__SIGN_ECDSA_SECP384R1_SHA384, 0 };
static const uint16_t sni_p521_13[] = { FLOW__SIGN_ECDSA_SECP521R1_SHA512, 0 };
static const uint16_t sni_rsa_13[] = { FLOW__SIGN_RSA_PSS_RSAE_SHA256,
                                       FLOW__SIGN_RSA_PSS_RSAE_SHA384,
                                       FLOW__SIGN_RSA_PSS_RSAE_SHA512, 0 };
static const uint16_t sni_ecdsa_12[] = { FLOW__SIGN_ECDSA_SECP256R1_SHA256,
                                         FLOW__SIGN_ECDSA_SECP384R1_SHA384,
                                         FLOW__SIGN_ECDSA_SECP521R1_SHA512, 0 };
static const uint16_t sni_rsa_12[] = { FLOW__SIGN_RSA_PKCS1_SHA256,
                                       FLOW__SIGN_RSA_PKCS1_SHA384,
                                       FLOW__SIGN_RSA_PKCS1_SHA512, 0 };

struct sni_key {
    const uint16_t *schemes13;
    const uint16_t *schemes12;
    enum flow__suite_auth auth;
    uint16_t group; /* its curve, 0: none */
};

static const struct sni_key sni_keys[] = {
    [FLOW__KEY_P256] = { sni_p256_13, sni_ecdsa_12, FLOW__AUTH_ECDSA,
                         FLOW_TLS_GROUP_P256 },
    [FLOW__KEY_P384] = { sni_p384_13, sni_ecdsa_12, FLOW__AUTH_ECDSA,
                         FLOW_TLS_GROUP_P384 },
    [FLOW__KEY_P521] = { sni_p521_13, sni_ecdsa_12, FLOW__AUTH_ECDSA,
                         FLOW_TLS_GROUP_P521 },
    [FLOW__KEY_RSA] = { sni_rsa_13, sni_rsa_12, FLOW__AUTH_RSA, 0 },
};

static bool
sni_offers_any(struct flow__span list, const uint16_t *values)
{
    for (; *values != 0; values++)
        if (flow__span_has_u16(list, *values))
            return true;
    return false;
}

static bool
sni_allowed(const struct flow__sni_policy *policy, uint16_t suite)
{
    if (policy->suites == NULL)
        return true;
    for (size_t i = 0; i < policy->suite_count; i++)
        if (policy->suites[i] == suite)
            return true;
    return false;
}

/* Whether both sides have a TLS 1.2 suite for this kind of key. */
static bool
sni_has_suite12(enum flow__suite_auth auth,
                const struct flow__sni_policy *policy,
                const struct flow__client_hello *hello)
{
    const struct flow__suite *suite;

    for (size_t i = 0; (suite = flow__suite_at(i)) != NULL; i++)
        if (suite->version == FLOW_TLS_1_2 && suite->auth == auth &&
            sni_allowed(policy, suite->id) &&
            flow__span_has_u16(hello->suites, suite->id))
            return true;
    return false;
}

bool
flow__sni_usable(enum flow__key_type key, uint16_t version,
                 const struct flow__sni_policy *policy,
                 const struct flow__client_hello *hello)
{
    const struct sni_key *facts = &sni_keys[key];

    /* Without the extension, TLS 1.2 means SHA-1, with which we never sign. */
    if (version == FLOW_TLS_1_3)
        return sni_offers_any(hello->sigalgs, facts->schemes13);
    if (!sni_offers_any(hello->sigalgs, facts->schemes12) ||
        !sni_has_suite12(facts->auth, policy, hello))
        return false;
    /* RFC 8422 5.1: the curve of the key must be among the client's. */
    return facts->group == 0 || hello->groups.base == NULL ||
           flow__span_has_u16(hello->groups, facts->group);
}

/* The highest version of the policy that the client offers. */
uint16_t
flow__sni_version(const struct flow__sni_policy *policy,
                  const struct flow__client_hello *hello)
{
    for (uint16_t v = policy->max_version; v >= policy->min_version; v--) {
        bool offered =
            hello->versions.base != NULL
                ? flow__span_has_u16(hello->versions, v)
                : v == FLOW_TLS_1_2 && hello->legacy_version >= FLOW_TLS_1_2;
        if (offered)
            return v;
    }
    return 0;
}

/* What flow__sni_select() was called with, and the version it chose. */
struct sni_search {
    const struct flow__sni_candidate *candidates;
    size_t count;
    const struct flow__sni_policy *policy;
    const struct flow__client_hello *hello;
    uint16_t version;
};

static enum flow__name_match
sni_best_match(const struct flow__sni_candidate *c,
               const struct flow__name *name, struct flow__span *ret_pattern)
{
    enum flow__name_match best = FLOW__MATCH_NONE;

    for (size_t i = 0; i < c->name_count && best != FLOW__MATCH_EXACT; i++) {
        enum flow__name_match m = flow__name_compare(
            (const char *)c->names[i].base, c->names[i].len, name);

        if (m == FLOW__MATCH_NONE || (best != FLOW__MATCH_NONE && m >= best))
            continue;
        best = m;
        *ret_pattern = c->names[i];
    }
    return best;
}

/* Take a candidate if it is usable and better than what was found. */
static void
sni_consider(const struct sni_search *s, size_t index, enum flow__sni_kind kind,
             struct flow__span pattern, struct flow__sni_decision *d)
{
    enum flow__key_type key = s->candidates[index].key;

    if (!flow__sni_usable(key, s->version, s->policy, s->hello))
        return;
    if (d->serve && (kind > d->kind ||
                     (kind == d->kind && key >= s->candidates[d->index].key)))
        return;
    d->serve = true;
    d->index = index;
    d->kind = kind;
    d->pattern = pattern;
}

/* Look the name up; false when no candidate has it. */
static bool
sni_by_name(const struct sni_search *s, struct flow__sni_decision *d)
{
    bool configured = false;

    for (size_t i = 0; i < s->count; i++) {
        struct flow__span pattern = { NULL, 0 };
        enum flow__name_match m =
            sni_best_match(&s->candidates[i], &s->hello->sni, &pattern);

        if (m == FLOW__MATCH_NONE)
            continue;
        configured = true;
        sni_consider(s, i,
                     m == FLOW__MATCH_EXACT ? FLOW__SNI_MATCH_EXACT
                                            : FLOW__SNI_MATCH_WILDCARD,
                     pattern, d);
    }
    return configured;
}

static bool
sni_has_pattern(const struct flow__sni_candidate *c, struct flow__span name)
{
    for (size_t i = 0; i < c->name_count; i++)
        if (c->names[i].len == name.len &&
            memcmp(c->names[i].base, name.base, name.len) == 0)
            return true;
    return false;
}

/* Two key pairs for the same site: each has all names of the other. */
static bool
sni_same_names(const struct flow__sni_candidate *a,
               const struct flow__sni_candidate *b)
{
    for (size_t i = 0; i < a->name_count; i++)
        if (!sni_has_pattern(b, a->names[i]))
            return false;
    for (size_t i = 0; i < b->name_count; i++)
        if (!sni_has_pattern(a, b->names[i]))
            return false;
    return true;
}

static void
sni_by_default(const struct sni_search *s, enum flow__sni_kind kind,
               struct flow__sni_decision *d)
{
    const struct flow__span none = { NULL, 0 };

    for (size_t i = 0; i < s->count; i++)
        if (i == 0 || sni_same_names(&s->candidates[0], &s->candidates[i]))
            sni_consider(s, i, kind, none, d);
}

static void
sni_refuse(struct flow__sni_decision *d, enum flow__alert alert,
           const char *text)
{
    d->fault.alert = alert;
    d->fault.text = text;
}

void
flow__sni_select(const struct flow__sni_candidate *candidates, size_t count,
                 const struct flow__sni_policy *policy,
                 const struct flow__client_hello *hello,
                 struct flow__sni_decision *ret_decision)
{
    struct sni_search s = { candidates, count, policy, hello,
                            flow__sni_version(policy, hello) };
    struct flow__sni_decision *d = ret_decision;

    memset(d, 0, sizeof(*d));
    d->fault.alert = FLOW__ALERT_NONE;
    d->version = s.version;
    if (hello->sni_state == FLOW__SNI_INVALID) {
        sni_refuse(d, FLOW__ALERT_UNRECOGNIZED_NAME,
                   "client sent an invalid host name");
        return;
    }
    if (s.version == 0) {
        sni_refuse(d, FLOW__ALERT_PROTOCOL_VERSION,
                   "client offers no TLS version that is allowed here");
        return;
    }
    if (hello->sni_state != FLOW__SNI_NAME)
        sni_by_default(&s, FLOW__SNI_MATCH_NO_NAME, d);
    else if (!sni_by_name(&s, d))
        sni_by_default(&s, FLOW__SNI_MATCH_DEFAULT, d);
    if (!d->serve)
        sni_refuse(d, FLOW__ALERT_HANDSHAKE_FAILURE,
                   "client can use none of the keys for this name");
}
