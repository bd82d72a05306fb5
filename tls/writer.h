/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_WRITER_H
#define FLOW_TLS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>

#include "tls/record.h"
#include "tls/stage.h"

/*
 * Our direction after the handshake: plaintext into records, records into the
 * lower flow.  Used under the TLS flow's write lock.
 *
 * A record is sealed once; the bytes of it that the lower flow refuses stand
 * on out.  New plaintext is accepted only while out is empty, so at most one
 * record waits there.  What FLOW_MORE or a lease holds back stands in open,
 * unsealed, with room for header and tag around it.
 */
struct flow__writer {
    const struct flow_env *env;
    struct flow__record_keys keys;
    struct flow__secret secret; /* TLS 1.3 */
    bool tls13;
    size_t limit;       /* plaintext bytes per record */
    size_t peer_limit;  /* the most that the peer takes */
    uint64_t key_limit; /* records per key, 0: the suite's */
    uint64_t updates;   /* KeyUpdates sent */

    struct flow__stage out;
    struct flow__stage open; /* start is 0; end is what is filled */
    bool open_is_leased;
    bool has_open;

    bool close_sealed; /* our close_notify stands on out or has left */
    bool spent;        /* the key's last record was an alert; TLS 1.2 */
    bool dead;         /* a fatal alert went either way */

    /* Owed to the peer; set by the reading side, any thread (atomic). */
    uint8_t owes_update;  /* an answer to its KeyUpdate */
    uint8_t owes_refusal; /* no_renegotiation, TLS 1.2 */
    uint8_t wants_update; /* 1 ours, 2 the peer's too */
    /* For the reading side (atomic): one that asks for the peer's is sealed. */
    uint8_t has_asked;
};

void flow__writer_init(struct flow__writer *w, const struct flow_env *env,
                       size_t limit, uint64_t key_limit);

/* Take the keys over; keys and secret move in. */
void flow__writer_start(struct flow__writer *w,
                        const struct flow__record_keys *keys,
                        const struct flow__secret *secret, bool tls13);

void flow__writer_fini(struct flow__writer *w);

/* Nothing that the peer did or that it could do anything about. */
#define FLOW__WRITER_SPENT_ALERT FLOW__ALERT_INTERNAL_ERROR

/* Where things went wrong, for the error record. */
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

/* Push out down.  OK: it is empty. */
struct flow__writer_result flow__writer_drain(struct flow__writer *w,
                                              struct flow *lower);

/* Accept a prefix of a vector; flags as flow_ops::writev. */
struct flow__writer_result flow__writer_write(struct flow__writer *w,
                                              struct flow *lower,
                                              const struct flow_cvec *vec,
                                              size_t count, uint32_t flags,
                                              size_t *ret_len);

/* Seal what is held back and what is owed, and push it down. */
struct flow__writer_result flow__writer_flush(struct flow__writer *w,
                                              struct flow *lower);

/* The same, then close_notify, exactly once. */
struct flow__writer_result flow__writer_close(struct flow__writer *w,
                                              struct flow *lower);

/* A fatal alert, best effort; nothing can be written afterwards.  true: the
 * lower flow took it. */
bool flow__writer_alert(struct flow__writer *w, struct flow *lower, int alert);

/* Lend want..limit contiguous bytes of a record to be. */
struct flow__writer_result flow__writer_lease(struct flow__writer *w,
                                              struct flow *lower, size_t want,
                                              struct flow_vec *ret_span);
struct flow__writer_result flow__writer_commit(struct flow__writer *w,
                                               struct flow *lower, size_t used,
                                               uint32_t flags);

/* Nothing is staged, held back or owed. */
bool flow__writer_is_idle(struct flow__writer *w);

#endif
