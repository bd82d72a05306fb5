/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_PATH_H
#define FLOW_VCHAN_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a base path, with its NUL; the store allows far more. */
#define VCHAN_BASE_MAX 192u

/*
 * The store path of a vchan: `server` and `client` are domains, `path` a name
 * or an absolute path.  An absolute path must lie below /local/domain/SERVER,
 * whose owner only the server can be: any other place could have been written
 * by someone else.  False when it is not well formed, foreign or too long.
 */
bool flow__vchan_path(uint16_t server, uint16_t client, const char *path,
                      char ret_base[VCHAN_BASE_MAX]);

/* Append text, or a number in decimal, to a string in size bytes; false, and
 * nothing appended, when it does not fit. */
bool flow__vchan_append(char *string, size_t size, const char *text);
bool flow__vchan_append_number(char *string, size_t size, uint16_t number);

/* A number in decimal digits and nothing else, within limits. */
bool flow__vchan_number(const char *text, size_t len, uint32_t min,
                        uint32_t max, uint32_t *ret_number);

#endif
