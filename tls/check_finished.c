/* SPDX-License-Identifier: ISC */
#include "tls/checks.h"

/* Finished (RFC 8446 4.4.4, RFC 5246 7.4.9), and messages without a body. */

/* See tls/checks.h. */
enum flow_status
flow__check_empty(const struct flow__check_facts *facts, const uint8_t *msg,
                  size_t len, struct flow__fault *ret_fault)
{
    struct flow__span body;

    (void)facts;
    if (!flow__check_body(msg, len, &body) || body.len > 0)
        return flow__fault_proto(ret_fault, FLOW__ALERT_DECODE_ERROR,
                                 "a message that must be empty is not");
    return FLOW_OK;
}

static enum flow_status
check_finished_length(const uint8_t *msg, size_t len, size_t expected,
                      struct flow__fault *fault)
{
    struct flow__span body;

    if (!flow__check_body(msg, len, &body) || body.len != expected)
        return flow__fault_proto(fault, FLOW__ALERT_DECODE_ERROR,
                                 "malformed Finished: wrong length");
    return FLOW_OK;
}

/* See tls/checks.h. */
enum flow_status
flow__check_finished12(const struct flow__check_facts *facts,
                       const uint8_t *msg, size_t len,
                       struct flow__fault *ret_fault)
{
    (void)facts;
    return check_finished_length(msg, len, FLOW__VERIFY_DATA12_LEN, ret_fault);
}

/* See tls/checks.h. */
enum flow_status
flow__check_finished13(const struct flow__check_facts *facts,
                       const uint8_t *msg, size_t len,
                       struct flow__fault *ret_fault)
{
    return check_finished_length(msg, len, (size_t)facts->suite->hash,
                                 ret_fault);
}
