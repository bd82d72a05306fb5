/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/endpoint.h>

#include "backends/vchan/scheme.h"
#include "backends/vchan/vchan.h"

static enum flow_status
vchan_refuse(struct flow_error *err, const char *rest, const char *text)
{
    flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0, text);
    flow_error_set_detail(err, rest);
    return FLOW_E_INVAL;
}

static struct flow_vchan_options
vchan_options_of(const struct flow_endpoint_options *opt)
{
    struct flow_vchan_options own = { 0 };

    if (opt != NULL)
        own.timeout = opt->timeout;
    return own;
}

/* "//DOMID/PATH" into its parts; "//DOMID//absolute/path" too. */
static bool
vchan_parse(const char *rest, uint32_t *ret_domid, const char **ret_path)
{
    const char *slash;

    if (strncmp(rest, "//", 2) != 0)
        return false;
    rest += 2;
    slash = strchr(rest, '/');
    if (slash == NULL || !flow__vchan_number(rest, (size_t)(slash - rest), 0,
                                             VCHAN_DOMID_LIMIT - 1, ret_domid))
        return false;
    *ret_path = slash + 1;
    return true;
}

static enum flow_status
vchan_xen_dial(const struct flow_env *env, const char *rest,
               const struct flow_endpoint_options *opt, struct flow **ret_flow,
               struct flow_error *err)
{
    struct flow_vchan_options own = vchan_options_of(opt);
    uint32_t domid;
    const char *path;

    if (!vchan_parse(rest, &domid, &path))
        return vchan_refuse(err, rest, "expected vchan://DOMID/NAME");
    return flow_vchan_connect(env, domid, path, &own, ret_flow, err);
}

static enum flow_status
vchan_xen_listen(const struct flow_env *env, const char *rest,
                 const struct flow_endpoint_options *opt,
                 struct flow_listener **ret_listener, struct flow_error *err)
{
    struct flow_vchan_options own = vchan_options_of(opt);
    uint32_t domid;
    const char *path;

    if (!vchan_parse(rest, &domid, &path))
        return vchan_refuse(err, rest, "expected vchan://DOMID/NAME");
    return flow_vchan_listen(env, domid, path, &own, ret_listener, err);
}

const struct flow_scheme flow__scheme_vchan = {
    .name = "vchan",
    .syntax = "vchan://DOMID/NAME",
    .dial = vchan_xen_dial,
    .listen = vchan_xen_listen,
};
