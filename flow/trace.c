/* SPDX-License-Identifier: ISC */
#include <flow/trace.h>

#include <flow/backend.h>

/*
 * The smallest complete filter: every operation calls that of the flow below,
 * and reports the call.
 */
struct trace {
    struct flow base;
    flow_trace_fn *fn; /* NULL: the environment's log */
    void *user;
};

static struct trace *
trace_of_flow(struct flow *f)
{
    return (struct trace *)(void *)f;
}

static void
trace_report(struct flow *f, const char *operation, enum flow_status st,
             size_t asked, size_t done)
{
    const struct trace *t = trace_of_flow(f);
    const struct flow_env *env = f->env;
    const struct flow_trace_event event = {
        .operation = operation,
        .status = st,
        .asked = asked,
        .done = done,
        .time = env->now(env->ctx),
    };

    if (t->fn != NULL)
        t->fn(t->user, &event);
    else if (env->log != NULL)
        env->log(env->ctx, FLOW_LOG_DEBUG, f->ops->name, operation, f,
                 st < 0 ? (int64_t)st : (int64_t)done);
}

static enum flow_status
trace_readv(struct flow *f, const struct flow_vec *vec, size_t count,
            size_t *ret_len)
{
    enum flow_status st = flow_readv(f->lower, vec, count, ret_len);

    trace_report(f, "readv", st, flow_vec_len(vec, count), *ret_len);
    return flow_fail_lower(f, FLOW_READ, FLOW_READ, st);
}

static enum flow_status
trace_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
             uint32_t flags, size_t *ret_len)
{
    enum flow_status st = flow_writev(f->lower, vec, count, flags, ret_len);

    trace_report(f, "writev", st, flow_cvec_len(vec, count), *ret_len);
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
}

static enum flow_status
trace_shutdown(struct flow *f, enum flow_dir dir)
{
    enum flow_status st =
        dir == FLOW_READ ? FLOW_OK : flow_shutdown(f->lower, dir);

    trace_report(f, dir == FLOW_READ ? "shutdown(read)" : "shutdown(write)", st,
                 0, 0);
    return flow_fail_lower(f, (uint32_t)dir, dir, st);
}

static uint32_t
trace_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    uint32_t ready = flow_wait_sources(f->lower, interest, set);

    trace_report(f, "wait", ready != 0 ? FLOW_OK : FLOW_AGAIN, interest, ready);
    return ready;
}

static void
trace_close(struct flow *f)
{
    const struct flow_env *env = f->env;

    trace_report(f, "close", FLOW_OK, 0, 0);
    flow_base_fini(f);
    flow_env_free(env, f, sizeof(struct trace));
}

static enum flow_status
trace_open(struct flow *f)
{
    enum flow_status st = flow_open(f->lower);

    trace_report(f, "open", st, 0, 0);
    return flow_fail_lower(f, FLOW_READ | FLOW_WRITE, FLOW_READ, st);
}

static enum flow_status
trace_flush(struct flow *f)
{
    enum flow_status st = flow_flush(f->lower);

    trace_report(f, "flush", st, 0, 0);
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
}

static enum flow_status
trace_detach(struct flow *f, const void **ret_ahead, size_t *ret_len)
{
    (void)ret_ahead;
    (void)ret_len;
    trace_report(f, "detach", FLOW_OK, 0, 0);
    return FLOW_OK;
}

static enum flow_status
trace_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    const size_t footprint = sizeof(struct trace);

    (void)f;
    if (key != FLOW_QUERY_FOOTPRINT)
        return FLOW_E_NOTSUP;
    return flow_answer(buf, len, &footprint, sizeof(footprint));
}

static const struct flow_ops trace_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "trace",
    .readv = trace_readv,
    .writev = trace_writev,
    .shutdown = trace_shutdown,
    .wait = trace_wait,
    .close = trace_close,
    .open = trace_open,
    .flush = trace_flush,
    .detach = trace_detach,
    .query = trace_query,
};

/* See <flow/trace.h>. */
enum flow_status
flow_trace_wrap(struct flow *lower, flow_trace_fn *fn, void *user,
                struct flow **ret_flow)
{
    const struct flow_env *env = flow_get_env(lower);
    struct trace *t = flow_env_alloc(env, sizeof(*t));
    enum flow_status st;

    if (t == NULL)
        return FLOW_E_NOMEM;
    st = flow_base_wrap(&t->base, &trace_ops, lower, true,
                        flow_caps_forward(flow_caps(lower)));
    if (st != FLOW_OK) {
        flow_env_free(env, t, sizeof(*t));
        return st;
    }
    t->fn = fn;
    t->user = user;
    *ret_flow = &t->base;
    return FLOW_OK;
}
