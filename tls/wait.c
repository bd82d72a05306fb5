/* SPDX-License-Identifier: ISC */
#include "tls/limiter.h"
#include "tls/record.h"
#include "tls/tls_flow.h"

/*
 * What a TLS flow waits for.  A caller that asks for one direction takes the
 * lock of that direction alone, in the order of tls/tls_flow.h.  If nothing is
 * ready, expanded keys are given back; for that the locks are only tried, and a
 * direction in which another thread works is left alone.
 */

/* Under tx_lock: whether no sealed record waits for the lower flow, before or
 * after draining.  Bytes that stood in the way of a lease are sealed since
 * then, so this answers for a lease too. */
static bool
wait_can_drain(struct flow__tls *t, struct flow_wait_set *set)
{
    struct flow__writer_result r =
        flow__writer_drain(&t->writer, t->base.lower);

    if (r.status != FLOW_AGAIN)
        return true;
    return flow_wait_sources(t->base.lower, FLOW_READY_WRITE, set) != 0;
}

static bool
wait_can_write(struct flow__tls *t, struct flow_wait_set *set)
{
    /* A write of a dead writer fails at once, whatever is queued.  Only a
     * close_notify is still sent. */
    return (t->writer.dead && !t->writer.close_sealed) ||
           wait_can_drain(t, set);
}

static bool
wait_can_flush(struct flow__tls *t, struct flow_wait_set *set)
{
    const struct flow__writer *w = &t->writer;

    if (w->dead && !w->alert_queued && !w->close_sealed)
        return true;
    if (!wait_can_drain(t, set))
        return false;
    if (!w->dead && !flow__writer_is_idle(&t->writer))
        return true;
    return flow_wait_sources(t->base.lower, FLOW_READY_FLUSH, set) != 0;
}

/* Whether the application has signalled an answer. */
static bool
wait_for_answer(struct flow_event *answered, uint32_t sequence,
                struct flow_wait_set *set)
{
    if (answered == NULL)
        return false;
    if (flow_event_sequence(answered) != sequence)
        return true;
    flow_wait_add_event(set, answered, sequence);
    return false;
}

/* Under both locks: whether what the handshake waits for is there. */
static bool
wait_for_peer(struct flow__tls *t, struct flow_wait_set *set)
{
    struct flow_event *answered;
    uint32_t sequence;

    if (flow__handshake_is_asking(t->hs, &answered, &sequence))
        return wait_for_answer(answered, sequence, set);
    return flow_wait_sources(t->base.lower, flow__handshake_wants(t->hs),
                             set) != 0;
}

/* Under both locks: whether a step of the handshake would make progress. */
static bool
wait_can_open(struct flow__tls *t, struct flow_wait_set *set)
{
    const struct flow_env *env = t->base.env;
    uint64_t deadline;

    if (t->hs == NULL || flow__limiter_has_dropped(flow__handshake_slot(t->hs)))
        return true;
    deadline = flow__handshake_deadline(t->hs);
    if (deadline != FLOW_NEVER && env->now(env->ctx) >= deadline)
        return true;
    if (wait_for_peer(t, set))
        return true;
    flow_wait_add_time(set, deadline);
    return false;
}

static uint32_t
wait_open(struct flow__tls *t, struct flow_wait_set *set)
{
    bool ready;

    flow__tls_lock(t);
    ready = wait_can_open(t, set);
    flow__tls_unlock(t);
    return ready ? FLOW_READY_OPEN : 0;
}

/* Nothing is ready: give back the memory of the expanded keys until there is a
 * record again.  A direction in which another thread works is left alone
 * (decision 0075). */
static void
wait_rest(struct flow__tls *t)
{
    if (flow__latch_try(&t->rx_lock)) {
        flow__record_rest(&t->reader.keys);
        flow__latch_release(&t->rx_lock);
    }
    if (flow__latch_try(&t->tx_lock)) {
        flow__record_rest(&t->writer.keys);
        flow__latch_release(&t->tx_lock);
    }
}

static uint32_t
wait_data(struct flow__tls *t, uint32_t interest, struct flow_wait_set *set)
{
    struct flow *f = &t->base;
    uint32_t ready = 0;

    if ((interest & FLOW_READY_READ) != 0) {
        flow__latch_acquire(&t->rx_lock);
        if (flow__reader_wait(&t->reader, f->lower, flow_wanted(f, FLOW_READ),
                              set))
            ready |= FLOW_READY_READ;
        flow__tls_pass_owed(t);
        flow__latch_release(&t->rx_lock);
    }
    /* A reader does not wait for the writer's lock. */
    if ((interest & (FLOW_READY_WRITE | FLOW_READY_FLUSH)) == 0)
        return ready;
    flow__latch_acquire(&t->tx_lock);
    if ((interest & FLOW_READY_WRITE) != 0 && wait_can_write(t, set))
        ready |= FLOW_READY_WRITE;
    if ((interest & FLOW_READY_FLUSH) != 0 && wait_can_flush(t, set))
        ready |= FLOW_READY_FLUSH;
    flow__latch_release(&t->tx_lock);
    return ready;
}

/* See tls/tls_flow.h. */
uint32_t
flow__tls_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct flow__tls *t = flow__tls_cast(f);
    uint32_t ready;

    /* The call fails and says why; queued records are not ours to send. */
    if (flow__tls_is_inherited(t))
        return interest;
    if ((interest & FLOW_READY_OPEN) != 0)
        return wait_open(t, set);
    ready = wait_data(t, interest, set);
    if (ready == 0)
        wait_rest(t);
    return ready;
}
