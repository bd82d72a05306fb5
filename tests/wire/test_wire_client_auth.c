/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <flow/tls_sni.h>

#include "lie.h"
#include "mint.h"
#include "ossl.h"
#include "pki.h"
#include "test.h"

/*
 * Certificates of clients.  OpenSSL is the client of our server with each kind
 * of certificate, under each policy, in both versions, with and without a name;
 * then messages of clients out of order and with false content; then OpenSSL is
 * the server, and our client chooses.
 */

#define CERTIFICATE_REQUEST 13

static struct evil evil;

/* --- what a client may present --- */

enum shown {
    NOTHING,
    GOOD,
    CHAINED,
    OF_OTHER_AUTHORITY,
    EXPIRED,
    FUTURE,
    FOR_SERVERS,
    WRONG_KIND_OF_KEY,
    REVOKED,
    SELF_SIGNED,
    SHOWN
};

static const struct {
    const char *name;
    const char *chain; /* of the test keys; NULL: minted, or none */
    const char *key;
    bool sends_none;
    int alert; /* -1: accepted */
    uint32_t flags;
    const char *subject;
} shown[SHOWN] = {
    [NOTHING] = { .name = "none", .sends_none = true },
    [GOOD] = { "good", "p384.pem", "p384.key", false, -1, 0, "CN=p384" },
    [CHAINED] = { "good, by an intermediate", "chain.pem", "chained.key", false,
                  -1, 0, "CN=chained" },
    [OF_OTHER_AUTHORITY] = { "of another authority", "untrusted.pem",
                             "untrusted.key", false, 48,
                             FLOW_VERIFY_NOT_TRUSTED, NULL },
    [EXPIRED] = { "expired", "expired.pem", "expired.key", false, 45,
                  FLOW_VERIFY_EXPIRED, NULL },
    [FUTURE] = { "not yet valid", "future.pem", "future.key", false, 45,
                 FLOW_VERIFY_FUTURE, NULL },
    [FOR_SERVERS] = { "for servers only", NULL, NULL, false, 43,
                      FLOW_VERIFY_USAGE, NULL },
    [WRONG_KIND_OF_KEY] = { "Ed25519", "ed25519.pem", "ed25519.key", true, 0, 0,
                            NULL },
    [REVOKED] = { "revoked", "rsa.pem", "rsa.key", false, 44,
                  FLOW_VERIFY_REVOKED, NULL },
    [SELF_SIGNED] = { "self-signed", NULL, NULL, false, 48,
                      FLOW_VERIFY_NOT_TRUSTED, NULL },
};

