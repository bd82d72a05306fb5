/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_CORE_REPORT_H
#define UNIKERNEL_CORE_REPORT_H

/*
 * Lines of the core on the console.  A format has %s, a string; %x, a uint64_t
 * with 0x before it; %u, a uint64_t in decimal; and nothing else.
 */

void report_line(const char *format, ...);
/* Prints "panic: " and the line, and powers off with status 3. */
_Noreturn void report_panic(const char *format, ...);

#endif
