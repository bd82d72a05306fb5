/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include "tls/hello.h"

/* Messages recorded from real clients and servers, and those of RFC 8448. */
static const struct {
    const char *file;
    const char *sni; /* NULL: absent */
    const char *alpn;
    uint16_t max_version;
    unsigned suites;
    unsigned extensions;
    bool x25519_share;
    bool psk, early_data, ems, ticket, fallback, cookie;
    uint16_t record_size_limit;
} clients[] = {
    { "curl-default.bin", "www.example.org", "h2,http/1.1", 0x0304, 31, 12,
      true, false, false, true, false, false, false, 0 },
    { "curl-ip.bin", NULL, "h2,http/1.1", 0x0304, 31, 11, true, false, false,
      true, false, false, false, 0 },
    { "gnutls-default.bin", "www.example.org", "", 0x0304, 29, 13, true, false,
      false, true, true, false, false, 16385 },
    { "gnutls-tls12.bin", NULL, "h2", 0x0303, 25, 10, false, false, false, true,
      true, false, false, 16384 },
    { "openssl-both.bin", "www.example.org", "", 0x0304, 31, 10, true, false,
      false, true, true, false, false, 0 },
    { "openssl-early.bin", "www.example.org", "", 0x0304, 31, 12, true, true,
      true, true, true, false, false, 0 },
    { "openssl-fallback.bin", "a.test", "", 0x0303, 29, 7, false, false, false,
      true, true, true, false, 0 },
    { "openssl-noname.bin", NULL, "", 0x0304, 31, 9, true, false, false, true,
      true, false, false, 0 },
    { "openssl-psk.bin", "www.example.org", "", 0x0304, 31, 11, true, true,
      false, true, true, false, false, 0 },
    { "openssl-tls12.bin", "www.example.org", "", 0x0303, 28, 7, false, false,
      false, true, true, false, false, 0 },
    { "openssl-tls13.bin", "www.example.org", "h2,http/1.1", 0x0304, 4, 11,
      true, false, false, true, true, false, false, 0 },
    { "openssl-tls13-2.bin", "www.example.org", "h2,http/1.1", 0x0304, 4, 12,
      false, false, false, true, true, false, true, 0 },
    { "rfc8448-simple-1rtt-client.bin", "server", "", 0x0304, 3, 9, true, false,
      false, false, true, false, false, 16385 },
    { "rfc8448-resumed-0rtt-client.bin", "server", "", 0x0304, 3, 11, true,
      true, true, false, false, false, false, 16385 },
    { "rfc8448-hello-retry-client-1.bin", "server", "", 0x0304, 3, 8, true,
      false, false, false, false, false, false, 16385 },
    { "rfc8448-hello-retry-client.bin", "server", "", 0x0304, 3, 10, false,
      false, false, false, false, false, true, 16385 },
    { "rfc8448-client-authentication-client.bin", "server", "", 0x0304, 3, 8,
      true, false, false, false, false, false, false, 16385 },
    { "rfc8448-compatibility-client.bin", "server", "", 0x0304, 3, 8, true,
      false, false, false, false, false, false, 16385 },
};

