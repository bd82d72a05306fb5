/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_ALERT_H
#define FLOW_TLS_ALERT_H

#include <flow/status.h>

#include "tls/wire.h"

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

/* flow_error::text for a fatal alert of the peer; flow_error_format() puts its
 * name after it: "received fatal alert: handshake_failure". */
#define FLOW__ALERT_RECEIVED_TEXT "received fatal alert"

#endif
