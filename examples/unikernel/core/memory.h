/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_CORE_MEMORY_H
#define UNIKERNEL_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_PAGE ((size_t)4096)

/* What ring 3 may do with pages; none of these is execution. */
enum memory_access {
    MEMORY_NONE, /* nothing; the pages are only taken */
    MEMORY_READ,
    MEMORY_WRITE /* and read */
};

/* Builds and loads the tables.  The RAM that holds the image ends at end. */
void memory_start(uintptr_t end);
/* Lets ring 0 use the page of a device, or one of RAM that a hypervisor shares,
 * in the highest GiB below 4. */
void memory_map_device(uintptr_t address);
void memory_map_shared(uintptr_t address);
/* Lets ring 3 read and write a page that ring 0 can use. */
void memory_lend(uintptr_t address);

/* Zeroed pages for ring 3, at least len bytes; 0 if there are none. */
uintptr_t memory_map(size_t len, enum memory_access access);
/* Both: false if a page is not one of memory_map(); nothing has changed
 * then. */
bool memory_unmap(uintptr_t address, size_t len);
bool memory_protect(uintptr_t address, size_t len, enum memory_access access);

/* Whether ring 3 may read, or write, all of these bytes. */
bool memory_is_readable(uintptr_t address, size_t len);
bool memory_is_writable(uintptr_t address, size_t len);

/* What lies at an address, for a panic. */
const char *memory_describe(uintptr_t address);
/* Bytes that ring 3 has taken, and the most that it ever had. */
size_t memory_taken(void);
size_t memory_peak(void);

#endif
