/* SPDX-License-Identifier: ISC */
#include "tls/kdf.h"

#include <mbedtls/error.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/ssl.h>

#include <flow/env.h>

#include "tls/mbedtls/mbed.h"

/* The engine's derivations fail for lack of memory, or because a build left a
 * hash out. */
static enum flow_status
finish(int ret, uint8_t *out, size_t len)
{
    if (ret == 0)
        return FLOW_OK;
    flow_wipe(out, len);
    if (ret == MBEDTLS_ERR_MD_ALLOC_FAILED ||
        ret == MBEDTLS_ERR_SSL_ALLOC_FAILED)
        return FLOW_E_NOMEM;
    return FLOW_E_SYS;
}

enum flow_status
flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk, size_t prk_len,
                      const uint8_t *info, size_t info_len, uint8_t *out,
                      size_t len)
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(
        hash == FLOW__SHA384 ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256);
    int ret;

    flow__mbed_enter();
    ret = mbedtls_hkdf_expand(md, prk, prk_len, info, info_len, out, len);
    flow__mbed_leave();
    return finish(ret, out, len);
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
    flow__mbed_leave();
    return finish(ret, out, len);
}
