/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <flow/env.h>

#include "tls/aead.h"
#include "tls/mbedtls/psa.h"
#include "tls/record.h"

/*
 * Records once more, by libcrypto and a second implementation of the RFCs:
 * either side opens what the other seals, byte for byte.
 */

#define CONTENT_MAX 3000

struct peer {
    const struct flow__suite *suite;
    const struct flow__key_material *keys;
    uint64_t seq;
};

static const EVP_CIPHER *
cipher_of(const struct flow__suite *s)
{
    switch (s->aead) {
    case FLOW__AEAD_AES_GCM:
        return s->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    case FLOW__AEAD_CHACHA20_POLY1305:
        return EVP_chacha20_poly1305();
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
        return s->key_len == 16 ? EVP_aes_128_ccm() : EVP_aes_256_ccm();
    default:
        return NULL;
    }
}

/* RFC 8446 5.3, RFC 7905 2, RFC 5288 3 and RFC 6655 3. */
static void
evp_nonce(const struct peer *p, const uint8_t *explicit_part, uint8_t *nonce)
{
    for (int i = 0; i < 12; i++) {
        uint8_t number = 0;

        if (i >= 4)
            number = (uint8_t)(p->seq >> (8 * (11 - i)));
        if (p->suite->explicit_nonce_len == 0)
            nonce[i] = p->keys->iv[i] ^ number;
        else
            nonce[i] = i < 4 ? p->keys->iv[i] : explicit_part[i - 4];
    }
}

/* The text and the tag of one record through EVP; false: the tag is wrong. */
static bool
evp_crypt(const struct peer *p, bool encrypt, const uint8_t *nonce,
          const uint8_t *ad, int ad_len, const uint8_t *in, int len,
          uint8_t *out, uint8_t *tag)
{
    const bool ccm = p->suite->aead == FLOW__AEAD_AES_CCM ||
                     p->suite->aead == FLOW__AEAD_AES_CCM_8;
    const int tag_len = p->suite->tag_len;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    bool ok;

    assert_non_null(c);
    assert_int_equal(
        EVP_CipherInit_ex(c, cipher_of(p->suite), NULL, NULL, NULL, encrypt),
        1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL),
                     1);
    if (!encrypt || ccm)
        assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, tag_len,
                                             encrypt ? NULL : tag),
                         1);
    assert_int_equal(
        EVP_CipherInit_ex(c, NULL, NULL, p->keys->key, nonce, encrypt), 1);
    if (ccm)
        assert_int_equal(EVP_CipherUpdate(c, NULL, &n, NULL, len), 1);
    assert_int_equal(EVP_CipherUpdate(c, NULL, &n, ad, ad_len), 1);
    ok = EVP_CipherUpdate(c, out, &n, in, len) == 1;
    if (!ccm)
        ok = ok && EVP_CipherFinal_ex(c, out + n, &n) == 1;
    if (encrypt)
        assert_int_equal(
            EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, tag_len, tag), 1);
    EVP_CIPHER_CTX_free(c);
    return ok;
}

static int
evp_ad(const struct peer *p, const uint8_t *header, size_t len, uint8_t *ad)
{
    if (p->suite->version == 0x0304) {
        memcpy(ad, header, 5);
        return 5;
    }
    for (int i = 0; i < 8; i++)
        ad[i] = (uint8_t)(p->seq >> (56 - 8 * i));
    memcpy(ad + 8, header, 3);
    ad[11] = (uint8_t)(len >> 8);
    ad[12] = (uint8_t)len;
    return 13;
}

/* A whole record; the explicit part of its nonce is an arbitrary number. */
static size_t
evp_seal(const struct peer *p, uint8_t type, const uint8_t *content, size_t len,
         uint64_t explicit_number, uint8_t *rec)
{
    const bool tls13 = p->suite->version == 0x0304;
    const size_t nonce_len = p->suite->explicit_nonce_len;
    const size_t inner = len + (tls13 ? 1 : 0);
    const size_t body = nonce_len + inner + p->suite->tag_len;
    uint8_t plain[CONTENT_MAX + 1];
    uint8_t nonce[12];
    uint8_t ad[13];

    memcpy(plain, content, len);
    plain[len] = type;
    rec[0] = tls13 ? 23 : type;
    rec[1] = rec[2] = 3;
    rec[3] = (uint8_t)(body >> 8);
    rec[4] = (uint8_t)body;
    for (size_t i = 0; i < nonce_len; i++)
        rec[5 + i] = (uint8_t)(explicit_number >> (56 - 8 * i));
    evp_nonce(p, rec + 5, nonce);
    int ad_len = evp_ad(p, rec, len, ad);
    uint8_t *at = rec + 5 + nonce_len;
    assert_true(evp_crypt(p, true, nonce, ad, ad_len, plain, (int)inner, at,
                          at + inner));
    return 5 + body;
}

static bool
evp_open(const struct peer *p, const uint8_t *rec, size_t rec_len, uint8_t *out,
         size_t *ret_inner)
{
    const size_t around = 5u + p->suite->explicit_nonce_len;
    const size_t inner = rec_len - around - p->suite->tag_len;
    uint8_t nonce[12];
    uint8_t tag[16];
    uint8_t ad[13];

    evp_nonce(p, rec + 5, nonce);
    int ad_len = evp_ad(p, rec, inner, ad);
    memcpy(tag, rec + around + inner, p->suite->tag_len);
    *ret_inner = inner;
    return evp_crypt(p, false, nonce, ad, ad_len, rec + around, (int)inner, out,
                     tag);
}

