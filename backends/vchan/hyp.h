/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_H
#define FLOW_VCHAN_HYP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/status.h>
#include <flow/wait.h>

/*
 * The hypervisor seam: what this backend needs of Xen, and what a port to
 * another host of vchan (a unikernel, a simulator) provides.  Three tables,
 * one per facility, so that each can be read against one Xen header.
 *
 * Nothing here blocks for the peer; store calls may take a round trip to the
 * store.  An operation that fails fills *err (which may be NULL) and has no
 * effect.  Functions are called by one thread at a time per region, channel
 * or, for the store, per hypervisor, except notify(), drain() and state(),
 * which both directions of a flow may call at once.
 */

struct vchan_hyp;
struct vchan_region;
struct vchan_channel;
struct vchan_deaths;

/* Domain ids from here on are reserved (DOMID_FIRST_RESERVED). */
#define VCHAN_DOMID_LIMIT 0x7ff0u

/* Do not clear a byte when the region goes. */
#define VCHAN_CLEAR_NONE UINT32_MAX

/* Pages we grant to a peer, or pages of a peer that we have mapped. */
struct vchan_region {
    uint8_t *base; /* page aligned, contiguous */
    uint32_t count;
};

/* What happens to a region when we end or die, as far as the kernel can. */
struct vchan_parting {
    uint32_t clear_at;             /* byte to clear, or VCHAN_CLEAR_NONE */
    struct vchan_channel *channel; /* event to send, or NULL */
};

/* Grants: xen/grant_table.h. */
struct vchan_grant_ops {
    /*
     * Allocate `count` zeroed pages that hold nothing else, and grant them;
     * ret_refs has room for `count` references.
     */
    enum flow_status (*share)(struct vchan_hyp *hyp, uint16_t peer,
                              uint32_t count, bool writable,
                              struct vchan_parting parting, uint32_t *ret_refs,
                              struct vchan_region **ret_region,
                              struct flow_error *err);
    /*
     * End the grant and free the pages.  FLOW_E_BUSY: the peer still has
     * them mapped; nothing was freed, and nothing of it may be used again.
     */
    enum flow_status (*unshare)(struct vchan_hyp *hyp,
                                struct vchan_region *region);
    /*
     * Map a peer's pages, in the order of refs.  FLOW_AGAIN: the peer's page
     * is being paged in; try later.
     */
    enum flow_status (*map)(struct vchan_hyp *hyp, uint16_t peer,
                            const uint32_t *refs, uint32_t count, bool writable,
                            struct vchan_parting parting,
                            struct vchan_region **ret_region,
                            struct flow_error *err);
    void (*unmap)(struct vchan_hyp *hyp, struct vchan_region *region);
};

/* What the hypervisor knows of our end of a channel. */
enum vchan_channel_state {
    VCHAN_CHANNEL_UNKNOWN, /* this port of the library cannot tell */
    VCHAN_CHANNEL_UNBOUND, /* nobody at the other end: not yet, or no more */
    VCHAN_CHANNEL_BOUND,
};

/* Event channels: xen/event_channel.h. */
struct vchan_event_ops {
    /* A channel that `peer` may bind. */
    enum flow_status (*alloc)(struct vchan_hyp *hyp, uint16_t peer,
                              struct vchan_channel **ret_channel,
                              struct flow_error *err);
    /* Bind a peer's.  FLOW_AGAIN: no such port there, or it is taken. */
    enum flow_status (*bind)(struct vchan_hyp *hyp, uint16_t peer,
                             uint32_t port, struct vchan_channel **ret_channel,
                             struct flow_error *err);
    /* The local port number. */
    uint32_t (*port)(const struct vchan_channel *channel);
    void (*notify)(struct vchan_channel *channel);
    /*
     * Take in the events that have come and let new ones come: true if there
     * was any.  An event after this call makes the wait source fire.
     */
    bool (*drain)(struct vchan_channel *channel);
    /*
     * Adds what fires for an event that drain() has not taken in, whether it
     * came before this call or comes after it.  A port adds a descriptor, or
     * a flow_event that notify() at the other end signals, with the count
     * that the last drain() saw.  It never adds a time: the caller has its
     * own.
     */
    void (*wait)(const struct vchan_channel *channel,
                 struct flow_wait_sink *sink);
    enum vchan_channel_state (*state)(struct vchan_channel *channel);
    void (*close)(struct vchan_channel *channel);
};

