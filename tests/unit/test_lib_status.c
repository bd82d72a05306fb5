/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/status.h>

#include "unit.h"

static void
status_names_and_texts_are_distinct(void **state)
{
    int a, b;

    (void)state;
    for (a = FLOW_E_ENTROPY; a <= FLOW_AGAIN; a++) {
        assert_memory_equal(flow_status_name((enum flow_status)a), "FLOW_", 5);
        for (b = FLOW_E_ENTROPY; b < a; b++) {
            assert_string_not_equal(flow_status_name((enum flow_status)a),
                                    flow_status_name((enum flow_status)b));
            assert_string_not_equal(flow_status_text((enum flow_status)a),
                                    flow_status_text((enum flow_status)b));
        }
    }
    assert_string_equal(flow_status_name(FLOW_E_RESET), "FLOW_E_RESET");
    assert_string_equal(flow_status_name((enum flow_status)77), "FLOW_UNKNOWN");
}

static void
sticky_statuses_are_those_of_the_contract(void **state)
{
    static const enum flow_status sticky[] = {
        FLOW_EOF,     FLOW_E_TRUNCATED, FLOW_E_CLOSED,
        FLOW_E_RESET, FLOW_E_CANCELED,  FLOW_E_PROTO,
        FLOW_E_AUTH,  FLOW_E_SYS,       FLOW_E_ENTROPY,
    };
    size_t i, count = 0;
    int st;

    (void)state;
    for (i = 0; i < COUNT(sticky); i++)
        assert_true(flow_status_is_sticky(sticky[i]));
    for (st = FLOW_E_ENTROPY; st <= FLOW_AGAIN; st++)
        count += flow_status_is_sticky((enum flow_status)st);
    assert_int_equal(count, COUNT(sticky));
}

static void
error_record_begins_empty(void **state)
{
    struct flow_error err;

    (void)state;
    memset(&err, 0xff, sizeof(err));
    flow_error_clear(&err);
    assert_int_equal(err.status, FLOW_OK);
    assert_int_equal(err.alert_sent, -1);
    assert_int_equal(err.alert_received, -1);
    assert_int_equal(err.layer_count, 0);
    assert_null(err.text);
    assert_string_equal(err.detail, "");
}

static void
error_set_returns_the_status_and_replaces_the_record(void **state)
{
    struct flow_error err;

    (void)state;
    flow_error_clear(&err);
    err.alert_sent = 40;
    err.verify_flags = 3;
    flow_error_set_detail(&err, "old");
    assert_int_equal(flow_error_set(&err, FLOW_E_SYS, "tcp", FLOW_DOMAIN_ERRNO,
                                    111, "refused"),
                     FLOW_E_SYS);
    assert_int_equal(err.status, FLOW_E_SYS);
    assert_int_equal(err.domain, FLOW_DOMAIN_ERRNO);
    assert_int_equal(err.code, 111);
    assert_int_equal(err.alert_sent, -1);
    assert_int_equal(err.verify_flags, 0);
    assert_string_equal(err.detail, "");
    assert_int_equal(
        flow_error_set(NULL, FLOW_E_NOMEM, "x", FLOW_DOMAIN_NONE, 0, "y"),
        FLOW_E_NOMEM);
    flow_error_set_detail(NULL, "z");
    flow_error_add_layer(NULL, "z");
}

static void
error_detail_is_truncated_and_escaped(void **state)
{
    char longer[2 * FLOW_ERROR_DETAIL];
    struct flow_error err;

    (void)state;
    flow_error_clear(&err);
    flow_error_set_detail(&err, "a\033[1mb\xc3\xa4\n~");
    assert_string_equal(err.detail, "a?[1mb???~");
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    flow_error_set_detail(&err, longer);
    assert_int_equal(strlen(err.detail), FLOW_ERROR_DETAIL - 1);
}

static void
lowest_and_topmost_layer_are_kept(void **state)
{
    struct flow_error err;

    (void)state;
    flow_error_set(&err, FLOW_E_RESET, "tcp", FLOW_DOMAIN_NONE, 0, "broke");
    flow_error_add_layer(&err, "one");
    flow_error_add_layer(&err, "two");
    flow_error_add_layer(&err, "three");
    flow_error_add_layer(&err, "four");
    flow_error_add_layer(&err, "five");
    assert_int_equal(err.layer_count, FLOW_ERROR_LAYERS);
    assert_string_equal(err.layers[0], "tcp");
    assert_string_equal(err.layers[1], "one");
    assert_string_equal(err.layers[FLOW_ERROR_LAYERS - 1], "five");
}

