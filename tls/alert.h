/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_ALERT_H
#define FLOW_TLS_ALERT_H

#include <stdint.h>

#include <flow/status.h>

/* Alert numbers (RFC 8446 6); their names: flow_alert_name(). */
enum flow__alert {
    FLOW__ALERT_NONE = -1,
    FLOW__ALERT_CLOSE_NOTIFY = 0,
    FLOW__ALERT_UNEXPECTED_MESSAGE = 10,
    FLOW__ALERT_BAD_RECORD_MAC = 20,
    FLOW__ALERT_RECORD_OVERFLOW = 22,
    FLOW__ALERT_HANDSHAKE_FAILURE = 40,
    FLOW__ALERT_BAD_CERTIFICATE = 42,
    FLOW__ALERT_UNSUPPORTED_CERTIFICATE = 43,
    FLOW__ALERT_CERTIFICATE_REVOKED = 44,
    FLOW__ALERT_CERTIFICATE_EXPIRED = 45,
    FLOW__ALERT_CERTIFICATE_UNKNOWN = 46,
    FLOW__ALERT_ILLEGAL_PARAMETER = 47,
    FLOW__ALERT_UNKNOWN_CA = 48,
    FLOW__ALERT_ACCESS_DENIED = 49,
    FLOW__ALERT_DECODE_ERROR = 50,
    FLOW__ALERT_DECRYPT_ERROR = 51,
    FLOW__ALERT_PROTOCOL_VERSION = 70,
    FLOW__ALERT_INSUFFICIENT_SECURITY = 71,
    FLOW__ALERT_INTERNAL_ERROR = 80,
    FLOW__ALERT_INAPPROPRIATE_FALLBACK = 86,
    FLOW__ALERT_USER_CANCELED = 90,
    FLOW__ALERT_NO_RENEGOTIATION = 100,
    FLOW__ALERT_MISSING_EXTENSION = 109,
    FLOW__ALERT_UNSUPPORTED_EXTENSION = 110,
    FLOW__ALERT_UNRECOGNIZED_NAME = 112,
    FLOW__ALERT_UNKNOWN_PSK_IDENTITY = 115,
    FLOW__ALERT_CERTIFICATE_REQUIRED = 116,
    FLOW__ALERT_NO_APPLICATION_PROTOCOL = 120
};

/* Why a pure part of TLS refused its input, and what to tell the peer. */
struct flow__fault {
    enum flow__alert alert; /* FLOW__ALERT_NONE: nothing to send */
    const char *text;       /* static phrase for flow_error::text, or NULL */
};

/* Refuse what the peer sent: FLOW_E_PROTO, with an alert and a static phrase.
 */
static inline enum flow_status
flow__fault_proto(struct flow__fault *ret_fault, enum flow__alert alert,
                  const char *text)
{
    ret_fault->alert = alert;
    ret_fault->text = text;
    return FLOW_E_PROTO;
}

#endif
