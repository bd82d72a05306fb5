/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_PLAT_X86_CPU_H
#define UNIKERNEL_PLAT_X86_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The instructions of x86-64 that C does not have. */

void cpu_out8(uint16_t port, uint8_t value);
uint8_t cpu_in8(uint16_t port);
void cpu_write_msr(uint32_t msr, uint64_t value);
/* The time stamp counter, after all earlier instructions. */
uint64_t cpu_time_stamp(void);
uintptr_t cpu_fault_address(void);
void cpu_load_page_table(uintptr_t table);
void cpu_flush_page(uintptr_t address);
/* Where the compiler may not move accesses to memory.  x86 keeps the order of
 * loads and that of stores. */
void cpu_order(void);
/* Also orders a store before a later load. */
void cpu_order_all(void);
/* value * scale / 2^32, which has 64 bits. */
uint64_t cpu_scale(uint64_t value, uint64_t scale);

struct cpu_id {
    uint32_t eax, ebx, ecx, edx;
};

struct cpu_id cpu_identify(uint32_t leaf);
/* Turns on what the processor has of SMEP and UMIP. */
void cpu_protect(void);
/* Random bytes of the processor; false if it has none now. */
bool cpu_random(void *buf, size_t len);
/* A triple fault, which ends the machine. */
_Noreturn void cpu_stop(void);

#endif
