/* SPDX-License-Identifier: ISC */
#include "tls/peer.h"

#include <string.h>

#include "tls/config.h"
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

/* See tls/peer.h. */
enum flow_status
flow__peer_verify(struct flow__handshake *hs, const uint8_t *msg, size_t len,
                  struct flow_error *err)
{
    const struct flow_tls_config *c = hs->config;
    const bool checks_name = !c->skip_verify && !c->skip_name;
    struct flow__span certs[FLOW__PATH_CERTS + 1];
    struct flow_tls_verdict verdict;
    struct flow__cert leaf;
    struct flow__name name;
    enum flow_status st;
    size_t count = peer_divide(hs, msg, len, certs);

    /* RFC 8446 4.4.2.4 */
    if (count == 0)
        return flow__handshake_refuse(hs, FLOW__ALERT_DECODE_ERROR,
                                      "the server sent no certificate", err);
    if (checks_name && flow__name_parse(hs->name, strlen(hs->name), &name) ==
                           FLOW__NAME_INVALID)
        return flow__handshake_fault(hs, FLOW_E_SYS, NULL, err);
    st = flow__verifier_run(c->verifier, certs, count,
                            checks_name ? &name : NULL, FLOW__PURPOSE_SERVER,
                            &verdict);
    if (st == FLOW_E_NOMEM)
        return flow__handshake_fault(hs, st, NULL, err);
    if (st != FLOW_OK &&
        (!c->skip_verify || (PEER_ALWAYS & 1u << verdict.check) != 0))
        return flow__verdict_error(&verdict, checks_name ? hs->name : NULL,
                                   err);
    hs->verify_flags = verdict.flags;
    hs->peer_key =
        flow__cert_read(certs[0], &leaf) ? leaf.key : FLOW__KEY_OTHER;
    memcpy(hs->pattern, verdict.matched_name, sizeof(hs->pattern));
    return FLOW_OK;
}
