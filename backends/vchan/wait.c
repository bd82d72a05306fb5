/* SPDX-License-Identifier: ISC */
#include "backends/vchan/atomic.h"
#include "backends/vchan/shm.h"
#include "backends/vchan/vchan.h"

/*
 * flow_ops.wait.
 *
 * One event channel serves both directions, and the reader's and the writer's
 * thread may both sleep on it.  The thread that consumes an event therefore
 * wakes the other direction, in this order:
 *
 * - A thread sets its bits in `asleep` before it looks at its ring.
 * - A thread that consumes events reads `asleep` after that.
 *
 * Either the second thread finds the bits of the first and wakes it, or the
 * first looks at a ring that is at least as new as the event.
 *
 * Before it reports sources, a wait sets the notify bit of each direction and
 * looks again (ring.h), so no byte is missed.  There is no lock: the members of
 * struct vchan that both threads use are atomic.
 */

/* Pauses, which double, between two questions whether the peer's domain still
 * exists.  Its destruction sends no event; only a waiting thread asks. */
#define WAIT_CHECK_MIN UINT64_C(1000000000)
#define WAIT_CHECK_MAX UINT64_C(8000000000)

/*
 * A peer may send any number of events for nothing.  Each event counts, and
 * each index that the peer moves takes LOOK_CREDIT events off the count
 * (look.c).  At WAIT_STORM_EVENTS the channel is ignored for WAIT_STORM_MUTE
 * ns, and from then on after every WAIT_STORM_AGAIN more: a storm costs about a
 * thousand wakes a second.
 */
#define WAIT_STORM_EVENTS 64u
#define WAIT_STORM_AGAIN  8u
#define WAIT_STORM_MUTE   UINT64_C(10000000)

/*
 * Polling before a sleep.  A peer that runs on another processor often answers
 * sooner than a sleep and a wake take, which cost both sides system calls.  So
 * a wait polls its ring for about as long as a sleep takes, WAIT_POLL_TIME ns.
 * If that finds nothing, the next waits do not poll: 3 of them, then 15, 63 and
 * so on to WAIT_SKIP_MAX.  The first poll after skipped ones goes on for
 * WAIT_POLL_TIME_RARE, since the peer may sleep as well and must wake first.
 * WAIT_POLL_MAX bounds it in an environment whose clock stands still.
 */
#define WAIT_POLL_MAX       4096u
#define WAIT_POLL_TICK      32u /* polls between two readings of the clock */
#define WAIT_POLL_TIME      UINT64_C(40000)
#define WAIT_POLL_TIME_RARE UINT64_C(100000)
#define WAIT_SKIP_MAX       4095u

static uint64_t
wait_clock(const struct vchan *v)
{
    return v->base.env->now(v->base.env->ctx);
}

/* Those of the interests whose operation would not answer AGAIN. */
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

/* Looks until an interest is ready or the time is over. */
static uint32_t
wait_poll_for(struct vchan *v, uint32_t interest, uint64_t time)
{
    uint64_t until = 0;
    uint32_t ready = 0;

    for (uint32_t i = 1; i <= WAIT_POLL_MAX && ready == 0; i++) {
        flow__shm_pause();
        ready = wait_look(v, interest, false);
        if (i % WAIT_POLL_TICK != 0)
            continue;
        if (until == 0)
            until = wait_clock(v) + time;
        else if (wait_clock(v) >= until)
            break;
    }
    return ready;
}

/* Looks once, and then polls unless the last polls found nothing. */
static uint32_t
wait_poll(struct vchan *v, uint32_t interest)
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
    ready = wait_poll_for(v, interest,
                          skips == 0 ? WAIT_POLL_TIME : WAIT_POLL_TIME_RARE);
    if (ready != 0)
        skips = 0;
    else if (skips < WAIT_SKIP_MAX)
        skips = skips * 4 + 3;
    store_relaxed(&v->skips, skips);
    store_relaxed(&v->skips_left, skips);
    return ready;
}

/* Counts an event, and mutes the channel if too many came without bytes. */
static void
wait_count_event(struct vchan *v)
{
    if (atomic_fetch_add(&v->unpaid_events, 1) + 1 < WAIT_STORM_EVENTS)
        return;
    store_relaxed(&v->unpaid_events, WAIT_STORM_EVENTS - WAIT_STORM_AGAIN);
    store_relaxed(&v->muted_until, wait_clock(v) + WAIT_STORM_MUTE);
}

/*
 * A domain that is destroyed sends no event and clears no byte.  Early in its
 * destruction its end of the channel is closed, and the state of ours becomes
 * "unbound".  Without the right to ask the hypervisor for the state we ask the
 * store, which releases the domain later and answers domain 0 alone (XSA-115).
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
 * Announces in `asleep` that `interest` may sleep.  If it may have slept
 * before, consumes the events, since a pending event would end the next sleep
 * at once; the first wait saves that system call.
 */
static void
wait_consume_events(struct vchan *v, uint32_t interest)
{
    struct vchan_conn *conn = &v->conn;
    uint32_t others;

    if ((atomic_fetch_or(&v->asleep, interest) & interest) == 0)
        return;
    /* A watch that fired stays readable until it is drained. */
    if (conn->domains != NULL && conn->hyp->store->watch_drain(conn->domains))
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

/* Asks whether the peer exists if the pause is over; true: it is gone. */
static bool
wait_check_peer(struct vchan *v, uint64_t now, struct flow_wait_set *set)
{
    uint64_t at = load_relaxed(&v->check_at);
    uint64_t pause = load_relaxed(&v->check_pause);

    if (at == 0) {
        pause = WAIT_CHECK_MIN;
    } else if (now >= at) {
        if (wait_peer_is_gone(v))
            return true;
        pause = pause < WAIT_CHECK_MAX ? pause * 2 : pause;
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
    if (conn->domains != NULL)
        conn->hyp->store->watch_wait(conn->domains, set);
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
    wait_consume_events(v, interest);
    ready = wait_poll(v, interest);
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
