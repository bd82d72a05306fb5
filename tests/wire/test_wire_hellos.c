/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/ssl.h>

#include "lie.h"
#include "test.h"

/* False values in hellos, HelloRetryRequests and EncryptedExtensions. */

/* --- ServerHello and HelloRetryRequest --- */

/* Offsets in a ServerHello: its suite; the compression method follows it. */
static uint8_t *
suite_of(struct evil_record *r)
{
    return r->content + 4 + 2 + 32 + 1 + r->content[38];
}

static void
suite_not_offered(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        suite_of(r)[1] = 0x05;
}

static void
suite_of_the_other_version(struct evil *e, struct evil_record *r)
{
    if (is_message(r, SERVER_HELLO)) {
        suite_of(r)[0] = e->tls12 ? 0x13 : 0xc0;
        suite_of(r)[1] = e->tls12 ? 0x01 : 0x2b;
    }
}

static void
session_id_of_another(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[39] ^= 1;
}

static void
compression_chosen(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        suite_of(r)[2] = 1;
}

static void
version_of_the_future(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[extension(r, 43) + 5] = 5;
}

static void
version_12_by_extension(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[extension(r, 43) + 5] = 3;
}

static void
version_not_named(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        remove_extension(r, 43);
}

static void
version_11(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        r->content[5] = 2;
}

/* RFC 8446 4.1.3: the value that a server of TLS 1.3 writes when it selects
 * 1.2. */
static void
downgrade(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        memcpy(r->content + 4 + 2 + 24, "DOWNGRD\1", 8);
}

static void
share_missing(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        remove_extension(r, 51);
}

static void
hello_with_unknown(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 0x4242, "", 0);
}

static void
hello_with_alpn(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 16, "\0\3\2h2", 5);
}

static void
hello_with_psk(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 41, "\0\0", 2);
}

static void
hello_with_repeat(struct evil *e, struct evil_record *r)
{
    uint16_t type = e->tls12 ? 23 : 43;

    if (is_message(r, SERVER_HELLO))
        put_extension(r, type, "\3\4", e->tls12 ? 0 : 2);
}

static void
hello_cut(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO) || is_message(r, CLIENT_HELLO))
        resize(r, r->len - 1, -1);
}

/* RFC 5746 3.4 */
static void
renegotiation_not_empty(struct evil *e, struct evil_record *r)
{
    size_t at;

    (void)e;
    if (!is_message(r, SERVER_HELLO) || (at = extension(r, 0xff01)) == 0)
        return;
    add(extensions_len(r), 1);
    r->content[at + 3] = 2;
    r->content[at + 4] = 1;
    resize(r, at + 5, 1);
}

static void
extensions_13(struct evil *e, struct evil_record *r, uint16_t type,
              const void *data, size_t len)
{
    uint8_t *p = r->content + 4;

    (void)e;
    if (!is_message(r, ENCRYPTED_EXTENSIONS))
        return;
    add(p, (int)len + 4);
    resize(r, 6, (int)len + 4);
    p[2] = (uint8_t)(type >> 8);
    p[3] = (uint8_t)type;
    p[4] = (uint8_t)(len >> 8);
    p[5] = (uint8_t)len;
    memcpy(p + 6, data, len);
}

static void
encrypted_alpn(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 16, "\0\3\2h2", 5);
}

static void
encrypted_unknown(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 0x4242, "", 0);
}

static void
encrypted_share(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 51, "\0\x1d", 2);
}

static void
encrypted_early_data(struct evil *e, struct evil_record *r)
{
    extensions_13(e, r, 42, "", 0);
}

static void
encrypted_cut(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, ENCRYPTED_EXTENSIONS))
        resize(r, 5, -1);
}

/* A HelloRetryRequest is the first of two ServerHellos. */
static bool
is_retry(struct evil *e, const struct evil_record *r)
{
    return is_message(r, SERVER_HELLO) && e->step++ == 0;
}

static void
retry_same_group(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        memcpy(r->content + extension(r, 51) + 4, "\0\x1d", 2);
}

static void
retry_group_not_offered(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        memcpy(r->content + extension(r, 51) + 4, "\0\x19", 2);
}

static void
retry_for_nothing(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        remove_extension(r, 51);
}

