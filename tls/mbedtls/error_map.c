/* SPDX-License-Identifier: ISC */
#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/cipher.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <psa/crypto.h>

#include "tls/alert.h"
#include "tls/mbedtls/mbed.h"

static const struct {
    int code;
    enum flow_status status;
    enum flow__alert alert;
    const char *text;
} map[] = {
    { MBEDTLS_ERR_SSL_ALLOC_FAILED, FLOW_E_NOMEM, FLOW__ALERT_INTERNAL_ERROR,
      "no memory for the handshake" },
    { MBEDTLS_ERR_SSL_INVALID_MAC, FLOW_E_PROTO, FLOW__ALERT_BAD_RECORD_MAC,
      "a record of the peer does not authenticate" },
    { MBEDTLS_ERR_SSL_INVALID_RECORD, FLOW_E_PROTO, FLOW__ALERT_NONE,
      "a record of the peer is malformed" },
    { MBEDTLS_ERR_SSL_DECODE_ERROR, FLOW_E_PROTO, FLOW__ALERT_DECODE_ERROR,
      "a message of the peer is malformed" },
    { MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION, FLOW_E_PROTO,
      FLOW__ALERT_UNSUPPORTED_EXTENSION,
      "the peer answered an extension it was not sent" },
    { MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL, FLOW_E_PROTO,
      FLOW__ALERT_NO_APPLICATION_PROTOCOL,
      "no application protocol in common" },
    { MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, FLOW_E_PROTO,
      FLOW__ALERT_UNEXPECTED_MESSAGE, "the peer sent a message out of order" },
    { MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, FLOW_E_PROTO, FLOW__ALERT_NONE,
      "the peer refused the handshake" },
    { MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME, FLOW_E_PROTO,
      FLOW__ALERT_UNRECOGNIZED_NAME, "the peer does not know the name" },
    { MBEDTLS_ERR_SSL_BAD_CERTIFICATE, FLOW_E_AUTH, FLOW__ALERT_BAD_CERTIFICATE,
      "peer certificate refused" },
    { MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, FLOW_E_PROTO,
      FLOW__ALERT_PROTOCOL_VERSION, "no protocol version in common" },
    { MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, FLOW_E_PROTO,
      FLOW__ALERT_HANDSHAKE_FAILURE,
      "no common ground: cipher suite, group or signature algorithm" },
    { MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, FLOW_E_PROTO,
      FLOW__ALERT_ILLEGAL_PARAMETER,
      "a value in a message of the peer is not allowed" },
    { MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED, FLOW_E_PROTO,
      FLOW__ALERT_HANDSHAKE_FAILURE, "no certificate suits the client" },
    { MBEDTLS_ERR_SSL_PK_TYPE_MISMATCH, FLOW_E_PROTO,
      FLOW__ALERT_HANDSHAKE_FAILURE,
      "the peer's key does not suit the cipher suite" },
    { MBEDTLS_ERR_SSL_NO_RNG, FLOW_E_NOMEM, FLOW__ALERT_INTERNAL_ERROR,
      "there is no entropy" },
    { PSA_ERROR_INSUFFICIENT_ENTROPY, FLOW_E_NOMEM, FLOW__ALERT_INTERNAL_ERROR,
      "there is no entropy" },
    { MBEDTLS_ERR_ECP_INVALID_KEY, FLOW_E_PROTO, FLOW__ALERT_ILLEGAL_PARAMETER,
      "the peer's key share is not a point of the group" },
    { MBEDTLS_ERR_ECP_BAD_INPUT_DATA, FLOW_E_PROTO,
      FLOW__ALERT_ILLEGAL_PARAMETER, "the peer's key share is malformed" },
    { MBEDTLS_ERR_ECP_VERIFY_FAILED, FLOW_E_PROTO, FLOW__ALERT_DECRYPT_ERROR,
      "the peer's signature is wrong" },
    { MBEDTLS_ERR_RSA_VERIFY_FAILED, FLOW_E_PROTO, FLOW__ALERT_DECRYPT_ERROR,
      "the peer's signature is wrong" },
    { MBEDTLS_ERR_RSA_INVALID_PADDING, FLOW_E_PROTO, FLOW__ALERT_DECRYPT_ERROR,
      "the peer's signature is wrong" },
};

bool
flow__mbed_no_memory(int code)
{
    static const int codes[] = {
        MBEDTLS_ERR_SSL_ALLOC_FAILED,    MBEDTLS_ERR_X509_ALLOC_FAILED,
        MBEDTLS_ERR_PK_ALLOC_FAILED,     MBEDTLS_ERR_PEM_ALLOC_FAILED,
        MBEDTLS_ERR_MD_ALLOC_FAILED,     MBEDTLS_ERR_ECP_ALLOC_FAILED,
        MBEDTLS_ERR_CIPHER_ALLOC_FAILED, MBEDTLS_ERR_MPI_ALLOC_FAILED,
        MBEDTLS_ERR_ASN1_ALLOC_FAILED,   PSA_ERROR_INSUFFICIENT_MEMORY,
    };
    /* A code may be the sum of a module's, a multiple of 128, and that of
     * what it stumbled over. */
    int low = -(-code & 0x7f), high = code - low;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (code == codes[i] ||
            (code < -0x400 && (low == codes[i] || high == codes[i])))
            return true;
    return false;
}

enum flow_status
flow__mbed_error(struct flow_error *err, int code)
{
    if (flow__mbed_no_memory(code))
        code = MBEDTLS_ERR_SSL_ALLOC_FAILED;
    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
        if (map[i].code != code)
            continue;
        (void)flow_error_set(err, map[i].status, "tls", FLOW_DOMAIN_ENGINE,
                             code, map[i].text);
        err->alert_sent = (int16_t)map[i].alert;
        return map[i].status;
    }
    /* Numbers made of a high and a low part come from parsers of what the
     * peer sent: certificates, keys, ASN.1. */
    (void)flow_error_set(err, FLOW_E_PROTO, "tls", FLOW_DOMAIN_ENGINE, code,
                         "the engine refused what the peer sent");
    err->alert_sent = FLOW__ALERT_NONE;
    return FLOW_E_PROTO;
}
