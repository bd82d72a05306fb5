/* SPDX-License-Identifier: ISC */
#include "report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../plat/plat.h"

#define REPORT_PANIC 3

static void
report_text(const char *text)
{
    size_t len = 0;

    while (text[len] != '\0')
        len++;
    plat_get()->put(text, len);
}

static void
report_number(uint64_t number, unsigned base)
{
    char digits[21];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    report_text(&digits[at]);
}

static void
report_format(const char *format, va_list args)
{
    const char *rest;

    for (; *format != '\0'; format = rest) {
        for (rest = format; *rest != '\0' && *rest != '%'; rest++)
            continue;
        plat_get()->put(format, (size_t)(rest - format));
        if (*rest == '\0')
            break;
        if (rest[1] == 's')
            report_text(va_arg(args, const char *));
        else if (rest[1] == 'u')
            report_number(va_arg(args, uint64_t), 10);
        else {
            report_text("0x");
            report_number(va_arg(args, uint64_t), 16);
        }
        rest += 2;
    }
}

void
report_line(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_format(format, args);
    va_end(args);
    report_text("\n");
}

_Noreturn void
report_panic(const char *format, ...)
{
    static bool is_panicking;
    va_list args;

    /* A fault while it prints. */
    if (is_panicking)
        plat_get()->exit(REPORT_PANIC);
    is_panicking = true;
    report_text("panic: ");
    va_start(args, format);
    report_format(format, args);
    va_end(args);
    report_text("\n");
    plat_get()->exit(REPORT_PANIC);
}
