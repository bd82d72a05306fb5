/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../examples/fetch/http.h"

/* The URLs and responses that flow-fetch accepts, and those it refuses. */

static void
url_is_taken_apart(void **state)
{
    static const struct {
        const char *text;
        bool tls;
        const char *host;
        uint16_t port;
        const char *authority;
        const char *target;
    } row[] = {
        { "https://example.org", true, "example.org", 443, "example.org", "/" },
        { "HTTP://Example.org/", false, "Example.org", 80, "Example.org", "/" },
        { "https://h:8443/a/b?c=d#e", true, "h", 8443, "h:8443", "/a/b?c=d" },
        { "https://h:443/", true, "h", 443, "h", "/" },
        { "http://h?q", false, "h", 80, "h", "/?q" },
        { "http://[::1]:8080/x", false, "::1", 8080, "[::1]:8080", "/x" },
        { "https://[2001:db8::1]", true, "2001:db8::1", 443, "[2001:db8::1]",
          "/" },
        { "http://h#f", false, "h", 80, "h", "/" },
    };
    struct http_url url;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        assert_null(http_parse_url(row[i].text, &url));
        assert_int_equal(url.tls, row[i].tls);
        assert_string_equal(url.host, row[i].host);
        assert_int_equal(url.port, row[i].port);
        assert_string_equal(url.authority, row[i].authority);
        assert_string_equal(url.target, row[i].target);
    }
}

static void
invalid_url_is_refused(void **state)
{
    static const char *const text[] = {
        "",
        "example.org",
        "ftp://example.org/",
        "https://",
        "https:///path",
        "https://:443/",
        "https://user@example.org/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:99999999999999999999/",
        "https://example.org:/",
        "https://example.org:1x/",
        "https://b\303\274cher.example/",
        "https://[::1/",
        "https://[::1]x/",
        "https://h/a b",
        "https://h/a\r\nHost: x",
    };
    struct http_url url;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        assert_non_null(http_parse_url(text[i], &url));
}

/* The head has the length of the text, and no prefix of it is complete. */
static void
take_head(const char *text, struct http_response *ret)
{
    size_t used, len, whole = strlen(text);
    const char *why;

    for (len = 0; len < whole; len++)
        assert_int_equal(http_parse_head(text, len, ret, &used, &why),
                         HTTP_MORE);
    assert_int_equal(http_parse_head(text, whole, ret, &used, &why), HTTP_OK);
    assert_int_equal(used, whole);
}

static void
head_says_how_the_body_ends(void **state)
{
    struct http_response r;

    (void)state;
    take_head("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.reason, "OK");
    assert_int_equal(r.framing, HTTP_LENGTH);
    assert_int_equal(r.length, 12);

    take_head("HTTP/1.1 200\r\ntransfer-encoding:\tChunked \r\n\r\n", &r);
    assert_int_equal(r.framing, HTTP_CHUNKED);
    assert_string_equal(r.reason, "");

    take_head("HTTP/1.0 200 ok\nContent-type: text/plain\n\n", &r);
    assert_int_equal(r.framing, HTTP_UNTIL_CLOSE);

    take_head("HTTP/1.1 204 No Content\r\n\r\n", &r);
    assert_int_equal(r.framing, HTTP_NO_BODY);
    take_head("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", &r);
    assert_int_equal(r.framing, HTTP_NO_BODY);
    take_head("HTTP/1.1 100 Continue\r\n\r\n", &r);
    assert_int_equal(r.framing, HTTP_NO_BODY);

    take_head("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 7\r\n"
              "\r\n",
              &r);
    assert_int_equal(r.length, 7);
}

static void
location_cannot_disturb_a_terminal(void **state)
{
    struct http_response r;

    (void)state;
    take_head(
        "HTTP/1.1 301 Moved\x1b[2J\r\nLocation: https://h/\x1b]0;x\x07\r\n"
        "Content-Length: 0\r\n\r\n",
        &r);
    assert_string_equal(r.reason, "Moved?[2J");
    assert_string_equal(r.location, "https://h/?]0;x?");
}

static void
invalid_response_head_is_refused(void **state)
{
    static const char *const text[] = {
        "SSH-2.0-OpenSSH",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        "Content-Length: 3\r\n\r\n",
    };
    struct http_response r;
    const char *why;
    size_t i, used;

    (void)state;
    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        why = NULL;
        assert_int_equal(
            http_parse_head(text[i], strlen(text[i]), &r, &used, &why),
            HTTP_BAD);
        assert_non_null(why);
    }
}

static void
head_without_end_is_refused(void **state)
{
    static const char line[] = "HTTP/1.1 200 OK\r\na: ";
    char *text = malloc(HTTP_HEAD_MAX);
    struct http_response r;
    const char *why;
    size_t used;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', HTTP_HEAD_MAX);
    memcpy(text, line, sizeof(line) - 1);
    assert_int_equal(http_parse_head(text, HTTP_HEAD_MAX - 1, &r, &used, &why),
                     HTTP_MORE);
    assert_int_equal(http_parse_head(text, HTTP_HEAD_MAX, &r, &used, &why),
                     HTTP_BAD);
    free(text);
}

