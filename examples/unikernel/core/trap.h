/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_CORE_TRAP_H
#define UNIKERNEL_CORE_TRAP_H

#include <stdint.h>

/* Vectors of interrupts. */
#define TRAP_VECTOR_TIMER    0x20
#define TRAP_VECTOR_DEVICE   0x21
#define TRAP_VECTOR_SPURIOUS 0xff

/* What trap_entry.S leaves on the stack at an exception. */
struct trap_frame {
    uint64_t rax, rdi;
    uint64_t vector, code; /* 0 where the processor gives no code */
    uint64_t rip, cs, flags, rsp, ss;
};

/* And at a system call. */
struct trap_call {
    uint64_t number;
    uint64_t arg[6];
    uint64_t rsp, flags, rip;
};

/* Segments, exceptions, interrupts and system calls. */
void trap_start(void);
/* Starts ring 3. */
_Noreturn void trap_enter_app(uintptr_t entry, uintptr_t stack);
/* Sleeps until an interrupt, with interrupts on; they are off before and
 * after. */
void trap_sleep(void);

_Noreturn void trap_panic(const struct trap_frame *frame);

#endif
