/* SPDX-License-Identifier: ISC */

/* Without it the headers mean the hypercalls of Xen 3.0 (xen/xen-compat.h),
 * which do not have EVTCHNOP_status. */
#define __XEN_INTERFACE_VERSION__ 0x00030202

#include <flow/port.h>

#include "backends/vchan/hyp_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xentoollog.h>

#include <xen/event_channel.h>
#include <xen/xen.h>

#include "backends/vchan/proto.h"
#include "backends/vchan/vchan.h"

struct linux_region {
    struct vchan_region base;
};

struct vchan_channel {
    struct linux_hyp *hyp;
    xenevtchn_handle *handle;
    struct linux_view view;
    uint32_t port;
    uint32_t remote; /* of a client; a server's is asked for */
};

/* The Xen libraries write to stderr unless given somewhere else to: what went
 * wrong is in our error records. */
static void
linux_log_message(struct xentoollog_logger *logger, xentoollog_level level,
                  int errnoval, const char *context, const char *format,
                  va_list al)
{
    (void)logger;
    (void)level;
    (void)errnoval;
    (void)context;
    (void)format;
    (void)al;
}

static void
linux_log_destroy(struct xentoollog_logger *logger)
{
    (void)logger;
}

static xentoollog_logger silent = {
    .vmessage = linux_log_message,
    .destroy = linux_log_destroy,
};

static struct linux_hyp *
linux_of(struct vchan_hyp *hyp)
{
    return (struct linux_hyp *)hyp;
}

/* What fails for want of a descriptor says nothing of the device. */
static bool
linux_lacks_descriptors(int code)
{
    return code == EMFILE || code == ENFILE;
}

static const char *
linux_advice(int code, const char *hint)
{
    if (code == EMFILE)
        return "close descriptors, or raise the limit of open files";
    if (code == ENFILE)
        return "end programs that hold files open, or raise fs.file-max";
    return hint;
}

enum flow_status
flow__vchan_linux_fail(struct flow_error *err, const char *text,
                       const char *hint)
{
    int code = errno;
    enum flow_status st =
        code == ENOMEM || code == ENOSPC ? FLOW_E_NOMEM : FLOW_E_SYS;

    if (linux_lacks_descriptors(code)) {
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_ERRNO, code,
                       code == EMFILE ? "this process has no descriptor left"
                                      : "the system has no descriptor left");
        flow_error_set_detail(err, text);
    } else {
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_ERRNO, code, text);
    }
    if (err != NULL)
        err->hint = linux_advice(code, hint);
    return st;
}

#define WHO_MAY_OPEN "load the module, and see who may open /dev/xen"

/* Of a handle and of the one that is given out: flows of many threads share
 * them, so a child must find them free. */
static void
linux_lock_shared(pthread_mutex_t *lock)
{
    flow_fork_block();
    pthread_mutex_lock(lock);
}

static void
linux_unlock_shared(pthread_mutex_t *lock)
{
    pthread_mutex_unlock(lock);
    flow_fork_unblock();
}

/* The device for granting pages; NULL with an error. */
static xengntshr_handle *
linux_share_device(struct linux_hyp *h, struct flow_error *err)
{
    xengntshr_handle *share;

    linux_lock_shared(&h->lock);
    if (h->share == NULL) {
        h->share = flow__xen.xengntshr_open(&silent, 0);
        /* Some releases leave it open in a program that we execute, which then
         * keeps our pages granted after our death. */
        if (h->share != NULL)
            fcntl(flow__xen.xengntshr_fd(h->share), F_SETFD, FD_CLOEXEC);
    }
    share = h->share;
    linux_unlock_shared(&h->lock);
    if (share == NULL)
        flow__vchan_linux_fail(
            err, "cannot open the device for granting pages, xen-gntalloc",
            WHO_MAY_OPEN);
    return share;
}

