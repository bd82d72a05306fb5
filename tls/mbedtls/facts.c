/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <mbedtls/asn1.h>
#include <psa/crypto.h>

#include "tls/mbedtls/mbed.h"

/* What certificates say: kind of key, names, validity, signatures. */

/* RFC 5280 4.2.1.6: GeneralName choice [2], dNSName. */
#define FACTS_SAN_DNS_NAME (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2)

/* Days since 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t
facts_days_since_epoch(int64_t y, int64_t m, int64_t d)
{
    int64_t era, year_of_era, day_of_year;

    y -= m <= 2 ? 1 : 0;
    era = (y >= 0 ? y : y - 399) / 400;
    year_of_era = y - era * 400;
    day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 -
           year_of_era / 100 + day_of_year - 719468;
}

static int64_t
facts_seconds_of(const mbedtls_x509_time *t)
{
    return facts_days_since_epoch(t->year, t->mon, t->day) * 86400 +
           (int64_t)t->hour * 3600 + (int64_t)t->min * 60 + t->sec;
}

uint32_t
flow__mbed_validity(const struct flow_env *env, const mbedtls_x509_crt *cert)
{
    int64_t now = env->wall(env->ctx);

    if (now == -1)
        return 0;
    if (now > facts_seconds_of(&cert->valid_to))
        return FLOW_VERIFY_EXPIRED;
    if (now < facts_seconds_of(&cert->valid_from))
        return FLOW_VERIFY_FUTURE;
    return 0;
}

/* See tls/mbedtls/mbed.h. */
enum flow__key_type
flow__mbed_key_type(const mbedtls_pk_context *pk)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_type_t type;

    /* The public part suffices, and a certificate has no other. */
    if (mbedtls_pk_get_psa_attributes(pk, PSA_KEY_USAGE_VERIFY_HASH,
                                      &attributes) != 0)
        return FLOW__KEY_OTHER;
    type = psa_get_key_type(&attributes);
    if (PSA_KEY_TYPE_IS_RSA(type))
        return FLOW__KEY_RSA;
    /* Check the family and not the size alone: a system's build may have other
     * curves of 256 bits, for which TLS has no signature scheme. */
    if (type != PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1))
        return FLOW__KEY_OTHER;
    switch (psa_get_key_bits(&attributes)) {
    case 256:
        return FLOW__KEY_P256;
    case 384:
        return FLOW__KEY_P384;
    case 521:
        return FLOW__KEY_P521;
    default:
        return FLOW__KEY_OTHER;
    }
}

/* See tls/engine.h. */
enum flow__key_type
flow__keypair_type(const struct flow__keypair *pair)
{
    return pair->type;
}

/* See tls/engine.h. */
bool
flow__keypair_name(const struct flow__keypair *pair, size_t i,
                   const uint8_t **ret_name, size_t *ret_len)
{
    const mbedtls_x509_sequence *san = &pair->chain.subject_alt_names;

    for (; san != NULL; san = san->next) {
        if (san->buf.tag != FACTS_SAN_DNS_NAME || san->buf.p == NULL)
            continue;
        if (i == 0) {
            *ret_name = san->buf.p;
            *ret_len = san->buf.len;
            return true;
        }
        i--;
    }
    return false;
}

/* See tls/engine.h. */
bool
flow__keypair_issuer(const struct flow__keypair *pair, size_t i,
                     struct flow__span *ret_issuer)
{
    const mbedtls_x509_crt *c = &pair->chain;
    struct flow__span whole;

    for (; c != NULL && i > 0; c = c->next)
        i--;
    if (c == NULL)
        return false;
    whole.base = c->issuer_raw.p;
    whole.len = c->issuer_raw.len;
    return flow__der_take(&whole, FLOW__DER_SEQUENCE, ret_issuer);
}

/* See tls/engine.h. */
void
flow__keypair_validity(const struct flow__keypair *pair,
                       int64_t *ret_not_before, int64_t *ret_not_after)
{
    *ret_not_before = facts_seconds_of(&pair->chain.valid_from);
    *ret_not_after = facts_seconds_of(&pair->chain.valid_to);
}

/* Algorithms of signatures (RFC 5758 3.2, RFC 4055 5), which name no curve: a
 * client that lists a scheme of TLS 1.3 can verify the hash of that scheme. */
static uint16_t
facts_scheme_of(const mbedtls_x509_crt *cert)
{
    static const struct {
        const char *oid;
        uint16_t scheme;
    } schemes[] = {
        { "\x2a\x86\x48\xce\x3d\x04\x03\x02",
          FLOW__SIGN_ECDSA_SECP256R1_SHA256 },
        { "\x2a\x86\x48\xce\x3d\x04\x03\x03",
          FLOW__SIGN_ECDSA_SECP384R1_SHA384 },
        { "\x2a\x86\x48\xce\x3d\x04\x03\x04",
          FLOW__SIGN_ECDSA_SECP521R1_SHA512 },
        { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", FLOW__SIGN_RSA_PKCS1_SHA256 },
        { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", FLOW__SIGN_RSA_PKCS1_SHA384 },
        { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", FLOW__SIGN_RSA_PKCS1_SHA512 },
    };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (cert->sig_oid.len == strlen(schemes[i].oid) &&
            memcmp(cert->sig_oid.p, schemes[i].oid, cert->sig_oid.len) == 0)
            return schemes[i].scheme;
    return 0;
}

/* See tls/engine.h. */
struct flow__span
flow__keypair_leaf(const struct flow__keypair *pair)
{
    const struct flow__span leaf = { pair->chain.raw.p, pair->chain.raw.len };

    return leaf;
}

/* See tls/engine.h. */
size_t
flow__keypair_schemes(const struct flow__keypair *pair, uint16_t *ret,
                      size_t cap)
{
    size_t count = 0;

    for (const mbedtls_x509_crt *c = &pair->chain; c != NULL && count < cap;
         c = c->next) {
        bool is_root =
            c->issuer_raw.len == c->subject_raw.len &&
            memcmp(c->issuer_raw.p, c->subject_raw.p, c->issuer_raw.len) == 0;
        uint16_t scheme = is_root ? 0 : facts_scheme_of(c);

        if (scheme != 0)
            ret[count++] = scheme;
    }
    return count;
}
