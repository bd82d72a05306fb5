/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/poller.h>
#include <flow/util.h>

#include "contract.h"

#define SECOND UINT64_C(1000000000)

static void
c67_read_exact_tells_eof_from_a_truncated_read(struct ends *e)
{
    uint8_t buf[20];
    size_t n;

    step_open(e);
    step_put(e, e->b, "0123456789abcde", 15);
    contract_end(e, e->b);
    assert_status(flow_read_exact(e->a, buf, 4, NULL), FLOW_OK);
    assert_memory_equal(buf, "0123", 4);
    assert_status(flow_read_exact(e->a, buf, 6, &n), FLOW_OK);
    assert_int_equal(n, 6);
    assert_status(flow_read_exact(e->a, buf, 10, &n), FLOW_E_TRUNCATED);
    assert_int_equal(n, 5);
    assert_memory_equal(buf, "abcde", 5);
    assert_status(flow_read_exact(e->a, buf, 10, &n), FLOW_EOF);
    assert_int_equal(n, 0);
    assert_status(flow_read_exact(e->a, buf, 10, NULL), FLOW_EOF);
}

static void
c67_read_until_stops_after_the_delimiter(struct ends *e)
{
    static const char text[] = "one\r\n\r\r\ntwo\r\nrest";
    uint8_t buf[20];
    size_t n = 0;

    step_open(e);
    step_put(e, e->b, text, sizeof(text) - 1);
    if (!(flow_caps(e->a) & FLOW_CAP_LEASE_READ)) {
        assert_status(flow_read_until(e->a, buf, 20, "\n", 1, &n),
                      FLOW_E_NOTSUP);
        contract_end(e, e->b);
        return;
    }
    assert_status(flow_read_until(e->a, buf, 4, "12345", 5, &n), FLOW_E_INVAL);
    assert_status(flow_read_until(e->a, buf, 4, "", 0, &n), FLOW_E_INVAL);
    assert_int_equal(n, 0);
    assert_status(flow_read_until(e->a, buf, 20, "\r\n", 2, &n), FLOW_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(buf, "one\r\n", 5);
    n = 0;
    assert_status(flow_read_until(e->a, buf, 3, "\r\n", 2, &n), FLOW_OK);
    assert_memory_equal(buf, "\r\r\n", 3);
    /* A line longer than the buffer is consumed up to the buffer's length. */
    n = 0;
    assert_status(flow_read_until(e->a, buf, 4, "\r\n", 2, &n), FLOW_E_PROTO);
    assert_memory_equal(buf, "two\r", n);
    assert_status(flow_read_until(e->a, buf, 5, "\r\n", 2, &n), FLOW_OK);
    assert_int_equal(n, 5);
    /* A deadline passes in the middle of a line; the next call reads on. */
    n = 0;
    test_env_stop_clock();
    flow_set_timeout(e->a, FLOW_READ, SECOND);
    assert_status(flow_read_until(e->a, buf, 20, "!", 1, &n), FLOW_E_TIMEOUT);
    assert_int_equal(n, 4);
    test_env.manual = false;
    flow_set_timeout(e->a, FLOW_READ, 0);
    step_put(e, e->b, "!.", 2);
    assert_status(flow_read_until(e->a, buf, 20, "!", 1, &n), FLOW_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(buf, "rest!", 5);
    contract_end(e, e->b);
    n = 0;
    assert_status(flow_read_until(e->a, buf, 20, "!", 1, &n), FLOW_E_TRUNCATED);
    assert_int_equal(n, 1);
    assert_int_equal(buf[0], '.');
    n = 0;
    assert_status(flow_read_until(e->a, buf, 20, "!", 1, &n), FLOW_EOF);
    assert_int_equal(n, 0);
}

static void
c68_write_all_sends_everything(struct ends *e)
{
    uint8_t data[600];
    struct flow_cvec vec[3] = { { data, 100 },
                                { data + 100, 0 },
                                { data + 100, 200 } };
    size_t n;

    step_open(e);
    test_fill(data, sizeof(data), 68);
    assert_status(flow_writev_all(e->a, vec, 3, 0, &n), FLOW_OK);
    assert_int_equal(n, 300);
    assert_status(flow_write_all(e->a, data + 300, 300, &n), FLOW_OK);
    assert_int_equal(n, 300);
    contract_take(e, e->b, sizeof(data), 68);
    if (!contract_half_close(e->a))
        return;
    vec[0].base = data;
    vec[0].len = 600;
    assert_status(flow_writev_all(e->a, vec, 1, FLOW_FIN, NULL), FLOW_OK);
    contract_take(e, e->b, sizeof(data), 68);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
}

static void
c69_copy_moves_bytes_until_the_end(struct ends *e)
{
    struct ends to = { .stack = e->stack };
    uint8_t data[1000];
    uint64_t done;

    assert_status(flow_pair_new(TEST_ENV, 4096, NULL, &to.a, &to.b), FLOW_OK);
    step_open(e);
    test_fill(data, sizeof(data), 69);
    step_put(e, e->a, data, sizeof(data));
    contract_end(e, e->a);
    assert_status(flow_copy(e->b, to.a, 400, &done), FLOW_OK);
    assert_int_equal(done, 400);
    assert_status(flow_copy(e->b, to.a, UINT64_MAX, &done), FLOW_EOF);
    assert_int_equal(done, 600);
    contract_take(&to, to.b, sizeof(data), 69);
    ends_close(&to);
}

static void
c70_finish_ends_both_directions(struct ends *e)
{
    struct flow_finish_result r;
    uint8_t data[500];
    enum flow_status st;

    step_open(e);
    test_fill(data, sizeof(data), 70);
    step_put(e, e->a, data, sizeof(data));
    if (!contract_half_close(e->b)) {
        /* Without half-close the peer's close is the only end. */
        contract_take(e, e->b, sizeof(data), 70);
        contract_end(e, e->b);
        st = flow_finish(e->a, TEST_ENV->now(TEST_ENV->ctx) + 10 * SECOND,
                         1 << 20, &r);
        e->a = NULL;
        assert_true(st <= FLOW_OK && st != FLOW_E_TIMEOUT);
        assert_int_equal(r.peers, FLOW_END_GONE);
        return;
    }
    step_put(e, e->b, data, 77);
    step_shutdown(e, e->b);
    st = flow_finish(e->a, TEST_ENV->now(TEST_ENV->ctx) + 10 * SECOND, 1 << 20,
                     &r);
    e->a = NULL;
    assert_status(st, FLOW_OK);
    assert_status(r.status, FLOW_OK);
    assert_int_equal(r.drained, 77);
    assert_true(r.ours >= FLOW_END_ORDERLY);
    assert_int_equal(r.ours, r.peers);
    contract_take(e, e->b, sizeof(data), 70);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
    flow_close(e->b);
    e->b = NULL;
    /* If the peer does not end, the deadline ends the call. */
    ends_make(e, e->stack);
    step_open(e);
    test_env_stop_clock();
    st = flow_finish(e->a, test_env.now + SECOND, 1 << 20, &r);
    e->a = NULL;
    assert_status(st, FLOW_E_TIMEOUT);
    assert_int_equal(r.peers, FLOW_END_NONE);
    assert_status(step_end(e, e->b, NULL), FLOW_EOF);
}

/* A peer that sends while it receives, and reads in small pieces. */
struct talker {
    pthread_t thread;
    struct flow *f;
    uint64_t seed;           /* of the bytes that it must read */
    size_t size;             /* bytes to read, and bytes to send */
    enum flow_status status; /* FLOW_OK, or the first failure */
};

/* Sends the rest, then ends its direction.  FLOW_EOF: all was sent; FLOW_AGAIN:
 * nothing can be done now. */
static enum flow_status
talk(struct flow *f, size_t size, size_t *sent)
{
    static const uint8_t zeros[1000];
    size_t n;
    enum flow_status st;

    if (*sent < size) {
        n = size - *sent < sizeof(zeros) ? size - *sent : sizeof(zeros);
        st = flow_write(f, zeros, n, &n);
        *sent += n;
        return st;
    }
    st = (flow_caps(f) & FLOW_CAP_HALF_CLOSE_WRITE) != 0
             ? flow_shutdown(f, FLOW_WRITE)
             : flow_flush(f);
    return st == FLOW_OK ? FLOW_EOF : st;
}

static void *
talk_work(void *arg)
{
    struct talker *t = arg;
    bool ends = (flow_caps(t->f) & FLOW_CAP_HALF_CLOSE_WRITE) != 0;
    uint8_t *got = malloc(t->size + 1), *want = malloc(t->size);
    enum flow_status reading = FLOW_OK, writing = FLOW_OK;
    size_t sent = 0, received = 0, n;
    uint32_t interest;

    if (got == NULL || want == NULL)
        abort();
    while (writing >= 0 && reading >= 0 &&
           (writing != FLOW_EOF ||
            (ends ? reading != FLOW_EOF : received < t->size))) {
        if (writing != FLOW_EOF)
            writing = talk(t->f, t->size, &sent);
        if (reading != FLOW_EOF)
            reading = flow_read(
                t->f, got + received,
                t->size + 1 - received < 100 ? t->size + 1 - received : 100,
                &n);
        received += reading == FLOW_OK ? n : 0;
        /* If the last flush completed the work, do not wait. */
        if (writing == FLOW_OK || reading == FLOW_OK ||
            (!ends && writing == FLOW_EOF && received >= t->size))
            continue;
        interest = reading == FLOW_AGAIN ? FLOW_READY_READ : 0u;
        if (writing == FLOW_AGAIN)
            interest |= sent < t->size ? FLOW_READY_WRITE : FLOW_READY_FLUSH;
        if (interest != 0 && flow_wait(t->f, interest, NULL) != FLOW_OK)
            break;
    }
    test_fill(want, t->size, t->seed);
    t->status = FLOW_OK;
    if (writing != FLOW_EOF || (ends && reading != FLOW_EOF))
        t->status = reading < 0 ? reading : writing;
    else if (received != t->size || memcmp(got, want, t->size) != 0)
        t->status = FLOW_E_TRUNCATED;
    /* The peer must not reset the connection either. */
    if (ends)
        (void)flow_finish(t->f, TEST_ENV->now(TEST_ENV->ctx) + 30 * SECOND,
                          UINT64_MAX, NULL);
    else
        flow_close(t->f);
    free(got);
    free(want);
    return NULL;
}

/* Write and finish while the peer still sends; with deaf after
 * shutdown(READ). */
static void
finish_while_the_peer_sends(struct ends *e, bool deaf)
{
    struct talker peer = { .f = e->b, .seed = 70, .size = 40000 };
    struct flow_finish_result r;
    uint8_t *data = malloc(peer.size);
    enum flow_status st;

    assert_non_null(data);
    step_open(e);
    test_fill(data, peer.size, peer.seed);
    e->b = NULL;
    assert_int_equal(pthread_create(&peer.thread, NULL, talk_work, &peer), 0);
    if (deaf)
        assert_status(flow_shutdown(e->a, FLOW_READ), FLOW_OK);
    assert_status(flow_write_all(e->a, data, peer.size, NULL), FLOW_OK);
    st = flow_finish(e->a, TEST_ENV->now(TEST_ENV->ctx) + 30 * SECOND,
                     UINT64_MAX, &r);
    e->a = NULL;
    assert_int_equal(pthread_join(peer.thread, NULL), 0);
    free(data);
    assert_status(peer.status, FLOW_OK);
    if (e->stack->tls > 0 ||
        (e->stack->backend->caps & FLOW_CAP_HALF_CLOSE_WRITE) != 0)
        assert_status(st, FLOW_OK);
    if (!deaf && st == FLOW_OK)
        assert_int_equal(r.drained, peer.size);
}

static void
c70_finish_drains_a_peer_that_still_sends(struct ends *e)
{
    finish_while_the_peer_sends(e, false);
}

static void
c70_finish_works_after_shutdown_read(struct ends *e)
{
    finish_while_the_peer_sends(e, true);
}

/* One direction of one end, in a thread of its own. */
struct worker {
    pthread_t thread;
    struct flow *f;
    uint64_t seed;
    enum flow_status status;
};

#define DUPLEX_BYTES 40000u

static void *
write_work(void *arg)
{
    struct worker *w = arg;
    uint8_t *data = malloc(DUPLEX_BYTES);

    if (data == NULL)
        abort();
    test_fill(data, DUPLEX_BYTES, w->seed);
    w->status = flow_write_all(w->f, data, DUPLEX_BYTES, NULL);
    free(data);
    return NULL;
}

static void *
read_work(void *arg)
{
    struct worker *w = arg;
    uint8_t *data = malloc(DUPLEX_BYTES);
    uint8_t *want = malloc(DUPLEX_BYTES);
    size_t n;

    if (data == NULL || want == NULL)
        abort();
    test_fill(want, DUPLEX_BYTES, w->seed);
    w->status = flow_read_exact(w->f, data, DUPLEX_BYTES, &n);
    if (w->status == FLOW_OK && memcmp(data, want, DUPLEX_BYTES) != 0)
        w->status = FLOW_E_PROTO;
    free(data);
    free(want);
    return NULL;
}

static void
c71_reader_and_writer_threads_run_in_parallel(struct ends *e)
{
    struct worker w[4] = { { .f = e->a, .seed = 1 },
                           { .f = e->b, .seed = 1 },
                           { .f = e->b, .seed = 2 },
                           { .f = e->a, .seed = 2 } };
    size_t i;

    if (!(flow_caps(e->a) & FLOW_CAP_DUPLEX)) {
        step_open(e);
        return;
    }
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&w[i].thread, NULL,
                                        i % 2 ? read_work : write_work, &w[i]),
                         0);
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
    for (i = 0; i < 4; i++)
        assert_status(w[i].status, FLOW_OK);
}

