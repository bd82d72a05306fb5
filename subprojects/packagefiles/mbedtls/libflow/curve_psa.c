/* SPDX-License-Identifier: ISC */
#include "common.h"

#include "psa_crypto_core.h"
#include <psa/crypto.h>

#include "curve.h"

/*
 * PSA's key agreement and its export of a public key, which go through TLS 1.3.
 * mbedTLS has no hook for the latter, so its file is compiled here with its own
 * two functions under other names; they serve every key that is not ours, and
 * where libcrypto does not compute.  What
 * PSA stores of a private key and what it exports are the octets that
 * libflow/curve.h takes.
 */

#include "psa_crypto_ecp.h"

#define mbedtls_psa_ecp_export_public_key flow__psa_export_public_key
#define mbedtls_psa_key_agreement_ecdh    flow__psa_key_agreement
#include "psa_crypto_ecp.c"
#undef mbedtls_psa_ecp_export_public_key
#undef mbedtls_psa_key_agreement_ecdh

/* The curve of a key pair whose private part has the right length; NONE: it is
 * not ours. */
static mbedtls_ecp_group_id
psa_curve_of(const psa_key_attributes_t *attributes, size_t key_len)
{
    const psa_key_type_t type = psa_get_key_type(attributes);
    mbedtls_ecp_group_id id;

    if (!PSA_KEY_TYPE_IS_ECC_KEY_PAIR(type))
        return MBEDTLS_ECP_DP_NONE;
    id = mbedtls_ecc_group_from_psa(PSA_KEY_TYPE_ECC_GET_FAMILY(type),
                                    psa_get_key_bits(attributes));
    return id != MBEDTLS_ECP_DP_NONE && flow__curve_len(id) == key_len
               ? id
               : MBEDTLS_ECP_DP_NONE;
}

/* A function of mbedTLS. */
psa_status_t
mbedtls_psa_ecp_export_public_key(const psa_key_attributes_t *attributes,
                                  const uint8_t *key_buffer,
                                  size_t key_buffer_size, uint8_t *data,
                                  size_t data_size, size_t *data_length)
{
    const mbedtls_ecp_group_id id = psa_curve_of(attributes, key_buffer_size);
    const size_t len = flow__curve_point_len(id);

    if (len == 0 || data_size < len ||
        !flow__curve_public(id, key_buffer, data))
        return flow__psa_export_public_key(attributes, key_buffer,
                                           key_buffer_size, data, data_size,
                                           data_length);
    *data_length = len;
    return PSA_SUCCESS;
}

/* A function of mbedTLS. */
psa_status_t
mbedtls_psa_key_agreement_ecdh(const psa_key_attributes_t *attributes,
                               const uint8_t *key_buffer,
                               size_t key_buffer_size, psa_algorithm_t alg,
                               const uint8_t *peer_key, size_t peer_key_length,
                               uint8_t *shared_secret,
                               size_t shared_secret_size,
                               size_t *shared_secret_length)
{
    const mbedtls_ecp_group_id id = psa_curve_of(attributes, key_buffer_size);
    const size_t len = flow__curve_len(id);

    if (len == 0 || !PSA_ALG_IS_ECDH(alg) || shared_secret_size < len ||
        peer_key_length != flow__curve_point_len(id) ||
        !flow__curve_shared(id, key_buffer, peer_key, shared_secret))
        return flow__psa_key_agreement(attributes, key_buffer, key_buffer_size,
                                       alg, peer_key, peer_key_length,
                                       shared_secret, shared_secret_size,
                                       shared_secret_length);
    *shared_secret_length = len;
    return PSA_SUCCESS;
}
