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
 * or an absolute path.  An absolute path must be below /local/domain/SERVER,
 * which belongs to the server; any domain could have written elsewhere.  False
 * if the path is malformed, outside of that node or too long.
 */
bool flow__vchan_path(uint16_t server, uint16_t client, const char *path,
                      char ret_base[VCHAN_BASE_MAX]);

/* Append text, or a number in decimal, to a string in size bytes; false,
 * without a change, if it does not fit. */
bool flow__vchan_append(char *string, size_t size, const char *text);
bool flow__vchan_append_number(char *string, size_t size, uint32_t number);

/* Parses a number of decimal digits only; false if it is not one or is out of
 * range. */
bool flow__vchan_number(const char *text, size_t len, uint32_t min,
                        uint32_t max, uint32_t *ret_number);

#endif
