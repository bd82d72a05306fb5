/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>

#include "wrap.h"

/* The linker's names of the C library's functions. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **ret, size_t align, size_t size);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **ret, size_t align, size_t size);
void __wrap_free(void *ptr);

static size_t total;
static long live;
static size_t fail_at;
static bool fail_after;
static bool failed;

void
wrap_begin(void)
{
    total = 0;
    live = 0;
    fail_at = 0;
    failed = false;
}

size_t
wrap_total(void)
{
    return total;
}

long
wrap_live(void)
{
    return live;
}

void
wrap_fail(size_t nth, bool after)
{
    fail_at = nth == 0 ? 0 : total + nth;
    fail_after = after;
    failed = false;
}

bool
wrap_failed(void)
{
    return failed;
}

static bool
refuse(void)
{
    total++;
    if (fail_at == 0 || total < fail_at || (total > fail_at && !fail_after))
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

static void *
count(void *ptr)
{
    live += ptr != NULL;
    return ptr;
}

void *
__wrap_malloc(size_t size)
{
    return refuse() ? NULL : count(__real_malloc(size));
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return refuse() ? NULL : count(__real_calloc(n, size));
}

void *
__wrap_realloc(void *ptr, size_t size)
{
    void *p = refuse() ? NULL : __real_realloc(ptr, size);

    if (ptr == NULL)
        live += p != NULL;
    return p;
}

void *
__wrap_aligned_alloc(size_t align, size_t size)
{
    return refuse() ? NULL : count(__real_aligned_alloc(align, size));
}

int
__wrap_posix_memalign(void **ret, size_t align, size_t size)
{
    int rc = refuse() ? ENOMEM : __real_posix_memalign(ret, align, size);

    if (rc == 0)
        live++;
    return rc;
}

void
__wrap_free(void *ptr)
{
    live -= ptr != NULL;
    __real_free(ptr);
}
