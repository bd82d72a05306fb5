/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_H
#define FLOW_VCHAN_HYP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/port.h>
#include <flow/status.h>
#include <flow/wait.h>

/*
 * The interface to the hypervisor: what this backend needs of Xen, and what a
 * port to another system (a unikernel, a simulator) implements.  It has three
 * tables, each of which follows one Xen header.
 *
 * Calls.  No function waits for the peer; those of the store may take a round
 * trip to the store.  An operation that fails fills *err (which may be NULL)
 * and has no effect.
 *
 * Threads.  Functions on one region, channel or watch are called by one thread
 * at a time, except notify(), drain(), wait(), state(), remote() and the
 * watch's, which both directions of a flow may call at once.  Functions on a
 * handle may be called by several threads at once.
 *
 * Handles.  A handle is reference-counted: every listener and flow has a
 * reference, and the last one calls free().  A port may return one handle for
 * the whole domain.  It should if a peer's pinned pages or quotas count for all
 * of the domain's listeners, and then keeps a reference of its own, since
 * pinned pages are forgotten with the last reference.
 *
 * Order.  A server grants its rings and control page after it has allocated the
 * channel, and ends the grants before it closes the channel; a client binds,
 * maps, unmaps and closes in that order.  If a server finds its channel
 * "unbound", it assumes that the client has unmapped everything, and grants the
 * same pages to the next client of the same domain.
 *
 * Suspend and migration.  A port whose grants and channels are lost calls
 * flow__vchan_hyp_lost() and then makes every wait source of the handle fire.
 * After that flows and listeners answer FLOW_E_RESET, and only unshare(),
 * unmap(), renew(), close(), watch_close() and free() are called: they free
 * local resources and answer FLOW_OK.
 *
 * fork.  A process that inherited a handle (flow__vchan_hyp_is_inherited())
 * calls the same functions except renew(), and no others.  They close this
 * process's copies of descriptors and free its memory, and change nothing in
 * the hypervisor, the store or the peer.
 */

struct vchan_hyp;
struct vchan_region;
struct vchan_channel;
struct vchan_watch;

/* The first reserved domain id (DOMID_FIRST_RESERVED). */
#define VCHAN_DOMID_LIMIT 0x7ff0u

/* Do not clear a byte when the region is unmapped. */
#define VCHAN_CLEAR_NONE UINT32_MAX

/* Pages we grant to a peer, or pages of a peer that we have mapped. */
struct vchan_region {
    uint8_t *base; /* page aligned, contiguous */
    uint32_t count;
    struct vchan_region *next; /* for pins.c, after unshare() was BUSY */
};

/*
 * What the kernel does when a region is unmapped or our process dies, as with
 * IOCTL_GNTDEV_SET_UNMAP_NOTIFY.  With a channel there is a byte to clear, and
 * the region has one page: a kernel has one such notification per page.
 */
struct vchan_unmap_notify {
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
                              struct vchan_unmap_notify at_unmap,
                              uint32_t *ret_refs,
                              struct vchan_region **ret_region,
                              struct flow_error *err);
    /*
     * Clear the byte and send the event of share(), end the grant and free the
     * pages.  FLOW_E_BUSY: the peer still has them mapped; nothing was freed,
     * and no page may be used again.  The caller then repeats the call from
     * time to time, in any thread.  Only the first call clears the byte and
     * sends the event, since the channel is closed before the second.
     */
    enum flow_status (*unshare)(struct vchan_hyp *hyp,
                                struct vchan_region *region);
    /*
     * Map a peer's pages, in the order of refs.  FLOW_AGAIN: the peer does not
     * grant us these pages, so its offer is stale, or it is paging one in.
     */
    enum flow_status (*map)(struct vchan_hyp *hyp, uint16_t peer,
                            const uint32_t *refs, uint32_t count, bool writable,
                            struct vchan_unmap_notify at_unmap,
                            struct vchan_region **ret_region,
                            struct flow_error *err);
    /* Clears the byte and sends the event first, so call it before the
     * channel is closed. */
    void (*unmap)(struct vchan_hyp *hyp, struct vchan_region *region);
};

/* What the hypervisor knows of our end of a channel. */
enum vchan_channel_state {
    VCHAN_CHANNEL_UNKNOWN, /* this port cannot tell */
    VCHAN_CHANNEL_UNBOUND, /* the peer has not bound it, or has closed it */
    VCHAN_CHANNEL_BOUND,
};

/* Event channels: xen/event_channel.h. */
struct vchan_event_ops {
    /* Allocate a channel that `peer` may bind, and bind again after it has
     * closed its end. */
    enum flow_status (*alloc)(struct vchan_hyp *hyp, uint16_t peer,
                              struct vchan_channel **ret_channel,
                              struct flow_error *err);
    /* Bind a peer's channel.  FLOW_AGAIN: the port does not exist or is
     * bound. */
    enum flow_status (*bind)(struct vchan_hyp *hyp, uint16_t peer,
                             uint32_t port, struct vchan_channel **ret_channel,
                             struct flow_error *err);
    /* The port number of our end. */
    uint32_t (*port)(const struct vchan_channel *channel);
    /* The port number of the peer's end; 0: not bound, or unknown. */
    uint32_t (*remote)(struct vchan_channel *channel);
    void (*notify)(struct vchan_channel *channel);
    /*
     * Consume the pending events and unmask the channel; true if there was an
     * event.  An event after this call makes the wait source fire.
     */
    bool (*drain)(struct vchan_channel *channel);
    /*
     * Add a source that fires for an event which drain() has not consumed,
     * whether it arrived before this call or arrives after it.  A port adds a
     * descriptor, or a flow_event that notify() at the other end signals, with
     * the count that the last drain() saw.  It never adds a time: the caller
     * has its own.
     */
    void (*wait)(const struct vchan_channel *channel,
                 struct flow_wait_set *set);
    enum vchan_channel_state (*state)(struct vchan_channel *channel);
    /*
     * Replace the wait source.  The old one never fires again in any event loop
     * that has registered it; wait() adds the new one, which has another number
     * if the process has one left, and an event that drain() has not consumed
     * makes it fire.  An allocated channel needs this when its offer becomes a
     * flow and when the flow ends: another object waits for it then, and an
     * event loop finds the object by the source.  False: no source could be
     * made; the caller then repeats the call before it calls wait().  NULL: a
     * source is not registered for longer than one wait.
     */
    bool (*renew)(struct vchan_channel *channel);
    void (*close)(struct vchan_channel *channel);
};

