/* SPDX-License-Identifier: ISC */
#include "tls/verdict.h"

#include <string.h>

#include <flow/tls.h>

#define VERDICT_REFUSED "peer certificate refused: "

/* RFC 8446 6.2 names the alerts. */
static const struct {
    uint32_t flag;
    enum flow__alert alert;
    const char *text;
} verdict_rows[] = {
    [FLOW_TLS_CHECK_NONE] = { 0, FLOW__ALERT_NONE, "certificate verified" },
    [FLOW_TLS_CHECK_MISSING] = { FLOW_VERIFY_MISSING,
                                 FLOW__ALERT_CERTIFICATE_REQUIRED,
                                 "peer sent no certificate" },
    [FLOW_TLS_CHECK_COUNT] = { FLOW_VERIFY_OTHER, FLOW__ALERT_BAD_CERTIFICATE,
                               VERDICT_REFUSED
                               "too many certificates in the chain" },
    [FLOW_TLS_CHECK_MALFORMED] = { FLOW_VERIFY_OTHER,
                                   FLOW__ALERT_BAD_CERTIFICATE,
                                   "the peer's certificate is not understood" },
    [FLOW_TLS_CHECK_MODULUS] = { FLOW_VERIFY_OTHER, FLOW__ALERT_BAD_CERTIFICATE,
                                 VERDICT_REFUSED
                                 "an RSA key of more than 8192 bits" },
    [FLOW_TLS_CHECK_EXPONENT] = { FLOW_VERIFY_OTHER,
                                  FLOW__ALERT_BAD_CERTIFICATE,
                                  VERDICT_REFUSED
                                  "an RSA exponent of more than 32 bits" },
    [FLOW_TLS_CHECK_WORK] = { FLOW_VERIFY_OTHER, FLOW__ALERT_BAD_CERTIFICATE,
                              VERDICT_REFUSED
                              "its chain takes too long to verify" },
    [FLOW_TLS_CHECK_LENGTH] = { FLOW_VERIFY_OTHER, FLOW__ALERT_BAD_CERTIFICATE,
                                VERDICT_REFUSED "its chain is too long" },
    [FLOW_TLS_CHECK_REVOKED] = { FLOW_VERIFY_REVOKED,
                                 FLOW__ALERT_CERTIFICATE_REVOKED,
                                 VERDICT_REFUSED "certificate revoked" },
    [FLOW_TLS_CHECK_EXPIRED] = { FLOW_VERIFY_EXPIRED,
                                 FLOW__ALERT_CERTIFICATE_EXPIRED,
                                 VERDICT_REFUSED "certificate has expired" },
    [FLOW_TLS_CHECK_FUTURE] = { FLOW_VERIFY_FUTURE,
                                FLOW__ALERT_CERTIFICATE_EXPIRED,
                                VERDICT_REFUSED
                                "certificate is not yet valid" },
    [FLOW_TLS_CHECK_TRUST] = { FLOW_VERIFY_NOT_TRUSTED, FLOW__ALERT_UNKNOWN_CA,
                               VERDICT_REFUSED
                               "certificate signed by unknown authority" },
    [FLOW_TLS_CHECK_AUTHORITY] = { FLOW_VERIFY_NOT_TRUSTED,
                                   FLOW__ALERT_UNKNOWN_CA,
                                   VERDICT_REFUSED
                                   "issuer is not a certificate authority" },
    [FLOW_TLS_CHECK_SIGNATURE] = { FLOW_VERIFY_NOT_TRUSTED,
                                   FLOW__ALERT_BAD_CERTIFICATE,
                                   VERDICT_REFUSED
                                   "certificate signature is wrong" },
    [FLOW_TLS_CHECK_NAME] = { FLOW_VERIFY_NAME, FLOW__ALERT_BAD_CERTIFICATE,
                              VERDICT_REFUSED "host name mismatch" },
    [FLOW_TLS_CHECK_PURPOSE] = { FLOW_VERIFY_USAGE,
                                 FLOW__ALERT_UNSUPPORTED_CERTIFICATE,
                                 VERDICT_REFUSED
                                 "unsuitable certificate purpose" },
    [FLOW_TLS_CHECK_USAGE] = { FLOW_VERIFY_USAGE,
                               FLOW__ALERT_UNSUPPORTED_CERTIFICATE,
                               VERDICT_REFUSED
                               "key usage has no digitalSignature" },
    [FLOW_TLS_CHECK_PATH_LENGTH] = { FLOW_VERIFY_CONSTRAINT,
                                     FLOW__ALERT_BAD_CERTIFICATE,
                                     VERDICT_REFUSED
                                     "path length constraint exceeded" },
    [FLOW_TLS_CHECK_CONSTRAINT] = { FLOW_VERIFY_CONSTRAINT,
                                    FLOW__ALERT_BAD_CERTIFICATE,
                                    VERDICT_REFUSED
                                    "name constraint violated" },
    [FLOW_TLS_CHECK_UNSUPPORTED] = { FLOW_VERIFY_CONSTRAINT,
                                     FLOW__ALERT_UNSUPPORTED_CERTIFICATE,
                                     VERDICT_REFUSED
                                     "unsupported name constraint" },
    [FLOW_TLS_CHECK_CRITICAL] = { FLOW_VERIFY_OTHER,
                                  FLOW__ALERT_UNSUPPORTED_CERTIFICATE,
                                  VERDICT_REFUSED
                                  "unsupported critical extension" },
    [FLOW_TLS_CHECK_KEY] = { FLOW_VERIFY_WEAK, FLOW__ALERT_BAD_CERTIFICATE,
                             VERDICT_REFUSED
                             "certificate key too weak or not supported" },
    [FLOW_TLS_CHECK_HASH] = { FLOW_VERIFY_WEAK, FLOW__ALERT_BAD_CERTIFICATE,
                              VERDICT_REFUSED "certificate signature algorithm "
                                              "too weak or not supported" },
    [FLOW_TLS_CHECK_REVOCATION] = { FLOW_VERIFY_OTHER,
                                    FLOW__ALERT_CERTIFICATE_UNKNOWN,
                                    VERDICT_REFUSED
                                    "no valid revocation list of its issuer" },
    [FLOW_TLS_CHECK_PIN] = { FLOW_VERIFY_PIN, FLOW__ALERT_CERTIFICATE_UNKNOWN,
                             VERDICT_REFUSED "no pinned key in its chain" },
    [FLOW_TLS_CHECK_CALLBACK] = { FLOW_VERIFY_OTHER,
                                  FLOW__ALERT_CERTIFICATE_UNKNOWN,
                                  VERDICT_REFUSED
                                  "rejected by the application" },
};