/* The device for mapping a peer's pages; NULL with an error. */
static xengnttab_handle *
linux_map_device(struct linux_hyp *h, struct flow_error *err)
{
    xengnttab_handle *map;

    linux_lock_shared(&h->lock);
    if (h->map == NULL)
        h->map = flow__xen.xengnttab_open(&silent, 0);
    map = h->map;
    linux_unlock_shared(&h->lock);
    if (map == NULL)
        flow__vchan_linux_fail(
            err, "cannot open the device for mapping grants, xen-gntdev",
            WHO_MAY_OPEN);
    return map;
}

/* Keep the pages out of children: a child would keep them mapped after our
 * death, and the kernel would not tell the peer. */
static enum flow_status
linux_region_give(struct vchan_hyp *hyp, void *base, uint32_t count,
                  struct vchan_region **ret_region, struct flow_error *err)
{
    struct linux_region *r = flow_env_alloc(hyp->env, sizeof(*r));

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
linux_share(struct vchan_hyp *hyp, uint16_t peer, uint32_t count, bool writable,
            struct vchan_parting parting, uint32_t *ret_refs,
            struct vchan_region **ret_region, struct flow_error *err)
{
    xengntshr_handle *share = linux_share_device(linux_of(hyp), err);
    enum flow_status st;
    void *base;

    if (share == NULL)
        return FLOW_E_SYS;
    if (parting.channel != NULL)
        base = flow__xen.xengntshr_share_page_notify(share, peer, ret_refs,
                                                     writable, parting.clear_at,
                                                     parting.channel->port);
    else
        base = flow__xen.xengntshr_share_pages(share, peer, (int)count,
                                               ret_refs, writable);
    if (base == NULL)
        return flow__vchan_linux_fail(
            err, "cannot grant pages",
            "see the limit parameter of the module xen-gntalloc");
    memset(base, 0, (size_t)count * VCHAN_PAGE_SIZE);
    st = linux_region_give(hyp, base, count, ret_region, err);
    if (st != FLOW_OK)
        flow__xen.xengntshr_unshare(share, base, count);
    return st;
}

/* Current kernels end the grant at once, keep the pages for as long as the
 * peer has them mapped, and do not report it. */
static enum flow_status
linux_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    if (!flow__vchan_hyp_is_inherited(hyp))
        flow__xen.xengntshr_unshare(linux_of(hyp)->share, region->base,
                                    region->count);
    flow_env_free(hyp->env, region, sizeof(struct linux_region));
    return FLOW_OK;
}

static enum flow_status
linux_map(struct vchan_hyp *hyp, uint16_t peer, const uint32_t *refs,
          uint32_t count, bool writable, struct vchan_parting parting,
          struct vchan_region **ret_region, struct flow_error *err)
{
    xengnttab_handle *map = linux_map_device(linux_of(hyp), err);
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    uint32_t copy[VCHAN_PAGES_MAX];
    enum flow_status st;
    void *base;

    if (map == NULL)
        return FLOW_E_SYS;
    if (parting.channel != NULL) {
        base = flow__xen.xengnttab_map_grant_ref_notify(
            map, peer, refs[0], prot, parting.clear_at, parting.channel->port);
    } else {
        memcpy(copy, refs, count * sizeof(*refs));
        base = flow__xen.xengnttab_map_domain_grant_refs(map, count, peer, copy,
                                                         prot);
    }
    /* What the driver answers when the hypervisor refuses a reference. */
    if (base == NULL && (errno == EINVAL || errno == EAGAIN))
        return FLOW_AGAIN;
    if (base == NULL)
        return flow__vchan_linux_fail(
            err, "cannot map the peer's pages",
            "see the limit parameter of the module xen-gntdev");
    st = linux_region_give(hyp, base, count, ret_region, err);
    if (st != FLOW_OK)
        flow__xen.xengnttab_unmap(map, base, count);
    return st;
}

static void
linux_unmap(struct vchan_hyp *hyp, struct vchan_region *region)
{
    if (!flow__vchan_hyp_is_inherited(hyp))
        flow__xen.xengnttab_unmap(linux_of(hyp)->map, region->base,
                                  region->count);
    flow_env_free(hyp->env, region, sizeof(struct linux_region));
}

