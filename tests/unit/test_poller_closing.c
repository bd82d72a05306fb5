/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/resource.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <flow/backend.h>
#include <flow/poller.h>
#include <flow/tcp.h>
#include <flow/unix.h>
#include <flow/util.h>

#include "poller_events.h"
#include "unit.h"

/*
 * Descriptors that are closed while registered with a poller, although the open
 * file lives on in another descriptor.  Unless the flow announces the close,
 * the system would report the file for ever.
 */

#define MSEC UINT64_C(1000000)

/* A flow over descriptors that the test replaces. */
struct mover {
    struct flow base;
    int fd[2];      /* waits for both; -1: none */
    int next;       /* becomes fd[0] after the next read */
    bool is_silent; /* does not announce the close */
    int closed[2];  /* duplicates of the closed ones */
    int reports;    /* counts calls, for the test */
};

/* The test only reads from these flows. */
static enum flow_status
never_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
             uint32_t flags, size_t *ret_len)
{
    (void)f;
    (void)vec;
    (void)count;
    (void)flags;
    (void)ret_len;
    return FLOW_AGAIN;
}

static enum flow_status
mover_readv(struct flow *f, const struct flow_vec *vec, size_t count,
            size_t *ret_len)
{
    struct mover *m = (struct mover *)(void *)f;
    size_t i;

    (void)vec;
    (void)count;
    (void)ret_len;
    for (i = 0; i < 2; i++) {
        if (m->fd[i] < 0)
            continue;
        m->closed[i] = dup(m->fd[i]);
        if (!m->is_silent)
            flow_fd_closing(f, i == 0 ? m->fd[0] : -1);
        close(m->fd[i]);
        m->fd[i] = -1;
    }
    m->fd[0] = m->next;
    m->next = -1;
    return FLOW_AGAIN;
}

static uint32_t
mover_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct mover *m = (struct mover *)(void *)f;
    uint32_t ready = 0;
    size_t i;

    for (i = 0; i < 2; i++)
        if (m->fd[i] >= 0 &&
            flow_wait_fd_ready(set, m->fd[i], FLOW_WAIT_IN) != 0)
            ready = interest;
    for (i = 0; i < 2 && ready == 0; i++)
        if (m->fd[i] >= 0)
            flow_wait_add_fd(set, m->fd[i], FLOW_WAIT_IN);
    return ready;
}

static void
mover_close(struct flow *f)
{
    struct mover *m = (struct mover *)(void *)f;
    size_t i;

    flow_base_fini(f);
    for (i = 0; i < 2; i++)
        if (m->fd[i] >= 0)
            close(m->fd[i]);
    free(m);
}

static const struct flow_ops mover_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "mover",
    .readv = mover_readv,
    .writev = never_writev,
    .wait = mover_wait,
    .close = mover_close,
};

static struct mover *
mover_new(int first, int second)
{
    struct mover *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    assert_int_equal(
        flow_base_init(&m->base, &mover_ops, flow_env_default(), FLOW_CAP_FD),
        FLOW_OK);
    m->fd[0] = first;
    m->fd[1] = second;
    m->next = -1;
    return m;
}

static void
announced_close_removes_the_registration(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct mover *m;
    int a[2], b[2], c[2];
    char byte;
    size_t n;

    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    assert_int_equal(pipe(c), 0);
    m = mover_new(a[0], b[0]);
    m->next = c[0];
    assert_int_equal(flow_poller_add(p, &m->base, FLOW_READY_READ, m), FLOW_OK);
    poller_expect(p, NULL);
    assert_int_equal(flow_read(&m->base, &byte, 1, &n), FLOW_AGAIN);
    poller_expect(p, NULL);
    /* The duplicates are readable, and the poller does not report them. */
    assert_int_equal(write(a[1], "x", 1), 1);
    assert_int_equal(write(b[1], "x", 1), 1);
    assert_true(poller_is_quiet(p));
    assert_int_equal(write(c[1], "x", 1), 1);
    poller_expect(p, &m->base);
    close(m->closed[0]);
    close(m->closed[1]);
    flow_close(&m->base);
    assert_true(poller_is_quiet(p));
    close(a[1]);
    close(b[1]);
    close(c[1]);
}

