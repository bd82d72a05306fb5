/* SPDX-License-Identifier: ISC */
#include "backends/vchan/atomic.h"
#include "backends/vchan/shm.h"
#include "backends/vchan/vchan.h"

/*
 * How long a death that sends no event may stay unseen: the peer is asked
 * after while somebody waits, in pauses that double.
 */
#define CHECK_MIN UINT64_C(1000000000)
#define CHECK_MAX UINT64_C(8000000000)

/*
 * A peer may send any number of events for nothing.  Each event counts.  Each
 * index that the peer has moved is credited with the events that an honest peer
 * may send for it: one for each direction, and each of these may come when its
 * bytes were seen already.  At STORM_EVENTS events without credit the channel
 * is ignored for a while, and after that at every STORM_AGAIN more, so a storm
 * costs about a thousand wakes a second.
 */
#define STORM_EVENTS 64u
#define STORM_AGAIN  8u
#define STORM_PAID   4u
#define STORM_MUTE   UINT64_C(10000000)

/*
 * Looks at a ring before a sleep.  A peer that is at work on another processor
 * is faster than a sleep, which costs both sides system calls, so the looks go
 * on for about as long as one takes.  After looks in vain the next sleeps go
 * without, four times as many each time; the looks after such a pause go on for
 * longer, since the peer may have taken to sleeping too and must wake up first.
 * The number of looks is the bound for an environment whose clock stands still.
 */
#define LOOKS           4096u
#define LOOKS_TICK      32u /* between two readings of the clock */
#define LOOKS_TIME      UINT64_C(40000)
#define LOOKS_TIME_RARE UINT64_C(100000)
#define SKIP_MAX        4095u

static uint64_t
wait_clock(const struct vchan *v)
{
    return v->base.env->now(v->base.env->ctx);
}

/*
 * A fault in either direction is one of the peer, so both fail; each records
 * it in its own turn, since the other direction's record is its thread's.
 */
void
flow__vchan_spread_fault(struct vchan *v, enum vchan_fault fault)
{
    uint8_t none = VCHAN_FAULT_NONE;

    if (!atomic_compare_exchange_strong(&v->fault, &none, (uint8_t)fault))
        return;
    flow__vchan_conn_goodbye(&v->conn);
    flow_wake(&v->base, FLOW_READ | FLOW_WRITE);
}

static bool
wait_is_gone(const struct vchan *v)
{
    return load_acquire(&v->gone) != 0;
}

void
flow__vchan_progress(struct vchan *v, enum flow_dir dir)
{
    uint32_t *heard = &v->heard[dir == FLOW_READ ? 0 : 1];
    uint32_t index = dir == FLOW_READ ? v->rx.prod : v->tx.cons;

    uint32_t unpaid = load_relaxed(&v->unpaid_events);

    if (index == *heard)
        return;
    *heard = index;
    if (unpaid > 0)
        atomic_compare_exchange_strong(&v->unpaid_events, &unpaid,
                                       unpaid > STORM_PAID ? unpaid - STORM_PAID
                                                           : 0);
    if (load_relaxed(&v->check_at) != 0)
        store_relaxed(&v->check_at, 0);
}

/* What a look at the ring means to who wants so many bytes: fewer are an answer
 * only at the end of the stream (C54). */
static enum flow_status
wait_enough(struct vchan_rx *rx, size_t want, enum flow_status st,
            uint32_t *ret_avail)
{
    if (st != FLOW_OK || *ret_avail >= want ||
        flow__vchan_rx_is_last(rx, ret_avail))
        return st;
    return rx->fault != VCHAN_FAULT_NONE ? FLOW_E_PROTO : FLOW_AGAIN;
}

enum flow_status
flow__vchan_look_rx(struct vchan *v, size_t want, bool arm, uint32_t *ret_avail)
{
    uint32_t before = v->rx.prod;
    enum flow_status st;

    *ret_avail = 0;
    if ((st = flow__vchan_hyp_check(v->conn.hyp, NULL)) != FLOW_OK)
        return st;
    if (load_acquire(&v->fault) != VCHAN_FAULT_NONE)
        return FLOW_E_PROTO;
    if (wait_is_gone(v))
        v->rx.live.seen = VCHAN_LIVE_GONE;
    st = wait_enough(&v->rx, want, flow__vchan_rx_look(&v->rx, ret_avail),
                     ret_avail);
    if (st == FLOW_AGAIN && arm)
        st = wait_enough(&v->rx, want, flow__vchan_rx_arm(&v->rx, ret_avail),
                         ret_avail);
    if (st == FLOW_E_PROTO)
        flow__vchan_spread_fault(v, v->rx.fault);
    else if (st == FLOW_AGAIN && v->rx.prod != before)
        flow__vchan_progress(v, FLOW_READ);
    return st;
}