static void
present_minted(const struct mint *what, bool self_signed)
{
    EVP_PKEY *key = mint_key();
    X509 *base = mint_certificate(what, key, NULL, NULL);
    X509 *cert =
        self_signed ? mint_certificate(what, key, base, key) : X509_dup(base);

    assert_int_equal(SSL_CTX_use_certificate(evil.peer.ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(evil.peer.ctx, key), 1);
    X509_free(base);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void
present(enum shown what)
{
    const struct mint server = { .subject = "server",
                                 .extended = "serverAuth" };
    const struct mint self = { .subject = "self" };

    if (shown[what].chain != NULL)
        ossl_use_key(&evil.peer, shown[what].chain, shown[what].key);
    else if (what == FOR_SERVERS)
        present_minted(&server, false);
    else if (what == SELF_SIGNED)
        present_minted(&self, true);
}

/* --- what our server asks for --- */

static struct flow_tls_verifier *
make_verifier(void)
{
    struct flow_tls_verifier *v;
    int len;
    unsigned char *crl = ossl_revoke("rsa.pem", &len);

    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    assert_status(flow_tls_verifier_add_trust_file(v, pki("ca.pem"), NULL),
                  FLOW_OK);
    assert_status(flow_tls_verifier_add_crl(v, crl, (size_t)len, NULL),
                  FLOW_OK);
    OPENSSL_free(crl);
    return v;
}

static void
ask(struct evil *e, enum flow_tls_client_auth auth)
{
    struct flow_tls_verifier *v = make_verifier();

    assert_status(flow_tls_config_set_client_auth(e->config, auth), FLOW_OK);
    if (auth != FLOW_TLS_CLIENT_AUTH_NONE)
        assert_status(flow_tls_config_set_verifier(e->config, v, NULL),
                      FLOW_OK);
    flow_tls_verifier_unref(v);
}

static void
is_open(uint32_t flags, const char *subject)
{
    char text[FLOW_ERROR_DETAIL] = "?";
    struct flow_tls_info info;

    if (evil.status != FLOW_OK)
        fail_msg("%s", evil_text(&evil));
    assert_true(ossl_open(&evil.peer));
    assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
    assert_int_equal(info.verify_flags, flags);
    assert_int_equal(info.peer_chain != NULL, subject != NULL);
    assert_status(flow_tls_get_peer_subject(evil.ours, text, sizeof(text)),
                  subject != NULL ? FLOW_OK : FLOW_E_AUTH);
    assert_string_equal(text, subject != NULL ? subject : "?");
}

static void
is_refused(int version, int alert, uint32_t flags)
{
    struct flow_error err;
    uint8_t buf[16];

    evil_wrong = 0;
    evil_refused(&evil, FLOW_E_AUTH, alert,
                 version == FLOW_TLS_1_3 ? EVIL_DATA : EVIL_PLAIN);
    assert_int_equal(evil_wrong, 0);
    flow_get_error(evil.ours, FLOW_READ, &err);
    assert_int_equal(err.verify_flags, flags);
    if (version == FLOW_TLS_1_3)
        assert_int_equal(ossl_read(&evil.peer, buf, sizeof(buf)), -1);
    assert_int_equal(evil.peer.alert_in, alert);
    /* A client that is refused has had no Finished of TLS 1.2. */
    if (version == FLOW_TLS_1_2)
        assert_false(ossl_open(&evil.peer));
}

static void
shows(enum flow_tls_client_auth auth, int version, bool named, enum shown what)
{
    char title[100];
    bool none = shown[what].sends_none;

    snprintf(title, sizeof(title), "%s, policy %d, version %x, %s name",
             shown[what].name, auth, (unsigned)version, named ? "with" : "no");
    guard_case(title);
    evil_init(&evil, true, version);
    ask(&evil, auth);
    present(what);
    evil_start(&evil);
    if (!named)
        assert_int_equal(SSL_set_tlsext_host_name(evil.peer.ssl, NULL), 1);
    evil_run(&evil);
    if (auth == FLOW_TLS_CLIENT_AUTH_NONE)
        is_open(FLOW_VERIFY_NOT_CHECKED, NULL);
    else if (none && auth == FLOW_TLS_CLIENT_AUTH_OPTIONAL)
        is_open(FLOW_VERIFY_MISSING, NULL);
    else if (none)
        is_refused(version, version == FLOW_TLS_1_3 ? 116 : 40,
                   FLOW_VERIFY_MISSING);
    else if (shown[what].alert < 0)
        is_open(0, shown[what].subject);
    else
        is_refused(version, shown[what].alert, shown[what].flags);
    evil_free(&evil);
    guard_case(NULL);
}

static void
each_certificate_under_each_policy(void **state)
{
    (void)state;
    for (int auth = FLOW_TLS_CLIENT_AUTH_NONE;
         auth <= FLOW_TLS_CLIENT_AUTH_REQUIRED; auth++)
        for (int version = FLOW_TLS_1_2; version <= FLOW_TLS_1_3; version++)
            for (int named = 0; named < 2; named++)
                for (int what = 0; what < SHOWN; what++)
                    shows((enum flow_tls_client_auth)auth, version, named != 0,
                          (enum shown)what);
}

/* After a HelloRetryRequest the certificate is asked for once. */
static void
a_certificate_is_asked_for_after_a_retry(void **state)
{
    (void)state;
    evil_init(&evil, true, FLOW_TLS_1_3);
    with_hrr(&evil);
    ask(&evil, FLOW_TLS_CLIENT_AUTH_REQUIRED);
    present(GOOD);
    evil_start(&evil);
    evil_run(&evil);
    is_open(0, "CN=p384");
    evil_free(&evil);
}

/* --- the names of authorities --- */

static int
names_sent(int version, size_t limit, bool twice)
{
    const STACK_OF(X509_NAME) * names;
    int count;

    evil_init(&evil, true, version);
    assert_status(flow_tls_config_set_client_auth(
                      evil.config, FLOW_TLS_CLIENT_AUTH_OPTIONAL),
                  FLOW_OK);
    for (int i = 0; i < (twice ? 2 : 1); i++)
        assert_status(
            flow_tls_config_add_trust_file(evil.config, pki("ca.pem"), NULL),
            FLOW_OK);
    assert_status(
        flow_tls_config_add_trust_file(evil.config, pki("other.pem"), NULL),
        FLOW_OK);
    assert_status(flow_tls_config_limit_ca_list(evil.config, limit), FLOW_OK);
    evil_start(&evil);
    evil_run(&evil);
    is_open(FLOW_VERIFY_MISSING, NULL);
    names = SSL_get0_peer_CA_list(evil.peer.ssl);
    count = names == NULL ? 0 : sk_X509_NAME_num(names);
    if (count > 0) {
        X509 *ca = ossl_load_certificate("ca.pem");

        assert_int_equal(X509_NAME_cmp(sk_X509_NAME_value(names, 0),
                                       X509_get_subject_name(ca)),
                         0);
        X509_free(ca);
    }
    evil_free(&evil);
    return count;
}

#ifdef TEST_SENDS_NAMES13
#define NAMES13 2
#else
#define NAMES13 0
#endif

static void
the_request_names_the_authorities(void **state)
{
    (void)state;
    for (int version = FLOW_TLS_1_2; version <= FLOW_TLS_1_3; version++) {
        const int all = version == FLOW_TLS_1_2 ? 2 : NAMES13;

        assert_int_equal(names_sent(version, 8192, false), all);
        assert_int_equal(names_sent(version, 8192, true), all);
        assert_int_equal(names_sent(version, 0, false), 0);
        /* One would fit: none is sent. */
        assert_int_equal(names_sent(version, 40, false), 0);
    }
}

/* --- entries --- */

static struct flow_tls_sni *
selector_of_two(struct flow_tls_verifier *v)
{
    static const char *const cert[] = { "@cert" };
    const struct flow_tls_sni_entry entries[] = {
        { .id = "open",
          .patterns = cert,
          .pattern_count = 1,
          .flags = FLOW_TLS_SNI_IS_DEFAULT,
          .client_auth = FLOW_TLS_CLIENT_AUTH_NONE },
        { .id = "closed",
          .patterns = cert,
          .pattern_count = 1,
          .client_auth = FLOW_TLS_CLIENT_AUTH_REQUIRED,
          .client_verifier = v },
    };
    static const char *const chain[] = { "p256.pem", "second.pem" };
    static const char *const key[] = { "p256.key", "second.key" };
    struct flow_tls_sni *s;
    size_t index;

    assert_status(flow_tls_sni_new(TEST_ENV, &s, NULL), FLOW_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_status(flow_tls_sni_add_entry(s, &entries[i], &index, NULL),
                      FLOW_OK);
        assert_status(flow_tls_sni_add_keypair_file(s, index, pki(chain[i]),
                                                    pki(key[i]), NULL, NULL,
                                                    NULL),
                      FLOW_OK);
    }
    return s;
}

/* Replace the server of evil_init() by one with a selector. */
static void
serve_two(int version, const char *name, enum shown what)
{
    const enum flow_tls_version only = (enum flow_tls_version)version;
    struct flow_tls_verifier *v = make_verifier();
    struct flow_tls_sni *s = selector_of_two(v);

    evil_init(&evil, true, version);
    flow_tls_config_unref(evil.config);
    assert_status(flow_tls_config_new_server(TEST_ENV, &evil.config, NULL),
                  FLOW_OK);
    assert_status(flow_tls_config_set_versions(evil.config, only, only),
                  FLOW_OK);
    assert_status(flow_tls_config_set_sni(evil.config, s, NULL), FLOW_OK);
    flow_tls_sni_unref(s);
    flow_tls_verifier_unref(v);
    present(what);
    evil_start(&evil);
    assert_int_equal(SSL_set_tlsext_host_name(evil.peer.ssl, name), 1);
    assert_int_equal(SSL_set1_host(evil.peer.ssl, name), 1);
    evil_run(&evil);
}

/* One configuration, and a certificate only where the entry asks for it. */
static void
entries_have_their_own_policy(void **state)
{
    struct flow_tls_info info;

    (void)state;
    for (int version = FLOW_TLS_1_2; version <= FLOW_TLS_1_3; version++) {
        serve_two(version, "server.example", GOOD);
        is_open(FLOW_VERIFY_NOT_CHECKED, NULL);
        assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
        assert_string_equal(info.entry, "open");
        evil_free(&evil);

        serve_two(version, "second.example", GOOD);
        is_open(0, "CN=p384");
        assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
        assert_string_equal(info.entry, "closed");
        evil_free(&evil);

        serve_two(version, "second.example", NOTHING);
        is_refused(version, version == FLOW_TLS_1_3 ? 116 : 40,
                   FLOW_VERIFY_MISSING);
        evil_free(&evil);
    }
}

/* --- false messages of a client --- */

static void
required(struct evil *e)
{
    ask(e, FLOW_TLS_CLIENT_AUTH_REQUIRED);
    ossl_use_key(&e->peer, "p256.pem", "p256.key");
}

static void
required_of_rsa(struct evil *e)
{
    assert_status(flow_tls_config_set_client_auth(
                      e->config, FLOW_TLS_CLIENT_AUTH_REQUIRED),
                  FLOW_OK);
    assert_status(
        flow_tls_config_add_trust_file(e->config, pki("ca.pem"), NULL),
        FLOW_OK);
    ossl_use_key(&e->peer, "rsa.pem", "rsa.key");
}

static void
optional(struct evil *e)
{
    ask(e, FLOW_TLS_CLIENT_AUTH_OPTIONAL);
    ossl_use_key(&e->peer, "p256.pem", "p256.key");
}

static void
drop_proof(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = r->drop || is_message(r, CERTIFICATE_VERIFY);
}

static void
drop_certificate(struct evil *e, struct evil_record *r)
{
    (void)e;
    r->drop = r->drop || is_message(r, CERTIFICATE);
}

static void
drop_both(struct evil *e, struct evil_record *r)
{
    drop_proof(e, r);
    drop_certificate(e, r);
}

static void
twice(struct evil *e, struct evil_record *r, uint8_t type)
{
    static struct evil_record copy;

    if (!is_message(r, type))
        return;
    copy = *r;
    evil_pass(e, &copy);
}

static void
proof_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, CERTIFICATE_VERIFY);
}

