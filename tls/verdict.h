/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_VERDICT_H
#define FLOW_TLS_VERDICT_H

#include <flow/tls_verify.h>

#include "tls/alert.h"

/* What the failed checks of a verification mean: one row per check. */

/* Set flow_tls_verdict::check, flags and text from a bit (1 << check) for every
 * check that failed. */
void flow__verdict_set(struct flow_tls_verdict *v, uint32_t failed);

#endif
