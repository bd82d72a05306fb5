/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SESSIONS_H
#define FLOW_TLS_SESSIONS_H

#include "tls/session.h"

/* Take the newest session of a key that has not ended, out of the store; NULL:
 * none.  It is the caller's. */
struct flow__session *flow__sessions_take(struct flow_tls_sessions *s,
                                          const uint8_t key[FLOW__PIN_LEN],
                                          int64_t now);

/* The environment of the sessions in a store, which may outlive that of a
 * connection. */
const struct flow_env *flow__sessions_env(const struct flow_tls_sessions *s);

/* Give a session of the store's environment to the store, which drops the
 * oldest ones where it is full. */
void flow__sessions_put(struct flow_tls_sessions *s,
                        struct flow__session *session);

#endif
