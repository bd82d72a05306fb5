/* SPDX-License-Identifier: ISC */
#include "backends/lwip/wire.h"

#include <string.h>

#include <lwip/priv/tcp_priv.h>

/*
 * lwIP's callbacks.  They run in the thread that turns the stack, under its
 * lock, and only change the wire and signal its event.
 *
 * A received buffer may have one byte and take 1.5 KB.  So that a peer which
 * sends small segments does not use up lwIP's memory, small ones are copied
 * together (wire_collect), and so is a larger one that fits after them: else a
 * peer that sends both in turn would take a new collector for each small one.
 */
#define WIRE_SMALL     512u
#define WIRE_COLLECTOR 2048u

/* A closed connection may take this long without progress to send the rest. */
#define WIRE_LINGER_SECONDS 60u
/* In units of lwIP's slow timer, half a second. */
#define WIRE_POLL_INTERVAL 4u
#define WIRE_LINGER_POLLS  (WIRE_LINGER_SECONDS * 2 / WIRE_POLL_INTERVAL)

static u8_t wire_slot;

static void
wire_signal(struct lwip_wire *w)
{
    if (w->changed != NULL)
        flow_event_signal(w->changed);
}

static void
wire_append(struct lwip_wire *w, struct pbuf *p, size_t len, size_t spare)
{
    struct pbuf *end = p;

    while (end->next != NULL)
        end = end->next;
    if (w->in == NULL)
        w->in = p;
    else
        w->last->next = p;
    w->last = end;
    w->unread += len;
    w->spare = spare;
}

/* Copies a buffer after the last one; false: no memory for that. */
static bool
wire_collect(struct lwip_wire *w, struct pbuf *p)
{
    u16_t len = p->tot_len;
    struct pbuf *c;

    if (len > w->spare) {
        c = pbuf_alloc(PBUF_RAW, WIRE_COLLECTOR, PBUF_RAM);
        if (c == NULL)
            return false;
        c->len = 0;
        wire_append(w, c, 0, WIRE_COLLECTOR);
    }
    c = w->last;
    (void)pbuf_copy_partial(p, (uint8_t *)c->payload + c->len, len, 0);
    c->len = (u16_t)(c->len + len);
    w->spare -= len;
    w->unread += len;
    (void)pbuf_free(p);
    return true;
}

static err_t
wire_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct lwip_wire *w = arg;

    (void)pcb;
    (void)err;
    if (p == NULL)
        w->ended = true;
    else if ((p->tot_len > WIRE_SMALL && p->tot_len > w->spare) ||
             !wire_collect(w, p))
        wire_append(w, p, p->tot_len, 0);
    wire_signal(w);
    return ERR_OK;
}

static err_t
wire_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    (void)pcb;
    (void)len;
    wire_signal(arg);
    return ERR_OK;
}

static void
wire_failed(void *arg, err_t err)
{
    struct lwip_wire *w = arg;

    /* Both directions have ended and lwIP forgets the connection. */
    if (err != ERR_CLSD)
        w->error = err;
    wire_signal(w);
}

/* However a connection ends, its block is freed through here. */
static void
wire_freed(u8_t id, void *data)
{
    struct lwip_wire *w = data;

    (void)id;
    w->pcb = NULL;
    wire_signal(w);
}

static const struct tcp_ext_arg_callbacks wire_callbacks = {
    .destroy = wire_freed,
};

/* Of a connection that has been let go. */
static const struct tcp_ext_arg_callbacks wire_no_callbacks;

void
flow__lwip_wire_init(void)
{
    wire_slot = tcp_ext_arg_alloc_id();
}

static void
wire_attach(struct lwip_wire *w)
{
    tcp_arg(w->pcb, w);
    tcp_recv(w->pcb, wire_received);
    tcp_sent(w->pcb, wire_sent);
    tcp_err(w->pcb, wire_failed);
    tcp_ext_arg_set(w->pcb, wire_slot, w);
    tcp_ext_arg_set_callbacks(w->pcb, wire_slot, &wire_callbacks);
}