/* The store: xen/io/xs_wire.h.  Paths are absolute. */
struct vchan_store_ops {
    /* Writes both keys, readable by `peer`, in one transaction. */
    enum flow_status (*publish)(struct vchan_hyp *hyp, const char *base,
                                uint16_t peer, uint32_t ref, uint32_t port,
                                struct flow_error *err);
    /* Removes both keys if they are still those of `port`, and the base if
     * that leaves it empty. */
    void (*withdraw)(struct vchan_hyp *hyp, const char *base, uint32_t port);
    /* Reads both keys.  FLOW_AGAIN: not (both) there. */
    enum flow_status (*lookup)(struct vchan_hyp *hyp, const char *base,
                               uint32_t *ret_ref, uint32_t *ret_port,
                               struct flow_error *err);
    /*
     * Adds what fires when lookup() may answer otherwise, watching the base
     * from the first call on.  False: there is none, look again by the clock.
     */
    bool (*watch)(struct vchan_hyp *hyp, const char *base,
                  struct flow_wait_sink *sink);
    /*
     * Whether the store has let go of a domain; false too where it does not
     * tell us.  For where the state of a channel cannot be had; any thread may
     * ask.
     */
    bool (*released)(struct vchan_hyp *hyp, uint16_t domid);
    /*
     * A watch for the ends of domains ("@releaseDomain").  Each caller has one
     * of its own: two sleepers on one would take each other's events.  The
     * functions of a watch may be called by any thread.
     */
    enum flow_status (*deaths_open)(struct vchan_hyp *hyp,
                                    struct vchan_deaths **ret_deaths,
                                    struct flow_error *err);
    /* Adds what fires when it has told what deaths_drain() did not take. */
    void (*deaths_wait)(const struct vchan_deaths *deaths,
                        struct flow_wait_sink *sink);
    /* Takes in what it told; true if that was something. */
    bool (*deaths_drain)(struct vchan_deaths *deaths);
    void (*deaths_close)(struct vchan_deaths *deaths);
};

/* One domain's view of a hypervisor; shared by a listener and its flows. */
struct vchan_hyp {
    const struct vchan_grant_ops *grants;
    const struct vchan_event_ops *events;
    const struct vchan_store_ops *store;
    void (*free)(struct vchan_hyp *hyp);
    const struct flow_env *env;
    const char *scheme;     /* for addresses: "vchan" */
    uint16_t domid;         /* ours */
    bool descriptors;       /* each channel's wait source is a descriptor */
    uint32_t refs;          /* atomic */
    struct vchan_pin *pins; /* atomic */
    uint32_t pinned;        /* pages, atomic */
};

void flow__vchan_hyp_init(struct vchan_hyp *hyp, const struct flow_env *env);
struct vchan_hyp *flow__vchan_hyp_ref(struct vchan_hyp *hyp);
void flow__vchan_hyp_unref(struct vchan_hyp *hyp);

/*
 * Frees a granted region, or keeps it as pinned when the peer will not let
 * go: never reused and never freed before the peer unmaps it, since whatever
 * came to stand there next would be the peer's to read and change.
 */
void flow__vchan_hyp_retire(struct vchan_hyp *hyp, struct vchan_region *region);

/* Tries the pinned regions again; how many pages stay pinned. */
uint32_t flow__vchan_hyp_reap(struct vchan_hyp *hyp);

#endif
