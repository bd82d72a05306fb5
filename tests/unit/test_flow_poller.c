/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flow/backend.h>
#include <flow/pair.h>
#include <flow/poller.h>
#include <flow/prefix.h>

#include "duct.h"
#include "lib/plat.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

#define MSEC UINT64_C(1000000)

/* A flow over a descriptor, with only what a poller needs. */
struct sock {
    struct flow base;
    int fd;
    unsigned *waits; /* counts calls of wait, or NULL */
};

static enum flow_status
sock_readv(struct flow *f, const struct flow_vec *vec, size_t count,
           size_t *ret_len)
{
    struct sock *s = (struct sock *)(void *)f;
    ssize_t n;

    (void)count;
    n = recv(s->fd, vec->base, vec->len, MSG_DONTWAIT);
    if (n == 0)
        return FLOW_EOF;
    if (n < 0)
        return FLOW_AGAIN;
    *ret_len = (size_t)n;
    return FLOW_OK;
}

static enum flow_status
sock_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len)
{
    struct sock *s = (struct sock *)(void *)f;
    ssize_t n;

    (void)count;
    (void)flags;
    n = send(s->fd, vec->base, vec->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return FLOW_AGAIN;
    *ret_len = (size_t)n;
    return FLOW_OK;
}

static uint32_t
sock_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct sock *s = (struct sock *)(void *)f;
    char c;

    if (s->waits != NULL)
        ++*s->waits;
    if ((interest & FLOW_READY_READ) != 0) {
        if (recv(s->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) >= 0)
            return FLOW_READY_READ;
        flow_wait_add_fd(set, s->fd, FLOW_WAIT_IN);
    }
    return interest & FLOW_READY_WRITE;
}

static void
sock_close(struct flow *f)
{
    struct sock *s = (struct sock *)(void *)f;

    flow_base_fini(f);
    close(s->fd);
    flow_env_free(f->env, s, sizeof(*s));
}

static const struct flow_ops sock_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "sock",
    .readv = sock_readv,
    .writev = sock_writev,
    .wait = sock_wait,
    .close = sock_close,
};

static struct flow__fake fake;
static struct flow_env env; /* real time, counted memory */

static uint64_t
real_now(void *ctx)
{
    (void)ctx;
    return flow__plat_now();
}

static struct sock *
new_sock(int fd)
{
    struct sock *s = flow_env_alloc(&env, sizeof(*s));

    assert_int_equal(flow_base_init(&s->base, &sock_ops, &env,
                                    FLOW_CAP_FD | FLOW_CAP_DUPLEX),
                     FLOW_OK);
    s->fd = fd;
    return s;
}

static void
sock_pair(struct sock *ret[2])
{
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    ret[0] = new_sock(fd[0]);
    ret[1] = new_sock(fd[1]);
}

static int
setup(void **state)
{
    static struct flow_poller *p;

    flow__fake_init(&fake, 1);
    env = fake.env;
    env.now = real_now;
    *state = &p;
    return flow_poller_new(&env, &p) == FLOW_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    flow_poller_free(*(struct flow_poller **)*state);
    return fake.live_blocks == 0 ? 0 : -1;
}

/* Returns how many events there are now, without waiting. */
static size_t
now(struct flow_poller *p, const struct flow_poller_event **ev, size_t cap)
{
    enum flow_status st;
    size_t n;

    st = flow_poller_wait(p, cap, FLOW_NOW, ev, &n);
    assert_int_equal(st, n > 0 ? FLOW_OK : FLOW_E_TIMEOUT);
    return n;
}

