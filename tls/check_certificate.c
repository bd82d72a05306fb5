/* SPDX-License-Identifier: ISC */
#include "tls/checks.h"

/* Certificate, CertificateRequest and CertificateVerify (RFC 8446 4.3.2, 4.4.2
 * and 4.4.3; RFC 5246 7.4.2, 7.4.4 and 7.4.8). */

static enum flow_status
check_certificate_decode(struct flow__fault *fault, const char *text)
{
    return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR, text);
}

/* See tls/checks.h. */
enum flow_status
flow__check_certificate12(const struct flow__check_facts *facts,
                          const uint8_t *msg, size_t len,
                          struct flow__fault *ret_fault)
{
    struct flow__span body;
    struct flow__span list;
    struct flow__span certificate;

    (void)facts;
    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take_vec24(&body, &list) || body.len > 0)
        return check_certificate_decode(ret_fault, "malformed Certificate");
    while (list.len > 0)
        if (!flow__span_take_vec24(&list, &certificate) || certificate.len == 0)
            return check_certificate_decode(ret_fault, "malformed Certificate");
    return FLOW_OK;
}

/* In the handshake the context is empty on both sides: a client repeats that of
 * the CertificateRequest, which was empty. */
static bool
check_certificate_list13(const uint8_t *msg, size_t len,
                         struct flow__span *ret_list)
{
    struct flow__span body;
    struct flow__span context;

    return flow__check_body(msg, len, &body) &&
           flow__span_take_vec8(&body, &context) && context.len == 0 &&
           flow__span_take_vec24(&body, ret_list) && body.len == 0;
}

/* See tls/checks.h.  Our CertificateRequest contains no extension that a client
 * could answer in its Certificate. */
enum flow_status
flow__check_certificate13(const struct flow__check_facts *facts,
                          const uint8_t *msg, size_t len,
                          struct flow__fault *ret_fault)
{
    static const struct flow__client_hello nothing;
    const struct flow__client_hello *asked =
        facts->offer != NULL ? facts->offer : &nothing;
    struct flow__span list;
    struct flow__span certificate;
    struct flow__span extensions;
    enum flow_status st = FLOW_OK;

    if (!check_certificate_list13(msg, len, &list))
        return check_certificate_decode(ret_fault, "malformed Certificate");
    while (st == FLOW_OK && list.len > 0) {
        if (!flow__span_take_vec24(&list, &certificate) ||
            certificate.len == 0 || !flow__span_take_vec16(&list, &extensions))
            return check_certificate_decode(ret_fault, "malformed Certificate");
        st = flow__check_extensions(extensions, FLOW__IN_CERTIFICATE, asked,
                                    ret_fault);
    }
    return st;
}

/* Names of certificate authorities, each after its length. */
static bool
check_certificate_names(struct flow__span *in)
{
    struct flow__span list;
    struct flow__span name;

    if (!flow__span_take_vec16(in, &list))
        return false;
    while (list.len > 0)
        if (!flow__span_take_vec16(&list, &name) || name.len == 0)
            return false;
    return true;
}

/* See tls/checks.h. */
enum flow_status
flow__check_certificate_request12(const struct flow__check_facts *facts,
                                  const uint8_t *msg, size_t len,
                                  struct flow__fault *ret_fault)
{
    struct flow__span body;
    struct flow__span field;

    (void)facts;
    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take_vec8(&body, &field) || field.len == 0 ||
        !flow__span_take_numbers(&body, &field) ||
        !check_certificate_names(&body) || body.len > 0)
        return check_certificate_decode(ret_fault,
                                        "malformed CertificateRequest");
    return FLOW_OK;
}

/* See tls/checks.h. */
enum flow_status
flow__check_certificate_request13(const struct flow__check_facts *facts,
                                  const uint8_t *msg, size_t len,
                                  struct flow__fault *ret_fault)
{
    struct flow__span body;
    struct flow__span context;
    struct flow__span list;
    struct flow__span item;
    struct flow__span schemes = { NULL, 0 };
    uint16_t type;
    enum flow_status st;

