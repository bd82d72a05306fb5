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
 * The hypervisor seam: what this backend needs of Xen, and what a port to
 * another host of vchan (a unikernel, a simulator) provides.  Three tables,
 * one per facility, so that each can be read against one Xen header.
 *
 * Calls.  Nothing here blocks for the peer; store calls may take a round trip
 * to the store.  An operation that fails fills *err (which may be NULL) and
 * has no effect.
 *
 * Threads.  Functions on one region, channel or watch are called by one thread
 * at a time, except notify(), drain(), wait(), state(), remote() and the
 * watch's, which both directions of a flow may call at once.  Functions on a
 * handle may be called by several threads at once.
 *
 * Handles.  A handle is reference-counted: every listener and flow has a
 * reference, and the last one calls free().  A port may give out one handle
 * for all of its domain, and should where a peer's pins or quotas are to be
 * counted for all of the domain's listeners: it then keeps a reference of its
 * own, since pins end with the last one.
 *
 * Order.  A server grants its rings and control page after it has allocated the
 * channel, and ends the grants before it closes the channel; a client binds,
 * maps, unmaps and closes in that order.  If a server finds its channel
 * "unbound", it assumes that the client has unmapped everything, and grants the
 * same pages to the next client of the same domain.
 *
 * Suspend and migration.  A port that loses what it had of the hypervisor
 * calls flow__vchan_hyp_lost() and then makes every wait source of the handle
 * fire.  From there on flows and listeners answer FLOW_E_RESET, and of the
 * functions here only unshare(), unmap(), renew(), close(), watch_close() and
 * free() are called: they give back what is local and answer FLOW_OK.
 *
 * fork.  A process that inherited a handle (flow__vchan_hyp_is_inherited())
 * calls the same but renew(), and nothing else.  They close this process's
 * copies of descriptors and free its memory, and change nothing in the
 * hypervisor, the store or the peer.
 */

struct vchan_hyp;
struct vchan_region;
struct vchan_channel;
struct vchan_watch;

/* Domain ids from here on are reserved (DOMID_FIRST_RESERVED). */
#define VCHAN_DOMID_LIMIT 0x7ff0u

/* Do not clear a byte when the region goes. */
#define VCHAN_CLEAR_NONE UINT32_MAX

/* Pages we grant to a peer, or pages of a peer that we have mapped. */
struct vchan_region {
    uint8_t *base; /* page aligned, contiguous */
    uint32_t count;
    struct vchan_region *next; /* for pins.c, after unshare() was BUSY */
};

/*
 * What the kernel does with a region when it is released or our process dies.
 * With a channel there is a byte to clear, and the region is of one page: a
 * kernel takes one such order per page.
 */
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
     * Clear the byte and send the event that were asked for, end the grant and
     * free the pages.  FLOW_E_BUSY: the peer still has them mapped; nothing was
     * freed, and no page may be used again.  The caller then repeats the call
     * from time to time, in any thread.  Only the first call clears the byte
     * and sends the event: the channel is closed before the second.
     */
    enum flow_status (*unshare)(struct vchan_hyp *hyp,
                                struct vchan_region *region);
    /*
     * Map a peer's pages, in the order of refs.  FLOW_AGAIN: the peer grants
     * us no such pages, so its offer is stale, or its page is being paged in.
     */
    enum flow_status (*map)(struct vchan_hyp *hyp, uint16_t peer,
                            const uint32_t *refs, uint32_t count, bool writable,
                            struct vchan_parting parting,
                            struct vchan_region **ret_region,
                            struct flow_error *err);
    /* Clears the byte and sends the event first, so call it before the
     * channel is closed. */
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
    /* A channel that `peer` may bind, again after each time it has closed its
     * end. */
    enum flow_status (*alloc)(struct vchan_hyp *hyp, uint16_t peer,
                              struct vchan_channel **ret_channel,
                              struct flow_error *err);
    /* Bind a peer's.  FLOW_AGAIN: no such port there, or it is taken. */
    enum flow_status (*bind)(struct vchan_hyp *hyp, uint16_t peer,
                             uint32_t port, struct vchan_channel **ret_channel,
                             struct flow_error *err);
    /* The port number of our end. */
    uint32_t (*port)(const struct vchan_channel *channel);
    /* That of the peer's end; 0: it has none, or cannot be known. */
    uint32_t (*remote)(struct vchan_channel *channel);
    void (*notify)(struct vchan_channel *channel);
    /*
     * Take in the events that have come and let new ones come: true if there
     * was any.  An event after this call makes the wait source fire.
     */
    bool (*drain)(struct vchan_channel *channel);
    /*
     * Adds a source that fires for an event which drain() has not consumed,
     * whether it came before this call or comes after it.  A port adds a
     * descriptor, or a flow_event that notify() at the other end signals, with
     * the count that the last drain() saw.  It never adds a time: the caller
     * has its own.
     */
    void (*wait)(const struct vchan_channel *channel,
                 struct flow_wait_set *set);
    enum vchan_channel_state (*state)(struct vchan_channel *channel);
    /*
     * What wait() has named so far fires no more, wherever it was registered:
     * whoever waits for an allocated channel changes when its offer becomes a
     * flow and when the flow ends, and a foreign event loop knows a source by
     * whom it was for.  wait() names another one from here on, by another
     * number if it has one to spare.  What drain() has not consumed makes it
     * fire.  False: there is nothing for wait() to name; then this is called
     * again before wait() is.  NULL: wait sources end with those who wait.
     */
    bool (*renew)(struct vchan_channel *channel);
    void (*close)(struct vchan_channel *channel);
};

