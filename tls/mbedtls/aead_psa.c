/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <string.h>

#include <psa/crypto.h>

#include <flow/env.h>

#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"

/*
 * AEAD by PSA's multipart functions, which take a vector in pieces and split
 * their output.  For every algorithm here an update writes as many bytes as it
 * reads; PSA allows otherwise, so that is checked.
 *
 * PSA keeps keys in slots that all threads share, and an operation copies its
 * key during the setup.  So the engine's lock is held where a slot is made,
 * read or destroyed, and not while a record is processed.
 *
 * A build without MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS works on copies of its
 * arguments.  Its psa_aead_finish() writes to NULL if there is no memory for
 * the copy of the tag (3.6.7, 4.1.0).  There a record is sealed by one call of
 * psa_aead_encrypt(), which reads the slot once more at its end: the lock is
 * held throughout.
 */

/*
 * Where PSA has as many key slots as there is memory for, a key stays in its
 * slot; a stock build has 32 for the whole process, so there the key is put
 * into a slot for each record.
 */
struct psa_key {
    psa_algorithm_t alg;
    psa_key_type_t type;
    psa_key_id_t id; /* PSA_KEY_ID_NULL: key has the bytes */
    size_t key_len;
    uint8_t key[FLOW__AEAD_KEY_MAX];
};

/* One record on its way through PSA. */
struct psa_pass {
    const struct psa_key *key;
    const uint8_t *nonce;
    const uint8_t *ad;
    size_t ad_len;
    size_t plain_len;
    psa_aead_operation_t op;
};

static enum flow_status
aead_psa_status_of(psa_status_t status)
{
    switch (status) {
    case PSA_SUCCESS:
        return FLOW_OK;
    case PSA_ERROR_INVALID_SIGNATURE:
        return FLOW_E_PROTO;
    case PSA_ERROR_INSUFFICIENT_MEMORY:
        return FLOW_E_NOMEM;
    case PSA_ERROR_NOT_SUPPORTED:
        return FLOW_E_NOTSUP;
    default:
        return FLOW_E_SYS;
    }
}

static psa_algorithm_t
psa_alg(enum flow__aead_alg alg)
{
    switch (alg) {
    case FLOW__AEAD_AES_GCM:
        return PSA_ALG_GCM;
    case FLOW__AEAD_CHACHA20_POLY1305:
        return PSA_ALG_CHACHA20_POLY1305;
    case FLOW__AEAD_AES_CCM:
        return PSA_ALG_CCM;
    case FLOW__AEAD_AES_CCM_8:
        return PSA_ALG_AEAD_WITH_SHORTENED_TAG(PSA_ALG_CCM, 8);
    default:
        return PSA_ALG_NONE;
    }
}

static bool
psa_supports(enum flow__aead_alg alg, size_t key_len)
{
    switch (alg) {
    case FLOW__AEAD_AES_GCM:
#ifdef PSA_WANT_ALG_GCM
        return key_len == 16 || key_len == 32;
#else
        return false;
#endif
    case FLOW__AEAD_CHACHA20_POLY1305:
#ifdef PSA_WANT_ALG_CHACHA20_POLY1305
        return key_len == 32;
#else
        return false;
#endif
    case FLOW__AEAD_AES_CCM:
    case FLOW__AEAD_AES_CCM_8:
#ifdef PSA_WANT_ALG_CCM
        return key_len == 16 || key_len == 32;
#else
        return false;
#endif
    default:
        return false;
    }
}

static psa_status_t
aead_psa_import_key(const struct psa_key *k, const uint8_t *key,
                    psa_key_id_t *ret_id)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;

    psa_set_key_usage_flags(&attributes,
                            PSA_KEY_USAGE_ENCRYPT | PSA_KEY_USAGE_DECRYPT);
    psa_set_key_algorithm(&attributes, k->alg);
    psa_set_key_type(&attributes, k->type);
    return psa_import_key(&attributes, key, k->key_len, ret_id);
}

