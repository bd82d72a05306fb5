/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "flow/front.h"
#include "lib/assert.h"
#include "lib/atomic.h"
#include "lib/checked.h"

/*
 * The calls that move bytes and end directions.  Each checks its arguments,
 * enters its direction, opens the flow if need be, calls one operation, settles
 * the status and leaves (flow/core.h).
 *
 * Invariants: an operation is called only between enter and leave, on an open
 * flow whose direction has not ended.  ended implies ending; both are set once.
 * shut is set after the last readv of the reader.
 *
 * Locks: none.  Threads: one per direction, which enter enforces.
 */

/* A backend that takes a limited number of segments must find bytes among the
 * first: leading empty ones are not passed to it (C03). */
static const struct flow_vec *
front_skip_empty(const struct flow_vec *vec, size_t *count)
{
    for (; vec->len == 0; vec++)
        --*count;
    return vec;
}

static const struct flow_cvec *
front_skip_empty_const(const struct flow_cvec *vec, size_t *count)
{
    for (; vec->len == 0; vec++)
        --*count;
    return vec;
}

/* See <flow/flow.h>. */
enum flow_status
flow_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    enum flow_status st;
    size_t total;

    *ret_len = 0;
    if (count > FLOW__SEGMENTS)
        return flow__report(f, FLOW_READ, FLOW_E_INVAL,
                            "more than 1024 segments");
    total = flow_vec_len(vec, count);
    /* In every state, and without opening the flow (C11). */
    if (total == 0)
        return FLOW_OK;
    if (total == SIZE_MAX)
        return flow__report(f, FLOW_READ, FLOW_E_INVAL,
                            "the segments' lengths do not fit a size_t");

    vec = front_skip_empty(vec, &count);
    st = flow__enter_data(f, FLOW_READ);
    if (st != FLOW_OK)
        return st;
    st = flow__drive_open(f);
    if (st == FLOW_OK)
        st = f->ops->readv(f, vec, count, ret_len);
    st = flow__settle(f, FLOW_READ, st);
    flow__assert(*ret_len <= total && (st == FLOW_OK) == (*ret_len > 0));
    flow__leave(f, FLOW_READ);
    return st;
}

/* See <flow/flow.h>. */
enum flow_status
flow_read(struct flow *f, void *buf, size_t len, size_t *ret_len)
{
    const struct flow_vec vec = { buf, len };

    return flow_readv(f, &vec, 1, ret_len);
}

enum flow_status
flow__check_write(struct flow *f, const struct flow_cvec *vec, size_t count,
                  uint32_t flags)
{
    size_t i;

    if ((flags & ~(FLOW_MORE | FLOW_FIN)) != 0)
        return flow__report(f, FLOW_WRITE, FLOW_E_INVAL, "unknown flags");
    if (flags == (FLOW_MORE | FLOW_FIN))
        return flow__report(f, FLOW_WRITE, FLOW_E_INVAL,
                            "FLOW_MORE and FLOW_FIN exclude each other");
    if ((flags & FLOW_FIN) != 0 && (f->caps & FLOW_CAP_HALF_CLOSE_WRITE) == 0)
        return flow__report(f, FLOW_WRITE, FLOW_E_NOTSUP,
                            "this flow has no half close");
    if (flow_cvec_len(vec, count) == SIZE_MAX)
        return flow__report(f, FLOW_WRITE, FLOW_E_INVAL,
                            "the segments' lengths do not fit a size_t");
    for (i = 0; i < count; i++)
        if (vec[i].base == NULL && vec[i].len > 0)
            return flow__report(f, FLOW_WRITE, FLOW_E_INVAL,
                                "a segment to write has no address");
    return FLOW_OK;
}

/* Entered.  Bytes with FLOW_FIN are written with FLOW_MORE: the end marker
 * follows at once and sends them too (C17, C18). */
static enum flow_status
front_write_step(struct flow *f, const struct flow_cvec *vec, size_t count,
                 uint32_t flags, size_t *ret_len)
{
    uint32_t more = (flags & (FLOW_MORE | FLOW_FIN)) != 0 ? FLOW_MORE : 0;
    enum flow_status st;

    if (flow__load(&f->ending) != 0)
        return flow__report(f, FLOW_WRITE, FLOW_E_CLOSED,
                            "written after flow_shutdown()");
    st = flow__drive_open(f);
    if (st != FLOW_OK)
        return flow__settle(f, FLOW_WRITE, st);
    return flow__settle(f, FLOW_WRITE,
                        f->ops->writev(f, vec, count, more, ret_len));
}

/* See <flow/flow.h>. */
enum flow_status
flow_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    enum flow_status st;
    size_t total;

    *ret_len = 0;
    if (count > FLOW__SEGMENTS)
        return flow__report(f, FLOW_WRITE, FLOW_E_INVAL,
                            "more than 1024 segments");
    st = flow__check_write(f, vec, count, flags);
    if (st != FLOW_OK)
        return st;
    total = flow_cvec_len(vec, count);
    if (total == 0)
        return (flags & FLOW_FIN) != 0 ? flow_shutdown(f, FLOW_WRITE) : FLOW_OK;

    vec = front_skip_empty_const(vec, &count);
    st = flow__enter_data(f, FLOW_WRITE);
    if (st != FLOW_OK)
        return st;
    st = front_write_step(f, vec, count, flags, ret_len);
    flow__assert(*ret_len <= total && (st == FLOW_OK) == (*ret_len > 0));
    /* The bytes are accepted even if the end marker cannot be sent yet or
     * fails; flow_shutdown() reports that (C18, C19). */
    if (st == FLOW_OK && (flags & FLOW_FIN) != 0 && *ret_len == total)
        flow__end_write(f);
    flow__leave(f, FLOW_WRITE);
    return st;
}

