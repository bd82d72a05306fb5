/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_UNIKERNEL_XS_H
#define FLOW_VCHAN_HYP_UNIKERNEL_XS_H

#include <flow/guest.h>

#include "backends/vchan/hyp_unikernel_port.h"
#include "backends/vchan/path.h"

struct xenstore_domain_interface;

/* Bytes of a message's header and of the longest message after it
 * (xen/io/xs_wire.h). */
#define UNIKERNEL_XS_HEADER  16u
#define UNIKERNEL_XS_PAYLOAD 4096u

/* Bytes of a watched path, with its NUL. */
#define UNIKERNEL_XS_WATCH_MAX (VCHAN_BASE_MAX + 16)

/*
 * The connection of the domain with xenstored; see hyp_unikernel_xs.c.
 */
struct unikernel_xs {
    struct flow_lock lock;
    struct unikernel_port port;
    struct xenstore_domain_interface *ring;
    uint32_t req_prod;  /* ours; not read back */
    uint32_t rsp_cons;  /* the same */
    uint32_t next_id;   /* of the next request */
    const char *broken; /* why the connection cannot be used any more */
    struct vchan_watch *watches;
    uint32_t next_token;
    /* The message that is being received, with a NUL after it. */
    uint32_t have;
    union {
        uint32_t word[UNIKERNEL_XS_HEADER / 4];
        uint8_t byte[UNIKERNEL_XS_HEADER];
    } head;
    uint8_t body[UNIKERNEL_XS_PAYLOAD + 1];
};

/* A watch of a path; the store sends its token with each event. */
struct vchan_watch {
    struct unikernel_hyp *hyp;
    struct flow_event event;
    _Atomic uint32_t seen; /* signals that the last drain saw */
    uint32_t token;
    struct vchan_watch *next;
    char path[UNIKERNEL_XS_WATCH_MAX];
};

/* 0, or an errno of Xen, negative: that there is no such port. */
int64_t flow__unikernel_xs_init(struct unikernel_hyp *h);
void flow__unikernel_xs_fini(struct unikernel_hyp *h);

/*
 * Makes a request and waits for its answer.  Returns 0 with *ret_len bytes in
 * its memory, or an errno of Xen, negative: that of the store, or
 *
 * XEN_E2BIG      the request is too long
 * XEN_ENOBUFS    the answer is longer than its memory
 * XEN_ETIMEDOUT  the store does not answer
 * XEN_EIO        it violated the protocol, now or earlier
 */
int64_t flow__unikernel_xs_call(struct unikernel_hyp *h,
                                const struct flow_guest_request *request,
                                size_t *ret_len);

/* The error of a request that failed; detail: the path. */
enum flow_status flow__unikernel_xs_fail(const struct unikernel_hyp *h,
                                         struct flow_error *err, int64_t code,
                                         const char *text, const char *path);

/* Watches: as in struct vchan_store_ops, of any path. */
enum flow_status flow__unikernel_xs_watch(struct unikernel_hyp *h,
                                          const char *path,
                                          struct vchan_watch **ret_watch,
                                          struct flow_error *err);
void flow__unikernel_xs_watch_wait(const struct vchan_watch *watch,
                                   struct flow_wait_set *set);
bool flow__unikernel_xs_watch_drain(struct vchan_watch *watch);
void flow__unikernel_xs_watch_close(struct vchan_watch *watch);

#endif
