/* SPDX-License-Identifier: ISC */
#include <flow/util.h>

#include "flow/core.h"
#include "flow/items.h"
#include "lib/bits.h"
#include "lib/checked.h"

/*
 * Each side reads into its buffer, writes the buffer out, and passes the end on
 * after the last byte.  A source that fails ends like one that closes: what it
 * sent before is flushed first, and then its error becomes that of the side.
 *
 * Invariants: a side reads only while its buffer is empty (len == 0), so bytes
 * are never moved within it.  unflushed is set while the destination may hold
 * bytes back, and it is flushed before the relay sleeps.  A side whose status
 * is not FLOW_OK is over and makes no further call.
 *
 * Threads: one; no lock.  flow_relay_run() sleeps in flow__wait_items(), with
 * the deadlines of all directions that still run.
 */

/* Default number of bytes per direction. */
#define RELAY_SIZE 16384u

/* Reads and writes per step, so that a fast peer does not delay the other flows
 * of the thread. */
#define RELAY_ROUNDS 16

/* See <flow/util.h>. */
enum flow_status
flow_relay_init(struct flow_relay *r, struct flow *a, struct flow *b,
                size_t buf_size, uint64_t idle)
{
    size_t i;

    *r = (struct flow_relay){
        .side = { { .from = a, .to = b }, { .from = b, .to = a } },
        .env = a->env,
        .buf_size = buf_size != 0 ? buf_size : RELAY_SIZE,
        .idle = idle,
    };
    r->started = r->env->now(r->env->ctx);
    for (i = 0; i < 2; i++) {
        r->side[i].last = r->started;
        r->side[i].buf = flow_env_alloc(r->env, r->buf_size);
        if (r->side[i].buf == NULL) {
            flow_relay_fini(r);
            return FLOW_E_NOMEM;
        }
    }
    return FLOW_OK;
}

/* See <flow/util.h>. */
void
flow_relay_fini(struct flow_relay *r)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        if (r->side[i].buf == NULL)
            continue;
        flow_wipe(r->side[i].buf, r->buf_size);
        flow_env_free(r->env, r->side[i].buf, r->buf_size);
        r->side[i].buf = NULL;
    }
}

static bool
relay_is_over(const struct flow_relay_side *s)
{
    return s->status != FLOW_OK;
}

/* FLOW_OK: something was read, or the source has ended. */
static enum flow_status
relay_fill(struct flow_relay *r, struct flow_relay_side *s)
{
    enum flow_status st = flow_read(s->from, s->buf, r->buf_size, &s->len);

    s->off = 0;
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return st;
    s->source = st;
    return FLOW_OK;
}

static enum flow_status
relay_empty(struct flow_relay_side *s)
{
    enum flow_status st;
    size_t n;

    st = flow_write(s->to, s->buf + s->off, s->len, &n);
    if (st != FLOW_OK)
        return st;
    s->off += n;
    s->len -= n;
    s->bytes += n;
    s->operations++;
    s->unflushed = true;
    return FLOW_OK;
}

/* An end becomes a half close if the other side has one; otherwise it cannot be
 * passed on, and the other direction continues.  An error is never passed on as
 * an end, and it is the one to report even if the flush fails as well. */
static enum flow_status
relay_pass_end(struct flow_relay_side *s)
{
    bool failed = s->source < FLOW_OK;
    enum flow_status st;

    if (!failed && (flow_caps(s->to) & FLOW_CAP_HALF_CLOSE_WRITE) != 0)
        st = flow_shutdown(s->to, FLOW_WRITE);
    else
        st = flow_flush(s->to);
    if (st == FLOW_OK)
        s->unflushed = false;
    return st == FLOW_OK || (failed && st < FLOW_OK) ? s->source : st;
}

static enum flow_status
relay_move(struct flow_relay *r, struct flow_relay_side *s)
{
    if (s->len > 0)
        return relay_empty(s);
    if (s->source != FLOW_OK)
        return relay_pass_end(s);
    return relay_fill(r, s);
}

/* Flush before sleeping: no byte may be held back meanwhile. */
static enum flow_status
relay_settle_output(struct flow_relay_side *s)
{
    enum flow_status st = FLOW_AGAIN;

    if (s->unflushed && s->len == 0 && s->source == FLOW_OK) {
        st = flow_flush(s->to);
        s->unflushed = st == FLOW_AGAIN;
    }
    return st == FLOW_OK ? FLOW_AGAIN : st;
}

