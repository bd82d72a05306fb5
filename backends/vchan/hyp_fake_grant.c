/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_domain.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "backends/vchan/hyp_fake_dir.h"
#include "backends/vchan/shm.h"

static struct fake_region *
fake_grant_region_new(struct fake_hyp *h, uint32_t count,
                      struct vchan_unmap_notify at_unmap)
{
    size_t size = sizeof(struct fake_region) + count * sizeof(uint32_t);
    struct fake_region *r = flow_env_alloc(h->base.env, size);

    if (r == NULL)
        return NULL;
    r->base.count = count;
    r->at_unmap = at_unmap;
    pthread_mutex_lock(&h->lock);
    r->next = h->regions;
    r->link = &h->regions;
    if (r->next != NULL)
        r->next->link = &r->next;
    h->regions = r;
    pthread_mutex_unlock(&h->lock);
    return r;
}

void
flow__fake_region_free(struct fake_hyp *h, struct fake_region *r)
{
    if (r->base.base != NULL)
        munmap(r->base.base - VCHAN_PAGE_SIZE,
               ((size_t)r->base.count + 2) * VCHAN_PAGE_SIZE);
    pthread_mutex_lock(&h->lock);
    *r->link = r->next;
    if (r->next != NULL)
        r->next->link = r->link;
    pthread_mutex_unlock(&h->lock);
    flow_env_free(h->base.env, r,
                  sizeof(*r) + r->base.count * sizeof(uint32_t));
}

/*
 * Maps the pages of refs one after another, between two pages that cannot be
 * accessed; false with errno.
 */
static bool
fake_grant_region_map(struct fake_hyp *h, struct fake_region *r, int prot)
{
    size_t len = ((size_t)r->base.count + 2) * VCHAN_PAGE_SIZE;
    uint32_t run;
    void *at;

    at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return false;
    r->base.base = (uint8_t *)at + VCHAN_PAGE_SIZE;
    for (uint32_t i = 0; i < r->base.count; i += run) {
        off_t off = (off_t)(r->refs[i] - VCHAN_REF_MIN) * VCHAN_PAGE_SIZE;

        for (run = 1; i + run < r->base.count; run++)
            if (r->refs[i + run] != r->refs[i] + run)
                break;
        if (mmap(r->base.base + (size_t)i * VCHAN_PAGE_SIZE,
                 (size_t)run * VCHAN_PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED,
                 h->dir.pages_fd, off) == MAP_FAILED)
            return false;
    }
    return true;
}

/* Stores in the world what is to happen if this member dies with the region. */
static void
fake_grant_notify_enter(struct fake_hyp *h, const struct fake_region *r)
{
    struct fake_port *port;

    if (r->at_unmap.channel == NULL || r->at_unmap.clear_at == VCHAN_CLEAR_NONE)
        return;
    port = &h->dir.world->port[r->at_unmap.channel->port];
    port->clear_ref = r->refs[0];
    port->clear_at = r->at_unmap.clear_at;
}

/* Does what a kernel does when it unmaps the region. */
static void
fake_grant_notify_run(struct fake_hyp *h, const struct fake_region *r)
{
    if (r->at_unmap.clear_at != VCHAN_CLEAR_NONE) {
        flow__shm_store8(r->base.base + r->at_unmap.clear_at, 0);
        flow__shm_fence();
    }
    if (r->at_unmap.channel == NULL)
        return;
    flow__fake_events.notify(r->at_unmap.channel);
    flow__fake_lock(&h->dir);
    h->dir.world->port[r->at_unmap.channel->port].clear_ref = 0;
    flow__fake_unlock(&h->dir);
}

/*
 * Grants pages that are free both in the tables and in our own list: another
 * member may have written into the tables that pages of ours are free.  The
 * world's lock is held; it also guards `shared` of each region.
 */
static bool
fake_grant_pages(struct fake_hyp *h, uint16_t peer, bool writable,
                 struct fake_region *region)
{
    uint32_t count = region->base.count;
    int32_t first = flow__fake_grant(&h->dir, peer, count, writable);
    uint32_t ref = (uint32_t)first + VCHAN_REF_MIN;

    pthread_mutex_lock(&h->lock);
    for (const struct fake_region *r = h->regions; r != NULL; r = r->next)
        if (r->shared && r->refs[0] < ref + count &&
            ref < r->refs[0] + r->base.count)
            first = -1;
    pthread_mutex_unlock(&h->lock);
    if (first < 0)
        return false;
    for (uint32_t i = 0; i < count; i++)
        region->refs[i] = ref + i;
    region->shared = true;
    return true;
}

/* False if a living peer has one of the pages mapped. */
static bool
fake_grant_end_pages(struct fake_hyp *h, struct fake_region *r)
{
    bool freed;

    flow__fake_lock(&h->dir);
    freed =
        flow__fake_ungrant(&h->dir, r->refs[0] - VCHAN_REF_MIN, r->base.count);
    /* Another thread may grant them after this. */
    r->shared = !freed;
    flow__fake_unlock(&h->dir);
    return freed;
}

