/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_domain.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/hyp_fake_dir.h"
#include "backends/vchan/hyp_fake_set.h"

/*
 * The event channels of hyp_fake_domain.h: sockets whose names are the ports.
 *
 * Invariants: a channel forgets its port when it frees it, since another thread
 * may get that port at once.  The set contains fd unless gone is set.  listens
 * is set from the allocation until the peer binds, and again after that peer is
 * gone.
 *
 * Locks: that of the channel, for its sockets; then the world's, for the port;
 * then the domain's, for the list of channels.  Threads: notify and drain come
 * from both directions of a flow.
 */

/* False with errno. */
static bool
fake_channel_port_address(const struct fake_hyp *h, uint32_t port,
                          struct sockaddr_un *addr)
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
fake_channel_free(struct vchan_channel *c)
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
fake_channel_new(struct fake_hyp *h, uint32_t port)
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
    fake_channel_free(c);
    return NULL;
}

/* Frees a port.  Another thread may get it after this, so the channel, if there
 * is one, forgets it. */
static void
fake_channel_port_release(struct fake_hyp *h, uint32_t port,
                          struct vchan_channel *c)
{
    flow__fake_lock(&h->dir);
    if (h->dir.world->port[port].owner == h->dir.member)
        flow__fake_port_free(h->dir.world, port);
    if (c != NULL)
        c->port = 0;
    flow__fake_unlock(&h->dir);
}

/* Frees a port and its channel after a failure. */
static enum flow_status
fake_channel_undo(struct fake_hyp *h, uint32_t port, struct vchan_channel *c,
                  struct flow_error *err)
{
    int code = errno;

    fake_channel_port_release(h, port, c);
    if (c != NULL)
        fake_channel_free(c);
    return flow__fake_fail(err, FLOW_E_SYS, code,
                           "cannot make the channel's socket");
}

/* A port that is free both in the tables and in our own list; the world's lock
 * is held. */
static uint32_t
fake_channel_port_new(struct fake_hyp *h, uint16_t peer)
{
    uint32_t port = flow__fake_port_new(&h->dir, h->base.domid, peer);

    pthread_mutex_lock(&h->lock);
    for (const struct vchan_channel *c = h->channels; c != NULL; c = c->next)
        if (c->port == port)
            port = 0;
    pthread_mutex_unlock(&h->lock);
    return port;
}

static enum flow_status
fake_channel_alloc(struct vchan_hyp *hyp, uint16_t peer,
                   struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct fake_hyp *h = flow__fake_of(hyp);
    struct vchan_channel *c;
    struct sockaddr_un addr;
    uint32_t port;

    flow__fake_lock(&h->dir);
    port = fake_channel_port_new(h, peer);
    flow__fake_unlock(&h->dir);
    if (port == 0)
        return flow__fake_fail(err, FLOW_E_NOMEM, 0, "no free event channel");
    c = fake_channel_new(h, port);
    if (c == NULL || !fake_channel_port_address(h, port, &addr))
        return fake_channel_undo(h, port, c, err);
    unlink(addr.sun_path);
    if (bind(c->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        listen(c->fd, 1) != 0 || flow__fake_set_put(c->set, c->fd) != 0)
        return fake_channel_undo(h, port, c, err);
    c->listens = true;
    *ret_channel = c;
    return FLOW_OK;
}

/* Binds to a port in the tables; returns our port, or 0. */
static uint32_t
fake_channel_port_bind(struct fake_hyp *h, uint16_t peer, uint32_t remote)
{
    struct fake_world *w = h->dir.world;
    struct fake_port *r = flow__fake_port_at(w, remote);
    uint32_t port = 0;

    if (r == NULL)
        return 0;
    flow__fake_lock(&h->dir);
    if (r->state == FAKE_UNBOUND && r->domid == peer &&
        r->peer == h->base.domid && r->remote == 0)
        port = fake_channel_port_new(h, peer);
    if (port != 0) {
        r->state = w->port[port].state = FAKE_BOUND;
        r->remote = port;
        w->port[port].remote = remote;
    }
    flow__fake_unlock(&h->dir);
    return port;
}

static enum flow_status
fake_channel_bind(struct vchan_hyp *hyp, uint16_t peer, uint32_t remote,
                  struct vchan_channel **ret_channel, struct flow_error *err)
{
    struct fake_hyp *h = flow__fake_of(hyp);
    struct vchan_channel *c;
    struct sockaddr_un addr;
    uint32_t port = fake_channel_port_bind(h, peer, remote);

    if (port == 0)
        return FLOW_AGAIN;
    c = fake_channel_new(h, port);
    if (c == NULL || !fake_channel_port_address(h, remote, &addr))
        return fake_channel_undo(h, port, c, err);
    if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        fake_channel_undo(h, port, c, NULL);
        return FLOW_AGAIN; /* its owner died */
    }
    if (flow__fake_set_put(c->set, c->fd) != 0)
        return fake_channel_undo(h, port, c, err);
    *ret_channel = c;
    return FLOW_OK;
}

static uint32_t
fake_channel_port(const struct vchan_channel *c)
{
    return c->port;
}

