/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/vchan/hyp_fake_set.h"
#include "backends/vchan/hyp_fake_world.h"

/* A region, with what it takes to undo it. */
struct fake_region {
    struct vchan_region base;
    struct vchan_parting parting;
    struct fake_region *next; /* of all of this hypervisor's */
    struct fake_region **link;
    uint32_t refs[]; /* base.count of them */
};

/*
 * An event channel is a stream socket, an event one byte in it: a second
 * event before the first was taken in adds nothing, as on Xen.  The end that
 * was allocated listens until its peer binds, and again when that one is gone;
 * the socket in between is another one.  What is handed out is the set that it
 * is in.
 */
struct vchan_channel {
    struct fake_hyp *hyp;
    pthread_mutex_t lock; /* notify and drain come from both directions */
    int set;
    int fd;        /* the socket, in the set until the peer is gone */
    int listening; /* the other one meanwhile, or -1 */
    uint32_t port;
    bool listens;
    bool gone;
    struct vchan_channel *next;
    struct vchan_channel **link;
};

struct fake_hyp {
    struct vchan_hyp base;
    struct fake_dir dir;
    pthread_mutex_t lock; /* the two lists */
    struct fake_region *regions;
    struct vchan_channel *channels;
};

static struct fake_hyp *
fake_of(struct vchan_hyp *hyp)
{
    return (struct fake_hyp *)hyp;
}

static enum flow_status
fail(struct flow_error *err, enum flow_status st, int code, const char *text)
{
    return flow_error_set(err, st, "vchan+fake",
                          code != 0 ? FLOW_DOMAIN_ERRNO : FLOW_DOMAIN_NONE,
                          code, text);
}

static struct fake_region *
region_new(struct fake_hyp *h, uint32_t count, struct vchan_parting parting)
{
    size_t size = sizeof(struct fake_region) + count * sizeof(uint32_t);
    struct fake_region *r = flow_env_alloc(h->base.env, size);

    if (r == NULL)
        return NULL;
    r->base.count = count;
    r->parting = parting;
    pthread_mutex_lock(&h->lock);
    r->next = h->regions;
    r->link = &h->regions;
    if (r->next != NULL)
        r->next->link = &r->next;
    h->regions = r;
    pthread_mutex_unlock(&h->lock);
    return r;
}

static void
region_free(struct fake_hyp *h, struct fake_region *r)
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
 * Maps the pages of refs one after another, with a page in front and one
 * behind that nobody can touch; false with errno.
 */
static bool
region_map(struct fake_hyp *h, struct fake_region *r, int prot)
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

/* Tells the world what to do if this member dies with the region. */
static void
parting_enter(struct fake_hyp *h, const struct fake_region *r)
{
    struct fake_port *port;

    if (r->parting.channel == NULL || r->parting.clear_at == VCHAN_CLEAR_NONE)
        return;
    port = &h->dir.world->port[r->parting.channel->port];
    port->clear_ref = r->refs[0];
    port->clear_at = r->parting.clear_at;
}

static void fake_notify(struct vchan_channel *channel);

/* What the kernel does when the region goes. */
static void
parting_run(struct fake_hyp *h, const struct fake_region *r)
{
    if (r->parting.clear_at != VCHAN_CLEAR_NONE)
        __atomic_store_n(r->base.base + r->parting.clear_at, 0,
                         __ATOMIC_SEQ_CST);
    if (r->parting.channel == NULL)
        return;
    fake_notify(r->parting.channel);
    flow__fake_lock(h->dir.world);
    h->dir.world->port[r->parting.channel->port].clear_ref = 0;
    flow__fake_unlock(h->dir.world);
}

static enum flow_status
fake_share(struct vchan_hyp *hyp, uint16_t peer, uint32_t count, bool writable,
           struct vchan_parting parting, uint32_t *ret_refs,
           struct vchan_region **ret_region, struct flow_error *err)
{
    struct fake_hyp *h = fake_of(hyp);
    struct fake_region *r = region_new(h, count, parting);
    int32_t first;

