/* SPDX-License-Identifier: ISC */
#include "tls/order.h"

#include <string.h>

#include "tls/engine.h"

/*
 * The tables, and how to compare them with the RFCs.
 *
 * A PEER() row is a message that is received, an OURS() row one that is sent.
 * A message without a row is refused.  Where RFC 8446 appendix A says that a
 * message may be skipped, or RFC 5246 7.3 has a star, one state has two rows.
 *
 * Only suites with ECDHE and certificates are offered.  So a full handshake of
 * TLS 1.2 always has Certificate and ServerKeyExchange, and in TLS 1.3 only a
 * PSK replaces the certificate.
 */

/* Short columns for the tables; undefined after them. */
#define STATE(s) FLOW__STATE_##s
#define ROW(from, is_ours, kind, to, flags, fault, check)                      \
    {                                                                          \
        STATE(from), is_ours, FLOW__KIND_##kind, STATE(to), flags, fault,      \
            check                                                              \
    }
#define PEER(from, kind, to, flags, check)                                     \
    ROW(from, false, kind, to, flags, NULL, check)
#define OURS(from, kind, to, flags) ROW(from, true, kind, to, flags, NULL, NULL)
/* Refused with the alert that the RFC names instead of unexpected_message. */
#define DENY(from, kind, fault)                                                \
    ROW(from, false, kind, from, 0, &order_##fault, NULL)
/* RFC 5246 7.4.1.1: ignored by a client that is negotiating. */
#define HELLO_REQUEST_IN(from)                                                 \
    PEER(from, HELLO_REQUEST, from, IGNORED, flow__check_empty)

static const struct flow__fault order_no_cert = {
    FLOW__ALERT_DECODE_ERROR, "the server sent no certificate"
};
static const struct flow__fault order_old_version = {
    FLOW__ALERT_ILLEGAL_PARAMETER,
    "the server chose TLS 1.2 after a HelloRetryRequest"
};

#define IGNORED    FLOW__ROW_IGNORED
#define CCS_BEFORE FLOW__ROW_CCS_BEFORE
#define CCS_AFTER  FLOW__ROW_CCS_AFTER
#define NO_RENEG   FLOW__ROW_NO_RENEGOTIATION
#define LAST       FLOW__ROW_LAST
#define TICKET     FLOW__ROW_TICKET
#define IF_TICKET  FLOW__ROW_IF_TICKET
#define NO_TICKET  FLOW__ROW_NO_TICKET

/* clang-format off */

#define F(s, version, rx, tx, turn, ccs, skip)                                 \
    [STATE(s)] = { VERSION_##version, FLOW__LEVEL_##rx, FLOW__LEVEL_##tx,      \
                   FLOW__TURN_##turn, ccs, FLOW__SKIP_##skip }
#define VERSION_0   0
#define VERSION_1_2 FLOW_TLS_1_2
#define VERSION_1_3 FLOW_TLS_1_3
#define DROP   true
#define REFUSE false

/* RFC 8446 5 drops a change_cipher_spec from the first ClientHello to the
 * peer's Finished.  Before the ServerHello it is refused here: the version may
 * still become TLS 1.2, which does not allow one there, and no honest peer
 * sends it. */
static const struct flow__order_facts order_states[FLOW__STATE_COUNT] = {
    /*                version rx         tx         turn    CCS     0-RTT */
    F(C_START,             0, PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(C_SH,                0, PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(C_SEND_CH2,          0, PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(C_SH2,               0, PLAIN,     PLAIN,     PEER,   DROP,   NONE),

    F(C13_EE,         1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_EE_PSK,     1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_CERT_CR,    1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_CERT_R,     1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_CV,         1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_CV_R,       1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_FIN,        1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_FIN_R,      1_3,    HANDSHAKE, HANDSHAKE, PEER,   DROP,   NONE),
    F(C13_SEND_CERT,  1_3,    DATA,      HANDSHAKE, OURS,   REFUSE, NONE),
    F(C13_SEND_CV,    1_3,    DATA,      HANDSHAKE, OURS,   REFUSE, NONE),
    F(C13_SEND_FIN,   1_3,    DATA,      HANDSHAKE, OURS,   REFUSE, NONE),
    F(C13_OPEN,       1_3,    DATA,      DATA,      EITHER, REFUSE, NONE),

    F(C12_CERT,       1_2,    PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(C12_SKE,        1_2,    PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(C12_CR_SHD,     1_2,    PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(C12_SHD_R,      1_2,    PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(C12_SEND_CERT,  1_2,    PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(C12_SEND_CKE,   1_2,    PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(C12_SEND_CKE_C, 1_2,    PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(C12_SEND_CV,    1_2,    PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(C12_SEND_CCS,   1_2,    PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(C12_SEND_FIN,   1_2,    PLAIN,     DATA,      OURS,   REFUSE, NONE),
    F(C12_NST_CCS,    1_2,    PLAIN,     DATA,      PEER,   REFUSE, NONE),
    F(C12_CCS,        1_2,    PLAIN,     DATA,      PEER,   REFUSE, NONE),
    F(C12_FIN,        1_2,    DATA,      DATA,      PEER,   REFUSE, NONE),
    F(C12_R_NST,      1_2,    PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(C12_R_CCS,      1_2,    PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(C12_R_FIN,      1_2,    DATA,      PLAIN,     PEER,   REFUSE, NONE),
    F(C12_R_SEND_CCS, 1_2,    DATA,      PLAIN,     OURS,   REFUSE, NONE),
    F(C12_R_SEND_FIN, 1_2,    DATA,      DATA,      OURS,   REFUSE, NONE),
    F(C12_OPEN,       1_2,    DATA,      DATA,      EITHER, REFUSE, NONE),

    F(S_CH,                0, PLAIN,     PLAIN,     PEER,   REFUSE, NONE),
    F(S_SEND_SH,           0, PLAIN,     PLAIN,     OURS,   REFUSE, NONE),
    F(S_CH2,               0, PLAIN,     PLAIN,     PEER,   DROP,
      APPLICATION_DATA),
    F(S_SEND_SH2,          0, PLAIN,     PLAIN,     OURS,   REFUSE, NONE),

    F(S13_SEND_EE,      1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_SEND_EE_PSK,  1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_SEND_CERT_CR, 1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_SEND_CERT_R,  1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_SEND_CV,      1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_SEND_CV_R,    1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_SEND_FIN,     1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_SEND_FIN_R,   1_3,    HANDSHAKE, HANDSHAKE, OURS, REFUSE, NONE),
    F(S13_CERT,       1_3,    HANDSHAKE, DATA,      PEER,   DROP,   UNOPENED),
    F(S13_CV,         1_3,    HANDSHAKE, DATA,      PEER,   DROP,   NONE),
    F(S13_FIN,        1_3,    HANDSHAKE, DATA,      PEER,   DROP,   UNOPENED),
    F(S13_OPEN,       1_3,    DATA,      DATA,      EITHER, REFUSE, NONE),

    F(S12_SEND_CERT,    1_2,    PLAIN,   PLAIN,     OURS,   REFUSE, NONE),
    F(S12_SEND_SKE,     1_2,    PLAIN,   PLAIN,     OURS,   REFUSE, NONE),
    F(S12_SEND_CR_SHD,  1_2,    PLAIN,   PLAIN,     OURS,   REFUSE, NONE),
    F(S12_SEND_SHD_R,   1_2,    PLAIN,   PLAIN,     OURS,   REFUSE, NONE),
    F(S12_CERT_R,       1_2,    PLAIN,   PLAIN,     PEER,   REFUSE, NONE),
    F(S12_CKE,          1_2,    PLAIN,   PLAIN,     PEER,   REFUSE, NONE),
    F(S12_CKE_C,        1_2,    PLAIN,   PLAIN,     PEER,   REFUSE, NONE),
    F(S12_CV,           1_2,    PLAIN,   PLAIN,     PEER,   REFUSE, NONE),
    F(S12_CCS,          1_2,    PLAIN,   PLAIN,     PEER,   REFUSE, NONE),
    F(S12_FIN,          1_2,    DATA,    PLAIN,     PEER,   REFUSE, NONE),
    F(S12_SEND_NST_CCS, 1_2,    DATA,    PLAIN,     OURS,   REFUSE, NONE),
    F(S12_SEND_CCS,     1_2,    DATA,    PLAIN,     OURS,   REFUSE, NONE),
    F(S12_SEND_FIN,     1_2,    DATA,    DATA,      OURS,   REFUSE, NONE),
    F(S12_R_SEND_NST,   1_2,    PLAIN,   PLAIN,     OURS,   REFUSE, NONE),
    F(S12_R_SEND_CCS,   1_2,    PLAIN,   PLAIN,     OURS,   REFUSE, NONE),
    F(S12_R_SEND_FIN,   1_2,    PLAIN,   DATA,      OURS,   REFUSE, NONE),
    F(S12_R_CCS,        1_2,    PLAIN,   DATA,      PEER,   REFUSE, NONE),
    F(S12_R_FIN,        1_2,    DATA,    DATA,      PEER,   REFUSE, NONE),
    F(S12_OPEN,         1_2,    DATA,    DATA,      EITHER, REFUSE, NONE),
};

/* Before the version is agreed: RFC 8446 4.1, RFC 5246 7.4.1. */
static const struct flow__order_row order_client_rows[] = {
    OURS(C_START,    CLIENT_HELLO,           C_SH,       0),

    HELLO_REQUEST_IN(C_SH),
    PEER(C_SH, SERVER_HELLO13,               C13_EE,     LAST,
         flow__check_server_hello),
    PEER(C_SH, SERVER_HELLO13_PSK,           C13_EE_PSK, LAST,
         flow__check_server_hello),
    PEER(C_SH, HELLO_RETRY_REQUEST,          C_SEND_CH2, LAST,
         flow__check_hello_retry_request),
    PEER(C_SH, SERVER_HELLO12,               C12_CERT,   0,
         flow__check_server_hello),
    PEER(C_SH, SERVER_HELLO12_TICKET,        C12_CERT,   TICKET,
         flow__check_server_hello),
    PEER(C_SH, SERVER_HELLO12_RESUMED,       C12_R_CCS,  0,
         flow__check_server_hello),
    PEER(C_SH, SERVER_HELLO12_RESUMED_TICKET, C12_R_NST, TICKET,
         flow__check_server_hello),

    OURS(C_SEND_CH2, CLIENT_HELLO,           C_SH2,      CCS_BEFORE),

    /* RFC 8446 4.1.4: what was agreed in the HelloRetryRequest stays. */
    PEER(C_SH2, SERVER_HELLO13,              C13_EE,     LAST,
         flow__check_server_hello),
    PEER(C_SH2, SERVER_HELLO13_PSK,          C13_EE_PSK, LAST,
         flow__check_server_hello),
    DENY(C_SH2, SERVER_HELLO12,                old_version),
    DENY(C_SH2, SERVER_HELLO12_TICKET,         old_version),
    DENY(C_SH2, SERVER_HELLO12_RESUMED,        old_version),
    DENY(C_SH2, SERVER_HELLO12_RESUMED_TICKET, old_version),
};

/* RFC 8446 A.1 */
static const struct flow__order_row order_client13_rows[] = {
    PEER(C13_EE,      ENCRYPTED_EXTENSIONS, C13_CERT_CR,   0,
         flow__check_encrypted_extensions),
    PEER(C13_EE_PSK,  ENCRYPTED_EXTENSIONS, C13_FIN,       0,
         flow__check_encrypted_extensions),
    PEER(C13_CERT_CR, CERTIFICATE_REQUEST,  C13_CERT_R,    0,
         flow__check_certificate_request13),
    PEER(C13_CERT_CR, CERTIFICATE,          C13_CV,        0,
         flow__check_certificate13),
    /* RFC 8446 4.4.2.4 */
    DENY(C13_CERT_CR, CERTIFICATE_EMPTY,    no_cert),
    PEER(C13_CERT_R,  CERTIFICATE,          C13_CV_R,      0,
         flow__check_certificate13),
    DENY(C13_CERT_R,  CERTIFICATE_EMPTY,    no_cert),
    PEER(C13_CV,      CERTIFICATE_VERIFY,   C13_FIN,       0,
         flow__check_certificate_verify13),
    PEER(C13_CV_R,    CERTIFICATE_VERIFY,   C13_FIN_R,     0,
         flow__check_certificate_verify13),
    PEER(C13_FIN,     FINISHED,             C13_SEND_FIN,  LAST,
         flow__check_finished13),
    PEER(C13_FIN_R,   FINISHED,             C13_SEND_CERT, LAST,
         flow__check_finished13),

    OURS(C13_SEND_CERT, CERTIFICATE,        C13_SEND_CV,   CCS_BEFORE),
    OURS(C13_SEND_CERT, CERTIFICATE_EMPTY,  C13_SEND_FIN,  CCS_BEFORE),
    OURS(C13_SEND_CV,   CERTIFICATE_VERIFY, C13_SEND_FIN,  0),
    OURS(C13_SEND_FIN,  FINISHED,           C13_OPEN,      CCS_BEFORE),

    PEER(C13_OPEN, NEW_SESSION_TICKET,      C13_OPEN,      0,
         flow__check_new_session_ticket13),
    PEER(C13_OPEN, KEY_UPDATE,              C13_OPEN,      LAST,
         flow__check_key_update),
    OURS(C13_OPEN, KEY_UPDATE,              C13_OPEN,      0),
};

/* RFC 8446 A.2 */
static const struct flow__order_row order_server13_rows[] = {
    OURS(S13_SEND_EE,      ENCRYPTED_EXTENSIONS, S13_SEND_CERT_CR, 0),
    OURS(S13_SEND_EE_PSK,  ENCRYPTED_EXTENSIONS, S13_SEND_FIN,     0),
    OURS(S13_SEND_CERT_CR, CERTIFICATE_REQUEST,  S13_SEND_CERT_R,  0),
    OURS(S13_SEND_CERT_CR, CERTIFICATE,          S13_SEND_CV,      0),
    OURS(S13_SEND_CERT_R,  CERTIFICATE,          S13_SEND_CV_R,    0),
    OURS(S13_SEND_CV,      CERTIFICATE_VERIFY,   S13_SEND_FIN,     0),
    OURS(S13_SEND_CV_R,    CERTIFICATE_VERIFY,   S13_SEND_FIN_R,   0),
    OURS(S13_SEND_FIN,     FINISHED,             S13_FIN,          0),
    OURS(S13_SEND_FIN_R,   FINISHED,             S13_CERT,         0),

    PEER(S13_CERT, CERTIFICATE,        S13_CV,   0,
         flow__check_certificate13),
    PEER(S13_CERT, CERTIFICATE_EMPTY,  S13_FIN,  0,
         flow__check_certificate13),
    PEER(S13_CV,   CERTIFICATE_VERIFY, S13_FIN,  0,
         flow__check_certificate_verify13),
    PEER(S13_FIN,  FINISHED,           S13_OPEN, LAST,
         flow__check_finished13),

    OURS(S13_OPEN, NEW_SESSION_TICKET, S13_OPEN, 0),
    PEER(S13_OPEN, KEY_UPDATE,         S13_OPEN, LAST,
         flow__check_key_update),
    OURS(S13_OPEN, KEY_UPDATE,         S13_OPEN, 0),
};

/* RFC 5246 7.3, with NewSessionTicket as in RFC 5077 3.1: figure 1 and the
 * resumed handshake of figure 2, of the client. */
static const struct flow__order_row order_client12_rows[] = {
    HELLO_REQUEST_IN(C12_CERT),
    PEER(C12_CERT,    CERTIFICATE,         C12_SKE,       0,
         flow__check_certificate12),
    DENY(C12_CERT,    CERTIFICATE_EMPTY,   no_cert),
    HELLO_REQUEST_IN(C12_SKE),
    PEER(C12_SKE,     SERVER_KEY_EXCHANGE, C12_CR_SHD,    0,
         flow__check_server_key_exchange),
    HELLO_REQUEST_IN(C12_CR_SHD),
    PEER(C12_CR_SHD,  CERTIFICATE_REQUEST, C12_SHD_R,     0,
         flow__check_certificate_request12),
    PEER(C12_CR_SHD,  SERVER_HELLO_DONE,   C12_SEND_CKE,  LAST,
         flow__check_empty),
    HELLO_REQUEST_IN(C12_SHD_R),
    PEER(C12_SHD_R,   SERVER_HELLO_DONE,   C12_SEND_CERT, LAST,
         flow__check_empty),

    OURS(C12_SEND_CERT,  CERTIFICATE,         C12_SEND_CKE_C, 0),
    OURS(C12_SEND_CERT,  CERTIFICATE_EMPTY,   C12_SEND_CKE,   0),
    OURS(C12_SEND_CKE,   CLIENT_KEY_EXCHANGE, C12_SEND_CCS,   0),
    OURS(C12_SEND_CKE_C, CLIENT_KEY_EXCHANGE, C12_SEND_CV,    0),
    OURS(C12_SEND_CV,    CERTIFICATE_VERIFY,  C12_SEND_CCS,   0),
    OURS(C12_SEND_CCS,   CHANGE_CIPHER_SPEC,  C12_SEND_FIN,   0),
    OURS(C12_SEND_FIN,   FINISHED,            C12_NST_CCS,    0),

    HELLO_REQUEST_IN(C12_NST_CCS),
    PEER(C12_NST_CCS, NEW_SESSION_TICKET, C12_CCS,  IF_TICKET,
         flow__check_new_session_ticket12),
    PEER(C12_NST_CCS, CHANGE_CIPHER_SPEC, C12_FIN,  NO_TICKET | LAST, NULL),
    HELLO_REQUEST_IN(C12_CCS),
    PEER(C12_CCS,     CHANGE_CIPHER_SPEC, C12_FIN,  LAST, NULL),
    HELLO_REQUEST_IN(C12_FIN),
    PEER(C12_FIN,     FINISHED,           C12_OPEN, LAST,
         flow__check_finished12),

    HELLO_REQUEST_IN(C12_R_NST),
    PEER(C12_R_NST,   NEW_SESSION_TICKET, C12_R_CCS,      0,
         flow__check_new_session_ticket12),
    HELLO_REQUEST_IN(C12_R_CCS),
    PEER(C12_R_CCS,   CHANGE_CIPHER_SPEC, C12_R_FIN,      LAST, NULL),
    HELLO_REQUEST_IN(C12_R_FIN),
    PEER(C12_R_FIN,   FINISHED,           C12_R_SEND_CCS, LAST,
         flow__check_finished12),
    OURS(C12_R_SEND_CCS, CHANGE_CIPHER_SPEC, C12_R_SEND_FIN, 0),
    OURS(C12_R_SEND_FIN, FINISHED,           C12_OPEN,       0),

    PEER(C12_OPEN, HELLO_REQUEST, C12_OPEN, NO_RENEG, flow__check_empty),
};

/* The same, of the server. */
static const struct flow__order_row order_server12_rows[] = {
    OURS(S12_SEND_CERT,   CERTIFICATE,         S12_SEND_SKE,    0),
    /* RFC 5077 3.4: the server accepts a ticket, and the client sent no session
     * id that the ServerHello could repeat. */
    OURS(S12_SEND_CERT,   NEW_SESSION_TICKET,  S12_R_SEND_CCS,  IF_TICKET),
    OURS(S12_SEND_CERT,   CHANGE_CIPHER_SPEC,  S12_R_SEND_FIN,  NO_TICKET),
    OURS(S12_SEND_SKE,    SERVER_KEY_EXCHANGE, S12_SEND_CR_SHD, 0),
    OURS(S12_SEND_CR_SHD, CERTIFICATE_REQUEST, S12_SEND_SHD_R,  0),
    OURS(S12_SEND_CR_SHD, SERVER_HELLO_DONE,   S12_CKE,         0),
    OURS(S12_SEND_SHD_R,  SERVER_HELLO_DONE,   S12_CERT_R,      0),

    PEER(S12_CERT_R, CERTIFICATE,         S12_CKE_C, 0,
         flow__check_certificate12),
    PEER(S12_CERT_R, CERTIFICATE_EMPTY,   S12_CKE,   0,
         flow__check_certificate12),
    PEER(S12_CKE,    CLIENT_KEY_EXCHANGE, S12_CCS,   0,
         flow__check_client_key_exchange),
    PEER(S12_CKE_C,  CLIENT_KEY_EXCHANGE, S12_CV,    0,
         flow__check_client_key_exchange),
    PEER(S12_CV,     CERTIFICATE_VERIFY,  S12_CCS,   0,
         flow__check_certificate_verify12),
    PEER(S12_CCS,    CHANGE_CIPHER_SPEC,  S12_FIN,   LAST, NULL),
    PEER(S12_FIN,    FINISHED,            S12_SEND_NST_CCS, LAST,
         flow__check_finished12),

    OURS(S12_SEND_NST_CCS, NEW_SESSION_TICKET, S12_SEND_CCS, IF_TICKET),
    OURS(S12_SEND_NST_CCS, CHANGE_CIPHER_SPEC, S12_SEND_FIN, NO_TICKET),
    OURS(S12_SEND_CCS,     CHANGE_CIPHER_SPEC, S12_SEND_FIN, 0),
    OURS(S12_SEND_FIN,     FINISHED,           S12_OPEN,     0),

    OURS(S12_R_SEND_NST, NEW_SESSION_TICKET, S12_R_SEND_CCS, 0),
    OURS(S12_R_SEND_CCS, CHANGE_CIPHER_SPEC, S12_R_SEND_FIN, 0),
    OURS(S12_R_SEND_FIN, FINISHED,           S12_R_CCS,      0),
    PEER(S12_R_CCS,      CHANGE_CIPHER_SPEC, S12_R_FIN,      LAST, NULL),
    PEER(S12_R_FIN,      FINISHED,           S12_OPEN,       LAST,
         flow__check_finished12),

    PEER(S12_OPEN, CLIENT_HELLO, S12_OPEN, NO_RENEG, NULL),
};

static const struct flow__order_row order_server_rows[] = {
    PEER(S_CH, CLIENT_HELLO, S_SEND_SH, LAST, flow__check_client_hello),

    OURS(S_SEND_SH, SERVER_HELLO13,                S13_SEND_EE,     CCS_AFTER),
    OURS(S_SEND_SH, SERVER_HELLO13_PSK,            S13_SEND_EE_PSK, CCS_AFTER),
    OURS(S_SEND_SH, HELLO_RETRY_REQUEST,           S_CH2,           CCS_AFTER),
    OURS(S_SEND_SH, SERVER_HELLO12,                S12_SEND_CERT,   0),
    OURS(S_SEND_SH, SERVER_HELLO12_TICKET,         S12_SEND_CERT,   TICKET),
    OURS(S_SEND_SH, SERVER_HELLO12_RESUMED,        S12_R_SEND_CCS,  0),
    OURS(S_SEND_SH, SERVER_HELLO12_RESUMED_TICKET, S12_R_SEND_NST,  TICKET),

    PEER(S_CH2, CLIENT_HELLO, S_SEND_SH2, LAST,
         flow__check_second_client_hello),

    OURS(S_SEND_SH2, SERVER_HELLO13,     S13_SEND_EE,     CCS_AFTER),
    OURS(S_SEND_SH2, SERVER_HELLO13_PSK, S13_SEND_EE_PSK, CCS_AFTER),
};

/* clang-format on */

#undef STATE
#undef ROW
#undef PEER
#undef OURS
#undef DENY
#undef HELLO_REQUEST_IN
#undef IGNORED
#undef CCS_BEFORE
#undef CCS_AFTER
#undef NO_RENEG
#undef LAST
#undef TICKET
#undef IF_TICKET
#undef NO_TICKET
#undef F
#undef VERSION_0
#undef VERSION_1_2
#undef VERSION_1_3
#undef DROP
#undef REFUSE

#define ORDER_TABLE(rows)                                                      \
    {                                                                          \
        rows, sizeof(rows) / sizeof(rows[0])                                   \
    }

struct order_table {
    const struct flow__order_row *rows;
    size_t count;
};

/* Constants of their own, so that a build whose engine lacks a role or a
 * version does without its tables. */
static const struct order_table order_client = ORDER_TABLE(order_client_rows);
static const struct order_table order_client13 =
    ORDER_TABLE(order_client13_rows);
static const struct order_table order_client12 =
    ORDER_TABLE(order_client12_rows);
static const struct order_table order_server = ORDER_TABLE(order_server_rows);
static const struct order_table order_server13 =
    ORDER_TABLE(order_server13_rows);
static const struct order_table order_server12 =
    ORDER_TABLE(order_server12_rows);

/* See tls/order.h. */
const struct flow__order_row *
flow__order_row(size_t index)
{
    static const struct order_table *const tables[] = {
        &order_client, &order_client13, &order_client12,
        &order_server, &order_server13, &order_server12,
    };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (index < tables[i]->count)
            return &tables[i]->rows[index];
        index -= tables[i]->count;
    }
    return NULL;
}

/* The table with the rows of a state.  The states of a client come first. */
static const struct order_table *
order_table_of(enum flow__order_state state)
{
    const uint16_t version = order_states[state].version;
    const bool is_12 = version == FLOW_TLS_1_2 && flow__engine_has_tls12();

    if (state < FLOW__STATE_S_CH && flow__engine_can_connect())
        return version == FLOW_TLS_1_3 ? &order_client13
               : is_12                 ? &order_client12
                                       : &order_client;
    return version == FLOW_TLS_1_3 ? &order_server13
           : is_12                 ? &order_server12
                                   : &order_server;
}

/* See tls/order.h. */
const struct flow__order_facts *
flow__order_facts(enum flow__order_state state)
{
    return &order_states[state];
}

/* See tls/order.h. */
void
flow__order_init(struct flow__order *order, bool server)
{
    order->state = server ? FLOW__STATE_S_CH : FLOW__STATE_C_START;
    order->ticket = false;
}

/* See tls/order.h. */
bool
flow__order_is_open(const struct flow__order *order)
{
    return order_states[order->state].turn == FLOW__TURN_EITHER;
}

/* The first kind of a type, which is also that of a malformed message (RFC 5246
 * 7.4, RFC 8446 4, RFC 5077 3.3, RFC 6066 8). */
static enum flow__kind
order_kind_of_type(uint8_t type)
{
    static const struct {
        uint8_t type;
        enum flow__kind kind;
    } kinds[] = {
        { FLOW__HANDSHAKE_HELLO_REQUEST, FLOW__KIND_HELLO_REQUEST },
        { FLOW__HANDSHAKE_CLIENT_HELLO, FLOW__KIND_CLIENT_HELLO },
        { FLOW__HANDSHAKE_SERVER_HELLO, FLOW__KIND_SERVER_HELLO13 },
        { FLOW__HANDSHAKE_NEW_SESSION_TICKET, FLOW__KIND_NEW_SESSION_TICKET },
        { FLOW__HANDSHAKE_END_OF_EARLY_DATA, FLOW__KIND_END_OF_EARLY_DATA },
        { FLOW__HANDSHAKE_ENCRYPTED_EXTENSIONS,
          FLOW__KIND_ENCRYPTED_EXTENSIONS },
        { FLOW__HANDSHAKE_CERTIFICATE, FLOW__KIND_CERTIFICATE },
        { FLOW__HANDSHAKE_SERVER_KEY_EXCHANGE, FLOW__KIND_SERVER_KEY_EXCHANGE },
        { FLOW__HANDSHAKE_CERTIFICATE_REQUEST, FLOW__KIND_CERTIFICATE_REQUEST },
        { FLOW__HANDSHAKE_SERVER_HELLO_DONE, FLOW__KIND_SERVER_HELLO_DONE },
        { FLOW__HANDSHAKE_CERTIFICATE_VERIFY, FLOW__KIND_CERTIFICATE_VERIFY },
        { FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE, FLOW__KIND_CLIENT_KEY_EXCHANGE },
        { FLOW__HANDSHAKE_FINISHED, FLOW__KIND_FINISHED },
        { FLOW__HANDSHAKE_CERTIFICATE_STATUS, FLOW__KIND_CERTIFICATE_STATUS },
        { FLOW__HANDSHAKE_KEY_UPDATE, FLOW__KIND_KEY_UPDATE },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].type == type)
            return kinds[i].kind;
    return FLOW__KIND_UNKNOWN;
}

static enum flow__kind
order_kind_of_server_hello(const uint8_t *msg, size_t len,
                           struct flow__span session_id)
{
    struct flow__server_hello hello;
    struct flow__fault ignored;
    bool resumed;

    if (flow__hello_parse_server(msg, len, &hello, &ignored) != FLOW_OK)
        return FLOW__KIND_SERVER_HELLO13;
    if (hello.retry)
        return FLOW__KIND_HELLO_RETRY_REQUEST;
    if (hello.version == FLOW_TLS_1_3)
        return hello.psk ? FLOW__KIND_SERVER_HELLO13_PSK
                         : FLOW__KIND_SERVER_HELLO13;
    resumed =
        session_id.len > 0 && session_id.len == hello.session_id.len &&
        memcmp(session_id.base, hello.session_id.base, session_id.len) == 0;
    if (resumed)
        return hello.session_ticket ? FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET
                                    : FLOW__KIND_SERVER_HELLO12_RESUMED;
    return hello.session_ticket ? FLOW__KIND_SERVER_HELLO12_TICKET
                                : FLOW__KIND_SERVER_HELLO12;
}

/* In TLS 1.3 a context comes before the list of certificates.  In both versions
 * the list is the last field. */
static enum flow__kind
order_kind_of_certificate(const uint8_t *msg, size_t len, bool tls13)
{
    size_t list = FLOW__HANDSHAKE_HEADER;

    if (tls13 && len > list)
        list += 1 + (size_t)msg[list];
    if (len == list + 3 && msg[list] == 0 && msg[list + 1] == 0 &&
        msg[list + 2] == 0)
        return FLOW__KIND_CERTIFICATE_EMPTY;
    return FLOW__KIND_CERTIFICATE;
}

/* See tls/order.h. */
enum flow__kind
flow__order_kind(const struct flow__order *order, const uint8_t *msg,
                 size_t len, struct flow__span session_id)
{
    enum flow__kind kind = order_kind_of_type(msg[0]);

    if (kind == FLOW__KIND_SERVER_HELLO13)
        return order_kind_of_server_hello(msg, len, session_id);
    if (kind == FLOW__KIND_CERTIFICATE)
        return order_kind_of_certificate(
            msg, len, order_states[order->state].version == FLOW_TLS_1_3);
    return kind;
}

static const struct flow__order_row *
order_row_of(const struct flow__order *order, bool ours, enum flow__kind kind)
{
    const unsigned barred =
        order->ticket ? FLOW__ROW_NO_TICKET : FLOW__ROW_IF_TICKET;
    const struct order_table *table = order_table_of(order->state);

    for (size_t i = 0; i < table->count; i++) {
        const struct flow__order_row *row = &table->rows[i];

        if (row->from == order->state && row->ours == ours &&
            row->kind == kind && (row->flags & barred) == 0)
            return row;
    }
    return NULL;
}

/* See tls/order.h. */
enum flow_status
flow__order_find(const struct flow__order *order, bool ours,
                 enum flow__kind kind, enum flow__level level,
                 const struct flow__order_row **ret_row,
                 struct flow__fault *ret_fault)
{
    const struct flow__order_facts *facts = &order_states[order->state];
    const struct flow__order_row *row = order_row_of(order, ours, kind);

    if (ours && (row == NULL || level != facts->tx)) {
        ret_fault->alert = FLOW__ALERT_INTERNAL_ERROR;
        ret_fault->text = "the engine made a handshake message out of order";
        return FLOW_E_SYS;
    }
    if (row == NULL)
        return flow__fault_proto(ret_fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                                 "unexpected message: out of order");
    if (!ours && level != facts->rx)
        return flow__fault_proto(ret_fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                                 "unexpected message: wrong protection");
    if (row->refused != NULL)
        return flow__fault_proto(ret_fault, row->refused->alert,
                                 row->refused->text);
    *ret_row = row;
    return FLOW_OK;
}

/* See tls/order.h. */
void
flow__order_take(struct flow__order *order, const struct flow__order_row *row)
{
    order->state = (enum flow__order_state)row->to;
    if ((row->flags & FLOW__ROW_TICKET) != 0)
        order->ticket = true;
}