/* RFC 8446 4.2.2 requires us to return it, which the engine cannot do. */
static void
retry_with_cookie(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        put_extension(r, 44, "\0\7cookies", 9);
}

static void
retry_twice(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r)) {
        evil_pass(e, r);
        evil_plain(e, 22, r->content, r->len);
    }
}

static void
retry_other_suite(struct evil *e, struct evil_record *r)
{
    if (is_retry(e, r))
        suite_of(r)[1] = 0x03;
}

static void
hello_other_group_than_retry(struct evil *e, struct evil_record *r)
{
    if (is_message(r, SERVER_HELLO) && e->step++ == 1)
        memcpy(r->content + extension(r, 51) + 4, "\0\x1d", 2);
}

static void
false_server_hellos_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "suite not offered", false, 0x0304, suite_not_offered, 47, PLAIN,
          NULL },
        { "suite of TLS 1.2", false, 0x0304, suite_of_the_other_version, 47,
          PLAIN, NULL },
        { "suite of TLS 1.3", false, 0x0303, suite_of_the_other_version, 47,
          PLAIN, NULL },
        { "another session", false, 0x0304, session_id_of_another, 47, PLAIN,
          NULL },
        { "compression", false, 0x0304, compression_chosen, 47, PLAIN, NULL },
        { "compression", false, 0x0303, compression_chosen, 47, PLAIN, NULL },
        { "version not offered", false, 0x0304, version_of_the_future, 47,
          PLAIN, NULL },
        { "TLS 1.2 by the extension", false, 0x0304, version_12_by_extension,
          47, PLAIN, NULL },
        { "TLS 1.2", false, 0x0304, version_not_named, 70, PLAIN, NULL },
        { "TLS 1.1", false, 0x0303, version_11, 70, PLAIN, NULL },
        { "downgrade", false, 0x0303, downgrade, 47, PLAIN,
          with_both_versions },
        { "no key share", false, 0x0304, share_missing, 109, PLAIN, NULL },
        { "extension not offered", false, 0x0304, hello_with_unknown, 110,
          PLAIN, NULL },
        { "extension not offered", false, 0x0303, hello_with_unknown, 110,
          PLAIN, NULL },
        { "ALPN not offered", false, 0x0303, hello_with_alpn, 110, PLAIN,
          NULL },
        { "ALPN in the clear", false, 0x0304, hello_with_alpn, 110, PLAIN,
          NULL },
        { "PSK not offered", false, 0x0304, hello_with_psk, 110, PLAIN, NULL },
        { "extension twice", false, 0x0304, hello_with_repeat, 47, PLAIN,
          NULL },
        { "extension twice", false, 0x0303, hello_with_repeat, 47, PLAIN,
          NULL },
        { "cut", false, 0x0304, hello_cut, 50, PLAIN, NULL },
        { "cut", false, 0x0303, hello_cut, 50, PLAIN, NULL },
        { "renegotiation", false, 0x0303, renegotiation_not_empty, 40, PLAIN,
          NULL },
        { "encrypted ALPN not offered", false, 0x0304, encrypted_alpn, 110,
          HANDSHAKE, NULL },
        { "encrypted extension not offered", false, 0x0304, encrypted_unknown,
          110, HANDSHAKE, NULL },
        { "encrypted key share", false, 0x0304, encrypted_share, 47, HANDSHAKE,
          NULL },
        { "early data not offered", false, 0x0304, encrypted_early_data, 110,
          HANDSHAKE, NULL },
        { "cut EncryptedExtensions", false, 0x0304, encrypted_cut, 50,
          HANDSHAKE, NULL },
        { "retry with the same group", false, 0x0304, retry_same_group, 47,
          PLAIN, with_hrr },
        { "retry with a group not offered", false, 0x0304,
          retry_group_not_offered, 47, PLAIN, with_hrr },
        { "retry for nothing", false, 0x0304, retry_for_nothing, 47, PLAIN,
          with_hrr },
        { "retry with a cookie", false, 0x0304, retry_with_cookie, 40, PLAIN,
          with_hrr },
        { "retry twice", false, 0x0304, retry_twice, 10, PLAIN, with_hrr },
        { "other suite than retry's", false, 0x0304, retry_other_suite, 47,
          PLAIN, with_hrr },
        { "other group than retry's", false, 0x0304,
          hello_other_group_than_retry, 47, PLAIN, with_hrr },
    };

    (void)state;
    LIES(lies);
}

