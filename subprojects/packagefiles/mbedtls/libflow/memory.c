/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "memory.h"

/* See libflow/memory.h. */
void *
flow__mbed_calloc(size_t count, size_t size)
{
    void *ptr = calloc(count, size);

    if (ptr == NULL)
        flow__mbed_note_no_memory();
    return ptr;
}

/* See libflow/memory.h. */
void
flow__mbed_free(void *ptr)
{
    free(ptr);
}