    (void)facts;
    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take_vec8(&body, &context) || context.len > 0 ||
        !flow__span_take_vec16(&body, &list) || body.len > 0)
        return check_certificate_decode(ret_fault,
                                        "malformed CertificateRequest");
    st = flow__check_extensions(list, FLOW__IN_CERTIFICATE_REQUEST, NULL,
                                ret_fault);
    if (st != FLOW_OK)
        return st;
    while (flow__hello_next_extension(&list, &type, &item)) {
        if (type == FLOW__EXTENSION_SIGNATURE_ALGORITHMS &&
            (!flow__span_take_numbers(&item, &schemes) || item.len > 0))
            return check_certificate_decode(ret_fault,
                                            "malformed signature_algorithms");
        if (type == FLOW__EXTENSION_CERTIFICATE_AUTHORITIES &&
            (!check_certificate_names(&item) || item.len > 0))
            return check_certificate_decode(
                ret_fault, "malformed certificate_authorities");
    }
    if (schemes.base == NULL)
        return flow__fault_proto(
            ret_fault, FLOW__ALERT_MISSING_EXTENSION,
            "CertificateRequest without signature_algorithms");
    return FLOW_OK;
}

/* Parse the scheme, and a signature that ends with the message. */
static enum flow_status
check_certificate_verify(const uint8_t *msg, size_t len, uint16_t *ret_scheme,
                         struct flow__fault *fault)
{
    struct flow__span body;
    struct flow__span signature;

    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take_u16(&body, ret_scheme) ||
        !flow__span_take_vec16(&body, &signature) || body.len > 0)
        return check_certificate_decode(fault, "malformed CertificateVerify");
    return FLOW_OK;
}

/* The engine requests no other hashes.  The curve is free (RFC 8422 5.8). */
static bool
check_scheme12(uint16_t scheme, enum flow__key_type key)
{
    switch (scheme) {
    case FLOW__SIGN_ECDSA_SECP256R1_SHA256:
    case FLOW__SIGN_ECDSA_SECP384R1_SHA384:
        return key == FLOW__KEY_P256 || key == FLOW__KEY_P384 ||
               key == FLOW__KEY_P521;
    case FLOW__SIGN_RSA_PKCS1_SHA256:
    case FLOW__SIGN_RSA_PKCS1_SHA384:
        return key == FLOW__KEY_RSA;
    default:
        return false;
    }
}

/* See tls/checks.h. */
enum flow_status
flow__check_certificate_verify12(const struct flow__check_facts *facts,
                                 const uint8_t *msg, size_t len,
                                 struct flow__fault *ret_fault)
{
    uint16_t scheme;
    enum flow_status st =
        check_certificate_verify(msg, len, &scheme, ret_fault);

    if (st == FLOW_OK && !check_scheme12(scheme, facts->peer_key))
        return flow__fault_proto(
            ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
            "CertificateVerify: the signature algorithm does not fit the "
            "certificate or was not requested");
    return st;
}

/* See tls/checks.h. */
bool
flow__check_scheme13(uint16_t scheme, enum flow__key_type key)
{
    switch (scheme) {
    case FLOW__SIGN_ECDSA_SECP256R1_SHA256:
        return key == FLOW__KEY_P256;
    case FLOW__SIGN_ECDSA_SECP384R1_SHA384:
        return key == FLOW__KEY_P384;
    case FLOW__SIGN_ECDSA_SECP521R1_SHA512:
        return key == FLOW__KEY_P521;
    case FLOW__SIGN_RSA_PSS_RSAE_SHA256:
    case FLOW__SIGN_RSA_PSS_RSAE_SHA384:
    case FLOW__SIGN_RSA_PSS_RSAE_SHA512:
        return key == FLOW__KEY_RSA;
    default:
        return false;
    }
}

/* See tls/checks.h.  PKCS#1 is offered for certificates only. */
enum flow_status
flow__check_certificate_verify13(const struct flow__check_facts *facts,
                                 const uint8_t *msg, size_t len,
                                 struct flow__fault *ret_fault)
{
    uint16_t scheme;
    enum flow_status st =
        check_certificate_verify(msg, len, &scheme, ret_fault);

    if (st != FLOW_OK)
        return st;
    if (!flow__check_scheme13(scheme, facts->peer_key))
        return flow__fault_proto(
            ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
            "CertificateVerify: the signature algorithm does not fit the "
            "certificate or TLS 1.3");
    if (facts->offer != NULL &&
        !flow__span_has_u16(facts->offer->sigalgs, scheme))
        return flow__fault_proto(
            ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
            "CertificateVerify: the signature algorithm was not offered");
    return FLOW_OK;
}
