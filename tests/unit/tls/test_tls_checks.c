/* SPDX-License-Identifier: ISC */
#include <flow/status.h>

#include "tests/support/offer.h"
#include "tests/unit/tls/bytes.h"
#include "tls/checks.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MESSAGE_MAX  1024

/* The checks, on the messages of checks.txt: which pass, which do not and with
 * which alert, and each message truncated at every byte. */

static const struct {
    const char *name;
    flow__check_fn *check;
} checks[] = {
    { "client_hello", flow__check_client_hello },
    { "second_client_hello", flow__check_second_client_hello },
    { "server_hello", flow__check_server_hello },
    { "hello_retry_request", flow__check_hello_retry_request },
    { "encrypted_extensions", flow__check_encrypted_extensions },
    { "certificate_request12", flow__check_certificate_request12 },
    { "certificate_request13", flow__check_certificate_request13 },
    { "certificate12", flow__check_certificate12 },
    { "certificate13", flow__check_certificate13 },
    { "certificate_verify12", flow__check_certificate_verify12 },
    { "certificate_verify13", flow__check_certificate_verify13 },
    { "server_key_exchange", flow__check_server_key_exchange },
    { "client_key_exchange", flow__check_client_key_exchange },
    { "finished12", flow__check_finished12 },
    { "finished13", flow__check_finished13 },
    { "new_session_ticket12", flow__check_new_session_ticket12 },
    { "new_session_ticket13", flow__check_new_session_ticket13 },
    { "key_update", flow__check_key_update },
    { "empty", flow__check_empty },
};

static const char *const keys[] = {
    [FLOW__KEY_P256] = "P256",   [FLOW__KEY_P384] = "P384",
    [FLOW__KEY_P521] = "P521",   [FLOW__KEY_RSA] = "RSA",
    [FLOW__KEY_OTHER] = "OTHER",
};

struct example {
    char line[256]; /* precedes the message in its memory */
    const char *name;
    size_t check;
    int alert; /* FLOW__ALERT_NONE: it passes */
    struct flow__client_hello offer;
    struct flow_tls_sni_terms terms;
    uint8_t alpn[16]; /* storage of facts.alpn */
    struct flow__check_facts facts;
    uint8_t msg[MESSAGE_MAX];
    size_t len;
};

static size_t
find_check(const char *name)
{
    for (size_t i = 0; i < COUNT(checks); i++)
        if (strcmp(checks[i].name, name) == 0)
            return i;
    fail_msg("no check %s", name);
    return 0;
}

static int
find_alert(const char *name)
{
    for (int i = 0; i < 256; i++)
        if (flow_alert_name(i) != NULL && strcmp(flow_alert_name(i), name) == 0)
            return i;
    if (strcmp(name, "ok") != 0)
        fail_msg("no alert %s", name);
    return FLOW__ALERT_NONE;
}

static enum flow__key_type
find_key(const char *name)
{
    for (size_t i = 0; i < COUNT(keys); i++)
        if (strcmp(keys[i], name) == 0)
            return (enum flow__key_type)i;
    fail_msg("no key %s", name);
    return FLOW__KEY_OTHER;
}

static void
set_fact(struct example *e, const char *word)
{
    const char *value = strchr(word, '=');
    uint16_t number = 0;

    if (value != NULL)
        number = (uint16_t)strtoul(value + 1, NULL, 16);
    if (strncmp(word, "key=", 4) == 0)
        e->facts.peer_key = find_key(word + 4);
    else if (strncmp(word, "suite=", 6) == 0)
        e->facts.suite = flow__suite_find(number);
    else if (strncmp(word, "group=", 6) == 0)
        e->facts.group = number;
    else if (strncmp(word, "max=", 4) == 0)
        e->terms.max_version = number;
    else if (strncmp(word, "name=", 5) == 0)
        e->facts.name = word + 5;
    else if (strncmp(word, "alpn=", 5) == 0)
        e->facts.alpn =
            (struct flow__span){ e->alpn,
                                 from_hex(word + 5, e->alpn, sizeof(e->alpn)) };
    else if (strncmp(word, "resumes=", 8) == 0)
        e->facts.session_suite = number;
    else if (strcmp(word, "server") == 0)
        e->facts.offer = NULL;
    else
        fail_msg("no fact %s", word);
}

