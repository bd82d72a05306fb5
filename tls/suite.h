/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_SUITE_H
#define FLOW_TLS_SUITE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The cipher suites of libflow: all of TLS 1.3, and of TLS 1.2 those with
 * ephemeral curves and an AEAD.  Everything the record layer must know about
 * a suite stands in one row of one table.
 */

/* A cipher with its tag length; AES of either key size. */
enum flow__aead_alg {
    FLOW__AEAD_AES_GCM,
    FLOW__AEAD_CHACHA20_POLY1305,
    FLOW__AEAD_AES_CCM,  /* 16-byte tag */
    FLOW__AEAD_AES_CCM_8 /* 8-byte tag */
};

/* The hash of HKDF or of the PRF; the value is its length in bytes. */
enum flow__hash { FLOW__SHA256 = 32, FLOW__SHA384 = 48 };

/* What a suite says about the server's key: in TLS 1.3 nothing. */
enum flow__suite_auth { FLOW__AUTH_ANY, FLOW__AUTH_ECDSA, FLOW__AUTH_RSA };

/* Longest key, nonce and tag in the table. */
#define FLOW__AEAD_KEY_MAX 32
#define FLOW__AEAD_NONCE   12
#define FLOW__AEAD_TAG_MAX 16

struct flow__suite {
    uint16_t id;      /* IANA number */
    uint16_t version; /* 0x0303 or 0x0304: a suite belongs to one of them */
    enum flow__suite_auth auth;
    enum flow__aead_alg aead;
    enum flow__hash hash;
    uint8_t key_len;
    uint8_t fixed_iv_len;       /* from the key schedule; 4 or 12 */
    uint8_t explicit_nonce_len; /* in every record; 8 or 0 */
    uint8_t tag_len;
    uint64_t record_limit; /* records to seal with one key (docs/record.md) */
    const char *name;      /* IANA name, static */
};

/* The row of a suite, or NULL for one that is not ours. */
const struct flow__suite *flow__suite_find(uint16_t id);

/* The table in order of preference; NULL after the last row. */
const struct flow__suite *flow__suite_at(size_t index);

#endif