static void
certificate_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, CERTIFICATE);
}

static void
forge_proof(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY))
        r->content[r->len - 1] ^= 1;
}

/* A signature of the client's own key, over other messages. */
static void
prove_another_handshake(struct evil *e, struct evil_record *r)
{
    EVP_MD_CTX *ctx;
    size_t len = 300;
    uint8_t *sig = r->content + 8;

    if (!is_message(r, CERTIFICATE_VERIFY))
        return;
    ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
                                        SSL_CTX_get0_privatekey(e->peer.ctx)),
                     1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, sig, 32), 1);
    EVP_MD_CTX_free(ctx);
    sig[-2] = (uint8_t)(len >> 8);
    sig[-1] = (uint8_t)len;
    r->len = 8 + len;
    r->content[2] = (uint8_t)((r->len - 4) >> 8);
    r->content[3] = (uint8_t)(r->len - 4);
}

static void
malform_proof(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY))
        memset(r->content + 8, 0xff, r->len - 8);
}

/* rsa_pkcs1_sha256, for a key on a curve. */
static void
change_scheme(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY)) {
        r->content[4] = 4;
        r->content[5] = 1;
    }
}

static void
shorten_proof(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_VERIFY))
        add(r->content + 6, -1);
}

static void
empty_certificate(struct evil *e, struct evil_record *r)
{
    static const uint8_t empty12[] = { 11, 0, 0, 3, 0, 0, 0 };
    static const uint8_t empty13[] = { 11, 0, 0, 4, 0, 0, 0, 0 };

    if (!is_message(r, CERTIFICATE))
        return;
    r->len = e->tls12 ? sizeof(empty12) : sizeof(empty13);
    memcpy(r->content, e->tls12 ? empty12 : empty13, r->len);
}

