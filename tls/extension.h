/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_EXTENSION_H
#define FLOW_TLS_EXTENSION_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/status.h>

#include "tls/alert.h"
#include "tls/span.h"
#include "tls/wire.h"

/* Extensions, and the list of them that many handshake messages have. */

/* Messages of TLS 1.3 that have extensions. */
#define FLOW__IN_CLIENT_HELLO         0x01u
#define FLOW__IN_SERVER_HELLO         0x02u
#define FLOW__IN_HELLO_RETRY_REQUEST  0x04u
#define FLOW__IN_ENCRYPTED_EXTENSIONS 0x08u
#define FLOW__IN_CERTIFICATE_REQUEST  0x10u
#define FLOW__IN_CERTIFICATE          0x20u
#define FLOW__IN_NEW_SESSION_TICKET   0x40u

/* Whether we know an extension, and it is not one of this message of TLS 1.3
 * (RFC 8446 4.2: illegal_parameter). */
bool flow__extension_is_misplaced(uint16_t type, unsigned place);

/* More extensions than this in one message are refused. */
#define FLOW__EXTENSIONS_MAX 64

/* A list in hand, with what is needed to find repeats. */
struct flow__extensions {
    struct flow__span rest;
    uint16_t type; /* of the present one */
    struct flow__span body;
    unsigned count; /* of those seen */
    uint16_t seen[FLOW__EXTENSIONS_MAX];
};

/* list: what is after the length of the list; may be empty. */
void flow__extensions_init(struct flow__extensions *x, struct flow__span list);

/*
 * Go to the next extension; rest is not empty.  FLOW_E_PROTO: decode_error
 * where the list is cut or has too many, illegal_parameter for one that came
 * before.
 */
enum flow_status flow__extensions_next(struct flow__extensions *x,
                                       struct flow__fault *ret_fault);

#endif
