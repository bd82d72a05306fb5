/* SPDX-License-Identifier: ISC */
#include <stdint.h>

#include "arena.h"
#include "memory.h"

/* See libflow/memory.h. */
void *
flow__mbed_calloc(size_t count, size_t size)
{
    void *ptr = NULL;

    if (size == 0 || count <= SIZE_MAX / size)
        ptr = flow__arena_alloc(flow__mbed_arena(), count * size);
    if (ptr == NULL)
        flow__mbed_note_no_memory();
    return ptr;
}

/* See libflow/memory.h. */
void
flow__mbed_free(void *ptr)
{
    struct flow__arena **arena = flow__mbed_arena();

    flow__arena_free(arena != NULL ? *arena : NULL, ptr);
}

/* See libflow/memory.h. */
void
flow__mbed_release(struct flow__arena *arena)
{
    flow__arena_end(arena);
}
