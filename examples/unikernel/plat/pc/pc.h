/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_PLAT_PC_PC_H
#define UNIKERNEL_PLAT_PC_PC_H

#include "../plat.h"

/*
 * A PC as QEMU's microvm builds it:
 *
 *   uart.c        the console
 *   clock.c       the time
 *   interrupt.c   the interrupt controllers, and the timer that ends a sleep
 *   virtqueue.c   a queue of buffers shared with a virtio device
 *   virtio_net.c  a network card on virtio-mmio
 *   pc.c          the table of "plat.h", what the command line says, power-off
 */

/* Interrupts for input; uart_put() works before. */
void uart_start(void);
void uart_put(const char *text, size_t len);
bool uart_get(char *ret_byte);

/* Begins to measure the counters, which takes 4 ms. */
void clock_begin(void);
/* Waits for the end of that; a measurement that a busy host spoiled is made
 * again. */
void clock_start(void);
uint64_t clock_now(void);
int64_t clock_wall(void);

/* Before clock_begin(), which measures the timer. */
void interrupt_start(void);
/* The counter of the timer, which runs down. */
uint32_t interrupt_timer_count(void);
/* Its ticks in a second. */
void interrupt_set_rate(uint64_t hz);
/* Takes interrupts of a device, on the rising edge. */
void interrupt_route(unsigned line);
void interrupt_wait(uint64_t deadline);

/* True: the device at this address is a network card, which is in use from now
 * on. */
bool virtio_net_start(uintptr_t base, unsigned line);
extern const struct plat_net virtio_net;

#endif
