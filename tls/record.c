/* SPDX-License-Identifier: ISC */
#include "tls/record.h"

#include <string.h>

#include "lib/bits.h"

/*
 * Seals or opens one record at a time, without I/O and without a queue.
 *
 * Invariants: a sequence number is spent only when a record was sealed, or was
 * opened and accepted.  If sealing fails, the provider wipes the ciphertext, so
 * no two records that are sent have the same nonce.  A forged record does not
 * spend a number.  ctx is the key as the provider has expanded it; it may be
 * released at any time between two records.
 *
 * Threads: the keys of a direction belong to one thread at a time, which holds
 * the lock of that direction.  No lock is taken here.
 */

#define RECORD_AD_13_LEN FLOW__RECORD_HEADER
#define RECORD_AD_12_LEN 13

static enum flow_status
record_refuse(struct flow__fault *fault, enum flow__alert alert,
              const char *text)
{
    fault->alert = alert;
    fault->text = text;
    return FLOW_E_PROTO;
}

static bool
record_is_known_type(uint8_t type)
{
    return type >= FLOW__CONTENT_CHANGE_CIPHER_SPEC &&
           type <= FLOW__CONTENT_APPLICATION_DATA;
}

enum flow_status
flow__record_parse(const uint8_t *bytes, bool protected,
                   struct flow__record_header *ret_header,
                   struct flow__fault *ret_fault)
{
    ret_header->type = bytes[0];
    ret_header->version = (uint16_t)(bytes[1] << 8 | bytes[2]);
    ret_header->len = (size_t)bytes[3] << 8 | bytes[4];
    if (!record_is_known_type(ret_header->type))
        return record_refuse(ret_fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "not a TLS record");
    if (bytes[1] != FLOW__RECORD_MAJOR)
        return record_refuse(ret_fault, FLOW__ALERT_PROTOCOL_VERSION,
                             "record of an unknown major version");
    if (ret_header->len >
        (protected ? FLOW__RECORD_CIPHER_MAX : FLOW__RECORD_PLAIN_MAX))
        return record_refuse(ret_fault, FLOW__ALERT_RECORD_OVERFLOW,
                             "record is longer than allowed");
    return FLOW_OK;
}

void
flow__record_write_header(uint8_t *out, uint8_t type, size_t len)
{
    out[0] = type;
    out[1] = FLOW__RECORD_MAJOR;
    out[2] = FLOW__RECORD_MINOR;
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
}

/* Expand the key, unless that is done. */
static enum flow_status
record_expand(struct flow__record_keys *k)
{
    const struct flow__aead_provider *p = k->provider;
    enum flow_status st;
    void *ctx;

    if (k->ctx != NULL)
        return FLOW_OK;
    ctx = flow_env_alloc(k->env, p->ctx_size);
    if (ctx == NULL)
        return FLOW_E_NOMEM;
    st = p->init(ctx, k->suite->aead, k->keys.key, k->suite->key_len);
    if (st == FLOW_OK) {
        k->ctx = ctx;
        return FLOW_OK;
    }
    flow_wipe(ctx, p->ctx_size);
    flow_env_free(k->env, ctx, p->ctx_size);
    return st;
}

void
flow__record_rest(struct flow__record_keys *k)
{
    if (k->ctx == NULL)
        return;
    k->provider->fini(k->ctx);
    flow_wipe(k->ctx, k->provider->ctx_size);
    flow_env_free(k->env, k->ctx, k->provider->ctx_size);
    k->ctx = NULL;
}

enum flow_status
flow__record_init(struct flow__record_keys *k, const struct flow_env *env,
                  const struct flow__suite *suite,
                  const struct flow__key_material *keys, uint64_t seq)
{
    enum flow_status st = FLOW_E_NOTSUP;

    memset(k, 0, sizeof(*k));
    k->env = env;
    k->suite = suite;
    k->provider = flow__aead_find(suite->aead, suite->key_len);
    k->keys = *keys;
    k->seq = seq;
    k->limit = suite->record_limit;
    k->plain_max = FLOW__RECORD_PLAIN_MAX;
    /* Expand the key now, so that an unsupported cipher is reported here. */
    if (k->provider != NULL)
        st = record_expand(k);
    if (st != FLOW_OK)
        flow_wipe(k, sizeof(*k));
    return st;
}

void
flow__record_fini(struct flow__record_keys *k)
{
    flow__record_rest(k);
    flow_wipe(k, sizeof(*k));
}

