/* SPDX-License-Identifier: ISC */

/* Without this the headers declare the interface of Xen 3.0
 * (xen/xen-compat.h), which lacks EVTCHNOP_status. */
#define __XEN_INTERFACE_VERSION__ 0x00030202

#include "backends/vchan/hyp_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <xen/event_channel.h>
#include <xen/xen.h>

/*
 * An event channel: a descriptor of /dev/xen/evtchn with one port bound to it.
 * Event loops get the descriptor of its view (hyp_linux_view.h).
 *
 * Invariants: port is written once, before the channel is given out.  The
 * kernel masks the port with each event, and draining unmasks it, so at most
 * one event is queued.  The descriptor is non-blocking.
 *
 * Locks: none.  Threads: notify, drain and state are called from both
 * directions of a flow; each is one call of the kernel or the hypervisor.
 */

struct vchan_channel {
    struct linux_hyp *hyp;
    xenevtchn_handle *handle;
    struct linux_view view;
    uint32_t port;
    uint32_t remote; /* of a client; a server's is asked for */
};

static struct linux_hyp *
linux_channel_handle_of(struct vchan_hyp *hyp)
{
    return (struct linux_hyp *)hyp;
}

static bool
linux_channel_renew(struct vchan_channel *c)
{
    return flow__vchan_linux_view_renew(&c->view);
}

/* Closing the descriptor unbinds the port, unless it was inherited: then the
 * process that opened it still has it. */
static void
linux_channel_close(struct vchan_channel *c)
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
    c->hyp = linux_channel_handle_of(hyp);
    c->handle = flow__xen.xenevtchn_open(&flow__vchan_linux_log, 0);
    if (c->handle != NULL) {
        fd = flow__xen.xenevtchn_fd(c->handle);
        flow__vchan_linux_view_init(&c->view, &c->hyp->views, fd);
    }
    /* Non-blocking, so that draining does not wait for another event. */
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
        linux_channel_renew(c))
        return c;
    if (c->handle == NULL)
        flow__vchan_linux_fail(
            err, "cannot open the event channel device",
            "load the module xen-evtchn, and see who may open /dev/xen/evtchn");
    else
        flow__vchan_linux_fail(
            err, "cannot make a descriptor for an event channel", NULL);
    linux_channel_close(c);
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
linux_channel_alloc(struct vchan_hyp *hyp, uint16_t peer,
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
    linux_channel_close(c);
    return st;
}

static enum flow_status
linux_channel_bind(struct vchan_hyp *hyp, uint16_t peer, uint32_t remote,
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
    /* Any other error means that the port is stale or bound. */
    if (errno == EACCES || errno == EPERM || errno == ENOMEM || errno == ENOSPC)
        st = flow__vchan_linux_fail(err, "cannot bind the peer's event channel",
                                    NULL);
    linux_channel_close(c);
    return st;
}

static uint32_t
linux_channel_port(const struct vchan_channel *c)
{
    return c->port;
}

static void
linux_channel_notify(struct vchan_channel *c)
{
    flow__xen.xenevtchn_notify(c->handle, c->port);
}

static bool
linux_channel_drain(struct vchan_channel *c)
{
    xenevtchn_port_or_error_t port = flow__xen.xenevtchn_pending(c->handle);

    if (port < 0)
        return false;
    /* The port is masked from its event until here: at most one is queued. */
    flow__xen.xenevtchn_unmask(c->handle, (evtchn_port_t)port);
    return true;
}

static void
linux_channel_wait(const struct vchan_channel *c, struct flow_wait_set *set)
{
    flow_wait_add_fd(set, c->view.fd, FLOW_WAIT_IN);
}

/* Gets the status of a port; 0, or -1 with errno. */
static int
linux_channel_ask_status(struct linux_hyp *h, uint16_t domid, uint32_t port,
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
linux_channel_state(struct vchan_channel *c)
{
    struct evtchn_status status;

    if (linux_channel_ask_status(c->hyp, DOMID_SELF, c->port, &status) != 0)
        return VCHAN_CHANNEL_UNKNOWN;
    return status.status == EVTCHNSTAT_interdomain ? VCHAN_CHANNEL_BOUND
                                                   : VCHAN_CHANNEL_UNBOUND;
}

static uint32_t
linux_channel_remote(struct vchan_channel *c)
{
    struct evtchn_status status;

    if (c->remote != 0)
        return c->remote;
    if (linux_channel_ask_status(c->hyp, DOMID_SELF, c->port, &status) != 0 ||
        status.status != EVTCHNSTAT_interdomain)
        return 0;
    return status.u.interdomain.port;
}

/* Asks for an impossible port of another domain: the hypervisor looks for the
 * domain first (ESRCH) and then checks our right. */
enum vchan_presence
flow__vchan_linux_domain(struct linux_hyp *h, uint16_t domid)
{
    struct evtchn_status status;

    if (linux_channel_ask_status(h, domid, UINT32_MAX, &status) == 0)
        return VCHAN_PRESENT;
    if (errno == ENOSYS)
        return VCHAN_PRESENCE_UNKNOWN;
    return errno == ESRCH ? VCHAN_ABSENT : VCHAN_PRESENT;
}

const struct vchan_event_ops flow__vchan_linux_channels = {
    .alloc = linux_channel_alloc,
    .bind = linux_channel_bind,
    .port = linux_channel_port,
    .remote = linux_channel_remote,
    .notify = linux_channel_notify,
    .drain = linux_channel_drain,
    .wait = linux_channel_wait,
    .state = linux_channel_state,
    .renew = linux_channel_renew,
    .close = linux_channel_close,
};
