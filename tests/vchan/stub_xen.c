/* SPDX-License-Identifier: ISC */
#include "stub_xen.h"
#include "stub_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define __XEN_INTERFACE_VERSION__ 0x00030202
#include <xencall.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include <xen/event_channel.h>
#include <xen/xen.h>

#define PAGE     4096u
#define REFS     4096u
#define PORTS    1024u
#define REF_FROM 8u

static bool calls_allowed = true;
static int map_fails;

void
stub_allow_calls(bool allow)
{
    calls_allowed = allow;
}

void
stub_fail_map(int code)
{
    map_fails = code;
}

static int channels_fail;

void
stub_fail_channels(int code)
{
    channels_fail = code;
}

/* Grants: pages of one file, which both ends map. */

static int pages = -1;
static struct {
    bool used;
    uint16_t peer;
} grant[REFS];

struct xengntdev_handle {
    int fd;
};

/* Does what a kernel does when a page is unmapped. */
static struct {
    void *base;
    uint32_t offset;
} at_unmap[REFS];

static unsigned share_opens;
static int share_fd = -1;

unsigned
stub_share_opens(void)
{
    return share_opens;
}

int
stub_share_fd(void)
{
    return share_fd;
}

static struct xengntdev_handle *
device_open(int flags)
{
    struct xengntdev_handle *x = malloc(sizeof(*x));

    if (pages < 0) {
        pages = memfd_create("grants", MFD_CLOEXEC);
        if (ftruncate(pages, (off_t)REFS * PAGE) != 0)
            abort();
    }
    x->fd = open("/dev/null", O_RDWR | flags);
    return x;
}

static int
device_close(struct xengntdev_handle *x)
{
    close(x->fd);
    free(x);
    return 0;
}

/* Without O_CLOEXEC, as in some releases. */
xengntshr_handle *
xengntshr_open(struct xentoollog_logger *logger, unsigned flags)
{
    struct xengntdev_handle *x = device_open(0);

    (void)logger;
    (void)flags;
    share_opens++;
    share_fd = x->fd;
    return x;
}

int
xengntshr_close(xengntshr_handle *x)
{
    return device_close(x);
}

int
xengntshr_fd(xengntshr_handle *x)
{
    return x->fd;
}

xengnttab_handle *
xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return device_open(O_CLOEXEC);
}

int
xengnttab_close(xengnttab_handle *x)
{
    return device_close(x);
}

void *
xengntshr_share_pages(xengntshr_handle *x, uint32_t domid, int count,
                      uint32_t *refs, int writable)
{
    uint32_t first = REF_FROM;
    uint32_t run = 0;

    (void)x;
    (void)writable;
    for (uint32_t i = REF_FROM; i < REFS && run < (uint32_t)count; i++) {
        run = grant[i].used ? 0 : run + 1;
        first = grant[i].used ? i + 1 : first;
    }
    if (run < (uint32_t)count) {
        errno = ENOSPC;
        return NULL;
    }
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        refs[i] = first + i;
        grant[first + i].used = true;
        grant[first + i].peer = (uint16_t)domid;
    }
    return mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                pages, (off_t)first * PAGE);
}

static void
unmap_notify_enter(void *base, uint32_t offset)
{
    for (unsigned i = 0; i < REFS; i++)
        if (at_unmap[i].base == NULL) {
            at_unmap[i].base = base;
            at_unmap[i].offset = offset;
            return;
        }
}

static int
part(void *base, uint32_t count)
{
    for (unsigned i = 0; i < REFS; i++)
        if (at_unmap[i].base == base) {
            ((uint8_t *)base)[at_unmap[i].offset] = 0;
            at_unmap[i].base = NULL;
        }
    return munmap(base, (size_t)count * PAGE);
}

void *
xengntshr_share_page_notify(xengntshr_handle *x, uint32_t domid, uint32_t *ref,
                            int writable, uint32_t offset, evtchn_port_t port)
{
    void *base = xengntshr_share_pages(x, domid, 1, ref, writable);

    (void)port;
    unmap_notify_enter(base, offset);
    return base;
}

/* The pages are free although the peer may have them mapped: as of XSA-396. */
int
xengntshr_unshare(xengntshr_handle *x, void *base, uint32_t count)
{
    (void)x;
    return part(base, count);
}

void *
xengnttab_map_domain_grant_refs(xengnttab_handle *x, uint32_t count,
                                uint32_t domid, uint32_t *refs, int prot)
{
    (void)x;
    (void)domid;
    for (uint32_t i = 0; map_fails == 0 && i < count; i++)
        if (refs[i] >= REFS || !grant[refs[i]].used ||
            grant[refs[i]].peer != stub_here() || refs[i] != refs[0] + i) {
            errno = EINVAL;
            return NULL;
        }
    if (map_fails != 0) {
        errno = map_fails;
        return NULL;
    }
    return mmap(NULL, (size_t)count * PAGE, prot, MAP_SHARED, pages,
                (off_t)refs[0] * PAGE);
}

void *
xengnttab_map_grant_ref_notify(xengnttab_handle *x, uint32_t domid,
                               uint32_t ref, int prot, uint32_t offset,
                               evtchn_port_t port)
{
    void *base = xengnttab_map_domain_grant_refs(x, 1, domid, &ref, prot);

    (void)port;
    if (base != NULL)
        unmap_notify_enter(base, offset);
    return base;
}

