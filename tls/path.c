/* SPDX-License-Identifier: ISC */
#include "tls/path.h"

#include <string.h>

#include "tls/dn.h"
#include "tls/verdict.h"

/*
 * The search walks from the peer's certificate over every certificate that has
 * the name of its issuer, trusted ones first, until it reaches a trusted one.
 * Signatures are checked only on a path that is complete and passes every other
 * check, from the trusted certificate down: a peer that knows no trusted name
 * has no signature checked at all.
 *
 * If no path passes, a second search finds the one that came closest, for the
 * report.  It can accept nothing.
 *
 * Invariants: the steps of both searches, the signature checks and the
 * comparisons of name constraints have limits that do not depend on the input;
 * when one is reached nothing is accepted.  The result of a signature check is
 * kept, so that none is made twice.
 */

/*
 * The cost of a signature check by kind of key, in units of 0.6 ms (RSA with
 * 4096 bits and an exponent of 32 bits, on a slow machine), and the limit for
 * all of a verification.  No check costs less than 1.
 */
#define PATH_COST_RSA_4096 1u
#define PATH_COST_RSA_8192 4u
#define PATH_COST_P256     2u
#define PATH_COST_P384     4u
#define PATH_COST_P521     6u
#define PATH_COST_MAX      32u

/* Limits of one search, and of all comparisons of name constraints. */
#define PATH_STEPS_MAX       512u
#define PATH_COMPARISONS_MAX 65536u

#define PATH_RSA_MODULUS_MAX  8192u
#define PATH_RSA_EXPONENT_MAX 32u

#define PATH_BIT(check) (1u << FLOW_TLS_CHECK_##check)
#define PATH_CHECKS     (FLOW_TLS_CHECK_CALLBACK + 1)

/* How close a path came: the signatures of a complete one are right, or wrong,
 * or it does not end at a trusted certificate. */
enum path_rank { PATH_NONE = 0, PATH_OPEN, PATH_FORGED, PATH_SIGNED };

/* A path with the checks that failed, and where. */
struct path_result {
    enum path_rank rank;
    uint32_t failed;
    uint8_t depth[PATH_CHECKS];
    const struct flow__cert *path[FLOW_TLS_PATH_MAX];
    size_t len;
};

/* A signature that was checked, by which key. */
struct path_signature {
    const struct flow__signature *signature;
    struct flow__span key;
    bool right;
};

struct path_search {
    const struct flow__path_policy *policy;
    const struct flow__path_question *question;
    struct flow__cert certs[FLOW__PATH_CERTS];
    /* A copy of another, or of a trusted certificate. */
    bool is_copy[FLOW__PATH_CERTS];

    const struct flow__cert *path[FLOW_TLS_PATH_MAX];
    size_t len;
    bool reporting; /* the second search */
    bool no_memory;
    bool worked_out; /* a limit was reached */
    uint32_t steps;
    uint32_t comparisons;
    unsigned cost;
    struct path_signature known[PATH_COST_MAX];
    unsigned known_count;
    struct path_result best;
};

static void
path_fail(struct path_result *r, uint32_t failed, size_t depth)
{
    for (unsigned check = 0; check < PATH_CHECKS; check++)
        if ((failed & 1u << check) != 0)
            r->depth[check] = (uint8_t)depth;
    r->failed |= failed;
}

static unsigned
path_cost_of(const struct flow__cert *signer)
{
    switch (signer->key) {
    case FLOW__KEY_RSA:
        return signer->rsa_bits <= 4096 ? PATH_COST_RSA_4096
                                        : PATH_COST_RSA_8192;
    case FLOW__KEY_P256:
        return PATH_COST_P256;
    case FLOW__KEY_P384:
        return PATH_COST_P384;
    case FLOW__KEY_P521:
    case FLOW__KEY_OTHER:
    default:
        return PATH_COST_P521;
    }
}

/* Whether a signature is the signer's; false too without memory, or when the
 * limit is reached. */
static bool
path_is_signed(struct path_search *s, const struct flow__signature *signature,
               const struct flow__cert *signer)
{
    const unsigned cost = path_cost_of(signer);
    enum flow_status st;

    for (unsigned i = 0; i < s->known_count; i++)
        if (s->known[i].signature == signature &&
            flow__span_equal(s->known[i].key, signer->spki))
            return s->known[i].right;
    if (cost > PATH_COST_MAX - s->cost) {
        s->worked_out = true;
        return false;
    }
    s->cost += cost;
    st = s->policy->crypto->check_signature(signer->spki, signature);
    if (st == FLOW_E_NOMEM)
        s->no_memory = true;
    s->known[s->known_count].signature = signature;
    s->known[s->known_count].key = signer->spki;
    s->known[s->known_count].right = st == FLOW_OK;
    s->known_count++;
    return st == FLOW_OK;
}

