/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "evil.h"
#include "mint.h"
#include "test.h"

/*
 * Which servers our client accepts: certificates with one defect each, sent by
 * a server that has the private key.
 */

static struct evil evil;

static void
show(const char *name, X509 *leaf, EVP_PKEY *key, X509 *between, int version)
{
    evil_init(&evil, false, version);
    assert_int_equal(SSL_CTX_use_certificate(evil.peer.ctx, leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(evil.peer.ctx, key), 1);
    if (between != NULL)
        assert_int_equal(SSL_CTX_add1_chain_cert(evil.peer.ctx, between), 1);
    assert_status(flow_tls_wrap_client(evil.config, &evil.loop.base, name, 0,
                                       &evil.ours, NULL),
                  FLOW_OK);
    ossl_start(&evil.peer, NULL);
    SSL_set_app_data(evil.peer.ssl, &evil);
    evil_run(&evil);
}

/* accepted, or refused with this flag and this alert */
static void
expect(const char *what, uint32_t flag, int alert)
{
    struct flow_error err;

    flow_get_error(evil.ours, FLOW_READ, &err);
    if (flag == 0 && evil.status == FLOW_OK)
        return;
    if (flag != 0 && evil.status == FLOW_E_AUTH && err.verify_flags == flag &&
        err.alert_sent == alert && err.detail[0] != '\0')
        return;
    print_error("%s: %s; flags 0x%x, not 0x%x\n", what,
                evil.status == FLOW_OK ? "accepted" : evil_text(&evil),
                err.verify_flags, flag);
    evil_wrong++;
}

static void
certificate_names_match_as_rfc9525_says(void **state)
{
    static const struct {
        const char *cn;
        const char *san;
        const char *name;
        bool fits;
    } rows[] = {
        { "a", "DNS:a.example", "a.example", true },
        { "a", "DNS:a.example", "A.Example", true },
        { "a", "DNS:A.EXAMPLE", "a.example", true },
        { "a", "DNS:a.example", "a.example.", true },
        { "a", "DNS:b.example,DNS:a.example", "a.example", true },
        { "a", "DNS:a.example", "b.example", false },
        { "a", "DNS:a.example", "a.a.example", false },
        { "a", "DNS:a.a.example", "a.example", false },
        /* RFC 9525 6.3: the wildcard is one whole label, the left-most. */
        { "a", "DNS:*.b.example", "a.b.example", true },
        { "a", "DNS:*.b.example", "b.example", false },
        { "a", "DNS:*.b.example", "x.a.b.example", false },
        { "a", "DNS:a*.b.example", "ab.b.example", false },
        { "a", "DNS:*a.b.example", "ba.b.example", false },
        { "a", "DNS:a.*.example", "a.b.example", false },
        { "a", "DNS:*.*.example", "a.b.example", false },
        { "a", "DNS:*", "localhost", false },
        { "a", "DNS:*.test", "a.test", false },
        { "a", "DNS:*.example", "a.example", false },
        /* RFC 9525 6.5: an address does not match a DNS name, nor the
         * reverse. */
        { "a", "IP:127.0.0.1", "127.0.0.1", true },
        { "a", "IP:::1", "::1", true },
        { "a", "IP:::1", "0:0:0:0:0:0:0:1", true },
        { "a", "IP:127.0.0.1", "127.0.0.2", false },
        { "a", "IP:127.0.0.1", "localhost", false },
        { "a", "DNS:127.0.0.1", "127.0.0.1", false },
        { "a", "DNS:*.0.0.1", "127.0.0.1", false },
        { "a", "URI:https://a.example", "a.example", false },
        { "a", "email:a@a.example", "a.example", false },
        /* RFC 9525 2: the common name does not count. */
        { "a.example", NULL, "a.example", false },
        { "a.example", "DNS:b.example", "a.example", false },
        { "127.0.0.1", NULL, "127.0.0.1", false },
    };
    EVP_PKEY *key = mint_key();
    size_t i;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mint what = { rows[i].cn, rows[i].san, "digitalSignature",
                             NULL,       NULL,        NULL };
        X509 *leaf = mint_certificate(&what, key, NULL, NULL);
        struct flow_tls_info info;
        char text[200];

        snprintf(text, sizeof(text), "CN %s, SAN %s, asked for %s", rows[i].cn,
                 rows[i].san == NULL ? "none" : rows[i].san, rows[i].name);
        guard_case(text);
        show(rows[i].name, leaf, key, NULL, i % 2 ? 0x0303 : 0x0304);
        expect(text, rows[i].fits ? 0 : FLOW_VERIFY_NAME, 42);
        if (evil.status == FLOW_OK) {
            assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
            assert_int_equal(info.verify_flags, 0);
        }
        evil_free(&evil);
        X509_free(leaf);
    }
    EVP_PKEY_free(key);
    assert_int_equal(evil_wrong, 0);
}

