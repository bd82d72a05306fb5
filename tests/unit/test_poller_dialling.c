/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <flow/backend.h>
#include <flow/poller.h>
#include <flow/tcp.h>

#include "poller_events.h"
#include "unit.h"

/* The TCP dialler in a poller: its attempts come and go with descriptors. */

#define MSEC UINT64_C(1000000)

/* Two addresses: the first one's listener has a full backlog and does not
 * answer, so the second wins. */
struct flow_lookup {
    struct flow_addr addr[2];
};

static struct flow_lookup the_lookup;

static enum flow_status
two_start(void *ctx, const char *host, uint16_t port,
          struct flow_lookup **ret_lookup)
{
    (void)ctx;
    (void)host;
    (void)port;
    *ret_lookup = &the_lookup;
    return FLOW_OK;
}

static enum flow_status
two_result(struct flow_lookup *lookup, struct flow_addr *ret_addr, size_t cap,
           size_t *ret_count, int32_t *ret_code)
{
    (void)ret_code;
    assert_true(cap >= 2);
    memcpy(ret_addr, lookup->addr, sizeof(lookup->addr));
    *ret_count = 2;
    return FLOW_OK;
}

static void
two_wait(struct flow_lookup *lookup, struct flow_wait_set *set)
{
    (void)lookup;
    (void)set;
}

static void
two_cancel(struct flow_lookup *lookup)
{
    (void)lookup;
}

static const char *
two_text(int32_t code)
{
    (void)code;
    return "two";
}

static const struct flow_resolver two = { two_start, two_result, two_wait,
                                          two_cancel, two_text };

static int
listen_at(uint32_t address, uint16_t *port, int backlog)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(address);
    at.sin_port = htons(*port);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Fill a listener's backlog; returns how many descriptors that took. */
static size_t
fill_queue(uint32_t address, uint16_t port, int fd[4])
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    struct pollfd p = { .events = POLLOUT };
    size_t i;

    to.sin_addr.s_addr = htonl(address);
    to.sin_port = htons(port);
    for (i = 0; i < 4; i++) {
        fd[i] = socket(AF_INET, SOCK_STREAM, 0);
        fcntl(fd[i], F_SETFL, O_NONBLOCK);
        (void)!connect(fd[i], (struct sockaddr *)&to, sizeof(to));
        p.fd = fd[i];
        if (poll(&p, 1, 50) == 0)
            return i + 1;
    }
    return i;
}

static void
open_over(struct flow_poller *p, struct flow *f)
{
    const struct flow_poller_event *ev;
    enum flow_status st;
    size_t n;

    while ((st = flow_open(f)) == FLOW_AGAIN)
        assert_int_equal(flow_poller_wait(p, 8, FLOW_NEVER, &ev, &n), FLOW_OK);
    assert_int_equal(st, FLOW_OK);
}

static void
losing_connection_attempt_leaves_the_poller(void **state)
{
    struct flow_poller *p = *(struct flow_poller **)*state;
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    struct flow_env env = *flow_env_default();
    const struct flow_poller_event *ev;
    int full, good, queue[4], attempt, copy;
    enum flow_status st;
    uint16_t port = 0;
    struct flow *f;
    size_t n, queued;

    full = listen_at(0x7f000002, &port, 0);
    good = listen_at(0x7f000003, &port, 8);
    queued = fill_queue(0x7f000002, port, queue);
    memset(&the_lookup, 0, sizeof(the_lookup));
    for (n = 0; n < 2; n++) {
        the_lookup.addr[n].family = 4;
        the_lookup.addr[n].port = port;
        memcpy(the_lookup.addr[n].bytes, "\x7f\0\0\2", 4);
        the_lookup.addr[n].bytes[3] += (uint8_t)n;
    }
    env.resolver = &two;
    assert_int_equal(flow_tcp_dial(&env, "two.example", port, NULL, &f, NULL),
                     FLOW_OK);
    assert_int_equal(flow_poller_add(p, f, FLOW_READY_OPEN, NULL), FLOW_OK);
    /* The first attempt's descriptor is the lowest free one. */
    attempt = dup(0);
    close(attempt);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    copy = dup(attempt);
    assert_true(copy >= 0);
    /* The poller sees the first attempt.  On a slow machine the second one is
     * due by the end of this wait. */
    st = flow_poller_wait(p, 8, flow_env_default()->now(NULL) + MSEC, &ev, &n);
    assert_true(st == FLOW_E_TIMEOUT || st == FLOW_OK);
    open_over(p, f);
    assert_int_equal(flow_poller_set(p, f, FLOW_READY_READ), FLOW_OK);
    poller_expect(p, NULL);
    /* The loser's file has an error now, and the poller does not report it. */
    (void)!connect(copy, &none, sizeof(none));
    assert_int_equal(
        poll(&(struct pollfd){ .fd = copy, .events = POLLOUT }, 1, 1000), 1);
    assert_true(poller_is_quiet(p));
    flow_close(f);
    assert_true(poller_is_quiet(p));
    close(copy);
    close(full);
    close(good);
    while (queued > 0)
        close(queue[--queued]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        POLLER_TEST(losing_connection_attempt_leaves_the_poller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