/* Two flows with one descriptor each and one that they share: if the first
 * announces the close of all of its own, the second loses the shared one
 * too. */
static void
announced_close_reaches_flows_that_share_a_descriptor(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct mover *m, *other;
    int a[2], b[2], copy;

    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    m = mover_new(a[0], b[0]);
    other = mover_new(-1, b[0]);
    assert_int_equal(flow_poller_add(p, &m->base, FLOW_READY_READ, m), FLOW_OK);
    assert_int_equal(flow_poller_add(p, &other->base, FLOW_READY_READ, other),
                     FLOW_OK);
    poller_expect(p, NULL);
    copy = dup(b[0]);
    flow_fd_closing(&m->base, -1);
    close(b[0]);
    m->fd[1] = -1;
    other->fd[1] = -1;
    assert_int_equal(write(b[1], "x", 1), 1);
    assert_true(poller_is_quiet(p));
    flow_close(&m->base);
    flow_close(&other->base);
    assert_true(poller_is_quiet(p));
    close(copy);
    close(a[1]);
    close(b[1]);
}

/* A backend that breaks the rule: its old registration stays, but its events
 * are not taken for those of a flow. */
static void
events_of_a_lost_descriptor_are_ignored(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct mover *m, *other;
    int a[2], b[2], old, copy;
    char byte;
    size_t n;

    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    old = a[0];
    m = mover_new(old, -1);
    m->is_silent = true;
    assert_int_equal(flow_poller_add(p, &m->base, FLOW_READY_READ, m), FLOW_OK);
    poller_expect(p, NULL);
    assert_int_equal(flow_read(&m->base, &byte, 1, &n), FLOW_AGAIN);
    copy = m->closed[0];
    flow_close(&m->base);
    /* Another file gets the number, then another flow. */
    assert_int_equal(dup2(b[0], old), old);
    close(b[0]);
    assert_int_equal(write(a[1], "x", 1), 1);
    poller_expect(p, NULL);
    other = mover_new(old, -1);
    assert_int_equal(flow_poller_add(p, &other->base, FLOW_READY_READ, other),
                     FLOW_OK);
    poller_expect(p, NULL);
    assert_int_equal(write(b[1], "x", 1), 1);
    poller_expect(p, &other->base);
    flow_close(&other->base);
    poller_expect(p, NULL);
    close(copy);
    close(a[1]);
    close(b[1]);
}

/* --- unannounced closes --------------------------------------------------- */

static unsigned looks;

static uint64_t
counting_now(void *ctx)
{
    (void)ctx;
    looks++;
    return flow_env_default()->now(flow_env_default()->ctx);
}

/* A flow whose descriptor was closed by someone else, of a file that stays
 * open and becomes readable; then the flow is closed.  Returns the open
 * descriptor. */
static int
leave_stale(struct flow_poller *p, int *ret_writer)
{
    struct flow *f;
    int fd[2], copy;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(flow_fd_adopt(NULL, fd[0], fd[0], &f, NULL), FLOW_OK);
    assert_int_equal(flow_poller_add(p, f, FLOW_READY_READ, NULL), FLOW_OK);
    poller_expect(p, NULL);
    copy = dup(fd[0]);
    assert_true(copy >= 0);
    close(fd[0]);
    /* The flow closes its number, so no other file may have it by then. */
    flow_close(f);
    assert_int_equal(write(fd[1], "x", 1), 1);
    *ret_writer = fd[1];
    return copy;
}

