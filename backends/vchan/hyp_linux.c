/* SPDX-License-Identifier: ISC */

/* Without it the headers mean the hypercalls of Xen 3.0 (xen/xen-compat.h),
 * EVTCHNOP_status of which is none. */
#define __XEN_INTERFACE_VERSION__ 0x00030202

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xencall.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoollog.h>

#include <xen/event_channel.h>
#include <xen/xen.h>

#include "backends/vchan/path.h"
#include "backends/vchan/proto.h"
#include "backends/vchan/vchan.h"

/* Ports of the FIFO event channel ABI, the larger of the two. */
#define PORT_MAX 131071u

/* Names of the two keys below a base path. */
#define KEY_REF  "/ring-ref"
#define KEY_PORT "/event-channel"
#define KEY_MAX  (VCHAN_BASE_MAX + 16)

struct linux_hyp {
    struct vchan_hyp base;
    xengnttab_handle *map;
    xengntshr_handle *share;
    xencall_handle *call; /* NULL: no permission; then no channel states */
    struct xs_handle *store;
    bool watching;
};

struct linux_region {
    struct vchan_region base;
};

struct vchan_channel {
    struct linux_hyp *hyp;
    xenevtchn_handle *handle;
    uint32_t port;
};

struct vchan_deaths {
    const struct flow_env *env;
    struct xs_handle *store;
};

/* The Xen libraries write to stderr unless given somewhere else to: what went
 * wrong is in our error records. */
static void
log_message(struct xentoollog_logger *logger, xentoollog_level level,
            int errnoval, const char *context, const char *format, va_list al)
{
    (void)logger;
    (void)level;
    (void)errnoval;
    (void)context;
    (void)format;
    (void)al;
}

static void
log_destroy(struct xentoollog_logger *logger)
{
    (void)logger;
}

static xentoollog_logger silent = {
    .vmessage = log_message,
    .destroy = log_destroy,
};

static struct linux_hyp *
linux_of(struct vchan_hyp *hyp)
{
    return (struct linux_hyp *)hyp;
}

static enum flow_status
fail(struct flow_error *err, const char *text, const char *hint)
{
    int code = errno;

    if (code == ENOMEM || code == ENOSPC)
        flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_ERRNO, code,
                       text);
    else
        flow_error_set(err, FLOW_E_SYS, "vchan", FLOW_DOMAIN_ERRNO, code, text);
    if (err != NULL)
        err->hint = hint;
    return code == ENOMEM || code == ENOSPC ? FLOW_E_NOMEM : FLOW_E_SYS;
}

static enum flow_status
region_give(struct vchan_hyp *hyp, void *base, uint32_t count,
            struct vchan_region **ret_region)
{
    struct linux_region *r = flow_env_alloc(hyp->env, sizeof(*r));

    if (r == NULL)
        return FLOW_E_NOMEM;
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
    struct linux_hyp *h = linux_of(hyp);
    void *base;

    if (parting.channel != NULL)
        base = xengntshr_share_page_notify(h->share, peer, ret_refs, writable,
                                           parting.clear_at,
                                           parting.channel->port);
    else
        base = xengntshr_share_pages(h->share, peer, (int)count, ret_refs,
                                     writable);
    if (base == NULL)
        return fail(err, "cannot grant pages",
                    "see the limit parameter of the module xen-gntalloc");
    memset(base, 0, (size_t)count * VCHAN_PAGE_SIZE);
    if (region_give(hyp, base, count, ret_region) == FLOW_OK)
        return FLOW_OK;
    xengntshr_unshare(h->share, base, count);
    return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                          "no memory for a region");
}

/* The kernel keeps pages that a peer has mapped until it unmaps them. */
static enum flow_status
linux_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    xengntshr_unshare(linux_of(hyp)->share, region->base, region->count);
    flow_env_free(hyp->env, region, sizeof(struct linux_region));
    return FLOW_OK;
}

