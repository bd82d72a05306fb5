/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_DUCT_H
#define TEST_UNIT_DUCT_H

#include <flow/flow.h>

/*
 * Two flows connected by a few bytes of memory in each direction, for tests of
 * the core that need a real stream without a backend: half-close in both
 * directions, one reader and one writer thread per end.  If an end is closed
 * without a shutdown, the other's reads answer FLOW_E_TRUNCATED and its writes
 * FLOW_E_CLOSED.
 */
void duct_new(const struct flow_env *env, size_t capacity,
              struct flow *ret_end[2]);

#define DUCT_CAPACITY 64u

#endif
