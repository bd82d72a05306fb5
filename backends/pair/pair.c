/* SPDX-License-Identifier: ISC */
#include "backends/pair/pair.h"

#include <string.h>

#include <flow/pair.h>

#include "backends/pair/ring.h"

/*
 * Two ends over two rings (pair.h has the invariants of a ring).
 *
 * - An operation takes one consistent copy of a ring's indexes under the lock,
 *   copies bytes without it, and then moves its own index under the lock.
 * - After it has moved an index it signals the event of the other end, outside
 *   of the lock except in close, where the other end may free the pair next.
 * - Both ends must be closed; the second frees the pair.
 *
 * Lock order: the pair's lock, then the lock of waits (flow_event_signal()).
 * The reader's and the writer's thread of each end may be here at once.
 */
#define PAIR_CAPACITY_MAX ((size_t)1 << 30)

static struct pair_end *
pair_end_of(struct flow *f)
{
    return (struct pair_end *)f;
}

/* A consistent copy of the state of a ring. */
struct pair_view {
    uint32_t head;
    uint32_t tail;
    uint32_t used; /* Bytes to be read. */
    uint32_t room; /* Bytes that can be written. */
    bool ended;
    bool writer_gone;
    bool reader_gone;
};

static struct pair_view
pair_ring_look(const struct pair_end *e, const struct pair_ring *r)
{
    struct pair_view v;

    flow_lock_acquire(&e->pair->lock);
    v.head = r->head;
    v.tail = r->tail;
    v.used = flow__ring_used(r->tail, r->head);
    v.room = flow__ring_room(r->size, r->tail, r->head);
    v.ended = r->ended;
    v.writer_gone = r->writer_gone;
    v.reader_gone = r->reader_gone;
    flow_lock_release(&e->pair->lock);
    return v;
}

static void
pair_ring_consume(struct pair_end *e, size_t len)
{
    flow_lock_acquire(&e->pair->lock);
    e->in->head += (uint32_t)len;
    flow_lock_release(&e->pair->lock);
    if (len > 0)
        flow_event_signal(&e->in->writable);
}

static void
pair_ring_publish(struct pair_end *e, size_t len)
{
    flow_lock_acquire(&e->pair->lock);
    e->out->tail += (uint32_t)len;
    if (e->out->discards)
        e->out->head = e->out->tail;
    flow_lock_release(&e->pair->lock);
    if (len > 0)
        flow_event_signal(&e->out->readable);
}

/*
 * The len bytes of the ring that start at an index, in one or two spans.  The
 * first has at least want <= len bytes, if necessary into the margin.
 */
static void
pair_ring_spans(const struct pair_ring *r, uint32_t index, uint32_t len,
                uint32_t want, struct flow_vec span[2])
{
    struct flow__ring_span run[2];
    uint32_t gap;

    flow__ring_spans(r->size, index, len, run);
    if (run[0].len < want) {
        gap = want - run[0].len;
        run[0].len += gap;
        run[1].len -= gap;
        run[1].off += gap;
    }
    span[0].base = r->buf.base + run[0].off;
    span[0].len = run[0].len;
    span[1].base = run[1].len > 0 ? r->buf.base + run[1].off : NULL;
    span[1].len = run[1].len;
}

/* The status of a read from an empty ring. */
static enum flow_status
pair_read_end(struct pair_end *e, const struct pair_view *v)
{
    if (v->ended)
        return FLOW_EOF;
    if (v->writer_gone)
        return flow_fail(&e->base, FLOW_READ, FLOW_E_TRUNCATED,
                         FLOW_DOMAIN_NONE, 0,
                         "the peer closed without ending its direction");
    return FLOW_AGAIN;
}

static enum flow_status
pair_write_refused(struct pair_end *e)
{
    return flow_fail(&e->base, FLOW_WRITE, FLOW_E_CLOSED, FLOW_DOMAIN_NONE, 0,
                     "the peer has closed");
}