/* Poll without waiting; the events of f, 0 for none. */
static uint32_t
poll_now(struct flow_poller *p, const struct flow *f)
{
    const struct flow_poller_event *ev;
    size_t n = 0;

    if (flow_poller_wait(p, 4, FLOW_NOW, &ev, &n) != FLOW_OK || n == 0)
        return 0;
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].flow, f);
    assert_ptr_equal(ev[0].user, f);
    return ev[0].ready;
}

static void
c72_poller_reports_buffered_bytes(struct ends *e)
{
    struct flow_poller *p;
    uint8_t byte;

    step_open(e);
    assert_status(flow_poller_new(TEST_ENV, &p), FLOW_OK);
    assert_status(flow_poller_add(p, e->a, FLOW_READY_READ, e->a), FLOW_OK);
    assert_int_equal(poll_now(p, e->a), 0);
    step_put(e, e->b, "two", 3);
    assert_int_equal(poll_now(p, e->a), FLOW_READY_READ);
    step_get(e, e->a, &byte, 1);
    /* The transport has no bytes left, but the flow has buffered some. */
    assert_int_equal(poll_now(p, e->a), FLOW_READY_READ);
    step_get(e, e->a, &byte, 1);
    step_get(e, e->a, &byte, 1);
    assert_int_equal(step_drain(e, e->a, NULL), FLOW_AGAIN);
    assert_int_equal(poll_now(p, e->a), 0);
    flow_set_deadline(e->a, FLOW_READ, FLOW_NOW);
    assert_true(poll_now(p, e->a) & FLOW_READY_DEADLINE);
    flow_poller_remove(p, e->a);
    assert_int_equal(poll_now(p, e->a), 0);
    flow_poller_free(p);
}

