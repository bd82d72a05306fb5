/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/ssl.h>

#include "lie.h"
#include "test.h"

/* False values in the messages after the hellos, and messages out of order. */

/* --- key shares --- */

/* Offset and length of the key in a hello with one key share. */
static uint8_t *
share(struct evil_record *r, size_t *ret_len)
{
    size_t at = extension(r, 51);

    assert_true(at != 0);
    at += 4;
    if (r->content[0] == CLIENT_HELLO)
        at += 2;
    *ret_len = (size_t)(r->content[at + 2] << 8 | r->content[at + 3]);
    return r->content + at + 4;
}

static bool
is_hello_with_share(const struct evil_record *r)
{
    return (is_message(r, CLIENT_HELLO) || is_message(r, SERVER_HELLO)) &&
           extension(r, 51) != 0;
}

static void
zero_share(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r)) {
        uint8_t *key = share(r, &len);

        memset(key, 0, len);
    }
}

static void
resize_share(struct evil_record *r, int n)
{
    size_t len, at;
    uint8_t *key;

    if (!is_hello_with_share(r))
        return;
    key = share(r, &len);
    add(key - 2, n);
    at = extension(r, 51);
    add(r->content + at + 2, n);
    if (r->content[0] == CLIENT_HELLO)
        add(r->content + at + 4, n);
    add(extensions_len(r), n);
    resize(r, (size_t)(key - r->content), n);
}

static void
long_share(struct evil *e, struct evil_record *r)
{
    (void)e;
    resize_share(r, 1);
}

static void
short_share(struct evil *e, struct evil_record *r)
{
    (void)e;
    resize_share(r, -1);
}

/* Uncompressed, but the point is not on the curve. */
static void
point_off_curve(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r)) {
        uint8_t *key = share(r, &len);

        assert_int_equal(key[0], 4);
        key[len - 1] ^= 1;
    }
}

/* Compressed form, which TLS 1.3 does not have. */
static void
point_format(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r))
        share(r, &len)[0] = 2;
}

static void
share_of_another_group(struct evil *e, struct evil_record *r)
{
    size_t len;

    (void)e;
    if (is_hello_with_share(r))
        share(r, &len)[-3] = 0x18;
}

/* RFC 8446 4.2.8.2, 7.4.2: illegal_parameter. */
static void
false_key_shares_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "all-zero share", true, 0x0304, zero_share, 47, PLAIN, NULL },
        { "share too long", true, 0x0304, long_share, 47, PLAIN, NULL },
        { "share too short", true, 0x0304, short_share, 47, PLAIN, NULL },
        { "all-zero share", false, 0x0304, zero_share, 47, PLAIN, NULL },
        { "share too long", false, 0x0304, long_share, 47, PLAIN, NULL },
        { "share too short", false, 0x0304, short_share, 47, PLAIN, NULL },
        { "share of another group", false, 0x0304, share_of_another_group, 47,
          PLAIN, NULL },
        { "point off the curve", true, 0x0304, point_off_curve, 47, PLAIN,
          with_p256 },
        { "point format", true, 0x0304, point_format, 47, PLAIN, with_p256 },
        { "point too long", true, 0x0304, long_share, 47, PLAIN, with_p256 },
        { "point too short", true, 0x0304, short_share, 47, PLAIN, with_p256 },
        { "point all zero", true, 0x0304, zero_share, 47, PLAIN, with_p256 },
        { "point off the curve", false, 0x0304, point_off_curve, 47, PLAIN,
          with_p256 },
        { "point format", false, 0x0304, point_format, 47, PLAIN, with_p256 },
        { "point too long", false, 0x0304, long_share, 47, PLAIN, with_p256 },
        { "point too short", false, 0x0304, short_share, 47, PLAIN, with_p256 },
        { "point all zero", false, 0x0304, zero_share, 47, PLAIN, with_p256 },
    };

    (void)state;
    LIES(lies);
}

/* --- key exchange of TLS 1.2: ServerKeyExchange, ClientKeyExchange --- */

/* Offset of the point in either message. */
static size_t
point12(const struct evil_record *r)
{
    return r->content[0] == SERVER_KEY_EXCHANGE ? 8 : 5;
}

static bool
is_exchange(const struct evil_record *r)
{
    return is_message(r, SERVER_KEY_EXCHANGE) ||
           is_message(r, CLIENT_KEY_EXCHANGE);
}

static void
zero_point12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r))
        memset(r->content + point12(r), 0, r->content[point12(r) - 1]);
}

static void
off_curve12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r))
        r->content[point12(r) + 40] ^= 1;
}

static void
long_point12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r)) {
        r->content[point12(r) - 1]++;
        resize(r, point12(r), 1);
    }
}

