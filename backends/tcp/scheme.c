/* SPDX-License-Identifier: ISC */
#include <flow/endpoint.h>
#include <flow/tcp.h>

#include "backends/tcp/addr.h"

/* Named by the list of schemes in flow/schemes.h, which the build writes. */
extern const struct flow_scheme flow__scheme_tcp;

static struct flow_tcp_options
tcp_options_of(const struct flow_endpoint_options *opt)
{
    struct flow_tcp_options tcp = { .timeout = 0 };

    if (opt != NULL) {
        tcp.timeout = opt->timeout;
        tcp.backlog = opt->backlog;
        tcp.reuse_port = opt->reuse_port;
        tcp.delay = opt->delay;
        tcp.keepalive = opt->keepalive;
    }
    return tcp;
}

static enum flow_status
tcp_scheme_dial(const struct flow_env *env, const char *rest,
                const struct flow_endpoint_options *opt, struct flow **ret_flow,
                struct flow_error *err)
{
    struct flow_tcp_options tcp = tcp_options_of(opt);
    struct tcp_endpoint to;
    enum flow_status st = flow__tcp_parse(rest, &to, err);

    if (st != FLOW_OK)
        return st;
    return flow_tcp_dial(env, to.host, to.port, &tcp, ret_flow, err);
}

static enum flow_status
tcp_scheme_listen(const struct flow_env *env, const char *rest,
                  const struct flow_endpoint_options *opt,
                  struct flow_listener **ret_listener, struct flow_error *err)
{
    struct flow_tcp_options tcp = tcp_options_of(opt);
    struct tcp_endpoint at;
    enum flow_status st = flow__tcp_parse(rest, &at, err);

    if (st != FLOW_OK)
        return st;
    return flow_tcp_listen(env, at.host, at.port, &tcp, ret_listener, err);
}

const struct flow_scheme flow__scheme_tcp = {
    .name = "tcp",
    .syntax = "tcp://HOST:PORT",
    .dial = tcp_scheme_dial,
    .listen = tcp_scheme_listen,
};
