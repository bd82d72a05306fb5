/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_FETCH_HTTP_H
#define EXAMPLES_FETCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The parser of an HTTP/1.1 client that fetches one resource (RFC 9112).  It is
 * strict, does no I/O and allocates no memory.
 */

/* A parsed URL.  A part that the URL does not have is an empty string. */
struct http_url {
    bool tls; /* https, not http */
    char host[256];
    uint16_t port;
    char authority[272]; /* for the Host field: host, and port if unusual */
    char target[2048];   /* path and query, begins with '/' */
};

/* NULL when *ret is set, else what is wrong with the URL. */
const char *http_parse_url(const char *text, struct http_url *ret);

/* Longest head that is accepted. */
#define HTTP_HEAD_MAX 65536

enum http_framing {
    HTTP_NO_BODY,
    HTTP_LENGTH,     /* Content-Length bytes */
    HTTP_CHUNKED,    /* RFC 9112 7.1 */
    HTTP_UNTIL_CLOSE /* up to the end of the stream */
};

struct http_response {
    int status;
    char reason[64];
    enum http_framing framing;
    uint64_t length;     /* HTTP_LENGTH: bytes of the body */
    char location[1024]; /* visible ASCII only */
};

enum http_result {
    HTTP_OK,
    HTTP_MORE, /* bytes are missing */
    HTTP_BAD
};

/*
 * Parse the head of the response to a GET.  HTTP_OK: *ret is set and the first
 * *ret_used bytes are the head.  HTTP_BAD: *ret_why says what is wrong.
 */
enum http_result http_parse_head(const char *text, size_t len,
                                 struct http_response *ret, size_t *ret_used,
                                 const char **ret_why);

/* The state of a body that is being received. */
struct http_body {
    enum http_framing framing;
    uint64_t left;  /* of the body, or of this chunk */
    int state;      /* of the chunked framing */
    unsigned count; /* bytes of its current line so far */
    bool complete;  /* nothing more belongs to the body */
    const char *why;
};

void http_body_init(struct http_body *b, const struct http_response *r);

/*
 * Separate framing and content.  HTTP_OK: the first *ret_used bytes are
 * consumed and the *ret_len bytes at *ret_data, perhaps 0, are content; call
 * again until all are used or the body is complete.  HTTP_BAD: see b->why.
 */
enum http_result http_body_feed(struct http_body *b, const char *text,
                                size_t len, size_t *ret_used,
                                const char **ret_data, size_t *ret_len);

/* Whether the body is complete if the stream ends in order here. */
bool http_body_may_end(const struct http_body *b);

#endif
