/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <string.h>

#include <xen/grant_table.h>
#include <xen/xen.h>

#include "backends/vchan/proto.h"
#include "backends/vchan/shm.h"

/*
 * Regions of pages: our own, granted to a peer in the grant table, version 1,
 * and a peer's, mapped at a window of addresses without memory.
 *
 * Invariants: a reference's bit in `refs` is set from before its entry is
 * enabled until after it has been ended, and so is the memory of its page kept:
 * neither is reused while the peer has the page mapped.  A page that is granted
 * contains nothing else.
 *
 * Locks: that of the handle, for `refs` and the list of regions.  Threads: any,
 * on different regions.
 */

/* Pages that one hypercall maps. */
#define GRANT_BATCH 16u
/* How often the end of a grant is tried while the peer maps and unmaps. */
#define GRANT_END_TRIES 8u

struct unikernel_grant_region {
    struct vchan_region base;
    struct vchan_unmap_notify at_unmap;
    struct unikernel_grant_region *next; /* of the handle's list */
    struct unikernel_grant_region **link;
    uint32_t ids[]; /* references of ours, or handles of mappings */
};

static void
grant_lock(struct unikernel_hyp *h)
{
    flow_fork_block();
    flow_lock_acquire(&h->lock);
}

static void
grant_unlock(struct unikernel_hyp *h)
{
    flow_lock_release(&h->lock);
    flow_fork_unblock();
}

static struct unikernel_grant_region *
grant_region_new(struct unikernel_hyp *h, uint32_t count)
{
    struct unikernel_grant_region *r =
        flow_env_alloc(h->base.env, sizeof(*r) + count * sizeof(r->ids[0]));

    if (r != NULL)
        r->base.count = count;
    return r;
}

static void
grant_region_free(struct unikernel_hyp *h, struct unikernel_grant_region *r)
{
    flow_env_free(h->base.env, r,
                  sizeof(*r) + r->base.count * sizeof(r->ids[0]));
}

/* Enters a region that Xen has granted or mapped. */
static void
grant_region_enlist(struct unikernel_hyp *h, struct unikernel_grant_region *r,
                    struct vchan_unmap_notify at_unmap)
{
    r->at_unmap = at_unmap;
    grant_lock(h);
    r->next = h->regions;
    r->link = &h->regions;
    if (r->next != NULL)
        r->next->link = &r->next;
    h->regions = r;
    grant_unlock(h);
}

static void
grant_region_delist(struct unikernel_hyp *h, struct unikernel_grant_region *r)
{
    grant_lock(h);
    *r->link = r->next;
    if (r->next != NULL)
        r->next->link = r->link;
    grant_unlock(h);
}

/* What a kernel does when it unmaps the region. */
static void
grant_notify(const struct unikernel_hyp *h,
             const struct unikernel_grant_region *r)
{
    if (r->at_unmap.channel == NULL)
        return;
    if (r->at_unmap.clear_at != VCHAN_CLEAR_NONE) {
        flow__shm_store8(r->base.base + r->at_unmap.clear_at, 0);
        flow__shm_fence();
    }
    flow__unikernel_port_send(h, r->at_unmap.channel->port.number);
}

void
flow__unikernel_regions_stop(struct unikernel_hyp *h)
{
    for (const struct unikernel_grant_region *r = h->regions; r != NULL;
         r = r->next)
        grant_notify(h, r);
}

static bool
grant_ref_is_used(const struct unikernel_hyp *h, uint32_t ref)
{
    return (h->refs[ref / 8] & (1u << ref % 8)) != 0;
}

/* The lock is held. */
static void
grant_ref_mark(struct unikernel_hyp *h, uint32_t ref, bool used)
{
    uint8_t bit = (uint8_t)(1u << ref % 8);

    if (used)
        h->refs[ref / 8] |= bit;
    else
        h->refs[ref / 8] &= (uint8_t)~bit;
}

static void
grant_refs_release(struct unikernel_hyp *h,
                   const struct unikernel_grant_region *r, uint32_t count)
{
    grant_lock(h);
    for (uint32_t i = 0; i < count; i++)
        grant_ref_mark(h, r->ids[i], false);
    grant_unlock(h);
}

/* Takes a free reference for each page; false if there are too few. */
static bool
grant_refs_take(struct unikernel_hyp *h, struct unikernel_grant_region *r)
{
    uint32_t ref = VCHAN_REF_MIN;
    uint32_t taken = 0;

    grant_lock(h);
    for (; ref < h->ref_count && taken < r->base.count; ref++) {
        if (grant_ref_is_used(h, ref))
            continue;
        grant_ref_mark(h, ref, true);
        r->ids[taken++] = ref;
    }
    grant_unlock(h);
    if (taken == r->base.count)
        return true;
    grant_refs_release(h, r, taken);
    return false;
}

static struct grant_entry_v1 *
grant_entry_of(const struct unikernel_hyp *h, uint32_t ref)
{
    return (struct grant_entry_v1 *)h->guest->grant_table + ref;
}