enum flow_status
flow__record_prepare(const struct flow__record_keys *k,
                     const struct flow__secret *secret,
                     struct flow__record_next *ret_next)
{
    enum flow_status st;

    memset(ret_next, 0, sizeof(*ret_next));
    st = flow__keys_next(secret, &ret_next->secret);
    if (st == FLOW_OK)
        st = flow__keys_traffic(k->suite, &ret_next->secret, &ret_next->keys);
    if (st != FLOW_OK)
        flow_wipe(ret_next, sizeof(*ret_next));
    return st;
}

void
flow__record_adopt(struct flow__record_keys *k, struct flow__secret *secret,
                   struct flow__record_next *next)
{
    flow__record_rest(k);
    k->keys = next->keys;
    k->seq = 0;
    *secret = next->secret;
    flow_wipe(next, sizeof(*next));
}

void
flow__record_discard(struct flow__record_next *next)
{
    flow_wipe(next, sizeof(*next));
}

enum flow_status
flow__record_update(struct flow__record_keys *k, struct flow__secret *secret)
{
    struct flow__record_next next;
    enum flow_status st = flow__record_prepare(k, secret, &next);

    if (st == FLOW_OK)
        flow__record_adopt(k, secret, &next);
    return st;
}

static bool
record_is_tls13(const struct flow__record_keys *k)
{
    return k->suite->version == FLOW_TLS_1_3;
}

size_t
flow__record_prefix(const struct flow__record_keys *k)
{
    return (size_t)FLOW__RECORD_HEADER + k->suite->explicit_nonce_len;
}

size_t
flow__record_suffix(const struct flow__record_keys *k)
{
    return (size_t)k->suite->tag_len + (record_is_tls13(k) ? 1 : 0);
}

uint64_t
flow__record_left(const struct flow__record_keys *k)
{
    return k->seq < k->limit ? k->limit - k->seq : 0;
}

/* See tls/record.h. */
size_t
flow__record_padding(const struct flow__record_keys *k, size_t len,
                     size_t limit)
{
    size_t over;

    if (k->block == 0)
        return 0;
    over = (len + 1) % k->block;
    return over == 0 ? 0 : flow__min(k->block - over, limit - len);
}

/* Whether content and padding are what a record may hold. */
static bool
record_may_hold(const struct flow__record_keys *k,
                const struct flow__record_content *content)
{
    return content->len <= FLOW__RECORD_PLAIN_MAX &&
           content->pad <= FLOW__RECORD_PLAIN_MAX - content->len &&
           (content->pad == 0 || record_is_tls13(k));
}

/* Put content type and padding where their ciphertext goes. */
static void
record_put_tail(const struct flow__record_content *content,
                struct flow__aead_seal *op)
{
    uint8_t *tail = op->out + content->len;

    tail[0] = content->type;
    if (content->pad > 0)
        memset(tail + 1, 0, content->pad);
    op->tail = tail;
    op->tail_len = 1 + content->pad;
}

static void
record_put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

/*
 * The nonce of a record: the IV mixed with the number (RFC 8446 5.3, RFC 7905
 * 2), or the fixed part and the eight bytes that the record carries (RFC 5288
 * 3, RFC 6655 3).
 */
static void
record_make_nonce(const struct flow__record_keys *k,
                  const uint8_t *explicit_part, uint8_t *ret_nonce)
{
    uint8_t number[8];

    memcpy(ret_nonce, k->keys.iv, FLOW__AEAD_NONCE);
    if (k->suite->explicit_nonce_len > 0) {
        memcpy(ret_nonce + 4, explicit_part, 8);
        return;
    }
    record_put_u64(number, k->seq);
    for (int i = 0; i < 8; i++)
        ret_nonce[4 + i] ^= number[i];
}

/*
 * The additional data of a record and its length: the header as it is sent (RFC
 * 8446 5.2), or number, type, version and content length (RFC 5246 6.2.3.3).
 */
static size_t
record_make_ad(const struct flow__record_keys *k, const uint8_t *header,
               size_t content_len, uint8_t *ret_ad)
{
    if (record_is_tls13(k)) {
        memcpy(ret_ad, header, RECORD_AD_13_LEN);
        return RECORD_AD_13_LEN;
    }
    record_put_u64(ret_ad, k->seq);
    flow__record_write_header(ret_ad + 8, header[0], content_len);
    return RECORD_AD_12_LEN;
}