    if (r == NULL)
        return fail(err, FLOW_E_NOMEM, 0, "no memory for a region");
    flow__fake_lock(h->dir.world);
    first = flow__fake_grant(&h->dir, peer, count, writable);
    flow__fake_unlock(h->dir.world);
    if (first < 0) {
        region_free(h, r);
        return fail(err, FLOW_E_NOMEM, 0, "no free run of pages");
    }
    for (uint32_t i = 0; i < count; i++)
        ret_refs[i] = r->refs[i] = (uint32_t)first + i + VCHAN_REF_MIN;
    if (!region_map(h, r, PROT_READ | PROT_WRITE)) {
        int code = errno;

        flow__fake_lock(h->dir.world);
        flow__fake_ungrant(&h->dir, (uint32_t)first, count);
        flow__fake_unlock(h->dir.world);
        region_free(h, r);
        return fail(err, FLOW_E_SYS, code, "cannot map pages");
    }
    memset(r->base.base, 0, (size_t)count * VCHAN_PAGE_SIZE);
    flow__fake_lock(h->dir.world);
    parting_enter(h, r);
    flow__fake_unlock(h->dir.world);
    *ret_region = &r->base;
    return FLOW_OK;
}

static enum flow_status
fake_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    struct fake_hyp *h = fake_of(hyp);
    struct fake_region *r = (struct fake_region *)region;
    bool freed;

    if (flow__vchan_hyp_is_inherited(hyp)) {
        region_free(h, r);
        return FLOW_OK;
    }
    if (r->parting.channel != NULL) {
        parting_run(h, r);
        r->parting.channel = NULL; /* closed before a second attempt */
    }
    flow__fake_lock(h->dir.world);
    freed =
        flow__fake_ungrant(&h->dir, r->refs[0] - VCHAN_REF_MIN, r->base.count);
    flow__fake_unlock(h->dir.world);
    if (!freed)
        return FLOW_E_BUSY;
    region_free(h, r);
    return FLOW_OK;
}

static enum flow_status
fake_map(struct vchan_hyp *hyp, uint16_t peer, const uint32_t *refs,
         uint32_t count, bool writable, struct vchan_parting parting,
         struct vchan_region **ret_region, struct flow_error *err)
{
    struct fake_hyp *h = fake_of(hyp);
    struct fake_region *r = region_new(h, count, parting);
    bool ok = true;

    (void)peer;
    if (r == NULL)
        return fail(err, FLOW_E_NOMEM, 0, "no memory for a region");
    memcpy(r->refs, refs, count * sizeof(*refs));

    flow__fake_lock(h->dir.world);
    for (uint32_t i = 0; ok && i < count; i++)
        ok = flow__fake_may_map(&h->dir, hyp->domid, refs[i], writable);
    for (uint32_t i = 0; ok && i < count; i++)
        h->dir.world->page[refs[i] - VCHAN_REF_MIN].mapper = h->dir.member;
    if (ok)
        parting_enter(h, r);
    flow__fake_unlock(h->dir.world);
    if (!ok) {
        region_free(h, r);
        return FLOW_AGAIN;
    }
    if (!region_map(h, r, writable ? PROT_READ | PROT_WRITE : PROT_READ)) {
        int code = errno;

        hyp->grants->unmap(hyp, &r->base);
        return fail(err, FLOW_E_SYS, code, "cannot map pages");
    }
    *ret_region = &r->base;
    return FLOW_OK;
}

static void
fake_unmap(struct vchan_hyp *hyp, struct vchan_region *region)
{
    struct fake_hyp *h = fake_of(hyp);
    struct fake_region *r = (struct fake_region *)region;

    if (flow__vchan_hyp_is_inherited(hyp)) {
        region_free(h, r);
        return;
    }
    if (r->parting.channel != NULL)
        parting_run(h, r);
    flow__fake_lock(h->dir.world);
    for (uint32_t i = 0; i < r->base.count; i++)
        flow__fake_unmapped(h->dir.world, r->refs[i]);
    flow__fake_unlock(h->dir.world);
    region_free(h, r);
}

/* Fails with errno, as what it is for. */
static bool
port_address(const struct fake_hyp *h, uint32_t port, struct sockaddr_un *addr)
{
    int len;

    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    len = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/port-%u",
                   h->dir.path, port);
    if (len > 0 && (size_t)len < sizeof(addr->sun_path))
        return true;
    errno = ENAMETOOLONG;
    return false;
}