static enum flow_status
linux_map(struct vchan_hyp *hyp, uint16_t peer, const uint32_t *refs,
          uint32_t count, bool writable, struct vchan_parting parting,
          struct vchan_region **ret_region, struct flow_error *err)
{
    struct linux_hyp *h = linux_of(hyp);
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    uint32_t copy[VCHAN_PAGES_MAX];
    void *base;

    if (parting.channel != NULL) {
        base = xengnttab_map_grant_ref_notify(h->map, peer, refs[0], prot,
                                              parting.clear_at,
                                              parting.channel->port);
    } else {
        memcpy(copy, refs, count * sizeof(*refs));
        base = xengnttab_map_domain_grant_refs(h->map, count, peer, copy, prot);
    }
    if (base == NULL)
        return fail(err, "cannot map the peer's pages",
                    "see the limit parameter of the module xen-gntdev");
    if (region_give(hyp, base, count, ret_region) == FLOW_OK)
        return FLOW_OK;
    xengnttab_unmap(h->map, base, count);
    return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                          "no memory for a region");
}

static void
linux_unmap(struct vchan_hyp *hyp, struct vchan_region *region)
{
    xengnttab_unmap(linux_of(hyp)->map, region->base, region->count);
    flow_env_free(hyp->env, region, sizeof(struct linux_region));
}

static void
linux_close_channel(struct vchan_channel *c)
{
    const struct flow_env *env = c->hyp->base.env;

    if (c->handle != NULL)
        xenevtchn_close(c->handle); /* unbinds the port */
    flow_env_free(env, c, sizeof(*c));
}

/* A channel without a port, on a descriptor of its own. */
static struct vchan_channel *
channel_new(struct vchan_hyp *hyp, struct flow_error *err)
{
    struct vchan_channel *c = flow_env_alloc(hyp->env, sizeof(*c));
    int fd;

    if (c == NULL) {
        flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                       "no memory for a channel");
        return NULL;
    }
    c->hyp = linux_of(hyp);
    c->handle = xenevtchn_open(&silent, 0);
    fd = c->handle == NULL ? -1 : xenevtchn_fd(c->handle);
    /* Draining stops at the last event instead of waiting for the next. */
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return c;
    fail(err, "cannot open the event channel device",
         "load the module xen-evtchn, and see who may open /dev/xen/evtchn");
    linux_close_channel(c);
    return NULL;
}

static enum flow_status
channel_bound(struct vchan_channel *c, int port,
              struct vchan_channel **ret_channel)
{
    c->port = (uint32_t)port;
    xenevtchn_unmask(c->handle, c->port);
    *ret_channel = c;
    return FLOW_OK;
}

static enum flow_status
linux_alloc(struct vchan_hyp *hyp, uint16_t peer,
            struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct vchan_channel *c = channel_new(hyp, err);
    enum flow_status st;
    int port;

    if (c == NULL)
        return err != NULL ? err->status : FLOW_E_SYS;
    port = xenevtchn_bind_unbound_port(c->handle, peer);
    if (port >= 0)
        return channel_bound(c, port, ret_channel);
    st = fail(err, "cannot allocate an event channel",
              "is there a domain with this number?");
    linux_close_channel(c);
    return st;
}

static enum flow_status
linux_bind(struct vchan_hyp *hyp, uint16_t peer, uint32_t remote,
           struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct vchan_channel *c = channel_new(hyp, err);
    enum flow_status st = FLOW_AGAIN;
    int port;

    if (c == NULL)
        return err != NULL ? err->status : FLOW_E_SYS;
    port = xenevtchn_bind_interdomain(c->handle, peer, remote);
    if (port >= 0)
        return channel_bound(c, port, ret_channel);
    /* Whatever is not about us is about a port that is stale or taken. */
    if (errno == EACCES || errno == EPERM || errno == ENOMEM || errno == ENOSPC)
        st = fail(err, "cannot bind the peer's event channel", NULL);
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
    xenevtchn_notify(c->handle, c->port);
}

