/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_ARENA_H
#define FLOW_MBEDTLS_ARENA_H

#include <stddef.h>

/*
 * Blocks of memory, all zero at first, and the arena of a handshake, from which
 * the small ones of its steps come.
 *
 * Several threads may call flow__arena_free() at the same time, also while the
 * arena of the block is used or released.  Everything else is called by one
 * thread at a time for one arena.
 */
struct flow__arena;

/* The largest block that comes from an arena. */
#define FLOW__ARENA_BLOCK 768u

/*
 * size bytes, 0 counting as 1, aligned for every type; NULL: no memory.  arena:
 * where the arena of the caller's handshake is kept, NULL there as long as it
 * has none; NULL outside of a handshake, and then the block is one of the heap.
 */
void *flow__arena_alloc(struct flow__arena **arena, size_t size);

/* Wipes a block of an arena.  arena: that of the caller's handshake, whether
 * the block comes from it or not; NULL: none.  ptr may be NULL. */
void flow__arena_free(struct flow__arena *arena, void *ptr);

/* The handshake is over.  Blocks that are still in use keep their chunk; the
 * last one to be freed releases it.  NULL does nothing. */
void flow__arena_end(struct flow__arena *arena);

#endif
