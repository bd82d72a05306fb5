/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_CIPHER_H
#define TEST_WIRE_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Record protection with AES-128-GCM and SHA-256 by OpenSSL: seals records that
 * no honest peer sends, and opens ours independently of the code under test.
 */
struct cipher {
    uint8_t key[16];
    uint8_t iv[12]; /* TLS 1.2: the first 4 bytes */
    bool tls12;
    bool is_set;
    uint64_t seq; /* of the next record */
};

#define CIPHER_SECRET 32
/* Length of the largest content that a record's length field can announce. */
#define CIPHER_MAX 65536

/* From a traffic secret of TLS 1.3. */
void cipher_init13(struct cipher *c, const uint8_t secret[CIPHER_SECRET]);
/* From the master secret of TLS 1.2. */
void cipher_init12(struct cipher *c, const uint8_t master[48],
                   const uint8_t client_random[32],
                   const uint8_t server_random[32], bool of_client);
/* The next generation of a traffic secret, and the keys from it. */
void cipher_update(struct cipher *c, uint8_t secret[CIPHER_SECRET]);

/*
 * Seal content with pad zeros after it (TLS 1.3) into record, which has room
 * for it and 64 bytes more; the record's length.  No limit is enforced.
 */
size_t cipher_seal(struct cipher *c, uint8_t type, const void *content,
                   size_t len, size_t pad, uint8_t *record);

/*
 * Open a whole record; the length of the content, or -1 without using a
 * sequence number.  TLS 1.3: *ret_type is the inner type, 0 if there is only
 * padding.
 */
int cipher_open(struct cipher *c, const uint8_t *record, size_t len,
                uint8_t *ret_type, uint8_t *ret_content);

#endif
