/* SPDX-License-Identifier: ISC */
#include "tls/kdf.h"

#include <mbedtls/ssl.h>
#include <psa/crypto.h>

#include <flow/env.h>

#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"

/* Derivations fail without memory, or in a build without the hash. */
static enum flow_status
kdf_finish(int ret, uint8_t *out, size_t len)
{
    if (ret == 0)
        return FLOW_OK;
    flow_wipe(out, len);
    return flow__mbed_no_memory(ret) ? FLOW_E_NOMEM : FLOW_E_SYS;
}

enum flow_status
flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk, size_t prk_len,
                      const uint8_t *info, size_t info_len, uint8_t *out,
                      size_t len)
{
    const psa_algorithm_t alg = PSA_ALG_HKDF_EXPAND(
        hash == FLOW__SHA384 ? PSA_ALG_SHA_384 : PSA_ALG_SHA_256);
    psa_key_derivation_operation_t op = PSA_KEY_DERIVATION_OPERATION_INIT;
    psa_status_t ret;

    flow__mbed_enter();
    ret = psa_key_derivation_setup(&op, alg);
    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_input_bytes(
            &op, PSA_KEY_DERIVATION_INPUT_SECRET, prk, prk_len);
    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_input_bytes(&op, PSA_KEY_DERIVATION_INPUT_INFO,
                                             info, info_len);
    if (ret == PSA_SUCCESS)
        ret = psa_key_derivation_output_bytes(&op, out, len);
    (void)psa_key_derivation_abort(&op);
    ret = flow__mbed_result(ret);
    flow__mbed_leave();
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
