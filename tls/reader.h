/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_READER_H
#define FLOW_TLS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>

#include "tls/queue.h"
#include "tls/record.h"

/* What became of a call; status as that of flow_ops::readv. */
struct flow__reader_result {
    enum flow_status status;
    bool from_lower;          /* the lower flow has the reason */
    struct flow__fault fault; /* else: the reason, and the alert to send */
    int alert_received;       /* -1: none */
};

/*
 * The peer's direction after the handshake: records of the lower flow into
 * plaintext.  Used under the TLS flow's read lock.
 *
 * Ciphertext is authenticated in memory that nobody else can write: from a
 * lease of the lower flow where that is private, else from a copy on cipher.
 * Plaintext goes straight to the caller's buffer when the record fits, else
 * onto plain.  Neither queue holds memory while it is empty.
 */
struct flow__reader {
    const struct flow_env *env;
    struct flow__record_keys keys;
    struct flow__secret secret; /* TLS 1.3 */
    bool tls13;
    bool server;          /* we are: the peer is a client */
    uint64_t updates;     /* KeyUpdates received */
    uint64_t key_limit;   /* records of a key of the peer before we ask for
                             another, 0: the suite's; TLS 1.3 */
    bool renewal_asked;   /* of this key */
    uint64_t refuse_from; /* a number that it was to be renewed before, or 0 */
    bool update_due;  /* one came, and there was no memory for its key yet */
    bool update_asks; /* it wants an answer */

    struct flow__queue cipher;
    struct flow__queue plain;
    struct flow__queue post; /* a handshake message that is not whole yet */
    size_t ahead;            /* bytes to read in one call */
    size_t leased;           /* bytes of the record that the lower flow lends */
    unsigned idle_records;   /* in a row without application data */

    bool closed; /* close_notify came: the rest is not ours */
    bool ended;  /* the lower flow ended without it */

    /* What a look ahead found, for the next read; FLOW_OK: nothing. */
    struct flow__reader_result held;

    /* What the writing side should do about what came; see flow__writer. */
    bool ask_update;
    bool ask_refusal;
    bool ask_renewal;
};

/* key_limit: of the configuration, 0: the suite's. */
void flow__reader_init(struct flow__reader *r, const struct flow_env *env,
                       bool server, uint64_t key_limit);

/* Take over; keys, secret and the bytes read ahead move in. */
void flow__reader_start(struct flow__reader *r,
                        const struct flow__record_keys *keys,
                        const struct flow__secret *secret,
                        const struct flow__queue *ahead, bool tls13);

void flow__reader_fini(struct flow__reader *r);

/* A KeyUpdate of ours that asks for one is on its way.  Says nothing unless
 * that is due. */
void flow__reader_expect_update(struct flow__reader *r);

/*
 * Bring plaintext: into vec when it is not NULL and nothing stands on plain,
 * else onto plain.  FLOW_OK: at least one byte, *ret_len of them in vec.
 * FLOW_AGAIN, FLOW_EOF (close_notify).  FLOW_E_TRUNCATED: the lower flow
 * ended.
 */
struct flow__reader_result flow__reader_read(struct flow__reader *r,
                                             struct flow *lower,
                                             const struct flow_vec *vec,
                                             size_t count, size_t *ret_len);

/* Decrypt until plain holds want bytes or no more come. */
struct flow__reader_result flow__reader_gather(struct flow__reader *r,
                                               struct flow *lower, size_t want);

/*
 * Whether a read would not answer FLOW_AGAIN, or with a want above 1 whether a
 * lease of so many bytes would not; else what the lower flow waits for.  Looks
 * into small records, which may carry no data, and takes in what the lower flow
 * has; a large record is taken for data unseen, so that it can still be
 * decrypted straight into the caller's buffer.  For a lease nothing is unseen:
 * its bytes go onto plain anyway.
 */
bool flow__reader_wait(struct flow__reader *r, struct flow *lower, size_t want,
                       struct flow_wait_set *set);

#endif