/* --- ClientHello --- */

static bool
is_hello(const struct evil_record *r)
{
    return is_message(r, CLIENT_HELLO);
}

/* Offset in a ClientHello: the length of its suites. */
static size_t
suites_at(const struct evil_record *r)
{
    return 4u + 2 + 32 + 1 + r->content[38];
}

static void
no_null_compression(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r);

    (void)e;
    if (is_hello(r)) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        r->content[at + 1] = 1;
    }
}

/* RFC 8446 4.1.2: exactly one, null. */
static void
more_compression(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r);

    (void)e;
    if (is_hello(r)) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        r->content[at] = 2;
        resize(r, at + 2, 1);
    }
}

static void
without_groups(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 10);
}

static void
without_share(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 51);
}

static void
without_signatures(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 13);
}

static void
without_master_secret(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        remove_extension(r, 23);
}

static void
psk_not_last(struct evil *e, struct evil_record *r)
{
    static const uint8_t psk[] = { 0, 7, 0, 1, 'x', 0, 0, 0, 0, 0, 33, 32 };
    uint8_t body[sizeof(psk) + 32] = { 0 };

    (void)e;
    memcpy(body, psk, sizeof(psk));
    if (is_hello(r))
        put_extension(r, 41, body, sizeof(body));
}

/* At the end, where it belongs, but without psk_key_exchange_modes. */
static void
psk_without_modes(struct evil *e, struct evil_record *r)
{
    static const uint8_t psk[] = { 0,   41, 0, 44, 0, 7, 0,  1,
                                   'x', 0,  0, 0,  0, 0, 33, 32 };
    size_t at;

    (void)e;
    if (!is_hello(r))
        return;
    remove_extension(r, 45);
    at = r->len;
    add(extensions_len(r), (int)sizeof(psk) + 32);
    resize(r, at, (int)sizeof(psk) + 32);
    memcpy(r->content + at, psk, sizeof(psk));
}

static void
session_id_too_long(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r)) {
        resize(r, 39, 33 - r->content[38]);
        r->content[38] = 33;
    }
}

static void
odd_suites(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r)) {
        add(r->content + suites_at(r), 1);
        resize(r, suites_at(r) + 2, 1);
    }
}

static void
no_suite(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r), i;

    (void)e;
    if (is_hello(r))
        for (i = 0; i < (size_t)r->content[at + 1]; i += 2)
            memcpy(r->content + at + 2 + i, "\xfa\xfa", 2);
}

/* RFC 7507 3 */
static void
fallback(struct evil *e, struct evil_record *r)
{
    size_t at = suites_at(r);

    (void)e;
    if (is_hello(r)) {
        add(r->content + at, 2);
        resize(r, at + 2, 2);
        memcpy(r->content + at + 2, "\x56\0", 2);
    }
}

static void
fragment_length_unknown(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        put_extension(r, 1, "\7", 1);
}

static void
renegotiating_hello(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (!is_hello(r))
        return;
    /* Some clients send an empty extension, others a suite instead. */
    if (extension(r, 0xff01) != 0)
        remove_extension(r, 0xff01);
    put_extension(r, 0xff01, "\3abc", 4);
}

static void
hello_of_a_server(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_hello(r))
        r->content[0] = SERVER_HELLO;
}

/* The second ClientHello. */
static bool
is_second(struct evil *e, const struct evil_record *r)
{
    return is_hello(r) && e->step++ == 1;
}

static void
second_with_early_data(struct evil *e, struct evil_record *r)
{
    if (is_second(e, r))
        put_extension(r, 42, "", 0);
}

static void
second_with_other_name(struct evil *e, struct evil_record *r)
{
    if (is_second(e, r))
        r->content[extension(r, 0) + 9] ^= 1;
}

static void
second_with_the_same_share(struct evil *e, struct evil_record *r)
{
    static uint8_t first[CIPHER_MAX];
    static size_t len;

    if (!is_hello(r))
        return;
    if (e->step++ == 0) {
        len = r->len;
        memcpy(first, r->content, len);
    } else {
        r->len = len;
        memcpy(r->content, first, len);
    }
}