static void
key_usages_of_the_leaf_are_checked(void **state)
{
    static const struct {
        const char *usage;
        const char *extended;
        uint32_t flag;
    } rows[] = {
        { NULL, NULL, 0 },
        { "digitalSignature", "serverAuth", 0 },
        { "digitalSignature", "serverAuth,clientAuth", 0 },
        { "digitalSignature", "anyExtendedKeyUsage", 0 },
        { "digitalSignature", "clientAuth", FLOW_VERIFY_USAGE },
        { "digitalSignature", "codeSigning", FLOW_VERIFY_USAGE },
        { "keyCertSign", NULL, FLOW_VERIFY_USAGE },
    };
    EVP_PKEY *key = mint_key();
    size_t i;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mint what = { "a",           "DNS:a.example",
                             rows[i].usage, rows[i].extended,
                             NULL,          NULL };
        X509 *leaf = mint_certificate(&what, key, NULL, NULL);
        char text[200];

        snprintf(text, sizeof(text), "keyUsage %s, extendedKeyUsage %s",
                 rows[i].usage == NULL ? "none" : rows[i].usage,
                 rows[i].extended == NULL ? "none" : rows[i].extended);
        guard_case(text);
        /* OpenSSL does not use the last one in TLS 1.2. */
        show("a.example", leaf, key, NULL, i % 2 ? 0x0303 : 0x0304);
        expect(text, rows[i].flag, 43);
        evil_free(&evil);
        X509_free(leaf);
    }
    EVP_PKEY_free(key);
    assert_int_equal(evil_wrong, 0);
}

static void
intermediates_must_be_authorities(void **state)
{
    static const struct {
        const char *what;
        struct mint between;
        uint32_t flag;
        int alert;
    } rows[] = {
        { "good",
          { "i", NULL, "keyCertSign", NULL, "critical,CA:TRUE", NULL },
          0,
          0 },
        { "for servers",
          { "i", NULL, "keyCertSign", "serverAuth", "critical,CA:TRUE", NULL },
          0,
          0 },
        { "for clients only",
          { "i", NULL, "keyCertSign", "clientAuth", "critical,CA:TRUE", NULL },
          FLOW_VERIFY_USAGE,
          43 },
        { "no authority",
          { "i", NULL, "digitalSignature", NULL, "critical,CA:FALSE", NULL },
          FLOW_VERIFY_NOT_TRUSTED,
          48 },
        { "without basicConstraints",
          { "i", NULL, NULL, NULL, NULL, NULL },
          FLOW_VERIFY_NOT_TRUSTED,
          48 },
        { "not for certificates",
          { "i", NULL, "cRLSign", NULL, "critical,CA:TRUE", NULL },
          FLOW_VERIFY_NOT_TRUSTED,
          48 },
    };
    static const struct mint of_leaf = {
        "a", "DNS:a.example", "digitalSignature", NULL, NULL, NULL
    };
    EVP_PKEY *key = mint_key(), *signer_key = mint_key();
    size_t i;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509 *between =
            mint_certificate(&rows[i].between, signer_key, NULL, NULL);
        X509 *leaf = mint_certificate(&of_leaf, key, between, signer_key);

        guard_case(rows[i].what);
        show("a.example", leaf, key, between, i % 2 ? 0x0304 : 0x0303);
        expect(rows[i].what, rows[i].flag, rows[i].alert);
        evil_free(&evil);
        X509_free(leaf);
        X509_free(between);
    }
    EVP_PKEY_free(key);
    EVP_PKEY_free(signer_key);
    assert_int_equal(evil_wrong, 0);
}

