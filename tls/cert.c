/* SPDX-License-Identifier: ISC */
#include "tls/cert.h"

#include "tls/dn.h"

/*
 * Reads a certificate from its outside in: its three parts, the fields of the
 * first, its extensions.  An extension that is not in the table is ignored,
 * unless it is critical.
 */

#define CERT_PKCS1(n) 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, (n)
#define CERT_ECDSA(n) 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, (n)
#define CERT_SHA2(n)  0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, (n)
#define CERT_ID_MAX   9

struct cert_id {
    uint8_t len;
    uint8_t bytes[CERT_ID_MAX];
};

static bool
cert_is(struct flow__span oid, const struct cert_id *id)
{
    return flow__span_is(oid, id->bytes, id->len);
}

/* An AlgorithmIdentifier: its identifier, and what follows it. */
static bool
cert_take_algorithm(struct flow__span *in, struct flow__span *ret_oid,
                    struct flow__span *ret_parameters)
{
    return flow__der_take(in, FLOW__DER_SEQUENCE, ret_parameters) &&
           flow__der_take(ret_parameters, FLOW__DER_OID, ret_oid);
}

/* RFC 5754 2; 0: not one of them. */
static uint16_t
cert_hash_bits(struct flow__span oid)
{
    static const struct {
        struct cert_id id;
        uint16_t bits;
    } known[] = {
        { { 9, { CERT_SHA2(1) } }, 256 },
        { { 9, { CERT_SHA2(2) } }, 384 },
        { { 9, { CERT_SHA2(3) } }, 512 },
        { { 9, { CERT_SHA2(4) } }, 224 },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (cert_is(oid, &known[i].id))
            return known[i].bits;
    return 0;
}

/* RFC 4055 3.1.  The mask is made with the same hash; other signatures are not
 * supported, nor is the default, which is SHA-1. */
static bool
cert_read_pss(struct flow__span parameters, struct flow__signature *ret)
{
    static const struct cert_id mgf1 = { 9, { CERT_PKCS1(8) } };
    struct flow__span all, field, oid, inner;
    uint32_t salt = 20;

    if (!flow__der_take(&parameters, FLOW__DER_SEQUENCE, &all) ||
        !flow__der_take(&all, FLOW__DER_WITHIN(0), &field) ||
        !cert_take_algorithm(&field, &oid, &inner))
        return false;
    ret->hash_bits = cert_hash_bits(oid);
    if (!flow__der_take(&all, FLOW__DER_WITHIN(1), &field) ||
        !cert_take_algorithm(&field, &oid, &inner) || !cert_is(oid, &mgf1) ||
        !cert_take_algorithm(&inner, &oid, &field) ||
        cert_hash_bits(oid) != ret->hash_bits)
        return false;
    if (flow__der_is_next(&all, FLOW__DER_WITHIN(2)) &&
        (!flow__der_take(&all, FLOW__DER_WITHIN(2), &field) ||
         !flow__der_take_number(&field, &salt) || salt > 512))
        return false;
    ret->salt_len = (uint16_t)salt;
    return all.len == 0 && ret->hash_bits != 0;
}

/* See tls/cert.h.  RFC 8017 A.2.4, RFC 5758 3.2. */
void
flow__cert_read_algorithm(struct flow__span algorithm,
                          struct flow__signature *ret)
{
    static const struct {
        enum flow__sign_kind kind;
        uint16_t hash_bits;
        struct cert_id id;
    } known[] = {
        { FLOW__SIGN_RSA_PKCS1, 128, { 9, { CERT_PKCS1(4) } } },
        { FLOW__SIGN_RSA_PKCS1, 160, { 9, { CERT_PKCS1(5) } } },
        { FLOW__SIGN_RSA_PKCS1, 224, { 9, { CERT_PKCS1(14) } } },
        { FLOW__SIGN_RSA_PKCS1, 256, { 9, { CERT_PKCS1(11) } } },
        { FLOW__SIGN_RSA_PKCS1, 384, { 9, { CERT_PKCS1(12) } } },
        { FLOW__SIGN_RSA_PKCS1, 512, { 9, { CERT_PKCS1(13) } } },
        { FLOW__SIGN_RSA_PSS, 0, { 9, { CERT_PKCS1(10) } } },
        { FLOW__SIGN_ECDSA,
          160,
          { 7, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1 } } },
        { FLOW__SIGN_ECDSA, 224, { 8, { CERT_ECDSA(1) } } },
        { FLOW__SIGN_ECDSA, 256, { 8, { CERT_ECDSA(2) } } },
        { FLOW__SIGN_ECDSA, 384, { 8, { CERT_ECDSA(3) } } },
        { FLOW__SIGN_ECDSA, 512, { 8, { CERT_ECDSA(4) } } },
    };
    struct flow__span oid, parameters;

    ret->kind = FLOW__SIGN_UNKNOWN;
    ret->hash_bits = 0;
    ret->salt_len = 0;
    if (!cert_take_algorithm(&algorithm, &oid, &parameters))
        return;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (cert_is(oid, &known[i].id)) {
            ret->kind = known[i].kind;
            ret->hash_bits = known[i].hash_bits;
        }
    if (ret->kind == FLOW__SIGN_RSA_PSS && !cert_read_pss(parameters, ret))
        ret->kind = FLOW__SIGN_UNKNOWN;
}