static enum flow_status
psa_init(void *ctx, enum flow__aead_alg alg, const uint8_t *key, size_t key_len)
{
    struct psa_key *k = ctx;
    psa_status_t status;

    memset(k, 0, sizeof(*k));
    if (!psa_supports(alg, key_len))
        return FLOW_E_NOTSUP;
    k->alg = psa_alg(alg);
    k->type = alg == FLOW__AEAD_CHACHA20_POLY1305 ? PSA_KEY_TYPE_CHACHA20
                                                  : PSA_KEY_TYPE_AES;
    k->key_len = key_len;
    if (!flow__mbed_has(FLOW__MBED_SLOTS)) {
        memcpy(k->key, key, key_len);
        return FLOW_OK;
    }
    flow__mbed_enter();
    status = aead_psa_import_key(k, key, &k->id);
    flow__mbed_leave();
    return aead_psa_status_of(status);
}

static void
psa_fini(void *ctx)
{
    struct psa_key *k = ctx;

    flow__mbed_enter();
    psa_destroy_key(k->id);
    flow__mbed_leave();
    flow_wipe(k, sizeof(*k));
}

/* The slot that holds the key; aead_psa_release_key() gives it back, even after
 * a failure.  Under the engine's lock. */
static psa_status_t
aead_psa_acquire_key(const struct psa_key *k, psa_key_id_t *ret_id)
{
    *ret_id = k->id;
    return k->id == PSA_KEY_ID_NULL ? aead_psa_import_key(k, k->key, ret_id)
                                    : PSA_SUCCESS;
}

static void
aead_psa_release_key(const struct psa_key *k, psa_key_id_t id)
{
    if (k->id == PSA_KEY_ID_NULL)
        psa_destroy_key(id);
}

static psa_status_t
aead_psa_set_up(struct psa_pass *p, bool encrypt)
{
    const struct psa_key *k = p->key;
    psa_key_id_t id;
    psa_status_t status;

    flow__mbed_enter();
    status = aead_psa_acquire_key(k, &id);
    if (status == PSA_SUCCESS)
        status = encrypt ? psa_aead_encrypt_setup(&p->op, id, k->alg)
                         : psa_aead_decrypt_setup(&p->op, id, k->alg);
    aead_psa_release_key(k, id);
    flow__mbed_leave();
    return status;
}

/* Everything before the first byte of the content; psa_aead_abort() undoes
 * it. */
static psa_status_t
aead_psa_begin(struct psa_pass *p, bool encrypt)
{
    psa_status_t status;

    p->op = psa_aead_operation_init();
    status = aead_psa_set_up(p, encrypt);
    /* CCM needs the lengths first; the others ignore them. */
    if (status == PSA_SUCCESS)
        status = psa_aead_set_lengths(&p->op, p->ad_len, p->plain_len);
    if (status == PSA_SUCCESS)
        status = psa_aead_set_nonce(&p->op, p->nonce, FLOW__AEAD_NONCE);
    if (status == PSA_SUCCESS)
        status = psa_aead_update_ad(&p->op, p->ad, p->ad_len);
    return status;
}

/* A flow__aead_update_fn. */
static enum flow_status
aead_psa_update(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
    struct psa_pass *p = state;
    size_t n = 0;
    psa_status_t status = psa_aead_update(&p->op, in, len, out, len, &n);

    if (status == PSA_SUCCESS && n != len)
        return FLOW_E_SYS;
    return aead_psa_status_of(status);
}

static enum flow_status
aead_psa_seal_in_pieces(const struct psa_key *k,
                        const struct flow__aead_seal *op)
{
    const size_t tag_len = PSA_AEAD_TAG_LENGTH(k->type, k->key_len * 8, k->alg);
    struct psa_pass p = {
        .key = k,
        .nonce = op->nonce,
        .ad = op->ad,
        .ad_len = op->ad_len,
        .plain_len = op->in_len + op->tail_len,
    };
    uint8_t *tag = op->out + p.plain_len;
    enum flow_status st = aead_psa_status_of(aead_psa_begin(&p, true));
    size_t written = 0;
    size_t n = 0;
    size_t n_tag = 0;

    if (st == FLOW_OK)
        st = flow__aead_feed_seal(op, aead_psa_update, &p, &written);
    /* Only the tag may be written, where the next byte would go. */
    if (st == FLOW_OK)
        st = aead_psa_status_of(
            psa_aead_finish(&p.op, tag, 0, &n, tag, tag_len, &n_tag));
    if (st == FLOW_OK && (n != 0 || n_tag != tag_len))
        st = FLOW_E_SYS;
    psa_aead_abort(&p.op);
    return flow__aead_end_seal(op, written, st);
}