/* Writes one byte to another flow, in a thread of its own. */
static void *
write_one(void *arg)
{
    struct worker *w = arg;

    w->status = flow_write_all(w->f, "x", 1, NULL);
    return NULL;
}

static void
c72_wait_any_says_which_flow_is_ready(struct ends *e)
{
    struct worker w = { .f = e->b };
    struct ends quiet = { .stack = e->stack };
    struct flow_wait_item item[3];
    size_t i;

    assert_status(flow_pair_new(TEST_ENV, 100, NULL, &quiet.a, &quiet.b),
                  FLOW_OK);
    step_open(e);
    item[0] = (struct flow_wait_item){ quiet.a, FLOW_READY_READ, 9 };
    item[1] = (struct flow_wait_item){ e->a, FLOW_READY_READ, 9 };
    item[2] = (struct flow_wait_item){ quiet.b, 0, 9 };
    assert_status(flow_wait_any(item, 3, FLOW_NOW), FLOW_E_TIMEOUT);
    for (i = 0; i < 3; i++)
        assert_int_equal(item[i].ready, 0);
    for (i = 0; i < 20; i++) {
        uint8_t byte;

        assert_int_equal(pthread_create(&w.thread, NULL, write_one, &w), 0);
        assert_status(flow_wait_any(item, 3, FLOW_NEVER), FLOW_OK);
        assert_int_equal(item[0].ready, 0);
        assert_int_equal(item[1].ready, FLOW_READY_READ);
        assert_int_equal(item[2].ready, 0);
        assert_int_equal(pthread_join(w.thread, NULL), 0);
        assert_status(w.status, FLOW_OK);
        step_get(e, e->a, &byte, 1);
        /* Deal with whatever else woke the layer, such as a session ticket. */
        assert_status(step_drain(e, e->a, NULL), FLOW_AGAIN);
    }
    /* If the deadline of one flow passed, its error record says so. */
    {
        struct flow_error err;

        flow_set_deadline(e->a, FLOW_READ, FLOW_NOW);
        assert_status(flow_wait_any(item, 3, FLOW_NEVER), FLOW_E_TIMEOUT);
        flow_get_error(e->a, FLOW_READ, &err);
        assert_status(err.status, FLOW_E_TIMEOUT);
        flow_get_error(quiet.a, FLOW_READ, &err);
        assert_status(err.status, FLOW_OK);
    }
    item[0].interest = 0x80;
    assert_status(flow_wait_any(item, 3, FLOW_NOW), FLOW_E_INVAL);
    assert_status(flow_wait_any(item, 0, FLOW_NOW), FLOW_E_INVAL);
    item[0].interest = item[1].interest = 0;
    assert_status(flow_wait_any(item, 3, FLOW_NOW), FLOW_E_INVAL);
    ends_close(&quiet);
}