/* The system reports the file for ever; the poller sleeps all the same. */
static void
unannounced_close_costs_one_event(void **state)
{
    struct flow_env env = *flow_env_default();
    const struct flow_poller_event *ev;
    struct flow_poller *p;
    int copy[3], writer[3];
    size_t i, n;

    (void)state;
    env.now = counting_now;
    assert_int_equal(flow_poller_new(&env, &p), FLOW_OK);
    for (i = 0; i < 3; i++)
        copy[i] = leave_stale(p, &writer[i]);
    looks = 0;
    assert_int_equal(
        flow_poller_wait(p, 8, env.now(NULL) + 100 * MSEC, &ev, &n),
        FLOW_E_TIMEOUT);
    /* One turn of the loop per return of the system's wait, and few readings of
     * the clock in each. */
    assert_true(looks < 40);
    assert_true(poller_is_quiet(p));
    for (i = 0; i < 3; i++) {
        close(copy[i]);
        close(writer[i]);
    }
    flow_poller_free(p);
}

/* The other flows are still watched. */
static void
unannounced_close_does_not_affect_other_flows(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct mover *m[20];
    int pipes[20][2], copy, writer;
    size_t i, n, total;

    for (i = 0; i < COUNT(m); i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        m[i] = mover_new(pipes[i][0], -1);
        assert_int_equal(flow_poller_add(p, &m[i]->base, FLOW_READY_READ, m[i]),
                         FLOW_OK);
    }
    copy = leave_stale(p, &writer);
    /* Ready before the old set is closed, and after. */
    for (i = 0; i < COUNT(m); i++) {
        if (i == COUNT(m) / 2) {
            for (total = 0; total < i; total += n)
                assert_int_equal(flow_poller_wait(p, 3, FLOW_NEVER, &ev, &n),
                                 FLOW_OK);
        }
        assert_int_equal(write(pipes[i][1], "x", 1), 1);
    }
    /* The order of reports stays. */
    for (total = 0; total < 2 * COUNT(m); total += n) {
        assert_int_equal(flow_poller_wait(p, 1, FLOW_NEVER, &ev, &n), FLOW_OK);
        assert_int_equal(n, 1);
        ((struct mover *)ev[0].user)->reports++;
    }
    for (i = 0; i < COUNT(m); i++) {
        assert_in_range(m[i]->reports, 1, 3);
        flow_close(&m[i]->base);
    }
    assert_true(poller_is_quiet(p));
    close(copy);
    close(writer);
    for (i = 0; i < COUNT(m); i++)
        close(pipes[i][1]);
}

#ifdef __linux__
/* A foreign loop that has the descriptor in its own epoll set, and asked for it
 * once, sees later events. */
static void
foreign_loop_keeps_its_descriptor(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct epoll_event event = { .events = EPOLLIN };
    int loop, fd, a[2], copy, writer;
    struct mover *m;

    loop = epoll_create1(0);
    fd = flow_poller_fd(p);
    /* The portable poller has no descriptor. */
    if (fd >= 0)
        assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
    assert_int_equal(pipe(a), 0);
    m = mover_new(a[0], -1);
    assert_int_equal(flow_poller_add(p, &m->base, FLOW_READY_READ, m), FLOW_OK);
    poller_expect(p, NULL);
    copy = leave_stale(p, &writer);
    poller_expect(p, NULL);
    assert_int_equal(flow_poller_fd(p), fd);
    assert_true(fd < 0 || epoll_wait(loop, &event, 1, 0) == 0);
    assert_int_equal(write(a[1], "x", 1), 1);
    assert_true(fd < 0 || epoll_wait(loop, &event, 1, 5000) == 1);
    poller_expect(p, &m->base);
    flow_close(&m->base);
    poller_expect(p, NULL);
    assert_true(fd < 0 || epoll_wait(loop, &event, 1, 0) == 0);
    flow_poller_wake(p);
    assert_true(fd < 0 || epoll_wait(loop, &event, 1, 0) == 1);
    close(loop);
    close(copy);
    close(writer);
    close(a[1]);
}

