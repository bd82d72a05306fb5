/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_READER_H
#define FLOW_TLS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>

#include "tls/queue.h"
#include "tls/record.h"

struct flow__harvest;

/* The result of a call; status as for flow_ops::readv. */
struct flow__reader_result {
    enum flow_status status;
    int16_t alert_received;   /* -1: none */
    bool from_lower;          /* the lower flow has the reason */
    struct flow__fault fault; /* else: the reason, and the alert to send */
};

static inline struct flow__reader_result
flow__reader_result_of(enum flow_status status)
{
    struct flow__reader_result r = { .status = status,
                                     .alert_received = FLOW__ALERT_NONE,
                                     .fault = { FLOW__ALERT_NONE, NULL } };

    return r;
}

static inline struct flow__reader_result
flow__reader_refuse(enum flow__alert alert, const char *text)
{
    struct flow__reader_result r = flow__reader_result_of(FLOW_E_PROTO);

    r.fault.alert = alert;
    r.fault.text = text;
    return r;
}

static inline struct flow__reader_result
flow__reader_no_memory(void)
{
    struct flow__reader_result r = flow__reader_result_of(FLOW_E_NOMEM);

    r.fault.text = "no memory to decrypt a record";
    return r;
}

/*
 * The peer's direction after the handshake: records of the lower flow become
 * plaintext.  Used under the TLS flow's read lock.
 *
 * Ciphertext is authenticated in memory that only we can write: in a lease
 * of the lower flow if that is private and has the whole record, else in a copy
 * in cipher.  Plaintext is
 * written straight to the caller's buffer if the record fits, else into plain.
 * Neither queue holds memory while it is empty.
 */
struct flow__reader {
    struct flow__record_keys keys;
    struct flow__secret secret; /* TLS 1.3 */
    uint32_t ahead;             /* bytes to read in one call */
    uint64_t updates;           /* KeyUpdates received */
    uint64_t key_limit;   /* records of a key of the peer before we ask for
                             another, 0: the suite's; TLS 1.3 */
    uint64_t refuse_from; /* the key must be replaced before it; 0: none */

    struct flow__queue cipher;
    struct flow__queue plain;
    struct flow__queue post; /* a handshake message that is not whole yet */
    struct flow__harvest *harvest; /* client: takes tickets; NULL: skipped */

    /* The error that a look ahead found, for the next read; FLOW_OK: none. */
    struct flow__reader_result held;

    uint16_t step;        /* length of the record before, 0: none came */
    uint8_t idle_records; /* in a row without application data */
    bool tls13;
    bool server;        /* we are: the peer is a client */
    bool renewal_asked; /* of this key */
    bool update_due;    /* a KeyUpdate came; no memory for its key yet */
    bool update_asks;   /* it requests one of ours */
    bool closed;        /* close_notify came: what follows is not TLS */
    bool ended;         /* the lower flow ended without it */
    bool gone;          /* reading failed, or ended without it */

    /* Requests to the writing side; see flow__writer. */
    bool ask_update;
    bool ask_refusal;
    bool ask_renewal;
};

/* key_limit: of the configuration, 0: the suite's. */
void flow__reader_init(struct flow__reader *r, const struct flow_env *env,
                       bool server, uint64_t key_limit);

/* Take over the keys, the secret and the bytes read ahead. */
void flow__reader_start(struct flow__reader *r,
                        const struct flow__record_keys *keys,
                        const struct flow__secret *secret,
                        const struct flow__queue *ahead, bool tls13);

void flow__reader_fini(struct flow__reader *r);

/* A KeyUpdate of ours that requests one of the peer was sent.  Does nothing if
 * the peer's is not due. */
void flow__reader_expect_update(struct flow__reader *r);

/*
 * Read plaintext into vec, or if vec is NULL, into plain.  FLOW_OK: at least
 * one byte is there, *ret_len of them in vec.  FLOW_AGAIN, FLOW_EOF
 * (close_notify).  FLOW_E_TRUNCATED: the lower flow ended.
 */
struct flow__reader_result flow__reader_read(struct flow__reader *r,
                                             struct flow *lower,
                                             const struct flow_vec *vec,
                                             size_t count, size_t *ret_len);

/* Decrypt until plain holds want bytes or no more come. */
struct flow__reader_result flow__reader_gather(struct flow__reader *r,
                                               struct flow *lower, size_t want);

/*
 * Whether a read, or if want is above 1 a lease of so many bytes, would return
 * anything but FLOW_AGAIN.  If not, set has what the lower flow waits for.
 * Reads what the lower flow has and opens small records, which may carry no
 * data.  A large record is assumed to have data and stays sealed, so that it
 * can be decrypted straight into the caller's buffer.  For a lease every record
 * is opened, since its bytes go into plain anyway.
 */
bool flow__reader_wait(struct flow__reader *r, struct flow *lower, size_t want,
                       struct flow_wait_set *set);

#endif
