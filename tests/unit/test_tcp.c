/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifdef __linux__
#include <linux/sockios.h>
#endif

#include <flow/endpoint.h>
#include <flow/tcp.h>
#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "stream.h"
#include "tcp_ends.h"
#include "unit.h"

static void
bytes_pass_and_half_close_works(void **state)
{
    struct tcp_ends e = tcp_connected();
    size_t n;
    char c;

    (void)state;
    stream_text(e.a, e.b, "question");
    assert_int_equal(flow_shutdown(e.a, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(e.b, &c, 1, &n), FLOW_EOF);
    stream_text(e.b, e.a, "answer");
    assert_int_equal(flow_shutdown(e.b, FLOW_WRITE), FLOW_OK);
    assert_int_equal(flow_read_wait(e.a, &c, 1, &n), FLOW_EOF);
    tcp_close_ends(&e);
}

static void
capabilities_are_exact(void **state)
{
    const uint32_t caps = FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |
                          FLOW_CAP_ORDERLY_END | FLOW_CAP_DUPLEX | FLOW_CAP_FD |
                          FLOW_CAP_RESETS_UNREAD;
    struct tcp_ends e = tcp_connected();
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
    tcp_close_ends(&e);
}

static void
names_are_resolved(void **state)
{
    struct flow_listener *l = tcp_listen_on(NULL, "*", NULL);
    struct tcp_ends e = tcp_connect_to(l, "localhost", NULL);

    (void)state;
    stream_text(e.a, e.b, "hello");
    stream_text(e.b, e.a, "hello");
    tcp_close_ends(&e);
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
    struct tcp_ends e = tcp_connected();
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
    tcp_close_ends(&e);

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

#ifdef __linux__
/* Bytes that were accepted and not sent yet. */
static int
unsent(struct flow *f)
{
    int n = -1;

    assert_int_equal(ioctl(tcp_fd_of(f), SIOCOUTQNSD, &n), 0);
    return n;
}

static void
flush_sends_bytes_that_more_held_back(void **state)
{
    const struct flow_tcp_options slow = { .delay = true };
    const struct flow_cvec v = { "tick", 4 };
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    struct tcp_ends e;
    size_t n;
    int turn;

    (void)state;
    for (turn = 0; turn < 2; turn++) {
        e = tcp_connect_to(l, "127.0.0.1", turn == 0 ? NULL : &slow);
        assert_int_equal(flow_writev(e.a, &v, 1, FLOW_MORE, &n), FLOW_OK);
        assert_int_equal(unsent(e.a), 4);
        assert_int_equal(flow_flush(e.a), FLOW_OK);
        assert_int_equal(unsent(e.a), 0);
        assert_true(tcp_option_of(e.a, IPPROTO_TCP, TCP_NODELAY) ==
                    (turn == 0));

        /* C17: and so does the end. */
        assert_int_equal(flow_writev(e.a, &v, 1, FLOW_MORE, &n), FLOW_OK);
        assert_int_equal(unsent(e.a), 4);
        assert_int_equal(flow_shutdown(e.a, FLOW_WRITE), FLOW_OK);
        assert_int_equal(unsent(e.a), 0);
        tcp_close_ends(&e);
    }
    flow_listener_close(l);
}
#endif

static void
fin_is_sent_with_the_last_bytes(void **state)
{
    struct flow_cvec v[3] = { { "a", 1 }, { "bc", 2 }, { "def", 3 } };
    struct tcp_ends e = tcp_connected();
    char buf[6];
    size_t n;

    (void)state;
    assert_int_equal(flow_writev(e.a, v, 3, FLOW_FIN, &n), FLOW_OK);
    assert_int_equal(n, 6);
    assert_int_equal(flow_read_exact(e.b, buf, 6, &n), FLOW_OK);
    assert_memory_equal(buf, "abcdef", 6);
    assert_int_equal(flow_read_wait(e.b, buf, 1, &n), FLOW_EOF);
    tcp_close_ends(&e);
}

/* The system reports the peer's reset to one call only; the other direction
 * must not take what follows for an orderly end. */
static void
reset_is_never_an_orderly_end(void **state)
{
    const struct linger abort_it = { 1, 0 };
    struct flow_error err;
    enum flow_status st;
    struct tcp_ends e;
    char c;
    size_t n;
    int turn;

    (void)state;
    for (turn = 0; turn < 2; turn++) {
        e = tcp_connected();
        assert_int_equal(setsockopt(tcp_fd_of(e.b), SOL_SOCKET, SO_LINGER,
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
    struct tcp_ends e = tcp_connected();
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
    held = tcp_hold_port(&port);
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
    tcp_address_of(l, name + 6, sizeof(name) - 6);
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
    l = tcp_listen_on(&fake.env, "127.0.0.1", NULL);
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", tcp_port_of(l), NULL, &f, NULL),
        FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow_accept_wait(l, &f), FLOW_E_NOMEM);
    flow_close(f);
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", tcp_port_of(l), NULL, &f, NULL),
        FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    flow_close(f);
    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    flow_close(f);
    flow_listener_close(l);
    assert_int_equal(fake.live_blocks, 0);
}

/* ---- threads ---- */

static void
four_threads_may_use_one_connection(void **state)
{
    struct tcp_ends e = tcp_connected();

    (void)state;
    flow_set_deadline(e.a, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    flow_set_deadline(e.b, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    stream_both_ways(e.a, e.b);
    tcp_close_ends(&e);
}

/* The threads of both directions start on a flow that is not connected yet. */
static void
two_threads_may_open_one_flow(void **state)
{
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    pthread_t thread[4];
    struct tcp_ends e;
    void *result;
    int i;

    (void)state;
    assert_int_equal(
        flow_tcp_dial(NULL, "localhost", tcp_port_of(l), NULL, &e.a, NULL),
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
    tcp_close_ends(&e);
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
    struct tcp_ends e;
    size_t n;
    char c;
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        e = tcp_connected();
        assert_int_equal(
            pthread_create(&writer, NULL, write_until_it_fails, e.a), 0);
        assert_int_equal(flow_read_wait(e.b, &c, 1, &n), FLOW_OK);
        assert_int_equal(setsockopt(tcp_fd_of(e.b), SOL_SOCKET, SO_LINGER,
                                    &abort_it, sizeof(abort_it)),
                         0);
        flow_close(e.b);
        st = flow_read_wait(e.a, &c, 1, &n);
        assert_int_equal(pthread_join(writer, NULL), 0);
        assert_int_equal(st, FLOW_E_RESET);
        flow_close(e.a);
    }
}

static void
abort_wakes_a_reader(void **state)
{
    struct tcp_ends e = tcp_connected();
    struct stream_reader reader;

    (void)state;
    flow_set_deadline(e.a, FLOW_READ, FLOW_NEVER);
    stream_reader_start(&reader, e.a);
    flow_abort(e.a);
    assert_int_equal(stream_reader_join(&reader), FLOW_E_CANCELED);
    tcp_close_ends(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_and_half_close_works),
        cmocka_unit_test(capabilities_are_exact),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(dial_waits_for_its_resolver_until_the_deadline),
        cmocka_unit_test(queries_answer_addresses_and_footprint),
#ifdef __linux__
        cmocka_unit_test(flush_sends_bytes_that_more_held_back),
#endif
        cmocka_unit_test(fin_is_sent_with_the_last_bytes),
        cmocka_unit_test(reset_is_never_an_orderly_end),
        cmocka_unit_test(writing_to_a_closed_peer_fails_without_a_signal),
        cmocka_unit_test(refused_connections_and_invalid_arguments_fail),
        cmocka_unit_test(tcp_endpoints_dial_and_listen),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(four_threads_may_use_one_connection),
        cmocka_unit_test(two_threads_may_open_one_flow),
        cmocka_unit_test(reset_ends_reader_and_writer_threads),
        cmocka_unit_test(abort_wakes_a_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
