/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_UNIKERNEL_H
#define FLOW_VCHAN_HYP_UNIKERNEL_H

/* Without this the headers declare the interface of Xen 3.0
 * (xen/xen-compat.h), which lacks EVTCHNOP_status. */
#define __XEN_INTERFACE_VERSION__ 0x00040700

#include <flow/guest.h>

#include "backends/vchan/hyp.h"
#include "backends/vchan/hyp_unikernel_port.h"
#include "backends/vchan/hyp_unikernel_xs.h"

struct unikernel_grant_region;

/*
 * The handle of a Xen guest without an operating system, on hypercalls and
 * shared pages.  There is one for the whole domain.
 *
 * `lock` guards the table of ports, the references in use and the list of
 * regions; an upcall takes it.  The lock of the store is taken before it.  On a
 * unikernel both are empty; the tests run this port in programs with threads
 * and fork.
 */
struct unikernel_hyp {
    struct vchan_hyp base;
    const struct flow_guest *guest;
    struct flow_lock lock;
    struct unikernel_port **ports; /* UNIKERNEL_PORTS of them */
    uint32_t ports_end;
    uint8_t *refs; /* a bit for each reference, set if in use */
    uint32_t ref_count;
    struct unikernel_grant_region *regions; /* granted and mapped */
    struct unikernel_xs xs;
};

/* An event channel; see hyp_unikernel_channel.c. */
struct vchan_channel {
    struct unikernel_hyp *hyp;
    struct unikernel_port port;
    uint32_t remote; /* of a client; a server's is asked for */
};

extern const struct vchan_grant_ops flow__unikernel_grants;
extern const struct vchan_event_ops flow__unikernel_channels;
extern const struct vchan_store_ops flow__unikernel_store;

/* Makes the handle of a domain; its reference is the caller's. */
enum flow_status flow__unikernel_new(const struct flow_env *env,
                                     const struct flow_guest *guest,
                                     struct vchan_hyp **ret_hyp,
                                     struct flow_error *err);

static inline struct unikernel_hyp *
flow__unikernel_of(struct vchan_hyp *hyp)
{
    return (struct unikernel_hyp *)hyp;
}

/* A hypercall with an operation and its argument. */
static inline int64_t
flow__unikernel_call(const struct unikernel_hyp *h, uint32_t number,
                     uint32_t operation, void *argument)
{
    return h->guest->hypercall(h->guest->ctx, number, operation,
                               (uint64_t)(uintptr_t)argument, 0);
}

/* Fails with an errno of Xen, negative; E_NOMEM if that says so. */
enum flow_status flow__unikernel_fail(struct flow_error *err, int64_t code,
                                      const char *text, const char *hint);

/* Whether a domain of this number exists. */
enum vchan_presence flow__unikernel_presence(const struct unikernel_hyp *h,
                                             uint16_t domid);

/* Notifies every peer that the domain ends, without a lock: see
 * flow_guest_stop(). */
void flow__unikernel_regions_stop(struct unikernel_hyp *h);
/* Frees what describes regions that peers still have mapped. */
void flow__unikernel_regions_forget(struct unikernel_hyp *h);

size_t flow__unikernel_console_write(const struct unikernel_hyp *h,
                                     const char *text, size_t len);

#endif
