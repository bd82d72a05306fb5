/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_WRITER_H
#define FLOW_TLS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>

#include "tls/queue.h"
#include "tls/record.h"

/* Messages that are due to the peer: bits of flow__writer::owed. */
#define FLOW__OWED_ANSWER  0x1u /* a KeyUpdate, since the peer asked for one */
#define FLOW__OWED_UPDATE  0x2u /* a KeyUpdate, since the program asked */
#define FLOW__OWED_REQUEST 0x4u /* a KeyUpdate that asks for the peer's */
#define FLOW__OWED_REFUSAL 0x8u /* the warning no_renegotiation, TLS 1.2 */

/*
 * Our direction after the handshake: plaintext into records, records into the
 * lower flow.  Used under the TLS flow's write lock.
 *
 * A record is sealed once; what the lower flow does not accept of it stays in
 * out.  New plaintext is accepted only while out is empty, so at most the
 * records of one write wait there, and after them perhaps a fatal alert.  Bytes
 * that FLOW_MORE or a lease holds back are in open, unsealed, with room for
 * header and tag around them.
 *
 * Once dead is set, nothing more is accepted.  If our alert was queued then,
 * the next flush or close still sends it.
 */
struct flow__writer {
    struct flow__record_keys keys;
    struct flow__secret secret; /* TLS 1.3 */
    uint32_t owed;      /* FLOW__OWED_ bits (atomic); see flow__writer_owe() */
    uint64_t key_limit; /* records per key, 0: the suite's */
    uint64_t updates;   /* KeyUpdates sent */

    struct flow__queue out;
    struct flow__queue open; /* filled from 0 to end */

    uint16_t limit;      /* plaintext bytes per record */
    uint16_t peer_limit; /* the most that the peer accepts */
    bool tls13;
    bool open_is_leased;
    bool has_open;
    bool close_sealed; /* our close_notify is in out or was sent */
    bool spent;        /* the key's last record was an alert; TLS 1.2 */
    bool dead;         /* a fatal alert was sent or received */
    bool alert_queued; /* dead, and our alert is not sent yet */
    /* The lower flow gets as many bytes in one write as this many large records
     * have. */
    uint8_t gathers;
    /* For the reading side (atomic): a KeyUpdate that requests one was sealed.
     */
    uint8_t has_asked;
    /* The next first_left records of a batch have at most first_units times
     * FLOW__WRITER_UNIT bytes, which begins again when nothing was written for
     * a time after written_at, in s (tls/transfer.c). */
    uint8_t first_units;
    uint8_t first_left;
    uint16_t written_at;
};

#define FLOW__WRITER_UNIT 64

/* More large records in one write save few calls of the lower flow, and a peer
 * that does not read makes us keep them. */
#define FLOW__WRITER_GATHERS 4

void flow__writer_init(struct flow__writer *w, const struct flow_env *env,
                       size_t limit, uint64_t key_limit);

/* Take over the keys and the secret. */
void flow__writer_start(struct flow__writer *w,
                        const struct flow__record_keys *keys,
                        const struct flow__secret *secret, bool tls13);

void flow__writer_fini(struct flow__writer *w);

/* Records that one call seals at most, so that a reader that needs the write
 * lock for a moment does not wait as long as the lower flow accepts records. */
#define FLOW__WRITER_RECORDS 16

/* The alert that ends a TLS 1.2 connection at its key usage limit. */
#define FLOW__WRITER_SPENT_ALERT FLOW__ALERT_INTERNAL_ERROR

/* The cause of a failure, for the error record. */
enum flow__writer_cause {
    FLOW__WRITER_OK = 0,
    FLOW__WRITER_LOWER,     /* the lower flow's write side failed */
    FLOW__WRITER_EXHAUSTED, /* no more records with this key; if spent, the
                               alert FLOW__WRITER_SPENT_ALERT has said so */
    FLOW__WRITER_MEMORY,
    FLOW__WRITER_CIPHER,
    FLOW__WRITER_DEAD
};

struct flow__writer_result {
    enum flow_status status;
    enum flow__writer_cause cause;
};

/* Write out to the lower flow.  FLOW_OK: it is empty. */
struct flow__writer_result flow__writer_drain(struct flow__writer *w,
                                              struct flow *lower);

/* Make messages due, FLOW__OWED_ bits.  Any thread, without the write lock.
 * Each stays due until it is sealed. */
void flow__writer_owe(struct flow__writer *w, uint32_t owed);

/* Send what is due, as far as the lower flow accepts it.  The rest, and what
 * fails, is left to the next write. */
void flow__writer_push_owed(struct flow__writer *w, struct flow *lower);

/* Accept a prefix of a vector, FLOW__WRITER_RECORDS records of it at most;
 * flags as flow_ops::writev. */
struct flow__writer_result flow__writer_write(struct flow__writer *w,
                                              struct flow *lower,
                                              const struct flow_cvec *vec,
                                              size_t count, uint32_t flags,
                                              size_t *ret_len);

/* Seal what is held back and what is owed, and write it to the lower flow. */
struct flow__writer_result flow__writer_flush(struct flow__writer *w,
                                              struct flow *lower);

/* The same, then close_notify, exactly once. */
struct flow__writer_result flow__writer_close(struct flow__writer *w,
                                              struct flow *lower);

/* Queue a fatal alert and accept nothing more.  true: it is queued, and what
 * the lower flow does not accept now is sent by the next flush or close.
 * false: none is sent, since the flow is ending already or there is no memory.
 */
bool flow__writer_alert(struct flow__writer *w, struct flow *lower, int alert);

/* Lend want..limit contiguous bytes of the next record's content. */
struct flow__writer_result flow__writer_lease(struct flow__writer *w,
                                              struct flow *lower, size_t want,
                                              struct flow_vec *ret_span);
struct flow__writer_result flow__writer_commit(struct flow__writer *w,
                                               struct flow *lower, size_t used,
                                               uint32_t flags);

/* Whether nothing is queued, held back or owed. */
bool flow__writer_is_idle(struct flow__writer *w);

#endif
