/* SPDX-License-Identifier: ISC */
#include <flow/buffered.h>

#include <stdatomic.h>
#include <string.h>

#include <flow/backend.h>

/*
 * One direction's buffer.
 *
 * Invariants: a buffer is held only while len > 0 or it is lent out;
 * off + len <= size; the bytes [off, off + len) are what was read ahead, or
 * accepted and not passed to the lower flow.
 */
struct buffered_queue {
    struct flow_buf buf;
    size_t off;
    _Atomic size_t len; /* looked at from either direction's thread */
    bool starved;       /* a lease was refused because the pool was empty */
    uint32_t missed;    /* the pool's event, from before it was asked */
};

struct buffered {
    struct flow base;
    const struct flow_buf_policy *policy;
    size_t size;
    struct buffered_queue in;
    struct buffered_queue out;
};

static struct buffered *
buffered_of_flow(struct flow *f)
{
    return (struct buffered *)(void *)f;
}

static size_t
buffered_held(const struct buffered_queue *s)
{
    return atomic_load(&s->len);
}

/* --- a queue ------------------------------------------------------------ */

static enum flow_status
buffered_take_buffer(struct buffered *b, struct buffered_queue *s)
{
    enum flow_status st;

    if (s->buf.base != NULL)
        return FLOW_OK;
    if (b->policy->available != NULL)
        s->missed = flow_event_sequence(b->policy->available);
    st = flow_buf_acquire(b->policy, b->size, &s->buf);
    s->starved = st == FLOW_AGAIN;
    s->off = 0;
    return st;
}

static void
buffered_give_back_if_empty(struct buffered *b, struct buffered_queue *s)
{
    if (buffered_held(s) == 0)
        flow_buf_release(b->policy, &s->buf);
}

/* Make room for len contiguous bytes after the held ones, if they fit. */
static void
buffered_close_up(struct buffered *b, struct buffered_queue *s, size_t len)
{
    if (b->size - s->off - buffered_held(s) >= len)
        return;
    memmove(s->buf.base, s->buf.base + s->off, buffered_held(s));
    s->off = 0;
}

static size_t
buffered_room(const struct buffered *b, const struct buffered_queue *s)
{
    return b->size - s->off - buffered_held(s);
}

static uint8_t *
buffered_tail(const struct buffered_queue *s)
{
    return s->buf.base + s->off + buffered_held(s);
}

static void
buffered_consume(struct buffered *b, struct buffered_queue *s, size_t n)
{
    s->off += n;
    atomic_store(&s->len, buffered_held(s) - n);
    if (buffered_held(s) == 0)
        s->off = 0;
    buffered_give_back_if_empty(b, s);
}

/* --- reading ------------------------------------------------------------ */

static enum flow_status
buffered_readv(struct flow *f, const struct flow_vec *vec, size_t count,
               size_t *ret_len)
{
    struct buffered *b = buffered_of_flow(f);

    b->in.starved = false;
    if (buffered_held(&b->in) > 0) {
        *ret_len = flow_vec_put(vec, count, 0, b->in.buf.base + b->in.off,
                                buffered_held(&b->in));
        buffered_consume(b, &b->in, *ret_len);
        return FLOW_OK;
    }
    return flow_fail_lower(f, FLOW_READ, FLOW_READ,
                           flow_readv(f->lower, vec, count, ret_len));
}

/* Read ahead until want bytes are held; else the status that prevents it. */
static enum flow_status
buffered_gather(struct buffered *b, size_t want)
{
    enum flow_status st = FLOW_OK;
    size_t n;

    buffered_close_up(b, &b->in, want - buffered_held(&b->in));
    while (st == FLOW_OK && buffered_held(&b->in) < want) {
        st = flow_read(b->base.lower, buffered_tail(&b->in),
                       buffered_room(b, &b->in), &n);
        atomic_store(&b->in.len, buffered_held(&b->in) + n);
    }
    /* Bytes before an end or an error are lent first; the lower flow returns
     * that again. */
    if (st != FLOW_OK && st != FLOW_AGAIN && buffered_held(&b->in) > 0)
        return FLOW_OK;
    return st;
}