static const struct {
    const char *file;
    uint16_t version;
    uint16_t suite;
    uint16_t group;
    const char *alpn;
    bool retry, cookie, psk, ems, ticket;
    size_t session_id_len;
} servers[] = {
    { "server-hrr.bin", 0x0304, 0x1302, 0x18, "", true, true, false, false,
      false, 32 },
    { "server-hrr-openssl.bin", 0x0304, 0x1302, 0x18, "", true, false, false,
      false, false, 32 },
    { "server-tls12.bin", 0x0303, 0xc02c, 0, "", false, false, false, true,
      true, 0 },
    { "server-tls12-alpn.bin", 0x0303, 0xc02c, 0, "h2", false, false, false,
      true, true, 0 },
    { "server-tls12-session-id.bin", 0x0303, 0xc02c, 0, "", false, false, false,
      true, false, 32 },
    { "server-tls13.bin", 0x0304, 0x1302, 0x1d, "", false, false, false, false,
      false, 32 },
    { "rfc8448-simple-1rtt-server.bin", 0x0304, 0x1301, 0x1d, "", false, false,
      false, false, false, 0 },
    { "rfc8448-resumed-0rtt-server.bin", 0x0304, 0x1301, 0x1d, "", false, false,
      true, false, false, 0 },
    { "rfc8448-hello-retry-retry.bin", 0x0304, 0x1301, 0x17, "", true, true,
      false, false, false, 0 },
    { "rfc8448-hello-retry-server.bin", 0x0304, 0x1301, 0x17, "", false, false,
      false, false, false, 0 },
    { "rfc8448-client-authentication-server.bin", 0x0304, 0x1301, 0x1d, "",
      false, false, false, false, false, 0 },
    { "rfc8448-compatibility-server.bin", 0x0304, 0x1301, 0x1d, "", false,
      false, false, false, false, 32 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t *
load(const char *file, size_t *ret_len)
{
    const char *dir = getenv("FLOW_TEST_CORPUS");
    char path[512];

    assert_non_null(dir);
    assert_true(snprintf(path, sizeof(path), "%s/hello", dir) <
                (int)sizeof(path));
    return load_file(path, file, ret_len);
}

static unsigned
count_extensions(struct flow__span list)
{
    struct flow__span body;
    uint16_t type;
    unsigned count = 0;

    while (flow__hello_next_extension(&list, &type, &body))
        count++;
    assert_int_equal(list.len, 0);
    return count;
}

/* The names of an ALPN list, separated by commas. */
static void
join_alpn(struct flow__span list, char *out, size_t cap)
{
    struct flow__span name;
    size_t used = 0;

    out[0] = '\0';
    while (flow__hello_next_alpn(&list, &name)) {
        assert_true(used + name.len + 2 < cap);
        if (used > 0)
            out[used++] = ',';
        memcpy(out + used, name.base, name.len);
        used += name.len;
        out[used] = '\0';
    }
    assert_int_equal(list.len, 0);
}

static void
real_client_hellos_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(clients); i++) {
        struct flow__client_hello h;
        struct flow__fault fault;
        char alpn[64];
        size_t len;
        uint8_t *msg = load(clients[i].file, &len);

        if (flow__hello_parse_client(msg, len, &h, &fault) != FLOW_OK)
            fail_msg("%s: %s", clients[i].file, fault.text);
        assert_int_equal(h.legacy_version, 0x0303);
        assert_int_equal(h.max_version, clients[i].max_version);
        assert_int_equal(h.random.len, 32);
        assert_int_equal(h.suites.len, 2 * clients[i].suites);
        assert_int_equal(count_extensions(h.extensions), clients[i].extensions);
        if (clients[i].sni == NULL) {
            assert_int_equal(h.sni_state, FLOW__SNI_ABSENT);
        } else {
            assert_int_equal(h.sni_state, FLOW__SNI_NAME);
            assert_string_equal(h.sni.dns, clients[i].sni);
        }
        join_alpn(h.alpn, alpn, sizeof(alpn));
        assert_string_equal(alpn, clients[i].alpn);
        assert_int_equal(flow__hello_has_key_share(&h, 0x001d),
                         clients[i].x25519_share);
        assert_false(flow__hello_has_key_share(&h, 0x0100));
        assert_true(flow__span_has_u16(h.sigalgs, 0x0403));
        assert_false(flow__span_has_u16(h.sigalgs, 0xffff));
        assert_true(flow__span_has_u16(h.groups, 0x0017));
        assert_int_equal(h.psk, clients[i].psk);
        assert_int_equal(h.early_data, clients[i].early_data);
        assert_int_equal(h.extended_master_secret, clients[i].ems);
        assert_int_equal(h.session_ticket, clients[i].ticket);
        assert_int_equal(h.fallback_scsv, clients[i].fallback);
        assert_int_equal(h.cookie.base != NULL, clients[i].cookie);
        assert_int_equal(h.record_size_limit, clients[i].record_size_limit);
        free(msg);
    }
}

