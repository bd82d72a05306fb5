/* SPDX-License-Identifier: ISC */
#include "mint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki.h"
#include "stacks.h"
#include "test.h"

EVP_PKEY *
mint_ec(const char *curve, int explicit_parameters)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    char form[] = OSSL_PKEY_EC_ENCODING_EXPLICIT;
    char named[] = OSSL_PKEY_EC_ENCODING_GROUP;
    OSSL_PARAM params[3] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         (char *)(uintptr_t)curve, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING,
                                         explicit_parameters ? form : named, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(ctx, params), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

EVP_PKEY *
mint_key(void)
{
    return mint_ec("P-256", 0);
}

static void
extend(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *ext;

    if (value == NULL)
        return;
    ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(certificate, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static FILE *
open_pki(const char *file)
{
    FILE *f = fopen(pki(file), "r");

    assert_non_null(f);
    return f;
}

static void
sign_by_ca(X509 *certificate)
{
    FILE *f = open_pki("ca.pem");
    X509 *ca = PEM_read_X509(f, NULL, NULL, NULL);
    EVP_PKEY *key;

    fclose(f);
    f = open_pki("ca.key");
    key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    X509_set_issuer_name(certificate, X509_get_subject_name(ca));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    EVP_PKEY_free(key);
    X509_free(ca);
}

X509 *
mint_certificate(const struct mint *what, EVP_PKEY *key, X509 *signer,
                 EVP_PKEY *signer_key)
{
    static long serial = 5000;
    X509 *c = X509_new();

    assert_non_null(c);
    X509_set_version(c, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), -86400);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                               (const unsigned char *)what->subject, -1, -1, 0);
    X509_set_pubkey(c, key);
    extend(c, NID_subject_alt_name, what->san);
    extend(c, NID_key_usage, what->usage);
    extend(c, NID_ext_key_usage, what->extended);
    extend(c, NID_basic_constraints, what->constraints);
    extend(c, NID_name_constraints, what->names);
    if (signer == NULL) {
        sign_by_ca(c);
        return c;
    }
    X509_set_issuer_name(c, X509_get_subject_name(signer));
    assert_true(X509_sign(c, signer_key, EVP_sha256()) > 0);
    return c;
}

static char *
take(BIO *bio, size_t *ret_len)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *copy = calloc(1, (size_t)len + 1);

    assert_non_null(copy);
    memcpy(copy, data, (size_t)len);
    BIO_free(bio);
    if (ret_len != NULL)
        *ret_len = (size_t)len;
    return copy;
}

char *
mint_pem(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    return take(bio, NULL);
}

char *
mint_key_pem(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
                         bio, key,
                         passphrase != NULL ? EVP_aes_256_cbc() : NULL, NULL, 0,
                         NULL, (void *)(uintptr_t)passphrase),
                     1);
    return take(bio, NULL);
}

unsigned char *
mint_key_der(EVP_PKEY *key, const char *passphrase, size_t *ret_len)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(i2d_PKCS8PrivateKey_bio(bio, key, EVP_aes_256_cbc(), NULL,
                                             0, NULL,
                                             (void *)(uintptr_t)passphrase),
                     1);
    return (unsigned char *)take(bio, ret_len);
}
