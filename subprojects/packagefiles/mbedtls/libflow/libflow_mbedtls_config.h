/* SPDX-License-Identifier: ISC */

/*
 * What of mbedTLS is compiled into libflow, and why.  Included by mbedTLS's
 * own build_info.h, which derives everything else and checks the result.
 */

/* Machine: assembly where there is some, no operating system. */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE
#define MBEDTLS_PLATFORM_C
/* The age of a ticket is counted in the time of day, so that machines that
 * share keys agree on it, and a restart does not change it: ours. */
#define MBEDTLS_PLATFORM_MS_TIME_ALT

/* Memory is the C library's, in a handshake through an arena; what cannot be
 * had is told to us (memory.h). */
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_CALLOC_MACRO flow__mbed_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO   flow__mbed_free
#include "memory.h"
#define FLOW_MBEDTLS_ARENA

/* Certificates of a handshake are parsed by peer.h. */
#define FLOW_MBEDTLS_PEER

/*
 * Threads: locks of our own port, given at run time (threading_alt.h).  Key
 * slots are as many as there is memory for, not 32 for the whole process.
 * PSA works on the buffers of its caller in place: all of them are ours and
 * none is in memory that somebody else can write.
 */
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_ALT
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC
#define MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS

/* Random numbers come from mbedtls_psa_external_get_random(), which is ours:
 * no entropy pool and no generator inside the engine. */
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG

/* The protocol: TLS 1.2 and 1.3, both roles.  No DTLS, no renegotiation. */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
#define MBEDTLS_SSL_KEYING_MATERIAL_EXPORT
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_SESSION_TICKETS

/*
 * The suites, AEAD with ephemeral curves only.  The list also keeps out what
 * CBC, compiled in for encrypted keys, would bring along.
 */
/* clang-format off */
#define MBEDTLS_SSL_CIPHERSUITES                        \
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,                  \
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,                  \
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,            \
    MBEDTLS_TLS1_3_AES_128_CCM_SHA256,                  \
    MBEDTLS_TLS1_3_AES_128_CCM_8_SHA256,                \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,    \
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,      \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,    \
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,      \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, \
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM,           \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CCM,           \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,         \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8
/* clang-format on */

/* Ciphers and hashes.  MD5, SHA-1 and CBC are there for private keys that are
 * stored encrypted (PKCS#5 and the older PEM form), not for the protocol. */
#define MBEDTLS_AES_C
#define MBEDTLS_AESNI_C
#define MBEDTLS_AESCE_C
#define MBEDTLS_CCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_CHACHAPOLY_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CIPHER_PADDING_PKCS7
#define MBEDTLS_GCM_C
#define MBEDTLS_HKDF_C
#define MBEDTLS_MD_C
#define MBEDTLS_MD5_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_SHA1_C
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C

/* Public keys. */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_HMAC_DRBG_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_RSA_C

/*
 * What libcrypto computes, if this build has it: key agreement, signatures of
 * curves that are verified, and hashes.  Signing and the public operation of
 * RSA need no hook (key.c, rsa_public.c).
 */
#ifdef FLOW_MBEDTLS_LIBCRYPTO
#define MBEDTLS_ECDH_COMPUTE_SHARED_ALT
#define MBEDTLS_ECDH_GEN_PUBLIC_ALT
#define MBEDTLS_ECDSA_VERIFY_ALT
#define MBEDTLS_SHA256_ALT
#define MBEDTLS_SHA512_ALT
#endif

/* Certificates and keys, from memory: files are read by our POSIX helper. */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_OID_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_PARSE_EC_COMPRESSED
#define MBEDTLS_PK_PARSE_EC_EXTENDED
#define MBEDTLS_PKCS5_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_REMOVE_INFO /* certificates as text */
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT
#define MBEDTLS_X509_USE_C

/* What this build can do, asked at run time; names of its errors. */
#define MBEDTLS_ERROR_C
#define MBEDTLS_VERSION_C
#define MBEDTLS_VERSION_FEATURES

/*
 * Servers of TLS 1.3 with keys on P-256, stored in clear, and the suites with
 * SHA-256: less than half of the code.
 */
#ifdef FLOW_MBEDTLS_SERVER13
#undef MBEDTLS_SSL_CLI_C
#undef MBEDTLS_SSL_SESSION_TICKETS
#undef MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#undef MBEDTLS_SSL_PROTO_TLS1_2
#undef MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#undef MBEDTLS_SSL_KEYING_MATERIAL_EXPORT
#undef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#undef MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#undef MBEDTLS_RSA_C
#undef MBEDTLS_PKCS1_V15
#undef MBEDTLS_PKCS1_V21
#undef MBEDTLS_X509_RSASSA_PSS_SUPPORT
#undef MBEDTLS_CCM_C
#undef MBEDTLS_CIPHER_MODE_CBC
#undef MBEDTLS_CIPHER_PADDING_PKCS7
#undef MBEDTLS_MD5_C
#undef MBEDTLS_SHA1_C
#undef MBEDTLS_PKCS5_C
#undef MBEDTLS_SHA224_C
#undef MBEDTLS_SHA384_C
#undef MBEDTLS_SHA512_C
#undef MBEDTLS_ECP_DP_SECP384R1_ENABLED
#undef MBEDTLS_ECP_DP_SECP521R1_ENABLED
#undef MBEDTLS_PK_PARSE_EC_COMPRESSED
#undef MBEDTLS_PK_PARSE_EC_EXTENDED
#undef MBEDTLS_ERROR_C
#undef MBEDTLS_VERSION_FEATURES
#undef MBEDTLS_VERSION_C
#endif
