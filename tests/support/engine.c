/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include <flow/flow.h>

#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/psa.h"

#include "engine.h"
#include "pki.h"
#include "stacks.h"
#include "test.h"

static int
on_send(void *ctx, const unsigned char *buf, size_t len)
{
    struct engine *e = ctx;

    assert_true(len <= sizeof(e->out) - e->out_len);
    assert_true(e->sends < ENGINE_RECORDS);
    e->send_at[e->sends] = e->out_len;
    e->send_len[e->sends++] = len;
    memcpy(e->out + e->out_len, buf, len);
    e->out_len += len;
    return (int)len;
}

static int
on_recv(void *ctx, unsigned char *buf, size_t len)
{
    struct engine *e = ctx;
    size_t n = e->in_len - e->in_off;

    if (n == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    n = n < len ? n : len;
    memcpy(buf, e->in + e->in_off, n);
    e->in_off += n;
    return (int)n;
}

static void
on_export(void *ctx, mbedtls_ssl_key_export_type type,
          const unsigned char *secret, size_t len,
          const unsigned char client_random[32],
          const unsigned char server_random[32], mbedtls_tls_prf_types prf)
{
    struct engine *e = ctx;

    assert_in_range(type, 0, ENGINE_SECRETS - 1);
    assert_true(len <= sizeof(e->secret[0]));
    e->exports[type]++;
    e->sends_before[type] = e->sends;
    e->suite_seen[type] = mbedtls_ssl_get_ciphersuite_id_from_ssl(&e->ssl);
    memcpy(e->secret[type], secret, len);
    e->secret_len[type] = len;
    memcpy(e->client_random, client_random, 32);
    memcpy(e->server_random, server_random, 32);
    e->prf = prf;
}

/* The engine as we build it has no file system functions. */
static size_t
read_pem(const char *file, uint8_t *buf, size_t cap)
{
    FILE *f = fopen(pki(file), "r");
    size_t n;

    assert_non_null(f);
    n = fread(buf, 1, cap - 1, f);
    fclose(f);
    buf[n] = '\0';
    return n + 1;
}

void
engine_init(struct engine *e, bool server, mbedtls_ssl_protocol_version version)
{
    static const int suites[] = {
        MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0
    };
    uint8_t pem[8192];
    size_t len;

    memset(e, 0, sizeof(*e));
    e->server = server;
    /* 4.x needs PSA before it parses a certificate. */
    assert_status(flow__psa_init(), FLOW_OK);
    mbedtls_ssl_init(&e->ssl);
    mbedtls_ssl_config_init(&e->conf);
    mbedtls_x509_crt_init(&e->crt);
    mbedtls_pk_init(&e->key);
    assert_int_equal(
        mbedtls_ssl_config_defaults(
            &e->conf, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
            MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT),
        0);
    mbedtls_ssl_conf_min_tls_version(&e->conf, version);
    mbedtls_ssl_conf_max_tls_version(&e->conf, version);
    mbedtls_ssl_conf_ciphersuites(&e->conf, suites);
    flow__mbed_conf_random(&e->conf);
    len = read_pem(server ? "p256.pem" : "ca.pem", pem, sizeof(pem));
    assert_int_equal(mbedtls_x509_crt_parse(&e->crt, pem, len), 0);
    if (!server) {
        /* The bundled one verifies no chain. */
        mbedtls_ssl_conf_authmode(&e->conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
        mbedtls_ssl_conf_ca_chain(&e->conf, &e->crt, NULL);
        return;
    }
    len = read_pem("p256.key", pem, sizeof(pem));
    assert_int_equal(flow__mbed_parse_key(&e->key, pem, len, NULL, 0), 0);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&e->conf, &e->crt, &e->key), 0);
}

void
engine_start(struct engine *e)
{
    assert_int_equal(mbedtls_ssl_setup(&e->ssl, &e->conf), 0);
    mbedtls_ssl_set_bio(&e->ssl, e, on_send, on_recv, NULL);
    mbedtls_ssl_set_export_keys_cb(&e->ssl, on_export, e);
    if (!e->server)
        assert_int_equal(mbedtls_ssl_set_hostname(&e->ssl, "server.example"),
                         0);
}

void
engine_block(struct engine *e, mbedtls_ssl_send_t *send)
{
    mbedtls_ssl_set_bio(&e->ssl, e, send != NULL ? send : on_send, on_recv,
                        NULL);
}

void
engine_free(struct engine *e)
{
    mbedtls_ssl_free(&e->ssl);
    mbedtls_ssl_config_free(&e->conf);
    mbedtls_x509_crt_free(&e->crt);
    mbedtls_pk_free(&e->key);
}

void
engine_feed(struct engine *e, const void *data, size_t len)
{
    assert_true(len <= sizeof(e->in) - e->in_len);
    memcpy(e->in + e->in_len, data, len);
    e->in_len += len;
}

void
engine_to_peer(struct engine *e, struct ossl *o)
{
    if (e->out_len > e->out_given)
        BIO_write(o->in, e->out + e->out_given,
                  (int)(e->out_len - e->out_given));
    e->out_given = e->out_len;
}

void
engine_from_peer(struct engine *e, struct ossl *o)
{
    uint8_t buf[4096];
    int n;

    while ((n = BIO_read(o->out, buf, sizeof(buf))) > 0)
        engine_feed(e, buf, (size_t)n);
}

int
engine_handshake(struct engine *e, struct ossl *o)
{
    size_t before;
    int rc;

    do {
        before = e->out_len + e->in_len;
        rc = mbedtls_ssl_handshake(&e->ssl);
        engine_to_peer(e, o);
        ossl_step(o);
        engine_from_peer(e, o);
    } while (before != e->out_len + e->in_len &&
             (rc == 0 || rc == MBEDTLS_ERR_SSL_WANT_READ));
    return rc;
}

