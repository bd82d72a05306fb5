/* SPDX-License-Identifier: ISC */
#include "backends/lwip/lwip.h"

#include <string.h>

#include <lwip/memp.h>

#include <flow/buf.h>
#include <flow/lwip.h>

#include "backends/lwip/addr.h"
#include "backends/lwip/stack.h"

/*
 * A flow on a connection of lwIP.
 *
 * - Everything of a flow but `gathered`, which is the reader's, is read and
 *   written entered (backends/lwip/stack.h), so both directions may be used by
 *   two threads.
 * - lwIP's callbacks signal `changed`; what they changed is in the wire.
 * - While a read lease is out, the list of received bytes only grows at its
 *   end, and buffers stay where they are.
 * - A write that lwIP has no memory for answers FLOW_AGAIN.  lwIP does not tell
 *   when there is memory again, so a starved flow is asked for whenever a timer
 *   of lwIP is due, at most 250 ms later while there is a connection.
 */

static struct lwip_flow *
lwip_flow_of(struct flow *f)
{
    return (struct lwip_flow *)f;
}

static enum flow_status
lwip_lost(struct lwip_flow *t, enum flow_dir dir)
{
    const char *text = "connection reset by peer";

    if (t->wire.error == ERR_ABRT || t->wire.error == ERR_OK)
        text = "connection timed out";
    return flow_fail(&t->base, dir, FLOW_E_RESET, FLOW_DOMAIN_NONE, 0, text);
}

/* The status of a read when there are no bytes.  Entered. */
static enum flow_status
lwip_read_end(const struct lwip_flow *t)
{
    if (t->wire.ended)
        return FLOW_EOF;
    return flow__lwip_wire_is_lost(&t->wire) ? FLOW_E_RESET : FLOW_AGAIN;
}

static enum flow_status
lwip_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    struct lwip_flow *t = lwip_flow_of(f);
    enum flow_status st = flow__lwip_check_flow(f, FLOW_READ);

    *ret_len = 0;
    if (st != FLOW_OK)
        return st;
    flow__lwip_enter();
    if (t->wire.unread > 0)
        *ret_len = flow__lwip_wire_take(&t->wire, vec, count);
    else
        st = lwip_read_end(t);
    flow__lwip_leave();
    return st == FLOW_E_RESET ? lwip_lost(t, FLOW_READ) : st;
}

/* Whether lwIP has memory for the smallest write.  Entered. */
static bool
lwip_has_memory(void)
{
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, TCP_MSS, PBUF_RAM);
    void *seg = memp_malloc(MEMP_TCP_SEG);
    bool both = p != NULL && seg != NULL;

    if (p != NULL)
        (void)pbuf_free(p);
    if (seg != NULL)
        memp_free(MEMP_TCP_SEG, seg);
    return both;
}

/* Whether lwIP takes a byte.  A write may need two more buffers.  Entered. */
static bool
lwip_has_room(const struct lwip_flow *t)
{
    const struct tcp_pcb *pcb = t->wire.pcb;

    return pcb != NULL && tcp_sndbuf(pcb) > 0 &&
           tcp_sndqueuelen(pcb) + 2 <= TCP_SND_QUEUELEN &&
           (!t->starved || lwip_has_memory());
}

/* lwIP takes all of a piece or nothing.  A byte needs the least memory. */
static size_t
lwip_put_piece(struct tcp_pcb *pcb, const uint8_t *p, size_t len, u8_t flags)
{
    static const size_t shorter[] = { TCP_MSS, 1 };
    size_t i = 0;

    if (len > tcp_sndbuf(pcb))
        len = tcp_sndbuf(pcb);
    while (len > 0 && tcp_write(pcb, p, (u16_t)len, flags) != ERR_OK) {
        while (i < 2 && shorter[i] >= len)
            i++;
        len = i < 2 ? shorter[i] : 0;
    }
    return len;
}

/* Entered. */
static size_t
lwip_put(struct lwip_flow *t, const struct flow_cvec *vec, size_t count,
         uint32_t flags)
{
    u8_t how = TCP_WRITE_FLAG_COPY;
    size_t total = 0, off, n, i;

    if ((flags & FLOW_MORE) != 0)
        how |= TCP_WRITE_FLAG_MORE;
    t->starved = false;
    for (i = 0; i < count; i++)
        for (off = 0; off < vec[i].len; off += n) {
            if (!lwip_has_room(t))
                return total;
            n = lwip_put_piece(t->wire.pcb, (const uint8_t *)vec[i].base + off,
                               vec[i].len - off, how);
            t->starved = n == 0;
            if (n == 0)
                return total;
            total += n;
        }
    return total;
}

