/* SPDX-License-Identifier: ISC */
#include "tests/unikernel/xen_world.h"

/* An error of the test ends it in a release build too. */
#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <flow/port.h>

#include "backends/vchan/hyp_unikernel.h"
#include "tests/unikernel/xen_store.h"

#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>
#include <xen/sched.h>
#include <xen/xen.h>

/*
 * Locks: one for the world, taken in every hypercall and held during upcalls.
 * A guest holds none of its own locks that an upcall takes when it makes a
 * hypercall.
 */

#define PAGE         4096u
#define PAGES        4096u /* of the world's memory */
#define WINDOW_PAGES 2048u /* of each domain */
#define DOMAINS      4u
#define PORTS        1024u
#define MAPPINGS     2048u
#define FRAMES       4u /* of a grant table */

/* Guest-physical addresses: memory from the first page on, then windows. */
#define MEMORY_AT UINT64_C(0x1000)
#define WINDOW_AT UINT64_C(0x40000000)

enum { PORT_FREE, PORT_UNBOUND, PORT_INTERDOMAIN, PORT_STORE, PORT_CONSOLE };

struct port {
    int state;
    uint16_t remote_dom;
    uint32_t remote_port;
};

struct mapping {
    bool used;
    bool readonly;
    uint16_t dom;
    uint32_t ref;
};

struct xen_domain {
    struct xen_world *world;
    uint16_t domid;
    bool built;
    bool destroyed;
    struct flow_guest guest;
    struct vchan_hyp *hyp;
    void (*hyp_free)(struct vchan_hyp *hyp);
    void (*upcall)(void);
    struct port port[PORTS];
    struct mapping mapping[MAPPINGS];
    uint8_t *window;
    bool window_used[WINDOW_PAGES];
    unsigned pages;
    struct xen_store_client *client;
};

struct xen_world {
    const struct flow_env *env;
    pthread_mutex_t lock;
    uint8_t *memory;
    off_t where; /* its memory in the file */
    bool page_used[PAGES];
    struct xen_domain domain[DOMAINS];
    struct xen_store *store;
    unsigned started;
    unsigned users;
    struct xen_world *next;
};

static struct xen_world *worlds;

/* The memory of all worlds, a slot for each.  It is opened before any test
 * counts descriptors. */
#define WORLDS     64u
#define WORLD_SIZE ((off_t)PAGES * PAGE)

static int memory_fd = -1;
static bool slot_used[WORLDS];

static int
memory_make(void)
{
    int fd = memfd_create("xen-worlds", MFD_CLOEXEC);

    assert(fd >= 0);
    assert(ftruncate(fd, WORLDS * WORLD_SIZE) == 0);
    return fd;
}

/* A child gets a file of its own: what it gives back and takes anew is not the
 * memory of its parent's worlds. */
static void
memory_part(void)
{
    int fd = memory_make();

    assert(dup3(fd, memory_fd, O_CLOEXEC) == memory_fd);
    close(fd);
}

__attribute__((constructor)) static void
memory_open(void)
{
    memory_fd = memory_make();
    assert(pthread_atfork(NULL, NULL, memory_part) == 0);
}

static void
memory_take(struct xen_world *w)
{
    unsigned slot = 0;
    void *memory;

    while (slot < WORLDS && slot_used[slot])
        slot++;
    assert(slot < WORLDS);
    slot_used[slot] = true;
    w->where = slot * WORLD_SIZE;
    memory = mmap(NULL, (size_t)WORLD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                  memory_fd, w->where);
    assert(memory != MAP_FAILED);
    w->memory = memory;
}

/* The next world of this slot finds zeroed pages. */
static void
memory_give(struct xen_world *w)
{
    munmap(w->memory, (size_t)WORLD_SIZE);
    assert(fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     w->where, WORLD_SIZE) == 0);
    slot_used[w->where / WORLD_SIZE] = false;
}

static void
enter(struct xen_world *w)
{
    flow_fork_block();
    pthread_mutex_lock(&w->lock);
}

static void
leave(struct xen_world *w)
{
    pthread_mutex_unlock(&w->lock);
    flow_fork_unblock();
}

