/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../examples/site/site.h"

/* The requests that flow-site accepts on its plain port. */

static void
request_has_host_and_path(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        const char *path;
    } row[] = {
        { "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example", "/" },
        { "GET /x?y=z HTTP/1.1\r\nAccept: */*\r\nhOsT:A.Example:80\r\n\r\n",
          "a.example", "/x?y=z" },
        { "\r\n\r\nHEAD / HTTP/1.0\nHost: \ta.example. \n\n", "a.example",
          "/" },
        { "POST http://b.example:8080/p HTTP/1.1\r\nHost: a.example\r\n\r\n",
          "b.example", "/p" },
        { "GET HTTP://b.example HTTP/1.1\r\nHost: b.example\r\n\r\n",
          "b.example", "/" },
    };
    struct request request;
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        for (len = 0; len < strlen(row[i].text); len++)
            assert_int_equal(request_parse(row[i].text, len, &request), 0);
        assert_int_equal(request_parse(row[i].text, len, &request), 200);
        assert_string_equal(request.host, row[i].host);
        assert_string_equal(request.path, row[i].path);
    }
}

static void
invalid_request_is_refused(void **state)
{
    static const char *const text[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nnonsense\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\rSet-Cookie:x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02\x01\xfc\x03\x03\n",
    };
    struct request request;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        assert_int_equal(request_parse(text[i], strlen(text[i]), &request),
                         400);
}

static void
request_is_bounded(void **state)
{
    static char text[REQUEST_MAX];
    struct request request;

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(request_parse(text, REQUEST_MAX - 1, &request), 0);
    assert_int_equal(request_parse(text, REQUEST_MAX, &request), 431);
    memset(text, '\n', sizeof(text));
    assert_int_equal(request_parse(text, REQUEST_MAX, &request), 431);
}

static void
redirect_is_one_head(void **state)
{
    struct answer a = { 0 };

    (void)state;
    assert_true(answer_redirect(&a, "https://a.example:8443/x"));
    assert_int_equal(a.status, 301);
    assert_string_equal(a.head, "HTTP/1.1 301 Moved Permanently\r\n"
                                "Location: https://a.example:8443/x\r\n"
                                "Content-Length: 0\r\n"
                                "Connection: close\r\n");
    assert_int_equal(a.head_len, strlen(a.head));
    answer_fini(&a);
}

static void
tail_is_a_date_and_an_empty_line(void **state)
{
    char tail[ANSWER_TAIL];
    size_t len = answer_tail(tail);

    (void)state;
    assert_int_equal(len,
                     strlen("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"));
    assert_memory_equal(tail, "Date: ", 6);
    assert_string_equal(tail + len - 8, " GMT\r\n\r\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_has_host_and_path),
        cmocka_unit_test(invalid_request_is_refused),
        cmocka_unit_test(request_is_bounded),
        cmocka_unit_test(redirect_is_one_head),
        cmocka_unit_test(tail_is_a_date_and_an_empty_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
