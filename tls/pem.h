/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_PEM_H
#define FLOW_TLS_PEM_H

#include <flow/env.h>

#include "tls/span.h"

/* Blocks of DER as text, RFC 7468. */

/* Whether there is a block of any kind. */
bool flow__pem_is_text(struct flow__span data);

/*
 * Decode the next block with a label, such as "CERTIFICATE"; text advances past
 * it.  FLOW_OK: *ret_der is the caller's, of ret_der->len bytes, to be released
 * as *ret_size bytes.  FLOW_EOF: there is none left.  FLOW_E_INVAL: it is not
 * well formed; the next call goes on after its first line.  FLOW_E_NOMEM.
 */
enum flow_status flow__pem_next(const struct flow_env *env,
                                struct flow__span *text, const char *label,
                                struct flow__span *ret_der, size_t *ret_size);

#endif
