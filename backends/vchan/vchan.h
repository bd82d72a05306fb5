/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_VCHAN_H
#define FLOW_VCHAN_VCHAN_H

#include <flow/backend.h>
#include <flow/vchan.h>

#include "backends/vchan/bypass.h"
#include "backends/vchan/conn.h"
#include "backends/vchan/path.h"

/* The opening of a client; see dial.c. */
struct vchan_dial {
    uint64_t deadline;
    uint64_t retry_at; /* time of the next step */
    uint64_t pause;    /* ns from one step to the next */
    bool found;        /* the keys are in the store but could not be used */
    bool reattach;     /* also take the place of a client that has left */
    bool watch;        /* once attached: watch for the end of the domain */
    struct vchan_watch *keys; /* NULL: none (yet) */
};

/* Private memory for a contiguous lease of bytes that wrap in the ring. */
struct vchan_bounce {
    uint8_t *base;
    uint32_t size;
    uint32_t lent; /* of these bytes, which are the ring's first ones */
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
    uint32_t heard[2];              /* the peer's index when it last moved */
    _Atomic uint64_t muted_until;   /* events are ignored until this time */
    _Atomic uint32_t unpaid_events; /* more than the peer's progress explains */
    _Atomic uint32_t asleep;        /* interests of threads that may sleep */
    _Atomic uint32_t skips;         /* waits that do not poll, ... */
    _Atomic uint32_t skips_left;    /* ... and those of them that are to come */
    _Atomic uint8_t gone;           /* the peer or its domain is gone */
    _Atomic uint8_t fault;          /* enum vchan_fault of either direction */
};

/*
 * Makes a flow over a connection, or with conn NULL one that connects on hyp.
 * On success it owns the connection, or the reference of hyp.
 */
enum flow_status flow__vchan_new(const struct flow_env *env,
                                 const struct flow_vchan_options *opt,
                                 struct vchan_conn *conn, struct vchan_hyp *hyp,
                                 uint16_t peer, const char *base,
                                 struct vchan **ret_vchan,
                                 struct flow_error *err);

/*
 * One look at a ring, by the thread that owns its direction.  OK: at least want
 * bytes, or fewer and they are the last.  AGAIN: fewer; with arm the peer has
 * been asked for an event.  A fault also ends the other direction.
 */
enum flow_status flow__vchan_look_rx(struct vchan *v, size_t want, bool arm,
                                     uint32_t *ret_avail);
enum flow_status flow__vchan_look_tx(struct vchan *v, size_t want, bool arm,
                                     uint32_t *ret_room);

/* After bytes moved: if the peer has moved its index, it is alive, and the
 * events that it sent are paid for. */
void flow__vchan_progress(struct vchan *v, enum flow_dir dir);
/* Records a fault, ends both directions and disconnects. */
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

/* The opening of a client: one step, and the sources to wait for after it. */
void flow__vchan_dial_init(struct vchan *v,
                           const struct flow_vchan_options *opt);
enum flow_status flow__vchan_dial_step(struct flow *f);
bool flow__vchan_dial_wait(struct vchan *v, struct flow_wait_set *set);
/* Frees what only the opening needs. */
void flow__vchan_dial_end(struct vchan *v);

/* Constructors on any hypervisor; they take the reference of *hyp, on failure
 * too. */
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

/* Refuses a reserved domain and, unless the option allows it, our own. */
enum flow_status flow__vchan_check_peer(const struct vchan_hyp *hyp,
                                        uint32_t domid,
                                        const struct flow_vchan_options *opt,
                                        struct flow_error *err);

/* A handle of the domain that we run in, for the hypervisor of this build. */
enum flow_status flow__vchan_xen_open(const struct flow_env *env,
                                      struct vchan_hyp **ret_hyp,
                                      struct flow_error *err);

#endif