/* Bits of an INTEGER above 0; 0: it is not one. */
static unsigned
cert_take_bits(struct flow__span *in)
{
    struct flow__span number;
    unsigned bits;
    uint8_t first;

    if (!flow__der_take(in, FLOW__DER_INTEGER, &number))
        return 0;
    while (number.len > 0 && number.base[0] == 0) {
        number.base++;
        number.len--;
    }
    if (number.len == 0 || number.len > UINT16_MAX)
        return 0;
    bits = (unsigned)number.len * 8;
    for (first = number.base[0]; first < 0x80; first = (uint8_t)(first << 1))
        bits--;
    return bits;
}

/* The kind of key in a SubjectPublicKeyInfo: RFC 3279 2.3.1, RFC 5480 2. */
static bool
cert_read_key(struct flow__cert *c)
{
    static const struct cert_id rsa = { 9, { CERT_PKCS1(1) } };
    static const struct cert_id ec = { 7,
                                       { 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1 } };
    static const struct {
        enum flow__key_type key;
        struct cert_id id;
    } curves[] = {
        { FLOW__KEY_P256, { 8, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 } } },
        { FLOW__KEY_P384, { 5, { 0x2b, 0x81, 4, 0, 34 } } },
        { FLOW__KEY_P521, { 5, { 0x2b, 0x81, 4, 0, 35 } } },
    };
    struct flow__span whole = c->spki, info, oid, parameters, bits, curve;

    c->key = FLOW__KEY_OTHER;
    if (!flow__der_take(&whole, FLOW__DER_SEQUENCE, &info) ||
        !cert_take_algorithm(&info, &oid, &parameters) ||
        !flow__der_take_bytes(&info, &bits) || info.len > 0)
        return false;
    if (cert_is(oid, &rsa)) {
        if (!flow__der_take(&bits, FLOW__DER_SEQUENCE, &info))
            return false;
        c->key = FLOW__KEY_RSA;
        c->rsa_bits = cert_take_bits(&info);
        c->exponent_bits = cert_take_bits(&info);
        return c->rsa_bits > 0 && c->exponent_bits > 0;
    }
    if (cert_is(oid, &ec) && flow__der_take(&parameters, FLOW__DER_OID, &curve))
        for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
            if (cert_is(curve, &curves[i].id))
                c->key = curves[i].key;
    return true;
}

static bool
cert_read_constraints(struct flow__cert *c, struct flow__span value)
{
    struct flow__span content;

    if (!flow__der_take(&value, FLOW__DER_SEQUENCE, &content) ||
        value.len > 0 || !flow__der_take_flag(&content, &c->is_ca))
        return false;
    if (content.len == 0)
        return true;
    c->has_path_len = true;
    return flow__der_take_number(&content, &c->path_len) && content.len == 0;
}

static bool
cert_read_usage(struct flow__cert *c, struct flow__span value)
{
    struct flow__span bits;
    uint8_t unused;

    if (!flow__der_take(&value, FLOW__DER_BIT_STRING, &bits) || value.len > 0 ||
        !flow__span_take_u8(&bits, &unused) || unused > 7 ||
        (bits.len == 0 && unused > 0))
        return false;
    c->has_usage = true;
    /* Bit 0 is the highest of the first byte. */
    for (unsigned bit = 0; bit < 9; bit++)
        if (bit / 8 < bits.len &&
            (bits.base[bit / 8] & (0x80u >> bit % 8)) != 0)
            c->usage |= (uint16_t)(1u << bit);
    return true;
}

static bool
cert_read_purposes(struct flow__cert *c, struct flow__span value)
{
    static const struct {
        struct cert_id id;
        uint8_t purpose;
    } known[] = {
        { { 8, { 0x2b, 6, 1, 5, 5, 7, 3, 1 } }, FLOW__PURPOSE_SERVER },
        { { 8, { 0x2b, 6, 1, 5, 5, 7, 3, 2 } }, FLOW__PURPOSE_CLIENT },
        { { 4, { 0x55, 0x1d, 37, 0 } }, FLOW__PURPOSE_ANY },
    };
    struct flow__span list, oid;

    if (!flow__der_take(&value, FLOW__DER_SEQUENCE, &list) || value.len > 0 ||
        list.len == 0)
        return false;
    c->has_purposes = true;
    while (list.len > 0) {
        if (!flow__der_take(&list, FLOW__DER_OID, &oid))
            return false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (cert_is(oid, &known[i].id))
                c->purposes |= known[i].purpose;
    }
    return true;
}

