/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_DIGEST_H
#define EXAMPLES_COMMON_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * FNV-1a: tells whether a file has changed since it was loaded.  It is not
 * cryptographic.
 */

#define DIGEST_BEGIN UINT64_C(0xcbf29ce484222325)

/* The digest of the bytes of a digest and those after them. */
uint64_t digest_add(uint64_t digest, const uint8_t *bytes, size_t len);

/* Of a regular file; 0 if it cannot be read. */
uint64_t digest_file(const char *path);

#endif
