/* SPDX-License-Identifier: ISC */
#include "site.h"

#include <string.h>
#include <strings.h>

/* RFC 9110 5.6.2. */
static bool
redirect_is_token(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL)))
            return false;
    }
    return len > 0;
}

/* A host and perhaps a port (RFC 9110 7.2). */
static bool
redirect_parse_authority(const char *text, size_t len, char *host, size_t cap)
{
    const char *colon = memchr(text, ':', len);
    size_t i, end = colon != NULL ? (size_t)(colon - text) : len;

    for (i = end + 1; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return host_normalise(text, end, host, cap);
}

/*
 * The path goes into the Location field: visible ASCII only, so that a request
 * cannot inject a line break into the response.
 */
static bool
redirect_set_path(struct request *ret, const char *text, size_t len)
{
    size_t i;

    if (len == 0 || text[0] != '/' || len >= sizeof(ret->path))
        return false;
    for (i = 0; i < len; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    memcpy(ret->path, text, len);
    ret->path[len] = '\0';
    return true;
}

/* RFC 9112 3: method SP target SP version. */
static bool
redirect_parse_request_line(const char *line, size_t len, struct request *ret)
{
    const char *end = line + len;
    const char *target = memchr(line, ' ', len);
    const char *version, *slash;

    if (target == NULL || !redirect_is_token(line, (size_t)(target - line)))
        return false;
    target++;
    version = memchr(target, ' ', (size_t)(end - target));
    if (version == NULL || end - version != 9 ||
        memcmp(version, " HTTP/1.", 8) != 0 || version[8] < '0' ||
        version[8] > '9')
        return false;
    if ((size_t)(version - target) > 7 &&
        strncasecmp(target, "http://", 7) == 0) {
        /* The host of the absolute form overrides Host (RFC 9112 3.2.2). */
        target += 7;
        slash = memchr(target, '/', (size_t)(version - target));
        if (slash == NULL)
            slash = version;
        if (!redirect_parse_authority(target, (size_t)(slash - target),
                                      ret->host, sizeof(ret->host)))
            return false;
        if (slash == version)
            return redirect_set_path(ret, "/", 1);
        target = slash;
    }
    return redirect_set_path(ret, target, (size_t)(version - target));
}

/* RFC 9112 5: name ":" value.  Looks for Host only. */
static bool
redirect_parse_field(const char *line, size_t len, char *host, size_t cap,
                     bool *seen)
{
    const char *colon = memchr(line, ':', len);
    const char *value;
    size_t value_len;

    if (colon == NULL || !redirect_is_token(line, (size_t)(colon - line)))
        return false;
    if (colon - line != 4 || strncasecmp(line, "host", 4) != 0)
        return true;
    if (*seen)
        return false;
    *seen = true;
    value = colon + 1;
    value_len = len - (size_t)(value - line);
    while (value_len > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        value_len--;
    }
    while (value_len > 0 &&
           (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
        value_len--;
    return redirect_parse_authority(value, value_len, host, cap);
}

/* See "site.h". */
int
request_parse(const char *text, size_t len, struct request *ret)
{
    char host[sizeof(ret->host)];
    bool first = true, seen = false;
    size_t at = 0;

    ret->host[0] = '\0';
    for (;;) {
        const char *line = text + at;
        const char *newline = memchr(line, '\n', len - at);
        size_t line_len;

        if (newline == NULL)
            return len >= REQUEST_MAX ? 431 : 0;
        line_len = (size_t)(newline - line);
        at += line_len + 1;
        if (line_len > 0 && line[line_len - 1] == '\r')
            line_len--;
        if (line_len == 0 && first)
            continue; /* empty lines before a request, RFC 9112 2.2 */
        if (line_len == 0)
            break;
        if (first ? !redirect_parse_request_line(line, line_len, ret)
                  : !redirect_parse_field(line, line_len, host, sizeof(host),
                                          &seen))
            return 400;
        first = false;
    }
    if (ret->host[0] != '\0')
        return 200;
    if (!seen)
        return 400;
    memcpy(ret->host, host, sizeof(host));
    return 200;
}