/* If no descriptor is left for a new set, the old one stays in use. */
static void
set_that_cannot_be_renewed_stays_in_use(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct rlimit was, none;
    int a[2], copy, writer, lowest;
    struct mover *m;

    assert_int_equal(pipe(a), 0);
    m = mover_new(a[0], -1);
    assert_int_equal(flow_poller_add(p, &m->base, FLOW_READY_READ, m), FLOW_OK);
    copy = leave_stale(p, &writer);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    lowest = dup(0);
    close(lowest);
    none = was;
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    poller_expect(p, NULL);
    assert_int_equal(write(a[1], "x", 1), 1);
    poller_expect(p, &m->base);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    poller_expect(p, &m->base);
    flow_close(&m->base);
    assert_true(poller_is_quiet(p));
    close(copy);
    close(writer);
    close(a[1]);
}
#endif

/* A layer that closes the flow below within an operation. */
static enum flow_status
dropper_readv(struct flow *f, const struct flow_vec *vec, size_t count,
              size_t *ret_len)
{
    (void)vec;
    (void)count;
    (void)ret_len;
    if (f->lower == NULL)
        return FLOW_AGAIN;
    flow_close(f->lower);
    f->lower = NULL;
    return FLOW_AGAIN;
}

static uint32_t
dropper_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    if (f->lower != NULL)
        return flow_wait_sources(f->lower, interest, set);
    return 0;
}

static void
dropper_close(struct flow *f)
{
    flow_base_fini(f);
    free(f);
}

static const struct flow_ops dropper_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "dropper",
    .readv = dropper_readv,
    .writev = never_writev,
    .wait = dropper_wait,
    .close = dropper_close,
};

