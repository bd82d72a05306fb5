/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__)
#include <execinfo.h>
#include <malloc.h>
#endif

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
static size_t bytes;

/* What is noted of an allocation. */
#define NOTES   4096
#define CALLERS 8
static struct note {
    void *ptr; /* NULL: the place is free */
    size_t size;
    void *caller[CALLERS];
    int callers;
} notes[NOTES];
static bool is_noting;

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

#if defined(__GLIBC__)
static size_t
heap_size(void *ptr)
{
    return malloc_usable_size(ptr) + sizeof(size_t);
}

static void
note(void *ptr)
{
    struct note *n = notes;

    while (n < notes + NOTES && n->ptr != NULL)
        n++;
    if (n == notes + NOTES)
        return;
    n->ptr = ptr;
    n->size = heap_size(ptr);
    n->callers = backtrace(n->caller, CALLERS);
}

/* For addr2line(1): the callers' places in their files, without our own. */
static void
list(const struct note *n)
{
    char **names = backtrace_symbols(n->caller, n->callers);

    fprintf(stderr, "%6zu", n->size);
    for (int i = 2; names != NULL && i < n->callers; i++) {
        const char *place = strchr(names[i], '(');

        if (place != NULL)
            fprintf(stderr, " %.*s", (int)strcspn(place, ")") + 1, place);
    }
    fprintf(stderr, "\n");
    free(names);
}
#else
static size_t
heap_size(void *ptr)
{
    (void)ptr;
    return 0;
}

static void
note(void *ptr)
{
    (void)ptr;
}

static void
list(const struct note *n)
{
    fprintf(stderr, "%6zu\n", n->size);
}
#endif

size_t
wrap_bytes(void)
{
    return bytes;
}

void
wrap_note(void)
{
    memset(notes, 0, sizeof(notes));
    is_noting = true;
}

void
wrap_list(void)
{
    is_noting = false;
    for (struct note *n = notes; n < notes + NOTES; n++)
        if (n->ptr != NULL)
            list(n);
}

static void *
count(void *ptr)
{
    if (ptr == NULL)
        return NULL;
    live++;
    bytes += heap_size(ptr);
    if (is_noting)
        note(ptr);
    return ptr;
}

static void
uncount(void *ptr)
{
    if (ptr == NULL)
        return;
    live--;
    bytes -= heap_size(ptr);
    for (struct note *n = notes; is_noting && n < notes + NOTES; n++)
        if (n->ptr == ptr)
            n->ptr = NULL;
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
    void *p;

    if (refuse())
        return NULL;
    uncount(ptr);
    p = __real_realloc(ptr, size);
    /* On a failure the old block is as it was. */
    (void)count(p != NULL || size == 0 ? p : ptr);
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
        (void)count(*ret);
    return rc;
}

void
__wrap_free(void *ptr)
{
    uncount(ptr);
    __real_free(ptr);
}
