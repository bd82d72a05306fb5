/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/sni.h"
#include "tls/suite.h"

/* What a client can use: versions, keys, and signatures of chains. */

/* Signature schemes (RFC 8446 4.2.3) with which a type of key can sign, ended
 * by 0.  In TLS 1.2 the second byte names only the kind of key (RFC 5246
 * 7.4.1.4.1), so any curve signs with any hash, and with RSA keys the engine
 * signs PKCS#1. */
static const uint16_t narrow_p256_13[] = { FLOW__SIGN_ECDSA_SECP256R1_SHA256,
                                           0 };
static const uint16_t narrow_p384_13[] = { FLOW__SIGN_ECDSA_SECP384R1_SHA384,
                                           0 };
static const uint16_t narrow_p521_13[] = { FLOW__SIGN_ECDSA_SECP521R1_SHA512,
                                           0 };
static const uint16_t narrow_rsa_13[] = { FLOW__SIGN_RSA_PSS_RSAE_SHA256,
                                          FLOW__SIGN_RSA_PSS_RSAE_SHA384,
                                          FLOW__SIGN_RSA_PSS_RSAE_SHA512, 0 };
static const uint16_t narrow_ecdsa_12[] = { FLOW__SIGN_ECDSA_SECP256R1_SHA256,
                                            FLOW__SIGN_ECDSA_SECP384R1_SHA384,
                                            FLOW__SIGN_ECDSA_SECP521R1_SHA512,
                                            0 };
static const uint16_t narrow_rsa_12[] = { FLOW__SIGN_RSA_PKCS1_SHA256,
                                          FLOW__SIGN_RSA_PKCS1_SHA384,
                                          FLOW__SIGN_RSA_PKCS1_SHA512, 0 };

static const struct {
    const uint16_t *schemes13;
    const uint16_t *schemes12;
    enum flow__suite_auth auth;
    uint16_t group; /* its curve, 0: none */
} narrow_keys[] = {
    [FLOW__KEY_P256] = { narrow_p256_13, narrow_ecdsa_12, FLOW__AUTH_ECDSA,
                         FLOW_TLS_GROUP_P256 },
    [FLOW__KEY_P384] = { narrow_p384_13, narrow_ecdsa_12, FLOW__AUTH_ECDSA,
                         FLOW_TLS_GROUP_P384 },
    [FLOW__KEY_P521] = { narrow_p521_13, narrow_ecdsa_12, FLOW__AUTH_ECDSA,
                         FLOW_TLS_GROUP_P521 },
    [FLOW__KEY_RSA] = { narrow_rsa_13, narrow_rsa_12, FLOW__AUTH_RSA, 0 },
};

static bool
narrow_has(struct flow_tls_sni_list list, uint16_t value)
{
    const struct flow__span span = { list.base, list.len };

    return flow__span_has_u16(span, value);
}

static bool
narrow_has_any(struct flow_tls_sni_list list, const uint16_t *values)
{
    for (; *values != 0; values++)
        if (narrow_has(list, *values))
            return true;
    return false;
}

/* See tls/sni.h. */
uint16_t
flow__sni_version(uint16_t min, uint16_t max, struct flow_tls_sni_list versions,
                  uint16_t legacy_version)
{
    for (uint16_t v = max; v >= min; v--)
        if (versions.base != NULL
                ? narrow_has(versions, v)
                : v == FLOW_TLS_1_2 && legacy_version >= FLOW_TLS_1_2)
            return v;
    return 0;
}

/* See tls/sni.h. */
uint16_t
flow__sni_entry_version(const struct flow__sni_entry *entry,
                        const struct flow_tls_sni_client *client,
                        const struct flow_tls_sni_terms *terms)
{
    uint16_t min = (uint16_t)terms->min_version;
    uint16_t max = (uint16_t)terms->max_version;

    if (entry->min_version > min)
        min = entry->min_version;
    if (entry->max_version != 0 && entry->max_version < max)
        max = entry->max_version;
    return flow__sni_version(min, max, client->versions,
                             client->legacy_version);
}

