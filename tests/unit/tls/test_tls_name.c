/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include "tls/name.h"

static enum flow__name_kind
parse(const char *text, struct flow__name *name)
{
    return flow__name_parse(text, strlen(text), name);
}

static void
dns_names_are_normalised(void **state)
{
    static const struct {
        const char *text;
        const char *dns;
    } good[] = {
        { "example.org", "example.org" },
        { "EXAMPLE.Org", "example.org" },
        { "example.org.", "example.org" },
        { "localhost", "localhost" },
        { "xn--bcher-kva.example", "xn--bcher-kva.example" },
        { "_service.a-b.c0", "_service.a-b.c0" },
        { "1.2.3.4a", "1.2.3.4a" },
        { "0x7f.1x", "0x7f.1x" },
    };
    static const char *const bad[] = {
        "",    ".",         "..",    "a..b",      ".a",   "a b",
        "a/b", "b\xc3\xbc", "*.a.b", "a.*",       "a@b",  "example.org..",
        "1",   "a.1",       "1.2.3", "1.2.3.4.5", "a.1.", "::g",
    };
    struct flow__name name;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(parse(good[i].text, &name), FLOW__NAME_DNS);
        assert_string_equal(name.dns, good[i].dns);
        assert_int_equal(name.dns_len, strlen(good[i].dns));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i], &name) != FLOW__NAME_INVALID)
            fail_msg("%s is taken for a name", bad[i]);
        assert_int_equal(name.dns_len, 0);
        assert_int_equal(name.ip_len, 0);
    }
    assert_int_equal(flow__name_parse("a\0b", 3, &name), FLOW__NAME_INVALID);
}

static void
lengths_of_names_and_labels_are_bounded(void **state)
{
    struct flow__name name;
    char text[300];

    (void)state;
    for (size_t len = 1; len < sizeof(text); len++) {
        bool label_ok = len <= 63;

        memset(text, 'a', len);
        assert_int_equal(flow__name_parse(text, len, &name),
                         label_ok ? FLOW__NAME_DNS : FLOW__NAME_INVALID);
        /* Labels of 61 characters and a dot, the last one cut short. */
        for (size_t i = 61; i < len; i += 62)
            text[i] = '.';
        bool dot_last = text[len - 1] == '.';
        size_t real = dot_last ? len - 1 : len;
        assert_int_equal(flow__name_parse(text, len, &name),
                         real <= FLOW__NAME_MAX ? FLOW__NAME_DNS
                                                : FLOW__NAME_INVALID);
    }
}

static void
literal_addresses_are_understood(void **state)
{
    static const struct {
        const char *text;
        const char *hex;
    } good[] = {
        { "127.0.0.1", "7f000001" },
        { "255.255.255.255", "ffffffff" },
        { "0.0.0.0", "00000000" },
        { "::", "00000000000000000000000000000000" },
        { "::1", "00000000000000000000000000000001" },
        { "1::", "00010000000000000000000000000000" },
        { "2001:DB8::8a2E:370:7334", "20010db80000000000008a2e03707334" },
        { "1:2:3:4:5:6:7:8", "00010002000300040005000600070008" },
        { "1:2:3:4:5:6:7::", "00010002000300040005000600070000" },
        { "::2:3:4:5:6:7:8", "00000002000300040005000600070008" },
        { "::ffff:192.0.2.1", "00000000000000000000ffffc0000201" },
        { "1:2:3:4:5:6:192.0.2.1", "000100020003000400050006c0000201" },
        { "64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221" },
    };
    static const char *const bad[] = {
        "256.0.0.1",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4.",
        "1.2.3.04",
        "1..3.4",
        "1.2.3.4:",
        ":",
        ":::",
        ":1",
        "1:",
        "1:2:3:4:5:6:7",
        "1::2::3",
        "12345::",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1.2.3",
        "fe80::1%eth0",
        "[::1]",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:",
    };
    struct flow__name name;
    uint8_t want[16];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t len = from_hex(good[i].hex, want, sizeof(want));

        if (parse(good[i].text, &name) != FLOW__NAME_IP)
            fail_msg("%s is not taken for an address", good[i].text);
        assert_int_equal(name.ip_len, len);
        assert_memory_equal(name.ip, want, len);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(bad[i], &name) != FLOW__NAME_INVALID)
            fail_msg("%s is taken for an address", bad[i]);
}

/* Every text over a small alphabet: if it is taken for an IPv6 address, it has
 * eight groups, or fewer and one "::". */
static void
short_ipv6_texts_follow_the_grammar(void **state)
{
    static const char alphabet[] = "1f:.";
    struct flow__name name;
    char text[10];
    unsigned taken = 0;

    (void)state;
    for (uint32_t n = 0; n < 1u << 18; n++) {
        size_t len = 9;
        unsigned groups = 0;
        unsigned doubles = 0;

        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[n >> (2 * i) & 3];
        text[len] = '\0';
        if (memchr(text, ':', len) == NULL || memchr(text, '.', len) != NULL ||
            flow__name_parse(text, len, &name) != FLOW__NAME_IP)
            continue;
        taken++;
        for (size_t i = 0; i < len; i++) {
            groups += text[i] != ':' && (i == 0 || text[i - 1] == ':');
            doubles += text[i] == ':' && i > 0 && text[i - 1] == ':';
        }
        assert_true(groups < 8 && doubles == 1);
        assert_int_equal(name.ip_len, 16);
    }
    assert_true(taken > 1000);
}

