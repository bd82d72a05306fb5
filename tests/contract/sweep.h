/* SPDX-License-Identifier: ISC */
#ifndef TEST_CONTRACT_SWEEP_H
#define TEST_CONTRACT_SWEEP_H

#include <flow/contract.h>

/* Messages of many lengths from every stride-th offset of a page to another
 * offset, over a backend, bare and under TLS, and under every buffer policy.
 * Returns 0, or the number of tests that failed. */
int sweep_run(const struct flow_contract_backend *backend, size_t stride);

#endif
