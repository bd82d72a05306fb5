/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_ORDER_H
#define FLOW_TLS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#include "tls/alert.h"
#include "tls/checks.h"
#include "tls/hello.h"
#include "tls/order_kinds.h"

/*
 * The order of handshake messages: RFC 8446 appendix A and RFC 5246 7.3 as
 * tables, one per role and version.  Pure: no memory, no engine, no I/O.
 *
 * Each message, the peer's or ours, passes flow__order_kind(),
 * flow__order_find(), the check of its row, the engine and flow__order_take(),
 * in this order.  The state changes only after the engine has accepted the
 * message, so an alert that refuses it is sent at the level that the peer
 * expects.
 *
 * Messages that we never negotiate have no row: early data, client
 * authentication after the handshake, CertificateStatus.
 */

/*
 * C client, S server; C_ and S_ before the version is agreed.  A state is
 * named after the message that comes next, SEND_ if that is ours.  _R: a
 * client certificate was requested.  _C: a client certificate was sent.
 * R_: a session is resumed.
 */
enum flow__order_state {
    FLOW__STATE_C_START = 0,
    FLOW__STATE_C_SH,
    FLOW__STATE_C_SEND_CH2, /* after a HelloRetryRequest */
    FLOW__STATE_C_SH2,

    FLOW__STATE_C13_EE,
    FLOW__STATE_C13_EE_PSK,
    FLOW__STATE_C13_CERT_CR,
    FLOW__STATE_C13_CERT_R,
    FLOW__STATE_C13_CV,
    FLOW__STATE_C13_CV_R,
    FLOW__STATE_C13_FIN,
    FLOW__STATE_C13_FIN_R,
    FLOW__STATE_C13_SEND_CERT,
    FLOW__STATE_C13_SEND_CV,
    FLOW__STATE_C13_SEND_FIN,
    FLOW__STATE_C13_OPEN,

    FLOW__STATE_C12_CERT,
    FLOW__STATE_C12_SKE,
    FLOW__STATE_C12_CR_SHD,
    FLOW__STATE_C12_SHD_R,
    FLOW__STATE_C12_SEND_CERT,
    FLOW__STATE_C12_SEND_CKE,
    FLOW__STATE_C12_SEND_CKE_C,
    FLOW__STATE_C12_SEND_CV,
    FLOW__STATE_C12_SEND_CCS,
    FLOW__STATE_C12_SEND_FIN,
    FLOW__STATE_C12_NST_CCS,
    FLOW__STATE_C12_CCS,
    FLOW__STATE_C12_FIN,
    FLOW__STATE_C12_R_NST,
    FLOW__STATE_C12_R_CCS,
    FLOW__STATE_C12_R_FIN,
    FLOW__STATE_C12_R_SEND_CCS,
    FLOW__STATE_C12_R_SEND_FIN,
    FLOW__STATE_C12_OPEN,

    FLOW__STATE_S_CH,
    FLOW__STATE_S_SEND_SH,
    FLOW__STATE_S_CH2, /* after a HelloRetryRequest */
    FLOW__STATE_S_SEND_SH2,

    FLOW__STATE_S13_SEND_EE,
    FLOW__STATE_S13_SEND_EE_PSK,
    FLOW__STATE_S13_SEND_CERT_CR,
    FLOW__STATE_S13_SEND_CERT_R,
    FLOW__STATE_S13_SEND_CV,
    FLOW__STATE_S13_SEND_CV_R,
    FLOW__STATE_S13_SEND_FIN,
    FLOW__STATE_S13_SEND_FIN_R,
    FLOW__STATE_S13_CERT,
    FLOW__STATE_S13_CV,
    FLOW__STATE_S13_FIN,
    FLOW__STATE_S13_OPEN,

    FLOW__STATE_S12_SEND_CERT,
    FLOW__STATE_S12_SEND_SKE,
    FLOW__STATE_S12_SEND_CR_SHD,
    FLOW__STATE_S12_SEND_SHD_R,
    FLOW__STATE_S12_CERT_R,
    FLOW__STATE_S12_CKE,
    FLOW__STATE_S12_CKE_C,
    FLOW__STATE_S12_CV,
    FLOW__STATE_S12_CCS,
    FLOW__STATE_S12_FIN,
    FLOW__STATE_S12_SEND_NST_CCS,
    FLOW__STATE_S12_SEND_CCS,
    FLOW__STATE_S12_SEND_FIN,
    FLOW__STATE_S12_R_SEND_NST,
    FLOW__STATE_S12_R_SEND_CCS,
    FLOW__STATE_S12_R_SEND_FIN,
    FLOW__STATE_S12_R_CCS,
    FLOW__STATE_S12_R_FIN,
    FLOW__STATE_S12_OPEN,