/* Feed `text` in pieces of at most `step` bytes; the status of the last call,
 * the body in `content` and the bytes after the body. */
static enum http_result
feed(struct http_body *b, const char *text, size_t len, size_t step,
     char *content, size_t cap, size_t *ret_rest)
{
    size_t at = 0, out = 0;

    while (at < len && !b->complete) {
        size_t piece = len - at < step ? len - at : step;
        size_t used, data_len;
        const char *data;

        if (http_body_feed(b, text + at, piece, &used, &data, &data_len) !=
            HTTP_OK)
            return HTTP_BAD;
        assert_true(used > 0 && used <= piece && data_len <= used);
        assert_true(out + data_len < cap);
        memcpy(content + out, data, data_len);
        out += data_len;
        at += used;
    }
    content[out] = '\0';
    *ret_rest = len - at;
    return HTTP_OK;
}

static void
body_is_the_same_in_any_pieces(void **state)
{
    static const struct {
        enum http_framing framing;
        uint64_t length;
        const char *text;
        const char *content;
        bool complete;
        size_t rest;
    } row[] = {
        { HTTP_NO_BODY, 0, "", "", true, 0 },
        { HTTP_LENGTH, 0, "", "", true, 0 },
        { HTTP_LENGTH, 5, "hello", "hello", true, 0 },
        { HTTP_LENGTH, 5, "hello, world", "hello", true, 7 },
        { HTTP_LENGTH, 9, "hello", "hello", false, 0 },
        { HTTP_UNTIL_CLOSE, 0, "hello", "hello", false, 0 },
        { HTTP_CHUNKED, 0, "0\r\n\r\n", "", true, 0 },
        { HTTP_CHUNKED, 0, "5\r\nhello\r\n0\r\n\r\nrest", "hello", true, 4 },
        { HTTP_CHUNKED, 0,
          "5;a=\"b\"\r\nhello\r\n00A \r\n0123456789\r\n000\r\n"
          "\r\n",
          "hello0123456789", true, 0 },
        { HTTP_CHUNKED, 0, "1\nx\n0\na: b\nc: d\n\n", "x", true, 0 },
        { HTTP_CHUNKED, 0, "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", true, 0 },
        { HTTP_CHUNKED, 0, "5\r\nhel", "hel", false, 0 },
        { HTTP_CHUNKED, 0, "5\r\nhello\r\n0\r\n", "hello", false, 0 },
    };
    size_t i, step, rest;
    char content[64];

    (void)state;
    for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        for (step = 1; step <= strlen(row[i].text) + 1; step++) {
            struct http_response r = { .framing = row[i].framing,
                                       .length = row[i].length };
            struct http_body b;

            http_body_init(&b, &r);
            assert_int_equal(feed(&b, row[i].text, strlen(row[i].text), step,
                                  content, sizeof(content), &rest),
                             HTTP_OK);
            assert_string_equal(content, row[i].content);
            assert_int_equal(b.complete, row[i].complete);
            assert_int_equal(rest, row[i].rest);
            assert_int_equal(http_body_may_end(&b),
                             row[i].complete ||
                                 row[i].framing == HTTP_UNTIL_CLOSE);
        }
    }
}

static void
malformed_chunks_are_refused(void **state)
{
    static const char *const text[] = {
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "5hello",
        ";a\r\n",
        " 5\r\n",
        "5\r\nhelloX\r\n",
        "5\r\nhello5\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
    };
    struct http_response r = { .framing = HTTP_CHUNKED };
    struct http_body b;
    char content[64];
    size_t i, step, rest;

    (void)state;
    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        for (step = 1; step <= strlen(text[i]); step++) {
            http_body_init(&b, &r);
            assert_int_equal(feed(&b, text[i], strlen(text[i]), step, content,
                                  sizeof(content), &rest),
                             HTTP_BAD);
            assert_non_null(b.why);
        }
    }
}

static void
endless_chunk_lines_are_refused(void **state)
{
    static char line[20000];
    static const char *const start[] = { "1;", "0\r\n" };
    struct http_response r = { .framing = HTTP_CHUNKED };
    struct http_body b;
    char content[4];
    size_t i, rest;

    (void)state;
    for (i = 0; i < 2; i++) {
        memset(line, 'x', sizeof(line));
        memcpy(line, start[i], strlen(start[i]));
        http_body_init(&b, &r);
        assert_int_equal(
            feed(&b, line, sizeof(line), 7, content, sizeof(content), &rest),
            HTTP_BAD);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_is_taken_apart),
        cmocka_unit_test(invalid_url_is_refused),
        cmocka_unit_test(head_says_how_the_body_ends),
        cmocka_unit_test(location_cannot_disturb_a_terminal),
        cmocka_unit_test(invalid_response_head_is_refused),
        cmocka_unit_test(head_without_end_is_refused),
        cmocka_unit_test(body_is_the_same_in_any_pieces),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(endless_chunk_lines_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
