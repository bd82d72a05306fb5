/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_KEY_TYPE_H
#define FLOW_TLS_KEY_TYPE_H

#include <flow/tls_sni.h>

/* Types of keys in certificates: those of enum flow_tls_key, and OTHER for a
 * peer's key of any other type, or not known yet. */
enum flow__key_type {
    FLOW__KEY_P256 = FLOW_TLS_KEY_P256,
    FLOW__KEY_P384 = FLOW_TLS_KEY_P384,
    FLOW__KEY_P521 = FLOW_TLS_KEY_P521,
    FLOW__KEY_RSA = FLOW_TLS_KEY_RSA,
    FLOW__KEY_OTHER = 4
};

#endif
