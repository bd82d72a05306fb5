/* SPDX-License-Identifier: ISC */
#include "../../core/memory.h"
#include "../../core/trap.h"
#include "../x86/cpu.h"
#include "pc.h"

/*
 * Interrupts only end a sleep; who asked for them is found by looking at the
 * devices.  They come from the timer of the local APIC and, through the I/O
 * APIC, from devices.  Those are taken on the edge: a handler that leaves the
 * device as it is would be called again and again by a level.
 */

#define INTERRUPT_LOCAL ((uintptr_t)0xfee00000)
#define INTERRUPT_IO    ((uintptr_t)0xfec00000)

/* Registers of the local APIC. */
#define INTERRUPT_SPURIOUS 0x0f0
#define INTERRUPT_TIMER    0x320
#define INTERRUPT_INITIAL  0x380
#define INTERRUPT_CURRENT  0x390
#define INTERRUPT_DIVIDE   0x3e0

#define INTERRUPT_ENABLE     0x100
#define INTERRUPT_DIVIDE_BY1 0x0b
#define INTERRUPT_MASKED     0x10000

/* The two chips of the PC before it had an APIC. */
#define INTERRUPT_PIC1_MASK 0x21
#define INTERRUPT_PIC2_MASK 0xa1

/* The longest sleep, which bounds what the timer has to count. */
#define INTERRUPT_SLEEP_MAX UINT64_C(2000000000)

static uint64_t interrupt_scale; /* ticks of the timer in a ns, times 2^32 */

static volatile uint32_t *
interrupt_local(unsigned reg)
{
    return (volatile uint32_t *)(INTERRUPT_LOCAL + reg);
}

static void
interrupt_write_io(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)INTERRUPT_IO = reg;
    *(volatile uint32_t *)(INTERRUPT_IO + 0x10) = value;
}

void
interrupt_start(void)
{
    cpu_out8(INTERRUPT_PIC1_MASK, 0xff);
    cpu_out8(INTERRUPT_PIC2_MASK, 0xff);
    memory_map_device(INTERRUPT_LOCAL);
    memory_map_device(INTERRUPT_IO);
    *interrupt_local(INTERRUPT_SPURIOUS) =
        INTERRUPT_ENABLE | TRAP_VECTOR_SPURIOUS;
    *interrupt_local(INTERRUPT_DIVIDE) = INTERRUPT_DIVIDE_BY1;
    *interrupt_local(INTERRUPT_TIMER) = INTERRUPT_MASKED | TRAP_VECTOR_TIMER;
    *interrupt_local(INTERRUPT_INITIAL) = UINT32_MAX;
}

uint32_t
interrupt_timer_count(void)
{
    return *interrupt_local(INTERRUPT_CURRENT);
}

void
interrupt_set_rate(uint64_t hz)
{
    interrupt_scale = (hz << 32) / 1000000000;
    *interrupt_local(INTERRUPT_INITIAL) = 0;
    *interrupt_local(INTERRUPT_TIMER) = TRAP_VECTOR_TIMER;
}

void
interrupt_route(unsigned line)
{
    interrupt_write_io(0x11 + 2 * line, 0);
    interrupt_write_io(0x10 + 2 * line, TRAP_VECTOR_DEVICE);
}

void
interrupt_wait(uint64_t deadline)
{
    uint64_t now = clock_now(), nsec = INTERRUPT_SLEEP_MAX, ticks;

    if (deadline != 0) {
        if (deadline <= now)
            return;
        if (deadline - now < nsec)
            nsec = deadline - now;
    }
    ticks = cpu_scale(nsec, interrupt_scale) + 1;
    *interrupt_local(INTERRUPT_INITIAL) =
        ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
    trap_sleep();
    *interrupt_local(INTERRUPT_INITIAL) = 0;
}