static struct xen_domain *
domain_of(struct xen_world *w, uint16_t domid)
{
    for (unsigned i = 0; i < DOMAINS; i++)
        if (w->domain[i].built && !w->domain[i].destroyed &&
            w->domain[i].domid == domid)
            return &w->domain[i];
    return NULL;
}

/* --- memory ------------------------------------------------------------- */

static void *
pages_take(struct xen_world *w, uint32_t count)
{
    for (uint32_t first = 0; first + count <= PAGES; first++) {
        uint32_t n = 0;

        while (n < count && !w->page_used[first + n])
            n++;
        if (n == count) {
            memset(&w->page_used[first], true, count);
            return w->memory + (size_t)first * PAGE;
        }
        first += n;
    }
    return NULL;
}

static void
pages_give(struct xen_world *w, void *base, uint32_t count)
{
    size_t first = (size_t)((uint8_t *)base - w->memory) / PAGE;

    for (uint32_t i = 0; i < count; i++)
        assert(w->page_used[first + i]);
    memset(&w->page_used[first], false, count);
}

static void *
guest_pages(void *ctx, uint32_t count)
{
    struct xen_domain *d = ctx;
    void *base;

    enter(d->world);
    base = pages_take(d->world, count);
    if (base != NULL)
        d->pages += count;
    leave(d->world);
    /* As left by an earlier user. */
    if (base != NULL)
        memset(base, 0xa5, (size_t)count * PAGE);
    return base;
}

static void
guest_pages_free(void *ctx, void *base, uint32_t count)
{
    struct xen_domain *d = ctx;

    enter(d->world);
    pages_give(d->world, base, count);
    d->pages -= count;
    leave(d->world);
}

static uint64_t
guest_address(void *ctx, const void *page)
{
    struct xen_domain *d = ctx;
    const uint8_t *at = page;

    if (at >= d->window && at < d->window + (size_t)WINDOW_PAGES * PAGE)
        return WINDOW_AT + (uint64_t)(at - d->window);
    assert(at >= d->world->memory &&
           at < d->world->memory + (size_t)PAGES * PAGE);
    return MEMORY_AT + (uint64_t)(at - d->world->memory);
}

static void *
guest_window(void *ctx, uint32_t count)
{
    struct xen_domain *d = ctx;
    void *found = NULL;

    enter(d->world);
    for (uint32_t first = 0; first + count <= WINDOW_PAGES; first++) {
        uint32_t n = 0;

        while (n < count && !d->window_used[first + n])
            n++;
        if (n == count) {
            memset(&d->window_used[first], true, count);
            found = d->window + (size_t)first * PAGE;
            break;
        }
        first += n;
    }
    leave(d->world);
    return found;
}

static void
guest_window_free(void *ctx, void *base, uint32_t count)
{
    struct xen_domain *d = ctx;
    size_t first = (size_t)((uint8_t *)base - d->window) / PAGE;

    enter(d->world);
    for (uint32_t i = 0; i < count; i++)
        assert(d->window_used[first + i]);
    memset(&d->window_used[first], false, count);
    leave(d->world);
}

/* --- events -------------------------------------------------------------- */

static struct shared_info *
info_of(struct xen_domain *d)
{
    return d->guest.shared_info;
}

static xen_ulong_t *
word_of(xen_ulong_t *words, uint32_t port)
{
    return &words[port / 64];
}

static bool
is_pending(struct xen_domain *d, uint32_t port)
{
    return (__atomic_load_n(word_of(info_of(d)->evtchn_pending, port),
                            __ATOMIC_SEQ_CST) >>
            port % 64) &
           1;
}

static void
run_upcall(struct xen_domain *d)
{
    if (d->upcall != NULL)
        d->upcall();
    else if (d->hyp != NULL)
        flow__unikernel_port_upcall(flow__unikernel_of(d->hyp));
}

static bool
is_masked(struct xen_domain *d, uint32_t port)
{
    return (__atomic_load_n(word_of(info_of(d)->evtchn_mask, port),
                            __ATOMIC_SEQ_CST) >>
            port % 64) &
           1;
}

static void
set_pending(struct xen_domain *d, uint32_t port)
{
    __atomic_fetch_or(word_of(info_of(d)->evtchn_pending, port),
                      (xen_ulong_t)1 << port % 64, __ATOMIC_SEQ_CST);
    if (!is_masked(d, port))
        run_upcall(d);
}

