/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <flow/util.h>

#include "contract.h"

/* Length of the leases that are refused: more than TLS reads ahead. */
#define WANT 1200u

/* Ask for a lease until it is refused and nothing is ready.  If a layer must
 * read to know whether it is ready, each attempt makes progress and the loop
 * ends, as in check_ready(). */
static enum flow_status
lease_until_quiet(struct ends *e, enum flow_dir dir, struct flow_vec span[2])
{
    uint32_t bit = dir == FLOW_READ ? FLOW_READY_READ : FLOW_READY_WRITE;
    struct flow_wait_set set;
    enum flow_status st;
    unsigned tries = 0;

    for (;;) {
        st = flow_lease(e->a, dir, WANT, span);
        if (st != FLOW_AGAIN)
            return st;
        flow_wait_set_init(&set);
        if (flow_wait_sources(e->a, bit, &set) == 0)
            break;
        if (contract_exact(e->stack) || ++tries == 1000)
            fail_msg("ready for a lease that is refused");
    }
    assert_true(set.count > 0 || set.deadline != FLOW_NEVER);
    return st;
}

/* Wait until a lease is possible, and take it. */
static void
lease_when_ready(struct ends *e, enum flow_dir dir, struct flow_vec span[2])
{
    uint32_t bit = dir == FLOW_READ ? FLOW_READY_READ : FLOW_READY_WRITE;

    while (lease_until_quiet(e, dir, span) == FLOW_AGAIN)
        step_wait(e, bit, 0);
}

static void
c34_refused_read_lease_is_waited_for(struct ends *e)
{
    struct flow_vec span[2];
    uint8_t data[WANT], byte;
    size_t n;

    step_open(e);
    if ((flow_caps(e->a) & FLOW_CAP_LEASE_READ) == 0)
        return;
    test_fill(data, sizeof(data), 34);
    step_put(e, e->b, data, 1);
    assert_status(lease_until_quiet(e, FLOW_READ, span), FLOW_AGAIN);
    step_put(e, e->b, data + 1, WANT - 2);
    if (contract_exact(e->stack))
        assert_int_equal(step_ready(e->a, FLOW_READY_READ), 0);
    assert_status(lease_until_quiet(e, FLOW_READ, span), FLOW_AGAIN);
    step_put(e, e->b, data + WANT - 1, 1);
    lease_when_ready(e, FLOW_READ, span);
    assert_true(span[0].len >= WANT);
    test_check(span[0].base, WANT, 34, 0);
    assert_status(flow_commit(e->a, FLOW_READ, 1, 0), FLOW_OK);

    /* After another call of the direction any byte counts as ready. */
    assert_status(lease_until_quiet(e, FLOW_READ, span), FLOW_AGAIN);
    assert_status(flow_read(e->a, &byte, 0, &n), FLOW_OK);
    assert_int_equal(step_ready(e->a, FLOW_READY_READ), 0);
    step_get(e, e->a, &byte, 1);
    assert_int_equal(byte, data[1]);
    assert_int_equal(step_ready(e->a, FLOW_READY_READ), FLOW_READY_READ);

    /* An end is ready, however few bytes precede it. */
    assert_status(lease_until_quiet(e, FLOW_READ, span), FLOW_AGAIN);
    contract_end(e, e->b);
    lease_when_ready(e, FLOW_READ, span);
    assert_int_equal(span[0].len + span[1].len, WANT - 2);
    assert_status(flow_commit(e->a, FLOW_READ, WANT - 2, 0), FLOW_OK);
}

/* The bytes that fill a's way to b: first written, then committed from a
 * lease. */
struct filling {
    size_t written; /* bytes of test_fill(34) */
    size_t lent;    /* bytes of test_fill(35) */
    size_t taken;   /* bytes of both that b has read */
};

/* Fill the way from a to b until a write lease is refused. */
static void
fill_for_leases(struct ends *e, struct filling *fill)
{
    struct flow_vec span[2];

    *fill = (struct filling){ .written = contract_fill(e->a, 34) };
    if (lease_until_quiet(e, FLOW_WRITE, span) == FLOW_AGAIN)
        return;
    fill->lent = span[0].len;
    test_fill(span[0].base, fill->lent, 35);
    assert_status(flow_commit(e->a, FLOW_WRITE, fill->lent, FLOW_MORE),
                  FLOW_OK);
    assert_status(lease_until_quiet(e, FLOW_WRITE, span), FLOW_AGAIN);
}

