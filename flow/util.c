/* SPDX-License-Identifier: ISC */
#include <flow/util.h>

#include <string.h>

#include "flow/core.h"
#include "flow/front.h"
#include "flow/items.h"
#include "lib/atomic.h"
#include "lib/bits.h"

/*
 * Calls that sleep: each is a loop over an operation and flow_wait().
 *
 * Invariants: a call returns only with its work done, an end, an error or
 * FLOW_E_TIMEOUT, and tells how many bytes it has moved in every case.  A
 * deadline that has passed ends a loop even if the flow is always ready.
 *
 * Locks: none.  Threads: as the operation that the call repeats.
 */

/* Bytes that flow_copy() moves at a time. */
#define UTIL_COPY_SIZE 16384u

/* See <flow/util.h>. */
enum flow_status
flow_read_wait(struct flow *f, void *buf, size_t len, size_t *ret_len)
{
    enum flow_status st;

    for (;;) {
        st = flow_read(f, buf, len, ret_len);
        if (st != FLOW_AGAIN)
            return st;
        st = flow_wait(f, FLOW_READY_READ, NULL);
        if (st != FLOW_OK)
            return st;
    }
}

/* The deadline applies even if the flow is always ready. */
static bool
util_is_late(const struct flow *f, enum flow_dir dir)
{
    return flow__is_due(f->env, flow__load(&f->deadline[flow__index(dir)]));
}

/* See <flow/util.h>. */
enum flow_status
flow_read_exact(struct flow *f, void *buf, size_t len, size_t *ret_len)
{
    uint8_t *at = buf;
    enum flow_status st = FLOW_OK;
    size_t done = 0;
    size_t n;

    while (st == FLOW_OK && done < len) {
        if (done > 0 && util_is_late(f, FLOW_READ)) {
            st = flow__report(f, FLOW_READ, FLOW_E_TIMEOUT,
                              "the deadline passed");
            break;
        }
        st = flow_read_wait(f, at != NULL ? at + done : NULL, len - done, &n);
        done += n;
        /* The end came inside, not at the boundary (C67); the flow's state is
         * EOF. */
        if (st == FLOW_EOF && done > 0)
            st = FLOW_E_TRUNCATED;
    }
    if (ret_len != NULL)
        *ret_len = done;
    return st;
}

/* The state of one flow_read_until(). */
struct util_until {
    uint8_t *buf;
    size_t limit;
    const uint8_t *delim;
    size_t delim_len;
};

/* The bytes up to the end of the first delimiter in the first len of buf, of
 * which the first seen hold none; 0: there is none. */
static size_t
util_find_end(const struct util_until *u, size_t seen, size_t len)
{
    size_t at = seen < u->delim_len ? 0 : seen - u->delim_len + 1;

    for (; at + u->delim_len <= len; at++)
        if (memcmp(u->buf + at, u->delim, u->delim_len) == 0)
            return at + u->delim_len;
    return 0;
}

/* Wait for a lease of at least one byte. */
static enum flow_status
util_lease_some(struct flow *f, struct flow_vec ret_span[2])
{
    enum flow_status st;

    for (;;) {
        st = flow_lease(f, FLOW_READ, 1, ret_span);
        if (st != FLOW_AGAIN)
            return st;
        st = flow_wait(f, FLOW_READY_READ, NULL);
        if (st != FLOW_OK)
            return st;
    }
}

/* Consume the bytes of a lease that belong to the line.  They are copied before
 * they are examined, since the peer may be able to change leased memory. */
static enum flow_status
util_take_until(struct flow *f, const struct util_until *u, size_t *len,
                bool *ret_found)
{
    struct flow_vec span[2];
    size_t i, n, end, filled = *len;
    enum flow_status st;

    st = util_lease_some(f, span);
    if (st != FLOW_OK)
        return st;
    for (i = 0; i < 2; i++) {
        n = flow__min(span[i].len, u->limit - filled);
        if (n > 0)
            memcpy(u->buf + filled, span[i].base, n);
        filled += n;
    }
    end = util_find_end(u, *len, filled);
    *ret_found = end != 0;
    if (end != 0)
        filled = end;
    st = flow_commit(f, FLOW_READ, filled - *len, 0);
    if (st == FLOW_OK)
        *len = filled;
    return st;
}

