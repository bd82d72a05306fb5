/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIKERNEL_HEAP_H
#define TESTS_UNIKERNEL_HEAP_H

#include <stddef.h>

/* The memory of a struct flow_machine that is a program: ctx is not used. */
void *heap_alloc(void *ctx, size_t size, size_t align);
void heap_free(void *ctx, void *ptr, size_t size, size_t align);

#endif
