/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/checks.h"
#include "tls/sni.h"

/* The hellos and EncryptedExtensions: everything agreed on must have been
 * offered. */

/* See tls/checks.h. */
enum flow_status
flow__check_client_hello(const struct flow__check_facts *facts,
                         const uint8_t *msg, size_t len,
                         struct flow__fault *ret_fault)
{
    struct flow__client_hello ch;
    enum flow_status st = flow__hello_parse_client(msg, len, &ch, ret_fault);
    uint16_t version;

    if (st != FLOW_OK)
        return st;
    /* RFC 7507 3 */
    if (ch.fallback_scsv &&
        ch.max_version < (uint16_t)facts->terms->max_version)
        return flow__fault_proto(ret_fault, FLOW__ALERT_INAPPROPRIATE_FALLBACK,
                                 "inappropriate fallback: both sides support "
                                 "a higher version");
    version = flow__sni_client_version(facts->terms, &ch);
    /* RFC 8446 9.2, 4.2.9; the engine checks groups and key shares. */
    if (version == FLOW_TLS_1_3 &&
        (ch.psk ? !ch.psk_modes : ch.sigalgs.base == NULL))
        return flow__fault_proto(
            ret_fault, FLOW__ALERT_MISSING_EXTENSION,
            "the client left out an extension that TLS 1.3 needs");
    /* RFC 7627 5.2: without it two sessions can share a master secret. */
    if (version == FLOW_TLS_1_2 && !ch.extended_master_secret &&
        !facts->skip_extended)
        return flow__fault_proto(ret_fault, FLOW__ALERT_HANDSHAKE_FAILURE,
                                 "TLS 1.2 without the extended master secret");
    /* RFC 8422 5.1.2 */
    if (version == FLOW_TLS_1_2 && ch.point_formats.base != NULL &&
        memchr(ch.point_formats.base, 0, ch.point_formats.len) == NULL)
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "the client does not support uncompressed "
                                 "points");
    return FLOW_OK;
}

static enum flow_status
check_hello_illegal(struct flow__fault *fault, const char *text)
{
    return flow__fault_proto(fault, FLOW__ALERT_ILLEGAL_PARAMETER, text);
}

/* Whether the one name of an answer is one of those offered. */
static bool
check_hello_offers_alpn(const struct flow__client_hello *offer,
                        struct flow__span answer)
{
    struct flow__span list = offer->alpn;
    struct flow__span chosen;
    struct flow__span name;

    if (!flow__hello_next_alpn(&answer, &chosen))
        return false;
    while (flow__hello_next_alpn(&list, &name))
        if (name.len == chosen.len &&
            memcmp(name.base, chosen.base, name.len) == 0)
            return true;
    return false;
}