static void
grant_enable(const struct unikernel_hyp *h, uint32_t ref, uint16_t peer,
             uint32_t frame, bool writable)
{
    struct grant_entry_v1 *entry = grant_entry_of(h, ref);
    uint16_t flags = GTF_permit_access;

    if (!writable)
        flags |= GTF_readonly;
    entry->domid = peer;
    entry->frame = frame;
    /* With release: the entry is whole when Xen sees the flags. */
    flow__page_store(&entry->flags, flags);
}

/* False while the peer has the page mapped.  Xen changes the flags at any time,
 * so they are cleared in one step. */
static bool
grant_end(const struct unikernel_hyp *h, uint32_t ref)
{
    struct grant_entry_v1 *entry = grant_entry_of(h, ref);
    uint16_t flags = flow__page_load(&entry->flags);

    for (unsigned i = 0; i < GRANT_END_TRIES; i++) {
        if (flags & (GTF_reading | GTF_writing))
            return false;
        if (flow__page_replace(&entry->flags, &flags, 0))
            return true;
    }
    return false;
}

/* Ends what can be ended; a page whose grant has ended stays so. */
static bool
grant_end_all(const struct unikernel_hyp *h,
              const struct unikernel_grant_region *r)
{
    bool ended = true;

    for (uint32_t i = 0; i < r->base.count; i++)
        ended &= grant_end(h, r->ids[i]);
    return ended;
}

static void
grant_pages_free(struct unikernel_hyp *h, struct unikernel_grant_region *r)
{
    h->guest->pages_free(h->guest->ctx, r->base.base, r->base.count);
    grant_region_free(h, r);
}

/* Zeroed pages and a reference for each. */
static enum flow_status
grant_region_make(struct unikernel_hyp *h, uint32_t count,
                  struct unikernel_grant_region **ret_region,
                  struct flow_error *err)
{
    struct unikernel_grant_region *r = grant_region_new(h, count);

    if (r != NULL)
        r->base.base = h->guest->pages(h->guest->ctx, count);
    if (r == NULL || r->base.base == NULL) {
        if (r != NULL)
            grant_region_free(h, r);
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for pages");
    }
    memset(r->base.base, 0, (size_t)count * VCHAN_PAGE_SIZE);
    if (grant_refs_take(h, r)) {
        *ret_region = r;
        return FLOW_OK;
    }
    grant_pages_free(h, r);
    flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                   "no grant references are left");
    if (err != NULL)
        err->hint = "give the guest more grant frames";
    return FLOW_E_NOMEM;
}

static enum flow_status
grant_share(struct vchan_hyp *hyp, uint16_t peer, uint32_t count, bool writable,
            struct vchan_unmap_notify at_unmap, uint32_t *ret_refs,
            struct vchan_region **ret_region, struct flow_error *err)
{
    struct unikernel_hyp *h = flow__unikernel_of(hyp);
    struct unikernel_grant_region *r = NULL;
    enum flow_status st = grant_region_make(h, count, &r, err);

    if (st != FLOW_OK)
        return st;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *page = r->base.base + (size_t)i * VCHAN_PAGE_SIZE;
        uint64_t address = h->guest->address(h->guest->ctx, page);

        grant_enable(h, r->ids[i], peer, (uint32_t)(address / VCHAN_PAGE_SIZE),
                     writable);
        ret_refs[i] = r->ids[i];
    }
    grant_region_enlist(h, r, at_unmap);
    *ret_region = &r->base;
    return FLOW_OK;
}

static enum flow_status
grant_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    struct unikernel_hyp *h = flow__unikernel_of(hyp);
    struct unikernel_grant_region *r = (struct unikernel_grant_region *)region;

    if (!flow__vchan_hyp_is_inherited(hyp)) {
        grant_notify(h, r);
        r->at_unmap.channel = NULL; /* closed before a second attempt */
        if (!grant_end_all(h, r))
            return FLOW_E_BUSY;
        grant_refs_release(h, r, r->base.count);
    }
    grant_region_delist(h, r);
    grant_pages_free(h, r);
    return FLOW_OK;
}

/* With the handle ends what is known of pages that a peer still has mapped.
 * Their memory is never used again. */
void
flow__unikernel_regions_forget(struct unikernel_hyp *h)
{
    struct unikernel_grant_region *r;

    while ((r = h->regions) != NULL) {
        grant_region_delist(h, r);
        grant_region_free(h, r);
    }
}

static uint64_t
grant_address_of(const struct unikernel_hyp *h,
                 const struct unikernel_grant_region *r, uint32_t i)
{
    return h->guest->address(h->guest->ctx,
                             r->base.base + (size_t)i * VCHAN_PAGE_SIZE);
}

/* Unmaps the first `count` pages of a region. */
static void
grant_unmap_pages(const struct unikernel_hyp *h,
                  const struct unikernel_grant_region *r, uint32_t count)
{
    struct gnttab_unmap_grant_ref op[GRANT_BATCH];
    uint32_t done = 0;

    while (done < count) {
        uint32_t n = 0;

        for (; n < GRANT_BATCH && done < count; n++, done++)
            op[n] = (struct gnttab_unmap_grant_ref){
                .host_addr = grant_address_of(h, r, done),
                .handle = r->ids[done],
            };
        h->guest->hypercall(h->guest->ctx, __HYPERVISOR_grant_table_op,
                            GNTTABOP_unmap_grant_ref, (uint64_t)(uintptr_t)op,
                            n);
    }
}

