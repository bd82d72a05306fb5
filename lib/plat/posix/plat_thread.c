/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"

static _Thread_local uintptr_t thread_word;

uintptr_t *
flow__plat_thread_word(void)
{
    return &thread_word;
}