static enum flow_status
buffered_lease_read(struct buffered *b, size_t want, struct flow_vec *ret_span)
{
    enum flow_status st = FLOW_OK;

    if (buffered_held(&b->in) < want) {
        st = buffered_take_buffer(b, &b->in);
        if (st == FLOW_OK)
            st = flow_fail_lower(&b->base, FLOW_READ, FLOW_READ,
                                 buffered_gather(b, want));
    }
    if (st != FLOW_OK) {
        buffered_give_back_if_empty(b, &b->in);
        return st;
    }
    ret_span->base = b->in.buf.base + b->in.off;
    ret_span->len = buffered_held(&b->in);
    return FLOW_OK;
}

/* --- writing ------------------------------------------------------------ */

/* Write as much of the held bytes as the lower flow accepts.  An error stays
 * recorded in the lower flow. */
static enum flow_status
buffered_hand_down(struct buffered *b, uint32_t flags)
{
    enum flow_status st = FLOW_OK;
    struct flow_cvec vec;
    size_t n;

    while (st == FLOW_OK && buffered_held(&b->out) > 0) {
        vec.base = b->out.buf.base + b->out.off;
        vec.len = buffered_held(&b->out);
        st = flow_writev(b->base.lower, &vec, 1, flags, &n);
        if (n > 0)
            buffered_consume(b, &b->out, n);
    }
    return st;
}

static enum flow_status
buffered_push(struct buffered *b, uint32_t flags)
{
    return flow_fail_lower(&b->base, FLOW_WRITE, FLOW_WRITE,
                           buffered_hand_down(b, flags));
}

/* Copy what fits; 0 if nothing does, or there is no buffer. */
static size_t
buffered_hold_back(struct buffered *b, const struct flow_cvec *vec,
                   size_t count)
{
    size_t len = flow_cvec_len(vec, count);
    size_t n;

    if (buffered_take_buffer(b, &b->out) != FLOW_OK)
        return 0;
    buffered_close_up(b, &b->out, len < b->size ? len : b->size);
    n = flow_cvec_get(vec, count, 0, buffered_tail(&b->out),
                      buffered_room(b, &b->out));
    atomic_store(&b->out.len, buffered_held(&b->out) + n);
    return n;
}

static enum flow_status
buffered_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
                uint32_t flags, size_t *ret_len)
{
    struct buffered *b = buffered_of_flow(f);
    enum flow_status st = FLOW_OK;

    b->out.starved = false;
    /* FLOW_MORE, and it fits: nothing is written below yet. */
    if ((flags & FLOW_MORE) != 0 &&
        flow_cvec_len(vec, count) <= b->size - buffered_held(&b->out)) {
        *ret_len = buffered_hold_back(b, vec, count);
        if (*ret_len > 0)
            return FLOW_OK;
    }
    /* From here on the caller waits for the lower flow. */
    b->out.starved = false;
    if (buffered_held(&b->out) > 0)
        st = buffered_push(b, FLOW_MORE);
    if (st == FLOW_OK)
        return flow_fail_lower(
            f, FLOW_WRITE, FLOW_WRITE,
            flow_writev(f->lower, vec, count, flags, ret_len));
    if (st != FLOW_AGAIN)
        return st;
    *ret_len = buffered_hold_back(b, vec, count);
    return *ret_len > 0 ? FLOW_OK : FLOW_AGAIN;
}

static enum flow_status
buffered_lease_write(struct buffered *b, size_t want, struct flow_vec *ret_span)
{
    enum flow_status st = FLOW_OK;

    if (buffered_held(&b->out) > b->size - want)
        st = buffered_push(b, FLOW_MORE);
    if (st == FLOW_OK || st == FLOW_AGAIN) {
        if (buffered_held(&b->out) > b->size - want)
            st = FLOW_AGAIN;
        else
            st = buffered_take_buffer(b, &b->out);
    }
    if (st == FLOW_E_NOMEM)
        return flow_fail(&b->base, FLOW_WRITE, st, FLOW_DOMAIN_NONE, 0,
                         "no memory for a buffer");
    if (st != FLOW_OK)
        return st;
    buffered_close_up(b, &b->out, want);
    ret_span->base = buffered_tail(&b->out);
    ret_span->len = buffered_room(b, &b->out);
    return FLOW_OK;
}

