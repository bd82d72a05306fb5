/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_MEMORY_H
#define FLOW_MBEDTLS_MEMORY_H

#include <stddef.h>

/*
 * Memory for mbedTLS.  Several of its functions answer a failed allocation as
 * if the peer had sent something wrong, so libflow is told of each one.
 */

/* As calloc() and free(). */
void *flow__mbed_calloc(size_t count, size_t size);
void flow__mbed_free(void *ptr);

/* libflow has it (tls/mbedtls/memory.c): an allocation failed in this thread.
 */
void flow__mbed_note_no_memory(void);

#endif
