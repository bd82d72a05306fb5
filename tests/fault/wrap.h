/* SPDX-License-Identifier: ISC */
#ifndef TEST_FAULT_WRAP_H
#define TEST_FAULT_WRAP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The C library's allocator, counted and made to fail.  The linker puts these
 * functions in front of malloc() and its relatives for everything that is
 * linked into the program, the TLS engine included.
 */

/* Begin counting at zero. */
void wrap_begin(void);
/* Allocations since. */
size_t wrap_total(void);
/* Of those, how many were not given back. */
long wrap_live(void);
/* The nth allocation from now on fails; all later ones too if after. */
void wrap_fail(size_t nth, bool after);
/* Whether one has failed since. */
bool wrap_failed(void);

#endif
