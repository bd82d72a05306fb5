/* SPDX-License-Identifier: ISC */
#include <flow/fault.h>

#include <flow/backend.h>

/*
 * A filter that makes the flow below misbehave as a plan says: calls answer
 * FLOW_AGAIN, move few bytes, come late, change a byte, or fail at an offset.
 *
 * Invariants: the same plan over the same calls makes the same faults, since
 * every kind of call has a random generator of its own.  A call that was held
 * up passes the next time, after its delay, and is reported ready then.  No
 * call is held up that would answer FLOW_AGAIN anyway.
 *
 * Threads: one per direction, as for the flow below; no lock.
 */

/* Segments of a shortened call; a shorter vector is a short read too. */
#define FAULT_SEGMENTS 16u

/* Calls that can be held up.  Each has a state of its own, so that a flush that
 * passes does not end the hold of a write. */
enum fault_call { READ, WRITE, FLUSH, SHUTDOWN, OPEN, CALLS };

/* Each has its own generator, so that the calls of one direction do not change
 * the faults of the other. */
struct fault_hold {
    uint64_t random;
    bool held;      /* AGAIN was answered, the next call passes ... */
    uint64_t until; /* ... not before this time */
};

/* Invariant: moved[d] <= the cut of direction d, READ or WRITE. */
struct fault {
    struct flow base;
    struct flow_fault_plan plan;
    struct fault_hold hold[CALLS];
    uint64_t moved[2];
    bool unflushed; /* written since the last flush */
};

static struct fault *
fault_of_flow(struct flow *f)
{
    return (struct fault *)(void *)f;
}