enum flow_status
flow__pair_readv(struct flow *f, const struct flow_vec *vec, size_t count,
                 size_t *ret_len)
{
    struct pair_end *e = pair_end_of(f);
    struct pair_view v = pair_ring_look(e, e->in);
    struct flow_vec span[2];
    size_t done;

    *ret_len = 0;
    if (v.used == 0)
        return pair_read_end(e, &v);

    pair_ring_spans(e->in, v.head, v.used, 0, span);
    done = flow_vec_put(vec, count, 0, span[0].base, span[0].len);
    if (done == span[0].len && span[1].len > 0)
        done += flow_vec_put(vec, count, done, span[1].base, span[1].len);
    pair_ring_consume(e, done);
    *ret_len = done;
    return FLOW_OK;
}

/* FLOW_MORE has no effect: no byte is held back. */
enum flow_status
flow__pair_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
                  uint32_t flags, size_t *ret_len)
{
    struct pair_end *e = pair_end_of(f);
    struct pair_view v = pair_ring_look(e, e->out);
    struct flow_vec span[2];
    size_t done;

    (void)flags;
    *ret_len = 0;
    if (v.reader_gone)
        return pair_write_refused(e);
    if (v.room == 0)
        return FLOW_AGAIN;

    pair_ring_spans(e->out, v.tail, v.room, 0, span);
    done = flow_cvec_get(vec, count, 0, span[0].base, span[0].len);
    if (done == span[0].len && span[1].len > 0)
        done += flow_cvec_get(vec, count, done, span[1].base, span[1].len);
    pair_ring_publish(e, done);
    *ret_len = done;
    return FLOW_OK;
}

enum flow_status
flow__pair_shutdown(struct flow *f, enum flow_dir dir)
{
    struct pair_end *e = pair_end_of(f);

    flow_lock_acquire(&e->pair->lock);
    if (dir == FLOW_WRITE) {
        e->out->ended = true;
    } else {
        /* The peer is not told, and its bytes are discarded from now on. */
        e->in->discards = true;
        e->in->head = e->in->tail;
    }
    flow_lock_release(&e->pair->lock);
    flow_event_signal(dir == FLOW_WRITE ? &e->out->readable : &e->in->writable);
    return FLOW_OK;
}

uint32_t
flow__pair_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct pair_end *e = pair_end_of(f);
    uint32_t in_seq = flow_event_sequence(&e->in->readable);
    uint32_t out_seq = flow_event_sequence(&e->out->writable);
    struct pair_view in = pair_ring_look(e, e->in);
    struct pair_view out = pair_ring_look(e, e->out);
    uint32_t ready = FLOW_READY_FLUSH | FLOW_READY_OPEN;

    if (in.used >= flow_wanted(f, FLOW_READ) || in.ended || in.writer_gone)
        ready |= FLOW_READY_READ;
    if (out.room >= flow_wanted(f, FLOW_WRITE) || out.reader_gone)
        ready |= FLOW_READY_WRITE;
    if ((ready & interest) != 0)
        return ready & interest;

    if ((interest & FLOW_READY_READ) != 0)
        flow_wait_add_event(set, &e->in->readable, in_seq);
    if ((interest & FLOW_READY_WRITE) != 0)
        flow_wait_add_event(set, &e->out->writable, out_seq);
    return 0;
}

static enum flow_status
pair_lease_read(struct pair_end *e, uint32_t want, struct flow_vec span[2])
{
    struct pair_view v = pair_ring_look(e, e->in);
    uint32_t to_end;

    if (v.used == 0)
        return pair_read_end(e, &v);
    if (v.used < want && !v.ended && !v.writer_gone)
        return FLOW_AGAIN;
    if (want > v.used)
        want = v.used;

    /* Copy the bytes at the start of the ring into the margin. */
    to_end = e->in->size - flow__ring_place(e->in->size, v.head);
    if (want > to_end)
        memcpy(e->in->buf.base + e->in->size, e->in->buf.base, want - to_end);
    pair_ring_spans(e->in, v.head, v.used, want, span);
    return FLOW_OK;
}

