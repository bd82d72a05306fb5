/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <lwip/ip.h>

#include <flow/lwip.h>

#include "backends/lwip/addr.h"
#include "backends/lwip/lwip.h"
#include "backends/lwip/stack.h"

/*
 * A listener has a slot for every connection that its backlog allows.  A slot
 * is free, or in the queue with an established connection, whose bytes it
 * receives.  So accepting a connection from the network needs no memory, and
 * flow_accept() alone can run out of it, with the connection left in the
 * queue.
 *
 * - lwIP counts a connection against the backlog from its SYN until
 *   tcp_backlog_accepted(), and answers no other SYN above that: the peer
 *   repeats its own.
 * - A connection that the peer resets stays in the queue, without a block,
 *   until accept or the next connection removes it.
 *
 * Everything below is read and written entered (backends/lwip/stack.h).
 */
#define LWIP_LISTEN_BACKLOG_DEFAULT 32
/* lwIP counts in 8 bits. */
#define LWIP_LISTEN_BACKLOG_MAX 255

struct lwip_slot {
    struct lwip_wire wire;
    struct lwip_slot *next;
};

struct lwip_listener {
    struct flow_listener base;
    struct tcp_pcb *pcb;
    struct flow_event arrived;
    struct flow_lwip_options opt;
    struct lwip_slot *free;
    struct lwip_slot *head; /* Waiting for accept, oldest first. */
    struct lwip_slot *tail;
    ip_addr_t at;
    uint16_t port;
    size_t slots;
    struct lwip_slot slot[];
};

static struct lwip_listener *
lwip_listen_of(struct flow_listener *l)
{
    return (struct lwip_listener *)l;
}

static size_t
lwip_listen_size(size_t slots)
{
    return sizeof(struct lwip_listener) + slots * sizeof(struct lwip_slot);
}

static void
lwip_listen_put_back(struct lwip_listener *l, struct lwip_slot *s)
{
    s->next = l->free;
    l->free = s;
}

static struct lwip_slot *
lwip_listen_take_first(struct lwip_listener *l)
{
    struct lwip_slot *s = l->head;

    l->head = s->next;
    if (l->head == NULL)
        l->tail = NULL;
    return s;
}

/* Removes connections that the peer has reset. */
static void
lwip_listen_sweep(struct lwip_listener *l)
{
    struct lwip_slot **link = &l->head;
    struct lwip_slot *s;

    l->tail = NULL;
    while ((s = *link) != NULL) {
        if (s->wire.pcb != NULL) {
            l->tail = s;
            link = &s->next;
            continue;
        }
        *link = s->next;
        flow__lwip_wire_release(&s->wire, LWIP_END_FORGET);
        lwip_listen_put_back(l, s);
    }
}

/* lwIP's callback for an established connection. */
static err_t
lwip_listen_arrived(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct lwip_listener *l = arg;
    struct lwip_slot *s;

    if (pcb == NULL || err != ERR_OK)
        return ERR_VAL;
    lwip_listen_sweep(l);
    s = l->free;
    /* Not reached: the backlog counts no more than the slots. */
    if (s == NULL)
        return ERR_MEM;
    l->free = s->next;
    s->next = NULL;
    flow__lwip_wire_bind(&s->wire, pcb, NULL);
    tcp_backlog_delayed(pcb);
    if (l->tail != NULL)
        l->tail->next = s;
    else
        l->head = s;
    l->tail = s;
    flow_event_signal(&l->arrived);
    return ERR_OK;
}

/* Entered; t is NULL if there was no memory. */
static enum flow_status
lwip_listen_give(struct lwip_listener *l, struct lwip_flow *t)
{
    struct lwip_slot *s;

    lwip_listen_sweep(l);
    if (l->head == NULL)
        return FLOW_AGAIN;
    if (t == NULL)
        return FLOW_E_NOMEM;
    s = lwip_listen_take_first(l);
    tcp_backlog_accepted(s->wire.pcb);
    flow__lwip_flow_accept(t, &s->wire);
    lwip_listen_put_back(l, s);
    return FLOW_OK;
}