bool
engine_exchange(struct engine *e, struct flow *wire)
{
    uint8_t buf[4096];
    bool moved = false;
    size_t n;

    while (e->out_len > e->out_given &&
           flow_write(wire, e->out + e->out_given, e->out_len - e->out_given,
                      &n) == FLOW_OK) {
        e->out_given += n;
        moved = true;
    }
    while (flow_read(wire, buf, sizeof(buf), &n) == FLOW_OK) {
        engine_feed(e, buf, n);
        moved = true;
    }
    return moved;
}

/* The key schedule of RFC 8446 7.1, by OpenSSL. */
static void
expand_label(const uint8_t *secret, const char *label, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    uint8_t info[64];
    size_t n = strlen(label);
    OSSL_PARAM params[5];

    info[0] = 0;
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = 0;
    params[0] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[1] =
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    params[2] = OSSL_PARAM_construct_octet_string(
        OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, 32);
    params[3] =
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 10 + n);
    params[4] = OSSL_PARAM_construct_end();
    assert_int_equal(EVP_KDF_derive(ctx, out, len, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

void
record_key13(struct record_key *k, const uint8_t *secret)
{
    memset(k, 0, sizeof(*k));
    expand_label(secret, "key", k->key, sizeof(k->key));
    expand_label(secret, "iv", k->iv, sizeof(k->iv));
}

void
record_key12(struct record_key *k, const struct engine *e, bool of_client)
{
    uint8_t seed[64], block[40];

    /* RFC 5246 6.3: server_random first. */
    memcpy(seed, e->server_random, 32);
    memcpy(seed + 32, e->client_random, 32);
    assert_int_equal(mbedtls_ssl_tls_prf(
                         e->prf,
                         e->secret[MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET],
                         48, "key expansion", seed, 64, block, 40),
                     0);
    memset(k, 0, sizeof(*k));
    k->tls12 = true;
    memcpy(k->key, block + (of_client ? 0 : 16), 16);
    memcpy(k->iv, block + 32 + (of_client ? 0 : 4), 4);
}

static void
put64(uint8_t *p, uint64_t v)
{
    int i;

    for (i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* Nonce and additional data of a record; returns the length of the latter. */
static size_t
frame(const struct record_key *k, uint64_t number, uint8_t type, size_t plain,
      const uint8_t *record, uint8_t nonce[12], uint8_t aad[13])
{
    uint8_t n[8];
    size_t i;

    put64(n, number);
    memcpy(nonce, k->iv, 12);
    if (!k->tls12) {
        for (i = 0; i < 8; i++)
            nonce[4 + i] ^= n[i];
        memcpy(aad, record, 5);
        return 5;
    }
    memcpy(nonce + 4, record + 5, 8);
    memcpy(aad, n, 8);
    aad[8] = type;
    aad[9] = aad[10] = 3;
    aad[11] = (uint8_t)(plain >> 8);
    aad[12] = (uint8_t)plain;
    return 13;
}

int
record_open(const struct record_key *k, uint64_t number, const uint8_t *record,
            size_t len, uint8_t *ret_plain, uint8_t *ret_type)
{
    size_t head = k->tls12 ? 13 : 5, plain, aad_len;
    EVP_CIPHER_CTX *c;
    uint8_t nonce[12], aad[13];
    int n = 0, fin = 0;
    bool ok;

    if (len < head + 16)
        return -1;
    plain = len - head - 16;
    aad_len = frame(k, number, record[0], plain, record, nonce, aad);
    c = EVP_CIPHER_CTX_new();
    ok = EVP_DecryptInit_ex(c, EVP_aes_128_gcm(), NULL, k->key, nonce) == 1 &&
         EVP_DecryptUpdate(c, NULL, &n, aad, (int)aad_len) == 1 &&
         EVP_DecryptUpdate(c, ret_plain, &n, record + head, (int)plain) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16,
                             (void *)(uintptr_t)(record + head + plain)) == 1 &&
         EVP_DecryptFinal_ex(c, ret_plain + n, &fin) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!ok)
        return -1;
    *ret_type = record[0];
    if (k->tls12)
        return n;
    while (n > 0 && ret_plain[n - 1] == 0)
        n--;
    *ret_type = n > 0 ? ret_plain[n - 1] : 0;
    return n - 1;
}

size_t
record_seal(const struct record_key *k, uint64_t number, uint8_t type,
            const void *plain, size_t len, uint8_t *ret_record)
{
    size_t head = k->tls12 ? 13 : 5, inner = k->tls12 ? len : len + 1, body;
    uint8_t nonce[12], aad[13];
    static uint8_t text[20000];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    size_t aad_len;
    int n = 0;

    assert_true(len < sizeof(text));
    if (len > 0)
        memcpy(text, plain, len);
    text[len] = type;
    body = head - 5 + inner + 16;
    ret_record[0] = k->tls12 ? type : 23;
    ret_record[1] = ret_record[2] = 3;
    ret_record[3] = (uint8_t)(body >> 8);
    ret_record[4] = (uint8_t)body;
    if (k->tls12)
        put64(ret_record + 5, number);
    aad_len = frame(k, number, type, len, ret_record, nonce, aad);
    assert_int_equal(
        EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, k->key, nonce), 1);
    EVP_EncryptUpdate(c, NULL, &n, aad, (int)aad_len);
    EVP_EncryptUpdate(c, ret_record + head, &n, text, (int)inner);
    EVP_EncryptFinal_ex(c, ret_record + head + n, &n);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, ret_record + head + inner);
    EVP_CIPHER_CTX_free(c);
    return 5 + body;
}
