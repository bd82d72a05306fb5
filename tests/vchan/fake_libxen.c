/* SPDX-License-Identifier: ISC */
#include "fake_libxen.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "backends/vchan/path.h"
#include "backends/vchan/proto.h"

/* Grant handles of both kinds are only a domain. */
struct xengntdev_handle {
    struct vchan_hyp *hyp;
};

struct xenevtchn_handle {
    struct vchan_hyp *hyp;
    struct vchan_channel *channel;
    struct xenevtchn_handle *next;
};

struct xs_handle {
    struct vchan_hyp *hyp;
    char base[VCHAN_BASE_MAX];
    uint32_t ref;
    uint32_t port;
    uint16_t reader;
};

/* Memory that libxenvchan holds; it releases some of it with munmap() alone. */
struct holding {
    struct vchan_hyp *hyp;
    struct vchan_region *region;
    bool shared;
    struct holding *next;
};

static _Thread_local struct vchan_hyp *here;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xenevtchn_handle *channels;
static struct holding *holdings;
static unsigned long events;

int __real_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len);

void
fake_libxen_enter(struct vchan_hyp *hyp)
{
    here = hyp;
}

unsigned long
fake_libxen_events(void)
{
    return __atomic_load_n(&events, __ATOMIC_RELAXED);
}

static void *
hold(struct vchan_hyp *hyp, struct vchan_region *region, bool shared)
{
    struct holding *h = malloc(sizeof(*h));

    h->hyp = hyp;
    h->region = region;
    h->shared = shared;
    pthread_mutex_lock(&lock);
    h->next = holdings;
    holdings = h;
    pthread_mutex_unlock(&lock);
    return region->base;
}

/* Releases a holding; false if the address does not belong to one. */
static bool
let_go(void *addr)
{
    struct holding **at = &holdings;
    struct holding *h;

    pthread_mutex_lock(&lock);
    while (*at != NULL && (*at)->region->base != addr)
        at = &(*at)->next;
    h = *at;
    if (h != NULL)
        *at = h->next;
    pthread_mutex_unlock(&lock);
    if (h == NULL)
        return false;
    /* As Linux, keep shared pages that the peer still maps. */
    if (h->shared)
        (void)h->hyp->grants->unshare(h->hyp, h->region);
    else
        h->hyp->grants->unmap(h->hyp, h->region);
    free(h);
    return true;
}

int
__wrap_munmap(void *addr, size_t len)
{
    return let_go(addr) ? 0 : __real_munmap(addr, len);
}

static struct vchan_unmap_notify
unmap_notify_of(struct vchan_hyp *hyp, uint32_t offset, evtchn_port_t port)
{
    struct vchan_unmap_notify at_unmap = { offset, NULL };

    pthread_mutex_lock(&lock);
    for (struct xenevtchn_handle *x = channels; x != NULL; x = x->next)
        if (x->hyp == hyp && x->channel != NULL &&
            hyp->events->port(x->channel) == port)
            at_unmap.channel = x->channel;
    pthread_mutex_unlock(&lock);
    return at_unmap;
}

static const struct vchan_unmap_notify nothing = { VCHAN_CLEAR_NONE, NULL };

static struct xengntdev_handle *
grant_open(void)
{
    struct xengntdev_handle *x = malloc(sizeof(*x));

    x->hyp = here;
    return x;
}

xengntshr_handle *
xengntshr_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return grant_open();
}

int
xengntshr_close(xengntshr_handle *x)
{
    free(x);
    return 0;
}

static void *
share(xengntshr_handle *x, uint32_t domid, uint32_t count, uint32_t *refs,
      int writable, struct vchan_unmap_notify at_unmap)
{
    struct vchan_region *region;

    if (x->hyp->grants->share(x->hyp, (uint16_t)domid, count, writable != 0,
                              at_unmap, refs, &region, NULL) != FLOW_OK)
        return NULL;
    return hold(x->hyp, region, true);
}

void *
xengntshr_share_pages(xengntshr_handle *x, uint32_t domid, int count,
                      uint32_t *refs, int writable)
{
    return share(x, domid, (uint32_t)count, refs, writable, nothing);
}

void *
xengntshr_share_page_notify(xengntshr_handle *x, uint32_t domid, uint32_t *ref,
                            int writable, uint32_t offset, evtchn_port_t port)
{
    return share(x, domid, 1, ref, writable,
                 unmap_notify_of(x->hyp, offset, port));
}

int
xengntshr_unshare(xengntshr_handle *x, void *base, uint32_t count)
{
    (void)x;
    (void)count;
    return let_go(base) ? 0 : -1;
}

xengnttab_handle *
xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return grant_open();
}

int
xengnttab_close(xengnttab_handle *x)
{
    free(x);
    return 0;
}

static void *
map(xengnttab_handle *x, uint32_t count, uint32_t domid, uint32_t *refs,
    int prot, struct vchan_unmap_notify at_unmap)
{
    struct vchan_region *region;

    if (x->hyp->grants->map(x->hyp, (uint16_t)domid, refs, count,
                            (prot & PROT_WRITE) != 0, at_unmap, &region,
                            NULL) != FLOW_OK)
        return NULL;
    return hold(x->hyp, region, false);
}

void *
xengnttab_map_domain_grant_refs(xengnttab_handle *x, uint32_t count,
                                uint32_t domid, uint32_t *refs, int prot)
{
    return map(x, count, domid, refs, prot, nothing);
}

void *
xengnttab_map_grant_ref_notify(xengnttab_handle *x, uint32_t domid,
                               uint32_t ref, int prot, uint32_t offset,
                               evtchn_port_t port)
{
    return map(x, 1, domid, &ref, prot, unmap_notify_of(x->hyp, offset, port));
}