#define VERDICT_CHECKS (sizeof(verdict_rows) / sizeof(verdict_rows[0]))

/* See tls/verdict.h. */
void
flow__verdict_set(struct flow_tls_verdict *v, uint32_t failed)
{
    const size_t prefix = sizeof(VERDICT_REFUSED) - 1;
    const char *text;

    v->check = FLOW_TLS_CHECK_NONE;
    v->flags = 0;
    for (size_t i = VERDICT_CHECKS - 1; i > 0; i--)
        if ((failed & 1u << i) != 0) {
            v->check = (enum flow_tls_check)i;
            v->flags |= verdict_rows[i].flag;
        }
    text = verdict_rows[v->check].text;
    v->text =
        strncmp(text, VERDICT_REFUSED, prefix) == 0 ? text + prefix : text;
}

/* The name that was asked for, and the subject of the certificate that came. */
static void
verdict_set_name_detail(struct flow_error *err, const char *name,
                        const char *subject)
{
    static const char between[] = ", certificate of ";
    const size_t middle = sizeof(between) - 1;
    size_t front = strlen(name), back = strlen(subject);
    char detail[FLOW_ERROR_DETAIL];

    if (front + middle + back >= sizeof(detail)) {
        flow_error_set_detail(err, name);
        return;
    }
    memcpy(detail, name, front);
    memcpy(detail + front, between, middle);
    memcpy(detail + front + middle, subject, back + 1);
    flow_error_set_detail(err, detail);
}

/* See tls/verdict.h. */
enum flow_status
flow__verdict_error(const struct flow_tls_verdict *v, const char *name,
                    struct flow_error *err)
{
    const enum flow_status status =
        v->check == FLOW_TLS_CHECK_MALFORMED ? FLOW_E_PROTO : FLOW_E_AUTH;

    (void)flow_error_set(err, status, "tls", FLOW_DOMAIN_NONE, 0,
                         verdict_rows[v->check].text);
    err->verify_flags = status == FLOW_E_AUTH ? v->flags : 0;
    err->alert_sent = (int16_t)verdict_rows[v->check].alert;
    if (v->check == FLOW_TLS_CHECK_NAME && name != NULL)
        verdict_set_name_detail(err, name, v->subject);
    else
        flow_error_set_detail(err, v->subject);
    if (v->check == FLOW_TLS_CHECK_TRUST)
        err->hint = "name the certificate authority to trust, or ask the "
                    "peer's owner for the missing chain";
    return status;
}
