/* SPDX-License-Identifier: ISC */
#include "pc.h"

#include "../../core/report.h"
#include "../x86/cpu.h"

/* The ports that end the machine: QEMU's isa-debug-exit, if it has one, whose
 * status is 2 * code + 1, and the reset line of the keyboard controller. */
#define PC_DEBUG_EXIT 0xf4
#define PC_KEYBOARD   0x64
#define PC_RESET      0xfe

/* A number in decimal, or in hexadecimal after 0x; moves *text past it. */
static uint64_t
pc_number(const char **text)
{
    unsigned base = 10, digit;
    uint64_t number = 0;

    if ((*text)[0] == '0' && (*text)[1] == 'x') {
        base = 16;
        *text += 2;
    }
    for (;; (*text)++) {
        if (**text >= '0' && **text <= '9')
            digit = (unsigned)(**text - '0');
        else if (base == 16 && **text >= 'a' && **text <= 'f')
            digit = (unsigned)(**text - 'a' + 10);
        else
            return number;
        number = number * base + digit;
    }
}

/* Whether the text begins with a prefix; moves *text past it then. */
static bool
pc_skip(const char **text, const char *prefix)
{
    const char *at = *text;

    for (; *prefix != '\0'; prefix++, at++)
        if (*at != *prefix)
            return false;
    *text = at;
    return true;
}

/* "virtio_mmio.device=SIZE@ADDRESS:LINE", which QEMU adds for each device if
 * the machine has no ACPI tables. */
static void
pc_find_devices(const char *command)
{
    uint64_t base, line;

    while (*command != '\0') {
        if (!pc_skip(&command, "virtio_mmio.device=")) {
            command++;
            continue;
        }
        pc_number(&command);
        if (!pc_skip(&command, "@"))
            continue;
        base = pc_number(&command);
        if (!pc_skip(&command, ":"))
            continue;
        line = pc_number(&command);
        if (virtio_net_start(base, (unsigned)line))
            return;
    }
}

static void
pc_start(const char *command)
{
    interrupt_start();
    clock_begin();
    uart_start();
    pc_find_devices(command);
    clock_start();
}

static void __attribute__((noreturn)) pc_exit(int code)
{
    cpu_out8(PC_DEBUG_EXIT, (uint8_t)code);
    cpu_out8(PC_KEYBOARD, PC_RESET);
    cpu_stop();
}

const struct plat plat_pc = {
    .name = "pc",
    .start = pc_start,
    .put = uart_put,
    .get = uart_get,
    .now = clock_now,
    .wall = clock_wall,
    .wait = interrupt_wait,
    .exit = pc_exit,
    .net = &virtio_net,
};
