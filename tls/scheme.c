/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/endpoint.h>
#include <flow/tls_holder.h>

#include "tls/config.h"
#include "tls/tls_flow.h"

/*
 * "tls+SCHEME:REST": TLS on whatever "SCHEME:REST" is.
 */

static enum flow_status
scheme_refuse(struct flow_error *err, enum flow_status status, const char *text,
              const char *hint)
{
    (void)flow_error_set(err, status, "tls", FLOW_DOMAIN_NONE, 0, text);
    if (err != NULL)
        err->hint = hint;
    return status;
}

/* The host in "scheme://host:port" or "scheme://[v6]:port"; false where the
 * inner name has none. */
static bool
scheme_host_of(const char *inner, char *host, size_t cap)
{
    const char *begin = strchr(inner, ':');
    const char *end;
    size_t len;

    if (begin == NULL || strncmp(begin, "://", 3) != 0)
        return false;
    begin += 3;
    if (*begin == '[') {
        begin++;
        end = strchr(begin, ']');
    } else {
        end = strchr(begin, ':');
    }
    if (end == NULL)
        return false;
    len = (size_t)(end - begin);
    if (len == 0 || len >= cap || memchr(begin, '/', len) != NULL)
        return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    return true;
}

static enum flow_status
scheme_client_config(const struct flow_env *env,
                     const struct flow_endpoint_options *opt,
                     struct flow_tls_config **ret_config,
                     struct flow_error *err)
{
    enum flow_status st;

    if (opt->tls != NULL) {
        *ret_config = flow_tls_config_ref(opt->tls);
    } else {
        st = flow_tls_config_new_client(env, ret_config, err);
        if (st != FLOW_OK)
            return st;
    }
    st = flow_tls_config_freeze(*ret_config, err);
    if (st == FLOW_OK && (*ret_config)->server)
        st = scheme_refuse(err, FLOW_E_INVAL,
                           "a server's configuration cannot dial",
                           "make one with flow_tls_config_new_client()");
    if (st != FLOW_OK)
        flow_tls_config_unref(*ret_config);
    return st;
}

static enum flow_status
scheme_wrap_dialled(struct flow_tls_config *config, struct flow *lower,
                    const char *inner, const struct flow_endpoint_options *opt,
                    struct flow **ret_flow, struct flow_error *err)
{
    char host[FLOW__NAME_MAX + 2];
    const char *name = opt->server_name;
    enum flow_status st;

    if (name == NULL && scheme_host_of(inner, host, sizeof(host)))
        name = host;
    st = flow_tls_wrap_client(config, lower, name, 0, ret_flow, err);
    if (st != FLOW_OK)
        return st;
    flow__handshake_limit_time(flow__tls_cast(*ret_flow)->hs, opt->timeout);
    return FLOW_OK;
}

static enum flow_status
scheme_dial(const struct flow_env *env, const char *inner,
            const struct flow_endpoint_options *opt, struct flow **ret_flow,
            struct flow_error *err)
{
    struct flow_tls_config *config;
    struct flow *lower;
    enum flow_status st = scheme_client_config(env, opt, &config, err);

    if (st != FLOW_OK)
        return st;
    st = flow_endpoint_dial(env, inner, opt, &lower, err);
    if (st == FLOW_OK) {
        st = scheme_wrap_dialled(config, lower, inner, opt, ret_flow, err);
        if (st != FLOW_OK)
            flow_close(lower);
    }
    flow_tls_config_unref(config);
    return st;
}

/* The holder that was given, or one of the configuration that was given. */
static enum flow_status
scheme_server_holder(const struct flow_env *env,
                     const struct flow_endpoint_options *opt,
                     struct flow_tls_holder **ret_holder,
                     struct flow_error *err)
{
    if (opt->tls_holder != NULL) {
        *ret_holder = flow_tls_holder_ref(opt->tls_holder);
        return FLOW_OK;
    }
    if (opt->tls == NULL || !opt->tls->server)
        return scheme_refuse(err, FLOW_E_INVAL, "listening needs a certificate",
                             "give a server's configuration in the options");
    return flow_tls_holder_new(env, opt->tls, ret_holder, err);
}

static enum flow_status
scheme_listen(const struct flow_env *env, const char *inner,
              const struct flow_endpoint_options *opt,
              struct flow_listener **ret_listener, struct flow_error *err)
{
    struct flow_tls_holder *holder;
    struct flow_listener *lower;
    enum flow_status st = scheme_server_holder(env, opt, &holder, err);

    if (st != FLOW_OK)
        return st;
    st = flow_endpoint_listen(env, inner, opt, &lower, err);
    if (st == FLOW_OK) {
        st = flow_tls_listen_holder(holder, lower, opt->max_handshakes,
                                    ret_listener, err);
        if (st != FLOW_OK)
            flow_listener_close(lower);
    }
    flow_tls_holder_unref(holder);
    return st;
}

extern const struct flow_scheme flow__scheme_tls;

const struct flow_scheme flow__scheme_tls = {
    .name = "tls+",
    .syntax = "tls+SCHEME:...",
    .dial = scheme_dial,
    .listen = scheme_listen,
};