static uint32_t
port_take(struct xen_domain *d)
{
    for (uint32_t i = 1; i < PORTS; i++)
        if (d->port[i].state == PORT_FREE)
            return i;
    return 0;
}

static int64_t
op_alloc(struct xen_domain *d, struct evtchn_alloc_unbound *op)
{
    uint32_t port = port_take(d);

    if (op->dom != DOMID_SELF)
        return -XEN_EPERM;
    if (port == 0)
        return -XEN_ENOSPC;
    d->port[port] = (struct port){ PORT_UNBOUND, op->remote_dom, 0 };
    op->port = port;
    return 0;
}

static int64_t
op_bind(struct xen_domain *d, struct evtchn_bind_interdomain *op)
{
    struct xen_domain *r = domain_of(d->world, op->remote_dom);
    uint32_t port = port_take(d);
    struct port *remote;

    if (r == NULL)
        return -XEN_ESRCH;
    if (op->remote_port >= PORTS)
        return -XEN_EINVAL;
    remote = &r->port[op->remote_port];
    if (remote->state != PORT_UNBOUND || remote->remote_dom != d->domid)
        return -XEN_EINVAL;
    if (port == 0)
        return -XEN_ENOSPC;
    remote->state = PORT_INTERDOMAIN;
    remote->remote_port = port;
    d->port[port] =
        (struct port){ PORT_INTERDOMAIN, op->remote_dom, op->remote_port };
    op->local_port = port;
    set_pending(d, port);
    return 0;
}

static void
close_port(struct xen_domain *d, uint32_t number)
{
    struct port *port = &d->port[number];
    struct xen_domain *r;

    if (port->state == PORT_INTERDOMAIN) {
        r = domain_of(d->world, port->remote_dom);
        if (r != NULL)
            r->port[port->remote_port] =
                (struct port){ PORT_UNBOUND, d->domid, 0 };
    }
    port->state = PORT_FREE;
    __atomic_fetch_and(word_of(info_of(d)->evtchn_pending, number),
                       ~((xen_ulong_t)1 << number % 64), __ATOMIC_SEQ_CST);
    __atomic_fetch_or(word_of(info_of(d)->evtchn_mask, number),
                      (xen_ulong_t)1 << number % 64, __ATOMIC_SEQ_CST);
}

static int64_t
op_close(struct xen_domain *d, const struct evtchn_close *op)
{
    if (op->port >= PORTS || d->port[op->port].state == PORT_FREE)
        return -XEN_EINVAL;
    close_port(d, op->port);
    return 0;
}

/* Lets the store work for all domains, since one's request fires watches of
 * others. */
static void
run_store(struct xen_world *w)
{
    for (unsigned i = 0; i < DOMAINS; i++) {
        struct xen_domain *d = &w->domain[i];

        if (d->built && !d->destroyed && xen_store_flush(d->client))
            set_pending(d, d->guest.store_port);
    }
}

static int64_t
op_send(struct xen_domain *d, const struct evtchn_send *op)
{
    struct xen_domain *r;
    struct port *port;

    if (op->port >= PORTS || d->port[op->port].state == PORT_FREE)
        return -XEN_EINVAL;
    port = &d->port[op->port];
    if (port->state == PORT_STORE) {
        xen_store_serve(d->client);
        run_store(d->world);
    } else if (port->state == PORT_INTERDOMAIN) {
        r = domain_of(d->world, port->remote_dom);
        if (r != NULL)
            set_pending(r, port->remote_port);
    }
    return 0;
}

static int64_t
op_status(struct xen_domain *d, struct evtchn_status *op)
{
    const struct port *port;

    if (op->dom != DOMID_SELF)
        return domain_of(d->world, op->dom) == NULL ? -XEN_ESRCH : -XEN_EPERM;
    if (op->port >= PORTS)
        return -XEN_EINVAL;
    port = &d->port[op->port];
    op->status = port->state == PORT_FREE      ? EVTCHNSTAT_closed
                 : port->state == PORT_UNBOUND ? EVTCHNSTAT_unbound
                                               : EVTCHNSTAT_interdomain;
    op->u.interdomain.dom = port->remote_dom;
    op->u.interdomain.port = port->remote_port;
    return 0;
}

