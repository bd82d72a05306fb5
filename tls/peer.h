/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_PEER_H
#define FLOW_TLS_PEER_H

#include "tls/handshake_state.h"

/*
 * Verify the certificates in the peer's Certificate message, which was checked,
 * before the engine gets it: a server's by its name, a client's for the purpose
 * of a client.  Keeps the kind of the peer's key, the name that matched and
 * FLOW_VERIFY_ flags.  With flow_tls_config's skip_verify a client refuses only
 * what costs too much or is not well formed.  A message without a certificate
 * is for a server alone, which refuses it if it requires one.
 */
enum flow_status flow__peer_verify(struct flow__handshake *hs,
                                   const uint8_t *msg, size_t len,
                                   struct flow_error *err);

/* Client: choose the certificate that answers a CertificateRequest, which was
 * checked, and give it to the engine. */
enum flow_status flow__peer_answer_request(struct flow__handshake *hs,
                                           const uint8_t *msg, size_t len,
                                           struct flow_error *err);

#endif