static enum flow_status
lwip_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    struct lwip_flow *t = lwip_flow_of(f);
    enum flow_status st = flow__lwip_check_flow(f, FLOW_WRITE);
    bool lost;

    *ret_len = 0;
    if (st != FLOW_OK)
        return st;
    flow__lwip_enter();
    lost = flow__lwip_wire_is_lost(&t->wire) || t->wire.pcb == NULL;
    if (!lost) {
        *ret_len = lwip_put(t, vec, count, flags);
        /* Held bytes that fill the buffer must leave, or no room comes. */
        t->held = (flags & FLOW_MORE) != 0 && *ret_len > 0 &&
                  TCP_SND_BUF - tcp_sndbuf(t->wire.pcb) < TCP_MSS;
        if (!t->held)
            (void)tcp_output(t->wire.pcb);
    }
    flow__lwip_leave();
    if (lost)
        return lwip_lost(t, FLOW_WRITE);
    return *ret_len > 0 ? FLOW_OK : FLOW_AGAIN;
}

/* What lwIP cannot send now it sends later by itself. */
static enum flow_status
lwip_flush(struct flow *f)
{
    struct lwip_flow *t = lwip_flow_of(f);
    enum flow_status st = flow__lwip_check_flow(f, FLOW_WRITE);

    if (st != FLOW_OK)
        return st;
    flow__lwip_enter();
    if (t->held && t->wire.pcb != NULL)
        (void)tcp_output(t->wire.pcb);
    t->held = false;
    flow__lwip_leave();
    return FLOW_OK;
}

static enum flow_status
lwip_shutdown(struct flow *f, enum flow_dir dir)
{
    struct lwip_flow *t = lwip_flow_of(f);
    enum flow_status st = flow__lwip_check_flow(f, dir);
    bool lost = false;

    if (st != FLOW_OK)
        return st;
    flow__lwip_enter();
    if (dir == FLOW_READ)
        flow__lwip_wire_consume(&t->wire, t->wire.unread);
    else if (flow__lwip_wire_is_lost(&t->wire) || t->wire.pcb == NULL)
        lost = true;
    else
        /* Without memory for the end marker lwIP sends it from a timer. */
        (void)tcp_shutdown(t->wire.pcb, 0, 1);
    flow__lwip_leave();
    return lost ? lwip_lost(t, FLOW_WRITE) : FLOW_OK;
}

/* Entered. */
static uint32_t
lwip_ready(struct lwip_flow *t)
{
    uint32_t ready = FLOW_READY_FLUSH;
    bool lost = flow__lwip_wire_is_lost(&t->wire);

    if (lost || t->wire.ended ||
        t->wire.unread >= flow_wanted(&t->base, FLOW_READ))
        ready |= FLOW_READY_READ;
    if (lost || t->wire.pcb == NULL || lwip_has_room(t))
        ready |= FLOW_READY_WRITE;
    if (flow__lwip_dial_is_ready(t))
        ready |= FLOW_READY_OPEN;
    return ready;
}

static uint32_t
lwip_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct lwip_flow *t = lwip_flow_of(f);
    uint32_t seq, ready;
    uint64_t due;

    if (flow__lwip_is_inherited())
        return interest;
    seq = flow_event_sequence(&t->changed);
    flow__lwip_enter();
    flow__lwip_turn();
    ready = lwip_ready(t) & interest;
    due = flow__lwip_due(f->env);
    if ((interest & FLOW_READY_OPEN) != 0)
        due = flow_deadline_min(due, flow__lwip_dial_due(t));
    flow__lwip_leave();
    if (ready != 0)
        return ready;
    flow_wait_add_event(set, &t->changed, seq);
    flow_wait_add_time(set, due);
    return 0;
}

static void
lwip_release_gathered(struct lwip_flow *t)
{
    /* The bytes may have been secret. */
    if (t->gathered != NULL)
        flow_wipe(t->gathered, t->gathered_len);
    flow_env_free(t->base.env, t->gathered, t->gathered_len);
    t->gathered = NULL;
}

/* Copies the first want bytes to a piece of memory of their own, and shows the
 * rest of the buffer in which they end.  Entered. */