/* A side that only reads would not notice that its peer has closed. */
static enum flow_status
relay_state_of_output(const struct flow_relay_side *s)
{
    enum flow_status st = flow__state(s->to, FLOW_WRITE);

    return st < 0 ? st : FLOW_OK;
}

static void
relay_step_side(struct flow_relay *r, struct flow_relay_side *s)
{
    enum flow_status st = relay_state_of_output(s);
    int round;

    for (round = 0; st == FLOW_OK && round < RELAY_ROUNDS; round++) {
        st = relay_move(r, s);
        if (st == FLOW_OK || st == FLOW_EOF)
            s->last = r->env->now(r->env->ctx);
    }
    if (st == FLOW_AGAIN)
        st = relay_settle_output(s);
    if (st != FLOW_AGAIN)
        s->status = st;
}

static uint64_t
relay_idle_end(const struct flow_relay *r)
{
    uint64_t last = r->side[0].last;

    if (r->idle == 0)
        return FLOW_NEVER;
    if (r->side[1].last > last)
        last = r->side[1].last;
    return flow_time_after(last, r->idle);
}

/* See <flow/util.h>. */
enum flow_status
flow_relay_step(struct flow_relay *r)
{
    size_t i;

    for (i = 0; i < 2; i++)
        if (!relay_is_over(&r->side[i]))
            relay_step_side(r, &r->side[i]);
    /* The second may have found that the destination of the first is closed,
     * which the first does not notice while its source sends nothing. */
    for (i = 0; i < 2; i++)
        if (!relay_is_over(&r->side[i]))
            r->side[i].status = relay_state_of_output(&r->side[i]);
    if (relay_is_over(&r->side[0]) && relay_is_over(&r->side[1])) {
        for (i = 0; i < 2; i++)
            if (r->side[i].status != FLOW_EOF)
                return r->side[i].status;
        return FLOW_OK;
    }
    return flow__is_due(r->env, relay_idle_end(r)) ? FLOW_E_TIMEOUT
                                                   : FLOW_AGAIN;
}

/* Add the interest of one side, in the flow that it reads and the one that it
 * writes. */
static void
relay_side_interest(const struct flow_relay_side *s, uint32_t *from,
                    uint32_t *to)
{
    if (relay_is_over(s))
        return;
    if (s->len > 0)
        *to |= FLOW_READY_WRITE;
    else if (s->source != FLOW_OK)
        *to |= FLOW_READY_FLUSH;
    else
        *from |= FLOW_READY_READ;
    if (s->unflushed && s->len == 0)
        *to |= FLOW_READY_FLUSH;
}

/* See <flow/util.h>. */
uint64_t
flow_relay_interest(const struct flow_relay *r, uint32_t *ret_a,
                    uint32_t *ret_b)
{
    *ret_a = 0;
    *ret_b = 0;
    relay_side_interest(&r->side[0], ret_a, ret_b);
    relay_side_interest(&r->side[1], ret_b, ret_a);
    return relay_idle_end(r);
}

/* The deadlines that apply to one of the flows: those of the directions that
 * run, even while the relay waits for something else. */
static uint32_t
relay_obeyed(const struct flow_relay_side *out_of,
             const struct flow_relay_side *into)
{
    uint32_t interest = 0;

    if (!relay_is_over(out_of) && out_of->source == FLOW_OK)
        interest |= FLOW__OBEY_READ;
    if (!relay_is_over(into))
        interest |= FLOW__OBEY_WRITE;
    return interest;
}

/* See <flow/util.h>. */
enum flow_status
flow_relay_run(struct flow_relay *r)
{
    struct flow_wait_item items[2] = { { r->side[0].from, 0, 0 },
                                       { r->side[1].from, 0, 0 } };
    enum flow_status st;
    uint64_t until;
    size_t i;

    for (;;) {
        st = flow_relay_step(r);
        if (st != FLOW_AGAIN)
            return st;
        until = flow_relay_interest(r, &items[0].interest, &items[1].interest);
        for (i = 0; i < 2; i++)
            items[i].interest |= relay_obeyed(&r->side[i], &r->side[1 - i]);
        /* They apply even if the flows are always ready. */
        st = flow__check_deadlines(items, 2);
        if (st == FLOW_OK)
            st = flow__wait_items(items, 2, r->env, until);
        if (st != FLOW_OK)
            return st;
    }
}