/* SplitMix64. */
static uint64_t
fault_next_random(struct fault_hold *hold)
{
    uint64_t z;

    hold->random += UINT64_C(0x9e3779b97f4a7c15);
    z = hold->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool
fault_must_hold(const struct flow_fault_plan *plan, struct fault_hold *hold)
{
    if (plan->again_always || plan->delay > 0)
        return true;
    return plan->again_percent > 0 &&
           fault_next_random(hold) % 100 < plan->again_percent;
}

/* Whether the lower flow would answer something other than AGAIN. */
static bool
fault_would_succeed(struct fault *x, enum fault_call which)
{
    static const uint32_t bit[] = { [READ] = FLOW_READY_READ,
                                    [WRITE] = FLOW_READY_WRITE,
                                    [FLUSH] = FLOW_READY_FLUSH,
                                    [SHUTDOWN] = FLOW_READY_FLUSH,
                                    [OPEN] = FLOW_READY_OPEN };
    struct flow_wait_set unused;

    flow_wait_set_init(&unused);
    return flow_wait_sources(x->base.lower, bit[which], &unused) != 0;
}

/* Whether a call passes; if not, it answers AGAIN.  A call that would answer
 * AGAIN anyway passes: if it were held up, it would be reported ready at once,
 * and the caller would loop. */
static bool
fault_pass(struct fault *x, enum fault_call which)
{
    struct fault_hold *hold = &x->hold[which];
    uint64_t now = x->base.env->now(x->base.env->ctx);

    if (hold->held) {
        if (now < hold->until)
            return false;
        hold->held = false;
        return true;
    }
    if (!fault_would_succeed(x, which) || !fault_must_hold(&x->plan, hold))
        return true;
    hold->held = true;
    hold->until = flow_time_after(now, x->plan.delay);
    return false;
}

static size_t
fault_smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bytes that a call may move: at least one, unless it is cut. */
static size_t
fault_allowance(struct fault *x, enum fault_call which, size_t asked,
                size_t most, uint64_t cut)
{
    size_t limit = most != 0 ? fault_smaller(asked, most) : asked;

    if (x->plan.random_short && limit > 1)
        limit = 1 + (size_t)(fault_next_random(&x->hold[which]) % limit);
    if (cut - x->moved[which] < limit)
        limit = (size_t)(cut - x->moved[which]);
    return limit;
}

static enum flow_status
fault_cut(struct flow *f, enum flow_dir dir)
{
    enum flow_status st = fault_of_flow(f)->plan.cut_status;

    if (st == FLOW_EOF && dir == FLOW_READ)
        return st;
    if (st == FLOW_EOF)
        st = FLOW_E_CLOSED;
    return flow_fail(f, (uint32_t)dir, st, FLOW_DOMAIN_NONE, 0,
                     "cut by the fault filter");
}

/* The first limit bytes of a vector, as far as they fit. */
static size_t
fault_shorten(const struct flow_vec *vec, size_t count, size_t limit,
              struct flow_vec *ret_vec)
{
    size_t i;

    for (i = 0; i < count && i < FAULT_SEGMENTS && limit > 0; i++) {
        ret_vec[i] = vec[i];
        ret_vec[i].len = fault_smaller(vec[i].len, limit);
        limit -= ret_vec[i].len;
    }
    return i;
}

/* Flip the lowest bit of byte off of the input. */
static void
fault_flip(const struct flow_vec *vec, size_t off)
{
    for (; off >= vec->len; vec++)
        off -= vec->len;
    if (vec->base != NULL)
        ((uint8_t *)vec->base)[off] ^= 1;
}

static enum flow_status
fault_readv(struct flow *f, const struct flow_vec *vec, size_t count,
            size_t *ret_len)
{
    struct fault *x = fault_of_flow(f);
    struct flow_vec part[FAULT_SEGMENTS];
    enum flow_status st;
    size_t limit;

    if (!fault_pass(x, READ))
        return FLOW_AGAIN;
    limit = fault_allowance(x, READ, flow_vec_len(vec, count), x->plan.max_read,
                            x->plan.cut_read);
    if (limit == 0)
        return fault_cut(f, FLOW_READ);
    count = fault_shorten(vec, count, limit, part);
    st = flow_readv(f->lower, part, count, ret_len);
    if (st != FLOW_OK)
        return flow_fail_lower(f, FLOW_READ, FLOW_READ, st);
    if (x->plan.flip_read - x->moved[READ] < *ret_len)
        fault_flip(part, (size_t)(x->plan.flip_read - x->moved[READ]));
    x->moved[READ] += *ret_len;
    return FLOW_OK;
}

static enum flow_status
fault_write_part(struct fault *x, const struct flow_cvec *vec, size_t count,
                 uint32_t flags, size_t limit, size_t *ret_len)
{
    uint64_t to_flip = x->plan.flip_write - x->moved[WRITE];
    struct flow_cvec part[FAULT_SEGMENTS];
    uint8_t byte;
    size_t i;

    if (to_flip == 0) {
        /* The caller's memory must not be changed: write that byte alone. */
        flow_cvec_get(vec, count, 0, &byte, 1);
        byte ^= 1;
        part[0] = (struct flow_cvec){ &byte, 1 };
        return flow_writev(x->base.lower, part, 1, flags, ret_len);
    }
    if (to_flip < limit)
        limit = (size_t)to_flip;
    for (i = 0; i < count && i < FAULT_SEGMENTS && limit > 0; i++) {
        part[i] = vec[i];
        part[i].len = fault_smaller(vec[i].len, limit);
        limit -= part[i].len;
    }
    return flow_writev(x->base.lower, part, i, flags, ret_len);
}

static enum flow_status
fault_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
             uint32_t flags, size_t *ret_len)
{
    struct fault *x = fault_of_flow(f);
    enum flow_status st;
    size_t limit;

    if (!fault_pass(x, WRITE))
        return FLOW_AGAIN;
    limit = fault_allowance(x, WRITE, flow_cvec_len(vec, count),
                            x->plan.max_write, x->plan.cut_write);
    if (limit == 0)
        return fault_cut(f, FLOW_WRITE);
    st = fault_write_part(x, vec, count, flags, limit, ret_len);
    x->moved[WRITE] += *ret_len;
    x->unflushed |= *ret_len > 0;
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
}

static enum flow_status
fault_shutdown(struct flow *f, enum flow_dir dir)
{
    struct fault *x = fault_of_flow(f);

    if (dir == FLOW_READ)
        return FLOW_OK;
    if (!fault_pass(x, SHUTDOWN))
        return FLOW_AGAIN;
    if (x->moved[WRITE] == x->plan.cut_write)
        return fault_cut(f, FLOW_WRITE);
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE,
                           flow_shutdown(f->lower, FLOW_WRITE));
}

