/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

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
 *
 * Each call of EVP costs 20 to 75 ns, as much as a cipher takes for 64 to 256
 * bytes.  The dearest begins a record, because it first asks the cipher for the
 * length of its nonce.  OpenSSL's AES-GCM also takes the whole nonce as a
 * parameter, together with the tag that is expected (decision 0097).
 */

#define LIBCRYPTO_TAG_LEN  16
#define LIBCRYPTO_ONE_CALL ((size_t)2048)
/* Instead of a length: the whole nonce, as in EVP_CTRL_AEAD_SET_IV_FIXED. */
#define LIBCRYPTO_WHOLE_NONCE SIZE_MAX

/* cipher is NULL if this libcrypto does not have it. */
struct libcrypto_cipher {
    const EVP_CIPHER *cipher;
    bool takes_nonce; /* as a parameter */
};

static struct libcrypto_cipher libcrypto_aes128_gcm;
static struct libcrypto_cipher libcrypto_aes256_gcm;
static struct libcrypto_cipher libcrypto_chacha20_poly1305;
static uint32_t libcrypto_fetched;

enum libcrypto_direction { LIBCRYPTO_NONE, LIBCRYPTO_OPEN, LIBCRYPTO_SEAL };

struct libcrypto_key {
    EVP_CIPHER_CTX *evp;
    bool takes_nonce;
    enum libcrypto_direction direction; /* of the last record */
};

/* What is passed to libcrypto as a parameter, which it does not change. */
static OSSL_PARAM
libcrypto_param(const char *name, const uint8_t *bytes, size_t len)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes,
                                             len);
}

/* The nonce of a record, and to open it the tag that it must have. */
static bool
libcrypto_set_nonce(EVP_CIPHER_CTX *evp, const uint8_t *nonce,
                    const uint8_t *tag)
{
    OSSL_PARAM params[3] = {
        libcrypto_param(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nonce,
                        LIBCRYPTO_WHOLE_NONCE),
        OSSL_PARAM_END,
        OSSL_PARAM_END,
    };

    if (tag != NULL)
        params[1] =
            libcrypto_param(OSSL_CIPHER_PARAM_AEAD_TAG, tag, LIBCRYPTO_TAG_LEN);
    return EVP_CIPHER_CTX_set_params(evp, params) == 1;
}

/* The same by calls that every cipher has. */
static bool
libcrypto_start(EVP_CIPHER_CTX *evp, const uint8_t *nonce, const uint8_t *tag)
{
    const OSSL_PARAM params[2] = {
        libcrypto_param(OSSL_CIPHER_PARAM_AEAD_TAG, tag, LIBCRYPTO_TAG_LEN),
        OSSL_PARAM_END,
    };

    return EVP_CipherInit_ex(evp, NULL, NULL, NULL, nonce, tag == NULL) == 1 &&
           (tag == NULL || EVP_CIPHER_CTX_set_params(evp, params) == 1);
}

static bool
libcrypto_get_tag(EVP_CIPHER_CTX *evp, uint8_t *tag)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag,
                                LIBCRYPTO_TAG_LEN),
        OSSL_PARAM_END,
    };
    int n = 0;

    /* No byte is written, but a place for one is required. */
    return EVP_EncryptFinal_ex(evp, tag, &n) == 1 && n == 0 &&
           EVP_CIPHER_CTX_get_params(evp, params) == 1;
}

/* --- ciphers --- */

/* The tag of an empty text. */
static bool
libcrypto_try_nonce(EVP_CIPHER_CTX *evp, const uint8_t *nonce,
                    bool as_parameter, uint8_t *ret_tag)
{
    return (as_parameter ? libcrypto_set_nonce(evp, nonce, NULL)
                         : libcrypto_start(evp, nonce, NULL)) &&
           libcrypto_get_tag(evp, ret_tag);
}

/* Whether nonces passed as parameters are the ones that are used.  If one was
 * ignored, another would be used twice. */
static bool
libcrypto_try_nonces(EVP_CIPHER_CTX *evp, const EVP_CIPHER *cipher)
{
    const uint8_t key[EVP_MAX_KEY_LENGTH] = { 0 };
    uint8_t nonce[FLOW__AEAD_NONCE] = { 0 };
    uint8_t want[2][LIBCRYPTO_TAG_LEN], got[2][LIBCRYPTO_TAG_LEN];
    bool done = EVP_EncryptInit_ex2(evp, cipher, key, NULL, NULL) == 1;

    for (unsigned i = 0; i < 4 && done; i++) {
        nonce[0] = nonce[FLOW__AEAD_NONCE - 1] = (uint8_t)(i % 2 + 1);
        done = libcrypto_try_nonce(evp, nonce, i >= 2,
                                   i < 2 ? want[i] : got[i - 2]);
    }
    return done && memcmp(want, got, sizeof(want)) == 0 &&
           memcmp(want[0], want[1], sizeof(want[0])) != 0;
}

/* Only OpenSSL's own providers are tried: to others such a length can mean
 * anything. */
static bool
libcrypto_is_openssl(const EVP_CIPHER *cipher)
{
    const char *name =
        OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher));

    return strcmp(name, "default") == 0 || strcmp(name, "fips") == 0;
}

static struct libcrypto_cipher
libcrypto_fetch_cipher(const char *name)
{
    struct libcrypto_cipher c = { EVP_CIPHER_fetch(NULL, name, NULL), false };
    EVP_CIPHER_CTX *evp;

    if (c.cipher == NULL || !libcrypto_is_openssl(c.cipher))
        return c;
    evp = EVP_CIPHER_CTX_new();
    if (evp != NULL)
        c.takes_nonce = libcrypto_try_nonces(evp, c.cipher);
    EVP_CIPHER_CTX_free(evp);
    return c;
}

