/* SPDX-License-Identifier: ISC */
#include "tls/checks.h"

/* What the checks of several messages share. */

/* See tls/checks.h. */
bool
flow__check_body(const uint8_t *msg, size_t len, struct flow__span *ret_body)
{
    struct flow__span in = { msg, len };
    uint8_t type;

    return flow__span_take_u8(&in, &type) &&
           flow__span_take_vec24(&in, ret_body) && in.len == 0;
}

/* See tls/checks.h. */
enum flow_status
flow__check_was_offered(const struct flow__client_hello *offer, uint16_t type,
                        struct flow__fault *ret_fault)
{
    struct flow__span list = offer->extensions;
    struct flow__span body;
    uint16_t t;

    while (flow__hello_next_extension(&list, &t, &body))
        if (t == type)
            return FLOW_OK;
    return flow__fault_proto(ret_fault, FLOW__ALERT_UNSUPPORTED_EXTENSION,
                             "the peer answered an extension it was not sent");
}

/* See tls/checks.h. */
enum flow_status
flow__check_extensions(struct flow__span list, unsigned place,
                       const struct flow__client_hello *offer,
                       struct flow__fault *ret_fault)
{
    struct flow__extensions x;
    enum flow_status st = FLOW_OK;

    flow__extensions_init(&x, list);
    while (st == FLOW_OK && x.rest.len > 0) {
        bool must_be_offered = offer != NULL;

        st = flow__extensions_next(&x, ret_fault);
        /* RFC 8446 4.2.2: a server may send a cookie without being asked. */
        if (place == FLOW__IN_HELLO_RETRY_REQUEST &&
            x.type == FLOW__EXTENSION_COOKIE)
            must_be_offered = false;
        if (st == FLOW_OK && must_be_offered)
            st = flow__check_was_offered(offer, x.type, ret_fault);
        if (st == FLOW_OK && flow__extension_is_misplaced(x.type, place))
            st = flow__fault_proto(ret_fault, FLOW__ALERT_ILLEGAL_PARAMETER,
                                   "an extension is not one of this message");
    }
    return st;
}
