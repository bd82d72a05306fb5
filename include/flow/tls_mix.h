/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MIX_H
#define FLOW_TLS_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief The TLS engine's HKDF, for machines without an operating system.
 */

/**
 * @brief HKDF-SHA-256 (RFC 5869), for flow_entropy_options::mix.
 *
 * @param[in]  salt       The salt.
 * @param[in]  salt_len   Its bytes.
 * @param[in]  input      The input keying material.
 * @param[in]  input_len  Its bytes.
 * @param[out] out        The output; wiped if it fails.
 * @param[in]  len        How many bytes, at most 512.
 * @return Whether it did; false without memory.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
bool flow_tls_mix(const uint8_t *salt, size_t salt_len, const uint8_t *input,
                  size_t input_len, uint8_t *out, size_t len);

#ifdef __cplusplus
}
#endif

#endif
