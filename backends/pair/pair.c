/* SPDX-License-Identifier: ISC */
#include "backends/pair/pair.h"

#include <string.h>

#include <flow/pair.h>

#include "backends/pair/ring.h"

/*
 * Two ends over two rings (pair.h has the invariants of a ring, and the order
 * of its loads and stores).
 *
 * - An operation looks at the other end's index, copies bytes, and then moves
 *   its own index.  After that it signals the event of the other end.
 * - A change of an index or of a mark comes before the signal.  A sleeper takes
 *   the event's count before it looks, so it sees the change or does not sleep
 *   (flow_event_signal()).
 * - Both ends must be closed; the second frees the pair.  An end signals before
 *   it counts itself as closed, since the other may free the pair then.
 *
 * There is no lock of a pair.  The reader's and the writer's thread of each end
 * may be here at once.
 */
#define PAIR_CAPACITY_MAX ((size_t)1 << 30)

static struct pair_end *
pair_end_of(struct flow *f)
{
    return (struct pair_end *)f;
}

/* What a ring has for its reader. */
struct pair_filled {
    uint32_t head;
    uint32_t len;
    bool ended;
    bool writer_gone;
};

static struct pair_filled
pair_look_filled(struct pair_ring *r)
{
    struct pair_filled v;

    /* The marks before tail: what is there when one is set is all. */
    v.ended = atomic_load_explicit(&r->ended, memory_order_acquire);
    v.writer_gone = atomic_load_explicit(&r->writer_gone, memory_order_acquire);
    v.head = atomic_load_explicit(&r->head, memory_order_acquire);
    v.len = flow__ring_used(
        atomic_load_explicit(&r->tail, memory_order_acquire), v.head);
    if (v.len > r->size)
        v.len = r->size;
    if (atomic_load_explicit(&r->discards, memory_order_relaxed))
        v.len = 0;
    return v;
}

/* What a ring has for its writer. */
struct pair_free {
    uint32_t tail;
    uint32_t len;
    bool reader_gone;
};

static struct pair_free
pair_look_free(struct pair_ring *r)
{
    struct pair_free v;

    v.reader_gone = atomic_load_explicit(&r->reader_gone, memory_order_acquire);
    v.tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    v.len = flow__ring_room(
        r->size, v.tail, atomic_load_explicit(&r->head, memory_order_acquire));
    /* After discards there is nothing to keep. */
    if (v.len > r->size ||
        atomic_load_explicit(&r->discards, memory_order_acquire))
        v.len = r->size;
    return v;
}

static void
pair_ring_consume(struct pair_ring *r, size_t len)
{
    if (len == 0)
        return;
    atomic_store_explicit(&r->head,
                          atomic_load_explicit(&r->head, memory_order_relaxed) +
                              (uint32_t)len,
                          memory_order_release);
    flow_event_signal(&r->writable);
}

static void
pair_ring_publish(struct pair_ring *r, size_t len)
{
    if (len == 0)
        return;
    atomic_store_explicit(&r->tail,
                          atomic_load_explicit(&r->tail, memory_order_relaxed) +
                              (uint32_t)len,
                          memory_order_release);
    flow_event_signal(&r->readable);
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
pair_read_end(struct pair_end *e, const struct pair_filled *v)
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
    struct pair_filled v = pair_look_filled(e->in);
    struct flow_vec span[2];
    size_t done;

    *ret_len = 0;
    if (v.len == 0)
        return pair_read_end(e, &v);

    pair_ring_spans(e->in, v.head, v.len, 0, span);
    done = flow_vec_put(vec, count, 0, span[0].base, span[0].len);
    if (done == span[0].len && span[1].len > 0)
        done += flow_vec_put(vec, count, done, span[1].base, span[1].len);
    pair_ring_consume(e->in, done);
    *ret_len = done;
    return FLOW_OK;
}

