/* SPDX-License-Identifier: ISC */
#include "memory.h"

#include "../plat/x86/cpu.h"
#include "report.h"

/*
 * Memory: addresses are physical ones, and one table has an entry for each page
 * of RAM.
 *
 * The entries of the lowest GiB form one array, memory_table, which lies after
 * the image.  An entry of 0 in the heap, which is all RAM after the table, is a
 * free page: so the array is also the allocator's map.
 *
 * Invariants:
 * - No page can be both written and executed, by either ring.
 * - What is not mapped here faults: page 0 and all below the image, the pages
 *   below each stack, free pages, and pages that the app took with no access.
 * - A page that ring 3 gets from the heap was zeroed since it was free.
 * - The entries of the heap are changed by memory_set() alone, which counts
 *   them.
 */

#define MEMORY_ENTRIES ((size_t)512)
#define MEMORY_LIMIT   ((uintptr_t)1 << 30)
#define MEMORY_TOP     ((uintptr_t)3 << 30) /* the GiB of the devices */
#define MEMORY_LARGE   ((uintptr_t)1 << 21) /* what one last table maps */
#define MEMORY_DEVICES 4                    /* of which there may be so many */

/* Of an entry. */
#define MEMORY_PRESENT  UINT64_C(0x001)
#define MEMORY_WRITABLE UINT64_C(0x002)
#define MEMORY_USER     UINT64_C(0x004)
#define MEMORY_UNCACHED UINT64_C(0x018)
#define MEMORY_TAKEN    UINT64_C(0x200) /* ours: not free */
#define MEMORY_DATA     (UINT64_C(1) << 63)

/* unikernel.ld. */
extern char core_text_start[], core_text_end[], core_rodata_end[],
    core_data_end[];
extern char app_text_start[], app_text_end[], app_rodata_end[], image_end[];
/* boot.S. */
extern char core_stack_guard[], core_fault_guard[];

typedef uint64_t memory_entries[MEMORY_ENTRIES]
    __attribute__((aligned(MEMORY_PAGE)));

static memory_entries memory_level4, memory_level3, memory_low, memory_high;
static memory_entries memory_device[MEMORY_DEVICES];
static size_t memory_device_count;

static uint64_t *memory_table;
static size_t memory_heap_first, memory_heap_end; /* pages */
static size_t memory_next;                        /* where to look first */
static size_t memory_taken_pages, memory_peak_pages;

static size_t
memory_page_of(const void *address)
{
    return (uintptr_t)address / MEMORY_PAGE;
}

static size_t
memory_round_up(size_t len)
{
    return (len + MEMORY_PAGE - 1) & ~(MEMORY_PAGE - 1);
}

static void
memory_zero_page(size_t page)
{
    uint64_t *word = (uint64_t *)(page * MEMORY_PAGE);
    size_t i;

    for (i = 0; i < MEMORY_PAGE / sizeof(*word); i++)
        word[i] = 0;
}

/* --- the tables --- */

static void
memory_map_image(const char *start, const char *end, uint64_t bits)
{
    size_t page;

    for (page = memory_page_of(start); page < memory_page_of(end); page++)
        memory_table[page] = page * MEMORY_PAGE | MEMORY_PRESENT | bits;
}

static void
memory_map_images(void)
{
    memory_map_image(core_text_start, core_text_end, 0);
    memory_map_image(core_text_end, core_rodata_end, MEMORY_DATA);
    memory_map_image(core_rodata_end, core_data_end,
                     MEMORY_DATA | MEMORY_WRITABLE);
    memory_map_image(app_text_start, app_text_end, MEMORY_USER);
    memory_map_image(app_text_end, app_rodata_end, MEMORY_USER | MEMORY_DATA);
    memory_map_image(app_rodata_end, image_end,
                     MEMORY_USER | MEMORY_DATA | MEMORY_WRITABLE);
    memory_table[memory_page_of(core_stack_guard)] = 0;
    memory_table[memory_page_of(core_fault_guard)] = 0;
}

