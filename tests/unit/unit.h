/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

/* The headers that cmocka.h requires before it, and cmocka. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
