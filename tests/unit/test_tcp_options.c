/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <flow/util.h>

#include "tcp_ends.h"
#include "unit.h"

static void
options_reach_the_socket(void **state)
{
    const struct flow_tcp_options opt = { .delay = true, .keepalive = true };
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    struct tcp_ends plain = tcp_connect_to(l, "127.0.0.1", NULL);
    struct tcp_ends tuned = tcp_connect_to(l, "127.0.0.1", &opt);

    (void)state;
    assert_true(tcp_option_of(plain.a, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(tcp_option_of(plain.b, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_true(tcp_option_of(plain.a, SOL_SOCKET, SO_KEEPALIVE) == 0);
    assert_true(tcp_option_of(tuned.a, IPPROTO_TCP, TCP_NODELAY) == 0);
    assert_true(tcp_option_of(tuned.a, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_true((fcntl(tcp_fd_of(plain.a), F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(tcp_fd_of(plain.b), F_GETFD) & FD_CLOEXEC) != 0);

    assert_int_equal(flow_control(plain.a, FLOW_CONTROL_NODELAY, 0), FLOW_OK);
    assert_true(tcp_option_of(plain.a, IPPROTO_TCP, TCP_NODELAY) == 0);
    assert_int_equal(flow_control(plain.b, FLOW_CONTROL_KEEPALIVE, 1), FLOW_OK);
    assert_true(tcp_option_of(plain.b, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_int_equal(flow_control(plain.a, FLOW_CONTROL_NODELAY, 2),
                     FLOW_E_INVAL);
    assert_int_equal(flow_control(plain.a, FLOW_CONTROL_REKEY, 0),
                     FLOW_E_NOTSUP);
    tcp_close_ends(&plain);
    tcp_close_ends(&tuned);
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
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", &opt);
    struct tcp_ends e = tcp_connect_to(l, "127.0.0.1", &opt);
    struct flow *end[2] = { e.a, e.b };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        assert_true(tcp_option_of(end[i], SOL_SOCKET, SO_KEEPALIVE) != 0);
#ifdef TCP_KEEPIDLE
        assert_int_equal(tcp_option_of(end[i], IPPROTO_TCP, TCP_KEEPIDLE), 20);
#endif
        assert_int_equal(tcp_option_of(end[i], IPPROTO_TCP, TCP_KEEPINTVL), 1);
        assert_int_equal(tcp_option_of(end[i], IPPROTO_TCP, TCP_KEEPCNT), 3);
    }
    tcp_close_ends(&e);
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
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    struct flow *f;

    (void)state;
    assert_int_equal(
        flow_tcp_dial(NULL, "127.0.0.1", tcp_port_of(l), NULL, &f, NULL),
        FLOW_OK);
    assert_int_equal(flow_control(f, FLOW_CONTROL_NODELAY, 0), FLOW_OK);
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    assert_true(tcp_option_of(f, IPPROTO_TCP, TCP_NODELAY) == 0);
    flow_close(f);
    flow_listener_close(l);
}

static void
source_address_is_the_one_the_peer_sees(void **state)
{
    struct flow_tcp_options opt = { .source = "127.0.0.2" };
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    struct flow_listener *other = tcp_listen_on(NULL, "127.0.0.1", NULL);
    struct tcp_ends e = tcp_connect_to(l, "127.0.0.1", &opt);
    char expected[40];
    int held = tcp_hold_port(&opt.source_port);

    (void)state;
    assert_peer(e.b, "127.0.0.2:");
    tcp_close_ends(&e);

    /* Bound at 127.0.0.1 only, so nothing is at 127.0.0.2. */
    snprintf(expected, sizeof(expected), "127.0.0.2:%u",
             (unsigned)opt.source_port);
    e = tcp_connect_to(l, "127.0.0.1", &opt);
    assert_peer(e.b, expected);
    tcp_close_ends(&e);
    /* The system still remembers the connection that used it. */
    e = tcp_connect_to(other, "127.0.0.1", &opt);
    assert_peer(e.b, expected);
    tcp_close_ends(&e);
    close(held);
    flow_listener_close(l);
    flow_listener_close(other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_reach_the_socket),
        cmocka_unit_test(probe_times_reach_both_sockets),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(source_address_is_the_one_the_peer_sees),
        cmocka_unit_test(error_for_a_foreign_source_address_names_it),
        cmocka_unit_test(options_set_before_connecting_take_effect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