static void
real_server_hellos_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(servers); i++) {
        struct flow__server_hello h;
        struct flow__fault fault;
        char alpn[64];
        size_t len;
        uint8_t *msg = load(servers[i].file, &len);

        if (flow__hello_parse_server(msg, len, &h, &fault) != FLOW_OK)
            fail_msg("%s: %s", servers[i].file, fault.text);
        assert_int_equal(h.version, servers[i].version);
        assert_int_equal(h.suite, servers[i].suite);
        assert_int_equal(h.group, servers[i].group);
        assert_int_equal(h.retry, servers[i].retry);
        assert_int_equal(h.cookie.base != NULL, servers[i].cookie);
        assert_int_equal(h.psk, servers[i].psk);
        assert_int_equal(h.extended_master_secret, servers[i].ems);
        assert_int_equal(h.session_ticket, servers[i].ticket);
        assert_int_equal(h.session_id.len, servers[i].session_id_len);
        join_alpn(h.alpn, alpn, sizeof(alpn));
        assert_string_equal(alpn, servers[i].alpn);
        free(msg);
    }
}

/* Run both parsers on memory that ends with the message; their answers. */
static void
parse_both(const uint8_t *msg, size_t len, enum flow_status st[2],
           struct flow__fault fault[2])
{
    uint8_t *copy = exact_copy(msg, len);
    struct flow__client_hello c;
    struct flow__server_hello s;

    fault[0].text = fault[1].text = NULL;
    st[0] = flow__hello_parse_client(copy, len, &c, &fault[0]);
    st[1] = flow__hello_parse_server(copy, len, &s, &fault[1]);
    for (int i = 0; i < 2; i++) {
        if (st[i] == FLOW_OK)
            continue;
        assert_int_equal(st[i], FLOW_E_PROTO);
        assert_non_null(fault[i].text);
        assert_true(
            fault[i].alert == FLOW__ALERT_DECODE_ERROR ||
            fault[i].alert == FLOW__ALERT_ILLEGAL_PARAMETER ||
            (i == 1 && fault[i].alert == FLOW__ALERT_PROTOCOL_VERSION) ||
            fault[i].alert == FLOW__ALERT_UNEXPECTED_MESSAGE);
    }
    free(copy);
}

static void
set_message_length(uint8_t *msg, size_t len)
{
    msg[1] = (uint8_t)((len - 4) >> 16);
    msg[2] = (uint8_t)((len - 4) >> 8);
    msg[3] = (uint8_t)(len - 4);
}

static const char *
file_at(size_t i)
{
    return i < COUNT(clients) ? clients[i].file
                              : servers[i - COUNT(clients)].file;
}

static void
every_truncation_is_refused(void **state)
{
    enum flow_status st[2];
    struct flow__fault fault[2];

    (void)state;
    for (size_t i = 0; i < COUNT(clients) + COUNT(servers); i++) {
        const int which = i < COUNT(clients) ? 0 : 1;
        size_t len;
        uint8_t *msg = load(file_at(i), &len);

        for (size_t cut = 0; cut < len; cut++) {
            parse_both(msg, cut, st, fault);
            assert_int_equal(st[which], FLOW_E_PROTO);
            assert_int_equal(fault[which].alert, FLOW__ALERT_DECODE_ERROR);
        }
        /* Also with the length in the header corrected: a hello without
         * extensions is complete in older versions, every other truncated one
         * is not. */
        for (size_t cut = 4; cut < len; cut++) {
            const size_t sid = which == 0 ? 38u + 1 + msg[38] : 0;
            const size_t bare =
                which == 0
                    ? sid + 2 + ((size_t)msg[sid] << 8 | msg[sid + 1]) + 2
                    : 38u + 1 + msg[38] + 3;

            set_message_length(msg, cut);
            parse_both(msg, cut, st, fault);
            assert_int_equal(st[which], cut == bare ? FLOW_OK : FLOW_E_PROTO);
            if (cut != bare)
                assert_int_equal(fault[which].alert, FLOW__ALERT_DECODE_ERROR);
        }
        set_message_length(msg, len);
        parse_both(msg, len, st, fault);
        assert_int_equal(st[which], FLOW_OK);
        assert_int_equal(st[1 - which], FLOW_E_PROTO);
        assert_int_equal(fault[1 - which].alert,
                         FLOW__ALERT_UNEXPECTED_MESSAGE);
        free(msg);
    }
}

