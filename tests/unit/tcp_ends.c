/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <flow/util.h>

#include "tcp_ends.h"
#include "unit.h"

struct flow_listener *
tcp_listen_on(const struct flow_env *env, const char *host,
              const struct flow_tcp_options *opt)
{
    struct flow_listener *l = NULL;
    struct flow_error err;

    if (flow_tcp_listen(env, host, 0, opt, &l, &err) != FLOW_OK)
        fail_msg("%s: %s", host, err.text);
    return l;
}

void
tcp_address_of(struct flow_listener *l, char *text, size_t size)
{
    assert_int_equal(
        flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, text, &size), FLOW_OK);
}

uint16_t
tcp_port_of(struct flow_listener *l)
{
    char text[80];

    tcp_address_of(l, text, sizeof(text));
    return (uint16_t)atoi(strrchr(text, ':') + 1);
}

int
tcp_fd_of(struct flow *f)
{
    size_t len = sizeof(int);
    int fd = -1;

    assert_int_equal(flow_query(f, FLOW_QUERY_FD, &fd, &len), FLOW_OK);
    return fd;
}

int
tcp_option_of(struct flow *f, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(tcp_fd_of(f), level, name, &value, &len), 0);
    return value;
}

struct tcp_ends
tcp_connect_to(struct flow_listener *l, const char *host,
               const struct flow_tcp_options *opt)
{
    const struct flow_env *env = flow_env_default();
    struct tcp_ends e = { NULL, NULL };

    assert_int_equal(flow_tcp_dial(NULL, host, tcp_port_of(l), opt, &e.a, NULL),
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

struct tcp_ends
tcp_connected(void)
{
    struct flow_listener *l = tcp_listen_on(NULL, "127.0.0.1", NULL);
    struct tcp_ends e = tcp_connect_to(l, "127.0.0.1", NULL);

    flow_listener_close(l);
    return e;
}

void
tcp_close_ends(struct tcp_ends *e)
{
    flow_close(e->a);
    flow_close(e->b);
}

/* A port without a listener: bound, so that no other program gets it, nor the
 * dialling socket. */
int
tcp_hold_port(uint16_t *ret_port)
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