static enum flow_status
pair_lease_write(struct pair_end *e, uint32_t want, struct flow_vec span[2])
{
    struct pair_view v = pair_ring_look(e, e->out);

    if (v.reader_gone)
        return pair_write_refused(e);
    if (v.room < want)
        return FLOW_AGAIN;
    pair_ring_spans(e->out, v.tail, v.room, want, span);
    e->lent_first = span[0].len;
    return FLOW_OK;
}

enum flow_status
flow__pair_lease(struct flow *f, enum flow_dir dir, size_t want,
                 struct flow_vec ret_span[2])
{
    struct pair_end *e = pair_end_of(f);

    if (want > (dir == FLOW_READ ? e->in : e->out)->size)
        return FLOW_E_INVAL;
    return dir == FLOW_READ ? pair_lease_read(e, (uint32_t)want, ret_span)
                            : pair_lease_write(e, (uint32_t)want, ret_span);
}

/* Copies the bytes that a write lease put into the margin to the start of the
 * ring. */
static void
pair_fold_margin(struct pair_end *e, size_t used)
{
    struct pair_ring *r = e->out;
    size_t first = used < e->lent_first ? used : e->lent_first;
    size_t end = flow__ring_place(r->size, r->tail) + first;

    if (end > r->size)
        memcpy(r->buf.base, r->buf.base + r->size, end - r->size);
}

enum flow_status
flow__pair_commit(struct flow *f, enum flow_dir dir, size_t used,
                  uint32_t flags)
{
    struct pair_end *e = pair_end_of(f);

    (void)flags;
    if (dir == FLOW_READ) {
        pair_ring_consume(e, used);
        return FLOW_OK;
    }
    if (used > 0 && pair_ring_look(e, e->out).reader_gone)
        return pair_write_refused(e);
    pair_fold_margin(e, used);
    pair_ring_publish(e, used);
    return FLOW_OK;
}

void
flow__pair_address(const char *name, char ret_text[PAIR_ADDRESS_SIZE])
{
    memcpy(ret_text, "pair:", 5);
    memcpy(ret_text + 5, name, strlen(name) + 1);
}

enum flow_status
flow__pair_query(struct flow *f, enum flow_query_key key, void *buf,
                 size_t *len)
{
    const struct pair *p = pair_end_of(f)->pair;
    struct flow_buf_hints hints;
    char address[PAIR_ADDRESS_SIZE];
    size_t size;

    if (key == FLOW_QUERY_DESCRIPTION && p->name[0] == '\0')
        return flow_answer_string(buf, len, "pair");
    if (p->name[0] != '\0' &&
        (key == FLOW_QUERY_DESCRIPTION || key == FLOW_QUERY_LOCAL_ADDRESS ||
         key == FLOW_QUERY_PEER_ADDRESS)) {
        flow__pair_address(p->name, address);
        return flow_answer_string(buf, len, address);
    }
    if (key == FLOW_QUERY_FOOTPRINT) {
        /* Each end answers half of what they share. */
        size = (sizeof(*p) + p->ring[0].buf.len + p->ring[1].buf.len) / 2;
        return flow_answer(buf, len, &size, sizeof(size));
    }
    if (key == FLOW_QUERY_BUF_HINTS) {
        flow_buf_hints_init(&hints);
        if (p->policy != NULL)
            hints = p->policy->hints;
        hints.max_contiguous = p->ring[0].size;
        return flow_answer(buf, len, &hints, sizeof(hints));
    }
    return FLOW_E_NOTSUP;
}

static void
pair_ring_release(struct pair *p, struct pair_ring *r)
{
    flow_event_fini(&r->readable);
    flow_event_fini(&r->writable);
    /* The bytes may have been secret. */
    if (r->buf.base != NULL)
        flow_wipe(r->buf.base, r->buf.len);
    if (p->policy != NULL)
        flow_buf_release(p->policy, &r->buf);
    else
        flow_env_free(p->env, r->buf.base, r->buf.len);
}

