/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/xen.h>

/*
 * An event channel: a port of ours, whose events signal a flow_event.
 *
 * Invariants: the port is in the table of the handle for as long as the channel
 * is open.  Locks: none of its own (hyp_unikernel_port.c).
 */

static struct vchan_channel *
unikernel_channel_new(struct vchan_hyp *hyp, struct flow_error *err)
{
    struct vchan_channel *c = flow_env_alloc(hyp->env, sizeof(*c));

    if (c == NULL)
        flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                       "no memory for a channel");
    else
        c->hyp = flow__unikernel_of(hyp);
    return c;
}

static void
unikernel_channel_close_port(const struct unikernel_hyp *h, uint32_t number)
{
    struct evtchn_close end = { .port = number };

    flow__unikernel_call(h, __HYPERVISOR_event_channel_op, EVTCHNOP_close,
                         &end);
}

/* Completes a channel whose port Xen has given us. */
static enum flow_status
unikernel_channel_finish(struct vchan_channel *c, uint32_t number,
                         struct vchan_channel **ret_channel,
                         struct flow_error *err)
{
    if (flow__unikernel_port_open(c->hyp, &c->port, number)) {
        *ret_channel = c;
        return FLOW_OK;
    }
    unikernel_channel_close_port(c->hyp, number);
    flow_env_free(c->hyp->base.env, c, sizeof(*c));
    return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                          "no event channel is left");
}

static enum flow_status
unikernel_channel_alloc(struct vchan_hyp *hyp, uint16_t peer,
                        struct vchan_channel **ret_channel,
                        struct flow_error *err)
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF,
                                          .remote_dom = peer };
    struct vchan_channel *c = unikernel_channel_new(hyp, err);
    int64_t rc;

    if (c == NULL)
        return FLOW_E_NOMEM;
    rc = flow__unikernel_call(c->hyp, __HYPERVISOR_event_channel_op,
                              EVTCHNOP_alloc_unbound, &alloc);
    if (rc == 0)
        return unikernel_channel_finish(c, alloc.port, ret_channel, err);
    flow_env_free(hyp->env, c, sizeof(*c));
    return flow__unikernel_fail(err, rc, "cannot allocate an event channel",
                                "is there a domain with this number?");
}

static enum flow_status
unikernel_channel_bind(struct vchan_hyp *hyp, uint16_t peer, uint32_t remote,
                       struct vchan_channel **ret_channel,
                       struct flow_error *err)
{
    struct evtchn_bind_interdomain bind = { .remote_dom = peer,
                                            .remote_port = remote };
    struct vchan_channel *c = unikernel_channel_new(hyp, err);
    int64_t rc;

    if (c == NULL)
        return FLOW_E_NOMEM;
    rc = flow__unikernel_call(c->hyp, __HYPERVISOR_event_channel_op,
                              EVTCHNOP_bind_interdomain, &bind);
    if (rc == 0) {
        c->remote = remote;
        return unikernel_channel_finish(c, bind.local_port, ret_channel, err);
    }
    flow_env_free(hyp->env, c, sizeof(*c));
    /* Any other error means that the port is stale or bound. */
    if (rc == -XEN_EACCES || rc == -XEN_EPERM || rc == -XEN_ENOMEM ||
        rc == -XEN_ENOSPC)
        return flow__unikernel_fail(
            err, rc, "cannot bind the peer's event channel", NULL);
    return FLOW_AGAIN;
}

static uint32_t
unikernel_channel_port(const struct vchan_channel *c)
{
    return c->port.number;
}

static void
unikernel_channel_notify(struct vchan_channel *c)
{
    flow__unikernel_port_send(c->hyp, c->port.number);
}

static bool
unikernel_channel_drain(struct vchan_channel *c)
{
    return flow__unikernel_port_drain(c->hyp, &c->port);
}

static void
unikernel_channel_wait(const struct vchan_channel *c, struct flow_wait_set *set)
{
    flow__unikernel_port_wait(&c->port, set);
}

static int64_t
unikernel_channel_ask(const struct unikernel_hyp *h, uint16_t domid,
                      uint32_t port, struct evtchn_status *ret_status)
{
    *ret_status = (struct evtchn_status){ .dom = domid, .port = port };
    return flow__unikernel_call(h, __HYPERVISOR_event_channel_op,
                                EVTCHNOP_status, ret_status);
}

static enum vchan_channel_state
unikernel_channel_state(struct vchan_channel *c)
{
    struct evtchn_status status;

    if (unikernel_channel_ask(c->hyp, DOMID_SELF, c->port.number, &status) != 0)
        return VCHAN_CHANNEL_UNKNOWN;
    return status.status == EVTCHNSTAT_interdomain ? VCHAN_CHANNEL_BOUND
                                                   : VCHAN_CHANNEL_UNBOUND;
}

static uint32_t
unikernel_channel_remote(struct vchan_channel *c)
{
    struct evtchn_status status;

    if (c->remote != 0)
        return c->remote;
    if (unikernel_channel_ask(c->hyp, DOMID_SELF, c->port.number, &status) !=
            0 ||
        status.status != EVTCHNSTAT_interdomain)
        return 0;
    return status.u.interdomain.port;
}

static void
unikernel_channel_close(struct vchan_channel *c)
{
    struct unikernel_hyp *h = c->hyp;

    flow__unikernel_port_close(h, &c->port);
    if (!flow__vchan_hyp_is_inherited(&h->base))
        unikernel_channel_close_port(h, c->port.number);
    flow_env_free(h->base.env, c, sizeof(*c));
}

/* Asks for an impossible port of another domain: the hypervisor looks for the
 * domain first (ESRCH) and then checks our right. */
enum vchan_presence
flow__unikernel_presence(const struct unikernel_hyp *h, uint16_t domid)
{
    struct evtchn_status status;

    return unikernel_channel_ask(h, domid, UINT32_MAX, &status) == -XEN_ESRCH
               ? VCHAN_ABSENT
               : VCHAN_PRESENT;
}

const struct vchan_event_ops flow__unikernel_channels = {
    .alloc = unikernel_channel_alloc,
    .bind = unikernel_channel_bind,
    .port = unikernel_channel_port,
    .remote = unikernel_channel_remote,
    .notify = unikernel_channel_notify,
    .drain = unikernel_channel_drain,
    .wait = unikernel_channel_wait,
    .state = unikernel_channel_state,
    .close = unikernel_channel_close,
};