/* See tls/cert.h. */
bool
flow__cert_take_name(struct flow__span *names, unsigned *ret_choice,
                     struct flow__span *ret)
{
    struct flow__span whole;
    uint8_t tag;

    if (!flow__der_take_any(names, &tag, ret) || tag < FLOW__DER_CONTEXT(0))
        return false;
    *ret_choice = tag & 0x1fu;
    if (tag == FLOW__DER_WITHIN(FLOW__GENERAL_DIRECTORY)) {
        whole = *ret;
        return flow__der_take(&whole, FLOW__DER_SEQUENCE, ret) &&
               whole.len == 0 && flow__dn_is_valid(*ret);
    }
    return tag == FLOW__DER_CONTEXT(1) || tag == FLOW__DER_CONTEXT(2) ||
           tag == FLOW__DER_CONTEXT(6) || tag == FLOW__DER_CONTEXT(7) ||
           tag == FLOW__DER_CONTEXT(8) || tag == FLOW__DER_WITHIN(0) ||
           tag == FLOW__DER_WITHIN(3) || tag == FLOW__DER_WITHIN(5);
}

/* RFC 5280 4.2.1.6 */
static bool
cert_read_names(struct flow__cert *c, struct flow__span value)
{
    struct flow__span names, name;
    unsigned choice;

    if (!flow__der_take(&value, FLOW__DER_SEQUENCE, &c->names) ||
        value.len > 0 || c->names.len == 0)
        return false;
    names = c->names;
    while (names.len > 0)
        if (!flow__cert_take_name(&names, &choice, &name) ||
            (choice == FLOW__GENERAL_IP && name.len != 4 && name.len != 16))
            return false;
    return true;
}

static bool
cert_read_subtrees(struct flow__span *in, uint8_t tag, struct flow__span *ret)
{
    return !flow__der_is_next(in, tag) ||
           (flow__der_take(in, tag, ret) && ret->len > 0);
}

/* RFC 5280 4.2.1.10; tls/constraint.c reads the subtrees. */
static bool
cert_read_name_constraints(struct flow__cert *c, struct flow__span value)
{
    struct flow__span content;

    return flow__der_take(&value, FLOW__DER_SEQUENCE, &content) &&
           value.len == 0 && content.len > 0 &&
           cert_read_subtrees(&content, FLOW__DER_WITHIN(0), &c->permitted) &&
           cert_read_subtrees(&content, FLOW__DER_WITHIN(1), &c->excluded) &&
           content.len == 0;
}

static bool
cert_read_key_id(struct flow__cert *c, struct flow__span value)
{
    return flow__der_take(&value, FLOW__DER_OCTET_STRING, &c->key_id) &&
           value.len == 0;
}

static bool
cert_read_issuer_key_id(struct flow__cert *c, struct flow__span value)
{
    struct flow__span content;

    return flow__der_take(&value, FLOW__DER_SEQUENCE, &content) &&
           flow__der_take_optional(&content, FLOW__DER_CONTEXT(0),
                                   &c->issuer_key_id);
}

/* certificatePolicies say nothing to a verifier that requires no policy, RFC
 * 5280 6.1.1. */
static bool
cert_skip_policies(struct flow__cert *c, struct flow__span value)
{
    struct flow__span content;

    (void)c;
    return flow__der_take(&value, FLOW__DER_SEQUENCE, &content) &&
           value.len == 0;
}

/* Extensions 2.5.29.n. */
static const struct {
    uint8_t number;
    bool (*read)(struct flow__cert *c, struct flow__span value);
} cert_extensions[] = {
    { 14, cert_read_key_id },
    { 15, cert_read_usage },
    { 17, cert_read_names },
    { 19, cert_read_constraints },
    { 30, cert_read_name_constraints },
    { 32, cert_skip_policies },
    { 35, cert_read_issuer_key_id },
    { 37, cert_read_purposes },
};

#define CERT_EXTENSIONS                                                        \
    ((unsigned)(sizeof(cert_extensions) / sizeof(cert_extensions[0])))

/* Index in the table; CERT_EXTENSIONS: it is not there. */
static unsigned
cert_find_extension(struct flow__span oid)
{
    unsigned i = 0;

    if (oid.len != 3 || oid.base[0] != 0x55 || oid.base[1] != 0x1d)
        return CERT_EXTENSIONS;
    while (i < CERT_EXTENSIONS && cert_extensions[i].number != oid.base[2])
        i++;
    return i;
}

