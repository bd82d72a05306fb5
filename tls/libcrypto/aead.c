/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "lib/plat.h"

/*
 * AEAD by OpenSSL's libcrypto: AES-GCM and ChaCha20-Poly1305, with the key set
 * once for a context.  AES-CCM is left to others: for it libcrypto takes a text
 * in one piece only.
 *
 * The ciphers are fetched once for the process, from the default library
 * context, so that the administrator's configuration applies to them.  They are
 * never released, since any thread may use them until the process ends.  The
 * host program may use libcrypto as well, so errors of ours are removed from
 * its error queue.
 */

/* The ciphers; NULL: this libcrypto does not have it. */
static EVP_CIPHER *libcrypto_aes128_gcm;
static EVP_CIPHER *libcrypto_aes256_gcm;
static EVP_CIPHER *libcrypto_chacha20_poly1305;
static uint32_t libcrypto_fetched;

#define LIBCRYPTO_TAG_LEN  16
#define LIBCRYPTO_ONE_CALL ((size_t)2048)

struct libcrypto_key {
    EVP_CIPHER_CTX *evp;
};

static void
libcrypto_fetch(void)
{
    ERR_set_mark();
    libcrypto_aes128_gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    libcrypto_aes256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    libcrypto_chacha20_poly1305 =
        EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    ERR_pop_to_mark();
}

static const EVP_CIPHER *
libcrypto_cipher_of(enum flow__aead_alg alg, size_t key_len)
{
    /* Fetching takes locks that threads share; a fork waits for it.  Nothing
     * else that is called here takes a lock. */
    flow_once(libcrypto_fetch, &libcrypto_fetched);
    switch (alg) {
    case FLOW__AEAD_AES_GCM:
        if (key_len == 16)
            return libcrypto_aes128_gcm;
        return key_len == 32 ? libcrypto_aes256_gcm : NULL;
    case FLOW__AEAD_CHACHA20_POLY1305:
        return key_len == 32 ? libcrypto_chacha20_poly1305 : NULL;
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
    default:
        return NULL;
    }
}

static bool
libcrypto_supports(enum flow__aead_alg alg, size_t key_len)
{
    return libcrypto_cipher_of(alg, key_len) != NULL;
}

static void
libcrypto_fini(void *ctx)
{
    struct libcrypto_key *k = ctx;

    /* Wipes what it releases. */
    EVP_CIPHER_CTX_free(k->evp);
    k->evp = NULL;
}

static enum flow_status
libcrypto_init(void *ctx, enum flow__aead_alg alg, const uint8_t *key,
               size_t key_len)
{
    const EVP_CIPHER *cipher = libcrypto_cipher_of(alg, key_len);
    struct libcrypto_key *k = ctx;
    bool done;

    k->evp = NULL;
    if (cipher == NULL)
        return FLOW_E_NOTSUP;
    ERR_set_mark();
    k->evp = EVP_CIPHER_CTX_new();
    /* The nonce is 12 bytes by default. */
    done = k->evp != NULL &&
           EVP_EncryptInit_ex2(k->evp, cipher, key, NULL, NULL) == 1;
    ERR_pop_to_mark();
    if (done)
        return FLOW_OK;
    libcrypto_fini(k);
    /* A cipher that was fetched takes any key; only memory can be missing. */
    return FLOW_E_NOMEM;
}

/* A flow__aead_update_fn. */
static enum flow_status
libcrypto_update(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *evp = state;
    int n = 0;

    /* A record's length fits an int. */
    if (EVP_CipherUpdate(evp, out, &n, in, (int)len) != 1)
        return FLOW_E_SYS;
    return (size_t)n == len ? FLOW_OK : FLOW_E_SYS;
}

/* Nonce and additional data. */
static enum flow_status
libcrypto_begin(EVP_CIPHER_CTX *evp, const uint8_t *nonce, const uint8_t *ad,
                size_t ad_len, bool encrypt)
{
    int n;

    if (EVP_CipherInit_ex(evp, NULL, NULL, NULL, nonce, encrypt) != 1)
        return FLOW_E_SYS;
    if (ad_len > 0 && EVP_CipherUpdate(evp, NULL, &n, ad, (int)ad_len) != 1)
        return FLOW_E_SYS;
    return FLOW_OK;
}

static enum flow_status
libcrypto_finish_seal(EVP_CIPHER_CTX *evp, uint8_t *tag)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag,
                                LIBCRYPTO_TAG_LEN),
        OSSL_PARAM_END,
    };
    int n = 0;

    /* No byte is written, but a place for one is required. */
    return EVP_EncryptFinal_ex(evp, tag, &n) == 1 && n == 0 &&
                   EVP_CIPHER_CTX_get_params(evp, params) == 1
               ? FLOW_OK
               : FLOW_E_SYS;
}

/* The text of a record.  Each call for a piece costs more than to copy a small
 * text to where its ciphertext goes. */
static enum flow_status
libcrypto_seal_text(EVP_CIPHER_CTX *evp, const struct flow__aead_seal *op,
                    size_t *ret_written)
{
    const size_t len = op->in_len + op->tail_len;

    if (len == 0 || len > LIBCRYPTO_ONE_CALL)
        return flow__aead_feed_seal(op, libcrypto_update, evp, ret_written);
    *ret_written = flow__aead_gather(op);
    return libcrypto_update(evp, op->out, len, op->out);
}

static enum flow_status
libcrypto_seal(void *ctx, const struct flow__aead_seal *op)
{
    const struct libcrypto_key *k = ctx;
    enum flow_status st;
    size_t written = 0;

    ERR_set_mark();
    st = libcrypto_begin(k->evp, op->nonce, op->ad, op->ad_len, true);
    if (st == FLOW_OK)
        st = libcrypto_seal_text(k->evp, op, &written);
    if (st == FLOW_OK)
        st = libcrypto_finish_seal(k->evp, op->out + written);
    ERR_pop_to_mark();
    return flow__aead_end_seal(op, written, st);
}

static enum flow_status
libcrypto_set_tag(EVP_CIPHER_CTX *evp, const uint8_t *tag)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
                                (void *)(uintptr_t)tag, LIBCRYPTO_TAG_LEN),
        OSSL_PARAM_END,
    };

    return EVP_CIPHER_CTX_set_params(evp, params) == 1 ? FLOW_OK : FLOW_E_SYS;
}

static enum flow_status
libcrypto_open(void *ctx, const struct flow__aead_open *op)
{
    const struct libcrypto_key *k = ctx;
    uint8_t none[EVP_MAX_BLOCK_LENGTH];
    enum flow_status st;
    size_t written = 0;
    int n = 0;

    ERR_set_mark();
    st = libcrypto_begin(k->evp, op->nonce, op->ad, op->ad_len, false);
    if (st == FLOW_OK)
        st = flow__aead_feed_open(op, LIBCRYPTO_TAG_LEN, libcrypto_update,
                                  k->evp, &written);
    if (st == FLOW_OK)
        st = libcrypto_set_tag(k->evp, op->in + op->in_len - LIBCRYPTO_TAG_LEN);
    if (st == FLOW_OK && EVP_DecryptFinal_ex(k->evp, none, &n) != 1)
        st = FLOW_E_PROTO;
    ERR_pop_to_mark();
    return flow__aead_end_open(op, written, st);
}

const struct flow__aead_provider flow__aead_libcrypto = {
    .name = "libcrypto",
    .ctx_size = sizeof(struct libcrypto_key),
    .supports = libcrypto_supports,
    .init = libcrypto_init,
    .seal = libcrypto_seal,
    .open = libcrypto_open,
    .fini = libcrypto_fini,
};
