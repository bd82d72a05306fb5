/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <string.h>

#include <mbedtls/build_info.h>

#include <flow/env.h>

/*
 * AEAD by the engine's cipher modules, which are public in 3.6 only.  PSA
 * computes the key schedule anew and takes a lock of the whole process for
 * every record; here the key is set once, and a record neither locks nor
 * allocates.
 */
#if MBEDTLS_VERSION_MAJOR == 3 && defined(MBEDTLS_GCM_C) &&                    \
    defined(MBEDTLS_CCM_C) && defined(MBEDTLS_CHACHAPOLY_C)

#include <mbedtls/ccm.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/cipher.h>
#include <mbedtls/constant_time.h>
#include <mbedtls/gcm.h>

struct modules_key {
    enum flow__aead_alg alg;
    union {
        mbedtls_gcm_context gcm;
        mbedtls_ccm_context ccm;
        mbedtls_chachapoly_context chachapoly;
    } u;
};

static enum flow_status
modules_status_of(int ret)
{
    if (ret == 0)
        return FLOW_OK;
    return ret == MBEDTLS_ERR_CIPHER_ALLOC_FAILED ? FLOW_E_NOMEM : FLOW_E_SYS;
}

static bool
modules_supports(enum flow__aead_alg alg, size_t key_len)
{
    return key_len == 32 ||
           (key_len == 16 && alg != FLOW__AEAD_CHACHA20_POLY1305);
}

static void
modules_fini(void *ctx)
{
    struct modules_key *k = ctx;

    switch (k->alg) {
    case FLOW__AEAD_AES_GCM:
        mbedtls_gcm_free(&k->u.gcm);
        break;
    case FLOW__AEAD_CHACHA20_POLY1305:
        mbedtls_chachapoly_free(&k->u.chachapoly);
        break;
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
        mbedtls_ccm_free(&k->u.ccm);
        break;
    default:
        break;
    }
    flow_wipe(k, sizeof(*k));
}

static enum flow_status
modules_init(void *ctx, enum flow__aead_alg alg, const uint8_t *key,
             size_t key_len)
{
    const unsigned bits = (unsigned)key_len * 8;
    struct modules_key *k = ctx;
    int ret = 0;

    memset(k, 0, sizeof(*k));
    if (!modules_supports(alg, key_len))
        return FLOW_E_NOTSUP;
    k->alg = alg;
    switch (alg) {
    case FLOW__AEAD_AES_GCM:
        mbedtls_gcm_init(&k->u.gcm);
        ret = mbedtls_gcm_setkey(&k->u.gcm, MBEDTLS_CIPHER_ID_AES, key, bits);
        break;
    case FLOW__AEAD_CHACHA20_POLY1305:
        mbedtls_chachapoly_init(&k->u.chachapoly);
        ret = mbedtls_chachapoly_setkey(&k->u.chachapoly, key);
        break;
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
    default:
        mbedtls_ccm_init(&k->u.ccm);
        ret = mbedtls_ccm_setkey(&k->u.ccm, MBEDTLS_CIPHER_ID_AES, key, bits);
        break;
    }
    if (ret != 0)
        modules_fini(k);
    return modules_status_of(ret);
}

/* What modules_begin() must know of a record. */
struct modules_start {
    const uint8_t *nonce;
    const uint8_t *ad;
    size_t ad_len;
    size_t plain_len;
    bool encrypt;
};

static int
modules_begin_gcm(mbedtls_gcm_context *gcm, const struct modules_start *s)
{
    int ret = mbedtls_gcm_starts(
        gcm, s->encrypt ? MBEDTLS_GCM_ENCRYPT : MBEDTLS_GCM_DECRYPT, s->nonce,
        FLOW__AEAD_NONCE);

    return ret != 0 ? ret : mbedtls_gcm_update_ad(gcm, s->ad, s->ad_len);
}

static int
modules_begin_chachapoly(mbedtls_chachapoly_context *chachapoly,
                         const struct modules_start *s)
{
    int ret = mbedtls_chachapoly_starts(
        chachapoly, s->nonce,
        s->encrypt ? MBEDTLS_CHACHAPOLY_ENCRYPT : MBEDTLS_CHACHAPOLY_DECRYPT);

    return ret != 0
               ? ret
               : mbedtls_chachapoly_update_aad(chachapoly, s->ad, s->ad_len);
}