static void
mutations_get_a_definite_answer(void **state)
{
    uint64_t seed = 0x5eed;
    enum flow_status st[2];
    struct flow__fault fault[2];
    int accepted = 0;
    int refused = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(clients) + COUNT(servers); i++) {
        size_t len;
        uint8_t *msg = load(file_at(i), &len);
        uint8_t *copy = malloc(len);

        assert_non_null(copy);
        for (int round = 0; round < 1000; round++) {
            size_t end = len;

            memcpy(copy, msg, len);
            for (uint32_t n = 1 + next_random(&seed) % 4; n > 0; n--)
                copy[next_random(&seed) % len] = (uint8_t)next_random(&seed);
            if (next_random(&seed) % 4 == 0)
                end = 4 + next_random(&seed) % (len - 4);
            set_message_length(copy, end);
            parse_both(copy, end, st, fault);
            accepted += (st[0] == FLOW_OK) + (st[1] == FLOW_OK);
            refused += (st[0] != FLOW_OK) + (st[1] != FLOW_OK);
        }
        free(copy);
        free(msg);
    }
    /* The corpus has messages of both kinds, or its directory was not read. */
    assert_true(accepted > 1000 && refused > 1000);
}

/* A ClientHello under construction. */
struct builder {
    uint8_t msg[70000];
    size_t len;
    size_t extensions; /* where the length of the extensions stands */
};

static void
add(struct builder *b, const char *hex)
{
    b->len += from_hex(hex, b->msg + b->len, sizeof(b->msg) - b->len);
}

static void
begin(struct builder *b, const char *suites, const char *compression)
{
    b->len = 0;
    add(b, "010000000303");
    for (int i = 0; i < 32; i++)
        add(b, "aa");
    add(b, "00");
    add(b, suites);
    add(b, compression);
    b->extensions = b->len;
    add(b, "0000");
}

static void
extension(struct builder *b, uint16_t type, const char *body)
{
    const size_t at = b->len;

    add(b, "00000000");
    add(b, body);
    b->msg[at] = (uint8_t)(type >> 8);
    b->msg[at + 1] = (uint8_t)type;
    b->msg[at + 2] = (uint8_t)((b->len - at - 4) >> 8);
    b->msg[at + 3] = (uint8_t)(b->len - at - 4);
}

static enum flow_status
finish(struct builder *b, struct flow__client_hello *h,
       struct flow__fault *fault)
{
    const size_t len = b->len - b->extensions - 2;

    b->msg[b->extensions] = (uint8_t)(len >> 8);
    b->msg[b->extensions + 1] = (uint8_t)len;
    set_message_length(b->msg, b->len);
    fault->alert = FLOW__ALERT_NONE;
    return flow__hello_parse_client(b->msg, b->len, h, fault);
}