static void
pair_free(struct pair *p)
{
    pair_ring_release(p, &p->ring[0]);
    pair_ring_release(p, &p->ring[1]);
    flow_lock_fini(&p->lock);
    flow_env_free(p->env, p, sizeof(*p));
}

void
flow__pair_close(struct flow *f)
{
    struct pair_end *e = pair_end_of(f);
    struct pair *p = e->pair;
    bool last;

    flow_base_fini(f);
    flow_lock_acquire(&p->lock);
    e->out->writer_gone = true;
    e->in->reader_gone = true;
    last = --p->open == 0;
    /* Signal under the lock: after it the other end may free the pair. */
    flow_event_signal(&e->out->readable);
    flow_event_signal(&e->in->writable);
    flow_lock_release(&p->lock);
    if (last)
        pair_free(p);
}

static const struct flow_ops pair_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "pair",
    .readv = flow__pair_readv,
    .writev = flow__pair_writev,
    .shutdown = flow__pair_shutdown,
    .wait = flow__pair_wait,
    .close = flow__pair_close,
    .lease = flow__pair_lease,
    .commit = flow__pair_commit,
    .query = flow__pair_query,
};

enum flow_status
flow__pair_join(struct pair_end *e, const struct flow_env *env)
{
    memset(&e->base, 0, sizeof(e->base));
    return flow_base_init(&e->base, &pair_ops, env, PAIR_CAPS);
}

static enum flow_status
pair_ring_init(struct pair *p, struct pair_ring *r, uint32_t size)
{
    size_t bytes = 2 * (size_t)size;
    enum flow_status st;

    flow_event_init(&r->readable);
    flow_event_init(&r->writable);
    r->size = size;
    if (p->policy != NULL) {
        st = flow_buf_acquire(p->policy, bytes, &r->buf);
        /* A constructor does not wait: an empty pool is a lack of memory. */
        return st == FLOW_AGAIN ? FLOW_E_NOMEM : st;
    }
    r->buf.base = flow_env_alloc(p->env, bytes);
    r->buf.len = r->buf.base != NULL ? bytes : 0;
    return r->buf.base != NULL ? FLOW_OK : FLOW_E_NOMEM;
}

static uint32_t
pair_round_up_pow2(size_t n)
{
    uint32_t p = 1;

    while (p < n)
        p <<= 1;
    return p;
}

enum flow_status
flow__pair_make(const struct flow_env *env, size_t capacity,
                const struct flow_buf_policy *policy, struct pair **ret_pair)
{
    enum flow_status st;
    struct pair *p;
    uint32_t size;
    unsigned i;

    if (capacity == 0 || capacity > PAIR_CAPACITY_MAX)
        return FLOW_E_INVAL;
    p = flow_env_alloc(env, sizeof(*p));
    if (p == NULL)
        return FLOW_E_NOMEM;
    p->env = env;
    p->policy = policy;
    flow_lock_init(&p->lock);
    size = pair_round_up_pow2(capacity);
    st = pair_ring_init(p, &p->ring[0], size);
    if (st == FLOW_OK)
        st = pair_ring_init(p, &p->ring[1], size);
    for (i = 0; i < 2 && st == FLOW_OK; i++) {
        p->end[i].pair = p;
        p->end[i].in = &p->ring[i];
        p->end[i].out = &p->ring[1 - i];
        st = flow__pair_join(&p->end[i], env);
    }
    if (st != FLOW_OK) {
        pair_free(p);
        return st;
    }
    p->open = 2;
    *ret_pair = p;
    return FLOW_OK;
}

/* See <flow/pair.h>. */
enum flow_status
flow_pair_new(const struct flow_env *env, size_t capacity,
              const struct flow_buf_policy *policy, struct flow **ret_a,
              struct flow **ret_b)
{
    enum flow_status st;
    struct pair *p;

    st = flow__pair_make(env != NULL ? env : flow_env_default(), capacity,
                         policy, &p);
    if (st != FLOW_OK)
        return st;
    *ret_a = &p->end[0].base;
    *ret_b = &p->end[1].base;
    return FLOW_OK;
}