static bool
linux_renew(struct vchan_channel *c)
{
    return flow__vchan_linux_view_renew(&c->view);
}

/* Closing the descriptor unbinds the port, unless it was inherited: its maker
 * has it open as well. */
static void
linux_close_channel(struct vchan_channel *c)
{
    const struct flow_env *env = c->hyp->base.env;

    if (c->handle != NULL) {
        flow__vchan_linux_view_fini(
            &c->view, flow__vchan_hyp_is_inherited(&c->hyp->base));
        flow__xen.xenevtchn_close(c->handle);
    }
    flow_env_free(env, c, sizeof(*c));
}

/* A channel without a port, on a descriptor of its own. */
static struct vchan_channel *
linux_channel_new(struct vchan_hyp *hyp, struct flow_error *err)
{
    struct vchan_channel *c = flow_env_alloc(hyp->env, sizeof(*c));
    int fd = -1;

    if (c == NULL) {
        flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                       "no memory for a channel");
        return NULL;
    }
    c->hyp = linux_of(hyp);
    c->handle = flow__xen.xenevtchn_open(&silent, 0);
    if (c->handle != NULL) {
        fd = flow__xen.xenevtchn_fd(c->handle);
        flow__vchan_linux_view_init(&c->view, &c->hyp->views, fd);
    }
    /* Draining stops at the last event instead of waiting for the next. */
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && linux_renew(c))
        return c;
    if (c->handle == NULL)
        flow__vchan_linux_fail(
            err, "cannot open the event channel device",
            "load the module xen-evtchn, and see who may open /dev/xen/evtchn");
    else
        flow__vchan_linux_fail(
            err, "cannot make a descriptor for an event channel", NULL);
    linux_close_channel(c);
    return NULL;
}

static enum flow_status
linux_channel_bound(struct vchan_channel *c, int port,
                    struct vchan_channel **ret_channel)
{
    c->port = (uint32_t)port;
    flow__xen.xenevtchn_unmask(c->handle, c->port);
    *ret_channel = c;
    return FLOW_OK;
}

static enum flow_status
linux_alloc(struct vchan_hyp *hyp, uint16_t peer,
            struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct vchan_channel *c = linux_channel_new(hyp, err);
    enum flow_status st;
    int port;

    if (c == NULL)
        return err != NULL ? err->status : FLOW_E_SYS;
    port = flow__xen.xenevtchn_bind_unbound_port(c->handle, peer);
    if (port >= 0)
        return linux_channel_bound(c, port, ret_channel);
    st = flow__vchan_linux_fail(err, "cannot allocate an event channel",
                                "is there a domain with this number?");
    linux_close_channel(c);
    return st;
}

static enum flow_status
linux_bind(struct vchan_hyp *hyp, uint16_t peer, uint32_t remote,
           struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct vchan_channel *c = linux_channel_new(hyp, err);
    enum flow_status st = FLOW_AGAIN;
    int port;

    if (c == NULL)
        return err != NULL ? err->status : FLOW_E_SYS;
    c->remote = remote;
    port = flow__xen.xenevtchn_bind_interdomain(c->handle, peer, remote);
    if (port >= 0)
        return linux_channel_bound(c, port, ret_channel);
    /* Whatever is not about us is about a port that is stale or taken. */
    if (errno == EACCES || errno == EPERM || errno == ENOMEM || errno == ENOSPC)
        st = flow__vchan_linux_fail(err, "cannot bind the peer's event channel",
                                    NULL);
    linux_close_channel(c);
    return st;
}

static uint32_t
linux_port(const struct vchan_channel *c)
{
    return c->port;
}

static void
linux_notify(struct vchan_channel *c)
{
    flow__xen.xenevtchn_notify(c->handle, c->port);
}

static bool
linux_drain(struct vchan_channel *c)
{
    xenevtchn_port_or_error_t port = flow__xen.xenevtchn_pending(c->handle);

    if (port < 0)
        return false;
    /* The port is masked from the event until here: at most one is queued. */
    flow__xen.xenevtchn_unmask(c->handle, (evtchn_port_t)port);
    return true;
}

