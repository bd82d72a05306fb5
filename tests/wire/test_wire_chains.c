/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/ssl.h>

#include "evil.h"
#include "mint.h"
#include "test.h"

/*
 * Certificates that cost their verifier more than their sender: keys with which
 * a signature check is slow, and many certificates that may each be the issuer.
 * The attacker needs no signatures: a check that fails costs the same.
 */

static struct evil evil;

/* A public key whose private key does not exist. */
static EVP_PKEY *
mint_rsa(int modulus_bits, int exponent_bits)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_new(), *e = BN_new();
    OSSL_PARAM *params;
    EVP_PKEY *key = NULL;

    assert_int_equal(
        BN_rand(n, modulus_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    assert_int_equal(
        BN_rand(e, exponent_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
    params = OSSL_PARAM_BLD_to_param(build);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params),
                     1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* A certificate for key, with the issuer's name but a signature of another
 * key. */
static X509 *
mint_as(const char *subject, const char *issuer, EVP_PKEY *key)
{
    const struct mint what = { .subject = subject,
                               .san = "DNS:server.example",
                               .constraints = "critical,CA:TRUE" };
    EVP_PKEY *signer = mint_key();
    const struct mint root = { .subject = issuer,
                               .constraints = "critical,CA:TRUE" };
    X509 *above = mint_certificate(&root, signer, NULL, NULL);
    X509 *cert = mint_certificate(&what, key, above, signer);

    X509_free(above);
    EVP_PKEY_free(signer);
    return cert;
}

/* The server sends a leaf issued by leaf_issuer, then count certificates of
 * subject for key, issued by issuer. */
static void
show(int version, const char *leaf_issuer, const char *subject,
     const char *issuer, EVP_PKEY *key, unsigned count)
{
    EVP_PKEY *own = mint_key();
    X509 *leaf = mint_as("server.example", leaf_issuer, own);
    unsigned i;

    evil_init(&evil, false, version);
    SSL_CTX_set_security_level(evil.peer.ctx, 0);
    assert_int_equal(SSL_CTX_use_certificate(evil.peer.ctx, leaf), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(evil.peer.ctx, own), 1);
    for (i = 0; i < count; i++) {
        X509 *between = mint_as(subject, issuer, key);

        assert_int_equal(SSL_CTX_add0_chain_cert(evil.peer.ctx, between), 1);
    }
    evil_start(&evil);
    evil_run(&evil);
    X509_free(leaf);
    EVP_PKEY_free(own);
}

static void
refused(const char *what, int version, const char *text)
{
    struct flow_error err;

    flow_get_error(evil.ours, FLOW_READ, &err);
    print_message("  %s: %s\n", what, evil_text(&evil));
    evil_refused(&evil, FLOW_E_AUTH, 42,
                 version == 0x0303 ? EVIL_PLAIN : EVIL_HANDSHAKE);
    assert_non_null(strstr(err.text, text));
    assert_true(err.verify_flags & FLOW_VERIFY_OTHER);
    evil_free(&evil);
}

static void
oversized_rsa_keys_are_refused(void **state)
{
    EVP_PKEY *modulus = mint_rsa(8200, 17), *exponent = mint_rsa(2048, 40);
    int version;

    (void)state;
    evil_wrong = 0;
    for (version = 0x0303; version <= 0x0304; version++) {
        show(version, "A", "A", "A", modulus, 1);
        refused("modulus", version, "8192 bits");
        show(version, "A", "A", "A", exponent, 1);
        refused("exponent", version, "32 bits");
        /* Also if none of the certificates names it as the issuer. */
        show(version, "A", "B", "B", exponent, 1);
        refused("exponent of a stranger", version, "32 bits");
    }
    assert_int_equal(evil_wrong, 0);
    EVP_PKEY_free(modulus);
    EVP_PKEY_free(exponent);
}

static void
many_possible_issuers_cost_bounded_work(void **state)
{
    EVP_PKEY *curve = mint_key();
    int version;

    (void)state;
    evil_wrong = 0;
    for (version = 0x0303; version <= 0x0304; version++) {
        /* Each may be the trusted authority's, as far as its names tell. */
        show(version, "A", "A", "Test Root", curve, 20);
        refused("P-256", version, "too long to verify");
        /* The same name in other case. */
        show(version, "aUTHORITY", "Authority", "TEST  root", curve, 20);
        refused("case", version, "too long to verify");
        show(version, "A", "B", "B", curve, 24);
        refused("strangers", version, "too many certificates");
    }
    assert_int_equal(evil_wrong, 0);
    EVP_PKEY_free(curve);
}

/* A chain that ends at no trusted name is refused without a signature check. */
static void
untrusted_chains_cost_no_signature_check(void **state)
{
    EVP_PKEY *large = mint_rsa(TEST_RSA_BITS, 32), *curve = mint_key();
    int version;

    (void)state;
    evil_wrong = 0;
    for (version = 0x0303; version <= 0x0304; version++) {
        show(version, "A", "A", "A", large, 4);
        evil_refused(&evil, FLOW_E_AUTH, 48,
                     version == 0x0303 ? EVIL_PLAIN : EVIL_HANDSHAKE);
        evil_free(&evil);
        show(version, "A", "B", "B", curve, 20);
        evil_refused(&evil, FLOW_E_AUTH, 48,
                     version == 0x0303 ? EVIL_PLAIN : EVIL_HANDSHAKE);
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
    EVP_PKEY_free(large);
    EVP_PKEY_free(curve);
}

/* Our limits allow it, but mbedTLS does not. */
static void
key_above_the_limit_of_mbedtls_is_refused(void **state)
{
    EVP_PKEY *large;
    int version;

    (void)state;
    if (TEST_RSA_BITS >= 8192)
        skip();
    large = mint_rsa(8192, 32);
    evil_wrong = 0;
    for (version = 0x0303; version <= 0x0304; version++) {
        show(version, "A", "A", "A", large, 1);
        evil_refused(&evil, FLOW_E_PROTO, 42,
                     version == 0x0303 ? EVIL_PLAIN : EVIL_HANDSHAKE);
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
    EVP_PKEY_free(large);
}

/* Seven authorities below the trusted one. */
static void
chain_of_the_longest_allowed_length_is_verified(void **state)
{
    static const char *const subjects[] = { "1", "2", "3", "4", "5", "6", "7" };
    X509 *certs[8] = { NULL };
    EVP_PKEY *keys[8] = { NULL };
    unsigned i;
    int version;

    (void)state;
    for (i = 0; i < 8; i++) {
        const struct mint what = { .subject =
                                       i < 7 ? subjects[i] : "server.example",
                                   .san = i < 7 ? NULL : "DNS:server.example",
                                   .constraints =
                                       i < 7 ? "critical,CA:TRUE" : NULL };

        keys[i] = mint_key();
        certs[i] = mint_certificate(&what, keys[i], i > 0 ? certs[i - 1] : NULL,
                                    i > 0 ? keys[i - 1] : NULL);
    }
    for (version = 0x0303; version <= 0x0304; version++) {
        evil_init(&evil, false, version);
        assert_int_equal(SSL_CTX_use_certificate(evil.peer.ctx, certs[7]), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(evil.peer.ctx, keys[7]), 1);
        for (i = 7; i-- > 0;)
            assert_int_equal(SSL_CTX_add1_chain_cert(evil.peer.ctx, certs[i]),
                             1);
        evil_start(&evil);
        evil_run(&evil);
        assert_status(evil.status, FLOW_OK);
        evil_free(&evil);
    }
    for (i = 0; i < 8; i++) {
        X509_free(certs[i]);
        EVP_PKEY_free(keys[i]);
    }
}

/* The reason for the engine's own limit. */
static void
overlong_chain_is_refused(void **state)
{
    X509 *certs[12] = { NULL };
    EVP_PKEY *keys[12] = { NULL };
    char subject[8];
    unsigned i;

    (void)state;
    evil_init(&evil, false, 0x0304);
    for (i = 0; i < 12; i++) {
        const struct mint what = { .subject =
                                       i < 11 ? subject : "server.example",
                                   .san = i < 11 ? NULL : "DNS:server.example",
                                   .constraints =
                                       i < 11 ? "critical,CA:TRUE" : NULL };

        (void)snprintf(subject, sizeof(subject), "ca %u", i);
        keys[i] = mint_key();
        certs[i] = mint_certificate(&what, keys[i], i > 0 ? certs[i - 1] : NULL,
                                    i > 0 ? keys[i - 1] : NULL);
    }
    assert_int_equal(SSL_CTX_use_certificate(evil.peer.ctx, certs[11]), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(evil.peer.ctx, keys[11]), 1);
    for (i = 11; i-- > 0;)
        assert_int_equal(SSL_CTX_add1_chain_cert(evil.peer.ctx, certs[i]), 1);
    evil_start(&evil);
    evil_run(&evil);
    print_message("  %s\n", evil_text(&evil));
    assert_non_null(strstr(evil_text(&evil), "its chain is too long"));
    assert_status(evil.status, FLOW_E_AUTH);
    evil_free(&evil);
    for (i = 0; i < 12; i++) {
        X509_free(certs[i]);
        EVP_PKEY_free(keys[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(oversized_rsa_keys_are_refused),
        TEST(many_possible_issuers_cost_bounded_work),
        TEST(untrusted_chains_cost_no_signature_check),
        TEST(key_above_the_limit_of_mbedtls_is_refused),
        TEST(chain_of_the_longest_allowed_length_is_verified),
        TEST(overlong_chain_is_refused),
    };

    return TEST_RUN(tests);
}
