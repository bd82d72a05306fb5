/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_RECORD_H
#define FLOW_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/flow.h>
#include <flow/status.h>

#include "tls/aead.h"
#include "tls/alert.h"
#include "tls/keys.h"
#include "tls/suite.h"
#include "tls/wire.h"

/*
 * Record protection of one direction (RFC 8446 5.2, RFC 5246 6.2.3.3): bytes
 * in, bytes out, no I/O.  Layout of a protected record:
 *
 *   TLS 1.3          | header 5 |            | content | type | pad | tag |
 *   1.2 AES-GCM, CCM | header 5 | explicit 8 | content |            | tag |
 *   1.2 ChaCha20     | header 5 |            | content |            | tag |
 *                    |<------ prefix ------->|         |<---- suffix ---->|
 */

#define FLOW__RECORD_HEADER 5
/* Content of a record (RFC 8446 5.1). */
#define FLOW__RECORD_PLAIN_MAX 16384
/* Length field of a protected record.  TLS 1.2 would allow 2^14 + 2048, which
 * no AEAD needs (RFC 8446 5.2). */
#define FLOW__RECORD_CIPHER_MAX (FLOW__RECORD_PLAIN_MAX + 256)
/* Bytes of the largest record with its header. */
#define FLOW__RECORD_MAX (FLOW__RECORD_HEADER + FLOW__RECORD_CIPHER_MAX)

/* A parsed record header. */
struct flow__record_header {
    uint8_t type; /* an enum flow__content_type */
    uint16_t version;
    size_t len; /* of what follows */
};

/*
 * Parse and check a header.  An unknown type is refused with
 * unexpected_message, a major version other than 3 with protocol_version (RFC
 * 8446 5.1 ignores the minor one), and more than FLOW__RECORD_PLAIN_MAX bytes,
 * or FLOW__RECORD_CIPHER_MAX if protected, with record_overflow.  FLOW_OK, or
 * FLOW_E_PROTO and *ret_fault.
 */
enum flow_status flow__record_parse(const uint8_t *bytes, bool protected,
                                    struct flow__record_header *ret_header,
                                    struct flow__fault *ret_fault);

/* Write the header of a plaintext record: 0x0303, FLOW__RECORD_HEADER bytes. */
void flow__record_write_header(uint8_t *out, uint8_t type, size_t len);

/*
 * The keys of one direction.  All zero: no keys, which flow__record_fini() and
 * flow__record_rest() accept.  Invariant: every number below seq was used in a
 * nonce with this key, and none from seq on.
 */
struct flow__record_keys {
    const struct flow_env *env;
    const struct flow__suite *suite;
    const struct flow__aead_provider *provider;
    /* The key as the provider wants it, provider->ctx_size bytes of env; NULL
     * after flow__record_rest(), until the next record. */
    void *ctx;
    uint64_t seq;   /* number of the next record */
    uint64_t limit; /* the suite's record limit; may be lowered */
    struct flow__key_material keys;
    uint16_t plain_max; /* largest content accepted */
    uint16_t block;     /* see flow__record_padding(); 0: no padding */
};

/*
 * Initialise the keys of one direction from key material, which the caller
 * wipes.  seq is the number of the first record, 0 for a new key.  FLOW_OK,
 * FLOW_E_NOMEM, FLOW_E_NOTSUP if no provider supports the cipher, FLOW_E_SYS;
 * on failure *k is all zero.
 */
enum flow_status flow__record_init(struct flow__record_keys *k,
                                   const struct flow_env *env,
                                   const struct flow__suite *suite,
                                   const struct flow__key_material *keys,
                                   uint64_t seq);

/* Wipe the keys; *k is all zero afterwards. */
void flow__record_fini(struct flow__record_keys *k);

/* Wipe and release the provider's context while no record is expected.  The
 * next record makes it again, or returns FLOW_E_NOMEM with nothing done. */
void flow__record_rest(struct flow__record_keys *k);

/* The next key of a direction, which is not in use yet. */
struct flow__record_next {
    struct flow__key_material keys;
    struct flow__secret secret;
};

/*
 * Derive the next key for a TLS 1.3 KeyUpdate: all of it that can fail for
 * good.  FLOW_OK, or FLOW_E_NOMEM or FLOW_E_SYS with *ret_next all zero.  The
 * caller gives *ret_next to one of the next two functions.
 */
enum flow_status flow__record_prepare(const struct flow__record_keys *k,
                                      const struct flow__secret *secret,
                                      struct flow__record_next *ret_next);

/* Put the next key into use, with numbers from 0; *next is all zero afterwards.
 * Its context is made with the next record. */