/* Whether a list is its issuer's, with the issuer's key. */
static bool
path_is_list_of(struct path_search *s, const struct flow__crl *crl,
                const struct flow__cert *cert, const struct flow__cert *issuer)
{
    if (crl->issuer_hash != cert->issuer_hash ||
        !flow__dn_equal(crl->issuer, cert->issuer))
        return false;
    if (crl->signature.kind == FLOW__SIGN_UNKNOWN ||
        crl->signature.hash_bits < s->policy->hash_min)
        return false;
    if (issuer->has_usage && (issuer->usage & FLOW__USAGE_CRL_SIGN) == 0)
        return false;
    return path_is_signed(s, &crl->signature, issuer);
}

static bool
path_is_list_valid(const struct path_search *s, const struct flow__crl *crl)
{
    return !s->question->has_time || (crl->this_update <= s->question->time &&
                                      s->question->time <= crl->next_update);
}

/* Whether any list, by whomever it is signed, names the issuer. */
static bool
path_has_list(const struct path_search *s, const struct flow__cert *cert)
{
    for (size_t i = 0; i < s->policy->crl_count; i++)
        if (s->policy->crls[i].issuer_hash == cert->issuer_hash &&
            flow__dn_equal(s->policy->crls[i].issuer, cert->issuer))
            return true;
    return false;
}

/* A list that is out of date still says what it has revoked. */
static uint32_t
path_check_revocation(struct path_search *s, const struct flow__cert *cert,
                      const struct flow__cert *issuer)
{
    bool valid = false;

    if (!s->policy->require_crl && !path_has_list(s, cert))
        return 0;
    for (size_t i = 0; i < s->policy->crl_count; i++) {
        const struct flow__crl *crl = &s->policy->crls[i];

        if (!path_is_list_of(s, crl, cert, issuer))
            continue;
        if (flow__crl_has(crl, cert->serial))
            return PATH_BIT(REVOKED);
        valid = valid || path_is_list_valid(s, crl);
    }
    return valid ? 0 : PATH_BIT(REVOCATION);
}

/* Signatures from the trusted certificate down, and revocation.  A signature
 * that is too weak to be counted is not checked. */
static void
path_check_signed(struct path_search *s, struct path_result *r)
{
    for (size_t i = r->len - 1; i-- > 0;) {
        const struct flow__cert *cert = r->path[i], *issuer = r->path[i + 1];

        if (cert->signature.kind == FLOW__SIGN_UNKNOWN ||
            cert->signature.hash_bits < s->policy->hash_min)
            continue;
        if (!path_is_signed(s, &cert->signature, issuer)) {
            path_fail(r, PATH_BIT(SIGNATURE), i);
            r->rank = PATH_FORGED;
            return;
        }
        path_fail(r, path_check_revocation(s, cert, issuer), i);
    }
}

static void
path_check_pins(struct path_search *s, struct path_result *r)
{
    uint8_t key[FLOW__PIN_LEN];

    if (s->policy->pin_count == 0)
        return;
    for (size_t i = 0; i < r->len; i++) {
        if (s->policy->crypto->fingerprint(r->path[i]->spki, key) != FLOW_OK) {
            s->no_memory = true;
            return;
        }
        for (size_t p = 0; p < s->policy->pin_count; p++)
            if (memcmp(key, s->policy->pins[p], sizeof(key)) == 0)
                return;
    }
    path_fail(r, PATH_BIT(PIN), 0);
}

/* The checks that need no signature, on the path as it is.  complete: its last
 * certificate is trusted. */
static void
path_check(struct path_search *s, struct path_result *r, bool complete)
{
    struct flow__san match;
    size_t depth;

    memcpy(r->path, s->path, sizeof(r->path));
    r->len = s->len;
    r->failed = 0;
    r->rank = complete ? PATH_SIGNED : PATH_OPEN;
    for (size_t i = 0; i < r->len; i++)
        path_fail(r,
                  flow__path_check_cert(s->policy, s->question, r->path[i], i,
                                        complete && i + 1 == r->len),
                  i);
    for (size_t i = 1; i < r->len; i++) {
        uint32_t failed =
            flow__path_check_below(r->path, i, &s->comparisons, &depth);

        path_fail(r, failed, depth);
        s->worked_out = s->worked_out || (failed & PATH_BIT(WORK)) != 0;
    }
    if (s->question->name != NULL)
        path_fail(
            r, flow__path_check_name(r->path[0], s->question->name, &match), 0);
}

/* The bit of the most serious check. */
static uint32_t
path_worst(uint32_t failed)
{
    return failed & (~failed + 1);
}

