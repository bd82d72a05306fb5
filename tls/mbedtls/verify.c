/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <mbedtls/oid.h>

#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/verify.h"
#include "tls/name.h"

static const struct {
    uint32_t engine;
    uint32_t ours;
} verify_flag_map[] = {
    { MBEDTLS_X509_BADCERT_EXPIRED, FLOW_VERIFY_EXPIRED },
    { MBEDTLS_X509_BADCERT_FUTURE, FLOW_VERIFY_FUTURE },
    { MBEDTLS_X509_BADCERT_NOT_TRUSTED, FLOW_VERIFY_NOT_TRUSTED },
    { MBEDTLS_X509_BADCERT_CN_MISMATCH, FLOW_VERIFY_NAME },
    { MBEDTLS_X509_BADCERT_REVOKED, FLOW_VERIFY_REVOKED },
    { MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
          MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
      FLOW_VERIFY_USAGE },
    { MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK |
          MBEDTLS_X509_BADCERT_BAD_KEY,
      FLOW_VERIFY_WEAK },
    { MBEDTLS_X509_BADCERT_MISSING, FLOW_VERIFY_MISSING },
};

uint32_t
flow__mbed_verify_flags(uint32_t engine)
{
    uint32_t flags = 0;

    for (size_t i = 0; i < sizeof(verify_flag_map) / sizeof(verify_flag_map[0]);
         i++) {
        if ((engine & verify_flag_map[i].engine) != 0)
            flags |= verify_flag_map[i].ours;
        engine &= ~verify_flag_map[i].engine;
    }
    return engine != 0 ? flags | FLOW_VERIFY_OTHER : flags;
}

const char *
flow__mbed_verify_text(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } texts[] = {
        { FLOW_VERIFY_MISSING, "peer sent no certificate" },
        { FLOW_VERIFY_REVOKED,
          "peer certificate refused: certificate revoked" },
        { FLOW_VERIFY_EXPIRED,
          "peer certificate refused: certificate has expired" },
        { FLOW_VERIFY_FUTURE,
          "peer certificate refused: certificate is not yet valid" },
        { FLOW_VERIFY_NOT_TRUSTED,
          "peer certificate refused: certificate signed by unknown authority" },
        { FLOW_VERIFY_NAME, "peer certificate refused: host name mismatch" },
        { FLOW_VERIFY_USAGE,
          "peer certificate refused: unsuitable certificate purpose" },
        { FLOW_VERIFY_WEAK,
          "peer certificate refused: certificate key or signature too weak" },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if ((flags & texts[i].flag) != 0)
            return texts[i].text;
    return "peer certificate refused";
}

enum flow__alert
flow__mbed_verify_alert(uint32_t flags)
{
    /* RFC 8446 6.2 */
    if ((flags & FLOW_VERIFY_MISSING) != 0)
        return FLOW__ALERT_CERTIFICATE_REQUIRED;
    if ((flags & FLOW_VERIFY_REVOKED) != 0)
        return FLOW__ALERT_CERTIFICATE_REVOKED;
    if ((flags & (FLOW_VERIFY_EXPIRED | FLOW_VERIFY_FUTURE)) != 0)
        return FLOW__ALERT_CERTIFICATE_EXPIRED;
    if ((flags & FLOW_VERIFY_NOT_TRUSTED) != 0)
        return FLOW__ALERT_UNKNOWN_CA;
    if ((flags & FLOW_VERIFY_USAGE) != 0)
        return FLOW__ALERT_UNSUPPORTED_CERTIFICATE;
    return FLOW__ALERT_BAD_CERTIFICATE;
}

static void
verify_note_match(struct flow__mbed_verify *v, const struct flow__san *san)
{
    size_t i;

    if (san->kind != FLOW__SAN_DNS || san->len >= sizeof(v->matched))
        return;
    for (i = 0; i < san->len; i++)
        v->matched[i] = (char)san->base[i];
    v->matched[i] = '\0';
}

static bool
verify_name_is_covered(struct flow__mbed_verify *v,
                       const mbedtls_x509_crt *leaf)
{
    const mbedtls_x509_sequence *entry = &leaf->subject_alt_names;
    struct flow__name name;

    if (flow__name_parse(v->name, strlen(v->name), &name) == FLOW__NAME_INVALID)
        return false;
    for (; entry != NULL; entry = entry->next) {
        struct flow__san san = { FLOW__SAN_OTHER, entry->buf.p,
                                 entry->buf.len };

        /* RFC 5280 4.2.1.6 */
        if (entry->buf.tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2))
            san.kind = FLOW__SAN_DNS;
        else if (entry->buf.tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7))
            san.kind = FLOW__SAN_IP;
        if (flow__name_verify(&name, &san, 1, NULL)) {
            verify_note_match(v, &san);
            return true;
        }
    }
    return false;
}

/* The clock is the environment's, not the engine's. */
static void
verify_check_time(const struct flow__mbed_verify *v,
                  const mbedtls_x509_crt *cert, uint32_t *flags)
{
    uint32_t validity;

    if (v->env->wall(v->env->ctx) < 0)
        return;
    *flags &=
        ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    validity = flow__mbed_validity(v->env, cert);
    if (validity == FLOW_VERIFY_EXPIRED)
        *flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    if (validity == FLOW_VERIFY_FUTURE)
        *flags |= MBEDTLS_X509_BADCERT_FUTURE;
}

/* Whether a certificate may be used for servers, in the whole chain: mbedTLS
 * checks only the leaf, and too late to say which certificate was wrong. */
static void
verify_check_usage(const mbedtls_x509_crt *cert, uint32_t *flags)
{
    if (mbedtls_x509_crt_check_extended_key_usage(
            cert, MBEDTLS_OID_SERVER_AUTH,
            MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
        *flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
}

int
flow__mbed_verify_cert(void *ctx, mbedtls_x509_crt *cert, int depth,
                       uint32_t *flags)
{
    struct flow__mbed_verify *v = ctx;

    verify_check_time(v, cert, flags);
    verify_check_usage(cert, flags);
    if (depth == 0) {
        v->key = flow__mbed_key_type(&cert->pk);
        /* RFC 9525: our own check, not the engine's, which takes common names
         * and lets an address match a host name. */
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
        if (v->name != NULL && !verify_name_is_covered(v, cert))
            *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    /* The first that is refused, from the root down, or else the leaf. */
    if ((*flags != 0 || depth == 0) && v->subject[0] == '\0' &&
        mbedtls_x509_dn_gets(v->subject, sizeof(v->subject), &cert->subject) <
            0)
        memcpy(v->subject, "a subject that is too long", 27);
    return 0;
}
