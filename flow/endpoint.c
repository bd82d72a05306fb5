/* SPDX-License-Identifier: ISC */
#include <flow/endpoint.h>

#include <string.h>

#include "flow/schemes.h"
#include "lib/bits.h"

#define ENDPOINT_LAYER "endpoint"

/* A scheme "tls+" takes every name that begins so: the rest is an endpoint. */
static bool
endpoint_wraps(const struct flow_scheme *scheme)
{
    size_t len = strlen(scheme->name);

    return len > 0 && scheme->name[len - 1] == '+';
}

/* The part of a name after the scheme, or NULL if it has another scheme. */
static const char *
endpoint_rest_after(const char *name, const struct flow_scheme *scheme)
{
    size_t len = strlen(scheme->name);

    if (strncmp(name, scheme->name, len) != 0)
        return NULL;
    if (endpoint_wraps(scheme))
        return name + len;
    return name[len] == ':' ? name + len + 1 : NULL;
}

static void
endpoint_append(char *text, size_t cap, const char *more)
{
    size_t len = strlen(text);
    size_t n = flow__min(strlen(more), cap - 1 - len);

    memcpy(text + len, more, n);
    text[len + n] = '\0';
}

/* "this build has tls+... tcp: unix:"; the syntax of each would not fit. */
static void
endpoint_set_schemes_as_detail(struct flow_error *err)
{
    char text[FLOW_ERROR_DETAIL] = "this build has";
    const struct flow_scheme *const *scheme = flow__schemes;

    if (*scheme == NULL)
        endpoint_append(text, sizeof(text), " none");
    for (; *scheme != NULL; scheme++) {
        endpoint_append(text, sizeof(text), " ");
        endpoint_append(text, sizeof(text), (*scheme)->name);
        endpoint_append(text, sizeof(text),
                        endpoint_wraps(*scheme) ? "..." : ":");
    }
    flow_error_set_detail(err, text);
}

static enum flow_status
endpoint_refuse(struct flow_error *err, enum flow_status st, const char *text)
{
    flow_error_set(err, st, ENDPOINT_LAYER, FLOW_DOMAIN_NONE, 0, text);
    endpoint_set_schemes_as_detail(err);
    return st;
}

static enum flow_status
endpoint_find_scheme(const char *name, const struct flow_scheme **ret_scheme,
                     const char **ret_rest, struct flow_error *err)
{
    const struct flow_scheme *const *scheme;
    enum flow_status st;

    for (scheme = flow__schemes; *scheme != NULL; scheme++) {
        *ret_rest = endpoint_rest_after(name, *scheme);
        if (*ret_rest != NULL) {
            *ret_scheme = *scheme;
            return FLOW_OK;
        }
    }
    if (strchr(name, ':') == NULL)
        return endpoint_refuse(err, FLOW_E_INVAL,
                               "an endpoint begins with a scheme and a colon");
    st = endpoint_refuse(err, FLOW_E_NOTSUP, "no such scheme in this build");
    /* A host and a port alone have a colon too. */
    if (err != NULL && strchr(name, ':')[1] != '/')
        err->hint = "an endpoint of TCP is written tcp://HOST:PORT";
    return st;
}

static enum flow_status
endpoint_lacks(struct flow_error *err, const struct flow_scheme *scheme,
               const char *text)
{
    flow_error_set(err, FLOW_E_NOTSUP, ENDPOINT_LAYER, FLOW_DOMAIN_NONE, 0,
                   text);
    flow_error_set_detail(err, scheme->name);
    return FLOW_E_NOTSUP;
}

/* See <flow/endpoint.h>. */
enum flow_status
flow_endpoint_dial(const struct flow_env *env, const char *name,
                   const struct flow_endpoint_options *opt,
                   struct flow **ret_flow, struct flow_error *ret_err)
{
    static const struct flow_endpoint_options defaults;
    const struct flow_scheme *scheme;
    struct flow_error unused;
    const char *rest;
    enum flow_status st;

    if (ret_err == NULL)
        ret_err = &unused;
    flow_error_clear(ret_err);
    st = endpoint_find_scheme(name, &scheme, &rest, ret_err);
    if (st != FLOW_OK)
        return st;
    if (scheme->dial == NULL)
        return endpoint_lacks(ret_err, scheme,
                              "this scheme can only be listened on");
    return scheme->dial(env != NULL ? env : flow_env_default(), rest,
                        opt != NULL ? opt : &defaults, ret_flow, ret_err);
}

/* See <flow/endpoint.h>. */
enum flow_status
flow_endpoint_listen(const struct flow_env *env, const char *name,
                     const struct flow_endpoint_options *opt,
                     struct flow_listener **ret_listener,
                     struct flow_error *ret_err)
{
    static const struct flow_endpoint_options defaults;
    const struct flow_scheme *scheme;
    struct flow_error unused;
    const char *rest;
    enum flow_status st;

    if (ret_err == NULL)
        ret_err = &unused;
    flow_error_clear(ret_err);
    st = endpoint_find_scheme(name, &scheme, &rest, ret_err);
    if (st != FLOW_OK)
        return st;
    if (scheme->listen == NULL)
        return endpoint_lacks(ret_err, scheme,
                              "this scheme can only be dialled");
    return scheme->listen(env != NULL ? env : flow_env_default(), rest,
                          opt != NULL ? opt : &defaults, ret_listener, ret_err);
}

/* See <flow/endpoint.h>. */
const struct flow_scheme *const *
flow_endpoint_schemes(void)
{
    return flow__schemes;
}