void
memory_start(uintptr_t end)
{
    const uint64_t bits = MEMORY_PRESENT | MEMORY_WRITABLE | MEMORY_USER;
    size_t tables, page, i;

    if (end > MEMORY_LIMIT)
        end = MEMORY_LIMIT;
    tables = (end + MEMORY_LARGE - 1) / MEMORY_LARGE;
    memory_table = (uint64_t *)(uintptr_t)image_end;
    memory_heap_first = memory_page_of(image_end) + tables;
    memory_heap_end = end / MEMORY_PAGE;
    memory_next = memory_heap_first;
    if (memory_heap_first >= memory_heap_end)
        report_panic("%u KiB of memory are too few", (uint64_t)end / 1024);
    for (i = 0; i < tables; i++) {
        page = memory_page_of(image_end) + i;
        memory_zero_page(page);
        memory_low[i] = page * MEMORY_PAGE | bits;
    }
    memory_map_images();
    memory_map_image(image_end, (char *)(memory_heap_first * MEMORY_PAGE),
                     MEMORY_DATA | MEMORY_WRITABLE);
    memory_level4[0] = (uintptr_t)memory_level3 | bits;
    memory_level3[0] = (uintptr_t)memory_low | bits;
    memory_level3[MEMORY_TOP / MEMORY_LIMIT] = (uintptr_t)memory_high | bits;
    cpu_load_page_table((uintptr_t)memory_level4);
}

/* The entry of a page in the highest GiB below 4. */
static uint64_t *
memory_high_entry(uintptr_t address)
{
    uint64_t *large, *entries;

    if (address < MEMORY_TOP || address >= MEMORY_TOP + MEMORY_LIMIT)
        report_panic("the device at %x has no place in the page tables",
                     address);
    large = &memory_high[(address - MEMORY_TOP) / MEMORY_LARGE];
    if (*large == 0) {
        if (memory_device_count == MEMORY_DEVICES)
            report_panic("no page table for the device at %x", address);
        *large = (uintptr_t)memory_device[memory_device_count++] |
                 MEMORY_PRESENT | MEMORY_WRITABLE | MEMORY_USER;
    }
    entries = (uint64_t *)(*large & ~(uint64_t)(MEMORY_PAGE - 1));
    return &entries[address / MEMORY_PAGE % MEMORY_ENTRIES];
}

static void
memory_map_high(uintptr_t address, uint64_t bits)
{
    *memory_high_entry(address) = (address & ~(MEMORY_PAGE - 1)) |
                                  MEMORY_PRESENT | MEMORY_WRITABLE |
                                  MEMORY_DATA | bits;
}

void
memory_map_device(uintptr_t address)
{
    memory_map_high(address, MEMORY_UNCACHED);
}

void
memory_map_shared(uintptr_t address)
{
    memory_map_high(address, 0);
}

void
memory_lend(uintptr_t address)
{
    uint64_t *entry = address < MEMORY_LIMIT
                          ? &memory_table[address / MEMORY_PAGE]
                          : memory_high_entry(address);

    *entry |= MEMORY_USER;
    cpu_flush_page(address);
}

/* --- the heap --- */

static void
memory_set(size_t page, uint64_t entry)
{
    if (memory_table[page] == 0)
        memory_taken_pages++;
    if (entry == 0)
        memory_taken_pages--;
    if (memory_taken_pages > memory_peak_pages)
        memory_peak_pages = memory_taken_pages;
    memory_table[page] = entry;
    cpu_flush_page(page * MEMORY_PAGE);
}

static uint64_t
memory_entry(size_t page, enum memory_access access)
{
    uint64_t entry = page * MEMORY_PAGE | MEMORY_TAKEN | MEMORY_DATA;

    if (access != MEMORY_NONE)
        entry |= MEMORY_PRESENT | MEMORY_USER;
    if (access == MEMORY_WRITE)
        entry |= MEMORY_WRITABLE;
    return entry;
}

/* The first of count free pages between two; end if there are none. */
static size_t
memory_find(size_t first, size_t end, size_t count)
{
    size_t page, run = 0;

    for (page = first; page < end; page++) {
        run = memory_table[page] == 0 ? run + 1 : 0;
        if (run == count)
            return page + 1 - count;
    }
    return end;
}

