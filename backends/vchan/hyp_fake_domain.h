/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_DOMAIN_H
#define FLOW_VCHAN_HYP_FAKE_DOMAIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/vchan/hyp.h"
#include "backends/vchan/hyp_fake_world.h"

/*
 * One domain of a fake hypervisor, with lists of what it owns in the world: the
 * world's own tables are not trusted, since every member can write them.
 *
 * Locks, in this order: that of a channel, that of the world, that of the
 * domain's lists.
 */

struct fake_hyp;

/* A region, with what its release needs. */
struct fake_region {
    struct vchan_region base;
    struct vchan_unmap_notify at_unmap;
    bool shared;              /* our own pages; false: mapped pages of a peer */
    struct fake_region *next; /* of all of this hypervisor's */
    struct fake_region **link;
    uint32_t refs[]; /* base.count of them */
};

/*
 * An event channel is a stream socket, and an event is one byte in it: a second
 * event before the first was consumed adds nothing, as on Xen.  The end that
 * was allocated listens until its peer binds, and again after that peer is
 * gone; the accepted socket is another one.  Event loops get the set that
 * contains the current socket.
 */
struct vchan_channel {
    struct fake_hyp *hyp;
    pthread_mutex_t lock; /* notify and drain come from both directions */
    int set;
    int fd;        /* the socket, in the set until the peer is gone */
    int listening; /* the listening one while fd is accepted, or -1 */
    uint32_t port;
    bool listens;
    bool gone;
    struct vchan_channel *next;
    struct vchan_channel **link;
};

struct fake_hyp {
    struct vchan_hyp base;
    struct fake_dir dir;
    pthread_mutex_t lock; /* the two lists */
    struct fake_region *regions;
    struct vchan_channel *channels;
};

static inline struct fake_hyp *
flow__fake_of(struct vchan_hyp *hyp)
{
    return (struct fake_hyp *)hyp;
}

extern const struct vchan_grant_ops flow__fake_grants;
extern const struct vchan_event_ops flow__fake_events;
extern const struct vchan_store_ops flow__fake_store;

/* Unmaps a region and frees its object; the world is left as it is. */
void flow__fake_region_free(struct fake_hyp *h, struct fake_region *r);

/* Fails with an errno as the code, or 0. */
static inline enum flow_status
flow__fake_fail(struct flow_error *err, enum flow_status st, int code,
                const char *text)
{
    return flow_error_set(err, st, "vchan+fake",
                          code != 0 ? FLOW_DOMAIN_ERRNO : FLOW_DOMAIN_NONE,
                          code, text);
}

#endif