static void
certificate_with_context(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE)) {
        resize(r, 5, 1);
        r->content[4] = 1;
    }
}

static void
cut_certificate(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE))
        resize(r, r->len - 1, -1);
}

/* A Certificate of a client that was not asked. */
static void
unasked_certificate(struct evil *e, struct evil_record *r)
{
    static const uint8_t empty13[] = { 22, 0, 0, 0, 11, 0, 0, 4, 0, 0, 0, 0 };

    if (is_message(r, FINISHED))
        evil_sealed(e, EVIL_HANDSHAKE, 22, empty13 + 4, sizeof(empty13) - 4);
}

static void
false_messages_of_a_client_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "no CertificateVerify", true, 0x0303, drop_proof, 10, PLAIN,
          required },
        { "no CertificateVerify", true, 0x0304, drop_proof, 10, DATA,
          required },
        { "no Certificate", true, 0x0303, drop_certificate, 10, PLAIN,
          required },
        { "no Certificate", true, 0x0304, drop_certificate, 10, DATA,
          required },
        { "neither", true, 0x0303, drop_both, 10, PLAIN, required },
        { "neither", true, 0x0304, drop_both, 10, DATA, required },
        { "neither, none required", true, 0x0304, drop_both, 10, DATA,
          optional },
        { "two CertificateVerify", true, 0x0303, proof_twice, 10, PLAIN,
          required },
        { "two CertificateVerify", true, 0x0304, proof_twice, 10, DATA,
          required },
        { "two Certificate", true, 0x0303, certificate_twice, 10, PLAIN,
          required },
        { "two Certificate", true, 0x0304, certificate_twice, 10, DATA,
          required },
        { "wrong signature", true, 0x0303, forge_proof, 51, PLAIN, required },
        { "wrong signature", true, 0x0304, forge_proof, 51, DATA, required },
        { "wrong signature, RSA", true, 0x0304, forge_proof, 51, DATA,
          required_of_rsa },
        { "wrong signature, RSA", true, 0x0303, forge_proof, 51, PLAIN,
          required_of_rsa },
        { "signature over other messages", true, 0x0303,
          prove_another_handshake, 51, PLAIN, required },
        { "signature over other messages", true, 0x0304,
          prove_another_handshake, 51, DATA, required },
        { "malformed signature", true, 0x0303, malform_proof, 51, PLAIN,
          required },
        { "malformed signature", true, 0x0304, malform_proof, 51, DATA,
          required },
        { "scheme of another key", true, 0x0303, change_scheme, 47, PLAIN,
          required },
        { "scheme of another key", true, 0x0304, change_scheme, 47, DATA,
          required },
        { "length of the signature", true, 0x0303, shorten_proof, 50, PLAIN,
          required },
        { "length of the signature", true, 0x0304, shorten_proof, 50, DATA,
          required },
        { "empty Certificate before a CertificateVerify", true, 0x0303,
          empty_certificate, 10, PLAIN, optional },
        { "empty Certificate before a CertificateVerify", true, 0x0304,
          empty_certificate, 10, DATA, optional },
        { "Certificate with a context", true, 0x0304, certificate_with_context,
          50, DATA, required },
        { "truncated Certificate", true, 0x0303, cut_certificate, 50, PLAIN,
          required },
        { "truncated Certificate", true, 0x0304, cut_certificate, 50, DATA,
          required },
        { "Certificate without a request", true, 0x0304, unasked_certificate,
          10, DATA, NULL },
    };

    (void)state;
    LIES(lies);
}

