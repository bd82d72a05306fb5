/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_BACKENDS_H
#define TEST_SUPPORT_BACKENDS_H

#include <flow/contract.h>

/* The backends of this tree, one row each.  The array is static. */
const struct flow_contract_backend *backends(size_t *ret_count);

#endif