static void
channel_free(struct vchan_channel *c)
{
    struct fake_hyp *h = c->hyp;

    if (c->fd >= 0)
        close(c->fd);
    if (c->listening >= 0)
        close(c->listening);
    if (c->set >= 0)
        close(c->set);
    pthread_mutex_lock(&h->lock);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    pthread_mutex_unlock(&h->lock);
    pthread_mutex_destroy(&c->lock);
    flow_env_free(h->base.env, c, sizeof(*c));
}

static struct vchan_channel *
channel_new(struct fake_hyp *h, uint32_t port)
{
    struct vchan_channel *c = flow_env_alloc(h->base.env, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->hyp = h;
    c->port = port;
    c->listening = -1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_lock(&h->lock);
    c->next = h->channels;
    c->link = &h->channels;
    if (c->next != NULL)
        c->next->link = &c->next;
    h->channels = c;
    pthread_mutex_unlock(&h->lock);
    c->set = flow__fake_set_new();
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->set >= 0 && c->fd >= 0)
        return c;
    channel_free(c);
    return NULL;
}

/* Gives a port and its channel back after a failure. */
static enum flow_status
channel_undo(struct fake_hyp *h, uint32_t port, struct vchan_channel *c,
             struct flow_error *err)
{
    int code = errno;

    flow__fake_lock(h->dir.world);
    flow__fake_port_free(h->dir.world, port);
    flow__fake_unlock(h->dir.world);
    if (c != NULL)
        channel_free(c);
    return fail(err, FLOW_E_SYS, code, "cannot make the channel's socket");
}

static enum flow_status
fake_alloc(struct vchan_hyp *hyp, uint16_t peer,
           struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct fake_hyp *h = fake_of(hyp);
    struct vchan_channel *c;
    struct sockaddr_un addr;
    uint32_t port;

    flow__fake_lock(h->dir.world);
    port = flow__fake_port_new(&h->dir, hyp->domid, peer);
    flow__fake_unlock(h->dir.world);
    if (port == 0)
        return fail(err, FLOW_E_NOMEM, 0, "no free event channel");
    c = channel_new(h, port);
    if (c == NULL || !port_address(h, port, &addr))
        return channel_undo(h, port, c, err);
    unlink(addr.sun_path);
    if (bind(c->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        listen(c->fd, 1) != 0 || flow__fake_set_put(c->set, c->fd) != 0)
        return channel_undo(h, port, c, err);
    c->listens = true;
    *ret_channel = c;
    return FLOW_OK;
}

/* Takes the other end of a port in the tables; our port, or 0. */
static uint32_t
port_bind(struct fake_hyp *h, uint16_t peer, uint32_t remote)
{
    struct fake_world *w = h->dir.world;
    struct fake_port *r;
    uint32_t port = 0;

    if (remote == 0 || remote >= FAKE_PORTS)
        return 0;
    flow__fake_lock(w);
    r = &w->port[remote];
    if (r->state == FAKE_UNBOUND && r->domid == peer &&
        r->peer == h->base.domid && r->remote == 0)
        port = flow__fake_port_new(&h->dir, h->base.domid, peer);
    if (port != 0) {
        r->state = w->port[port].state = FAKE_BOUND;
        r->remote = port;
        w->port[port].remote = remote;
    }
    flow__fake_unlock(w);
    return port;
}

static enum flow_status
fake_bind(struct vchan_hyp *hyp, uint16_t peer, uint32_t remote,
          struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct fake_hyp *h = fake_of(hyp);
    struct vchan_channel *c;
    struct sockaddr_un addr;
    uint32_t port = port_bind(h, peer, remote);

    if (port == 0)
        return FLOW_AGAIN;
    c = channel_new(h, port);
    if (c == NULL || !port_address(h, remote, &addr))
        return channel_undo(h, port, c, err);
    if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        channel_undo(h, port, c, NULL);
        return FLOW_AGAIN; /* its owner died */
    }
    if (flow__fake_set_put(c->set, c->fd) != 0)
        return channel_undo(h, port, c, err);
    *ret_channel = c;
    return FLOW_OK;
}

static uint32_t
fake_port(const struct vchan_channel *c)
{
    return c->port;
}

static uint32_t
fake_remote(struct vchan_channel *c)
{
    struct fake_world *w = c->hyp->dir.world;
    uint32_t port;

    flow__fake_lock(w);
    port = w->port[c->port].state == FAKE_BOUND ? w->port[c->port].remote : 0;
    flow__fake_unlock(w);
    return port;
}

