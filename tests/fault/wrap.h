/* SPDX-License-Identifier: ISC */
#ifndef TEST_FAULT_WRAP_H
#define TEST_FAULT_WRAP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The C library's allocator, counted and made to fail.  The linker redirects
 * malloc() and its relatives to these functions in everything that is linked
 * into the program, the crypto library included.
 */

/* Start counting at zero. */
void wrap_begin(void);
/* Allocations since then. */
size_t wrap_total(void);
/* Of those, how many are not freed. */
long wrap_live(void);
/* Make the nth allocation from now on fail, and all later ones too if after is
 * true. */
void wrap_fail(size_t nth, bool after);
/* Whether one has failed since. */
bool wrap_failed(void);

#endif
