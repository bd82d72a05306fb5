/* SPDX-License-Identifier: ISC */
#include "tls/key_log.h"

#include <string.h>

#include "tls/config.h"
#include "tls/engine.h"

/* Lines of the key log, as Wireshark and others read them: a label, the
 * client's random, and the secret, in hexadecimal. */

#define KEY_LOG_LABEL_MAX 31
#define KEY_LOG_LINE_MAX                                                       \
    (KEY_LOG_LABEL_MAX + 1 + 2 * FLOW__RANDOM_LEN + 1 + 2 * FLOW__SECRET_MAX)

static const char *
key_log_label(bool server, const struct flow__engine_event *ev)
{
    const bool of_client = ev->is_write != server;

    if (ev->suite->version == FLOW_TLS_1_2)
        return "CLIENT_RANDOM";
    if (ev->level == FLOW__LEVEL_HANDSHAKE)
        return of_client ? "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
                         : "SERVER_HANDSHAKE_TRAFFIC_SECRET";
    return of_client ? "CLIENT_TRAFFIC_SECRET_0" : "SERVER_TRAFFIC_SECRET_0";
}

static char *
key_log_put_hex(char *at, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

/* See tls/key_log.h. */
void
flow__key_log_note(const struct flow_tls_config *c, bool server,
                   const struct flow__engine_event *ev)
{
    char line[KEY_LOG_LINE_MAX + 1];
    const char *label;
    char *at = line;

    if (c->key_log == NULL || ev->len > FLOW__SECRET_MAX)
        return;
    label = key_log_label(server, ev);
    memcpy(at, label, strlen(label));
    at += strlen(label);
    *at++ = ' ';
    at = key_log_put_hex(at, ev->client_random, FLOW__RANDOM_LEN);
    *at++ = ' ';
    at = key_log_put_hex(at, ev->bytes, ev->len);
    *at = '\0';
    c->key_log(c->key_log_user, line);
    flow_wipe(line, sizeof(line));
}
