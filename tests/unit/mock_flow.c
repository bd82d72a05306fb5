/* SPDX-License-Identifier: ISC */
#include "mock_flow.h"

#include <string.h>

#include "unit.h"

static struct mock *
of_flow(struct flow *f)
{
    return (struct mock *)(void *)f;
}

static enum flow_status
answer(struct mock *m, enum flow_dir dir, enum flow_status st)
{
    if (st < 0 && m->fail_text != NULL)
        return flow_fail(&m->base, m->fail_dirs | (uint32_t)dir, st,
                         FLOW_DOMAIN_ERRNO, 7, m->fail_text);
    return st;
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static enum flow_status
mock_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    struct mock *m = of_flow(f);
    size_t n;
    char c = 'r';

    m->reads++;
    if (m->read_st != FLOW_OK)
        return answer(m, FLOW_READ, m->read_st);
    if (f->lower != NULL)
        return flow_fail_lower(f, FLOW_READ, FLOW_READ,
                               flow_readv(f->lower, vec, count, ret_len));
    n = least(flow_vec_len(vec, count), m->read_max);
    for (*ret_len = 0; *ret_len < n; ++*ret_len)
        flow_vec_put(vec, count, *ret_len, &c, 1);
    return FLOW_OK;
}

static enum flow_status
mock_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    struct mock *m = of_flow(f);

    m->writes++;
    m->write_flags = flags;
    if (m->write_st != FLOW_OK)
        return answer(m, FLOW_WRITE, m->write_st);
    if (f->lower != NULL)
        return flow_fail_lower(
            f, FLOW_WRITE, FLOW_WRITE,
            flow_writev(f->lower, vec, count, flags, ret_len));
    *ret_len = least(flow_cvec_len(vec, count), m->write_max);
    return FLOW_OK;
}

static enum flow_status
mock_shutdown(struct flow *f, enum flow_dir dir)
{
    struct mock *m = of_flow(f);

    m->shutdowns++;
    m->how = dir;
    return answer(m, dir, m->shutdown_st);
}

static uint32_t
mock_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct mock *m = of_flow(f);

    m->waits++;
    m->interest = interest;
    if ((m->ready & interest) == 0)
        flow_wait_add_time(set, m->time);
    return m->ready & interest;
}

static void
mock_close(struct flow *f)
{
    struct mock *m = of_flow(f);
    const struct flow_env *env = f->env;

    if (m->close_count != NULL)
        ++*m->close_count;
    flow_base_fini(f);
    flow_env_free(env, m, sizeof(*m));
}

static enum flow_status
mock_open(struct flow *f)
{
    struct mock *m = of_flow(f);

    m->opens++;
    return answer(m, FLOW_READ, m->open_st);
}

static enum flow_status
mock_flush(struct flow *f)
{
    struct mock *m = of_flow(f);

    m->flushes++;
    return answer(m, FLOW_WRITE, m->flush_st);
}

static enum flow_status
mock_lease(struct flow *f, enum flow_dir dir, size_t want,
           struct flow_vec ret_span[2])
{
    struct mock *m = of_flow(f);

    m->leases++;
    if (m->lease_st != FLOW_OK)
        return answer(m, dir, m->lease_st);
    ret_span[0].base = m->lent;
    ret_span[0].len = least(want, sizeof(m->lent));
    return FLOW_OK;
}

static enum flow_status
mock_commit(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags)
{
    struct mock *m = of_flow(f);

    m->commits++;
    m->used = used;
    m->write_flags = flags;
    return answer(m, dir, m->commit_st);
}

static enum flow_status
mock_detach(struct flow *f, const void **ret_ahead, size_t *ret_len)
{
    struct mock *m = of_flow(f);

    if (m->ahead != NULL) {
        *ret_ahead = m->ahead;
        *ret_len = strlen(m->ahead);
    }
    return m->detach_st;
}

static enum flow_status
mock_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    struct mock *m = of_flow(f);

    m->queries++;
    if (m->query_st != FLOW_OK || key != m->query_key)
        return FLOW_E_NOTSUP;
    return flow_answer_string(buf, len, "mock/1");
}

static enum flow_status
mock_control(struct flow *f, enum flow_control_key key, int64_t value)
{
    struct mock *m = of_flow(f);

    m->controls++;
    m->value = value;
    return key == FLOW_CONTROL_NODELAY && f->lower == NULL ? FLOW_OK
                                                           : FLOW_E_NOTSUP;
}

static const struct flow_ops mock_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "mock",
    .readv = mock_readv,
    .writev = mock_writev,
    .shutdown = mock_shutdown,
    .wait = mock_wait,
    .close = mock_close,
    .open = mock_open,
    .flush = mock_flush,
    .lease = mock_lease,
    .commit = mock_commit,
    .detach = mock_detach,
    .query = mock_query,
    .control = mock_control,
};

static struct mock *
make(const struct flow_env *env)
{
    struct mock *m = flow_env_alloc(env, sizeof(*m));

    assert_non_null(m);
    m->read_max = SIZE_MAX;
    m->write_max = SIZE_MAX;
    m->ready = UINT32_MAX;
    m->query_st = FLOW_E_NOTSUP;
    return m;
}

struct mock *
mock_new(const struct flow_env *env, uint32_t caps)
{
    struct mock *m = make(env);

    assert_int_equal(flow_base_init(&m->base, &mock_ops, env, caps), FLOW_OK);
    return m;
}

struct mock *
mock_wrap(struct flow *lower, bool owned, uint32_t caps)
{
    struct mock *m = make(lower->env);

    assert_int_equal(flow_base_wrap(&m->base, &mock_ops, lower, owned, caps),
                     FLOW_OK);
    return m;
}