static void
malformed_extensions_get_their_alert(void **state)
{
    static const struct {
        uint16_t type;
        const char *body;
        enum flow__alert alert; /* NONE: accepted */
    } table[] = {
        { 0, "", FLOW__ALERT_DECODE_ERROR },
        { 0, "0000", FLOW__ALERT_DECODE_ERROR },
        { 0, "0003000000", FLOW__ALERT_DECODE_ERROR },
        { 0, "000400000161", FLOW__ALERT_NONE },
        { 0, "00040000016100", FLOW__ALERT_DECODE_ERROR },
        { 0, "000400000261", FLOW__ALERT_DECODE_ERROR },
        { 1, "01", FLOW__ALERT_NONE },
        { 1, "", FLOW__ALERT_DECODE_ERROR },
        { 1, "0101", FLOW__ALERT_DECODE_ERROR },
        { 10, "0000", FLOW__ALERT_DECODE_ERROR },
        { 10, "0003001d00", FLOW__ALERT_DECODE_ERROR },
        { 10, "0002001d", FLOW__ALERT_NONE },
        { 13, "0000", FLOW__ALERT_DECODE_ERROR },
        { 13, "00020403", FLOW__ALERT_NONE },
        { 16, "0000", FLOW__ALERT_DECODE_ERROR },
        { 16, "000100", FLOW__ALERT_DECODE_ERROR },
        { 16, "0003026832", FLOW__ALERT_NONE },
        { 16, "0003036832", FLOW__ALERT_DECODE_ERROR },
        { 16, "000402683200", FLOW__ALERT_DECODE_ERROR },
        { 23, "", FLOW__ALERT_NONE },
        { 23, "00", FLOW__ALERT_DECODE_ERROR },
        { 28, "4001", FLOW__ALERT_NONE },
        { 28, "40", FLOW__ALERT_DECODE_ERROR },
        { 35, "", FLOW__ALERT_NONE },
        { 35, "0123456789", FLOW__ALERT_NONE },
        { 41, "00010100022021", FLOW__ALERT_NONE },
        { 41, "00000002aabb", FLOW__ALERT_DECODE_ERROR },
        { 41, "0002aabb0000", FLOW__ALERT_DECODE_ERROR },
        { 42, "", FLOW__ALERT_NONE },
        { 42, "00000000", FLOW__ALERT_DECODE_ERROR },
        { 43, "00", FLOW__ALERT_DECODE_ERROR },
        { 43, "03030403", FLOW__ALERT_DECODE_ERROR },
        { 43, "020304", FLOW__ALERT_NONE },
        { 44, "0000", FLOW__ALERT_DECODE_ERROR },
        { 44, "0001aa", FLOW__ALERT_NONE },
        { 50, "00020403", FLOW__ALERT_NONE },
        { 50, "0001", FLOW__ALERT_DECODE_ERROR },
        { 51, "0000", FLOW__ALERT_NONE },
        { 51, "0005001d0001aa", FLOW__ALERT_NONE },
        { 51, "0004001d0000", FLOW__ALERT_DECODE_ERROR },
        { 51, "0005001d0002aa", FLOW__ALERT_DECODE_ERROR },
        { 0xff01, "00", FLOW__ALERT_NONE },
        { 0xff01, "", FLOW__ALERT_DECODE_ERROR },
        { 0x1a1a, "cafe", FLOW__ALERT_NONE },
    };
    static struct builder b;
    struct flow__client_hello h;
    struct flow__fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        begin(&b, "00021301", "0100");
        extension(&b, table[i].type, table[i].body);
        enum flow_status st = finish(&b, &h, &fault);
        if ((st == FLOW_OK) != (table[i].alert == FLOW__ALERT_NONE) ||
            fault.alert != table[i].alert)
            fail_msg("extension %u with %s: alert %d", table[i].type,
                     table[i].body, (int)fault.alert);
        /* A repeated extension is refused, whatever its content. */
        extension(&b, 0x2a2a, "");
        extension(&b, table[i].type, table[i].body);
        if (table[i].alert == FLOW__ALERT_NONE) {
            assert_int_equal(finish(&b, &h, &fault), FLOW_E_PROTO);
            assert_int_equal(fault.alert, FLOW__ALERT_ILLEGAL_PARAMETER);
        }
    }
}

