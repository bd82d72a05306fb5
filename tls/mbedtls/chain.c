/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/chain.h"

#include <mbedtls/asn1.h>

#include <flow/tls.h>

#include "tls/alert.h"
#include "tls/hello.h"

/* Most certificates in a chain; a message has room for more. */
#define CHAIN_MAX 24

#define CHAIN_RSA_MODULUS_MAX  (8192 / 8)
#define CHAIN_RSA_EXPONENT_MAX (32 / 8)

/*
 * The cost of a signature check by kind of key, in units of 0.6 ms (RSA with
 * 4096 bits and an exponent of 32 bits, on a slow machine), and the limit for
 * all checks of one message.
 */
#define CHAIN_COST_RSA_4096 1u
#define CHAIN_COST_RSA_8192 4u
#define CHAIN_COST_P256     2u
#define CHAIN_COST_P384     4u
#define CHAIN_COST_P521     6u
#define CHAIN_COST_MAX      32u

#define CHAIN_SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define CHAIN_SET      (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)
#define CHAIN_VERSION                                                          \
    (MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 0)

/* What is parsed of one certificate. */
struct chain_cert {
    bool is_reached;          /* it may have signed the leaf or its signers */
    struct flow__span issuer; /* RDNs in a row */
    struct flow__span subject;
    unsigned cost; /* of a signature check with its key */
};

/* Take the content of an element; false if it has another tag. */
static bool
chain_take(struct flow__span *in, int tag, struct flow__span *ret)
{
    unsigned char *p = (unsigned char *)(uintptr_t)in->base;
    unsigned char *end = p + in->len;
    size_t len;

    if (mbedtls_asn1_get_tag(&p, end, &len, tag) != 0)
        return false;
    ret->base = p;
    ret->len = len;
    in->base = p + len;
    in->len = (size_t)(end - p) - len;
    return true;
}

/* Skip an element with any tag. */
static bool
chain_skip(struct flow__span *in)
{
    struct flow__span content;

    return in->len > 0 && chain_take(in, in->base[0], &content);
}

/* Bytes of a number, without leading zeros. */
static size_t
chain_number_len(struct flow__span number)
{
    while (number.len > 0 && number.base[0] == 0) {
        number.base++;
        number.len--;
    }
    return number.len;
}

/* The cost of a key.  An RSA key is a SEQUENCE of two numbers, any other a
 * point. */
static bool
chain_read_key(struct flow__span bits, unsigned *ret_cost, const char **ret_why)
{
    struct flow__span key, modulus, exponent;

    /* The number of unused bits of a BIT STRING. */
    if (bits.len < 2)
        return false;
    bits.base++;
    bits.len--;
    if (bits.base[0] != CHAIN_SEQUENCE) {
        *ret_cost = bits.len <= 65   ? CHAIN_COST_P256
                    : bits.len <= 97 ? CHAIN_COST_P384
                                     : CHAIN_COST_P521;
        return true;
    }
    if (!chain_take(&bits, CHAIN_SEQUENCE, &key) ||
        !chain_take(&key, MBEDTLS_ASN1_INTEGER, &modulus) ||
        !chain_take(&key, MBEDTLS_ASN1_INTEGER, &exponent))
        return false;
    if (chain_number_len(modulus) > CHAIN_RSA_MODULUS_MAX)
        *ret_why =
            "peer certificate refused: an RSA key of more than 8192 bits";
    else if (chain_number_len(exponent) > CHAIN_RSA_EXPONENT_MAX)
        *ret_why =
            "peer certificate refused: an RSA exponent of more than 32 bits";
    *ret_cost = chain_number_len(modulus) <= CHAIN_RSA_MODULUS_MAX / 2
                    ? CHAIN_COST_RSA_4096
                    : CHAIN_COST_RSA_8192;
    return true;
}

