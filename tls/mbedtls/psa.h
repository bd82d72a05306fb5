/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_PSA_H
#define FLOW_TLS_MBEDTLS_PSA_H

#include <flow/status.h>

/*
 * Start the PSA part of mbedTLS, once for the process, on locks and entropy of
 * our platform where the build takes them from us.  It may be in use by the
 * host program as well: it is never ended.  FLOW_OK; FLOW_E_NOMEM when there
 * is no memory or no entropy, tried again by the next call.  Any thread.
 */
enum flow_status flow__psa_init(void);

#endif
