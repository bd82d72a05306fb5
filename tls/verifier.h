/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_VERIFIER_H
#define FLOW_TLS_VERIFIER_H

#include <flow/tls_verify.h>

#include "tls/path.h"

/* Add certificates that are trusted.  If strict, all or none: FLOW_E_INVAL if
 * one is not understood, and *ret_bad is its number, from 1.  Otherwise those
 * are left out.  *ret_count: how many were added. */
enum flow_status flow__verifier_add_trust(struct flow_tls_verifier *v,
                                          struct flow__span data, bool strict,
                                          size_t *ret_bad, size_t *ret_count,
                                          struct flow_error *err);

/* Set the detail "NAME, certificate 3": which of many it was.  name may be
 * NULL. */
void flow__verifier_set_detail(struct flow_error *err, const char *name,
                               size_t number);

/* Verify certificates and ask the callback: as flow_tls_verify().  name is the
 * name in normal form, or NULL; the time is that of the environment. */
enum flow_status flow__verifier_run(struct flow_tls_verifier *v,
                                    const struct flow__span *certs,
                                    size_t count, const struct flow__name *name,
                                    uint8_t purpose,
                                    struct flow_tls_verdict *ret_verdict);

/* What is trusted; valid until more is added. */
const struct flow__cert *
flow__verifier_anchors(const struct flow_tls_verifier *v, size_t *ret_count);

/* A number that no other verifier of this process has. */
uint32_t flow__verifier_serial(const struct flow_tls_verifier *v);

/* Whether a chain that was accepted may be refused later, before one of its
 * certificates ends: a callback decides, or revocation lists that end. */
bool flow__verifier_may_revoke(const struct flow_tls_verifier *v);

/* No setter succeeds after this. */
void flow__verifier_freeze(struct flow_tls_verifier *v);

#endif
