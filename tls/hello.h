/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_HELLO_H
#define FLOW_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#include "tls/alert.h"
#include "tls/extension.h"
#include "tls/name.h"
#include "tls/span.h"
#include "tls/wire.h"

/*
 * Parses ClientHello and ServerHello before the engine gets them: what the
 * choice of a certificate needs, and what the engine does not report.  Pure and
 * bounded: nothing is allocated or kept, and every span points into the
 * message.
 */

enum flow__sni_state {
    FLOW__SNI_ABSENT = 0,
    FLOW__SNI_NAME = 1,       /* flow__client_hello::sni is set */
    FLOW__SNI_IP_LITERAL = 2, /* looks like an address (RFC 6066 3 forbids) */
    FLOW__SNI_INVALID = 3     /* not a host name, or more than one */
};

struct flow__client_hello {
    uint16_t legacy_version;
    /* Highest of SSL 3.0..TLS 1.3 that the client offers: of
     * supported_versions if it was sent, else legacy_version; 0: none. */
    uint16_t max_version;
    struct flow__span random;     /* 32 bytes */
    struct flow__span session_id; /* 0..32 bytes */
    struct flow__span suites;     /* 2 bytes each, as in the next 4 */
    struct flow__span versions;   /* supported_versions */
    struct flow__span sigalgs;    /* signature_algorithms */
    struct flow__span sigalgs_cert;
    struct flow__span groups;        /* supported_groups */
    struct flow__span point_formats; /* of curves, a byte each */
    struct flow__span key_shares;    /* {group 2, length 2, bytes} in a row */
    struct flow__span alpn;          /* {length 1, bytes} in a row */
    struct flow__span cookie;        /* of a second ClientHello */
    enum flow__sni_state sni_state;
    struct flow__name sni;        /* kind FLOW__NAME_DNS in state NAME */
    uint16_t record_size_limit;   /* RFC 8449, 0: absent */
    uint8_t max_fragment_length;  /* code of RFC 6066 4, 0: absent */
    struct flow__span extensions; /* {type 2, length 2, bytes} in a row */
    bool psk;                     /* pre_shared_key (41) */
    bool psk_modes;               /* psk_key_exchange_modes (45) */
    bool early_data;              /* 42 */
    bool extended_master_secret;  /* 23 */
    bool session_ticket;          /* 35 */
    bool fallback_scsv;           /* suite 0x5600 (RFC 7507) */
};

struct flow__server_hello {
    uint16_t version; /* agreed: supported_versions (43), else legacy_version */
    bool retry;       /* HelloRetryRequest, by its random */
    struct flow__span random;
    struct flow__span session_id;
    uint16_t suite;
    uint16_t group;                  /* of key_share, 0: absent */
    struct flow__span alpn;          /* TLS 1.2: the one name agreed */
    struct flow__span cookie;        /* of a HelloRetryRequest */
    uint8_t max_fragment_length;     /* TLS 1.2, 0: absent */
    struct flow__span point_formats; /* TLS 1.2: of curves, a byte each */
    bool psk; /* pre_shared_key (41): resumed in TLS 1.3 */
    uint16_t psk_index;
    bool extended_master_secret;  /* TLS 1.2 */
    bool session_ticket;          /* TLS 1.2: a ticket will come */
    struct flow__span extensions; /* {type 2, length 2, bytes} in a row */
};

/*
 * Parse a whole handshake message, header included.  FLOW_OK, or FLOW_E_PROTO
 * with the alert that the RFC names: decode_error for wrong lengths,
 * unexpected_message for a message of another type, illegal_parameter for a
 * duplicate extension, for a list without the null compression and for a
 * pre_shared_key that is not last, and protocol_version for a ServerHello whose
 * legacy_version is TLS 1.3 or later.  The contents of the extensions above are
 * checked; unknown extensions are skipped.  *ret_hello is meaningful only on
 * FLOW_OK.
 */
enum flow_status flow__hello_parse_client(const uint8_t *msg, size_t len,
                                          struct flow__client_hello *ret_hello,
                                          struct flow__fault *ret_fault);
enum flow_status flow__hello_parse_server(const uint8_t *msg, size_t len,
                                          struct flow__server_hello *ret_hello,
                                          struct flow__fault *ret_fault);

/* Whether the client sent a key share of a group. */
bool flow__hello_has_key_share(const struct flow__client_hello *hello,
                               uint16_t group);

/* Take the next name off an ALPN list; false at its end. */
bool flow__hello_next_alpn(struct flow__span *list,
                           struct flow__span *ret_name);

/* Take the next extension off a list; false at its end, or if it is truncated.
 */
bool flow__hello_next_extension(struct flow__span *list, uint16_t *ret_type,
                                struct flow__span *ret_body);

/* The random of a HelloRetryRequest (RFC 8446 4.1.3). */
extern const uint8_t flow__hello_retry_random[FLOW__RANDOM_LEN];

#endif
