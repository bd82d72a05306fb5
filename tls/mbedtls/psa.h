/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_PSA_H
#define FLOW_TLS_MBEDTLS_PSA_H

#include <flow/status.h>

/*
 * Initialise PSA, once for the process, with the locks and the entropy of our
 * platform if the build uses them.  It is never shut down, since the host
 * program may use it too.  FLOW_OK, or FLOW_E_NOMEM or FLOW_E_ENTROPY, after
 * which the next call tries again.  Any thread.
 */
enum flow_status flow__psa_init(void);

#endif
