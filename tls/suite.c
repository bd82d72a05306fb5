/* SPDX-License-Identifier: ISC */
#include "tls/suite.h"

#include <stddef.h>

#include "tls/wire.h"

/*
 * How many records one key may seal.  AES-GCM: RFC 8446 5.5 allows 2^24.5
 * full-size records, rounded down.  AES-CCM: RFC 9147 4.5.3 computes 2^23.
 * CCM_8 has an eight-byte tag; what bounds it is forgery, which costs an
 * attacker the connection per try here, so the limit is a caution: 2^20.
 * ChaCha20-Poly1305: the sequence numbers end first.
 */
#define SUITE_LIMIT_GCM    ((uint64_t)1 << 24)
#define SUITE_LIMIT_CCM    ((uint64_t)1 << 23)
#define SUITE_LIMIT_CCM_8  ((uint64_t)1 << 20)
#define SUITE_LIMIT_CHACHA UINT64_MAX

/* Nonces: RFC 8446 5.3 and RFC 7905 mix a 12-byte IV with the number; RFC 5288
 * and RFC 6655 send eight bytes and keep four. */
#define SUITE_TLS13(name, aead, hash, key, tag, limit)                         \
    {                                                                          \
        FLOW__SUITE_##name, FLOW_TLS_1_3, FLOW__AUTH_ANY, aead, hash, key, 12, \
            0, tag, limit, "TLS_" #name                                        \
    }
#define SUITE_TLS12(name, auth, aead, hash, key, tag, limit)                   \
    {                                                                          \
        FLOW__SUITE_##name, FLOW_TLS_1_2, auth, aead, hash, key, 4, 8, tag,    \
            limit, "TLS_" #name                                                \
    }
#define SUITE_TLS12_CHACHA(name, auth)                                         \
    {                                                                          \
        FLOW__SUITE_##name, FLOW_TLS_1_2, auth, FLOW__AEAD_CHACHA20_POLY1305,  \
            FLOW__SHA256, 32, 12, 0, 16, SUITE_LIMIT_CHACHA, "TLS_" #name      \
    }

static const struct flow__suite suite_table[] = {
    SUITE_TLS13(AES_128_GCM_SHA256, FLOW__AEAD_AES_GCM, FLOW__SHA256, 16, 16,
                SUITE_LIMIT_GCM),
    SUITE_TLS13(AES_256_GCM_SHA384, FLOW__AEAD_AES_GCM, FLOW__SHA384, 32, 16,
                SUITE_LIMIT_GCM),
    SUITE_TLS13(CHACHA20_POLY1305_SHA256, FLOW__AEAD_CHACHA20_POLY1305,
                FLOW__SHA256, 32, 16, SUITE_LIMIT_CHACHA),
    SUITE_TLS13(AES_128_CCM_SHA256, FLOW__AEAD_AES_CCM, FLOW__SHA256, 16, 16,
                SUITE_LIMIT_CCM),
    SUITE_TLS13(AES_128_CCM_8_SHA256, FLOW__AEAD_AES_CCM_8, FLOW__SHA256, 16, 8,
                SUITE_LIMIT_CCM_8),

    SUITE_TLS12(ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, FLOW__AUTH_ECDSA,
                FLOW__AEAD_AES_GCM, FLOW__SHA256, 16, 16, SUITE_LIMIT_GCM),
    SUITE_TLS12(ECDHE_RSA_WITH_AES_128_GCM_SHA256, FLOW__AUTH_RSA,
                FLOW__AEAD_AES_GCM, FLOW__SHA256, 16, 16, SUITE_LIMIT_GCM),
    SUITE_TLS12(ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, FLOW__AUTH_ECDSA,
                FLOW__AEAD_AES_GCM, FLOW__SHA384, 32, 16, SUITE_LIMIT_GCM),
    SUITE_TLS12(ECDHE_RSA_WITH_AES_256_GCM_SHA384, FLOW__AUTH_RSA,
                FLOW__AEAD_AES_GCM, FLOW__SHA384, 32, 16, SUITE_LIMIT_GCM),
    SUITE_TLS12_CHACHA(ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                       FLOW__AUTH_ECDSA),
    SUITE_TLS12_CHACHA(ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, FLOW__AUTH_RSA),
    SUITE_TLS12(ECDHE_ECDSA_WITH_AES_128_CCM, FLOW__AUTH_ECDSA,
                FLOW__AEAD_AES_CCM, FLOW__SHA256, 16, 16, SUITE_LIMIT_CCM),
    SUITE_TLS12(ECDHE_ECDSA_WITH_AES_256_CCM, FLOW__AUTH_ECDSA,
                FLOW__AEAD_AES_CCM, FLOW__SHA256, 32, 16, SUITE_LIMIT_CCM),
    SUITE_TLS12(ECDHE_ECDSA_WITH_AES_128_CCM_8, FLOW__AUTH_ECDSA,
                FLOW__AEAD_AES_CCM_8, FLOW__SHA256, 16, 8, SUITE_LIMIT_CCM_8),
    SUITE_TLS12(ECDHE_ECDSA_WITH_AES_256_CCM_8, FLOW__AUTH_ECDSA,
                FLOW__AEAD_AES_CCM_8, FLOW__SHA256, 32, 8, SUITE_LIMIT_CCM_8),
};

const struct flow__suite *
flow__suite_at(size_t index)
{
    return index < sizeof(suite_table) / sizeof(suite_table[0])
               ? &suite_table[index]
               : NULL;
}

const struct flow__suite *
flow__suite_find(uint16_t id)
{
    for (size_t i = 0; i < sizeof(suite_table) / sizeof(suite_table[0]); i++)
        if (suite_table[i].id == id)
            return &suite_table[i];
    return NULL;
}
