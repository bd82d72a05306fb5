/* SPDX-License-Identifier: ISC */
#include <sched.h>
#include <string.h>

#include "contract.h"

/* The best quality of an end that the flow's capabilities allow. */
static uint32_t
proper_end(const struct flow *f)
{
    if (flow_caps(f) & FLOW_CAP_AUTHENTICATED_END)
        return FLOW_END_AUTHENTICATED;
    if (flow_caps(f) & FLOW_CAP_ORDERLY_END)
        return FLOW_END_ORDERLY;
    return FLOW_END_GONE;
}

static void
c24_end_comes_after_every_byte(struct ends *e)
{
    uint8_t data[1500];
    size_t n;

    step_open(e);
    if (!contract_half_close(e->a))
        return;
    test_fill(data, sizeof(data), 24);
    step_put(e, e->a, data, sizeof(data));
    step_shutdown(e, e->a);
    contract_take(e, e->b, sizeof(data), 24);
    assert_status(step_end(e, e->b, &n), FLOW_EOF);
    assert_int_equal(n, 0);
}

static void
c25_shutdown_is_idempotent(struct ends *e)
{
    size_t n;
    int i;

    if (!contract_half_close(e->a))
        return;
    /* The flow is not open yet: shutdown opens it first. */
    step_shutdown(e, e->a);
    for (i = 0; i < 3; i++)
        assert_status(flow_shutdown(e->a, FLOW_WRITE), FLOW_OK);
    step_open(e);
    assert_status(step_end(e, e->b, &n), FLOW_EOF);
    assert_int_equal(n, 0);
    assert_status(flow_shutdown(e->a, FLOW_WRITE), FLOW_OK);
    step_pass(e, e->b, 50, 25);
}

static void
c26_reading_goes_on_after_our_end(struct ends *e)
{
    step_open(e);
    if (!contract_half_close(e->a))
        return;
    step_shutdown(e, e->a);
    assert_true(flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_WRITE);
    step_pass(e, e->b, 3000, 26);
    step_shutdown(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
}

static void
c27_writing_goes_on_after_the_peers_end(struct ends *e)
{
    step_open(e);
    if (!contract_half_close(e->a))
        return;
    step_shutdown(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    assert_true(flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_READ);
    step_pass(e, e->a, 3000, 27);
    step_shutdown(e, e->a);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
}

static void
c28_shutdown_read_is_local(struct ends *e)
{
    uint8_t buf[10];
    size_t n;

    step_open(e);
    step_put(e, e->a, "before", 6);
    assert_status(flow_shutdown(e->b, FLOW_READ), FLOW_OK);
    assert_status(flow_shutdown(e->b, FLOW_READ), FLOW_OK);
    assert_status(flow_read(e->b, buf, sizeof(buf), &n), FLOW_EOF);
    assert_int_equal(n, 0);
    /* The peer is not told, and our own direction still works. */
    step_put(e, e->a, "after", 5);
    step_pass(e, e->b, 100, 28);
    assert_status(flow_read(e->b, buf, sizeof(buf), &n), FLOW_EOF);
}

/* The peer sends more than the buffers on the way can hold, while we only ask
 * whether we can write.  If that does not drain them, the test hangs and the
 * guard kills it. */
static void
c28_peer_may_go_on_sending(struct ends *e)
{
    static const uint8_t zeros[4096];
    size_t room, n, sent = 0;
    enum flow_status st;

    step_open(e);
    room = contract_fill(e->a, 28);
    assert_status(flow_shutdown(e->b, FLOW_READ), FLOW_OK);
    while (sent < room + 20000) {
        assert_int_equal(step_ready(e->b, FLOW_READY_WRITE), FLOW_READY_WRITE);
        st = flow_write(e->a, zeros, sizeof(zeros), &n);
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
        sent += n;
    }
    step_pass(e, e->b, 1000, 28);
}

static void
c29_shutdown_needs_exactly_one_direction(struct ends *e)
{
    step_open(e);
    assert_status(flow_shutdown(e->a, (enum flow_dir)0), FLOW_E_INVAL);
    assert_status(flow_shutdown(e->a, (enum flow_dir)3), FLOW_E_INVAL);
    assert_status(flow_shutdown(e->a, (enum flow_dir)4), FLOW_E_INVAL);
    if (!(flow_caps(e->a) & FLOW_CAP_HALF_CLOSE_WRITE))
        assert_false(contract_half_close(e->a));
    step_pass(e, e->a, 100, 29);
    step_pass(e, e->b, 100, 30);
}

static void
c30_end_has_the_quality_of_its_capabilities(struct ends *e)
{
    step_open(e);
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_READ), FLOW_END_NONE);
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_WRITE), FLOW_END_NONE);
    contract_end(e, e->a);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
    assert_int_equal(step_query(e->b, FLOW_QUERY_END_READ), proper_end(e->b));
    if (e->a == NULL)
        return;
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_READ), FLOW_END_NONE);
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_WRITE), proper_end(e->a));
    assert_int_equal(step_query(e->b, FLOW_QUERY_END_WRITE), FLOW_END_NONE);
}