static enum flow_status
buffered_lease(struct flow *f, enum flow_dir dir, size_t want,
               struct flow_vec ret_span[2])
{
    struct buffered *b = buffered_of_flow(f);

    if (want > b->size)
        return FLOW_E_INVAL;
    return dir == FLOW_READ ? buffered_lease_read(b, want, ret_span)
                            : buffered_lease_write(b, want, ret_span);
}

static enum flow_status
buffered_commit(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags)
{
    struct buffered *b = buffered_of_flow(f);
    enum flow_status st;

    if (dir == FLOW_READ) {
        buffered_consume(b, &b->in, used);
        return FLOW_OK;
    }
    atomic_store(&b->out.len, buffered_held(&b->out) + used);
    buffered_give_back_if_empty(b, &b->out);
    if (used == 0 || (flags & FLOW_MORE) != 0)
        return FLOW_OK;
    st = buffered_push(b, 0);
    /* All of it is accepted; what the lower flow does not take is held. */
    return flow_status_is_sticky(st) ? st : FLOW_OK;
}

/* --- the rest ----------------------------------------------------------- */

static enum flow_status
buffered_flush(struct flow *f)
{
    enum flow_status st = buffered_push(buffered_of_flow(f), 0);

    if (st != FLOW_OK)
        return st;
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, flow_flush(f->lower));
}

static enum flow_status
buffered_shutdown(struct flow *f, enum flow_dir dir)
{
    struct buffered *b = buffered_of_flow(f);
    enum flow_status st;

    if (dir == FLOW_READ) {
        buffered_consume(b, &b->in, buffered_held(&b->in));
        return FLOW_OK;
    }
    st = buffered_push(b, FLOW_MORE);
    if (st != FLOW_OK)
        return st;
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE,
                           flow_shutdown(f->lower, FLOW_WRITE));
}

/* Wait for the pool too, if the last lease found it empty and it still is. */
static bool
buffered_waits_for_pool(const struct buffered *b,
                        const struct buffered_queue *s,
                        struct flow_wait_set *set)
{
    if (!s->starved || flow_event_sequence(b->policy->available) != s->missed)
        return false;
    flow_wait_add_event(set, b->policy->available, s->missed);
    return true;
}

/* Read ahead for a lease; true if the lower flow need not be asked. */
static bool
buffered_take_in(struct buffered *b, size_t want)
{
    size_t before = buffered_held(&b->in);
    enum flow_status st = buffered_take_buffer(b, &b->in);

    if (st == FLOW_OK)
        st = buffered_gather(b, want);
    buffered_give_back_if_empty(b, &b->in);
    if (st != FLOW_AGAIN)
        return true;
    /* The lower flow reported ready and is not: report the same. */
    return buffered_held(&b->in) == before && !b->in.starved;
}

/* The lower flow cannot tell how much input it has, so for a lease it is
 * read. */
static uint32_t
buffered_wait_read(struct buffered *b, struct flow_wait_set *set)
{
    size_t want = flow_wanted(&b->base, FLOW_READ);

    while (buffered_held(&b->in) < want) {
        if (buffered_waits_for_pool(b, &b->in, set) ||
            flow_wait_sources(b->base.lower, FLOW_READY_READ, set) == 0)
            return 0;
        if (want == 1 || buffered_take_in(b, want))
            break;
    }
    return FLOW_READY_READ;
}

/* Nor can it tell how much it would accept. */
static uint32_t
buffered_wait_room(struct buffered *b, size_t want, struct flow_wait_set *set)
{
    while (b->size - buffered_held(&b->out) < want) {
        size_t before = buffered_held(&b->out);

        if (flow_wait_sources(b->base.lower, FLOW_READY_WRITE, set) == 0)
            return 0;
        if (buffered_hand_down(b, FLOW_MORE) != FLOW_AGAIN ||
            buffered_held(&b->out) == before)
            break;
    }
    return FLOW_READY_WRITE;
}

static uint32_t
buffered_wait_write(struct buffered *b, struct flow_wait_set *set)
{
    size_t want = flow_wanted(&b->base, FLOW_WRITE);

    if (b->out.starved)
        return buffered_waits_for_pool(b, &b->out, set) ? 0 : FLOW_READY_WRITE;
    if (want > 1)
        return buffered_wait_room(b, want, set);
    if (buffered_held(&b->out) > 0 && buffered_held(&b->out) < b->size)
        return FLOW_READY_WRITE;
    return flow_wait_sources(b->base.lower, FLOW_READY_WRITE, set);
}