static void
lwip_gather(struct lwip_flow *t, size_t want, struct flow_vec span[2])
{
    const struct pbuf *p = t->wire.in;
    size_t done = 0, n = 0;

    for (; done < want; p = done < want ? p->next : p) {
        n = p->len < want - done ? p->len : want - done;
        memcpy(t->gathered + done, p->payload, n);
        done += n;
    }
    span[0].base = t->gathered;
    span[0].len = want;
    span[1].base = (uint8_t *)p->payload + n;
    span[1].len = p->len - n;
}

/* Entered; there are want bytes. */
static enum flow_status
lwip_lend(struct lwip_flow *t, size_t want, struct flow_vec span[2])
{
    const struct pbuf *p = t->wire.in;

    if (p->len < want) {
        t->gathered = flow_env_alloc(t->base.env, want);
        t->gathered_len = want;
        if (t->gathered == NULL)
            return FLOW_E_NOMEM;
        lwip_gather(t, want, span);
        return FLOW_OK;
    }
    span[0].base = p->payload;
    span[0].len = p->len;
    span[1].base = p->next != NULL ? p->next->payload : NULL;
    span[1].len = p->next != NULL ? p->next->len : 0;
    return FLOW_OK;
}

static enum flow_status
lwip_lease(struct flow *f, enum flow_dir dir, size_t want,
           struct flow_vec ret_span[2])
{
    struct lwip_flow *t = lwip_flow_of(f);
    enum flow_status st = flow__lwip_check_flow(f, dir);

    if (st != FLOW_OK)
        return st;
    if (want > LWIP_LEASE_MAX)
        return FLOW_E_INVAL;
    flow__lwip_enter();
    st = lwip_read_end(t);
    if (t->wire.unread > 0 && (t->wire.unread >= want || st != FLOW_AGAIN))
        st = lwip_lend(t, want < t->wire.unread ? want : t->wire.unread,
                       ret_span);
    flow__lwip_leave();
    if (st == FLOW_E_NOMEM)
        return flow_fail(f, dir, st, FLOW_DOMAIN_NONE, 0,
                         "no memory to put received bytes together");
    return st == FLOW_E_RESET ? lwip_lost(t, FLOW_READ) : st;
}

static enum flow_status
lwip_commit(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags)
{
    struct lwip_flow *t = lwip_flow_of(f);
    enum flow_status st = flow__lwip_check_flow(f, dir);

    (void)flags;
    lwip_release_gathered(t);
    if (st != FLOW_OK)
        return st;
    flow__lwip_enter();
    flow__lwip_wire_consume(&t->wire, used);
    flow__lwip_leave();
    return FLOW_OK;
}

static enum flow_status
lwip_answer_address(const ip_addr_t *addr, uint16_t port, const char *before,
                    void *buf, size_t *len)
{
    char text[sizeof("lwip ") + LWIP_ADDR_SIZE];
    size_t n = strlen(before);

    memcpy(text, before, n);
    flow__lwip_addr_format(addr, port, text + n);
    return flow_answer_string(buf, len, text);
}

static enum flow_status
lwip_query_address(struct lwip_flow *t, enum flow_query_key key, void *buf,
                   size_t *len)
{
    ip_addr_t local, peer;
    uint16_t local_port, peer_port;
    bool known;

    /* The other direction's thread may be opening the flow. */
    flow__lwip_enter();
    known = t->known;
    local = t->local;
    local_port = t->local_port;
    peer = known ? t->peer : t->dial.to;
    peer_port = known ? t->peer_port : t->dial.port;
    flow__lwip_leave();
    if (key == FLOW_QUERY_DESCRIPTION)
        return lwip_answer_address(&peer, peer_port, "lwip ", buf, len);
    if (!known)
        return FLOW_AGAIN;
    return key == FLOW_QUERY_PEER_ADDRESS
               ? lwip_answer_address(&peer, peer_port, "", buf, len)
               : lwip_answer_address(&local, local_port, "", buf, len);
}

static enum flow_status
lwip_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    struct lwip_flow *t = lwip_flow_of(f);
    struct flow_buf_hints hints;
    size_t size;

    if (key == FLOW_QUERY_DESCRIPTION || key == FLOW_QUERY_LOCAL_ADDRESS ||
        key == FLOW_QUERY_PEER_ADDRESS)
        return lwip_query_address(t, key, buf, len);
    if (key == FLOW_QUERY_FOOTPRINT) {
        size = sizeof(*t) + sizeof(struct tcp_pcb);
        return flow_answer(buf, len, &size, sizeof(size));
    }
    if (key == FLOW_QUERY_BUF_HINTS) {
        flow_buf_hints_init(&hints);
        hints.max_contiguous = LWIP_LEASE_MAX;
        return flow_answer(buf, len, &hints, sizeof(hints));
    }
    return FLOW_E_NOTSUP;
}

