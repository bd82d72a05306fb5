/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_TLS_FLOW_H
#define FLOW_TLS_TLS_FLOW_H

#include <flow/backend.h>
#include <flow/tls.h>

#include "lib/plat.h"
#include "tls/gate.h"
#include "tls/handshake.h"
#include "tls/reader.h"
#include "tls/writer.h"

/*
 * A TLS flow.  Locks, in this order: rx_lock, tx_lock; never held across a
 * wait.  The handshake holds both.  hs is NULL once the handshake is over, and
 * reader, writer and agreed mean something only then.
 *
 * A forked child has a copy of the keys and of the record numbers.  If both
 * processes went on, two records would be sealed with one nonce, which reveals
 * the authentication key and both plaintexts.  So the connection belongs to the
 * process that began the handshake; any other may only close it.
 */
struct flow__tls {
    struct flow base;
    struct flow_tls_config *config;
    struct flow__handshake *hs;
    struct flow__pass pass; /* at the listener's gate, while hs counts there */
    struct flow_lock rx_lock;
    struct flow_lock tx_lock;
    struct flow__agreed agreed;
    struct flow__reader reader;
    struct flow__writer writer;
    uint32_t process; /* that began the handshake, 0: none (atomic) */
    bool propagate;   /* shutdown(write) goes down */
    bool settled;     /* it has gone down, or it does not any more */
    bool ended;       /* and that is done */
    bool tolerate;    /* a missing close_notify is an end */
    bool gone;        /* reading ended without close_notify */
};

static inline struct flow__tls *
flow__tls_cast(struct flow *f)
{
    return (struct flow__tls *)(void *)f;
}

/* Both locks, in their order. */
static inline void
flow__tls_lock(struct flow__tls *t)
{
    flow_lock_acquire(&t->rx_lock);
    flow_lock_acquire(&t->tx_lock);
}

static inline void
flow__tls_unlock(struct flow__tls *t)
{
    flow_lock_release(&t->tx_lock);
    flow_lock_release(&t->rx_lock);
}

/* Another process began the handshake: this copy may be closed, and asked what
 * was agreed.  Called before a lock is taken, since a thread that was not
 * copied may hold it. */
bool flow__tls_is_inherited(const struct flow__tls *t);

/* Under rx_lock: hand what the peer's direction asks of ours to the writer. */
void flow__tls_pass_owed(struct flow__tls *t);

/* The wait operation (wait.c). */
uint32_t flow__tls_wait(struct flow *f, uint32_t interest,
                        struct flow_wait_set *set);

/* The query operation (info.c). */
enum flow_status flow__tls_query(struct flow *f, enum flow_query_key key,
                                 void *buf, size_t *len);

/* The TLS flow that f is, or NULL. */
struct flow__tls *flow__tls_of(struct flow *f);

/* Make a flow; the parts that both roles share. */
enum flow_status flow__tls_wrap(struct flow_tls_config *c, struct flow *lower,
                                const char *server_name, uint32_t flags,
                                struct flow__tls **ret_tls,
                                struct flow_error *err);

#endif