static void
short_point12(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r)) {
        r->content[point12(r) - 1]--;
        resize(r, point12(r), -1);
    }
}

/* The inner length exceeds the message. */
static void
cut_exchange(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r)) {
        int n = (int)(r->len - point12(r) - 20);

        resize(r, point12(r) + 20, -n);
    }
}

static void
exchange_tail(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_exchange(r))
        resize(r, r->len, 1);
}

static void
curve_type(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE))
        r->content[4] = 1; /* explicit_prime, RFC 8422 5.4 */
}

static void
curve_not_offered(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE))
        r->content[6] = 0x16; /* secp256k1 */
}

static void
zero_point_signed(struct evil *e, struct evil_record *r)
{
    zero_point12(e, r);
    if (is_exchange(r))
        sign_exchange(e, r);
}

static void
off_curve_signed(struct evil *e, struct evil_record *r)
{
    off_curve12(e, r);
    if (is_exchange(r))
        sign_exchange(e, r);
}

static void
long_point_signed(struct evil *e, struct evil_record *r)
{
    long_point12(e, r);
    if (is_exchange(r))
        sign_exchange(e, r);
}

static void
signature_flipped(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE) || is_message(r, CERTIFICATE_VERIFY))
        r->content[r->len - 1] ^= 1;
}

static void
signature_sha1(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE))
        r->content[point12(r) + r->content[point12(r) - 1]] = 2;
}

/* RFC 8422 5.11 and RFC 5246 7.2.2. */
static void
false_tls12_key_exchanges_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "all-zero point", true, 0x0303, zero_point12, 47, PLAIN, NULL },
        { "long point", true, 0x0303, long_point12, 47, PLAIN, NULL },
        { "short point", true, 0x0303, short_point12, 47, PLAIN, NULL },
        { "off the curve", true, 0x0303, off_curve12, 47, PLAIN, with_p256 },
        { "zero point", true, 0x0303, zero_point12, 47, PLAIN, with_p256 },
        { "long point", true, 0x0303, long_point12, 47, PLAIN, with_p256 },
        { "cut", true, 0x0303, cut_exchange, 50, PLAIN, NULL },
        { "trailing byte", true, 0x0303, exchange_tail, 50, PLAIN, NULL },
        { "all-zero point, signed", false, 0x0303, zero_point_signed, 47, PLAIN,
          NULL },
        { "long point, signed", false, 0x0303, long_point_signed, 47, PLAIN,
          NULL },
        { "short point", false, 0x0303, short_point12, 47, PLAIN, NULL },
        { "off the curve", false, 0x0303, off_curve12, 51, PLAIN, with_p256 },
        { "off the curve, signed", false, 0x0303, off_curve_signed, 47, PLAIN,
          with_p256 },
        { "zero point, signed", false, 0x0303, zero_point_signed, 47, PLAIN,
          with_p256 },
        { "cut", false, 0x0303, cut_exchange, 50, PLAIN, NULL },
        { "trailing byte", false, 0x0303, exchange_tail, 50, PLAIN, NULL },
        { "explicit curve", false, 0x0303, curve_type, 47, PLAIN, NULL },
        { "curve not offered", false, 0x0303, curve_not_offered, 47, PLAIN,
          NULL },
        { "bad signature", false, 0x0303, signature_flipped, 51, PLAIN, NULL },
        { "signature with SHA-1", false, 0x0303, signature_sha1, 47, PLAIN,
          NULL },
    };

    (void)state;
    LIES(lies);
}

/* --- Certificate, CertificateVerify, Finished --- */

static void
finished_flipped(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        r->content[r->len - 1] ^= 1;
}

static void
finished_long(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        resize(r, r->len, 1);
}

static void
finished_short(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        resize(r, r->len - 1, -1);
}

/* A scheme that we do not offer in TLS 1.3. */
static void
verify_scheme(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY)) {
        r->content[4] = 2;
        r->content[5] = 3;
    }
}

static void
verify_pkcs1(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY)) {
        r->content[4] = 4;
        r->content[5] = 1;
    }
}

static void
certificate_empty(struct evil *e, struct evil_record *r)
{
    static const uint8_t none13[] = { CERTIFICATE, 0, 0, 4, 0, 0, 0, 0 };
    static const uint8_t none12[] = { CERTIFICATE, 0, 0, 3, 0, 0, 0 };

    if (!is_message(r, CERTIFICATE))
        return;
    r->len = e->tls12 ? sizeof(none12) : sizeof(none13);
    memcpy(r->content, e->tls12 ? none12 : none13, r->len);
}

static void
certificate_garbage(struct evil *e, struct evil_record *r)
{
    if (is_message(r, CERTIFICATE))
        r->content[e->tls12 ? 10 : 11] = 0x31; /* SET, not SEQUENCE */
}