static enum flow_status
fake_grant_share(struct vchan_hyp *hyp, uint16_t peer, uint32_t count,
                 bool writable, struct vchan_unmap_notify at_unmap,
                 uint32_t *ret_refs, struct vchan_region **ret_region,
                 struct flow_error *err)
{
    struct fake_hyp *h = flow__fake_of(hyp);
    struct fake_region *r = fake_grant_region_new(h, count, at_unmap);
    bool granted;

    if (r == NULL)
        return flow__fake_fail(err, FLOW_E_NOMEM, 0, "no memory for a region");
    flow__fake_lock(&h->dir);
    granted = fake_grant_pages(h, peer, writable, r);
    flow__fake_unlock(&h->dir);
    if (!granted) {
        flow__fake_region_free(h, r);
        return flow__fake_fail(err, FLOW_E_NOMEM, 0,
                               "no contiguous free pages");
    }
    memcpy(ret_refs, r->refs, count * sizeof(*ret_refs));
    if (!fake_grant_region_map(h, r, PROT_READ | PROT_WRITE)) {
        int code = errno;

        fake_grant_end_pages(h, r);
        flow__fake_region_free(h, r);
        return flow__fake_fail(err, FLOW_E_SYS, code, "cannot map pages");
    }
    memset(r->base.base, 0, (size_t)count * VCHAN_PAGE_SIZE);
    flow__fake_lock(&h->dir);
    fake_grant_notify_enter(h, r);
    flow__fake_unlock(&h->dir);
    *ret_region = &r->base;
    return FLOW_OK;
}

static enum flow_status
fake_grant_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    struct fake_hyp *h = flow__fake_of(hyp);
    struct fake_region *r = (struct fake_region *)region;

    if (flow__vchan_hyp_is_inherited(hyp)) {
        flow__fake_region_free(h, r);
        return FLOW_OK;
    }
    if (r->at_unmap.channel != NULL) {
        fake_grant_notify_run(h, r);
        r->at_unmap.channel = NULL; /* closed before a second attempt */
    }
    if (!fake_grant_end_pages(h, r))
        return FLOW_E_BUSY;
    flow__fake_region_free(h, r);
    return FLOW_OK;
}

static enum flow_status
fake_grant_map(struct vchan_hyp *hyp, uint16_t peer, const uint32_t *refs,
               uint32_t count, bool writable,
               struct vchan_unmap_notify at_unmap,
               struct vchan_region **ret_region, struct flow_error *err)
{
    struct fake_hyp *h = flow__fake_of(hyp);
    struct fake_region *r = fake_grant_region_new(h, count, at_unmap);
    bool ok = true;

    (void)peer;
    if (r == NULL)
        return flow__fake_fail(err, FLOW_E_NOMEM, 0, "no memory for a region");
    memcpy(r->refs, refs, count * sizeof(*refs));

    flow__fake_lock(&h->dir);
    for (uint32_t i = 0; ok && i < count; i++)
        ok = flow__fake_may_map(&h->dir, hyp->domid, refs[i], writable);
    for (uint32_t i = 0; ok && i < count; i++)
        h->dir.world->page[refs[i] - VCHAN_REF_MIN].mapper = h->dir.member;
    if (ok)
        fake_grant_notify_enter(h, r);
    flow__fake_unlock(&h->dir);
    if (!ok) {
        flow__fake_region_free(h, r);
        return FLOW_AGAIN;
    }
    if (!fake_grant_region_map(h, r,
                               writable ? PROT_READ | PROT_WRITE : PROT_READ)) {
        int code = errno;

        hyp->grants->unmap(hyp, &r->base);
        return flow__fake_fail(err, FLOW_E_SYS, code, "cannot map pages");
    }
    *ret_region = &r->base;
    return FLOW_OK;
}

static void
fake_grant_unmap(struct vchan_hyp *hyp, struct vchan_region *region)
{
    struct fake_hyp *h = flow__fake_of(hyp);
    struct fake_region *r = (struct fake_region *)region;

    if (flow__vchan_hyp_is_inherited(hyp)) {
        flow__fake_region_free(h, r);
        return;
    }
    if (r->at_unmap.channel != NULL)
        fake_grant_notify_run(h, r);
    flow__fake_lock(&h->dir);
    for (uint32_t i = 0; i < r->base.count; i++)
        flow__fake_unmapped(h->dir.world, r->refs[i]);
    flow__fake_unlock(&h->dir);
    flow__fake_region_free(h, r);
}

const struct vchan_grant_ops flow__fake_grants = {
    .share = fake_grant_share,
    .unshare = fake_grant_unshare,
    .map = fake_grant_map,
    .unmap = fake_grant_unmap,
};