static void
take_filling(struct ends *e, struct filling *fill, size_t max)
{
    bool written = fill->taken < fill->written;
    size_t off = written ? fill->taken : fill->taken - fill->written;
    size_t left = (written ? fill->written : fill->lent) - off;
    size_t n = left < max ? left : max;
    uint8_t got[4096];

    assert_true(n > 0);
    step_get(e, e->b, got, n);
    test_check(got, n, written ? 34 : 35, off);
    fill->taken += n;
}

static void
c34_refused_write_lease_is_waited_for(struct ends *e)
{
    struct flow_vec span[2];
    struct filling fill;
    enum flow_status st;
    size_t i;

    step_open(e);
    if ((flow_caps(e->a) & FLOW_CAP_LEASE_WRITE) == 0)
        return;
    fill_for_leases(e, &fill);
    for (i = 0; (st = lease_until_quiet(e, FLOW_WRITE, span)) == FLOW_AGAIN;
         i++) {
        /* Too little room for the lease does not count as ready. */
        take_filling(e, &fill, i < 20 ? 100 : 4096);
        if (contract_exact(e->stack) && fill.taken < WANT)
            assert_int_equal(step_ready(e->a, FLOW_READY_WRITE), 0);
    }
    assert_status(st, FLOW_OK);
    assert_true(span[0].len >= WANT);
    test_fill(span[0].base, 10, 36);
    assert_status(flow_commit(e->a, FLOW_WRITE, 10, 0), FLOW_OK);
    while (fill.taken < fill.written + fill.lent)
        take_filling(e, &fill, 4096);
    contract_take(e, e->b, 10, 36);
}

/* A thread that waits for a larger lease than its peer sends at once. */
struct borrower {
    pthread_t thread;
    struct flow *f;
    atomic_uint asked;
    size_t lent;
    enum flow_status status;
};

static void *
sleep_and_lease(void *arg)
{
    struct borrower *s = arg;
    struct flow_vec span[2];

    for (;;) {
        s->status = flow_lease(s->f, FLOW_READ, WANT, span);
        atomic_fetch_add(&s->asked, 1);
        if (s->status != FLOW_AGAIN)
            break;
        s->status = flow_wait(s->f, FLOW_READY_READ, NULL);
        if (s->status != FLOW_OK)
            break;
    }
    if (s->status == FLOW_OK) {
        s->lent = span[0].len + span[1].len;
        s->status = flow_commit(s->f, FLOW_READ, s->lent, 0);
    }
    return NULL;
}

/* Returns after the thread has asked for its first lease. */
static void
borrower_start(struct borrower *s, struct flow *f)
{
    memset(s, 0, sizeof(*s));
    s->f = f;
    assert_int_equal(pthread_create(&s->thread, NULL, sleep_and_lease, s), 0);
    while (atomic_load(&s->asked) == 0)
        sched_yield();
}

/* The lease had len bytes.  If every layer is exact, the thread was woken once,
 * when they were all there. */
static void
borrower_join(const struct ends *e, struct borrower *s, size_t len)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    assert_status(s->status, FLOW_OK);
    assert_int_equal(s->lent, len);
    if (contract_exact(e->stack))
        assert_int_equal(atomic_load(&s->asked), 2);
}

static void
trickle(struct flow *f, size_t len)
{
    enum flow_status st;
    size_t n;

    while (len > 0) {
        st = flow_write(f, "x", 1, &n);
        if (st == FLOW_AGAIN)
            st = flow_wait(f, FLOW_READY_WRITE, NULL);
        assert_status(st, FLOW_OK);
        len -= n;
        assert_status(flow_flush_wait(f), FLOW_OK);
    }
}

static void
c34_waiting_for_a_lease_loses_no_wakeup(struct ends *e)
{
    struct borrower s;

    step_open(e);
    if ((flow_caps(e->b) & FLOW_CAP_LEASE_READ) == 0)
        return;
    borrower_start(&s, e->b);
    trickle(e->a, WANT);
    borrower_join(e, &s, WANT);

    borrower_start(&s, e->b);
    trickle(e->a, WANT / 2);
    contract_end(e, e->a);
    borrower_join(e, &s, WANT / 2);
}

const struct clause clauses_lease[] = {
    CLAUSE(c34_refused_read_lease_is_waited_for),
    CLAUSE(c34_refused_write_lease_is_waited_for),
    CLAUSE(c34_waiting_for_a_lease_loses_no_wakeup),
    { NULL, NULL },
};
