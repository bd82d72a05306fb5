/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include <flow/status.h>

struct alert_entry {
    int number;
    const char *name;
};

/* RFC 8446 6 and, for what it left out, RFC 5246 7.2 and RFC 2246 7.2. */
static const struct alert_entry alert_entries[] = {
    { 0, "close_notify" },
    { 10, "unexpected_message" },
    { 20, "bad_record_mac" },
    { 21, "decryption_failed" },
    { 22, "record_overflow" },
    { 30, "decompression_failure" },
    { 40, "handshake_failure" },
    { 41, "no_certificate" },
    { 42, "bad_certificate" },
    { 43, "unsupported_certificate" },
    { 44, "certificate_revoked" },
    { 45, "certificate_expired" },
    { 46, "certificate_unknown" },
    { 47, "illegal_parameter" },
    { 48, "unknown_ca" },
    { 49, "access_denied" },
    { 50, "decode_error" },
    { 51, "decrypt_error" },
    { 60, "export_restriction" },
    { 70, "protocol_version" },
    { 71, "insufficient_security" },
    { 80, "internal_error" },
    { 86, "inappropriate_fallback" }, /* RFC 7507 */
    { 90, "user_canceled" },
    { 100, "no_renegotiation" },
    { 109, "missing_extension" },
    { 110, "unsupported_extension" },
    { 111, "certificate_unobtainable" }, /* RFC 6066 */
    { 112, "unrecognized_name" },
    { 113, "bad_certificate_status_response" },
    { 114, "bad_certificate_hash_value" }, /* RFC 6066 */
    { 115, "unknown_psk_identity" },
    { 116, "certificate_required" },
    { 120, "no_application_protocol" },
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