static void
init_facts(struct example *e)
{
    struct flow__fault fault;

    memset(e, 0, sizeof(*e));
    assert_int_equal(flow__hello_parse_client(offer_bytes, sizeof(offer_bytes),
                                              &e->offer, &fault),
                     FLOW_OK);
    e->facts.offer = &e->offer;
    e->terms.min_version = (enum flow_tls_version)0x0303;
    e->terms.max_version = (enum flow_tls_version)0x0304;
    e->facts.terms = &e->terms;
    e->facts.name = "";
    e->facts.peer_key = FLOW__KEY_OTHER;
}

/* A line of the file: CHECK ANSWER FACTS: NAME */
static void
read_line(struct example *e, char *line)
{
    char *name = strstr(line, ": ");
    char *word;

    assert_non_null(name);
    *name = '\0';
    e->name = name + 2;
    e->check = find_check(strtok(line, " "));
    e->alert = find_alert(strtok(NULL, " "));
    while ((word = strtok(NULL, " ")) != NULL)
        set_fact(e, word);
}

static void
read_message(struct example *e, char *line)
{
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
        e->len += from_hex(word, e->msg + e->len, MESSAGE_MAX - e->len);
}

static bool
read_text(FILE *f, char *line, size_t cap)
{
    if (fgets(line, (int)cap, f) == NULL)
        return false;
    assert_non_null(strchr(line, '\n'));
    *strchr(line, '\n') = '\0';
    return true;
}

