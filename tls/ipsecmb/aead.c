/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <string.h>

#include <intel-ipsec-mb.h>

#include <flow/env.h>

#include "lib/plat.h"

/*
 * AEAD by intel-ipsec-mb: AES-GCM and ChaCha20-Poly1305 in assembly for x86-64,
 * chosen by what the processor supports.  AES-CCM is left to others: the
 * library has no call for a single text in pieces.
 *
 * The library's manager is for queues of jobs, is not thread-safe, and takes
 * 200 KB.  None of that is needed here: the calls for one text are pure
 * functions, and the manager only selects those that fit the processor.  They
 * are copied once for the process, and the manager is released.
 *
 * Where the processor has no AVX-512, ChaCha20-Poly1305 of this library is
 * slower than libcrypto's for large records.  There flow__aead_ipsecmb declines
 * it, and flow__aead_ipsecmb_narrow, which comes after libcrypto, has it
 * (decision 0076).  Small records of it use this one all the same
 * (tls/aead_by_length.c).
 *
 * A record of up to IPSECMB_ONE_CALL bytes takes one call, which costs a
 * quarter of what a beginning, pieces and an end cost.  For that it is gathered
 * where its ciphertext goes, or opened where its plaintext goes, or on the
 * stack if that is two places.  A larger one is read and written in pieces.
 * ChaCha20-Poly1305 has no such call; there a small text is gathered so that it
 * is one piece, since each piece has a start of its own.
 *
 * The library has AES-GCM once for each generation of processors.  On AMD's
 * without AVX-512 its code for SSE is faster for large texts than that for
 * AVX2, which it would choose, and slower for small ones.  There a key is
 * expanded for both, and the length of a text chooses (decision 0108).
 */

#define IPSECMB_ONE_CALL ((size_t)2048)
#define IPSECMB_TAG_LEN  16

struct ipsecmb_gcm_calls {
    aes_gcm_pre_t expand;
    aes_gcm_init_t init;
    aes_gcm_enc_dec_t seal;
    aes_gcm_enc_dec_t open;
    aes_gcm_enc_dec_update_t seal_some;
    aes_gcm_enc_dec_update_t open_some;
    aes_gcm_enc_dec_finalize_t seal_end;
    aes_gcm_enc_dec_finalize_t open_end;
};

/* The library's code: what it chooses, and what is faster for texts of
 * IPSECMB_LARGE bytes and more. */
enum ipsecmb_code { IPSECMB_CHOSEN, IPSECMB_FOR_LARGE, IPSECMB_CODES };

#define IPSECMB_LARGE ((size_t)768)

/* Written by ipsecmb_choose(), once; ipsecmb_usable: false if the library lacks
 * what is needed here. */
static struct ipsecmb_gcm_calls ipsecmb_gcm128[IPSECMB_CODES];
static struct ipsecmb_gcm_calls ipsecmb_gcm256[IPSECMB_CODES];
static struct {
    chacha_poly_init_t init;
    chacha_poly_enc_dec_update_t seal_some;
    chacha_poly_enc_dec_update_t open_some;
    chacha_poly_finalize_t end;
} ipsecmb_chacha;
static bool ipsecmb_usable;
static bool ipsecmb_wide;      /* the processor has AVX-512 */
static unsigned ipsecmb_codes; /* how many codes of AES-GCM are used */
static uint32_t ipsecmb_once;

/* Bytes of an expanded key, so that the next one is aligned as well. */
#define IPSECMB_EXPANDED ((sizeof(struct gcm_key_data) + 63) & ~(size_t)63)

/* gcm is NULL for ChaCha20-Poly1305, whose key is used as it is; otherwise it
 * has the calls of each code.  The expanded keys, one for each code, are
 * aligned by hand in their space. */
struct ipsecmb_key {
    const struct ipsecmb_gcm_calls *gcm;
    uint8_t space[IPSECMB_CODES * IPSECMB_EXPANDED + 63];
};

/* A record in progress; gcm is NULL for ChaCha20-Poly1305. */
struct ipsecmb_pass {
    const struct ipsecmb_gcm_calls *gcm;
    const void *key;
    bool open;
    union {
        struct gcm_context_data gcm;
        struct chacha20_poly1305_context_data chacha;
    } u;
};

