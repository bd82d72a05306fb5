/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_TLS_FLOW_H
#define FLOW_TLS_TLS_FLOW_H

#include <flow/backend.h>
#include <flow/tls.h>

#include "lib/atomic.h"
#include "lib/latch.h"
#include "lib/plat.h"
#include "tls/config.h"
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
    struct flow__latch rx_lock;
    struct flow__latch tx_lock;
    struct flow__agreed agreed;
    struct flow__reader reader;
    struct flow__writer writer;
    uint32_t process; /* that began the handshake, 0: none (atomic) */
    bool propagate;   /* shutdown(write) goes down */
    bool settled;     /* it has gone down, or it does not any more */
    bool ended;       /* and that is done */
    bool tolerate;    /* a missing close_notify is an end */
};

static inline struct flow__tls *
flow__tls_cast(struct flow *f)
{
    return (struct flow__tls *)(void *)f;
}

/* Bytes of a flow, with what it exports after it. */
static inline size_t
flow__tls_size(const struct flow_tls_config *c)
{
    return sizeof(struct flow__tls) + flow__exported_size(c);
}

/* What it exports; NULL: nothing. */
static inline struct flow__exported *
flow__tls_exported(struct flow__tls *t)
{
    return flow__exported_size(t->config) > 0
               ? (struct flow__exported *)(void *)(t + 1)
               : NULL;
}

/* Both locks, in their order. */
static inline void
flow__tls_lock(struct flow__tls *t)
{
    flow__latch_acquire(&t->rx_lock);
    flow__latch_acquire(&t->tx_lock);
}

static inline void
flow__tls_unlock(struct flow__tls *t)
{
    flow__latch_release(&t->tx_lock);
    flow__latch_release(&t->rx_lock);
}

/* Whether another process began the handshake.  Its copy here may be closed,
 * and asked what was agreed.  Called before a lock is taken, since a thread
 * that was not copied may hold it. */
static inline bool
flow__tls_is_inherited(const struct flow__tls *t)
{
    uint32_t process = flow__load(&t->process);

    return process != 0 && process != flow_process();
}

/*
 * transfer.c
 */

/* Fail these directions, since the flow belongs to another process. */
enum flow_status flow__tls_refuse_inherited(struct flow__tls *t, uint32_t dirs);

/* Under rx_lock: hand what the peer's direction asks of ours to the writer. */
void flow__tls_pass_owed(struct flow__tls *t);

/* Operations. */
enum flow_status flow__tls_readv(struct flow *f, const struct flow_vec *vec,
                                 size_t count, size_t *ret_len);
enum flow_status flow__tls_writev(struct flow *f, const struct flow_cvec *vec,
                                  size_t count, uint32_t flags,
                                  size_t *ret_len);
enum flow_status flow__tls_flush(struct flow *f);
enum flow_status flow__tls_shutdown(struct flow *f, enum flow_dir dir);
enum flow_status flow__tls_lease(struct flow *f, enum flow_dir dir, size_t want,
                                 struct flow_vec ret_span[2]);
enum flow_status flow__tls_commit(struct flow *f, enum flow_dir dir,
                                  size_t used, uint32_t flags);

/* The wait operation (wait.c). */
uint32_t flow__tls_wait(struct flow *f, uint32_t interest,
                        struct flow_wait_set *set);

/* The query operation (info.c). */
enum flow_status flow__tls_query(struct flow *f, enum flow_query_key key,
                                 void *buf, size_t *len);

/* The uppermost TLS flow of a stack, NULL if there is none (tls.c). */
struct flow__tls *flow__tls_find(struct flow *f);

/* Make a flow (tls.c); the parts that both roles share. */
enum flow_status flow__tls_wrap(struct flow_tls_config *c, struct flow *lower,
                                const char *server_name, uint32_t flags,
                                struct flow__tls **ret_tls,
                                struct flow_error *err);

#endif
