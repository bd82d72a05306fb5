/* SPDX-License-Identifier: ISC */
#include <stdalign.h>
#include <stdlib.h>

#include "lib/plat.h"

void *
flow__plat_alloc(size_t size, size_t align)
{
    void *ptr;

    if (align <= alignof(max_align_t))
        return malloc(size);
    return posix_memalign(&ptr, align, size) == 0 ? ptr : NULL;
}

void
flow__plat_free(void *ptr, size_t size, size_t align)
{
    (void)size;
    (void)align;
    free(ptr);
}
