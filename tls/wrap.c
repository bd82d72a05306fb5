/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/config.h"
#include "tls/tls_flow.h"

static enum flow_status
wrap_refuse(struct flow_error *err, const char *text, const char *hint)
{
    (void)flow_error_set(err, FLOW_E_INVAL, "tls", FLOW_DOMAIN_NONE, 0, text);
    if (err != NULL)
        err->hint = hint;
    return FLOW_E_INVAL;
}

static bool
wrap_is_server_name(const char *name)
{
    struct flow__name parsed;
    size_t len = strlen(name);

    return len <= FLOW__NAME_MAX + 1 &&
           flow__name_parse(name, len, &parsed) != FLOW__NAME_INVALID;
}

/* A configuration for one role, and the flags. */
static enum flow_status
wrap_check_use(const struct flow_tls_config *c, bool server, uint32_t flags,
               struct flow_error *err)
{
    if ((flags & ~FLOW_TLS_BORROW) != 0)
        return wrap_refuse(err, "unknown flags", "give 0 or FLOW_TLS_BORROW");
    if (c->server == server)
        return FLOW_OK;
    if (server)
        return wrap_refuse(err, "a client's configuration cannot serve",
                           "make one with flow_tls_config_new_server()");
    return wrap_refuse(err, "a server's configuration cannot be a client's",
                       "make one with flow_tls_config_new_client()");
}

static enum flow_status
wrap_check_server_name(const struct flow_tls_config *c, const char *name,
                       struct flow_error *err)
{
    bool missing = name == NULL || name[0] == '\0';

    if (missing ? name == NULL && (c->skip_verify || c->skip_name)
                : wrap_is_server_name(name))
        return FLOW_OK;
    if (missing)
        return wrap_refuse(err, "there is no server name to verify",
                           "give the name that the certificate must have");
    (void)wrap_refuse(err, "the server name is not a host name or an address",
                      "write internationalised names in their xn-- form");
    flow_error_set_detail(err, name);
    return FLOW_E_INVAL;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_wrap_client(struct flow_tls_config *c, struct flow *lower,
                     const char *server_name, uint32_t flags,
                     struct flow **ret_flow, struct flow_error *ret_err)
{
    enum flow_status st = wrap_check_use(c, false, flags, ret_err);
    struct flow__tls *t;

    if (st == FLOW_OK)
        st = wrap_check_server_name(c, server_name, ret_err);
    if (st == FLOW_OK)
        st = flow__tls_wrap(c, lower, server_name, flags, &t, ret_err);
    if (st == FLOW_OK)
        *ret_flow = &t->base;
    return st;
}

/* See <flow/tls.h>. */
enum flow_status
flow_tls_wrap_server(struct flow_tls_config *c, struct flow *lower,
                     uint32_t flags, struct flow **ret_flow,
                     struct flow_error *ret_err)
{
    enum flow_status st = wrap_check_use(c, true, flags, ret_err);
    struct flow__tls *t;

    if (st == FLOW_OK)
        st = flow__tls_wrap(c, lower, NULL, flags, &t, ret_err);
    if (st == FLOW_OK)
        *ret_flow = &t->base;
    return st;
}
