/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <flow/util.h>

#include "lib/plat/fake/fake.h"
#include "stream.h"
#include "tcp_ends.h"
#include "unit.h"

static void
listening_on_port_0_reports_the_port(void **state)
{
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    char text[80];

    (void)state;
    tcp_address_of(l, text, sizeof(text));
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0);
    assert_true(atoi(text + 10) > 0);
    flow_listener_close(l);
}

static void
error_of_a_refused_listen_says_why(void **state)
{
    const struct flow_tcp_options negative = { .backlog = -1 };
    const struct flow_tcp_options source = { .source = "127.0.0.1" };
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
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
        flow_tcp_listen(NULL, "127.0.0.1", tcp_port_of(l), NULL, &other, &err),
        FLOW_E_SYS);
    assert_int_equal(err.code, EADDRINUSE);
    tcp_address_of(l, where, sizeof(where));
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
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", &opt);
    struct flow_listener *other = NULL;

    (void)state;
    assert_int_equal(
        flow_tcp_listen(NULL, "127.0.0.1", tcp_port_of(l), &opt, &other, NULL),
        FLOW_OK);
    flow_listener_close(other);
    flow_listener_close(l);
}

/* "*" takes both families on one port, "::" leaves IPv4 to others. */
static void
wildcard_listens_on_both_families(void **state)
{
    struct flow_listener *any = tcp_listen_on(NULL, "*", NULL);
    struct flow_listener *l = NULL;
    struct flow_listener *other = NULL;
    struct tcp_ends e;
    char text[80];
    size_t len;

    (void)state;
    e = tcp_connect_to(any, "127.0.0.1", NULL);
    len = sizeof(text);
    assert_int_equal(flow_query(e.b, FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_OK);
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0);
    stream_text(e.a, e.b, "four");
    tcp_close_ends(&e);
    if (flow_tcp_listen(NULL, "::1", 0, NULL, &l, NULL) != FLOW_OK) {
        /* A machine without IPv6. */
        flow_listener_close(any);
        return;
    }
    flow_listener_close(l);
    e = tcp_connect_to(any, "::1", NULL);
    len = sizeof(text);
    assert_int_equal(flow_query(e.b, FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_OK);
    assert_int_equal(strncmp(text, "[::1]:", 6), 0);
    stream_text(e.a, e.b, "six");
    tcp_close_ends(&e);
    flow_listener_close(any);

    l = tcp_listen_on(NULL, "::", NULL);
    assert_int_equal(
        flow_tcp_listen(NULL, "0.0.0.0", tcp_port_of(l), NULL, &other, NULL),
        FLOW_OK);
    flow_listener_close(other);
    flow_listener_close(l);
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
    l = tcp_listen_on(&fake.env, "127.0.0.1", NULL);
    for (i = 0; i < 3; i++)
        if (flow_tcp_dial(NULL, "127.0.0.1", tcp_port_of(l), NULL, &client[i],
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
    if (flow_tcp_dial(NULL, "127.0.0.1", tcp_port_of(l), NULL, &client[0],
                      NULL) != FLOW_OK ||
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
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    struct flow *f;
    struct tcp_ends e;
    size_t n;
    char c;

    (void)state;
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", tcp_port_of(l), NULL, &f, NULL),
        FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    assert_int_equal(setsockopt(tcp_fd_of(f), SOL_SOCKET, SO_LINGER, &abort_it,
                                sizeof(abort_it)),
                     0);
    flow_close(f);
    e = tcp_connect_to(l, "127.0.0.1", NULL);
    /* Linux returns the reset connection first, other systems drop it. */
    if (flow_read_wait(e.b, &c, 1, &n) == FLOW_E_RESET) {
        flow_close(e.b);
        assert_int_equal(flow_accept_wait(l, &e.b), FLOW_OK);
    }
    stream_text(e.a, e.b, "alive");
    tcp_close_ends(&e);
    flow_listener_close(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_on_port_0_reports_the_port),
        cmocka_unit_test(error_of_a_refused_listen_says_why),
        cmocka_unit_test(reuse_port_shares_a_port),
        cmocka_unit_test(wildcard_listens_on_both_families),
        cmocka_unit_test(listener_works_on_after_emfile),
        cmocka_unit_test(listener_skips_reset_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
