/* SPDX-License-Identifier: ISC */
#include "tls/checks.h"

/* The two key exchange messages of TLS 1.2, with ephemeral curves
 * (RFC 8422 5.4 and 5.7). */

static enum flow_status
check_exchange_decode(struct flow__fault *fault)
{
    return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                             "malformed key exchange");
}

/* Whether a public key has the form of its curve: an uncompressed point, or
 * just the bytes of a Montgomery curve (RFC 7748). */
static bool
check_exchange_is_point(uint16_t group, struct flow__span point)
{
    static const struct {
        uint16_t group;
        uint8_t len;
        bool has_format;
    } forms[] = {
        { FLOW_TLS_GROUP_P256, 65, true },
        { FLOW_TLS_GROUP_P384, 97, true },
        { FLOW_TLS_GROUP_P521, 133, true },
        { FLOW_TLS_GROUP_X25519, 32, false },
        { FLOW__GROUP_X448, 56, false },
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (forms[i].group == group)
            return point.len == forms[i].len &&
                   (!forms[i].has_format ||
                    point.base[0] == FLOW__POINT_UNCOMPRESSED);
    return false;
}

static enum flow_status
check_exchange_point(uint16_t group, struct flow__span point,
                     struct flow__fault *fault)
{
    if (!check_exchange_is_point(group, point))
        return flow__fault_proto(
            fault, FLOW__ALERT_ILLEGAL_PARAMETER,
            "the peer's key is not an uncompressed point of the curve");
    return FLOW_OK;
}

/* RFC 5246 7.4.3: the scheme fits the key; RFC 8446 4.2.3 adds PSS. */
static bool
check_exchange_signs(uint16_t scheme, enum flow__suite_auth auth)
{
    static const uint16_t rsa[] = {
        FLOW__SIGN_RSA_PKCS1_SHA256,    FLOW__SIGN_RSA_PKCS1_SHA384,
        FLOW__SIGN_RSA_PKCS1_SHA512,    FLOW__SIGN_RSA_PSS_RSAE_SHA256,
        FLOW__SIGN_RSA_PSS_RSAE_SHA384, FLOW__SIGN_RSA_PSS_RSAE_SHA512
    };
    static const uint16_t ecdsa[] = { FLOW__SIGN_ECDSA_SECP256R1_SHA256,
                                      FLOW__SIGN_ECDSA_SECP384R1_SHA384,
                                      FLOW__SIGN_ECDSA_SECP521R1_SHA512 };
    const uint16_t *list = auth == FLOW__AUTH_RSA ? rsa : ecdsa;
    const size_t count = auth == FLOW__AUTH_RSA
                             ? sizeof(rsa) / sizeof(rsa[0])
                             : sizeof(ecdsa) / sizeof(ecdsa[0]);

    for (size_t i = 0; i < count; i++)
        if (list[i] == scheme)
            return true;
    return false;
}

static bool
check_exchange_has_auth(enum flow__key_type key, enum flow__suite_auth auth)
{
    if (auth == FLOW__AUTH_RSA)
        return key == FLOW__KEY_RSA;
    return key == FLOW__KEY_P256 || key == FLOW__KEY_P384 ||
           key == FLOW__KEY_P521;
}

static enum flow_status
check_exchange_signature(const struct flow__check_facts *facts, uint16_t scheme,
                         struct flow__fault *fault)
{
    if (!check_exchange_has_auth(facts->peer_key, facts->suite->auth))
        return flow__fault_proto(
            fault, FLOW__ALERT_ILLEGAL_PARAMETER,
            "the server's certificate does not fit the cipher suite");
    if (!check_exchange_signs(scheme, facts->suite->auth) ||
        !flow__span_has_u16(facts->offer->sigalgs, scheme))
        return flow__fault_proto(
            fault, FLOW__ALERT_ILLEGAL_PARAMETER,
            "the server signed with an algorithm that was not offered");
    return FLOW_OK;
}

/* See tls/checks.h. */
enum flow_status
flow__check_server_key_exchange(const struct flow__check_facts *facts,
                                const uint8_t *msg, size_t len,
                                struct flow__fault *ret_fault)
{
    struct flow__span body;
    struct flow__span point;
    struct flow__span signature;
    uint8_t curve_type;
    uint16_t group;
    uint16_t scheme;
    enum flow_status st;

    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take_u8(&body, &curve_type))
        return check_exchange_decode(ret_fault);
    /* Explicit curves have another encoding, and are deprecated. */
    if (curve_type != FLOW__CURVE_TYPE_NAMED)
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "the server's curve is not a named one");
    if (!flow__span_take_u16(&body, &group) ||
        !flow__span_take_vec8(&body, &point) || point.len == 0 ||
        !flow__span_take_u16(&body, &scheme) ||
        !flow__span_take_vec16(&body, &signature) || body.len > 0)
        return check_exchange_decode(ret_fault);
    if (!flow__span_has_u16(facts->offer->groups, group))
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "the server chose a curve that was not "
                                 "offered");
    st = check_exchange_point(group, point, ret_fault);
    return st == FLOW_OK ? check_exchange_signature(facts, scheme, ret_fault)
                         : st;
}

/* See tls/checks.h. */
enum flow_status
flow__check_client_key_exchange(const struct flow__check_facts *facts,
                                const uint8_t *msg, size_t len,
                                struct flow__fault *ret_fault)
{
    struct flow__span body;
    struct flow__span point;

    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take_vec8(&body, &point) || point.len == 0 || body.len > 0)
        return check_exchange_decode(ret_fault);
    return check_exchange_point(facts->group, point, ret_fault);
}
