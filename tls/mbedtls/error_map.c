/* SPDX-License-Identifier: ISC */
#include <mbedtls/ssl.h>
#include <mbedtls/x509.h>
#include <psa/crypto.h>

#include "lib/plat.h"
#include "tls/hello.h"
#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"

/*
 * mbedTLS refuses what it must, but often with another alert than the RFC names
 * or with none, and one error number has several causes.  The message that it
 * was given distinguishes them.
 *
 * What it does (tests/takeover, tests/wire):
 *   - a key share that is not a point of its group, or has the wrong length, is
 *     handshake_failure in a ServerHello and in the ClientHello after a
 *     HelloRetryRequest, and decode_error in a ClientKeyExchange, or no alert
 *     and "bad input data" in either hello or, in 4.x, in a key exchange; the
 *     RFCs name illegal_parameter (RFC 8446 4.2.8.2, RFC 8422 5.11);
 *   - a certificate that its parser rejects may cause no alert;
 *   - without memory it may return any number, in 3.6 a sum of two.  memory.c
 *     corrects that in our build; a system's build may blame the peer;
 *   - a failure of its library or of this machine has a number like any other.
 *     The peer is blamed only if a row says so, or if the engine itself wanted
 *     to send an alert that blames it.
 */

/* Numbers that 3.6 and 4.x have. */
static const struct flow__mbed_meaning map[] = {
    { MBEDTLS_ERR_SSL_ALLOC_FAILED, FLOW_E_NOMEM, FLOW__ALERT_INTERNAL_ERROR,
      "no memory for the handshake" },
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
    { MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME, FLOW_E_PROTO,
      FLOW__ALERT_UNRECOGNIZED_NAME, "the peer does not know the name" },
    { MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, FLOW_E_PROTO,
      FLOW__ALERT_PROTOCOL_VERSION, "no protocol version in common" },
    { MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, FLOW_E_PROTO,
      FLOW__ALERT_HANDSHAKE_FAILURE,
      "no cipher suite, group or signature algorithm in common" },
    { MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, FLOW_E_PROTO,
      FLOW__ALERT_ILLEGAL_PARAMETER,
      "a value in a message of the peer is not allowed" },
    { MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED, FLOW_E_PROTO,
      FLOW__ALERT_HANDSHAKE_FAILURE, "no certificate suits the client" },
    { MBEDTLS_ERR_SSL_PK_TYPE_MISMATCH, FLOW_E_PROTO,
      FLOW__ALERT_HANDSHAKE_FAILURE,
      "the peer's key does not suit the cipher suite" },
    { MBEDTLS_ERR_X509_FATAL_ERROR, FLOW_E_AUTH, FLOW__ALERT_BAD_CERTIFICATE,
      "peer certificate refused: its chain is too long" },
    { MBEDTLS_ERR_SSL_NO_RNG, FLOW_E_ENTROPY, FLOW__ALERT_INTERNAL_ERROR,
      "no source of entropy is healthy" },
    { PSA_ERROR_INSUFFICIENT_ENTROPY, FLOW_E_ENTROPY,
      FLOW__ALERT_INTERNAL_ERROR, "no source of entropy is healthy" },
};

/* A certificate that has passed our own checks. */
static const char error_not_understood[] =
    "the peer's certificate is not understood";

/* The bundled one refuses the peer's own certificate only, and a peer that is
 * verified was refused by then. */
static const char error_hint_not_understood[] =
#ifdef FLOW_MBEDTLS_PEER
    "its key or its signature may be of a kind that is not supported";
#else
    "mbedTLS as a system has it refuses critical name constraints: use the "
    "bundled one";
#endif

static const char *
error_refusal_text_of(enum flow__alert alert)
{
    switch ((int)alert) {
    case FLOW__ALERT_UNEXPECTED_MESSAGE:
        return "the peer sent a message out of order";
    case FLOW__ALERT_BAD_CERTIFICATE:
    case FLOW__ALERT_UNSUPPORTED_CERTIFICATE:
        return error_not_understood;
    case FLOW__ALERT_ILLEGAL_PARAMETER:
        return "a value in a message of the peer is not allowed";
    case FLOW__ALERT_DECODE_ERROR:
        return "a message of the peer is malformed";
    case FLOW__ALERT_DECRYPT_ERROR:
        return "the peer's signature or Finished is wrong";
    case FLOW__ALERT_MISSING_EXTENSION:
        return "the peer left out an extension that is needed";
    case FLOW__ALERT_UNSUPPORTED_EXTENSION:
        return "the peer answered an extension it was not sent";
    default:
        return "the engine refused what the peer sent";
    }
}