static unsigned
path_count_bits(uint32_t failed)
{
    unsigned count = 0;

    for (; failed != 0; failed &= failed - 1)
        count++;
    return count;
}

static void
path_keep_better(struct path_search *s, const struct path_result *r)
{
    const struct path_result *best = &s->best;
    bool better;

    if (r->rank != best->rank)
        better = r->rank > best->rank;
    else if (path_worst(r->failed) != path_worst(best->failed))
        better = path_worst(r->failed) > path_worst(best->failed);
    else
        better = path_count_bits(r->failed) < path_count_bits(best->failed);
    if (better)
        s->best = *r;
}

/* The path has reached a trusted certificate.  True: it passes. */
static bool
path_finish(struct path_search *s)
{
    struct path_result r;

    path_check(s, &r, true);
    if (r.failed != 0 && !s->reporting)
        return false;
    path_check_signed(s, &r);
    path_check_pins(s, &r);
    if (s->reporting) {
        path_keep_better(s, &r);
        return false;
    }
    if (r.failed != 0 || s->no_memory || s->worked_out)
        return false;
    s->best = r;
    return true;
}

/* The path ends before it reaches a trusted certificate. */
static void
path_give_up(struct path_search *s, uint32_t failed)
{
    struct path_result r;

    if (!s->reporting)
        return;
    path_check(s, &r, false);
    path_fail(&r, failed, s->len - 1);
    /* The longest shows best what is missing. */
    if (s->best.rank == PATH_OPEN && r.len > s->best.len)
        s->best = r;
    else if (s->best.rank != PATH_OPEN || r.len == s->best.len)
        path_keep_better(s, &r);
}

static bool
path_has(const struct path_search *s, const struct flow__cert *cert)
{
    for (size_t i = 0; i < s->len; i++)
        if (s->path[i] == cert || flow__span_equal(s->path[i]->der, cert->der))
            return true;
    return false;
}

static bool
path_may_issue(const struct path_search *s, const struct flow__cert *issuer)
{
    const struct flow__cert *cert = s->path[s->len - 1];

    return issuer->subject_hash == cert->issuer_hash &&
           flow__dn_equal(issuer->subject, cert->issuer) &&
           !path_has(s, issuer);
}

/* RFC 5280 4.2.1.1: a hint for which of several to try first. */
static bool
path_is_likely(const struct path_search *s, const struct flow__cert *issuer)
{
    const struct flow__cert *cert = s->path[s->len - 1];

    return cert->issuer_key_id.len == 0 || issuer->key_id.len == 0 ||
           flow__span_equal(cert->issuer_key_id, issuer->key_id);
}

/* Whether the first search has a use for a certificate at the path's end. */
static bool
path_is_worth(const struct path_search *s, const struct flow__cert *cert,
              bool anchor)
{
    return s->reporting || flow__path_check_cert(s->policy, s->question, cert,
                                                 s->len, anchor) == 0;
}

static bool
path_step(struct path_search *s)
{
    if (s->steps == 0 || s->no_memory) {
        s->worked_out = true;
        return false;
    }
    s->steps--;
    return true;
}

static bool path_extend(struct path_search *s);

/* Add a certificate to the path, and go on from there. */
static bool
path_try(struct path_search *s, const struct flow__cert *cert, bool anchor)
{
    bool found;

    if (!path_is_worth(s, cert, anchor) || !path_step(s))
        return false;
    s->path[s->len++] = cert;
    found = anchor ? path_finish(s) : path_extend(s);
    s->len--;
    return found;
}

/* Extend the path by each certificate that may have issued its last one. */
static bool
path_extend(struct path_search *s)
{
    const struct flow__path_policy *policy = s->policy;
    bool tried = false;

    if (s->len == FLOW_TLS_PATH_MAX) {
        path_give_up(s, PATH_BIT(LENGTH));
        return false;
    }
    for (int likely = 1; likely >= 0; likely--) {
        for (size_t i = 0; i < policy->anchor_count; i++) {
            const struct flow__cert *anchor = &policy->anchors[i];

            if (!path_may_issue(s, anchor) ||
                path_is_likely(s, anchor) != (likely == 1))
                continue;
            tried = true;
            if (path_try(s, anchor, true))
                return true;
        }
        for (size_t i = 1; i < s->question->cert_count; i++) {
            const struct flow__cert *cert = &s->certs[i];

            if (s->is_copy[i] || !path_may_issue(s, cert) ||
                path_is_likely(s, cert) != (likely == 1))
                continue;
            tried = true;
            if (path_try(s, cert, false))
                return true;
        }
    }
    if (!tried)
        path_give_up(s, PATH_BIT(TRUST));
    return false;
}

