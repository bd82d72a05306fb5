/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "lie.h"
#include "stacks.h"
#include "test.h"

/* False messages that an engine would accept, and that tls/ refuses before it
 * passes them on; and messages out of order. */

#define CERTIFICATE_REQUEST 13
#define SERVER_HELLO_DONE   14

/* --- signatures that are good, with a scheme that is not --- */

/* Collect the messages of both sides up to the server's signature. */
static struct {
    uint8_t bytes[16384];
    size_t len;
} transcript;

static void
transcript_add(const uint8_t *msg, size_t len)
{
    assert_true(transcript.len + len <= sizeof(transcript.bytes));
    memcpy(transcript.bytes + transcript.len, msg, len);
    transcript.len += len;
}

/* Our ClientHello is the first record that we sent. */
static void
transcript_note(struct evil *e, const struct evil_record *r)
{
    const uint8_t *ours = e->loop.out;

    if (r->type != 22)
        return;
    if (is_message(r, SERVER_HELLO)) {
        transcript.len = 0;
        transcript_add(ours + 5, (size_t)(ours[3] << 8 | ours[4]));
    }
    transcript_add(r->content, r->len);
}

/* RFC 8446 4.4.3, with the key of OpenSSL's server. */
static void
sign_transcript(struct evil *e, struct evil_record *r, uint16_t scheme,
                const EVP_MD *md, int padding)
{
    static const char context[] = "TLS 1.3, server CertificateVerify";
    uint8_t text[64 + sizeof(context) + 32];
    unsigned hash_len = 32;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key;
    size_t len = sizeof(r->content) - 8;

    memset(text, ' ', 64);
    memcpy(text + 64, context, sizeof(context));
    assert_int_equal(EVP_Digest(transcript.bytes, transcript.len,
                                text + 64 + sizeof(context), &hash_len,
                                EVP_sha256(), NULL),
                     1);
    assert_int_equal(EVP_DigestSignInit(ctx, &key, md, NULL,
                                        SSL_CTX_get0_privatekey(e->peer.ctx)),
                     1);
    if (padding != 0)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key, padding), 1);
    if (padding == RSA_PKCS1_PSS_PADDING)
        assert_int_equal(
            EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_DIGEST), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, r->content + 8, &len, text, sizeof(text)), 1);
    EVP_MD_CTX_free(ctx);
    r->len = 8 + len;
    r->content[2] = (uint8_t)((r->len - 4) >> 8);
    r->content[3] = (uint8_t)(r->len - 4);
    r->content[4] = (uint8_t)(scheme >> 8);
    r->content[5] = (uint8_t)scheme;
    r->content[6] = (uint8_t)(len >> 8);
    r->content[7] = (uint8_t)len;
}

static void
signed_pkcs1(struct evil *e, struct evil_record *r)
{
    if (is_message(r, CERTIFICATE_VERIFY))
        sign_transcript(e, r, 0x0401, EVP_sha256(), RSA_PKCS1_PADDING);
    transcript_note(e, r);
}

static void
signed_pss(struct evil *e, struct evil_record *r)
{
    if (is_message(r, CERTIFICATE_VERIFY))
        sign_transcript(e, r, 0x0804, EVP_sha256(), RSA_PKCS1_PSS_PADDING);
    transcript_note(e, r);
}

static void
signed_sha384(struct evil *e, struct evil_record *r)
{
    if (is_message(r, CERTIFICATE_VERIFY))
        sign_transcript(e, r, 0x0503, EVP_sha384(), 0);
    transcript_note(e, r);
}

static void
signed_sha256(struct evil *e, struct evil_record *r)
{
    if (is_message(r, CERTIFICATE_VERIFY))
        sign_transcript(e, r, 0x0403, EVP_sha256(), 0);
    transcript_note(e, r);
}

static void
verify_tail(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY))
        resize(r, r->len, 1);
}

static void
with_rsa(struct evil *e)
{
    ossl_use_key(&e->peer, "rsa.pem", "rsa.key");
    assert_int_equal(
        SSL_CTX_set_cipher_list(e->peer.ctx, "ECDHE-RSA-AES128-GCM-SHA256"), 1);
    /* The client has the other key too, and would accept that one. */
    assert_int_equal(SSL_CTX_set1_sigalgs_list(
                         e->peer.ctx, "rsa_pss_rsae_sha256:RSA+SHA256"),
                     1);
}

/* If the new signature is accepted, the Finished is wrong: OpenSSL made it from
 * the old one, so the alert is decrypt_error. */