/* The same for who wants so much room. */
static enum flow_status
wait_roomy(size_t want, enum flow_status st, const uint32_t *room)
{
    return st == FLOW_OK && *room < want ? FLOW_AGAIN : st;
}

enum flow_status
flow__vchan_look_tx(struct vchan *v, size_t want, bool arm, uint32_t *ret_room)
{
    uint32_t before = v->tx.cons;
    enum flow_status st;

    *ret_room = 0;
    if ((st = flow__vchan_hyp_check(v->conn.hyp, NULL)) != FLOW_OK)
        return st;
    if (load_acquire(&v->fault) != VCHAN_FAULT_NONE)
        return FLOW_E_PROTO;
    if (wait_is_gone(v))
        v->tx.live.seen = VCHAN_LIVE_GONE;
    st = wait_roomy(want, flow__vchan_tx_look(&v->tx, ret_room), ret_room);
    if (st == FLOW_AGAIN && arm)
        st = wait_roomy(want, flow__vchan_tx_arm(&v->tx, ret_room), ret_room);
    if (st == FLOW_E_PROTO)
        flow__vchan_spread_fault(v, v->tx.fault);
    else if (st == FLOW_AGAIN && v->tx.cons != before)
        flow__vchan_progress(v, FLOW_WRITE);
    return st;
}

/* Which of the interests would not answer AGAIN. */
static uint32_t
wait_look(struct vchan *v, uint32_t interest, bool arm)
{
    uint32_t ready = interest & FLOW_READY_FLUSH; /* nothing is held back */
    uint32_t len;

    if ((interest & FLOW_READY_READ) &&
        flow__vchan_look_rx(v, flow_wanted(&v->base, FLOW_READ), arm, &len) !=
            FLOW_AGAIN)
        ready |= FLOW_READY_READ;
    if ((interest & FLOW_READY_WRITE) &&
        flow__vchan_look_tx(v, flow_wanted(&v->base, FLOW_WRITE), arm, &len) !=
            FLOW_AGAIN)
        ready |= FLOW_READY_WRITE;
    return ready;
}

/* Looks until something is ready or a sleep would have taken as long. */
static uint32_t
wait_look_for_long(struct vchan *v, uint32_t interest, uint64_t time)
{
    uint64_t until = 0;
    uint32_t ready = 0;

    for (uint32_t i = 1; i <= LOOKS && ready == 0; i++) {
        flow__shm_pause();
        ready = wait_look(v, interest, false);
        if (i % LOOKS_TICK != 0)
            continue;
        if (until == 0)
            until = wait_clock(v) + time;
        else if (wait_clock(v) >= until)
            break;
    }
    return ready;
}

/* Looks for a while, unless that was in vain of late. */
static uint32_t
wait_look_patiently(struct vchan *v, uint32_t interest)
{
    uint32_t ready = wait_look(v, interest, false);
    uint32_t left = load_relaxed(&v->skips_left);
    uint32_t skips = load_relaxed(&v->skips);

    if (ready != 0)
        return ready;
    if (left > 0) {
        store_relaxed(&v->skips_left, left - 1);
        return 0;
    }
    ready = wait_look_for_long(v, interest,
                               skips == 0 ? LOOKS_TIME : LOOKS_TIME_RARE);
    if (ready != 0)
        skips = 0;
    else if (skips < SKIP_MAX)
        skips = skips * 4 + 3;
    store_relaxed(&v->skips, skips);
    store_relaxed(&v->skips_left, skips);
    return ready;
}

/* After too many events without bytes the channel is ignored for a while. */
static void
wait_count_event(struct vchan *v)
{
    if (atomic_fetch_add(&v->unpaid_events, 1) + 1 < STORM_EVENTS)
        return;
    store_relaxed(&v->unpaid_events, STORM_EVENTS - STORM_AGAIN);
    store_relaxed(&v->muted_until, wait_clock(v) + STORM_MUTE);
}

