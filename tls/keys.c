/* SPDX-License-Identifier: ISC */
#include "tls/keys.h"

#include <string.h>

#include <flow/env.h>

#include "tls/kdf.h"

/* "tls13 " and the longest label and context, each after its length. */
#define KEYS_PREFIX     "tls13 "
#define KEYS_PREFIX_LEN 6
#define KEYS_INFO_MAX                                                          \
    (2 + 1 + KEYS_PREFIX_LEN + FLOW__LABEL_MAX + 1 + FLOW__CONTEXT_MAX)
/* The key blocks of all suites: two keys and two IVs. */
#define KEYS_BLOCK_MAX (2 * (FLOW__AEAD_KEY_MAX + FLOW__AEAD_NONCE))

enum flow_status
flow__keys_expand_label(const struct flow__secret *secret, const char *label,
                        const uint8_t *context, size_t context_len,
                        uint8_t *out, size_t len)
{
    size_t label_len = strlen(label);
    uint8_t info[KEYS_INFO_MAX];
    uint8_t *at = info;

    if (label_len > FLOW__LABEL_MAX || context_len > FLOW__CONTEXT_MAX ||
        len > UINT16_MAX)
        return FLOW_E_INVAL;
    /* struct HkdfLabel of RFC 8446 7.1 */
    *at++ = (uint8_t)(len >> 8);
    *at++ = (uint8_t)len;
    *at++ = (uint8_t)(KEYS_PREFIX_LEN + label_len);
    memcpy(at, KEYS_PREFIX, KEYS_PREFIX_LEN);
    at += KEYS_PREFIX_LEN;
    memcpy(at, label, label_len);
    at += label_len;
    *at++ = (uint8_t)context_len;
    if (context_len > 0)
        memcpy(at, context, context_len);
    at += context_len;
    return flow__kdf_hkdf_expand(secret->hash, secret->bytes,
                                 (size_t)secret->hash, info,
                                 (size_t)(at - info), out, len);
}

/* RFC 8446 7.3 */
enum flow_status
flow__keys_traffic(const struct flow__suite *suite,
                   const struct flow__secret *secret,
                   struct flow__key_material *ret_keys)
{
    enum flow_status st;

    memset(ret_keys, 0, sizeof(*ret_keys));
    if (secret->hash != suite->hash)
        return FLOW_E_INVAL;
    st = flow__keys_expand_label(secret, "key", NULL, 0, ret_keys->key,
                                 suite->key_len);
    if (st == FLOW_OK)
        st = flow__keys_expand_label(secret, "iv", NULL, 0, ret_keys->iv,
                                     suite->fixed_iv_len);
    if (st != FLOW_OK)
        flow_wipe(ret_keys, sizeof(*ret_keys));
    return st;
}

/* RFC 8446 7.2 */
enum flow_status
flow__keys_next(const struct flow__secret *secret,
                struct flow__secret *ret_next)
{
    memset(ret_next, 0, sizeof(*ret_next));
    ret_next->hash = secret->hash;
    return flow__keys_expand_label(secret, "traffic upd", NULL, 0,
                                   ret_next->bytes, (size_t)secret->hash);
}

/* RFC 5246 6.3, without MAC keys: an AEAD has none. */
enum flow_status
flow__keys_tls12(const struct flow__suite *suite,
                 const struct flow__keys12 *from,
                 struct flow__key_material *ret_client,
                 struct flow__key_material *ret_server)
{
    uint8_t seed[2 * FLOW__RANDOM_LEN];
    uint8_t block[KEYS_BLOCK_MAX];
    const uint8_t *at = block;
    struct flow__kdf_prf prf = {
        .hash = suite->hash,
        .secret = from->master,
        .secret_len = FLOW__MASTER_LEN,
        .label = "key expansion",
        .seed = seed,
        .seed_len = sizeof(seed),
    };
    enum flow_status st;

    memset(ret_client, 0, sizeof(*ret_client));
    memset(ret_server, 0, sizeof(*ret_server));
    /* The server's random first, other than in the master secret. */
    memcpy(seed, from->server_random, FLOW__RANDOM_LEN);
    memcpy(seed + FLOW__RANDOM_LEN, from->client_random, FLOW__RANDOM_LEN);
    st = flow__kdf_tls12_prf(
        &prf, block, 2u * ((size_t)suite->key_len + suite->fixed_iv_len));
    if (st != FLOW_OK)
        return st;
    memcpy(ret_client->key, at, suite->key_len);
    at += suite->key_len;
    memcpy(ret_server->key, at, suite->key_len);
    at += suite->key_len;
    memcpy(ret_client->iv, at, suite->fixed_iv_len);
    at += suite->fixed_iv_len;
    memcpy(ret_server->iv, at, suite->fixed_iv_len);
    flow_wipe(block, sizeof(block));
    return FLOW_OK;
}