/* A manager that an init function has made, or NULL if its library cannot be
 * used.  It tests itself against known answers then, which takes less than a
 * millisecond. */
static IMB_MGR *
ipsecmb_open_manager(void (*init)(IMB_MGR *))
{
    /* The library also has code without AES instructions; others are faster. */
    const uint64_t needed = IMB_FEATURE_SSE4_2 | IMB_FEATURE_AESNI |
                            IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_SELF_TEST_PASS;
    IMB_MGR *m = alloc_mb_mgr(0);

    if (m == NULL)
        return NULL;
    init(m);
    if (imb_get_errno(m) == 0 && (m->features & needed) == needed)
        return m;
    free_mb_mgr(m);
    return NULL;
}

static void
ipsecmb_init_best(IMB_MGR *m)
{
    init_mb_mgr_auto(m, NULL);
}

static void
ipsecmb_take_gcm(const IMB_MGR *m, enum ipsecmb_code code)
{
    ipsecmb_gcm128[code] = (struct ipsecmb_gcm_calls){
        m->gcm128_pre,          m->gcm128_init,        m->gcm128_enc,
        m->gcm128_dec,          m->gcm128_enc_update,  m->gcm128_dec_update,
        m->gcm128_enc_finalize, m->gcm128_dec_finalize
    };
    ipsecmb_gcm256[code] = (struct ipsecmb_gcm_calls){
        m->gcm256_pre,          m->gcm256_init,        m->gcm256_enc,
        m->gcm256_dec,          m->gcm256_enc_update,  m->gcm256_dec_update,
        m->gcm256_enc_finalize, m->gcm256_dec_finalize
    };
}

static void
ipsecmb_take_chacha(const IMB_MGR *m)
{
    ipsecmb_chacha.init = m->chacha20_poly1305_init;
    ipsecmb_chacha.seal_some = m->chacha20_poly1305_enc_update;
    ipsecmb_chacha.open_some = m->chacha20_poly1305_dec_update;
    ipsecmb_chacha.end = m->chacha20_poly1305_finalize;
}

/* Whether the code for SSE is faster for large texts, as measured on AMD's
 * processors (decision 0108).  Later versions of the library have other code,
 * with which this was not measured. */
static bool
ipsecmb_prefers_sse(void)
{
    __builtin_cpu_init();
    return !ipsecmb_wide && __builtin_cpu_is("amd") &&
           imb_get_version() < IMB_VERSION(1, 4, 0);
}

static void
ipsecmb_choose(void)
{
    IMB_MGR *m = ipsecmb_open_manager(ipsecmb_init_best);

    if (m == NULL)
        return;
    ipsecmb_usable = true;
    ipsecmb_wide =
        (m->features & IMB_FEATURE_AVX512_SKX) == IMB_FEATURE_AVX512_SKX;
    ipsecmb_take_gcm(m, IPSECMB_CHOSEN);
    ipsecmb_take_chacha(m);
    ipsecmb_codes = 1;
    free_mb_mgr(m);
    m = ipsecmb_prefers_sse() ? ipsecmb_open_manager(init_mb_mgr_sse) : NULL;
    if (m == NULL)
        return;
    ipsecmb_take_gcm(m, IPSECMB_FOR_LARGE);
    ipsecmb_codes = IPSECMB_CODES;
    free_mb_mgr(m);
}

static bool
ipsecmb_supports(enum flow__aead_alg alg, size_t key_len)
{
    flow_once(ipsecmb_choose, &ipsecmb_once);
    if (!ipsecmb_usable)
        return false;
    if (alg == FLOW__AEAD_AES_GCM)
        return key_len == 16 || key_len == 32;
    return ipsecmb_wide && alg == FLOW__AEAD_CHACHA20_POLY1305 && key_len == 32;
}

static bool
ipsecmb_narrow_supports(enum flow__aead_alg alg, size_t key_len)
{
    flow_once(ipsecmb_choose, &ipsecmb_once);
    return ipsecmb_usable && !ipsecmb_wide &&
           alg == FLOW__AEAD_CHACHA20_POLY1305 && key_len == 32;
}

static uint8_t *
ipsecmb_space(struct ipsecmb_key *k, enum ipsecmb_code code)
{
    return k->space + (-(uintptr_t)k->space & 63) + code * IPSECMB_EXPANDED;
}

