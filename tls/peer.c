/* SPDX-License-Identifier: ISC */
#include "tls/peer.h"

#include <string.h>

#include "tls/config.h"
#include "tls/request.h"
#include "tls/session.h"
#include "tls/verdict.h"
#include "tls/verifier.h"

/* Checks without which a chain is not used at all. */
#define PEER_ALWAYS                                                            \
    (1u << FLOW_TLS_CHECK_MISSING | 1u << FLOW_TLS_CHECK_COUNT |               \
     1u << FLOW_TLS_CHECK_MALFORMED | 1u << FLOW_TLS_CHECK_MODULUS |           \
     1u << FLOW_TLS_CHECK_EXPONENT)

/* The certificates of a message whose lengths were checked; one more than are
 * allowed suffices to refuse them. */
static size_t
peer_divide(const struct flow__handshake *hs, const uint8_t *msg, size_t len,
            struct flow__span *certs)
{
    struct flow__span body = { msg + FLOW__HANDSHAKE_HEADER,
                               len - FLOW__HANDSHAKE_HEADER };
    const bool tls13 = hs->version == FLOW_TLS_1_3;
    struct flow__span list, other;
    size_t count = 0;

    if ((tls13 && !flow__span_take_vec8(&body, &other)) ||
        !flow__span_take_vec24(&body, &list))
        return 0;
    while (count <= FLOW__PATH_CERTS && list.len > 0 &&
           flow__span_take_vec24(&list, &certs[count]) &&
           (!tls13 || flow__span_take_vec16(&list, &other)))
        count++;
    return count;
}

/* A server's verdict of its name goes with it; a client has none. */
static enum flow_status
peer_run(const struct flow__handshake *hs, const struct flow__span *certs,
         size_t count, bool checks_name, struct flow_tls_verdict *ret_verdict)
{
    struct flow__name name;

    if (hs->server)
        return flow__verifier_run(hs->client_auth.verifier, certs, count, NULL,
                                  FLOW__PURPOSE_CLIENT, ret_verdict);
    if (checks_name && flow__name_parse(hs->name, strlen(hs->name), &name) ==
                           FLOW__NAME_INVALID)
        return FLOW_E_SYS;
    return flow__verifier_run(hs->config->verifier, certs, count,
                              checks_name ? &name : NULL, FLOW__PURPOSE_SERVER,
                              ret_verdict);
}

/* A client sent no certificate.  RFC 8446 4.4.2.4, RFC 5246 7.4.6. */
static enum flow_status
peer_sent_none(const struct flow__handshake *hs, struct flow_error *err)
{
    struct flow_tls_verdict verdict;

    if (hs->client_auth.auth == FLOW_TLS_CLIENT_AUTH_OPTIONAL)
        return FLOW_OK;
    memset(&verdict, 0, sizeof(verdict));
    flow__verdict_set(&verdict, 1u << FLOW_TLS_CHECK_MISSING);
    (void)flow__verdict_error(&verdict, NULL, err);
    if (hs->version != FLOW_TLS_1_3)
        err->alert_sent = FLOW__ALERT_HANDSHAKE_FAILURE;
    if (hs->sni[0] != '\0')
        flow_error_set_detail(err, hs->sni);
    return FLOW_E_AUTH;
}

/* See tls/peer.h. */
enum flow_status
flow__peer_verify(struct flow__handshake *hs, const uint8_t *msg, size_t len,
                  struct flow_error *err)
{
    const struct flow_tls_config *c = hs->config;
    const bool skips = !hs->server && c->skip_verify;
    const bool checks_name = !hs->server && !c->skip_verify && !c->skip_name;
    struct flow__span certs[FLOW__PATH_CERTS + 1];
    struct flow_tls_verdict verdict;
    struct flow__cert leaf;
    enum flow_status st;
    size_t count = peer_divide(hs, msg, len, certs);

    if (hs->server)
        flow__resumption_note_client(hs, certs, count);
    if (count == 0 && hs->server)
        return peer_sent_none(hs, err);
    /* RFC 8446 4.4.2.4 */
    if (count == 0)
        return flow__handshake_refuse(hs, FLOW__ALERT_DECODE_ERROR,
                                      "the server sent no certificate", err);
    st = peer_run(hs, certs, count, checks_name, &verdict);
    if (st != FLOW_OK && st != FLOW_E_AUTH)
        return flow__handshake_fault(hs, st, NULL, err);
    if (st != FLOW_OK && (!skips || (PEER_ALWAYS & 1u << verdict.check) != 0))
        return flow__verdict_error(&verdict, checks_name ? hs->name : NULL,
                                   err);
    hs->verify_flags = verdict.flags;
    if (st == FLOW_OK)
        hs->path_end = flow__session_path_end(&verdict);
    hs->peer_key =
        flow__cert_read(certs[0], &leaf) ? leaf.key : FLOW__KEY_OTHER;
    if (!hs->server)
        memcpy(hs->pattern, verdict.matched_name, sizeof(hs->pattern));
    return FLOW_OK;
}

/* See tls/peer.h. */
enum flow_status
flow__peer_answer_request(struct flow__handshake *hs, const uint8_t *msg,
                          size_t len, struct flow_error *err)
{
    const struct flow_tls_config *c = hs->config;
    struct flow__keypair *pair =
        flow__request_choose(msg, len, hs->suite, c->pair, c->pair_count);
    enum flow_status st =
        pair != NULL ? flow__engine_present(hs->engine, pair) : FLOW_OK;

    return st == FLOW_OK ? st : flow__handshake_fault(hs, st, NULL, err);
}
