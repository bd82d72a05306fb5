/* SPDX-License-Identifier: ISC */
#include "tls/path.h"

#include "tls/constraint.h"

#define PATH_CHECK_BIT(check) (1u << FLOW_TLS_CHECK_##check)

static uint32_t
path_check_time(const struct flow__path_question *question,
                const struct flow__cert *cert)
{
    if (!question->has_time)
        return 0;
    if (question->time > cert->not_after)
        return PATH_CHECK_BIT(EXPIRED);
    return question->time < cert->not_before ? PATH_CHECK_BIT(FUTURE) : 0;
}

static uint32_t
path_check_key(const struct flow__path_policy *policy,
               const struct flow__cert *cert)
{
    static const unsigned curve[] = {
        [FLOW__KEY_P256] = 256, [FLOW__KEY_P384] = 384, [FLOW__KEY_P521] = 521
    };
    bool strong;

    if (cert->key == FLOW__KEY_OTHER)
        return PATH_CHECK_BIT(KEY);
    strong = cert->key == FLOW__KEY_RSA ? cert->rsa_bits >= policy->rsa_min
                                        : curve[cert->key] >= policy->ec_min;
    return strong ? 0 : PATH_CHECK_BIT(KEY);
}

/* RFC 5280 4.2.1.3 and 4.2.1.9.  A trusted certificate of a version without
 * extensions cannot say that it is an authority's. */
static uint32_t
path_check_authority(const struct flow__cert *cert, bool anchor)
{
    bool is_ca = cert->is_ca || (anchor && cert->version < 3);
    bool signs = !cert->has_usage || (cert->usage & FLOW__USAGE_CERT_SIGN) != 0;

    return is_ca && signs ? 0 : PATH_CHECK_BIT(AUTHORITY);
}

/* RFC 8446 4.4.2.2, RFC 8422 2: with every suite of ours the key signs. */
static uint32_t
path_check_usage(const struct flow__cert *cert)
{
    return cert->has_usage && (cert->usage & FLOW__USAGE_DIGITAL_SIGNATURE) == 0
               ? PATH_CHECK_BIT(USAGE)
               : 0;
}

/* See tls/path.h. */
uint32_t
flow__path_check_cert(const struct flow__path_policy *policy,
                      const struct flow__path_question *question,
                      const struct flow__cert *cert, size_t depth, bool anchor)
{
    uint32_t failed = path_check_time(question, cert) |
                      path_check_key(policy, cert) |
                      (depth > 0 ? path_check_authority(cert, anchor)
                                 : path_check_usage(cert));

    if (cert->has_purposes &&
        (cert->purposes & (question->purpose | FLOW__PURPOSE_ANY)) == 0)
        failed |= PATH_CHECK_BIT(PURPOSE);
    if (cert->has_unknown_critical)
        failed |= PATH_CHECK_BIT(CRITICAL);
    if (!anchor && (cert->signature.kind == FLOW__SIGN_UNKNOWN ||
                    cert->signature.hash_bits < policy->hash_min))
        failed |= PATH_CHECK_BIT(HASH);
    return failed;
}

/* RFC 5280 6.1.4 (l) and (m): certificates between, without those that an
 * authority has issued to itself. */
static bool
path_check_length(const struct flow__cert *const *path, size_t i)
{
    uint32_t between = 0;

    if (!path[i]->has_path_len)
        return true;
    for (size_t j = 1; j < i; j++)
        between += flow__cert_is_self_issued(path[j]) ? 0 : 1;
    return between <= path[i]->path_len;
}

/* See tls/path.h.  RFC 5280 6.1.3 (b) and (c): a certificate between that an
 * authority has issued to itself is not subject to its name constraints. */
uint32_t
flow__path_check_below(const struct flow__cert *const *path, size_t i,
                       uint32_t *comparisons, size_t *ret_depth)
{
    static const uint32_t bits[] = {
        [FLOW__CONSTRAINT_MET] = 0,
        [FLOW__CONSTRAINT_VIOLATED] = PATH_CHECK_BIT(CONSTRAINT),
        [FLOW__CONSTRAINT_UNSUPPORTED] = PATH_CHECK_BIT(UNSUPPORTED),
        [FLOW__CONSTRAINT_TOO_MANY] = PATH_CHECK_BIT(WORK),
    };

    *ret_depth = i;
    if (!path_check_length(path, i))
        return PATH_CHECK_BIT(PATH_LENGTH);
    for (size_t j = i; j-- > 0;) {
        uint32_t failed;

        if (j > 0 && flow__cert_is_self_issued(path[j]))
            continue;
        failed = bits[flow__constraint_check(path[i], path[j], comparisons)];
        if (failed != 0) {
            *ret_depth = j;
            return failed;
        }
    }
    return 0;
}

/* See tls/path.h. */
uint32_t
flow__path_check_name(const struct flow__cert *cert,
                      const struct flow__name *name,
                      struct flow__san *ret_match)
{
    struct flow__span names = cert->names, value;
    unsigned choice;

    while (names.len > 0 && flow__cert_take_name(&names, &choice, &value)) {
        ret_match->kind = choice == FLOW__GENERAL_DNS  ? FLOW__SAN_DNS
                          : choice == FLOW__GENERAL_IP ? FLOW__SAN_IP
                                                       : FLOW__SAN_OTHER;
        ret_match->base = value.base;
        ret_match->len = value.len;
        if (flow__name_verify(name, ret_match, 1, NULL))
            return 0;
    }
    return PATH_CHECK_BIT(NAME);
}
