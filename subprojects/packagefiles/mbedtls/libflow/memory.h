/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_MEMORY_H
#define FLOW_MBEDTLS_MEMORY_H

#include <stddef.h>

/*
 * Memory for mbedTLS.  In a step of a handshake small blocks come from the
 * handshake's arena, which libflow releases with the handshake.  Several
 * functions of mbedTLS answer a failed allocation as if the peer had sent
 * something wrong, so libflow is told of each one.
 */
struct flow__arena;

/* As calloc() and free(); a block of the one is for the other only. */
void *flow__mbed_calloc(size_t count, size_t size);
void flow__mbed_free(void *ptr);

/* The handshake that had the arena is over; NULL: it had none. */
void flow__mbed_release(struct flow__arena *arena);

/*
 * libflow has these (tls/mbedtls).
 */

/* An allocation failed in this thread. */
void flow__mbed_note_no_memory(void);
/* Where the arena of the handshake is kept a step of which this thread runs;
 * NULL: it runs none. */
struct flow__arena **flow__mbed_arena(void);

#endif
