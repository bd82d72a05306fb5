/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include <flow/status.h>

#include "lib/alert.h"

struct alert_entry {
    int number;
    const char *name;
};

static const struct alert_entry alert_entries[] = {
    { FLOW__ALERT_CLOSE_NOTIFY, "close_notify" },
    { FLOW__ALERT_UNEXPECTED_MESSAGE, "unexpected_message" },
    { FLOW__ALERT_BAD_RECORD_MAC, "bad_record_mac" },
    { FLOW__ALERT_DECRYPTION_FAILED, "decryption_failed" },
    { FLOW__ALERT_RECORD_OVERFLOW, "record_overflow" },
    { FLOW__ALERT_DECOMPRESSION_FAILURE, "decompression_failure" },
    { FLOW__ALERT_HANDSHAKE_FAILURE, "handshake_failure" },
    { FLOW__ALERT_NO_CERTIFICATE, "no_certificate" },
    { FLOW__ALERT_BAD_CERTIFICATE, "bad_certificate" },
    { FLOW__ALERT_UNSUPPORTED_CERTIFICATE, "unsupported_certificate" },
    { FLOW__ALERT_CERTIFICATE_REVOKED, "certificate_revoked" },
    { FLOW__ALERT_CERTIFICATE_EXPIRED, "certificate_expired" },
    { FLOW__ALERT_CERTIFICATE_UNKNOWN, "certificate_unknown" },
    { FLOW__ALERT_ILLEGAL_PARAMETER, "illegal_parameter" },
    { FLOW__ALERT_UNKNOWN_CA, "unknown_ca" },
    { FLOW__ALERT_ACCESS_DENIED, "access_denied" },
    { FLOW__ALERT_DECODE_ERROR, "decode_error" },
    { FLOW__ALERT_DECRYPT_ERROR, "decrypt_error" },
    { FLOW__ALERT_EXPORT_RESTRICTION, "export_restriction" },
    { FLOW__ALERT_PROTOCOL_VERSION, "protocol_version" },
    { FLOW__ALERT_INSUFFICIENT_SECURITY, "insufficient_security" },
    { FLOW__ALERT_INTERNAL_ERROR, "internal_error" },
    { FLOW__ALERT_INAPPROPRIATE_FALLBACK, "inappropriate_fallback" },
    { FLOW__ALERT_USER_CANCELED, "user_canceled" },
    { FLOW__ALERT_NO_RENEGOTIATION, "no_renegotiation" },
    { FLOW__ALERT_MISSING_EXTENSION, "missing_extension" },
    { FLOW__ALERT_UNSUPPORTED_EXTENSION, "unsupported_extension" },
    { FLOW__ALERT_CERTIFICATE_UNOBTAINABLE, "certificate_unobtainable" },
    { FLOW__ALERT_UNRECOGNIZED_NAME, "unrecognized_name" },
    { FLOW__ALERT_BAD_CERTIFICATE_STATUS_RESPONSE,
      "bad_certificate_status_response" },
    { FLOW__ALERT_BAD_CERTIFICATE_HASH_VALUE, "bad_certificate_hash_value" },
    { FLOW__ALERT_UNKNOWN_PSK_IDENTITY, "unknown_psk_identity" },
    { FLOW__ALERT_CERTIFICATE_REQUIRED, "certificate_required" },
    { FLOW__ALERT_NO_APPLICATION_PROTOCOL, "no_application_protocol" },
};

/* See <flow/status.h>. */
const char *
flow_alert_name(int alert)
{
    size_t i;

    for (i = 0; i < sizeof(alert_entries) / sizeof(alert_entries[0]); i++)
        if (alert_entries[i].number == alert)
            return alert_entries[i].name;
    return "unknown_alert";
}
