/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/compat.h"

#include <mbedtls/aes.h>
#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/cipher.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/rsa.h>
#include <mbedtls/threading.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include "lib/plat.h"
#include "tls/mbedtls/random.h"

/* mbedTLS 3.6. */

#if defined(MBEDTLS_VERSION_FEATURES)

/* See tls/mbedtls/compat.h. */
bool
flow__mbed_has(enum flow__mbed_feature feature)
{
    static const char *const names[FLOW__MBED_FEATURES] = {
        [FLOW__MBED_LOCKS] = "MBEDTLS_THREADING_C",
        [FLOW__MBED_SLOTS] = "MBEDTLS_PSA_KEY_STORE_DYNAMIC",
        [FLOW__MBED_IN_PLACE] = "MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS",
    };

    /* 0 for what is compiled in. */
    return mbedtls_version_check_feature(names[feature]) == 0;
}

#else

/* See tls/mbedtls/compat.h.  Only our small build cannot be asked, and its
 * headers are those it was built with. */
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

#endif

/*
 * Locks, when the build is ours (its threading_alt.h defines the type): a
 * build of the system has its own.
 */
#ifdef FLOW_MBEDTLS_THREADING_ALT_H

_Static_assert(sizeof(mbedtls_threading_mutex_t) == sizeof(struct flow_lock),
               "threading_alt.h has the size of a lock of lib/plat.h");

static struct flow_lock *
major3_lock_of(mbedtls_threading_mutex_t *mutex)
{
    return (struct flow_lock *)(void *)mutex;
}

static void
major3_mutex_init(mbedtls_threading_mutex_t *mutex)
{
    flow_lock_init(major3_lock_of(mutex));
}

static void
major3_mutex_free(mbedtls_threading_mutex_t *mutex)
{
    flow_lock_fini(major3_lock_of(mutex));
}

static int
major3_mutex_lock(mbedtls_threading_mutex_t *mutex)
{
    flow_lock_acquire(major3_lock_of(mutex));
    return 0;
}

static int
major3_mutex_unlock(mbedtls_threading_mutex_t *mutex)
{
    flow_lock_release(major3_lock_of(mutex));
    return 0;
}

static void
major3_set_locks(void)
{
    mbedtls_threading_set_alt(major3_mutex_init, major3_mutex_free,
                              major3_mutex_lock, major3_mutex_unlock);
}

#else

static void
major3_set_locks(void)
{
}

#endif

/* The first use of AES detects what the processor supports, and stores the
 * answer where every thread reads it. */
static void
major3_settle_aes(void)
{
#ifdef MBEDTLS_AES_C
    static const uint8_t key[16];
    mbedtls_aes_context aes;

    mbedtls_aes_init(&aes);
    (void)mbedtls_aes_setkey_enc(&aes, key, 128);
    mbedtls_aes_free(&aes);
#endif
}

/* See tls/mbedtls/compat.h. */
void
flow__mbed_prepare(void)
{
    major3_set_locks();
    major3_settle_aes();
}

static int
major3_random_bytes(void *ctx, unsigned char *buf, size_t len)
{
    (void)ctx;
    return flow__random_bytes(buf, len) ? 0 : PSA_ERROR_INSUFFICIENT_ENTROPY;
}

/* See tls/mbedtls/compat.h. */
void
flow__mbed_conf_random(mbedtls_ssl_config *ssl)
{
    mbedtls_ssl_conf_rng(ssl, major3_random_bytes, NULL);
}

