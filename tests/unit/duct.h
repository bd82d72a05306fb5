/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_DUCT_H
#define TEST_UNIT_DUCT_H

#include <flow/flow.h>

/*
 * Two flows joined by a few bytes of memory in each direction, for tests of
 * the core that want a real stream and no backend: half close both ways, one
 * reader and one writer thread per end.  An end closed without a shutdown is
 * FLOW_E_TRUNCATED for the other's reads and FLOW_E_CLOSED for its writes.
 */
void duct_new(const struct flow_env *env, size_t capacity,
              struct flow *ret_end[2]);

#define DUCT_CAPACITY 64u

#endif