/* Seal content into out. */
static enum flow_status
record_seal(struct flow__record_keys *k,
            const struct flow__record_content *content, uint8_t *out,
            size_t *ret_len)
{
    const size_t prefix = flow__record_prefix(k);
    const size_t total =
        prefix + content->len + content->pad + flow__record_suffix(k);
    uint8_t nonce[FLOW__AEAD_NONCE];
    uint8_t ad[RECORD_AD_12_LEN];
    struct flow__aead_seal op = {
        .nonce = nonce,
        .ad = ad,
        .in = content->vec,
        .in_off = content->off,
        .in_len = content->len,
        .out = out + prefix,
    };
    enum flow_status st;

    *ret_len = 0;
    if (!record_may_hold(k, content))
        return FLOW_E_INVAL;
    /* The last number is not used, so that seq never wraps around. */
    if (k->seq == UINT64_MAX)
        return FLOW_E_PROTO;
    st = record_expand(k);
    if (st != FLOW_OK)
        return st;
    flow__record_write_header(
        out,
        record_is_tls13(k) ? FLOW__CONTENT_APPLICATION_DATA : content->type,
        total - FLOW__RECORD_HEADER);
    if (k->suite->explicit_nonce_len > 0)
        record_put_u64(out + FLOW__RECORD_HEADER, k->seq);
    record_make_nonce(k, out + FLOW__RECORD_HEADER, nonce);
    op.ad_len = record_make_ad(k, out, content->len, ad);
    if (record_is_tls13(k))
        record_put_tail(content, &op);
    st = k->provider->seal(k->ctx, &op);
    if (st != FLOW_OK)
        return st;
    k->seq++;
    *ret_len = total;
    return FLOW_OK;
}

enum flow_status
flow__record_seal(struct flow__record_keys *k,
                  const struct flow__record_content *content, uint8_t *out,
                  size_t *ret_len)
{
    return record_seal(k, content, out, ret_len);
}

enum flow_status
flow__record_seal_in_place(struct flow__record_keys *k, uint8_t type,
                           uint8_t *out, size_t len, size_t pad,
                           size_t *ret_len)
{
    const struct flow_cvec vec = { out + flow__record_prefix(k), len };
    const struct flow__record_content content = { type, &vec, 0, len, pad };

    return record_seal(k, &content, out, ret_len);
}

/* Length of the plaintext of a protected record: content, and in TLS 1.3 type
 * and padding.  false: the record is too short for a tag. */
static bool
record_inner_len(const struct flow__record_keys *k, size_t rec_len,
                 size_t *ret_len)
{
    const size_t around = flow__record_prefix(k) + k->suite->tag_len;

    if (rec_len < around)
        return false;
    *ret_len = rec_len - around;
    return true;
}

size_t
flow__record_room(const struct flow__record_keys *k, size_t rec_len)
{
    const size_t type_len = record_is_tls13(k) ? 1 : 0;
    size_t len;

    if (!record_inner_len(k, rec_len, &len) || len < type_len ||
        len - type_len > k->plain_max)
        return 0;
    return len - type_len;
}

/* The checks before a record is decrypted. */
static enum flow_status
record_check_outside(const struct flow__record_keys *k, const uint8_t *rec,
                     size_t rec_len, size_t *ret_inner,
                     struct flow__fault *fault)
{
    struct flow__record_header header;
    enum flow_status st = flow__record_parse(rec, true, &header, fault);

    if (st != FLOW_OK)
        return st;
    if (header.len != rec_len - FLOW__RECORD_HEADER)
        return FLOW_E_INVAL;
    if (record_is_tls13(k) && header.type != FLOW__CONTENT_APPLICATION_DATA)
        return record_refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "unprotected record after the keys were agreed");
    if (!record_is_tls13(k) && rec[2] != FLOW__RECORD_MINOR)
        return record_refuse(fault, FLOW__ALERT_PROTOCOL_VERSION,
                             "record of another version than was agreed");
    if (!record_inner_len(k, rec_len, ret_inner))
        return record_refuse(fault, FLOW__ALERT_BAD_RECORD_MAC,
                             "bad record MAC: record too short");
    if (*ret_inner > k->plain_max + (record_is_tls13(k) ? 1u : 0u))
        return record_refuse(fault, FLOW__ALERT_RECORD_OVERFLOW,
                             "record content is longer than allowed");
    if (k->seq == UINT64_MAX)
        return record_refuse(fault, FLOW__ALERT_INTERNAL_ERROR,
                             "the record numbers are used up");
    return FLOW_OK;
}