static bool
lwip_listen_has_one(struct lwip_listener *l)
{
    lwip_listen_sweep(l);
    return l->head != NULL;
}

static enum flow_status
lwip_listen_accept(struct flow_listener *base, struct flow **ret_flow)
{
    struct lwip_listener *l = lwip_listen_of(base);
    struct flow_error err;
    enum flow_status st = flow__lwip_check(&err);
    struct lwip_flow *t = NULL;
    bool waiting;

    if (st != FLOW_OK)
        return flow_listener_fail(base, st, FLOW_DOMAIN_NONE, 0, err.text);
    flow__lwip_enter();
    flow__lwip_turn();
    waiting = lwip_listen_has_one(l);
    flow__lwip_leave();
    if (!waiting)
        return FLOW_AGAIN;
    t = flow__lwip_flow_new(base->env, LWIP_CAPS, &l->opt);
    flow__lwip_enter();
    st = lwip_listen_give(l, t);
    flow__lwip_leave();
    if (st == FLOW_OK) {
        *ret_flow = &t->base;
        return FLOW_OK;
    }
    flow_close(t != NULL ? &t->base : NULL);
    return st == FLOW_AGAIN ? st
                            : flow_listener_fail(base, st, FLOW_DOMAIN_NONE, 0,
                                                 "no memory for a flow");
}

static bool
lwip_listen_wait(struct flow_listener *base, struct flow_wait_set *set)
{
    struct lwip_listener *l = lwip_listen_of(base);
    uint32_t seq = flow_event_sequence(&l->arrived);
    uint64_t due;
    bool ready;

    if (flow__lwip_is_inherited())
        return true;
    flow__lwip_enter();
    flow__lwip_turn();
    ready = lwip_listen_has_one(l);
    due = flow__lwip_due(base->env);
    flow__lwip_leave();
    if (ready)
        return true;
    flow_wait_add_event(set, &l->arrived, seq);
    flow_wait_add_time(set, due);
    return false;
}

static void
lwip_listen_close(struct flow_listener *base)
{
    struct lwip_listener *l = lwip_listen_of(base);
    enum lwip_end how =
        flow__lwip_is_inherited() ? LWIP_END_FORGET : LWIP_END_RESET;
    struct lwip_slot *s;

    flow__lwip_enter();
    (void)tcp_close(l->pcb);
    for (s = l->head; s != NULL; s = s->next)
        flow__lwip_wire_release(&s->wire, how);
    flow__lwip_leave();
    flow_event_fini(&l->arrived);
    flow_env_free(base->env, l, lwip_listen_size(l->slots));
}

static enum flow_status
lwip_listen_query(struct flow_listener *base, enum flow_query_key key,
                  void *buf, size_t *len)
{
    const struct lwip_listener *l = lwip_listen_of(base);
    char text[LWIP_ADDR_SIZE];

    if (key != FLOW_QUERY_LOCAL_ADDRESS && key != FLOW_QUERY_DESCRIPTION)
        return FLOW_E_NOTSUP;
    flow__lwip_addr_format(&l->at, l->port, text);
    return flow_answer_string(buf, len, text);
}

static const struct flow_listener_ops lwip_listen_ops = {
    .version = FLOW_OPS_VERSION,
    .name = LWIP_LAYER,
    .accept = lwip_listen_accept,
    .wait = lwip_listen_wait,
    .close = lwip_listen_close,
    .query = lwip_listen_query,
};

/* Entered.  NULL with the reason in ret_err. */
static struct tcp_pcb *
lwip_listen_bind(const ip_addr_t *at, uint16_t port, size_t backlog,
                 err_t *ret_err)
{
    struct tcp_pcb *pcb = tcp_new(), *listening = NULL;

    *ret_err = ERR_MEM;
    if (pcb == NULL)
        return NULL;
    /* Old connections in TIME-WAIT do not keep a server from starting. */
    ip_set_option(pcb, SOF_REUSEADDR);
    *ret_err = tcp_bind(pcb, at, port);
    if (*ret_err == ERR_OK)
        listening =
            tcp_listen_with_backlog_and_err(pcb, (u8_t)backlog, ret_err);
    if (listening == NULL)
        (void)tcp_close(pcb);
    return listening;
}