static void
layer_may_close_its_lower_flow_in_a_poller(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct flow *f = calloc(1, sizeof(*f));
    struct flow *lower;
    int fd[2], copy;
    char byte;
    size_t n;

    assert_non_null(f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(flow_fd_adopt(NULL, fd[0], fd[0], &lower, NULL), FLOW_OK);
    copy = dup(fd[0]);
    assert_int_equal(flow_base_wrap(f, &dropper_ops, lower, true, FLOW_CAP_FD),
                     FLOW_OK);
    assert_int_equal(flow_poller_add(p, f, FLOW_READY_READ, NULL), FLOW_OK);
    poller_expect(p, NULL);
    assert_int_equal(flow_read(f, &byte, 1, &n), FLOW_AGAIN);
    assert_int_equal(write(fd[1], "x", 1), 1);
    assert_true(poller_is_quiet(p));
    flow_close(f);
    close(copy);
    close(fd[1]);
}

/* A terminal is one open file with two descriptors; here a pipe's end that
 * another descriptor has, too. */
static void
ended_direction_closes_its_descriptor(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    static char block[4096];
    int in[2], out[2], copy;
    struct flow *f;
    size_t n;

    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    copy = dup(out[1]);
    assert_int_equal(flow_fd_adopt(NULL, in[0], out[1], &f, NULL), FLOW_OK);
    while (flow_write(f, block, sizeof(block), &n) == FLOW_OK)
        continue;
    assert_int_equal(
        flow_poller_add(p, f, FLOW_READY_READ | FLOW_READY_WRITE, NULL),
        FLOW_OK);
    poller_expect(p, NULL);
    assert_int_equal(flow_shutdown(f, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_poller_set(p, f, FLOW_READY_READ), FLOW_OK);
    while (poll(&(struct pollfd){ .fd = copy, .events = POLLOUT }, 1, 0) == 0)
        assert_true(read(out[0], block, sizeof(block)) > 0);
    assert_true(poller_is_quiet(p));
    flow_close(f);
    assert_true(poller_is_quiet(p));
    close(copy);
    close(in[1]);
    close(out[0]);
}

/* Several flows over one descriptor, as with a resolver or an event channel. */
static void
flows_may_share_a_descriptor(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    const struct flow_poller_event *ev;
    struct mover *m[3];
    size_t i, n;
    int a[2];
    char byte;

    assert_int_equal(pipe(a), 0);
    for (i = 0; i < COUNT(m); i++) {
        m[i] = mover_new(a[0], -1);
        assert_int_equal(flow_poller_add(p, &m[i]->base, FLOW_READY_READ, m[i]),
                         FLOW_OK);
    }
    poller_expect(p, NULL);
    assert_int_equal(write(a[1], "x", 1), 1);
    assert_int_equal(flow_poller_wait(p, 8, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 3);
    /* One is removed: the others stay registered. */
    m[1]->fd[0] = -1;
    flow_close(&m[1]->base);
    assert_int_equal(flow_poller_wait(p, 8, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(n, 2);
    /* The owner closes it: no flow waits for it any more. */
    m[2]->fd[0] = -1;
    assert_int_equal(flow_read(&m[0]->base, &byte, 1, &n), FLOW_AGAIN);
    assert_true(poller_is_quiet(p));
    close(m[0]->closed[0]);
    flow_close(&m[0]->base);
    flow_close(&m[2]->base);
    close(a[1]);
}

/* --- processes ----------------------------------------------------------- */

/* In a child every call is refused except closing, which does not affect the
 * parent. */
static int
use_inherited(struct flow_poller *p, struct flow *f, struct flow *g)
{
    const struct flow_poller_event *ev;
    size_t n;

    if (flow_poller_wait(p, 4, FLOW_NOW, &ev, &n) != FLOW_E_INVAL || n != 0)
        return 1;
    if (flow_poller_set(p, f, FLOW_READY_WRITE) != FLOW_E_INVAL ||
        flow_poller_remove(p, f) != FLOW_E_INVAL ||
        flow_poller_add(p, g, FLOW_READY_READ, NULL) != FLOW_E_INVAL)
        return 2;
    if (flow_poller_fd(p) != -1 || flow_poller_timeout(p) != FLOW_NEVER)
        return 3;
    flow_poller_wake(p);
    flow_close(f);
    flow_poller_free(p);
    /* The flow can be added to another poller. */
    if (flow_poller_new(NULL, &p) != FLOW_OK ||
        flow_poller_add(p, g, FLOW_READY_READ, g) != FLOW_OK ||
        flow_poller_wait(p, 4, FLOW_NOW, &ev, &n) != FLOW_E_TIMEOUT)
        return 4;
    flow_poller_free(p);
    return 0;
}

static void
child_does_not_change_the_parents_poller(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct flow *f[2], *g[2];
    int fd[2], status;
    pid_t child;
    size_t n;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(flow_fd_adopt(NULL, fd[0], fd[0], &f[0], NULL), FLOW_OK);
    assert_int_equal(flow_fd_adopt(NULL, fd[1], fd[1], &f[1], NULL), FLOW_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(flow_fd_adopt(NULL, fd[0], fd[0], &g[0], NULL), FLOW_OK);
    assert_int_equal(flow_fd_adopt(NULL, fd[1], fd[1], &g[1], NULL), FLOW_OK);
    assert_int_equal(flow_poller_add(p, f[0], FLOW_READY_READ, NULL), FLOW_OK);
    poller_expect(p, NULL);
    child = fork();
    if (child == 0)
        _exit(use_inherited(p, f[0], g[0]));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(poller_is_quiet(p));
    assert_int_equal(flow_write(f[1], "x", 1, &n), FLOW_OK);
    poller_expect(p, f[0]);
    flow_close(f[0]);
    assert_true(poller_is_quiet(p));
    flow_close(f[1]);
    flow_close(g[0]);
    flow_close(g[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        POLLER_TEST(announced_close_removes_the_registration),
        POLLER_TEST(announced_close_reaches_flows_that_share_a_descriptor),
        POLLER_TEST(events_of_a_lost_descriptor_are_ignored),
        POLLER_TEST(unannounced_close_costs_one_event),
        POLLER_TEST(unannounced_close_does_not_affect_other_flows),
#ifdef __linux__
        POLLER_TEST(foreign_loop_keeps_its_descriptor),
        POLLER_TEST(set_that_cannot_be_renewed_stays_in_use),
#endif
        POLLER_TEST(layer_may_close_its_lower_flow_in_a_poller),
        POLLER_TEST(ended_direction_closes_its_descriptor),
        POLLER_TEST(flows_may_share_a_descriptor),
        POLLER_TEST(child_does_not_change_the_parents_poller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
