/* SPDX-License-Identifier: ISC */
#include "backends/vchan/path.h"

#include <string.h>

static bool
path_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool
flow__vchan_append(char *string, size_t size, const char *text)
{
    size_t at = strlen(string);
    size_t len = strlen(text);

    if (len >= size - at)
        return false;
    memcpy(string + at, text, len + 1);
    return true;
}

bool
flow__vchan_append_number(char *string, size_t size, uint32_t number)
{
    char digits[11];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return flow__vchan_append(string, size, digits + at);
}

static bool
path_append(char base[VCHAN_BASE_MAX], const char *text)
{
    return flow__vchan_append(base, VCHAN_BASE_MAX, text);
}

static bool
path_append_number(char base[VCHAN_BASE_MAX], uint16_t number)
{
    return flow__vchan_append_number(base, VCHAN_BASE_MAX, number);
}

/* Components of name characters only, none empty, no slash at the end.  "@" of
 * xenstore's special nodes is not a name character. */
static bool
path_absolute_ok(const char *path)
{
    const char *p = path;

    while (*p == '/') {
        p++;
        if (!path_name_char(*p))
            return false;
        while (path_name_char(*p))
            p++;
    }
    return *p == '\0';
}

bool
flow__vchan_path(uint16_t server, uint16_t client, const char *path,
                 char ret_base[VCHAN_BASE_MAX])
{
    size_t root;

    ret_base[0] = '\0';
    if (!path_append(ret_base, "/local/domain/") ||
        !path_append_number(ret_base, server) || !path_append(ret_base, "/"))
        return false;
    root = strlen(ret_base);
    if (path[0] == '/') {
        if (!path_absolute_ok(path) || strncmp(path, ret_base, root) != 0)
            return false;
        return path_append(ret_base, path + root);
    }
    for (const char *p = path; *p != '\0'; p++)
        if (!path_name_char(*p))
            return false;
    return path[0] != '\0' && path_append(ret_base, "data/vchan/") &&
           path_append_number(ret_base, client) && path_append(ret_base, "/") &&
           path_append(ret_base, path);
}

bool
flow__vchan_number(const char *text, size_t len, uint32_t min, uint32_t max,
                   uint32_t *ret_number)
{
    uint64_t n = 0;

    if (len == 0 || len > 10)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    if (n < min || n > max)
        return false;
    *ret_number = (uint32_t)n;
    return true;
}