static enum flow_status
lwip_listen_refuse(struct flow_error *err, enum flow_status status,
                   const char *text, const char *host, const char *hint)
{
    flow_error_set(err, status, LWIP_LAYER, FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, host);
    if (err != NULL)
        err->hint = hint;
    return status;
}

static enum flow_status
lwip_listen_new(const struct flow_env *env, const struct flow_lwip_options *opt,
                struct lwip_listener **ret_listener)
{
    int backlog = opt->backlog > 0 ? opt->backlog : LWIP_LISTEN_BACKLOG_DEFAULT;
    size_t slots = backlog < LWIP_LISTEN_BACKLOG_MAX ? (size_t)backlog
                                                     : LWIP_LISTEN_BACKLOG_MAX;
    struct lwip_listener *l = flow_env_alloc(env, lwip_listen_size(slots));
    size_t i;

    if (l == NULL)
        return FLOW_E_NOMEM;
    flow_listener_init(&l->base, &lwip_listen_ops, env);
    flow_event_init(&l->arrived);
    l->opt = *opt;
    l->slots = slots;
    for (i = 0; i < slots; i++)
        lwip_listen_put_back(l, &l->slot[i]);
    *ret_listener = l;
    return FLOW_OK;
}

/* Binds the listener; on an error it is freed. */
static enum flow_status
lwip_listen_begin(struct lwip_listener *l, const ip_addr_t *at, uint16_t port,
                  const char *host, struct flow_error *err)
{
    err_t why;

    flow__lwip_enter();
    l->pcb = lwip_listen_bind(at, port, l->slots, &why);
    if (l->pcb != NULL) {
        l->at = l->pcb->local_ip;
        l->port = l->pcb->local_port;
        tcp_arg(l->pcb, l);
        tcp_accept(l->pcb, lwip_listen_arrived);
    }
    flow__lwip_leave();
    if (l->pcb != NULL)
        return FLOW_OK;
    flow_event_fini(&l->arrived);
    flow_env_free(l->base.env, l, lwip_listen_size(l->slots));
    if (why == ERR_USE)
        return lwip_listen_refuse(err, FLOW_E_SYS, "address already in use",
                                  host, "choose another port");
    return lwip_listen_refuse(err, FLOW_E_NOMEM,
                              "lwIP has no room for another listener", host,
                              "close a listener that is not needed");
}

/* See <flow/lwip.h>. */
enum flow_status
flow_lwip_listen(const struct flow_env *env, const char *host, uint16_t port,
                 const struct flow_lwip_options *opt,
                 struct flow_listener **ret_listener,
                 struct flow_error *ret_err)
{
    static const struct flow_lwip_options defaults;
    enum flow_status st = flow__lwip_check(ret_err);
    bool anywhere = host[0] == '\0' || strcmp(host, "*") == 0;
    ip_addr_t at = *IP4_ADDR_ANY;
    struct lwip_listener *l;

    if (st != FLOW_OK)
        return st;
    if (opt == NULL)
        opt = &defaults;
    if (!anywhere && !flow__lwip_addr_parse(host, &at))
        return lwip_listen_refuse(
            ret_err, FLOW_E_INVAL, "the host is not an address to listen on",
            host,
            "give an IPv4 address of the stack, or * for all "
            "of them");
    if (opt->backlog < 0)
        return lwip_listen_refuse(ret_err, FLOW_E_INVAL,
                                  "the backlog is negative", host, NULL);
    st = lwip_listen_new(env != NULL ? env : flow_env_default(), opt, &l);
    if (st != FLOW_OK)
        return lwip_listen_refuse(ret_err, st, "no memory for a listener", host,
                                  NULL);
    st = lwip_listen_begin(l, &at, port, host, ret_err);
    if (st == FLOW_OK)
        *ret_listener = &l->base;
    return st;
}