static uint32_t
fake_channel_remote(struct vchan_channel *c)
{
    struct fake_dir *dir = &c->hyp->dir;
    const struct fake_port *port = &dir->world->port[c->port];
    uint32_t remote;

    flow__fake_lock(dir);
    remote = port->state == FAKE_BOUND ? port->remote : 0;
    flow__fake_unlock(dir);
    return remote;
}

static void
fake_channel_wait(const struct vchan_channel *c, struct flow_wait_set *set)
{
    flow_wait_add_fd(set, c->set, FLOW_WAIT_IN);
}

/* Accepts the peer's connection if there is one; the lock is held. */
static bool
fake_channel_accept(struct vchan_channel *c)
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
 * The socket has ended: the peer closed its end, or died.  It is taken out of
 * the set, since it would stay readable and wake its waiters for ever.  The end
 * that was allocated can be bound again after this.  True if a kernel would
 * have sent an event.
 */
static bool
fake_channel_ended(struct vchan_channel *c)
{
    struct fake_dir *dir = &c->hyp->dir;

    flow__fake_lock(dir);
    flow__fake_port_ended(dir, c->port);
    flow__fake_unlock(dir);

    flow__fake_set_take(c->set, c->fd);
    c->gone = c->listening < 0;
    if (c->gone)
        return !dir->silent;
    close(c->fd);
    c->fd = c->listening;
    c->listening = -1;
    c->listens = true;
    flow__fake_set_put(c->set, c->fd);
    return !dir->silent;
}

static void
fake_channel_notify(struct vchan_channel *c)
{
    const uint8_t byte = 1;

    pthread_mutex_lock(&c->lock);
    if (!c->listens || fake_channel_accept(c))
        if (!c->gone)
            send(c->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    pthread_mutex_unlock(&c->lock);
}

static bool
fake_channel_drain(struct vchan_channel *c)
{
    uint8_t byte[256];
    bool came = false;
    ssize_t n;

    pthread_mutex_lock(&c->lock);
    if (c->listens)
        came = fake_channel_accept(c);
    if (!c->listens && !c->gone) {
        n = recv(c->fd, byte, sizeof(byte), MSG_DONTWAIT);
        if (n > 0)
            came = true;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            came = fake_channel_ended(c);
    }
    pthread_mutex_unlock(&c->lock);
    return came;
}

static enum vchan_channel_state
fake_channel_state(struct vchan_channel *c)
{
    struct fake_dir *dir = &c->hyp->dir;
    struct pollfd p = { .events = 0 };
    bool bound;

    /* The state is not an event: the end counts even before bytes that were
     * sent earlier are read. */
    pthread_mutex_lock(&c->lock);
    p.fd = c->fd;
    if (!c->listens && !c->gone && poll(&p, 1, 0) == 1)
        fake_channel_ended(c);
    pthread_mutex_unlock(&c->lock);

    flow__fake_lock(dir);
    bound = dir->world->port[c->port].state == FAKE_BOUND;
    flow__fake_unlock(dir);
    return bound ? VCHAN_CHANNEL_BOUND : VCHAN_CHANNEL_UNBOUND;
}

/* A new set with the socket in it, or -1; the lock is held. */
static int
fake_channel_set(const struct vchan_channel *c)
{
    int set = flow__fake_set_new();

    if (set < 0 || c->gone || flow__fake_set_put(set, c->fd) == 0)
        return set;
    close(set);
    return -1;
}

/* Event loops know the set.  The new one has another number if the process has
 * a descriptor left. */
static bool
fake_channel_renew(struct vchan_channel *c)
{
    bool renewed;
    int set;

    pthread_mutex_lock(&c->lock);
    set = fake_channel_set(c);
    /* A child that was forked may keep the set open. */
    flow__fake_set_take(c->set, c->fd);
    if (c->set >= 0)
        close(c->set);
    c->set = set >= 0 ? set : fake_channel_set(c);
    renewed = c->set >= 0;
    pthread_mutex_unlock(&c->lock);
    return renewed;
}

static void
fake_channel_close(struct vchan_channel *c)
{
    struct fake_hyp *h = c->hyp;
    struct sockaddr_un addr;

    if (flow__vchan_hyp_is_inherited(&h->base)) {
        fake_channel_free(c);
        return;
    }
    if (fake_channel_port_address(h, c->port, &addr))
        unlink(addr.sun_path);
    fake_channel_port_release(h, c->port, c);
    fake_channel_free(c);
}

const struct vchan_event_ops flow__fake_events = {
    .alloc = fake_channel_alloc,
    .bind = fake_channel_bind,
    .port = fake_channel_port,
    .remote = fake_channel_remote,
    .notify = fake_channel_notify,
    .drain = fake_channel_drain,
    .wait = fake_channel_wait,
    .state = fake_channel_state,
    .renew = fake_channel_renew,
    .close = fake_channel_close,
};

void
flow__vchan_fake_kill(struct vchan_hyp *hyp)
{
    struct fake_hyp *h = flow__fake_of(hyp);

    flow__fake_dir_kill(&h->dir);
    pthread_mutex_lock(&h->lock);
    for (struct vchan_channel *c = h->channels; c != NULL; c = c->next) {
        shutdown(c->fd, SHUT_RDWR);
        if (c->listening >= 0)
            shutdown(c->listening, SHUT_RDWR);
    }
    pthread_mutex_unlock(&h->lock);
}
