/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_PSA_H
#define FLOW_TESTS_UNIT_TLS_PSA_H

#include <flow/status.h>

#include "tls/mbedtls/psa.h"

/* A group's set-up: ciphers and keys want PSA, which a configuration starts
 * where there is one. */
static inline int
start_psa(void **state)
{
    (void)state;
    return flow__psa_init() == FLOW_OK ? 0 : -1;
}

#endif
