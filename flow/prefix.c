/* SPDX-License-Identifier: ISC */
#include <flow/prefix.h>

#include <stdatomic.h>
#include <string.h>

#include <flow/backend.h>

/*
 * Invariant: bytes[off..len) have not been read yet; once off == len the memory
 * is freed and every call passes through.
 */
struct prefix {
    struct flow base;
    uint8_t *bytes;
    size_t len;
    _Atomic size_t off; /* looked at from either direction's thread */
};

static struct prefix *
prefix_of_flow(struct flow *f)
{
    return (struct prefix *)(void *)f;
}

static size_t
prefix_left(const struct prefix *p)
{
    return p->len - atomic_load(&p->off);
}

static void
prefix_consume(struct prefix *p, size_t n)
{
    atomic_fetch_add(&p->off, n);
    if (prefix_left(p) > 0)
        return;
    flow_wipe(p->bytes, p->len);
    flow_env_free(p->base.env, p->bytes, p->len);
    p->bytes = NULL;
}

static enum flow_status
prefix_readv(struct flow *f, const struct flow_vec *vec, size_t count,
             size_t *ret_len)
{
    struct prefix *p = prefix_of_flow(f);

    if (prefix_left(p) > 0) {
        *ret_len =
            flow_vec_put(vec, count, 0, p->bytes + p->off, prefix_left(p));
        prefix_consume(p, *ret_len);
        return FLOW_OK;
    }
    return flow_fail_lower(f, FLOW_READ, FLOW_READ,
                           flow_readv(f->lower, vec, count, ret_len));
}

static enum flow_status
prefix_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
              uint32_t flags, size_t *ret_len)
{
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE,
                           flow_writev(f->lower, vec, count, flags, ret_len));
}

static enum flow_status
prefix_shutdown(struct flow *f, enum flow_dir dir)
{
    if (dir == FLOW_READ) {
        if (prefix_left(prefix_of_flow(f)) > 0)
            prefix_consume(prefix_of_flow(f), prefix_left(prefix_of_flow(f)));
        return FLOW_OK;
    }
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE,
                           flow_shutdown(f->lower, FLOW_WRITE));
}

static uint32_t
prefix_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct flow_wait_set unused;
    uint32_t rest;

    if ((interest & FLOW_READY_READ) == 0 ||
        prefix_left(prefix_of_flow(f)) == 0)
        return flow_wait_sources(f->lower, interest, set);
    rest = interest & ~FLOW_READY_READ;
    unused = *set;
    return FLOW_READY_READ | flow_wait_sources(f->lower, rest, &unused);
}

static void
prefix_close(struct flow *f)
{
    struct prefix *p = prefix_of_flow(f);
    const struct flow_env *env = f->env;

    if (prefix_left(p) > 0)
        prefix_consume(p, prefix_left(p));
    flow_base_fini(f);
    flow_env_free(env, p, sizeof(*p));
}

static enum flow_status
prefix_detach(struct flow *f, const void **ret_ahead, size_t *ret_len)
{
    struct prefix *p = prefix_of_flow(f);

    if (prefix_left(p) > 0) {
        *ret_ahead = p->bytes + p->off;
        *ret_len = prefix_left(p);
    }
    return FLOW_OK;
}

static enum flow_status
prefix_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    size_t footprint;

    if (key != FLOW_QUERY_FOOTPRINT)
        return FLOW_E_NOTSUP;
    footprint =
        sizeof(struct prefix) +
        (prefix_left(prefix_of_flow(f)) > 0 ? prefix_of_flow(f)->len : 0);
    return flow_answer(buf, len, &footprint, sizeof(footprint));
}

static const struct flow_ops prefix_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "prefix",
    .readv = prefix_readv,
    .writev = prefix_writev,
    .shutdown = prefix_shutdown,
    .wait = prefix_wait,
    .close = prefix_close,
    .detach = prefix_detach,
    .query = prefix_query,
};

/* See <flow/prefix.h>. */
enum flow_status
flow_prefix_wrap(struct flow *lower, const void *bytes, size_t len,
                 struct flow **ret_flow)
{
    const struct flow_env *env = lower->env;
    struct prefix *p = flow_env_alloc(env, sizeof(*p));
    enum flow_status st;

    if (p == NULL)
        return FLOW_E_NOMEM;
    if (len > 0) {
        p->bytes = flow_env_alloc(env, len);
        if (p->bytes == NULL) {
            flow_env_free(env, p, sizeof(*p));
            return FLOW_E_NOMEM;
        }
        memcpy(p->bytes, bytes, len);
        p->len = len;
    }
    st = flow_base_wrap(&p->base, &prefix_ops, lower, true,
                        flow_caps_forward(lower->caps));
    if (st != FLOW_OK) {
        flow_env_free(env, p->bytes, len);
        flow_env_free(env, p, sizeof(*p));
        return st;
    }
    *ret_flow = &p->base;
    return FLOW_OK;
}
