/* SPDX-License-Identifier: ISC */
/*
 * A backend of one's own, with nothing but the public headers: a loop.  What
 * is written to it can be read from it again, through a queue of fixed size
 * that counts.  Put a codec or a filter on top and compare what comes out with
 * what went in.  docs/new-backend.md walks through it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/backend.h>
#include <flow/util.h>

struct loop {
    struct flow base;          /* First: a flow of this kind is a loop. */
    struct flow_event changed; /* Signalled after every change below. */
    uint64_t written;          /* Bytes that went in, */
    uint64_t read;             /* and came out; the rest is held. */
    bool ended;                /* Nothing more goes in. */
    size_t size;               /* Bytes at mem. */
    uint8_t mem[];
};

static enum flow_status
loop_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    struct loop *l = (struct loop *)f;
    size_t held = (size_t)(l->written - l->read);
    size_t off = (size_t)(l->read % l->size);
    size_t run = held < l->size - off ? held : l->size - off;

    *ret_len = 0;
    if (held == 0)
        return l->ended ? FLOW_EOF : FLOW_AGAIN;
    *ret_len = flow_vec_put(vec, count, 0, l->mem + off, run);
    l->read += *ret_len;
    flow_event_signal(&l->changed);
    return FLOW_OK;
}

static enum flow_status
loop_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    struct loop *l = (struct loop *)f;
    size_t room = l->size - (size_t)(l->written - l->read);
    size_t off = (size_t)(l->written % l->size);
    size_t run = room < l->size - off ? room : l->size - off;

    (void)flags; /* FLOW_MORE is an offer to wait; this one never does. */
    *ret_len = 0;
    if (room == 0)
        return FLOW_AGAIN;
    *ret_len = flow_cvec_get(vec, count, 0, l->mem + off, run);
    l->written += *ret_len;
    flow_event_signal(&l->changed);
    return FLOW_OK;
}

static enum flow_status
loop_shutdown(struct flow *f, enum flow_dir dir)
{
    struct loop *l = (struct loop *)f;

    if (dir == FLOW_WRITE)
        l->ended = true;
    flow_event_signal(&l->changed);
    return FLOW_OK;
}

static uint32_t
loop_wait(struct flow *f, uint32_t interest, struct flow_wait_sink *sink)
{
    struct loop *l = (struct loop *)f;
    uint32_t seen = flow_event_sequence(&l->changed); /* Before looking. */
    uint64_t held = l->written - l->read;
    uint32_t ready = FLOW_READY_FLUSH | FLOW_READY_OPEN;

    if (held > 0 || l->ended)
        ready |= FLOW_READY_READ;
    if (held < l->size)
        ready |= FLOW_READY_WRITE;
    ready &= interest;
    if (ready == 0)
        flow_wait_add_event(sink, &l->changed, seen);
    return ready;
}

static void
loop_close(struct flow *f)
{
    struct loop *l = (struct loop *)f;

    flow_event_fini(&l->changed);
    flow_base_fini(f);
    flow_env_free(f->env, l, sizeof(*l) + l->size);
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

static enum flow_status
loop_new(const struct flow_env *env, size_t size, struct flow **ret_flow)
{
    struct loop *l = flow_env_alloc(env, sizeof(*l) + size);
    enum flow_status st;

    if (l == NULL)
        return FLOW_E_NOMEM;
    st = flow_base_init(&l->base, &loop_ops, env,
                        FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_ORDERLY_END |
                            FLOW_CAP_WRITE_READINESS);
    if (st != FLOW_OK) {
        flow_env_free(env, l, sizeof(*l) + size);
        return st;
    }
    l->size = size;
    flow_event_init(&l->changed);
    *ret_flow = &l->base;
    return FLOW_OK;
}

/* Sends its argument, or a default, around the loop. */
int
main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "around and around it goes";
    struct flow *f;
    char buf[8];
    size_t put = 0, n;

    if (loop_new(flow_env_default(), 10, &f) != FLOW_OK)
        return EXIT_FAILURE;
    while (put < strlen(text) || flow_shutdown(f, FLOW_WRITE) != FLOW_OK) {
        if (flow_write(f, text + put, strlen(text) - put, &n) == FLOW_OK)
            put += n;
        else if (flow_read_some(f, buf, sizeof(buf), &n) == FLOW_OK)
            fwrite(buf, 1, n, stdout);
    }
    while (flow_read_some(f, buf, sizeof(buf), &n) == FLOW_OK)
        fwrite(buf, 1, n, stdout);
    printf("\n%llu bytes\n", (unsigned long long)((struct loop *)f)->read);
    flow_close(f);
    return EXIT_SUCCESS;
}