/* The key as the code has expanded it. */
static const struct gcm_key_data *
ipsecmb_gcm_key(const struct ipsecmb_key *k, enum ipsecmb_code code)
{
    return (const void *)(k->space + (-(uintptr_t)k->space & 63) +
                          code * IPSECMB_EXPANDED);
}

/* The code for a text. */
static enum ipsecmb_code
ipsecmb_code_for(size_t len)
{
    return ipsecmb_codes == IPSECMB_CODES && len >= IPSECMB_LARGE
               ? IPSECMB_FOR_LARGE
               : IPSECMB_CHOSEN;
}

static enum flow_status
ipsecmb_init(void *ctx, enum flow__aead_alg alg, const uint8_t *key,
             size_t key_len)
{
    struct ipsecmb_key *k = ctx;

    k->gcm = NULL;
    if (!ipsecmb_supports(alg, key_len) &&
        !ipsecmb_narrow_supports(alg, key_len))
        return FLOW_E_NOTSUP;
    if (alg == FLOW__AEAD_CHACHA20_POLY1305) {
        memcpy(k->space, key, key_len);
        return FLOW_OK;
    }
    k->gcm = key_len == 16 ? ipsecmb_gcm128 : ipsecmb_gcm256;
    for (unsigned code = 0; code < ipsecmb_codes; code++)
        k->gcm[code].expand(key, (void *)ipsecmb_space(k, code));
    return FLOW_OK;
}

static void
ipsecmb_fini(void *ctx)
{
    flow_wipe(ctx, sizeof(struct ipsecmb_key));
}

/* --- in pieces --- */

/* Begin a text of some length. */
static void
ipsecmb_begin(struct ipsecmb_pass *p, const struct ipsecmb_key *k, size_t len,
              const uint8_t *nonce, const uint8_t *ad, size_t ad_len)
{
    const enum ipsecmb_code code = ipsecmb_code_for(len);

    if (k->gcm == NULL) {
        p->gcm = NULL;
        p->key = k->space;
        ipsecmb_chacha.init(p->key, &p->u.chacha, nonce, ad, ad_len);
        return;
    }
    p->gcm = &k->gcm[code];
    p->key = ipsecmb_gcm_key(k, code);
    p->gcm->init(p->key, &p->u.gcm, nonce, ad, ad_len);
}

/* A flow__aead_update_fn. */
static enum flow_status
ipsecmb_update(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
    struct ipsecmb_pass *p = state;

    if (p->gcm != NULL)
        (p->open ? p->gcm->open_some : p->gcm->seal_some)(p->key, &p->u.gcm,
                                                          out, in, len);
    else
        (p->open ? ipsecmb_chacha.open_some : ipsecmb_chacha.seal_some)(
            p->key, &p->u.chacha, out, in, len);
    return FLOW_OK;
}

static void
ipsecmb_finish(struct ipsecmb_pass *p, uint8_t *tag)
{
    if (p->gcm != NULL)
        (p->open ? p->gcm->open_end : p->gcm->seal_end)(p->key, &p->u.gcm, tag,
                                                        IPSECMB_TAG_LEN);
    else
        ipsecmb_chacha.end(&p->u.chacha, tag, IPSECMB_TAG_LEN);
    /* It has key stream, and the state of the tag. */
    flow_wipe(&p->u, sizeof(p->u));
}

static void
ipsecmb_seal_in_pieces(const struct ipsecmb_key *k,
                       const struct flow__aead_seal *op)
{
    const size_t len = op->in_len + op->tail_len;
    struct ipsecmb_pass p;
    size_t written;

    p.open = false;
    ipsecmb_begin(&p, k, len, op->nonce, op->ad, op->ad_len);
    if (len == 0 || len > IPSECMB_ONE_CALL) {
        (void)flow__aead_feed_seal(op, ipsecmb_update, &p, &written);
    } else {
        written = flow__aead_gather(op);
        (void)ipsecmb_update(&p, op->out, written, op->out);
    }
    ipsecmb_finish(&p, op->out + written);
}

