/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_LINUX_H
#define FLOW_VCHAN_HYP_LINUX_H

#include <pthread.h>

#include "backends/vchan/hyp.h"
#include "backends/vchan/hyp_linux_libs.h"
#include "backends/vchan/hyp_linux_view.h"

/*
 * The handle of a Linux domain, on Xen's libraries.  Listeners and flows of one
 * process and environment share it, and with it the devices.  A device is
 * opened when it is first needed; all are closed with the last reference.
 *
 * `lock` guards the opening of `map` and `share`; an open device is not
 * changed. Several threads may use one device at a time (the libraries allow
 * it).  Order of locks: that of the list of handles (hyp_linux.c), `lock`, that
 * of the views.
 */
struct linux_hyp {
    struct vchan_hyp base;
    pthread_mutex_t lock;
    xengnttab_handle *map;   /* NULL: not open yet */
    xengntshr_handle *share; /* the same */
    xencall_handle *call;    /* NULL: no permission; then no channel states */
    struct xs_handle *store;
    struct linux_hyp *next;   /* of all in this process */
    struct linux_views views; /* of its channels */
    int lost; /* an eventfd, readable if the handle is lost; watches add it */
};

extern const struct vchan_grant_ops flow__vchan_linux_grants;
extern const struct vchan_event_ops flow__vchan_linux_channels;
extern const struct vchan_store_ops flow__vchan_linux_store;

/* Lock and unlock a lock that flows of several threads share: fork(2) waits, so
 * that a child finds it free. */
static inline void
flow__vchan_linux_lock(pthread_mutex_t *lock)
{
    flow_fork_block();
    pthread_mutex_lock(lock);
}

static inline void
flow__vchan_linux_unlock(pthread_mutex_t *lock)
{
    pthread_mutex_unlock(lock);
    flow_fork_unblock();
}

/* Fails with errno.  If no descriptor is left, the error's text says so and
 * `text` is its detail. */
enum flow_status flow__vchan_linux_fail(struct flow_error *err,
                                        const char *text, const char *hint);

/* Whether an errno means that no descriptor is left, which says nothing about
 * the device. */
bool flow__vchan_linux_lacks_descriptors(int code);

/* Whether a domain of this number exists; UNKNOWN without the right to make
 * hypercalls. */
enum vchan_presence flow__vchan_linux_domain(struct linux_hyp *h,
                                             uint16_t domid);

/* Our own domain id from the store; false if it has none. */
bool flow__vchan_linux_own(struct xs_handle *store, uint16_t *ret_domid);

/* Closes a connection to the store, of this process or an inherited one. */
void flow__vchan_linux_hang_up(struct xs_handle *store, bool inherited);

#endif