static void
an_empty_certificate_is_refused_where_one_is_required(void **state)
{
    static const struct lie lies[] = {
        { "empty Certificate", true, 0x0303, empty_certificate, 40, PLAIN,
          required },
        { "empty Certificate", true, 0x0304, empty_certificate, 116, DATA,
          required },
    };

    (void)state;
    LIES_OF_TRUST(lies);
}

/* --- false messages of a server --- */

static void
asks(struct evil *e)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(pki("ca.pem"));

    SSL_CTX_set_client_CA_list(e->peer.ctx, names);
    SSL_CTX_set_verify(e->peer.ctx, SSL_VERIFY_PEER, NULL);
    assert_int_equal(
        SSL_CTX_load_verify_locations(e->peer.ctx, pki("ca.pem"), NULL), 1);
    assert_status(flow_tls_config_add_keypair_file(e->config, pki("p256.pem"),
                                                   pki("p256.key"), NULL, NULL,
                                                   NULL),
                  FLOW_OK);
}

static void
request_twice(struct evil *e, struct evil_record *r)
{
    twice(e, r, CERTIFICATE_REQUEST);
}

/* The Certificate of the server comes first. */
static void
request_late(struct evil *e, struct evil_record *r)
{
    static struct evil_record held;

    if (is_message(r, CERTIFICATE_REQUEST)) {
        held = *r;
        r->drop = true;
    }
    if (is_message(r, CERTIFICATE_VERIFY))
        evil_pass(e, &held);
}