static bool
linux_drain(struct vchan_channel *c)
{
    xenevtchn_port_or_error_t port = xenevtchn_pending(c->handle);

    if (port < 0)
        return false;
    /* The port is masked from the event until here: at most one is queued. */
    xenevtchn_unmask(c->handle, (evtchn_port_t)port);
    return true;
}

static void
linux_wait(const struct vchan_channel *c, struct flow_wait_sink *sink)
{
    flow_wait_add_fd(sink, xenevtchn_fd(c->handle), FLOW_WAIT_IN);
}

static enum vchan_channel_state
linux_state(struct vchan_channel *c)
{
    enum vchan_channel_state state = VCHAN_CHANNEL_UNKNOWN;
    xencall_handle *call = c->hyp->call;
    struct evtchn_status *op;

    op = call == NULL ? NULL : xencall_alloc_buffer(call, sizeof(*op));
    if (op == NULL)
        return state;
    memset(op, 0, sizeof(*op));
    op->dom = DOMID_SELF;
    op->port = c->port;
    if (xencall2(call, __HYPERVISOR_event_channel_op, EVTCHNOP_status,
                 (uint64_t)(uintptr_t)op) == 0)
        state = op->status == EVTCHNSTAT_interdomain ? VCHAN_CHANNEL_BOUND
                                                     : VCHAN_CHANNEL_UNBOUND;
    xencall_free_buffer(call, op);
    return state;
}

/* Writes one key that `peer` may read. */
static bool
key_write(struct linux_hyp *h, xs_transaction_t t, const char *base,
          const char *key, uint32_t number, uint16_t peer)
{
    struct xs_permissions perms[2] = {
        { .id = h->base.domid, .perms = XS_PERM_NONE },
        { .id = peer, .perms = XS_PERM_READ },
    };
    char path[KEY_MAX];
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", number);

    snprintf(path, sizeof(path), "%s%s", base, key);
    return xs_write(h->store, t, path, text, (unsigned)len) &&
           xs_set_permissions(h->store, t, path, perms, 2);
}

static enum flow_status
linux_publish(struct vchan_hyp *hyp, const char *base, uint16_t peer,
              uint32_t ref, uint32_t port, struct flow_error *err)
{
    struct linux_hyp *h = linux_of(hyp);
    enum flow_status st;
    xs_transaction_t t;
    bool ok;

    /* Clients watch event-channel, so it is the last. */
    do {
        t = xs_transaction_start(h->store);
        if (t == XBT_NULL)
            break;
        ok = key_write(h, t, base, KEY_REF, ref, peer) &&
             key_write(h, t, base, KEY_PORT, port, peer);
        if (!ok) {
            int code = errno;

            xs_transaction_end(h->store, t, true);
            errno = code;
            break;
        }
        if (xs_transaction_end(h->store, t, false))
            return FLOW_OK;
    } while (errno == EAGAIN);
    st = fail(err, "cannot write to the store", "is the path below our own?");
    flow_error_set_detail(err, base);
    return st;
}

/* Reads one key: OK, AGAIN when it is not there or not yet for us, E_PROTO when
 * no number, E_SYS with errno when the store does not answer. */
static enum flow_status
key_read(struct linux_hyp *h, xs_transaction_t t, const char *base,
         const char *key, uint32_t min, uint32_t max, uint32_t *ret_number)
{
    char path[KEY_MAX];
    unsigned len = 0;
    bool ok;
    char *text;

    snprintf(path, sizeof(path), "%s%s", base, key);
    text = xs_read(h->store, t, path, &len);
    if (text == NULL)
        return errno == ENOENT || errno == EACCES ? FLOW_AGAIN : FLOW_E_SYS;
    ok = flow__vchan_number(text, len, min, max, ret_number);
    free(text);
    if (ok)
        return FLOW_OK;
    return len == 0 ? FLOW_AGAIN : FLOW_E_PROTO;
}