/* RFC 5280 4.1 */
static bool
chain_read_cert(struct flow__span der, struct chain_cert *ret,
                const char **ret_why)
{
    struct flow__span cert, body, key, bits;

    ret->is_reached = false;
    if (!chain_take(&der, CHAIN_SEQUENCE, &cert) ||
        !chain_take(&cert, CHAIN_SEQUENCE, &body))
        return false;
    if (body.len > 0 && body.base[0] == CHAIN_VERSION && !chain_skip(&body))
        return false;
    /* Serial number and signature; validity. */
    return chain_skip(&body) && chain_skip(&body) &&
           chain_take(&body, CHAIN_SEQUENCE, &ret->issuer) &&
           chain_skip(&body) &&
           chain_take(&body, CHAIN_SEQUENCE, &ret->subject) &&
           chain_take(&body, CHAIN_SEQUENCE, &key) && chain_skip(&key) &&
           chain_take(&key, MBEDTLS_ASN1_BIT_STRING, &bits) &&
           chain_read_key(bits, &ret->cost, ret_why);
}

static int
chain_lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* The value of the next attribute of a name. */
static bool
chain_next_value(struct flow__span *set, struct flow__span *rdns,
                 struct flow__span *ret)
{
    struct flow__span pair;

    if (set->len == 0 && !chain_take(rdns, CHAIN_SET, set))
        return false;
    return chain_take(set, CHAIN_SEQUENCE, &pair) && chain_skip(&pair) &&
           pair.len > 0 && chain_take(&pair, pair.base[0], ret);
}

/* Whether mbedTLS could treat two names as equal: it ignores case, and the
 * difference between some types of strings.  Names that cannot be parsed count
 * as equal. */
static bool
chain_may_match(struct flow__span a, struct flow__span b)
{
    struct flow__span set_a = { NULL, 0 }, set_b = { NULL, 0 };
    struct flow__span value_a, value_b;

    while (chain_next_value(&set_a, &a, &value_a) &&
           chain_next_value(&set_b, &b, &value_b)) {
        if (value_a.len != value_b.len)
            return false;
        for (size_t i = 0; i < value_a.len; i++)
            if (chain_lower(value_a.base[i]) != chain_lower(value_b.base[i]))
                return false;
    }
    return true;
}

static enum flow_status
chain_refuse(struct flow_error *err, enum flow_status status, const char *text)
{
    (void)flow_error_set(err, status, "tls", FLOW_DOMAIN_NONE, 0, text);
    err->verify_flags = status == FLOW_E_AUTH ? FLOW_VERIFY_OTHER : 0;
    err->alert_sent = FLOW__ALERT_BAD_CERTIFICATE;
    return status;
}

static enum flow_status
chain_malformed(struct flow_error *err)
{
    return chain_refuse(err, FLOW_E_PROTO,
                        "the peer's certificate is not understood");
}

/* The cost of every check that mbedTLS might make: from the leaf on, of each
 * certificate with the key of each later one that has its issuer's name. */
static unsigned
chain_cost(struct chain_cert *certs, size_t count)
{
    unsigned cost = 0;

    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if ((i == 0 || certs[i].is_reached) &&
                chain_may_match(certs[i].issuer, certs[j].subject)) {
                certs[j].is_reached = true;
                cost += certs[j].cost;
            }
    return cost;
}

/* See tls/mbedtls/chain.h.  RFC 8446 4.4.2, RFC 5246 7.4.2; the lengths of the
 * message were checked. */
enum flow_status
flow__mbed_check_chain(const uint8_t *msg, size_t len, bool tls13,
                       struct flow_error *err)
{
    struct flow__span body = { msg + FLOW__HANDSHAKE_HEADER,
                               len - FLOW__HANDSHAKE_HEADER };
    struct flow__span list, der, other;
    struct chain_cert certs[CHAIN_MAX];
    const char *why = NULL;
    size_t count = 0;

    if ((tls13 && !flow__span_take_vec8(&body, &other)) ||
        !flow__span_take_vec24(&body, &list))
        return chain_malformed(err);
    for (; list.len > 0 && why == NULL; count++) {
        if (count == CHAIN_MAX)
            return chain_refuse(
                err, FLOW_E_AUTH,
                "peer certificate refused: too many certificates in the chain");
        if (!flow__span_take_vec24(&list, &der) ||
            !chain_read_cert(der, &certs[count], &why) ||
            (tls13 && !flow__span_take_vec16(&list, &other)))
            return chain_malformed(err);
    }
    if (why == NULL && chain_cost(certs, count) > CHAIN_COST_MAX)
        why =
            "peer certificate refused: checking its signatures would take too "
            "long";
    return why == NULL ? FLOW_OK : chain_refuse(err, FLOW_E_AUTH, why);
}