static void
libcrypto_fetch(void)
{
    ERR_set_mark();
    libcrypto_aes128_gcm = libcrypto_fetch_cipher("AES-128-GCM");
    libcrypto_aes256_gcm = libcrypto_fetch_cipher("AES-256-GCM");
    libcrypto_chacha20_poly1305 = libcrypto_fetch_cipher("ChaCha20-Poly1305");
    ERR_pop_to_mark();
}

static const struct libcrypto_cipher *
libcrypto_cipher_of(enum flow__aead_alg alg, size_t key_len)
{
    /* Fetching takes locks that threads share; a fork waits for it.  Nothing
     * else that is called here takes a lock. */
    flow_once(libcrypto_fetch, &libcrypto_fetched);
    switch (alg) {
    case FLOW__AEAD_AES_GCM:
        if (key_len == 16)
            return &libcrypto_aes128_gcm;
        return key_len == 32 ? &libcrypto_aes256_gcm : NULL;
    case FLOW__AEAD_CHACHA20_POLY1305:
        return key_len == 32 ? &libcrypto_chacha20_poly1305 : NULL;
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
    default:
        return NULL;
    }
}

static bool
libcrypto_supports(enum flow__aead_alg alg, size_t key_len)
{
    const struct libcrypto_cipher *c = libcrypto_cipher_of(alg, key_len);

    return c != NULL && c->cipher != NULL;
}

/* --- a key --- */

static void
libcrypto_fini(void *ctx)
{
    struct libcrypto_key *k = ctx;

    /* Wipes what it releases. */
    EVP_CIPHER_CTX_free(k->evp);
    memset(k, 0, sizeof(*k));
}

static enum flow_status
libcrypto_init(void *ctx, enum flow__aead_alg alg, const uint8_t *key,
               size_t key_len)
{
    const struct libcrypto_cipher *c = libcrypto_cipher_of(alg, key_len);
    struct libcrypto_key *k = ctx;
    bool done;

    memset(k, 0, sizeof(*k));
    if (c == NULL || c->cipher == NULL)
        return FLOW_E_NOTSUP;
    k->takes_nonce = c->takes_nonce;
    ERR_set_mark();
    k->evp = EVP_CIPHER_CTX_new();
    /* The nonce is 12 bytes by default. */
    done = k->evp != NULL &&
           EVP_EncryptInit_ex2(k->evp, c->cipher, key, NULL, NULL) == 1;
    ERR_pop_to_mark();
    if (done)
        return FLOW_OK;
    libcrypto_fini(k);
    /* A cipher that was fetched takes any key; only memory can be missing. */
    return FLOW_E_NOMEM;
}

/* --- a record --- */

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

/* Nonce, additional data, and to open a record its tag. */
static enum flow_status
libcrypto_begin(struct libcrypto_key *k, const uint8_t *nonce,
                const uint8_t *ad, size_t ad_len, const uint8_t *tag)
{
    const enum libcrypto_direction direction =
        tag == NULL ? LIBCRYPTO_SEAL : LIBCRYPTO_OPEN;
    bool done;
    int n;

    if (k->takes_nonce && k->direction == direction)
        done = libcrypto_set_nonce(k->evp, nonce, tag);
    else
        done = libcrypto_start(k->evp, nonce, tag);
    k->direction = direction;
    if (!done)
        return FLOW_E_SYS;
    if (ad_len > 0 && EVP_CipherUpdate(k->evp, NULL, &n, ad, (int)ad_len) != 1)
        return FLOW_E_SYS;
    return FLOW_OK;
}

/* Remove what was added to the error queue since ERR_set_mark(), whose result
 * is marked: 0 if the queue was empty.  Then a record that succeeded has added
 * nothing, and this call, which costs 20 ns, is saved. */
static void
libcrypto_drop_errors(int marked, enum flow_status status)
{
    if (marked != 0 || status != FLOW_OK)
        ERR_pop_to_mark();
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
    const int marked = ERR_set_mark();
    struct libcrypto_key *k = ctx;
    enum flow_status st;
    size_t written = 0;

    st = libcrypto_begin(k, op->nonce, op->ad, op->ad_len, NULL);
    if (st == FLOW_OK)
        st = libcrypto_seal_text(k->evp, op, &written);
    if (st == FLOW_OK && !libcrypto_get_tag(k->evp, op->out + written))
        st = FLOW_E_SYS;
    libcrypto_drop_errors(marked, st);
    return flow__aead_end_seal(op, written, st);
}

static enum flow_status
libcrypto_open(void *ctx, const struct flow__aead_open *op)
{
    const int marked = ERR_set_mark();
    struct libcrypto_key *k = ctx;
    uint8_t none[EVP_MAX_BLOCK_LENGTH];
    enum flow_status st;
    size_t written = 0;
    int n = 0;

    st = libcrypto_begin(k, op->nonce, op->ad, op->ad_len,
                         op->in + op->in_len - LIBCRYPTO_TAG_LEN);
    if (st == FLOW_OK)
        st = flow__aead_feed_open(op, LIBCRYPTO_TAG_LEN, libcrypto_update,
                                  k->evp, &written);
    if (st == FLOW_OK && EVP_DecryptFinal_ex(k->evp, none, &n) != 1)
        st = FLOW_E_PROTO;
    libcrypto_drop_errors(marked, st);
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