static void
key_remove(struct linux_hyp *h, xs_transaction_t t, const char *base,
           const char *key)
{
    char path[KEY_MAX];

    snprintf(path, sizeof(path), "%s%s", base, key);
    xs_rm(h->store, t, path);
}

/* Removes the keys of an offer, and their directory if nothing else is there:
 * what others keep below it is theirs.  False if the offer is not there. */
static bool
keys_remove(struct linux_hyp *h, xs_transaction_t t, const char *base,
            uint32_t port)
{
    uint32_t there = 0;
    unsigned count = 0;
    char **rest;

    if (key_read(h, t, base, KEY_PORT, 1, PORT_MAX, &there) != FLOW_OK ||
        there != port)
        return false;
    key_remove(h, t, base, KEY_PORT);
    key_remove(h, t, base, KEY_REF);
    rest = xs_directory(h->store, t, base, &count);
    if (rest != NULL && count == 0)
        xs_rm(h->store, t, base);
    free(rest);
    return true;
}

static void
linux_withdraw(struct vchan_hyp *hyp, const char *base, uint32_t port)
{
    struct linux_hyp *h = linux_of(hyp);
    xs_transaction_t t;
    bool ours;

    do {
        t = xs_transaction_start(h->store);
        if (t == XBT_NULL)
            return;
        ours = keys_remove(h, t, base, port);
    } while (!xs_transaction_end(h->store, t, !ours) && errno == EAGAIN);
}

/* Takes in the watch events, which say only "look". */
static void
watch_drain(struct linux_hyp *h)
{
    char **event;

    while (h->watching && (event = xs_check_watch(h->store)) != NULL)
        free(event);
}

static enum flow_status
linux_lookup(struct vchan_hyp *hyp, const char *base, uint32_t *ret_ref,
             uint32_t *ret_port, struct flow_error *err)
{
    struct linux_hyp *h = linux_of(hyp);
    uint32_t again = 0;
    enum flow_status st;

    watch_drain(h);
    st = key_read(h, XBT_NULL, base, KEY_PORT, 1, PORT_MAX, ret_port);
    if (st == FLOW_OK)
        st = key_read(h, XBT_NULL, base, KEY_REF, VCHAN_REF_MIN, UINT32_MAX,
                      ret_ref);
    /* Both of one offer: the port is still that of before. */
    if (st == FLOW_OK)
        st = key_read(h, XBT_NULL, base, KEY_PORT, 1, PORT_MAX, &again);
    if (st == FLOW_OK && again != *ret_port)
        st = FLOW_AGAIN;
    if (st == FLOW_E_PROTO)
        flow_error_set(err, st, "vchan", FLOW_DOMAIN_NONE, 0,
                       "the server published keys that are no numbers");
    else if (st == FLOW_E_SYS)
        st = fail(err, "the store does not answer", "is xenstored running?");
    if (st != FLOW_OK && st != FLOW_AGAIN)
        flow_error_set_detail(err, base);
    return st;
}

static bool
linux_watch(struct vchan_hyp *hyp, const char *base,
            struct flow_wait_sink *sink)
{
    struct linux_hyp *h = linux_of(hyp);
    char path[KEY_MAX];
    int fd;

    if (!h->watching) {
        snprintf(path, sizeof(path), "%s%s", base, KEY_PORT);
        h->watching = xs_watch(h->store, path, "vchan");
    }
    fd = h->watching ? xs_fileno(h->store) : -1;
    if (fd < 0)
        return false;
    flow_wait_add_fd(sink, fd, FLOW_WAIT_IN);
    return true;
}

static bool
linux_released(struct vchan_hyp *hyp, uint16_t domid)
{
    struct xs_handle *store = linux_of(hyp)->store;

    /* "No" is also what a request that failed answers, and errno does not tell
     * the two apart: a success may set it, a lack of memory may not.  A store
     * that answers, which it does to domain 0 alone, says yes to one's own. */
    return !xs_is_domain_introduced(store, domid) &&
           xs_is_domain_introduced(store, DOMID_SELF);
}