static void
fixed_fields_get_their_alert(void **state)
{
    static const struct {
        const char *suites;
        const char *compression;
        enum flow__alert alert;
    } table[] = {
        { "00021301", "0100", FLOW__ALERT_NONE },
        { "00021301", "020100", FLOW__ALERT_NONE },
        { "0000", "0100", FLOW__ALERT_DECODE_ERROR },
        { "0003130113", "0100", FLOW__ALERT_DECODE_ERROR },
        { "00021301", "00", FLOW__ALERT_DECODE_ERROR },
        { "00021301", "0101", FLOW__ALERT_ILLEGAL_PARAMETER },
    };
    static struct builder b;
    struct flow__client_hello h;
    struct flow__fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        begin(&b, table[i].suites, table[i].compression);
        enum flow_status st = finish(&b, &h, &fault);
        assert_int_equal(st == FLOW_OK, table[i].alert == FLOW__ALERT_NONE);
        assert_int_equal(fault.alert, table[i].alert);
    }
    /* A session id of 33 bytes, in a message that has room for it. */
    begin(&b, "00021301", "0100");
    b.msg[38] = 33;
    for (int i = 0; i < 40; i++)
        add(&b, "00");
    assert_int_equal(finish(&b, &h, &fault), FLOW_E_PROTO);
    assert_int_equal(fault.alert, FLOW__ALERT_DECODE_ERROR);
    /* Bytes after the extensions. */
    begin(&b, "00021301", "0100");
    finish(&b, &h, &fault);
    add(&b, "00");
    set_message_length(b.msg, b.len);
    assert_int_equal(flow__hello_parse_client(b.msg, b.len, &h, &fault),
                     FLOW_E_PROTO);
    assert_int_equal(fault.alert, FLOW__ALERT_DECODE_ERROR);
    /* pre_shared_key before another extension. */
    begin(&b, "00021301", "0100");
    extension(&b, 41, "00010100022021");
    extension(&b, 23, "");
    assert_int_equal(finish(&b, &h, &fault), FLOW_E_PROTO);
    assert_int_equal(fault.alert, FLOW__ALERT_ILLEGAL_PARAMETER);
}

static void
the_number_of_extensions_is_bounded(void **state)
{
    static struct builder b;
    struct flow__client_hello h;
    struct flow__fault fault;

    (void)state;
    begin(&b, "00021301", "0100");
    for (unsigned i = 0; i < FLOW__EXTENSIONS_MAX; i++)
        extension(&b, (uint16_t)(0x4000 + i), "");
    assert_int_equal(finish(&b, &h, &fault), FLOW_OK);
    assert_int_equal(count_extensions(h.extensions), FLOW__EXTENSIONS_MAX);
    extension(&b, 0x5000, "");
    assert_int_equal(finish(&b, &h, &fault), FLOW_E_PROTO);
    assert_int_equal(fault.alert, FLOW__ALERT_DECODE_ERROR);
    /* The largest number of extensions that a message can hold. */
    for (unsigned i = 0; i < 16000; i++)
        extension(&b, (uint16_t)(0x5001 + i), "");
    assert_int_equal(finish(&b, &h, &fault), FLOW_E_PROTO);
    assert_int_equal(fault.alert, FLOW__ALERT_DECODE_ERROR);
}

static void
versions_and_signals_are_read(void **state)
{
    static const struct {
        const char *versions; /* NULL: no extension */
        uint16_t legacy;
        uint16_t max;
    } table[] = {
        { NULL, 0x0303, 0x0303 },         { NULL, 0x0301, 0x0301 },
        { NULL, 0x0304, 0x0303 },         { NULL, 0xfefd, 0x0303 },
        { "020303", 0x0303, 0x0303 },     { "020304", 0x0303, 0x0304 },
        { "0403030304", 0x0303, 0x0304 }, { "067a7a03030304", 0x0303, 0x0304 },
        { "027a7a", 0x0303, 0 },          { "020305", 0x0303, 0 },
        { "020302", 0x0303, 0x0302 },
    };
    static struct builder b;
    struct flow__client_hello h;
    struct flow__fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        begin(&b, "00021301", "0100");
        b.msg[4] = (uint8_t)(table[i].legacy >> 8);
        b.msg[5] = (uint8_t)table[i].legacy;
        if (table[i].versions != NULL)
            extension(&b, 43, table[i].versions);
        assert_int_equal(finish(&b, &h, &fault), FLOW_OK);
        assert_int_equal(h.legacy_version, table[i].legacy);
        assert_int_equal(h.max_version, table[i].max);
        assert_false(h.fallback_scsv);
    }
    begin(&b, "0006130100ff5600", "0100");
    assert_int_equal(finish(&b, &h, &fault), FLOW_OK);
    assert_true(h.fallback_scsv);
    /* Two bytes that straddle two suites match neither. */
    begin(&b, "0006135600000012", "0100");
    assert_int_equal(finish(&b, &h, &fault), FLOW_OK);
    assert_false(h.fallback_scsv);
}