/* Whether a domain exists, for the store: it drops permissions of one that
 * does not. */
enum vchan_presence {
    VCHAN_PRESENCE_UNKNOWN,
    VCHAN_ABSENT, /* no such domain exists yet */
    VCHAN_PRESENT,
};

/* The store: xen/io/xs_wire.h.  Paths are absolute. */
struct vchan_store_ops {
    /* Write both keys, readable by `peer`, in one transaction.  Writing them
     * again makes them readable by a domain that was created since. */
    enum flow_status (*publish)(struct vchan_hyp *hyp, const char *base,
                                uint16_t peer, uint32_t ref, uint32_t port,
                                struct flow_error *err);
    /* Remove both keys if they still hold `port`; then the base and the nodes
     * above it that only vchan libraries use, as far as they are empty. */
    void (*withdraw)(struct vchan_hyp *hyp, const char *base, uint32_t port);
    /*
     * Read both keys.  FLOW_AGAIN: one or both are missing.  FLOW_E_AUTH: their
     * owner is another domain than the server.
     */
    enum flow_status (*lookup)(struct vchan_hyp *hyp, uint16_t server,
                               const char *base, uint32_t *ret_ref,
                               uint32_t *ret_port, struct flow_error *err);
    /*
     * Whether a domain exists and can read what publish() wrote.  xenstored
     * drops the permissions of a domain that it does not know yet, so a server
     * publishes again once its peer exists.  NULL: this store keeps them.
     */
    enum vchan_presence (*presence)(struct vchan_hyp *hyp, uint16_t domid);
    /*
     * Whether the store has released a domain; false also if it does not tell
     * us.  Used where the state of a channel is unknown.  NULL: it never is.
     */
    bool (*released)(struct vchan_hyp *hyp, uint16_t domid);
    /*
     * Watches: one fires when the answer of lookup() for a base may have
     * changed, the other when any domain was destroyed ("@releaseDomain").
     * Each caller has a watch of its own, since two would consume each other's
     * events, and closes it as soon as it is not needed: its events are kept
     * in our memory until they are drained.  watch_keys NULL: not supported,
     * look up at intervals.  watch_domains NULL: the destruction of a domain
     * sends an event.
     */
    enum flow_status (*watch_keys)(struct vchan_hyp *hyp, const char *base,
                                   struct vchan_watch **ret_watch,
                                   struct flow_error *err);
    enum flow_status (*watch_domains)(struct vchan_hyp *hyp,
                                      struct vchan_watch **ret_watch,
                                      struct flow_error *err);
    /* Add a source that fires for events that watch_drain() has not
     * consumed. */
    void (*watch_wait)(const struct vchan_watch *watch,
                       struct flow_wait_set *set);
    /* Consume the pending events; true if there were any. */
    bool (*watch_drain)(struct vchan_watch *watch);
    void (*watch_close)(struct vchan_watch *watch);
};

/* One domain's view of a hypervisor; a reference for each user. */
struct vchan_hyp {
    const struct vchan_grant_ops *grants;
    const struct vchan_event_ops *events;
    const struct vchan_store_ops *store;
    void (*free)(struct vchan_hyp *hyp);
    const struct flow_env *env;
    const char *scheme; /* for addresses: "vchan" */
    uint16_t domid;     /* ours */
    bool descriptors;   /* each channel's wait source is a descriptor */
    uint32_t process;   /* that made it: flow_process() */
    _Atomic uint32_t lost;
    _Atomic uint32_t refs;
    struct flow_lock pins_lock;
    struct vchan_pins *pins; /* see pins.h */
};

/* For a port's constructor: the first reference. */
void flow__vchan_hyp_init(struct vchan_hyp *hyp, const struct flow_env *env);
struct vchan_hyp *flow__vchan_hyp_ref(struct vchan_hyp *hyp);
/* For a port that returns one handle to several callers: false if the last
 * reference is gone and free() is about to be called. */
bool flow__vchan_hyp_try_ref(struct vchan_hyp *hyp);
void flow__vchan_hyp_unref(struct vchan_hyp *hyp);

/* Suspend and migration: see above.  Any thread. */
void flow__vchan_hyp_lost(struct vchan_hyp *hyp);
bool flow__vchan_hyp_is_lost(const struct vchan_hyp *hyp);

/* Whether this process was forked from the one that made the handle. */
bool flow__vchan_hyp_is_inherited(const struct vchan_hyp *hyp);

/*
 * FLOW_OK if the handle can be used, FLOW_E_RESET if it was lost, FLOW_E_INVAL
 * in a process that inherited it.
 */
enum flow_status flow__vchan_hyp_check(const struct vchan_hyp *hyp,
                                       struct flow_error *err);

#endif