    FLOW__STATE_COUNT
};

enum flow__turn {
    FLOW__TURN_PEER,  /* read */
    FLOW__TURN_OURS,  /* send; nothing is read meanwhile */
    FLOW__TURN_EITHER /* the handshake is over */
};

/* Which records are skipped as refused 0-RTT data (RFC 8446 4.2.10), if the
 * ClientHello had early_data.  The caller limits the bytes skipped in all. */
enum flow__skip {
    FLOW__SKIP_NONE,
    FLOW__SKIP_APPLICATION_DATA, /* every record of this type */
    FLOW__SKIP_UNOPENED          /* records with a bad MAC, until one opens */
};

/* What a state determines, whichever message comes next. */
struct flow__order_facts {
    uint16_t version; /* 0x0303, 0x0304, or 0: not agreed */
    uint8_t rx;       /* enum flow__level, of the peer's next message */
    uint8_t tx;       /* the same, of our next one, and of an alert of ours */
    uint8_t turn;     /* enum flow__turn */
    /* TLS 1.3: a change_cipher_spec record whose one byte is 1 is dropped (RFC
     * 8446 5); the caller limits how many.  If false, such a record is a
     * message of kind FLOW__KIND_CHANGE_CIPHER_SPEC at the plain level. */
    bool drops_ccs;
    uint8_t skip; /* enum flow__skip */
};

/* Flags of a row.  The caller carries out those about what is sent. */
/* Not given to the engine: skipped, counted and limited (HelloRequest). */
#define FLOW__ROW_IGNORED 0x02u
/* A TLS 1.3 change_cipher_spec is sent before or after this message of ours, if
 * none was sent yet and the client's session id is not empty (RFC 8446 D.4). */
#define FLOW__ROW_CCS_BEFORE 0x04u
#define FLOW__ROW_CCS_AFTER  0x08u
/* Answered with the warning no_renegotiation (RFC 5746 4.5). */
#define FLOW__ROW_NO_RENEGOTIATION 0x10u
/* The peer's turn or its key ends with this message.  Further bytes in the
 * record in which it ends are refused with unexpected_message. */
#define FLOW__ROW_LAST 0x20u
/* TICKET sets flow__order::ticket.  A row with IF_TICKET applies only if it is
 * set, one with NO_TICKET only if it is not. */
#define FLOW__ROW_TICKET    0x40u
#define FLOW__ROW_IF_TICKET 0x80u
#define FLOW__ROW_NO_TICKET 0x100u

struct flow__order_row {
    uint8_t from;                      /* enum flow__order_state */
    bool ours;                         /* sent by us, not by the peer */
    uint8_t kind;                      /* enum flow__kind */
    uint8_t to;                        /* enum flow__order_state */
    uint16_t flags;                    /* FLOW__ROW_ */
    const struct flow__fault *refused; /* with this alert; NULL: accepted */
    flow__check_fn *check; /* of a message of the peer; NULL: none */
};

/* The state of one handshake. */
struct flow__order {
    enum flow__order_state state;
    bool ticket; /* TLS 1.2: the server promised a NewSessionTicket */
};

/* Set the first state: a client sends, a server expects the ClientHello. */
void flow__order_init(struct flow__order *order, bool server);

/* Never NULL. */
const struct flow__order_facts *flow__order_facts(enum flow__order_state state);

/*
 * The kind of a whole handshake message, header included, len >= 4.  session_id
 * is that of the ClientHello: if a TLS 1.2 ServerHello repeats it, the session
 * is resumed.
 */
enum flow__kind flow__order_kind(const struct flow__order *order,
                                 const uint8_t *msg, size_t len,
                                 struct flow__span session_id);

/*
 * Find the row of a message that was received, or is about to be sent, at a
 * level.  FLOW_OK: *ret_row is set.  FLOW_E_PROTO: the peer's message is out of
 * order or at the wrong level; *ret_fault says which.  FLOW_E_SYS: our message
 * is, which is a mistake of the engine; *ret_fault has internal_error.
 */
enum flow_status flow__order_find(const struct flow__order *order, bool ours,
                                  enum flow__kind kind, enum flow__level level,
                                  const struct flow__order_row **ret_row,
                                  struct flow__fault *ret_fault);

/* Go to the next state; row is one of the present state. */
void flow__order_take(struct flow__order *order,
                      const struct flow__order_row *row);

/* Whether the handshake is over. */
bool flow__order_is_open(const struct flow__order *order);

/* All rows, table after table; NULL after the last one. */
const struct flow__order_row *flow__order_row(size_t index);

#endif