int
xengnttab_unmap(xengnttab_handle *x, void *base, uint32_t count)
{
    (void)x;
    return part(base, count);
}

/* Event channels. */

static struct {
    bool used;
    uint16_t peer;
    uint32_t remote; /* 0: unbound */
    int fd;
} chan[PORTS];

struct xenevtchn_handle {
    int fd;
    uint32_t port; /* 0: none */
};

xenevtchn_handle *
xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    struct xenevtchn_handle *x;
    int fd = -1;

    (void)logger;
    (void)flags;
    if (channels_fail != 0)
        errno = channels_fail;
    else
        fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    x = calloc(1, sizeof(*x));
    x->fd = fd;
    return x;
}

int
xenevtchn_close(xenevtchn_handle *x)
{
    if (x->port != 0) {
        if (chan[x->port].remote != 0)
            chan[chan[x->port].remote].remote = 0;
        chan[x->port].used = false;
    }
    close(x->fd);
    free(x);
    return 0;
}

int
xenevtchn_fd(xenevtchn_handle *x)
{
    return x->fd;
}

int
xenevtchn_notify(xenevtchn_handle *x, evtchn_port_t port)
{
    uint64_t one = 1;

    (void)x;
    if (chan[port].remote != 0)
        (void)!write(chan[chan[port].remote].fd, &one, sizeof(one));
    return 0;
}

static int
port_new(xenevtchn_handle *x, uint16_t peer)
{
    for (uint32_t i = 1; i < PORTS; i++)
        if (!chan[i].used) {
            chan[i].used = true;
            chan[i].peer = peer;
            chan[i].remote = 0;
            chan[i].fd = x->fd;
            x->port = i;
            return (int)i;
        }
    errno = ENOSPC;
    return -1;
}

xenevtchn_port_or_error_t
xenevtchn_bind_unbound_port(xenevtchn_handle *x, uint32_t domid)
{
    return port_new(x, (uint16_t)domid);
}

xenevtchn_port_or_error_t
xenevtchn_bind_interdomain(xenevtchn_handle *x, uint32_t domid,
                           evtchn_port_t remote)
{
    int port;

    if (remote >= PORTS || !chan[remote].used || chan[remote].remote != 0 ||
        chan[remote].peer != stub_here()) {
        errno = EINVAL;
        return -1;
    }
    port = port_new(x, (uint16_t)domid);
    chan[port].remote = remote;
    chan[remote].remote = (uint32_t)port;
    return port;
}

xenevtchn_port_or_error_t
xenevtchn_pending(xenevtchn_handle *x)
{
    uint64_t count;

    return read(x->fd, &count, sizeof(count)) > 0 ? (int)x->port : -1;
}

int
xenevtchn_unmask(xenevtchn_handle *x, evtchn_port_t port)
{
    (void)x;
    (void)port;
    return 0;
}

/* Hypercalls: the status of a port. */

/* In a list, since a child cannot close an inherited handle: see
 * linux_free(). */
struct xencall_handle {
    int fd[2];
    struct xencall_handle *next;
};

static struct xencall_handle *calls;

xencall_handle *
xencall_open(struct xentoollog_logger *logger, unsigned flags)
{
    struct xencall_handle *x;
    int fd[2];

    (void)logger;
    (void)flags;
    if (!calls_allowed) {
        errno = EACCES;
        return NULL;
    }
    fd[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd[0] < 0)
        return NULL;
    fd[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd[1] < 0) {
        close(fd[0]);
        errno = EMFILE;
        return NULL;
    }
    x = malloc(sizeof(*x));
    memcpy(x->fd, fd, sizeof(fd));
    x->next = calls;
    calls = x;
    return x;
}

int
xencall_close(xencall_handle *x)
{
    struct xencall_handle **at = &calls;

    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    close(x->fd[0]);
    close(x->fd[1]);
    free(x);
    return 0;
}

void *
xencall_alloc_buffer(xencall_handle *x, size_t size)
{
    (void)x;
    return malloc(size);
}

void
xencall_free_buffer(xencall_handle *x, void *p)
{
    (void)x;
    free(p);
}

int
xencall2(xencall_handle *x, unsigned int op, uint64_t arg1, uint64_t arg2)
{
    struct evtchn_status *status = (void *)(uintptr_t)arg2;

    (void)x;
    if (op != __HYPERVISOR_event_channel_op || arg1 != EVTCHNOP_status) {
        errno = ENOSYS;
        return -1;
    }
    if (status->dom != DOMID_SELF && (!stub_is_introduced(status->dom))) {
        errno = ESRCH;
        return -1;
    }
    if (status->port >= PORTS || !chan[status->port].used) {
        errno = EINVAL;
        return -1;
    }
    status->status = chan[status->port].remote != 0 ? EVTCHNSTAT_interdomain
                                                    : EVTCHNSTAT_unbound;
    status->u.interdomain.port = chan[status->port].remote;
    return 0;
}

void
stub_reset(void)
{
    stub_store_reset();
    stub_enter(0);
    calls_allowed = true;
    map_fails = 0;
    channels_fail = 0;
    share_opens = 0;
}
