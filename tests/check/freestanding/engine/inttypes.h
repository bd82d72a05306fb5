/* SPDX-License-Identifier: ISC */
#ifndef FREESTANDING_INTTYPES_H
#define FREESTANDING_INTTYPES_H

/* Included by mbedTLS's headers, for formats that libflow does not print. */

#include <stdint.h>

#endif
