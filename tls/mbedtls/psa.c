/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/psa.h"

#include <psa/crypto.h>

#include "lib/plat.h"
#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/random.h"

#ifdef MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG

/* PSA calls this for every random byte, in our build. */
psa_status_t
mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
                                uint8_t *output, size_t output_size,
                                size_t *output_length)
{
    (void)context;
    if (!flow__random_bytes(output, output_size))
        return PSA_ERROR_INSUFFICIENT_ENTROPY;
    *output_length = output_size;
    return PSA_SUCCESS;
}

#endif

enum flow_status
flow__psa_init(void)
{
    static uint32_t once;

    flow_once(flow__mbed_prepare, &once);
    switch (psa_crypto_init()) {
    case PSA_SUCCESS:
        return FLOW_OK;
    case PSA_ERROR_INSUFFICIENT_MEMORY:
        return FLOW_E_NOMEM;
    case PSA_ERROR_INSUFFICIENT_ENTROPY:
        return FLOW_E_ENTROPY;
    default:
        return FLOW_E_SYS;
    }
}
