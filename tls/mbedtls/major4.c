/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/compat.h"

#include <mbedtls/asn1.h>
#include <mbedtls/x509.h>
#include <psa/crypto.h>

#include "tls/hello.h"
#include "tls/span.h"

/*
 * mbedTLS 4.x on TF-PSA-Crypto.  Random numbers and all ciphers are those of
 * PSA.  libflow bundles no 4.x: a system's build has locks of its own or none.
 */

/* See tls/mbedtls/compat.h.  mbedtls_version_check_feature() does not know
 * options of TF-PSA-Crypto; its headers are installed with what was built. */
bool
flow__mbed_has(enum flow__mbed_feature feature)
{
    static const bool has[FLOW__MBED_FEATURES] = {
#ifdef MBEDTLS_THREADING_C
        [FLOW__MBED_LOCKS] = true,
#endif
#ifdef MBEDTLS_PSA_KEY_STORE_DYNAMIC
        [FLOW__MBED_SLOTS] = true,
#endif
#ifdef MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS
        [FLOW__MBED_IN_PLACE] = true,
#endif
    };

    return has[feature];
}

/*
 * See tls/mbedtls/compat.h.  The first use of AES detects what the processor
 * supports, and stores the answer where every thread reads it.  If there is no
 * memory for that, the first record does it.
 */
void
flow__mbed_prepare(void)
{
    static const uint8_t key[16], nonce[12];
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = PSA_KEY_ID_NULL;
    uint8_t sealed[16];
    size_t len;

    if (psa_crypto_init() != PSA_SUCCESS)
        return;
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_ENCRYPT);
    psa_set_key_algorithm(&attributes, PSA_ALG_GCM);
    psa_set_key_type(&attributes, PSA_KEY_TYPE_AES);
    if (psa_import_key(&attributes, key, sizeof(key), &id) != PSA_SUCCESS)
        return;
    (void)psa_aead_encrypt(id, PSA_ALG_GCM, nonce, sizeof(nonce), NULL, 0, NULL,
                           0, sealed, sizeof(sealed), &len);
    (void)psa_destroy_key(id);
}

/* See tls/mbedtls/compat.h. */
void
flow__mbed_conf_random(mbedtls_ssl_config *ssl)
{
    (void)ssl;
}

/* See tls/mbedtls/compat.h. */
void
flow__mbed_conf_tickets(mbedtls_ssl_config *ssl)
{
    (void)ssl;
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_parse_public_key(mbedtls_pk_context *key, struct flow__span spki)
{
    return mbedtls_pk_parse_public_key(key, spki.base, spki.len);
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_parse_key(mbedtls_pk_context *key, const uint8_t *data, size_t len,
                     const uint8_t *pass, size_t pass_len)
{
    return mbedtls_pk_parse_key(key, data, len, pass, pass_len);
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_check_pair(const mbedtls_pk_context *public_key,
                      const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(public_key, key);
}

/* See tls/mbedtls/compat.h.  A system's build never has libcrypto. */
int
flow__mbed_settle_key(mbedtls_pk_context *key)
{
    (void)key;
    return 0;
}

/* See tls/mbedtls/compat.h.  A PSS signature may have a salt of any length. */
int
flow__mbed_check_signature(mbedtls_pk_context *key,
                           const struct flow__signature *s,
                           mbedtls_md_type_t md, const uint8_t *hash)
{
    return mbedtls_pk_verify_ext(
        s->kind == FLOW__SIGN_ECDSA     ? MBEDTLS_PK_SIGALG_ECDSA
        : s->kind == FLOW__SIGN_RSA_PSS ? MBEDTLS_PK_SIGALG_RSA_PSS
                                        : MBEDTLS_PK_SIGALG_RSA_PKCS1V15,
        key, md, hash, s->hash_bits / 8u, s->value.base, s->value.len);
}

/* See tls/mbedtls/compat.h.  PSA refuses a public key that is not a point of
 * its curve, or that has a small order.  RFC 8422 5.1.1 and 5.4. */
int
flow__mbed_check_share(const uint8_t *msg, size_t len)
{
    struct flow__span body = { msg + FLOW__HANDSHAKE_HEADER,
                               len - FLOW__HANDSHAKE_HEADER };
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = PSA_KEY_ID_NULL;
    struct flow__span point;
    psa_status_t status;
    uint16_t group;
    uint8_t type;

    if (!flow__span_take_u8(&body, &type) ||
        !flow__span_take_u16(&body, &group) ||
        !flow__span_take_vec8(&body, &point))
        return PSA_ERROR_INVALID_ARGUMENT;
    psa_set_key_type(&attributes,
                     PSA_KEY_TYPE_ECC_PUBLIC_KEY(
                         group == MBEDTLS_SSL_IANA_TLS_GROUP_X25519 ||
                                 group == MBEDTLS_SSL_IANA_TLS_GROUP_X448
                             ? PSA_ECC_FAMILY_MONTGOMERY
                             : PSA_ECC_FAMILY_SECP_R1));
    status = psa_import_key(&attributes, point.base, point.len, &id);
    (void)psa_destroy_key(id);
    return status;
}

/* See tls/mbedtls/compat.h.  Every module's number is an alias of this. */
bool
flow__mbed_no_memory(int code)
{
    return code == PSA_ERROR_INSUFFICIENT_MEMORY;
}

static bool
major4_is_asn1_error(int code)
{
    return code <= MBEDTLS_ERR_ASN1_OUT_OF_DATA &&
           code >= MBEDTLS_ERR_ASN1_INVALID_DATA;
}

/* See tls/mbedtls/compat.h. */
bool
flow__mbed_is_key_error(int code)
{
    return code == MBEDTLS_ERR_PK_KEY_INVALID_FORMAT ||
           code == MBEDTLS_ERR_PK_KEY_INVALID_VERSION ||
           major4_is_asn1_error(code);
}

/* See tls/mbedtls/compat.h. */
bool
flow__mbed_is_certificate_error(int code)
{
    return (code <= MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE &&
            code > MBEDTLS_ERR_X509_FATAL_ERROR) ||
           major4_is_asn1_error(code);
}

/* See tls/mbedtls/compat.h. */
const struct flow__mbed_meaning *
flow__mbed_own_meaning(int code)
{
    static const struct flow__mbed_meaning wrong_signature = {
        PSA_ERROR_INVALID_SIGNATURE, FLOW_E_PROTO, FLOW__ALERT_DECRYPT_ERROR,
        "the peer's signature is wrong"
    };

    return code == wrong_signature.code ? &wrong_signature : NULL;
}
