/* SPDX-License-Identifier: ISC */
#include "tls/request.h"

#include <flow/tls_config.h>

#include "tls/checks.h"
#include "tls/dn.h"
#include "tls/wire.h"

/* ClientCertificateType, RFC 5246 7.4.4 and RFC 8422 5.5. */
#define REQUEST_TYPE_RSA_SIGN   1u
#define REQUEST_TYPE_ECDSA_SIGN 64u

struct request {
    const struct flow__suite *suite;
    struct flow__span types;   /* TLS 1.2 */
    struct flow__span schemes; /* two bytes each */
    struct flow__span names;   /* each after its length; empty: any */
};

/* RFC 5246 7.4.4. */
static bool
request_parse12(struct flow__span body, struct request *ret)
{
    return flow__span_take_vec8(&body, &ret->types) &&
           flow__span_take_numbers(&body, &ret->schemes) &&
           flow__span_take_vec16(&body, &ret->names);
}

/* RFC 8446 4.3.2. */
static bool
request_parse13(struct flow__span body, struct request *ret)
{
    struct flow__span context, list, item;
    uint16_t type;

    if (!flow__span_take_vec8(&body, &context) ||
        !flow__span_take_vec16(&body, &list))
        return false;
    while (flow__hello_next_extension(&list, &type, &item)) {
        if (type == FLOW__EXTENSION_SIGNATURE_ALGORITHMS &&
            !flow__span_take_numbers(&item, &ret->schemes))
            return false;
        if (type == FLOW__EXTENSION_CERTIFICATE_AUTHORITIES &&
            !flow__span_take_vec16(&item, &ret->names))
            return false;
    }
    return true;
}

static bool
request_has_type(const struct request *r, enum flow__key_type key)
{
    const uint8_t type =
        key == FLOW__KEY_RSA ? REQUEST_TYPE_RSA_SIGN : REQUEST_TYPE_ECDSA_SIGN;

    for (size_t i = 0; i < r->types.len; i++)
        if (r->types.base[i] == type)
            return true;
    return false;
}

static bool
request_accepts_key(const struct request *r, enum flow__key_type key)
{
    if (r->suite->version != FLOW_TLS_1_3)
        return request_has_type(r, key) &&
               flow__span_has_u16(r->schemes,
                                  flow__engine_scheme12(r->suite, key));
    for (size_t i = 0; i + 1 < r->schemes.len; i += 2)
        if (flow__check_scheme13(
                (uint16_t)(r->schemes.base[i] << 8 | r->schemes.base[i + 1]),
                key))
            return true;
    return false;
}

/* Whether the server named an authority.  One that is not well formed
 * matches no certificate. */
static bool
request_has_name(const struct request *r, struct flow__span issuer)
{
    struct flow__span names = r->names;
    struct flow__span item, name;

    while (flow__span_take_vec16(&names, &item))
        if (flow__der_take(&item, FLOW__DER_SEQUENCE, &name) && item.len == 0 &&
            flow__dn_is_valid(name) && flow__dn_equal(name, issuer))
            return true;
    return false;
}

static bool
request_accepts_issuer(const struct request *r,
                       const struct flow__keypair *pair)
{
    struct flow__span issuer;

    if (r->names.len == 0)
        return true;
    for (size_t i = 0; flow__keypair_issuer(pair, i, &issuer); i++)
        if (flow__dn_is_valid(issuer) && request_has_name(r, issuer))
            return true;
    return false;
}

/* See tls/request.h. */
struct flow__keypair *
flow__request_choose(const uint8_t *msg, size_t len,
                     const struct flow__suite *suite,
                     struct flow__keypair *const *pair, size_t count)
{
    struct request r = { .suite = suite };
    struct flow__span body;

    if (!flow__check_body(msg, len, &body) ||
        !(suite->version == FLOW_TLS_1_3 ? request_parse13(body, &r)
                                         : request_parse12(body, &r)))
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (request_accepts_key(&r, flow__keypair_type(pair[i])) &&
            request_accepts_issuer(&r, pair[i]))
            return pair[i];
    return NULL;
}
