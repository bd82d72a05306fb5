/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include "tls/dn.h"

/* DER, its times, and names made of it. */

static struct flow__span
span_of(const void *bytes, size_t len)
{
    struct flow__span span = { bytes, len };

    return span;
}

static void
lengths_have_their_shortest_form(void **state)
{
    static const struct {
        const char *hex;
        bool taken;
    } rows[] = {
        { "0400", true },
        { "04017f", true },
        { "0402ff", false },     /* a byte is missing */
        { "04810101", false },   /* 1 in the long form */
        { "0482000101", false }, /* a leading zero */
        { "0480", false },       /* indefinite */
        { "0485000000000101", false },
        { "04", false },
        { "", false },
        { "1f040101", false }, /* a tag of several bytes */
        { "0501ff", false },   /* another tag */
    };
    struct flow__span in, content;
    uint8_t bytes[300], *exact;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = from_hex(rows[i].hex, bytes, sizeof(bytes));

        exact = exact_copy(bytes, len);
        in = span_of(exact, len);
        if (flow__der_take(&in, FLOW__DER_OCTET_STRING, &content) !=
            rows[i].taken)
            fail_msg("%s", rows[i].hex);
        if (rows[i].taken)
            assert_int_equal(in.len, 0);
        free(exact);
    }
    /* 128 is the first that needs the long form. */
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, "\x04\x81\x80", 3);
    in = span_of(bytes, 3 + 128);
    assert_true(flow__der_take(&in, FLOW__DER_OCTET_STRING, &content));
    assert_int_equal(content.len, 128);
}

static void
times_are_seconds_since_1970(void **state)
{
    static const struct {
        uint8_t tag;
        const char *text;
        int64_t seconds; /* -1: it is not one */
    } rows[] = {
        { FLOW__DER_UTC_TIME, "700101000000Z", 0 },
        { FLOW__DER_UTC_TIME, "000229235959Z", 951868799 },
        { FLOW__DER_UTC_TIME, "491231235959Z", 2524607999 },
        { FLOW__DER_UTC_TIME, "500101000000Z", -631152000 },
        { FLOW__DER_TIME, "20500101000000Z", 2524608000 },
        { FLOW__DER_TIME, "20240301000000Z", 1709251200 },
        { FLOW__DER_TIME, "21000228235959Z", 4107542399 },
        { FLOW__DER_TIME, "99991231235959Z", 253402300799 },
        { FLOW__DER_UTC_TIME, "010229000000Z", -1 },
        { FLOW__DER_TIME, "21000229000000Z", -1 },
        { FLOW__DER_TIME, "00000101000000Z", -1 },
        { FLOW__DER_UTC_TIME, "700001000000Z", -1 },
        { FLOW__DER_UTC_TIME, "701301000000Z", -1 },
        { FLOW__DER_UTC_TIME, "700431000000Z", -1 },
        { FLOW__DER_UTC_TIME, "700100000000Z", -1 },
        { FLOW__DER_UTC_TIME, "700101240000Z", -1 },
        { FLOW__DER_UTC_TIME, "700101006000Z", -1 },
        { FLOW__DER_UTC_TIME, "700101000060Z", -1 },
        { FLOW__DER_UTC_TIME, "700101000000", -1 },
        { FLOW__DER_UTC_TIME, "7001010000Z", -1 },
        { FLOW__DER_UTC_TIME, "700101000000+0100", -1 },
        { FLOW__DER_UTC_TIME, "70010100000aZ", -1 },
        { FLOW__DER_TIME, "19700101000000.5Z", -1 },
        { FLOW__DER_IA5, "700101000000Z", -1 },
    };
    uint8_t bytes[40];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].text);
        struct flow__span in = span_of(bytes, len + 2);
        int64_t seconds = -1;

        bytes[0] = rows[i].tag;
        bytes[1] = (uint8_t)len;
        memcpy(bytes + 2, rows[i].text, len);
        if (flow__der_take_time(&in, &seconds) != (rows[i].seconds != -1) ||
            (rows[i].seconds != -1 && seconds != rows[i].seconds))
            fail_msg("%s", rows[i].text);
    }
}

/* A name of one common name. */
static struct flow__span
make_name(uint8_t *bytes, uint8_t tag, const char *text)
{
    const uint8_t len = (uint8_t)strlen(text);
    const uint8_t head[] = { FLOW__DER_SET,
                             (uint8_t)(len + 9),
                             FLOW__DER_SEQUENCE,
                             (uint8_t)(len + 7),
                             FLOW__DER_OID,
                             3,
                             0x55,
                             4,
                             3,
                             tag,
                             len };

    memcpy(bytes, head, sizeof(head));
    memcpy(bytes + sizeof(head), text, len);
    return span_of(bytes, sizeof(head) + len);
}

