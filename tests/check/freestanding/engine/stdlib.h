/* SPDX-License-Identifier: ISC */
#ifndef FREESTANDING_STDLIB_H
#define FREESTANDING_STDLIB_H

/* Included by mbedTLS's headers; libflow calls nothing of stdlib.h. */

#include <stddef.h>

#endif