uintptr_t
memory_map(size_t len, enum memory_access access)
{
    size_t count = memory_round_up(len) / MEMORY_PAGE, first, i;

    if (len == 0 || len > MEMORY_LIMIT)
        return 0;
    first = memory_find(memory_next, memory_heap_end, count);
    if (first == memory_heap_end)
        first = memory_find(memory_heap_first, memory_heap_end, count);
    if (first == memory_heap_end)
        return 0;
    for (i = first; i < first + count; i++) {
        memory_set(i, i * MEMORY_PAGE | MEMORY_PRESENT | MEMORY_WRITABLE |
                          MEMORY_DATA);
        memory_zero_page(i);
        memory_set(i, memory_entry(i, access));
    }
    memory_next = first + count;
    return first * MEMORY_PAGE;
}

/* The pages of a range, all of the heap and taken; false if they are not. */
static bool
memory_range(uintptr_t address, size_t len, size_t *ret_first, size_t *ret_end)
{
    size_t page;

    if (address % MEMORY_PAGE != 0 || len == 0 || len > MEMORY_LIMIT ||
        address > MEMORY_LIMIT)
        return false;
    *ret_first = address / MEMORY_PAGE;
    *ret_end = *ret_first + memory_round_up(len) / MEMORY_PAGE;
    if (*ret_first < memory_heap_first || *ret_end > memory_heap_end)
        return false;
    for (page = *ret_first; page < *ret_end; page++)
        if (memory_table[page] == 0)
            return false;
    return true;
}

bool
memory_unmap(uintptr_t address, size_t len)
{
    size_t page, end;

    if (!memory_range(address, len, &page, &end))
        return false;
    for (; page < end; page++)
        memory_set(page, 0);
    return true;
}

bool
memory_protect(uintptr_t address, size_t len, enum memory_access access)
{
    size_t page, end;

    if (!memory_range(address, len, &page, &end))
        return false;
    for (; page < end; page++)
        memory_set(page, memory_entry(page, access));
    return true;
}

/* --- questions --- */

static bool
memory_is_allowed(uintptr_t address, size_t len, uint64_t bits)
{
    uintptr_t end = memory_heap_end * MEMORY_PAGE;
    size_t page;

    if (len == 0)
        return true;
    if (address >= end || len > end - address)
        return false;
    for (page = address / MEMORY_PAGE;
         page <= (address + len - 1) / MEMORY_PAGE; page++)
        if ((memory_table[page] & bits) != bits)
            return false;
    return true;
}

bool
memory_is_readable(uintptr_t address, size_t len)
{
    return memory_is_allowed(address, len, MEMORY_PRESENT | MEMORY_USER);
}

bool
memory_is_writable(uintptr_t address, size_t len)
{
    return memory_is_allowed(address, len,
                             MEMORY_PRESENT | MEMORY_USER | MEMORY_WRITABLE);
}

const char *
memory_describe(uintptr_t address)
{
    static const struct {
        const char *end, *name;
    } part[] = {
        { (const char *)MEMORY_PAGE, "a null pointer" },
        { core_text_start, "below the image" },
        { core_text_end, "text of the core" },
        { core_rodata_end, "constants of the core" },
        { core_data_end, "data of the core" },
        { app_text_end, "text of the app" },
        { app_rodata_end, "constants of the app" },
        { image_end, "data of the app" },
    };
    size_t page = address / MEMORY_PAGE, i;

    if (page == memory_page_of(core_stack_guard) ||
        page == memory_page_of(core_fault_guard))
        return "below a stack of the core";
    for (i = 0; i < sizeof(part) / sizeof(part[0]); i++)
        if (address < (uintptr_t)part[i].end)
            return part[i].name;
    if (page < memory_heap_first)
        return "the page tables";
    if (page >= memory_heap_end)
        return address < MEMORY_TOP ? "no memory" : "a device";
    if (memory_table[page] == 0)
        return "a free page";
    return (memory_table[page] & MEMORY_PRESENT) == 0
               ? "a guard page of the app"
               : "memory of the app";
}

size_t
memory_taken(void)
{
    return memory_taken_pages * MEMORY_PAGE;
}

size_t
memory_peak(void)
{
    return memory_peak_pages * MEMORY_PAGE;
}