static void
certificate_cut(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE))
        resize(r, r->len - 10, -10);
}

static void
certificate_signature(struct evil *e, struct evil_record *r)
{
    /* The last byte of the leaf's signature; in TLS 1.3 two bytes follow it. */
    if (is_message(r, CERTIFICATE))
        r->content[r->len - (e->tls12 ? 1 : 3)] ^= 1;
}

static void
false_certificates_and_signatures_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "Finished", true, 0x0304, finished_flipped, 51, DATA, NULL },
        { "Finished", false, 0x0304, finished_flipped, 51, HANDSHAKE, NULL },
        { "Finished", true, 0x0303, finished_flipped, 51, PLAIN, NULL },
        { "Finished", false, 0x0303, finished_flipped, 51, DATA, NULL },
        { "Finished too long", true, 0x0304, finished_long, 50, DATA, NULL },
        { "Finished too long", false, 0x0304, finished_long, 50, HANDSHAKE,
          NULL },
        { "Finished too long", true, 0x0303, finished_long, 50, PLAIN, NULL },
        { "Finished too long", false, 0x0303, finished_long, 50, DATA, NULL },
        { "Finished too short", true, 0x0304, finished_short, 50, DATA, NULL },
        { "Finished too short", false, 0x0304, finished_short, 50, HANDSHAKE,
          NULL },
        { "Finished too short", true, 0x0303, finished_short, 50, PLAIN, NULL },
        { "CertificateVerify", false, 0x0304, signature_flipped, 51, HANDSHAKE,
          NULL },
        { "CertificateVerify with SHA-1", false, 0x0304, verify_scheme, 47,
          HANDSHAKE, NULL },
        { "CertificateVerify with PKCS#1", false, 0x0304, verify_pkcs1, 47,
          HANDSHAKE, NULL },
        { "no certificate", false, 0x0304, certificate_empty, 50, HANDSHAKE,
          NULL },
        { "no certificate", false, 0x0303, certificate_empty, 50, PLAIN, NULL },
        { "malformed certificate", false, 0x0304, certificate_garbage, 42,
          HANDSHAKE, NULL },
        { "malformed certificate", false, 0x0303, certificate_garbage, 42,
          PLAIN, NULL },
        { "cut Certificate", false, 0x0304, certificate_cut, 50, HANDSHAKE,
          NULL },
        { "cut Certificate", false, 0x0303, certificate_cut, 50, PLAIN, NULL },
    };
    static const struct lie forged[] = {
        { "certificate's signature", false, 0x0304, certificate_signature, 42,
          HANDSHAKE, NULL },
        { "certificate's signature", false, 0x0303, certificate_signature, 42,
          PLAIN, NULL },
    };

    (void)state;
    LIES(lies);
    LIES_OF_TRUST(forged);
}

/* --- order: messages left out, twice, too early, hidden --- */

static void
without_extensions(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_message(r, ENCRYPTED_EXTENSIONS);
}

static void
without_certificate(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_message(r, CERTIFICATE);
}

static void
without_verify(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_message(r, CERTIFICATE_VERIFY);
}

static void
without_exchange(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = is_exchange(r);
}

static void
without_change(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = r->type == 20;
}

static void
twice(struct evil *e, struct evil_record *r, uint8_t type)
{
    if (is_message(r, type))
        evil_sealed(e, r->epoch, r->type, r->content, r->len);
}

static void
hello_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, e->we_serve ? CLIENT_HELLO : SERVER_HELLO);
}

static void
extensions_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, ENCRYPTED_EXTENSIONS);
}

static void
certificate_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, CERTIFICATE);
}

static void
exchange_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, CLIENT_KEY_EXCHANGE);
    twice(e, r, SERVER_KEY_EXCHANGE);
}

static const uint8_t key_update[5] = { KEY_UPDATE, 0, 0, 1, 0 };
static const uint8_t ticket[4 + 13] = { NEW_SESSION_TICKET, 0, 0, 13, 0, 0, 1 };

/* One more message in the record of the Finished. */
static void
hidden_after_finished(struct evil *e, struct evil_record *r)
{
    static const uint8_t hello_request[4] = { 0 };

    if (!is_message(r, FINISHED))
        return;
    if (e->tls12) {
        memcpy(r->content + r->len, hello_request, sizeof(hello_request));
        r->len += sizeof(hello_request);
    } else {
        memcpy(r->content + r->len, key_update, sizeof(key_update));
        r->len += sizeof(key_update);
    }
}

static void
update_for_finished(struct evil *e, struct evil_record *r)
{
    if (is_message(r, FINISHED))
        evil_sealed(e, r->epoch, 22, key_update, sizeof(key_update));
}