/* See tls/sni.h. */
bool
flow__sni_has_required(const struct flow__sni_entry *entry,
                       const struct flow_tls_sni_client *client)
{
    struct flow__span list = { client->alpn.base, client->alpn.len };
    struct flow__span name;
    bool has_it = false, has_other = false;

    if (!entry->requires_alpn)
        return true;
    while (flow__hello_next_alpn(&list, &name)) {
        bool is_it = name.len == strlen(entry->alpn[0]) &&
                     memcmp(name.base, entry->alpn[0], name.len) == 0;

        has_it = has_it || is_it;
        has_other = has_other || !is_it;
    }
    /* RFC 8737 3: acme-tls/1 is the only one that a validator offers. */
    return has_it && !(has_other && strcmp(entry->alpn[0], "acme-tls/1") == 0);
}

static bool
narrow_is_allowed(const struct flow_tls_sni_terms *terms, uint16_t suite)
{
    if (terms->suites == NULL)
        return true;
    for (size_t i = 0; i < terms->suite_count; i++)
        if (terms->suites[i] == suite)
            return true;
    return false;
}

/* Whether both sides have a TLS 1.2 suite for this kind of key. */
static bool
narrow_has_suite12(enum flow__suite_auth auth,
                   const struct flow_tls_sni_client *client,
                   const struct flow_tls_sni_terms *terms)
{
    const struct flow__suite *suite;

    for (size_t i = 0; (suite = flow__suite_at(i)) != NULL; i++)
        if (suite->version == FLOW_TLS_1_2 && suite->auth == auth &&
            narrow_is_allowed(terms, suite->id) &&
            narrow_has(client->suites, suite->id))
            return true;
    return false;
}

/* See tls/sni.h. */
enum flow_tls_sni_reason
flow__sni_narrow(enum flow__key_type key, uint16_t version,
                 const struct flow_tls_sni_client *client,
                 const struct flow_tls_sni_terms *terms)
{
    uint16_t group = narrow_keys[key].group;

    if (version == 0)
        return FLOW_TLS_SNI_NO_VERSION;
    /* Without the extension, TLS 1.2 means SHA-1, with which we never sign. */
    if (!narrow_has_any(client->sigalgs, version == FLOW_TLS_1_3
                                             ? narrow_keys[key].schemes13
                                             : narrow_keys[key].schemes12))
        return FLOW_TLS_SNI_NO_SIGALG;
    if (version == FLOW_TLS_1_3)
        return FLOW_TLS_SNI_CHOSEN;
    if (!narrow_has_suite12(narrow_keys[key].auth, client, terms))
        return FLOW_TLS_SNI_NO_SUITE;
    /* RFC 8422 5.1: the curve of the key must be among the client's. */
    return group == 0 || client->groups.base == NULL ||
                   narrow_has(client->groups, group)
               ? FLOW_TLS_SNI_CHOSEN
               : FLOW_TLS_SNI_NO_GROUP;
}

/* See tls/sni.h.  RFC 8446 4.2.3: without signature_algorithms_cert,
 * signature_algorithms is for chains too. */
bool
flow__sni_chain_suits(const struct flow__sni_identity *identity,
                      const struct flow_tls_sni_client *client)
{
    struct flow_tls_sni_list list = client->sigalgs_cert.base != NULL
                                        ? client->sigalgs_cert
                                        : client->sigalgs;

    for (size_t i = 0; i < identity->scheme_count; i++)
        if (!narrow_has(list, identity->scheme[i]))
            return false;
    return true;
}

/* See tls/sni.h. */
bool
flow__sni_is_outside(const struct flow__sni_identity *identity, int64_t now)
{
    if (now == -1 || (identity->not_before == 0 && identity->not_after == 0))
        return false;
    return now < identity->not_before || now > identity->not_after;
}