static void
names_are_compared_without_case_and_spaces(void **state)
{
    static const struct {
        uint8_t tag_a;
        const char *a;
        uint8_t tag_b;
        const char *b;
        bool equal;
    } rows[] = {
        { FLOW__DER_UTF8, "Test CA", FLOW__DER_UTF8, "Test CA", true },
        { FLOW__DER_UTF8, "Test CA", FLOW__DER_PRINTABLE, "test ca", true },
        { FLOW__DER_UTF8, "Test CA", FLOW__DER_UTF8, "  Test   CA ", true },
        { FLOW__DER_UTF8, "Test CA", FLOW__DER_UTF8, "TestCA", false },
        { FLOW__DER_UTF8, "Test CA", FLOW__DER_UTF8, "Test CA2", false },
        { FLOW__DER_UTF8, "", FLOW__DER_UTF8, " ", true },
        { FLOW__DER_UTF8, "B\xc3\xbc", FLOW__DER_UTF8, "b\xc3\xbc", true },
        { FLOW__DER_UTF8, "B\xc3\xbc", FLOW__DER_UTF8, "B\xc3\x9c", false },
        /* A string of 16-bit characters: bytes only. */
        { 0x1e, "Ab", 0x1e, "Ab", true },
        { 0x1e, "Ab", 0x1e, "ab", false },
        { 0x1e, "Ab", FLOW__DER_UTF8, "Ab", false },
    };
    uint8_t bytes[2][80];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flow__span a = make_name(bytes[0], rows[i].tag_a, rows[i].a);
        struct flow__span b = make_name(bytes[1], rows[i].tag_b, rows[i].b);

        assert_true(flow__dn_is_valid(a) && flow__dn_is_valid(b));
        if (flow__dn_equal(a, b) != rows[i].equal ||
            flow__dn_equal(b, a) != rows[i].equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        if (rows[i].equal)
            assert_int_equal(flow__dn_hash(a), flow__dn_hash(b));
        /* Every name is within the empty one. */
        assert_true(flow__dn_is_within(span_of(NULL, 0), a));
        assert_false(flow__dn_is_within(a, span_of(NULL, 0)));
    }
}

static void
names_have_one_text(void **state)
{
    static const struct {
        const char *value;
        const char *text;
    } rows[] = {
        { "a.example", "CN=a.example" },
        { "a\nb\x1b[2J", "CN=a\\0Ab\\1B[2J" },
        { "B\xc3\xbc", "CN=B\\C3\\BC" },
        { "a, CN=root", "CN=a\\, CN=root" },
        { "a + CN=root", "CN=a \\+ CN=root" },
        { "a\\, b", "CN=a\\\\\\, b" },
        { " #a ", "CN=\\ #a\\ " },
        { "#a", "CN=\\#a" },
        { "", "CN=" },
    };
    uint8_t bytes[80];
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flow__span name =
            make_name(bytes, FLOW__DER_UTF8, rows[i].value);

        assert_int_equal(flow__dn_text(name, text, sizeof(text)),
                         strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
    /* The length is that of the whole text. */
    assert_int_equal(
        flow__dn_text(make_name(bytes, FLOW__DER_UTF8, "abcdefgh"), text, 8),
        11);
    assert_string_equal(text, "CN=abcd");
}

/* Two attributes, in one set or in one each, of types that are not named. */
static void
types_and_sets_are_told_apart(void **state)
{
    static const uint8_t apart[] = { FLOW__DER_SET,
                                     10,
                                     FLOW__DER_SEQUENCE,
                                     8,
                                     FLOW__DER_OID,
                                     3,
                                     0x55,
                                     4,
                                     99,
                                     FLOW__DER_UTF8,
                                     1,
                                     'a',
                                     FLOW__DER_SET,
                                     11,
                                     FLOW__DER_SEQUENCE,
                                     9,
                                     FLOW__DER_OID,
                                     4,
                                     0x2b,
                                     0x86,
                                     0x48,
                                     5,
                                     FLOW__DER_UTF8,
                                     1,
                                     'b' };
    static const uint8_t together[] = { FLOW__DER_SET,
                                        20,
                                        FLOW__DER_SEQUENCE,
                                        8,
                                        FLOW__DER_OID,
                                        3,
                                        0x88,
                                        0x37,
                                        1,
                                        FLOW__DER_UTF8,
                                        1,
                                        'a',
                                        FLOW__DER_SEQUENCE,
                                        8,
                                        FLOW__DER_OID,
                                        3,
                                        0x55,
                                        0x80,
                                        4,
                                        FLOW__DER_UTF8,
                                        1,
                                        'b' };
    char text[64];

    (void)state;
    (void)flow__dn_text(span_of(apart, sizeof(apart)), text, sizeof(text));
    assert_string_equal(text, "2.5.4.99=a, 1.3.840.5=b");
    assert_true(flow__dn_is_valid(span_of(together, sizeof(together))));
    (void)flow__dn_text(span_of(together, sizeof(together)), text,
                        sizeof(text));
    assert_string_equal(text, "2.999.1=a + #558004=b");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_have_their_shortest_form),
        cmocka_unit_test(times_are_seconds_since_1970),
        cmocka_unit_test(names_are_compared_without_case_and_spaces),
        cmocka_unit_test(names_have_one_text),
        cmocka_unit_test(types_and_sets_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