static void
false_client_hellos_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "no null compression", true, 0x0304, no_null_compression, 47, PLAIN,
          NULL },
        { "no null compression", true, 0x0303, no_null_compression, 47, PLAIN,
          NULL },
        { "more than null compression", true, 0x0304, more_compression, 47,
          PLAIN, NULL },
        { "no supported_groups", true, 0x0304, without_groups, 109, PLAIN,
          NULL },
        { "no key_share", true, 0x0304, without_share, 109, PLAIN, NULL },
        { "no signature_algorithms", true, 0x0304, without_signatures, 109,
          PLAIN, NULL },
        { "no signature_algorithms", true, 0x0303, without_signatures, 40,
          PLAIN, NULL },
        { "no extended_master_secret", true, 0x0303, without_master_secret, 40,
          PLAIN, NULL },
        { "pre_shared_key not last", true, 0x0304, psk_not_last, 47, PLAIN,
          NULL },
        { "pre_shared_key without modes", true, 0x0304, psk_without_modes, 109,
          PLAIN, NULL },
        { "session id too long", true, 0x0304, session_id_too_long, 50, PLAIN,
          NULL },
        { "odd list of suites", true, 0x0304, odd_suites, 50, PLAIN, NULL },
        { "no suite in common", true, 0x0304, no_suite, 40, PLAIN, NULL },
        { "no suite in common", true, 0x0303, no_suite, 40, PLAIN, NULL },
        { "fallback", true, 0x0303, fallback, 86, PLAIN, with_both_versions },
        { "cut", true, 0x0304, hello_cut, 50, PLAIN, NULL },
        { "cut", true, 0x0303, hello_cut, 50, PLAIN, NULL },
        { "max_fragment_length unknown", true, 0x0303, fragment_length_unknown,
          47, PLAIN, NULL },
        { "renegotiation", true, 0x0303, renegotiating_hello, 40, PLAIN, NULL },
        { "ServerHello", true, 0x0304, hello_of_a_server, 10, PLAIN, NULL },
        { "early data in the second", true, 0x0304, second_with_early_data, 47,
          PLAIN, with_hrr },
        { "another name in the second", true, 0x0304, second_with_other_name,
          47, PLAIN, with_hrr },
        { "the same share again", true, 0x0304, second_with_the_same_share, 47,
          PLAIN, with_hrr },
    };

    (void)state;
    LIES(lies);
}

/* --- hellos that are unusual, and right --- */

/* RFC 8701, and a key share larger than most hellos. */
static void
grease(struct evil *e, struct evil_record *r)
{
    uint8_t large_share[4 + 1216] = { 0x11, 0xec, 4, 0xc0 };
    size_t at = suites_at(r);

    (void)e;
    if (!is_hello(r))
        return;
    into_list(r, 43, 1, "\x3a\x3a", 2);
    into_list(r, 10, 2, "\x2a\x2a\x11\xec", 4);
    into_list(r, 51, 2, large_share, sizeof(large_share));
    into_list(r, 51, 2, "\x2a\x2a\0\1\0", 5);
    into_list(r, 13, 2, "\x4a\x4a", 2);
    put_extension(r, 0x5a5a, "\0", 1);
    put_extension(r, 0x0a0a, "", 0);
    add(r->content + at, 2);
    resize(r, at + 2, 2);
    memcpy(r->content + at + 2, "\x1a\x1a", 2);
}

/* OpenSSL did not send the hello that we got, so the handshake fails at the
 * Finished, and not before. */
static void
grease_values_are_ignored(void **state)
{
    static struct evil evil;

    (void)state;
    evil_init(&evil, true, 0x0304);
    evil.edit = grease;
    evil_start(&evil);
    evil_run(&evil);
    /* ServerHello and the flight after it. */
    assert_true(evil.loop.out_len > 600);
    assert_int_equal(evil.loop.out[0], 22);
    assert_int_equal(evil.loop.out[5], SERVER_HELLO);
    evil_free(&evil);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(false_server_hellos_get_their_alert),
        TEST(false_client_hellos_get_their_alert),
        TEST(grease_values_are_ignored),
    };

    return TEST_RUN(tests);
}