static void
signature_schemes_must_match_the_key(void **state)
{
    static const struct lie lies[] = {
        { "signed with PSS", false, 0x0304, signed_pss, 51, HANDSHAKE,
          with_rsa },
        { "signed with PKCS#1", false, 0x0304, signed_pkcs1, 47, HANDSHAKE,
          with_rsa },
        { "signed with the curve's hash", false, 0x0304, signed_sha256, 51,
          HANDSHAKE, NULL },
        { "signed as P-384 by P-256", false, 0x0304, signed_sha384, 47,
          HANDSHAKE, NULL },
        { "a byte after the signature", false, 0x0304, verify_tail, 50,
          HANDSHAKE, NULL },
    };

    (void)state;
    LIES(lies);
}

/* --- certificates that do not fit the suite --- */

/* The suite in a ServerHello of TLS 1.2 says nothing about the key type. */
static void
other_authentication(struct evil *e, struct evil_record *r)
{
    uint8_t *suite = r->content + 4 + 2 + 32;

    (void)e;
    if (!is_message(r, SERVER_HELLO))
        return;
    suite += 1 + suite[0];
    assert_int_equal(suite[0], 0xc0);
    suite[1] = suite[1] == 0x2b ? 0x2f : 0x2b;
}

static void
certificates_must_match_the_suite(void **state)
{
    static const struct lie lies[] = {
        { "RSA for ECDHE_ECDSA", false, 0x0303, other_authentication, 47, PLAIN,
          with_rsa },
        { "ECDSA for ECDHE_RSA", false, 0x0303, other_authentication, 47, PLAIN,
          NULL },
    };

    (void)state;
    LIES(lies);
}

/* --- points --- */

/* The same point in compressed form, signed again. */
static void
compressed(struct evil *e, struct evil_record *r)
{
    size_t at = r->content[0] == SERVER_KEY_EXCHANGE ? 7 : 4;
    uint8_t *point = r->content + at + 1;

    if (!is_message(r, SERVER_KEY_EXCHANGE) &&
        !is_message(r, CLIENT_KEY_EXCHANGE))
        return;
    assert_int_equal(r->content[at], 65);
    assert_int_equal(point[0], 4);
    point[0] = (uint8_t)(2 | (point[64] & 1));
    r->content[at] = 33;
    resize(r, at + 1 + 33, -32);
    if (r->content[0] == SERVER_KEY_EXCHANGE)
        sign_exchange(e, r);
}

static void
put_formats(struct evil_record *r, uint8_t type)
{
    static const uint8_t formats[] = { 2, 1, 2 };

    if (!is_message(r, type))
        return;
    if (extension(r, 11) != 0)
        remove_extension(r, 11);
    put_extension(r, 11, formats, sizeof(formats));
}

static void
formats_of_server(struct evil *e, struct evil_record *r)
{
    (void)e;
    put_formats(r, SERVER_HELLO);
}

static void
formats_of_client(struct evil *e, struct evil_record *r)
{
    (void)e;
    put_formats(r, CLIENT_HELLO);
}

static void
compressed_points_are_refused(void **state)
{
    static const struct lie lies[] = {
        { "compressed", false, 0x0303, compressed, 47, PLAIN, with_p256 },
        { "compressed", true, 0x0303, compressed, 47, PLAIN, with_p256 },
        { "formats without uncompressed", false, 0x0303, formats_of_server, 47,
          PLAIN, NULL },
        { "formats without uncompressed", true, 0x0303, formats_of_client, 47,
          PLAIN, NULL },
    };

    (void)state;
    LIES(lies);
}

/* --- answers --- */

static void
encrypted_server_name(struct evil *e, struct evil_record *r)
{
    static const uint8_t name[] = { 0, 0, 0, 1, 'x' };

    (void)e;
    if (!is_message(r, ENCRYPTED_EXTENSIONS))
        return;
    add(r->content + 4, (int)sizeof(name));
    resize(r, 6, (int)sizeof(name));
    memcpy(r->content + 6, name, sizeof(name));
}

static void
hello_server_name(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 0, "x", 1);
}

static void
hello_unknown_alpn(struct evil *e, struct evil_record *r)
{
    static const uint8_t h3[] = { 0, 3, 2, 'h', '3' };

    (void)e;
    if (is_message(r, SERVER_HELLO))
        put_extension(r, 16, h3, sizeof(h3));
}

static void
with_alpn(struct evil *e)
{
    static const char *const names[] = { "h2", "http/1.1" };

    assert_status(flow_tls_config_set_alpn(e->config, names, 2), FLOW_OK);
}

/* Of the last certificate in the list. */
static void
certificate_extension(struct evil *e, struct evil_record *r)
{
    static const uint8_t status[] = { 0, 5, 0, 1, 1 };

    (void)e;
    if (!is_message(r, CERTIFICATE))
        return;
    add(r->content + 6, (int)sizeof(status));
    add(r->content + r->len - 2, (int)sizeof(status));
    resize(r, r->len, (int)sizeof(status));
    memcpy(r->content + r->len - sizeof(status), status, sizeof(status));
}