/* A server_name extension with these entries. */
static enum flow_status
parse_sni(const char *const *names, const uint8_t *types, size_t count,
          struct flow__client_hello *h, struct flow__fault *fault)
{
    static struct builder b;
    char body[2048];
    size_t at = 4;
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(names[i]);

        at += (size_t)sprintf(body + at, "%02x%04zx", types[i], len);
        for (size_t c = 0; c < len; c++)
            at += (size_t)sprintf(body + at, "%02x", (uint8_t)names[i][c]);
        total += 3 + len;
    }
    char size[5];
    sprintf(size, "%04x", (uint16_t)total);
    memcpy(body, size, 4);
    begin(&b, "00021301", "0100");
    extension(&b, 0, body);
    return finish(&b, h, fault);
}

static void
server_names_have_four_states(void **state)
{
    static const struct {
        const char *name;
        enum flow__sni_state state;
        const char *dns;
    } table[] = {
        { "example.org", FLOW__SNI_NAME, "example.org" },
        { "EXAMPLE.org.", FLOW__SNI_NAME, "example.org" },
        { "a", FLOW__SNI_NAME, "a" },
        { "127.0.0.1", FLOW__SNI_IP_LITERAL, "" },
        { "1.2", FLOW__SNI_IP_LITERAL, "" },
        { "::1", FLOW__SNI_IP_LITERAL, "" },
        { "host:443", FLOW__SNI_IP_LITERAL, "" },
        { ".", FLOW__SNI_INVALID, "" },
        { "..", FLOW__SNI_INVALID, "" },
        { "a..b", FLOW__SNI_INVALID, "" },
        { "*.example.org", FLOW__SNI_INVALID, "" },
        { "a b", FLOW__SNI_INVALID, "" },
        { "b\xc3\xbc"
          "cher.example",
          FLOW__SNI_INVALID, "" },
        { "a:\x01", FLOW__SNI_INVALID, "" },
    };
    static const uint8_t host[2] = { 0, 0 };
    static const uint8_t other[1] = { 1 };
    static const char *const two[] = { "a.test", "a.test" };
    struct flow__client_hello h;
    struct flow__fault fault;
    char long_name[300];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(parse_sni(&table[i].name, host, 1, &h, &fault),
                         FLOW_OK);
        if (h.sni_state != table[i].state)
            fail_msg("%s is in state %d", table[i].name, (int)h.sni_state);
        assert_string_equal(h.sni.dns, table[i].dns);
    }
    assert_int_equal(parse_sni(two, host, 2, &h, &fault), FLOW_OK);
    assert_int_equal(h.sni_state, FLOW__SNI_INVALID);
    assert_int_equal(parse_sni(two, other, 1, &h, &fault), FLOW_OK);
    assert_int_equal(h.sni_state, FLOW__SNI_INVALID);
    for (size_t len = 200; len < sizeof(long_name); len++) {
        const char *name = long_name;

        memset(long_name, 'a', len);
        for (size_t i = 50; i < len - 1; i += 51)
            long_name[i] = '.';
        long_name[len] = '\0';
        assert_int_equal(parse_sni(&name, host, 1, &h, &fault), FLOW_OK);
        assert_int_equal(h.sni_state,
                         len <= 253 ? FLOW__SNI_NAME : FLOW__SNI_INVALID);
        if (len == 290)
            break;
    }
}