static void
request_with_context(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_REQUEST)) {
        resize(r, 5, 1);
        r->content[4] = 1;
    }
}

/* Offset of an extension of a CertificateRequest of TLS 1.3. */
static uint8_t *
request_extension(struct evil_record *r, uint16_t type)
{
    size_t at = 4 + 1 + 2;

    while (at + 4 <= r->len) {
        if ((r->content[at] << 8 | r->content[at + 1]) == type)
            return r->content + at;
        at += 4u + (size_t)(r->content[at + 2] << 8 | r->content[at + 3]);
    }
    return NULL;
}

static void
request_without_schemes(struct evil *e, struct evil_record *r)
{
    (void)e;
    /* Another number, which no one knows. */
    if (is_message(r, CERTIFICATE_REQUEST))
        request_extension(r, 13)[0] = 0xfa;
}

static void
request_of_malformed_names(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_REQUEST))
        add(request_extension(r, 47) + 6, 1);
}

static void
request_cut(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CERTIFICATE_REQUEST))
        resize(r, r->len - 1, -1);
}

static void
false_requests_get_their_alert(void **state)
{
    static const struct lie lies[] = {
        { "two requests", false, 0x0303, request_twice, 10, PLAIN, asks },
        { "two requests", false, 0x0304, request_twice, 10, HANDSHAKE, asks },
        { "request after the Certificate", false, 0x0304, request_late, 10,
          HANDSHAKE, asks },
        { "request with a context", false, 0x0304, request_with_context, 50,
          HANDSHAKE, asks },
        { "request without signature algorithms", false, 0x0304,
          request_without_schemes, 109, HANDSHAKE, asks },
        { "request with malformed names", false, 0x0304,
          request_of_malformed_names, 50, HANDSHAKE, asks },
        { "truncated request", false, 0x0303, request_cut, 50, PLAIN, asks },
        { "truncated request", false, 0x0304, request_cut, 50, HANDSHAKE,
          asks },
    };

    (void)state;
    LIES(lies);
}

/* --- what our client presents --- */

static void
own(const char *chain, const char *key)
{
    struct flow_error err;

    if (flow_tls_config_add_keypair_file(evil.config, pki(chain), pki(key),
                                         NULL, NULL, &err) != FLOW_OK)
        fail_msg("%s (%s)", err.text, err.detail);
}

/* The common name of what our client presents to a server that names the
 * authorities of a file, and accepts these schemes; "" for none. */