static void
linux_wait(const struct vchan_channel *c, struct flow_wait_set *set)
{
    flow_wait_add_fd(set, c->view.fd, FLOW_WAIT_IN);
}

/* Asks for the status of a port; 0, or -1 with errno. */
static int
linux_ask_status(struct linux_hyp *h, uint16_t domid, uint32_t port,
                 struct evtchn_status *ret_status)
{
    struct evtchn_status *op = NULL;
    int code;
    int rc;

    if (h->call != NULL)
        op = flow__xen.xencall_alloc_buffer(h->call, sizeof(*op));
    if (op == NULL) {
        errno = ENOSYS;
        return -1;
    }
    memset(op, 0, sizeof(*op));
    op->dom = domid;
    op->port = port;
    rc = flow__xen.xencall2(h->call, __HYPERVISOR_event_channel_op,
                            EVTCHNOP_status, (uint64_t)(uintptr_t)op);
    code = errno;
    *ret_status = *op;
    flow__xen.xencall_free_buffer(h->call, op);
    errno = code;
    return rc == 0 ? 0 : -1;
}

static enum vchan_channel_state
linux_state(struct vchan_channel *c)
{
    struct evtchn_status status;

    if (linux_ask_status(c->hyp, DOMID_SELF, c->port, &status) != 0)
        return VCHAN_CHANNEL_UNKNOWN;
    return status.status == EVTCHNSTAT_interdomain ? VCHAN_CHANNEL_BOUND
                                                   : VCHAN_CHANNEL_UNBOUND;
}

static uint32_t
linux_remote(struct vchan_channel *c)
{
    struct evtchn_status status;

    if (c->remote != 0)
        return c->remote;
    if (linux_ask_status(c->hyp, DOMID_SELF, c->port, &status) != 0 ||
        status.status != EVTCHNSTAT_interdomain)
        return 0;
    return status.u.interdomain.port;
}

/* An impossible port of a domain that is not ours: the error says whether the
 * domain or the right was missing first. */
enum vchan_presence
flow__vchan_linux_domain(struct linux_hyp *h, uint16_t domid)
{
    struct evtchn_status status;

    if (linux_ask_status(h, domid, UINT32_MAX, &status) == 0)
        return VCHAN_PRESENT;
    if (errno == ENOSYS)
        return VCHAN_PRESENCE_UNKNOWN;
    return errno == ESRCH ? VCHAN_ABSENT : VCHAN_PRESENT;
}

static const struct vchan_grant_ops linux_grants = {
    .share = linux_share,
    .unshare = linux_unshare,
    .map = linux_map,
    .unmap = linux_unmap,
};

static const struct vchan_event_ops linux_events = {
    .alloc = linux_alloc,
    .bind = linux_bind,
    .port = linux_port,
    .remote = linux_remote,
    .notify = linux_notify,
    .drain = linux_drain,
    .wait = linux_wait,
    .state = linux_state,
    .renew = linux_renew,
    .close = linux_close_channel,
};

/*
 * The handles of this process, and of those that it was forked from.  The lock
 * is taken before any of a handle's.
 */
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;
static struct linux_hyp *handles;

static void
linux_free(struct vchan_hyp *hyp)
{
    struct linux_hyp *h = linux_of(hyp);
    struct linux_hyp **at = &handles;
    bool inherited = flow__vchan_hyp_is_inherited(hyp);

    linux_lock_shared(&handles_lock);
    while (*at != NULL && *at != h)
        at = &(*at)->next;
    if (*at != NULL)
        *at = h->next;
    linux_unlock_shared(&handles_lock);
    if (h->store != NULL)
        flow__vchan_linux_hang_up(h->store, inherited);
    /* Its pages for hypercalls are not in a child, and it would unmap what
     * stands in their place; the descriptor says nothing of a death. */
    if (h->call != NULL && !inherited)
        flow__xen.xencall_close(h->call);
    if (h->map != NULL)
        flow__xen.xengnttab_close(h->map);
    if (h->share != NULL)
        flow__xen.xengntshr_close(h->share);
    close(h->lost);
    flow_lock_fini(&h->views.lock);
    pthread_mutex_destroy(&h->lock);
    flow_env_free(hyp->env, h, sizeof(*h));
}