static void
false_answers_to_extensions_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "server_name with content", false, 0x0304, encrypted_server_name, 50,
          HANDSHAKE, NULL },
        { "server_name with content", false, 0x0303, hello_server_name, 50,
          PLAIN, NULL },
        { "ALPN that was not offered", false, 0x0303, hello_unknown_alpn, 47,
          PLAIN, with_alpn },
        { "extension of a certificate", false, 0x0304, certificate_extension,
          110, HANDSHAKE, NULL },
    };

    (void)state;
    LIES(lies);
}

/* --- order --- */

static void
request_for_extensions(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, ENCRYPTED_EXTENSIONS))
        r->content[0] = CERTIFICATE_REQUEST;
}

static void
request_for_exchange(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, SERVER_KEY_EXCHANGE))
        r->content[0] = CERTIFICATE_REQUEST;
}

static void
done_for_certificate(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE))
        r->content[0] = SERVER_HELLO_DONE;
}

/* The second ServerHello, without the extension that selects TLS 1.3. */
static void
old_version_after_retry(struct evil *e, struct evil_record *r)
{
    if (!is_message(r, SERVER_HELLO) || e->step++ != 1)
        return;
    remove_extension(r, 43);
    remove_extension(r, 51);
}

/* Half of another message after a hello, in its record. */
static void
more_after_hello(struct evil *e, struct evil_record *r)
{
    if (is_message(r, e->we_serve ? CLIENT_HELLO : SERVER_HELLO))
        r->content[r->len++] = FINISHED;
}

static void
two_hellos_in_a_record(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO)) {
        memcpy(r->content + r->len, r->content, r->len);
        r->len *= 2;
    }
}

static void
more_after_done(struct evil *e, struct evil_record *r)
{
    (void)e;
    /* The message is four bytes long, so is_message() does not match it. */
    if (r->type == 22 && r->content[0] == SERVER_HELLO_DONE)
        r->content[r->len++] = FINISHED;
}

static void
early_and_trailing_messages_are_refused(void **state)
{
    static const struct lie lies[] = {
        { "CertificateRequest for EncryptedExtensions", false, 0x0304,
          request_for_extensions, 10, HANDSHAKE, NULL },
        { "CertificateRequest for key exchange", false, 0x0303,
          request_for_exchange, 10, PLAIN, NULL },
        { "ServerHelloDone for Certificate", false, 0x0303,
          done_for_certificate, 10, PLAIN, NULL },
        { "TLS 1.2 after a retry", false, 0x0304, old_version_after_retry, 47,
          PLAIN, with_hrr },
        { "a byte after ClientHello", true, 0x0304, more_after_hello, 10, PLAIN,
          NULL },
        { "a byte after ClientHello", true, 0x0303, more_after_hello, 10, PLAIN,
          NULL },
        { "a byte after ServerHello", false, 0x0304, more_after_hello, 10,
          HANDSHAKE, NULL },
        { "a byte after ServerHelloDone", false, 0x0303, more_after_done, 10,
          PLAIN, NULL },
        { "two ClientHellos in a record", true, 0x0304, two_hellos_in_a_record,
          10, PLAIN, NULL },
        { "two ClientHellos in a record", true, 0x0303, two_hellos_in_a_record,
          10, PLAIN, NULL },
    };

    (void)state;
    LIES(lies);
}

/* --- early data is of TLS 1.3 --- */

static void
forged_finished(struct evil *e, struct evil_record *r)
{
    uint8_t record[5 + 40] = { 22, 3, 3, 0, 40 };

    if (is_message(r, CLIENT_HELLO))
        put_extension(r, 42, "", 0);
    /* In TLS 1.2 it is the only message that the peer protects. */
    if (r->type == 22 && r->epoch == EVIL_DATA) {
        evil_raw(e, record, sizeof(record));
        r->drop = true;
    }
}

static void
data_before_exchange(struct evil *e, struct evil_record *r)
{
    if (is_message(r, CLIENT_HELLO))
        put_extension(r, 42, "", 0);
    if (is_message(r, CLIENT_KEY_EXCHANGE))
        evil_plain(e, 23, "x", 1);
}

static void
early_data_before_tls12_is_refused(void **state)
{
    static const struct lie lies[] = {
        { "forged Finished", true, 0x0303, forged_finished, 20, PLAIN, NULL },
        { "data in the clear", true, 0x0303, data_before_exchange, 10, PLAIN,
          NULL },
    };

    (void)state;
    LIES(lies);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(signature_schemes_must_match_the_key),
        TEST(certificates_must_match_the_suite),
        TEST(compressed_points_are_refused),
        TEST(false_answers_to_extensions_get_their_alert),
        TEST(early_and_trailing_messages_are_refused),
        TEST(early_data_before_tls12_is_refused),
    };

    return TEST_RUN(tests);
}
