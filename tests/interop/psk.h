/* SPDX-License-Identifier: ISC */
#ifndef TEST_INTEROP_PSK_H
#define TEST_INTEROP_PSK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

/*
 * A ClientHello with any tickets: one of OpenSSL's with another pre_shared_key
 * extension, whose binders are computed here (RFC 8446 4.2.11.2) from the
 * secrets of the sessions.  The suites have SHA-256.
 *
 *     psk_begin(&h, session);
 *     psk_extend(&h, 42, NULL, 0);
 *     psk_present(&h, ids, 2);
 */

#define PSK_HASH   32u
#define PSK_HELLO  70000u
#define PSK_TICKET 8192u

/* A ticket, and what a client knows of it. */
struct psk_identity {
    uint8_t ticket[PSK_TICKET];
    size_t len;
    uint8_t age[4];
    uint8_t secret[PSK_HASH];
};

/* In one record, which has room for more than a record may have. */
struct psk_hello {
    uint8_t bytes[PSK_HELLO];
    size_t len;
    size_t extensions;   /* offset of the length of these */
    size_t psk;          /* offset of pre_shared_key, if it was added */
    size_t binders;      /* offset of the length of these */
    uint8_t before[512]; /* what precedes it in the transcript */
    size_t before_len;
};

struct psk_identity psk_identity_of(SSL_SESSION *session);

/* OpenSSL's ClientHello of a version, without session_ticket or
 * pre_shared_key. */
void psk_begin(struct psk_hello *h, int version);
/* The second one after the record of a HelloRetryRequest for P-384, without
 * pre_shared_key, which the first one may have. */
void psk_begin_again(struct psk_hello *h, const struct psk_hello *first,
                     const uint8_t *retry);
/* Offset of an extension's type, which must be there. */
size_t psk_find(const struct psk_hello *h, uint16_t type);
void psk_remove(struct psk_hello *h, uint16_t type);
/* Append an extension. */
void psk_extend(struct psk_hello *h, uint16_t type, const void *data,
                size_t len);
/* Append pre_shared_key with these tickets; once, and as the last one. */
void psk_present(struct psk_hello *h, const struct psk_identity *const *ids,
                 size_t count);
/* The same with another number of binders. */
void psk_present_bound(struct psk_hello *h,
                       const struct psk_identity *const *ids, size_t count,
                       size_t binders);
/* Append bytes to the last extension, or remove them from its end; every length
 * up to that of the extension is corrected. */
void psk_grow(struct psk_hello *h, const void *data, size_t len);
void psk_shrink(struct psk_hello *h, size_t len);

/* The number of the ticket in the record of a ServerHello, or -1. */
int psk_selected(const uint8_t *hello, size_t len);

#endif