static void
fake_wait(const struct vchan_channel *c, struct flow_wait_sink *sink)
{
    flow_wait_add_fd(sink, c->set, FLOW_WAIT_IN);
}

/* Takes the peer's connection, if it came; called under the lock. */
static bool
channel_accept(struct vchan_channel *c)
{
    int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return false;
    flow__fake_set_take(c->set, c->fd);
    c->listening = c->fd;
    c->fd = fd;
    flow__fake_set_put(c->set, fd);
    c->listens = false;
    return true;
}

/*
 * The socket has ended: the peer closed its end, or died.  It would be
 * readable for ever and spin its waiters, so it is taken out of the set.  Who
 * allocated the channel has one then that may be bound again.  True when the
 * kernel would have sent an event.
 */
static bool
channel_ended(struct vchan_channel *c)
{
    struct fake_world *w = c->hyp->dir.world;
    struct fake_port *port = &w->port[c->port];
    bool told;

    flow__fake_lock(w);
    if (port->state == FAKE_BOUND && w->port[port->remote].state == FAKE_BOUND)
        flow__fake_bury(&c->hyp->dir, w->port[port->remote].owner);
    port->state = FAKE_UNBOUND;
    port->remote = 0;
    told = !w->silent;
    flow__fake_unlock(w);

    flow__fake_set_take(c->set, c->fd);
    c->gone = c->listening < 0;
    if (c->gone)
        return told;
    close(c->fd);
    c->fd = c->listening;
    c->listening = -1;
    c->listens = true;
    flow__fake_set_put(c->set, c->fd);
    return told;
}