int
xengnttab_unmap(xengnttab_handle *x, void *base, uint32_t count)
{
    (void)x;
    (void)count;
    return let_go(base) ? 0 : -1;
}

xenevtchn_handle *
xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    struct xenevtchn_handle *x = calloc(1, sizeof(*x));

    (void)logger;
    (void)flags;
    x->hyp = here;
    pthread_mutex_lock(&lock);
    x->next = channels;
    channels = x;
    pthread_mutex_unlock(&lock);
    return x;
}

static void
channel_close(xenevtchn_handle *x)
{
    if (x->channel != NULL)
        x->hyp->events->close(x->channel);
    x->channel = NULL;
}

int
xenevtchn_close(xenevtchn_handle *x)
{
    struct xenevtchn_handle **at = &channels;

    pthread_mutex_lock(&lock);
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    pthread_mutex_unlock(&lock);
    channel_close(x);
    free(x);
    return 0;
}

int
xenevtchn_fd(xenevtchn_handle *x)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    x->hyp->events->wait(x->channel, &set);
    return set.source[0].fd;
}

int
xenevtchn_notify(xenevtchn_handle *x, evtchn_port_t port)
{
    (void)port;
    x->hyp->events->notify(x->channel);
    __atomic_add_fetch(&events, 1, __ATOMIC_RELAXED);
    return 0;
}

xenevtchn_port_or_error_t
xenevtchn_bind_unbound_port(xenevtchn_handle *x, uint32_t domid)
{
    if (x->hyp->events->alloc(x->hyp, (uint16_t)domid, &x->channel, NULL) !=
        FLOW_OK)
        return -1;
    return (int)x->hyp->events->port(x->channel);
}

xenevtchn_port_or_error_t
xenevtchn_bind_interdomain(xenevtchn_handle *x, uint32_t domid,
                           evtchn_port_t remote)
{
    if (x->hyp->events->bind(x->hyp, (uint16_t)domid, remote, &x->channel,
                             NULL) != FLOW_OK)
        return -1;
    return (int)x->hyp->events->port(x->channel);
}

int
xenevtchn_unbind(xenevtchn_handle *x, evtchn_port_t port)
{
    (void)port;
    channel_close(x);
    return 0;
}

/* Blocks until there is one, as the device does. */
xenevtchn_port_or_error_t
xenevtchn_pending(xenevtchn_handle *x)
{
    struct pollfd p = { .fd = xenevtchn_fd(x), .events = POLLIN };

    while (!x->hyp->events->drain(x->channel))
        poll(&p, 1, 1000);
    return (int)x->hyp->events->port(x->channel);
}

int
xenevtchn_unmask(xenevtchn_handle *x, evtchn_port_t port)
{
    (void)x;
    (void)port;
    return 0;
}

struct xs_handle *
xs_open(unsigned long flags)
{
    struct xs_handle *x = calloc(1, sizeof(*x));

    (void)flags;
    x->hyp = here;
    return x;
}

void
xs_close(struct xs_handle *x)
{
    free(x);
}

/* Splits BASE/KEY; the key, or NULL. */
static const char *
split(const char *path, char base[VCHAN_BASE_MAX])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL || (size_t)(slash - path) >= VCHAN_BASE_MAX)
        return NULL;
    memcpy(base, path, (size_t)(slash - path));
    base[slash - path] = '\0';
    return slash + 1;
}

void *
xs_read(struct xs_handle *x, xs_transaction_t t, const char *path,
        unsigned int *len)
{
    char base[VCHAN_BASE_MAX];
    const char *key = split(path, base);
    uint32_t ref = 0;
    uint32_t port = 0;
    char *text;
    int n;

    (void)t;
    if (strcmp(path, "domid") == 0)
        ref = x->hyp->domid;
    else if (key == NULL || x->hyp->store->lookup(x->hyp, 0, base, &ref, &port,
                                                  NULL) != FLOW_OK)
        return NULL;
    text = malloc(16);
    n = snprintf(text, 16, "%u",
                 key != NULL && strcmp(key, "event-channel") == 0 ? port : ref);
    if (len != NULL)
        *len = (unsigned)n;
    return text;
}

bool
xs_write(struct xs_handle *x, xs_transaction_t t, const char *path,
         const void *data, unsigned int len)
{
    const char *key = split(path, x->base);
    uint32_t number = 0;

    (void)t;
    if (key == NULL || !flow__vchan_number(data, len, 0, UINT32_MAX, &number))
        return false;
    if (strcmp(key, "ring-ref") == 0)
        x->ref = number;
    else
        x->port = number;
    return true;
}

bool
xs_set_permissions(struct xs_handle *x, xs_transaction_t t, const char *path,
                   struct xs_permissions *perms, unsigned int count)
{
    (void)t;
    (void)path;
    if (count == 2)
        x->reader = (uint16_t)perms[1].id;
    return count == 2;
}

bool
xs_rm(struct xs_handle *x, xs_transaction_t t, const char *path)
{
    uint32_t ref;
    uint32_t port;

    (void)t;
    if (x->hyp->store->lookup(x->hyp, 0, path, &ref, &port, NULL) == FLOW_OK)
        x->hyp->store->withdraw(x->hyp, path, port);
    return true;
}

xs_transaction_t
xs_transaction_start(struct xs_handle *x)
{
    (void)x;
    return 1;
}

bool
xs_transaction_end(struct xs_handle *x, xs_transaction_t t, bool cancel)
{
    (void)t;
    if (cancel || x->port == 0)
        return true;
    return x->hyp->store->publish(x->hyp, x->base, x->reader, x->ref, x->port,
                                  NULL) == FLOW_OK;
}
