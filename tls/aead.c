/* SPDX-License-Identifier: ISC */
#include "tls/aead.h"

#include <stddef.h>
#include <string.h>

#include <flow/env.h>

size_t
flow__aead_tag_len(enum flow__aead_alg alg)
{
    return alg == FLOW__AEAD_AES_CCM_8 ? 8 : 16;
}

bool
flow__aead_tags_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint64_t differ = 0;
    /* Without this copy a compiler may stop at the first difference. */
    volatile uint64_t all;

    for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t)) {
        uint64_t x, y;

        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        differ |= x ^ y;
        a += sizeof(x);
        b += sizeof(y);
    }
    for (size_t i = 0; i < len; i++)
        differ |= (uint64_t)(a[i] ^ b[i]);
    all = differ;
    return all == 0;
}

const struct flow__aead_provider *
flow__aead_find(enum flow__aead_alg alg, size_t key_len)
{
    const struct flow__aead_provider *p;

    for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++)
        if (p->supports(alg, key_len))
            return p;
    return NULL;
}

/* The first byte of the input; NULL if it is empty. */
static const uint8_t *
aead_first_byte(const struct flow__aead_seal *op)
{
    const struct flow_cvec *vec = op->in;
    size_t off = op->in_off;

    if (op->in_len == 0)
        return NULL;
    for (; off >= vec->len; vec++)
        off -= vec->len;
    return (const uint8_t *)vec->base + off;
}

enum flow_status
flow__aead_feed_seal(const struct flow__aead_seal *op,
                     flow__aead_update_fn *update, void *state,
                     size_t *ret_written)
{
    const struct flow_cvec *vec = op->in;
    size_t off = op->in_off;
    size_t left = op->in_len;
    enum flow_status st;

    *ret_written = 0;
    for (; left > 0; vec++) {
        size_t n;

        if (off >= vec->len) {
            off -= vec->len;
            continue;
        }
        n = vec->len - off < left ? vec->len - off : left;
        st = update(state, (const uint8_t *)vec->base + off, n,
                    op->out + *ret_written);
        if (st != FLOW_OK)
            return st;
        *ret_written += n;
        left -= n;
        off = 0;
    }
    if (op->tail_len == 0)
        return FLOW_OK;
    st = update(state, op->tail, op->tail_len, op->out + *ret_written);
    if (st == FLOW_OK)
        *ret_written += op->tail_len;
    return st;
}

/* A flow__aead_update_fn. */
static enum flow_status
aead_copy(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
    (void)state;
    if (in != out)
        memcpy(out, in, len);
    return FLOW_OK;
}

size_t
flow__aead_gather(const struct flow__aead_seal *op)
{
    size_t len;

    (void)flow__aead_feed_seal(op, aead_copy, NULL, &len);
    return len;
}

enum flow_status
flow__aead_feed_open(const struct flow__aead_open *op, size_t tag_len,
                     flow__aead_update_fn *update, void *state,
                     size_t *ret_written)
{
    const bool whole = flow__aead_is_in_one_piece(op, tag_len);
    const size_t len = op->in_len - tag_len - (whole ? 0 : op->tail_len);
    enum flow_status st = FLOW_OK;

    *ret_written = 0;
    if (len > 0)
        st = update(state, op->in, len, op->out);
    if (st != FLOW_OK)
        return st;
    *ret_written = len;
    if (!whole)
        st = update(state, op->in + len, op->tail_len, op->tail);
    return st;
}

/* After a lack of memory the call can be repeated if the input is intact. */
static enum flow_status
aead_lost_in_place(enum flow_status status, bool in_place, size_t written)
{
    return status == FLOW_E_NOMEM && in_place && written > 0 ? FLOW_E_SYS
                                                             : status;
}

enum flow_status
flow__aead_end_seal(const struct flow__aead_seal *op, size_t written,
                    enum flow_status status)
{
    if (status == FLOW_OK)
        return FLOW_OK;
    flow_wipe(op->out, written);
    return aead_lost_in_place(status, aead_first_byte(op) == op->out, written);
}

enum flow_status
flow__aead_end_open(const struct flow__aead_open *op, size_t written,
                    enum flow_status status)
{
    if (status == FLOW_OK)
        return FLOW_OK;
    flow_wipe(op->out, written);
    flow_wipe(op->tail, op->tail_len);
    return aead_lost_in_place(status, op->in == op->out, written);
}