/* Our own shutdown(READ) is not taken for the peer's end. */
static void
c30_shutdown_read_is_not_the_peers_end(struct ends *e)
{
    size_t tries;

    step_open(e);
    step_put(e, e->b, "unread", 6);
    assert_status(flow_shutdown(e->a, FLOW_READ), FLOW_OK);
    for (tries = 0; tries < 20; tries++)
        (void)step_ready(e->a, FLOW_READY_WRITE);
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_READ), FLOW_END_NONE);
    contract_end(e, e->b);
    while (step_query(e->a, FLOW_QUERY_END_READ) == FLOW_END_NONE) {
        (void)step_ready(e->a, FLOW_READY_WRITE);
        sched_yield();
    }
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_READ), proper_end(e->a));
}

/* An abort ends both directions, and sends and finds no marker. */
static void
c30_aborted_direction_has_quality_gone(struct ends *e)
{
    step_open(e);
    step_pass(e, e->a, 100, 30);
    flow_abort(e->a);
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_READ), FLOW_END_GONE);
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_WRITE), FLOW_END_GONE);
}

/* A direction that had ended before keeps its quality. */
static void
c30_abort_keeps_the_quality_of_earlier_ends(struct ends *e)
{
    step_open(e);
    contract_end(e, e->b);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    flow_abort(e->a);
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_READ), proper_end(e->a));
    assert_int_equal(step_query(e->a, FLOW_QUERY_END_WRITE), FLOW_END_GONE);
}

static void
c31_close_is_not_an_orderly_end(struct ends *e)
{
    enum flow_status st;
    uint32_t quality;

    step_open(e);
    step_pass(e, e->a, 100, 31);
    flow_close(e->a);
    e->a = NULL;
    st = step_end(e, e->b, NULL);
    quality = step_query(e->b, FLOW_QUERY_END_READ);
    if (e->stack->tls > 0) {
        assert_status_in(st, STATUS_BIT(FLOW_E_TRUNCATED) |
                                 STATUS_BIT(FLOW_E_RESET));
        assert_int_equal(quality, FLOW_END_GONE);
        return;
    }
    assert_status_in(st, e->stack->backend->abandoned);
    assert_int_equal(quality, st == FLOW_EOF ? proper_end(e->b)
                                             : (uint32_t)FLOW_END_GONE);
}

static void
c32_close_works_in_every_state(struct ends *e)
{
    const struct stack *s = e->stack;
    int state;

    flow_close(NULL);
    for (state = 0; state < 7; state++) {
        if (e->a == NULL)
            ends_make(e, s);
        if (state == 1)
            (void)!flow_open(e->a);
        if (state >= 2)
            step_open(e);
        if (state == 3)
            step_put(e, e->b, "unread", 6);
        if (state == 4)
            (void)contract_fill(e->a, 32);
        if (state == 5)
            flow_abort(e->a);
        if (state == 6)
            (void)!flow_shutdown(e->a, FLOW_WRITE);
        /* The guards report leaked memory and descriptors. */
        ends_close(e);
    }
}

static void
c33_writing_to_a_closed_peer_fails(struct ends *e)
{
    step_open(e);
    flow_close(e->b);
    e->b = NULL;
    assert_status_in(step_break(e, e->a),
                     STATUS_BIT(FLOW_E_CLOSED) | STATUS_BIT(FLOW_E_RESET));
}

const struct clause clauses_ends[] = {
    CLAUSE(c24_end_comes_after_every_byte),
    CLAUSE(c25_shutdown_is_idempotent),
    CLAUSE(c26_reading_goes_on_after_our_end),
    CLAUSE(c27_writing_goes_on_after_the_peers_end),
    CLAUSE(c28_shutdown_read_is_local),
    CLAUSE(c28_peer_may_go_on_sending),
    CLAUSE(c29_shutdown_needs_exactly_one_direction),
    CLAUSE(c30_end_has_the_quality_of_its_capabilities),
    CLAUSE(c30_shutdown_read_is_not_the_peers_end),
    CLAUSE(c30_aborted_direction_has_quality_gone),
    CLAUSE(c30_abort_keeps_the_quality_of_earlier_ends),
    CLAUSE(c31_close_is_not_an_orderly_end),
    CLAUSE(c32_close_works_in_every_state),
    CLAUSE(c33_writing_to_a_closed_peer_fails),
    { NULL, NULL },
};