/* Whether the store lets a domain read what names it. */
enum vchan_presence {
    VCHAN_PRESENCE_UNKNOWN,
    VCHAN_ABSENT, /* there is no such domain yet */
    VCHAN_PRESENT,
};

/* The store: xen/io/xs_wire.h.  Paths are absolute. */
struct vchan_store_ops {
    /* Writes both keys, readable by `peer`, in one transaction.  Writing
     * them again makes them readable by a domain that was created since. */
    enum flow_status (*publish)(struct vchan_hyp *hyp, const char *base,
                                uint16_t peer, uint32_t ref, uint32_t port,
                                struct flow_error *err);
    /* Removes both keys if they are still those of `port`, and the base, and
     * what this library keeps above it, if that leaves them empty. */
    void (*withdraw)(struct vchan_hyp *hyp, const char *base, uint32_t port);
    /*
     * Reads both keys.  FLOW_AGAIN: not (both) there.  FLOW_E_AUTH: they are
     * there, but another domain's than the server's.
     */
    enum flow_status (*lookup)(struct vchan_hyp *hyp, uint16_t server,
                               const char *base, uint32_t *ret_ref,
                               uint32_t *ret_port, struct flow_error *err);
    /*
     * Whether a domain is there to read what publish() wrote.  xenstored drops
     * the rights of a domain that it does not know yet, so a server publishes
     * again once its peer is there.  NULL: this store does not.
     */
    enum vchan_presence (*presence)(struct vchan_hyp *hyp, uint16_t domid);
    /*
     * Whether the store has let go of a domain; false too where it does not
     * tell us.  For where the state of a channel cannot be had.  NULL: it can
     * always be had.
     */
    bool (*released)(struct vchan_hyp *hyp, uint16_t domid);
    /*
     * Watches: what fires when lookup() of a base may answer otherwise, and
     * what fires when some domain ends ("@releaseDomain").  Each caller has
     * one of its own, since two sleepers on one would take each other's
     * events, and ends it as soon as it needs it no more: what a watch tells
     * is kept in our memory until it is drained.  watch_keys NULL: there is
     * none, look by the clock.  watch_deaths NULL: every death is an event.
     */
    enum flow_status (*watch_keys)(struct vchan_hyp *hyp, const char *base,
                                   struct vchan_watch **ret_watch,
                                   struct flow_error *err);
    enum flow_status (*watch_deaths)(struct vchan_hyp *hyp,
                                     struct vchan_watch **ret_watch,
                                     struct flow_error *err);
    /* Adds what fires when it has told what watch_drain() did not take. */
    void (*watch_wait)(const struct vchan_watch *watch,
                       struct flow_wait_set *set);
    /* Takes in what it told; true if that was something. */
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
/* For a port that gives out one handle: false when its last reference is gone,
 * and free() about to be called. */
bool flow__vchan_hyp_try_ref(struct vchan_hyp *hyp);
void flow__vchan_hyp_unref(struct vchan_hyp *hyp);

/* Suspend and migration: see above.  Any thread. */
void flow__vchan_hyp_lost(struct vchan_hyp *hyp);
bool flow__vchan_hyp_is_lost(const struct vchan_hyp *hyp);

/* Whether another process made it, of which this one was forked. */
bool flow__vchan_hyp_is_inherited(const struct vchan_hyp *hyp);

/*
 * Whether the handle can be used: FLOW_OK; FLOW_E_RESET when it was lost, and
 * FLOW_E_INVAL in a process that inherited it, with the reason.
 */
enum flow_status flow__vchan_hyp_check(const struct vchan_hyp *hyp,
                                       struct flow_error *err);

#endif
