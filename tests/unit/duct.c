/* SPDX-License-Identifier: ISC */
#include "duct.h"

#include <flow/backend.h>

#include "lib/plat.h"
#include "unit.h"

/* One direction. */
struct lane {
    uint8_t bytes[DUCT_CAPACITY];
    size_t capacity;
    size_t len;
    bool ended;  /* the writer has ended it */
    bool closed; /* the writer or the reader was closed */
    struct flow_event changed;
};

struct duct;

struct end {
    struct flow base;
    struct duct *duct;
    struct lane *in;
    struct lane *out;
};

/* The lock protects everything here. */
struct duct {
    const struct flow_env *env;
    struct flow_lock lock;
    struct lane lane[2];
    struct end end[2];
    unsigned open;
};

static struct end *
of_flow(struct flow *f)
{
    return (struct end *)(void *)f;
}

static enum flow_status
take(struct flow *f, struct lane *lane, const struct flow_vec *vec,
     size_t count, size_t *ret_len)
{
    size_t i;

    if (lane->len == 0) {
        if (lane->ended)
            return FLOW_EOF;
        if (lane->closed)
            return flow_fail(f, FLOW_READ, FLOW_E_TRUNCATED, FLOW_DOMAIN_NONE,
                             0, "the other end is gone");
        return FLOW_AGAIN;
    }
    *ret_len = flow_vec_put(vec, count, 0, lane->bytes, lane->len);
    lane->len -= *ret_len;
    for (i = 0; i < lane->len; i++)
        lane->bytes[i] = lane->bytes[i + *ret_len];
    return FLOW_OK;
}

static enum flow_status
duct_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    struct end *e = of_flow(f);
    enum flow_status st;

    flow_lock_acquire(&e->duct->lock);
    st = take(f, e->in, vec, count, ret_len);
    flow_lock_release(&e->duct->lock);
    if (st == FLOW_OK)
        flow_event_signal(&e->in->changed);
    return st;
}

static enum flow_status
give(struct flow *f, struct lane *lane, const struct flow_cvec *vec,
     size_t count, size_t *ret_len)
{
    if (lane->closed)
        return flow_fail(f, FLOW_WRITE, FLOW_E_CLOSED, FLOW_DOMAIN_NONE, 0,
                         "the other end is gone");
    *ret_len = flow_cvec_get(vec, count, 0, lane->bytes + lane->len,
                             lane->capacity - lane->len);
    lane->len += *ret_len;
    return *ret_len > 0 ? FLOW_OK : FLOW_AGAIN;
}

static enum flow_status
duct_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    struct end *e = of_flow(f);
    enum flow_status st;

    (void)flags;
    flow_lock_acquire(&e->duct->lock);
    st = give(f, e->out, vec, count, ret_len);
    flow_lock_release(&e->duct->lock);
    if (st == FLOW_OK)
        flow_event_signal(&e->out->changed);
    return st;
}

static enum flow_status
duct_shutdown(struct flow *f, enum flow_dir dir)
{
    struct end *e = of_flow(f);

    if (dir == FLOW_READ)
        return FLOW_OK;
    flow_lock_acquire(&e->duct->lock);
    e->out->ended = true;
    flow_lock_release(&e->duct->lock);
    flow_event_signal(&e->out->changed);
    return FLOW_OK;
}

static uint32_t
duct_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct end *e = of_flow(f);
    uint32_t in = flow_event_sequence(&e->in->changed);
    uint32_t out = flow_event_sequence(&e->out->changed);
    uint32_t ready = FLOW_READY_FLUSH | FLOW_READY_OPEN;

    flow_lock_acquire(&e->duct->lock);
    if (e->in->len > 0 || e->in->ended || e->in->closed)
        ready |= FLOW_READY_READ;
    if (e->out->len < e->out->capacity || e->out->closed)
        ready |= FLOW_READY_WRITE;
    flow_lock_release(&e->duct->lock);
    ready &= interest;
    if (ready != 0)
        return ready;
    if ((interest & FLOW_READY_READ) != 0)
        flow_wait_add_event(set, &e->in->changed, in);
    if ((interest & FLOW_READY_WRITE) != 0)
        flow_wait_add_event(set, &e->out->changed, out);
    return 0;
}

static void
duct_close(struct flow *f)
{
    struct end *e = of_flow(f);
    struct duct *d = e->duct;
    unsigned open;

    flow_base_fini(f);
    flow_lock_acquire(&d->lock);
    e->in->closed = true;
    e->out->closed = true;
    open = --d->open;
    /* After the unlock the other end may free both. */
    flow_event_signal(&e->in->changed);
    flow_event_signal(&e->out->changed);
    flow_lock_release(&d->lock);
    if (open > 0)
        return;
    flow_event_fini(&d->lane[0].changed);
    flow_event_fini(&d->lane[1].changed);
    flow_lock_fini(&d->lock);
    flow_env_free(d->env, d, sizeof(*d));
}

static const struct flow_ops duct_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "duct",
    .readv = duct_readv,
    .writev = duct_writev,
    .shutdown = duct_shutdown,
    .wait = duct_wait,
    .close = duct_close,
};

void
duct_new(const struct flow_env *env, size_t capacity, struct flow *ret_end[2])
{
    struct duct *d = flow_env_alloc(env, sizeof(*d));
    size_t i;

    assert_non_null(d);
    assert_in_range(capacity, 1, DUCT_CAPACITY);
    d->env = env;
    d->open = 2;
    flow_lock_init(&d->lock);
    for (i = 0; i < 2; i++) {
        d->lane[i].capacity = capacity;
        flow_event_init(&d->lane[i].changed);
        assert_int_equal(flow_base_init(&d->end[i].base, &duct_ops, env,
                                        FLOW_CAP_HALF_CLOSE_WRITE |
                                            FLOW_CAP_HALF_CLOSE_READ |
                                            FLOW_CAP_ORDERLY_END |
                                            FLOW_CAP_DUPLEX),
                         FLOW_OK);
        d->end[i].duct = d;
        d->end[i].in = &d->lane[i];
        d->end[i].out = &d->lane[1 - i];
        ret_end[i] = &d->end[i].base;
    }
}
