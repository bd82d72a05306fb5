/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/handshake_state.h"

/*
 * mbedTLS refuses rightly, but often with another alert than the one the RFC
 * names, or with none, and its error numbers are shared by unlike causes.  What
 * it was fed last says more.
 */

#define EXT_COOKIE             44
#define EXT_RENEGOTIATION_INFO 0xff01

/* The engine's word for an empty Certificate: no_certificate of SSL 3.0. */
#define ALERT_NO_CERTIFICATE 41

/* See tls/handshake_state.h. */
bool
flow__handshake_is_unsolicited(const struct flow__handshake *hs,
                               struct flow__span extensions)
{
    struct flow__span body;
    uint16_t type;

    while (flow__hello_next_extension(&extensions, &type, &body)) {
        /* Answers a suite (RFC 5746 3.4), or comes unasked (RFC 8446 4.2.2). */
        bool known = type == EXT_RENEGOTIATION_INFO || type == EXT_COOKIE;

        for (unsigned i = 0; i < hs->offered_count && !known; i++)
            known = hs->offered[i] == type;
        if (!known)
            return true;
    }
    return false;
}

static const char *
text_of(int alert)
{
    switch (alert) {
    case FLOW__ALERT_UNEXPECTED_MESSAGE:
        return "the peer sent a message out of order";
    case FLOW__ALERT_BAD_CERTIFICATE:
    case FLOW__ALERT_UNSUPPORTED_CERTIFICATE:
        return "the peer's certificate is not understood";
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
        return NULL;
    }
}

static void
say(struct flow_error *err, int alert)
{
    const char *text = text_of(alert);

    err->alert_sent = (int16_t)alert;
    if (text != NULL)
        err->text = text;
}

/* RFC 8446 4.4.3: PKCS#1 is for certificates only. */
static bool
is_scheme13(const uint8_t *msg, size_t len)
{
    static const uint16_t schemes[] = { 0x0403, 0x0503, 0x0603,
                                        0x0804, 0x0805, 0x0806 };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (len >= 6 && (msg[4] << 8 | msg[5]) == schemes[i])
            return true;
    return false;
}

/* The alert for a message, given the engine's. */
static int
alert_for(const struct flow__handshake *hs, const uint8_t *msg, size_t len,
          int alert)
{
    struct flow__span extensions = { msg + 6, len - 6 };

    switch (msg[0]) {
    case FLOW__HANDSHAKE_ENCRYPTED_EXTENSIONS:
        if (alert == FLOW__ALERT_ILLEGAL_PARAMETER && len > 6 &&
            flow__handshake_is_unsolicited(hs, extensions))
            return FLOW__ALERT_UNSUPPORTED_EXTENSION;
        return alert;
    case FLOW__HANDSHAKE_CERTIFICATE:
        /* RFC 8446 4.4.2.4 */
        return alert == ALERT_NO_CERTIFICATE ? FLOW__ALERT_DECODE_ERROR : alert;
    case FLOW__HANDSHAKE_CERTIFICATE_VERIFY:
        if (alert == FLOW__ALERT_DECRYPT_ERROR && hs->version == FLOW_TLS_1_3 &&
            !is_scheme13(msg, len))
            return FLOW__ALERT_ILLEGAL_PARAMETER;
        return alert;
    default:
        return alert;
    }
}

/* The same for one in the clear, whose lengths incoming.c has checked: what is
 * left to be wrong is a key share or a point (RFC 8446 4.2.8, RFC 8422 5.11).
 */
static int
alert_for_plain(const struct flow__handshake *hs, int alert)
{
    switch (hs->last_message) {
    case FLOW__HANDSHAKE_CLIENT_HELLO:
        return alert == FLOW__ALERT_HANDSHAKE_FAILURE && hs->second_hello
                   ? FLOW__ALERT_ILLEGAL_PARAMETER
                   : alert;
    case FLOW__HANDSHAKE_SERVER_HELLO:
        return alert == FLOW__ALERT_HANDSHAKE_FAILURE &&
                       hs->version == FLOW_TLS_1_3
                   ? FLOW__ALERT_ILLEGAL_PARAMETER
                   : alert;
    case FLOW__HANDSHAKE_CLIENT_KEY_EXCHANGE:
        return alert == FLOW__ALERT_DECODE_ERROR ? FLOW__ALERT_ILLEGAL_PARAMETER
                                                 : alert;
    case FLOW__HANDSHAKE_CERTIFICATE:
        return alert == ALERT_NO_CERTIFICATE ? FLOW__ALERT_DECODE_ERROR : alert;
    default:
        return alert;
    }
}

/* See tls/handshake_state.h. */
void
flow__handshake_explain(struct flow__handshake *hs, struct flow_error *err)
{
    size_t len = flow__stage_len(&hs->last);
    int alert = len > 0 ? alert_for(hs, flow__stage_data(&hs->last), len,
                                    err->alert_sent)
                        : alert_for_plain(hs, err->alert_sent);

    say(err, alert >= 0 ? alert : FLOW__ALERT_ILLEGAL_PARAMETER);
}
