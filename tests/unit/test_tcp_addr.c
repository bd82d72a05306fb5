/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "backends/tcp/addr.h"
#include "unit.h"

static void
assert_parses(const char *rest, const char *host, uint16_t port)
{
    struct tcp_endpoint e;

    assert_int_equal(flow__tcp_parse(rest, &e, NULL), FLOW_OK);
    assert_string_equal(e.host, host);
    assert_int_equal(e.port, port);
}

static void
assert_refused(const char *rest, const char *text)
{
    struct tcp_endpoint e;
    struct flow_error err;

    assert_int_equal(flow__tcp_parse(rest, &e, &err), FLOW_E_INVAL);
    assert_string_equal(err.text, text);
    assert_non_null(strstr(err.hint, "tcp://HOST:PORT"));
    assert_int_equal(strncmp(err.detail, rest, 20), 0);
    assert_int_equal(flow__tcp_parse(rest, &e, NULL), FLOW_E_INVAL);
}

static void
valid_endpoints_are_parsed(void **state)
{
    (void)state;
    assert_parses("//example.org:443", "example.org", 443);
    assert_parses("//127.0.0.1:0", "127.0.0.1", 0);
    assert_parses("//[::1]:65535", "::1", 65535);
    assert_parses("//[fe80::1%1]:80", "fe80::1%1", 80);
    assert_parses("//:8080", "", 8080);
    assert_parses("//*:8080", "*", 8080);
}

static void
invalid_endpoints_are_refused(void **state)
{
    char rest[300] = "//";

    (void)state;
    assert_refused("example.org:443", "\"//\" is missing");
    assert_refused("//example.org", "the port is missing");
    assert_refused("//::1:80", "an IPv6 address needs brackets");
    assert_refused("//[::1]", "\"]:PORT\" is missing");
    assert_refused("//[::1:80", "\"]:PORT\" is missing");
    assert_refused("//[127.0.0.1]:80", "brackets are for IPv6 addresses");
    assert_refused("//[]:80", "brackets are for IPv6 addresses");
    assert_refused("//a/b:80", "not a valid host name");
    assert_refused("//me@example.org:80", "not a valid host name");
    assert_refused("//exa mple.org:80", "not a valid host name");
    assert_refused("//example.org:", "the port is not a number up to 65535");
    assert_refused("//example.org:65536",
                   "the port is not a number up to 65535");
    assert_refused("//example.org:000080",
                   "the port is not a number up to 65535");
    assert_refused("//example.org:80/", "the port is not a number up to 65535");
    assert_refused("//example.org:-1", "the port is not a number up to 65535");
    memset(rest + 2, 'a', 254);
    memcpy(rest + 256, ":80", 4);
    assert_refused(rest, "the host name is too long");
    memcpy(rest + 255, ":80", 4);
    rest[2] = 'b';
    assert_int_equal(flow__tcp_parse(rest, &(struct tcp_endpoint){ 0 }, NULL),
                     FLOW_OK);
}

static void
literal_addresses_are_parsed(void **state)
{
    static const uint8_t loopback6[16] = { [15] = 1 };
    struct flow_addr a;

    (void)state;
    assert_true(flow__tcp_literal("192.0.2.1", 80, &a));
    assert_int_equal(a.family, 4);
    assert_int_equal(a.port, 80);
    assert_memory_equal(a.bytes, "\xc0\x00\x02\x01", 4);
    assert_true(flow__tcp_literal("::1", 1, &a));
    assert_int_equal(a.family, 6);
    assert_memory_equal(a.bytes, loopback6, 16);
    assert_true(flow__tcp_literal("fe80::1%12", 1, &a));
    assert_int_equal(a.scope, 12);
    assert_false(flow__tcp_literal("fe80::1%no-such-interface", 1, &a));
    assert_false(flow__tcp_literal("fe80::1%", 1, &a));
    assert_false(flow__tcp_literal("127.0.0.1%1", 1, &a));
    assert_false(flow__tcp_literal("127.1", 1, &a));
    assert_false(flow__tcp_literal("localhost", 1, &a));
    assert_false(flow__tcp_literal("", 1, &a));
}

static void
addresses_convert_to_sockaddr_and_back(void **state)
{
    union flow__sockaddr sa;
    struct flow_addr a;
    char text[FLOW__SOCKADDR_TEXT];
    socklen_t len;

    (void)state;
    assert_true(flow__tcp_literal("fe80::1%12", 99, &a));
    len = flow__tcp_sockaddr(&a, &sa);
    flow__sockaddr_format(&sa, len, text);
    assert_string_equal(text, "[fe80::1%12]:99");
    assert_true(flow__tcp_literal("192.0.2.1", 99, &a));
    len = flow__tcp_sockaddr(&a, &sa);
    flow__sockaddr_format(&sa, len, text);
    assert_string_equal(text, "192.0.2.1:99");
}

/* Families as letters, the order within each as digits. */
static void
assert_interleaved(const char *before, const char *after)
{
    struct flow_addr a[8];
    size_t count = strlen(before) / 2;
    char text[17] = "";
    size_t i;

    memset(a, 0, sizeof(a));
    for (i = 0; i < count; i++) {
        a[i].family = before[2 * i] == 'a' ? 4 : 6;
        a[i].port = (uint16_t)before[2 * i + 1];
    }
    flow__tcp_interleave(a, count);
    for (i = 0; i < count; i++) {
        text[2 * i] = a[i].family == 4 ? 'a' : 'b';
        text[2 * i + 1] = (char)a[i].port;
    }
    assert_string_equal(text, after);
}

static void
address_families_alternate(void **state)
{
    (void)state;
    assert_interleaved("", "");
    assert_interleaved("a1", "a1");
    assert_interleaved("a1a2a3", "a1a2a3");
    assert_interleaved("b1b2b3a1a2", "b1a1b2a2b3");
    assert_interleaved("a1b1b2b3a2", "a1b1a2b2b3");
    assert_interleaved("b1b2b3b4a1", "b1a1b2b3b4");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_endpoints_are_parsed),
        cmocka_unit_test(invalid_endpoints_are_refused),
        cmocka_unit_test(literal_addresses_are_parsed),
        cmocka_unit_test(addresses_convert_to_sockaddr_and_back),
        cmocka_unit_test(address_families_alternate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
