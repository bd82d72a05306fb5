/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/endpoint.h>
#include <flow/unix.h>

/* Named by the list of schemes in flow/schemes.h, which the build writes. */
extern const struct flow_scheme flow__scheme_unix;

/* "///run/a.sock" or "//@name". */
static enum flow_status
unix_scheme_parse(const char *rest, const char **ret_path,
                  struct flow_error *err)
{
    if (strncmp(rest, "//", 2) == 0 && (rest[2] == '/' || rest[2] == '@')) {
        *ret_path = rest + 2;
        return FLOW_OK;
    }
    flow_error_set(err, FLOW_E_INVAL, "unix", FLOW_DOMAIN_NONE, 0,
                   "not the path of a UNIX socket");
    flow_error_set_detail(err, rest);
    if (err != NULL)
        err->hint = "write unix:///PATH, or unix://@NAME for an abstract name";
    return FLOW_E_INVAL;
}

static struct flow_unix_options
unix_options_of(const struct flow_endpoint_options *opt)
{
    struct flow_unix_options options = { .timeout = 0 };

    if (opt != NULL) {
        options.timeout = opt->timeout;
        options.backlog = opt->backlog;
        options.mode = opt->mode;
    }
    return options;
}

static enum flow_status
unix_scheme_dial(const struct flow_env *env, const char *rest,
                 const struct flow_endpoint_options *opt,
                 struct flow **ret_flow, struct flow_error *err)
{
    const struct flow_unix_options options = unix_options_of(opt);
    const char *path;
    enum flow_status st = unix_scheme_parse(rest, &path, err);

    if (st != FLOW_OK)
        return st;
    return flow_unix_dial(env, path, &options, ret_flow, err);
}

static enum flow_status
unix_scheme_listen(const struct flow_env *env, const char *rest,
                   const struct flow_endpoint_options *opt,
                   struct flow_listener **ret_listener, struct flow_error *err)
{
    const struct flow_unix_options options = unix_options_of(opt);
    const char *path;
    enum flow_status st = unix_scheme_parse(rest, &path, err);

    if (st != FLOW_OK)
        return st;
    return flow_unix_listen(env, path, &options, ret_listener, err);
}

const struct flow_scheme flow__scheme_unix = {
    .name = "unix",
    .syntax = "unix:///PATH",
    .dial = unix_scheme_dial,
    .listen = unix_scheme_listen,
};
