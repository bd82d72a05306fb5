/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_VCHAN_H
#define FLOW_VCHAN_VCHAN_H

#include <flow/backend.h>
#include <flow/vchan.h>

#include "backends/vchan/bypass.h"
#include "backends/vchan/conn.h"
#include "backends/vchan/path.h"

/* A client on its way to its server; see client.c. */
struct vchan_dial {
    uint64_t deadline;
    uint64_t retry_at; /* look again by the clock */
    uint64_t pause;    /* between two looks */
    bool found;        /* the keys were there, but could not be used */
    bool reattach;     /* where a client has been before */
    bool watch;        /* for the end of the peer's domain, from then on */
    struct vchan_watch *keys; /* NULL: none, or none yet */
};

/* Memory that lends contiguously what the ring holds in two pieces. */
struct vchan_bounce {
    uint8_t *base;
    uint32_t size;
    uint32_t lent; /* bytes of it that stand for the first of the ring's */
};

/*
 * A flow over one connection.  The reader's thread owns rx, the writer's tx;
 * atomic members are shared.
 */
struct vchan {
    struct flow base;
    struct vchan_conn conn;
    struct vchan_rx rx;
    struct vchan_tx tx;
    struct vchan_dial dial; /* client, until it has attached */
    struct vchan_bounce bounce[2];
    struct vchan_bypass bypass;     /* the writer's */
    char base_path[VCHAN_BASE_MAX]; /* for addresses */
    _Atomic uint64_t check_at; /* when to ask for the channel's state; 0: off */
    _Atomic uint64_t check_pause;   /* ns between two of these */
    uint32_t heard[2];              /* peer's index at the last sign of life */
    _Atomic uint64_t muted_until;   /* no events are listened to before */
    _Atomic uint32_t unpaid_events; /* more than the peer's progress explains */
    _Atomic uint32_t
        asleep; /* interests of flows that sleep, or may have slept */
    _Atomic uint32_t skips;      /* sleeps without a longer look before... */
    _Atomic uint32_t skips_left; /* ...and how many of them are left */
    _Atomic uint8_t gone;        /* the channel says that the peer is gone */
    _Atomic uint8_t fault;       /* enum vchan_fault of either direction */
};

/*
 * A flow in the given state: over a connection, or (conn NULL) one that dials
 * on hyp.  Takes over the connection or a reference of hyp on success.
 */
enum flow_status flow__vchan_new(const struct flow_env *env,
                                 const struct flow_vchan_options *opt,
                                 struct vchan_conn *conn, struct vchan_hyp *hyp,
                                 uint16_t peer, const char *base,
                                 struct vchan **ret_vchan,
                                 struct flow_error *err);

/*
 * One look at a ring, by the thread that owns its direction.  OK: at least want
 * bytes, or fewer and they are the last; AGAIN: fewer, and with arm the peer
 * has been asked for an event.  A fault, or that the peer is gone, is spread to
 * the other direction.
 */
enum flow_status flow__vchan_look_rx(struct vchan *v, size_t want, bool arm,
                                     uint32_t *ret_avail);
enum flow_status flow__vchan_look_tx(struct vchan *v, size_t want, bool arm,
                                     uint32_t *ret_room);

/*
 * Bytes moved, so events are worth something.  That the peer lives only its
 * own index says: what it left behind can be read, and a large ring be
 * written to, for long after its death.
 */
void flow__vchan_progress(struct vchan *v, enum flow_dir dir);
void flow__vchan_spread_fault(struct vchan *v, enum vchan_fault fault);

/* flow_ops.readv, .writev, .lease and .commit */
enum flow_status flow__vchan_readv(struct flow *f, const struct flow_vec *vec,
                                   size_t count, size_t *ret_len);
enum flow_status flow__vchan_writev(struct flow *f, const struct flow_cvec *vec,
                                    size_t count, uint32_t flags,
                                    size_t *ret_len);
enum flow_status flow__vchan_lease(struct flow *f, enum flow_dir dir,
                                   size_t want, struct flow_vec ret_span[2]);
enum flow_status flow__vchan_commit(struct flow *f, enum flow_dir dir,
                                    size_t used, uint32_t flags);

/* flow_ops.wait */
uint32_t flow__vchan_wait(struct flow *f, uint32_t interest,
                          struct flow_wait_set *set);

/* The opening of a client: one step, and what to wait for between steps. */
void flow__vchan_dial_init(struct vchan *v,
                           const struct flow_vchan_options *opt);
enum flow_status flow__vchan_dial_step(struct flow *f);
bool flow__vchan_dial_wait(struct vchan *v, struct flow_wait_set *set);
/* Ends what only the opening needs. */
void flow__vchan_dial_end(struct vchan *v);

/* Constructors on any hypervisor; *hyp becomes theirs in every outcome. */
enum flow_status flow__vchan_listen_on(struct vchan_hyp *hyp, uint32_t domid,
                                       const char *path,
                                       const struct flow_vchan_options *opt,
                                       struct flow_listener **ret_listener,
                                       struct flow_error *err);
enum flow_status flow__vchan_connect_on(struct vchan_hyp *hyp, uint32_t domid,
                                        const char *path,
                                        const struct flow_vchan_options *opt,
                                        struct flow **ret_flow,
                                        struct flow_error *err);

/* Refuses reserved domains and, without the option, our own. */
enum flow_status flow__vchan_check_peer(const struct vchan_hyp *hyp,
                                        uint32_t domid,
                                        const struct flow_vchan_options *opt,
                                        struct flow_error *err);

/* The domain we run in, on the hypervisor that this build knows. */
enum flow_status flow__vchan_xen_open(const struct flow_env *env,
                                      struct vchan_hyp **ret_hyp,
                                      struct flow_error *err);

#endif