static FILE *
open_examples(void)
{
    char path[512];
    FILE *f;

    assert_true(snprintf(path, sizeof(path), "%s/checks.txt",
                         getenv("FLOW_TEST_VECTORS")) < (int)sizeof(path));
    f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static bool
next_example(FILE *f, struct example *e)
{
    char text[4 * MESSAGE_MAX];

    do {
        if (!read_text(f, text, sizeof(text)))
            return false;
    } while (text[0] == '#' || text[0] == '\0');
    init_facts(e);
    assert_true(strlen(text) < sizeof(e->line));
    memcpy(e->line, text, strlen(text) + 1);
    read_line(e, e->line);
    assert_true(read_text(f, text, sizeof(text)));
    read_message(e, text);
    return true;
}

/* The alert or FLOW__ALERT_NONE, from memory that ends with the message. */
static int
answer(const struct example *e, const uint8_t *msg, size_t len)
{
    uint8_t *copy = exact_copy(msg, len);
    struct flow__fault fault = { FLOW__ALERT_NONE, NULL };
    enum flow_status st = checks[e->check].check(&e->facts, copy, len, &fault);

    free(copy);
    if (st == FLOW_OK)
        return FLOW__ALERT_NONE;
    assert_int_equal(st, FLOW_E_PROTO);
    assert_non_null(fault.text);
    assert_int_not_equal(fault.alert, FLOW__ALERT_NONE);
    return fault.alert;
}

static const char *
alert_text(int alert)
{
    return alert == FLOW__ALERT_NONE ? "ok" : flow_alert_name(alert);
}

static void
messages_pass_or_get_their_alert(void **state)
{
    FILE *f = open_examples();
    struct example e;
    unsigned passed[COUNT(checks)] = { 0 };
    unsigned refused[COUNT(checks)] = { 0 };

    (void)state;
    while (next_example(f, &e)) {
        int got = answer(&e, e.msg, e.len);

        if (got != e.alert)
            fail_msg("%s: %s, not %s", e.name, alert_text(got),
                     alert_text(e.alert));
        if (got == FLOW__ALERT_NONE)
            passed[e.check]++;
        else
            refused[e.check]++;
    }
    fclose(f);
    for (size_t i = 0; i < COUNT(checks); i++) {
        if (passed[i] == 0 || refused[i] == 0)
            fail_msg("%s: no example", checks[i].name);
    }
}

static void
set_length(uint8_t *msg, size_t len)
{
    msg[1] = (uint8_t)((len - 4) >> 16);
    msg[2] = (uint8_t)((len - 4) >> 8);
    msg[3] = (uint8_t)(len - 4);
}

/* A hello without extensions is complete, and is refused for another reason. */
static bool
is_short_hello(const struct example *e, size_t cut)
{
    struct flow__client_hello client;
    struct flow__server_hello server;
    struct flow__fault fault;

    return flow__hello_parse_client(e->msg, cut, &client, &fault) == FLOW_OK ||
           flow__hello_parse_server(e->msg, cut, &server, &fault) == FLOW_OK;
}

static void
cut_messages_are_malformed(void **state)
{
    FILE *f = open_examples();
    struct example e;
    unsigned cuts = 0;

    (void)state;
    while (next_example(f, &e)) {
        if (e.alert != FLOW__ALERT_NONE)
            continue;
        for (size_t cut = 0; cut < e.len; cut++, cuts++) {
            /* The length in the header is not changed. */
            int got = answer(&e, e.msg, cut);

            if (got != FLOW__ALERT_DECODE_ERROR)
                fail_msg("%s cut at %zu: %s", e.name, cut, alert_text(got));
        }
        for (size_t cut = e.len - 1; cut >= 4; cut--, cuts++) {
            int got;

            set_length(e.msg, cut);
            got = answer(&e, e.msg, cut);
            if (got == FLOW__ALERT_NONE ||
                (got != FLOW__ALERT_DECODE_ERROR && !is_short_hello(&e, cut)))
                fail_msg("%s of %zu bytes: %s", e.name, cut, alert_text(got));
        }
    }
    fclose(f);
    print_message("%u cuts\n", cuts);
    assert_true(cuts > 4000);
}

static void
a_byte_more_is_malformed(void **state)
{
    FILE *f = open_examples();
    struct example e;

    (void)state;
    while (next_example(f, &e)) {
        if (e.alert != FLOW__ALERT_NONE)
            continue;
        e.msg[e.len] = 0;
        if (answer(&e, e.msg, e.len + 1) != FLOW__ALERT_DECODE_ERROR)
            fail_msg("%s: a byte after it", e.name);
        set_length(e.msg, e.len + 1);
        if (answer(&e, e.msg, e.len + 1) != FLOW__ALERT_DECODE_ERROR)
            fail_msg("%s: a byte at its end", e.name);
    }
    fclose(f);
}

/* RFC 8446 4.2.3: each scheme with each kind of key. */
static void
a_scheme_of_tls13_fits_one_kind_of_key(void **state)
{
    static const struct {
        uint16_t scheme;
        enum flow__key_type key;
    } schemes[] = {
        { 0x0403, FLOW__KEY_P256 }, { 0x0503, FLOW__KEY_P384 },
        { 0x0603, FLOW__KEY_P521 }, { 0x0804, FLOW__KEY_RSA },
        { 0x0805, FLOW__KEY_RSA },  { 0x0806, FLOW__KEY_RSA },
    };
    struct example e;

    (void)state;
    init_facts(&e);
    e.check = find_check("certificate_verify13");
    e.len = from_hex("0f0000070000"
                     "0003736967",
                     e.msg, sizeof(e.msg));
    for (uint32_t scheme = 0; scheme <= 0xffff; scheme++)
        for (size_t key = 0; key < COUNT(keys); key++) {
            int want = FLOW__ALERT_ILLEGAL_PARAMETER;

            for (size_t i = 0; i < COUNT(schemes); i++)
                if (schemes[i].scheme == scheme && schemes[i].key == key)
                    want = FLOW__ALERT_NONE;
            e.msg[4] = (uint8_t)(scheme >> 8);
            e.msg[5] = (uint8_t)scheme;
            e.facts.peer_key = (enum flow__key_type)key;
            if (answer(&e, e.msg, e.len) != want)
                fail_msg("scheme %04x with a key of %s", scheme, keys[key]);
        }
}

/* A scheme that our ClientHello does not offer is refused even if it fits the
 * key. */
static void
a_scheme_that_was_not_offered_is_refused(void **state)
{
    static const uint8_t only[] = { 0x04, 0x03 };
    struct example e;

    (void)state;
    init_facts(&e);
    e.offer.sigalgs.base = only;
    e.offer.sigalgs.len = sizeof(only);
    e.check = find_check("certificate_verify13");
    e.facts.peer_key = FLOW__KEY_RSA;
    e.len = from_hex("0f0000070804"
                     "0003736967",
                     e.msg, sizeof(e.msg));
    assert_int_equal(answer(&e, e.msg, e.len), FLOW__ALERT_ILLEGAL_PARAMETER);
    e.facts.peer_key = FLOW__KEY_P256;
    e.msg[4] = 0x04;
    e.msg[5] = 0x03;
    assert_int_equal(answer(&e, e.msg, e.len), FLOW__ALERT_NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_pass_or_get_their_alert),
        cmocka_unit_test(cut_messages_are_malformed),
        cmocka_unit_test(a_byte_more_is_malformed),
        cmocka_unit_test(a_scheme_of_tls13_fits_one_kind_of_key),
        cmocka_unit_test(a_scheme_that_was_not_offered_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
