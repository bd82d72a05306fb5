/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <string.h>

/*
 * ChaCha20-Poly1305 where the processor has no AVX-512 and the build has both
 * libraries: small records by intel-ipsec-mb, whose calls cost half of EVP's,
 * and others by libcrypto, whose code is faster there (decision 0100).
 *
 * Invariants: the key is expanded by both or by none.  A record is sealed or
 * opened by one of them, chosen by its length alone, and neither keeps anything
 * of a record; so it does not matter which one had the record before.
 */

/* The longest text that intel-ipsec-mb gets.  Both take the same time for about
 * 1,400 bytes (decision 0108). */
#define BY_LENGTH_SMALL ((size_t)1152)

/* Contexts of the two. */
struct by_length_key {
    max_align_t small[80];
    max_align_t large[8];
};

static bool
by_length_supports(enum flow__aead_alg alg, size_t key_len)
{
    return alg == FLOW__AEAD_CHACHA20_POLY1305 &&
           flow__aead_ipsecmb_narrow.supports(alg, key_len) &&
           flow__aead_libcrypto.supports(alg, key_len) &&
           flow__aead_ipsecmb_narrow.ctx_size <=
               sizeof(((struct by_length_key *)0)->small) &&
           flow__aead_libcrypto.ctx_size <=
               sizeof(((struct by_length_key *)0)->large);
}

static void
by_length_fini(void *ctx)
{
    struct by_length_key *k = ctx;

    flow__aead_ipsecmb_narrow.fini(k->small);
    flow__aead_libcrypto.fini(k->large);
}

static enum flow_status
by_length_init(void *ctx, enum flow__aead_alg alg, const uint8_t *key,
               size_t key_len)
{
    struct by_length_key *k = ctx;
    enum flow_status st;

    if (!by_length_supports(alg, key_len))
        return FLOW_E_NOTSUP;
    memset(k, 0, sizeof(*k));
    st = flow__aead_libcrypto.init(k->large, alg, key, key_len);
    if (st == FLOW_OK)
        st = flow__aead_ipsecmb_narrow.init(k->small, alg, key, key_len);
    if (st != FLOW_OK)
        by_length_fini(k);
    return st;
}

static enum flow_status
by_length_seal(void *ctx, const struct flow__aead_seal *op)
{
    struct by_length_key *k = ctx;

    if (op->in_len + op->tail_len <= BY_LENGTH_SMALL)
        return flow__aead_ipsecmb_narrow.seal(k->small, op);
    return flow__aead_libcrypto.seal(k->large, op);
}

static enum flow_status
by_length_open(void *ctx, const struct flow__aead_open *op)
{
    struct by_length_key *k = ctx;

    if (op->in_len <= BY_LENGTH_SMALL)
        return flow__aead_ipsecmb_narrow.open(k->small, op);
    return flow__aead_libcrypto.open(k->large, op);
}

const struct flow__aead_provider flow__aead_by_length = {
    .name = "by_length",
    .ctx_size = sizeof(struct by_length_key),
    .supports = by_length_supports,
    .init = by_length_init,
    .seal = by_length_seal,
    .open = by_length_open,
    .fini = by_length_fini,
};