/* See tls/mbedtls/compat.h. */
void
flow__mbed_conf_tickets(mbedtls_ssl_config *ssl)
{
#if defined(MBEDTLS_SSL_CLI_C) && defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        ssl, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#else
    (void)ssl;
#endif
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_parse_public_key(mbedtls_pk_context *key, struct flow__span spki)
{
    unsigned char *p = (unsigned char *)(uintptr_t)spki.base;

    return mbedtls_pk_parse_subpubkey(&p, p + spki.len, key);
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_parse_key(mbedtls_pk_context *key, const uint8_t *data, size_t len,
                     const uint8_t *pass, size_t pass_len)
{
    return mbedtls_pk_parse_key(key, data, len, pass, pass_len,
                                major3_random_bytes, NULL);
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_check_pair(const mbedtls_pk_context *public_key,
                      const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(public_key, key, major3_random_bytes, NULL);
}

/* Our build has it where it has libcrypto (libflow/key.h). */
#ifdef FLOW_MBEDTLS_LIBCRYPTO
int flow__key_settle(mbedtls_pk_context *pk);
#endif

/* See tls/mbedtls/compat.h. */
int
flow__mbed_settle_key(mbedtls_pk_context *key)
{
#ifdef FLOW_MBEDTLS_LIBCRYPTO
    return flow__key_settle(key);
#else
    (void)key;
    return 0;
#endif
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_check_signature(mbedtls_pk_context *key,
                           const struct flow__signature *s,
                           mbedtls_md_type_t md, const uint8_t *hash)
{
    const mbedtls_pk_rsassa_pss_options pss = {
        .mgf1_hash_id = md,
        .expected_salt_len = s->salt_len,
    };
    const bool is_pss = s->kind == FLOW__SIGN_RSA_PSS;

    return mbedtls_pk_verify_ext(s->kind == FLOW__SIGN_ECDSA ? MBEDTLS_PK_ECDSA
                                 : is_pss ? MBEDTLS_PK_RSASSA_PSS
                                          : MBEDTLS_PK_RSA,
                                 is_pss ? &pss : NULL, key, md, hash,
                                 s->hash_bits / 8u, s->value.base,
                                 s->value.len);
}

/* See tls/mbedtls/compat.h. */
int
flow__mbed_check_share(const uint8_t *msg, size_t len)
{
    (void)msg;
    (void)len;
    return 0;
}

/* See tls/mbedtls/compat.h. */
bool
flow__mbed_no_memory(int code)
{
    static const int codes[] = {
        MBEDTLS_ERR_SSL_ALLOC_FAILED,    MBEDTLS_ERR_X509_ALLOC_FAILED,
        MBEDTLS_ERR_PK_ALLOC_FAILED,     MBEDTLS_ERR_PEM_ALLOC_FAILED,
        MBEDTLS_ERR_MD_ALLOC_FAILED,     MBEDTLS_ERR_ECP_ALLOC_FAILED,
        MBEDTLS_ERR_CIPHER_ALLOC_FAILED, MBEDTLS_ERR_MPI_ALLOC_FAILED,
        MBEDTLS_ERR_ASN1_ALLOC_FAILED,   PSA_ERROR_INSUFFICIENT_MEMORY,
    };
    int low = -(-code & 0x7f), high = code - low;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (code == codes[i] ||
            (code < -0x400 && (low == codes[i] || high == codes[i])))
            return true;
    return false;
}

/* See tls/mbedtls/compat.h. */
bool
flow__mbed_is_key_error(int code)
{
    int high = -(-code & 0x7f80);

    return high == MBEDTLS_ERR_PK_KEY_INVALID_FORMAT ||
           high == MBEDTLS_ERR_PK_KEY_INVALID_VERSION;
}

/* See tls/mbedtls/compat.h. */
bool
flow__mbed_is_certificate_error(int code)
{
    /* X.509's own numbers, and the sums that begin with them. */
    return code <= MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE &&
           code > MBEDTLS_ERR_X509_FATAL_ERROR;
}

/* See tls/mbedtls/compat.h. */
const struct flow__mbed_meaning *
flow__mbed_own_meaning(int code)
{
    static const struct flow__mbed_meaning own[] = {
        { MBEDTLS_ERR_ECP_INVALID_KEY, FLOW_E_PROTO,
          FLOW__ALERT_ILLEGAL_PARAMETER,
          "the peer's key share is not a point of the group" },
        { MBEDTLS_ERR_ECP_BAD_INPUT_DATA, FLOW_E_PROTO,
          FLOW__ALERT_ILLEGAL_PARAMETER, "the peer's key share is malformed" },
        { MBEDTLS_ERR_ECP_VERIFY_FAILED, FLOW_E_PROTO,
          FLOW__ALERT_DECRYPT_ERROR, "the peer's signature is wrong" },
        { MBEDTLS_ERR_RSA_VERIFY_FAILED, FLOW_E_PROTO,
          FLOW__ALERT_DECRYPT_ERROR, "the peer's signature is wrong" },
        { MBEDTLS_ERR_RSA_INVALID_PADDING, FLOW_E_PROTO,
          FLOW__ALERT_DECRYPT_ERROR, "the peer's signature is wrong" },
    };

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (own[i].code == code)
            return &own[i];
    return NULL;
}