static void
error_format_has_every_field(void **state)
{
    struct flow_error err;
    char text[256];
    size_t len;

    (void)state;
    flow_error_set(&err, FLOW_E_AUTH, "tls", FLOW_DOMAIN_ENGINE, -0x2700,
                   "peer certificate refused: certificate has expired");
    flow_error_add_layer(&err, "trace");
    flow_error_set_detail(&err, "www.example.org");
    err.alert_sent = 45;
    err.hint = "look at the clock";
    len = flow_error_format(&err, text, sizeof(text));
    assert_int_equal(len, strlen(text));
    assert_string_equal(
        text,
        "trace over tls: peer certificate refused: certificate has expired "
        "(www.example.org), engine error -0x2700, alert sent: "
        "certificate_expired; look at the clock");

    flow_error_set(&err, FLOW_E_PROTO, "tls", FLOW_DOMAIN_NONE, 0,
                   "received fatal alert");
    flow_error_set_detail(&err, "www.example.org");
    err.alert_received = 40;
    flow_error_format(&err, text, sizeof(text));
    assert_string_equal(text, "tls: received fatal alert: handshake_failure "
                              "(www.example.org)");
}

static void
error_format_has_documented_codes(void **state)
{
    static const struct {
        enum flow_domain domain;
        int32_t code;
        const char *text;
    } rows[] = {
        { FLOW_DOMAIN_ENGINE, -0x7200, "l: t, engine error -0x7200" },
        { FLOW_DOMAIN_ENGINE, -0x50, "l: t, engine error -0x0050" },
        { FLOW_DOMAIN_ENGINE, -0x6CAF, "l: t, engine error -0x6CAF" },
        { FLOW_DOMAIN_ENGINE, INT32_MIN, "l: t, engine error -0x80000000" },
        { FLOW_DOMAIN_ENGINE, 0x1234567, "l: t, engine error 0x1234567" },
        { FLOW_DOMAIN_ENGINE, 0, "l: t" },
        { FLOW_DOMAIN_ERRNO, 111, "l: t, errno 111" },
        { FLOW_DOMAIN_RESOLVER, -2, "l: t, resolver error -2" },
        { FLOW_DOMAIN_XEN, INT32_MIN, "l: t, xen error -2147483648" },
    };
    struct flow_error err;
    char text[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        flow_error_set(&err, FLOW_E_SYS, "l", rows[i].domain, rows[i].code,
                       "t");
        assert_int_equal(flow_error_format(&err, text, sizeof(text)),
                         strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

static void
error_format_truncates_and_returns_the_full_length(void **state)
{
    struct flow_error err;
    char text[8];

    (void)state;
    flow_error_set(&err, FLOW_E_RESET, "tcp", FLOW_DOMAIN_NONE, INT32_MIN,
                   "broke");
    assert_int_equal(flow_error_format(&err, NULL, 0),
                     strlen("tcp: broke, code -2147483648"));
    memset(text, '#', sizeof(text));
    flow_error_format(&err, text, 7);
    assert_string_equal(text, "tcp: b");
    assert_int_equal(text[7], '#');
    memset(text, '#', sizeof(text));
    flow_error_format(&err, text, 1);
    assert_int_equal(text[0], '\0');
    assert_int_equal(text[1], '#');
}

static void
alerts_have_their_rfc_names(void **state)
{
    (void)state;
    assert_string_equal(flow_alert_name(0), "close_notify");
    assert_string_equal(flow_alert_name(40), "handshake_failure");
    assert_string_equal(flow_alert_name(112), "unrecognized_name");
    assert_string_equal(flow_alert_name(120), "no_application_protocol");
    assert_string_equal(flow_alert_name(7), "unknown_alert");
    assert_string_equal(flow_alert_name(-1), "unknown_alert");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_names_and_texts_are_distinct),
        cmocka_unit_test(sticky_statuses_are_those_of_the_contract),
        cmocka_unit_test(error_record_begins_empty),
        cmocka_unit_test(error_set_returns_the_status_and_replaces_the_record),
        cmocka_unit_test(error_detail_is_truncated_and_escaped),
        cmocka_unit_test(lowest_and_topmost_layer_are_kept),
        cmocka_unit_test(error_format_has_every_field),
        cmocka_unit_test(error_format_has_documented_codes),
        cmocka_unit_test(error_format_truncates_and_returns_the_full_length),
        cmocka_unit_test(alerts_have_their_rfc_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
