/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_KDF_H
#define FLOW_TLS_KDF_H

#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#include "tls/span.h"
#include "tls/suite.h"

/*
 * Key derivation functions of the TLS library (tls/mbedtls/kdf.c).
 * FLOW_OK; FLOW_E_NOMEM, transient; FLOW_E_SYS when the library fails in
 * another way.  On failure the output is wiped.
 */

/* HKDF-Expand (RFC 5869 2.3); len <= 255 hash lengths. */
enum flow_status flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk,
                                       size_t prk_len, const uint8_t *info,
                                       size_t info_len, uint8_t *out,
                                       size_t len);

/* HKDF-SHA-256 (RFC 5869 2), without a label; len <= 512.  Also for the
 * engine's own requests for random bytes, so a thread may be inside of it. */
enum flow_status flow__kdf_hkdf(const struct flow__span *salt,
                                const struct flow__span *input, uint8_t *out,
                                size_t len);

/* The inputs of the PRF of TLS 1.2 (RFC 5246 5). */
struct flow__kdf_prf {
    enum flow__hash hash;
    const uint8_t *secret;
    size_t secret_len;
    const char *label; /* NUL terminated */
    const uint8_t *seed;
    size_t seed_len;
};

/* PRF(secret, label, seed), its first len bytes. */
enum flow_status flow__kdf_tls12_prf(const struct flow__kdf_prf *prf,
                                     uint8_t *out, size_t len);

#endif
