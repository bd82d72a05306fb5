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
/* Bytes that malloc(3) of glibc uses for everything allocated and not freed
 * since the program began: those it gave, rounded up as it does, and the word
 * before each block. */
size_t wrap_bytes(void);
/* From now on, note the size and the callers of each allocation. */
void wrap_note(void);
/* Write those that are not freed to standard error, one a line. */
void wrap_list(void);
/* Make the nth allocation from now on fail, and all later ones too if after is
 * true. */
void wrap_fail(size_t nth, bool after);
/* Whether one has failed since. */
bool wrap_failed(void);

#endif