static void
check_one(const struct flow__suite *suite, uint64_t *seed)
{
    static uint8_t content[CONTENT_MAX], rec[CONTENT_MAX + 64];
    static uint8_t evp_rec[CONTENT_MAX + 64], out[CONTENT_MAX + 64];
    const uint8_t type = (uint8_t)(21 + next_random(seed) % 3);
    const size_t len = 1 + next_random(seed) % (CONTENT_MAX - 1);
    const uint64_t seq = (uint64_t)next_random(seed) << 32 | next_random(seed);
    const struct flow_cvec vec = { content, len };
    const struct flow__record_content c = { type, &vec, 0, len, 0 };
    struct flow__record_opened opened;
    struct flow__key_material keys;
    struct flow__record_keys k;
    struct flow__fault fault;
    size_t rec_len;
    size_t inner;

    for (size_t i = 0; i < sizeof(keys.key); i++)
        keys.key[i] = (uint8_t)next_random(seed);
    for (size_t i = 0; i < sizeof(keys.iv); i++)
        keys.iv[i] = (uint8_t)next_random(seed);
    for (size_t i = 0; i < len; i++)
        content[i] = (uint8_t)next_random(seed);
    const struct peer p = { suite, &keys, seq };

    assert_int_equal(
        flow__record_init(&k, flow_env_default(), suite, &keys, seq), FLOW_OK);
    /* A record of ours, opened by libcrypto and equal to the one it seals. */
    assert_int_equal(flow__record_seal(&k, &c, rec, &rec_len), FLOW_OK);
    assert_true(evp_open(&p, rec, rec_len, out, &inner));
    assert_memory_equal(out, content, len);
    if (suite->version == 0x0304)
        assert_int_equal(out[len], type);
    assert_int_equal(inner, len + (suite->version == 0x0304 ? 1 : 0));
    assert_int_equal(evp_seal(&p, type, content, len, seq, evp_rec), rec_len);
    assert_memory_equal(evp_rec, rec, rec_len);
    /* A record of libcrypto's with an explicit nonce that is not the sequence
     * number. */
    k.seq = seq;
    rec_len = evp_seal(&p, type, content, len, ~seq * 3, evp_rec);
    assert_int_equal(
        flow__record_open(&k, evp_rec, rec_len, out, &opened, &fault), FLOW_OK);
    assert_int_equal(opened.type, type);
    assert_int_equal(opened.len, len);
    assert_memory_equal(out, content, len);
    flow__record_fini(&k);
}

static void
both_make_and_read_the_same_records(void **state)
{
    const struct flow__suite *suite;
    uint64_t seed = 8446;

    (void)state;
    assert_int_equal(flow__psa_init(), FLOW_OK);
    for (size_t i = 0; (suite = flow__suite_at(i)) != NULL; i++)
        for (int round = 0; round < 200; round++)
            check_one(suite, &seed);
}

/* A record is sealed, refused with another tag, and opened. */
static void
use_provider(const struct flow__aead_provider *p, enum flow__aead_alg alg)
{
    const uint8_t key[32] = { 1 };
    const uint8_t nonce[FLOW__AEAD_NONCE] = { 2 };
    uint8_t text[4096] = { 3 }, sealed[sizeof(text) + 16];
    const struct flow_cvec vec = { text, sizeof(text) };
    const struct flow__aead_seal seal = {
        .nonce = nonce, .in = &vec, .in_len = sizeof(text), .out = sealed
    };
    const struct flow__aead_open open = {
        .nonce = nonce, .in = sealed, .in_len = sizeof(sealed), .out = text
    };
    void *ctx = calloc(1, p->ctx_size);

    assert_non_null(ctx);
    assert_int_equal(p->init(ctx, alg, key, sizeof(key)), FLOW_OK);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(p->seal(ctx, &seal), FLOW_OK);
        sealed[sizeof(text)] ^= 1;
        assert_int_equal(p->open(ctx, &open), FLOW_E_PROTO);
        sealed[sizeof(text)] ^= 1;
        assert_int_equal(p->open(ctx, &open), FLOW_OK);
    }
    p->fini(ctx);
    free(ctx);
}

/* What the program left in libcrypto's error queue of the thread stays, and
 * nothing is added. */
static void
the_error_queue_is_the_programs(void **state)
{
    static const enum flow__aead_alg algs[] = { FLOW__AEAD_AES_GCM,
                                                FLOW__AEAD_CHACHA20_POLY1305 };
    const struct flow__aead_provider *p;

    (void)state;
    for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++)
        for (size_t a = 0; a < 2; a++) {
            if (!p->supports(algs[a], 32))
                continue;
            ERR_clear_error();
            use_provider(p, algs[a]);
            assert_int_equal(ERR_peek_error(), 0);
            ERR_raise(ERR_LIB_USER, 101);
            ERR_raise(ERR_LIB_USER, 102);
            use_provider(p, algs[a]);
            assert_int_equal(ERR_GET_REASON(ERR_get_error()), 101);
            assert_int_equal(ERR_GET_REASON(ERR_get_error()), 102);
            assert_int_equal(ERR_peek_error(), 0);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_make_and_read_the_same_records),
        cmocka_unit_test(the_error_queue_is_the_programs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
