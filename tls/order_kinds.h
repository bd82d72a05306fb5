/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_ORDER_KINDS_H
#define FLOW_TLS_ORDER_KINDS_H

/*
 * What the order of a handshake distinguishes: kinds of messages, and how they
 * are protected.
 */

/* The protection of a message.  TLS 1.2 has no handshake level: its Finished
 * is at the data level. */
enum flow__level {
    FLOW__LEVEL_PLAIN = 0,
    FLOW__LEVEL_HANDSHAKE = 1,
    FLOW__LEVEL_DATA = 2
};

/*
 * A kind is a type of message, split where messages of one type have different
 * successors.  A malformed ServerHello is of kind SERVER_HELLO13, another
 * malformed message of the first kind of its type; the check of its row refuses
 * it.
 */
enum flow__kind {
    FLOW__KIND_HELLO_REQUEST = 0, /* TLS 1.2 */
    FLOW__KIND_CLIENT_HELLO,
    /* A ServerHello of TLS 1.2 or older.  TICKET: with the extension
     * session_ticket, which promises a NewSessionTicket (RFC 5077 3.2).
     * RESUMED: it repeats the session id of the ClientHello, which is not
     * empty. */
    FLOW__KIND_SERVER_HELLO12,
    FLOW__KIND_SERVER_HELLO12_TICKET,
    FLOW__KIND_SERVER_HELLO12_RESUMED,
    FLOW__KIND_SERVER_HELLO12_RESUMED_TICKET,
    /* A ServerHello that supported_versions says is of TLS 1.3.  PSK: with
     * the extension pre_shared_key. */
    FLOW__KIND_SERVER_HELLO13,
    FLOW__KIND_SERVER_HELLO13_PSK,
    /* A ServerHello with the random of RFC 8446 4.1.3. */
    FLOW__KIND_HELLO_RETRY_REQUEST,
    FLOW__KIND_NEW_SESSION_TICKET,
    FLOW__KIND_END_OF_EARLY_DATA,    /* TLS 1.3 */
    FLOW__KIND_ENCRYPTED_EXTENSIONS, /* TLS 1.3 */
    FLOW__KIND_CERTIFICATE,
    FLOW__KIND_CERTIFICATE_EMPTY,   /* a list without a certificate */
    FLOW__KIND_SERVER_KEY_EXCHANGE, /* TLS 1.2 */
    FLOW__KIND_CERTIFICATE_REQUEST,
    FLOW__KIND_SERVER_HELLO_DONE, /* TLS 1.2 */
    FLOW__KIND_CERTIFICATE_VERIFY,
    FLOW__KIND_CLIENT_KEY_EXCHANGE, /* TLS 1.2 */
    FLOW__KIND_FINISHED,
    FLOW__KIND_CERTIFICATE_STATUS, /* TLS 1.2, RFC 6066 8 */
    FLOW__KIND_KEY_UPDATE,         /* TLS 1.3 */
    FLOW__KIND_UNKNOWN,            /* any other type of handshake message */
    /* The record of TLS 1.2 that changes keys; not a handshake message. */
    FLOW__KIND_CHANGE_CIPHER_SPEC,
    FLOW__KIND_COUNT
};

#endif
