/* SPDX-License-Identifier: ISC */
/*
 * A backend that uses only the public headers: a cable with two ends.  Bytes
 * that are written to one end can be read from the other, through a queue of
 * fixed size in each direction.  docs/new-backend.md explains it.
 */
#include <stdatomic.h>

#include <flow/backend.h>
#include <flow/contract.h>

#define QUEUE_SIZE 5000

/* One way through the cable, from one thread to another. */
struct queue {
    atomic_uint_fast64_t written; /* Bytes that went in, */
    atomic_uint_fast64_t read;    /* and came out; the rest is held. */
    atomic_bool ended;            /* The writer has called flow_shutdown(). */
    atomic_bool unwritten;        /* The writer is closed, */
    atomic_bool unread;           /* or the reader. */
    uint8_t mem[QUEUE_SIZE];
};

/* What both ends share; the last one that closes frees it. */
struct cable {
    struct flow_event changed; /* Signalled after every change below. */
    struct queue queue[2];
    atomic_uint ends;
};

struct cable_end {
    struct flow base; /* First: a flow of this kind is an end. */
    struct cable *cable;
    struct queue *in;
    struct queue *out;
};

static enum flow_status
cable_readv(struct flow *f, const struct flow_vec *vec, size_t count,
            size_t *ret_len)
{
    struct cable_end *e = (struct cable_end *)f;
    struct queue *q = e->in;
    bool ended = q->ended, gone = q->unwritten; /* Before looking for bytes. */
    size_t held = (size_t)(q->written - q->read);
    size_t off = (size_t)(q->read % QUEUE_SIZE);
    size_t run = held < QUEUE_SIZE - off ? held : QUEUE_SIZE - off;

    *ret_len = 0;
    if (held == 0 && ended)
        return FLOW_EOF;
    if (held == 0 && gone)
        return flow_fail(f, FLOW_READ, FLOW_E_TRUNCATED, FLOW_DOMAIN_NONE, 0,
                         "the other end was closed without an end of data");
    if (held == 0)
        return FLOW_AGAIN;
    *ret_len = flow_vec_put(vec, count, 0, q->mem + off, run);
    q->read += *ret_len;
    flow_event_signal(&e->cable->changed);
    return FLOW_OK;
}

static enum flow_status
cable_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
             uint32_t flags, size_t *ret_len)
{
    struct cable_end *e = (struct cable_end *)f;
    struct queue *q = e->out;
    size_t room = QUEUE_SIZE - (size_t)(q->written - q->read);
    size_t off = (size_t)(q->written % QUEUE_SIZE);
    size_t run = room < QUEUE_SIZE - off ? room : QUEUE_SIZE - off;

    (void)flags; /* FLOW_MORE is an offer to wait; this one never does. */
    *ret_len = 0;
    if (q->unread)
        return flow_fail(f, FLOW_WRITE, FLOW_E_CLOSED, FLOW_DOMAIN_NONE, 0,
                         "the other end was closed");
    if (room == 0)
        return FLOW_AGAIN;
    *ret_len = flow_cvec_get(vec, count, 0, q->mem + off, run);
    q->written += *ret_len;
    flow_event_signal(&e->cable->changed);
    return FLOW_OK;
}

static enum flow_status
cable_shutdown(struct flow *f, enum flow_dir dir)
{
    struct cable_end *e = (struct cable_end *)f;

    if (dir == FLOW_WRITE)
        e->out->ended = true;
    flow_event_signal(&e->cable->changed);
    return FLOW_OK;
}

static uint32_t
cable_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct cable_end *e = (struct cable_end *)f;
    struct flow_event *changed = &e->cable->changed;
    uint32_t seen = flow_event_sequence(changed); /* Before looking. */
    const struct queue *in = e->in, *out = e->out;
    uint32_t ready = FLOW_READY_FLUSH | FLOW_READY_OPEN;

    if (in->written > in->read || in->ended || in->unwritten)
        ready |= FLOW_READY_READ;
    if (out->written - out->read < QUEUE_SIZE || out->unread)
        ready |= FLOW_READY_WRITE;
    ready &= interest;
    if (ready == 0)
        flow_wait_add_event(set, changed, seen);
    return ready;
}

static void
cable_close(struct flow *f)
{
    struct cable_end *e = (struct cable_end *)f;
    struct cable *c = e->cable;
    const struct flow_env *env = f->env;

    e->in->unread = true;
    e->out->unwritten = true;
    flow_event_signal(&c->changed);
    flow_base_fini(f);
    flow_env_free(env, e, sizeof(*e));
    if (--c->ends > 0)
        return;
    flow_event_fini(&c->changed);
    flow_env_free(env, c, sizeof(*c));
}

static const struct flow_ops cable_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "cable",
    .readv = cable_readv,
    .writev = cable_writev,
    .shutdown = cable_shutdown,
    .wait = cable_wait,
    .close = cable_close,
};

#define CABLE_CAPS                                                             \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX)

static enum flow_status
cable_new(const struct flow_env *env, struct flow **ret_a, struct flow **ret_b)
{
    struct cable *c = flow_env_alloc(env, sizeof(*c));
    struct cable_end *a = flow_env_alloc(env, sizeof(*a));
    struct cable_end *b = flow_env_alloc(env, sizeof(*b));
    enum flow_status st = FLOW_E_NOMEM;

    if (c != NULL && a != NULL && b != NULL)
        st = flow_base_init(&a->base, &cable_ops, env, CABLE_CAPS);
    /* The table is the same: this one is refused only if the first was. */
    if (st == FLOW_OK)
        st = flow_base_init(&b->base, &cable_ops, env, CABLE_CAPS);
    if (st != FLOW_OK) {
        flow_env_free(env, b, sizeof(*b));
        flow_env_free(env, a, sizeof(*a));
        flow_env_free(env, c, sizeof(*c));
        return st;
    }
    flow_event_init(&c->changed);
    c->ends = 2;
    a->cable = b->cable = c;
    a->in = b->out = &c->queue[0];
    b->in = a->out = &c->queue[1];
    *ret_a = &a->base;
    *ret_b = &b->base;
    return FLOW_OK;
}

/* For the contract suite. */
static enum flow_status
cable_make(void *ctx, const struct flow_env *env, struct flow **ret_a,
           struct flow **ret_b)
{
    (void)ctx;
    return cable_new(env, ret_a, ret_b);
}

static const struct flow_contract_backend cable_backend = {
    .name = "cable",
    .make = cable_make,
    .caps = CABLE_CAPS,
    .abandoned = FLOW_CONTRACT_STATUS(FLOW_E_TRUNCATED),
    .aborted = FLOW_CONTRACT_STATUS(FLOW_E_TRUNCATED),
};

int
main(int argc, char **argv)
{
    return flow_contract_main(argc, argv, &cable_backend, 1);
}