/* A system's mbedTLS refuses the extension: documented, with an error that says
 * so. */
static void
expect_engine_refuses(void)
{
    struct flow_error err;

    assert_status(evil.status, FLOW_E_PROTO);
    flow_get_error(evil.ours, FLOW_READ, &err);
    assert_int_equal(err.alert_sent, 42);
    assert_non_null(strstr(err.text, "the peer's certificate"));
    assert_non_null(strstr(err.hint, "name constraints"));
}

static void
critical_name_constraints_are_checked(void **state)
{
    static const struct mint of_leaf = {
        "a", "DNS:a.example", "digitalSignature", NULL, NULL, NULL
    };
    static const struct {
        const char *constraints;
        uint32_t flag;
        int alert;
    } rows[] = {
        { "critical,permitted;DNS:example", 0, 0 },
        { "critical,permitted;DNS:b.example", FLOW_VERIFY_CONSTRAINT, 42 },
        { "critical,excluded;DNS:a.example", FLOW_VERIFY_CONSTRAINT, 42 },
    };
    EVP_PKEY *key = mint_key(), *signer_key = mint_key();

    (void)state;
    evil_wrong = 0;
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        const struct mint bound = { "i",
                                    NULL,
                                    "keyCertSign",
                                    NULL,
                                    "critical,CA:TRUE",
                                    rows[i / 2].constraints };
        X509 *between = mint_certificate(&bound, signer_key, NULL, NULL);
        X509 *leaf = mint_certificate(&of_leaf, key, between, signer_key);

        guard_case(bound.names);
        show("a.example", leaf, key, between, i % 2 ? 0x0304 : 0x0303);
        if (TEST_ENGINE_REFUSES && rows[i / 2].flag == 0)
            expect_engine_refuses();
        else
            expect(bound.names, rows[i / 2].flag, rows[i / 2].alert);
        evil_free(&evil);
        X509_free(leaf);
        X509_free(between);
    }
    EVP_PKEY_free(key);
    EVP_PKEY_free(signer_key);
    assert_int_equal(evil_wrong, 0);
}

/* Settings called "insecure": no verification at all, or none of the name. */
static void
insecure_settings_skip_only_what_they_name(void **state)
{
    static const struct mint what = {
        "a", "DNS:a.example", "digitalSignature", NULL, NULL, NULL
    };
    EVP_PKEY *key = mint_key();
    X509 *leaf = mint_certificate(&what, key, NULL, NULL);
    X509 *self = mint_certificate(&what, key, leaf, key);
    struct flow_tls_info info;
    int i;

    (void)state;
    for (i = 0; i < 4; i++) {
        bool skip_name = i % 2 != 0, trusted = i / 2 == 0;

        evil_init(&evil, false, 0x0304);
        if (skip_name)
            assert_status(flow_tls_config_insecure_skip_name(evil.config, true),
                          FLOW_OK);
        else
            assert_status(
                flow_tls_config_insecure_skip_verify(evil.config, true),
                FLOW_OK);
        SSL_CTX_use_certificate(evil.peer.ctx, trusted ? leaf : self);
        SSL_CTX_use_PrivateKey(evil.peer.ctx, key);
        evil_start(&evil);
        evil_run(&evil);
        if (skip_name && !trusted) {
            assert_status(evil.status, FLOW_E_AUTH);
        } else {
            assert_status(evil.status, FLOW_OK);
            assert_status(flow_tls_get_info(evil.ours, &info), FLOW_OK);
            /* The flags tell what was found, and what was not checked. */
            assert_true(info.verify_flags & FLOW_VERIFY_NOT_CHECKED);
            assert_int_equal(info.verify_flags != FLOW_VERIFY_NOT_CHECKED,
                             !trusted);
        }
        evil_free(&evil);
    }
    X509_free(leaf);
    X509_free(self);
    EVP_PKEY_free(key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(certificate_names_match_as_rfc9525_says),
        TEST(key_usages_of_the_leaf_are_checked),
        TEST(intermediates_must_be_authorities),
        TEST(critical_name_constraints_are_checked),
        TEST(insecure_settings_skip_only_what_they_name),
    };

    return TEST_RUN(tests);
}