/* See <flow/util.h>. */
enum flow_status
flow_read_until(struct flow *f, void *buf, size_t limit, const void *delim,
                size_t delim_len, size_t *len)
{
    const struct util_until u = { buf, limit, delim, delim_len };
    enum flow_status st = FLOW_OK;
    bool found = false;

    if (delim_len == 0 || delim_len > limit || *len > limit)
        return flow__report(f, FLOW_READ, FLOW_E_INVAL,
                            "a length is out of range");
    while (st == FLOW_OK && !found && *len < limit) {
        st = util_take_until(f, &u, len, &found);
        /* The deadline applies even if the peer sends byte after byte. */
        if (st == FLOW_OK && !found && *len < limit &&
            util_is_late(f, FLOW_READ))
            return flow__report(f, FLOW_READ, FLOW_E_TIMEOUT,
                                "the deadline passed");
    }
    if (st == FLOW_EOF && *len > 0)
        return FLOW_E_TRUNCATED;
    return st == FLOW_OK && !found ? FLOW_E_PROTO : st;
}

/* See <flow/util.h>. */
enum flow_status
flow_write_all(struct flow *f, const void *buf, size_t len, size_t *ret_len)
{
    struct flow_cvec vec = { buf, len };

    return flow_writev_all(f, &vec, 1, 0, ret_len);
}

/* Drop n bytes from the front of a vector. */
static void
util_advance(struct flow_cvec **vec, size_t *count, size_t n)
{
    while (*count > 0 && n >= (*vec)->len) {
        n -= (*vec)->len;
        ++*vec;
        --*count;
    }
    if (*count == 0)
        return;
    (*vec)->base = (const uint8_t *)(*vec)->base + n;
    (*vec)->len -= n;
}

/* Wait, and write what is accepted. */
static enum flow_status
util_write_some(struct flow *f, const struct flow_cvec *vec, size_t count,
                uint32_t flags, size_t *ret_len)
{
    enum flow_status st;

    for (;;) {
        if (count > FLOW__SEGMENTS)
            st = flow_writev(f, vec, FLOW__SEGMENTS, FLOW_MORE, ret_len);
        else
            st = flow_writev(f, vec, count, flags, ret_len);
        if (st != FLOW_AGAIN)
            return st;
        st = flow_wait(f, FLOW_READY_WRITE, NULL);
        if (st != FLOW_OK)
            return st;
    }
}

/* Accepted is not sent: flush or shut down, as the flags demand. */
static enum flow_status
util_push(struct flow *f, uint32_t flags)
{
    if ((flags & FLOW_FIN) != 0)
        return flow_shutdown_wait(f, FLOW_WRITE);
    return (flags & FLOW_MORE) != 0 ? FLOW_OK : flow_flush_wait(f);
}

/* See <flow/util.h>. */
enum flow_status
flow_writev_all(struct flow *f, struct flow_cvec *vec, size_t count,
                uint32_t flags, size_t *ret_len)
{
    /* Before anything is written: the flags are passed with the last call. */
    enum flow_status st = flow__check_write(f, vec, count, flags);
    size_t n, done = 0;

    for (util_advance(&vec, &count, 0); count > 0 && st == FLOW_OK;) {
        if (done > 0 && util_is_late(f, FLOW_WRITE)) {
            st = flow__report(f, FLOW_WRITE, FLOW_E_TIMEOUT,
                              "the deadline passed");
            break;
        }
        st = util_write_some(f, vec, count, flags, &n);
        done += n;
        util_advance(&vec, &count, n);
    }
    if (ret_len != NULL)
        *ret_len = done;
    return st == FLOW_OK ? util_push(f, flags) : st;
}

/* See <flow/util.h>. */
enum flow_status
flow_open_wait(struct flow *f)
{
    enum flow_status st;

    while ((st = flow_open(f)) == FLOW_AGAIN) {
        st = flow_wait(f, FLOW_READY_OPEN, NULL);
        if (st != FLOW_OK)
            return st;
    }
    return st;
}