static void
fake_notify(struct vchan_channel *c)
{
    const uint8_t byte = 1;

    pthread_mutex_lock(&c->lock);
    if (!c->listens || channel_accept(c))
        if (!c->gone)
            send(c->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    pthread_mutex_unlock(&c->lock);
}

static bool
fake_drain(struct vchan_channel *c)
{
    uint8_t byte[256];
    bool came = false;
    ssize_t n;

    pthread_mutex_lock(&c->lock);
    if (c->listens)
        came = channel_accept(c);
    if (!c->listens && !c->gone) {
        n = recv(c->fd, byte, sizeof(byte), MSG_DONTWAIT);
        if (n > 0)
            came = true;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            came = channel_ended(c);
    }
    pthread_mutex_unlock(&c->lock);
    return came;
}

static enum vchan_channel_state
fake_state(struct vchan_channel *c)
{
    struct fake_world *w = c->hyp->dir.world;
    struct pollfd p = { .events = 0 };
    bool bound;

    /* The end counts whatever was sent before it: the state is not an event. */
    pthread_mutex_lock(&c->lock);
    p.fd = c->fd;
    if (!c->listens && !c->gone && poll(&p, 1, 0) == 1)
        channel_ended(c);
    pthread_mutex_unlock(&c->lock);

    flow__fake_lock(w);
    bound = w->port[c->port].state == FAKE_BOUND;
    flow__fake_unlock(w);
    return bound ? VCHAN_CHANNEL_BOUND : VCHAN_CHANNEL_UNBOUND;
}

static void
fake_close_channel(struct vchan_channel *c)
{
    struct fake_hyp *h = c->hyp;
    struct sockaddr_un addr;

    if (flow__vchan_hyp_is_inherited(&h->base)) {
        channel_free(c);
        return;
    }
    flow__fake_lock(h->dir.world);
    if (h->dir.world->port[c->port].owner == h->dir.member)
        flow__fake_port_free(h->dir.world, c->port);
    flow__fake_unlock(h->dir.world);
    if (port_address(h, c->port, &addr))
        unlink(addr.sun_path);
    channel_free(c);
}

static enum flow_status
fake_publish(struct vchan_hyp *hyp, const char *base, uint16_t peer,
             uint32_t ref, uint32_t port, struct flow_error *err)
{
    struct fake_world *w = fake_of(hyp)->dir.world;
    struct fake_key *key;

    (void)peer;
    if (strlen(base) >= FAKE_BASE)
        return fail(err, FLOW_E_INVAL, 0, "the store path is too long");
    flow__fake_lock(w);
    key = flow__fake_key_find(w, base);
    if (key == NULL)
        key = flow__fake_key_find(w, "");
    if (key != NULL) {
        memcpy(key->base, base, strlen(base) + 1);
        key->ref = ref;
        key->port = port;
    }
    flow__fake_unlock(w);
    return key != NULL ? FLOW_OK
                       : fail(err, FLOW_E_NOMEM, 0, "the store is full");
}

static void
fake_withdraw(struct vchan_hyp *hyp, const char *base, uint32_t port)
{
    struct fake_world *w = fake_of(hyp)->dir.world;
    struct fake_key *key;

    flow__fake_lock(w);
    key = flow__fake_key_find(w, base);
    if (key != NULL && key->port == port)
        memset(key, 0, sizeof(*key));
    flow__fake_unlock(w);
}

static enum flow_status
fake_lookup(struct vchan_hyp *hyp, uint16_t server, const char *base,
            uint32_t *ret_ref, uint32_t *ret_port, struct flow_error *err)
{
    struct fake_hyp *h = fake_of(hyp);
    enum flow_status st = flow__fake_dir_attach(&h->dir, err);
    struct fake_key *key;

    (void)server;
    if (st != FLOW_OK)
        return st;
    flow__fake_lock(h->dir.world);
    key = flow__fake_key_find(h->dir.world, base);
    if (key != NULL) {
        *ret_ref = key->ref;
        *ret_port = key->port;
    }
    flow__fake_unlock(h->dir.world);
    return key != NULL ? FLOW_OK : FLOW_AGAIN;
}

static void
fake_free(struct vchan_hyp *hyp)
{
    struct fake_hyp *h = fake_of(hyp);

    /* Regions that a peer keeps mapped: the object goes, the page stays. */
    while (h->regions != NULL)
        region_free(h, h->regions);
    /* The directory is its maker's, also to remove. */
    if (flow__vchan_hyp_is_inherited(hyp) && h->dir.alive_fd >= 0) {
        close(h->dir.alive_fd);
        h->dir.alive_fd = -1;
    }
    flow__fake_dir_leave(&h->dir);
    pthread_mutex_destroy(&h->lock);
    flow_env_free(hyp->env, h, sizeof(*h));
}

static const struct vchan_grant_ops fake_grants = {
    .share = fake_share,
    .unshare = fake_unshare,
    .map = fake_map,
    .unmap = fake_unmap,
};

static const struct vchan_event_ops fake_events = {
    .alloc = fake_alloc,
    .bind = fake_bind,
    .port = fake_port,
    .remote = fake_remote,
    .notify = fake_notify,
    .drain = fake_drain,
    .wait = fake_wait,
    .state = fake_state,
    .close = fake_close_channel,
};

static const struct vchan_store_ops fake_store = {
    .publish = fake_publish,
    .withdraw = fake_withdraw,
    .lookup = fake_lookup,
};

enum flow_status
flow__vchan_fake_open(const struct flow_env *env, const char *path,
                      uint16_t domid, unsigned flags,
                      struct vchan_hyp **ret_hyp, struct flow_error *err)
{
    struct fake_hyp *h = flow_env_alloc(env, sizeof(*h));
    enum flow_status st;

    if (h == NULL)
        return fail(err, FLOW_E_NOMEM, 0, "no memory");
    if (flags & VCHAN_FAKE_MAKE)
        st = flow__fake_dir_make(&h->dir, path,
                                 (flags & VCHAN_FAKE_SILENT) != 0, err);
    else
        st = flow__fake_dir_name(&h->dir, path, err);
    if (st != FLOW_OK) {
        flow_env_free(env, h, sizeof(*h));
        return st;
    }
    flow__vchan_hyp_init(&h->base, env);
    h->base.grants = &fake_grants;
    h->base.events = &fake_events;
    h->base.store = &fake_store;
    h->base.free = fake_free;
    h->base.scheme = "vchan+fake";
    h->base.descriptors = true;
    h->base.domid = domid;
    pthread_mutex_init(&h->lock, NULL);
    *ret_hyp = &h->base;
    return FLOW_OK;
}

void
flow__vchan_fake_kill(struct vchan_hyp *hyp)
{
    struct fake_hyp *h = fake_of(hyp);

    pthread_mutex_lock(&h->lock);
    for (struct vchan_channel *c = h->channels; c != NULL; c = c->next) {
        shutdown(c->fd, SHUT_RDWR);
        if (c->listening >= 0)
            shutdown(c->listening, SHUT_RDWR);
    }
    pthread_mutex_unlock(&h->lock);
}