static enum flow_status
lwip_control(struct flow *f, enum flow_control_key key, int64_t value)
{
    struct lwip_flow *t = lwip_flow_of(f);

    if (key != FLOW_CONTROL_NODELAY && key != FLOW_CONTROL_KEEPALIVE)
        return FLOW_E_NOTSUP;
    if (value != 0 && value != 1)
        return FLOW_E_INVAL;
    flow__lwip_enter();
    if (key == FLOW_CONTROL_NODELAY)
        t->tuning.delay = value == 0;
    else
        t->tuning.keepalive = value == 1;
    if (t->wire.pcb != NULL)
        flow__lwip_tune(t);
    flow__lwip_leave();
    return FLOW_OK;
}

static void
lwip_close(struct flow *f)
{
    struct lwip_flow *t = lwip_flow_of(f);
    const struct flow_env *env = f->env;
    enum lwip_end how = LWIP_END_CLOSE;

    if (flow__lwip_is_inherited())
        how = LWIP_END_FORGET;
    else if (flow_is_aborted(f))
        how = LWIP_END_RESET;
    lwip_release_gathered(t);
    flow__lwip_enter();
    flow__lwip_wire_release(&t->wire, how);
    flow__lwip_leave();
    flow_event_fini(&t->changed);
    flow_base_fini(f);
    flow_env_free(env, t, sizeof(*t));
}

static const struct flow_ops lwip_ops = {
    .version = FLOW_OPS_VERSION,
    .name = LWIP_LAYER,
    .readv = lwip_readv,
    .writev = lwip_writev,
    .shutdown = lwip_shutdown,
    .wait = lwip_wait,
    .close = lwip_close,
    .open = flow__lwip_dial_open,
    .flush = lwip_flush,
    .lease = lwip_lease,
    .commit = lwip_commit,
    .query = lwip_query,
    .control = lwip_control,
};

struct lwip_flow *
flow__lwip_flow_new(const struct flow_env *env, uint32_t caps,
                    const struct flow_lwip_options *opt)
{
    struct lwip_flow *t = flow_env_alloc(env, sizeof(*t));

    if (t == NULL)
        return NULL;
    if (flow_base_init(&t->base, &lwip_ops, env, caps) != FLOW_OK) {
        flow_env_free(env, t, sizeof(*t));
        return NULL;
    }
    flow_event_init(&t->changed);
    if (opt != NULL) {
        t->tuning.delay = opt->delay;
        t->tuning.keepalive = opt->keepalive;
    }
    return t;
}

void
flow__lwip_flow_accept(struct lwip_flow *t, struct lwip_wire *from)
{
    flow__lwip_wire_move(from, &t->wire, &t->changed);
    flow__lwip_note_addresses(t);
    flow__lwip_tune(t);
}

static enum flow_status
lwip_refuse(struct flow_error *err, enum flow_status status, const char *text,
            const char *host, const char *hint)
{
    flow_error_set(err, status, LWIP_LAYER, FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, host);
    if (err != NULL)
        err->hint = hint;
    return status;
}

/* See <flow/lwip.h>. */
enum flow_status
flow_lwip_dial(const struct flow_env *env, const char *host, uint16_t port,
               const struct flow_lwip_options *opt, struct flow **ret_flow,
               struct flow_error *ret_err)
{
    enum flow_status st = flow__lwip_check(ret_err);
    struct lwip_flow *t;
    ip_addr_t to;

    if (st != FLOW_OK)
        return st;
    if (!flow__lwip_addr_parse(host, &to))
        return lwip_refuse(ret_err, FLOW_E_INVAL,
                           "the host is not an IPv4 address", host,
                           "lwIP's flows do not look names up");
    if (port == 0)
        return lwip_refuse(ret_err, FLOW_E_INVAL, "the port to dial is 0", host,
                           "give the port that the server listens on");
    t = flow__lwip_flow_new(env != NULL ? env : flow_env_default(),
                            LWIP_CAPS | FLOW_CAP_NEEDS_OPEN, opt);
    if (t == NULL)
        return lwip_refuse(ret_err, FLOW_E_NOMEM, "no memory for a flow", host,
                           NULL);
    t->dial.to = to;
    t->dial.port = port;
    t->dial.timeout = opt != NULL ? opt->timeout : 0;
    *ret_flow = &t->base;
    return FLOW_OK;
}
