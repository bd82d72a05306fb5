/* SPDX-License-Identifier: ISC */
#include <flow/endpoint.h>
#include <flow/lwip.h>

#include "backends/lwip/addr.h"

/* Named by the list of schemes in flow/schemes.h, which the build writes. */
extern const struct flow_scheme flow__scheme_lwip;

static struct flow_lwip_options
lwip_scheme_options(const struct flow_endpoint_options *opt)
{
    struct flow_lwip_options lwip = { .timeout = 0 };

    if (opt != NULL) {
        lwip.timeout = opt->timeout;
        lwip.backlog = opt->backlog;
        lwip.delay = opt->delay;
        lwip.keepalive = opt->keepalive;
    }
    return lwip;
}

static enum flow_status
lwip_scheme_dial(const struct flow_env *env, const char *rest,
                 const struct flow_endpoint_options *opt,
                 struct flow **ret_flow, struct flow_error *err)
{
    struct flow_lwip_options lwip = lwip_scheme_options(opt);
    char host[LWIP_HOST_SIZE];
    uint16_t port;
    enum flow_status st = flow__lwip_addr_split(rest, host, &port, err);

    if (st != FLOW_OK)
        return st;
    return flow_lwip_dial(env, host, port, &lwip, ret_flow, err);
}

static enum flow_status
lwip_scheme_listen(const struct flow_env *env, const char *rest,
                   const struct flow_endpoint_options *opt,
                   struct flow_listener **ret_listener, struct flow_error *err)
{
    struct flow_lwip_options lwip = lwip_scheme_options(opt);
    char host[LWIP_HOST_SIZE];
    uint16_t port;
    enum flow_status st = flow__lwip_addr_split(rest, host, &port, err);

    if (st != FLOW_OK)
        return st;
    return flow_lwip_listen(env, host, port, &lwip, ret_listener, err);
}

const struct flow_scheme flow__scheme_lwip = {
    .name = "lwip",
    .syntax = "lwip://ADDRESS:PORT",
    .dial = lwip_scheme_dial,
    .listen = lwip_scheme_listen,
};