static void
linux_deaths_close(struct vchan_deaths *d)
{
    if (d->store != NULL)
        xs_close(d->store);
    flow_env_free(d->env, d, sizeof(*d));
}

static enum flow_status
linux_deaths_open(struct vchan_hyp *hyp, struct vchan_deaths **ret_deaths,
                  struct flow_error *err)
{
    struct vchan_deaths *d = flow_env_alloc(hyp->env, sizeof(*d));
    enum flow_status st;

    if (d == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for a watch");
    d->env = hyp->env;
    d->store = xs_open(0);
    if (d->store != NULL && xs_fileno(d->store) >= 0 &&
        xs_watch(d->store, "@releaseDomain", "vchan")) {
        *ret_deaths = d;
        return FLOW_OK;
    }
    st = fail(err, "the Xen store does not tell of the ends of domains",
              "let it by its permissions of @releaseDomain, or do without "
              "watch_domains");
    linux_deaths_close(d);
    return st;
}

static void
linux_deaths_wait(const struct vchan_deaths *d, struct flow_wait_sink *sink)
{
    flow_wait_add_fd(sink, xs_fileno(d->store), FLOW_WAIT_IN);
}

static bool
linux_deaths_drain(struct vchan_deaths *d)
{
    bool told = false;
    char **event;

    while ((event = xs_check_watch(d->store)) != NULL) {
        free(event);
        told = true;
    }
    return told;
}

static void
linux_free(struct vchan_hyp *hyp)
{
    struct linux_hyp *h = linux_of(hyp);

    if (h->store != NULL)
        xs_close(h->store);
    if (h->call != NULL)
        xencall_close(h->call);
    if (h->map != NULL)
        xengnttab_close(h->map);
    if (h->share != NULL)
        xengntshr_close(h->share);
    flow_env_free(hyp->env, h, sizeof(*h));
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
    .notify = linux_notify,
    .drain = linux_drain,
    .wait = linux_wait,
    .state = linux_state,
    .close = linux_close_channel,
};

static const struct vchan_store_ops linux_store = {
    .publish = linux_publish,
    .withdraw = linux_withdraw,
    .lookup = linux_lookup,
    .watch = linux_watch,
    .released = linux_released,
    .deaths_open = linux_deaths_open,
    .deaths_wait = linux_deaths_wait,
    .deaths_drain = linux_deaths_drain,
    .deaths_close = linux_deaths_close,
};

/* Our own domain, as the store names it. */
static bool
own_domain(struct linux_hyp *h)
{
    unsigned len = 0;
    uint32_t domid = 0;
    char *text = xs_read(h->store, XBT_NULL, "domid", &len);
    bool ok = text != NULL &&
              flow__vchan_number(text, len, 0, VCHAN_DOMID_LIMIT - 1, &domid);

    free(text);
    h->base.domid = (uint16_t)domid;
    return ok;
}

enum flow_status
flow__vchan_xen_open(const struct flow_env *env, struct vchan_hyp **ret_hyp,
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
    h->base.store = &linux_store;
    h->base.free = linux_free;
    h->base.scheme = "vchan";
    h->base.descriptors = true;

    if ((h->map = xengnttab_open(&silent, 0)) == NULL)
        missing = "cannot open the device for mapping grants, xen-gntdev";
    else if ((h->share = xengntshr_open(&silent, 0)) == NULL)
        missing = "cannot open the device for granting pages, xen-gntalloc";
    else if ((h->store = xs_open(0)) == NULL)
        missing = "cannot reach the Xen store";
    else if (!own_domain(h))
        missing = "the Xen store does not say which domain this is";
    if (missing == NULL) {
        h->call = xencall_open(&silent, 0);
        *ret_hyp = &h->base;
        return FLOW_OK;
    }
    st = fail(err, missing,
              "is this a Xen domain with its modules loaded, and may this "
              "user open /dev/xen?");
    linux_free(&h->base);
    return st;
}