void flow__record_adopt(struct flow__record_keys *k,
                        struct flow__secret *secret,
                        struct flow__record_next *next);

/* Wipe the next key, unused; *next is all zero afterwards. */
void flow__record_discard(struct flow__record_next *next);

/* Prepare and adopt: FLOW_OK, or FLOW_E_NOMEM or FLOW_E_SYS with nothing
 * changed. */
enum flow_status flow__record_update(struct flow__record_keys *k,
                                     struct flow__secret *secret);

/* Bytes before the content, header included, and after it. */
size_t flow__record_prefix(const struct flow__record_keys *k);
size_t flow__record_suffix(const struct flow__record_keys *k);

/* Records that may still be sealed before the limit; 0 at the limit.  The
 * caller enforces it: the record layer seals more, as the KeyUpdate itself
 * requires. */
uint64_t flow__record_left(const struct flow__record_keys *k);

/* Content of one record, gathered from a vector. */
struct flow__record_content {
    uint8_t type;                /* an enum flow__content_type */
    const struct flow_cvec *vec; /* holds at least off + len bytes */
    size_t off;                  /* first byte in the vector */
    size_t len;                  /* with pad 0..FLOW__RECORD_PLAIN_MAX */
    size_t pad;                  /* zero bytes after the type; 0 in TLS 1.2 */
};

/*
 * Zero bytes that make len bytes of content, the type and themselves a multiple
 * of block.  A record that may hold limit bytes of content, len or more, is not
 * padded beyond that.
 */
size_t flow__record_padding(const struct flow__record_keys *k, size_t len,
                            size_t limit);

/*
 * Seal one record into out, prefix + len + pad + suffix bytes, *ret_len in all.
 * One sequence number is spent on FLOW_OK and none otherwise:
 *   FLOW_E_INVAL  too long, or padding in TLS 1.2; nothing done
 *   FLOW_E_PROTO  the sequence numbers are used up, nothing done
 *   FLOW_E_NOMEM  transient; nothing of the content is in out
 *   FLOW_E_SYS    the provider failed; out is wiped
 */
enum flow_status flow__record_seal(struct flow__record_keys *k,
                                   const struct flow__record_content *content,
                                   uint8_t *out, size_t *ret_len);

/*
 * The same, with len bytes of content already at out + prefix.  On FLOW_E_NOMEM
 * the content is intact; any other failure wipes it too.
 */
enum flow_status flow__record_seal_in_place(struct flow__record_keys *k,
                                            uint8_t type, uint8_t *out,
                                            size_t len, size_t pad,
                                            size_t *ret_len);

/* Bytes that opening a record of rec_len bytes (with header) may write: never
 * more than plain_max, 0 for one that is too short or too long to be valid. */
size_t flow__record_room(const struct flow__record_keys *k, size_t rec_len);

/* A record that was opened. */
struct flow__record_opened {
    uint8_t type; /* alert, handshake or application_data; in TLS 1.2 also
                     change_cipher_spec */
    size_t len;   /* bytes of content at out */
};

/*
 * Open one whole record (rec_len bytes with its header) into out, which has
 * flow__record_room() bytes: the content and nothing after it is meaningful.
 * out may be rec + prefix (in place), else must not overlap the record.
 *
 *   FLOW_OK       *ret_opened is set, one sequence number is spent
 *   FLOW_E_PROTO  refused; *ret_fault has the alert: bad_record_mac;
 *                 record_overflow for content above plain_max;
 *                 unexpected_message for a wrong outer type, for an inner
 *                 type that is missing or unknown, and for an empty alert or
 *                 handshake record
 *   FLOW_E_NOMEM  transient, the record is intact
 *   FLOW_E_SYS    the provider failed; *ret_fault has internal_error
 *   FLOW_E_INVAL  rec_len is not what the header says, nothing done
 *
 * On any result but FLOW_OK, what was written to out is wiped and no number is
 * spent: a record may be tried under several keys, though not in place.
 */
enum flow_status flow__record_open(struct flow__record_keys *k,
                                   const uint8_t *rec, size_t rec_len,
                                   uint8_t *out,
                                   struct flow__record_opened *ret_opened,
                                   struct flow__fault *ret_fault);

/* The same with cap bytes at out.  If that is more than flow__record_room(),
 * one more byte may be written after the content, which costs less than to keep
 * it out of there. */
enum flow_status flow__record_open_wide(struct flow__record_keys *k,
                                        const uint8_t *rec, size_t rec_len,
                                        uint8_t *out, size_t cap,
                                        struct flow__record_opened *ret_opened,
                                        struct flow__fault *ret_fault);

#endif
