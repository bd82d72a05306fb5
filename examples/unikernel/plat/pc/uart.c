/* SPDX-License-Identifier: ISC */
#include "../x86/cpu.h"
#include "pc.h"

/* A 16550 at the first serial port, as the firmware has set it up. */

#define UART_PORT       0x3f8
#define UART_INTERRUPTS (UART_PORT + 1)
#define UART_CONTROL    (UART_PORT + 4)
#define UART_STATUS     (UART_PORT + 5)
#define UART_LINE       4

#define UART_ON_INPUT 0x01 /* of the interrupts */
#define UART_READY    0x0b /* of the control: terminal ready, interrupts pass */
#define UART_INPUT    0x01 /* of the status: there is a byte */
#define UART_EMPTY    0x20 /* of the status: it takes a byte */

void
uart_start(void)
{
    cpu_out8(UART_CONTROL, UART_READY);
    cpu_out8(UART_INTERRUPTS, UART_ON_INPUT);
    interrupt_route(UART_LINE);
}

static void
uart_put_byte(char c)
{
    while ((cpu_in8(UART_STATUS) & UART_EMPTY) == 0)
        continue;
    cpu_out8(UART_PORT, (uint8_t)c);
}

void
uart_put(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (text[i] == '\n')
            uart_put_byte('\r');
        uart_put_byte(text[i]);
    }
}

bool
uart_get(char *ret_byte)
{
    if ((cpu_in8(UART_STATUS) & UART_INPUT) == 0)
        return false;
    *ret_byte = (char)cpu_in8(UART_PORT);
    return true;
}
