/* SPDX-License-Identifier: ISC */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * An arena cuts blocks from chunks of the heap.  A block that is freed in a
 * step of its own handshake is kept for the next one of its size, so an arena
 * grows only with the number of blocks that are in use at the same time.  Its
 * chunks are released when the handshake is over.
 *
 * A block may outlive its handshake, or be freed elsewhere: a handshake that is
 * the first to sign with a shared key leaves numbers in that key.  Such a block
 * is not used again.  The chunk counts it.
 *
 * Invariants: every block begins with a header, which names its chunk, or none
 * if the block is one of the heap, and which is marked while the block is in
 * use. The memory of a chunk that is not in a block in use is zero, except for
 * headers and the links of the spare blocks.  While the handshake lasts, `left`
 * of a chunk is ARENA_BIAS less the blocks that were freed elsewhere, so it
 * cannot be 0; then it is the number of blocks in use.  The thread that sets it
 * to 0 releases the chunk.
 *
 * Built with AddressSanitizer, spare blocks are not used again and everything
 * outside of the blocks in use is poisoned.  So the use of a freed block is
 * found, as in a heap.
 *
 * No locks: `arena` and `left` of a chunk are atomic.
 */

/* With what malloc(3) of common C libraries adds, one page. */
#define ARENA_CHUNK ((size_t)4096 - 32)
#define ARENA_BIAS  (UINT32_C(1) << 31)

/* What malloc(3) writes into a block that it gets back is something else. */
#define ARENA_IN_USE UINT32_C(0x0a4e7a11)

/* In front of every block, which is an array of these. */
union arena_unit {
    struct {
        alignas(max_align_t) uint32_t mark; /* ARENA_IN_USE, or 0 */
        uint32_t units;            /* without the header; 0: of the heap */
        struct arena_chunk *chunk; /* NULL: of the heap */
    } header;
    union arena_unit *spare; /* the next one, in the first unit of a block */
};

#define ARENA_UNITS(size)                                                      \
    (((size) + sizeof(union arena_unit) - 1) / sizeof(union arena_unit))
#define ARENA_UNITS_MAX ARENA_UNITS(FLOW__ARENA_BLOCK)

struct arena_chunk {
    struct arena_chunk *next;
    struct flow__arena *arena; /* only compared; NULL: it has ended */
    size_t used;               /* units */
    uint32_t live;             /* less those that were freed elsewhere */
    uint32_t left;             /* see above */
    union arena_unit memory[];
};

#define ARENA_CHUNK_UNITS                                                      \
    ((ARENA_CHUNK - sizeof(struct arena_chunk)) / sizeof(union arena_unit))

struct flow__arena {
    struct arena_chunk *chunks;                   /* the newest first */
    union arena_unit *spare[ARENA_UNITS_MAX + 1]; /* by units; headers */
};

/* --- AddressSanitizer ----------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_IS_CHECKED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_IS_CHECKED 1
#endif

#ifdef ARENA_IS_CHECKED
#include <sanitizer/asan_interface.h>
#else
#define ARENA_IS_CHECKED                   0
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
/* clang-format off */
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
/* clang-format on */
#endif

/* --- blocks --------------------------------------------------------------- */

/* Give a block out: its bytes may be used, its header may not. */
static void *
arena_give_out(union arena_unit *block, size_t size)
{
    block->header.mark = ARENA_IN_USE;
    ASAN_POISON_MEMORY_REGION(block, sizeof(*block));
    ASAN_UNPOISON_MEMORY_REGION(block + 1, size);
    return block + 1;
}

/* Take a block back.  If it is not in use, the program ends, as in free(3). */
static union arena_unit *
arena_take_back(void *ptr)
{
    union arena_unit *block = (union arena_unit *)ptr - 1;

    ASAN_UNPOISON_MEMORY_REGION(block, sizeof(*block));
    if (block->header.mark != ARENA_IN_USE)
        abort();
    block->header.mark = 0;
    return block;
}

static void *
arena_alloc_from_heap(size_t size)
{
    union arena_unit *block;

    if (size > SIZE_MAX - sizeof(*block))
        return NULL;
    block = calloc(1, sizeof(*block) + size);
    return block != NULL ? arena_give_out(block, size) : NULL;
}

/* --- chunks --------------------------------------------------------------- */