/* Maps a batch of pages from `first` on.  *ret_mapped of them were; the result
 * is the status of the first that was not, or an errno of the hypercall. */
static int64_t
grant_map_batch(const struct unikernel_hyp *h, struct unikernel_grant_region *r,
                uint32_t first, uint16_t peer, const uint32_t *refs,
                uint32_t flags, uint32_t *ret_mapped)
{
    struct gnttab_map_grant_ref op[GRANT_BATCH] = { 0 };
    uint32_t count = r->base.count - first;
    uint32_t n;
    int64_t rc;

    if (count > GRANT_BATCH)
        count = GRANT_BATCH;
    for (n = 0; n < count; n++) {
        op[n].host_addr = grant_address_of(h, r, first + n);
        op[n].flags = flags;
        op[n].ref = refs[first + n];
        op[n].dom = peer;
        op[n].status = GNTST_general_error;
    }
    *ret_mapped = 0;
    rc = h->guest->hypercall(h->guest->ctx, __HYPERVISOR_grant_table_op,
                             GNTTABOP_map_grant_ref, (uint64_t)(uintptr_t)op,
                             count);
    if (rc != 0)
        return rc;
    for (n = 0; n < count && op[n].status == GNTST_okay; n++)
        r->ids[first + n] = op[n].handle;
    *ret_mapped = n;
    if (n == count)
        return GNTST_okay;
    rc = op[n].status;
    /* Pages after the one that failed may be mapped: unmap those here, so that
     * the caller knows which are. */
    while (++n < count)
        if (op[n].status == GNTST_okay) {
            struct gnttab_unmap_grant_ref undo = {
                .host_addr = op[n].host_addr,
                .handle = op[n].handle,
            };

            h->guest->hypercall(h->guest->ctx, __HYPERVISOR_grant_table_op,
                                GNTTABOP_unmap_grant_ref,
                                (uint64_t)(uintptr_t)&undo, 1);
        }
    return rc;
}

/* Maps all pages of a region or none. */
static int64_t
grant_map_pages(const struct unikernel_hyp *h, struct unikernel_grant_region *r,
                uint16_t peer, const uint32_t *refs, bool writable)
{
    uint32_t flags = GNTMAP_host_map | (writable ? 0u : GNTMAP_readonly);
    uint32_t done = 0;
    uint32_t mapped;
    int64_t rc = GNTST_okay;

    while (rc == GNTST_okay && done < r->base.count) {
        rc = grant_map_batch(h, r, done, peer, refs, flags, &mapped);
        done += mapped;
    }
    if (rc != GNTST_okay)
        grant_unmap_pages(h, r, done);
    return rc;
}

static enum flow_status
grant_map_failed(int64_t status, struct flow_error *err)
{
    if (status == GNTST_bad_gntref || status == GNTST_bad_domain ||
        status == GNTST_eagain)
        return FLOW_AGAIN;
    return flow_error_set(
        err, status == GNTST_no_space ? FLOW_E_NOMEM : FLOW_E_SYS, "vchan",
        FLOW_DOMAIN_XEN, (int32_t)status, "cannot map the peer's pages");
}

static enum flow_status
grant_map(struct vchan_hyp *hyp, uint16_t peer, const uint32_t *refs,
          uint32_t count, bool writable, struct vchan_unmap_notify at_unmap,
          struct vchan_region **ret_region, struct flow_error *err)
{
    struct unikernel_hyp *h = flow__unikernel_of(hyp);
    struct unikernel_grant_region *r = grant_region_new(h, count);
    int64_t rc;

    if (r != NULL)
        r->base.base = h->guest->window(h->guest->ctx, count);
    if (r == NULL || r->base.base == NULL) {
        if (r != NULL)
            grant_region_free(h, r);
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no room to map the peer's pages");
    }
    rc = grant_map_pages(h, r, peer, refs, writable);
    if (rc != GNTST_okay) {
        h->guest->window_free(h->guest->ctx, r->base.base, count);
        grant_region_free(h, r);
        return grant_map_failed(rc, err);
    }
    grant_region_enlist(h, r, at_unmap);
    *ret_region = &r->base;
    return FLOW_OK;
}

static void
grant_unmap(struct vchan_hyp *hyp, struct vchan_region *region)
{
    struct unikernel_hyp *h = flow__unikernel_of(hyp);
    struct unikernel_grant_region *r = (struct unikernel_grant_region *)region;

    if (!flow__vchan_hyp_is_inherited(hyp)) {
        grant_notify(h, r);
        grant_unmap_pages(h, r, r->base.count);
        h->guest->window_free(h->guest->ctx, r->base.base, r->base.count);
    }
    grant_region_delist(h, r);
    grant_region_free(h, r);
}

const struct vchan_grant_ops flow__unikernel_grants = {
    .share = grant_share,
    .unshare = grant_unshare,
    .map = grant_map,
    .unmap = grant_unmap,
};