static enum flow_status
fault_open(struct flow *f)
{
    if (!fault_pass(fault_of_flow(f), OPEN))
        return FLOW_AGAIN;
    return flow_fail_lower(f, (uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE,
                           FLOW_READ, flow_open(f->lower));
}

static enum flow_status
fault_flush(struct flow *f)
{
    struct fault *x = fault_of_flow(f);
    enum flow_status st;

    /* With nothing to flush there is nothing to hold up. */
    if (x->unflushed && !fault_pass(x, FLUSH))
        return FLOW_AGAIN;
    st = flow_flush(f->lower);
    if (st == FLOW_OK)
        x->unflushed = false;
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
}

/* Whether a call that was held up may pass now.  If not, its time is added to
 * the wait set. */
static bool
fault_may_pass(struct fault *x, enum fault_call which,
               struct flow_wait_set *set)
{
    const struct fault_hold *hold = &x->hold[which];

    if (!hold->held)
        return false;
    if (x->base.env->now(x->base.env->ctx) >= hold->until)
        return true;
    flow_wait_add_time(set, hold->until);
    return false;
}

static bool
fault_is_cut(const struct fault *x, uint32_t bit)
{
    return (bit == FLOW_READY_READ && x->moved[READ] == x->plan.cut_read) ||
           (bit == FLOW_READY_WRITE && x->moved[WRITE] == x->plan.cut_write);
}

/* One bit: a call that was held up is ready when its time has come, a direction
 * that was cut is ready, and the lower flow decides the rest. */
static uint32_t
fault_wait_bit(struct fault *x, uint32_t bit, struct flow_wait_set *set)
{
    static const enum fault_call first[] = { [FLOW_READY_READ] = READ,
                                             [FLOW_READY_WRITE] = WRITE,
                                             [FLOW_READY_FLUSH] = FLUSH,
                                             [FLOW_READY_OPEN] = OPEN };
    enum fault_call which = first[bit];

    if (fault_may_pass(x, which, set) || fault_is_cut(x, bit))
        return bit;
    /* A flush or a shutdown, the one that was held up. */
    if (bit == FLOW_READY_FLUSH && fault_may_pass(x, SHUTDOWN, set))
        return bit;
    if (x->hold[which].held ||
        (bit == FLOW_READY_FLUSH && x->hold[SHUTDOWN].held))
        return 0;
    return flow_wait_sources(x->base.lower, bit, set);
}

static uint32_t
fault_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct flow_wait_set all = *set;
    uint32_t bit, ready = 0;

    for (bit = 1; bit <= interest; bit <<= 1)
        if ((interest & bit) != 0)
            ready |= fault_wait_bit(fault_of_flow(f), bit, &all);
    if (ready == 0)
        *set = all;
    return ready;
}

static void
fault_close(struct flow *f)
{
    const struct flow_env *env = f->env;

    flow_base_fini(f);
    flow_env_free(env, f, sizeof(struct fault));
}

static enum flow_status
fault_detach(struct flow *f, const void **ret_ahead, size_t *ret_len)
{
    (void)f;
    (void)ret_ahead;
    (void)ret_len;
    return FLOW_OK;
}

static enum flow_status
fault_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    const size_t footprint = sizeof(struct fault);

    (void)f;
    if (key != FLOW_QUERY_FOOTPRINT)
        return FLOW_E_NOTSUP;
    return flow_answer(buf, len, &footprint, sizeof(footprint));
}

static const struct flow_ops fault_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "fault",
    .readv = fault_readv,
    .writev = fault_writev,
    .shutdown = fault_shutdown,
    .wait = fault_wait,
    .close = fault_close,
    .open = fault_open,
    .flush = fault_flush,
    .detach = fault_detach,
    .query = fault_query,
};

/* See <flow/fault.h>. */
void
flow_fault_plan_init(struct flow_fault_plan *plan)
{
    *plan = (struct flow_fault_plan){
        .cut_read = FLOW_FAULT_NEVER,
        .cut_write = FLOW_FAULT_NEVER,
        .cut_status = FLOW_EOF,
        .flip_read = FLOW_FAULT_NEVER,
        .flip_write = FLOW_FAULT_NEVER,
    };
}

/* See <flow/fault.h>. */
enum flow_status
flow_fault_wrap(struct flow *lower, const struct flow_fault_plan *plan,
                struct flow **ret_flow)
{
    const struct flow_env *env = lower->env;
    struct fault *x;
    enum flow_status st;
    size_t i;

    if (plan->again_percent > 100 || !flow_status_is_sticky(plan->cut_status))
        return FLOW_E_INVAL;
    x = flow_env_alloc(env, sizeof(*x));
    if (x == NULL)
        return FLOW_E_NOMEM;
    st = flow_base_wrap(&x->base, &fault_ops, lower, true,
                        flow_caps_forward(lower->caps));
    if (st != FLOW_OK) {
        flow_env_free(env, x, sizeof(*x));
        return st;
    }
    x->plan = *plan;
    for (i = 0; i < CALLS; i++)
        x->hold[i].random = plan->seed + i * UINT64_C(0x5851f42d4c957f2d);
    *ret_flow = &x->base;
    return FLOW_OK;
}
