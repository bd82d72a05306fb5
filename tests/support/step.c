/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "step.h"

struct flow *
step_other(const struct ends *e, const struct flow *f)
{
    return f == e->a ? e->b : e->a;
}

void
step_wait(struct ends *e, uint32_t interest_a, uint32_t interest_b)
{
    const struct flow_env *env = flow_get_env(e->a != NULL ? e->a : e->b);
    uint64_t deadline = env->now(env->ctx) + STEP_LIMIT;
    struct flow_wait_set set;
    uint32_t ready = 0;

    flow_wait_set_init(&set);
    if (e->a != NULL && interest_a != 0)
        ready |= flow_wait_sources(e->a, interest_a, &set);
    if (ready == 0 && e->b != NULL && interest_b != 0)
        ready |= flow_wait_sources(e->b, interest_b, &set);
    if (ready != 0)
        return;
    if (set.count == 0 && set.deadline == FLOW_NEVER)
        fail_msg("nothing is ready and there is nothing to wait for");
    assert_status(env->wait(env->ctx, &set, deadline), FLOW_OK);
    if (env->now(env->ctx) >= deadline)
        fail_msg("neither end made progress in time");
}

/* Wait for the given interest of f and of the other end. */
static void
wait_for(struct ends *e, struct flow *f, uint32_t interest, uint32_t other)
{
    if (f == e->a)
        step_wait(e, interest, other);
    else
        step_wait(e, other, interest);
}

/* Open and flush a flow without reading or writing; the interest it then
 * has. */
static uint32_t
nudge(struct flow *f)
{
    enum flow_status st;

    if (f == NULL)
        return 0;
    st = flow_open(f);
    if (st == FLOW_AGAIN)
        return FLOW_READY_OPEN;
    if (st != FLOW_OK)
        return 0;
    return flow_flush(f) == FLOW_AGAIN ? FLOW_READY_FLUSH : 0;
}

uint32_t
step_ready(struct flow *f, uint32_t interest)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    return flow_wait_sources(f, interest, &set);
}

bool
step_signalled(const struct flow_wait_set *set)
{
    size_t i;

    for (i = 0; i < set->count; i++)
        if (set->source[i].kind == FLOW_WAIT_EVENT &&
            flow_event_sequence(set->source[i].event) !=
                set->source[i].sequence)
            return true;
    return false;
}

void
step_open_status(struct ends *e, enum flow_status *ret_a,
                 enum flow_status *ret_b)
{
    for (;;) {
        *ret_a = flow_open(e->a);
        *ret_b = flow_open(e->b);
        if (*ret_a != FLOW_AGAIN && *ret_b != FLOW_AGAIN)
            return;
        /* If one side failed, the other may never be told. */
        if (*ret_a < 0 || *ret_b < 0)
            return;
        step_wait(e, *ret_a == FLOW_AGAIN ? FLOW_READY_OPEN : 0,
                  *ret_b == FLOW_AGAIN ? FLOW_READY_OPEN : 0);
    }
}

void
step_open(struct ends *e)
{
    enum flow_status a, b;

    step_open_status(e, &a, &b);
    assert_status(a, FLOW_OK);
    assert_status(b, FLOW_OK);
}

void
step_put(struct ends *e, struct flow *f, const void *buf, size_t len)
{
    const uint8_t *p = buf;
    enum flow_status st;
    size_t n;

    while (len > 0) {
        st = flow_write(f, p, len, &n);
        if (st == FLOW_AGAIN) {
            assert_int_equal(n, 0);
            wait_for(e, f, FLOW_READY_WRITE, nudge(step_other(e, f)));
            continue;
        }
        assert_status(st, FLOW_OK);
        assert_in_range(n, 1, len);
        p += n;
        len -= n;
    }
    step_flush(e, f);
}

void
step_flush(struct ends *e, struct flow *f)
{
    enum flow_status st;

    while ((st = flow_flush(f)) == FLOW_AGAIN)
        wait_for(e, f, FLOW_READY_FLUSH, nudge(step_other(e, f)));
    assert_status(st, FLOW_OK);
}

