/* SPDX-License-Identifier: ISC */
#include <flow/tls_mix.h>

#include "tls/kdf.h"

/* See <flow/tls_mix.h>. */
bool
flow_tls_mix(const uint8_t *salt, size_t salt_len, const uint8_t *input,
             size_t input_len, uint8_t *out, size_t len)
{
    const struct flow__span of_salt = { salt, salt_len };
    const struct flow__span of_input = { input, input_len };

    return flow__kdf_hkdf(&of_salt, &of_input, out, len) == FLOW_OK;
}
