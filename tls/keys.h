/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_KEYS_H
#define FLOW_TLS_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#include "tls/suite.h"
#include "tls/wire.h"

/*
 * From what the engine exports to the keys of one direction: RFC 8446 7.1 to
 * 7.3 and RFC 5246 6.3.  All functions answer FLOW_OK, FLOW_E_NOMEM
 * (transient) or FLOW_E_SYS; on failure outputs are wiped and inputs as they
 * were.  Callers wipe the outputs with flow_wipe().
 */

#define FLOW__SECRET_MAX  48
#define FLOW__MASTER_LEN  48
#define FLOW__LABEL_MAX   249 /* without "tls13 " */
#define FLOW__CONTEXT_MAX 255

/* A TLS 1.3 secret; its length is that of its hash. */
struct flow__secret {
    enum flow__hash hash;
    uint8_t bytes[FLOW__SECRET_MAX];
};

/* Key and (fixed) nonce part of one direction, as long as the suite says. */
struct flow__key_material {
    uint8_t key[FLOW__AEAD_KEY_MAX];
    uint8_t iv[FLOW__AEAD_NONCE];
};

/*
 * HKDF-Expand-Label(secret, label, context, len); label without "tls13 ".
 * FLOW_E_INVAL for a label or context that is too long.
 */
enum flow_status flow__keys_expand_label(const struct flow__secret *secret,
                                         const char *label,
                                         const uint8_t *context,
                                         size_t context_len, uint8_t *out,
                                         size_t len);

/* The "key" and "iv" of a traffic secret. */
enum flow_status flow__keys_traffic(const struct flow__suite *suite,
                                    const struct flow__secret *secret,
                                    struct flow__key_material *ret_keys);

/* The next generation of an application traffic secret ("traffic upd"). */
enum flow_status flow__keys_next(const struct flow__secret *secret,
                                 struct flow__secret *ret_next);

/* The inputs of a TLS 1.2 key block. */
struct flow__keys12 {
    const uint8_t *master;        /* FLOW__MASTER_LEN bytes */
    const uint8_t *client_random; /* FLOW__RANDOM_LEN bytes each */
    const uint8_t *server_random;
};

/* Both directions of TLS 1.2, named after the side that writes with them. */
enum flow_status flow__keys_tls12(const struct flow__suite *suite,
                                  const struct flow__keys12 *from,
                                  struct flow__key_material *ret_client,
                                  struct flow__key_material *ret_server);

#endif
