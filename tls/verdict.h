/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_VERDICT_H
#define FLOW_TLS_VERDICT_H

#include <flow/tls_verify.h>

#include "tls/alert.h"

/* What the failed checks of a verification mean: one row per check. */

/* Set flow_tls_verdict::check, flags and text from a bit (1 << check) for every
 * check that failed. */
void flow__verdict_set(struct flow_tls_verdict *v, uint32_t failed);

/*
 * Fill err for a handshake that is refused by a verdict: status, text, detail,
 * alert.  name: what was asked for, or NULL.  Returns the status.
 */
enum flow_status flow__verdict_error(const struct flow_tls_verdict *v,
                                     const char *name, struct flow_error *err);

#endif