/* See <flow/flow.h>. */
enum flow_status
flow_write(struct flow *f, const void *buf, size_t len, size_t *ret_len)
{
    const struct flow_cvec vec = { buf, len };

    return flow_writev(f, &vec, 1, 0, ret_len);
}

static enum flow_status
front_call_flush(struct flow *f)
{
    if (f->ops->flush != NULL)
        return f->ops->flush(f);
    if (f->lower == NULL)
        return FLOW_OK;
    return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, flow_flush(f->lower));
}

/* See <flow/flow.h>. */
enum flow_status
flow_flush(struct flow *f)
{
    enum flow_status st = flow__enter(f, FLOW_WRITE);

    if (st != FLOW_OK)
        return st;
    st = flow__drive_open(f);
    if (st == FLOW_OK && flow__load(&f->ended) == 0)
        st = front_call_flush(f);
    st = flow__settle(f, FLOW_WRITE, st);
    flow__leave(f, FLOW_WRITE);
    return st;
}

enum flow_status
flow__end_write(struct flow *f)
{
    enum flow_status st;

    if (flow__load(&f->ended) != 0)
        return FLOW_OK;
    flow__store(&f->ending, 1);
    if (f->ops->shutdown != NULL)
        st = f->ops->shutdown(f, FLOW_WRITE);
    else
        st = flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE,
                             flow_shutdown(f->lower, FLOW_WRITE));
    st = flow__settle(f, FLOW_WRITE, st);
    if (st == FLOW_OK)
        flow__store(&f->ended, 1);
    return st;
}

static enum flow_status
front_shutdown_write(struct flow *f)
{
    enum flow_status st;

    if ((f->caps & FLOW_CAP_HALF_CLOSE_WRITE) == 0)
        return flow__report(f, FLOW_WRITE, FLOW_E_NOTSUP,
                            "this flow has no half close");
    st = flow__enter(f, FLOW_WRITE);
    if (st != FLOW_OK)
        return st;
    /* An end that was begun cannot be undone (C25), so it begins before the
     * opening that it drives. */
    flow__store(&f->ending, 1);
    st = flow__settle(f, FLOW_WRITE, flow__drive_open(f));
    if (st == FLOW_OK)
        st = flow__end_write(f);
    flow__leave(f, FLOW_WRITE);
    return st;
}

/* Before the flow is open there is no input to discard (C28). */
static enum flow_status
front_shutdown_read(struct flow *f)
{
    enum flow_status st = flow__enter(f, FLOW_READ);

    if (st != FLOW_OK)
        return st == FLOW_EOF ? FLOW_OK : st;
    if (flow__load(&f->opened) != 0 && f->ops->shutdown != NULL)
        st = flow__settle(f, FLOW_READ, f->ops->shutdown(f, FLOW_READ));
    if (st == FLOW_OK) {
        flow__store(&f->shut, 1);
        flow__end(f, FLOW_READ, FLOW_EOF);
    }
    flow__leave(f, FLOW_READ);
    return st;
}

/* See <flow/flow.h>. */
enum flow_status
flow_shutdown(struct flow *f, enum flow_dir dir)
{
    if (!flow__is_direction(dir))
        return FLOW_E_INVAL;
    return dir == FLOW_WRITE ? front_shutdown_write(f) : front_shutdown_read(f);
}

/* See <flow/flow.h>. */
void
flow_set_deadline(struct flow *f, uint32_t dirs, uint64_t nsec)
{
    size_t i;

    for (i = 0; i < 2; i++)
        if ((dirs & (1u << i)) != 0)
            flow__store(&f->deadline[i], nsec);
    flow_wake(f, dirs);
}

/* See <flow/flow.h>. */
uint64_t
flow_now(const struct flow *f)
{
    return f->env->now(f->env->ctx);
}

/* See <flow/flow.h>. */
void
flow_set_timeout(struct flow *f, uint32_t dirs, uint64_t nsec)
{
    flow_set_deadline(
        f, dirs, nsec == 0 ? FLOW_NEVER : flow_time_after(flow_now(f), nsec));
}

/* See <flow/flow.h>. */
void
flow_set_user(struct flow *f, void *user)
{
    f->user = user;
}

/* See <flow/flow.h>. */
void *
flow_get_user(const struct flow *f)
{
    return f->user;
}

/* See <flow/flow.h>. */
uint32_t
flow_caps(const struct flow *f)
{
    return f->caps;
}

/* See <flow/flow.h>. */
const char *
flow_name(const struct flow *f)
{
    return f->ops->name;
}

/* See <flow/flow.h>. */
const struct flow_env *
flow_get_env(const struct flow *f)
{
    return f->env;
}