static void *
abort_it(void *arg)
{
    sched_yield();
    flow_abort(arg);
    return NULL;
}

/* The largest number of flows allowed, each with sources of its own; the last
 * one is aborted. */
static void
c72_wait_any_returns_after_an_abort(struct ends *e)
{
    struct flow_wait_item item[FLOW_WAIT_ANY + 1];
    struct ends more[FLOW_WAIT_ANY];
    pthread_t thread;
    size_t i;

    step_open(e);
    for (i = 0; i < FLOW_WAIT_ANY; i++) {
        ends_make_bare(&more[i], e->stack->backend);
        more[i].stack = e->stack;
        step_open(&more[i]);
        item[i] = (struct flow_wait_item){ more[i].a, FLOW_READY_READ, 0 };
    }
    item[FLOW_WAIT_ANY] = (struct flow_wait_item){ e->a, FLOW_READY_READ, 0 };
    assert_status(flow_wait_any(item, FLOW_WAIT_ANY + 1, FLOW_NOW),
                  FLOW_E_INVAL);
    item[FLOW_WAIT_ANY - 1] = item[FLOW_WAIT_ANY];
    assert_int_equal(pthread_create(&thread, NULL, abort_it, e->a), 0);
    assert_status(flow_wait_any(item, FLOW_WAIT_ANY, FLOW_NEVER), FLOW_OK);
    assert_int_equal(item[FLOW_WAIT_ANY - 1].ready, FLOW_READY_READ);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (i = 0; i < FLOW_WAIT_ANY; i++)
        ends_close(&more[i]);
}

const struct clause clauses_built[] = {
    CLAUSE(c67_read_exact_tells_eof_from_a_truncated_read),
    CLAUSE(c67_read_until_stops_after_the_delimiter),
    CLAUSE(c68_write_all_sends_everything),
    CLAUSE(c69_copy_moves_bytes_until_the_end),
    CLAUSE(c70_finish_ends_both_directions),
    CLAUSE(c70_finish_drains_a_peer_that_still_sends),
    CLAUSE(c70_finish_works_after_shutdown_read),
    CLAUSE(c71_reader_and_writer_threads_run_in_parallel),
    CLAUSE(c72_poller_reports_buffered_bytes),
    CLAUSE(c72_wait_any_says_which_flow_is_ready),
    CLAUSE(c72_wait_any_returns_after_an_abort),
    { NULL, NULL },
};
