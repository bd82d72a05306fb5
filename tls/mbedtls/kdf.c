/* SPDX-License-Identifier: ISC */
#include "tls/kdf.h"

#include <mbedtls/ssl.h>
#include <psa/crypto.h>

#include <flow/env.h>

#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"
#include "tls/mbedtls/psa.h"

/* Derivations fail without memory, or in a build without the hash. */
static enum flow_status
kdf_finish(int ret, uint8_t *out, size_t len)
{
    if (ret == 0)
        return FLOW_OK;
    flow_wipe(out, len);
    return flow__mbed_no_memory(ret) ? FLOW_E_NOMEM : FLOW_E_SYS;
}

static psa_status_t
kdf_expand(psa_algorithm_t hash, const uint8_t *prk, size_t prk_len,
           const uint8_t *info, size_t info_len, uint8_t *out, size_t len)
{
    psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
    psa_status_t ret = psa_key_derivation_setup(&op, PSA_ALG_HKDF_EXPAND(hash));

    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_input_bytes(
            &op, PSA_KEY_DERIVATION_INPUT_SECRET, prk, prk_len);
    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_input_bytes(&op, PSA_KEY_DERIVATION_INPUT_INFO,
                                             info, info_len);
    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_output_bytes(&op, out, len);
    (void)psa_key_derivation_abort(&op);
    return ret;
}

enum flow_status
flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk, size_t prk_len,
                      const uint8_t *info, size_t info_len, uint8_t *out,
                      size_t len)
{
    psa_status_t ret;

    flow__mbed_enter();
    ret = kdf_expand(hash == FLOW__SHA384 ? PSA_ALG_SHA_384 : PSA_ALG_SHA_256,
                     prk, prk_len, info, info_len, out, len);
    ret = flow__mbed_result(ret);
    flow__mbed_leave();
    return kdf_finish(ret, out, len);
}

static psa_status_t
kdf_extract(const struct flow__span *salt, const struct flow__span *input,
            uint8_t prk[PSA_HASH_LENGTH(PSA_ALG_SHA_256)])
{
    psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
    psa_status_t ret =
        psa_key_derivation_setup(&op, PSA_ALG_HKDF_EXTRACT(PSA_ALG_SHA_256));

    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_input_bytes(&op, PSA_KEY_DERIVATION_INPUT_SALT,
                                             salt->base, salt->len);
    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_input_bytes(
            &op, PSA_KEY_DERIVATION_INPUT_SECRET, input->base, input->len);
    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_output_bytes(&op, prk,
                                              PSA_HASH_LENGTH(PSA_ALG_SHA_256));
    (void)psa_key_derivation_abort(&op);
    return ret;
}

/* See tls/kdf.h.  No flow__mbed_enter(): the thread may have entered, and no
 * key of PSA is used. */
enum flow_status
flow__kdf_hkdf(const struct flow__span *salt, const struct flow__span *input,
               uint8_t *out, size_t len)
{
    uint8_t prk[PSA_HASH_LENGTH(PSA_ALG_SHA_256)];
    enum flow_status st = flow__psa_init();
    psa_status_t ret;

    if (st != FLOW_OK) {
        flow_wipe(out, len);
        return st;
    }
    ret = kdf_extract(salt, input, prk);
    if (ret == PSA_SUCCESS)
        ret = kdf_expand(PSA_ALG_SHA_256, prk, sizeof(prk), NULL, 0, out, len);
    flow_wipe(prk, sizeof(prk));
    return kdf_finish(ret, out, len);
}

enum flow_status
flow__kdf_tls12_prf(const struct flow__kdf_prf *prf, uint8_t *out, size_t len)
{
    const mbedtls_tls_prf_types type = prf->hash == FLOW__SHA384
                                           ? MBEDTLS_SSL_TLS_PRF_SHA384
                                           : MBEDTLS_SSL_TLS_PRF_SHA256;
    int ret;

    flow__mbed_enter();
    ret = mbedtls_ssl_tls_prf(type, prf->secret, prf->secret_len, prf->label,
                              prf->seed, prf->seed_len, out, len);
    ret = flow__mbed_result(ret);
    flow__mbed_leave();
    return kdf_finish(ret, out, len);
}
