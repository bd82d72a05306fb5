/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_AEAD_H
#define FLOW_TLS_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>
#include <flow/status.h>

#include "tls/suite.h"

/*
 * The interface to AEAD ciphers.  libflow has no cipher code of its own: a
 * provider is a table of functions over a cryptographic library.  It may
 * support some algorithms and not others, so a provider is chosen for each
 * suite.  A context is an expanded key of one direction, used by one thread at
 * a time.  It can be many times as large as the key, so it is released while no
 * records come (flow__record_rest()).
 *
 * Results of init, seal and open, the same for all:
 *   FLOW_OK        done
 *   FLOW_E_PROTO   open only: bad record MAC
 *   FLOW_E_NOMEM   no memory; the input is intact, the call can be repeated
 *   FLOW_E_NOTSUP  init only: the algorithm is not supported
 *   FLOW_E_SYS     the library failed in another way; the key is lost
 * On any result but FLOW_OK, all output has been wiped.  In place, that
 * destroys the input as well, so a lack of memory after the first byte was
 * written is FLOW_E_SYS there.
 */

/*
 * What to seal: in_len bytes from byte in_off of the vector on, then tail_len
 * bytes at tail (the inner content type and padding of TLS 1.3).  out gets
 * in_len + tail_len bytes and the tag.  The input, the tail or both may already
 * be at out, where their ciphertext goes (in place); otherwise they must not
 * overlap it.
 */
struct flow__aead_seal {
    const uint8_t *nonce; /* FLOW__AEAD_NONCE bytes */
    const uint8_t *ad;
    size_t ad_len;
    const struct flow_cvec *in; /* holds at least in_off + in_len bytes */
    size_t in_off;
    size_t in_len;
    const uint8_t *tail; /* may be NULL when tail_len is 0 */
    size_t tail_len;
    uint8_t *out;
};

/*
 * What to open: in_len bytes of ciphertext, followed by its tag.  The last
 * tail_len plaintext bytes go to tail, those before to out.  If tail is where
 * out ends, all of it is written at once, which costs less.  out may equal in
 * (in place); otherwise they must not overlap.  in_len >= tail_len + tag
 * length.
 */
struct flow__aead_open {
    const uint8_t *nonce; /* FLOW__AEAD_NONCE bytes */
    const uint8_t *ad;
    size_t ad_len;
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;  /* in_len - tag length - tail_len bytes */
    uint8_t *tail; /* may be NULL when tail_len is 0 */
    size_t tail_len;
};

struct flow__aead_provider {
    const char *name;
    size_t ctx_size; /* bytes of a context, aligned as max_align_t */
    bool (*supports)(enum flow__aead_alg alg, size_t key_len);
    /* Expand a key, which is copied, into ctx. */
    enum flow_status (*init)(void *ctx, enum flow__aead_alg alg,
                             const uint8_t *key, size_t key_len);
    enum flow_status (*seal)(void *ctx, const struct flow__aead_seal *op);
    enum flow_status (*open)(void *ctx, const struct flow__aead_open *op);
    /* Wipe the key; ctx may be all zero. */
    void (*fini)(void *ctx);
};

/* Tag length in bytes. */
size_t flow__aead_tag_len(enum flow__aead_alg alg);

/* Compare two tags in constant time. */
bool flow__aead_tags_equal(const uint8_t *a, const uint8_t *b, size_t len);

/* The first provider of this build that supports an algorithm, or NULL. */
const struct flow__aead_provider *flow__aead_find(enum flow__aead_alg alg,
                                                  size_t key_len);

/* Every provider, best first; NULL after the last.  In a file of its own
 * (tls/aead_at.c), which the tests replace. */
const struct flow__aead_provider *flow__aead_at(size_t index);

/* The providers of this build, best first, ended by NULL.  The build generates
 * it: a directory that adds NAME to the list "aeads" in its meson.build defines
 * "const struct flow__aead_provider flow__aead_NAME". */
extern const struct flow__aead_provider *const flow__aead_list[];

/* Put the whole input of a seal operation where its ciphertext goes, for
 * providers whose calls for small texts cost more than a copy; returns its
 * length. */
size_t flow__aead_gather(const struct flow__aead_seal *op);

/* Whether all plaintext of an open operation goes to out, in one piece. */
static inline bool
flow__aead_is_in_one_piece(const struct flow__aead_open *op, size_t tag_len)
{
    return op->tail_len == 0 ||
           op->tail == op->out + (op->in_len - tag_len - op->tail_len);
}

/*
 * For providers whose library takes a text in pieces: call update for each
 * piece of an operation, in order.  update writes as many bytes as it reads.
 * *ret_written is the number of bytes at op->out, on failure too.
 */
typedef enum flow_status flow__aead_update_fn(void *state, const uint8_t *in,
                                              size_t len, uint8_t *out);

enum flow_status flow__aead_feed_seal(const struct flow__aead_seal *op,
                                      flow__aead_update_fn *update, void *state,
                                      size_t *ret_written);
enum flow_status flow__aead_feed_open(const struct flow__aead_open *op,
                                      size_t tag_len,
                                      flow__aead_update_fn *update, void *state,
                                      size_t *ret_written);

/* End such an operation: wipe the output of a failed one, as described above,
 * and return its result. */
enum flow_status flow__aead_end_seal(const struct flow__aead_seal *op,
                                     size_t written, enum flow_status status);
enum flow_status flow__aead_end_open(const struct flow__aead_open *op,
                                     size_t written, enum flow_status status);

/* The engine's own cipher modules, with the key set once
 * (tls/mbedtls/aead_modules.c). */
extern const struct flow__aead_provider flow__aead_modules;

/* Of other libraries, which a build may lack. */
extern const struct flow__aead_provider flow__aead_ipsecmb_narrow;
extern const struct flow__aead_provider flow__aead_libcrypto;

/* PSA, which may use an accelerator (tls/mbedtls/aead_psa.c). */
extern const struct flow__aead_provider flow__aead_psa;

#endif
