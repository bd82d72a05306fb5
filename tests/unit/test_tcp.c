/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifdef __linux__
#include <linux/sockios.h>
#endif

#include <flow/endpoint.h>
#include <flow/tcp.h>
#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)

static struct flow_listener *
listen_on(const struct flow_env *env, const char *host,
          const struct flow_tcp_options *opt)
{
    struct flow_listener *l = NULL;
    struct flow_error err;

    if (flow_tcp_listen(env, host, 0, opt, &l, &err) != FLOW_OK)
        fail_msg("%s: %s", host, err.text);
    return l;
}

static void
address_of(struct flow_listener *l, char *text, size_t size)
{
    assert_int_equal(
        flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, text, &size), FLOW_OK);
}

static uint16_t
port_of(struct flow_listener *l)
{
    char text[80];

    address_of(l, text, sizeof(text));
    return (uint16_t)atoi(strrchr(text, ':') + 1);
}

static int
fd_of(struct flow *f)
{
    size_t len = sizeof(int);
    int fd = -1;

    assert_int_equal(flow_query(f, FLOW_QUERY_FD, &fd, &len), FLOW_OK);
    return fd;
}

static int
option_of(struct flow *f, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd_of(f), level, name, &value, &len), 0);
    return value;
}

struct ends {
    struct flow *a; /* Dialled. */
    struct flow *b; /* Accepted. */
};

static struct ends
connect_to(struct flow_listener *l, const char *host,
           const struct flow_tcp_options *opt)
{
    const struct flow_env *env = flow_env_default();
    struct ends e = { NULL, NULL };

    assert_int_equal(flow_tcp_dial(NULL, host, port_of(l), opt, &e.a, NULL),
                     FLOW_OK);
    flow_set_deadline(e.a, FLOW_READ | FLOW_WRITE,
                      env->now(env->ctx) + 10 * SEC);
    assert_int_equal(flow_open_wait(e.a), FLOW_OK);
    flow_listener_set_deadline(l, env->now(env->ctx) + 10 * SEC);
    assert_int_equal(flow_accept_wait(l, &e.b), FLOW_OK);
    flow_set_deadline(e.b, FLOW_READ | FLOW_WRITE,
                      env->now(env->ctx) + 10 * SEC);
    return e;
}

static struct ends
connected(void)
{
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    struct ends e = connect_to(l, "127.0.0.1", NULL);

    flow_listener_close(l);
    return e;
}

static void
close_ends(struct ends *e)
{
    flow_close(e->a);
    flow_close(e->b);
}

static void
pass(struct flow *from, struct flow *to, const char *text)
{
    char buf[64];
    size_t n;

    assert_int_equal(flow_write_all(from, text, strlen(text), NULL), FLOW_OK);
    assert_int_equal(flow_read_exact(to, buf, strlen(text), &n), FLOW_OK);
    assert_memory_equal(buf, text, strlen(text));
}

static void
listening_on_port_0_reports_the_port(void **state)
{
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    char text[80];

    (void)state;
    address_of(l, text, sizeof(text));
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0);
    assert_true(atoi(text + 10) > 0);
    flow_listener_close(l);
}