static const char *
presented(int version, const char *names, const char *schemes)
{
    static char text[64];
    X509 *cert;

    guard_case(schemes != NULL ? schemes : names);
    evil_init(&evil, false, version);
    own("p256.pem", "p256.key");
    own("untrusted.pem", "untrusted.key");
    own("rsa.pem", "rsa.key");
    own("chain.pem", "chained.key");
    SSL_CTX_set_verify(evil.peer.ctx, SSL_VERIFY_PEER, NULL);
    assert_int_equal(
        SSL_CTX_load_verify_locations(evil.peer.ctx, pki("ca.pem"), NULL), 1);
    assert_int_equal(
        SSL_CTX_load_verify_locations(evil.peer.ctx, pki("other.pem"), NULL),
        1);
    if (names != NULL)
        SSL_CTX_set_client_CA_list(evil.peer.ctx,
                                   SSL_load_client_CA_file(pki(names)));
    if (schemes != NULL)
        assert_int_equal(
            SSL_CTX_set1_client_sigalgs_list(evil.peer.ctx, schemes), 1);
    evil_start(&evil);
    evil_run(&evil);
    if (evil.status != FLOW_OK || !ossl_open(&evil.peer))
        fail_msg("%s", evil_text(&evil));
    cert = SSL_get1_peer_certificate(evil.peer.ssl);
    text[0] = '\0';
    if (cert != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
                                  text, sizeof(text));
    X509_free(cert);
    evil_free(&evil);
    return text;
}

static void
a_client_chooses_by_issuer_and_key(void **state)
{
    (void)state;
    for (int v = FLOW_TLS_1_2; v <= FLOW_TLS_1_3; v++) {
        const char *rsa =
            v == FLOW_TLS_1_2 ? "RSA+SHA256" : "RSA-PSS+SHA256:RSA-PSS+SHA384";

        assert_string_equal(presented(v, NULL, NULL), "p256");
        assert_string_equal(presented(v, "ca.pem", NULL), "p256");
        assert_string_equal(presented(v, "other.pem", NULL), "untrusted");
        assert_string_equal(presented(v, "intermediate.pem", NULL), "chained");
        assert_string_equal(presented(v, "ca.pem", rsa), "rsa");
        assert_string_equal(presented(v, NULL, rsa), "rsa");
        /* None suits. */
        assert_string_equal(presented(v, "other.pem", rsa), "");
        assert_string_equal(presented(v, "second.pem", NULL), "");
        assert_string_equal(presented(v, NULL, "ed25519"), "");
    }
    /* What mbedTLS would sign with is the hash of the suite. */
    assert_string_equal(presented(FLOW_TLS_1_2, NULL, "ECDSA+SHA384"), "");
}

/* In TLS 1.3 a client is refused after it has completed the handshake. */
static void
a_refused_client_reads_why(void **state)
{
    struct flow_error err;
    uint8_t buf[16];
    size_t n;

    (void)state;
    evil_init(&evil, false, FLOW_TLS_1_3);
    SSL_CTX_set_verify(evil.peer.ctx,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    evil_start(&evil);
    evil_run(&evil);
    assert_status(evil.status, FLOW_OK);
    assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_E_PROTO);
    flow_get_error(evil.ours, FLOW_READ, &err);
    assert_int_equal(err.alert_received, 116);
    assert_non_null(
        strstr(evil_text(&evil), "received fatal alert: certificate_required"));
    assert_non_null(err.hint);
    assert_non_null(strstr(err.hint, "client certificate"));
    evil_free(&evil);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_certificate_under_each_policy),
        TEST(a_certificate_is_asked_for_after_a_retry),
        TEST(the_request_names_the_authorities),
        TEST(entries_have_their_own_policy),
        TEST(false_messages_of_a_client_get_their_alert),
        TEST(an_empty_certificate_is_refused_where_one_is_required),
        TEST(false_requests_get_their_alert),
        TEST(a_client_chooses_by_issuer_and_key),
        TEST(a_refused_client_reads_why),
    };

    return TEST_RUN(tests);
}