static int64_t
op_unmask(struct xen_domain *d, const struct evtchn_unmask *op)
{
    if (op->port >= PORTS)
        return -XEN_EINVAL;
    __atomic_fetch_and(word_of(info_of(d)->evtchn_mask, op->port),
                       ~((xen_ulong_t)1 << op->port % 64), __ATOMIC_SEQ_CST);
    if (is_pending(d, op->port))
        run_upcall(d);
    return 0;
}

static int64_t
event_op(struct xen_domain *d, uint64_t op, void *arg)
{
    switch (op) {
    case EVTCHNOP_alloc_unbound:
        return op_alloc(d, arg);
    case EVTCHNOP_bind_interdomain:
        return op_bind(d, arg);
    case EVTCHNOP_close:
        return op_close(d, arg);
    case EVTCHNOP_send:
        return op_send(d, arg);
    case EVTCHNOP_status:
        return op_status(d, arg);
    case EVTCHNOP_unmask:
        return op_unmask(d, arg);
    default:
        return -XEN_ENOSYS;
    }
}

/* --- grants -------------------------------------------------------------- */

static struct grant_entry_v1 *
entry_of(struct xen_domain *d, uint32_t ref)
{
    return (struct grant_entry_v1 *)d->guest.grant_table + ref;
}

/* Whether any domain has a reference mapped, writable or at all. */
static bool
is_mapped(struct xen_world *w, uint16_t dom, uint32_t ref, bool writable)
{
    for (unsigned i = 0; i < DOMAINS; i++)
        for (unsigned m = 0; m < MAPPINGS; m++) {
            const struct mapping *it = &w->domain[i].mapping[m];

            if (it->used && it->dom == dom && it->ref == ref &&
                !(writable && it->readonly))
                return true;
        }
    return false;
}

static void
update_flags(struct xen_world *w, uint16_t dom, uint32_t ref)
{
    struct xen_domain *granter = domain_of(w, dom);
    struct grant_entry_v1 *entry;
    uint16_t set = 0;

    if (granter == NULL)
        return;
    entry = entry_of(granter, ref);
    if (is_mapped(w, dom, ref, false))
        set |= GTF_reading;
    if (is_mapped(w, dom, ref, true))
        set |= GTF_writing;
    __atomic_fetch_or(&entry->flags, set, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&entry->flags,
                       (uint16_t)(set | ~(GTF_reading | GTF_writing)),
                       __ATOMIC_SEQ_CST);
}

static int16_t
map_one(struct xen_domain *d, struct gnttab_map_grant_ref *op)
{
    struct xen_domain *granter = domain_of(d->world, op->dom);
    bool readonly = (op->flags & GNTMAP_readonly) != 0;
    struct grant_entry_v1 entry;
    uint8_t *at = d->window + (op->host_addr - WINDOW_AT);
    unsigned handle = 0;
    off_t where;

    if (granter == NULL)
        return GNTST_bad_domain;
    if (op->ref >= FRAMES * 512)
        return GNTST_bad_gntref;
    entry.flags =
        __atomic_load_n(&entry_of(granter, op->ref)->flags, __ATOMIC_ACQUIRE);
    entry.domid = entry_of(granter, op->ref)->domid;
    entry.frame = entry_of(granter, op->ref)->frame;
    if ((entry.flags & GTF_type_mask) != GTF_permit_access ||
        entry.domid != d->domid)
        return GNTST_bad_gntref;
    if ((entry.flags & GTF_readonly) && !readonly)
        return GNTST_bad_gntref;
    if (op->host_addr < WINDOW_AT ||
        op->host_addr >= WINDOW_AT + (uint64_t)WINDOW_PAGES * PAGE ||
        !d->window_used[(op->host_addr - WINDOW_AT) / PAGE])
        return GNTST_bad_virt_addr;
    if (entry.frame == 0 || entry.frame > PAGES)
        return GNTST_bad_page;
    while (handle < MAPPINGS && d->mapping[handle].used)
        handle++;
    if (handle == MAPPINGS)
        return GNTST_no_space;
    where = d->world->where + (off_t)(entry.frame - MEMORY_AT / PAGE) * PAGE;
    if (mmap(at, PAGE, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED, memory_fd, where) != at)
        return GNTST_general_error;
    d->mapping[handle] = (struct mapping){ true, readonly, op->dom, op->ref };
    op->handle = handle;
    update_flags(d->world, op->dom, op->ref);
    return GNTST_okay;
}