/* Plaintext that was moved to where its ciphertext goes. */
struct aead_psa_moved {
    uint8_t *begin; /* NULL: none */
    uint8_t *end;
};

/* A flow__aead_update_fn. */
static enum flow_status
aead_psa_gather(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
    struct aead_psa_moved *moved = state;

    if (in == out)
        return FLOW_OK;
    memmove(out, in, len);
    if (moved->begin == NULL)
        moved->begin = out;
    moved->end = out + len;
    return FLOW_OK;
}

static enum flow_status
aead_psa_seal_at_once(const struct psa_key *k, const struct flow__aead_seal *op)
{
    const size_t tag_len = PSA_AEAD_TAG_LENGTH(k->type, k->key_len * 8, k->alg);
    struct aead_psa_moved moved = { NULL, NULL };
    size_t len, n = 0;
    psa_status_t status;
    psa_key_id_t id;

    (void)flow__aead_feed_seal(op, aead_psa_gather, &moved, &len);
    flow__mbed_enter();
    status = aead_psa_acquire_key(k, &id);
    if (status == PSA_SUCCESS)
        status = psa_aead_encrypt(id, k->alg, op->nonce, FLOW__AEAD_NONCE,
                                  op->ad, op->ad_len, op->out, len, op->out,
                                  len + tag_len, &n);
    aead_psa_release_key(k, id);
    flow__mbed_leave();
    if (status == PSA_ERROR_INSUFFICIENT_MEMORY) {
        /* PSA has written nothing: input in place is intact. */
        if (moved.begin != NULL)
            flow_wipe(moved.begin, (size_t)(moved.end - moved.begin));
        return FLOW_E_NOMEM;
    }
    return flow__aead_end_seal(op, len,
                               status == PSA_SUCCESS && n != len + tag_len
                                   ? FLOW_E_SYS
                                   : aead_psa_status_of(status));
}

static enum flow_status
psa_seal(void *ctx, const struct flow__aead_seal *op)
{
    return flow__mbed_has(FLOW__MBED_IN_PLACE)
               ? aead_psa_seal_in_pieces(ctx, op)
               : aead_psa_seal_at_once(ctx, op);
}

static enum flow_status
psa_open(void *ctx, const struct flow__aead_open *op)
{
    const struct psa_key *k = ctx;
    const size_t tag_len = PSA_AEAD_TAG_LENGTH(k->type, k->key_len * 8, k->alg);
    struct psa_pass p = {
        .key = k,
        .nonce = op->nonce,
        .ad = op->ad,
        .ad_len = op->ad_len,
        .plain_len = op->in_len - tag_len,
    };
    enum flow_status st = aead_psa_status_of(aead_psa_begin(&p, false));
    size_t written = 0;
    uint8_t none;
    size_t n = 0;

    if (st == FLOW_OK)
        st = flow__aead_feed_open(op, tag_len, aead_psa_update, &p, &written);
    if (st == FLOW_OK)
        st = aead_psa_status_of(psa_aead_verify(&p.op, &none, 0, &n,
                                                op->in + p.plain_len, tag_len));
    psa_aead_abort(&p.op);
    return flow__aead_end_open(op, written, st);
}

const struct flow__aead_provider flow__aead_psa = {
    .name = "psa",
    .ctx_size = sizeof(struct psa_key),
    .supports = psa_supports,
    .init = psa_init,
    .seal = psa_seal,
    .open = psa_open,
    .fini = psa_fini,
};
