/* SPDX-License-Identifier: ISC */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * Where the kernel can zero a page in every child, the number is in such a
 * page: no handler has to run, so a child of a bare clone(2) is noticed too,
 * and asking costs a load.  Elsewhere the pid is compared, which costs what
 * getpid(2) costs there.
 *
 * Invariant: numbers only grow, and a child goes on from its parent's; so a
 * number that differs from the parent's is one that no ancestor had.
 *
 * Tests can ask for the pid on systems that have the page.
 */
#if defined(MADV_WIPEONFORK) && !defined(FLOW__PROCESS_BY_PID)
#define process_wipe_in_children(ptr, len)                                     \
    madvise((ptr), (len), MADV_WIPEONFORK)
#elif defined(INHERIT_ZERO) && !defined(FLOW__PROCESS_BY_PID)
#define process_wipe_in_children(ptr, len) minherit((ptr), (len), INHERIT_ZERO)
#elif defined(MAP_INHERIT_ZERO) && !defined(FLOW__PROCESS_BY_PID)
#define process_wipe_in_children(ptr, len)                                     \
    minherit((ptr), (len), MAP_INHERIT_ZERO)
#else
#define process_wipe_in_children(ptr, len) (-1)
#endif

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

static uint32_t *process_page; /* Atomic; NULL where none can be had. */
static uint32_t process_once;
static uint32_t process_last;   /* Atomic: the last number given out. */
static uint64_t process_of_pid; /* Atomic: a pid, and below it its number. */

static void
process_make_page(void)
{
    size_t len = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, len, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return;
    if (process_wipe_in_children(page, len) == 0)
        process_page = page;
    else
        munmap(page, len);
}

static uint32_t
process_number_from_page(void)
{
    uint32_t number = flow__load(process_page);
    uint32_t zero = 0;

    if (number != 0)
        return number;
    number = flow__add(&process_last, 1) + 1;
    /* Of several threads one writes it, and the others take what it wrote. */
    return flow__replace(process_page, &zero, number) ? number : zero;
}

static uint32_t
process_number_from_pid(void)
{
    uint64_t pid = (uint64_t)getpid() << 32;
    uint64_t known = flow__load(&process_of_pid);
    uint64_t mine = pid | (uint32_t)(known + 1);

    if ((known & ~(uint64_t)UINT32_MAX) != pid &&
        flow__replace(&process_of_pid, &known, mine))
        known = mine;
    return (uint32_t)known;
}

uint32_t
flow_process(void)
{
    flow_once(process_make_page, &process_once);
    return process_page != NULL ? process_number_from_page()
                                : process_number_from_pid();
}