static enum flow_status
linux_new(const struct flow_env *env, struct linux_hyp **ret_hyp,
          struct flow_error *err)
{
    struct linux_hyp *h = flow_env_alloc(env, sizeof(*h));
    const char *missing = NULL;
    enum flow_status st;

    if (h == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory");
    flow__vchan_hyp_init(&h->base, env);
    h->base.grants = &linux_grants;
    h->base.events = &linux_events;
    h->base.store = &flow__vchan_linux_store;
    h->base.free = linux_free;
    h->base.scheme = "vchan";
    h->base.descriptors = true;
    pthread_mutex_init(&h->lock, NULL);
    flow_lock_init(&h->views.lock);

    h->lost = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->lost < 0)
        missing = "cannot make a descriptor for what is lost";
    else if ((h->store = flow__xen.xs_open(0)) == NULL)
        missing = "cannot reach the Xen store";
    else if (!flow__vchan_linux_own(h->store, &h->base.domid))
        missing = "the Xen store does not say which domain this is";
    else if ((h->call = flow__xen.xencall_open(&silent, 0)) == NULL &&
             linux_lacks_descriptors(errno))
        missing = "cannot open the device for hypercalls";
    if (missing == NULL) {
        *ret_hyp = h;
        return FLOW_OK;
    }
    st = flow__vchan_linux_fail(
        err, missing,
        "is this a Xen domain with its modules loaded, and may this "
        "user open /dev/xen?");
    if (h->store != NULL)
        flow__xen.xs_close(h->store);
    if (h->lost >= 0)
        close(h->lost);
    flow_lock_fini(&h->views.lock);
    pthread_mutex_destroy(&h->lock);
    flow_env_free(env, h, sizeof(*h));
    return st;
}

/* Everything that sleeps on the handle wakes, and stays awake. */
static void
linux_lose(struct linux_hyp *h)
{
    const uint64_t one = 1;

    flow__vchan_hyp_lost(&h->base);
    (void)!write(h->lost, &one, sizeof(one));
    flow__vchan_linux_views_lose(&h->views);
}

/*
 * Whether a handle can be used.  A domain that was migrated or restored has
 * another number: what was opened before is lost, in every environment.
 */
static bool
linux_handle_is_current(struct linux_hyp *h)
{
    uint16_t domid;

    if (flow__vchan_hyp_check(&h->base, NULL) != FLOW_OK ||
        !flow__vchan_linux_own(h->store, &domid))
        return false;
    if (domid != h->base.domid)
        linux_lose(h);
    return domid == h->base.domid;
}

/* A reference of the handle of an environment, or NULL. */
static struct linux_hyp *
linux_handle_find(const struct flow_env *env)
{
    struct linux_hyp *found = NULL;

    for (struct linux_hyp *h = handles; h != NULL; h = h->next)
        if (linux_handle_is_current(h) && found == NULL && h->base.env == env &&
            flow__vchan_hyp_try_ref(&h->base))
            found = h;
    return found;
}

enum flow_status
flow__vchan_xen_open(const struct flow_env *env, struct vchan_hyp **ret_hyp,
                     struct flow_error *err)
{
    enum flow_status st = FLOW_OK;
    struct linux_hyp *h;

    linux_lock_shared(&handles_lock);
    h = linux_handle_find(env);
    if (h == NULL && (st = flow__vchan_linux_load(err)) == FLOW_OK &&
        (st = linux_new(env, &h, err)) == FLOW_OK) {
        h->next = handles;
        handles = h;
    }
    if (st == FLOW_OK)
        *ret_hyp = &h->base;
    linux_unlock_shared(&handles_lock);
    return st;
}