static enum flow__name_match
compare(const char *pattern, const char *text)
{
    struct flow__name name;

    assert_int_equal(parse(text, &name), FLOW__NAME_DNS);
    return flow__name_compare(pattern, strlen(pattern), &name);
}

static void
patterns_cover_names(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        enum flow__name_match match;
    } table[] = {
        { "example.org", "example.org", FLOW__MATCH_EXACT },
        { "EXAMPLE.org", "example.ORG", FLOW__MATCH_EXACT },
        { "example.org", "example.org.", FLOW__MATCH_EXACT },
        { "localhost", "localhost", FLOW__MATCH_EXACT },
        { "example.org.", "example.org", FLOW__MATCH_NONE },
        { "example.org", "www.example.org", FLOW__MATCH_NONE },
        { "example.org", "example.com", FLOW__MATCH_NONE },
        { "*.example.org", "www.example.org", FLOW__MATCH_WILDCARD },
        { "*.EXAMPLE.org", "WWW.example.org", FLOW__MATCH_WILDCARD },
        { "*.example.org", "xn--bcher-kva.example.org", FLOW__MATCH_WILDCARD },
        { "*.example.org", "example.org", FLOW__MATCH_NONE },
        { "*.example.org", "a.b.example.org", FLOW__MATCH_NONE },
        { "*.example.org", "a.bexample.org", FLOW__MATCH_NONE },
        { "*.org", "example.org", FLOW__MATCH_NONE },
        { "*.test", "a.test", FLOW__MATCH_NONE },
        { "*", "example", FLOW__MATCH_NONE },
        { "*.", "example", FLOW__MATCH_NONE },
        { "*.*.org", "a.b.org", FLOW__MATCH_NONE },
        { "www.*.org", "www.a.org", FLOW__MATCH_NONE },
        { "w*.example.org", "www.example.org", FLOW__MATCH_NONE },
        { "*w.example.org", "www.example.org", FLOW__MATCH_NONE },
        { "**.example.org", "www.example.org", FLOW__MATCH_NONE },
        { "*.example.org.", "www.example.org", FLOW__MATCH_NONE },
        { "", "a", FLOW__MATCH_NONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (compare(table[i].pattern, table[i].name) != table[i].match)
            fail_msg("%s against %s", table[i].pattern, table[i].name);
}

static struct flow__san
san_dns(const char *text)
{
    return (struct flow__san){ FLOW__SAN_DNS, (const uint8_t *)text,
                               strlen(text) };
}

static void
kinds_of_names_do_not_mix(void **state)
{
    static const uint8_t v4[] = { 192, 0, 2, 1 };
    static const uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
    static const char nul[] = "example.org\0.evil.test";
    const struct flow__san san[] = {
        { FLOW__SAN_OTHER, (const uint8_t *)"mail.example", 12 },
        san_dns("192.0.2.1"),
        san_dns("*.0.2.9"),
        san_dns("a.example"),
        { FLOW__SAN_IP, v4, sizeof(v4) },
        { FLOW__SAN_IP, v6, sizeof(v6) },
        { FLOW__SAN_IP, (const uint8_t *)"bb.cc.example.xy", 16 },
        { FLOW__SAN_DNS, (const uint8_t *)nul, sizeof(nul) - 1 },
    };
    static const struct {
        const char *name;
        int index; /* -1: refused */
    } table[] = {
        { "a.example", 3 },         { "192.0.2.1", 4 },
        { "2001:db8::1", 5 },       { "192.0.2.9", -1 },
        { "mail.example", -1 },     { "::ffff:192.0.2.1", -1 },
        { "bb.cc.example.xy", -1 }, { "example.org", -1 },
    };
    struct flow__name name;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        size_t index = 99;
        bool ok;

        assert_int_not_equal(parse(table[i].name, &name), FLOW__NAME_INVALID);
        ok =
            flow__name_verify(&name, san, sizeof(san) / sizeof(san[0]), &index);
        if (ok != (table[i].index >= 0))
            fail_msg("%s", table[i].name);
        if (ok)
            assert_int_equal(index, table[i].index);
    }
    memset(&name, 0, sizeof(name));
    assert_false(flow__name_verify(&name, san, 8, NULL));
    assert_int_equal(parse("a.example", &name), FLOW__NAME_DNS);
    assert_false(flow__name_verify(&name, NULL, 0, NULL));
    assert_true(flow__name_verify(&name, san, 8, NULL));
}

static void
addresses_are_told_by_their_looks(void **state)
{
    (void)state;
    assert_true(flow__name_looks_like_ip("1.2.3.4", 7));
    assert_true(flow__name_looks_like_ip("a.1", 3));
    assert_true(flow__name_looks_like_ip("1", 1));
    assert_true(flow__name_looks_like_ip("1.2.3.4.", 8));
    assert_true(flow__name_looks_like_ip("::", 2));
    assert_true(flow__name_looks_like_ip("a:b", 3));
    assert_false(flow__name_looks_like_ip("", 0));
    assert_false(flow__name_looks_like_ip(".", 1));
    assert_false(flow__name_looks_like_ip("a1", 2));
    assert_false(flow__name_looks_like_ip("1.a", 3));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dns_names_are_normalised),
        cmocka_unit_test(lengths_of_names_and_labels_are_bounded),
        cmocka_unit_test(literal_addresses_are_understood),
        cmocka_unit_test(short_ipv6_texts_follow_the_grammar),
        cmocka_unit_test(patterns_cover_names),
        cmocka_unit_test(kinds_of_names_do_not_mix),
        cmocka_unit_test(addresses_are_told_by_their_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
