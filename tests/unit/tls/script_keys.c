/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/unit/tls/script.h"
#include "tests/unit/unit.h"
#include "tls/aead.h"
#include "tls/kdf.h"

/*
 * Keys and records of the scripted engine: a hash derives the keys, and a
 * cipher that protects nothing uses them.  A record opens only with the key and
 * nonce under which it was sealed.
 */

static struct {
    unsigned due; /* 0: none fails */
    bool failed;
    enum flow_status status;
} seal;

#define SEALED_MAX 64

static struct {
    uint8_t key[16];
    uint8_t nonce[FLOW__AEAD_NONCE];
} sealed[SEALED_MAX];
static size_t sealed_count;

void
script_fail_seal(unsigned count, enum flow_status status)
{
    seal.due = count;
    seal.failed = false;
    seal.status = status;
}

bool
script_seal_failed(void)
{
    return seal.failed;
}

void
script_forget_seals(void)
{
    script_fail_seal(0, FLOW_OK);
    sealed_count = 0;
}

static bool
seal_fails(void)
{
    if (seal.due == 0 || --seal.due > 0)
        return false;
    seal.failed = true;
    return true;
}

static void
note_seal(const uint8_t *key, const uint8_t *nonce)
{
    size_t i;

    for (i = 0; i < sealed_count; i++)
        assert_false(memcmp(sealed[i].key, key, sizeof(sealed[i].key)) == 0 &&
                     memcmp(sealed[i].nonce, nonce, sizeof(sealed[i].nonce)) ==
                         0);
    assert_true(sealed_count < SEALED_MAX);
    memcpy(sealed[i].key, key, sizeof(sealed[i].key));
    memcpy(sealed[i].nonce, nonce, sizeof(sealed[i].nonce));
    sealed_count++;
}

static uint64_t
mix(uint64_t state, const uint8_t *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        state = (state ^ data[i]) * UINT64_C(0x100000001b3);
    return state;
}

static uint8_t
nth(uint64_t state, size_t i)
{
    state += (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    state = (state ^ state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(state >> 40);
}

enum flow_status
flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk, size_t prk_len,
                      const uint8_t *info, size_t info_len, uint8_t *out,
                      size_t len)
{
    uint64_t state = mix(mix((uint64_t)hash, prk, prk_len), info, info_len);
    size_t i;

    for (i = 0; i < len; i++)
        out[i] = nth(state, i);
    return FLOW_OK;
}

enum flow_status
flow__kdf_tls12_prf(const struct flow__kdf_prf *prf, uint8_t *out, size_t len)
{
    return flow__kdf_hkdf_expand(prf->hash, prf->secret, prf->secret_len,
                                 prf->seed, prf->seed_len, out, len);
}

struct toy {
    uint8_t key[16];
};

static bool
toy_supports(enum flow__aead_alg alg, size_t key_len)
{
    return alg == FLOW__AEAD_AES_GCM && key_len == sizeof(struct toy);
}

static enum flow_status
toy_init(void *ctx, enum flow__aead_alg alg, const uint8_t *key, size_t key_len)
{
    (void)alg;
    memcpy(ctx, key, key_len);
    return FLOW_OK;
}

static uint64_t
toy_state(const void *ctx, const uint8_t *nonce)
{
    return mix(mix(1, ctx, sizeof(struct toy)), nonce, FLOW__AEAD_NONCE);
}

static void
toy_tag(uint64_t state, const uint8_t *ad, size_t ad_len, const uint8_t *text,
        size_t len, uint8_t *ret_tag)
{
    size_t i;

    state = mix(mix(state, ad, ad_len), text, len);
    for (i = 0; i < 16; i++)
        ret_tag[i] = nth(~state, i);
}

static enum flow_status
toy_seal(void *ctx, const struct flow__aead_seal *op)
{
    uint64_t state = toy_state(ctx, op->nonce);
    const struct flow_cvec *vec = op->in;
    size_t off = op->in_off, i;

    if (seal_fails())
        return seal.status;
    note_seal(ctx, op->nonce);
    for (i = 0; i < op->in_len; i++, off++) {
        for (; off >= vec->len; vec++)
            off -= vec->len;
        op->out[i] = ((const uint8_t *)vec->base)[off] ^ nth(state, i);
    }
    for (i = 0; i < op->tail_len; i++)
        op->out[op->in_len + i] = op->tail[i] ^ nth(state, op->in_len + i);
    toy_tag(state, op->ad, op->ad_len, op->out, op->in_len + op->tail_len,
            op->out + op->in_len + op->tail_len);
    return FLOW_OK;
}

static enum flow_status
toy_open(void *ctx, const struct flow__aead_open *op)
{
    uint64_t state = toy_state(ctx, op->nonce);
    size_t len = op->in_len - 16, i;
    uint8_t tag[16];

    toy_tag(state, op->ad, op->ad_len, op->in, len, tag);
    if (memcmp(tag, op->in + len, sizeof(tag)) != 0)
        return FLOW_E_PROTO;
    for (i = 0; i < len; i++) {
        uint8_t byte = op->in[i] ^ nth(state, i);

        if (i < len - op->tail_len)
            op->out[i] = byte;
        else
            op->tail[i - (len - op->tail_len)] = byte;
    }
    return FLOW_OK;
}

static void
toy_fini(void *ctx)
{
    (void)ctx;
}

static const struct flow__aead_provider toy = {
    .name = "toy",
    .ctx_size = sizeof(struct toy),
    .supports = toy_supports,
    .init = toy_init,
    .seal = toy_seal,
    .open = toy_open,
    .fini = toy_fini,
};

const struct flow__aead_provider *
flow__aead_at(size_t index)
{
    return index == 0 ? &toy : NULL;
}