static int
modules_begin_ccm(mbedtls_ccm_context *ccm, size_t tag_len,
                  const struct modules_start *s)
{
    int ret = mbedtls_ccm_starts(
        ccm, s->encrypt ? MBEDTLS_CCM_ENCRYPT : MBEDTLS_CCM_DECRYPT, s->nonce,
        FLOW__AEAD_NONCE);

    if (ret == 0)
        ret = mbedtls_ccm_set_lengths(ccm, s->ad_len, s->plain_len, tag_len);
    return ret != 0 ? ret : mbedtls_ccm_update_ad(ccm, s->ad, s->ad_len);
}

static enum flow_status
modules_begin(struct modules_key *k, const struct modules_start *s)
{
    switch (k->alg) {
    case FLOW__AEAD_AES_GCM:
        return modules_status_of(modules_begin_gcm(&k->u.gcm, s));
    case FLOW__AEAD_CHACHA20_POLY1305:
        return modules_status_of(modules_begin_chachapoly(&k->u.chachapoly, s));
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
    default:
        return modules_status_of(
            modules_begin_ccm(&k->u.ccm, flow__aead_tag_len(k->alg), s));
    }
}

/* A flow__aead_update_fn. */
static enum flow_status
modules_update(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
    struct modules_key *k = state;
    size_t n = len;
    int ret;

    switch (k->alg) {
    case FLOW__AEAD_AES_GCM:
        ret = mbedtls_gcm_update(&k->u.gcm, in, len, out, len, &n);
        break;
    case FLOW__AEAD_CHACHA20_POLY1305:
        ret = mbedtls_chachapoly_update(&k->u.chachapoly, len, in, out);
        break;
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
    default:
        ret = mbedtls_ccm_update(&k->u.ccm, in, len, out, len, &n);
        break;
    }
    return ret == 0 && n != len ? FLOW_E_SYS : modules_status_of(ret);
}

static enum flow_status
modules_finish(struct modules_key *k, uint8_t *tag)
{
    size_t n = 0;

    switch (k->alg) {
    case FLOW__AEAD_AES_GCM:
        return modules_status_of(
            mbedtls_gcm_finish(&k->u.gcm, NULL, 0, &n, tag, 16));
    case FLOW__AEAD_CHACHA20_POLY1305:
        return modules_status_of(
            mbedtls_chachapoly_finish(&k->u.chachapoly, tag));
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
    default:
        return modules_status_of(
            mbedtls_ccm_finish(&k->u.ccm, tag, flow__aead_tag_len(k->alg)));
    }
}

static enum flow_status
modules_seal(void *ctx, const struct flow__aead_seal *op)
{
    struct modules_key *k = ctx;
    const struct modules_start start = { op->nonce, op->ad, op->ad_len,
                                         op->in_len + op->tail_len, true };
    enum flow_status st = modules_begin(k, &start);
    size_t written = 0;

    if (st == FLOW_OK)
        st = flow__aead_feed_seal(op, modules_update, k, &written);
    if (st == FLOW_OK)
        st = modules_finish(k, op->out + written);
    return flow__aead_end_seal(op, written, st);
}

static enum flow_status
modules_open(void *ctx, const struct flow__aead_open *op)
{
    struct modules_key *k = ctx;
    const size_t tag_len = flow__aead_tag_len(k->alg);
    const struct modules_start start = { op->nonce, op->ad, op->ad_len,
                                         op->in_len - tag_len, false };
    enum flow_status st = modules_begin(k, &start);
    uint8_t tag[FLOW__AEAD_TAG_MAX];
    size_t written = 0;

    if (st == FLOW_OK)
        st = flow__aead_feed_open(op, tag_len, modules_update, k, &written);
    if (st == FLOW_OK)
        st = modules_finish(k, tag);
    if (st == FLOW_OK &&
        mbedtls_ct_memcmp(tag, op->in + op->in_len - tag_len, tag_len) != 0)
        st = FLOW_E_PROTO;
    return flow__aead_end_open(op, written, st);
}

#else

/* 4.x, or a build with drivers in the place of these modules: PSA reaches
 * them. */
struct modules_key {
    char none;
};

static bool
modules_supports(enum flow__aead_alg alg, size_t key_len)
{
    (void)alg;
    (void)key_len;
    return false;
}

#define modules_init NULL
#define modules_seal NULL
#define modules_open NULL
#define modules_fini NULL

#endif

const struct flow__aead_provider flow__aead_modules = {
    .name = "mbedtls",
    .ctx_size = sizeof(struct modules_key),
    .supports = modules_supports,
    .init = modules_init,
    .seal = modules_seal,
    .open = modules_open,
    .fini = modules_fini,
};
