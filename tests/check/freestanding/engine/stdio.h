/* SPDX-License-Identifier: ISC */
#ifndef FREESTANDING_STDIO_H
#define FREESTANDING_STDIO_H

/* Included by mbedTLS's headers; libflow calls nothing of stdio.h. */

#endif
