/* SPDX-License-Identifier: ISC */
#include "tls/checks.h"

/* NewSessionTicket and KeyUpdate: lengths, and the value of request_update. */

/* See tls/checks.h; RFC 5077 3.3.  A ticket may be empty. */
enum flow_status
flow__check_new_session_ticket12(const struct flow__check_facts *facts,
                                 const uint8_t *msg, size_t len,
                                 struct flow__fault *ret_fault)
{
    struct flow__span body;
    struct flow__span field;

    (void)facts;
    if (!flow__check_body(msg, len, &body) ||
        !flow__span_take(&body, 4, &field) ||
        !flow__span_take_vec16(&body, &field) || body.len > 0)
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "malformed NewSessionTicket");
    return FLOW_OK;
}

/* Lifetime and age_add, nonce, ticket, and then the extensions. */
static bool
check_post_handshake_ticket(const uint8_t *msg, size_t len,
                            struct flow__span *ret_extensions)
{
    struct flow__span body;
    struct flow__span field;

    return flow__check_body(msg, len, &body) &&
           flow__span_take(&body, 8, &field) &&
           flow__span_take_vec8(&body, &field) &&
           flow__span_take_vec16(&body, &field) && field.len > 0 &&
           flow__span_take_vec16(&body, ret_extensions) && body.len == 0;
}

/* See tls/checks.h; RFC 8446 4.6.1. */
enum flow_status
flow__check_new_session_ticket13(const struct flow__check_facts *facts,
                                 const uint8_t *msg, size_t len,
                                 struct flow__fault *ret_fault)
{
    struct flow__span list;
    uint16_t type;
    struct flow__span body;
    enum flow_status st;

    (void)facts;
    if (!check_post_handshake_ticket(msg, len, &list))
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "malformed NewSessionTicket");
    st = flow__check_extensions(list, FLOW__IN_NEW_SESSION_TICKET, NULL,
                                ret_fault);
    if (st != FLOW_OK)
        return st;
    while (flow__hello_next_extension(&list, &type, &body))
        if (type == FLOW__EXTENSION_EARLY_DATA && body.len != 4)
            return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                     "malformed early_data");
    return FLOW_OK;
}

/* See tls/checks.h; RFC 8446 4.6.3. */
enum flow_status
flow__check_key_update(const struct flow__check_facts *facts,
                       const uint8_t *msg, size_t len,
                       struct flow__fault *ret_fault)
{
    struct flow__span body;

    (void)facts;
    if (!flow__check_body(msg, len, &body) || body.len != 1)
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "malformed KeyUpdate");
    if (body.base[0] > 1)
        return flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                 "KeyUpdate with an unknown request");
    return FLOW_OK;
}