/* FLOW_MORE has no effect: no byte is held back. */
enum flow_status
flow__pair_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
                  uint32_t flags, size_t *ret_len)
{
    struct pair_end *e = pair_end_of(f);
    struct pair_free v = pair_look_free(e->out);
    struct flow_vec span[2];
    size_t done;

    (void)flags;
    *ret_len = 0;
    if (v.reader_gone)
        return pair_write_refused(e);
    if (v.len == 0)
        return FLOW_AGAIN;

    pair_ring_spans(e->out, v.tail, v.len, 0, span);
    done = flow_cvec_get(vec, count, 0, span[0].base, span[0].len);
    if (done == span[0].len && span[1].len > 0)
        done += flow_cvec_get(vec, count, done, span[1].base, span[1].len);
    pair_ring_publish(e->out, done);
    *ret_len = done;
    return FLOW_OK;
}

enum flow_status
flow__pair_shutdown(struct flow *f, enum flow_dir dir)
{
    struct pair_end *e = pair_end_of(f);

    /* The peer is not told of the end of reading; its bytes are discarded from
     * now on. */
    atomic_store_explicit(dir == FLOW_WRITE ? &e->out->ended : &e->in->discards,
                          true, memory_order_release);
    flow_event_signal(dir == FLOW_WRITE ? &e->out->readable : &e->in->writable);
    return FLOW_OK;
}

uint32_t
flow__pair_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct pair_end *e = pair_end_of(f);
    uint32_t in_seq = flow_event_sequence(&e->in->readable);
    uint32_t out_seq = flow_event_sequence(&e->out->writable);
    struct pair_filled in = pair_look_filled(e->in);
    struct pair_free out = pair_look_free(e->out);
    uint32_t ready = FLOW_READY_FLUSH | FLOW_READY_OPEN;

    if (in.len >= flow_wanted(f, FLOW_READ) || in.ended || in.writer_gone)
        ready |= FLOW_READY_READ;
    if (out.len >= flow_wanted(f, FLOW_WRITE) || out.reader_gone)
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
    struct pair_filled v = pair_look_filled(e->in);
    uint32_t to_end;

    if (v.len == 0)
        return pair_read_end(e, &v);
    if (v.len < want && !v.ended && !v.writer_gone)
        return FLOW_AGAIN;
    if (want > v.len)
        want = v.len;

    /* Copy the bytes at the start of the ring into the margin. */
    to_end = e->in->size - flow__ring_place(e->in->size, v.head);
    if (want > to_end)
        memcpy(e->in->buf.base + e->in->size, e->in->buf.base, want - to_end);
    pair_ring_spans(e->in, v.head, v.len, want, span);
    return FLOW_OK;
}

static enum flow_status
pair_lease_write(struct pair_end *e, uint32_t want, struct flow_vec span[2])
{
    struct pair_free v = pair_look_free(e->out);

    if (v.reader_gone)
        return pair_write_refused(e);
    if (v.len < want)
        return FLOW_AGAIN;
    pair_ring_spans(e->out, v.tail, v.len, want, span);
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
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t end = flow__ring_place(r->size, tail) + first;

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
        pair_ring_consume(e->in, used);
        return FLOW_OK;
    }
    if (used > 0 && pair_look_free(e->out).reader_gone)
        return pair_write_refused(e);
    pair_fold_margin(e, used);
    pair_ring_publish(e->out, used);
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
    flow_env_free(p->env, p, sizeof(*p));
}

void
flow__pair_close(struct flow *f)
{
    struct pair_end *e = pair_end_of(f);
    struct pair *p = e->pair;

    flow_base_fini(f);
    atomic_store_explicit(&e->out->writer_gone, true, memory_order_release);
    atomic_store_explicit(&e->in->reader_gone, true, memory_order_release);
    flow_event_signal(&e->out->readable);
    flow_event_signal(&e->in->writable);
    /* The other end may free the pair as soon as this one is closed. */
    if (atomic_fetch_sub(&p->open, 1) == 1)
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
    atomic_store(&p->open, 2);
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