void
flow__lwip_wire_bind(struct lwip_wire *w, struct tcp_pcb *pcb,
                     struct flow_event *changed)
{
    memset(w, 0, sizeof(*w));
    w->pcb = pcb;
    w->changed = changed;
    wire_attach(w);
}

void
flow__lwip_wire_move(struct lwip_wire *from, struct lwip_wire *to,
                     struct flow_event *changed)
{
    *to = *from;
    to->changed = changed;
    memset(from, 0, sizeof(*from));
    if (to->pcb != NULL)
        wire_attach(to);
}

bool
flow__lwip_wire_is_lost(const struct lwip_wire *w)
{
    return w->error != ERR_OK || (w->pcb == NULL && !w->ended);
}

/* Opens the window by the bytes that were read.  In TIME-WAIT the block has no
 * window any more. */
static void
wire_acknowledge(struct lwip_wire *w, size_t len)
{
    if (len > 0 && w->pcb != NULL && w->pcb->state >= ESTABLISHED &&
        w->pcb->state < TIME_WAIT)
        tcp_recved(w->pcb, (u16_t)len);
}

static void
wire_drop_first(struct lwip_wire *w)
{
    struct pbuf *p = w->in;

    w->in = p->next;
    p->next = NULL;
    if (w->in == NULL) {
        w->last = NULL;
        w->spare = 0;
    }
    (void)pbuf_free(p);
}

/* Drops bytes without telling the peer. */
static void
wire_drop(struct lwip_wire *w, size_t len)
{
    w->unread -= len;
    while (len > 0) {
        struct pbuf *p = w->in;

        if (len < p->len) {
            p->payload = (uint8_t *)p->payload + len;
            p->len = (u16_t)(p->len - len);
            return;
        }
        len -= p->len;
        wire_drop_first(w);
    }
}

void
flow__lwip_wire_consume(struct lwip_wire *w, size_t len)
{
    wire_drop(w, len);
    wire_acknowledge(w, len);
}

size_t
flow__lwip_wire_take(struct lwip_wire *w, const struct flow_vec *vec,
                     size_t count)
{
    const struct pbuf *p;
    size_t done = 0, n;

    for (p = w->in; p != NULL; p = p->next) {
        n = flow_vec_put(vec, count, done, p->payload, p->len);
        done += n;
        if (n < p->len)
            break;
    }
    flow__lwip_wire_consume(w, done);
    return done;
}

/* Of a closed connection: counts the polls since the last progress. */
static err_t
wire_linger(void *arg, struct tcp_pcb *pcb)
{
    uintptr_t polls = (uintptr_t)arg + 1;

    if (polls >= WIRE_LINGER_POLLS) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    tcp_arg(pcb, (void *)polls);
    return ERR_OK;
}

static err_t
wire_drained(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    (void)arg;
    (void)len;
    tcp_arg(pcb, NULL);
    return ERR_OK;
}

static void
wire_detach(struct tcp_pcb *pcb)
{
    tcp_ext_arg_set_callbacks(pcb, wire_slot, &wire_no_callbacks);
    tcp_ext_arg_set(pcb, wire_slot, NULL);
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_sent(pcb, wire_drained);
    tcp_poll(pcb, wire_linger, WIRE_POLL_INTERVAL);
}

void
flow__lwip_wire_release(struct lwip_wire *w, enum lwip_end how)
{
    struct tcp_pcb *pcb = w->pcb;

    wire_drop(w, w->unread);
    /* An empty collector may be left. */
    while (w->in != NULL)
        wire_drop_first(w);
    w->pcb = NULL;
    w->changed = NULL;
    if (pcb == NULL)
        return;
    wire_detach(pcb);
    if (how == LWIP_END_CLOSE)
        /* With input that was not read it sends a reset, as close(2) does. */
        (void)tcp_close(pcb);
    else
        tcp_abandon(pcb, how == LWIP_END_RESET);
}
