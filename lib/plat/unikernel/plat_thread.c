/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"

uintptr_t *
flow__plat_thread_word(void)
{
    static uintptr_t word;

    return &word;
}
