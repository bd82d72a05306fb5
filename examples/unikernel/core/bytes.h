/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_CORE_BYTES_H
#define UNIKERNEL_CORE_BYTES_H

#include <stddef.h>

/* Ring 0 has no C library. */

void bytes_copy(void *to, const void *from, size_t len);
void bytes_zero(void *to, size_t len);

#endif
