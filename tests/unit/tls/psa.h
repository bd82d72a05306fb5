/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TESTS_UNIT_TLS_PSA_H
#define FLOW_TESTS_UNIT_TLS_PSA_H

#include <flow/status.h>

#include "tls/mbedtls/psa.h"

/* The set-up of a test group: ciphers and keys need PSA, which a program starts
 * when it makes a configuration. */
static inline int
start_psa(void **state)
{
    (void)state;
    return flow__psa_init() == FLOW_OK ? 0 : -1;
}

#endif
