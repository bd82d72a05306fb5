/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_PEER_H
#define FLOW_TLS_PEER_H

#include "tls/handshake_state.h"

/*
 * Client: verify the certificates in the server's Certificate message, which
 * was checked, before the engine gets it.  Keeps the kind of the peer's key,
 * the name that matched and FLOW_VERIFY_ flags.  With flow_tls_config's
 * skip_verify only what costs too much or is not well formed is refused.
 */
enum flow_status flow__peer_verify(struct flow__handshake *hs,
                                   const uint8_t *msg, size_t len,
                                   struct flow_error *err);

#endif