static void
descriptor_and_event_flows_are_level_triggered(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct sock *s[2];
    struct flow *d[2];
    char buf[8];
    size_t n;

    sock_pair(s);
    duct_new(&env, 16, d);
    assert_int_equal(flow_poller_add(p, &s[0]->base, FLOW_READY_READ, &s),
                     FLOW_OK);
    assert_int_equal(flow_poller_add(p, d[0], FLOW_READY_READ, &d), FLOW_OK);
    assert_int_equal(flow_poller_add(p, d[0], FLOW_READY_READ, &d),
                     FLOW_E_INVAL);
    assert_int_equal(now(p, &ev, 4), 0);

    assert_int_equal(flow_write(&s[1]->base, "ab", 2, &n), FLOW_OK);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].user, &s);
    assert_ptr_equal(ev[0].flow, &s[0]->base);
    assert_int_equal(ev[0].ready, FLOW_READY_READ);
    assert_int_equal(now(p, &ev, 4), 1);

    assert_int_equal(flow_write(d[1], "cd", 2, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 2);
    /* Half of it was read: it is still ready. */
    assert_int_equal(flow_read(d[0], buf, 1, &n), FLOW_OK);
    assert_int_equal(flow_read(&s[0]->base, buf, 8, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_ptr_equal(ev[0].user, &d);
    assert_int_equal(flow_read(d[0], buf, 8, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);

    flow_poller_remove(p, &s[0]->base);
    flow_close(&s[0]->base);
    flow_close(&s[1]->base);
    flow_close(d[0]);
    flow_close(d[1]);
}

/* The layer has buffered bytes, and the descriptor is not readable. */
static void
bytes_read_ahead_are_reported(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct sock *s[2];
    struct flow *f;
    char buf[8];
    size_t n;

    sock_pair(s);
    assert_int_equal(flow_prefix_wrap(&s[0]->base, "xyz", 3, &f), FLOW_OK);
    assert_int_equal(flow_poller_add(p, f, FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_int_equal(flow_read(f, buf, 2, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_int_equal(flow_read(f, buf, 2, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);
    assert_int_equal(flow_write(&s[1]->base, "a", 1, &n), FLOW_OK);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    flow_close(f);
    flow_close(&s[1]->base);
}

/* A poller too does not report bytes that are fewer than the refused lease
 * wanted. */
static void
poller_waits_for_the_size_of_a_refused_lease(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct flow_vec span[2];
    struct flow *f[2];
    char byte;
    size_t n;

    assert_int_equal(flow_pair_new(&env, 16, NULL, &f[0], &f[1]), FLOW_OK);
    assert_int_equal(flow_poller_add(p, f[0], FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 4, span), FLOW_AGAIN);
    assert_int_equal(flow_write(f[1], "abc", 3, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);
    /* The ring signals no event now: the read itself changed the answer. */
    assert_int_equal(flow_read(f[0], &byte, 1, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 4, span), FLOW_AGAIN);
    assert_int_equal(now(p, &ev, 4), 0);
    assert_int_equal(flow_write(f[1], "de", 2, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 4, span), FLOW_OK);
    flow_close(f[0]);
    flow_close(f[1]);
}

static void
short_event_list_starves_no_descriptor(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct mock *m[20];
    unsigned seen[20] = { 0 };
    size_t i, n, round;

    for (i = 0; i < COUNT(m); i++) {
        m[i] = mock_new(&env, MOCK_CAPS);
        assert_int_equal(
            flow_poller_add(p, &m[i]->base, FLOW_READY_READ, &seen[i]),
            FLOW_OK);
    }
    for (round = 0; round < 20; round++) {
        n = now(p, &ev, 3);
        assert_int_equal(n, 3);
        for (i = 0; i < n; i++)
            ++*(unsigned *)ev[i].user;
    }
    for (i = 0; i < COUNT(m); i++) {
        assert_int_equal(seen[i], 3);
        flow_close(&m[i]->base);
    }
}

/* Flows that are always ready do not keep a descriptor from being reported. */
static void
ready_flows_do_not_hide_the_others(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct mock *m = mock_new(&env, MOCK_CAPS);
    struct sock *s[2];
    size_t n;

    sock_pair(s);
    assert_int_equal(flow_poller_add(p, &m->base, FLOW_READY_READ, m), FLOW_OK);
    assert_int_equal(flow_poller_add(p, &s[0]->base, FLOW_READY_READ, s),
                     FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_int_equal(flow_write(&s[1]->base, "a", 1, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 2);
    flow_close(&m->base);
    flow_close(&s[0]->base);
    flow_close(&s[1]->base);
}

static void
flow_may_be_removed_while_its_event_list_is_handled(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct mock *a = mock_new(&env, MOCK_CAPS);
    struct mock *b = mock_new(&env, MOCK_CAPS);

    assert_int_equal(flow_poller_add(p, &a->base, FLOW_READY_READ, a), FLOW_OK);
    assert_int_equal(flow_poller_add(p, &b->base, FLOW_READY_READ, b), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 2);
    flow_poller_remove(p, &b->base);
    flow_close(&b->base);
    assert_ptr_equal(ev[0].flow, &a->base);
    assert_null(ev[1].flow);
    assert_null(ev[1].user);
    assert_int_equal(ev[1].ready, 0);
    assert_int_equal(now(p, &ev, 4), 1);
    flow_close(&a->base);
    assert_int_equal(now(p, &ev, 4), 0);
}

static void
only_events_of_the_interest_are_reported(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct sock *s[2];
    size_t n;

    sock_pair(s);
    assert_int_equal(flow_write(&s[1]->base, "a", 1, &n), FLOW_OK);
    assert_int_equal(flow_poller_add(p, &s[0]->base, 0, NULL), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);
    flow_poller_set(p, &s[0]->base, FLOW_READY_READ);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_int_equal(ev[0].ready, FLOW_READY_READ);
    flow_poller_set(p, &s[0]->base, FLOW_READY_WRITE);
    assert_int_equal(now(p, &ev, 4), 1);
    assert_int_equal(ev[0].ready, FLOW_READY_WRITE);
    flow_poller_set(p, &s[0]->base, 0);
    assert_int_equal(now(p, &ev, 4), 0);
    /* The flow is readable, but nothing asked for that. */
    assert_int_equal(
        flow_poller_wait(p, 4, flow__plat_now() + 2 * MSEC, &ev, &n),
        FLOW_E_TIMEOUT);
    flow_close(&s[0]->base);
    flow_close(&s[1]->base);
}

static void
deadlines_are_reported_until_moved(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct sock *s[2];
    uint64_t due;
    size_t n;

    sock_pair(s);
    assert_int_equal(flow_poller_add(p, &s[0]->base, FLOW_READY_READ, NULL),
                     FLOW_OK);
    assert_int_equal(flow_poller_add(p, &s[1]->base, 0, NULL), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);
    assert_true(flow_poller_timeout(p) == FLOW_NEVER);
    due = flow__plat_now() + 2 * MSEC;
    flow_set_deadline(&s[0]->base, FLOW_READ, due);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].flow, &s[0]->base);
    assert_int_equal(ev[0].ready, FLOW_READY_DEADLINE);
    assert_true(flow__plat_now() >= due);
    assert_int_equal(now(p, &ev, 4), 1);
    flow_set_deadline(&s[0]->base, FLOW_READ, FLOW_NEVER);
    assert_int_equal(now(p, &ev, 4), 0);

    flow_set_deadline(&s[1]->base, FLOW_WRITE, flow__plat_now() + 1);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_ptr_equal(ev[0].flow, &s[1]->base);
    flow_close(&s[0]->base);
    flow_close(&s[1]->base);
}

static void
deadlines_are_reported_in_their_order(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct mock *m[50];
    uint64_t base = flow__plat_now() + 3600 * 1000 * MSEC;
    uint64_t last = 0, due;
    size_t i;

    for (i = 0; i < COUNT(m); i++) {
        m[i] = mock_new(&env, MOCK_CAPS);
        m[i]->ready = 0;
        flow_set_deadline(&m[i]->base, FLOW_READ, base + i * 37 % 50);
        assert_int_equal(flow_poller_add(p, &m[i]->base, 0, NULL), FLOW_OK);
    }
    assert_int_equal(now(p, &ev, 1), 0);
    /* The earliest of the remaining deadlines comes next. */
    for (i = 0; i < COUNT(m); i++) {
        size_t k, first = COUNT(m);

        due = flow_poller_timeout(p);
        assert_true(due > last);
        last = due;
        for (k = 0; k < COUNT(m); k++)
            if (m[k] != NULL && m[k]->base.deadline[0] == due)
                first = k;
        assert_in_range(first, 0, COUNT(m) - 1);
        flow_close(&m[first]->base);
        m[first] = NULL;
    }
    assert_true(flow_poller_timeout(p) == FLOW_NEVER);
}

static void *
disturb(void *arg)
{
    struct flow **f = arg;

    flow_abort(f[0]);
    return NULL;
}

static void
abort_from_another_thread_is_reported(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct flow *d[2];
    pthread_t thread;
    size_t n;

    duct_new(&env, 16, d);
    assert_int_equal(flow_poller_add(p, d[0], FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, disturb, d), 0);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    pthread_join(thread, NULL);
    flow_close(d[0]);
    flow_close(d[1]);
}

static void *
wake_poller(void *arg)
{
    flow_poller_wake(arg);
    return NULL;
}

static void
wakeup_ends_this_wait_or_the_next(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    pthread_t thread;
    size_t n = 99;

    flow_poller_wake(p);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 0);
    assert_int_equal(now(p, &ev, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, wake_poller, p), 0);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 0);
    pthread_join(thread, NULL);
}

/* A thread that hands something over wakes the poller, and the caller may look
 * for it only when no flow is listed. */
static void
wakeup_with_an_event_ends_the_next_wait(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct flow *d[2];
    char c;
    size_t n;

    duct_new(&env, 16, d);
    assert_int_equal(flow_poller_add(p, d[0], FLOW_READY_READ, NULL), FLOW_OK);
    assert_int_equal(flow_write(d[1], "a", 1, &n), FLOW_OK);
    flow_poller_wake(p);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_int_equal(flow_read(d[0], &c, 1, &n), FLOW_OK);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 0);
    assert_int_equal(now(p, &ev, 4), 0);
    flow_close(d[0]);
    flow_close(d[1]);
}

/* A poll of idle flows calls none of them. */
static void
idle_flows_are_not_polled(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct sock *idle[100][2], *s[2];
    unsigned waits = 0;
    char buf[4];
    size_t i, n;

    for (i = 0; i < COUNT(idle); i++) {
        sock_pair(idle[i]);
        idle[i][0]->waits = &waits;
        assert_int_equal(
            flow_poller_add(p, &idle[i][0]->base, FLOW_READY_READ, NULL),
            FLOW_OK);
    }
    sock_pair(s);
    assert_int_equal(flow_poller_add(p, &s[0]->base, FLOW_READY_READ, NULL),
                     FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);
    assert_int_equal(waits, COUNT(idle));
    for (i = 0; i < 50; i++) {
        assert_int_equal(flow_write(&s[1]->base, "a", 1, &n), FLOW_OK);
        assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
        assert_int_equal(flow_read(&s[0]->base, buf, 4, &n), FLOW_OK);
    }
    assert_int_equal(waits, COUNT(idle));
    for (i = 0; i < COUNT(idle); i++) {
        flow_close(&idle[i][0]->base);
        flow_close(&idle[i][1]->base);
    }
    flow_close(&s[0]->base);
    flow_close(&s[1]->base);
}

/* A flow that opens may get another descriptor, with a number that another flow
 * had. */
static void
flows_may_exchange_descriptor_numbers(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct sock *a[2], *b[2];
    int old, moved;
    size_t n;

    sock_pair(a);
    assert_int_equal(flow_poller_add(p, &a[0]->base, FLOW_READY_READ, a),
                     FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 0);
    /* a moves to another number, b gets a's old one and is looked at first. */
    old = a[0]->fd;
    moved = dup(old);
    close(old);
    a[0]->fd = moved;
    sock_pair(b);
    assert_int_equal(b[0]->fd, old);
    assert_int_equal(flow_poller_add(p, &b[0]->base, FLOW_READY_READ, b),
                     FLOW_OK);
    flow_poller_set(p, &a[0]->base, FLOW_READY_READ | FLOW_READY_FLUSH);
    assert_int_equal(now(p, &ev, 4), 0);
    assert_int_equal(flow_write(&b[1]->base, "x", 1, &n), FLOW_OK);
    assert_int_equal(flow_poller_wait(p, 4, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].user, b);
    assert_int_equal(flow_write(&a[1]->base, "x", 1, &n), FLOW_OK);
    assert_int_equal(now(p, &ev, 4), 2);
    flow_close(&a[0]->base);
    flow_close(&a[1]->base);
    flow_close(&b[0]->base);
    flow_close(&b[1]->base);
}

/* Waits for an event that may be replaced by another one at the same
 * address. */
struct fickle {
    struct flow base;
    struct flow_event event;
    bool ready;
};

static enum flow_status
fickle_readv(struct flow *f, const struct flow_vec *vec, size_t count,
             size_t *ret_len)
{
    (void)f;
    (void)vec;
    (void)count;
    (void)ret_len;
    return FLOW_AGAIN;
}

static enum flow_status
fickle_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
              uint32_t flags, size_t *ret_len)
{
    (void)f;
    (void)vec;
    (void)count;
    (void)flags;
    (void)ret_len;
    return FLOW_AGAIN;
}

static uint32_t
fickle_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct fickle *x = (struct fickle *)(void *)f;

    if (x->ready)
        return interest;
    flow_wait_add_event(set, &x->event, flow_event_sequence(&x->event));
    return 0;
}

static void
fickle_close(struct flow *f)
{
    flow_base_fini(f);
}

static const struct flow_ops fickle_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "fickle",
    .readv = fickle_readv,
    .writev = fickle_writev,
    .wait = fickle_wait,
    .close = fickle_close,
};

static void
new_event_at_an_old_address_is_registered_again(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct fickle x = { .ready = false };
    size_t n;

    assert_int_equal(
        flow_base_init(&x.base, &fickle_ops, &env, FLOW_CAP_DUPLEX), FLOW_OK);
    flow_event_init(&x.event);
    assert_int_equal(flow_poller_add(p, &x.base, FLOW_READY_READ, NULL),
                     FLOW_OK);
    assert_int_equal(now(p, &ev, 2), 0);
    flow_event_fini(&x.event);
    flow_event_init(&x.event);
    assert_int_equal(flow_read(&x.base, &n, 1, &n), FLOW_AGAIN);
    assert_int_equal(now(p, &ev, 2), 0);
    x.ready = true;
    flow_event_signal(&x.event);
    assert_int_equal(flow_poller_wait(p, 2, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    flow_close(&x.base);
    flow_event_fini(&x.event);
}

/* Echo over two ducts through one poller, in many sizes and orders. */
static void
bytes_pass_in_both_directions(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct flow *d[2];
    uint64_t sent = 0, got = 0;
    char buf[5];
    size_t i, n, k;

    duct_new(&env, 7, d);
    assert_int_equal(flow_poller_add(p, d[0], FLOW_READY_WRITE, NULL), FLOW_OK);
    assert_int_equal(flow_poller_add(p, d[1], FLOW_READY_READ, NULL), FLOW_OK);
    while (got < 5000) {
        assert_int_equal(flow_poller_wait(p, 2, FLOW_NEVER, &ev, &n), FLOW_OK);
        for (i = 0; i < n; i++) {
            if (ev[i].flow == d[0]) {
                if (flow_write(d[0], "abc", 3, &k) == FLOW_OK)
                    sent += k;
            } else if (flow_read(d[1], buf, sizeof(buf), &k) == FLOW_OK) {
                got += k;
            }
        }
    }
    assert_in_range(sent - got, 0, 7);
    flow_close(d[0]);
    flow_close(d[1]);
}

static void
every_failed_allocation_is_survived(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct mock *m = mock_new(&env, MOCK_CAPS);
    size_t blocks = fake.live_blocks;
    uint64_t n;

    for (n = 1;; n++) {
        fake.fail_at = fake.allocs + n;
        if (flow_poller_add(p, &m->base, FLOW_READY_READ, NULL) == FLOW_OK)
            break;
        /* The capacity may have grown; nothing else was added. */
        assert_in_range(fake.live_blocks, blocks, blocks + 2);
    }
    assert_in_range(n, 3, 4);
    fake.fail_at = 0;
    flow_close(&m->base);
}

static void
null_environment_is_the_default(void **state)
{
    const struct flow_poller_event *event;
    struct flow_poller *p;
    size_t n;

    (void)state;
    assert_int_equal(flow_poller_new(NULL, &p), FLOW_OK);
    assert_int_equal(flow_poller_wait(p, 1, FLOW_NOW, &event, &n),
                     FLOW_E_TIMEOUT);
    flow_poller_free(p);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(descriptor_and_event_flows_are_level_triggered),
        TEST(bytes_read_ahead_are_reported),
        TEST(poller_waits_for_the_size_of_a_refused_lease),
        TEST(short_event_list_starves_no_descriptor),
        TEST(ready_flows_do_not_hide_the_others),
        TEST(flow_may_be_removed_while_its_event_list_is_handled),
        TEST(only_events_of_the_interest_are_reported),
        TEST(deadlines_are_reported_until_moved),
        TEST(deadlines_are_reported_in_their_order),
        TEST(abort_from_another_thread_is_reported),
        TEST(wakeup_ends_this_wait_or_the_next),
        TEST(wakeup_with_an_event_ends_the_next_wait),
        TEST(idle_flows_are_not_polled),
        TEST(flows_may_exchange_descriptor_numbers),
        TEST(new_event_at_an_old_address_is_registered_again),
        TEST(bytes_pass_in_both_directions),
        TEST(every_failed_allocation_is_survived),
        TEST(null_environment_is_the_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
