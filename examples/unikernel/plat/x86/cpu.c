/* SPDX-License-Identifier: ISC */
#include "cpu.h"

#define CPU_FEATURES  1
#define CPU_FEATURES7 7

#define CPU_RDRAND (1U << 30) /* leaf 1, ecx */
#define CPU_SMEP   (1U << 7)  /* leaf 7, ebx */
#define CPU_UMIP   (1U << 2)  /* leaf 7, ecx */

#define CPU_CR4_UMIP (UINT64_C(1) << 11)
#define CPU_CR4_SMEP (UINT64_C(1) << 20)

/* Intel's manual, volume 1, 7.3.17.1: ten tries. */
#define CPU_RANDOM_TRIES 10

void
cpu_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

uint8_t
cpu_in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void
cpu_write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value),
                       "d"((uint32_t)(value >> 32))
                     : "memory");
}

uint64_t
cpu_time_stamp(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

uintptr_t
cpu_fault_address(void)
{
    uintptr_t address;

    __asm__ volatile("movq %%cr2, %0" : "=r"(address));
    return address;
}

void
cpu_load_page_table(uintptr_t table)
{
    __asm__ volatile("movq %0, %%cr3" : : "r"(table) : "memory");
}

void
cpu_flush_page(uintptr_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void
cpu_order(void)
{
    __asm__ volatile("" : : : "memory");
}

void
cpu_order_all(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

uint64_t
cpu_scale(uint64_t value, uint64_t scale)
{
    uint64_t low, high;

    __asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(value), "rm"(scale) : "cc");
    return high << 32 | low >> 32;
}

struct cpu_id
cpu_identify(uint32_t leaf)
{
    struct cpu_id id;

    __asm__ volatile("cpuid"
                     : "=a"(id.eax), "=b"(id.ebx), "=c"(id.ecx), "=d"(id.edx)
                     : "a"(leaf), "c"(0));
    return id;
}

void
cpu_protect(void)
{
    struct cpu_id id = { 0 };
    uint64_t cr4;

    if (cpu_identify(0).eax >= CPU_FEATURES7)
        id = cpu_identify(CPU_FEATURES7);
    __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
    if ((id.ebx & CPU_SMEP) != 0)
        cr4 |= CPU_CR4_SMEP;
    if ((id.ecx & CPU_UMIP) != 0)
        cr4 |= CPU_CR4_UMIP;
    __asm__ volatile("movq %0, %%cr4" : : "r"(cr4));
}

static bool
cpu_random_word(uint64_t *ret)
{
    unsigned i;
    bool ok;

    for (i = 0; i < CPU_RANDOM_TRIES; i++) {
        __asm__ volatile("rdrand %0" : "=r"(*ret), "=@ccc"(ok));
        if (ok)
            return true;
    }
    return false;
}

bool
cpu_random(void *buf, size_t len)
{
    uint8_t *to = buf;
    uint64_t word = 0;
    size_t i;

    if ((cpu_identify(CPU_FEATURES).ecx & CPU_RDRAND) == 0)
        return false;
    for (i = 0; i < len; i++) {
        if (i % sizeof(word) == 0 && !cpu_random_word(&word))
            return false;
        to[i] = (uint8_t)word;
        word >>= 8;
    }
    return true;
}

_Noreturn void
cpu_stop(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = { 0, 0 };

    __asm__ volatile("lidt %0" : : "m"(none));
    for (;;)
        __asm__ volatile("ud2");
}
