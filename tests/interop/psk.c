/* SPDX-License-Identifier: ISC */
#include "psk.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ossl.h"
#include "test.h"

#define HEADER         5u /* of the record */
#define SESSION_TICKET 35
#define PRE_SHARED_KEY 41
#define KEY_SHARE      51
#define P384           24

/* --- binders --- */

static void
hash(const uint8_t *data, size_t len, uint8_t out[PSK_HASH])
{
    assert_int_equal(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL), 1);
}

static void
hmac(const uint8_t *key, const uint8_t *data, size_t len, uint8_t out[PSK_HASH])
{
    unsigned n = PSK_HASH;

    assert_non_null(HMAC(EVP_sha256(), key, PSK_HASH, data, len, out, &n));
}

/* HKDF-Expand-Label of RFC 8446 7.1, of 32 bytes, which is one block. */
static void
expand(const uint8_t *secret, const char *label, const uint8_t *context,
       size_t context_len, uint8_t out[PSK_HASH])
{
    const size_t n = strlen(label);
    uint8_t info[96] = { 0, PSK_HASH, (uint8_t)(6 + n) };
    size_t len = 3;

    memcpy(info + len, "tls13 ", 6);
    memcpy(info + len + 6, label, n);
    len += 6 + n;
    info[len++] = (uint8_t)context_len;
    memcpy(info + len, context, context_len);
    len += context_len;
    info[len++] = 1;
    hmac(secret, info, len, out);
}

/* The binder of a ticket; the ClientHello has it after its binders' length. */
static void
bind_ticket(const struct psk_identity *id, const struct psk_hello *h,
            uint8_t out[PSK_HASH])
{
    static const uint8_t zeros[PSK_HASH];
    static uint8_t text[sizeof(h->before) + sizeof(h->bytes)];
    const size_t len = h->binders - HEADER;
    uint8_t early[PSK_HASH], empty[PSK_HASH], key[PSK_HASH];
    uint8_t transcript[PSK_HASH];

    hmac(zeros, id->secret, PSK_HASH, early);
    hash(zeros, 0, empty);
    expand(early, "res binder", empty, PSK_HASH, key);
    expand(key, "finished", zeros, 0, key);
    memcpy(text, h->before, h->before_len);
    memcpy(text + h->before_len, h->bytes + HEADER, len);
    hash(text, h->before_len + len, transcript);
    hmac(key, transcript, PSK_HASH, out);
}

/* --- lengths --- */

static size_t
get16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

