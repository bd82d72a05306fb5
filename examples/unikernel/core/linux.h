/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_CORE_LINUX_H
#define UNIKERNEL_CORE_LINUX_H

#include <stdint.h>

#include "trap.h"

/* A system call; the result goes to rax.  Called by trap_entry.S. */
int64_t linux_call(const struct trap_call *call);
/* How often the app has slept. */
uint64_t linux_sleeps(void);

#endif