void
step_get(struct ends *e, struct flow *f, void *buf, size_t len)
{
    uint8_t *p = buf;
    enum flow_status st;
    size_t n;

    while (len > 0) {
        st = flow_read(f, p, len, &n);
        if (st == FLOW_AGAIN) {
            assert_int_equal(n, 0);
            wait_for(e, f, FLOW_READY_READ, nudge(step_other(e, f)));
            continue;
        }
        assert_status(st, FLOW_OK);
        assert_in_range(n, 1, len);
        p += n;
        len -= n;
    }
}

/* C01, C03: OK with 1 to max bytes, or AGAIN with none. */
static void
check_count(enum flow_status st, size_t n, size_t max)
{
    assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
    if (st == FLOW_OK)
        assert_in_range(n, 1, max);
    else
        assert_int_equal(n, 0);
}

void
step_pass(struct ends *e, struct flow *f, size_t len, uint64_t seed)
{
    struct flow *g = step_other(e, f);
    uint8_t *data = malloc(len + 1);
    uint8_t *got = malloc(len + 1);
    size_t sent = 0, received = 0, n;
    enum flow_status st;
    uint32_t wf, wg;

    assert_true(data != NULL && got != NULL);
    test_fill(data, len, seed);
    while (received < len) {
        wf = wg = 0;
        if (sent < len) {
            st = flow_write(f, data + sent, len - sent, &n);
            check_count(st, n, len - sent);
            sent += n;
            wf = st == FLOW_AGAIN ? FLOW_READY_WRITE : 0;
        }
        if (sent == len && flow_flush(f) == FLOW_AGAIN)
            wf = FLOW_READY_FLUSH;
        st = flow_read(g, got + received, len - received, &n);
        check_count(st, n, len - received);
        received += n;
        wg = st == FLOW_AGAIN ? FLOW_READY_READ : 0;
        if (wg != 0 && (wf != 0 || sent == len))
            wait_for(e, f, wf, wg);
    }
    test_check(got, len, seed, 0);
    free(data);
    free(got);
}

void
step_shutdown(struct ends *e, struct flow *f)
{
    enum flow_status st;

    while ((st = flow_shutdown(f, FLOW_WRITE)) == FLOW_AGAIN)
        wait_for(e, f, FLOW_READY_FLUSH, nudge(step_other(e, f)));
    assert_status(st, FLOW_OK);
}

enum flow_status
step_drain(struct ends *e, struct flow *f, size_t *ret_len)
{
    struct flow *g = step_other(e, f);
    enum flow_status st;
    uint8_t buf[512];
    size_t n, total = 0;
    uint32_t owed;

    for (;;) {
        st = flow_read(f, buf, sizeof(buf), &n);
        total += n;
        if (st == FLOW_OK)
            continue;
        if (st != FLOW_AGAIN)
            break;
        owed = nudge(g);
        if (step_ready(f, FLOW_READY_READ) != 0)
            continue;
        if (owed != 0 && step_ready(g, owed) != 0)
            continue;
        break;
    }
    if (ret_len != NULL)
        *ret_len = total;
    return st;
}

enum flow_status
step_end(struct ends *e, struct flow *f, size_t *ret_len)
{
    enum flow_status st;
    uint8_t buf[512];
    size_t n, total = 0;

    for (;;) {
        st = flow_read(f, buf, sizeof(buf), &n);
        total += n;
        if (st == FLOW_AGAIN)
            wait_for(e, f, FLOW_READY_READ, nudge(step_other(e, f)));
        else if (st != FLOW_OK)
            break;
    }
    if (ret_len != NULL)
        *ret_len = total;
    return st;
}

enum flow_status
step_break(struct ends *e, struct flow *f)
{
    static const uint8_t zeros[512];
    enum flow_status st;
    size_t n;

    do {
        st = flow_write(f, zeros, sizeof(zeros), &n);
        if (st == FLOW_AGAIN)
            wait_for(e, f, FLOW_READY_WRITE, 0);
    } while (st == FLOW_OK || st == FLOW_AGAIN);
    return st;
}

uint32_t
step_query(struct flow *f, enum flow_query_key key)
{
    uint32_t value = 0;
    size_t len = sizeof(value);

    assert_status(flow_query(f, key, &value, &len), FLOW_OK);
    assert_int_equal(len, sizeof(value));
    return value;
}