static void
ticket_for_finished(struct evil *e, struct evil_record *r)
{
    if (is_message(r, FINISHED))
        evil_sealed(e, r->epoch, 22, ticket, sizeof(ticket));
}

static void
data_for_finished(struct evil *e, struct evil_record *r)
{
    if (is_message(r, FINISHED))
        evil_sealed(e, r->epoch, 23, "early", 5);
}

static void
plain_finished(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, FINISHED))
        r->epoch = EVIL_PLAIN;
}

/* The first half in plaintext, the rest sealed. */
static void
message_across_keys(struct evil *e, struct evil_record *r)
{
    uint8_t next[4] = { ENCRYPTED_EXTENSIONS, 0, 0, 2 };

    if (is_message(r, SERVER_HELLO)) {
        memcpy(r->content + r->len, next, sizeof(next));
        r->len += sizeof(next);
    }
    if (is_message(r, ENCRYPTED_EXTENSIONS))
        evil_sealed(e, r->epoch, 22, "\0\0", 2);
}

static void
messages_out_of_order_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "no EncryptedExtensions", false, 0x0304, without_extensions, 10,
          HANDSHAKE, NULL },
        { "no Certificate", false, 0x0304, without_certificate, 10, HANDSHAKE,
          NULL },
        { "no CertificateVerify", false, 0x0304, without_verify, 10, HANDSHAKE,
          NULL },
        { "no Certificate", false, 0x0303, without_certificate, 10, PLAIN,
          NULL },
        { "no key exchange", false, 0x0303, without_exchange, 10, PLAIN, NULL },
        { "no key exchange", true, 0x0303, without_exchange, 10, PLAIN, NULL },
        { "no change_cipher_spec", true, 0x0303, without_change, 10, PLAIN,
          NULL },
        { "no change_cipher_spec", false, 0x0303, without_change, 10, DATA,
          NULL },
        { "ClientHello twice", true, 0x0304, hello_twice, 10, DATA, NULL },
        { "ClientHello twice", true, 0x0303, hello_twice, 10, PLAIN, NULL },
        { "ServerHello twice", false, 0x0304, hello_twice, 10, HANDSHAKE,
          NULL },
        { "ServerHello twice", false, 0x0303, hello_twice, 10, PLAIN, NULL },
        { "EncryptedExtensions twice", false, 0x0304, extensions_twice, 10,
          HANDSHAKE, NULL },
        { "Certificate twice", false, 0x0304, certificate_twice, 10, HANDSHAKE,
          NULL },
        { "Certificate twice", false, 0x0303, certificate_twice, 10, PLAIN,
          NULL },
        { "key exchange twice", false, 0x0303, exchange_twice, 10, PLAIN,
          NULL },
        { "key exchange twice", true, 0x0303, exchange_twice, 10, PLAIN, NULL },
        { "hidden after Finished", true, 0x0304, hidden_after_finished, 10,
          DATA, NULL },
        { "hidden after Finished", false, 0x0304, hidden_after_finished, 10,
          HANDSHAKE, NULL },
        { "hidden after Finished", true, 0x0303, hidden_after_finished, 10,
          PLAIN, NULL },
        { "hidden after Finished", false, 0x0303, hidden_after_finished, 10,
          DATA, NULL },
        { "KeyUpdate before Finished", true, 0x0304, update_for_finished, 10,
          DATA, NULL },
        { "KeyUpdate before Finished", false, 0x0304, update_for_finished, 10,
          HANDSHAKE, NULL },
        { "ticket before Finished", false, 0x0304, ticket_for_finished, 10,
          HANDSHAKE, NULL },
        { "data before Finished", true, 0x0304, data_for_finished, 10, DATA,
          NULL },
        { "data before Finished", false, 0x0304, data_for_finished, 10,
          HANDSHAKE, NULL },
        { "data before Finished", true, 0x0303, data_for_finished, 10, PLAIN,
          NULL },
        { "data before Finished", false, 0x0303, data_for_finished, 10, DATA,
          NULL },
        { "Finished in the clear", true, 0x0304, plain_finished, 10, DATA,
          NULL },
        { "Finished in the clear", false, 0x0304, plain_finished, 10, HANDSHAKE,
          NULL },
        { "message across a change of keys", false, 0x0304, message_across_keys,
          10, HANDSHAKE, NULL },
    };

    (void)state;
    LIES(lies);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(false_key_shares_get_their_alert),
        TEST(false_tls12_key_exchanges_get_their_alert),
        TEST(false_certificates_and_signatures_get_their_alert),
        TEST(messages_out_of_order_get_their_alert),
    };

    return TEST_RUN(tests);
}
