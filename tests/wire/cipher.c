/* SPDX-License-Identifier: ISC */
#include "cipher.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "test.h"

#define TAG 16

static void
derive(const char *name, OSSL_PARAM *params, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

    assert_non_null(ctx);
    assert_int_equal(EVP_KDF_derive(ctx, out, len, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static OSSL_PARAM
octets(const char *key, const void *data, size_t len)
{
    return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)data, len);
}

/* HKDF-Expand-Label of RFC 8446 7.1. */
static void
expand_label(const uint8_t *secret, const char *label, uint8_t *out, size_t len)
{
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    size_t n = strlen(label);
    uint8_t info[64] = { 0, (uint8_t)len, (uint8_t)(6 + n) };
    OSSL_PARAM params[5] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, secret, CIPHER_SECRET),
        octets(OSSL_KDF_PARAM_INFO, info, 10 + n),
        OSSL_PARAM_construct_end(),
    };

    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    derive("HKDF", params, out, len);
}

void
cipher_init13(struct cipher *c, const uint8_t secret[CIPHER_SECRET])
{
    memset(c, 0, sizeof(*c));
    c->is_set = true;
    expand_label(secret, "key", c->key, sizeof(c->key));
    expand_label(secret, "iv", c->iv, sizeof(c->iv));
}

void
cipher_update(struct cipher *c, uint8_t secret[CIPHER_SECRET])
{
    uint8_t next[CIPHER_SECRET];

    expand_label(secret, "traffic upd", next, sizeof(next));
    memcpy(secret, next, sizeof(next));
    cipher_init13(c, secret);
}

void
cipher_init12(struct cipher *c, const uint8_t master[48],
              const uint8_t client_random[32], const uint8_t server_random[32],
              bool of_client)
{
    static const char label[] = "key expansion";
    char digest[] = "SHA256";
    uint8_t block[40];
    OSSL_PARAM params[6] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_SECRET, master, 48),
        octets(OSSL_KDF_PARAM_SEED, label, sizeof(label) - 1),
        octets(OSSL_KDF_PARAM_SEED, server_random, 32),
        octets(OSSL_KDF_PARAM_SEED, client_random, 32),
        OSSL_PARAM_construct_end(),
    };

    derive("TLS1-PRF", params, block, sizeof(block));
    memset(c, 0, sizeof(*c));
    c->is_set = true;
    c->tls12 = true;
    memcpy(c->key, block + (of_client ? 0 : 16), 16);
    memcpy(c->iv, block + 32 + (of_client ? 0 : 4), 4);
}

static void
put64(uint8_t *p, uint64_t v)
{
    int i;

    for (i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* Nonce and additional data of a record; returns the length of the latter. */
static int
frame(const struct cipher *c, const uint8_t *record, size_t content,
      uint8_t nonce[12], uint8_t ad[13])
{
    uint8_t number[8];
    size_t i;

    put64(number, c->seq);
    memcpy(nonce, c->iv, 12);
    if (!c->tls12) {
        for (i = 0; i < 8; i++)
            nonce[4 + i] ^= number[i];
        memcpy(ad, record, 5);
        return 5;
    }
    memcpy(nonce + 4, record + 5, 8);
    memcpy(ad, number, 8);
    ad[8] = record[0];
    ad[9] = ad[10] = 3;
    ad[11] = (uint8_t)(content >> 8);
    ad[12] = (uint8_t)content;
    return 13;
}

size_t
cipher_seal(struct cipher *c, uint8_t type, const void *content, size_t len,
            size_t pad, uint8_t *record)
{
    size_t head = c->tls12 ? 13 : 5, inner = len + (c->tls12 ? 0 : 1 + pad);
    size_t body = head - 5 + inner + TAG;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t nonce[12], ad[13];
    uint8_t *text = malloc(inner + 1);
    int ad_len, n;

    assert_true(ctx != NULL && text != NULL && c->is_set);
    assert_true(body < CIPHER_MAX);
    memset(text, 0, inner + 1);
    if (len > 0)
        memcpy(text, content, len);
    if (!c->tls12)
        text[len] = type;
    record[0] = c->tls12 ? type : 23;
    record[1] = record[2] = 3;
    record[3] = (uint8_t)(body >> 8);
    record[4] = (uint8_t)body;
    if (c->tls12)
        put64(record + 5, c->seq);
    ad_len = frame(c, record, len, nonce, ad);
    assert_int_equal(
        EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, c->key, nonce), 1);
    EVP_EncryptUpdate(ctx, NULL, &n, ad, ad_len);
    EVP_EncryptUpdate(ctx, record + head, &n, text, (int)inner);
    EVP_EncryptFinal_ex(ctx, record + head + inner, &n);
    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, record + head + inner);
    EVP_CIPHER_CTX_free(ctx);
    free(text);
    c->seq++;
    return 5 + body;
}

int
cipher_open(struct cipher *c, const uint8_t *record, size_t len,
            uint8_t *ret_type, uint8_t *ret_content)
{
    size_t head = c->tls12 ? 13 : 5, inner;
    EVP_CIPHER_CTX *ctx;
    uint8_t nonce[12], ad[13];
    int ad_len, n = 0, fin = 0;
    bool ok;

    if (!c->is_set || len < head + TAG)
        return -1;
    inner = len - head - TAG;
    ad_len = frame(c, record, inner, nonce, ad);
    ctx = EVP_CIPHER_CTX_new();
    ok = EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, c->key, nonce) == 1 &&
         EVP_DecryptUpdate(ctx, NULL, &n, ad, ad_len) == 1 &&
         EVP_DecryptUpdate(ctx, ret_content, &n, record + head, (int)inner) ==
             1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG,
                             (void *)(uintptr_t)(record + head + inner)) == 1 &&
         EVP_DecryptFinal_ex(ctx, ret_content + n, &fin) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        return -1;
    c->seq++;
    *ret_type = record[0];
    if (c->tls12)
        return n;
    while (n > 0 && ret_content[n - 1] == 0)
        n--;
    *ret_type = n > 0 ? ret_content[n - 1] : 0;
    return n > 0 ? n - 1 : 0;
}