/*
 * A domain that is destroyed sends no event and clears no byte; its end of
 * the channel is closed early in its destruction, and ours is unbound then.
 * Who may not ask the hypervisor for that asks the store, which lets go of
 * the domain later, and answers domain 0 alone (XSA-115).
 */
static bool
wait_peer_is_gone(struct vchan *v)
{
    struct vchan_hyp *hyp = v->conn.hyp;
    enum vchan_channel_state state = hyp->events->state(v->conn.channel);

    if (state == VCHAN_CHANNEL_UNKNOWN && hyp->store->released != NULL &&
        hyp->store->released(hyp, v->conn.peer))
        state = VCHAN_CHANNEL_UNBOUND;
    if (state != VCHAN_CHANNEL_UNBOUND)
        return false;
    store_release(&v->gone, 1);
    flow_wake(&v->base, FLOW_READ | FLOW_WRITE);
    return true;
}

/*
 * Announces that `interest` may sleep, and takes in the events when it did
 * before: that costs a system call, and an event that still stands ends the
 * next sleep at once.
 *
 * One channel serves both directions and whoever waits for either, so who
 * takes an event in tells the other to look too.  Who announces does so before
 * it looks, and who takes in asks for announcements after it took: either the
 * announcement is found and its direction woken, or that direction looks at a
 * ring that is as the event left it.
 */
static void
wait_take_events(struct vchan *v, uint32_t interest)
{
    struct vchan_conn *conn = &v->conn;
    uint32_t others;

    if ((atomic_fetch_or(&v->asleep, interest) & interest) == 0)
        return;
    /* Whatever else is ready: a watch that told stays readable until then. */
    if (conn->deaths != NULL && conn->hyp->store->watch_drain(conn->deaths))
        wait_peer_is_gone(v);
    if (!conn->hyp->events->drain(conn->channel))
        return;
    others = atomic_exchange(&v->asleep, interest) & ~interest;
    wait_count_event(v);
    if (others & FLOW_READY_READ)
        flow_wake(&v->base, FLOW_READ);
    if (others & ~FLOW_READY_READ)
        flow_wake(&v->base, FLOW_WRITE);
}

/* Asks after the peer when it is time to; true when it turned out gone. */
static bool
wait_check_peer(struct vchan *v, uint64_t now, struct flow_wait_set *set)
{
    uint64_t at = load_relaxed(&v->check_at);
    uint64_t pause = load_relaxed(&v->check_pause);

    if (at == 0) {
        pause = CHECK_MIN;
    } else if (now >= at) {
        if (wait_peer_is_gone(v))
            return true;
        pause = pause < CHECK_MAX ? pause * 2 : pause;
    }
    if (at == 0 || now >= at) {
        at = now + pause;
        store_relaxed(&v->check_pause, pause);
        store_relaxed(&v->check_at, at);
    }
    flow_wait_add_time(set, at);
    return false;
}

static void
wait_add_sources(struct vchan *v, uint64_t now, struct flow_wait_set *set)
{
    const struct vchan_conn *conn = &v->conn;
    uint64_t muted = load_relaxed(&v->muted_until);

    if (muted > now)
        flow_wait_add_time(set, muted);
    else
        conn->hyp->events->wait(conn->channel, set);
    if (conn->deaths != NULL)
        conn->hyp->store->watch_wait(conn->deaths, set);
}

uint32_t
flow__vchan_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct vchan *v = (struct vchan *)f;
    uint32_t ready;
    uint64_t now;

    if (interest & FLOW_READY_OPEN)
        return flow__vchan_dial_wait(v, set) ? FLOW_READY_OPEN : 0;
    if (flow__vchan_hyp_check(v->conn.hyp, NULL) != FLOW_OK)
        return interest;
    wait_take_events(v, interest);
    ready = wait_look_patiently(v, interest);
    if (ready == 0)
        ready = wait_look(v, interest, true);
    if (ready == 0) {
        now = wait_clock(v);
        if (wait_check_peer(v, now, set))
            ready = interest;
        else
            wait_add_sources(v, now, set);
    }
    if (ready != 0)
        atomic_fetch_and(&v->asleep, ~interest);
    return ready;
}