/* While bytes are held back, wait for the lower flow to take them. */
static uint32_t
buffered_wait_flush(struct buffered *b, struct flow_wait_set *set)
{
    uint32_t bit =
        buffered_held(&b->out) > 0 ? FLOW_READY_WRITE : FLOW_READY_FLUSH;

    return flow_wait_sources(b->base.lower, bit, set) != 0 ? FLOW_READY_FLUSH
                                                           : 0;
}

static uint32_t
buffered_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct buffered *b = buffered_of_flow(f);
    struct flow_wait_set all = *set;
    uint32_t ready = 0;

    if ((interest & FLOW_READY_OPEN) != 0)
        ready |= flow_wait_sources(f->lower, FLOW_READY_OPEN, &all);
    if ((interest & FLOW_READY_READ) != 0)
        ready |= buffered_wait_read(b, &all);
    if ((interest & FLOW_READY_WRITE) != 0)
        ready |= buffered_wait_write(b, &all);
    if ((interest & FLOW_READY_FLUSH) != 0)
        ready |= buffered_wait_flush(b, &all);
    if (ready == 0)
        *set = all;
    return ready;
}

static void
buffered_close(struct flow *f)
{
    struct buffered *b = buffered_of_flow(f);
    const struct flow_env *env = f->env;

    flow_buf_release(b->policy, &b->in.buf);
    flow_buf_release(b->policy, &b->out.buf);
    flow_base_fini(f);
    flow_env_free(env, b, sizeof(*b));
}

static enum flow_status
buffered_detach(struct flow *f, const void **ret_ahead, size_t *ret_len)
{
    struct buffered *b = buffered_of_flow(f);

    if (buffered_held(&b->out) > 0)
        return FLOW_E_BUSY;
    if (buffered_held(&b->in) > 0) {
        *ret_ahead = b->in.buf.base + b->in.off;
        *ret_len = buffered_held(&b->in);
    }
    return FLOW_OK;
}

static enum flow_status
buffered_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    struct buffered *b = buffered_of_flow(f);
    size_t footprint;

    switch ((int)key) {
    case FLOW_QUERY_FOOTPRINT:
        footprint = sizeof(*b) + b->in.buf.len + b->out.buf.len;
        return flow_answer(buf, len, &footprint, sizeof(footprint));
    case FLOW_QUERY_BUF_HINTS:
        return flow_answer(buf, len, &b->policy->hints,
                           sizeof(b->policy->hints));
    default:
        return FLOW_E_NOTSUP;
    }
}

static const struct flow_ops buffered_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "buffered",
    .readv = buffered_readv,
    .writev = buffered_writev,
    .shutdown = buffered_shutdown,
    .wait = buffered_wait,
    .close = buffered_close,
    .flush = buffered_flush,
    .lease = buffered_lease,
    .commit = buffered_commit,
    .detach = buffered_detach,
    .query = buffered_query,
};

static uint32_t
buffered_caps_over(uint32_t below, const struct flow_buf_policy *policy)
{
    uint32_t caps =
        flow_caps_forward(below) | FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE;

    /* The reader and the writer would take buffers from it at the same time. */
    return policy->any_thread ? caps : caps & ~FLOW_CAP_DUPLEX;
}

/* See <flow/buffered.h>. */
enum flow_status
flow_buffered_wrap(struct flow *lower, const struct flow_buf_policy *policy,
                   size_t size, struct flow **ret_flow)
{
    const struct flow_env *env = lower->env;
    struct buffered *b;
    enum flow_status st;

    if (size == 0)
        return FLOW_E_INVAL;
    b = flow_env_alloc(env, sizeof(*b));
    if (b == NULL)
        return FLOW_E_NOMEM;
    st = flow_base_wrap(&b->base, &buffered_ops, lower, true,
                        buffered_caps_over(lower->caps, policy));
    if (st != FLOW_OK) {
        flow_env_free(env, b, sizeof(*b));
        return st;
    }
    b->policy = policy;
    b->size = size;
    *ret_flow = &b->base;
    return FLOW_OK;
}