/* RFC 5280 4.2: each at most once. */
static bool
cert_read_extensions(struct flow__cert *c, struct flow__span list)
{
    struct flow__span extension, oid, value;
    unsigned seen = 0;
    bool critical;

    while (list.len > 0) {
        unsigned i;

        if (!flow__der_take(&list, FLOW__DER_SEQUENCE, &extension) ||
            !flow__der_take(&extension, FLOW__DER_OID, &oid) ||
            !flow__der_take_flag(&extension, &critical) ||
            !flow__der_take(&extension, FLOW__DER_OCTET_STRING, &value) ||
            extension.len > 0)
            return false;
        i = cert_find_extension(oid);
        if (i == CERT_EXTENSIONS) {
            c->has_unknown_critical = c->has_unknown_critical || critical;
            continue;
        }
        if ((seen & 1u << i) != 0 || !cert_extensions[i].read(c, value))
            return false;
        seen |= 1u << i;
    }
    return true;
}

static bool
cert_take_name_of(struct flow__span *in, struct flow__span *ret,
                  uint32_t *ret_hash)
{
    if (!flow__der_take(in, FLOW__DER_SEQUENCE, ret) ||
        !flow__dn_is_valid(*ret))
        return false;
    *ret_hash = flow__dn_hash(*ret);
    return true;
}

/* The optional end: two identifiers of version 2, and extensions. */
static bool
cert_read_end(struct flow__cert *c, struct flow__span *in)
{
    struct flow__span skipped, outer, list;

    if (!flow__der_take_optional(in, FLOW__DER_CONTEXT(1), &skipped) ||
        !flow__der_take_optional(in, FLOW__DER_CONTEXT(2), &skipped))
        return false;
    if (in->len == 0)
        return true;
    return c->version == 3 && flow__der_take(in, FLOW__DER_WITHIN(3), &outer) &&
           in->len == 0 && flow__der_take(&outer, FLOW__DER_SEQUENCE, &list) &&
           outer.len == 0 && cert_read_extensions(c, list);
}

/* RFC 5280 4.1: TBSCertificate; algorithm is what it says of its signature. */
static bool
cert_read_body(struct flow__cert *c, struct flow__span body,
               struct flow__span *ret_algorithm)
{
    struct flow__span field;
    uint32_t version = 0;

    if (flow__der_is_next(&body, FLOW__DER_WITHIN(0)) &&
        (!flow__der_take(&body, FLOW__DER_WITHIN(0), &field) ||
         !flow__der_take_number(&field, &version) || version > 2))
        return false;
    c->version = (uint8_t)(version + 1);
    return flow__der_take(&body, FLOW__DER_INTEGER, &c->serial) &&
           flow__der_take_whole(&body, FLOW__DER_SEQUENCE, ret_algorithm) &&
           cert_take_name_of(&body, &c->issuer, &c->issuer_hash) &&
           flow__der_take(&body, FLOW__DER_SEQUENCE, &field) &&
           flow__der_take_time(&field, &c->not_before) &&
           flow__der_take_time(&field, &c->not_after) && field.len == 0 &&
           cert_take_name_of(&body, &c->subject, &c->subject_hash) &&
           flow__der_take_whole(&body, FLOW__DER_SEQUENCE, &c->spki) &&
           cert_read_key(c) && cert_read_end(c, &body);
}

/* See tls/cert.h.  RFC 5280 4.1.1.2: the algorithm stands twice, one of them
 * signed. */
bool
flow__cert_read(struct flow__span der, struct flow__cert *ret)
{
    static const struct flow__cert empty;
    struct flow__span outer, body, signed_bytes, inside, outside;

    *ret = empty;
    ret->der = der;
    if (!flow__der_take(&der, FLOW__DER_SEQUENCE, &outer) || der.len > 0 ||
        !flow__der_take_whole(&outer, FLOW__DER_SEQUENCE, &signed_bytes) ||
        !flow__der_take_whole(&outer, FLOW__DER_SEQUENCE, &outside) ||
        !flow__der_take_bytes(&outer, &ret->signature.value) || outer.len > 0)
        return false;
    body = signed_bytes;
    if (!flow__der_take(&body, FLOW__DER_SEQUENCE, &outer) ||
        !cert_read_body(ret, outer, &inside) ||
        !flow__span_equal(inside, outside))
        return false;
    ret->signature.signed_bytes = signed_bytes;
    flow__cert_read_algorithm(outside, &ret->signature);
    return true;
}

/* See tls/cert.h. */
bool
flow__cert_is_self_issued(const struct flow__cert *cert)
{
    return cert->issuer_hash == cert->subject_hash &&
           flow__dn_equal(cert->issuer, cert->subject);
}
