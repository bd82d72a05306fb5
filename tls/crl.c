/* SPDX-License-Identifier: ISC */
#include "tls/crl.h"

#include "tls/dn.h"

/* Whether one of the extensions is critical.  All of a list's that can be are
 * about what it covers, RFC 5280 5.2 and 5.3. */
static enum flow__crl_result
crl_read_extensions(struct flow__span list)
{
    enum flow__crl_result result = FLOW__CRL_READ;
    struct flow__span extension, oid, value;
    bool critical;

    while (list.len > 0) {
        if (!flow__der_take(&list, FLOW__DER_SEQUENCE, &extension) ||
            !flow__der_take(&extension, FLOW__DER_OID, &oid) ||
            !flow__der_take_flag(&extension, &critical) ||
            !flow__der_take(&extension, FLOW__DER_OCTET_STRING, &value) ||
            extension.len > 0)
            return FLOW__CRL_MALFORMED;
        if (critical)
            result = FLOW__CRL_UNSUPPORTED;
    }
    return result;
}

static bool
crl_take_entry(struct flow__span *list, struct flow__span *ret_serial,
               struct flow__span *ret_extensions)
{
    struct flow__span entry;
    int64_t date;

    return flow__der_take(list, FLOW__DER_SEQUENCE, &entry) &&
           flow__der_take(&entry, FLOW__DER_INTEGER, ret_serial) &&
           flow__der_take_time(&entry, &date) &&
           flow__der_take_optional(&entry, FLOW__DER_SEQUENCE,
                                   ret_extensions) &&
           entry.len == 0;
}

static enum flow__crl_result
crl_read_entries(struct flow__span list)
{
    struct flow__span serial, extensions;
    enum flow__crl_result result = FLOW__CRL_READ;

    while (result == FLOW__CRL_READ && list.len > 0) {
        if (!crl_take_entry(&list, &serial, &extensions))
            return FLOW__CRL_MALFORMED;
        result = crl_read_extensions(extensions);
    }
    return result;
}

static bool
crl_is_time_next(const struct flow__span *in)
{
    return flow__der_is_next(in, FLOW__DER_UTC_TIME) ||
           flow__der_is_next(in, FLOW__DER_TIME);
}

/* RFC 5280 5.1: TBSCertList. */
static enum flow__crl_result
crl_read_body(struct flow__crl *crl, struct flow__span body,
              struct flow__span *ret_algorithm)
{
    struct flow__span outer, extensions = { NULL, 0 };
    enum flow__crl_result result;
    uint32_t version = 0;

    if (flow__der_is_next(&body, FLOW__DER_INTEGER) &&
        (!flow__der_take_number(&body, &version) || version != 1))
        return FLOW__CRL_MALFORMED;
    crl->next_update = INT64_MAX;
    if (!flow__der_take_whole(&body, FLOW__DER_SEQUENCE, ret_algorithm) ||
        !flow__der_take(&body, FLOW__DER_SEQUENCE, &crl->issuer) ||
        !flow__dn_is_valid(crl->issuer) ||
        !flow__der_take_time(&body, &crl->this_update) ||
        (crl_is_time_next(&body) &&
         !flow__der_take_time(&body, &crl->next_update)) ||
        !flow__der_take_optional(&body, FLOW__DER_SEQUENCE, &crl->revoked) ||
        !flow__der_take_optional(&body, FLOW__DER_WITHIN(0), &outer) ||
        body.len > 0)
        return FLOW__CRL_MALFORMED;
    if (outer.base != NULL &&
        (!flow__der_take(&outer, FLOW__DER_SEQUENCE, &extensions) ||
         outer.len > 0))
        return FLOW__CRL_MALFORMED;
    crl->issuer_hash = flow__dn_hash(crl->issuer);
    result = crl_read_extensions(extensions);
    return result == FLOW__CRL_READ ? crl_read_entries(crl->revoked) : result;
}

/* See tls/crl.h. */
enum flow__crl_result
flow__crl_read(struct flow__span der, struct flow__crl *ret)
{
    struct flow__span outer, body, inside, outside;
    enum flow__crl_result result;

    ret->der = der;
    if (!flow__der_take(&der, FLOW__DER_SEQUENCE, &outer) || der.len > 0 ||
        !flow__der_take_whole(&outer, FLOW__DER_SEQUENCE,
                              &ret->signature.signed_bytes) ||
        !flow__der_take_whole(&outer, FLOW__DER_SEQUENCE, &outside) ||
        !flow__der_take_bytes(&outer, &ret->signature.value) || outer.len > 0)
        return FLOW__CRL_MALFORMED;
    body = ret->signature.signed_bytes;
    if (!flow__der_take(&body, FLOW__DER_SEQUENCE, &outer))
        return FLOW__CRL_MALFORMED;
    result = crl_read_body(ret, outer, &inside);
    if (result != FLOW__CRL_MALFORMED && !flow__span_equal(inside, outside))
        return FLOW__CRL_MALFORMED;
    flow__cert_read_algorithm(outside, &ret->signature);
    return result;
}

/* See tls/crl.h. */
bool
flow__crl_has(const struct flow__crl *crl, struct flow__span serial)
{
    struct flow__span list = crl->revoked, listed, extensions;

    while (list.len > 0 && crl_take_entry(&list, &listed, &extensions))
        if (flow__span_equal(listed, serial))
            return true;
    return false;
}
