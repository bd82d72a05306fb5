/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "backends/vchan/proto.h"

#define LINUX_GRANT_HINT "load the module, and see who may open /dev/xen"

/*
 * Regions of pages: our own, granted to a peer through xen-gntalloc, and a
 * peer's, mapped through xen-gntdev.
 *
 * Invariants: each device is opened once, when it is first needed, and stays
 * open until the handle is closed.  A region is not inherited by a child
 * (MADV_DONTFORK), and a child that inherits the handle unmaps nothing.
 *
 * Locks: that of the handle, for opening a device only.  Threads: any, on
 * different regions.
 */

struct grant_region {
    struct vchan_region base;
};

static struct linux_hyp *
linux_grant_handle_of(struct vchan_hyp *hyp)
{
    return (struct linux_hyp *)hyp;
}

/* The port on which the kernel sends an event when it unmaps a region. */
static uint32_t
linux_grant_port_of(struct vchan_hyp *hyp, struct vchan_unmap_notify at_unmap)
{
    return hyp->events->port(at_unmap.channel);
}

/* The device for granting pages; NULL with an error. */
static xengntshr_handle *
linux_grant_share_device(struct linux_hyp *h, struct flow_error *err)
{
    xengntshr_handle *share;

    flow__vchan_linux_lock(&h->lock);
    if (h->share == NULL) {
        h->share = flow__xen.xengntshr_open(&flow__vchan_linux_log, 0);
        /* Some releases do not set close-on-exec: a program that we execute
         * would keep our pages granted after our exit. */
        if (h->share != NULL)
            fcntl(flow__xen.xengntshr_fd(h->share), F_SETFD, FD_CLOEXEC);
    }
    share = h->share;
    flow__vchan_linux_unlock(&h->lock);
    if (share == NULL)
        flow__vchan_linux_fail(
            err, "cannot open the device for granting pages, xen-gntalloc",
            LINUX_GRANT_HINT);
    return share;
}

/* The device for mapping a peer's pages; NULL with an error. */
static xengnttab_handle *
linux_grant_map_device(struct linux_hyp *h, struct flow_error *err)
{
    xengnttab_handle *map;

    flow__vchan_linux_lock(&h->lock);
    if (h->map == NULL)
        h->map = flow__xen.xengnttab_open(&flow__vchan_linux_log, 0);
    map = h->map;
    flow__vchan_linux_unlock(&h->lock);
    if (map == NULL)
        flow__vchan_linux_fail(
            err, "cannot open the device for mapping grants, xen-gntdev",
            LINUX_GRANT_HINT);
    return map;
}

/* Makes the object of a region.  Its pages are kept out of children: a child
 * would keep them mapped after our exit, and the kernel would not notify the
 * peer. */
static enum flow_status
linux_grant_region_new(struct vchan_hyp *hyp, void *base, uint32_t count,
                       struct vchan_region **ret_region, struct flow_error *err)
{
    struct grant_region *r = flow_env_alloc(hyp->env, sizeof(*r));

    if (r == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for a region");
    (void)madvise(base, (size_t)count * VCHAN_PAGE_SIZE, MADV_DONTFORK);
    r->base.base = base;
    r->base.count = count;
    *ret_region = &r->base;
    return FLOW_OK;
}

static enum flow_status
linux_grant_share(struct vchan_hyp *hyp, uint16_t peer, uint32_t count,
                  bool writable, struct vchan_unmap_notify at_unmap,
                  uint32_t *ret_refs, struct vchan_region **ret_region,
                  struct flow_error *err)
{
    xengntshr_handle *share =
        linux_grant_share_device(linux_grant_handle_of(hyp), err);
    enum flow_status st;
    void *base;

    if (share == NULL)
        return FLOW_E_SYS;
    if (at_unmap.channel != NULL)
        base = flow__xen.xengntshr_share_page_notify(
            share, peer, ret_refs, writable, at_unmap.clear_at,
            linux_grant_port_of(hyp, at_unmap));
    else
        base = flow__xen.xengntshr_share_pages(share, peer, (int)count,
                                               ret_refs, writable);
    if (base == NULL)
        return flow__vchan_linux_fail(
            err, "cannot grant pages",
            "see the limit parameter of the module xen-gntalloc");
    memset(base, 0, (size_t)count * VCHAN_PAGE_SIZE);
    st = linux_grant_region_new(hyp, base, count, ret_region, err);
    if (st != FLOW_OK)
        flow__xen.xengntshr_unshare(share, base, count);
    return st;
}

/* Current kernels end the grant at once, keep the pages for as long as the
 * peer has them mapped, and do not report it. */
static enum flow_status
linux_grant_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    if (!flow__vchan_hyp_is_inherited(hyp))
        flow__xen.xengntshr_unshare(linux_grant_handle_of(hyp)->share,
                                    region->base, region->count);
    flow_env_free(hyp->env, region, sizeof(struct grant_region));
    return FLOW_OK;
}

static enum flow_status
linux_grant_map(struct vchan_hyp *hyp, uint16_t peer, const uint32_t *refs,
                uint32_t count, bool writable,
                struct vchan_unmap_notify at_unmap,
                struct vchan_region **ret_region, struct flow_error *err)
{
    xengnttab_handle *map =
        linux_grant_map_device(linux_grant_handle_of(hyp), err);
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    uint32_t copy[VCHAN_PAGES_MAX];
    enum flow_status st;
    void *base;

    if (map == NULL)
        return FLOW_E_SYS;
    if (at_unmap.channel != NULL) {
        base = flow__xen.xengnttab_map_grant_ref_notify(
            map, peer, refs[0], prot, at_unmap.clear_at,
            linux_grant_port_of(hyp, at_unmap));
    } else {
        memcpy(copy, refs, count * sizeof(*refs));
        base = flow__xen.xengnttab_map_domain_grant_refs(map, count, peer, copy,
                                                         prot);
    }
    /* The driver's errors for a reference that the hypervisor refuses. */
    if (base == NULL && (errno == EINVAL || errno == EAGAIN))
        return FLOW_AGAIN;
    if (base == NULL)
        return flow__vchan_linux_fail(
            err, "cannot map the peer's pages",
            "see the limit parameter of the module xen-gntdev");
    st = linux_grant_region_new(hyp, base, count, ret_region, err);
    if (st != FLOW_OK)
        flow__xen.xengnttab_unmap(map, base, count);
    return st;
}

static void
linux_grant_unmap(struct vchan_hyp *hyp, struct vchan_region *region)
{
    if (!flow__vchan_hyp_is_inherited(hyp))
        flow__xen.xengnttab_unmap(linux_grant_handle_of(hyp)->map, region->base,
                                  region->count);
    flow_env_free(hyp->env, region, sizeof(struct grant_region));
}

const struct vchan_grant_ops flow__vchan_linux_grants = {
    .share = linux_grant_share,
    .unshare = linux_grant_unshare,
    .map = linux_grant_map,
    .unmap = linux_grant_unmap,
};
