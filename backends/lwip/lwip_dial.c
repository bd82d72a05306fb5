/* SPDX-License-Identifier: ISC */
#include "backends/lwip/addr.h"
#include "backends/lwip/lwip.h"
#include "backends/lwip/stack.h"

/*
 * Connecting.
 *
 * If lwIP has no block or no port for another connection, the opening answers
 * FLOW_AGAIN and asks again after LWIP_DIAL_RETRY_NSEC: lwIP does not tell when
 * one becomes free.
 */
#define LWIP_DIAL_RETRY_NSEC UINT64_C(100000000)

static struct lwip_flow *
lwip_dial_flow_of(struct flow *f)
{
    return (struct lwip_flow *)f;
}

static enum flow_status
lwip_dial_fail(struct lwip_flow *t, enum flow_status status, const char *text,
               const char *hint)
{
    struct flow_error err;
    char where[LWIP_ADDR_SIZE];

    flow__lwip_addr_format(&t->dial.to, t->dial.port, where);
    flow_error_set(&err, status, LWIP_LAYER, FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(&err, where);
    err.hint = hint;
    return flow_fail_with(&t->base, FLOW_READ | FLOW_WRITE, &err);
}

static enum flow_status
lwip_dial_fail_lost(struct lwip_flow *t)
{
    if (t->wire.error == ERR_RST)
        return lwip_dial_fail(t, FLOW_E_SYS, "connection refused",
                              "check that the server runs and listens there");
    return lwip_dial_fail(t, FLOW_E_SYS, "connection timed out",
                          "check the address and the route to it");
}

static err_t
lwip_dial_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct lwip_wire *w = arg;

    (void)pcb;
    (void)err;
    w->connected = true;
    flow_event_signal(w->changed);
    return ERR_OK;
}

static uint64_t
lwip_dial_now(const struct lwip_flow *t)
{
    return t->base.env->now(t->base.env->ctx);
}

static bool
lwip_dial_is_late(const struct lwip_flow *t)
{
    return t->dial.deadline != FLOW_NEVER &&
           lwip_dial_now(t) >= t->dial.deadline;
}

/* Entered.  ERR_MEM: not now. */
static err_t
lwip_dial_begin(struct lwip_flow *t)
{
    struct tcp_pcb *pcb = tcp_new();
    err_t err;

    t->dial.retry = flow_time_after(lwip_dial_now(t), LWIP_DIAL_RETRY_NSEC);
    if (pcb == NULL)
        return ERR_MEM;
    flow__lwip_wire_bind(&t->wire, pcb, &t->changed);
    err = tcp_connect(pcb, &t->dial.to, t->dial.port, lwip_dial_connected);
    t->dial.begun = err == ERR_OK;
    if (err != ERR_OK)
        flow__lwip_wire_release(&t->wire, LWIP_END_FORGET);
    return err == ERR_BUF ? ERR_MEM : err;
}

/* Entered. */
static err_t
lwip_dial_step(struct lwip_flow *t)
{
    err_t err = t->dial.begun ? ERR_OK : lwip_dial_begin(t);

    /* Deliver the packet that was just sent, if the peer is this host. */
    flow__lwip_turn();
    if (err == ERR_OK && t->wire.connected && !t->known &&
        t->wire.pcb != NULL) {
        flow__lwip_note_addresses(t);
        flow__lwip_tune(t);
    }
    return err;
}

enum flow_status
flow__lwip_dial_open(struct flow *f)
{
    struct lwip_flow *t = lwip_dial_flow_of(f);
    enum flow_status st = flow__lwip_check_flow(f, FLOW_READ | FLOW_WRITE);
    bool connected, lost;
    err_t err;

    if (st != FLOW_OK)
        return st;
    flow__lwip_enter();
    if (t->dial.timeout != 0 && t->dial.deadline == FLOW_NEVER)
        t->dial.deadline = flow_time_after(lwip_dial_now(t), t->dial.timeout);
    err = lwip_dial_step(t);
    connected = t->wire.connected;
    lost = t->dial.begun && flow__lwip_wire_is_lost(&t->wire);
    flow__lwip_leave();
    if (connected)
        return FLOW_OK;
    if (lost)
        return lwip_dial_fail_lost(t);
    if (err != ERR_OK && err != ERR_MEM)
        return lwip_dial_fail(
            t, FLOW_E_SYS, "no route to host",
            "check the address, and the interfaces of the stack");
    if (lwip_dial_is_late(t))
        return lwip_dial_fail(t, FLOW_E_TIMEOUT, "connecting took too long",
                              NULL);
    return FLOW_AGAIN;
}

bool
flow__lwip_dial_is_ready(const struct lwip_flow *t)
{
    if (lwip_dial_is_late(t))
        return true;
    if (t->dial.begun)
        return t->wire.connected || flow__lwip_wire_is_lost(&t->wire);
    return lwip_dial_now(t) >= t->dial.retry;
}

uint64_t
flow__lwip_dial_due(const struct lwip_flow *t)
{
    return flow_deadline_min(t->dial.deadline,
                             t->dial.begun ? FLOW_NEVER : t->dial.retry);
}
