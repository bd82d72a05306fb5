/* SPDX-License-Identifier: ISC */
#include "trap.h"

#include <stddef.h>

#include "../plat/x86/cpu.h"
#include "memory.h"
#include "report.h"

/*
 * Descriptor tables.
 *
 * The order of the segments is what SYSCALL and SYSRET expect: code and data of
 * ring 0, then data and code of ring 3.  The I/O map of the task state lies
 * beyond its limit, so ring 3 may use no port.
 */

#define TRAP_CORE_CODE 0x08
#define TRAP_TASK      0x28
#define TRAP_RING3     3

#define TRAP_MSR_STAR  0xc0000081
#define TRAP_MSR_LSTAR 0xc0000082
#define TRAP_MSR_FMASK 0xc0000084

/* Cleared at a system call: trap, interrupts, direction, I/O level, nested
 * task, alignment check. */
#define TRAP_FLAGS UINT64_C(0x47700)

#define TRAP_GATE       UINT64_C(0x8e) /* present, ring 0, interrupts off */
#define TRAP_EXCEPTIONS 22
#define TRAP_PAGE_FAULT 14

struct trap_gate {
    uint16_t low, selector;
    uint8_t stack, type;
    uint16_t middle;
    uint32_t high, zero;
};

struct trap_task {
    uint32_t zero;
    uint32_t stack[6]; /* of rings 0 to 2, two words each */
    uint32_t zero2[2];
    uint32_t fault[14]; /* the interrupt stacks */
    uint32_t zero3[2];
    uint16_t zero4, map;
};

struct trap_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

extern const uint64_t trap_vectors[TRAP_EXCEPTIONS];
extern const char trap_interrupt[], trap_spurious[], trap_syscall[];
extern char core_stack_top[], core_fault_top[];

static struct trap_gate trap_gates[256];
static struct trap_task trap_state;
static uint64_t trap_segments[7] = {
    0,
    UINT64_C(0x00af9b000000ffff), /* 0x08: code of ring 0 */
    UINT64_C(0x00cf93000000ffff), /* 0x10: data of ring 0 */
    UINT64_C(0x00cff3000000ffff), /* 0x18: data of ring 3 */
    UINT64_C(0x00affb000000ffff), /* 0x20: code of ring 3 */
};

static const char *const trap_names[TRAP_EXCEPTIONS] = {
    "division by zero",
    "debug trap",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid instruction",
    "no floating-point unit",
    "double fault",
    "coprocessor segment overrun",
    "invalid task state",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved exception",
    "floating-point error",
    "alignment check",
    "machine check",
    "vector floating-point error",
    "virtualization exception",
    "control protection fault",
};

static void
trap_set_gate(unsigned vector, uintptr_t entry, uint8_t stack)
{
    trap_gates[vector] = (struct trap_gate){
        .low = (uint16_t)entry,
        .selector = TRAP_CORE_CODE,
        .stack = stack,
        .type = TRAP_GATE,
        .middle = (uint16_t)(entry >> 16),
        .high = (uint32_t)(entry >> 32),
    };
}

static void
trap_load_segments(void)
{
    uintptr_t task = (uintptr_t)&trap_state, top = (uintptr_t)core_stack_top;
    struct trap_pointer segments = { sizeof(trap_segments) - 1,
                                     (uintptr_t)trap_segments };

    trap_state.stack[0] = (uint32_t)top;
    trap_state.stack[1] = (uint32_t)(top >> 32);
    top = (uintptr_t)core_fault_top;
    trap_state.fault[0] = (uint32_t)top;
    trap_state.fault[1] = (uint32_t)(top >> 32);
    trap_state.map = sizeof(trap_state);
    trap_segments[5] = (sizeof(trap_state) - 1) | (task & 0xffffff) << 16 |
                       UINT64_C(0x89) << 40 | (task >> 24 & 0xff) << 56;
    trap_segments[6] = task >> 32;
    __asm__ volatile("lgdt %0" : : "m"(segments));
    __asm__ volatile("ltr %w0" : : "r"(TRAP_TASK));
}

static void
trap_load_gates(void)
{
    struct trap_pointer gates = { sizeof(trap_gates) - 1,
                                  (uintptr_t)trap_gates };
    unsigned i;

    for (i = 0; i < TRAP_EXCEPTIONS; i++)
        trap_set_gate(i, trap_vectors[i], 1);
    trap_set_gate(TRAP_VECTOR_TIMER, (uintptr_t)trap_interrupt, 0);
    trap_set_gate(TRAP_VECTOR_DEVICE, (uintptr_t)trap_interrupt, 0);
    trap_set_gate(TRAP_VECTOR_SPURIOUS, (uintptr_t)trap_spurious, 0);
    __asm__ volatile("lidt %0" : : "m"(gates));
}

void
trap_start(void)
{
    trap_load_segments();
    trap_load_gates();
    cpu_write_msr(TRAP_MSR_STAR,
                  UINT64_C(0x10) << 48 | (uint64_t)TRAP_CORE_CODE << 32);
    cpu_write_msr(TRAP_MSR_LSTAR, (uintptr_t)trap_syscall);
    cpu_write_msr(TRAP_MSR_FMASK, TRAP_FLAGS);
    cpu_protect();
}

/* What a page fault was about: the bits of its code. */
static const char *
trap_access(uint64_t code)
{
    if ((code & 0x10) != 0)
        return "execution of ";
    return (code & 0x02) != 0 ? "write to " : "read of ";
}

/* Called by trap_entry.S. */
_Noreturn void
trap_panic(const struct trap_frame *frame)
{
    const char *who = (frame->cs & TRAP_RING3) != 0 ? "the app" : "the core";
    const char *what = frame->vector < TRAP_EXCEPTIONS
                           ? trap_names[frame->vector]
                           : "unknown exception";

    if (frame->vector == TRAP_PAGE_FAULT)
        report_panic("page fault in %s: %s%x (%s), rip %x, rsp %x", who,
                     trap_access(frame->code), cpu_fault_address(),
                     memory_describe(cpu_fault_address()), frame->rip,
                     frame->rsp);
    report_panic("%s in %s: code %x, rip %x, rsp %x", what, who, frame->code,
                 frame->rip, frame->rsp);
}