/*
 * Separate the content from type and padding.  last is the last inner byte,
 * after the len bytes at out.  RFC 8446 5.4: the type is the last byte that is
 * not zero.
 */
static void
record_strip_padding(const uint8_t *out, size_t len, uint8_t last,
                     struct flow__record_opened *ret_opened)
{
    ret_opened->type = last;
    while (ret_opened->type == 0 && len > 0)
        ret_opened->type = out[--len];
    ret_opened->len = len;
}

/* The checks after a record was found authentic. */
static enum flow_status
record_check_inside(const struct flow__record_keys *k,
                    const struct flow__record_opened *opened,
                    struct flow__fault *fault)
{
    const bool data = opened->type == FLOW__CONTENT_APPLICATION_DATA;

    if (record_is_tls13(k) && opened->type == 0)
        return record_refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "record without a content type");
    if (!record_is_known_type(opened->type) ||
        (record_is_tls13(k) &&
         opened->type == FLOW__CONTENT_CHANGE_CIPHER_SPEC))
        return record_refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "protected record of an unknown content type");
    /* RFC 8446 5.4 and RFC 5246 6.2.1 */
    if (opened->len == 0 && !data)
        return record_refuse(fault, FLOW__ALERT_UNEXPECTED_MESSAGE,
                             "empty record that is not application data");
    return FLOW_OK;
}

/* Open a record that record_check_outside() accepted; inner is what it
 * returned. */
static enum flow_status
record_open_inner(struct flow__record_keys *k, const uint8_t *rec, size_t inner,
                  uint8_t *out, size_t cap,
                  struct flow__record_opened *ret_opened)
{
    const size_t tail_len = record_is_tls13(k) && inner > 0 ? 1 : 0;
    uint8_t nonce[FLOW__AEAD_NONCE];
    uint8_t ad[RECORD_AD_12_LEN];
    uint8_t tail = 0;
    const struct flow__aead_open op = {
        .nonce = nonce,
        .ad = ad,
        .ad_len = record_make_ad(k, rec, inner, ad),
        .in = rec + flow__record_prefix(k),
        .in_len = inner + k->suite->tag_len,
        .out = out,
        .tail = cap >= inner && tail_len > 0 ? out + inner - 1 : &tail,
        .tail_len = tail_len,
    };
    enum flow_status st = record_expand(k);

    if (st != FLOW_OK)
        return st;
    record_make_nonce(k, rec + FLOW__RECORD_HEADER, nonce);
    st = k->provider->open(k->ctx, &op);
    if (st != FLOW_OK)
        return st;
    ret_opened->type = rec[0];
    ret_opened->len = inner;
    if (record_is_tls13(k))
        record_strip_padding(out, inner - tail_len, tail_len > 0 ? *op.tail : 0,
                             ret_opened);
    return FLOW_OK;
}

enum flow_status
flow__record_open(struct flow__record_keys *k, const uint8_t *rec,
                  size_t rec_len, uint8_t *out,
                  struct flow__record_opened *ret_opened,
                  struct flow__fault *ret_fault)
{
    return flow__record_open_wide(k, rec, rec_len, out, 0, ret_opened,
                                  ret_fault);
}

enum flow_status
flow__record_open_wide(struct flow__record_keys *k, const uint8_t *rec,
                       size_t rec_len, uint8_t *out, size_t cap,
                       struct flow__record_opened *ret_opened,
                       struct flow__fault *ret_fault)
{
    size_t inner = 0;
    enum flow_status st;

    ret_fault->alert = FLOW__ALERT_NONE;
    ret_fault->text = NULL;
    if (rec_len < FLOW__RECORD_HEADER)
        return FLOW_E_INVAL;
    st = record_check_outside(k, rec, rec_len, &inner, ret_fault);
    if (st != FLOW_OK)
        return st;
    st = record_open_inner(k, rec, inner, out, cap, ret_opened);
    if (st == FLOW_E_PROTO)
        return record_refuse(ret_fault, FLOW__ALERT_BAD_RECORD_MAC,
                             "bad record MAC");
    if (st == FLOW_E_SYS) {
        ret_fault->alert = FLOW__ALERT_INTERNAL_ERROR;
        ret_fault->text = "the cipher failed";
    }
    if (st != FLOW_OK)
        return st;
    st = record_check_inside(k, ret_opened, ret_fault);
    if (st != FLOW_OK) {
        flow_wipe(out, cap >= inner ? inner : flow__record_room(k, rec_len));
        return st;
    }
    k->seq++;
    return FLOW_OK;
}