static void
server_hellos_get_their_alert(void **state)
{
    static const char head[] =
        "020000000303"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "00";
    static const struct {
        const char *rest;
        enum flow__alert alert;
    } table[] = {
        { "130100", FLOW__ALERT_NONE },
        { "1301000000", FLOW__ALERT_NONE },
        { "130101", FLOW__ALERT_ILLEGAL_PARAMETER },
        { "1301000006002b00020304", FLOW__ALERT_NONE },
        { "1301000006002b00020303", FLOW__ALERT_ILLEGAL_PARAMETER },
        { "1301000005002b000103", FLOW__ALERT_DECODE_ERROR },
        { "130100000c002b00020304002b00020304", FLOW__ALERT_ILLEGAL_PARAMETER },
        { "13010000060033000200ff", FLOW__ALERT_DECODE_ERROR },
        { "130100000900330005001d0001aa", FLOW__ALERT_NONE },
        { "130100000500170001aa", FLOW__ALERT_DECODE_ERROR },
        { "1301000007001000030001aa", FLOW__ALERT_DECODE_ERROR },
        { "1301000008001000040002016a", FLOW__ALERT_NONE },
        { "130100000a0010000600040161016a", FLOW__ALERT_DECODE_ERROR },
        { "1301000005", FLOW__ALERT_DECODE_ERROR },
        { "1301", FLOW__ALERT_DECODE_ERROR },
        /* RFC 6066 3, RFC 8422 5.1.2 */
        { "130100000400000000", FLOW__ALERT_NONE },
        { "13010000050000000100", FLOW__ALERT_DECODE_ERROR },
        { "1301000006000b00020100", FLOW__ALERT_NONE },
        { "1301000005000b000100", FLOW__ALERT_DECODE_ERROR },
        { "1301000006000b00020200", FLOW__ALERT_DECODE_ERROR },
    };
    struct flow__server_hello h;
    struct flow__fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        uint8_t msg[128];
        size_t len = from_hex(head, msg, sizeof(msg));

        len += from_hex(table[i].rest, msg + len, sizeof(msg) - len);
        set_message_length(msg, len);
        fault.alert = FLOW__ALERT_NONE;
        enum flow_status st = flow__hello_parse_server(msg, len, &h, &fault);
        if ((st == FLOW_OK) != (table[i].alert == FLOW__ALERT_NONE) ||
            fault.alert != table[i].alert)
            fail_msg("%s: alert %d", table[i].rest, (int)fault.alert);
    }
}

/* RFC 8446 4.1.3, 4.2.1: supported_versions selects TLS 1.3, legacy_version the
 * older ones, and neither replaces the other. */
static void
a_server_names_its_version_in_one_place(void **state)
{
    static const struct {
        const char *legacy;
        const char *rest;
        enum flow__alert alert;
        uint16_t version;
    } table[] = {
        { "0303", "1301000006002b00020304", FLOW__ALERT_NONE, 0x0304 },
        { "0303", "c02f00", FLOW__ALERT_NONE, 0x0303 },
        { "0302", "c02f00", FLOW__ALERT_NONE, 0x0302 },
        { "0304", "130100", FLOW__ALERT_PROTOCOL_VERSION, 0 },
        { "0305", "130100", FLOW__ALERT_PROTOCOL_VERSION, 0 },
        { "ffff", "130100", FLOW__ALERT_PROTOCOL_VERSION, 0 },
        { "0304", "1301000006002b00020304", FLOW__ALERT_ILLEGAL_PARAMETER, 0 },
        { "0302", "1301000006002b00020304", FLOW__ALERT_ILLEGAL_PARAMETER, 0 },
    };
    struct flow__server_hello h;
    struct flow__fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        uint8_t msg[128];
        size_t len = from_hex("02000000", msg, sizeof(msg));

        len += from_hex(table[i].legacy, msg + len, sizeof(msg) - len);
        len += from_hex(
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            "00",
            msg + len, sizeof(msg) - len);
        len += from_hex(table[i].rest, msg + len, sizeof(msg) - len);
        set_message_length(msg, len);
        fault.alert = FLOW__ALERT_NONE;
        if (flow__hello_parse_server(msg, len, &h, &fault) == FLOW_OK)
            assert_int_equal(h.version, table[i].version);
        assert_int_equal(fault.alert, table[i].alert);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_client_hellos_are_understood),
        cmocka_unit_test(real_server_hellos_are_understood),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(mutations_get_a_definite_answer),
        cmocka_unit_test(malformed_extensions_get_their_alert),
        cmocka_unit_test(fixed_fields_get_their_alert),
        cmocka_unit_test(the_number_of_extensions_is_bounded),
        cmocka_unit_test(versions_and_signals_are_read),
        cmocka_unit_test(server_names_have_four_states),
        cmocka_unit_test(server_hellos_get_their_alert),
        cmocka_unit_test(a_server_names_its_version_in_one_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