static void
bytes_pass_and_half_close_works(void **state)
{
    struct ends e = connected();
    size_t n;
    char c;

    (void)state;
    pass(e.a, e.b, "question");
    assert_int_equal(flow_shutdown(e.a, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(e.b, &c, 1, &n), FLOW_EOF);
    pass(e.b, e.a, "answer");
    assert_int_equal(flow_shutdown(e.b, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(e.a, &c, 1, &n), FLOW_EOF);
    close_ends(&e);
}

static void
capabilities_are_exact(void **state)
{
    const uint32_t caps = FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |
                          FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX | FLOW_CAP_FD;
    struct ends e = connected();
    struct flow *named;

    (void)state;
    assert_int_equal(flow_caps(e.a), caps | FLOW_CAP_NEEDS_OPEN);
    assert_int_equal(flow_caps(e.b), caps);
    /* A resolver may wait for other things than descriptors. */
    assert_int_equal(flow_tcp_dial(NULL, "localhost", 1, NULL, &named, NULL),
                     FLOW_OK);
    assert_int_equal(flow_caps(named),
                     (caps | FLOW_CAP_NEEDS_OPEN) & ~FLOW_CAP_FD);
    flow_close(named);
    close_ends(&e);
}

static void
names_are_resolved(void **state)
{
    struct flow_listener *l = listen_on(NULL, "*", NULL);
    struct ends e = connect_to(l, "localhost", NULL);

    (void)state;
    pass(e.a, e.b, "hello");
    pass(e.b, e.a, "hello");
    close_ends(&e);
    flow_listener_close(l);
}

/* A resolver that never answers and counts its calls. */
struct flow_lookup {
    struct flow_event event;
    unsigned started;
    unsigned cancelled;
};

static struct flow_lookup silent;

static enum flow_status
silent_start(void *ctx, const char *host, uint16_t port,
             struct flow_lookup **ret_lookup)
{
    (void)ctx;
    (void)host;
    (void)port;
    silent.started++;
    *ret_lookup = &silent;
    return FLOW_OK;
}

static enum flow_status
silent_result(struct flow_lookup *lookup, struct flow_addr *ret_addr,
              size_t cap, size_t *ret_count, int32_t *ret_code)
{
    (void)lookup;
    (void)ret_addr;
    (void)cap;
    (void)ret_count;
    (void)ret_code;
    return FLOW_AGAIN;
}

static void
silent_wait(struct flow_lookup *lookup, struct flow_wait_set *set)
{
    flow_wait_add_event(set, &lookup->event,
                        flow_event_sequence(&lookup->event));
}

static void
silent_cancel(struct flow_lookup *lookup)
{
    lookup->cancelled++;
}

static void
dial_waits_for_its_resolver_until_the_deadline(void **state)
{
    static const struct flow_resolver resolver = {
        .start = silent_start,
        .result = silent_result,
        .wait = silent_wait,
        .cancel = silent_cancel,
    };
    const struct flow_tcp_options opt = { .timeout = 3 * SEC };
    struct flow__fake fake;
    struct flow_error err;
    struct flow *f;
    uint64_t before;
    size_t n;

    (void)state;
    flow__fake_init(&fake, 1);
    fake.env.resolver = &resolver;
    before = fake.now;
    assert_int_equal(
        flow_tcp_dial(&fake.env, "silent.example", 80, &opt, &f, NULL),
        FLOW_OK);
    /* No call blocks, the first write included. */
    assert_int_equal(flow_write(f, "x", 1, &n), FLOW_AGAIN);
    assert_int_equal(silent.started, 1);
    assert_int_equal(flow_open_wait(f), FLOW_E_TIMEOUT);
    assert_int_equal(fake.now - before, 3 * SEC);
    flow_get_error(f, FLOW_READ, &err);
    assert_string_equal(err.detail, "silent.example:80");
    assert_int_equal(silent.cancelled, 1);
    assert_int_equal(flow_read(f, NULL, 1, &n), FLOW_E_TIMEOUT);
    flow_close(f);

    /* C45: the flow's own deadline has the same effect. */
    assert_int_equal(
        flow_tcp_dial(&fake.env, "silent.example", 80, NULL, &f, NULL),
        FLOW_OK);
    flow_set_deadline(f, FLOW_WRITE, fake.now + SEC);
    assert_int_equal(flow_open_wait(f), FLOW_E_TIMEOUT);
    flow_close(f);
    assert_int_equal(silent.started, 2);
    assert_int_equal(silent.cancelled, 2);
    assert_int_equal(fake.live_blocks, 0);
}

static void
queries_answer_addresses_and_footprint(void **state)
{
    struct ends e = connected();
    char local[80];
    char peer[80];
    char text[100];
    struct flow *f;
    size_t size = 0;
    size_t len;

    (void)state;
    len = sizeof(local);
    assert_int_equal(flow_query(e.a, FLOW_QUERY_LOCAL_ADDRESS, local, &len),
                     FLOW_OK);
    len = sizeof(peer);
    assert_int_equal(flow_query(e.b, FLOW_QUERY_PEER_ADDRESS, peer, &len),
                     FLOW_OK);
    assert_string_equal(local, peer);
    len = sizeof(text);
    assert_int_equal(flow_query(e.b, FLOW_QUERY_DESCRIPTION, text, &len),
                     FLOW_OK);
    assert_int_equal(strncmp(text, "tcp 127.0.0.1:", 14), 0);
    len = sizeof(size);
    assert_int_equal(flow_query(e.a, FLOW_QUERY_FOOTPRINT, &size, &len),
                     FLOW_OK);
    assert_true(size > 0 && size < 2048);
    close_ends(&e);

    /* C51. */
    assert_int_equal(flow_tcp_dial(NULL, "127.0.0.1", 1, NULL, &f, NULL),
                     FLOW_OK);
    len = sizeof(text);
    assert_int_equal(flow_query(f, FLOW_QUERY_LOCAL_ADDRESS, text, &len),
                     FLOW_AGAIN);
    assert_int_equal(flow_query(f, FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_AGAIN);
    len = sizeof(int);
    assert_int_equal(flow_query(f, FLOW_QUERY_FD, text, &len), FLOW_AGAIN);
    flow_close(f);
}

static void
options_reach_the_socket(void **state)
{
    const struct flow_tcp_options opt = { .delay = true, .keepalive = true };
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    struct ends plain = connect_to(l, "127.0.0.1", NULL);
    struct ends tuned = connect_to(l, "127.0.0.1", &opt);

    (void)state;
    assert_true(option_of(plain.a, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(option_of(plain.b, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(option_of(plain.a, SOL_SOCKET, SO_KEEPALIVE) == 0);
    assert_true(option_of(tuned.a, IPPROTO_TCP, TCP_NODELAY) == 0);
    assert_true(option_of(tuned.a, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_true((fcntl(fd_of(plain.a), F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(fd_of(plain.b), F_GETFD) & FD_CLOEXEC) != 0);

    assert_int_equal(flow_control(plain.a, FLOW_CONTROL_NODELAY, 0), FLOW_OK);
    assert_true(option_of(plain.a, IPPROTO_TCP, TCP_NODELAY) == 0);
    assert_int_equal(flow_control(plain.b, FLOW_CONTROL_KEEPALIVE, 1), FLOW_OK);
    assert_true(option_of(plain.b, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_int_equal(flow_control(plain.a, FLOW_CONTROL_NODELAY, 2),
                     FLOW_E_INVAL);
    assert_int_equal(flow_control(plain.a, FLOW_CONTROL_REKEY, 0),
                     FLOW_E_NOTSUP);
    close_ends(&plain);
    close_ends(&tuned);
    flow_listener_close(l);
}

/* The system counts seconds: fractions are rounded up. */
static void
probe_times_reach_both_sockets(void **state)
{
    const struct flow_tcp_options opt = {
        .keepalive_idle = 20 * SEC,
        .keepalive_interval = 1,
        .keepalive_count = 3,
    };
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", &opt);
    struct ends e = connect_to(l, "127.0.0.1", &opt);
    struct flow *end[2] = { e.a, e.b };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        assert_true(option_of(end[i], SOL_SOCKET, SO_KEEPALIVE) != 0);
#ifdef TCP_KEEPIDLE
        assert_int_equal(option_of(end[i], IPPROTO_TCP, TCP_KEEPIDLE), 20);
#endif
        assert_int_equal(option_of(end[i], IPPROTO_TCP, TCP_KEEPINTVL), 1);
        assert_int_equal(option_of(end[i], IPPROTO_TCP, TCP_KEEPCNT), 3);
    }
    close_ends(&e);
    flow_listener_close(l);
}

static void
assert_options_refused(const struct flow_tcp_options *opt, const char *text)
{
    struct flow_listener *l = NULL;
    struct flow *f = NULL;
    struct flow_error err;

    assert_int_equal(flow_tcp_dial(NULL, "127.0.0.1", 1, opt, &f, NULL),
                     FLOW_E_INVAL);
    assert_int_equal(flow_tcp_dial(NULL, "127.0.0.1", 1, opt, &f, &err),
                     FLOW_E_INVAL);
    assert_int_equal(err.status, FLOW_E_INVAL);
    assert_string_equal(err.text, text);
    assert_string_equal(err.layers[0], "tcp");
    assert_int_equal(flow_tcp_listen(NULL, "127.0.0.1", 0, opt, &l, &err),
                     FLOW_E_INVAL);
    assert_null(f);
    assert_null(l);
}

static void
options_out_of_range_are_refused(void **state)
{
    const struct flow_tcp_options idle = { .keepalive_idle = 32768 * SEC };
    const struct flow_tcp_options longest = {
        .keepalive_idle = 32767 * SEC,
        .keepalive_interval = 32767 * SEC,
        .keepalive_count = 127,
    };
    const struct flow_tcp_options interval = { .keepalive_interval =
                                                   UINT64_MAX };
    const struct flow_tcp_options count = { .keepalive_count = 128 };
    const struct flow_tcp_options name = { .source = "localhost" };
    const struct flow_tcp_options port = { .source_port = 7 };
    const struct flow_tcp_options kind = { .source = "::1" };
    struct flow *f;

    (void)state;
    assert_options_refused(&idle,
                           "a time between keepalive probes is too long");
    assert_options_refused(&interval,
                           "a time between keepalive probes is too long");
    assert_options_refused(&count, "too many keepalive probes");
    assert_options_refused(&name, "the source is not a valid address");
    assert_options_refused(&port, "a source port needs a source address");
    assert_options_refused(&kind,
                           "one of host and source is IPv4, the other IPv6");
    assert_int_equal(flow_tcp_dial(NULL, "127.0.0.1", 1, &longest, &f, NULL),
                     FLOW_OK);
    flow_close(f);
}

static void
assert_peer(struct flow *f, const char *address)
{
    char text[80];
    size_t len = sizeof(text);

    assert_int_equal(flow_query(f, FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_OK);
    if (strncmp(text, address, strlen(address)) != 0)
        fail_msg("%s is not %s", text, address);
}

static void
error_for_a_foreign_source_address_names_it(void **state)
{
    const struct flow_tcp_options opt = { .source = "192.0.2.77",
                                          .source_port = 9 };
    struct flow_error err;
    struct flow *f;

    (void)state;
    assert_int_equal(flow_tcp_dial(NULL, "127.0.0.1", 1, &opt, &f, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_E_SYS);
    flow_get_error(f, FLOW_WRITE, &err);
    assert_int_equal(err.code, EADDRNOTAVAIL);
    assert_string_equal(err.detail, "from 192.0.2.77:9");
    assert_non_null(err.hint);
    flow_close(f);
}

static void
options_set_before_connecting_take_effect(void **state)
{
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    struct flow *f;

    (void)state;
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", port_of(l), NULL, &f, NULL), FLOW_OK);
    assert_int_equal(flow_control(f, FLOW_CONTROL_NODELAY, 0), FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    assert_true(option_of(f, IPPROTO_TCP, TCP_NODELAY) == 0);
    flow_close(f);
    flow_listener_close(l);
}

#ifdef __linux__
/* Bytes that were accepted and not sent yet. */
static int
unsent(struct flow *f)
{
    int n = -1;

    assert_int_equal(ioctl(fd_of(f), SIOCOUTQNSD, &n), 0);
    return n;
}

static void
flush_sends_bytes_that_more_held_back(void **state)
{
    const struct flow_tcp_options slow = { .delay = true };
    const struct flow_cvec v = { "tick", 4 };
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    struct ends e;
    size_t n;
    int turn;

    (void)state;
    for (turn = 0; turn < 2; turn++) {
        e = connect_to(l, "127.0.0.1", turn == 0 ? NULL : &slow);
        assert_int_equal(flow_writev(e.a, &v, 1, FLOW_MORE, &n), FLOW_OK);
        assert_int_equal(unsent(e.a), 4);
        assert_int_equal(flow_flush(e.a), FLOW_OK);
        assert_int_equal(unsent(e.a), 0);
        assert_true(option_of(e.a, IPPROTO_TCP, TCP_NODELAY) == (turn == 0));

        /* C17: and so does the end. */
        assert_int_equal(flow_writev(e.a, &v, 1, FLOW_MORE, &n), FLOW_OK);
        assert_int_equal(unsent(e.a), 4);
        assert_int_equal(flow_shutdown(e.a, FLOW_WRITE), FLOW_OK);
        assert_int_equal(unsent(e.a), 0);
        close_ends(&e);
    }
    flow_listener_close(l);
}
#endif

static void
fin_is_sent_with_the_last_bytes(void **state)
{
    struct flow_cvec v[3] = { { "a", 1 }, { "bc", 2 }, { "def", 3 } };
    struct ends e = connected();
    char buf[6];
    size_t n;

    (void)state;
    assert_int_equal(flow_writev(e.a, v, 3, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(n, 6);
    assert_int_equal(flow_read_exact(e.b, buf, 6, &n), FLOW_OK);
    assert_memory_equal(buf, "abcdef", 6);
    assert_int_equal(flow_read_wait(e.b, buf, 1, &n), FLOW_EOF);
    close_ends(&e);
}

/* The system reports the peer's reset to one call only; the other direction
 * must not take what follows for an orderly end. */
static void
reset_is_never_an_orderly_end(void **state)
{
    const struct linger abort_it = { 1, 0 };
    struct flow_error err;
    enum flow_status st;
    struct ends e;
    char c;
    size_t n;
    int turn;

    (void)state;
    for (turn = 0; turn < 2; turn++) {
        e = connected();
        assert_int_equal(setsockopt(fd_of(e.b), SOL_SOCKET, SO_LINGER,
                                    &abort_it, sizeof(abort_it)),
                         0);
        flow_close(e.b);
        assert_int_equal(flow_wait(e.a, FLOW_READY_READ, NULL), FLOW_OK);
        if (turn == 0) {
            /* The write fails first. */
            st = flow_write(e.a, "x", 1, &n);
            assert_int_equal(st, FLOW_E_RESET);
            assert_int_equal(flow_read(e.a, &c, 1, &n), FLOW_E_RESET);
        } else {
            assert_int_equal(flow_read(e.a, &c, 1, &n), FLOW_E_RESET);
            assert_int_equal(flow_write(e.a, "x", 1, &n), FLOW_E_RESET);
        }
        flow_get_error(e.a, FLOW_READ, &err);
        assert_int_equal(err.code, ECONNRESET);
        assert_int_equal(strncmp(err.detail, "127.0.0.1:", 10), 0);
        flow_close(e.a);
    }
}

/* C33, with SIGPIPE at its default: a signal would kill the test. */
static void
writing_to_a_closed_peer_fails_without_a_signal(void **state)
{
    struct ends e = connected();
    enum flow_status st;
    size_t n;

    (void)state;
    flow_close(e.b);
    do {
        st = flow_write(e.a, "x", 1, &n);
        if (st == FLOW_AGAIN)
            assert_int_equal(flow_wait(e.a, FLOW_READY_WRITE, NULL), FLOW_OK);
    } while (st == FLOW_OK || st == FLOW_AGAIN);
    assert_true(st == FLOW_E_CLOSED || st == FLOW_E_RESET);
    flow_close(e.a);
}

/* A port without a listener: bound, so that no other program gets it, nor the
 * dialling socket. */
static int
hold_port(uint16_t *ret_port)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void
source_address_is_the_one_the_peer_sees(void **state)
{
    struct flow_tcp_options opt = { .source = "127.0.0.2" };
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    struct flow_listener *other = listen_on(NULL, "127.0.0.1", NULL);
    struct ends e = connect_to(l, "127.0.0.1", &opt);
    char expected[40];
    int held = hold_port(&opt.source_port);

    (void)state;
    assert_peer(e.b, "127.0.0.2:");
    close_ends(&e);

    /* Bound at 127.0.0.1 only, so nothing is at 127.0.0.2. */
    snprintf(expected, sizeof(expected), "127.0.0.2:%u",
             (unsigned)opt.source_port);
    e = connect_to(l, "127.0.0.1", &opt);
    assert_peer(e.b, expected);
    close_ends(&e);
    /* The system still remembers the connection that used it. */
    e = connect_to(other, "127.0.0.1", &opt);
    assert_peer(e.b, expected);
    close_ends(&e);
    close(held);
    flow_listener_close(l);
    flow_listener_close(other);
}

static void
refused_connections_and_invalid_arguments_fail(void **state)
{
    struct flow_error err;
    struct flow *f = NULL;
    char host[256];
    uint16_t port;
    int held;
    size_t n;

    (void)state;
    held = hold_port(&port);
    assert_int_equal(flow_tcp_dial(NULL, "127.0.0.1", port, NULL, &f, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_E_SYS);
    assert_int_equal(flow_read(f, host, 1, &n), FLOW_E_SYS);
    assert_int_equal(flow_write(f, "x", 1, &n), FLOW_E_SYS);
    flow_get_error(f, FLOW_WRITE, &err);
    assert_int_equal(err.code, ECONNREFUSED);
    assert_int_equal(strncmp(err.detail, "127.0.0.1:", 10), 0);
    flow_close(f);
    close(held);

    f = NULL;
    memset(host, 'a', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    assert_int_equal(flow_tcp_dial(NULL, "", 1, NULL, &f, NULL), FLOW_E_INVAL);
    assert_int_equal(flow_tcp_dial(NULL, "", 1, NULL, &f, &err), FLOW_E_INVAL);
    assert_string_equal(err.text, "the host is empty");
    assert_int_equal(flow_tcp_dial(NULL, host, 1, NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the host name is too long");
    assert_int_equal(flow_tcp_dial(NULL, "a", 0, NULL, &f, &err), FLOW_E_INVAL);
    assert_string_equal(err.text, "the port to dial is 0");
    assert_string_equal(err.detail, "a");
    assert_null(f);
}

static void
error_of_a_refused_listen_says_why(void **state)
{
    const struct flow_tcp_options negative = { .backlog = -1 };
    const struct flow_tcp_options source = { .source = "127.0.0.1" };
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    struct flow_listener *other = NULL;
    struct flow_error err;
    char where[80];

    (void)state;
    assert_int_equal(flow_tcp_listen(NULL, "localhost", 0, NULL, &other, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.detail, "localhost");
    assert_non_null(err.hint);
    assert_int_equal(
        flow_tcp_listen(NULL, "127.0.0.1", 0, &negative, &other, &err),
        FLOW_E_INVAL);
    assert_int_equal(
        flow_tcp_listen(NULL, "127.0.0.1", 0, &source, &other, &err),
        FLOW_E_INVAL);
    assert_string_equal(err.text, "a source address is only for dialling");
    assert_int_equal(
        flow_tcp_listen(NULL, "127.0.0.1", port_of(l), NULL, &other, &err),
        FLOW_E_SYS);
    assert_int_equal(err.code, EADDRINUSE);
    address_of(l, where, sizeof(where));
    assert_string_equal(err.detail, where);
    assert_int_equal(flow_tcp_listen(NULL, "192.0.2.77", 0, NULL, &other, NULL),
                     FLOW_E_SYS);
    assert_null(other);
    flow_listener_close(l);
}

static void
reuse_port_shares_a_port(void **state)
{
    const struct flow_tcp_options opt = { .reuse_port = true };
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", &opt);
    struct flow_listener *other = NULL;

    (void)state;
    assert_int_equal(
        flow_tcp_listen(NULL, "127.0.0.1", port_of(l), &opt, &other, NULL),
        FLOW_OK);
    flow_listener_close(other);
    flow_listener_close(l);
}

/* "*" takes both families on one port, "::" leaves IPv4 to others. */
static void
wildcard_listens_on_both_families(void **state)
{
    struct flow_listener *any = listen_on(NULL, "*", NULL);
    struct flow_listener *l = NULL;
    struct flow_listener *other = NULL;
    struct ends e;
    char text[80];
    size_t len;

    (void)state;
    e = connect_to(any, "127.0.0.1", NULL);
    len = sizeof(text);
    assert_int_equal(flow_query(e.b, FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_OK);
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0);
    pass(e.a, e.b, "four");
    close_ends(&e);
    if (flow_tcp_listen(NULL, "::1", 0, NULL, &l, NULL) != FLOW_OK) {
        /* A machine without IPv6. */
        flow_listener_close(any);
        return;
    }
    flow_listener_close(l);
    e = connect_to(any, "::1", NULL);
    len = sizeof(text);
    assert_int_equal(flow_query(e.b, FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_OK);
    assert_int_equal(strncmp(text, "[::1]:", 6), 0);
    pass(e.a, e.b, "six");
    close_ends(&e);
    flow_listener_close(any);

    l = listen_on(NULL, "::", NULL);
    assert_int_equal(
        flow_tcp_listen(NULL, "0.0.0.0", port_of(l), NULL, &other, NULL),
        FLOW_OK);
    flow_listener_close(other);
    flow_listener_close(l);
}

static void
tcp_endpoints_dial_and_listen(void **state)
{
    struct flow_endpoint_options opt = { .timeout = 10 * SEC };
    struct flow_listener *l = NULL;
    struct flow_error err;
    struct flow *f = NULL;
    struct flow *b;
    char name[100] = "tcp://";
    size_t n;
    char c;

    (void)state;
    assert_int_equal(
        flow_endpoint_listen(NULL, "tcp://127.0.0.1:0", NULL, &l, &err),
        FLOW_OK);
    address_of(l, name + 6, sizeof(name) - 6);
    assert_int_equal(flow_endpoint_dial(NULL, name, &opt, &f, &err), FLOW_OK);
    assert_int_equal(flow_write_all(f, "x", 1, NULL), FLOW_OK);
    assert_int_equal(flow_accept_wait(l, &b), FLOW_OK);
    assert_int_equal(flow_read_exact(b, &c, 1, &n), FLOW_OK);
    flow_close(b);
    flow_close(f);
    flow_listener_close(l);

    f = NULL;
    assert_int_equal(
        flow_endpoint_dial(NULL, "tcp://127.0.0.1:0", NULL, &f, &err),
        FLOW_E_INVAL);
    assert_int_equal(flow_endpoint_dial(NULL, "tcp://x", NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_non_null(strstr(err.hint, "tcp://HOST:PORT"));
    assert_int_equal(
        flow_endpoint_listen(NULL, "tcp://name.example:1", NULL, &l, &err),
        FLOW_E_INVAL);
    assert_null(f);
}

static void
every_allocation_may_fail(void **state)
{
    struct flow__fake fake;
    struct flow_listener *l = NULL;
    struct flow *f = NULL;
    enum flow_status st;
    uint64_t n;

    (void)state;
    for (n = 1; n < 10; n++) {
        flow__fake_init(&fake, 1);
        fake.fail_at = n;
        st = flow_tcp_dial(&fake.env, "127.0.0.1", 1, NULL, &f, NULL);
        if (st == FLOW_OK)
            break;
        assert_int_equal(st, FLOW_E_NOMEM);
        assert_int_equal(fake.live_blocks, 0);
    }
    assert_int_equal(n, 3);
    flow_close(f);
    assert_int_equal(fake.live_blocks, 0);

    flow__fake_init(&fake, 1);
    fake.fail_at = 1;
    assert_int_equal(flow_tcp_listen(&fake.env, "127.0.0.1", 0, NULL, &l, NULL),
                     FLOW_E_NOMEM);
    assert_null(l);

    /* C77: the connection is dropped, and the listener works on. */
    l = listen_on(&fake.env, "127.0.0.1", NULL);
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", port_of(l), NULL, &f, NULL), FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow_accept_wait(l, &f), FLOW_E_NOMEM);
    flow_close(f);
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", port_of(l), NULL, &f, NULL), FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    flow_close(f);
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    flow_close(f);
    flow_listener_close(l);
    assert_int_equal(fake.live_blocks, 0);
}

/* In a child, since it uses up every descriptor. */
static int
run_out_of_descriptors(void)
{
    struct flow_wait_set set;
    struct rlimit limit;
    struct flow__fake fake;
    struct flow_listener *l;
    struct flow *client[3];
    struct flow *f;
    uint64_t until;
    size_t n;
    size_t i;
    char c;

    flow__fake_init(&fake, 1);
    l = listen_on(&fake.env, "127.0.0.1", NULL);
    for (i = 0; i < 3; i++)
        if (flow_tcp_dial(NULL, "127.0.0.1", port_of(l), NULL, &client[i],
                          NULL) != FLOW_OK ||
            flow_open_wait(client[i]) != FLOW_OK)
            return 1;
    /* Not one descriptor more than are open now. */
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 2;
    limit.rlim_cur = (rlim_t)dup(0);
    close((int)limit.rlim_cur);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 3;

    /* The first connection is dropped at once, then there is a pause. */
    if (flow_accept(l, &f) != FLOW_AGAIN)
        return 4;
    if (flow_read_wait(client[0], &c, 1, &n) == FLOW_OK || n != 0)
        return 5;
    flow_wait_set_init(&set);
    if (flow_listener_wait_sources(l, &set) || set.count != 1 ||
        set.source[0].event != &l->wake || set.deadline <= fake.now)
        return 6;
    until = set.deadline;
    /* No other connection is dropped meanwhile.  (Under valgrind the system
     * accepts before it says EMFILE, so the second may be gone too.) */
    if (flow_accept(l, &f) != FLOW_AGAIN ||
        flow_wait_sources(client[2], FLOW_READY_READ, &set) != 0)
        return 7;
    /* Still no descriptor: the next pause is longer. */
    fake.now = until;
    if (flow_accept(l, &f) != FLOW_AGAIN)
        return 8;
    flow_wait_set_init(&set);
    if (flow_listener_wait_sources(l, &set) ||
        set.deadline - until <= until - UINT64_C(1000000000))
        return 9;
    /* Descriptors are free again. */
    for (i = 0; i < 3; i++)
        flow_close(client[i]);
    if (flow_tcp_dial(NULL, "127.0.0.1", port_of(l), NULL, &client[0], NULL) !=
            FLOW_OK ||
        flow_open_wait(client[0]) != FLOW_OK)
        return 10;
    fake.now = set.deadline;
    flow_listener_set_deadline(l, fake.now + 10 * SEC);
    if (flow_accept_wait(l, &f) != FLOW_OK)
        return 11;
    flow_close(f);
    flow_close(client[0]);
    flow_listener_close(l);
    return fake.live_blocks == 0 ? 0 : 12;
}

static void
listener_works_on_after_emfile(void **state)
{
    int status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(run_out_of_descriptors());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A connection that was reset before it is accepted. */
static void
listener_skips_reset_connections(void **state)
{
    const struct linger abort_it = { 1, 0 };
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    struct flow *f;
    struct ends e;
    size_t n;
    char c;

    (void)state;
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", port_of(l), NULL, &f, NULL), FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    assert_int_equal(setsockopt(fd_of(f), SOL_SOCKET, SO_LINGER, &abort_it,
                                sizeof(abort_it)),
                     0);
    flow_close(f);
    e = connect_to(l, "127.0.0.1", NULL);
    /* Linux returns the reset connection first, other systems drop it. */
    if (flow_read_wait(e.b, &c, 1, &n) == FLOW_E_RESET) {
        flow_close(e.b);
        assert_int_equal(flow_accept_wait(l, &e.b), FLOW_OK);
    }
    pass(e.a, e.b, "alive");
    close_ends(&e);
    flow_listener_close(l);
}

/* ---- threads ---- */

#define STREAM_LEN 3000000u

static uint8_t
pattern(size_t at)
{
    return (uint8_t)(at * 31u + at / 251u);
}

static void *
stream_out(void *arg)
{
    struct flow *f = arg;
    static const size_t chunk = 40000;
    uint8_t *buf = malloc(chunk);
    size_t done = 0;
    size_t i;
    void *result = f;

    while (done < STREAM_LEN && result != NULL) {
        for (i = 0; i < chunk; i++)
            buf[i] = pattern(done + i);
        if (flow_write_all(f, buf, chunk, NULL) != FLOW_OK)
            result = NULL;
        done += chunk;
    }
    free(buf);
    if (flow_shutdown(f, FLOW_WRITE) != FLOW_OK)
        result = NULL;
    return result;
}

static void *
stream_in(void *arg)
{
    struct flow *f = arg;
    uint8_t buf[30000];
    enum flow_status st;
    size_t done = 0;
    size_t n;
    size_t i;

    while ((st = flow_read_wait(f, buf, sizeof(buf), &n)) == FLOW_OK) {
        for (i = 0; i < n; i++)
            if (buf[i] != pattern(done + i))
                return NULL;
        done += n;
    }
    return st == FLOW_EOF && done == STREAM_LEN ? f : NULL;
}

static void
four_threads_may_use_one_connection(void **state)
{
    struct ends e = connected();
    pthread_t thread[4];
    void *result;
    int i;

    (void)state;
    flow_set_deadline(e.a, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    flow_set_deadline(e.b, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    assert_int_equal(pthread_create(&thread[0], NULL, stream_out, e.a), 0);
    assert_int_equal(pthread_create(&thread[1], NULL, stream_in, e.b), 0);
    assert_int_equal(pthread_create(&thread[2], NULL, stream_out, e.b), 0);
    assert_int_equal(pthread_create(&thread[3], NULL, stream_in, e.a), 0);
    for (i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], &result), 0);
        assert_non_null(result);
    }
    close_ends(&e);
}

/* The threads of both directions start on a flow that is not connected yet. */
static void
two_threads_may_open_one_flow(void **state)
{
    struct flow_listener *l = listen_on(NULL, "127.0.0.1", NULL);
    pthread_t thread[4];
    struct ends e;
    void *result;
    int i;

    (void)state;
    assert_int_equal(
        flow_tcp_dial(NULL, "localhost", port_of(l), NULL, &e.a, NULL),
        FLOW_OK);
    assert_int_equal(pthread_create(&thread[0], NULL, stream_out, e.a), 0);
    assert_int_equal(pthread_create(&thread[1], NULL, stream_in, e.a), 0);
    assert_int_equal(flow_accept_wait(l, &e.b), FLOW_OK);
    assert_int_equal(pthread_create(&thread[2], NULL, stream_out, e.b), 0);
    assert_int_equal(pthread_create(&thread[3], NULL, stream_in, e.b), 0);
    for (i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], &result), 0);
        assert_non_null(result);
    }
    close_ends(&e);
    flow_listener_close(l);
}

static void *
write_until_it_fails(void *arg)
{
    static const char block[512];
    struct flow *f = arg;

    while (flow_write_all(f, block, sizeof(block), NULL) == FLOW_OK)
        continue;
    return NULL;
}

/* The reset may reach either thread first; neither sees an orderly end. */
static void
reset_ends_reader_and_writer_threads(void **state)
{
    const struct linger abort_it = { 1, 0 };
    enum flow_status st;
    pthread_t writer;
    struct ends e;
    size_t n;
    char c;
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        e = connected();
        assert_int_equal(
            pthread_create(&writer, NULL, write_until_it_fails, e.a), 0);
        assert_int_equal(flow_read_wait(e.b, &c, 1, &n), FLOW_OK);
        assert_int_equal(setsockopt(fd_of(e.b), SOL_SOCKET, SO_LINGER,
                                    &abort_it, sizeof(abort_it)),
                         0);
        flow_close(e.b);
        st = flow_read_wait(e.a, &c, 1, &n);
        assert_int_equal(pthread_join(writer, NULL), 0);
        assert_int_equal(st, FLOW_E_RESET);
        flow_close(e.a);
    }
}

struct blocked {
    struct flow *f;
    enum flow_status status;
};

static void *
block_in_read(void *arg)
{
    struct blocked *x = arg;
    size_t n;
    char c;

    x->status = flow_read_wait(x->f, &c, 1, &n);
    return NULL;
}

static void
abort_wakes_a_reader(void **state)
{
    struct ends e = connected();
    struct blocked x = { .f = e.a };
    pthread_t thread;

    (void)state;
    flow_set_deadline(e.a, FLOW_READ, FLOW_NEVER);
    assert_int_equal(pthread_create(&thread, NULL, block_in_read, &x), 0);
    flow_abort(e.a);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(x.status, FLOW_E_CANCELED);
    close_ends(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_on_port_0_reports_the_port),
        cmocka_unit_test(bytes_pass_and_half_close_works),
        cmocka_unit_test(capabilities_are_exact),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(dial_waits_for_its_resolver_until_the_deadline),
        cmocka_unit_test(queries_answer_addresses_and_footprint),
        cmocka_unit_test(options_reach_the_socket),
        cmocka_unit_test(probe_times_reach_both_sockets),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(source_address_is_the_one_the_peer_sees),
        cmocka_unit_test(error_for_a_foreign_source_address_names_it),
        cmocka_unit_test(options_set_before_connecting_take_effect),
#ifdef __linux__
        cmocka_unit_test(flush_sends_bytes_that_more_held_back),
#endif
        cmocka_unit_test(fin_is_sent_with_the_last_bytes),
        cmocka_unit_test(reset_is_never_an_orderly_end),
        cmocka_unit_test(writing_to_a_closed_peer_fails_without_a_signal),
        cmocka_unit_test(refused_connections_and_invalid_arguments_fail),
        cmocka_unit_test(error_of_a_refused_listen_says_why),
        cmocka_unit_test(reuse_port_shares_a_port),
        cmocka_unit_test(wildcard_listens_on_both_families),
        cmocka_unit_test(tcp_endpoints_dial_and_listen),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(listener_works_on_after_emfile),
        cmocka_unit_test(listener_skips_reset_connections),
        cmocka_unit_test(four_threads_may_use_one_connection),
        cmocka_unit_test(two_threads_may_open_one_flow),
        cmocka_unit_test(reset_ends_reader_and_writer_threads),
        cmocka_unit_test(abort_wakes_a_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