/* See <flow/util.h>. */
enum flow_status
flow_flush_wait(struct flow *f)
{
    enum flow_status st;

    while ((st = flow_flush(f)) == FLOW_AGAIN) {
        st = flow_wait(f, FLOW_READY_FLUSH, NULL);
        if (st != FLOW_OK)
            return st;
    }
    return st;
}

/* See <flow/util.h>. */
enum flow_status
flow_shutdown_wait(struct flow *f, enum flow_dir dir)
{
    uint32_t interest = dir == FLOW_WRITE ? FLOW_READY_FLUSH : FLOW_READY_READ;
    enum flow_status st;

    while ((st = flow_shutdown(f, dir)) == FLOW_AGAIN) {
        st = flow_wait(f, interest, NULL);
        if (st != FLOW_OK)
            return st;
    }
    return st;
}

/* Sleep until there is something to read.  No byte may be held back meanwhile,
 * and the destination's deadline is checked here, since no other call does. */
static enum flow_status
util_copy_sleep(struct flow *from, struct flow *to)
{
    struct flow_wait_item items[2] = { { from, FLOW_READY_READ, 0 },
                                       { to, FLOW__OBEY_WRITE, 0 } };
    enum flow_status st = flow_flush(to);

    if (st < 0)
        return st;
    if (st == FLOW_AGAIN)
        items[1].interest = FLOW_READY_FLUSH;
    return flow__wait_items(items, 2, from->env, FLOW_NEVER);
}

/* One piece: read when something is there, then write all of it. */
static enum flow_status
util_copy_piece(struct flow *from, struct flow *to, uint8_t *buf, size_t len,
                uint64_t *done)
{
    struct flow_cvec vec = { buf, 0 };
    enum flow_status st;
    size_t n;

    while ((st = flow_read(from, buf, len, &vec.len)) == FLOW_AGAIN) {
        st = util_copy_sleep(from, to);
        if (st != FLOW_OK)
            return st;
    }
    if (st != FLOW_OK)
        return st;
    /* Not flushed each time: a layer may fill its records. */
    st = flow_writev_all(to, &vec, 1, FLOW_MORE, &n);
    *done += n;
    return st;
}

static enum flow_status
util_copy_loop(struct flow *from, struct flow *to, uint8_t *buf, uint64_t limit,
               uint64_t *done)
{
    const struct flow_wait_item items[2] = { { from, FLOW_READY_READ, 0 },
                                             { to, FLOW_READY_WRITE, 0 } };
    enum flow_status st = FLOW_OK, flushed;
    uint64_t before = 0;
    size_t len;

    while (st == FLOW_OK && *done < limit) {
        if (*done != before) {
            /* Both deadlines apply even if the flows are always ready. */
            st = flow__check_deadlines(items, 2);
            if (st != FLOW_OK)
                return st;
        }
        before = *done;
        len = limit - before < UTIL_COPY_SIZE ? (size_t)(limit - before)
                                              : UTIL_COPY_SIZE;
        st = util_copy_piece(from, to, buf, len, done);
    }
    if (st != FLOW_OK && st != FLOW_EOF)
        return st;
    flushed = flow_flush_wait(to);
    return flushed != FLOW_OK ? flushed : st;
}

/* See <flow/util.h>. */
enum flow_status
flow_copy(struct flow *from, struct flow *to, uint64_t limit, uint64_t *ret_len)
{
    uint8_t *buf = flow_env_alloc(from->env, UTIL_COPY_SIZE);
    enum flow_status st = FLOW_E_NOMEM;
    uint64_t done = 0;

    if (buf != NULL)
        st = util_copy_loop(from, to, buf, limit, &done);
    if (ret_len != NULL)
        *ret_len = done;
    if (buf != NULL)
        flow_wipe(buf, UTIL_COPY_SIZE);
    flow_env_free(from->env, buf, UTIL_COPY_SIZE);
    return st;
}
