/* SPDX-License-Identifier: ISC */
#include "bytes.h"

void
bytes_copy(void *to, const void *from, size_t len)
{
    __asm__ volatile("rep movsb"
                     : "+D"(to), "+S"(from), "+c"(len)
                     :
                     : "memory");
}

void
bytes_zero(void *to, size_t len)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(0) : "memory");
}