static struct arena_chunk *
arena_add_chunk(struct flow__arena *arena)
{
    struct arena_chunk *chunk = calloc(1, ARENA_CHUNK);

    if (chunk == NULL)
        return NULL;
    chunk->next = arena->chunks;
    chunk->arena = arena;
    chunk->left = ARENA_BIAS;
    arena->chunks = chunk;
    ASAN_POISON_MEMORY_REGION(chunk->memory, ARENA_CHUNK - sizeof(*chunk));
    return chunk;
}

/* What was added to the chunk's number of blocks in use is gone; with the last
 * one the chunk goes. */
static void
arena_leave_chunk(struct arena_chunk *chunk, uint32_t count)
{
    if (__atomic_sub_fetch(&chunk->left, count, __ATOMIC_ACQ_REL) != 0)
        return;
    ASAN_UNPOISON_MEMORY_REGION(chunk->memory, ARENA_CHUNK - sizeof(*chunk));
    free(chunk);
}

/* A block that was never used, from the newest chunk; NULL: no memory. */
static union arena_unit *
arena_cut(struct flow__arena *arena, size_t units)
{
    struct arena_chunk *chunk = arena->chunks;
    union arena_unit *block;

    if (chunk == NULL || ARENA_CHUNK_UNITS - chunk->used < 1 + units)
        chunk = arena_add_chunk(arena);
    if (chunk == NULL)
        return NULL;
    block = &chunk->memory[chunk->used];
    chunk->used += 1 + units;
    ASAN_UNPOISON_MEMORY_REGION(block, sizeof(*block));
    block->header.chunk = chunk;
    block->header.units = (uint32_t)units;
    return block;
}

static union arena_unit *
arena_take_spare(struct flow__arena *arena, size_t units)
{
    union arena_unit *block = arena->spare[units];

    if (block == NULL)
        return NULL;
    arena->spare[units] = block[1].spare;
    block[1].spare = NULL;
    return block;
}

/* See libflow/arena.h. */
void *
flow__arena_alloc(struct flow__arena **arena, size_t size)
{
    const size_t units = size != 0 ? ARENA_UNITS(size) : 1;
    union arena_unit *block;

    if (arena == NULL || size > FLOW__ARENA_BLOCK)
        return arena_alloc_from_heap(size);
    if (*arena == NULL)
        *arena = calloc(1, sizeof(**arena));
    if (*arena == NULL)
        return NULL;
    block = arena_take_spare(*arena, units);
    if (block == NULL)
        block = arena_cut(*arena, units);
    if (block == NULL)
        return NULL;
    block->header.chunk->live++;
    return arena_give_out(block, size);
}

static void
arena_keep_spare(struct flow__arena *arena, union arena_unit *block)
{
    const size_t units = block->header.units;

    block->header.chunk->live--;
    if (ARENA_IS_CHECKED) {
        ASAN_POISON_MEMORY_REGION(block, sizeof(*block));
        return;
    }
    block[1].spare = arena->spare[units];
    arena->spare[units] = block;
}

static void
arena_wipe(union arena_unit *block)
{
    const size_t size = block->header.units * sizeof(*block);

    ASAN_UNPOISON_MEMORY_REGION(block + 1, size);
    memset(block + 1, 0, size);
    ASAN_POISON_MEMORY_REGION(block + 1, size);
}

/* See libflow/arena.h. */
void
flow__arena_free(struct flow__arena *arena, void *ptr)
{
    union arena_unit *block;
    struct arena_chunk *chunk;

    if (ptr == NULL)
        return;
    block = arena_take_back(ptr);
    chunk = block->header.chunk;
    if (chunk == NULL) {
        free(block);
        return;
    }
    arena_wipe(block);
    if (arena != NULL &&
        __atomic_load_n(&chunk->arena, __ATOMIC_RELAXED) == arena)
        arena_keep_spare(arena, block);
    else
        arena_leave_chunk(chunk, 1);
}

/* See libflow/arena.h. */
void
flow__arena_end(struct flow__arena *arena)
{
    struct arena_chunk *chunk, *next;

    if (arena == NULL)
        return;
    for (chunk = arena->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        /* Another arena may have this one's address later. */
        __atomic_store_n(&chunk->arena, NULL, __ATOMIC_RELAXED);
        arena_leave_chunk(chunk, ARENA_BIAS - chunk->live);
    }
    free(arena);
}