static const struct flow__cert *
path_find_anchor(const struct flow__path_policy *policy, struct flow__span der)
{
    for (size_t i = 0; i < policy->anchor_count; i++)
        if (flow__span_equal(policy->anchors[i].der, der))
            return &policy->anchors[i];
    return NULL;
}

/* One search.  True: s->best passes every check. */
static bool
path_search(struct path_search *s, bool reporting)
{
    s->reporting = reporting;
    s->steps = PATH_STEPS_MAX;
    s->path[0] = &s->certs[0];
    s->len = 1;
    if (path_find_anchor(s->policy, s->certs[0].der) != NULL)
        return path_finish(s);
    return path_extend(s);
}

/* Read the certificates; a bit for the check that fails. */
static uint32_t
path_read(struct path_search *s, size_t *ret_depth)
{
    const struct flow__path_question *q = s->question;

    *ret_depth = 0;
    if (q->cert_count == 0)
        return PATH_BIT(MISSING);
    if (q->cert_count > FLOW__PATH_CERTS)
        return PATH_BIT(COUNT);
    for (size_t i = 0; i < q->cert_count; i++) {
        *ret_depth = i;
        if (!flow__cert_read(q->certs[i], &s->certs[i]))
            return PATH_BIT(MALFORMED);
        if (s->certs[i].rsa_bits > PATH_RSA_MODULUS_MAX)
            return PATH_BIT(MODULUS);
        if (s->certs[i].exponent_bits > PATH_RSA_EXPONENT_MAX)
            return PATH_BIT(EXPONENT);
        s->is_copy[i] = path_find_anchor(s->policy, q->certs[i]) != NULL;
        for (size_t j = 0; j < i && !s->is_copy[i]; j++)
            s->is_copy[i] = flow__span_equal(q->certs[i], q->certs[j]);
    }
    return 0;
}

static void
path_report_match(const struct path_search *s, struct flow_tls_verdict *ret)
{
    struct flow__san match;

    if (s->question->name == NULL ||
        flow__path_check_name(s->best.path[0], s->question->name, &match) != 0)
        return;
    if (match.kind == FLOW__SAN_DNS && match.len < sizeof(ret->matched_name))
        memcpy(ret->matched_name, match.base, match.len);
}

static void
path_report(const struct path_search *s, struct flow_tls_verdict *ret)
{
    const struct path_result *r = &s->best;

    flow__verdict_set(ret, r->failed);
    ret->depth = r->failed != 0 ? r->depth[ret->check] : 0;
    for (size_t i = 0; i < r->len; i++) {
        ret->path[i].base = r->path[i]->der.base;
        ret->path[i].len = r->path[i]->der.len;
    }
    ret->path_len = r->len;
    (void)flow__dn_text(r->path[ret->depth]->subject, ret->subject,
                        sizeof(ret->subject));
    path_report_match(s, ret);
}

/* No path was looked for: the certificate at depth cannot be used. */
static void
path_report_unread(const struct path_search *s, uint32_t failed, size_t depth,
                   struct flow_tls_verdict *ret)
{
    flow__verdict_set(ret, failed);
    ret->depth = (unsigned)depth;
    if ((failed & (PATH_BIT(MODULUS) | PATH_BIT(EXPONENT))) != 0)
        (void)flow__dn_text(s->certs[depth].subject, ret->subject,
                            sizeof(ret->subject));
}

static enum flow_status
path_run(struct path_search *s, struct flow_tls_verdict *ret)
{
    static const struct flow_tls_verdict none;
    size_t depth;
    uint32_t failed = path_read(s, &depth);
    bool found, worked_out;

    if (failed != 0) {
        *ret = none;
        path_report_unread(s, failed, depth, ret);
        return FLOW_E_AUTH;
    }
    found = path_search(s, false);
    worked_out = s->worked_out;
    if (!found && !s->no_memory)
        (void)path_search(s, true);
    if (s->no_memory)
        return FLOW_E_NOMEM;
    if (worked_out)
        path_fail(&s->best, PATH_BIT(WORK), 0);
    *ret = none;
    path_report(s, ret);
    ret->signatures = s->known_count;
    return found ? FLOW_OK : FLOW_E_AUTH;
}

/* See tls/path.h. */
enum flow_status
flow__path_verify(const struct flow_env *env,
                  const struct flow__path_policy *policy,
                  const struct flow__path_question *question,
                  struct flow_tls_verdict *ret)
{
    struct path_search *s = flow_env_alloc(env, sizeof(*s));
    enum flow_status st;

    if (s == NULL)
        return FLOW_E_NOMEM;
    s->policy = policy;
    s->question = question;
    s->comparisons = PATH_COMPARISONS_MAX;
    st = path_run(s, ret);
    flow_env_free(env, s, sizeof(*s));
    return st;
}