static void
window_clear(uint8_t *at, size_t count)
{
    void *is = mmap(at, count * PAGE, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    assert(is == at);
    (void)is;
}

static int16_t
unmap_one(struct xen_domain *d, const struct gnttab_unmap_grant_ref *op)
{
    struct mapping *m;

    if (op->handle >= MAPPINGS || !d->mapping[op->handle].used)
        return GNTST_bad_handle;
    m = &d->mapping[op->handle];
    m->used = false;
    window_clear(d->window + (op->host_addr - WINDOW_AT), 1);
    update_flags(d->world, m->dom, m->ref);
    return GNTST_okay;
}

static int64_t
grant_op(struct xen_domain *d, uint64_t op, void *arg, uint64_t count)
{
    struct gnttab_map_grant_ref *map = arg;
    struct gnttab_unmap_grant_ref *unmap = arg;

    for (uint64_t i = 0; i < count; i++)
        if (op == GNTTABOP_map_grant_ref)
            map[i].status = map_one(d, &map[i]);
        else if (op == GNTTABOP_unmap_grant_ref)
            unmap[i].status = unmap_one(d, &unmap[i]);
        else
            return -XEN_ENOSYS;
    return 0;
}

/* --- hypercalls ---------------------------------------------------------- */

/* No port of the list is pending, so time would pass: the caller's clock is not
 * ours to move, and another thread may send meanwhile. */
static int64_t
sched_op(struct xen_domain *d, uint64_t op, const struct sched_poll *poll)
{
    if (op != SCHEDOP_poll)
        return -XEN_ENOSYS;
    if (poll->nr_ports > 128)
        return -XEN_EINVAL;
    for (unsigned i = 0; i < poll->nr_ports; i++)
        if (is_pending(d, poll->ports.p[i]))
            return 0;
    leave(d->world);
    usleep(100);
    enter(d->world);
    return 0;
}

static int64_t
guest_hypercall(void *ctx, uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
    struct xen_domain *d = ctx;
    void *arg = (void *)(uintptr_t)b;
    int64_t rc = -XEN_ENOSYS;

    enter(d->world);
    if (d->destroyed)
        rc = -XEN_ESRCH;
    else if (number == __HYPERVISOR_event_channel_op)
        rc = event_op(d, a, arg);
    else if (number == __HYPERVISOR_grant_table_op)
        rc = grant_op(d, a, arg, c);
    else if (number == __HYPERVISOR_sched_op)
        rc = sched_op(d, a, arg);
    leave(d->world);
    return rc;
}

/* --- domains ------------------------------------------------------------- */

static void
domain_unmap_all(struct xen_domain *d)
{
    for (unsigned i = 0; i < MAPPINGS; i++)
        if (d->mapping[i].used) {
            d->mapping[i].used = false;
            update_flags(d->world, d->mapping[i].dom, d->mapping[i].ref);
        }
}

void
xen_domain_destroy(struct xen_domain *d)
{
    enter(d->world);
    for (uint32_t i = 1; i < PORTS; i++)
        if (d->port[i].state != PORT_FREE)
            close_port(d, i);
    domain_unmap_all(d);
    d->destroyed = true;
    leave(d->world);
}

static void
domain_free(struct xen_domain *d)
{
    if (!d->built)
        return;
    xen_store_client_free(d->client);
    munmap(d->window, (size_t)WINDOW_PAGES * PAGE);
}

static void
world_free(struct xen_world *w)
{
    for (unsigned i = 0; i < DOMAINS; i++)
        domain_free(&w->domain[i]);
    xen_store_free(w->store);
    memory_give(w);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* Frees worlds without domains. */
static void
worlds_reap(void)
{
    struct xen_world **at = &worlds;
    struct xen_world *w;

    while ((w = *at) != NULL) {
        if (w->started > 0 && w->users == 0) {
            *at = w->next;
            world_free(w);
        } else {
            at = &w->next;
        }
    }
}

struct xen_world *
xen_world_new(const struct flow_env *env)
{
    struct xen_world *w = calloc(1, sizeof(*w));

    worlds_reap();
    assert(w != NULL);
    w->env = env;
    pthread_mutex_init(&w->lock, NULL);
    memory_take(w);
    w->store = xen_store_new();
    w->next = worlds;
    worlds = w;
    return w;
}

static void
domain_build_guest(struct xen_domain *d)
{
    struct xen_world *w = d->world;

    d->guest = (struct flow_guest){
        .ctx = d,
        .hypercall = guest_hypercall,
        .pages = guest_pages,
        .pages_free = guest_pages_free,
        .address = guest_address,
        .window = guest_window,
        .window_free = guest_window_free,
        .shared_info = pages_take(w, 1),
        .grant_table = pages_take(w, FRAMES),
        .grant_frames = FRAMES,
        .store = pages_take(w, 1),
        .store_port = 1,
        .console = pages_take(w, 1),
        .console_port = 2,
        .interrupts = true,
    };
    memset(info_of(d)->evtchn_mask, 0xff, sizeof(info_of(d)->evtchn_mask));
    d->port[1].state = PORT_STORE;
    d->port[2].state = PORT_CONSOLE;
}

struct xen_domain *
xen_world_domain(struct xen_world *w, uint16_t domid)
{
    struct xen_domain *d = NULL;
    void *window;

    enter(w);
    for (unsigned i = 0; i < DOMAINS && d == NULL; i++)
        if (!w->domain[i].built)
            d = &w->domain[i];
    assert(d != NULL);
    d->world = w;
    d->domid = domid;
    d->built = true;
    window = mmap(NULL, (size_t)WINDOW_PAGES * PAGE, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(window != MAP_FAILED);
    d->window = window;
    domain_build_guest(d);
    d->client = xen_store_client_new(w->store, domid, d->guest.store);
    leave(w);
    return d;
}

struct flow_guest *
xen_domain_guest(struct xen_domain *d)
{
    return &d->guest;
}

void
xen_domain_on_event(struct xen_domain *d, void (*upcall)(void))
{
    d->upcall = upcall;
    d->world->started++;
}

/* The last reference of a domain's handle is gone. */
static void
domain_hyp_free(struct vchan_hyp *hyp)
{
    struct xen_domain *d =
        (struct xen_domain *)flow__unikernel_of(hyp)->guest->ctx;

    enter(d->world);
    d->hyp = NULL;
    leave(d->world);
    d->hyp_free(hyp);
    d->world->users--;
}

struct vchan_hyp *
xen_domain_start(struct xen_domain *d)
{
    struct vchan_hyp *hyp;

    if (flow__unikernel_new(d->world->env, &d->guest, &hyp, NULL) != FLOW_OK)
        return NULL;
    d->hyp_free = hyp->free;
    hyp->free = domain_hyp_free;
    enter(d->world);
    d->hyp = hyp;
    d->world->started++;
    d->world->users++;
    leave(d->world);
    return hyp;
}

unsigned
xen_domain_mapped(const struct xen_domain *d)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MAPPINGS; i++)
        count += d->mapping[i].used;
    return count;
}

unsigned
xen_domain_granted(const struct xen_domain *d)
{
    const struct grant_entry_v1 *entry = d->guest.grant_table;
    unsigned count = 0;

    for (unsigned i = 0; i < FRAMES * 512; i++)
        count += (entry[i].flags & GTF_type_mask) == GTF_permit_access;
    return count;
}

unsigned
xen_domain_pages(const struct xen_domain *d)
{
    return d->pages;
}

void
xen_world_conflicts(struct xen_world *w, unsigned count)
{
    xen_store_conflicts(w->store, count);
}

void
xen_world_quota(struct xen_world *w, unsigned count)
{
    xen_store_quota(w->store, count);
}

void
xen_world_write(struct xen_world *w, const char *path, const char *value)
{
    enter(w);
    xen_store_put(w->store, path, value);
    run_store(w);
    leave(w);
}

void
xen_world_give(struct xen_world *w, const char *path, uint16_t domid)
{
    enter(w);
    xen_store_give(w->store, path, domid);
    leave(w);
}

unsigned
xen_world_nodes(const struct xen_world *w, const char *below)
{
    return xen_store_nodes(w->store, below);
}
