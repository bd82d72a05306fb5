/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/sealing.h"

#include <string.h>

#include <psa/crypto.h>

#include <flow/env.h>

#include "tls/kdf.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/random.h"

/*
 * Seals what leaves this process and has to come back unchanged: tickets and
 * sessions.  AES-256-GCM, salt | ciphertext | tag.
 *
 * Invariant: the key and the nonce of a seal are derived from the secret, a
 * random salt of 16 bytes and the context, so no counter has to be kept, and
 * processes that share a secret do not repeat a nonce under one key.
 *
 * Locks: the caller has entered mbedTLS, except for the functions of
 * tls/engine.h, which do so themselves.
 */

#define SEALING_KEY   32u
#define SEALING_NONCE 12u
#define SEALING_TAG   16u

struct sealing_keys {
    uint8_t key[SEALING_KEY];
    uint8_t nonce[SEALING_NONCE];
};

static psa_status_t
sealing_derive(const struct flow__seal_key *key, const uint8_t *salt,
               struct sealing_keys *ret)
{
    psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
    uint8_t info[FLOW__SEAL_SALT + FLOW__SEAL_CONTEXT_MAX];
    psa_status_t st;

    if (key->context.len > FLOW__SEAL_CONTEXT_MAX)
        return PSA_ERROR_INVALID_ARGUMENT;
    memcpy(info, salt, FLOW__SEAL_SALT);
    if (key->context.len > 0)
        memcpy(info + FLOW__SEAL_SALT, key->context.base, key->context.len);
    st = psa_key_derivation_setup(&op, PSA_ALG_HKDF_EXPAND(PSA_ALG_SHA_256));
    if (st == PSA_SUCCESS)
        st =
            psa_key_derivation_input_bytes(&op, PSA_KEY_DERIVATION_INPUT_SECRET,
                                           key->secret, FLOW__SEAL_SECRET);
    if (st == PSA_SUCCESS)
        st = psa_key_derivation_input_bytes(&op, PSA_KEY_DERIVATION_INPUT_INFO,
                                            info,
                                            FLOW__SEAL_SALT + key->context.len);
    if (st == PSA_SUCCESS)
        st = psa_key_derivation_output_bytes(&op, (uint8_t *)ret, sizeof(*ret));
    (void)psa_key_derivation_abort(&op);
    return st;
}

static psa_status_t
sealing_import(const struct sealing_keys *keys, psa_key_usage_t usage,
               psa_key_id_t *ret_id)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;

    psa_set_key_usage_flags(&attributes, usage);
    psa_set_key_algorithm(&attributes, PSA_ALG_GCM);
    psa_set_key_type(&attributes, PSA_KEY_TYPE_AES);
    return psa_import_key(&attributes, keys->key, sizeof(keys->key), ret_id);
}

/* See tls/mbedtls/sealing.h. */
enum flow_status
flow__sealing_seal(const struct flow__seal_key *key, struct flow__span plain,
                   uint8_t *out)
{
    struct sealing_keys keys;
    psa_key_id_t id = PSA_KEY_ID_NULL;
    psa_status_t st;
    size_t len;

    if (!flow__random_bytes(out, FLOW__SEAL_SALT))
        return FLOW_E_ENTROPY;
    memset(&keys, 0, sizeof(keys));
    st = sealing_derive(key, out, &keys);
    if (st == PSA_SUCCESS)
        st = sealing_import(&keys, PSA_KEY_USAGE_ENCRYPT, &id);
    if (st == PSA_SUCCESS)
        st = psa_aead_encrypt(id, PSA_ALG_GCM, keys.nonce, sizeof(keys.nonce),
                              NULL, 0, plain.base, plain.len,
                              out + FLOW__SEAL_SALT, plain.len + SEALING_TAG,
                              &len);
    (void)psa_destroy_key(id);
    flow_wipe(&keys, sizeof(keys));
    return st == PSA_SUCCESS ? FLOW_OK : FLOW_E_SYS;
}

/* See tls/mbedtls/sealing.h. */
bool
flow__sealing_open(const struct flow__seal_key *key, struct flow__span sealed,
                   uint8_t *out)
{
    struct sealing_keys keys;
    psa_key_id_t id = PSA_KEY_ID_NULL;
    psa_status_t st;
    size_t len;

    if (sealed.len < FLOW__SEAL_OVERHEAD)
        return false;
    memset(&keys, 0, sizeof(keys));
    st = sealing_derive(key, sealed.base, &keys);
    if (st == PSA_SUCCESS)
        st = sealing_import(&keys, PSA_KEY_USAGE_DECRYPT, &id);
    if (st == PSA_SUCCESS)
        st = psa_aead_decrypt(id, PSA_ALG_GCM, keys.nonce, sizeof(keys.nonce),
                              NULL, 0, sealed.base + FLOW__SEAL_SALT,
                              sealed.len - FLOW__SEAL_SALT, out,
                              sealed.len - FLOW__SEAL_OVERHEAD, &len);
    (void)psa_destroy_key(id);
    flow_wipe(&keys, sizeof(keys));
    return st == PSA_SUCCESS;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_seal(const struct flow__seal_key *key, struct flow__span plain,
                  uint8_t *out)
{
    enum flow_status st;
    int rc;

    flow__mbed_enter();
    st = flow__sealing_seal(key, plain, out);
    rc = flow__mbed_result(0);
    flow__mbed_leave();
    return rc != 0 ? FLOW_E_NOMEM : st;
}

/* See tls/engine.h. */
enum flow_status
flow__engine_open(const struct flow__seal_key *key, struct flow__span sealed,
                  uint8_t *out)
{
    bool is_open;
    int rc;

    flow__mbed_enter();
    is_open = flow__sealing_open(key, sealed, out);
    rc = flow__mbed_result(0);
    flow__mbed_leave();
    if (rc != 0)
        return FLOW_E_NOMEM;
    return is_open ? FLOW_OK : FLOW_E_AUTH;
}
