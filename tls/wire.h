/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_WIRE_H
#define FLOW_TLS_WIRE_H

#include <flow/tls_config.h>

#include "lib/alert.h"

/*
 * The numbers that TLS puts on the wire, each defined here and nowhere else
 * (tests/check/wire.py), with two exceptions: versions and named groups are
 * public, FLOW_TLS_1_2 and FLOW_TLS_GROUP_P256 in <flow/tls_config.h>, and
 * alerts have names in every build, in lib/alert.h.
 */

/* The lowest version that a ClientHello may name (RFC 6101). */
#define FLOW__VERSION_SSL_3_0 0x0300u

/* The version in the header of every record, high and low byte (RFC 8446 5.1,
 * RFC 5246 6.2.1). */
#define FLOW__RECORD_MAJOR 0x03
#define FLOW__RECORD_MINOR 0x03

/* Lengths in bytes: of the randoms and at most of the session id in a hello
 * (RFC 8446 4.1.2), and of the verify_data of TLS 1.2 (RFC 5246 7.4.9). */
#define FLOW__RANDOM_LEN        32
#define FLOW__SESSION_ID_MAX    32
#define FLOW__VERIFY_DATA12_LEN 12

/* A named group that peers may use and we never offer (RFC 8446 4.2.7). */
#define FLOW__GROUP_X448 0x001eu

/* How TLS 1.2 says which curve, and that a point is not compressed (RFC 8422
 * 5.1.2 and 5.4). */
#define FLOW__CURVE_TYPE_NAMED   3
#define FLOW__POINT_UNCOMPRESSED 4

/* Content types of records (RFC 8446 5.1). */
enum flow__content_type {
    FLOW__CONTENT_CHANGE_CIPHER_SPEC = 20,
    FLOW__CONTENT_ALERT = 21,
    FLOW__CONTENT_HANDSHAKE = 22,
    FLOW__CONTENT_APPLICATION_DATA = 23
};

/* Type and length of a handshake message, in bytes (RFC 8446 4). */
#define FLOW__HANDSHAKE_HEADER 4

/* Types of handshake messages (RFC 8446 4, RFC 5246 7.4). */
enum flow__handshake_type {
    FLOW__HANDSHAKE_HELLO_REQUEST = 0, /* TLS 1.2 */
    FLOW__HANDSHAKE_CLIENT_HELLO = 1,
    FLOW__HANDSHAKE_SERVER_HELLO = 2,
    FLOW__HANDSHAKE_NEW_SESSION_TICKET = 4, /* in TLS 1.2: RFC 5077 3.3 */
    FLOW__HANDSHAKE_END_OF_EARLY_DATA = 5,
    FLOW__HANDSHAKE_ENCRYPTED_EXTENSIONS = 8,
    FLOW__HANDSHAKE_CERTIFICATE = 11,
    FLOW__HANDSHAKE_SERVER_KEY_EXCHANGE = 12, /* TLS 1.2 */
    FLOW__HANDSHAKE_CERTIFICATE_REQUEST = 13,
    FLOW__HANDSHAKE_SERVER_HELLO_DONE = 14, /* TLS 1.2 */
    FLOW__HANDSHAKE_CERTIFICATE_VERIFY = 15,
    FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE = 16, /* TLS 1.2 */
    FLOW__HANDSHAKE_FINISHED = 20,
    FLOW__HANDSHAKE_CERTIFICATE_STATUS = 22, /* RFC 6066 8 */
    FLOW__HANDSHAKE_KEY_UPDATE = 24
};

/* The one byte of a KeyUpdate (RFC 8446 4.6.3). */
enum flow__key_update_request {
    FLOW__KEY_UPDATE_NOT_REQUESTED = 0,
    FLOW__KEY_UPDATE_REQUESTED = 1
};

/* The first byte of an alert (RFC 8446 6). */
enum flow__alert_level {
    FLOW__ALERT_LEVEL_WARNING = 1,
    FLOW__ALERT_LEVEL_FATAL = 2
};

/* Cipher suites (the IANA registry); what each one is made of: suite.c. */
enum flow__suite_id {
    FLOW__SUITE_AES_128_GCM_SHA256 = 0x1301,
    FLOW__SUITE_AES_256_GCM_SHA384 = 0x1302,
    FLOW__SUITE_CHACHA20_POLY1305_SHA256 = 0x1303,
    FLOW__SUITE_AES_128_CCM_SHA256 = 0x1304,
    FLOW__SUITE_AES_128_CCM_8_SHA256 = 0x1305,
    FLOW__SUITE_FALLBACK_SCSV = 0x5600, /* not a suite: RFC 7507 */
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xc02c,
    FLOW__SUITE_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xc02f,
    FLOW__SUITE_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xc030,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_128_CCM = 0xc0ac,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_256_CCM = 0xc0ad,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_128_CCM_8 = 0xc0ae,
    FLOW__SUITE_ECDHE_ECDSA_WITH_AES_256_CCM_8 = 0xc0af,
    FLOW__SUITE_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8,
    FLOW__SUITE_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca9
};

/* Types of extensions (the IANA registry names the RFC of each). */
enum flow__extension {
    FLOW__EXTENSION_SERVER_NAME = 0,
    FLOW__EXTENSION_MAX_FRAGMENT_LENGTH = 1,
    FLOW__EXTENSION_STATUS_REQUEST = 5,
    FLOW__EXTENSION_SUPPORTED_GROUPS = 10,
    FLOW__EXTENSION_EC_POINT_FORMATS = 11,
    FLOW__EXTENSION_SIGNATURE_ALGORITHMS = 13,
    FLOW__EXTENSION_ALPN = 16,
    FLOW__EXTENSION_SIGNED_CERTIFICATE_TIMESTAMP = 18,
    FLOW__EXTENSION_EXTENDED_MASTER_SECRET = 23,
    FLOW__EXTENSION_RECORD_SIZE_LIMIT = 28,
    FLOW__EXTENSION_SESSION_TICKET = 35,
    FLOW__EXTENSION_PRE_SHARED_KEY = 41,
    FLOW__EXTENSION_EARLY_DATA = 42,
    FLOW__EXTENSION_SUPPORTED_VERSIONS = 43,
    FLOW__EXTENSION_COOKIE = 44,
    FLOW__EXTENSION_PSK_KEY_EXCHANGE_MODES = 45,
    FLOW__EXTENSION_CERTIFICATE_AUTHORITIES = 47,
    FLOW__EXTENSION_SIGNATURE_ALGORITHMS_CERT = 50,
    FLOW__EXTENSION_KEY_SHARE = 51,
    FLOW__EXTENSION_RENEGOTIATION_INFO = 0xff01
};

/* Signature schemes (RFC 8446 4.2.3); in TLS 1.2 a hash and a kind of key. */
enum flow__signature_scheme {
    FLOW__SIGN_RSA_PKCS1_SHA256 = 0x0401,
    FLOW__SIGN_RSA_PKCS1_SHA384 = 0x0501,
    FLOW__SIGN_RSA_PKCS1_SHA512 = 0x0601,
    FLOW__SIGN_ECDSA_SECP256R1_SHA256 = 0x0403,
    FLOW__SIGN_ECDSA_SECP384R1_SHA384 = 0x0503,
    FLOW__SIGN_ECDSA_SECP521R1_SHA512 = 0x0603,
    FLOW__SIGN_RSA_PSS_RSAE_SHA256 = 0x0804,
    FLOW__SIGN_RSA_PSS_RSAE_SHA384 = 0x0805,
    FLOW__SIGN_RSA_PSS_RSAE_SHA512 = 0x0806
};

#endif