static void
set16(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* Set the lengths of the record, the message and the list of extensions. */
static void
set_lengths(struct psk_hello *h)
{
    assert_true(h->len <= sizeof(h->bytes));
    set16(h->bytes + 3, h->len - HEADER);
    h->bytes[6] = (uint8_t)((h->len - HEADER - 4) >> 16);
    set16(h->bytes + 7, (h->len - HEADER - 4) & 0xffff);
    set16(h->bytes + h->extensions, h->len - h->extensions - 2);
}

static void
put(struct psk_hello *h, const void *data, size_t len)
{
    assert_true(h->len + len <= sizeof(h->bytes));
    if (len > 0)
        memcpy(h->bytes + h->len, data, len);
    h->len += len;
}

static void
put16(struct psk_hello *h, size_t value)
{
    uint8_t bytes[2];

    set16(bytes, value);
    put(h, bytes, sizeof(bytes));
}

/* --- OpenSSL's ClientHello --- */

/* The record with the ClientHello that presents a session, if it is not
 * NULL. */
static void
read_hello(struct psk_hello *h, SSL_SESSION *session, int version)
{
    struct ossl o;
    size_t at = HEADER + 4 + 2 + 32;
    int len;

    ossl_init(&o, false, version);
    assert_int_equal(SSL_CTX_set_ciphersuites(o.ctx, "TLS_AES_128_GCM_SHA256"),
                     1);
    ossl_start(&o, NULL);
    if (session != NULL)
        assert_int_equal(SSL_set_session(o.ssl, session), 1);
    (void)ossl_step(&o);
    len = BIO_read(o.out, h->bytes, (int)sizeof(h->bytes));
    assert_true(len > 0);
    ossl_free(&o);
    h->len = (size_t)len;
    at += 1u + h->bytes[at];
    at += 2 + get16(h->bytes + at);
    h->extensions = at + 1 + h->bytes[at];
}

/* Offset of an extension's type, or 0. */
static size_t
find(const struct psk_hello *h, uint16_t type)
{
    for (size_t at = h->extensions + 2; at + 4 <= h->len;
         at += 4 + get16(h->bytes + at + 2))
        if (get16(h->bytes + at) == type)
            return at;
    return 0;
}

size_t
psk_find(const struct psk_hello *h, uint16_t type)
{
    const size_t at = find(h, type);

    assert_true(at != 0);
    return at;
}

void
psk_remove(struct psk_hello *h, uint16_t type)
{
    const size_t at = psk_find(h, type);
    const size_t end = at + 4 + get16(h->bytes + at + 2);

    memmove(h->bytes + at, h->bytes + end, h->len - end);
    h->len -= end - at;
    set_lengths(h);
}

struct psk_identity
psk_identity_of(SSL_SESSION *session)
{
    static struct psk_hello h;
    struct psk_identity id;
    size_t at;

    read_hello(&h, session, 0x0304);
    at = psk_find(&h, PRE_SHARED_KEY) + 6;
    id.len = get16(h.bytes + at);
    assert_true(id.len <= sizeof(id.ticket));
    memcpy(id.ticket, h.bytes + at + 2, id.len);
    memcpy(id.age, h.bytes + at + 2 + id.len, sizeof(id.age));
    assert_int_equal(SSL_SESSION_get_master_key(session, id.secret, PSK_HASH),
                     PSK_HASH);
    return id;
}

void
psk_begin(struct psk_hello *h, int version)
{
    read_hello(h, NULL, version);
    h->before_len = 0;
    if (find(h, SESSION_TICKET) != 0)
        psk_remove(h, SESSION_TICKET);
}

void
psk_extend(struct psk_hello *h, uint16_t type, const void *data, size_t len)
{
    h->psk = h->len;
    put16(h, type);
    put16(h, len);
    put(h, data, len);
    set_lengths(h);
}

/* A new key share of P-384. */
static void
put_share(struct psk_hello *h)
{
    EVP_PKEY *key = EVP_EC_gen("P-384");
    unsigned char *point;
    const size_t len = EVP_PKEY_get1_encoded_public_key(key, &point);
    uint8_t body[6 + 97] = { 0, 4 + 97, 0, P384, 0, 97 };

    assert_int_equal(len, 97);
    memcpy(body + 6, point, len);
    OPENSSL_free(point);
    EVP_PKEY_free(key);
    psk_extend(h, KEY_SHARE, body, sizeof(body));
}

/* RFC 8446 4.4.1: a hash stands for the first ClientHello. */
void
psk_begin_again(struct psk_hello *h, const struct psk_hello *first,
                const uint8_t *retry)
{
    static const uint8_t message_hash[] = { 254, 0, 0, PSK_HASH };
    const size_t retry_len = get16(retry + 3);

    *h = *first;
    if (find(h, PRE_SHARED_KEY) != 0)
        psk_remove(h, PRE_SHARED_KEY);
    psk_remove(h, KEY_SHARE);
    put_share(h);
    memcpy(h->before, message_hash, sizeof(message_hash));
    hash(first->bytes + HEADER, first->len - HEADER,
         h->before + sizeof(message_hash));
    h->before_len = sizeof(message_hash) + PSK_HASH + retry_len;
    assert_true(h->before_len <= sizeof(h->before));
    memcpy(h->before + sizeof(message_hash) + PSK_HASH, retry + HEADER,
           retry_len);
}

/* --- pre_shared_key --- */

void
psk_present_bound(struct psk_hello *h, const struct psk_identity *const *ids,
                  size_t count, size_t binders)
{
    static const uint8_t no_binder[1 + PSK_HASH];
    size_t list = 0;

    for (size_t i = 0; i < count; i++)
        list += 2 + ids[i]->len + sizeof(ids[i]->age);
    h->psk = h->len;
    put16(h, PRE_SHARED_KEY);
    put16(h, 2 + list + 2 + binders * sizeof(no_binder));
    put16(h, list);
    for (size_t i = 0; i < count; i++) {
        put16(h, ids[i]->len);
        put(h, ids[i]->ticket, ids[i]->len);
        put(h, ids[i]->age, sizeof(ids[i]->age));
    }
    h->binders = h->len;
    put16(h, binders * sizeof(no_binder));
    for (size_t i = 0; i < binders; i++)
        put(h, no_binder, sizeof(no_binder));
    set_lengths(h);
    for (size_t i = 0; i < binders; i++) {
        uint8_t *binder = h->bytes + h->binders + 2 + i * sizeof(no_binder);

        binder[0] = PSK_HASH;
        bind_ticket(ids[i < count ? i : count - 1], h, binder + 1);
    }
}

void
psk_present(struct psk_hello *h, const struct psk_identity *const *ids,
            size_t count)
{
    psk_present_bound(h, ids, count, count);
}

void
psk_grow(struct psk_hello *h, const void *data, size_t len)
{
    put(h, data, len);
    set16(h->bytes + h->psk + 2, h->len - h->psk - 4);
    set_lengths(h);
}

void
psk_shrink(struct psk_hello *h, size_t len)
{
    h->len -= len;
    psk_grow(h, NULL, 0);
}

int
psk_selected(const uint8_t *hello, size_t len)
{
    size_t at = HEADER + 4 + 2 + 32, end;

    assert_true(len > at + 40 && hello[0] == 22 && hello[5] == 2);
    at += 1u + hello[at] + 2 + 1;
    end = at + 2 + get16(hello + at);
    assert_true(end <= len);
    for (at += 2; at < end; at += 4 + get16(hello + at + 2))
        if (get16(hello + at) == PRE_SHARED_KEY)
            return (int)get16(hello + at + 4);
    return -1;
}