static bool
check_hello_same(struct flow__span a, struct flow__span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

/* See tls/checks.h. */
enum flow_status
flow__check_second_client_hello(const struct flow__check_facts *facts,
                                const uint8_t *msg, size_t len,
                                struct flow__fault *ret_fault)
{
    struct flow__client_hello ch;
    enum flow_status st = flow__check_client_hello(facts, msg, len, ret_fault);
    const char *name;

    if (st == FLOW_OK)
        st = flow__hello_parse_client(msg, len, &ch, ret_fault);
    if (st != FLOW_OK)
        return st;
    name = ch.sni_state == FLOW__SNI_NAME ? ch.sni.dns : "";
    if (strcmp(name, facts->name) != 0 ||
        !check_hello_same(ch.alpn, facts->alpn) || ch.early_data)
        return check_hello_illegal(
            ret_fault, "the second ClientHello differs from the first");
    return FLOW_OK;
}

static bool
check_hello_offers_version(const struct flow__client_hello *offer,
                           uint16_t version)
{
    if (offer->versions.base != NULL)
        return flow__span_has_u16(offer->versions, version);
    return version == FLOW_TLS_1_2 && offer->legacy_version >= FLOW_TLS_1_2;
}

/* RFC 8446 4.1.3: whether a TLS 1.3 server was made to choose an older version.
 */
static bool
check_hello_is_downgrade(const struct flow__client_hello *offer,
                         struct flow__span random)
{
    static const uint8_t mark[7] = { 'D', 'O', 'W', 'N', 'G', 'R', 'D' };

    return check_hello_offers_version(offer, FLOW_TLS_1_3) &&
           memcmp(random.base + 24, mark, sizeof(mark)) == 0 &&
           random.base[31] <= 1;
}

/* For both versions, and for a HelloRetryRequest. */
static enum flow_status
check_hello_suite(const struct flow__check_facts *facts,
                  const struct flow__server_hello *sh,
                  struct flow__fault *fault)
{
    const struct flow__suite *suite = flow__suite_find(sh->suite);

    if (suite == NULL || suite->version != sh->version ||
        !flow__span_has_u16(facts->offer->suites, sh->suite))
        return check_hello_illegal(
            fault, "the server chose a cipher suite that was not offered");
    /* RFC 8446 4.1.4 */
    if (facts->suite != NULL && facts->suite != suite)
        return check_hello_illegal(
            fault, "the server changed the suite of its HelloRetryRequest");
    return FLOW_OK;
}

/* RFC 8446 4.1.3 */
static enum flow_status
check_hello_13(const struct flow__check_facts *facts,
               const struct flow__server_hello *sh, struct flow__fault *fault)
{
    enum flow_status st = flow__check_extensions(
        sh->extensions, FLOW__IN_SERVER_HELLO, facts->offer, fault);

    if (st != FLOW_OK)
        return st;
    if (!check_hello_same(sh->session_id, facts->offer->session_id))
        return check_hello_illegal(fault,
                                   "the server did not repeat the session id");
    /* RFC 8446 9.2; a key exchange by PSK alone is not offered. */
    if (sh->group == 0)
        return flow__fault_proto(fault, FLOW__ALERT_MISSING_EXTENSION,
                                 "the server sent no key share");
    if (!flow__hello_has_key_share(facts->offer, sh->group))
        return check_hello_illegal(
            fault, "the server's key share is of a group without one of ours");
    return FLOW_OK;
}

/* Extensions of a TLS 1.2 ServerHello.  Servers often answer extensions that
 * TLS 1.2 does not let them answer.  That is tolerated, unless the extension is
 * one of TLS 1.3. */
static enum flow_status
check_hello_extensions12(const struct flow__client_hello *offer,
                         struct flow__span list, struct flow__fault *fault)
{
    struct flow__span body;
    uint16_t type;
    enum flow_status st = FLOW_OK;

    while (flow__hello_next_extension(&list, &type, &body)) {
        /* May answer a signalling suite instead (RFC 5746 3.4). */
        if (type != FLOW__EXTENSION_RENEGOTIATION_INFO)
            st = flow__check_was_offered(offer, type, fault);
        if (st != FLOW_OK)
            return st;
        if (type == FLOW__EXTENSION_KEY_SHARE ||
            type == FLOW__EXTENSION_PRE_SHARED_KEY ||
            type == FLOW__EXTENSION_EARLY_DATA ||
            type == FLOW__EXTENSION_COOKIE)
            return check_hello_illegal(fault,
                                       "TLS 1.2 with an extension of TLS 1.3");
    }
    return FLOW_OK;
}

/* RFC 5246 7.4.1.3: a server that repeats the session id resumes the session,
 * with its suite. */
static enum flow_status
check_hello_session(const struct flow__check_facts *facts,
                    const struct flow__server_hello *sh,
                    struct flow__fault *fault)
{
    if (sh->session_id.len == 0 ||
        !check_hello_same(sh->session_id, facts->offer->session_id))
        return FLOW_OK;
    if (facts->session_suite == 0)
        return check_hello_illegal(
            fault, "the server resumes a session that was not offered");
    if (facts->session_suite != sh->suite)
        return check_hello_illegal(
            fault, "the server resumes a session with another cipher suite");
    return FLOW_OK;
}

static enum flow_status
check_hello_12(const struct flow__check_facts *facts,
               const struct flow__server_hello *sh, struct flow__fault *fault)
{
    enum flow_status st =
        check_hello_extensions12(facts->offer, sh->extensions, fault);

    if (st != FLOW_OK)
        return st;
    if (check_hello_is_downgrade(facts->offer, sh->random))
        return check_hello_illegal(
            fault, "downgrade: the server supports TLS 1.3 and agreed on 1.2");
    st = check_hello_session(facts, sh, fault);
    if (st != FLOW_OK)
        return st;
    /* RFC 7627 5.2: without it two sessions can share a master secret. */
    if (!sh->extended_master_secret)
        return flow__fault_proto(fault, FLOW__ALERT_HANDSHAKE_FAILURE,
                                 "TLS 1.2 without the extended master secret");
    /* RFC 8422 5.2 */
    if (sh->point_formats.base != NULL &&
        memchr(sh->point_formats.base, 0, sh->point_formats.len) == NULL)
        return check_hello_illegal(
            fault, "the server does not support uncompressed points");
    if (sh->alpn.base != NULL &&
        !check_hello_offers_alpn(facts->offer, sh->alpn))
        return check_hello_illegal(
            fault, "the server chose a protocol (ALPN) that was not offered");
    return FLOW_OK;
}

/* See tls/checks.h. */
enum flow_status
flow__check_server_hello(const struct flow__check_facts *facts,
                         const uint8_t *msg, size_t len,
                         struct flow__fault *ret_fault)
{
    struct flow__server_hello sh;
    enum flow_status st = flow__hello_parse_server(msg, len, &sh, ret_fault);

    if (st != FLOW_OK)
        return st;
    st = sh.version == FLOW_TLS_1_3 ? check_hello_13(facts, &sh, ret_fault)
                                    : FLOW_OK;
    if (st != FLOW_OK)
        return st;
    if (!check_hello_offers_version(facts->offer, sh.version))
        return flow__fault_proto(ret_fault, FLOW__ALERT_PROTOCOL_VERSION,
                                 "no protocol version in common");
    if (sh.version != FLOW_TLS_1_3)
        st = check_hello_12(facts, &sh, ret_fault);
    return st == FLOW_OK ? check_hello_suite(facts, &sh, ret_fault) : st;
}

/* See tls/checks.h; RFC 8446 4.1.4. */
enum flow_status
flow__check_hello_retry_request(const struct flow__check_facts *facts,
                                const uint8_t *msg, size_t len,
                                struct flow__fault *ret_fault)
{
    struct flow__server_hello sh;
    enum flow_status st = flow__hello_parse_server(msg, len, &sh, ret_fault);

    if (st == FLOW_OK)
        st = flow__check_extensions(sh.extensions, FLOW__IN_HELLO_RETRY_REQUEST,
                                    facts->offer, ret_fault);
    if (st != FLOW_OK)
        return st;
    if (sh.version != FLOW_TLS_1_3)
        return flow__fault_proto(ret_fault, FLOW__ALERT_MISSING_EXTENSION,
                                 "HelloRetryRequest without "
                                 "supported_versions");
    if (!check_hello_same(sh.session_id, facts->offer->session_id))
        return check_hello_illegal(ret_fault,
                                   "the server did not repeat the session id");
    if (sh.group == 0 && sh.cookie.len == 0)
        return check_hello_illegal(ret_fault,
                                   "HelloRetryRequest that changes nothing");
    if (sh.group != 0 && !flow__span_has_u16(facts->offer->groups, sh.group))
        return check_hello_illegal(
            ret_fault, "HelloRetryRequest for a group that was not offered");
    if (sh.group != 0 && flow__hello_has_key_share(facts->offer, sh.group))
        return check_hello_illegal(
            ret_fault, "HelloRetryRequest for a group that has a key share");
    return check_hello_suite(facts, &sh, ret_fault);
}

/* An answer in EncryptedExtensions; the engine checks those not named here. */
static enum flow_status
check_hello_answer(const struct flow__client_hello *offer, uint16_t type,
                   struct flow__span body, struct flow__fault *fault)
{
    struct flow__span list;
    struct flow__span name;

    switch (type) {
    case FLOW__EXTENSION_SERVER_NAME:
        /* RFC 6066 3 */
        if (body.len > 0)
            return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                                     "server_name is answered with content");
        return FLOW_OK;
    case FLOW__EXTENSION_ALPN:
        /* RFC 7301 3.1: exactly one. */
        list = body;
        if (!flow__span_take_vec16(&list, &body) || list.len > 0)
            break;
        list = body;
        if (!flow__hello_next_alpn(&list, &name) || name.len == 0 ||
            list.len > 0)
            break;
        if (!check_hello_offers_alpn(offer, body))
            return check_hello_illegal(fault,
                                       "the server chose a protocol (ALPN) "
                                       "that was not offered");
        return FLOW_OK;
    case FLOW__EXTENSION_SUPPORTED_GROUPS:
        if (!flow__span_take_numbers(&body, &list) || body.len > 0)
            break;
        return FLOW_OK;
    default:
        return FLOW_OK;
    }
    return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                             "malformed answer in EncryptedExtensions");
}

/* See tls/checks.h; RFC 8446 4.3.1. */
enum flow_status
flow__check_encrypted_extensions(const struct flow__check_facts *facts,
                                 const uint8_t *msg, size_t len,
                                 struct flow__fault *ret_fault)
{
    struct flow__span body;
    struct flow__span list;
    uint16_t type;
    enum flow_status st;

    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take_vec16(&body, &list) || body.len > 0)
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "malformed EncryptedExtensions");
    st = flow__check_extensions(list, FLOW__IN_ENCRYPTED_EXTENSIONS,
                                facts->offer, ret_fault);
    while (st == FLOW_OK && flow__hello_next_extension(&list, &type, &body))
        st = check_hello_answer(facts->offer, type, body, ret_fault);
    return st;
}
