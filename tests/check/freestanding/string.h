/* SPDX-License-Identifier: ISC */
#ifndef FREESTANDING_STRING_H
#define FREESTANDING_STRING_H

/* All that libflow may ask of a C library. */

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int value, size_t len);
int memcmp(const void *one, const void *two, size_t len);
void *memchr(const void *in, int value, size_t len);
size_t strlen(const char *text);
int strcmp(const char *one, const char *two);
int strncmp(const char *one, const char *two, size_t len);
char *strchr(const char *text, int value);

#endif
