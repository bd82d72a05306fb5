/* SPDX-License-Identifier: ISC */
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

static struct loop *
loop_of(struct flow *f)
{
    return (struct loop *)(void *)f;
}

static void
append(uint8_t **base, size_t *len, size_t *cap, const void *data, size_t n)
{
    if (n == 0)
        return;
    if (*cap - *len < n) {
        *cap = (*len + n) * 2;
        *base = realloc(*base, *cap);
        assert_non_null(*base);
    }
    memcpy(*base + *len, data, n);
    *len += n;
}

void
loop_put(struct loop *l, const void *data, size_t len)
{
    append(&l->in, &l->in_len, &l->in_cap, data, len);
}

static enum flow_status
loop_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    struct loop *l = loop_of(f);
    size_t n = l->in_len - l->in_off;

    l->reads++;
    if (n == 0)
        return l->in_ended ? FLOW_EOF : FLOW_AGAIN;
    if (l->chunk != 0 && n > l->chunk)
        n = l->chunk;
    *ret_len = flow_vec_put(vec, count, 0, l->in + l->in_off, n);
    l->in_off += *ret_len;
    return FLOW_OK;
}

static enum flow_status
loop_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    struct loop *l = loop_of(f);
    size_t i;

    (void)flags;
    if (l->out_full)
        return FLOW_AGAIN;
    for (i = 0; i < count; i++)
        append(&l->out, &l->out_len, &l->out_cap, vec[i].base, vec[i].len);
    *ret_len = flow_cvec_len(vec, count);
    return FLOW_OK;
}

static enum flow_status
loop_shutdown(struct flow *f, enum flow_dir dir)
{
    if (dir == FLOW_WRITE)
        loop_of(f)->shutdowns++;
    return FLOW_OK;
}

static uint32_t
loop_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct loop *l = loop_of(f);
    uint32_t ready = interest;

    if (l->in_len == l->in_off && !l->in_ended)
        ready &= ~FLOW_READY_READ;
    if (l->out_full)
        ready &= ~FLOW_READY_WRITE;
    /* No call sleeps here: the test drives both ends. */
    if (ready == 0)
        flow_wait_add_time(set, FLOW_NOW);
    return ready;
}

static void
loop_close(struct flow *f)
{
    loop_of(f)->closes++;
    flow_base_fini(f);
}

static const struct flow_ops loop_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "loop",
    .readv = loop_readv,
    .writev = loop_writev,
    .shutdown = loop_shutdown,
    .wait = loop_wait,
    .close = loop_close,
};

void
loop_init(struct loop *l, const struct flow_env *env)
{
    memset(l, 0, sizeof(*l));
    assert_int_equal(flow_base_init(&l->base, &loop_ops, env,
                                    FLOW_CAP_HALF_CLOSE_WRITE |
                                        FLOW_CAP_HALF_CLOSE_READ |
                                        FLOW_CAP_ORDERLY_END),
                     FLOW_OK);
}

void
loop_free(struct loop *l)
{
    free(l->in);
    free(l->out);
    l->in = l->out = NULL;
}