static void
ipsecmb_open_in_pieces(const struct ipsecmb_key *k,
                       const struct flow__aead_open *op, uint8_t *ret_tag,
                       size_t *ret_written)
{
    struct ipsecmb_pass p;

    p.open = true;
    ipsecmb_begin(&p, k, op->in_len - IPSECMB_TAG_LEN, op->nonce, op->ad,
                  op->ad_len);
    (void)flow__aead_feed_open(op, IPSECMB_TAG_LEN, ipsecmb_update, &p,
                               ret_written);
    ipsecmb_finish(&p, ret_tag);
}

/* --- at once --- */

static void
ipsecmb_seal_at_once(const struct ipsecmb_key *k,
                     const struct flow__aead_seal *op)
{
    const size_t len = flow__aead_gather(op);
    const enum ipsecmb_code code = ipsecmb_code_for(len);
    struct gcm_context_data gcm;

    k->gcm[code].seal(ipsecmb_gcm_key(k, code), &gcm, op->out, op->out, len,
                      op->nonce, op->ad, op->ad_len, op->out + len,
                      IPSECMB_TAG_LEN);
    flow_wipe(&gcm, sizeof(gcm));
}

static enum flow_status
ipsecmb_open_at_once(const struct ipsecmb_key *k,
                     const struct flow__aead_open *op)
{
    const size_t len = op->in_len - IPSECMB_TAG_LEN;
    const size_t head = len - op->tail_len;
    const enum ipsecmb_code code = ipsecmb_code_for(len);
    struct gcm_context_data gcm;
    uint8_t tag[IPSECMB_TAG_LEN];
    uint8_t plain[IPSECMB_ONE_CALL];
    const bool whole =
        head > 0 && flow__aead_is_in_one_piece(op, IPSECMB_TAG_LEN);
    bool fits;

    k->gcm[code].open(ipsecmb_gcm_key(k, code), &gcm, whole ? op->out : plain,
                      op->in, len, op->nonce, op->ad, op->ad_len, tag,
                      IPSECMB_TAG_LEN);
    flow_wipe(&gcm, sizeof(gcm));
    fits = flow__aead_tags_equal(tag, op->in + len, IPSECMB_TAG_LEN);
    if (whole)
        return flow__aead_end_open(op, len, fits ? FLOW_OK : FLOW_E_PROTO);
    if (fits && head > 0)
        memcpy(op->out, plain, head);
    if (fits && op->tail_len > 0)
        memcpy(op->tail, plain + head, op->tail_len);
    flow_wipe(plain, len);
    return fits ? FLOW_OK : flow__aead_end_open(op, 0, FLOW_E_PROTO);
}

static enum flow_status
ipsecmb_seal(void *ctx, const struct flow__aead_seal *op)
{
    const struct ipsecmb_key *k = ctx;

    if (k->gcm != NULL && op->in_len + op->tail_len <= IPSECMB_ONE_CALL)
        ipsecmb_seal_at_once(k, op);
    else
        ipsecmb_seal_in_pieces(k, op);
    return FLOW_OK;
}

static enum flow_status
ipsecmb_open(void *ctx, const struct flow__aead_open *op)
{
    const struct ipsecmb_key *k = ctx;
    uint8_t tag[IPSECMB_TAG_LEN];
    size_t written;

    if (k->gcm != NULL && op->in_len - IPSECMB_TAG_LEN <= IPSECMB_ONE_CALL)
        return ipsecmb_open_at_once(k, op);
    ipsecmb_open_in_pieces(k, op, tag, &written);
    return flow__aead_end_open(
        op, written,
        flow__aead_tags_equal(tag, op->in + op->in_len - IPSECMB_TAG_LEN,
                              IPSECMB_TAG_LEN)
            ? FLOW_OK
            : FLOW_E_PROTO);
}

const struct flow__aead_provider flow__aead_ipsecmb = {
    .name = "ipsecmb",
    .ctx_size = sizeof(struct ipsecmb_key),
    .supports = ipsecmb_supports,
    .init = ipsecmb_init,
    .seal = ipsecmb_seal,
    .open = ipsecmb_open,
    .fini = ipsecmb_fini,
};

const struct flow__aead_provider flow__aead_ipsecmb_narrow = {
    .name = "ipsecmb_narrow",
    .ctx_size = sizeof(struct ipsecmb_key),
    .supports = ipsecmb_narrow_supports,
    .init = ipsecmb_init,
    .seal = ipsecmb_seal,
    .open = ipsecmb_open,
    .fini = ipsecmb_fini,
};