/* The alert that the RFC names for the engine's alert.  The lengths of the
 * message were checked, so only a key share or a point can be wrong. */
static enum flow__alert
error_refusal_alert_for(const struct flow__mbed_refusal *r,
                        enum flow__alert alert)
{
    bool share = (r->message == FLOW__HANDSHAKE_CLIENT_HELLO &&
                  alert == FLOW__ALERT_HANDSHAKE_FAILURE && r->second_hello) ||
                 (r->message == FLOW__HANDSHAKE_SERVER_HELLO &&
                  alert == FLOW__ALERT_HANDSHAKE_FAILURE && r->tls13) ||
                 (r->message == FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE &&
                  alert == FLOW__ALERT_DECODE_ERROR);

    return share ? FLOW__ALERT_ILLEGAL_PARAMETER : alert;
}

/* The alert for an error number, if the engine did not want to send one. */
static enum flow__alert
error_refusal_unsaid(const struct flow__mbed_refusal *r)
{
    bool share = r->message == FLOW__HANDSHAKE_CLIENT_HELLO ||
                 r->message == FLOW__HANDSHAKE_SERVER_HELLO ||
                 r->message == FLOW__HANDSHAKE_SERVER_KEY_EXCHANGE ||
                 r->message == FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE;

    if (share && r->code == MBEDTLS_ERR_SSL_BAD_INPUT_DATA)
        return FLOW__ALERT_ILLEGAL_PARAMETER;
    if (r->message == FLOW__HANDSHAKE_CERTIFICATE &&
        flow__mbed_is_certificate_error(r->code))
        return FLOW__ALERT_BAD_CERTIFICATE;
    /* Its lengths and its scheme were checked, so the signature is left. */
    if (r->message == FLOW__HANDSHAKE_CERTIFICATE_VERIFY &&
        r->code != MBEDTLS_ERR_SSL_INTERNAL_ERROR)
        return FLOW__ALERT_DECRYPT_ERROR;
    return FLOW__ALERT_NONE;
}

static enum flow_status
error_refusal_say(struct flow_error *err, const struct flow__mbed_refusal *r,
                  enum flow_status status, enum flow__alert alert,
                  const char *text)
{
    (void)flow_error_set(err, status, "tls", FLOW_DOMAIN_ENGINE, r->code, text);
    err->alert_sent = (int16_t)alert;
    if (text == error_not_understood)
        err->hint = error_hint_not_understood;
    return status;
}

/* The platform knows which source failed, and how. */
static enum flow_status
error_refusal_no_entropy(struct flow_error *err,
                         const struct flow__mbed_refusal *r)
{
    (void)flow__plat_random_error(err, "tls");
    err->domain = FLOW_DOMAIN_ENGINE;
    err->code = r->code;
    err->alert_sent = FLOW__ALERT_INTERNAL_ERROR;
    return FLOW_E_ENTROPY;
}

static const struct flow__mbed_meaning *
error_refusal_meaning(int code)
{
    if (flow__mbed_no_memory(code))
        code = MBEDTLS_ERR_SSL_ALLOC_FAILED;
    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
        if (map[i].code == code)
            return &map[i];
    return flow__mbed_own_meaning(code);
}

enum flow_status
flow__mbed_error(struct flow_error *err, const struct flow__mbed_refusal *r)
{
    const struct flow__mbed_meaning *meaning = error_refusal_meaning(r->code);
    enum flow__alert alert =
        r->alert == FLOW__ALERT_NONE ? error_refusal_unsaid(r) : r->alert;
    bool blamed =
        alert != FLOW__ALERT_NONE && alert != FLOW__ALERT_INTERNAL_ERROR;
    const char *text;

    if (meaning != NULL && meaning->status == FLOW_E_ENTROPY)
        return error_refusal_no_entropy(err, r);
    if (meaning != NULL && meaning->status != FLOW_E_PROTO)
        return error_refusal_say(err, r, meaning->status, meaning->alert,
                                 meaning->text);
    if (meaning == NULL && !blamed)
        return error_refusal_say(err, r, FLOW_E_SYS, FLOW__ALERT_INTERNAL_ERROR,
                                 "the engine failed");
    if (!blamed)
        alert = meaning->alert;
    alert = error_refusal_alert_for(r, alert);
    text = meaning != NULL && meaning->alert == alert
               ? meaning->text
               : error_refusal_text_of(alert);
    return error_refusal_say(err, r, FLOW_E_PROTO, alert, text);
}
