/* SPDX-License-Identifier: ISC */
#include "http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Longest line inside chunked framing: a size, extensions, a trailer. */
#define CHUNK_LINE_MAX 8192u

static bool
http_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9110 5.6.2. */
static bool
http_is_token(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if (!http_is_digit(c) && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z') &&
            (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return len > 0;
}

/* Decimal digits and nothing else, below 2^63. */
static bool
http_parse_decimal(const char *text, size_t len, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i;

    if (len == 0 || len > 18)
        return false;
    for (i = 0; i < len; i++) {
        if (!http_is_digit(text[i]))
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *ret = value;
    return true;
}

static bool
http_is_name_char(char c)
{
    return http_is_digit(c) || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
}

/* host or [address], then perhaps :port. */
static const char *
http_parse_authority(const char *text, size_t len, struct http_url *ret)
{
    const char *end = text + len;
    const char *host = text, *after;
    uint64_t port;
    size_t i, host_len;

    if (memchr(text, '@', len) != NULL)
        return "a user name in a URL is not supported";
    if (len > 0 && text[0] == '[') {
        after = memchr(text, ']', len);
        if (after == NULL)
            return "the ']' of the IPv6 address is missing";
        host++;
        host_len = (size_t)(after - host);
        after++;
    } else {
        after = memchr(text, ':', len);
        if (after == NULL)
            after = end;
        host_len = (size_t)(after - host);
        for (i = 0; i < host_len; i++)
            if (!http_is_name_char(host[i]))
                return "its host has a character that is not allowed in a host "
                       "name; write internationalised names in their xn-- form";
    }
    if (host_len == 0)
        return "it has no host";
    if (host_len >= sizeof(ret->host))
        return "its host is too long";
    memcpy(ret->host, host, host_len);
    ret->host[host_len] = '\0';

    ret->port = ret->tls ? 443 : 80;
    if (after != end) {
        if (*after != ':' ||
            !http_parse_decimal(after + 1, (size_t)(end - after) - 1, &port) ||
            port == 0 || port > 65535)
            return "its port is not a number from 1 to 65535";
        /* The default port is left out of the Host field (RFC 9110 7.2). */
        if (port == ret->port)
            end = after;
        ret->port = (uint16_t)port;
    }
    snprintf(ret->authority, sizeof(ret->authority), "%.*s", (int)(end - text),
             text);
    return NULL;
}

/* See "http.h". */
const char *
http_parse_url(const char *text, struct http_url *ret)
{
    const char *why, *rest;
    size_t i, len;

    memset(ret, 0, sizeof(*ret));
    if (strncasecmp(text, "https://", 8) == 0)
        ret->tls = true;
    else if (strncasecmp(text, "http://", 7) != 0)
        return "it does not begin with https:// or http://";
    text += ret->tls ? 8 : 7;

    rest = text + strcspn(text, "/?#");
    why = http_parse_authority(text, (size_t)(rest - text), ret);
    if (why != NULL)
        return why;

    /* The fragment is not sent to the server (RFC 9110 7.1). */
    len = strcspn(rest, "#");
    if (len + 2 > sizeof(ret->target))
        return "its path is too long";
    for (i = 0; i < len; i++)
        if (rest[i] < 0x21 || rest[i] > 0x7e)
            return "its path has a character that must be written as %XX";
    snprintf(ret->target, sizeof(ret->target), "%s%.*s",
             rest[0] == '/' ? "" : "/", (int)len, rest);
    return NULL;
}

/* RFC 9112 4: HTTP/1.x SP 3DIGIT SP [reason]. */
static const char *
http_parse_status_line(const char *line, size_t len, struct http_response *ret)
{
    size_t i, n;

    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 ||
        !http_is_digit(line[7]) || line[8] != ' ' || !http_is_digit(line[9]) ||
        !http_is_digit(line[10]) || !http_is_digit(line[11]) ||
        (len > 12 && line[12] != ' '))
        return "the server does not speak HTTP/1";
    ret->status =
        (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (ret->status < 100)
        return "its status code is below 100";
    for (i = 13, n = 0; i < len && n + 1 < sizeof(ret->reason); i++, n++)
        ret->reason[n] = line[i] >= 0x20 && line[i] <= 0x7e ? line[i] : '?';
    ret->reason[n] = '\0';
    return NULL;
}

static bool
http_is_field(const char *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

/* The fields seen so far. */
struct fields {
    bool has_length;
    bool has_coding;
};

/* RFC 9112 6.3: two lengths, or an unknown transfer coding, allow response
 * splitting.  Reject them. */
static const char *
http_parse_framing(const char *name, size_t name_len, const char *value,
                   size_t value_len, struct fields *fields,
                   struct http_response *ret)
{
    uint64_t length;

    if (http_is_field(name, name_len, "content-length")) {
        if (!http_parse_decimal(value, value_len, &length))
            return "its Content-Length is not a number";
        if (fields->has_length && length != ret->length)
            return "it has two different Content-Length fields";
        fields->has_length = true;
        ret->length = length;
    } else if (http_is_field(name, name_len, "transfer-encoding")) {
        if (fields->has_coding || !http_is_field(value, value_len, "chunked"))
            return "its Transfer-Encoding is not chunked";
        fields->has_coding = true;
    }
    return NULL;
}

/* RFC 9112 5: name ":" OWS value OWS. */
static const char *
http_parse_field(const char *line, size_t len, struct fields *fields,
                 struct http_response *ret)
{
    const char *colon = memchr(line, ':', len);
    const char *value, *end = line + len;
    size_t i, value_len;

    if (colon == NULL || !http_is_token(line, (size_t)(colon - line)))
        return "it has a malformed field";
    for (value = colon + 1; value < end && (*value == ' ' || *value == '\t');)
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    value_len = (size_t)(end - value);
    if (http_is_field(line, (size_t)(colon - line), "location") &&
        value_len < sizeof(ret->location)) {
        for (i = 0; i < value_len; i++)
            ret->location[i] =
                value[i] > 0x20 && value[i] <= 0x7e ? value[i] : '?';
        ret->location[value_len] = '\0';
    }
    return http_parse_framing(line, (size_t)(colon - line), value, value_len,
                              fields, ret);
}

/* RFC 9112 6.3, for the answer to a GET. */
static const char *
http_decide_framing(const struct fields *fields, struct http_response *ret)
{
    if (fields->has_coding && fields->has_length)
        return "it has both Content-Length and Transfer-Encoding";
    if (ret->status < 200 || ret->status == 204 || ret->status == 304)
        ret->framing = HTTP_NO_BODY;
    else if (fields->has_coding)
        ret->framing = HTTP_CHUNKED;
    else if (fields->has_length)
        ret->framing = HTTP_LENGTH;
    else
        ret->framing = HTTP_UNTIL_CLOSE;
    return NULL;
}

/* See "http.h". */
enum http_result
http_parse_head(const char *text, size_t len, struct http_response *ret,
                size_t *ret_used, const char **ret_why)
{
    struct fields fields = { false, false };
    const char *why = NULL;
    bool first = true;
    size_t at = 0;

    memset(ret, 0, sizeof(*ret));
    while (why == NULL) {
        const char *line = text + at;
        const char *newline = memchr(line, '\n', len - at);
        size_t line_len;

        if (newline == NULL && len >= HTTP_HEAD_MAX) {
            why = "its head is too long";
            break;
        }
        /* A server that does not speak HTTP may never send a newline, so the
         * beginning of the status line is checked as soon as it is there. */
        if (newline == NULL && first && len >= 12) {
            why = http_parse_status_line(line, 12, ret);
            if (why != NULL)
                break;
        }
        if (newline == NULL)
            return HTTP_MORE;
        line_len = (size_t)(newline - line);
        at += line_len + 1;
        if (line_len > 0 && line[line_len - 1] == '\r')
            line_len--;
        if (line_len == 0 && !first) {
            why = http_decide_framing(&fields, ret);
            break;
        }
        why = first ? http_parse_status_line(line, line_len, ret)
                    : http_parse_field(line, line_len, &fields, ret);
        first = false;
    }
    *ret_used = at;
    *ret_why = why;
    return why == NULL ? HTTP_OK : HTTP_BAD;
}

/* The parts of chunked framing (RFC 9112 7.1). */
enum chunk_state {
    CHUNK_SIZE,      /* hexadecimal digits */
    CHUNK_EXTENSION, /* up to the end of that line */
    CHUNK_DATA,
    CHUNK_DATA_END, /* the line break after the data */
    CHUNK_TRAILER,  /* at the start of a line after the last chunk */
    CHUNK_TRAILER_LINE
};

/* See "http.h". */
void
http_body_init(struct http_body *b, const struct http_response *r)
{
    memset(b, 0, sizeof(*b));
    b->framing = r->framing;
    b->state = CHUNK_SIZE;
    if (r->framing == HTTP_LENGTH)
        b->left = r->length;
    b->complete = r->framing == HTTP_NO_BODY ||
                  (r->framing == HTTP_LENGTH && r->length == 0);
}

static int
http_hex_value(char c)
{
    if (http_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static const char *
http_end_of_size_line(struct http_body *b)
{
    if (b->state == CHUNK_SIZE && b->count == 0)
        return "a chunk has no size";
    b->state = b->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
    b->count = 0;
    return NULL;
}

static const char *
http_size_char(struct http_body *b, char c)
{
    int digit = http_hex_value(c);

    if (digit < 0) {
        if (b->count == 0 || (c != ';' && c != ' ' && c != '\t'))
            return "a chunk has a malformed size";
        b->state = CHUNK_EXTENSION;
        return NULL;
    }
    if (b->left >> 58 != 0)
        return "a chunk is impossibly large";
    b->left = b->left * 16 + (unsigned)digit;
    b->count++;
    return NULL;
}

/* One byte of chunked framing that is not content. */
static const char *
http_chunk_char(struct http_body *b, char c)
{
    /* A bare LF ends a line as CR LF does (RFC 9112 2.2). */
    if (c == '\r' && b->state != CHUNK_DATA_END)
        return NULL;
    switch (b->state) {
    case CHUNK_SIZE:
        return c == '\n' ? http_end_of_size_line(b) : http_size_char(b, c);
    case CHUNK_EXTENSION:
        if (c == '\n')
            return http_end_of_size_line(b);
        break;
    case CHUNK_DATA_END:
        if (c == '\n')
            b->state = CHUNK_SIZE;
        else if (c != '\r')
            return "a chunk is longer than its size";
        return NULL;
    case CHUNK_TRAILER:
        if (c == '\n')
            b->complete = true;
        else
            b->state = CHUNK_TRAILER_LINE;
        break;
    default:
        if (c == '\n')
            b->state = CHUNK_TRAILER;
        break;
    }
    return ++b->count > CHUNK_LINE_MAX ? "its chunk lines are too long" : NULL;
}

/* How many of the next bytes are content. */
static size_t
http_take_content(struct http_body *b, size_t len)
{
    if (b->framing == HTTP_UNTIL_CLOSE)
        return len;
    if (b->left < len)
        len = (size_t)b->left;
    b->left -= len;
    return len;
}

/* See "http.h". */
enum http_result
http_body_feed(struct http_body *b, const char *text, size_t len,
               size_t *ret_used, const char **ret_data, size_t *ret_len)
{
    size_t at = 0;

    *ret_len = 0;
    if (b->framing == HTTP_CHUNKED) {
        while (at < len && b->state != CHUNK_DATA && !b->complete) {
            b->why = http_chunk_char(b, text[at++]);
            if (b->why != NULL)
                return HTTP_BAD;
        }
    }
    *ret_data = text + at;
    if (!b->complete && at < len) {
        *ret_len = http_take_content(b, len - at);
        at += *ret_len;
        if (b->framing == HTTP_CHUNKED && b->left == 0)
            b->state = CHUNK_DATA_END;
        else if (b->framing == HTTP_LENGTH)
            b->complete = b->left == 0;
    }
    *ret_used = at;
    return HTTP_OK;
}

/* See "http.h". */
bool
http_body_may_end(const struct http_body *b)
{
    return b->complete || b->framing == HTTP_UNTIL_CLOSE;
}
